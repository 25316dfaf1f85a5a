// SPDX-License-Identifier: GPL-2.0-or-later
// The whole inventory: every device, machine, accelerator and back end that can be named on the
// command line. Explicit lists, sorted; NULL-terminated.
#pragma once

#include "core/accel.h"
#include "core/dev.h"
#include "vmm/backend/backends.h"
#include "vmm/machine.h"

VV_BEGIN_DECLS

extern const struct dev_type *const dev_types[];
extern const struct machine_type *const machine_types[];
extern const struct accel_type *const accel_types[];
/* By enum backend_kind; each ends with NULL. */
extern const struct backend_type *const *const backend_types[BACKEND_N_KINDS];

VV_END_DECLS
