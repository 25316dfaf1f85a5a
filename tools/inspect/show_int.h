// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of `show` share. Not for others.
#pragma once

#include "core/cc.h"
#include "tools/inspect/inspect.h"

VV_BEGIN_DECLS

#define SHOW_LABEL 17 /* where what is said of a label starts */
#define SHOW_TABLE 4  /* indentation of a table's lines */

/* "  label          sentence", broken at column 100. */
void show_row(const struct inspect *in, const char *label, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* The same in a colour. */
void show_paint(const struct inspect *in, enum paint p, const char *label, const char *fmt, ...)
	ATTR_PRINTF(4, 5);
/* A line of a table below a heading; what does not fit goes on eight columns further right. */
void show_line(const struct inspect *in, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* show_bar.c */
void show_bars(const struct inspect *in, const struct inv_fn *f);
void show_irqs(const struct inspect *in, const struct inv_fn *f);
/* show_vfio.c: opens the function through VFIO, prints what it says, closes it. */
int show_vfio(const struct inspect *in, const struct inv_fn *f, struct verr *reterr);

VV_END_DECLS
