// SPDX-License-Identifier: GPL-2.0-or-later
// What all fuzz targets share: the entry point, and what has to hold whatever the input is.
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/cc.h"

VV_BEGIN_DECLS

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

VV_END_DECLS

#define CHECK(c)                                                                                   \
	do {                                                                                       \
		if (!(c)) {                                                                        \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #c);                    \
			abort();                                                                   \
		}                                                                                  \
	} while (0)
