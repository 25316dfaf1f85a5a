// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration space that a device shows a second time inside a BAR: as a range of registers (a
// mirror), or behind an address and a data register (a window). A guest's driver would find the
// host's BAR addresses and interrupt set-up there, and its writes would change them; the mirror
// therefore answers with the guest's own configuration space. Owns nothing.

#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "vfio/quirks_int.h"

/* NVIDIA: envytools' hwdocs, PCI space in BAR 0 (PPCI) and the ports of BAR 5. */
#define NV_BAR0_CONFIG	  0x88000
#define NV_BAR0_CONFIG_G7 0x1800 /* NV4x and older; seen through the ports alone */
#define NV_BAR5_MASTER	  0x0
#define NV_BAR5_ENABLE	  0x4
#define NV_BAR5_ADDR	  0x8
#define NV_BAR5_DATA	  0xc
#define ATI_CONFIG	  0x4000
#define ATI_BAR4_ADDR	  0x0
#define ATI_BAR4_DATA	  0x4

bool quirk_nvidia_bar0(struct quirk *q)
{
	if (quirk_bar_is_io(q, 0) || quirk_bar_size(q, 0) < NV_BAR0_CONFIG + PCICFG_SIZE)
		return false;
	quirk_trap(q, 0, NV_BAR0_CONFIG, PCICFG_SIZE);
	return true;
}

bool quirk_nvidia_bar5(struct quirk *q)
{
	if (!quirk_bar_is_io(q, 5) || quirk_bar_size(q, 5) < NV_BAR5_DATA + 4)
		return false;
	quirk_trap(q, 5, 0, NV_BAR5_DATA + 4);
	return true;
}

/* Cards up to the HD 7000s have their registers in a 64-bit BAR 2. Those after have doorbells
 * there, which no guest would thank us for trapping, and registers in BAR 5. */
static bool ati_registers_in_bar2(const struct quirk *q)
{
	return quirk_bar_is_mem64(q, 2) && quirk_bar_size(q, 5) == 0 &&
	       quirk_bar_size(q, 2) >= ATI_CONFIG + PCI_CFG_SPACE_SIZE;
}

bool quirk_ati_bar2(struct quirk *q)
{
	if (!ati_registers_in_bar2(q))
		return false;
	quirk_trap(q, 2, ATI_CONFIG, PCI_CFG_SPACE_SIZE);
	return true;
}

bool quirk_ati_bar4(struct quirk *q)
{
	if (!ati_registers_in_bar2(q) || !quirk_bar_is_io(q, 4) ||
	    quirk_bar_size(q, 4) < ATI_BAR4_DATA + 4)
		return false;
	quirk_trap(q, 4, 0, ATI_BAR4_DATA + 4);
	return true;
}

/* ---- configuration space of the guest ------------------------------------------------------- */

static uint64_t config_read(struct quirk *q, unsigned int off, unsigned int size)
{
	struct pcidev *pd = &q->p->pd;

	if (size <= 4)
		return pcidev_cfg_read(pd, off, size);
	return pcidev_cfg_read(pd, off, 4) | (uint64_t)pcidev_cfg_read(pd, off + 4, 4) << 32;
}

static void config_write(struct quirk *q, unsigned int off, uint64_t val, unsigned int size)
{
	struct pcidev *pd = &q->p->pd;

	pcidev_cfg_write(pd, off, (uint32_t)val, MIN(size, 4u));
	if (size > 4)
		pcidev_cfg_write(pd, off + 4, (uint32_t)(val >> 32), 4);
}

/* ---- mirrors -------------------------------------------------------------------------------- */

/* The hardware's register is read as well: some count it as an acknowledgement. */
uint64_t quirk_mirror_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size)
{
	quirk_hw_read(q, bar, off, size);
	return config_read(q, (unsigned int)(off - q->trap[0].off), size);
}

void quirk_mirror_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			unsigned int size)
{
	(void)bar;
	config_write(q, (unsigned int)(off - q->trap[0].off), val, size);
}

/* The driver acknowledges an MSI by writing to the capability's header, which is read-only, in the
 * mirror. Only that reaches the hardware. */
void quirk_nvidia_mirror_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			       unsigned int size)
{
	const struct msi *msi = q->p->pd.msi;
	unsigned int reg = (unsigned int)(off - q->trap[0].off);

	config_write(q, reg, val, size);
	if (msi && reg >= msi->off && reg + size <= msi->off + (unsigned int)PCI_MSI_FLAGS)
		quirk_hw_write(q, bar, off, val, size);
}

/* ---- windows -------------------------------------------------------------------------------- */

static bool is_nvidia(const struct quirk *q)
{
	return q->type->row.vendor == QUIRK_PCI_NVIDIA;
}

static bool matches(struct quirk_window *w, uint32_t base, uint32_t size)
{
	if (w->addr < base || w->addr - base >= size)
		return false;
	w->match = (w->addr - base) & ~3u;
	return true;
}

static void address_written(struct quirk *q)
{
	struct quirk_window *w = &q->u.window;

	if (is_nvidia(q))
		w->open = (w->master & w->enable & 1) &&
			  (matches(w, NV_BAR0_CONFIG, PCICFG_SIZE) ||
			   matches(w, NV_BAR0_CONFIG_G7, PCI_CFG_SPACE_SIZE));
	else
		w->open = matches(w, ATI_CONFIG, PCI_CFG_SPACE_SIZE);
}

static unsigned int data_reg(const struct quirk *q)
{
	return is_nvidia(q) ? NV_BAR5_DATA : ATI_BAR4_DATA;
}

/* An access of 8 bytes is two of the 4-byte registers. */
uint64_t quirk_window_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size)
{
	struct quirk_window *w = &q->u.window;

	if (size == 8)
		return quirk_window_read(q, bar, off, 4) | quirk_window_read(q, bar, off + 4, 4)
								   << 32;
	uint64_t val = quirk_hw_read(q, bar, off, size);

	if (!w->open || (off & ~UINT64_C(3)) != data_reg(q))
		return val;
	return config_read(q, w->match + (unsigned int)(off & 3), size);
}

void quirk_window_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			unsigned int size)
{
	struct quirk_window *w = &q->u.window;
	unsigned int reg = (unsigned int)off & ~3u, at = (unsigned int)off & 3;

	if (size == 8) {
		quirk_window_write(q, bar, off, val & UINT32_MAX, 4);
		quirk_window_write(q, bar, off + 4, val >> 32, 4);
		return;
	}
	if (reg == data_reg(q)) {
		if (w->open)
			config_write(q, w->match + at, val, size);
		else
			quirk_hw_write(q, bar, off, val, size);
		return;
	}
	quirk_hw_write(q, bar, off, val, size);
	if (!is_nvidia(q) || reg == NV_BAR5_ADDR)
		w->addr = quirk_merge(w->addr, at, val, size);
	else if (reg == NV_BAR5_MASTER)
		w->master = quirk_merge(w->master, at, val, size);
	else
		w->enable = quirk_merge(w->enable, at, val, size);
	address_written(q);
}

void quirk_window_reset(struct quirk *q)
{
	q->u.window = (struct quirk_window){ 0 };
}
