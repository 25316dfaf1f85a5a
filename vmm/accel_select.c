// SPDX-License-Identifier: GPL-2.0-or-later
// Accelerator selection, in the order the user gave.

#include "vmm/accel_select.h"

#include <errno.h>
#include <string.h>

#include "core/type.h"
#include "vmm/typearg.h"

#define ENTRY_MAX 256

/* Copies the entry at *list and moves on; false at the end. */
static bool next_entry(const char **list, char entry[ENTRY_MAX], struct verr *reterr, int *ret_err)
{
	if (!*list)
		return false;
	size_t n = strcspn(*list, ":");
	if (n == 0 || n >= ENTRY_MAX) {
		*ret_err =
			verr_set(reterr, -EINVAL,
				 n ? "--accel: an entry is too long"
				   : "--accel: an empty entry (form: NAME[,PROP=VALUE]:NAME...)");
		return false;
	}
	memcpy(entry, *list, n);
	entry[n] = '\0';
	*list = (*list)[n] == ':' ? *list + n + 1 : NULL;
	return true;
}

int accel_list_check(const char *list, struct verr *reterr)
{
	char entry[ENTRY_MAX];
	int r = 0;

	while (r == 0 && next_entry(&list, entry, reterr, &r)) {
		const struct accel_type *type;
		void *cfg;

		r = typearg_accel(entry, &type, &cfg, reterr);
		if (r == 0)
			props_free(&type->t, cfg);
	}
	return r;
}

int accel_list_open(const char *list, FILE *out, struct accel **ret, bool *ret_fallback,
		    struct verr *reterr)
{
	char entry[ENTRY_MAX];
	struct verr why = { 0 };
	bool fallback = false;
	int r = 0;

	while (next_entry(&list, entry, reterr, &r)) {
		const struct accel_type *type;
		void *cfg;

		verr_clear(&why);
		r = typearg_accel(entry, &type, &cfg, &why);
		if (r < 0)
			break;
		r = type->open(cfg, ret, &why);
		props_free(&type->t, cfg);
		if (r == 0) {
			*ret_fallback = fallback;
			return 0;
		}
		if (out && list)
			fprintf(out, "vfio-vmm: accelerator %s passed over: %s\n", type->t.name,
				why.msg);
		fallback = true;
	}
	return why.code ? verr_set(reterr, why.code, "%s", why.msg) : r;
}
