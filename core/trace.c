// SPDX-License-Identifier: GPL-2.0-or-later
//
// The list of trace points, switched on by glob, written to the log's stream. Owns the switches;
// knows nothing of what the points mean.
#include "core/trace.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <string.h>

#include "core/log.h"

bool trace_on[TRACE_COUNT];

static const char *const trace_names[TRACE_COUNT] = {
#define TRACE(name, fmt) [TRACE_##name] = #name,
#include "core/trace.def"
#undef TRACE
};

static const char *const trace_fmts[TRACE_COUNT] = {
#define TRACE(name, fmt) [TRACE_##name] = fmt,
#include "core/trace.def"
#undef TRACE
};

static unsigned int match(const char *glob, bool enable)
{
	unsigned int n = 0;
	for (unsigned int i = 0; i < TRACE_COUNT; i++) {
		if (fnmatch(glob, trace_names[i], 0) != 0)
			continue;
		if (enable)
			trace_on[i] = true;
		n++;
	}
	return n;
}

/* Calls for every pattern; with `enable` false it only checks, so that a bad list enables none. */
static int each_glob(const char *globs, bool enable, struct verr *reterr)
{
	const char *p = globs;
	for (;;) {
		size_t len = strcspn(p, ",");
		char glob[64];
		if (len == 0)
			return verr_set(
				reterr, -EINVAL,
				"trace list '%.64s' has an empty pattern (see --trace help)",
				globs);
		if (len >= sizeof(glob))
			return verr_set(reterr, -EINVAL, "trace pattern '%.64s...' is too long", p);
		memcpy(glob, p, len);
		glob[len] = '\0';
		if (match(glob, enable) == 0)
			return verr_set(
				reterr, -EINVAL,
				"trace pattern '%s' matches no trace point (see --trace help)",
				glob);
		p += len;
		if (*p == '\0')
			return 0;
		p++;
	}
}

int trace_enable(const char *globs, struct verr *reterr)
{
	int r = each_glob(globs, false, reterr);
	return r < 0 ? r : each_glob(globs, true, reterr);
}

void trace_help(FILE *out)
{
	for (unsigned int i = 0; i < TRACE_COUNT; i++)
		fprintf(out, "%-20s %s\n", trace_names[i], trace_fmts[i]);
}

void trace_emit(enum trace_id id, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	log_vline(trace_names[id], fmt, ap);
	va_end(ap);
}
