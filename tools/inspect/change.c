// SPDX-License-Identifier: GPL-2.0-or-later
//
// Differences between two documents of --json. Knows which keys name things, nothing of what the
// fields mean.
#include "tools/inspect/change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Lists of the document and the key that names an entry. */
static const struct {
	const char *list, *kind, *key;
} lists[] = {
	{ "iommus", "iommu", "name" },
	{ "groups", "group", "id" },
	{ "functions", "function", "address" },
};

int change_check(const json_t *doc, const char *file, struct verr *reterr)
{
	const char *schema = json_string_value(json_object_get(doc, "schema"));
	json_int_t version = json_integer_value(json_object_get(doc, "version"));
	if (!schema || strcmp(schema, INSPECT_SCHEMA) != 0)
		return verr_set(reterr, -EINVAL,
				"%s is no inventory (make one with: vfio-inspect --json > FILE)",
				file);
	if (version != INSPECT_SCHEMA_VERSION)
		return verr_set(reterr, -EINVAL,
				"%s has schema version %lld, this vfio-inspect speaks %d: print it "
				"again with this one",
				file, (long long)version, INSPECT_SCHEMA_VERSION);
	return 0;
}

/* Numbers and strings alike, as text; malloc'ed, NULL for anything else. */
static char *id_of(const json_t *entry, const char *key)
{
	const json_t *v = json_object_get(entry, key);
	char number[24];
	if (json_is_string(v))
		return strdup(json_string_value(v));
	if (!json_is_integer(v))
		return NULL;
	snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(v));
	return strdup(number);
}

/* The entries of a list by id; borrowed values. */
static json_t *index_of(const json_t *doc, unsigned int i)
{
	json_t *by = json_object();
	const json_t *list = json_object_get(doc, lists[i].list);
	for (size_t k = 0; by && k < json_array_size(list); k++) {
		json_t *entry = json_array_get(list, k);
		char *id = id_of(entry, lists[i].key);
		if (id)
			json_object_set(by, id, entry);
		free(id);
	}
	return by;
}

static void add(json_t *out, const char *change, const char *kind, const char *id,
		const json_t *entry)
{
	const char *name = json_string_value(json_object_get(entry, "name"));
	json_array_append_new(out, json_pack("{ss, ss, ss, ss}", "change", change, "kind", kind,
					     "id", id, "name", name ? name : ""));
}

static void add_fields(json_t *out, const char *kind, const char *id, const json_t *old,
		       const json_t *now)
{
	const char *field;
	json_t *value;
	json_object_foreach((json_t *)now, field, value)
	{
		json_t *before = json_object_get(old, field);
		if (!before || json_equal(before, value))
			continue;
		add(out, "changed", kind, id, now);
		json_object_update_new(
			json_array_get(out, json_array_size(out) - 1),
			json_pack("{ss, sO, sO}", "field", field, "old", before, "new", value));
	}
}

json_t *change_list(const json_t *old, const json_t *now)
{
	json_t *out = json_array();
	if (!out)
		return NULL;
	add_fields(out, "host", "host", json_object_get(old, "host"), json_object_get(now, "host"));
	for (unsigned int i = 0; i < ARRAY_SIZE(lists); i++) {
		json_t *a = index_of(old, i), *b = index_of(now, i), *entry;
		const char *id;
		json_object_foreach(a, id, entry)
		{
			if (!json_object_get(b, id))
				add(out, "vanished", lists[i].kind, id, entry);
		}
		json_object_foreach(b, id, entry)
		{
			json_t *before = json_object_get(a, id);
			if (!before)
				add(out, "appeared", lists[i].kind, id, entry);
			else
				add_fields(out, lists[i].kind, id, before, entry);
		}
		json_decref(a);
		json_decref(b);
	}
	return out;
}

/* A value as one would write it: strings bare, control characters escaped, null as (none). */
static void print_value(const struct inspect *in, const json_t *v)
{
	char *s = json_is_null(v)
			  ? strdup("(none)")
			  : json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_ENSURE_ASCII);
	if (!s)
		return;
	size_t n = strlen(s);
	if (json_is_string(v) && n > 2)
		fprintf(in->out, "%.*s", (int)n - 2, s + 1);
	else
		fputs(s, in->out);
	free(s);
}

void change_print(const struct inspect *in, const json_t *change)
{
	static const struct {
		const char *change;
		char sign;
		enum paint paint;
	} signs[] = { { "appeared", '+', PAINT_GOOD },
		      { "vanished", '-', PAINT_BAD },
		      { "changed", '~', PAINT_WARN } };
	const char *what = json_string_value(json_object_get(change, "change"));
	const char *kind = json_string_value(json_object_get(change, "kind"));
	const json_t *field = json_object_get(change, "field");
	for (size_t i = 0; i < ARRAY_SIZE(signs); i++) {
		if (strcmp(signs[i].change, what) == 0)
			paintf(in, signs[i].paint, "%c", signs[i].sign);
	}
	if (strcmp(kind, "iommu") == 0 || strcmp(kind, "group") == 0)
		fprintf(in->out, " %s", kind);
	fputc(' ', in->out);
	print_value(in, json_object_get(change, "id"));
	if (field) {
		fputc(' ', in->out);
		print_value(in, field);
		fputs(": ", in->out);
		print_value(in, json_object_get(change, "old"));
		fputs(" -> ", in->out);
		print_value(in, json_object_get(change, "new"));
	} else if (strcmp(kind, "function") == 0) {
		fputc(' ', in->out);
		print_value(in, json_object_get(change, "name"));
	}
	fputc('\n', in->out);
}
