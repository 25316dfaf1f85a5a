// SPDX-License-Identifier: GPL-2.0-or-later
//
// Property tables at work: defaults into a plain struct, one value by name, a whole option's
// list. The other half of core/type.h; knows no type in particular.
#include "core/type.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define MAX_TARGETS 4
#define MAX_PROPS   64 /* of one table: a bit each */

static bool is_required(const struct prop *p)
{
	return p->def && strcmp(p->def, PROP_REQUIRED) == 0;
}

static int set_bool(bool *field, const char *value, struct verr *reterr)
{
	if (strcmp(value, "on") == 0)
		*field = true;
	else if (strcmp(value, "off") == 0)
		*field = false;
	else
		return verr_set(reterr, -EINVAL, "'%.64s' is neither on nor off", value);
	return 0;
}

static int set_number(const struct prop *p, void *field, uint64_t type_max, const char *value,
		      struct verr *reterr)
{
	bool whole = p->min == 0 && p->max == 0;
	uint64_t v;
	int r = parse_u64(value, p->min, whole ? type_max : p->max, &v, reterr);
	if (r < 0)
		return r;
	if (p->kind == PROP_U16)
		*(uint16_t *)field = (uint16_t)v;
	else if (p->kind == PROP_U32)
		*(uint32_t *)field = (uint32_t)v;
	else
		*(uint64_t *)field = v;
	return 0;
}

static int set_size(const struct prop *p, uint64_t *field, const char *value, struct verr *reterr)
{
	uint64_t v;
	int r = parse_size(value, &v, reterr);
	if (r < 0)
		return r;
	if ((p->min || p->max) && (v < p->min || v > p->max))
		return verr_set(reterr, -ERANGE,
				"size %.64s is out of range: %" PRIu64 "K to %" PRIu64 "K", value,
				p->min >> 10, p->max >> 10);
	*field = v;
	return 0;
}

static int set_string(char **field, const char *value, struct verr *reterr)
{
	char *copy = strdup(value);
	if (!copy)
		return verr_set(reterr, -ENOMEM, "out of memory");
	free(*field);
	*field = copy;
	return 0;
}

static int set_enum(const struct prop *p, int *field, const char *value, struct verr *reterr)
{
	char all[256] = "";
	size_t at = 0;
	for (int i = 0; p->choices[i]; i++) {
		if (strcmp(p->choices[i], value) == 0) {
			*field = i;
			return 0;
		}
		int n = snprintf(all + at, sizeof(all) - at, "%s%s", i ? ", " : "", p->choices[i]);
		at = MIN(at + (size_t)n, sizeof(all) - 1);
	}
	return verr_set(reterr, -EINVAL, "'%.64s' is none of %s", value, all);
}

static int set_value(const struct prop *p, void *cfg, const char *value, struct verr *reterr)
{
	void *field = (char *)cfg + p->offset;
	switch (p->kind) {
	case PROP_BOOL:
		return set_bool(field, value, reterr);
	case PROP_U16:
		return set_number(p, field, UINT16_MAX, value, reterr);
	case PROP_U32:
		return set_number(p, field, UINT32_MAX, value, reterr);
	case PROP_U64:
		return set_number(p, field, UINT64_MAX, value, reterr);
	case PROP_SIZE:
		return set_size(p, field, value, reterr);
	case PROP_STR:
		return set_string(field, value, reterr);
	case PROP_ENUM:
		return set_enum(p, field, value, reterr);
	case PROP_CUSTOM:
		return p->parse(field, value, reterr);
	}
	return verr_set(reterr, -EINVAL, "property of an unknown kind");
}

int prop_set(const char *what, const struct prop *p, void *cfg, const char *value,
	     struct verr *reterr)
{
	int r = set_value(p, cfg, value, reterr);
	return r < 0 ? verr_prefix(reterr, r, "%s: %s", what, p->name) : 0;
}

int props_defaults(const struct prop *props, void *cfg)
{
	for (const struct prop *p = props; p && p->name; p++) {
		if (!p->def || is_required(p))
			continue;
		int r = set_value(p, cfg, p->def, NULL);
		assert(r == 0 || r == -ENOMEM); /* a default that its own parser refuses */
		if (r < 0) {
			props_clear(props, cfg);
			return r;
		}
	}
	return 0;
}

void props_clear(const struct prop *props, void *cfg)
{
	for (const struct prop *p = props; p && p->name; p++) {
		if (p->kind != PROP_STR)
			continue;
		char **field = (char **)(void *)((char *)cfg + p->offset);
		free(*field);
		*field = NULL;
	}
}

void *props_new(const struct type_desc *t)
{
	void *cfg = calloc(1, MAX(t->cfg_size, 1));
	if (cfg && props_defaults(t->props, cfg) < 0) {
		free(cfg);
		return NULL;
	}
	return cfg;
}

void props_free(const struct type_desc *t, void *cfg)
{
	if (!cfg)
		return;
	props_clear(t->props, cfg);
	free(cfg);
}

struct parser {
	const char *what;
	const struct props_target *targets;
	unsigned int n_targets;
	uint64_t given[MAX_TARGETS];
};

static int unknown(const struct parser *ps, const char *name, struct verr *reterr)
{
	const char *names[MAX_TARGETS * MAX_PROPS];
	size_t n = 0;
	for (unsigned int t = 0; t < ps->n_targets; t++) {
		for (const struct prop *p = ps->targets[t].props; p && p->name; p++)
			names[n++] = p->name;
	}
	const char *near = nearest_name(name, names, n);
	if (near)
		return verr_set(reterr, -EINVAL, "%s: unknown property '%.64s': did you mean '%s'?",
				ps->what, name, near);
	return verr_set(reterr, -EINVAL, "%s: unknown property '%.64s' (%s,help lists all)",
			ps->what, name, ps->what);
}

/* One "name=value", its commas unescaped; the text is cut in two in place. */
static int parse_item(struct parser *ps, char *item, struct verr *reterr)
{
	char *value = strchr(item, '=');
	if (value)
		*value++ = '\0';
	if (item[0] == '\0')
		return verr_set(reterr, -EINVAL,
				"%s: empty property (a comma too many? ,, is a comma in a value)",
				ps->what);

	for (unsigned int t = 0; t < ps->n_targets; t++) {
		const struct props_target *target = &ps->targets[t];
		for (const struct prop *p = target->props; p && p->name; p++) {
			if (strcmp(p->name, item) != 0)
				continue;
			assert(p - target->props < MAX_PROPS);
			uint64_t bit = BIT64(p - target->props);
			if (!value)
				return verr_set(reterr, -EINVAL, "%s: %s needs a value: %s=...",
						ps->what, item, item);
			if (ps->given[t] & bit)
				return verr_set(reterr, -EINVAL, "%s: %s is given twice", ps->what,
						item);
			ps->given[t] |= bit;
			return prop_set(ps->what, p, target->cfg, value, reterr);
		}
	}
	return unknown(ps, item, reterr);
}

/* Cuts the next item off `text`, unescaped into buf. Returns what follows its comma, or NULL. */
static const char *next_item(const char *text, char *buf)
{
	for (; *text; text++) {
		if (*text == ',') {
			if (text[1] != ',') {
				*buf = '\0';
				return text + 1;
			}
			text++;
		}
		*buf++ = *text;
	}
	*buf = '\0';
	return NULL;
}

static int check_required(const struct parser *ps, struct verr *reterr)
{
	for (unsigned int t = 0; t < ps->n_targets; t++) {
		const struct prop *props = ps->targets[t].props;
		for (const struct prop *p = props; p && p->name; p++) {
			if (is_required(p) && !(ps->given[t] & BIT64(p - props)))
				return verr_set(reterr, -EINVAL, "%s: %s= is required: %s",
						ps->what, p->name, p->help);
		}
	}
	return 0;
}

int props_parse(const char *what, const char *text, const struct props_target *targets,
		unsigned int n_targets, struct verr *reterr)
{
	assert(n_targets <= MAX_TARGETS);
	struct parser ps = { .what = what, .targets = targets, .n_targets = n_targets };
	if (text && *text) {
		char *item = malloc(strlen(text) + 1);
		if (!item)
			return verr_set(reterr, -ENOMEM, "%s: out of memory", what);
		int r = 0;
		while (text && r == 0) {
			text = next_item(text, item);
			r = parse_item(&ps, item, reterr);
		}
		free(item);
		if (r < 0)
			return r;
	}
	return check_required(&ps, reterr);
}
