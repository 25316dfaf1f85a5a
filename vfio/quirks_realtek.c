// SPDX-License-Identifier: GPL-2.0-or-later
// Realtek RTL8168: its MSI-X table can be reached through two registers of BAR 2 as well, and the
// vendor's drivers set it up that way. Address register 0x74: bits 30:16 choose what is addressed
// (1: the table), bits 11:0 the byte, bit 31 starts a write; it flips when the access is done.
// Data register 0x70. The table behind them is the guest's, as that of the MSI-X BAR is; such
// accesses never reach the hardware's table. Owns nothing.

#include "core/bytes.h"
#include "vfio/quirks_int.h"

#define RTL_BAR	      2
#define RTL_DATA      0x70
#define RTL_ADDR      0x74
#define RTL_WRITE     0x80000000u
#define RTL_TYPE_MASK 0x7fff0000u
#define RTL_TYPE_MSIX 0x00010000u
#define RTL_OFFSET    0x00000fffu

bool quirk_rtl8168(struct quirk *q)
{
	if (q->p->msix.n == 0 || quirk_bar_is_io(q, RTL_BAR) ||
	    quirk_bar_size(q, RTL_BAR) < RTL_ADDR + 4)
		return false;
	quirk_trap(q, RTL_BAR, RTL_DATA, 8);
	return true;
}

static uint32_t read_reg(struct quirk *q, unsigned int reg)
{
	uint32_t val = (uint32_t)quirk_hw_read(q, RTL_BAR, reg, 4);

	if (!q->u.rtl.table)
		return val;
	if (reg == RTL_ADDR)
		return q->u.rtl.addr ^ RTL_WRITE; /* done */
	if (!q->p->pd.msix)
		return val;
	return (uint32_t)msix_table_read(q->p->pd.msix, q->u.rtl.addr & RTL_OFFSET & ~3u, 4);
}

uint64_t quirk_rtl8168_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size)
{
	unsigned int at = (unsigned int)off & 3;

	(void)bar;
	if (size == 8)
		return read_reg(q, RTL_DATA) | (uint64_t)read_reg(q, RTL_ADDR) << 32;
	return read_reg(q, (unsigned int)off & ~3u) >> (8 * at);
}

static void write_addr(struct quirk *q, uint32_t val, uint64_t off, uint64_t raw, unsigned int size)
{
	q->u.rtl.addr = val;
	q->u.rtl.table = (val & RTL_TYPE_MASK) == RTL_TYPE_MSIX;
	if (q->u.rtl.table && (val & RTL_WRITE)) {
		if (q->p->pd.msix)
			msix_table_write(q->p->pd.msix, val & RTL_OFFSET & ~3u, q->u.rtl.data, 4);
		return; /* the hardware's table is the host's */
	}
	quirk_hw_write(q, RTL_BAR, off, raw, size);
}

void quirk_rtl8168_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
			 unsigned int size)
{
	unsigned int at = (unsigned int)off & 3;

	if (size == 8) {
		quirk_rtl8168_write(q, bar, RTL_DATA, val & UINT32_MAX, 4);
		quirk_rtl8168_write(q, bar, RTL_ADDR, val >> 32, 4);
		return;
	}
	if ((off & ~UINT64_C(3)) == RTL_ADDR) {
		write_addr(q, quirk_merge(q->u.rtl.addr, at, val, size), off, val, size);
		return;
	}
	q->u.rtl.data = quirk_merge(q->u.rtl.data, at, val, size);
	quirk_hw_write(q, RTL_BAR, off, val, size);
}

void quirk_rtl8168_reset(struct quirk *q)
{
	q->u.rtl.addr = q->u.rtl.data = 0;
	q->u.rtl.table = false;
}
