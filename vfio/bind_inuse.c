// SPDX-License-Identifier: GPL-2.0-or-later
//
// Whether the host still needs a function: as a disk (bind_inuse_blk.c), as its way to the
// network (bind_inuse_net.c), or as its screen. Doubt counts as use: taking a disk away from
// under a file system loses data, a refusal costs one option.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "vfio/bind_int.h"

#define PATH_SIZE 512

struct screen {
	const struct bdf *at;
	char name[64]; /* "fb0" */
};

static int look_at_fb(void *opaque, const char *name)
{
	struct screen *s = (struct screen *)opaque;
	char link[PATH_SIZE];
	if (strncmp(name, "fb", 2) != 0 || name[2] < '0' || name[2] > '9')
		return 0;
	snprintf(link, sizeof(link), "/sys/class/graphics/%s", name);
	if (!bind_link_below(s->at, link))
		return 0;
	snprintf(s->name, sizeof(s->name), "%s", name);
	return 1;
}

/* fbcon says which console is drawn by frame buffers: a bound "frame buffer" one. */
static int look_at_console(void *opaque, const char *name)
{
	char path[PATH_SIZE], text[64];
	uint64_t bound;
	(void)opaque;
	hostpci_path(path, sizeof(path), "/sys/class/vtconsole/%s/name", name);
	if (sys_read_text(path, text, sizeof(text)) < 0 || !strstr(text, "frame buffer"))
		return 0;
	hostpci_path(path, sizeof(path), "/sys/class/vtconsole/%s/bind", name);
	return sys_read_u64(path, &bound) == 0 && bound == 1;
}

static int use_as_screen(const struct bdf *at, char *why, size_t size)
{
	struct screen s = { .at = at };
	char path[PATH_SIZE], name[BDF_STR_MAX];
	uint64_t boot_vga;
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/boot_vga", bdf_str(at, name));
	if (sys_read_u64(path, &boot_vga) == 0 && boot_vga == 1) {
		snprintf(why, size, "it is the boot display, the host's console");
		return 1;
	}
	int r = sys->listdir(hostpci_path(path, sizeof(path), "/sys/class/graphics"), look_at_fb,
			     &s);
	if (r < 0 && r != -ENOENT) {
		snprintf(why, size, "whether the console is on it can't be told: %s", strerror(-r));
		return r;
	}
	if (r == 1 && sys->listdir(hostpci_path(path, sizeof(path), "/sys/class/vtconsole"),
				   look_at_console, NULL) == 1) {
		snprintf(why, size, "the host's console is on its frame buffer %s", s.name);
		return 1;
	}
	return 0;
}

bool bind_in_use(const struct bdf *at, char *why, size_t size)
{
	return bind_use_of_blocks(at, why, size) != 0 || bind_use_of_net(at, why, size) != 0 ||
	       use_as_screen(at, why, size) != 0;
}
