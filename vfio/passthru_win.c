// SPDX-License-Identifier: GPL-2.0-or-later
// The windows through which a guest touches an assigned BAR without leaving guest mode. One gmem
// region a piece carries the memory slot and the peer-to-peer DMA map, so both come and go in one
// ordered step: dropped before memory decoding is turned off, restored after it is on.
// What is a window, and what is not, is decided here from passthru_bar.c's plan.
// The trap over the whole BAR (pcibar.c) lies behind and serves whatever has no window.

#define LOG_TAG "vfio/window"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/pci_regs.h>

#include "core/log.h"
#include "core/trace.h"
#include "pci/pcibus.h"
#include "vfio/hostbar.h"
#include "vfio/passthru.h"
#include "vfio/quirks.h"

static int check_config(const struct passthru_config *cfg, struct verr *reterr)
{
	if (!cfg->rombar && cfg->romfile)
		return verr_set(reterr, -EINVAL,
				"rombar=off leaves the expansion ROM out and romfile=%s gives one: "
				"drop one of the two",
				cfg->romfile);
	for (unsigned int i = 0; i < 6; i++)
		if (cfg->x_no_mmap && cfg->bar[i].mode == BAR_HIDE)
			return verr_set(
				reterr, -EINVAL,
				"x-no-mmap=on traps every BAR and bar%u=hide leaves it out: "
				"drop one of the two",
				i);
	return 0;
}

/* barN=host: where the host has it. */
static int find_addresses(struct passthru *p, struct bar_wish wish[6], struct verr *reterr)
{
	struct host_bar host[6];
	bool read = false;

	for (unsigned int i = 0; i < 6; i++) {
		if (!wish[i].as_host && wish[i].at == 0)
			continue;
		if (p->pd.dev.plat->hot)
			return verr_set(
				reterr, -EBUSY,
				"bar%u: a BAR's address is in the guest's memory map, which "
				"is fixed once the machine runs: give the device at the "
				"start",
				i);
		if (!wish[i].as_host)
			continue;
		if (!read && !host_bars_read(&p->vd->at, host))
			return verr_set(reterr, -EIO,
					"bar%u=host: /sys/bus/pci/devices/%s/resource, which says "
					"where the host has it, can't be read",
					i, p->vd->name);
		read = true;
		if (host[i].size && host[i].unplaced)
			return verr_set(reterr, -EINVAL,
					"bar%u=host: the host has no address for BAR %u", i, i);
		wish[i].at = host[i].addr;
	}
	return 0;
}

int passthru_bars_build(struct passthru *p, struct verr *reterr)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;
	struct bar_facts f = {
		.region = p->vd->region,
		.page_size = (uint64_t)sysconf(_SC_PAGESIZE),
		.msix_to = cfg->msix_to,
		.no_mmap = cfg->x_no_mmap,
		.no_rom = !cfg->rombar,
	};
	struct bar_trap trap[BAR_PLAN_TRAPS];

	int r = check_config(cfg, reterr);
	if (r == 0 && cfg->romfile)
		r = passthru_rom_file(p, cfg->romfile, reterr);
	if (r < 0)
		return r;
	f.rom_file = p->rom.size;
	passthru_cfg_msix(p->vd, &p->msix);
	r = quirks_find(p, reterr);
	if (r < 0)
		return r;
	f.msix = p->msix;
	f.trap = trap;
	f.n_trap = quirks_traps(p, trap, ARRAY_SIZE(trap));
	for (unsigned int i = 0; i < 6; i++) {
		f.reg[i] = vfio_cfg_read(p->vd, PCI_BASE_ADDRESS_0 + 4 * i, 4);
		f.wish[i] = cfg->bar[i];
	}
	r = find_addresses(p, f.wish, reterr);
	if (r == 0)
		r = bar_plan_make(&f, &p->plan, reterr);
	for (unsigned int i = 0; i < PCIDEV_N_BARS && r == 0; i++) {
		if (p->plan.bar[i].kind == PCIBAR_NONE)
			continue;
		r = pcidev_add_bar(&p->pd, i, p->plan.bar[i].kind, p->plan.bar[i].prefetch,
				   p->plan.bar[i].size, reterr);
		p->pd.bar[i].align = p->plan.bar[i].align;
		p->pd.bar[i].fixed = p->plan.bar[i].at;
	}
	return r;
}

/* --- peers ------------------------------------------------------------------------------------ */

struct peers {
	const struct passthru *of;
	const struct vfio_dma *in;
	char names[160]; /* "": none */
};

static int see_peer(void *ctx, struct pcidev *pd)
{
	struct peers *s = ctx;
	const struct passthru *q = pd->dev.type == &vfio_pci_type ? passthru_of(pd) : NULL;
	size_t at = strlen(s->names);

	if (q && q != s->of && q->vd && &q->seat.space->dma == s->in)
		snprintf(s->names + at, sizeof(s->names) - at, "%s%s", at ? ", " : "", q->vd->name);
	return 0;
}

/* The other functions whose DMA goes through `d`. */
static bool find_peers(struct passthru *p, const struct vfio_dma *d, struct peers *ret)
{
	*ret = (struct peers){ .of = p, .in = d };
	pcibus_walk(p->pd.dev.plat->pci0, see_peer, ret);
	return ret->names[0] != '\0';
}

static void describe_peers(struct passthru *p, unsigned int bar, FILE *out)
{
	struct gmem *ram = p->pd.dev.plat->ram;
	const struct pcidev_bar *b = &p->pd.bar[bar];
	struct verr err = { 0 };
	struct peers peers;

	for (struct vfio_dma *d = vfio_dma_next(ram, NULL); d; d = vfio_dma_next(ram, d)) {
		if (!b->placed || vfio_dma_check(d->c, b->placed, b->size, &err) == 0 ||
		    !find_peers(p, d, &peers))
			continue;
		fprintf(out, "    %s can't reach it by DMA (peer-to-peer): %s\n", peers.names,
			err.msg);
		verr_clear(&err);
	}
}

void passthru_bars_describe(struct passthru *p, FILE *out)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;
	const struct msix_place *m = &p->plan.msix;

	for (unsigned int i = 0; i < PCIDEV_ROM; i++) {
		uint64_t mapped = 0;

		if (cfg->bar[i].mode == BAR_HIDE)
			fprintf(out, "  BAR %u: left out (bar%u=hide)\n", i, i);
		if (p->plan.bar[i].kind == PCIBAR_NONE)
			continue;
		for (unsigned int k = 0; k < p->plan.n_pieces; k++)
			if (p->plan.piece[k].bar == i)
				mapped += p->plan.piece[k].size;
		fprintf(out, "  BAR %u: %#" PRIx64 " bytes, %#" PRIx64 " mapped directly%s%s%s%s\n",
			i, p->plan.bar[i].size, MIN(mapped, p->plan.bar[i].size),
			m->n && (m->tbir == i || m->pbir == i) ? ", MSI-X table trapped" : "",
			m->n && m->tbir == i && p->plan.msix_moved ? " (moved here)" : "",
			mapped == 0 && p->plan.bar[i].kind != PCIBAR_IO
				? ", no peer-to-peer DMA to it"
				: "",
			cfg->bar[i].as_host ? ", at its address on the host"
			: p->plan.bar[i].at ? ", at the address given for it"
					    : "");
		if (mapped)
			describe_peers(p, i, out);
	}
}

int passthru_win_open(struct passthru *p, struct verr *reterr)
{
	p->win = calloc(p->plan.n_pieces ? p->plan.n_pieces : 1, sizeof(*p->win));
	if (!p->win)
		return verr_set(reterr, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < p->plan.n_pieces; i++) {
		const struct bar_piece *pc = &p->plan.piece[i];
		struct passthru_win *w = &p->win[i];
		uint64_t align = MIN(p->plan.bar[pc->bar].align, GIB(1));
		void *hva;

		int r = vfio_region_mmap(p->vd, pc->bar, pc->off, pc->size, align, &hva, reterr);
		if (r < 0)
			return verr_prefix(reterr, r, "BAR %u", pc->bar);
		w->bar = pc->bar;
		w->off = pc->off;
		snprintf(w->name, sizeof(w->name), "BAR %u of %s", pc->bar, p->vd->name);
		w->mem.name = w->name;
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

/* A BAR smaller than a page gets the whole of it only where nothing else of the guest's lies. */
static bool has_its_pages(const struct pcidev *pd, unsigned int bar, const struct passthru_win *w)
{
	const struct pcidev_bar *b = &pd->bar[bar];

	return w->off + w->mem.size <= b->size ||
	       aspace_alone(pd->dev.plat->mmio, &b->io, w->mem.gpa, w->mem.size);
}

static void tell_of_window(struct passthru *p, struct passthru_win *w)
{
	struct gmem *ram = p->pd.dev.plat->ram;
	struct peers peers;

	for (struct vfio_dma *d = vfio_dma_next(ram, NULL); d; d = vfio_dma_next(ram, d)) {
		uint32_t bit = BIT32(d->listener.index);

		if (((w->mem.mapped | p->told[w->bar]) & bit) || !find_peers(p, d, &peers))
			continue;
		p->told[w->bar] |= bit;
		guest_warn("%s can't reach %s by DMA (peer-to-peer): %s", peers.names, w->name,
			   d->bar_refusal.msg);
	}
}

static int tell_of_function(void *ctx, struct pcidev *pd)
{
	struct passthru *q = pd->dev.type == &vfio_pci_type ? passthru_of(pd) : NULL;

	(void)ctx;
	for (unsigned int i = 0; q && i < q->n_win; i++)
		if (q->win[i].mem.gmem)
			tell_of_window(q, &q->win[i]);
	return 0;
}

/* A guest that counts on peer-to-peer DMA finds out by garbage: the pair is named, once. */
static void tell_unreachable(struct passthru *p)
{
	struct gmem *ram = p->pd.dev.plat->ram;
	unsigned int refused = 0;

	for (struct vfio_dma *d = vfio_dma_next(ram, NULL); d; d = vfio_dma_next(ram, d))
		refused += d->bars_refused;
	if (refused)
		pcibus_walk(p->pd.dev.plat->pci0, tell_of_function, NULL);
}

void passthru_win_enable(struct pcidev *pd, unsigned int bar)
{
	struct passthru *p = passthru_of(pd);

	for (unsigned int i = 0; i < p->n_win; i++) {
		struct passthru_win *w = &p->win[i];
		struct verr err = { 0 };

		if (w->bar != bar || p->lost || p->win_held)
			continue;
		w->mem.gpa = pd->bar[bar].gpa + w->off;
		if (!has_its_pages(pd, bar, w))
			continue;
		/* Collides with something for the moment (two BARs parked at one address): the trap
		 * behind it answers meanwhile, slower and right. */
		int r = gmem_add(pd->dev.plat->ram, &w->mem, &err);
		T(vfio_window, p->vd->name, bar, w->mem.gpa, w->mem.size, r == 0);
		if (r < 0)
			log_debug("%s: BAR %u stays trapped: %s", p->vd->name, bar, err.msg);
	}
	tell_unreachable(p);
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

void passthru_win_hold(struct passthru *p)
{
	p->win_held = true;
	passthru_win_drop(p);
}

void passthru_win_release(struct passthru *p)
{
	if (!p->win_held)
		return;
	p->win_held = false;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++)
		if (p->pd.bar[i].active)
			p->pd.ops->bar_enable(&p->pd, i);
}
