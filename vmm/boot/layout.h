// SPDX-License-Identifier: GPL-2.0-or-later
// The guest-physical facts of the pc machine, as one immutable struct: the machine fills it once,
// before anything is built, and every table the guest reads (e820, ACPI, boot parameters) is made
// from it and from nothing else.
//
// Interrupt model: IOAPIC pins are GSIs, one to one. Pins 0..15 are the ISA lines, edge and active
// high, no overrides. Pins 16..23 are the PCI lines: level, and active low as PCI's are. KVM's
// IOAPIC does not look at the polarity bit: "asserted" is line_set(true) for both.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/range.h"
#include "core/verr.h"

VV_BEGIN_DECLS

#define PC_PCI_SLOTS	 32
#define PC_PCI_GSI_FIRST 16
#define PC_PCI_GSI_LAST	 23
#define PC_RESERVED_MAX	 8
#define PC_HIGH_RAM_BASE GIB(4) /* lowest, and usual */

/* Where boot data sits below 1 MiB. Only ours between reset and the kernel's first instructions,
 * which copy what they need. */
#define PC_BOOT_GDT	     UINT64_C(0x500)
#define PC_BOOT_PVH_INFO     UINT64_C(0x6000) /* start info, memory map, module list: one page */
#define PC_BOOT_PARAMS	     UINT64_C(0x7000) /* boot_params ("zero page") */
#define PC_BOOT_STACK	     UINT64_C(0x8ff0)
#define PC_BOOT_PAGE_TABLES  UINT64_C(0x9000) /* PML4, PDPT, 4 page directories */
#define PC_BOOT_CMDLINE	     UINT64_C(0x20000)
#define PC_BOOT_CMDLINE_SIZE UINT64_C(0x10000)
#define PC_LOW_RAM_END	     UINT64_C(0x9fc00) /* end of usable memory below 1 MiB */
#define PC_VGA_BASE	     UINT64_C(0xa0000)
#define PC_VGA_LAST	     UINT64_C(0xbffff)
#define PC_ACPI_BASE	     UINT64_C(0xe0000) /* RSDP first: also where a scan looks for it */
#define PC_ACPI_LAST	     UINT64_C(0xfffff)
#define PC_RESET_VECTOR	     UINT64_C(0xffff0) /* ffff:0000, the last 16 bytes of that */

/* A device number of the root bus that interrupt pins are routed for. */
struct pc_slot {
	uint8_t dev;	/* 0..31 */
	uint8_t gsi[4]; /* INTA..INTD; PC_PCI_GSI_FIRST..PC_PCI_GSI_LAST */
};

struct pc_layout {
	uint64_t ram_low_size; /* RAM is [0, this); page multiple, at least 2 MiB */
	bool has_vga; /* ... but for PC_VGA_*, which with ports 3b0-3bb and 3c0-3df is PCI's */
	uint64_t ram_high_base; /* at least PC_HIGH_RAM_BASE, if there is any */
	uint64_t ram_high_size; /* RAM is [ram_high_base, ram_high_base + this); may be 0 */

	struct range mmio32; /* PCI memory window below 4 GiB */
	struct range mmio64; /* above; only if has_mmio64 */
	bool has_mmio64;
	struct range
		pio; /* PCI I/O window within 0..0xffff; 0xcf8..0xcff are left out of it for you */

	uint64_t ecam_base;	 /* 1 MiB per bus; aligned to that */
	unsigned int ecam_buses; /* 1..256 */

	uint32_t lapic_base;  /* 0xfee00000 */
	uint32_t ioapic_base; /* 0xfec00000 */
	uint8_t ioapic_id;
	unsigned int vcpus; /* APIC ids 0..vcpus-1, number 0 boots */

	/* More that the guest must leave alone, e.g. KVM's TSS pages. */
	struct range reserved[PC_RESERVED_MAX];
	unsigned int n_reserved;

	uint16_t acpi_pm_port; /* base of vmm/dev/acpi_pm.c's registers */

	/* ISA devices: told to the guest only if present. */
	bool has_serial;
	uint16_t serial_port; /* 8 ports */
	uint8_t serial_irq;   /* ISA line = GSI */
	bool has_rtc;	      /* 0x70, 0x71 */
	bool has_i8042;	      /* 0x60, 0x64. False saves a Linux guest its probe; a reset through
				 port 0x64 works all the same when the device is there. */

	struct pc_slot slots[PC_PCI_SLOTS];
	unsigned int n_slots;
};

/* -EINVAL and a sentence if ranges overlap, are misaligned or leave their space. */
int pc_layout_check(const struct pc_layout *l, struct verr *reterr);

VV_END_DECLS
