// SPDX-License-Identifier: GPL-2.0-or-later
// A VFIO container: one IOMMU address space (type1), shared by the groups attached to it.
// The order Linux wants: open -> API version -> extensions -> first group attached -> SET_IOMMU
// -> info. Reference counted; under the machine lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/list.h"
#include "core/range.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct vfio_group;

/* What VFIO_IOMMU_GET_INFO says; re-read by vfio_container_refresh (it shrinks as groups join). */
struct vfio_iommu_info {
	uint64_t pgsizes;     /* bitmap; lowest bit is the map granule */
	struct rangeset iova; /* usable IOVA ranges; one whole range if the kernel tells none */
	bool has_iova;
	uint32_t dma_avail; /* maps left; UINT32_MAX if the kernel doesn't tell */
	bool has_migration; /* dirty page tracking capability */
	uint64_t dirty_pgsizes;
};

struct vfio_container {
	int fd;
	unsigned int refs;
	bool iommu_set;
	bool v2; /* TYPE1v2 */
	bool update_vaddr;
	struct vfio_iommu_info info; /* valid once iommu_set */
	struct list groups;
};

/* Opens /dev/vfio/vfio and checks API version and TYPE1v2/TYPE1. Errors say what is missing
 * (module, permission) and what to do. One reference. */
int vfio_container_open(struct vfio_container **ret, struct verr *reterr);
struct vfio_container *vfio_container_get(struct vfio_container *c);
void vfio_container_put(struct vfio_container *c); /* closes at the last; NULL allowed */
int vfio_container_refresh(struct vfio_container *c, struct verr *reterr);

VV_END_DECLS
