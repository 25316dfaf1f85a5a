// SPDX-License-Identifier: GPL-2.0-or-later
// The ordered list of accelerators: "kvm,kernel-irqchip=split:none". The first that opens is
// taken; why each before it was passed over is told.
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "core/accel.h"
#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

/* Spelling, names and properties of every entry. */
int accel_list_check(const char *list, struct verr *reterr);
/* Opens the first that can be. `*ret_fallback`: it was not the first named. Reasons go to `out`
 * (NULL: nowhere), one line each. If none can be opened reterr is the last one's reason. */
int accel_list_open(const char *list, FILE *out, struct accel **ret, bool *ret_fallback,
		    struct verr *reterr);

VV_END_DECLS
