// SPDX-License-Identifier: GPL-2.0-or-later
// Configuration space that a card shows through its legacy VGA ports (x-vga=on): a way for a BIOS
// to find the card's BARs before it can reach them. What it finds there are the host's addresses,
// so the answer is the guest's. Owns nothing.

#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/bytes.h"
#include "vfio/quirks_int.h"

#define VGA_PORTS VFIO_PCI_VGA_REGION_INDEX /* stands for a BAR: offsets are port numbers */

/* NVIDIA's real-mode access: register 38 of the CRT controller says what the four ports at 3d0 are:
 * the address of a register in BAR 0, or its data to read or to write. */
#define NV_DATA	       0x3d0
#define NV_CRTC_INDEX  0x3d4
#define NV_CRTC_DATA   0x3d5
#define NV_RMA	       0x38
#define NV_RMA_ADDRESS 0x03
#define NV_RMA_READ    0x05
#define NV_RMA_WRITE   0x07
#define NV_CONFIG      0x88000
#define NV_CONFIG_G7   0x1800 /* NV4x and older */

/* ATI: the I/O BAR's bits 15 to 8. */
#define ATI_PORT_BASE 0x3c3
#define ATI_PORT_BAR  4

static bool has_ports(const struct quirk *q)
{
	const struct passthru_config *cfg = q->p->pd.dev.cfg;

	return cfg->x_vga && quirk_bar_size(q, VGA_PORTS) > 0;
}

bool quirk_nvidia_vga(struct quirk *q)
{
	if (has_ports(q))
		quirk_trap(q, VGA_PORTS, NV_DATA, 8);
	return has_ports(q);
}

/* Where the data ports lead in configuration space; -1: elsewhere. */
static int nvidia_config(const struct quirk *q, unsigned int off, uint8_t mode)
{
	uint32_t addr = q->u.rma.addr & ~3u;

	if (off >= NV_CRTC_INDEX || q->u.rma.mode != mode)
		return -1;
	if (addr >= NV_CONFIG && addr - NV_CONFIG < PCICFG_SIZE)
		return (int)(addr - NV_CONFIG + (off & 3));
	if (addr >= NV_CONFIG_G7 && addr - NV_CONFIG_G7 < PCI_CFG_SPACE_SIZE)
		return (int)(addr - NV_CONFIG_G7 + (off & 3));
	return -1;
}

uint64_t quirk_nvidia_vga_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size)
{
	int at = nvidia_config(q, (unsigned int)off, NV_RMA_READ);
	uint64_t val = quirk_hw_read(q, bar, off, size);

	return at < 0 || size > 4 ? val : pcidev_cfg_read(&q->p->pd, (unsigned int)at, size);
}

static void crtc_written(struct quirk *q, unsigned int port, uint8_t val)
{
	if (port == NV_CRTC_INDEX)
		q->u.rma.index = val;
	else if (port == NV_CRTC_DATA && q->u.rma.index == NV_RMA)
		q->u.rma.mode = val;
}

void quirk_nvidia_vga_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			    unsigned int size)
{
	unsigned int port = (unsigned int)off;
	int at = nvidia_config(q, port, NV_RMA_WRITE);

	if (at >= 0 && size <= 4) {
		pcidev_cfg_write(&q->p->pd, (unsigned int)at, (uint32_t)val, size);
		return;
	}
	if (port < NV_CRTC_INDEX && q->u.rma.mode == NV_RMA_ADDRESS)
		q->u.rma.addr = quirk_merge(q->u.rma.addr, port & 3, val, size);
	for (unsigned int i = 0; i < size; i++)
		crtc_written(q, port + i, (uint8_t)(val >> (8 * i)));
	quirk_hw_write(q, bar, off, val, size);
}

void quirk_nvidia_vga_reset(struct quirk *q)
{
	memset(&q->u.rma, 0, sizeof(q->u.rma));
}

bool quirk_ati_vga(struct quirk *q)
{
	if (!has_ports(q) || !quirk_bar_is_io(q, ATI_PORT_BAR) ||
	    quirk_bar_size(q, ATI_PORT_BAR) < 256)
		return false;
	quirk_trap(q, VGA_PORTS, ATI_PORT_BASE, 1);
	return true;
}

uint64_t quirk_ati_vga_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size)
{
	(void)bar;
	(void)off;
	(void)size;
	return pcidev_cfg_read(&q->p->pd, PCI_BASE_ADDRESS_0 + 4 * ATI_PORT_BAR + 1, 1);
}
