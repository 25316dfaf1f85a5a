// SPDX-License-Identifier: GPL-2.0-or-later
// An address space of trapped accesses (guest MMIO, or I/O ports): regions may overlap and the
// highest priority answers; lookups use a flat sorted view rebuilt on change.
//
// Locking: all functions under the machine lock (handlers run under it too). A handler must not
// unmap its own region directly: use loop_defer(). aspace_map/unmap of *other* regions from a
// handler is allowed: the access in flight holds no pointer into the view across the call.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/list.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct io_region_ops {
	/* `off` is from the region's base; `size` is 1, 2, 4 or 8 and within [min, max]; naturally
	 * aligned unless `unaligned`. A wider guest access is split (low part first), a narrower
	 * one is widened on read; a narrower write than min is dropped with a guest_warn unless
	 * the region's min is 1. */
	uint64_t (*read)(void *opaque, uint64_t off, unsigned int size);
	void (*write)(void *opaque, uint64_t off, uint64_t val, unsigned int size);
	uint8_t min, max; /* 0 means 1 and 8 */
	bool unaligned;	  /* pass unaligned accesses through, not split into aligned pieces */
};

/* Embedded in its owner, which unmaps it before it dies. */
struct io_region {
	const char *name; /* borrowed */
	const struct io_region_ops *ops;
	void *opaque; /* borrowed */
	int prio;     /* higher answers first; equal: the one mapped last */

	/* aspace's own */
	struct aspace *as; /* NULL while not mapped */
	uint64_t base, size;
	struct list node;
};

struct aspace {
	const char *name; /* "mmio" or "pio" */
	uint64_t last;	  /* highest valid address, inclusive */
	struct list regions;
	struct aspace_span *view; /* flat, sorted; owned */
	unsigned int n_view, cap_view;
};

int aspace_init(struct aspace *as, const char *name, uint64_t last);
void aspace_fini(struct aspace *as);

/* -EINVAL (size 0, wraps, beyond as->last), -EBUSY (already mapped), -ENOMEM. */
int aspace_map(struct aspace *as, struct io_region *r, uint64_t base, uint64_t size,
	       struct verr *reterr);
void aspace_unmap(struct io_region *r); /* no effect if not mapped */

/* False: nobody home (the caller answers all ones, or drops). size 1..8, any alignment; an
 * access that straddles regions is split; bytes with nobody home read as ones. */
bool aspace_read(struct aspace *as, uint64_t addr, uint64_t *ret, unsigned int size);
bool aspace_write(struct aspace *as, uint64_t addr, uint64_t val, unsigned int size);
/* The region that answers at addr, or NULL. */
struct io_region *aspace_find(struct aspace *as, uint64_t addr);
/* Is there no region but `r`, whatever its priority, in [base, base + size)? size > 0. */
bool aspace_alone(const struct aspace *as, const struct io_region *r, uint64_t base, uint64_t size);

VV_END_DECLS
