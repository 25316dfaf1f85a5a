// SPDX-License-Identifier: GPL-2.0-or-later
// Disks: what --blockdev makes and a device's drive= names. A disk is a raw file or block device,
// that is a descriptor and what has to be known of it; the device reads and writes it itself, in
// its I/O threads. Under the machine lock, but for `size`.
//
// Two that would spoil each other's data are kept apart by locks on bytes of the file that QEMU
// uses, too: a writer excludes everybody, readers exclude writers.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "vmm/backend/backends.h"

VV_BEGIN_DECLS

#define BLOCKDEV_SECTOR 512u

struct blockdev {
	struct backend b; /* first */
	int fd;		  /* owned; O_DIRECT if direct */
	const char *path; /* borrowed, of the configuration */
	bool read_only;
	bool device;  /* a block device, not a file */
	bool direct;  /* past the host's page cache: everything aligned as below */
	bool discard; /* what the guest discards may be given back to the host */
	/* Powers of two, bytes. */
	uint32_t logical, physical;   /* block sizes to tell the guest */
	uint32_t io_align, mem_align; /* of offsets and lengths, and of memory; 1 if not direct */
	uint64_t size; /* bytes, a multiple of logical; atomic: I/O threads read it */

	/* The device's; set after taking it, NULL before it is released. */
	void (*resized)(void *opaque);
	void *opaque;
};

extern const struct backend_type blk_file_type;

static inline struct blockdev *blockdev_of(struct backend *b)
{
	return container_of(b, struct blockdev, b);
}

static inline uint64_t blockdev_size(const struct blockdev *d)
{
	return __atomic_load_n(&d->size, __ATOMIC_RELAXED);
}

/* Gives the disk `size` bytes (a file), or finds out how many it has now (size 0), and tells its
 * device. -ENOENT no such disk, -EINVAL a size it can't have, -EROFS, or what the file says. */
int blockdev_resize(struct backend_set *s, const char *id, uint64_t size, struct verr *reterr);

VV_END_DECLS
