// SPDX-License-Identifier: GPL-2.0-or-later
// The machines whose ACPI tables the tests look at.
#pragma once

#include "core/cc.h"
#include "vmm/boot/layout.h"

VV_BEGIN_DECLS

struct acpi_case {
	const char *name; /* folder in tests/golden/acpi */
	void (*layout)(struct pc_layout *l);
};

extern const struct acpi_case acpi_cases[];
extern const unsigned int n_acpi_cases;

VV_END_DECLS
