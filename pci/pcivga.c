// SPDX-License-Identifier: GPL-2.0-or-later
// Legacy VGA decode (see the header). Owns the trap regions in the address spaces; what answers is
// the function's. Aliases by the ports' upper six bits are nobody's: VGA cards of PCI need none,
// and 16-bit decode has them free for others.
#define LOG_TAG "pci/vga"
#include "pci/pcivga.h"

#include "core/bytes.h"
#include "core/log.h"
#include "core/trace.h"
#include "pci/pcibus.h"
#include "pci/pcidev.h"

static const struct {
	bool io;
	struct range at;
} parts[PCIVGA_PARTS] = {
	{ false, { PCIVGA_MEM_FIRST, PCIVGA_MEM_LAST } },
	{ true, { 0x3b0, 0x3bb } },
	{ true, { 0x3c0, 0x3df } },
};

bool pcivga_covers(bool io, struct range r)
{
	for (unsigned int i = 0; i < PCIVGA_PARTS; i++)
		if (parts[i].io == io && range_contains(parts[i].at, r))
			return true;
	return false;
}

static int decodes_vga(void *ctx, struct pcidev *pd)
{
	if (pd->vga.on)
		*(struct pcidev **)ctx = pd;
	return pd->vga.on;
}

struct pcidev *pcivga_find(struct pcibus *root)
{
	struct pcidev *pd = NULL;
	pcibus_walk(root, decodes_vga, &pd);
	return pd;
}

/* ---- trapped accesses ------------------------------------------------------------------------ */

static uint64_t vga_read(void *opaque, uint64_t off, unsigned int size)
{
	struct pcivga_part *part = opaque;
	struct pcidev *pd = part->pd;
	if (pd->ops->vga_read == NULL)
		return ones(size);
	return pd->ops->vga_read(pd, (uint32_t)(part->io.base + off), size) & ones(size);
}

static void vga_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct pcivga_part *part = opaque;
	struct pcidev *pd = part->pd;
	if (pd->ops->vga_write != NULL)
		pd->ops->vga_write(pd, (uint32_t)(part->io.base + off), val & ones(size), size);
}

static const struct io_region_ops vga_ops = { .read = vga_read, .write = vga_write };

void pcidev_add_vga(struct pcidev *pd)
{
	pd->vga.on = true;
	for (unsigned int i = 0; i < PCIVGA_PARTS; i++) {
		struct pcivga_part *part = &pd->vga.part[i];
		part->pd = pd;
		part->io =
			(struct io_region){ .name = pd->dev.id, .ops = &vga_ops, .opaque = part };
	}
}

/* ---- decode ---------------------------------------------------------------------------------- */

static void map(struct pcidev *pd, unsigned int i)
{
	struct pcibus *root = pcibus_root(pd->bus);
	struct range at = parts[i].at;
	struct verr err = { 0 };
	if (aspace_map(parts[i].io ? root->pio : root->mmio, &pd->vga.part[i].io, at.first,
		       range_size(at), &err) < 0) {
		log_debug("%s VGA: %s", pd->dev.id, err.msg);
		return;
	}
	T(pci_vga_map, pd->dev.id, at.first, range_size(at));
	if (pd->ops->vga_enable != NULL)
		pd->ops->vga_enable(pd);
}

static void unmap(struct pcidev *pd, unsigned int i)
{
	struct io_region *io = &pd->vga.part[i].io;
	if (io->as == NULL)
		return;
	aspace_unmap(io);
	T(pci_vga_unmap, pd->dev.id, parts[i].at.first);
}

void pcivga_drop(struct pcidev *pd)
{
	for (unsigned int i = 0; i < PCIVGA_PARTS; i++)
		unmap(pd, i);
}

void pcivga_update(struct pcidev *pd)
{
	for (unsigned int i = 0; pd->vga.on && i < PCIVGA_PARTS; i++) {
		bool mapped = pd->vga.part[i].io.as != NULL;
		bool wanted = pd->bus != NULL && pcidev_decodes(pd, parts[i].io) &&
			      pcidev_reachable(pd, parts[i].io, parts[i].at);
		if (wanted && !mapped)
			map(pd, i);
		else if (!wanted)
			unmap(pd, i);
	}
}
