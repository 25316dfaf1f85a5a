// SPDX-License-Identifier: GPL-2.0-or-later
// BAR decode: which BARs answer where, from the function's own registers and those of every
// bridge above it (PCI 3.0 6.2.5, PCI-to-PCI Bridge 1.2 4.2-4.5). Owns the trap regions in the
// address spaces, and takes accesses to the MSI-X table and PBA out of them.
#define LOG_TAG "pci/bar"
#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/trace.h"
#include "pci/pcibus.h"
#include "pci/pcidev.h"

#define SMALL_PAGE UINT64_C(4096)

bool pcidev_is_bridge(const struct pcidev *pd)
{
	return (pd->cfg.val[PCI_HEADER_TYPE] & 0x7f) == PCI_HEADER_TYPE_BRIDGE;
}

unsigned int pcidev_bar_reg(const struct pcidev *pd, unsigned int bar)
{
	if (bar != PCIDEV_ROM)
		return PCI_BASE_ADDRESS_0 + 4 * bar;
	return pcidev_is_bridge(pd) ? PCI_ROM_ADDRESS1 : PCI_ROM_ADDRESS;
}

/* ---- decode ---------------------------------------------------------------------------------- */

bool pcidev_decodes(const struct pcidev *pd, bool io)
{
	uint64_t command = pcicfg_get(&pd->cfg, PCI_COMMAND, 2);
	if ((command & (io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY)) == 0)
		return false;
	return pd->pm_off == 0 ||
	       (pcicfg_get(&pd->cfg, pd->pm_off + PCI_PM_CTRL, 2) & PCI_PM_CTRL_STATE_MASK) == 0;
}

static bool in_io_window(const struct pcidev *br, struct range r)
{
	uint64_t base = pcicfg_get(&br->cfg, PCI_IO_BASE, 1);
	uint64_t limit = pcicfg_get(&br->cfg, PCI_IO_LIMIT, 1);
	return r.first >= (base & 0xf0) << 8 && r.last <= ((limit & 0xf0) << 8 | 0xfff);
}

static bool in_mem_window(const struct pcidev *br, struct range r)
{
	uint64_t base = pcicfg_get(&br->cfg, PCI_MEMORY_BASE, 2);
	uint64_t limit = pcicfg_get(&br->cfg, PCI_MEMORY_LIMIT, 2);
	return r.first >= (base & 0xfff0) << 16 && r.last <= ((limit & 0xfff0) << 16 | 0xfffff);
}

static bool in_pref_window(const struct pcidev *br, struct range r)
{
	uint64_t base = pcicfg_get(&br->cfg, PCI_PREF_MEMORY_BASE, 2);
	uint64_t limit = pcicfg_get(&br->cfg, PCI_PREF_MEMORY_LIMIT, 2);
	base = (base & 0xfff0) << 16 | pcicfg_get(&br->cfg, PCI_PREF_BASE_UPPER32, 4) << 32;
	limit = (limit & 0xfff0) << 16 | pcicfg_get(&br->cfg, PCI_PREF_LIMIT_UPPER32, 4) << 32;
	return r.first >= base && r.last <= (limit | 0xfffff);
}

static bool by_vga_enable(const struct pcidev *br, bool io, struct range r)
{
	return (pcicfg_get(&br->cfg, PCI_BRIDGE_CONTROL, 2) & PCI_BRIDGE_CTL_VGA) != 0 &&
	       pcivga_covers(io, r);
}

static bool by_window(const struct pcidev *br, bool io, struct range r)
{
	return io ? in_io_window(br, r) : in_mem_window(br, r) || in_pref_window(br, r);
}

bool pcidev_reachable(const struct pcidev *pd, bool io, struct range r)
{
	for (const struct pcibus *b = pd->bus; b != NULL; b = b->bridge->bus) {
		const struct pcidev *br = b->bridge;
		if (br == NULL)
			return true;
		if (b->off || !pcidev_decodes(br, io))
			return false;
		if (!by_window(br, io, r) && !by_vga_enable(br, io, r))
			return false;
	}
	return false; /* not on a bus, or above it something is not */
}

/* Where the register says the BAR is; false while it says nowhere. */
static bool bar_address(const struct pcidev *pd, unsigned int bar, struct range *ret)
{
	const struct pcidev_bar *b = &pd->bar[bar];
	uint64_t reg = pcicfg_get(&pd->cfg, pcidev_bar_reg(pd, bar), 4);
	uint64_t last_valid = UINT32_MAX - 1; /* all ones is what sizing leaves there */
	switch (b->kind) {
	case PCIBAR_NONE:
		return false;
	case PCIBAR_IO:
		reg &= PCI_BASE_ADDRESS_IO_MASK & UINT32_MAX;
		last_valid = 0xffff;
		break;
	case PCIBAR_MEM32:
		reg &= PCI_BASE_ADDRESS_MEM_MASK & UINT32_MAX;
		break;
	case PCIBAR_MEM64:
		reg &= PCI_BASE_ADDRESS_MEM_MASK & UINT32_MAX;
		reg |= pcicfg_get(&pd->cfg, pcidev_bar_reg(pd, bar) + 4, 4) << 32;
		if (reg >> 32 != 0)
			last_valid = UINT64_MAX - 1;
		break;
	case PCIBAR_ROM:
		if ((reg & PCI_ROM_ADDRESS_ENABLE) == 0)
			return false;
		reg &= PCI_ROM_ADDRESS_MASK & UINT32_MAX;
		break;
	}
	/* Address 0 is "not assigned" to every operating system, and guest RAM to us. */
	return reg != 0 && range_make(reg, b->size, ret) && ret->last <= last_valid;
}

static bool wanted(const struct pcidev *pd, unsigned int bar, uint64_t *ret_gpa)
{
	struct range r;
	bool io = pd->bar[bar].kind == PCIBAR_IO;
	if (pd->bus == NULL || !pcidev_decodes(pd, io) || !bar_address(pd, bar, &r) ||
	    !pcidev_reachable(pd, io, r))
		return false;
	*ret_gpa = r.first;
	return true;
}

/* ---- mapping --------------------------------------------------------------------------------- */

/* Several small BARs may lie in one page. Whoever has more than its trap there (a page can't be
 * given away in parts) judges anew as one comes or goes. */
struct in_page {
	uint64_t page;
	const struct pcidev_bar *but;
};

static bool is_small(const struct pcidev_bar *b)
{
	return b->size < SMALL_PAGE && b->kind != PCIBAR_IO;
}

static int judge_anew(void *ctx, struct pcidev *pd)
{
	const struct in_page *in = ctx;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		const struct pcidev_bar *b = &pd->bar[i];
		if (b == in->but || !b->active || !is_small(b) ||
		    ALIGN_DOWN(b->gpa, SMALL_PAGE) != in->page)
			continue;
		if (pd->ops->bar_disable != NULL)
			pd->ops->bar_disable(pd, i);
		if (pd->ops->bar_enable != NULL)
			pd->ops->bar_enable(pd, i);
	}
	return 0;
}

static void page_changed(struct pcidev *pd, const struct pcidev_bar *b)
{
	struct in_page in = { ALIGN_DOWN(b->gpa, SMALL_PAGE), b };
	if (is_small(b))
		pcibus_walk(pcibus_root(pd->bus), judge_anew, &in);
}

static void drop(struct pcidev *pd, unsigned int bar)
{
	struct pcidev_bar *b = &pd->bar[bar];
	b->stale = false;
	if (!b->active)
		return;
	if (pd->ops->bar_disable != NULL)
		pd->ops->bar_disable(pd, bar);
	aspace_unmap(&b->io);
	b->active = false;
	page_changed(pd, b);
	T(pci_bar_unmap, pd->dev.id, bar, b->gpa);
}

static void map(struct pcidev *pd, unsigned int bar, uint64_t gpa)
{
	struct pcidev_bar *b = &pd->bar[bar];
	struct pcibus *root = pcibus_root(pd->bus);
	struct verr err = { 0 };
	/* Beyond the guest's physical addresses: nothing answers there on a real machine either. */
	if (aspace_map(b->kind == PCIBAR_IO ? root->pio : root->mmio, &b->io, gpa, b->size, &err) <
	    0) {
		log_debug("%s BAR %u: %s", pd->dev.id, bar, err.msg);
		return;
	}
	b->gpa = gpa;
	b->active = true;
	page_changed(pd, b);
	T(pci_bar_map, pd->dev.id, bar, gpa, b->size);
	if (pd->ops->bar_enable != NULL)
		pd->ops->bar_enable(pd, bar);
}

static void each_behind(struct pcidev *pd, void (*fn)(struct pcidev *pd))
{
	for (unsigned int i = 0; pd->secondary != NULL && i < ARRAY_SIZE(pd->secondary->fn); i++)
		if (pd->secondary->fn[i] != NULL)
			fn(pd->secondary->fn[i]);
}

void pcidev_bars_drop(struct pcidev *pd)
{
	each_behind(pd, pcidev_bars_drop);
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++)
		drop(pd, i);
	pcivga_drop(pd);
}

void pcidev_bars_mark(struct pcidev *pd)
{
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		struct pcidev_bar *b = &pd->bar[i];
		uint64_t gpa = 0;
		b->stale = b->active && !(wanted(pd, i, &gpa) && gpa == b->gpa);
	}
	each_behind(pd, pcidev_bars_mark);
}

void pcidev_bars_drop_marked(struct pcidev *pd)
{
	each_behind(pd, pcidev_bars_drop_marked);
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++)
		if (pd->bar[i].stale)
			drop(pd, i);
}

static void map_wanted(struct pcidev *pd)
{
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		uint64_t gpa;
		if (!pd->bar[i].active && wanted(pd, i, &gpa))
			map(pd, i, gpa);
	}
	pcivga_update(pd);
	each_behind(pd, map_wanted);
}

/* All that goes goes before anything comes, so that BARs may change places. */
void pcidev_bars_update(struct pcidev *pd)
{
	pcidev_bars_mark(pd);
	pcidev_bars_drop_marked(pd);
	map_wanted(pd);
}

/* ---- trapped accesses ------------------------------------------------------------------------ */

enum part { PART_DEVICE, PART_TABLE, PART_PBA, PART_MIXED };

static enum part part_in(uint64_t off, unsigned int size, uint64_t start, uint64_t len,
			 enum part which)
{
	if (off + size <= start || off >= start + len)
		return PART_DEVICE;
	return off >= start && off + size <= start + len ? which : PART_MIXED;
}

static enum part part_of(const struct pcidev *pd, unsigned int bar, uint64_t off, unsigned int size)
{
	const struct msix *m = pd->msix;
	enum part p = PART_DEVICE;
	if (m == NULL)
		return p;
	if (bar == pd->msix_tbir)
		p = part_in(off, size, pd->msix_toff, MSIX_TABLE_SIZE(m->n), PART_TABLE);
	if (p == PART_DEVICE && bar == pd->msix_pbir)
		p = part_in(off, size, pd->msix_poff, MSIX_PBA_SIZE(m->n), PART_PBA);
	return p;
}

static uint64_t trap_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pcidev_bar *b = opaque;
	struct pcidev *pd = b->pd;
	unsigned int bar = (unsigned int)(b - pd->bar);
	unsigned int half = size / 2;
	switch (part_of(pd, bar, off, size)) {
	case PART_TABLE:
		return msix_table_read(pd->msix, off - pd->msix_toff, size);
	case PART_PBA:
		return msix_pba_read(pd->msix, off - pd->msix_poff, size);
	case PART_MIXED:
		return trap_read(opaque, off, half) | trap_read(opaque, off + half, half)
							      << (8 * half);
	case PART_DEVICE:
		break;
	}
	if (pd->ops->bar_read == NULL)
		return ones(size);
	return pd->ops->bar_read(pd, bar, off, size) & ones(size);
}

static void trap_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct pcidev_bar *b = opaque;
	struct pcidev *pd = b->pd;
	unsigned int bar = (unsigned int)(b - pd->bar);
	unsigned int half = size / 2;
	switch (part_of(pd, bar, off, size)) {
	case PART_TABLE:
		msix_table_write(pd->msix, off - pd->msix_toff, val, size);
		return;
	case PART_PBA: /* read-only (PCI 3.0 6.8.2.10) */
		return;
	case PART_MIXED:
		trap_write(opaque, off, val & ones(half), half);
		trap_write(opaque, off + half, val >> (8 * half), half);
		return;
	case PART_DEVICE:
		break;
	}
	if (pd->ops->bar_write != NULL)
		pd->ops->bar_write(pd, bar, off, val & ones(size), size);
}

static const struct io_region_ops trap_ops = { .read = trap_read, .write = trap_write };

void pcibar_trap_init(struct pcidev_bar *b)
{
	b->io = (struct io_region){ .name = b->pd->dev.id, .ops = &trap_ops, .opaque = b };
}
