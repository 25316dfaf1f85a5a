// SPDX-License-Identifier: GPL-2.0-or-later
//
// `complete`: addresses with names, a line each, for the shells' completion; the cheapest look that
// knows names. In words for machines too: address, tab, driver or "-", tab, name.
#include <stdlib.h>
#include <string.h>

#include "tools/inspect/inspect.h"

/* For a terminal, and no tab or newline that would end the column. */
static void clean(char *s)
{
	for (; *s; s++) {
		if ((unsigned char)*s < 0x20 || *s == 0x7f)
			*s = '?';
	}
}

static int run(struct inspect *in)
{
	struct verr err = { .code = 0 };
	struct hostpci_dev *v;
	char at[BDF_STR_MAX], name[256], class_name[128];
	int n = hostpci_list(&v, &err);
	if (n < 0)
		return inspect_fail(&err, n);
	for (int i = 0; i < n; i++) {
		hostpci_name(&v[i], name, sizeof(name));
		hostpci_class_name(v[i].class_code, class_name, sizeof(class_name));
		clean(name);
		clean(class_name);
		clean(v[i].driver);
		fprintf(in->out, "%s\t%s\t%s: %s\n", bdf_str(&v[i].at, at),
			v[i].driver[0] ? v[i].driver : "-", class_name, name);
	}
	free(v);
	return INSPECT_OK;
}

const struct inspect_cmd inspect_complete = {
	.name = "complete",
	.synopsis = "complete",
	.summary = "addresses, drivers and names, for shell completion",
	.args = ARGS_NONE,
	.run = run,
};
