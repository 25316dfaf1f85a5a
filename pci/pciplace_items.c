// SPDX-License-Identifier: GPL-2.0-or-later
// What wants a place on a bus: its BARs, and the windows of the bridges on it with room for what is
// behind them. BARs with an address of their own come first, and a bridge above one is where they
// are. Gives no places.
#include "pci/pciplace_int.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/rangealloc.h"

#define IO_GRAIN    KIB(4) /* PCI-to-PCI Bridge 1.2 3.2.5.6, 3.2.5.8 */
#define MEM_GRAIN   MIB(1)
#define SPARE_MEM   MIB(2) /* behind an empty slot */
#define SPARE_PREF  MIB(256)
#define ROOT_64_MIN MIB(64) /* root-bus 64-bit BARs from here on go above 4 GiB at once */

/* A bridge's non-prefetchable window ends at 4 GiB. A 64-bit BAR that is not prefetchable belongs
 * there, and goes to the prefetchable window only when there is no room, or when it has an address
 * of its own: PCIe allows it (PCIe 6.0 7.5.1.2.1, implementation note: reads on a link have no side
 * effects beyond what was asked for), but Linux accepts such a place only after it has looked for
 * another one. */
enum pci_win pciplace_window_of(const struct pciplace_plan *p, const struct pcidev *pd,
				unsigned int bar)
{
	const struct pcidev_bar *b = &pd->bar[bar];
	if (b->kind == PCIBAR_IO)
		return PCI_WIN_IO;
	if (b->fixed != 0)
		return PCI_WIN_PREF;
	if (b->kind != PCIBAR_MEM64 || !p->have64)
		return PCI_WIN_MEM;
	if (b->size >= p->spill)
		return PCI_WIN_PREF;
	if (pd->bus->bridge == NULL)
		return b->size >= ROOT_64_MIN ? PCI_WIN_PREF : PCI_WIN_MEM;
	return b->prefetch ? PCI_WIN_PREF : PCI_WIN_MEM;
}

static int see_fixed(void *ctx, struct pcidev *pd)
{
	struct pciplace_span *s = ctx;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		const struct pcidev_bar *b = &pd->bar[i];
		if (b->kind == PCIBAR_NONE || b->fixed == 0)
			continue;
		if (s->lowest == NULL || b->fixed < s->lowest->fixed)
			s->lowest = b;
		if (s->highest == NULL || b->fixed + b->size > s->highest->fixed + s->highest->size)
			s->highest = b;
	}
	return 0;
}

struct pciplace_span pciplace_fixed(struct pcibus *b)
{
	struct pciplace_span s = { NULL, NULL };
	pcibus_walk(b, see_fixed, &s);
	return s;
}

void pciplace_bar_text(const struct pcidev_bar *b, char *buf, size_t size)
{
	snprintf(buf, size, "%s BAR %u", b->pd->dev.id, (unsigned int)(b - b->pd->bar));
}

static int items_add(struct pciplace_items *l, struct pciplace_item it)
{
	if (l->n == l->cap) {
		size_t cap = l->cap != 0 ? 2 * l->cap : 16;
		struct pciplace_item *v = reallocarray(l->v, cap, sizeof(*v));
		if (v == NULL)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = it;
	return 0;
}

/* What is fixed; then widest alignment first, then largest: big ones leave no holes that small ones
 * could not use. */
static int by_align(const void *pa, const void *pb)
{
	const struct pciplace_item *a = pa, *b = pb;
	if (a->fixed != b->fixed)
		return a->fixed ? -1 : 1;
	if (a->align != b->align)
		return a->align < b->align ? 1 : -1;
	if (a->size != b->size)
		return a->size < b->size ? 1 : -1;
	if (a->pd->devfn != b->pd->devfn)
		return a->pd->devfn < b->pd->devfn ? -1 : 1;
	return (a->bar > b->bar) - (a->bar < b->bar);
}

static int collect_bars(const struct pciplace_plan *p, struct pcidev *pd, enum pci_win win,
			struct pciplace_items *ret)
{
	int e = 0;
	for (unsigned int bar = 0; bar < PCIDEV_N_BARS && e == 0; bar++) {
		const struct pcidev_bar *r = &pd->bar[bar];
		if (r->kind == PCIBAR_NONE || pciplace_window_of(p, pd, bar) != win)
			continue;
		/* One that is to start a page has it for itself. */
		uint64_t align = MAX(r->align, r->size);
		struct pciplace_item it = {
			.pd = pd, .bar = (int)bar, .size = align, .align = align
		};
		if (r->fixed != 0) {
			it.fixed = true;
			it.at = r->fixed;
			it.size = r->size;
		}
		e = items_add(ret, it);
	}
	return e;
}

static int collect_bridge(const struct pciplace_plan *p, struct pcidev *pd, enum pci_win win,
			  struct pciplace_items *ret)
{
	struct pciplace_item it = { .pd = pd, .bar = -1 };
	if (pd->secondary == NULL)
		return 0;
	struct pciplace_span s = pciplace_fixed(pd->secondary);
	if (win == PCI_WIN_PREF && s.lowest != NULL) {
		uint64_t end = s.highest->fixed + s.highest->size;
		it.fixed = true;
		it.at = ALIGN_DOWN(s.lowest->fixed, MEM_GRAIN);
		it.size = ALIGN_UP(end, MEM_GRAIN) - it.at;
		return items_add(ret, it);
	}
	struct pciplace_room room = { 0 };
	int e = pciplace_measure(p, pd->secondary, win, &room);
	it.size = room.size;
	it.align = room.align;
	return e == 0 && room.size != 0 ? items_add(ret, it) : e;
}

/* ---- addresses of their own ------------------------------------------------------------------ */

static void item_text(const struct pciplace_item *it, char *buf, size_t size)
{
	struct range r = pciplace_range(it);
	char name[96];
	const struct pcidev_bar *b =
		it->bar >= 0 ? &it->pd->bar[it->bar] : pciplace_fixed(it->pd->secondary).lowest;
	pciplace_bar_text(b, name, sizeof(name));
	snprintf(buf, size, "%s%s at %#" PRIx64 "-%#" PRIx64,
		 it->bar < 0 ? "the bridge window around " : "", name, r.first, r.last);
}

static int clash(const struct pciplace_plan *p, const struct pciplace_item *a,
		 const struct pciplace_item *b)
{
	char first[192], second[192];
	item_text(a, first, sizeof(first));
	item_text(b, second, sizeof(second));
	return verr_set(p->reterr, -EINVAL, "%s overlaps %s: one of them needs another address",
			first, second);
}

/* Another item with a place that is in the way of `r`, which is to be item i's. */
static const struct pciplace_item *in_the_way(const struct pciplace_items *l, size_t n_fixed,
					      size_t i, struct range r)
{
	for (size_t j = 0; j < n_fixed; j++)
		if (j != i && range_overlaps(pciplace_range(&l->v[j]), r))
			return &l->v[j];
	return NULL;
}

/* Places all that is not fixed from the first fixed address on: where does it end? */
static int end_of(const struct pciplace_items *l, uint64_t first, uint64_t *ret)
{
	struct rangealloc ra = { 0 };
	uint64_t at;
	int r = rangealloc_give(&ra, (struct range){ first, UINT64_MAX >> 1 });
	for (size_t i = 0; i < l->n && r == 0; i++) {
		const struct pciplace_item *it = &l->v[i];
		at = it->at;
		r = it->fixed ? rangealloc_take_at(&ra, pciplace_range(it))
			      : rangealloc_take(&ra, it->size, it->align, &at);
		if (r == 0)
			*ret = MAX(*ret, at + it->size);
	}
	rangealloc_fini(&ra);
	return r;
}

/* A bridge's prefetchable window around what is fixed behind it, *ret as given, with room for the
 * rest: between and above it, or below it. */
static int grow(const struct pciplace_plan *p, struct pcibus *b, bool up, struct range *ret)
{
	struct pciplace_items l = { 0 };
	struct pciplace_room room = { 0 };
	uint64_t end = ret->last + 1;
	int r = pciplace_collect(p, b, PCI_WIN_PREF, &l);
	/* A bridge in there may have grown, too. */
	for (size_t i = 0; i < l.n && r == 0 && l.v[i].fixed; i++) {
		ret->first = MIN(ret->first, l.v[i].at);
		end = MAX(end, l.v[i].at + l.v[i].size);
	}
	if (r == 0 && up)
		r = end_of(&l, ret->first, &end);
	else if (r == 0)
		r = pciplace_measure(p, b, PCI_WIN_PREF, &room);
	if (r == 0 && room.size > ret->first)
		r = -ENOSPC;
	if (r == 0 && room.size != 0)
		ret->first = ALIGN_DOWN(ret->first - room.size, room.align);
	if (r == 0)
		ret->last = ALIGN_UP(end, MEM_GRAIN) - 1;
	free(l.v);
	return r;
}

static int grow_apart(const struct pciplace_plan *p, struct pciplace_items *l, size_t n_fixed,
		      size_t i)
{
	struct pciplace_item *it = &l->v[i], most = *it;
	const struct pciplace_item *other = NULL;
	for (unsigned int down = 0; down < 2; down++) {
		struct range w = pciplace_range(it);
		int r = grow(p, it->pd->secondary, !down, &w);
		if (r == -ENOSPC)
			continue;
		if (r < 0)
			return r;
		most.at = w.first;
		most.size = range_size(w);
		other = in_the_way(l, n_fixed, i, w);
		if (other == NULL) {
			*it = most;
			return 0;
		}
	}
	return other != NULL ? clash(p, &most, other) : -ENOSPC;
}

static int keep_apart(const struct pciplace_plan *p, struct pciplace_items *l)
{
	size_t n = 0;
	int r = 0;
	while (n < l->n && l->v[n].fixed)
		n++;
	for (size_t i = 0; i < n; i++) {
		const struct pciplace_item *o = in_the_way(l, n, i, pciplace_range(&l->v[i]));
		if (o != NULL)
			return clash(p, &l->v[i], o);
	}
	for (size_t i = 0; i < n && r == 0; i++)
		if (l->v[i].bar < 0)
			r = grow_apart(p, l, n, i);
	return r;
}

/* ---- all of it ------------------------------------------------------------------------------- */

int pciplace_collect(const struct pciplace_plan *p, struct pcibus *b, enum pci_win win,
		     struct pciplace_items *ret)
{
	int r = 0;
	for (unsigned int i = 0; i < ARRAY_SIZE(b->fn) && r == 0; i++) {
		if (b->fn[i] == NULL)
			continue;
		r = collect_bars(p, b->fn[i], win, ret);
		if (r == 0)
			r = collect_bridge(p, b->fn[i], win, ret);
	}
	if (ret->n > 1)
		qsort(ret->v, ret->n, sizeof(*ret->v), by_align);
	return r == 0 ? keep_apart(p, ret) : r;
}

static struct pciplace_room spare(const struct pciplace_plan *p, enum pci_win win)
{
	if (win == PCI_WIN_MEM)
		return (struct pciplace_room){ SPARE_MEM, SPARE_MEM };
	if (win == PCI_WIN_PREF && p->have64)
		return (struct pciplace_room){ SPARE_PREF, SPARE_PREF };
	return (struct pciplace_room){ 0, 0 };
}

/* Lays the bus out from address 0: lowest-fit placement does the same from any base that is a
 * multiple of the widest alignment. */
int pciplace_measure(const struct pciplace_plan *p, struct pcibus *b, enum pci_win win,
		     struct pciplace_room *ret)
{
	if (b->hotplug && pcibus_empty(b)) {
		*ret = spare(p, win);
		return 0;
	}
	struct pciplace_items l = { 0 };
	struct rangealloc ra = { 0 };
	uint64_t grain = win == PCI_WIN_IO ? IO_GRAIN : MEM_GRAIN;
	uint64_t end = 0, align = grain, at;
	int r = pciplace_collect(p, b, win, &l);
	if (r == 0)
		r = rangealloc_give(&ra, (struct range){ 0, UINT64_MAX >> 1 });
	for (size_t i = 0; i < l.n && r == 0; i++) {
		if (l.v[i].fixed)
			continue;
		r = rangealloc_take(&ra, l.v[i].size, l.v[i].align, &at);
		if (r == 0) {
			end = MAX(end, at + l.v[i].size);
			align = MAX(align, l.v[i].align);
		}
	}
	if (r == 0)
		*ret = (struct pciplace_room){ ALIGN_UP(end, grain), align };
	rangealloc_fini(&ra);
	free(l.v);
	return r;
}
