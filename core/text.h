// SPDX-License-Identifier: GPL-2.0-or-later
// Sentences put together in a buffer of fixed size.
#pragma once

#include <stddef.h>

#include "core/cc.h"

VV_BEGIN_DECLS

/* Appends to the string in `text`, which has room for `size` bytes; cut with "..." at its end if it
 * does not fit. size 0: nothing happens. */
void text_append(char *text, size_t size, const char *fmt, ...) ATTR_PRINTF(3, 4);

VV_END_DECLS
