// SPDX-License-Identifier: GPL-2.0-or-later
//
// The list of verdicts and the order of the checks; the checks themselves are in
// preflight_host.c (this machine), preflight_dev.c, preflight_use.c, preflight_group.c and
// preflight_bar.c (each function), preflight_space.c (all functions and RAM together) and
// preflight_limits.c.
// Order matters: the first failing verdict is what a user is told, so causes come before
// consequences. Reads sysfs and procfs only; opens nothing but /dev/kvm, which has no effect.
#include "vfio/preflight.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "vfio/preflight_int.h"

void preflight_say(struct preflight_ctx *c, enum verdict_level level, const char *check,
		   const char *fix, const char *fmt, ...)
{
	struct preflight *p = c->out;
	if (p->n == p->cap) {
		unsigned int cap = p->cap ? p->cap * 2 : 16;
		struct verdict *v = (struct verdict *)reallocarray(p->v, cap, sizeof(*v));
		if (!v) {
			c->out_of_memory = true;
			return;
		}
		p->v = v;
		p->cap = cap;
	}
	struct verdict *v = &p->v[p->n++];
	v->level = level;
	v->check = check;
	v->evidence[0] = '\0';
	snprintf(v->function, sizeof(v->function), "%s", c->function ? c->function : "");
	snprintf(v->fix, sizeof(v->fix), "%s", fix ? fix : "");
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(v->text, sizeof(v->text), fmt, ap);
	va_end(ap);
}

void preflight_evidence(struct preflight_ctx *c, const char *fmt, ...)
{
	struct preflight *p = c->out;
	if (p->n == 0 || c->out_of_memory)
		return;
	struct verdict *v = &p->v[p->n - 1];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(v->evidence, sizeof(v->evidence), fmt, ap);
	va_end(ap);
}

int preflight_run(const struct preflight_request *req, struct preflight *ret)
{
	struct preflight p = { .v = NULL };
	struct preflight_ctx c = { .req = req, .out = &p };

	c.groups = calloc(req->n_bdfs ? req->n_bdfs : 1, sizeof(*c.groups));
	if (!c.groups)
		return -ENOMEM;
	preflight_host(&c);
	for (unsigned int i = 0; i < req->n_bdfs; i++)
		preflight_function(&c, i);
	preflight_space(&c);
	preflight_limits(&c);
	free(c.groups);

	if (c.out_of_memory) {
		preflight_fini(&p);
		return -ENOMEM;
	}
	*ret = p;
	return 0;
}

void preflight_fini(struct preflight *p)
{
	if (!p)
		return;
	free(p->v);
	memset(p, 0, sizeof(*p));
}

enum verdict_level preflight_worst(const struct preflight *p)
{
	enum verdict_level worst = VERDICT_OK;
	for (unsigned int i = 0; i < p->n; i++)
		worst = MAX(worst, p->v[i].level);
	return worst;
}

int preflight_error(const struct preflight *p, struct verr *reterr)
{
	for (unsigned int i = 0; i < p->n; i++) {
		const struct verdict *v = &p->v[i];
		if (v->level != VERDICT_FAIL)
			continue;
		if (v->fix[0])
			return verr_set(reterr, -EINVAL, "%s (%s)", v->text, v->fix);
		return verr_set(reterr, -EINVAL, "%s", v->text);
	}
	return 0;
}

const char *preflight_level_name(enum verdict_level level)
{
	static const char *const names[] = { "ok", "?", "warn", "fail" };
	return names[level];
}

void preflight_print(const struct preflight *p, FILE *out, bool all)
{
	for (unsigned int i = 0; i < p->n; i++) {
		const struct verdict *v = &p->v[i];
		if (v->level <= VERDICT_UNKNOWN && !all)
			continue;
		fprintf(out, "%-4s  %-16s  %s%s%s\n", preflight_level_name(v->level), v->check,
			v->text, v->fix[0] ? "; " : "", v->fix);
	}
}
