// SPDX-License-Identifier: GPL-2.0-or-later
// Handing host functions to vfio-pci and back, as a transaction: by driver_override and
// drivers_probe (never new_id), verified afterwards, with a journal written before anything
// changes and removed when undone. kill -9 at any point leaves a state that bind_restore mends.
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/bdf.h"

VV_BEGIN_DECLS

#define BIND_JOURNAL_DIR "/run/vfio-vmm" /* one file a function: bind-0000:03:00.0 */

struct bind_opts {
	bool group;	   /* every endpoint of the functions' groups */
	bool dry_run;	   /* print what would be written, change nothing */
	bool force_in_use; /* bind although something uses it */
	FILE *out;	   /* narration, one line a step; NULL: none */
};

/* Binds all or none: on failure what was done is undone. Already bound functions are left alone
 * and not journalled. -EBUSY names the use (mount, swap, default route, console framebuffer). */
int bind_to_vfio(const struct bdf *bdfs, unsigned int n, const struct bind_opts *opts,
		 struct verr *reterr);
/* Gives back what the journal says, the named function or (n == 0) all. Idempotent. Returns the
 * number restored. */
int bind_restore(const struct bdf *bdfs, unsigned int n, const struct bind_opts *opts,
		 struct verr *reterr);
/* One line per journalled or vfio-bound function. */
int bind_status(FILE *out, struct verr *reterr);

/* What uses the function now, as a phrase ("/dev/nvme0n1p2 is mounted on /home"); false: nothing. */
bool bind_in_use(const struct bdf *at, char *why, size_t size);

VV_END_DECLS
