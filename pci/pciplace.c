// SPDX-License-Identifier: GPL-2.0-or-later
// What firmware does: numbers the buses, gives every BAR and bridge window its place, and
// programs both. Bottom-up, how much each bus needs; top-down, where it gets it; nothing is
// programmed unless everything fits. Knows sizes and alignments only, not what decodes.
#define LOG_TAG "pci/place"
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/rangealloc.h"
#include "pci/pciplace_int.h"

#define NEEDS_32_MAX MIB(256)

/* ---- giving places --------------------------------------------------------------------------- */

static const char *win_name(enum pci_win win)
{
	return win == PCI_WIN_IO ? "I/O" : win == PCI_WIN_MEM ? "32-bit" : "64-bit";
}

/* The largest BAR behind a bridge that goes to this window. */
struct biggest {
	const struct pciplace_plan *p;
	enum pci_win win;
	const struct pcidev *pd;
	unsigned int bar;
};

static int see_biggest(void *ctx, struct pcidev *pd)
{
	struct biggest *big = ctx;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		if (pd->bar[i].kind == PCIBAR_NONE || pciplace_window_of(big->p, pd, i) != big->win)
			continue;
		if (big->pd == NULL || pd->bar[i].size > big->pd->bar[big->bar].size) {
			big->pd = pd;
			big->bar = i;
		}
	}
	return 0;
}

static int no_space(const struct pciplace_plan *p, const struct pciplace_item *it, enum pci_win win,
		    struct range w, const struct rangealloc *ra)
{
	char want[32], hole[32];
	struct biggest big = { .p = p, .win = win, .pd = it->pd, .bar = (unsigned int)it->bar };
	pciplace_size_text(it->size, want);
	pciplace_size_text(rangealloc_largest(ra), hole);
	if (it->bar < 0) {
		big.pd = NULL;
		pcibus_walk(it->pd->secondary, see_biggest, &big);
	}
	if (big.pd == NULL)
		return verr_set(p->reterr, -ENOSPC,
				"the reserve of hot-plug slot %s (%s) does not fit in the %s PCI "
				"window %#" PRIx64 "-%#" PRIx64 ": the largest hole is %s",
				it->pd->dev.id, want, win_name(win), w.first, w.last, hole);
	return verr_set(p->reterr, -ENOSPC,
			"%s BAR %u (%s%s%s) does not fit in the %s PCI window %#" PRIx64
			"-%#" PRIx64 ": the largest hole is %s",
			big.pd->dev.id, big.bar,
			it->bar < 0 ? "with the rest of its bridge's window " : "", want,
			big.pd->bar[big.bar].prefetch ? ", prefetchable" : "", win_name(win),
			w.first, w.last, hole);
}

static int needs_io(void *ctx, struct pcidev *pd)
{
	(void)ctx;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++)
		if (pd->bar[i].kind == PCIBAR_IO && !pd->is_pcie)
			return 1;
	return 0;
}

/* A bridge's window of I/O ports takes 4 KiB of 64: there are too few for many functions. PCI
 * Express ones work without (PCIe 6.0 1.3.2.2): their I/O BARs stay unassigned then. */
static bool can_do_without(const struct pciplace_item *it, enum pci_win win)
{
	return win == PCI_WIN_IO && it->bar < 0 &&
	       pcibus_walk(it->pd->secondary, needs_io, NULL) == 0;
}

static int assign(const struct pciplace_plan *p, struct pcibus *b, enum pci_win win,
		  struct range w);

static int take_fixed(const struct pciplace_plan *p, const struct pciplace_item *it, struct range w,
		      struct rangealloc *ra)
{
	struct range want = pciplace_range(it);
	const struct pcidev_bar *b =
		it->bar >= 0 ? &it->pd->bar[it->bar] : pciplace_fixed(it->pd->secondary).lowest;
	char name[96];
	int r = rangealloc_take_at(ra, want);
	if (r == 0)
		return 0;
	pciplace_bar_text(b, name, sizeof(name));
	return verr_set(p->reterr, -EINVAL,
			"%s has to be at %#" PRIx64 "%s, and the 64-bit PCI window is %#" PRIx64
			"-%#" PRIx64,
			name, b->fixed, it->bar < 0 ? ", with its bridge's window around it" : "",
			w.first, w.last);
}

static int assign_one(const struct pciplace_plan *p, struct pciplace_item *it, enum pci_win win,
		      struct range w, struct rangealloc *ra)
{
	uint64_t at = it->at;
	int r = it->fixed ? take_fixed(p, it, w, ra)
			  : rangealloc_take(ra, it->size, it->align, &at);
	if (r == -ENOSPC && can_do_without(it, win))
		return 0;
	if (r < 0)
		return it->fixed ? r : no_space(p, it, win, w, ra);
	if (it->bar >= 0) {
		it->pd->bar[it->bar].placed = at;
		return 0;
	}
	struct range sub = { at, at + it->size - 1 };
	it->pd->secondary->win[win] = (struct pci_win_range){ sub.first, sub.last };
	return assign(p, it->pd->secondary, win, sub);
}

/* Gives every item of the bus a place inside `w`, then goes below; who can do without is last. */
static int assign(const struct pciplace_plan *p, struct pcibus *b, enum pci_win win, struct range w)
{
	struct pciplace_items l = { 0 };
	struct rangealloc ra = { 0 };
	int r = pciplace_collect(p, b, win, &l);
	if (r == 0)
		r = rangealloc_give(&ra, w);
	if (r == -ENOMEM)
		verr_set(p->reterr, r, "out of memory");
	for (unsigned int pass = 0; pass < 2; pass++)
		for (size_t i = 0; i < l.n && r == 0; i++)
			if (can_do_without(&l.v[i], win) == (pass == 1))
				r = assign_one(p, &l.v[i], win, w, &ra);
	rangealloc_fini(&ra);
	free(l.v);
	return r;
}

static int forget(void *ctx, struct pcidev *pd)
{
	(void)ctx;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++)
		pd->bar[i].placed = 0;
	for (unsigned int i = 0; pd->secondary != NULL && i < PCI_N_WINS; i++)
		pd->secondary->win[i] = (struct pci_win_range){ 1, 0 };
	return 0;
}

static int assign_all(const struct pciplace_plan *p, struct pcibus *root,
		      const struct pci_windows *w)
{
	pcibus_walk(root, forget, NULL);
	int r = assign(p, root, PCI_WIN_IO, w->io);
	if (r == 0)
		r = assign(p, root, PCI_WIN_MEM, w->mmio32);
	if (r == 0 && p->have64)
		r = assign(p, root, PCI_WIN_PREF, w->mmio64);
	return r;
}

/* The largest 64-bit BAR that still goes below 4 GiB. */
static int see_movable(void *ctx, struct pcidev *pd)
{
	struct pciplace_plan *p = ctx;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++)
		if (pd->bar[i].kind == PCIBAR_MEM64 && pd->bar[i].size < p[0].spill &&
		    pd->bar[i].size > p[1].spill && pciplace_window_of(p, pd, i) == PCI_WIN_MEM)
			p[1].spill = pd->bar[i].size;
	return 0;
}

static uint64_t next_spill(const struct pciplace_plan *p, struct pcibus *root)
{
	struct pciplace_plan now[2] = { *p, { 0 } };
	if (p->have64)
		pcibus_walk(root, see_movable, now);
	return now[1].spill;
}

/* ---- numbers and programming ----------------------------------------------------------------- */

/* Depth first; returns the highest number below. */
static unsigned int number(struct pcibus *b, unsigned int here)
{
	b->number = (uint8_t)here;
	unsigned int top = here;
	for (unsigned int i = 0; i < ARRAY_SIZE(b->fn) && top < 255; i++)
		if (b->fn[i] != NULL && b->fn[i]->secondary != NULL)
			top = number(b->fn[i]->secondary, top + 1);
	return top;
}

static unsigned int highest(const struct pcibus *b)
{
	unsigned int top = b->number;
	for (unsigned int i = 0; i < ARRAY_SIZE(b->fn); i++)
		if (b->fn[i] != NULL && b->fn[i]->secondary != NULL)
			top = MAX(top, highest(b->fn[i]->secondary));
	return top;
}

static uint32_t window_pair(const struct pci_win_range *w, bool open)
{
	uint64_t base = open ? w->first : UINT32_MAX, limit = open ? w->last : 0;
	return (uint32_t)((base >> 16 & 0xfff0) | (limit >> 16 & 0xfff0) << 16);
}

static void program_bridge(struct pcidev *pd)
{
	const struct pcibus *b = pd->secondary;
	const struct pci_win_range *io = &b->win[PCI_WIN_IO], *pref = &b->win[PCI_WIN_PREF];
	bool io_open = io->first <= io->last, pref_open = pref->first <= pref->last;
	pcidev_cfg_write(pd, PCI_PRIMARY_BUS, pd->bus->number, 1);
	pcidev_cfg_write(pd, PCI_SECONDARY_BUS, b->number, 1);
	pcidev_cfg_write(pd, PCI_SUBORDINATE_BUS, highest(b), 1);
	pcidev_cfg_write(pd, PCI_IO_BASE, io_open ? io->first >> 8 & 0xf0 : 0xf0, 1);
	pcidev_cfg_write(pd, PCI_IO_LIMIT, io_open ? io->last >> 8 & 0xf0 : 0, 1);
	const struct pci_win_range *mem = &b->win[PCI_WIN_MEM];
	pcidev_cfg_write(pd, PCI_MEMORY_BASE, window_pair(mem, mem->first <= mem->last), 4);
	pcidev_cfg_write(pd, PCI_PREF_MEMORY_BASE, window_pair(pref, pref_open), 4);
	pcidev_cfg_write(pd, PCI_PREF_BASE_UPPER32, pref_open ? (uint32_t)(pref->first >> 32) : 0,
			 4);
	pcidev_cfg_write(pd, PCI_PREF_LIMIT_UPPER32, pref_open ? (uint32_t)(pref->last >> 32) : 0,
			 4);
}

/* Decoding is off while addresses change, as for any firmware. */
void pcibus_program(struct pcidev *pd)
{
	if (!pd->placed || pd->bus == NULL)
		return;
	uint32_t command = (uint32_t)pcicfg_get(&pd->cfg, PCI_COMMAND, 2) &
			   ~(uint32_t)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	pcidev_cfg_write(pd, PCI_COMMAND, command, 2);
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		const struct pcidev_bar *b = &pd->bar[i];
		if (b->kind == PCIBAR_NONE || b->placed == 0)
			continue;
		command |= b->kind == PCIBAR_IO ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
		pcidev_cfg_write(pd, pcidev_bar_reg(pd, i), (uint32_t)b->placed, 4);
		if (b->kind == PCIBAR_MEM64)
			pcidev_cfg_write(pd, pcidev_bar_reg(pd, i) + 4, (uint32_t)(b->placed >> 32),
					 4);
	}
	if (pd->secondary != NULL) {
		const struct pci_win_range *w = pd->secondary->win;
		program_bridge(pd);
		if (w[PCI_WIN_IO].first <= w[PCI_WIN_IO].last)
			command |= PCI_COMMAND_IO;
		if (w[PCI_WIN_MEM].first <= w[PCI_WIN_MEM].last ||
		    w[PCI_WIN_PREF].first <= w[PCI_WIN_PREF].last)
			command |= PCI_COMMAND_MEMORY;
	}
	pcidev_cfg_write(pd, PCI_COMMAND, command, 2);
}

static int keep_place(void *ctx, struct pcidev *pd)
{
	(void)ctx;
	pd->placed = true;
	return 0;
}

static int count_buses(void *ctx, struct pcidev *pd)
{
	*(unsigned int *)ctx += pd->secondary != NULL;
	return 0;
}

static int no_window(struct pcibus *root, struct verr *reterr)
{
	const struct pcidev_bar *b = pciplace_fixed(root).lowest;
	char name[96];
	if (b == NULL)
		return 0;
	pciplace_bar_text(b, name, sizeof(name));
	return verr_set(reterr, -EINVAL,
			"%s has to be at %#" PRIx64 ", and there is no 64-bit PCI window", name,
			b->fixed);
}

int pcibus_place(struct pcibus *root, const struct pci_windows *w, struct verr *reterr)
{
	unsigned int buses = 1;
	struct verr err = { 0 };
	struct pciplace_plan p = { .have64 = w->mmio64.last > w->mmio64.first,
				   .spill = UINT64_MAX,
				   .reterr = &err };
	pcibus_walk(root, count_buses, &buses);
	if (buses > 256)
		return verr_set(reterr, -ENOSPC, "%u PCI buses are more than a segment has", buses);
	int r = p.have64 ? 0 : no_window(root, &err);
	if (r == 0)
		r = assign_all(&p, root, w);
	while (r == -ENOSPC) {
		uint64_t spill = next_spill(&p, root);
		if (spill == 0)
			break;
		p.spill = spill;
		verr_clear(&err);
		r = assign_all(&p, root, w);
	}
	if (r < 0) {
		pcibus_walk(root, forget, NULL);
		return verr_set(reterr, r, "%s", err.msg);
	}
	number(root, 0);
	pcibus_walk(root, keep_place, NULL);
	return 0;
}

/* What the root bus has above 4 GiB at fixed addresses. */
static int needs_fixed(const struct pciplace_plan *p, struct pcibus *root, struct pci_needs *ret)
{
	struct pciplace_span s = pciplace_fixed(root);
	struct pciplace_items l = { 0 };
	if (s.lowest == NULL)
		return 0;
	int r = pciplace_collect(p, root, PCI_WIN_PREF, &l);
	for (size_t i = 0; i < l.n && r == 0 && l.v[i].fixed; i++) {
		struct range at = pciplace_range(&l.v[i]);
		ret->fixed.first = i == 0 ? at.first : MIN(ret->fixed.first, at.first);
		ret->fixed.last = MAX(ret->fixed.last, at.last);
	}
	pciplace_bar_text(s.lowest, ret->lowest, sizeof(ret->lowest));
	pciplace_bar_text(s.highest, ret->highest, sizeof(ret->highest));
	free(l.v);
	return r;
}

int pcibus_needs(struct pcibus *root, struct pci_needs *ret, struct verr *reterr)
{
	struct verr err = { 0 };
	struct pciplace_plan low = { .have64 = true, .spill = NEEDS_32_MAX + 1, .reterr = &err };
	struct pciplace_plan high = { .have64 = true, .spill = 0, .reterr = &err };
	struct pciplace_room io = { 0 }, mem = { 0 }, pref = { 0 };
	*ret = (struct pci_needs){ 0 };
	int r = needs_fixed(&high, root, ret);
	if (r == 0)
		r = pciplace_measure(&low, root, PCI_WIN_IO, &io);
	if (r == 0)
		r = pciplace_measure(&low, root, PCI_WIN_MEM, &mem);
	if (r == 0)
		r = pciplace_measure(&high, root, PCI_WIN_PREF, &pref);
	if (r < 0)
		return verr_set(reterr, r, "%s", r == -ENOMEM ? "out of memory" : err.msg);
	/* A window may start anywhere: up to one alignment is lost before the first BAR. */
	ret->io = io.size;
	ret->mmio32 = mem.size;
	ret->mmio64 = pref.size;
	ret->mmio32_align = mem.size != 0 ? mem.align : 0;
	ret->mmio64_align = pref.size != 0 ? pref.align : 0;
	return 0;
}
