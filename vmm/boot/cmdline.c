// SPDX-License-Identifier: GPL-2.0-or-later
// Merges the default kernel parameters with the user's. Knows the syntax of a Linux command line
// (blanks, double quotes, "--") and nothing of where it is put.
#include "vmm/boot/cmdline.h"

#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/boot/layout.h"

static bool same_name_char(char a, char b)
{
	return (a == '-' ? '_' : a) == (b == '-' ? '_' : b);
}

/* Does the token of `len` bytes set the parameter `name`? */
static bool token_sets(const char *token, size_t len, const char *name)
{
	size_t i = 0;

	if (len > 0 && token[0] == '"') { /* "name=a value" */
		token++;
		len--;
	}
	for (; name[i]; i++)
		if (i >= len || !same_name_char(token[i], name[i]))
			return false;
	return i == len || token[i] == '=' || token[i] == '"';
}

static bool line_sets(const char *line, const char *name)
{
	const char *p = line;

	for (;;) {
		const char *start;
		bool quoted = false;

		while (isspace((unsigned char)*p))
			p++;
		if (!*p)
			return false;
		for (start = p; *p && (quoted || !isspace((unsigned char)*p)); p++)
			if (*p == '"')
				quoted = !quoted;
		if (p - start == 2 && !memcmp(start, "--", 2))
			return false;
		if (token_sets(start, (size_t)(p - start), name))
			return true;
	}
}

int cmdline_build(const struct pc_layout *l, const char *user, char **ret, struct verr *reterr)
{
	const char *console = "";
	char *line;

	if (!user)
		user = "";
	for (const char *p = user; *p; p++)
		if (iscntrl((unsigned char)*p) && *p != '\t')
			return verr_set(reterr, -EINVAL,
					"--cmdline: control character %#x at "
					"position %zu",
					(unsigned int)(unsigned char)*p, (size_t)(p - user));
	if (l->has_serial && !line_sets(user, "console"))
		console = "console=ttyS0";
	if (asprintf(&line, "%s%s%s", console, *console && *user ? " " : "", user) < 0)
		return verr_set(reterr, -ENOMEM, "--cmdline: out of memory");
	*ret = line;
	return 0;
}
