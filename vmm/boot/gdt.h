// SPDX-License-Identifier: GPL-2.0-or-later
// The GDT both boot protocols start with: null, null, code (0x10), data (0x18), TSS (0x20).
#pragma once

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct boot_env;

enum gdt_code { GDT_CODE32, GDT_CODE64 };

/* At PC_BOOT_GDT. */
int gdt_place(const struct boot_env *e, enum gdt_code code, struct verr *reterr);

VV_END_DECLS
