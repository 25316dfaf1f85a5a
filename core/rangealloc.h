// SPDX-License-Identifier: GPL-2.0-or-later
// Aligned lowest-first allocation out of free ranges: BAR placement, GSIs, memory slots.
#pragma once

#include "core/range.h"

VV_BEGIN_DECLS

struct rangealloc {
	struct rangeset free;
};

/* Zero-initialised is an allocator with nothing to give. */
void rangealloc_fini(struct rangealloc *a);
int rangealloc_give(struct rangealloc *a, struct range r); /* adds to the free set; -ENOMEM */
/* Lowest fit of `size` units (> 0) aligned to `align` (a power of two, >= 1).
 * -ENOSPC if no free range fits, -EINVAL on bad arguments, -ENOMEM. */
int rangealloc_take(struct rangealloc *a, uint64_t size, uint64_t align, uint64_t *ret);
/* Exactly that range; -EBUSY if any of it is not free. */
int rangealloc_take_at(struct rangealloc *a, struct range r);
/* Largest free range's size (saturating), for messages. */
uint64_t rangealloc_largest(const struct rangealloc *a);

VV_END_DECLS
