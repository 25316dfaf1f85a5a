// SPDX-License-Identifier: GPL-2.0-or-later
// Trace points: one X-macro list (trace.def), one line of output per event on the log's stream.
// A disabled point costs one predicted branch. Thread safe.
#pragma once

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

enum trace_id {
#define TRACE(name, fmt) TRACE_##name,
#include "core/trace.def"
#undef TRACE
	TRACE_COUNT
};

extern bool trace_on[TRACE_COUNT];

/* Comma-separated globs; an error names the pattern that matches nothing. */
int trace_enable(const char *globs, struct verr *reterr);
/* The table of points, one a line, for `--trace help`. */
void trace_help(FILE *out);
/* Called through T(); the format is the point's own, checked at the call by the macro. */
void trace_emit(enum trace_id id, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* The formats as constants, so that the compiler checks each call's arguments. */
#define TRACE(name, fmt) static const char trace_fmt_##name[] ATTR_UNUSED = fmt;
#include "core/trace.def"
#undef TRACE

#define T(name, ...)                                                                               \
	do {                                                                                       \
		if (__builtin_expect(trace_on[TRACE_##name], 0))                                   \
			trace_emit(TRACE_##name, trace_fmt_##name, __VA_ARGS__);                   \
	} while (0)

VV_END_DECLS
