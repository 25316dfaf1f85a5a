// SPDX-License-Identifier: GPL-2.0-or-later
// Host text files that may be long (procfs tables, mount lists), line by line. Read only; paths
// get hostpci's root prefix.
#pragma once

#include "core/cc.h"

VV_BEGIN_DECLS

/* Calls each(opaque, line) for every line of the file at root + path, without its newline; a line
 * longer than 4095 bytes is cut there. `line` may be modified. Stops early, returning that value,
 * when `each` returns non-zero. -errno if the file can't be read. */
int hostproc_lines(const char *path, int (*each)(void *opaque, char *line), void *opaque);

VV_END_DECLS
