// SPDX-License-Identifier: GPL-2.0-or-later
// Legacy VGA of an assigned function (x-vga=on): VFIO's VGA region, in which an offset is a legacy
// address, behind the guest's decode (pci/pcivga.h). On the host the kernel's VGA arbiter sends
// each access to this function, whichever has the screen otherwise. Owns nothing.

#include <errno.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/bytes.h"
#include "pci/pcibus.h"
#include "vfio/passthru.h"
#include "vfio/quirks.h"

#define CLASS_VGA 0x0300

static const struct passthru_config *config(const struct passthru *p)
{
	return p->pd.dev.cfg;
}

static int check_region(const struct passthru *p, struct verr *reterr)
{
	const uint32_t rw = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	const struct vfio_region *rg = &p->vd->region[VFIO_PCI_VGA_REGION_INDEX];
	uint32_t class_rev = vfio_cfg_read(p->vd, PCI_CLASS_REVISION, 4);

	if (rg->size > PCIVGA_MEM_LAST && (rg->flags & rw) == rw)
		return 0;
	if (class_rev >> 16 != CLASS_VGA)
		return verr_set(reterr, -ENODEV,
				"x-vga=on is for VGA controllers (class 0300), this is of class "
				"%04x: leave it out",
				class_rev >> 16);
	return verr_set(reterr, -ENODEV,
			"x-vga=on: the host's kernel offers no legacy VGA access: it needs "
			"CONFIG_VFIO_PCI_VGA=y, and vfio-pci without disable_vga=1");
}

int passthru_vga_build(struct passthru *p, struct verr *reterr)
{
	const struct platform *plat = p->pd.dev.plat;

	if (!config(p)->x_vga)
		return 0;
	int r = check_region(p, reterr);
	if (r < 0)
		return r;
	struct pcidev *other = pcivga_find(plat->pci0);
	if (other)
		return verr_set(reterr, -EBUSY,
				"x-vga=on: %s has it already, and a machine has one set of legacy "
				"VGA addresses",
				other->dev.id);
	if (plat->hot && gmem_ptr(plat->ram, PCIVGA_MEM_FIRST, 1))
		return verr_set(reterr, -EBUSY,
				"x-vga=on needs a place in the guest's memory map, which is fixed "
				"once the machine runs: give the device at the start");
	pcidev_add_vga(&p->pd);
	return 0;
}

void passthru_vga_describe(struct passthru *p, FILE *out)
{
	if (p->pd.vga.on)
		fprintf(out, "  legacy VGA: memory 0xa0000-0xbffff, ports 0x3b0-0x3bb and "
			     "0x3c0-0x3df, trapped\n");
}

void passthru_vga_enable(struct pcidev *pd)
{
	passthru_decode(passthru_of(pd));
}

uint64_t passthru_vga_read(struct pcidev *pd, uint32_t addr, unsigned int size)
{
	struct passthru *p = passthru_of(pd);
	uint64_t val = ones(size);

	if (!p->lost && !quirks_bar_read(p, VFIO_PCI_VGA_REGION_INDEX, addr, size, &val))
		val = vfio_region_read(p->vd, VFIO_PCI_VGA_REGION_INDEX, addr, size);
	passthru_intx_touched(p);
	return val;
}

void passthru_vga_write(struct pcidev *pd, uint32_t addr, uint64_t val, unsigned int size)
{
	struct passthru *p = passthru_of(pd);

	if (!p->lost && !quirks_bar_write(p, VFIO_PCI_VGA_REGION_INDEX, addr, val, size))
		vfio_region_write(p->vd, VFIO_PCI_VGA_REGION_INDEX, addr, val, size);
	passthru_intx_touched(p);
}
