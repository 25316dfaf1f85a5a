// SPDX-License-Identifier: GPL-2.0-or-later
// Host functions in --device arguments (see the header). Works on the arguments' text, before any
// device exists; reads the host's groups and nothing else.

#include "vmm/assign.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci/hostpci.h"

#define TYPE "vfio-pci,"

/* Length of the property at `p`: up to a comma that is not doubled. */
static size_t token(const char *p)
{
	size_t n = 0;

	while (p[n] && (p[n] != ',' || p[n + 1] == ','))
		n += p[n] == ',' ? 2 : 1;
	return n;
}

static const char *next(const char *p)
{
	p += token(p);
	return *p ? p + 1 : NULL;
}

static bool named(const char *p, const char *name)
{
	size_t n = strlen(name);

	return strncmp(p, name, n) == 0 && p[n] == '=';
}

static const char *value_of(const char *arg, const char *name)
{
	const char *p = strncmp(arg, TYPE, strlen(TYPE)) == 0 ? arg + strlen(TYPE) : NULL;

	for (; p; p = next(p))
		if (named(p, name))
			return p + strlen(name) + 1;
	return NULL;
}

int assign_host(const char *arg, struct bdf *ret, struct verr *reterr)
{
	const char *v = value_of(arg, "host");
	char at[32];

	if (!v)
		return 0;
	snprintf(at, sizeof(at), "%.*s", (int)MIN(token(v), sizeof(at) - 1), v);
	int r = bdf_parse(at, ret, reterr);
	return r < 0 ? r : 1;
}

void assign_free(char **args, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		free(args[i]);
}

/* ---- whole groups ---------------------------------------------------------------------------- */

static bool is_named(char *const *args, unsigned int n, const struct bdf *at)
{
	struct bdf b;

	for (unsigned int i = 0; i < n; i++)
		if (assign_host(args[i], &b, NULL) == 1 && bdf_equal(&b, at))
			return true;
	return false;
}

/* What one function has to itself is not its neighbour's. */
static bool own_property(const char *p)
{
	static const char *const own[] = { "host", "group",	    "id",      "bus",
					   "addr", "multifunction", "romfile", "x-vga" };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (named(p, own[i]))
			return true;
	return false;
}

/* `arg` for another function of its group, the `number`th. */
static char *neighbour(const char *arg, const struct bdf *at, unsigned int number)
{
	const char *id = value_of(arg, "id");
	char name[BDF_STR_MAX], *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (!f)
		return NULL;
	fprintf(f, TYPE "host=%s", bdf_str(at, name));
	if (id)
		fprintf(f, ",id=%.*s.%u", (int)token(id), id, number);
	for (const char *p = arg + strlen(TYPE); p; p = next(p))
		if (!own_property(p))
			fprintf(f, ",%.*s", (int)token(p), p);
	if (fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

static int insert(char **args, unsigned int *n, unsigned int max, unsigned int at, char *arg,
		  struct verr *reterr)
{
	if (!arg)
		return verr_set(reterr, -ENOMEM, "out of memory");
	if (*n == max) {
		free(arg);
		return verr_set(reterr, -E2BIG, "more than %u devices", max);
	}
	memmove(args + at + 1, args + at, (*n - at) * sizeof(*args));
	args[at] = arg;
	(*n)++;
	return 0;
}

static int expand_group(char **args, unsigned int *n, unsigned int max, unsigned int i,
			const struct bdf *host, struct verr *reterr)
{
	struct hostpci_dev dev, *v = NULL;
	unsigned int added = 0;
	int r = 0;

	if (hostpci_read(host, &dev, NULL) < 0 || dev.group == HOSTPCI_NO_GROUP)
		return 0;
	int count = hostpci_group(dev.group, &v, NULL);
	for (int k = 0; k < count && r == 0; k++) {
		if (v[k].header_type != 0 || is_named(args, *n, &v[k].at))
			continue;
		added++;
		r = insert(args, n, max, i + added, neighbour(args[i], &v[k].at, added), reterr);
	}
	if (count >= 0)
		free(v);
	return r;
}

/* ---- order ----------------------------------------------------------------------------------- */

static bool same_slot(const struct bdf *a, const struct bdf *b)
{
	return a->seg == b->seg && a->bus == b->bus && a->dev == b->dev;
}

/* Brings args[i] before those of its slot that it should precede. */
static void sort_in(char **args, unsigned int i)
{
	struct bdf here, there;
	unsigned int to = i;

	if (assign_host(args[i], &here, NULL) != 1)
		return;
	for (unsigned int k = i; k-- > 0;) {
		if (assign_host(args[k], &there, NULL) != 1 || !same_slot(&here, &there))
			continue;
		if (there.fn <= here.fn)
			break;
		to = k;
	}
	char *arg = args[i];
	memmove(args + to + 1, args + to, (i - to) * sizeof(*args));
	args[to] = arg;
}

int assign_expand(char **args, unsigned int *n, unsigned int max, struct verr *reterr)
{
	struct bdf host;
	int r = 0;

	for (unsigned int i = 0; i < *n && r == 0; i++) {
		const char *group = value_of(args[i], "group");

		if (group && token(group) == 2 && strncmp(group, "on", 2) == 0 &&
		    assign_host(args[i], &host, NULL) == 1)
			r = expand_group(args, n, max, i, &host, reterr);
	}
	for (unsigned int i = 1; i < *n && r == 0; i++)
		sort_in(args, i);
	return r;
}
