// SPDX-License-Identifier: GPL-2.0-or-later
//
// The error context: keeps the first sentence, prefixes it on the way up. Owns nothing but the
// formatting; knows neither who prints it nor where.
#include "core/verr.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* What does not fit ends in "..." so that a reader sees it was cut. */
static void mark_cut(char *msg, int len)
{
	if (len >= VERR_MSG_MAX)
		memcpy(msg + VERR_MSG_MAX - 4, "...", 4);
}

int(verr_set)(struct verr *reterr, int code, const char *fmt, ...)
{
	if (!reterr || reterr->code != 0)
		return code;

	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(reterr->msg, sizeof(reterr->msg), fmt, ap);
	va_end(ap);
	mark_cut(reterr->msg, len);
	reterr->code = code;
	return code;
}

int(verr_prefix)(struct verr *reterr, int code, const char *fmt, ...)
{
	if (!reterr)
		return code;

	char prefix[VERR_MSG_MAX];
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(prefix, sizeof(prefix), fmt, ap);
	va_end(ap);
	mark_cut(prefix, len);

	char old[VERR_MSG_MAX];
	if (reterr->code != 0) {
		memcpy(old, reterr->msg, sizeof(old));
	} else {
		const char *desc = strerrordesc_np(-code);
		if (desc)
			snprintf(old, sizeof(old), "%s", desc);
		else
			snprintf(old, sizeof(old), "error %d", code);
		reterr->code = code;
	}
	len = snprintf(reterr->msg, sizeof(reterr->msg), "%s: %s", prefix, old);
	mark_cut(reterr->msg, len);
	return code;
}

void verr_clear(struct verr *reterr)
{
	if (!reterr)
		return;
	reterr->code = 0;
	reterr->msg[0] = '\0';
}
