// SPDX-License-Identifier: GPL-2.0-or-later
//
// Sentences put together in a buffer of fixed size.
#include "core/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void text_append(char *text, size_t size, const char *fmt, ...)
{
	if (size == 0)
		return;
	size_t at = strlen(text);
	va_list ap;
	va_start(ap, fmt);
	int n = vsnprintf(text + at, size - at, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n >= size - at && size > 3)
		memcpy(text + size - 4, "...", 4);
}
