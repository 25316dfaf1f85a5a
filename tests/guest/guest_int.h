// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest player's files share.
#pragma once

#include <stdarg.h>

#include "core/cc.h"

VV_BEGIN_DECLS

/* The test can't go on: says why and aborts. */
void guest_bug(const char *fmt, ...) ATTR_PRINTF(1, 2) __attribute__((noreturn));

VV_END_DECLS
