// SPDX-License-Identifier: GPL-2.0-or-later
//
// Whether the host stores something on a function: a mounted file system or swap on one of its
// disks, on a partition of one, or on anything stacked on them (md, device mapper, bcache, a
// multi-path NVMe head), a multi-device btrfs, or an exclusive open that none of these explain
// (ZFS). Also a 9p or virtiofs share that the function serves. Reads sysfs and procfs.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "core/sys.h"
#include "vfio/bind_int.h"
#include "vfio/hostproc.h"

#define PATH_SIZE  512
#define NAME_SIZE  64
#define BLOCKS_MAX 512

struct block {
	char name[NAME_SIZE]; /* as in /sys/class/block */
	char dev[24];	      /* "259:2"; "" unknown */
};

struct blocks {
	const struct bdf *at;
	struct block v[BLOCKS_MAX];
	unsigned int n;
	bool grew;
	char virtio[NAME_SIZE]; /* the function's virtio device: "virtio3" */
	char tag[128];		/* its 9p mount tag */
	bool virtiofs;
	const char *group; /* the btrfs being looked at */
	char *why;
	size_t size;
};

static const struct block *find(const struct blocks *s, const char *name)
{
	for (unsigned int i = 0; i < s->n; i++) {
		if (strcmp(s->v[i].name, name) == 0)
			return &s->v[i];
	}
	return NULL;
}

static int add(struct blocks *s, const char *name)
{
	char path[PATH_SIZE];
	if (find(s, name))
		return 0;
	if (s->n == BLOCKS_MAX || strlen(name) >= NAME_SIZE)
		return -E2BIG;
	struct block *b = &s->v[s->n++];
	snprintf(b->name, sizeof(b->name), "%s", name);
	hostpci_path(path, sizeof(path), "/sys/class/block/%s/dev", name);
	if (sys_read_text(path, b->dev, sizeof(b->dev)) < 0)
		b->dev[0] = '\0';
	s->grew = true;
	return 0;
}

/* --- which block devices --------------------------------------------------------------------- */

/* Target of the link at root + path, with a '/' put at both ends; false if it is none. */
static bool read_link(const char *path, char *buf, size_t size)
{
	char full[PATH_SIZE];
	ssize_t n = sys->readlink(hostpci_path(full, sizeof(full), "%s", path), buf + 1, size - 3);
	if (n < 0)
		return false;
	buf[0] = '/';
	buf[n + 1] = '/';
	buf[n + 2] = '\0';
	return true;
}

bool bind_link_below(const struct bdf *at, const char *link)
{
	char target[PATH_MAX], name[BDF_STR_MAX], part[BDF_STR_MAX + 2];
	snprintf(part, sizeof(part), "/%s/", bdf_str(at, name));
	return read_link(link, target, sizeof(target)) && strstr(target, part);
}

struct controller_search {
	const struct bdf *at;
	const char *subsystem;
};

static int look_at_controller(void *opaque, const char *name)
{
	const struct controller_search *c = (const struct controller_search *)opaque;
	char link[PATH_SIZE];
	snprintf(link, sizeof(link), "/sys/class/nvme-subsystem/%s/%s", c->subsystem, name);
	return bind_link_below(c->at, link);
}

/* A multi-path namespace hangs below its NVMe subsystem, not below a controller. */
static bool multipath_below(const struct bdf *at, const char *target)
{
	char path[PATH_SIZE], subsystem[NAME_SIZE];
	const char *from = strstr(target, "/nvme-subsystem/");
	if (!from || sscanf(from, "/nvme-subsystem/%63[^/]", subsystem) != 1)
		return false;
	struct controller_search c = { .at = at, .subsystem = subsystem };
	hostpci_path(path, sizeof(path), "/sys/class/nvme-subsystem/%s", subsystem);
	return sys->listdir(path, look_at_controller, &c) == 1;
}

/* The set's device behind a path such as /dev/nvme0n1p2, by name or by number. */
static const struct block *find_path(const struct blocks *s, const char *path)
{
	const char *slash = strrchr(path, '/');
	const struct block *b = slash ? find(s, slash + 1) : NULL;
	char full[PATH_SIZE], dev[24];
	struct stat st;
	if (b || !slash)
		return b;
	if (sys->stat(hostpci_path(full, sizeof(full), "%s", path), &st) < 0 ||
	    !S_ISBLK(st.st_mode))
		return NULL;
	snprintf(dev, sizeof(dev), "%u:%u", major(st.st_rdev), minor(st.st_rdev));
	for (unsigned int i = 0; i < s->n; i++) {
		if (strcmp(s->v[i].dev, dev) == 0)
			return &s->v[i];
	}
	return NULL;
}

/* A loop device may have a block device behind it, of which sysfs keeps no holder. */
static bool loop_over(const struct blocks *s, const char *name)
{
	char path[PATH_SIZE], file[PATH_SIZE];
	if (strncmp(name, "loop", 4) != 0)
		return false;
	hostpci_path(path, sizeof(path), "/sys/class/block/%s/loop/backing_file", name);
	return sys_read_text(path, file, sizeof(file)) > 0 && find_path(s, file);
}

/* Below the function, or a partition of, or a loop over, a device that is in the set. */
static int look_at_block(void *opaque, const char *name)
{
	struct blocks *s = (struct blocks *)opaque;
	char link[PATH_SIZE], target[PATH_MAX], part[BDF_STR_MAX + 2], at[BDF_STR_MAX];
	snprintf(link, sizeof(link), "/sys/class/block/%s", name);
	if (find(s, name) || !read_link(link, target, sizeof(target)))
		return 0;
	snprintf(part, sizeof(part), "/%s/", bdf_str(s->at, at));
	if (strstr(target, part) || multipath_below(s->at, target) || loop_over(s, name))
		return add(s, name);
	for (unsigned int i = 0; i < s->n; i++) {
		char parent[NAME_SIZE + 2];
		snprintf(parent, sizeof(parent), "/%s/", s->v[i].name);
		if (strstr(target, parent))
			return add(s, name);
	}
	return 0;
}

static int add_holder(void *opaque, const char *name)
{
	return add((struct blocks *)opaque, name);
}

/* Until nothing more is stacked on what is there. */
static int collect(struct blocks *s)
{
	char path[PATH_SIZE];
	do {
		s->grew = false;
		hostpci_path(path, sizeof(path), "/sys/class/block");
		int r = sys->listdir(path, look_at_block, s);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
		for (unsigned int i = 0; i < s->n; i++) {
			hostpci_path(path, sizeof(path), "/sys/class/block/%s/holders",
				     s->v[i].name);
			r = sys->listdir(path, add_holder, s);
			if (r < 0 && r != -ENOENT)
				return r;
		}
	} while (s->grew);
	return 0;
}

/* --- mounts and swap ------------------------------------------------------------------------- */

/* "\040" and its kin back into bytes, in place. */
static void unescape(char *text)
{
	char *out = text;
	for (const char *in = text; *in; in++) {
		if (in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' && in[2] <= '7' &&
		    in[3] >= '0' && in[3] <= '7') {
			*out++ = (char)((in[1] - '0') << 6 | (in[2] - '0') << 3 | (in[3] - '0'));
			in += 3;
		} else {
			*out++ = *in;
		}
	}
	*out = '\0';
}

static int say_mount(struct blocks *s, const struct block *b, char *where)
{
	unescape(where);
	snprintf(s->why, s->size, "/dev/%s is mounted on %s", b->name, where);
	return 1;
}

/* A share has no block device: it is known by its tag, or not told apart at all. */
static int look_at_share(struct blocks *s, const char *type, const char *source, char *where)
{
	if ((strcmp(type, "9p") == 0 && s->tag[0] && strcmp(source, s->tag) == 0) ||
	    (strcmp(type, "virtiofs") == 0 && s->virtiofs)) {
		unescape(where);
		snprintf(s->why, s->size, "its %s share is mounted on %s", type, where);
		return 1;
	}
	return 0;
}

/* "36 35 259:2 / /home rw,noatime shared:1 - ext4 /dev/nvme0n1p2 rw" */
static int look_at_mountinfo(void *opaque, char *line)
{
	struct blocks *s = (struct blocks *)opaque;
	char dev[24], where[1024], type[64] = "", source[1024] = "";
	if (sscanf(line, "%*s %*s %23s %*s %1023s", dev, where) != 2)
		return 0;
	const char *rest = strstr(line, " - ");
	if (rest)
		sscanf(rest, " - %63s %1023s", type, source);
	unescape(source);
	for (unsigned int i = 0; i < s->n; i++) {
		if (strcmp(dev, s->v[i].dev) == 0)
			return say_mount(s, &s->v[i], where);
	}
	const struct block *b = find_path(s, source);
	if (b)
		return say_mount(s, b, where);
	return look_at_share(s, type, source, where);
}

/* "/dev/nvme0n1p2 /home ext4 rw 0 0", where there is no mountinfo. */
static int look_at_mounts(void *opaque, char *line)
{
	struct blocks *s = (struct blocks *)opaque;
	char source[1024], where[1024], type[64];
	if (sscanf(line, "%1023s %1023s %63s", source, where, type) != 3)
		return 0;
	unescape(source);
	const struct block *b = find_path(s, source);
	return b ? say_mount(s, b, where) : look_at_share(s, type, source, where);
}

/* "/dev/nvme0n1p3 partition 8388604 0 -2" */
static int look_at_swap(void *opaque, char *line)
{
	struct blocks *s = (struct blocks *)opaque;
	char path[1024];
	if (sscanf(line, "%1023s", path) != 1)
		return 0;
	unescape(path);
	const struct block *b = find_path(s, path);
	if (!b)
		return 0;
	snprintf(s->why, s->size, "/dev/%s is swap space", b->name);
	return 1;
}

static int cant_tell(struct blocks *s, const char *path, int r)
{
	snprintf(s->why, s->size, "whether it is mounted can't be told: %s: %s", path,
		 strerror(-r));
	return r;
}

/* Our own mount namespace, and the first process's: a mount there counts as much. */
static int check_mounts(struct blocks *s)
{
	int r = hostproc_lines("/proc/self/mountinfo", look_at_mountinfo, s);
	if (r == -ENOENT)
		r = hostproc_lines("/proc/mounts", look_at_mounts, s);
	if (r < 0)
		return cant_tell(s, "/proc/self/mountinfo", r);
	if (r == 0) {
		r = hostproc_lines("/proc/1/mountinfo", look_at_mountinfo, s);
		if (r == -ENOENT || r == -EACCES)
			r = 0;
		else if (r < 0)
			return cant_tell(s, "/proc/1/mountinfo", r);
	}
	return r;
}

static int check_swap(struct blocks *s)
{
	int r = hostproc_lines("/proc/swaps", look_at_swap, s);
	if (r == -ENOENT) /* a kernel without swap */
		return 0;
	return r < 0 ? cant_tell(s, "/proc/swaps", r) : r;
}

/* --- what mount tables do not show ----------------------------------------------------------- */

static int look_at_btrfs_device(void *opaque, const char *name)
{
	struct blocks *s = (struct blocks *)opaque;
	if (!find(s, name))
		return 0;
	snprintf(s->why, s->size, "/dev/%s belongs to the mounted btrfs %s", name, s->group);
	return 1;
}

/* Mounted ones only are listed there, with all their devices. */
static int look_at_btrfs(void *opaque, const char *name)
{
	struct blocks *s = (struct blocks *)opaque;
	char path[PATH_SIZE];
	s->group = name;
	hostpci_path(path, sizeof(path), "/sys/fs/btrfs/%s/devices", name);
	return sys->listdir(path, look_at_btrfs_device, s) == 1;
}

/* The kernel lets one owner at a time claim a device: whoever has it, we may not. */
static int check_claims(struct blocks *s)
{
	char path[PATH_SIZE];
	for (unsigned int i = 0; i < s->n; i++) {
		hostpci_path(path, sizeof(path), "/dev/%s", s->v[i].name);
		int fd = sys_open(path, O_RDONLY | O_EXCL | O_NONBLOCK, 0);
		if (fd >= 0)
			sys_close(fd);
		if (fd == -EBUSY) {
			snprintf(s->why, s->size,
				 "/dev/%s is claimed by something (a storage pool, "
				 "or a program that has it open for itself)",
				 s->v[i].name);
			return 1;
		}
	}
	return 0;
}

static int look_at_virtio(void *opaque, const char *name)
{
	struct blocks *s = (struct blocks *)opaque;
	char path[PATH_SIZE], driver[64];
	snprintf(path, sizeof(path), "/sys/bus/virtio/devices/%s", name);
	if (!bind_link_below(s->at, path))
		return 0;
	hostpci_path(path, sizeof(path), "/sys/bus/virtio/devices/%s/mount_tag", name);
	if (sys_read_text(path, s->tag, sizeof(s->tag)) < 0)
		s->tag[0] = '\0';
	hostpci_path(path, sizeof(path), "/sys/bus/virtio/devices/%s/driver", name);
	if (sys_readlink_base(path, driver, sizeof(driver)) == 0)
		s->virtiofs = strcmp(driver, "virtiofs") == 0;
	return 1;
}

static int check_all(struct blocks *s)
{
	char path[PATH_SIZE];
	int r = collect(s);
	if (r < 0) {
		snprintf(s->why, s->size, "whether it is a disk in use can't be told: %s",
			 strerror(-r));
		return r;
	}
	sys->listdir(hostpci_path(path, sizeof(path), "/sys/bus/virtio/devices"), look_at_virtio,
		     s);
	if (s->n == 0 && !s->tag[0] && !s->virtiofs)
		return 0;
	r = check_mounts(s);
	if (r == 0)
		r = check_swap(s);
	if (r == 0 &&
	    sys->listdir(hostpci_path(path, sizeof(path), "/sys/fs/btrfs"), look_at_btrfs, s) == 1)
		r = 1;
	return r == 0 ? check_claims(s) : r;
}

int bind_use_of_blocks(const struct bdf *at, char *why, size_t size)
{
	struct blocks *s = (struct blocks *)calloc(1, sizeof(*s));
	if (!s) {
		snprintf(why, size, "whether it is a disk in use can't be told: out of memory");
		return -ENOMEM;
	}
	s->at = at;
	s->why = why;
	s->size = size;
	int r = check_all(s);
	free(s);
	return r;
}
