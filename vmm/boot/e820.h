// SPDX-License-Identifier: GPL-2.0-or-later
// The memory map a PC kernel is handed, made from the layout, in both encodings: the boot_params
// table of the Linux boot protocol and the memory map of a PVH start info.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct pc_layout;

#define E820_MAX 24

/* ACPI 6.4 15, address range types; the same numbers in both encodings. */
enum e820_type { E820_RAM = 1, E820_RESERVED = 2 };

struct e820_entry {
	uint64_t addr, size;
	uint32_t type; /* enum e820_type */
};

struct e820 {
	struct e820_entry e[E820_MAX]; /* sorted by addr, disjoint, none empty */
	unsigned int n;
};

/* -EINVAL if the ranges of the layout overlap (pc_layout_check would have said so). */
int e820_build(const struct pc_layout *l, struct e820 *ret, struct verr *reterr);

#define E820_BOOT_ENTRY_SIZE 20
#define E820_PVH_ENTRY_SIZE  24

/* n * E820_BOOT_ENTRY_SIZE bytes, as at boot_params 0x2d0. */
void e820_encode_boot(const struct e820 *m, uint8_t *out);
/* n * E820_PVH_ENTRY_SIZE bytes, as behind hvm_start_info.memmap_paddr. */
void e820_encode_pvh(const struct e820 *m, uint8_t *out);

VV_END_DECLS
