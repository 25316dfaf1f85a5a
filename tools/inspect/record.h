// SPDX-License-Identifier: GPL-2.0-or-later
// Records what the inventory and the preflight checks read of a machine: they run once with a
// recorder behind the system-call seam. So a capture holds exactly the files they read, by
// construction. And how a captured machine is put in the live one's place.
#pragma once

#include "core/cc.h"
#include "core/verr.h"
#include "tools/inspect/captree.h"

VV_BEGIN_DECLS

/* The machine that is read now (live, or under --root) into *t, which the caller finishes. -errno
 * with a sentence, and *t empty. Reads only, wakes nothing. */
int record_machine(struct captree *t, struct verr *reterr);

/* root.c: from now on the machine read is the one captured in `where`: a folder (links and device
 * nodes in it lead nowhere outside), an archive, or "-" for an archive on standard input. */
int root_set(const char *where, struct verr *reterr);
/* From now on the machine read is the present one without what identifies it. */
int root_redact(struct verr *reterr);

VV_END_DECLS
