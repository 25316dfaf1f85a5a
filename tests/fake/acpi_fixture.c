// SPDX-License-Identifier: GPL-2.0-or-later
// Two machines: everything a pc has, and as little as it can have.
#include "tests/fake/acpi_fixture.h"

#include "tests/fake/boot_fixture.h"

static void full(struct pc_layout *l)
{
	fixture_layout(l, GIB(4), 2);
}

/* Also: I/O ports on both sides of the configuration ports, an ECAM above 4 GiB. */
static void minimal(struct pc_layout *l)
{
	fixture_layout(l, MIB(128), 1);
	l->has_mmio64 = false;
	l->pio = (struct range){ 0, 0xffff };
	l->ecam_base = GIB(64);
	l->ecam_buses = 16;
	l->has_serial = l->has_rtc = l->has_i8042 = false;
	l->n_slots = 1;
}

const struct acpi_case acpi_cases[] = { { "full", full }, { "minimal", minimal } };
const unsigned int n_acpi_cases = ARRAY_SIZE(acpi_cases);
