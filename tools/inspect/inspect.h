// SPDX-License-Identifier: GPL-2.0-or-later
// What the commands of vfio-inspect share. One file a command; a row in tools/vfio-inspect.c's
// table makes it known to parsing, to --help and to the "did you mean".
#pragma once

#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/bdf.h"
#include "tools/inspect/inv.h"

VV_BEGIN_DECLS

/* Exit statuses; `explain` and `diff` have their own meaning for 1 and 2. */
enum { INSPECT_OK = 0, INSPECT_FAILED = 1, INSPECT_USAGE = 2 };

/* Options every command takes, parsed by main. */
struct inspect {
	const char *cmd; /* name of the command running, for messages */
	bool json;
	bool colour; /* decided: a terminal, and no NO_COLOR */
	FILE *out;   /* stdout */
	char **arg;  /* operands */
	unsigned int n_args;
	struct bdf *bdf; /* the operands as addresses, when the command takes addresses */
};

struct inspect_cmd {
	const char *name;		/* "show" */
	const char *synopsis, *summary; /* for --help: "show BDF... [--open]", one line */
	enum { ARGS_NONE, ARGS_BDF, ARGS_BDF_OR_NONE, ARGS_FILE } args;
	const struct option *options; /* own ones, vals from 256 up; ends with zeros; may be NULL */
	/* One own option; 0, or -EINVAL with a sentence. */
	int (*option)(int val, const char *arg, struct verr *reterr);
	int (*run)(struct inspect *in); /* returns the exit status; prints its own errors */
	int trouble; /* the exit status when its output got lost; 0: that of run, or failed */
};

extern const struct inspect_cmd inspect_tree, inspect_show, inspect_explain, inspect_capture,
	inspect_html, inspect_diff, inspect_watch, inspect_complete;

/* "vfio-inspect: sentence" on stderr; returns INSPECT_FAILED. */
int inspect_fail(const struct verr *err, int code);

/* --- paint.c ---------------------------------------------------------------------------------- */

enum paint { PAINT_PLAIN, PAINT_HEAD, PAINT_GOOD, PAINT_WARN, PAINT_BAD, PAINT_DIM };

/* printf in a colour, if the command may use colour. */
void paintf(const struct inspect *in, enum paint p, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* Prints items, separated by `sep`, as lines of at most 100 columns: breaks between items only,
 * continuation lines start with `indent` blanks; the first line goes on at column `at`. */
void paint_items(const struct inspect *in, unsigned int at, unsigned int indent, const char *sep,
		 const char *const *item, unsigned int n);
/* Prints a sentence, broken between words at column 100, and a newline. */
void paint_text(const struct inspect *in, enum paint p, unsigned int at, unsigned int indent,
		const char *text);
/* Cuts `text` to `columns` with "..." at its end (bytes of UTF-8 sequences stay together). */
char *paint_cut(char *text, unsigned int columns);

/* --- json.c: the inventory as JSON; the schema is tools/inspect/vfio-inspect.schema.json ------ */

#define INSPECT_SCHEMA "vfio-inspect"
#define INSPECT_SCHEMA_VERSION                                                                     \
	1 /* raised when a field goes or changes meaning; additions are free */

/* The document: {"schema": "vfio-inspect", "version": 1, "host": ..., "iommus": [...],
 * "groups": [...], "functions": [...]}. Keys in a fixed order. NULL when memory runs out; the
 * caller decrefs. only[0..n_only): these functions and their groups; n_only 0: all. */
json_t *inspect_json(const struct inv *inv, const struct bdf *only, unsigned int n_only);
/* Prints and drops the document. INSPECT_OK also when it could not be written: stdout knows, and
 * main says so. */
int inspect_json_print(struct inspect *in, json_t *doc);

VV_END_DECLS
