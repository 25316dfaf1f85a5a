// SPDX-License-Identifier: GPL-2.0-or-later
// What the two halves of capdec share. Not for others.
#pragma once

#include "core/cc.h"
#include "tools/inspect/capdec.h"

VV_BEGIN_DECLS

/* One capability being told. */
struct capdec_tell {
	const struct inv_fn *f;
	unsigned int off;
	void (*say)(void *opaque, const char *line);
	void *opaque;
};

struct capdec_bit {
	uint32_t mask;
	const char *name;
};

struct capdec_row {
	uint16_t id;
	const char *name;
	void (*tell)(const struct capdec_tell *t); /* NULL: nothing to say but its name */
};

extern const struct capdec_row capdec_standard[], capdec_extended[]; /* end with a NULL name */

/* A register of the capability. */
uint32_t capdec_get(const struct capdec_tell *t, unsigned int reg, unsigned int size);
void capdec_say(const struct capdec_tell *t, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* "head: A+ B- C+" */
void capdec_bits(const struct capdec_tell *t, const char *head, uint32_t value,
		 const struct capdec_bit *bits, unsigned int n);
/* "2.5 GT/s" .. "64 GT/s" for the speed codes of link registers. */
const char *capdec_speed(unsigned int code);

#define CAPDEC_BITS(t, head, value, bits) capdec_bits(t, head, value, bits, ARRAY_SIZE(bits))

VV_END_DECLS
