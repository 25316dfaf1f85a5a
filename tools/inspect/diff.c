// SPDX-License-Identifier: GPL-2.0-or-later
//
// `diff OLD.json`: what appeared, vanished and changed since `vfio-inspect --json > OLD.json`.
#include <errno.h>
#include <string.h>

#include "tools/inspect/change.h"

/* As diff(1) has them. */
enum { DIFF_SAME = 0, DIFF_DIFFERENT = 1, DIFF_TROUBLE = 2 };

static json_t *load(const char *file, struct verr *reterr)
{
	json_error_t e;
	FILE *f = strcmp(file, "-") == 0 ? stdin : fopen(file, "re");
	if (!f) {
		verr_set(reterr, -errno, "can't read %s: %s", file, strerror(errno));
		return NULL;
	}
	json_t *doc = json_loadf(f, 0, &e);
	if (f != stdin)
		fclose(f);
	if (!doc) {
		verr_set(reterr, -EINVAL, "%s is no output of vfio-inspect --json: %s (line %d)",
			 file, e.text, e.line);
		return NULL;
	}
	if (change_check(doc, file, reterr) == 0)
		return doc;
	json_decref(doc);
	return NULL;
}

/* As much as the old document had: of one without BARs nothing more is read. */
static json_t *now_like(const json_t *old, struct verr *reterr)
{
	struct inv inv;
	const json_t *first = json_array_get(json_object_get(old, "functions"), 0);
	enum inv_detail detail = json_object_get(first, "bars") ? INV_FULL : INV_TREE;
	if (inv_read(&inv, detail, NULL, 0, reterr) < 0)
		return NULL;
	json_t *doc = inspect_json(&inv, NULL, 0);
	inv_fini(&inv);
	return doc;
}

static int report(struct inspect *in, json_t *changes)
{
	size_t n = json_array_size(changes);
	if (in->json) {
		json_t *doc = json_pack("{ss, si, sO}", "schema", "vfio-inspect-diff", "version", 1,
					"changes", changes);
		if (inspect_json_print(in, doc) != INSPECT_OK)
			return DIFF_TROUBLE;
	} else {
		for (size_t i = 0; i < n; i++)
			change_print(in, json_array_get(changes, i));
	}
	return n ? DIFF_DIFFERENT : DIFF_SAME;
}

static int run(struct inspect *in)
{
	struct verr err = { .code = 0 };
	int status = DIFF_TROUBLE;
	json_t *old = load(in->arg[0], &err), *now = NULL, *changes = NULL;
	if (old)
		now = now_like(old, &err);
	if (now)
		changes = change_list(old, now);
	if (changes)
		status = report(in, changes);
	else
		inspect_fail(&err, err.code ? err.code : -ENOMEM);
	json_decref(old);
	json_decref(now);
	json_decref(changes);
	return status;
}

const struct inspect_cmd inspect_diff = {
	.name = "diff",
	.synopsis = "diff OLD.json",
	.summary = "what changed since vfio-inspect --json > OLD.json",
	.args = ARGS_FILE,
	.run = run,
	.trouble = DIFF_TROUBLE,
};
