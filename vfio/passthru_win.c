// SPDX-License-Identifier: GPL-2.0-or-later
// The windows through which a guest touches an assigned BAR without leaving guest mode. One gmem
// region a piece carries the memory slot and the peer-to-peer DMA map, so both come and go in one
// ordered step: dropped before memory decoding is turned off, restored after it is on.
// The trap over the whole BAR (pcibar.c) lies behind and serves whatever has no window.

#define LOG_TAG "vfio/window"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/trace.h"
#include "vfio/passthru.h"

int passthru_win_open(struct passthru *p, struct verr *reterr)
{
	p->win = calloc(p->plan.n_pieces ? p->plan.n_pieces : 1, sizeof(*p->win));
	if (!p->win)
		return verr_set(reterr, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < p->plan.n_pieces; i++) {
		const struct bar_piece *pc = &p->plan.piece[i];
		struct passthru_win *w = &p->win[i];
		uint64_t align = MIN(p->plan.bar[pc->bar].size, GIB(1));
		void *hva;

		int r = vfio_region_mmap(p->vd, pc->bar, pc->off, pc->size, align, &hva, reterr);
		if (r < 0)
			return verr_prefix(reterr, r, "BAR %u", pc->bar);
		w->bar = pc->bar;
		w->off = pc->off;
		w->mem.name = p->vd->name;
		w->mem.kind = GMEM_MMIO;
		w->mem.size = pc->size;
		w->mem.hva = hva;
		w->mem.fd = -1;
		p->n_win = i + 1;
	}
	return 0;
}

void passthru_win_close(struct passthru *p)
{
	for (unsigned int i = 0; i < p->n_win; i++) {
		gmem_del(&p->win[i].mem);
		vfio_region_munmap(p->win[i].mem.hva, p->win[i].mem.size);
	}
	free(p->win);
	p->win = NULL;
	p->n_win = 0;
}

void passthru_win_enable(struct pcidev *pd, unsigned int bar)
{
	struct passthru *p = passthru_of(pd);

	for (unsigned int i = 0; i < p->n_win; i++) {
		struct passthru_win *w = &p->win[i];
		struct verr err = { 0 };

		if (w->bar != bar || p->lost)
			continue;
		w->mem.gpa = pd->bar[bar].gpa + w->off;
		/* Collides with something for the moment (two BARs parked at one address): the trap
		 * behind it answers meanwhile, slower and right. */
		int r = gmem_add(pd->dev.plat->ram, &w->mem, &err);
		T(vfio_window, p->vd->name, bar, w->mem.gpa, w->mem.size, r == 0);
		if (r < 0)
			log_debug("%s: BAR %u stays trapped: %s", p->vd->name, bar, err.msg);
	}
}

void passthru_win_disable(struct pcidev *pd, unsigned int bar)
{
	struct passthru *p = passthru_of(pd);

	for (unsigned int i = 0; i < p->n_win; i++)
		if (p->win[i].bar == bar)
			gmem_del(&p->win[i].mem);
}

bool passthru_win_drop(struct passthru *p)
{
	bool any = false;

	for (unsigned int i = 0; i < p->n_win; i++) {
		if (!p->win[i].mem.gmem)
			continue;
		gmem_del(&p->win[i].mem);
		any = true;
	}
	return any;
}
