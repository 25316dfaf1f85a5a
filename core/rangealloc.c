// SPDX-License-Identifier: GPL-2.0-or-later
//
// Lowest-first aligned allocation out of a range set. Pure.
#include "core/rangealloc.h"

#include <errno.h>

void rangealloc_fini(struct rangealloc *a)
{
	rangeset_fini(&a->free);
}

int rangealloc_give(struct rangealloc *a, struct range r)
{
	return rangeset_add(&a->free, r);
}

int rangealloc_take(struct rangealloc *a, uint64_t size, uint64_t align, uint64_t *ret)
{
	if (size == 0 || !IS_POW2(align))
		return -EINVAL;

	for (size_t i = 0; i < a->free.n; i++) {
		struct range f = a->free.r[i], take;
		uint64_t base = ALIGN_UP(f.first, align);
		if (base < f.first)
			break; /* wrapped, and so will all above it */
		if (!range_make(base, size, &take) || take.last > f.last)
			continue;
		int r = rangeset_subtract(&a->free, take);
		if (r < 0)
			return r;
		*ret = base;
		return 0;
	}
	return -ENOSPC;
}

int rangealloc_take_at(struct rangealloc *a, struct range r)
{
	if (!rangeset_contains(&a->free, r))
		return -EBUSY;
	return rangeset_subtract(&a->free, r);
}

uint64_t rangealloc_largest(const struct rangealloc *a)
{
	uint64_t best = 0;
	for (size_t i = 0; i < a->free.n; i++) {
		uint64_t size = range_size(a->free.r[i]);
		if (size == 0)
			return UINT64_MAX;
		best = MAX(best, size);
	}
	return best;
}
