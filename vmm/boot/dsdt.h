// SPDX-License-Identifier: GPL-2.0-or-later
// The DSDT's contents, made from the layout.
#pragma once

#include "core/cc.h"

VV_BEGIN_DECLS

struct aml;
struct pc_layout;

void dsdt_build(const struct pc_layout *l, struct aml *a);

VV_END_DECLS
