// SPDX-License-Identifier: GPL-2.0-or-later
// The guest player's PCI driver: what an operating system does to functions, by accesses alone.
// Knows the specification's registers (linux/pci_regs.h), nothing of how the machine has them.
#include <string.h>

#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "tests/guest/guest.h"
#include "tests/guest/guest_int.h"

#define DEVFN(dev, fn) ((uint8_t)((dev) << 3 | (fn)))

/* --- configuration space ---------------------------------------------------------------------- */

static uint64_t ecam(struct guest_fn f, unsigned int off)
{
	return f.g->m->layout.ecam_base + ((uint64_t)f.bus << 20) + ((uint64_t)f.devfn << 12) + off;
}

uint32_t guest_cfg(struct guest_fn f, unsigned int off, unsigned int size)
{
	return (uint32_t)guest_read(f.g, ecam(f, off), size);
}

void guest_cfg_set(struct guest_fn f, unsigned int off, uint32_t val, unsigned int size)
{
	guest_write(f.g, ecam(f, off), val, size);
}

static void cf8_address(struct guest_fn f, unsigned int off)
{
	guest_out(f.g, 0xcf8,
		  0x80000000u | (uint32_t)f.bus << 16 | (uint32_t)f.devfn << 8 | (off & 0xfcu), 4);
}

uint32_t guest_cf8(struct guest_fn f, unsigned int off, unsigned int size)
{
	cf8_address(f, off);
	return guest_in(f.g, (uint16_t)(0xcfc + off % 4), size);
}

void guest_cf8_set(struct guest_fn f, unsigned int off, uint32_t val, unsigned int size)
{
	cf8_address(f, off);
	guest_out(f.g, (uint16_t)(0xcfc + off % 4), val, size);
}

void guest_command(struct guest_fn f, uint16_t set, uint16_t clear)
{
	uint32_t now = guest_cfg(f, PCI_COMMAND, 2);
	guest_cfg_set(f, PCI_COMMAND, (now & ~(uint32_t)clear) | set, 2);
}

/* --- enumeration ------------------------------------------------------------------------------ */

struct scan {
	struct guest_fn *ret;
	unsigned int max, n;
};

static void scan_bus(struct guest *g, struct scan *s, unsigned int bus);

static void scan_fn(struct guest_fn f, struct scan *s)
{
	if (s->n < s->max)
		s->ret[s->n] = f;
	s->n++;
	if ((guest_cfg(f, PCI_HEADER_TYPE, 1) & 0x7f) != PCI_HEADER_TYPE_BRIDGE)
		return;
	unsigned int below = guest_cfg(f, PCI_SECONDARY_BUS, 1);
	if (below <= f.bus)
		guest_bug("bridge %02x:%02x.%x leads to bus %u", f.bus, f.devfn >> 3, f.devfn & 7,
			  below);
	scan_bus(f.g, s, below);
}

static void scan_bus(struct guest *g, struct scan *s, unsigned int bus)
{
	for (unsigned int dev = 0; dev < 32; dev++) {
		unsigned int fns = 1;
		for (unsigned int fn = 0; fn < fns; fn++) {
			struct guest_fn f = { g, (uint8_t)bus, DEVFN(dev, fn) };
			if (guest_cfg(f, PCI_VENDOR_ID, 2) == 0xffff)
				continue;
			if (fn == 0 && (guest_cfg(f, PCI_HEADER_TYPE, 1) & 0x80))
				fns = 8;
			scan_fn(f, s);
		}
	}
}

unsigned int guest_enumerate(struct guest *g, struct guest_fn *ret, unsigned int max)
{
	struct scan s = { ret, max, 0 };
	scan_bus(g, &s, 0);
	return s.n;
}

struct guest_fn guest_find(struct guest *g, uint16_t vendor, uint16_t device, unsigned int nth)
{
	struct guest_fn f[256];
	unsigned int n = MIN(guest_enumerate(g, f, ARRAY_SIZE(f)), (unsigned int)ARRAY_SIZE(f));
	for (unsigned int i = 0; i < n; i++)
		if (guest_cfg(f[i], PCI_VENDOR_ID, 4) == ((uint32_t)device << 16 | vendor) &&
		    nth-- == 0)
			return f[i];
	guest_bug("no function %04x:%04x on any bus", vendor, device);
}

struct pcidev *guest_pcidev(struct guest_fn f)
{
	return pcibus_lookup(&f.g->m->pci0, f.bus, f.devfn);
}

/* --- capabilities ----------------------------------------------------------------------------- */

/* Visits at most 48 or 960; each dword at most once. The offset found, 0, or -1: broken. */
static int walk_std(struct guest_fn f, int id, unsigned int *ret_n)
{
	uint8_t seen[256] = { 0 };
	unsigned int n = 0;
	if (!(guest_cfg(f, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST))
		return 0;
	for (unsigned int at = guest_cfg(f, PCI_CAPABILITY_LIST, 1); at; n++) {
		if (at < 0x40 || at % 4 || n > 48 || seen[at]++)
			return -1;
		int this_id = (int)guest_cfg(f, at, 1);
		if (this_id == 0xff)
			return -1;
		if (this_id == id)
			return (int)at;
		at = guest_cfg(f, at + 1, 1);
	}
	if (ret_n)
		*ret_n = n;
	return 0;
}

static int walk_ext(struct guest_fn f, int id, unsigned int *ret_n)
{
	uint8_t seen[4096] = { 0 };
	unsigned int n = 0;
	uint32_t head = guest_cfg(f, 0x100, 4);
	if (head == 0 || head == UINT32_MAX)
		return 0;
	for (unsigned int at = 0x100; at; n++) {
		if (at < 0x100 || at % 4 || n > 960 || seen[at]++)
			return -1;
		uint32_t h = guest_cfg(f, at, 4);
		if (h == UINT32_MAX)
			return -1;
		if (id >= 0 && (int)(h & 0xffff) == id)
			return (int)at;
		at = h >> 20;
	}
	if (ret_n)
		*ret_n = n;
	return 0;
}

unsigned int guest_cap(struct guest_fn f, uint8_t id)
{
	int at = walk_std(f, id, NULL);
	if (at < 0)
		guest_bug("the capability list of %02x:%02x.%x is broken", f.bus, f.devfn >> 3,
			  f.devfn & 7);
	return (unsigned int)at;
}

unsigned int guest_ecap(struct guest_fn f, uint16_t id)
{
	int at = walk_ext(f, id, NULL);
	if (at < 0)
		guest_bug("the extended capability list of %02x:%02x.%x is broken", f.bus,
			  f.devfn >> 3, f.devfn & 7);
	return (unsigned int)at;
}

int guest_caps_walk(struct guest_fn f, bool extended)
{
	unsigned int n = 0;
	int r = extended ? walk_ext(f, -1, &n) : walk_std(f, -1, &n);
	return r < 0 ? -1 : (int)n;
}

static unsigned int need_cap(struct guest_fn f, uint8_t id)
{
	unsigned int at = guest_cap(f, id);
	if (!at)
		guest_bug("%02x:%02x.%x has no capability %#x", f.bus, f.devfn >> 3, f.devfn & 7,
			  id);
	return at;
}

/* --- BARs ------------------------------------------------------------------------------------- */

static unsigned int bar_reg(unsigned int bar)
{
	return bar == PCIDEV_ROM ? PCI_ROM_ADDRESS : PCI_BASE_ADDRESS_0 + 4 * bar;
}

static uint32_t addr_mask(unsigned int bar, uint32_t reg)
{
	if (bar == PCIDEV_ROM)
		return (uint32_t)PCI_ROM_ADDRESS_MASK;
	return reg & PCI_BASE_ADDRESS_SPACE_IO ? (uint32_t)PCI_BASE_ADDRESS_IO_MASK
					       : (uint32_t)PCI_BASE_ADDRESS_MEM_MASK;
}

static bool is_64(unsigned int bar, uint32_t reg)
{
	return bar < 5 && !(reg & PCI_BASE_ADDRESS_SPACE_IO) &&
	       (reg & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
}

uint64_t guest_bar_addr(struct guest_fn f, unsigned int bar)
{
	uint32_t reg = guest_cfg(f, bar_reg(bar), 4);
	uint64_t addr = reg & addr_mask(bar, reg);
	if (is_64(bar, reg))
		addr |= (uint64_t)guest_cfg(f, bar_reg(bar) + 4, 4) << 32;
	return addr;
}

void guest_bar_move(struct guest_fn f, unsigned int bar, uint64_t addr)
{
	uint32_t reg = guest_cfg(f, bar_reg(bar), 4);
	guest_cfg_set(f, bar_reg(bar), (uint32_t)addr, 4);
	if (is_64(bar, reg))
		guest_cfg_set(f, bar_reg(bar) + 4, (uint32_t)(addr >> 32), 4);
}

struct guest_bar guest_bar(struct guest_fn f, unsigned int bar)
{
	unsigned int at = bar_reg(bar);
	uint32_t command = guest_cfg(f, PCI_COMMAND, 2), reg = guest_cfg(f, at, 4), high = 0;
	uint64_t mask;
	guest_cfg_set(f, PCI_COMMAND, command & ~(uint32_t)(PCI_COMMAND_IO | PCI_COMMAND_MEMORY),
		      2);
	guest_cfg_set(f, at, bar == PCIDEV_ROM ? 0xfffff800 : UINT32_MAX, 4);
	uint32_t low = guest_cfg(f, at, 4) & addr_mask(bar, reg);
	guest_cfg_set(f, at, reg, 4);
	mask = low | (UINT64_MAX << 32);
	if (is_64(bar, reg)) {
		high = guest_cfg(f, at + 4, 4);
		guest_cfg_set(f, at + 4, UINT32_MAX, 4);
		mask = low | (uint64_t)guest_cfg(f, at + 4, 4) << 32;
		guest_cfg_set(f, at + 4, high, 4);
	}
	guest_cfg_set(f, PCI_COMMAND, command, 2);
	struct guest_bar b = {
		.io = bar != PCIDEV_ROM && (reg & PCI_BASE_ADDRESS_SPACE_IO),
		.is64 = is_64(bar, reg),
		.prefetch = bar != PCIDEV_ROM && !(reg & PCI_BASE_ADDRESS_SPACE_IO) &&
			    (reg & PCI_BASE_ADDRESS_MEM_PREFETCH),
		.addr = (reg & addr_mask(bar, reg)) | (uint64_t)high << 32,
		.size = (is_64(bar, reg) ? mask : low) != 0 ? ~mask + 1 : 0,
	};
	return b;
}

/* --- resets and power ------------------------------------------------------------------------- */

void guest_flr(struct guest_fn f)
{
	unsigned int at = guest_cap(f, PCI_CAP_ID_EXP);
	if (at && (guest_cfg(f, at + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR)) {
		uint32_t ctl = guest_cfg(f, at + PCI_EXP_DEVCTL, 2);
		guest_cfg_set(f, at + PCI_EXP_DEVCTL, ctl | PCI_EXP_DEVCTL_BCR_FLR, 2);
		return;
	}
	guest_cfg_set(f, need_cap(f, PCI_CAP_ID_AF) + PCI_AF_CTRL, PCI_AF_CTRL_FLR, 1);
}

void guest_power(struct guest_fn f, unsigned int d_state)
{
	unsigned int at = need_cap(f, PCI_CAP_ID_PM) + PCI_PM_CTRL;
	uint32_t now = guest_cfg(f, at, 2);
	guest_cfg_set(f, at, (now & ~(uint32_t)PCI_PM_CTRL_STATE_MASK) | d_state, 2);
}

/* --- interrupts ------------------------------------------------------------------------------- */

static uint64_t msix_gpa(struct guest_fn f, unsigned int reg)
{
	uint32_t where = guest_cfg(f, need_cap(f, PCI_CAP_ID_MSIX) + reg, 4);
	return guest_bar_addr(f, where & PCI_MSIX_TABLE_BIR) + (where & PCI_MSIX_TABLE_OFFSET);
}

void guest_msix(struct guest_fn f, bool on, bool fmask)
{
	unsigned int at = need_cap(f, PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
	guest_cfg_set(f, at,
		      (on ? PCI_MSIX_FLAGS_ENABLE : 0u) | (fmask ? PCI_MSIX_FLAGS_MASKALL : 0u), 2);
}

void guest_msix_mask(struct guest_fn f, unsigned int vec, bool masked)
{
	guest_write(f.g, msix_gpa(f, PCI_MSIX_TABLE) + 16ull * vec + PCI_MSIX_ENTRY_VECTOR_CTRL,
		    masked, 4);
}

void guest_msix_vector(struct guest_fn f, unsigned int vec, uint64_t addr, uint32_t data,
		       bool masked)
{
	uint64_t at = msix_gpa(f, PCI_MSIX_TABLE) + 16ull * vec;
	guest_write(f.g, at + PCI_MSIX_ENTRY_LOWER_ADDR, (uint32_t)addr, 4);
	guest_write(f.g, at + PCI_MSIX_ENTRY_UPPER_ADDR, addr >> 32, 4);
	guest_write(f.g, at + PCI_MSIX_ENTRY_DATA, data, 4);
	guest_msix_mask(f, vec, masked);
}

bool guest_msix_pending(struct guest_fn f, unsigned int vec)
{
	uint64_t q = guest_read(f.g, msix_gpa(f, PCI_MSIX_PBA) + 8ull * (vec / 64), 8);
	return q >> vec % 64 & 1;
}

void guest_msi(struct guest_fn f, int log2n, uint64_t addr, uint16_t data)
{
	unsigned int at = need_cap(f, PCI_CAP_ID_MSI);
	uint32_t flags = guest_cfg(f, at + PCI_MSI_FLAGS, 2);
	bool is64 = flags & PCI_MSI_FLAGS_64BIT;
	flags &= ~(uint32_t)(PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
	if (log2n < 0) {
		guest_cfg_set(f, at + PCI_MSI_FLAGS, flags, 2);
		return;
	}
	guest_cfg_set(f, at + PCI_MSI_ADDRESS_LO, (uint32_t)addr, 4);
	if (is64)
		guest_cfg_set(f, at + PCI_MSI_ADDRESS_HI, (uint32_t)(addr >> 32), 4);
	guest_cfg_set(f, at + (is64 ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), data, 2);
	guest_cfg_set(f, at + PCI_MSI_FLAGS, flags | (uint32_t)log2n << 4 | PCI_MSI_FLAGS_ENABLE,
		      2);
}

uint32_t guest_gsi(struct guest_fn f)
{
	unsigned int dev, pin;
	pcibus_swizzle(guest_pcidev(f), &dev, &pin);
	const struct pc_layout *l = &f.g->m->layout;
	for (unsigned int i = 0; i < l->n_slots; i++)
		if (l->slots[i].dev == dev)
			return l->slots[i].gsi[pin];
	guest_bug("no slot %u in the machine's interrupt tables", dev);
}
