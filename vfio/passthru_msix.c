// SPDX-License-Identifier: GPL-2.0-or-later
// Where the guest finds the MSI-X table and the pending bits of an assigned function. They are
// emulated, so they need not be where the hardware has them; and a register that shares a page with
// them costs an exit an access. x-msix-relocation= gives them a place that is nobody else's: a BAR
// the function does not have, or the upper half of one that becomes twice as large. Whether it
// would be worth it is counted and said.

#include <errno.h>
#include <time.h>

#include "core/log.h"
#include "core/range.h"
#include "vfio/passthru.h"

#define CROWD_EXITS 10000u /* in ... */
#define CROWD_MS    10000u /* ... are worth a word */

/* --- the plan --------------------------------------------------------------------------------- */

/* The pages of table (n * 16 bytes) or pending bits that lie in `bar`, clipped to it. */
static bool pages_of(const struct bar_facts *f, unsigned int bar, bool table, struct range *ret)
{
	const struct msix_place *m = &f->msix;
	uint64_t off = table ? m->toff : m->poff;
	uint64_t len = table ? MSIX_TABLE_SIZE(m->n) : MSIX_PBA_SIZE(m->n);

	if ((table ? m->tbir : m->pbir) != bar)
		return false;
	ret->first = ALIGN_DOWN(off, f->page_size);
	ret->last = MIN(ALIGN_UP(off + len, f->page_size), f->region[bar].size) - 1;
	return true;
}

static int take_out(struct rangeset *s, unsigned int bir, unsigned int bar, uint64_t off,
		    uint64_t len)
{
	return bir == bar ? rangeset_subtract(s, (struct range){ off, off + len - 1 }) : 0;
}

/* Bytes of `bar` that can't be mapped only because table or pending bits are in their page. */
static int neighbours(const struct bar_facts *f, unsigned int bar, struct rangeset *s)
{
	const struct vfio_region *rg = &f->region[bar];
	struct rangeset areas = { 0 };
	struct range pages, both;
	int r = 0;

	for (unsigned int i = 0; i < rg->n_areas && r == 0; i++)
		if (range_make(rg->area[i].off, rg->area[i].size, &pages))
			r = rangeset_add(&areas, pages);
	for (int table = 0; table < 2 && r == 0; table++) {
		if (!pages_of(f, bar, table, &pages))
			continue;
		for (size_t i = 0; i < areas.n && r == 0; i++)
			if (range_intersect(areas.r[i], pages, &both))
				r = rangeset_add(s, both);
	}
	if (r == 0)
		r = take_out(s, f->msix.tbir, bar, f->msix.toff, MSIX_TABLE_SIZE(f->msix.n));
	if (r == 0)
		r = take_out(s, f->msix.pbir, bar, f->msix.poff, MSIX_PBA_SIZE(f->msix.n));
	rangeset_fini(&areas);
	return r;
}

/* 1: there are such bytes, where the user lets BARs be mapped. */
static int crowded(const struct bar_facts *f)
{
	struct rangeset s = { 0 };
	int r = 0;

	for (unsigned int bar = 0; bar < 6 && r == 0; bar++)
		if (f->wish[bar].mode == BAR_DIRECT)
			r = neighbours(f, bar, &s);
	if (r == 0)
		r = s.n > 0 && !f->no_mmap;
	rangeset_fini(&s);
	return r;
}

static bool is_upper_half(const struct bar_plan *p, unsigned int bar)
{
	return bar > 0 && p->bar[bar - 1].kind == PCIBAR_MEM64;
}

/* Not even one that the user hides. */
static bool is_free(const struct bar_facts *f, const struct bar_plan *p, unsigned int bar)
{
	return p->bar[bar].kind == PCIBAR_NONE && f->region[bar].size == 0 &&
	       f->wish[bar].mode == BAR_DIRECT && !is_upper_half(p, bar) &&
	       !(bar > 0 && f->region[bar - 1].size && (f->reg[bar - 1] & 7) == 4);
}

static uint64_t pow2_above(uint64_t n)
{
	uint64_t p = 1;

	while (p < n)
		p <<= 1;
	return p;
}

/* What BAR `bar` is if it takes the structures in; 0: it can't. */
static uint64_t size_with(const struct bar_facts *f, const struct bar_plan *p, unsigned int bar)
{
	uint64_t need = MSIX_TABLE_SIZE(f->msix.n) + MSIX_PBA_SIZE(f->msix.n);
	uint64_t half = pow2_above(MAX(need, f->page_size));

	if (is_free(f, p, bar))
		return half;
	if (p->bar[bar].kind != PCIBAR_MEM32 && p->bar[bar].kind != PCIBAR_MEM64)
		return 0;
	half = MAX(half, p->bar[bar].size);
	/* A quarter of what 32 bits can address: more finds no room there. */
	if (half > (p->bar[bar].kind == PCIBAR_MEM32 ? MIB(512) : BIT64(62)))
		return 0;
	return 2 * half;
}

static void move_to(const struct bar_facts *f, struct bar_plan *p, unsigned int bar)
{
	uint64_t size = size_with(f, p, bar);
	bool fresh = p->bar[bar].kind == PCIBAR_NONE;

	p->msix.tbir = p->msix.pbir = bar;
	p->msix.toff = fresh ? 0 : (uint32_t)(size / 2);
	p->msix.poff = p->msix.toff + (uint32_t)MSIX_TABLE_SIZE(f->msix.n);
	p->msix_moved = true;
	if (fresh)
		p->bar[bar].kind = PCIBAR_MEM32;
	p->bar[bar].size = size;
	p->bar[bar].align = MAX(p->bar[bar].align, size);
}

/* The last free register, so that those a driver counts from the front stay the same; else the
 * smallest BAR. 6: there is nothing. The capability has 32 bits for the offset. */
static unsigned int best_bar(const struct bar_facts *f, const struct bar_plan *p)
{
	unsigned int best = 6;

	for (unsigned int bar = 6; bar-- > 0;)
		if (is_free(f, p, bar))
			return bar;
	for (unsigned int bar = 0; bar < 6; bar++) {
		uint64_t size = size_with(f, p, bar);

		if (size && size / 2 < GIB(4) &&
		    (best == 6 || p->bar[bar].size < p->bar[best].size))
			best = bar;
	}
	return best;
}

static int check_wish(const struct bar_facts *f, const struct bar_plan *p, unsigned int bar,
		      struct verr *reterr)
{
	uint64_t size = size_with(f, p, bar);

	if (is_upper_half(p, bar))
		return verr_set(reterr, -EINVAL,
				"x-msix-relocation=bar%u: BAR %u is the upper half of the 64-bit "
				"BAR %u",
				bar, bar, bar - 1);
	if (size == 0)
		return verr_set(reterr, -EINVAL,
				"x-msix-relocation=bar%u: BAR %u is %s; x-msix-relocation=auto "
				"finds one",
				bar, bar,
				p->bar[bar].kind == PCIBAR_IO ? "made of ports"
				: p->bar[bar].size	      ? "too large to be doubled"
							      : "hidden");
	if (size / 2 >= GIB(4))
		return verr_set(
			reterr, -EINVAL,
			"x-msix-relocation=bar%u: the table would lie past 4 GiB in BAR %u, "
			"where no MSI-X table can be; x-msix-relocation=auto finds a place",
			bar, bar);
	return 0;
}

int bar_plan_msix(const struct bar_facts *f, struct bar_plan *p, struct verr *reterr)
{
	unsigned int bar = (unsigned int)f->msix_to - MSIX_TO_BAR;

	p->msix = f->msix;
	if (f->msix_to == MSIX_STAYS)
		return 0;
	if (f->msix.n == 0 && f->msix_to == MSIX_AUTO)
		return 0;
	if (f->msix.n == 0)
		return verr_set(reterr, -EINVAL,
				"x-msix-relocation=bar%u: the function has no MSI-X", bar);
	if (f->msix_to == MSIX_AUTO) {
		int r = crowded(f);
		bar = best_bar(f, p);
		if (r < 0)
			return verr_set(reterr, r, "out of memory");
		if (r == 0 || bar == 6)
			return 0;
	} else {
		int r = check_wish(f, p, bar, reterr);
		if (r < 0)
			return r;
	}
	move_to(f, p, bar);
	return 0;
}

/* --- is it worth it? -------------------------------------------------------------------------- */

static uint64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* In a page that only the MSI-X structures keep from being mapped? */
static bool in_crowd(const struct passthru *p, unsigned int bar, uint64_t off)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;
	const struct bar_facts f = {
		.region = p->vd->region,
		.msix = p->msix,
		.page_size = 4096,
	};
	struct range pages;

	if (p->plan.msix_moved || p->msix.n == 0 || cfg->x_no_mmap || bar >= 6 ||
	    cfg->bar[bar].mode != BAR_DIRECT || p->win_held)
		return false;
	for (int table = 0; table < 2; table++) {
		if (!pages_of(&f, bar, table, &pages) || off < pages.first || off > pages.last)
			continue;
		for (unsigned int i = 0; i < p->vd->region[bar].n_areas; i++) {
			const struct vfio_mmap_area *a = &p->vd->region[bar].area[i];
			if (off >= a->off && off - a->off < a->size)
				return true;
		}
	}
	return false;
}

void passthru_crowd_count(struct passthru *p, unsigned int bar, uint64_t off)
{
	struct passthru_crowd *c = &p->crowd;

	if (c->told || !in_crowd(p, bar, off))
		return;
	if (c->exits++ == 0)
		c->since = now_ms();
	if (c->exits < CROWD_EXITS)
		return;
	c->exits = 0;
	if (now_ms() - c->since > CROWD_MS)
		return;
	c->told = true;
	guest_warn(
		"%s: the guest uses registers in a page of BAR %u that has the MSI-X table or "
		"pending bits, which costs an exit each time: x-msix-relocation=auto moves those",
		p->vd->name, bar);
}
