// SPDX-License-Identifier: GPL-2.0-or-later
// Machine "pc": PCI with ECAM, hardware-reduced ACPI, a few ISA devices.
#pragma once

#include "vmm/machine.h"

VV_BEGIN_DECLS

extern const struct machine_type pc_machine;

VV_END_DECLS
