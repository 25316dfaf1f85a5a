// SPDX-License-Identifier: GPL-2.0-or-later
// The BAR planner (see the header). The rule for what is mapped directly: every area VFIO lets us
// map, minus the pages of the MSI-X table and of the PBA (unless the guest finds those elsewhere:
// passthru_msix.c) and of what a quirk answers for, each rounded outwards to whole pages. Nothing
// is assumed about how many areas there are, where the table lies, or that the PBA follows it.

#include "vfio/passthru_bar.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "core/range.h"

static enum pcibar_kind kind_of(uint32_t reg)
{
	if (reg & PCI_BASE_ADDRESS_SPACE_IO)
		return PCIBAR_IO;
	if ((reg & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64)
		return PCIBAR_MEM64;
	return PCIBAR_MEM32;
}

static int plan_rom(const struct bar_facts *f, struct bar_plan *p, struct verr *reterr)
{
	uint64_t size = f->rom_file ? f->rom_file : f->region[PCIDEV_ROM].size;

	if (f->no_rom || size == 0)
		return 0;
	/* The kernel reports the image's size for a shadowed ROM: round up to what a BAR can be. */
	uint64_t pow2 = 2048;
	while (pow2 < size && pow2 < MIB(16))
		pow2 <<= 1;
	if (pow2 < size)
		return verr_set(reterr, -EINVAL,
				"expansion ROM of %llu bytes is larger than PCI allows (16 MiB); "
				"leave it out with rombar=off",
				(unsigned long long)size);
	p->bar[PCIDEV_ROM].kind = PCIBAR_ROM;
	p->bar[PCIDEV_ROM].size = p->bar[PCIDEV_ROM].align = pow2;
	return 0;
}

static int plan_kinds(const struct bar_facts *f, struct bar_plan *p, struct verr *reterr)
{
	for (unsigned int i = 0; i < 6; i++) {
		uint64_t size = f->region[i].size;
		enum pcibar_kind kind = kind_of(f->reg[i]);

		if (size == 0)
			continue;
		if (!IS_POW2(size) || size < (kind == PCIBAR_IO ? 4u : 16u))
			return verr_set(reterr, -EINVAL,
					"BAR %u has a size that no BAR can have: %#llx bytes", i,
					(unsigned long long)size);
		if (kind == PCIBAR_MEM64 && i == 5)
			return verr_set(reterr, -EINVAL, "BAR 5 claims to be 64 bits wide");
		if (kind == PCIBAR_MEM32 && size > GIB(2))
			return verr_set(reterr, -EINVAL,
					"32-bit BAR %u claims a size of %#llx bytes", i,
					(unsigned long long)size);
		p->bar[i].kind = kind;
		p->bar[i].size = p->bar[i].align = size;
		p->bar[i].prefetch =
			kind != PCIBAR_IO && (f->reg[i] & PCI_BASE_ADDRESS_MEM_PREFETCH);
		if (kind == PCIBAR_MEM64)
			i++; /* the upper half is no BAR of its own */
	}
	return plan_rom(f, p, reterr);
}

/* "bar1=0x4000000000", as the user said it. */
static const char *wish_text(const struct bar_facts *f, unsigned int bar, char buf[32])
{
	static const char *const names[] = { "direct", "trap", "hide" };
	const struct bar_wish *w = &f->wish[bar];

	if (w->as_host || w->at == 0)
		snprintf(buf, 32, "bar%u=%s", bar, w->as_host ? "host" : names[w->mode]);
	else
		snprintf(buf, 32, "bar%u=%#" PRIx64, bar, w->at);
	return buf;
}

static int check_address(const struct bar_facts *f, const struct bar_plan *p, unsigned int bar,
			 struct verr *reterr)
{
	const uint64_t end = BIT64(52); /* no x86 processor has more address bits */
	uint64_t at = f->wish[bar].at, size = p->bar[bar].size;
	char text[32];

	wish_text(f, bar, text);
	if (p->bar[bar].kind != PCIBAR_MEM64)
		return verr_set(reterr, -EINVAL,
				"%s: only a 64-bit memory BAR can have an address of its own, and "
				"BAR %u is %s",
				text, bar,
				p->bar[bar].kind == PCIBAR_IO ? "made of I/O ports"
							      : "a 32-bit one");
	if (at < GIB(4))
		return verr_set(reterr, -EINVAL,
				"%s: %#" PRIx64 " is below 4 GiB, and a BAR can have an address of "
				"its own above only",
				text, at);
	if (at >= end || size > end - at)
		return verr_set(reterr, -EINVAL,
				"%s: the BAR's %#" PRIx64 " bytes would not end below %#" PRIx64
				", where addresses end",
				text, size, end);
	if (!IS_ALIGNED(at, size))
		return verr_set(reterr, -EINVAL,
				"%s: %#" PRIx64 " is not a multiple of the BAR's size, %#" PRIx64,
				text, at, size);
	return 0;
}

/* What the user wants of a BAR that is not there is a mistake that should not pass in silence. */
static int apply_wishes(const struct bar_facts *f, struct bar_plan *p, struct verr *reterr)
{
	char text[32];

	for (unsigned int i = 0; i < 6; i++) {
		const struct bar_wish *w = &f->wish[i];
		if (w->mode == BAR_DIRECT && !w->as_host && w->at == 0)
			continue;
		wish_text(f, i, text);
		if (p->bar[i].kind == PCIBAR_NONE && i > 0 && p->bar[i - 1].kind == PCIBAR_MEM64)
			return verr_set(reterr, -EINVAL,
					"%s: BAR %u is the upper half of the 64-bit BAR %u", text,
					i, i - 1);
		if (p->bar[i].kind == PCIBAR_NONE)
			return verr_set(reterr, -EINVAL, "%s: the function has no BAR %u", text, i);
		if (w->mode == BAR_HIDE && f->msix.n && (f->msix.tbir == i || f->msix.pbir == i))
			return verr_set(reterr, -EINVAL,
					"%s: the MSI-X table or pending bits are in BAR %u; "
					"bar%u=trap keeps them",
					text, i, i);
	}
	/* Not before all are judged: a 64-bit BAR explains its upper half. */
	for (unsigned int i = 0; i < 6; i++)
		if (f->wish[i].mode == BAR_HIDE)
			memset(&p->bar[i], 0, sizeof(p->bar[i]));
	return 0;
}

/* After the MSI-X table may have made one larger. */
static int apply_addresses(const struct bar_facts *f, struct bar_plan *p, struct verr *reterr)
{
	for (unsigned int i = 0; i < 6; i++) {
		if (!f->wish[i].as_host && f->wish[i].at == 0)
			continue;
		int r = check_address(f, p, i, reterr);
		if (r < 0)
			return r;
		p->bar[i].at = f->wish[i].at;
	}
	return 0;
}

static int check_msix(const struct bar_plan *p, const char *what, unsigned int bir, uint32_t off,
		      uint64_t len, struct verr *reterr)
{
	if (bir >= 6 || p->bar[bir].kind == PCIBAR_NONE || p->bar[bir].kind == PCIBAR_IO)
		return verr_set(reterr, -EINVAL,
				"the MSI-X %s is said to be in BAR %u, which is no "
				"memory BAR of this function",
				what, bir);
	if (off > p->bar[bir].size || len > p->bar[bir].size - off)
		return verr_set(
			reterr, -EINVAL,
			"the MSI-X %s (offset %#x, %llu bytes) lies outside BAR %u of %#llx "
			"bytes",
			what, off, (unsigned long long)len, bir,
			(unsigned long long)p->bar[bir].size);
	return 0;
}

static int punch(struct rangeset *s, uint64_t off, uint64_t len, uint64_t page)
{
	struct range hole = {
		.first = ALIGN_DOWN(off, page),
		.last = ALIGN_UP(off + len, page) - 1,
	};
	return rangeset_subtract(s, hole);
}

/* The directly mapped ranges of one BAR. */
static int bar_areas(const struct bar_facts *f, unsigned int bar, bool msix, struct rangeset *s)
{
	const struct vfio_region *r = &f->region[bar];
	int rc = 0;

	for (unsigned int i = 0; i < r->n_areas && rc == 0; i++) {
		struct range a;

		if (!range_make(r->area[i].off, r->area[i].size, &a) ||
		    a.last >= ALIGN_UP(r->size, f->page_size))
			continue;
		/* Whole pages only, rounded inwards. */
		uint64_t first = ALIGN_UP(a.first, f->page_size);
		uint64_t end = ALIGN_DOWN(a.last + 1, f->page_size);
		if (first < end)
			rc = rangeset_add(s, (struct range){ first, end - 1 });
	}
	if (rc == 0 && msix && f->msix.tbir == bar)
		rc = punch(s, f->msix.toff, MSIX_TABLE_SIZE(f->msix.n), f->page_size);
	if (rc == 0 && msix && f->msix.pbir == bar)
		rc = punch(s, f->msix.poff, MSIX_PBA_SIZE(f->msix.n), f->page_size);
	for (unsigned int i = 0; i < f->n_trap && rc == 0; i++)
		if (f->trap[i].bar == bar)
			rc = punch(s, f->trap[i].off, f->trap[i].size, f->page_size);
	return rc;
}

static int plan_pieces(const struct bar_facts *f, struct bar_plan *p, unsigned int bar,
		       struct verr *reterr)
{
	struct rangeset s = { 0 };
	int rc = bar_areas(f, bar, f->msix.n && !p->msix_moved, &s);

	if (rc < 0)
		verr_set(reterr, rc, "out of memory");
	if (s.n > 0)
		p->bar[bar].align = MAX(p->bar[bar].size, f->page_size);
	for (size_t i = 0; i < s.n && rc == 0; i++) {
		if (p->n_pieces == BAR_PLAN_PIECES) {
			rc = verr_set(reterr, -E2BIG, "BAR %u has too many mappable areas", bar);
			break;
		}
		p->piece[p->n_pieces++] = (struct bar_piece){
			.bar = (uint8_t)bar,
			.off = s.r[i].first,
			.size = range_size(s.r[i]),
		};
	}
	rangeset_fini(&s);
	return rc;
}

int bar_plan_make(const struct bar_facts *f, struct bar_plan *ret, struct verr *reterr)
{
	struct bar_plan p;

	memset(&p, 0, sizeof(p));
	int rc = plan_kinds(f, &p, reterr);
	if (rc == 0 && f->msix.n)
		rc = check_msix(&p, "table", f->msix.tbir, f->msix.toff, MSIX_TABLE_SIZE(f->msix.n),
				reterr);
	if (rc == 0 && f->msix.n)
		rc = check_msix(&p, "pending bit array", f->msix.pbir, f->msix.poff,
				MSIX_PBA_SIZE(f->msix.n), reterr);
	if (rc == 0)
		rc = apply_wishes(f, &p, reterr);
	if (rc == 0)
		rc = bar_plan_msix(f, &p, reterr);
	if (rc == 0)
		rc = apply_addresses(f, &p, reterr);
	for (unsigned int i = 0; i < 6 && rc == 0; i++)
		if (!f->no_mmap && f->wish[i].mode == BAR_DIRECT &&
		    (p.bar[i].kind == PCIBAR_MEM32 || p.bar[i].kind == PCIBAR_MEM64))
			rc = plan_pieces(f, &p, i, reterr);
	if (rc == 0)
		*ret = p;
	return rc;
}
