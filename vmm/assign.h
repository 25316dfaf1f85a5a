// SPDX-License-Identifier: GPL-2.0-or-later
// Which host functions --device arguments mean: whole groups written out, the functions of one
// host slot in their order, so that its function 0 is function 0 in the guest.
#pragma once

#include "core/cc.h"
#include "core/verr.h"
#include "pci/bdf.h"

VV_BEGIN_DECLS

/* The host address in "vfio-pci,...host=BDF...". 1, 0 if it is another device or names none,
 * -EINVAL with the sentence. */
int assign_host(const char *arg, struct bdf *ret, struct verr *reterr);

/* Rewrites `args` (*n malloc'ed strings, room for `max`) in place: one with group=on becomes one
 * for every endpoint of that function's IOMMU group that is not named otherwise; functions of one
 * host slot come in order, where the first of them stood. A group that can't be read is left for
 * preflight to explain. On failure (-E2BIG, -ENOMEM) `args` is still the caller's to free. */
int assign_expand(char **args, unsigned int *n, unsigned int max, struct verr *reterr);
void assign_free(char **args, unsigned int n);

VV_END_DECLS
