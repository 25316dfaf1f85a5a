// SPDX-License-Identifier: GPL-2.0-or-later
// The "file" disk (see blockdev.h): opens a raw image or a block device, locks it, finds out what
// alignment its I/O needs, changes its size. Owns the descriptor; does no I/O for the guest.
#define LOG_TAG "blk"
#include "vmm/backend/blockdev.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"

/* Bytes that QEMU's file driver locks, shared, and so do we: "somebody writes" and "nobody else
 * may write". Our writers take the whole range, exclusively. */
enum { LOCK_WRITES = 101, LOCK_NO_WRITERS = 201, LOCK_FIRST = 100, LOCK_N = 200 };

enum { CACHE_WRITEBACK, CACHE_NONE };
static const char *const cache_choices[] = { "writeback", "none", NULL };
enum { FORMAT_AUTO, FORMAT_RAW };
static const char *const format_choices[] = { "auto", "raw", NULL };

#define ALIGN_MAX 4096u

struct blk_file_cfg {
	char *path;
	bool readonly, discard, locking;
	int cache, format;
};

/* ---- opening --------------------------------------------------------------------------------- */

static int take_locks(const struct blockdev *d)
{
	if (!d->read_only)
		return sys_ofd_lock(d->fd, F_WRLCK, LOCK_FIRST, LOCK_N, false);
	int r = sys_ofd_lock(d->fd, F_RDLCK, LOCK_NO_WRITERS, 1, false);
	return r < 0 ? r : sys_ofd_lock(d->fd, F_WRLCK, LOCK_WRITES, 1, true);
}

static int lock(const struct blockdev *d, struct verr *reterr)
{
	int r = take_locks(d);

	if (r == -EAGAIN)
		return verr_set(reterr, -EBUSY,
				"%s is in use by another disk or another program that %s; share it "
				"with readonly=on everywhere, or give each a copy",
				d->path, d->read_only ? "writes to it" : "has it open");
	return r < 0 ? verr_set(reterr, r,
				"%s can't be locked against other users: %s (locking=off does "
				"without)",
				d->path, strerror(-r))
		     : 0;
}

static int open_failed(const struct blk_file_cfg *c, int r, struct verr *reterr)
{
	const char *hint = "";

	if (r == -EINVAL && c->cache == CACHE_NONE)
		hint = " (its file system has no direct I/O: use cache=writeback)";
	else if ((r == -EACCES || r == -EPERM || r == -EROFS) && !c->readonly)
		hint = " (readonly=on opens it for reading only)";
	else if (r == -EBUSY)
		hint = " (it is mounted, or a part of something that is; locking=off opens it "
		       "nevertheless)";
	return verr_set(reterr, r, "%s can't be opened: %s%s", c->path, strerror(-r), hint);
}

static int open_it(struct blockdev *d, const struct blk_file_cfg *c, struct verr *reterr)
{
	struct stat st;

	/* Looked at before it is opened: opening some things does something, or waits. */
	int r = sys->stat(c->path, &st);
	if (r < 0)
		return open_failed(c, r, reterr);
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return verr_set(reterr, -EINVAL, "%s is %s, not a file or a block device", c->path,
				S_ISDIR(st.st_mode) ? "a directory" : "something else");
	int flags = c->readonly ? O_RDONLY : O_RDWR;
	flags |= c->cache == CACHE_NONE ? O_DIRECT : 0;
	/* For a block device: not while the host has it mounted. */
	flags |= S_ISBLK(st.st_mode) && !c->readonly && c->locking ? O_EXCL : 0;
	r = sys_open(c->path, flags, 0);
	if (r < 0)
		return open_failed(c, r, reterr);
	d->fd = r;
	d->device = S_ISBLK(st.st_mode);
	return c->locking ? lock(d, reterr) : 0;
}

/* ---- what it is like ------------------------------------------------------------------------- */

/* An image of another format would be taken for an empty or broken disk, and be overwritten. */
static int check_format(const struct blockdev *d, const uint8_t *head, size_t n,
			struct verr *reterr)
{
	static const struct {
		const char *name, *magic;
		size_t off;
	} formats[] = {
		{ "qcow2", "QFI\xfb", 0 },	   { "VMDK", "KDMV", 0 },
		{ "VHDX", "vhdxfile", 0 },	   { "VHD", "conectix", 0 },
		{ "VDI", "\x7f\x10\xda\xbe", 64 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		size_t len = strlen(formats[i].magic);

		if (n >= formats[i].off + len &&
		    memcmp(head + formats[i].off, formats[i].magic, len) == 0)
			return verr_set(reterr, -EINVAL,
					"%s is a %s image, and a disk here is a raw one: convert "
					"it (qemu-img convert -O raw), or say format=raw if the "
					"guest is to see it as it is",
					d->path, formats[i].name);
	}
	return 0;
}

/* By trying: what is refused as invalid is not aligned enough. Reads the head on the way. */
static int probe(struct blockdev *d, const struct blk_file_cfg *c, struct verr *reterr)
{
	uint8_t *buf = aligned_alloc(ALIGN_MAX, 2 * ALIGN_MAX);
	uint32_t align = d->direct ? BLOCKDEV_SECTOR : ALIGN_MAX;

	if (!buf)
		return verr_set(reterr, -ENOMEM, "out of memory");
	ssize_t n = sys_pread(d->fd, buf, align, 0);
	while (n == -EINVAL && align < ALIGN_MAX)
		n = sys_pread(d->fd, buf, align *= 2, 0);
	d->io_align = d->mem_align = 1;
	if (n >= 0 && d->direct) {
		d->io_align = d->mem_align = align;
		if (align > BLOCKDEV_SECTOR &&
		    sys_pread(d->fd, buf + BLOCKDEV_SECTOR, align, 0) >= 0)
			d->mem_align = BLOCKDEV_SECTOR;
	}
	int r = n < 0 ? verr_set(reterr, (int)n, "%s can't be read: %s", d->path, strerror((int)-n))
		      : 0;
	if (r == 0 && c->format == FORMAT_AUTO)
		r = check_format(d, buf, (size_t)n, reterr);
	free(buf);
	return r;
}

static int get_size(const struct blockdev *d, uint64_t *ret)
{
	struct stat st;

	if (d->device)
		return sys_ioctl(d->fd, BLKGETSIZE64, ret);
	int r = sys->fstat(d->fd, &st);
	if (r == 0)
		*ret = (uint64_t)st.st_size;
	return r;
}

static int measure(struct blockdev *d, struct verr *reterr)
{
	uint64_t size = 0;
	int logical = BLOCKDEV_SECTOR, ro = 0;
	unsigned int physical = ALIGN_MAX;

	int r = get_size(d, &size);
	if (r == 0 && d->device)
		r = sys_ioctl(d->fd, BLKSSZGET, &logical);
	if (r == 0 && d->device)
		r = sys_ioctl(d->fd, BLKPBSZGET, &physical);
	if (r == 0 && d->device)
		r = sys_ioctl(d->fd, BLKROGET, &ro);
	if (r < 0)
		return verr_set(reterr, r, "%s: its size can't be found out: %s", d->path,
				strerror(-r));
	if (ro && !d->read_only)
		return verr_set(reterr, -EROFS, "%s can only be read: use readonly=on", d->path);
	d->logical = MAX(IS_POW2((unsigned int)logical) ? (uint32_t)logical : BLOCKDEV_SECTOR,
			 d->io_align);
	d->logical = MAX(d->logical, BLOCKDEV_SECTOR);
	d->physical = MAX(IS_POW2(physical) ? physical : BLOCKDEV_SECTOR, d->logical);
	d->size = ALIGN_DOWN(size, (uint64_t)d->logical);
	return 0;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void blk_close(struct backend *b)
{
	sys_close_fd(&blockdev_of(b)->fd); /* the locks go with it */
	free(blockdev_of(b));
}

static int blk_open(const char *id, const void *cfg, const struct backend_host *host,
		    struct backend **ret, struct verr *reterr)
{
	const struct blk_file_cfg *c = cfg;
	struct blockdev *d = calloc(1, sizeof(*d));

	(void)id;
	(void)host;
	if (!d)
		return verr_set(reterr, -ENOMEM, "out of memory");
	d->fd = -1;
	d->path = c->path;
	d->read_only = c->readonly;
	d->direct = c->cache == CACHE_NONE;
	d->discard = c->discard;
	int r = open_it(d, c, reterr);
	if (r == 0)
		r = probe(d, c, reterr);
	if (r == 0)
		r = measure(d, reterr);
	if (r < 0) {
		blk_close(&d->b);
		return r;
	}
	*ret = &d->b;
	return 0;
}

/* ---- another size ---------------------------------------------------------------------------- */

static int give_size(struct blockdev *d, uint64_t size, struct verr *reterr)
{
	uint64_t old = blockdev_size(d);

	if (d->device)
		return verr_set(reterr, -EINVAL,
				"%s is a block device: change its size by its own tools, then say "
				"block_resize without a size",
				d->path);
	if (d->read_only)
		return verr_set(reterr, -EROFS, "%s is open for reading only", d->path);
	if (!IS_ALIGNED(size, (uint64_t)d->logical) || size > INT64_MAX)
		return verr_set(reterr, -EINVAL, "size %" PRIu64 " is no multiple of %" PRIu32,
				size, d->logical);
	/* The guest is kept out of what goes before it goes. */
	__atomic_store_n(&d->size, MIN(old, size), __ATOMIC_RELAXED);
	int r = sys->ftruncate(d->fd, (off_t)size);
	if (r == 0)
		return 0;
	__atomic_store_n(&d->size, old, __ATOMIC_RELAXED);
	return verr_set(reterr, r, "%s can't be made %" PRIu64 " bytes long: %s", d->path, size,
			strerror(-r));
}

int blockdev_resize(struct backend_set *s, const char *id, uint64_t size, struct verr *reterr)
{
	struct backend *b = backend_find(s, id);

	if (!b || b->type->kind != BACKEND_BLOCK)
		return verr_set(reterr, -ENOENT, "there is no disk \"%s\" (the id of a blockdev)",
				id);
	struct blockdev *d = blockdev_of(b);
	uint64_t old = blockdev_size(d);
	int r = size ? give_size(d, size, reterr) : get_size(d, &size);
	if (r < 0)
		return verr_set(reterr, r, "%s: its size can't be found out: %s", d->path,
				strerror(-r));
	size = ALIGN_DOWN(size, (uint64_t)d->logical);
	__atomic_store_n(&d->size, size, __ATOMIC_RELAXED);
	if (size != old && d->resized)
		d->resized(d->opaque);
	return 0;
}

static const struct prop blk_file_props[] = {
	PROP(struct blk_file_cfg, path, PROP_STR, PROP_REQUIRED, "raw image or block device"),
	PROP(struct blk_file_cfg, readonly, PROP_BOOL, "off", "open it for reading only"),
	PROP_NAMED("cache", struct blk_file_cfg, cache, PROP_ENUM, "writeback",
		   "use the host's page cache, or go past it (O_DIRECT)", .choices = cache_choices),
	PROP(struct blk_file_cfg, discard, PROP_BOOL, "on",
	     "give back to the host what the guest discards"),
	PROP(struct blk_file_cfg, locking, PROP_BOOL, "on",
	     "refuse what another program writes or has open"),
	PROP_NAMED("format", struct blk_file_cfg, format, PROP_ENUM, "auto",
		   "auto refuses images of other formats; raw takes anything for a raw one",
		   .choices = format_choices),
	PROP_END,
};

const struct backend_type blk_file_type = {
	.t = { .name = "file",
	       .category = "block",
	       .desc = "a raw image or a block device of the host",
	       .props = blk_file_props,
	       .cfg_size = sizeof(struct blk_file_cfg) },
	.kind = BACKEND_BLOCK,
	.open = blk_open,
	.close = blk_close,
};
