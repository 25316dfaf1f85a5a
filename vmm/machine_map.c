// SPDX-License-Identifier: GPL-2.0-or-later
// The memory map solver (see the header). Usually:
//
//	0                RAM, up to the 32-bit PCI window
//	c000'0000        32-bit PCI window, grown downwards if the BARs need it
//	e000'0000        ECAM, 256 buses
//	1'0000'0000      more RAM
//	above it         64-bit PCI window
//
// RAM must be reachable by DMA. Below 4 GiB it ends where a reservation begins, and the rest moves
// up; above, it goes whole to the first place that holds it. BARs should be reachable, for
// peer-to-peer DMA, and are placed elsewhere before they are refused. BARs with an address of their
// own decide where the 64-bit window is; RAM then goes where that is not.

#include "vmm/machine_map.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define PC_MMIO32_MIN	MIB(512)
#define PC_LOW_RAM_MIN	GIB(1)
#define PC_LOW_RAM_LEFT MIB(256) /* what a reservation has to leave below it */
#define PC_MMIO64_MIN	GIB(32)

/* AMD processors answer for it themselves, whatever memory or device is there (AMD IOMMU
 * Specification 2.1.2). Left alone on every machine: a map does not depend on the host's maker. */
static const struct range ht_hole = { UINT64_C(0xfd00000000), UINT64_C(0xffffffffff) };

struct solve {
	const struct pc_map_facts *f;
	struct pc_layout *l;
	struct pc_map_notes *notes;
	struct rangeset guest; /* above 4 GiB: what the processor can address, not given away */
	struct rangeset dma;   /* the part of it that DMA reaches, too */
};

static void ATTR_PRINTF(2, 3) note(struct solve *s, const char *fmt, ...)
{
	va_list ap;

	if (s->notes->n == ARRAY_SIZE(s->notes->text))
		return;
	va_start(ap, fmt);
	vsnprintf(s->notes->text[s->notes->n++], sizeof(s->notes->text[0]), fmt, ap);
	va_end(ap);
}

/* Why DMA does not reach some of `r`. */
static void why_not(const struct solve *s, struct range r, struct verr *ret)
{
	verr_clear(ret);
	if (s->f->dma && !rangeset_contains(s->f->dma, r))
		s->f->why(s->f->opaque, r, ret);
}

static uint64_t last_address(const struct solve *s)
{
	return (UINT64_C(1) << s->f->phys_bits) - 1;
}

static int open_space(struct solve *s)
{
	int r = 0;

	if (last_address(s) > PC_HIGH_RAM_BASE)
		r = rangeset_add(&s->guest, (struct range){ PC_HIGH_RAM_BASE, last_address(s) });
	if (r == 0)
		r = rangeset_subtract(&s->guest, ht_hole);
	if (r == 0)
		r = rangeset_copy(&s->dma, &s->guest);
	if (r == 0 && s->f->dma)
		r = rangeset_intersect(&s->dma, s->f->dma);
	return r;
}

static int take(struct solve *s, struct range r)
{
	int e = rangeset_subtract(&s->guest, r);

	return e == 0 ? rangeset_subtract(&s->dma, r) : e;
}

static bool lowest_fit(const struct rangeset *s, uint64_t size, uint64_t align, struct range *ret)
{
	for (size_t i = 0; i < s->n; i++) {
		uint64_t base = ALIGN_UP(s->r[i].first, align);
		struct range r;

		if (base < s->r[i].first || !range_make(base, size, &r) || r.last > s->r[i].last)
			continue;
		*ret = r;
		return true;
	}
	return false;
}

/* --- RAM -------------------------------------------------------------------------------------- */

/* The first address of [0, end) that DMA does not reach, or `end`. */
static uint64_t first_unreached(const struct solve *s, uint64_t end)
{
	if (!s->f->dma)
		return end;
	if (s->f->dma->n == 0 || s->f->dma->r[0].first > 0)
		return 0;
	uint64_t last = s->f->dma->r[0].last; /* of all there is, if nothing limits DMA */
	return last >= end ? end : last + 1;
}

static int place_low(struct solve *s, struct verr *reterr)
{
	const struct pci_needs *needs = &s->f->needs;
	uint64_t window = ALIGN_UP(MAX(needs->mmio32, PC_MMIO32_MIN), MIB(256));
	uint64_t hole = 0;
	struct verr err = { 0 };

	/* The largest BAR comes first in it: nothing may be lost to its alignment. */
	if (window <= PC_ECAM_BASE)
		hole = ALIGN_DOWN(PC_ECAM_BASE - window, MAX(needs->mmio32_align, MIB(256)));
	if (hole < PC_LOW_RAM_MIN)
		return verr_set(reterr, -ENOSPC,
				"the devices' 32-bit BARs need %" PRIu64 " MiB, aligned to %" PRIu64
				" MiB, more than a PC has room for below 4 GiB: fewer devices",
				needs->mmio32 >> 20, needs->mmio32_align >> 20);
	s->l->mmio32 = (struct range){ hole, PC_ECAM_BASE - 1 };
	uint64_t want = MIN(s->f->ram_size, hole);
	uint64_t end = first_unreached(s, want);
	if (end < want) {
		why_not(s, (struct range){ 0, want - 1 }, &err);
		end = ALIGN_DOWN(end, MIB(2));
		if (end < PC_LOW_RAM_LEFT)
			return verr_set(reterr, -EINVAL, "RAM below 4 GiB: %s", err.msg);
		note(s, "RAM below 4 GiB ends at %#" PRIx64 ": %s", end, err.msg);
	} else if (want < s->f->ram_size && hole < PC_ECAM_BASE - PC_MMIO32_MIN) {
		note(s,
		     "RAM below 4 GiB ends at %#" PRIx64 ": the devices' 32-bit BARs need %" PRIu64
		     " MiB",
		     hole, needs->mmio32 >> 20);
	}
	s->l->ram_low_size = end;
	s->l->ram_high_size = s->f->ram_size - end;
	return 0;
}

static int no_place_for_ram(struct solve *s, struct verr *reterr)
{
	uint64_t size = s->l->ram_high_size, most = 0;
	struct verr err = { 0 };
	struct range r;

	if (lowest_fit(&s->guest, size, GIB(1), &r)) {
		why_not(s, r, &err);
		return verr_set(reterr, -EINVAL,
				"%" PRIu64 " MiB of RAM above 4 GiB: %s; give a smaller --memory",
				size >> 20, err.msg);
	}
	for (size_t i = 0; i < s->guest.n; i++)
		most = MAX(most, range_size(s->guest.r[i]));
	return verr_set(reterr, -EINVAL,
			"--memory %" PRIu64 "M is more than a guest can address with %u bits: at "
			"most %" PRIu64 " MiB here",
			s->f->ram_size >> 20, s->f->phys_bits, (s->l->ram_low_size + most) >> 20);
}

static int place_high(struct solve *s, struct verr *reterr)
{
	uint64_t size = s->l->ram_high_size;
	struct verr err = { 0 };
	struct range r;

	if (size == 0)
		return 0;
	if (!lowest_fit(&s->dma, size, GIB(1), &r))
		return no_place_for_ram(s, reterr);
	if (r.first > PC_HIGH_RAM_BASE) {
		struct range usual = { PC_HIGH_RAM_BASE, PC_HIGH_RAM_BASE + (size - 1) };

		why_not(s, usual, &err);
		if (range_overlaps(usual, ht_hole) && !err.msg[0])
			verr_set(&err, -EINVAL,
				 "%#" PRIx64 "-%#" PRIx64 " is AMD's HyperTransport hole",
				 ht_hole.first, ht_hole.last);
		if (s->l->has_mmio64 && range_overlaps(usual, s->l->mmio64) && !err.msg[0])
			verr_set(&err, -EINVAL,
				 "the 64-bit PCI window %#" PRIx64 "-%#" PRIx64 " is around %s, "
				 "which has an address of its own",
				 s->l->mmio64.first, s->l->mmio64.last, s->f->needs.lowest);
		note(s, "RAM above 4 GiB starts at %#" PRIx64 ": %s", r.first, err.msg);
	}
	s->l->ram_high_base = r.first;
	int e = take(s, r);
	return e < 0 ? verr_set(reterr, e, "out of memory") : 0;
}

/* --- the 64-bit window ------------------------------------------------------------------------ */

/* BARs in the part of it that DMA does not reach have no peers. */
static void note_peers(struct solve *s, struct range r)
{
	struct verr err = { 0 };

	if (rangeset_contains(&s->dma, r))
		return;
	why_not(s, r, &err);
	note(s,
	     "devices can't reach each other's BARs in the 64-bit PCI window %#" PRIx64 "-%#" PRIx64
	     ": %s",
	     r.first, r.last, err.msg);
}

/* BARs with an address of their own: a sentence if no window can be around them. */
static int check_fixed(const struct solve *s, struct verr *reterr)
{
	const struct pci_needs *needs = &s->f->needs;
	struct range at = needs->fixed;

	if (at.last > last_address(s))
		return verr_set(
			reterr, -EINVAL,
			"%s has an address of its own, which has the 64-bit PCI window reach "
			"to %#" PRIx64 ", but a guest address has only %u bits here",
			needs->highest, at.last, s->f->phys_bits);
	if (range_overlaps(at, ht_hole))
		return verr_set(reterr, -EINVAL,
				"the 64-bit PCI window would have to reach from %s (%#" PRIx64
				") to %s (%#" PRIx64 "), over AMD's HyperTransport hole %#" PRIx64
				"-%#" PRIx64,
				needs->lowest, at.first, needs->highest, at.last, ht_hole.first,
				ht_hole.last);
	if (at.first < PC_HIGH_RAM_BASE)
		return verr_set(reterr, -EINVAL,
				"%s has to be at %#" PRIx64 ", and a BAR can have an address of "
				"its own above 4 GiB only",
				needs->lowest, at.first);
	return 0;
}

/* A window around `at` with `size` free above (or below) it; false if there is none. */
static bool around(struct range at, uint64_t size, uint64_t align, bool above, struct range *ret)
{
	uint64_t first = ALIGN_DOWN(at.first, GIB(1)), end = ALIGN_UP(at.last + 1, GIB(1));

	if (above && size)
		end = ALIGN_UP(end, align) + size;
	else if (size > first)
		return false;
	else if (size)
		first = ALIGN_DOWN(first - size, align);
	*ret = (struct range){ first, end - 1 };
	return true;
}

/* Is `window` possible, with all RAM beside it? */
static int fits_beside_ram(const struct solve *s, const struct rangeset *in, struct range window)
{
	struct rangeset rest = { 0 };
	struct range ram;

	if (!rangeset_contains(in, window))
		return 0;
	int r = rangeset_copy(&rest, &s->dma);
	if (r == 0)
		r = rangeset_subtract(&rest, window);
	if (r == 0)
		r = s->l->ram_high_size == 0 ||
		    lowest_fit(&rest, s->l->ram_high_size, GIB(1), &ram);
	rangeset_fini(&rest);
	return r;
}

static int give_fixed(struct solve *s, struct range window, struct verr *reterr)
{
	note_peers(s, window);
	s->l->has_mmio64 = true;
	s->l->mmio64 = window;
	int r = take(s, window);
	return r < 0 ? verr_set(reterr, r, "out of memory") : 0;
}

/* The window around BARs with an address of their own, before RAM has its place. */
static int place_fixed(struct solve *s, struct verr *reterr)
{
	const struct pci_needs *needs = &s->f->needs;
	const uint64_t need = ALIGN_UP(needs->mmio64, GIB(1)), ample = MAX(need, PC_MMIO64_MIN);
	struct range window;

	if (needs->fixed.last == 0)
		return 0;
	int r = check_fixed(s, reterr);
	/* Within reach of DMA, ample, above: each if it can be, in this order. */
	for (unsigned int i = 0; i < 8 && r == 0; i++) {
		if (!around(needs->fixed, i & 2 ? need : ample, MAX(GIB(1), needs->mmio64_align),
			    !(i & 1), &window))
			continue;
		r = fits_beside_ram(s, i & 4 ? &s->guest : &s->dma, window);
		if (r > 0)
			return give_fixed(s, window, reterr);
		if (r < 0)
			verr_set(reterr, r, "out of memory");
	}
	if (r < 0)
		return r;
	if (s->l->ram_high_size && !lowest_fit(&s->dma, s->l->ram_high_size, GIB(1), &window))
		return no_place_for_ram(s, reterr);
	return verr_set(reterr, -ENOSPC,
			"%s to %s have addresses of their own, %#" PRIx64 "-%#" PRIx64
			", and leave no room for %" PRIu64 " MiB of RAM above 4 GiB and %" PRIu64
			" MiB of other 64-bit BARs beside them: less --memory, or other addresses",
			needs->lowest, needs->highest, needs->fixed.first, needs->fixed.last,
			s->l->ram_high_size >> 20, needs->mmio64 >> 20);
}

static int place_mmio64(struct solve *s, struct verr *reterr)
{
	const struct pci_needs *needs = &s->f->needs;
	uint64_t align = MAX(GIB(1), needs->mmio64_align);
	uint64_t need = ALIGN_UP(needs->mmio64, GIB(1)), ample = MAX(need, PC_MMIO64_MIN);
	const struct {
		const struct rangeset *in;
		uint64_t size;
	} tries[] = {
		{ &s->dma, ample }, { &s->dma, need }, { &s->guest, ample }, { &s->guest, need }
	};
	struct range r;

	if (s->l->has_mmio64)
		return 0;
	for (size_t i = 0; i < ARRAY_SIZE(tries); i++) {
		if (tries[i].size == 0 || !lowest_fit(tries[i].in, tries[i].size, align, &r))
			continue;
		if (needs->mmio64)
			note_peers(s, r);
		s->l->has_mmio64 = true;
		s->l->mmio64 = r;
		return 0;
	}
	if (need == 0)
		return 0;
	return verr_set(reterr, -ENOSPC,
			"the devices' 64-bit BARs need %" PRIu64 " MiB, aligned to %" PRIu64
			" MiB, beside guest RAM above 4 GiB, but a guest address has only %u bits "
			"here: less --memory or fewer devices",
			needs->mmio64 >> 20, align >> 20, s->f->phys_bits);
}

int pc_map_solve(const struct pc_map_facts *f, struct pc_layout *ret, struct pc_map_notes *notes,
		 struct verr *reterr)
{
	struct pc_layout l = *ret;
	struct solve s = { .f = f, .l = &l, .notes = notes };

	notes->n = 0;
	l.ram_low_size = l.ram_high_size = l.ram_high_base = 0;
	l.has_mmio64 = false;
	int r = open_space(&s);
	if (r < 0)
		verr_set(reterr, r, "out of memory");
	if (r == 0)
		r = place_low(&s, reterr);
	if (r == 0)
		r = place_fixed(&s, reterr);
	if (r == 0)
		r = place_high(&s, reterr);
	if (r == 0)
		r = place_mmio64(&s, reterr);
	rangeset_fini(&s.guest);
	rangeset_fini(&s.dma);
	*ret = l;
	return r;
}
