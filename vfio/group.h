// SPDX-License-Identifier: GPL-2.0-or-later
// An IOMMU group: opened once, viable or not and why, attached to a container. Reference counted
// (functions of one group share it); under the machine lock.
#pragma once

#include <stdbool.h>

#include "core/cc.h"
#include "core/list.h"
#include "core/verr.h"
#include "pci/bdf.h"
#include "vfio/container.h"

VV_BEGIN_DECLS

struct vfio_group {
	int fd;
	unsigned int id; /* /dev/vfio/<id> */
	unsigned int refs;
	struct vfio_container *container; /* reference held while attached; NULL otherwise */
	struct list node;		  /* in container->groups */
};

/* The group of that function, from sysfs. -ENODEV: no such function; -ENXIO: it has no group
 * (no IOMMU). Sentences name the function and the fix. */
int vfio_group_of(const struct bdf *at, unsigned int *ret_id, struct verr *reterr);

/* Attaches group `id` to container `c`, opening it unless it is there already; the first group
 * sets the IOMMU type. Viability is tested with &, and a group that is not viable is explained by
 * member: address, driver, and the command that fixes it. -EBUSY: somebody else has the group
 * open (who, if it can be found). -EINVAL: this group's IOMMU is incompatible with the
 * container's (caller opens another container). */
int vfio_group_attach(struct vfio_container *c, unsigned int id, struct vfio_group **ret,
		      struct verr *reterr);
/* Drops one reference; at the last, UNSET_CONTAINER and close. DMA unmaps must come before the
 * last group of a container leaves. */
void vfio_group_put(struct vfio_group *g);

VV_END_DECLS
