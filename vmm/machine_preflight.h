// SPDX-License-Identifier: GPL-2.0-or-later
// Machine pc's memory map for vfio/preflight, which may not know machines.
#pragma once

#include "vfio/preflight.h"

VV_BEGIN_DECLS

/* The solver a guest's map will come from (machine_map.h), for preflight_request.solve. */
preflight_solve pc_map_preflight;

VV_END_DECLS
