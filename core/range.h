// SPDX-License-Identifier: GPL-2.0-or-later
// Inclusive 64-bit ranges with overflow-checked constructors, and a sorted set of them.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

struct range {
	uint64_t first, last; /* inclusive; first <= last always: an empty range has no value */
};

/* False, *ret untouched, if size is 0 or base + size - 1 wraps. */
bool range_make(uint64_t base, uint64_t size, struct range *ret);
/* size 0 means 2^64 for the full range only. */
static inline uint64_t range_size(struct range r)
{
	return r.last - r.first + 1;
}
static inline bool range_overlaps(struct range a, struct range b)
{
	return a.first <= b.last && b.first <= a.last;
}
static inline bool range_contains(struct range outer, struct range inner)
{
	return outer.first <= inner.first && inner.last <= outer.last;
}
static inline bool range_has(struct range r, uint64_t x)
{
	return r.first <= x && x <= r.last;
}
/* The common part; false, *ret untouched, if there is none. */
bool range_intersect(struct range a, struct range b, struct range *ret);

/* A sorted set of disjoint ranges; adjacent ones are merged. Zero-initialised is empty. */
struct rangeset {
	struct range *r; /* owned, n in use of cap */
	size_t n, cap;
};

void rangeset_fini(struct rangeset *s);
int rangeset_add(struct rangeset *s, struct range r);			 /* -ENOMEM */
int rangeset_subtract(struct rangeset *s, struct range r);		 /* -ENOMEM */
int rangeset_intersect(struct rangeset *s, const struct rangeset *with); /* -ENOMEM */
bool rangeset_contains(const struct rangeset *s, struct range r); /* wholly inside one range */
bool rangeset_overlaps(const struct rangeset *s, struct range r);
/* Replaces dst's ranges, which stay on -ENOMEM. */
int rangeset_copy(struct rangeset *dst, const struct rangeset *src);

VV_END_DECLS
