// SPDX-License-Identifier: GPL-2.0-or-later
//
// Reads host text files line by line, without a bound on their length. Owns nothing between calls
// and must not know what the lines mean.
#include "vfio/hostproc.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/types.h>

#include "core/sys.h"
#include "pci/hostpci.h"

#define LINE_SIZE 4096
#define PATH_SIZE 512

struct line_buf {
	char text[LINE_SIZE];
	size_t len;
};

static int take_byte(struct line_buf *b, char c, int (*each)(void *opaque, char *line),
		     void *opaque)
{
	if (c != '\n') {
		if (b->len < LINE_SIZE - 1)
			b->text[b->len++] = c;
		return 0;
	}
	b->text[b->len] = '\0';
	b->len = 0;
	return each(opaque, b->text);
}

int hostproc_lines(const char *path, int (*each)(void *opaque, char *line), void *opaque)
{
	char full[PATH_SIZE], chunk[LINE_SIZE];
	struct line_buf b = { .len = 0 };
	int fd = sys_open(hostpci_path(full, sizeof(full), "%s", path), O_RDONLY, 0);
	if (fd < 0)
		return fd;

	int r = 0;
	ssize_t n = 0;
	while (r == 0 && (n = sys_read(fd, chunk, sizeof(chunk))) > 0) {
		for (ssize_t i = 0; r == 0 && i < n; i++)
			r = take_byte(&b, chunk[i], each, opaque);
	}
	sys_close(fd);
	if (r == 0 && n < 0)
		return (int)n;
	if (r == 0 && b.len > 0)
		r = take_byte(&b, '\n', each, opaque);
	return r;
}
