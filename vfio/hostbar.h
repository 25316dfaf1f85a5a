// SPDX-License-Identifier: GPL-2.0-or-later
// A function's BARs as the host's kernel placed them.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "pci/bdf.h"

VV_BEGIN_DECLS

struct host_bar {
	uint64_t addr, size; /* size 0: none */
	bool io, is64, prefetch;
	bool unplaced; /* the host found no room for it */
};

/* BARs 0-5. False if they can't be read. Wakes nothing. */
bool host_bars_read(const struct bdf *at, struct host_bar ret[6]);

VV_END_DECLS
