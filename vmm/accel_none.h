// SPDX-License-Identifier: GPL-2.0-or-later
// Accelerator "none": a machine that is built and described, and never runs.
#pragma once

#include "core/accel.h"

VV_BEGIN_DECLS

extern const struct accel_type none_accel;

VV_END_DECLS
