// SPDX-License-Identifier: GPL-2.0-or-later
// How a function is reset: the ladder function-level reset (FLR, or what else the kernel has for
// one function alone), hot reset of the bus it is on, power management (D3hot and back), none.
// Under the machine lock.
#pragma once

#include <stdbool.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/bdf.h"
#include "vfio/device.h"

VV_BEGIN_DECLS

#define VFIO_RESET_DEPS 64

struct vfio_reset {
	bool function; /* VFIO_DEVICE_RESET is worth its name */
	bool hot;      /* VFIO_DEVICE_PCI_HOT_RESET is allowed: all it reaches is ours */
	bool pm;       /* VFIO_DEVICE_RESET is a walk to D3hot and back */
	struct bdf dep[VFIO_RESET_DEPS];     /* other functions that a hot reset takes along */
	uint32_t dep_group[VFIO_RESET_DEPS]; /* their IOMMU groups */
	unsigned int n_deps;
	char why_not[96]; /* why not `hot`; "": it was not asked */
};

/* Looks at reset_method, capabilities and the functions on the same bus. A hot reset is looked at
 * only if the function has nothing better, or `all`. */
void vfio_reset_choose(struct vfio_device *d, bool all, struct vfio_reset *ret);
/* Has a thread begin with the first rung, which vfio_reset_run() or vfio_reset_wait() then waits
 * for. Meanwhile nothing else may reset the function or what goes with it; the kernel keeps
 * accesses to its configuration space waiting. Without memory or threads: nothing is begun. */
void vfio_reset_begin(struct vfio_device *d, const struct vfio_reset *r);
/* As vfio_reset_wait(), but its result stays for vfio_reset_run(). */
void vfio_reset_settle(struct vfio_device *d);
/* Climbs down the rungs until one works and the function answers after it. 0; 1 if that was a hot
 * reset, which took its dependents along; -EOPNOTSUPP if there is none; otherwise the sentence
 * names the method that failed, and -EIO one that does not answer any more. */
int vfio_reset_run(struct vfio_device *d, const struct vfio_reset *r, struct verr *reterr);
/* "FLR (flr bus)", "hot reset, together with 0000:05:00.1", ... */
void vfio_reset_text(const struct vfio_device *d, const struct vfio_reset *r, char *buf,
		     size_t size);

VV_END_DECLS
