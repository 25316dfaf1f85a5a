// SPDX-License-Identifier: GPL-2.0-or-later
//
// `capture FILE`: this machine, as far as the other commands read it, in an archive that they take
// with --root. Writes that file and nothing else.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "tools/inspect/inspect.h"
#include "tools/inspect/record.h"

static int run(struct inspect *in)
{
	struct verr err = { .code = 0 };
	struct captree t;
	const char *file = in->arg[0];
	if (strcmp(file, "-") == 0 && isatty(STDOUT_FILENO)) {
		verr_set(&err, -EINVAL, "an archive is not for a terminal: name a file");
		return inspect_fail(&err, err.code);
	}
	int r = record_machine(&t, &err);
	if (r < 0)
		return inspect_fail(&err, r);
	r = captar_write(&t, file, &err);
	captree_fini(&t);
	return r < 0 ? inspect_fail(&err, r) : INSPECT_OK;
}

const struct inspect_cmd inspect_capture = {
	.name = "capture",
	.synopsis = "capture FILE",
	.summary = "this machine into an archive (.tar, .tar.gz) for --root",
	.args = ARGS_FILE,
	.run = run,
};
