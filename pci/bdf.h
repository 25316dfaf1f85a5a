// SPDX-License-Identifier: GPL-2.0-or-later
// PCI addresses: segment:bus:device.function.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct bdf {
	uint16_t seg;
	uint8_t bus;
	uint8_t dev; /* 0..31 */
	uint8_t fn;  /* 0..7 */
};

#define BDF_STR_MAX	      16 /* "ffff:ff:1f.7" and room */
#define PCI_DEVFN_OF(dev, fn) ((uint8_t)((dev) << 3 | (fn)))

/* "0000:03:00.0", or "03:00.0" (segment 0). Strict: hexadecimal, ranges checked, nothing after.
 * -EINVAL with a sentence that shows the expected form. */
int bdf_parse(const char *text, struct bdf *ret, struct verr *reterr);
/* Same, in the form of a PROP_CUSTOM parser; the field is a struct bdf. */
int bdf_prop_parse(void *field, const char *text, struct verr *reterr);
/* "0000:03:00.0" into buf; returns buf. */
char *bdf_str(const struct bdf *b, char buf[BDF_STR_MAX]);
bool bdf_equal(const struct bdf *a, const struct bdf *b);
int bdf_compare(const struct bdf *a, const struct bdf *b);

VV_END_DECLS
