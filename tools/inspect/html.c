// SPDX-License-Identifier: GPL-2.0-or-later
//
// `html FILE`: the machine as one page that needs nothing else. page.html, which is part of this
// program, draws what --json says; here that document only gets to its place. Writes that file and
// nothing else.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/inspect/inspect.h"

/* The page between two symbols; the build system knows where it is. */
__asm__(".section .rodata\n"
	".global vfio_inspect_page, vfio_inspect_page_end\n"
	"vfio_inspect_page: .incbin \"" VV_INSPECT_PAGE "\"\n"
	"vfio_inspect_page_end: .byte 0\n"
	".previous\n");
extern const char vfio_inspect_page[], vfio_inspect_page_end[];

#define MARK "@DATA@"

/* Inside a script element: "<" would end it or start a comment. It is in strings only. */
static void put_json(const char *s, FILE *f)
{
	for (const char *lt; (lt = strchr(s, '<')); s = lt + 1) {
		fwrite(s, 1, (size_t)(lt - s), f);
		fputs("\\u003c", f);
	}
	fputs(s, f);
}

static int write_page(const char *json, FILE *f)
{
	const char *page = vfio_inspect_page;
	size_t len = (size_t)(vfio_inspect_page_end - page);
	const char *mark = memmem(page, len, MARK, strlen(MARK));
	if (!mark)
		return -EINVAL;
	errno = 0;
	fwrite(page, 1, (size_t)(mark - page), f);
	put_json(json, f);
	mark += strlen(MARK);
	fwrite(mark, 1, len - (size_t)(mark - page), f);
	return fflush(f) == 0 && !ferror(f) ? 0 : errno ? -errno : -EIO;
}

static char *document(struct verr *reterr)
{
	struct inv inv;
	char *text = NULL;
	if (inv_read(&inv, INV_FULL, NULL, 0, reterr) < 0)
		return NULL;
	json_t *doc = inspect_json(&inv, NULL, 0);
	inv_fini(&inv);
	if (doc)
		text = json_dumps(doc, JSON_COMPACT);
	if (!text)
		verr_set(reterr, -ENOMEM, "out of memory for the page");
	json_decref(doc);
	return text;
}

static int run(struct inspect *in)
{
	struct verr err = { .code = 0 };
	const char *file = in->arg[0];
	bool out = strcmp(file, "-") == 0;
	char *json = document(&err);
	if (!json)
		return inspect_fail(&err, err.code);
	FILE *f = out ? in->out : fopen(file, "we");
	int r = f ? write_page(json, f) : -errno;
	if (f && !out && fclose(f) != 0 && r == 0)
		r = -errno;
	free(json);
	if (r == 0 || out)
		return INSPECT_OK; /* main sees to stdout */
	verr_set(&err, r, "can't write %s: %s", file, strerror(-r));
	return inspect_fail(&err, r);
}

const struct inspect_cmd inspect_html = {
	.name = "html",
	.synopsis = "html FILE",
	.summary = "one page to look at, with search; \"-\" is standard output",
	.args = ARGS_FILE,
	.run = run,
};
