// SPDX-License-Identifier: GPL-2.0-or-later
//
// Type registries by name: splitting an option's argument, finding the type, printing help; and
// the number and name parsing that options share. Pure; knows no type in particular.
#include "core/type.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define NAME_MAX_LEN 64

/* Levenshtein's distance, one row at a time. Names longer than the limit are far from all. */
static unsigned int edit_distance(const char *a, const char *b)
{
	size_t na = strlen(a), nb = strlen(b);
	if (na > NAME_MAX_LEN || nb > NAME_MAX_LEN)
		return UINT32_MAX;

	unsigned int row[NAME_MAX_LEN + 1];
	for (unsigned int j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned int i = 1; i <= na; i++) {
		unsigned int diagonal = row[0];
		row[0] = i;
		for (unsigned int j = 1; j <= nb; j++) {
			unsigned int change = diagonal + (a[i - 1] != b[j - 1]);
			diagonal = row[j];
			row[j] = MIN(change, MIN(row[j], row[j - 1]) + 1);
		}
	}
	return row[nb];
}

const char *nearest_name(const char *text, const char *const *names, size_t n)
{
	const char *best = NULL;
	unsigned int best_distance = 1 + (unsigned int)MIN(strlen(text), NAME_MAX_LEN) / 3;
	for (size_t i = 0; i < n; i++) {
		unsigned int d = edit_distance(text, names[i]);
		if (d < best_distance || (d == best_distance && !best)) {
			best = names[i];
			best_distance = d;
		}
	}
	return best;
}

/* Digits in decimal or, after 0x, hexadecimal. *ret_end is the first character that is none. */
static int parse_digits(const char *text, uint64_t *ret, const char **ret_end)
{
	unsigned int base = 10;
	const char *p = text;
	if (p[0] == '0' && (p[1] == 'x' || p[1] == 'X')) {
		base = 16;
		p += 2;
	}

	uint64_t v = 0;
	const char *first = p;
	for (; isxdigit((unsigned char)*p); p++) {
		unsigned int digit =
			isdigit((unsigned char)*p)
				? (unsigned int)(*p - '0')
				: (unsigned int)(tolower((unsigned char)*p) - 'a') + 10;
		if (digit >= base)
			break;
		if (__builtin_mul_overflow(v, base, &v) || __builtin_add_overflow(v, digit, &v))
			return -ERANGE;
	}
	if (p == first)
		return -EINVAL;
	*ret = v;
	*ret_end = p;
	return 0;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *ret, struct verr *reterr)
{
	uint64_t v;
	const char *end;
	int r = parse_digits(text, &v, &end);
	if (r == -EINVAL || (r == 0 && *end != '\0'))
		return verr_set(reterr, -EINVAL,
				"'%.64s' is not a number (decimal or 0x hexadecimal)", text);
	if (r < 0 || v < min || v > max)
		return verr_set(reterr, -ERANGE, "%.64s is out of range: %" PRIu64 " to %" PRIu64,
				text, min, max);
	*ret = v;
	return 0;
}

int parse_size(const char *text, uint64_t *ret, struct verr *reterr)
{
	uint64_t v;
	const char *end;
	unsigned int shift = 20;
	int r = parse_digits(text, &v, &end);
	if (r == 0 && *end != '\0') {
		static const char suffixes[] = "KMGT";
		const char *s = strchr(suffixes, toupper((unsigned char)*end));
		if (!s || end[1] != '\0')
			r = -EINVAL;
		else
			shift = 10 * (unsigned int)(s - suffixes + 1);
	}
	if (r == -EINVAL)
		return verr_set(reterr, -EINVAL,
				"'%.64s' is not a size: a number with K, M, G or T, or of MiB",
				text);
	if (r < 0 || v > UINT64_MAX >> shift)
		return verr_set(reterr, -ERANGE, "size %.64s is too large", text);
	*ret = v << shift;
	return 0;
}

int type_split(const char *arg, char *name, size_t size, const char **ret_rest)
{
	size_t len = strcspn(arg, ",");
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(name, arg, len);
	name[len] = '\0';
	*ret_rest = arg[len] == ',' ? arg + len + 1 : NULL;
	return 0;
}

const struct type_desc *type_find(const struct type_desc *const *types, const char *kind,
				  const char *name, struct verr *reterr)
{
	enum { MAX_NAMES = 128 };
	const char *names[MAX_NAMES];
	size_t n = 0;
	for (; types[n]; n++) {
		assert(n < MAX_NAMES);
		if (strcmp(types[n]->name, name) == 0)
			return types[n];
		names[n] = types[n]->name;
	}

	const char *near = nearest_name(name, names, n);
	if (near)
		verr_set(reterr, -EINVAL,
			 "unknown %s '%.64s': did you mean '%s'? (--%s help lists all)", kind, name,
			 near, kind);
	else
		verr_set(reterr, -EINVAL, "unknown %s '%.64s' (--%s help lists all)", kind, name,
			 kind);
	return NULL;
}

static int compare(const struct type_desc *a, const struct type_desc *b)
{
	int r = strcmp(a->category, b->category);
	return r ? r : strcmp(a->name, b->name);
}

/* The lowest one above `prev` (NULL: the lowest of all): sorts without memory. */
static const struct type_desc *next_sorted(const struct type_desc *const *types,
					   const struct type_desc *prev)
{
	const struct type_desc *best = NULL;
	for (size_t i = 0; types[i]; i++) {
		if (prev && compare(types[i], prev) <= 0)
			continue;
		if (!best || compare(types[i], best) < 0)
			best = types[i];
	}
	return best;
}

void type_help_list(FILE *out, const char *kind, const struct type_desc *const *types)
{
	size_t width = 16;
	for (size_t i = 0; types[i]; i++)
		width = MAX(width, strlen(types[i]->name));

	const char *category = NULL;
	const struct type_desc *t = NULL;
	while ((t = next_sorted(types, t))) {
		if (!category || strcmp(category, t->category) != 0)
			fprintf(out, "%s%s:\n", category ? "\n" : "", t->category);
		category = t->category;
		fprintf(out, "  %-*s %s\n", (int)width, t->name, t->desc);
	}
	fprintf(out, "\n--%s NAME,help lists the properties of one.\n", kind);
}

/* "host=<bdf>": returns the length, as snprintf does. */
static int syntax_of(char *buf, size_t size, const struct prop *p)
{
	static const char *const words[] = {
		[PROP_BOOL] = "on|off",	 [PROP_U16] = "<number>", [PROP_U32] = "<number>",
		[PROP_U64] = "<number>", [PROP_SIZE] = "<size>",  [PROP_STR] = "<text>",
	};
	if (p->kind == PROP_CUSTOM)
		return snprintf(buf, size, "%s=%s", p->name, p->syntax ? p->syntax : "<value>");
	if (p->kind != PROP_ENUM)
		return snprintf(buf, size, "%s=%s", p->name, words[p->kind]);

	int len = snprintf(buf, size, "%s=", p->name);
	for (size_t i = 0; p->choices[i] && (size_t)len < size; i++)
		len += snprintf(buf + len, size - (size_t)len, "%s%s", i ? "|" : "", p->choices[i]);
	return len;
}

/* Widths of the two columns before the sentence; a table's own rows or more. */
struct columns {
	size_t syntax, def;
};

static void widen(struct columns *col, const struct prop *props)
{
	char buf[128];
	for (const struct prop *p = props; p && p->name; p++) {
		size_t n = (size_t)syntax_of(buf, sizeof(buf), p);
		/* One with many choices moves its own row only. */
		col->syntax = MAX(col->syntax, n <= 40 ? n : 0);
		col->def = MAX(col->def, p->def ? strlen(p->def) : 0);
	}
	col->def = MIN(col->def, 20);
}

static void help_rows(FILE *out, const struct prop *props, const struct columns *col)
{
	char buf[128];
	for (const struct prop *p = props; p && p->name; p++) {
		syntax_of(buf, sizeof(buf), p);
		fprintf(out, "  %-*s  %-*s  %s", (int)col->syntax, buf, (int)col->def,
			p->def ? p->def : "-", p->help);
		bool number = p->kind == PROP_U16 || p->kind == PROP_U32 || p->kind == PROP_U64;
		if (number && (p->min || p->max))
			fprintf(out, " (%" PRIu64 " to %" PRIu64 ")", p->min, p->max);
		fputc('\n', out);
	}
}

void type_help_props(FILE *out, const struct type_desc *t, const struct prop *shared)
{
	struct columns col = { 0, strlen(PROP_REQUIRED) };
	widen(&col, t->props);
	widen(&col, shared);
	fprintf(out, "%s: %s\n", t->name, t->desc);
	help_rows(out, t->props, &col);
	help_rows(out, shared, &col);
}
