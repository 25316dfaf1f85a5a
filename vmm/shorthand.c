// SPDX-License-Identifier: GPL-2.0-or-later
// Shorthand options (see the header): text in, text out. Opens nothing.
#include "vmm/shorthand.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pci/pcidev.h"
#include "vmm/tables.h"

/* Length of the item `text` starts with: up to a comma that is not doubled. */
static size_t item_len(const char *text)
{
	size_t n = 0;

	while (text[n] && !(text[n] == ',' && text[n + 1] != ','))
		n += text[n] == ',' ? 2 : 1;
	return n;
}

static bool has_prop(const struct prop *p, const char *item, size_t len)
{
	size_t name = strcspn(item, "=");

	for (; p && p->name && name < len; p++)
		if (strlen(p->name) == name && memcmp(p->name, item, name) == 0)
			return true;
	return false;
}

static const struct prop *props_of(const struct type_desc *const *types, const char *name)
{
	for (size_t i = 0; types[i]; i++)
		if (strcmp(types[i]->name, name) == 0)
			return types[i]->props;
	return NULL;
}

static const struct shorthand_form *find_form(const struct shorthand *s, const char *value)
{
	size_t item = item_len(value);

	for (const struct shorthand_form *f = s->forms; f->word; f++) {
		size_t len = strlen(f->word);

		if (strncmp(value, f->word, len) == 0 &&
		    (f->prop ? value[len] == '=' : item == len))
			return f;
	}
	return NULL;
}

static int no_form(const struct shorthand *s, const char *option, const char *value,
		   struct verr *reterr)
{
	char forms[160] = "";
	size_t n = 0;

	for (const struct shorthand_form *f = s->forms; f->word && n < sizeof(forms); f++)
		n += (size_t)snprintf(forms + n, sizeof(forms) - n, "%s%s%s", n ? ", " : "",
				      f->word, f->prop ? "=..." : "");
	return verr_set(reterr, -EINVAL, "--%s %s: must begin with %s%s", option, value,
			s->forms[1].word ? "one of " : "", forms);
}

/* A misspelt name: whose it is most like, so that the nearest can be suggested. */
static bool like_back(const struct prop *back, const struct prop *dev, const char *item, size_t len)
{
	const char *names[128];
	size_t n = 0, n_back;
	char name[64];

	for (; back && back->name && n < ARRAY_SIZE(names); back++)
		names[n++] = back->name;
	n_back = n;
	for (; dev && dev->name && n < ARRAY_SIZE(names); dev++)
		names[n++] = dev->name;
	snprintf(name, sizeof(name), "%.*s", (int)MIN(strcspn(item, "="), len), item);
	const char *near = nearest_name(name, names, n);
	for (size_t i = 0; near && i < n_back; i++)
		if (near == names[i])
			return true;
	return false;
}

/* The items after the first, sorted to whom they belong. */
static void sort_items(const struct shorthand *s, const struct shorthand_form *f, const char *value,
		       FILE *backend, FILE *device)
{
	const struct type_desc *const *types =
		(const struct type_desc *const *)backend_types[s->kind];
	const struct prop *back = props_of(types, f->type);
	const struct prop *dev = props_of((const struct type_desc *const *)dev_types, s->device);

	for (size_t n = item_len(value); value[n]; n = item_len(value)) {
		value += n + 1;
		size_t len = item_len(value);
		bool known = has_prop(dev, value, len) || has_prop(pcidev_common_props, value, len);
		bool to_back =
			!known && (has_prop(back, value, len) || like_back(back, dev, value, len));

		fprintf(to_back ? backend : device, ",%.*s", (int)len, value);
	}
}

static void write_both(const struct shorthand *s, const struct shorthand_form *f, const char *value,
		       unsigned int n, FILE *backend, FILE *device)
{
	if (!f) {
		fprintf(device, "%s%s%s", s->device, *value ? "," : "", value);
		return;
	}
	fprintf(backend, "%s,id=%s%u", f->type, s->id, n);
	if (f->prop) {
		size_t skip = strlen(f->word);

		fprintf(backend, ",%s%.*s", f->prop, (int)(item_len(value) - skip), value + skip);
	}
	fprintf(device, "%s,%s=%s%u", s->device, s->link, s->id, n);
	sort_items(s, f, value, backend, device);
}

int shorthand_expand(const struct shorthand *s, const char *option, const char *value,
		     unsigned int n, char **ret_backend, char **ret_device, struct verr *reterr)
{
	const struct shorthand_form *f = s->forms ? find_form(s, value) : NULL;
	char *b = NULL, *d = NULL;
	size_t bl, dl;

	if (s->forms && !f)
		return no_form(s, option, value, reterr);
	FILE *backend = open_memstream(&b, &bl), *device = open_memstream(&d, &dl);
	if (backend && device)
		write_both(s, f, value, n, backend, device);
	bool ok = backend && device;
	if (backend)
		ok &= fclose(backend) == 0;
	if (device)
		ok &= fclose(device) == 0;
	if (!ok || !f) {
		free(b);
		b = NULL;
	}
	if (!ok) {
		free(d);
		return verr_set(reterr, -ENOMEM, "out of memory");
	}
	*ret_backend = b;
	*ret_device = d;
	return 0;
}
