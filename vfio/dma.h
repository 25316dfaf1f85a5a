// SPDX-License-Identifier: GPL-2.0-or-later
// The IOVA mapper: guest memory into an IOMMU address space, as a gmem listener. RAM is required,
// a device's BAR (peer-to-peer) best effort. What can't be mapped is explained: which range, which
// limit, whose reservation. One map call per region.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/gmem.h"
#include "core/verr.h"
#include "vfio/container.h"

VV_BEGIN_DECLS

struct vfio_dma {
	struct gmem_listener listener;
	struct vfio_container *c; /* reference held */
	struct gmem *gmem;	  /* borrowed; NULL while not listening */
	uint64_t mapped;	  /* bytes of RAM mapped, for messages and accounting */
	/* BARs that could not be mapped, and why the last of them: peers here can't reach them. */
	unsigned int bars_refused;
	struct verr bar_refusal;
};

/* Starts mirroring `m` into the container, which must have its IOMMU set (a group attached).
 * Replays all regions: everything required maps, or nothing stays mapped. */
int vfio_dma_start(struct vfio_dma *d, struct vfio_container *c, struct gmem *m,
		   struct verr *reterr);
/* Unmaps everything: before the last group leaves the container. No effect if not started. */
void vfio_dma_stop(struct vfio_dma *d);

/* The mappers listening on `m`, in order: NULL starts, NULL ends. */
struct vfio_dma *vfio_dma_next(struct gmem *m, const struct vfio_dma *after);

/* Is [iova, iova+size) inside the usable windows? -EINVAL: the sentence names what it collides
 * with. */
int vfio_dma_check(const struct vfio_container *c, uint64_t iova, uint64_t size,
		   struct verr *reterr);

VV_END_DECLS
