// SPDX-License-Identifier: GPL-2.0-or-later
// The ACPI tables of the pc machine, hardware-reduced (no SCI, no PM timer, no fixed events), made
// from the layout alone: RSDP, XSDT, FADT, MADT, MCFG, DSDT.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct pc_layout;

#define ACPI_TABLES_MAX 8

struct acpi_tables {
	uint8_t *buf; /* to be put at PC_ACPI_BASE, the RSDP first; owned */
	size_t len;
	struct acpi_table_at {
		char sig[5];
		size_t off, len;
	} table[ACPI_TABLES_MAX]; /* without the RSDP */
	unsigned int n;
};

/* -ENOSPC if they do not fit between PC_ACPI_BASE and PC_RESET_VECTOR, -ENOMEM. */
int acpi_build(const struct pc_layout *l, struct acpi_tables *ret, struct verr *reterr);
void acpi_free(struct acpi_tables *t);

VV_END_DECLS
