// SPDX-License-Identifier: GPL-2.0-or-later
// What firmware does: numbers the buses, gives every BAR and bridge window its place, and
// programs both. Bottom-up, how much each bus needs; top-down, where it gets it; nothing is
// programmed unless everything fits. Knows sizes and alignments only, not what decodes.
#define LOG_TAG "pci/place"
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "core/rangealloc.h"
#include "pci/pcibus.h"

#define IO_GRAIN     KIB(4) /* PCI-to-PCI Bridge 1.2 3.2.5.6, 3.2.5.8 */
#define MEM_GRAIN    MIB(1)
#define SPARE_MEM    MIB(2) /* behind an empty slot */
#define SPARE_PREF   MIB(256)
#define ROOT_64_MIN  MIB(64) /* root-bus 64-bit BARs from here on go above 4 GiB at once */
#define NEEDS_32_MAX MIB(256)

/* Something that wants a place in a window: a BAR, or (bar < 0) the window of the bridge `pd`. */
struct item {
	struct pcidev *pd;
	int bar;
	uint64_t size, align;
};

struct items {
	struct item *v; /* owned */
	size_t n, cap;
};

/* How placement is done this time. */
struct plan {
	bool have64;
	uint64_t spill; /* 64-bit BARs of this size and more go above 4 GiB if there is any way */
	struct verr *reterr;
};

struct room {
	uint64_t size, align; /* size 0: nothing needed */
};

static int measure(const struct plan *p, struct pcibus *b, enum pci_win win, struct room *ret);

/* ---- what goes where ------------------------------------------------------------------------- */

/* Which window of its bus a BAR wants. A bridge's non-prefetchable window ends at 4 GiB. A 64-bit
 * BAR that is not prefetchable belongs there, and goes to the prefetchable window only when there
 * is no room: PCIe allows it (PCIe 6.0 7.5.1.2.1, implementation note: reads on a link have no
 * side effects beyond what was asked for), but Linux accepts such a place only after it has
 * looked for another one. */
static enum pci_win window_of(const struct plan *p, const struct pcidev *pd, unsigned int bar)
{
	const struct pcidev_bar *b = &pd->bar[bar];
	if (b->kind == PCIBAR_IO)
		return PCI_WIN_IO;
	if (b->kind != PCIBAR_MEM64 || !p->have64)
		return PCI_WIN_MEM;
	if (b->size >= p->spill)
		return PCI_WIN_PREF;
	if (pd->bus->bridge == NULL)
		return b->size >= ROOT_64_MIN ? PCI_WIN_PREF : PCI_WIN_MEM;
	return b->prefetch ? PCI_WIN_PREF : PCI_WIN_MEM;
}

static int items_add(struct items *l, struct item it)
{
	if (l->n == l->cap) {
		size_t cap = l->cap != 0 ? 2 * l->cap : 16;
		struct item *v = reallocarray(l->v, cap, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = it;
	return 0;
}

/* Widest alignment first, then largest: big ones leave no holes that small ones could not use. */
static int by_align(const void *pa, const void *pb)
{
	const struct item *a = pa, *b = pb;
	if (a->align != b->align)
		return a->align < b->align ? 1 : -1;
	if (a->size != b->size)
		return a->size < b->size ? 1 : -1;
	if (a->pd->devfn != b->pd->devfn)
		return a->pd->devfn < b->pd->devfn ? -1 : 1;
	return (a->bar > b->bar) - (a->bar < b->bar);
}

static int collect(const struct plan *p, struct pcibus *b, enum pci_win win, struct items *ret)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(b->fn); i++) {
		struct pcidev *pd = b->fn[i];
		if (pd == NULL)
			continue;
		for (unsigned int bar = 0; bar < PCIDEV_N_BARS; bar++) {
			const struct pcidev_bar *r = &pd->bar[bar];
			if (r->kind == PCIBAR_NONE || window_of(p, pd, bar) != win)
				continue;
			/* One that is to start a page has it for itself. */
			uint64_t align = MAX(r->align, r->size);
			int e = items_add(ret, (struct item){ pd, (int)bar, align, align });
			if (e < 0)
				return e;
		}
		struct room room = { 0 };
		int e = pd->secondary != NULL ? measure(p, pd->secondary, win, &room) : 0;
		if (e == 0 && room.size != 0)
			e = items_add(ret, (struct item){ pd, -1, room.size, room.align });
		if (e < 0)
			return e;
	}
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_align);
	return 0;
}

static struct room spare(const struct plan *p, enum pci_win win)
{
	if (win == PCI_WIN_MEM)
		return (struct room){ SPARE_MEM, SPARE_MEM };
	if (win == PCI_WIN_PREF && p->have64)
		return (struct room){ SPARE_PREF, SPARE_PREF };
	return (struct room){ 0, 0 };
}

/* Lays the bus out from address 0: lowest-fit placement does the same from any base that is a
 * multiple of the widest alignment. */
static int measure(const struct plan *p, struct pcibus *b, enum pci_win win, struct room *ret)
{
	if (b->hotplug && pcibus_empty(b)) {
		*ret = spare(p, win);
		return 0;
	}
	struct items l = { 0 };
	struct rangealloc ra = { 0 };
	uint64_t end = 0, align = win == PCI_WIN_IO ? IO_GRAIN : MEM_GRAIN, at;
	int r = collect(p, b, win, &l);
	if (r == 0)
		r = rangealloc_give(&ra, (struct range){ 0, UINT64_MAX >> 1 });
	for (size_t i = 0; i < l.n && r == 0; i++) {
		r = rangealloc_take(&ra, l.v[i].size, l.v[i].align, &at);
		if (r == 0) {
			end = MAX(end, at + l.v[i].size);
			align = MAX(align, l.v[i].align);
		}
	}
	if (r == 0) {
		uint64_t grain = win == PCI_WIN_IO ? IO_GRAIN : MEM_GRAIN;
		*ret = (struct room){ l.n > 0 ? ALIGN_UP(end, grain) : 0, align };
	}
	rangealloc_fini(&ra);
	free(l.v);
	return r;
}

/* ---- giving places --------------------------------------------------------------------------- */

static const char *win_name(enum pci_win win)
{
	return win == PCI_WIN_IO ? "I/O" : win == PCI_WIN_MEM ? "32-bit" : "64-bit";
}

/* "64 GiB": sizes here are nearly always round. */
static void size_text(uint64_t size, char buf[32])
{
	static const char *const unit[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB" };
	unsigned int u = 0;
	for (; size >= 1024 && size % 1024 == 0 && u + 1 < ARRAY_SIZE(unit); u++)
		size /= 1024;
	snprintf(buf, 32, "%" PRIu64 " %s", size, unit[u]);
}

/* The largest BAR behind a bridge that goes to this window. */
struct biggest {
	const struct plan *p;
	enum pci_win win;
	const struct pcidev *pd;
	unsigned int bar;
};

static int see_biggest(void *ctx, struct pcidev *pd)
{
	struct biggest *big = ctx;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		if (pd->bar[i].kind == PCIBAR_NONE || window_of(big->p, pd, i) != big->win)
			continue;
		if (big->pd == NULL || pd->bar[i].size > big->pd->bar[big->bar].size) {
			big->pd = pd;
			big->bar = i;
		}
	}
	return 0;
}

static int no_space(const struct plan *p, const struct item *it, enum pci_win win, struct range w,
		    const struct rangealloc *ra)
{
	char want[32], hole[32];
	struct biggest big = { .p = p, .win = win, .pd = it->pd, .bar = (unsigned int)it->bar };
	size_text(it->size, want);
	size_text(rangealloc_largest(ra), hole);
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
static bool can_do_without(const struct item *it, enum pci_win win)
{
	return win == PCI_WIN_IO && it->bar < 0 &&
	       pcibus_walk(it->pd->secondary, needs_io, NULL) == 0;
}

static int assign(const struct plan *p, struct pcibus *b, enum pci_win win, struct range w);

static int assign_one(const struct plan *p, struct item *it, enum pci_win win, struct range w,
		      struct rangealloc *ra)
{
	uint64_t at;
	int r = rangealloc_take(ra, it->size, it->align, &at);
	if (r == -ENOSPC && can_do_without(it, win))
		return 0;
	if (r < 0)
		return no_space(p, it, win, w, ra);
	if (it->bar >= 0) {
		it->pd->bar[it->bar].placed = at;
		return 0;
	}
	struct range sub = { at, at + it->size - 1 };
	it->pd->secondary->win[win] = (struct pci_win_range){ sub.first, sub.last };
	return assign(p, it->pd->secondary, win, sub);
}

/* Gives every item of the bus a place inside `w`, then goes below; who can do without is last. */
static int assign(const struct plan *p, struct pcibus *b, enum pci_win win, struct range w)
{
	struct items l = { 0 };
	struct rangealloc ra = { 0 };
	int r = collect(p, b, win, &l);
	if (r == 0)
		r = rangealloc_give(&ra, w);
	if (r < 0)
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

static int assign_all(const struct plan *p, struct pcibus *root, const struct pci_windows *w)
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
	struct plan *p = ctx;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++)
		if (pd->bar[i].kind == PCIBAR_MEM64 && pd->bar[i].size < p[0].spill &&
		    pd->bar[i].size > p[1].spill && window_of(p, pd, i) == PCI_WIN_MEM)
			p[1].spill = pd->bar[i].size;
	return 0;
}

static uint64_t next_spill(const struct plan *p, struct pcibus *root)
{
	struct plan now[2] = { *p, { 0 } };
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

static int program_each(void *ctx, struct pcidev *pd)
{
	(void)ctx;
	pd->placed = true;
	pcibus_program(pd);
	return 0;
}

static int count_buses(void *ctx, struct pcidev *pd)
{
	*(unsigned int *)ctx += pd->secondary != NULL;
	return 0;
}

int pcibus_place(struct pcibus *root, const struct pci_windows *w, struct verr *reterr)
{
	unsigned int buses = 1;
	struct verr err = { 0 };
	struct plan p = { .have64 = w->mmio64.last > w->mmio64.first,
			  .spill = UINT64_MAX,
			  .reterr = &err };
	pcibus_walk(root, count_buses, &buses);
	if (buses > 256)
		return verr_set(reterr, -ENOSPC, "%u PCI buses are more than a segment has", buses);
	int r = assign_all(&p, root, w);
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
	pcibus_walk(root, program_each, NULL);
	return 0;
}

void pcibus_needs(struct pcibus *root, struct pci_needs *ret)
{
	struct plan low = { .have64 = true, .spill = NEEDS_32_MAX + 1 };
	struct plan high = { .have64 = true, .spill = 0 };
	struct room io = { 0 }, mem = { 0 }, pref = { 0 };
	*ret = (struct pci_needs){ 0 };
	if (measure(&low, root, PCI_WIN_IO, &io) < 0 ||
	    measure(&low, root, PCI_WIN_MEM, &mem) < 0 ||
	    measure(&high, root, PCI_WIN_PREF, &pref) < 0)
		return;
	/* A window may start anywhere: up to one alignment is lost before the first BAR. */
	ret->io = io.size;
	ret->mmio32 = mem.size;
	ret->mmio64 = pref.size;
	ret->mmio32_align = mem.size != 0 ? mem.align : 0;
	ret->mmio64_align = pref.size != 0 ? pref.align : 0;
}

/* ---- describing ------------------------------------------------------------------------------ */

static void describe_range(FILE *out, const char *what, uint64_t first, uint64_t last)
{
	char size[32];
	size_text(last - first + 1, size);
	fprintf(out, "    %-28s %#14" PRIx64 "-%#" PRIx64 " (%s)\n", what, first, last, size);
}

static void describe_place(FILE *out, const char *what, const struct pcidev_bar *b)
{
	char size[32];
	if (b->placed != 0) {
		describe_range(out, what, b->placed, b->placed + b->size - 1);
		return;
	}
	size_text(b->size, size);
	fprintf(out, "    %-28s %s, without a place\n", what, size);
}

static int describe_each(void *ctx, struct pcidev *pd)
{
	static const char *const kind[] = { "", "I/O", "32-bit memory", "64-bit memory", "ROM" };
	FILE *out = ctx;
	char buf[64];
	fprintf(out, "  %02x:%02x.%u %04x:%04x %s\n", pd->bus->number, pd->devfn >> 3U,
		pd->devfn & 7U, (unsigned int)pcicfg_get(&pd->cfg, PCI_VENDOR_ID, 2),
		(unsigned int)pcicfg_get(&pd->cfg, PCI_DEVICE_ID, 2), pd->dev.id);
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		const struct pcidev_bar *b = &pd->bar[i];
		if (b->kind == PCIBAR_NONE)
			continue;
		if (b->kind == PCIBAR_ROM)
			snprintf(buf, sizeof(buf), "ROM");
		else
			snprintf(buf, sizeof(buf), "BAR %u %s%s", i, kind[b->kind],
				 b->prefetch ? ", pref" : "");
		describe_place(out, buf, b);
	}
	for (unsigned int i = 0; pd->secondary != NULL && i < PCI_N_WINS; i++) {
		static const char *const win[] = { "window I/O", "window memory",
						   "window prefetchable" };
		const struct pci_win_range *w = &pd->secondary->win[i];
		if (w->first <= w->last)
			describe_range(out, win[i], w->first, w->last);
	}
	return 0;
}

void pcibus_describe(struct pcibus *root, FILE *out)
{
	pcibus_walk(root, describe_each, out);
}
