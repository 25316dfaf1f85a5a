// SPDX-License-Identifier: GPL-2.0-or-later
//
// Dispatch of trapped accesses. Regions overlap by priority; a flat sorted view, rebuilt on
// change, answers lookups. Owns the view; knows nothing of who maps or what is behind a region.
// Addresses and sizes come from the guest: nothing here may trust them.
#define LOG_TAG "aspace"
#include "core/aspace.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/range.h"

struct aspace_span {
	struct range at;
	struct io_region *region; /* borrowed */
};

int aspace_init(struct aspace *as, const char *name, uint64_t last)
{
	*as = (struct aspace){ .name = name, .last = last };
	list_init(&as->regions);
	return 0;
}

void aspace_fini(struct aspace *as)
{
	assert(list_empty(&as->regions));
	free(as->view);
	as->view = NULL;
	as->n_view = 0;
	as->cap_view = 0;
}

static struct range range_of(const struct io_region *r)
{
	return (struct range){ r->base, r->base + (r->size - 1) };
}

/* Who answers at addr (NULL: nobody), and up to where that stays so. */
static struct io_region *winner(const struct aspace *as, uint64_t addr, uint64_t *ret_until)
{
	struct io_region *r, *best = NULL;
	uint64_t until = as->last;
	list_for_each(r, &as->regions, struct io_region, node) {
		struct range at = range_of(r);
		if (at.last < addr)
			continue;
		if (at.first > addr) {
			until = MIN(until, at.first - 1);
			continue;
		}
		until = MIN(until, at.last);
		if (!best || r->prio >= best->prio)
			best = r;
	}
	*ret_until = until;
	return best;
}

/* The view has room for two spans a region: n regions have at most 2n - 1. */
static void rebuild(struct aspace *as)
{
	as->n_view = 0;
	uint64_t at = 0;
	for (;;) {
		uint64_t until;
		struct io_region *r = winner(as, at, &until);
		struct aspace_span *prev = as->n_view ? &as->view[as->n_view - 1] : NULL;
		if (r && prev && prev->region == r && prev->at.last + 1 == at) {
			prev->at.last = until;
		} else if (r) {
			assert(as->n_view < as->cap_view);
			as->view[as->n_view++] = (struct aspace_span){ { at, until }, r };
		}
		if (until >= as->last)
			return;
		at = until + 1;
	}
}

static int reserve(struct aspace *as)
{
	unsigned int n = 1;
	const struct io_region *r;
	list_for_each(r, &as->regions, struct io_region, node)
		n++;
	if (2 * n <= as->cap_view)
		return 0;
	unsigned int cap = MAX(2 * n, 2 * as->cap_view);
	struct aspace_span *view = reallocarray(as->view, cap, sizeof(*view));
	if (!view)
		return -ENOMEM;
	as->view = view;
	as->cap_view = cap;
	return 0;
}

int aspace_map(struct aspace *as, struct io_region *r, uint64_t base, uint64_t size,
	       struct verr *reterr)
{
	struct range at;
	if (r->as)
		return verr_set(reterr, -EBUSY, "%s is already mapped in %s at %#" PRIx64, r->name,
				r->as->name, r->base);
	if (!range_make(base, size, &at) || at.last > as->last)
		return verr_set(reterr, -EINVAL,
				"%s does not fit in %s: %#" PRIx64 " bytes at %#" PRIx64
				", the last address is %#" PRIx64,
				r->name, as->name, size, base, as->last);
	int res = reserve(as);
	if (res < 0)
		return verr_set(reterr, res, "out of memory mapping %s in %s", r->name, as->name);

	r->as = as;
	r->base = base;
	r->size = size;
	list_add_tail(&as->regions, &r->node);
	rebuild(as);
	return 0;
}

void aspace_unmap(struct io_region *r)
{
	struct aspace *as = r->as;
	if (!as)
		return;
	list_del(&r->node);
	r->as = NULL;
	rebuild(as);
}

/* Index of the first span that ends at or after addr; n_view if none. */
static unsigned int lower(const struct aspace *as, uint64_t addr)
{
	unsigned int lo = 0, hi = as->n_view;
	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;
		if (as->view[mid].at.last < addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct io_region *aspace_find(struct aspace *as, uint64_t addr)
{
	unsigned int i = lower(as, addr);
	return i < as->n_view && as->view[i].at.first <= addr ? as->view[i].region : NULL;
}

bool aspace_alone(const struct aspace *as, const struct io_region *r, uint64_t base, uint64_t size)
{
	const struct io_region *o;

	list_for_each(o, &as->regions, const struct io_region, node)
		if (o != r && o->base <= base + (size - 1) && base <= o->base + (o->size - 1))
			return false;
	return true;
}

/* The next step of an access: one handler call, or a hole. */
struct step {
	struct io_region *region; /* NULL: nobody home for these bytes */
	unsigned int bytes;	  /* of the guest's access that this step serves, > 0 */
	uint64_t off;		  /* for the handler */
	unsigned int size;	  /* for the handler; larger than bytes when widened */
	unsigned int skip;	  /* bytes of the handler's value below the guest's */
};

/* The largest size the region takes at `off` for at most `len` bytes. */
static unsigned int piece(const struct io_region_ops *ops, uint64_t off, unsigned int len)
{
	unsigned int n = ops->max ? ops->max : 8;
	while (n > 1 && (n > len || (!ops->unaligned && !IS_ALIGNED(off, (uint64_t)n))))
		n /= 2;
	return n;
}

static struct step next_step(struct aspace *as, uint64_t addr, unsigned int len)
{
	unsigned int i = lower(as, addr);
	if (i == as->n_view)
		return (struct step){ .bytes = len };
	const struct aspace_span *s = &as->view[i];
	if (s->at.first > addr)
		return (struct step){ .bytes = (unsigned int)MIN(len, s->at.first - addr) };

	struct io_region *r = s->region;
	unsigned int min = r->ops->min ? r->ops->min : 1;
	len = (unsigned int)MIN(len - 1, s->at.last - addr) + 1;
	struct step st = { .region = r, .off = addr - r->base };
	st.bytes = st.size = piece(r->ops, st.off, len);
	if (st.size < min) {
		uint64_t base = ALIGN_DOWN(st.off, (uint64_t)min);
		st.skip = (unsigned int)(st.off - base);
		st.bytes = MIN(len, min - st.skip);
		st.off = base;
		st.size = min;
	}
	return st;
}

/* How much of the access is inside the address space at all. */
static unsigned int inside(const struct aspace *as, uint64_t addr, unsigned int size)
{
	assert(size >= 1 && size <= 8);
	if (addr > as->last)
		return 0;
	return (unsigned int)MIN((uint64_t)size - 1, as->last - addr) + 1;
}

bool aspace_read(struct aspace *as, uint64_t addr, uint64_t *ret, unsigned int size)
{
	uint64_t val = ones(size);
	unsigned int len = inside(as, addr, size);
	bool home = false;
	for (unsigned int done = 0; done < len;) {
		/* Looked up anew each time: the handler may have changed the view. */
		struct step st = next_step(as, addr + done, len - done);
		if (st.region) {
			uint64_t got = st.region->ops->read(st.region->opaque, st.off, st.size);
			uint64_t mask = ones(st.bytes);
			val &= ~(mask << (8 * done));
			val |= ((got >> (8 * st.skip)) & mask) << (8 * done);
			home = true;
		}
		done += st.bytes;
	}
	if (home)
		*ret = val;
	return home;
}

bool aspace_write(struct aspace *as, uint64_t addr, uint64_t val, unsigned int size)
{
	unsigned int len = inside(as, addr, size);
	bool home = false;
	for (unsigned int done = 0; done < len;) {
		struct step st = next_step(as, addr + done, len - done);
		if (st.region) {
			home = true;
			if (st.bytes == st.size)
				st.region->ops->write(st.region->opaque, st.off,
						      (val >> (8 * done)) & ones(st.size), st.size);
			else
				guest_warn("%u-byte write at %#" PRIx64
					   " dropped: %s takes %u or more",
					   st.bytes, addr + done, st.region->name, st.size);
		}
		done += st.bytes;
	}
	return home;
}
