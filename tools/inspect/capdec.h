// SPDX-License-Identifier: GPL-2.0-or-later
// Capabilities in words, out of the copy of configuration space the inventory took. Pure.
#pragma once

#include "core/cc.h"
#include "tools/inspect/inv.h"

VV_BEGIN_DECLS

/* "MSI-X", "Access Control Services"; "capability 0x1c" for one not known. Returns buf. */
char *capdec_name(const struct inv_cap *c, char *buf, size_t size);
/* Calls say() with a line for each thing worth saying; none for one not known. */
void capdec(const struct inv_fn *f, const struct inv_cap *c,
	    void (*say)(void *opaque, const char *line), void *opaque);

VV_END_DECLS
