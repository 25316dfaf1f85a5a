// SPDX-License-Identifier: GPL-2.0-or-later
// What single devices need beyond the rules: one table keyed by vendor, device and class, in
// quirks.c (users read docs/quirks.md). Each row that applies to a function becomes a quirk of it:
// registers in its BARs that are taken out of direct mapping and answered here, capabilities added
// to what the guest sees, facts put right that the device states wrongly.
//
// Under the machine lock. quirks=off on the device leaves the table out.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"
#include "vfio/passthru_bar.h"

VV_BEGIN_DECLS

struct passthru;

/* A row, as documentation and tests see it. */
struct quirk_row {
	const char *name; /* "nvidia-bar0-config" */
	const char *desc; /* one line */
	uint16_t vendor;
};
/* Row number i of the table; NULL past its end. */
const struct quirk_row *quirk_row(unsigned int i);

/* --- life, in this order ------------------------------------------------------------------- */

/* Which rows apply: p->vd is open, p->msix is what the device says and is put right. -ENOMEM. */
int quirks_find(struct passthru *p, struct verr *reterr);
/* The BAR ranges they answer for, for bar_plan_make(): up to `max` in `ret`. Returns how many. */
unsigned int quirks_traps(const struct passthru *p, struct bar_trap *ret, unsigned int max);
/* Configuration space is built: capabilities, guest memory. Errors name the quirk's matter. */
int quirks_realize(struct passthru *p, struct verr *reterr);
/* The function was reset, by whomever. */
void quirks_reset(struct passthru *p);
/* Gives everything back; in any state, may be called twice. */
void quirks_fini(struct passthru *p);

/* --- at work ------------------------------------------------------------------------------- */

/* Trapped BAR accesses, as in pcidev_ops. False: no quirk's, hardware answers. */
bool quirks_bar_read(struct passthru *p, unsigned int bar, uint64_t off, unsigned int size,
		     uint64_t *ret);
bool quirks_bar_write(struct passthru *p, unsigned int bar, uint64_t off, uint64_t val,
		      unsigned int size);
/* One line each, for --dry-run. */
void quirks_describe(const struct passthru *p, FILE *out);

/* x-nv-gpudirect-clique: "off" (0) or 0..15 (stored plus one) into a uint8_t. */
int quirks_clique_parse(void *field, const char *text, struct verr *reterr);

VV_END_DECLS
