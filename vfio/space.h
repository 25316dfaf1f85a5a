// SPDX-License-Identifier: GPL-2.0-or-later
// The IOMMU address spaces of one VM: each a container that mirrors guest memory, shared by as
// many assigned functions as the kernel lets into it. Found through guest memory's listeners, so
// no global list. Under the machine lock.
#pragma once

#include <stdbool.h>

#include "core/cc.h"
#include "core/dev.h"
#include "core/verr.h"
#include "pci/bdf.h"
#include "vfio/device.h"
#include "vfio/dma.h"

VV_BEGIN_DECLS

struct vfio_space {
	struct vfio_dma dma;
	struct vfio_container *c; /* reference held */
	unsigned int devices;
};

/* What one assigned function holds; zero-initialised holds nothing. */
struct vfio_seat {
	struct vfio_space *space;
	struct vfio_group *group; /* own reference, so that it outlives the device fd */
	struct vfio_device *vd;
	struct accel *accel;
	const char *vf_token; /* set before it is taken; borrowed; NULL or "": none */
};

/* Joins an existing space or makes one: group attached, KVM told of it, guest memory mirrored, the
 * opening of the device begun, if `aside` by a thread. All or nothing. */
int vfio_seat_begin(struct vfio_seat *s, const struct platform *plat, const struct bdf *at,
		    bool aside, struct verr *reterr);
/* The same, if it has not begun, and the device is open. All or nothing. */
int vfio_seat_take(struct vfio_seat *s, const struct platform *plat, const struct bdf *at,
		   struct verr *reterr);
/* Closes the device, then unmaps guest memory (last of the space, while its group still holds the
 * container), tells KVM, leaves group and container. Idempotent. */
void vfio_seat_leave(struct vfio_seat *s);

VV_END_DECLS
