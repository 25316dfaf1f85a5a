// SPDX-License-Identifier: GPL-2.0-or-later
//
// The list of guest memory regions and the listeners that mirror it: all of them take a region,
// or none does. Owns neither the memory nor the listeners; knows nothing of KVM or VFIO.
#define LOG_TAG "gmem"
#include "core/gmem.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/range.h"
#include "core/trace.h"

#define GMEM_PAGE 4096u

void gmem_init(struct gmem *m)
{
	list_init(&m->regions);
	list_init(&m->listeners);
	list_init(&m->givers);
	m->used_indexes = 0;
	m->n_snaps = 0;
}

void gmem_fini(struct gmem *m)
{
	(void)m;
	assert(list_empty(&m->regions));
	assert(list_empty(&m->listeners));
	assert(list_empty(&m->givers));
	assert(m->n_snaps == 0);
}

/* A region's range; gmem_add checked that it is one. */
static struct range span_of(const struct gmem_region *r)
{
	return (struct range){ r->gpa, r->gpa + (r->size - 1) };
}

static int tell(struct gmem_listener *l, struct gmem_region *r, struct verr *reterr)
{
	if (!(l->takes & BIT32(r->kind)))
		return 0;

	bool required = (l->requires_ok & BIT32(r->kind)) != 0;
	struct verr refusal = { 0 };
	int res = l->add(l, r, required ? reterr : &refusal);
	if (res >= 0) {
		r->mapped |= BIT32(l->index);
		return 0;
	}
	if (required)
		return verr_set(reterr, res,
				"%s refuses guest memory %s at %#" PRIx64 " (error %d)", l->name,
				r->name, r->gpa, res);
	log_debug("%s does without %s at %#" PRIx64 ": %s", l->name, r->name, r->gpa, refusal.msg);
	return 0;
}

static void untell(struct gmem_listener *l, struct gmem_region *r)
{
	if (!(r->mapped & BIT32(l->index)))
		return;
	l->del(l, r);
	r->mapped &= ~BIT32(l->index);
}

static void untell_all(struct gmem *m, struct gmem_region *r)
{
	struct gmem_listener *l;
	list_for_each_reverse(l, &m->listeners, struct gmem_listener, node)
		untell(l, r);
}

static int check(const struct gmem *m, const struct gmem_region *r, struct verr *reterr)
{
	struct range span;
	if (!range_make(r->gpa, r->size, &span))
		return verr_set(reterr, -EINVAL,
				"guest memory %s at %#" PRIx64 " of %#" PRIx64
				" bytes is empty or passes the end of the address space",
				r->name, r->gpa, r->size);
	if (!IS_ALIGNED(r->gpa | r->size | (uintptr_t)r->hva, (uint64_t)GMEM_PAGE) || !r->hva)
		return verr_set(reterr, -EINVAL,
				"guest memory %s at %#" PRIx64 " of %#" PRIx64
				" bytes, backed at %p, is not made of whole pages",
				r->name, r->gpa, r->size, r->hva);

	const struct gmem_region *o;
	list_for_each(o, &m->regions, struct gmem_region, node) {
		if (range_overlaps(span, span_of(o)))
			return verr_set(reterr, -EEXIST,
					"guest memory %s at %#" PRIx64 "-%#" PRIx64
					" overlaps %s at %#" PRIx64 "-%#" PRIx64,
					r->name, span.first, span.last, o->name, o->gpa,
					span_of(o).last);
	}
	return 0;
}

int gmem_add(struct gmem *m, struct gmem_region *r, struct verr *reterr)
{
	assert(!r->gmem);
	int res = check(m, r, reterr);
	if (res < 0)
		return res;

	r->mapped = 0;
	struct gmem_listener *l;
	list_for_each(l, &m->listeners, struct gmem_listener, node) {
		res = tell(l, r, reterr);
		if (res < 0) {
			untell_all(m, r);
			return res;
		}
	}

	/* Sorted: before the first one above. */
	struct list *at = m->regions.next;
	while (at != &m->regions && container_of(at, struct gmem_region, node)->gpa < r->gpa)
		at = at->next;
	list_add_tail(at, &r->node);
	r->gmem = m;
	T(gmem_add, r->name, r->gpa, r->size);
	return 0;
}

void gmem_del(struct gmem_region *r)
{
	if (!r->gmem)
		return;
	assert(r->kind != GMEM_RAM || r->gmem->n_snaps == 0);
	T(gmem_del, r->name, r->gpa, r->size);
	untell_all(r->gmem, r);
	list_del(&r->node);
	r->gmem = NULL;
}

/* ---- who gives back, who pins ---------------------------------------------------------------- */

bool gmem_pinned(const struct gmem *m)
{
	const struct gmem_listener *l;
	list_for_each(l, &m->listeners, const struct gmem_listener, node) {
		if (l->pins)
			return true;
	}
	return false;
}

/* All of them, or none and the reason. */
static int hold_givers(struct gmem *m, struct verr *reterr)
{
	struct gmem_giver *g;
	list_for_each(g, &m->givers, struct gmem_giver, node) {
		int res = g->hold(g, reterr);
		if (res == 0)
			continue;
		for (struct list *at = g->node.prev; at != &m->givers; at = at->prev) {
			struct gmem_giver *held = container_of(at, struct gmem_giver, node);
			held->go_on(held);
		}
		return res;
	}
	return 0;
}

static void let_go_on(struct gmem *m)
{
	struct gmem_giver *g;
	list_for_each(g, &m->givers, struct gmem_giver, node)
		g->go_on(g);
}

void gmem_add_giver(struct gmem *m, struct gmem_giver *g)
{
	assert(!g->gmem);
	g->gmem = m;
	list_add_tail(&m->givers, &g->node);
	if (gmem_pinned(m)) {
		int res = g->hold(g, NULL);
		assert(res == 0);
		(void)res;
	}
}

void gmem_del_giver(struct gmem_giver *g)
{
	if (!g->gmem)
		return;
	list_del(&g->node);
	g->gmem = NULL;
}

int gmem_listen(struct gmem *m, struct gmem_listener *l, struct verr *reterr)
{
	assert(!l->gmem);
	if (m->used_indexes == UINT32_MAX)
		return verr_set(reterr, -ENOSPC,
				"%s is one listener of guest memory too many: 32 is all", l->name);
	l->index = (unsigned int)__builtin_ctz(~m->used_indexes);

	struct gmem_region *r;
	bool first = l->pins && !gmem_pinned(m);
	int res = first ? hold_givers(m, reterr) : 0;
	if (res < 0)
		return res;
	list_for_each(r, &m->regions, struct gmem_region, node) {
		res = tell(l, r, reterr);
		if (res < 0)
			break;
	}
	if (res < 0) {
		if (first)
			let_go_on(m);
		list_for_each_reverse(r, &m->regions, struct gmem_region, node)
			untell(l, r);
		return res;
	}
	m->used_indexes |= BIT32(l->index);
	l->gmem = m;
	list_add_tail(&m->listeners, &l->node);
	return 0;
}

void gmem_unlisten(struct gmem_listener *l)
{
	struct gmem *m = l->gmem;
	if (!m)
		return;
	struct gmem_region *r;
	list_for_each_reverse(r, &m->regions, struct gmem_region, node)
		untell(l, r);
	list_del(&l->node);
	m->used_indexes &= ~BIT32(l->index);
	l->gmem = NULL;
	if (l->pins && !gmem_pinned(m))
		let_go_on(m);
}

/* The region of one of `kinds` that has gpa, or NULL. */
static const struct gmem_region *find(const struct gmem *m, uint64_t gpa, unsigned int kinds)
{
	const struct gmem_region *r;
	list_for_each(r, &m->regions, struct gmem_region, node) {
		if (r->gpa > gpa)
			break;
		if (gpa - r->gpa < r->size)
			return (kinds & BIT32(r->kind)) ? r : NULL;
	}
	return NULL;
}

void *gmem_ptr(const struct gmem *m, uint64_t gpa, uint64_t len)
{
	const struct gmem_region *r = find(m, gpa, BIT32(GMEM_RAM));
	if (!r || len == 0 || len > r->size - (gpa - r->gpa))
		return NULL;
	return (char *)r->hva + (gpa - r->gpa);
}

static int copy(const struct gmem *m, uint64_t gpa, char *buf, uint64_t len, bool write)
{
	unsigned int kinds = BIT32(GMEM_RAM) | (write ? 0 : BIT32(GMEM_ROM));
	while (len > 0) {
		const struct gmem_region *r = find(m, gpa, kinds);
		if (!r)
			return -EFAULT;
		uint64_t off = gpa - r->gpa;
		uint64_t n = MIN(len, r->size - off);
		if (write)
			memcpy((char *)r->hva + off, buf, n);
		else
			memcpy(buf, (const char *)r->hva + off, n);
		buf += n;
		len -= n;
		if (len > 0 && __builtin_add_overflow(gpa, n, &gpa))
			return -EFAULT;
	}
	return 0;
}

int gmem_read(const struct gmem *m, uint64_t gpa, void *buf, uint64_t len)
{
	return copy(m, gpa, buf, len, false);
}

int gmem_write(struct gmem *m, uint64_t gpa, const void *buf, uint64_t len)
{
	return copy(m, gpa, (char *)(uintptr_t)buf, len, true);
}

uint64_t gmem_ram_size(const struct gmem *m)
{
	uint64_t sum = 0;
	const struct gmem_region *r;
	list_for_each(r, &m->regions, struct gmem_region, node) {
		if (r->kind == GMEM_RAM)
			sum += r->size;
	}
	return sum;
}

/* ---- snapshots ------------------------------------------------------------------------------- */

int gmem_snap_take(struct gmem *m, struct gmem_snap **ret)
{
	const struct gmem_region *r;
	unsigned int n = 0;
	list_for_each(r, &m->regions, struct gmem_region, node)
		n += r->kind == GMEM_RAM;

	struct gmem_snap *s = malloc(sizeof(*s) + n * sizeof(s->r[0]));
	if (!s)
		return -ENOMEM;
	s->gmem = m;
	s->n = 0;
	list_for_each(r, &m->regions, struct gmem_region, node) {
		if (r->kind == GMEM_RAM)
			s->r[s->n++] = (struct gmem_snap_region){ r->gpa, r->size,   r->hva,
								  r->fd,  r->fd_off, r->keep };
	}
	m->n_snaps++;
	*ret = s;
	return 0;
}

void gmem_snap_drop(struct gmem_snap *s)
{
	if (!s)
		return;
	s->gmem->n_snaps--;
	free(s);
}

void *gmem_snap_at(const struct gmem_snap *s, uint64_t gpa, uint64_t len, uint64_t *ret_len)
{
	for (unsigned int i = 0; i < s->n; i++) {
		const struct gmem_snap_region *r = &s->r[i];
		if (gpa < r->gpa || gpa - r->gpa >= r->size)
			continue;
		uint64_t off = gpa - r->gpa;
		*ret_len = MIN(len, r->size - off);
		return r->hva + off;
	}
	return NULL;
}

void *gmem_snap_ptr(const struct gmem_snap *s, uint64_t gpa, uint64_t len)
{
	uint64_t n = 0;
	void *p = gmem_snap_at(s, gpa, len, &n);
	return p && len > 0 && n == len ? p : NULL;
}
