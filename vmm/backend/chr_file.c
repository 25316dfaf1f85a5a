// SPDX-License-Identifier: GPL-2.0-or-later
// The back end that writes a file: truncated at start, output only. A full disk or a file that
// can't be written loses output, never the machine. Bytes gather until a line or a block is
// whole, or the loop has its turn.
#define LOG_TAG "chr"
#include "vmm/backend/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/sys.h"

struct chr_file {
	struct chardev chr;
	struct loop *loop; /* borrowed */
	struct loop_job flush;
	int fd;
	bool failed; /* said so once */
	size_t used;
	uint8_t buf[4096];
};

static void flush(struct chr_file *f)
{
	size_t off = 0;

	while (off < f->used) {
		ssize_t n = sys_write(f->fd, f->buf + off, f->used - off);

		if (n <= 0) {
			if (!f->failed)
				log_debug("output lost: %s", strerror((int)-n));
			f->failed = true;
			break;
		}
		off += (size_t)n;
	}
	f->used = 0;
}

static void on_flush(struct loop_job *j)
{
	flush(container_of(j, struct chr_file, flush));
}

static size_t file_write(struct chardev *c, const void *buf, size_t len)
{
	struct chr_file *f = container_of(c, struct chr_file, chr);
	const uint8_t *p = buf;

	for (size_t i = 0; i < len; i++) {
		f->buf[f->used++] = p[i];
		if (f->used == sizeof(f->buf))
			flush(f);
	}
	if (f->used > 0)
		loop_defer(f->loop, &f->flush);
	return len;
}

static void file_close(struct chardev *c)
{
	struct chr_file *f = container_of(c, struct chr_file, chr);

	loop_cancel(&f->flush);
	flush(f);
	sys_close_fd(&f->fd);
	free(f);
}

static const struct chardev_ops file_ops = { .write = file_write, .close = file_close };

static int file_open(const char *arg, const struct chr_host *host, struct chardev **ret,
		     struct verr *reterr)
{
	struct chr_file *f = calloc(1, sizeof(*f));
	struct stat st;
	int r;

	if (!f)
		return verr_set(reterr, -ENOMEM, "file %s: out of memory", arg);
	f->chr.ops = &file_ops;
	f->loop = host->loop;
	snprintf(f->chr.where, sizeof(f->chr.where), "%s", arg);
	f->flush.run = on_flush;
	/* O_NONBLOCK: a FIFO without a reader is an error instead of a wait. */
	f->fd = sys_open(arg, O_WRONLY | O_CREAT | O_TRUNC | O_NOCTTY | O_NONBLOCK, 0644);
	r = f->fd < 0 ? f->fd : sys->fstat(f->fd, &st);
	if (r < 0) {
		verr_set(reterr, r, "file %s: %s", arg, strerror(-r));
	} else if (!S_ISREG(st.st_mode) && !S_ISCHR(st.st_mode)) {
		r = verr_set(reterr, -EINVAL,
			     "file %s: is neither a regular file nor "
			     "a character device",
			     arg);
	}
	if (r < 0) {
		sys_close_fd(&f->fd);
		free(f);
		return r;
	}
	*ret = &f->chr;
	return 0;
}

const struct chr_type chr_file_type = {
	.name = "file",
	.arg_name = "PATH",
	.desc = "output into a file, no input",
	.open = file_open,
};
