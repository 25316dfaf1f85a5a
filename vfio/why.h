// SPDX-License-Identifier: GPL-2.0-or-later
// Why the kernel refused: what sysfs and procfs say about a failure that came as a bare errno.
// Best effort, for sentences only: whatever can't be read is left out. Private to the host half.
// No locking, no state; reads through the system-call seam.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/range.h"

VV_BEGIN_DECLS

/* Who has device node `node` open: "qemu-system-x86 (pid 1234)". False, buf "", if nobody was
 * found (another user's process is invisible without CAP_SYS_PTRACE). */
bool vfio_why_holder(const char *node, char *buf, size_t size);

/* Calls each(opaque, node, who) for every "/dev/vfio/..." that a process has open, as far as it can
 * be seen; a node may come more than once. One walk over all processes. */
void vfio_why_holders(void (*each)(void *opaque, const char *node, const char *who), void *opaque);

/* Does the host have an IOMMU switched on (any in /sys/class/iommu)? */
bool vfio_why_has_iommu(void);

/* The kernel's EPERM when group `group` is put under its IOMMU: firmware reservation, or no
 * interrupt remapping. One phrase with the fix. */
void vfio_why_eperm(unsigned int group, char *buf, size_t size);

struct vfio_reserved {
	struct range r;
	char type[24]; /* "direct", "reserved", "msi" */
};

/* The first entry of the group's reserved_regions that overlaps `r`, relaxable ones apart. */
bool vfio_why_reserved(unsigned int group, struct range r, struct vfio_reserved *ret);

struct vfio_memlock {
	bool known;
	bool unlimited; /* no limit, or CAP_IPC_LOCK */
	uint64_t limit; /* bytes, soft */
	uint64_t used;	/* bytes locked now */
};

void vfio_why_memlock(struct vfio_memlock *ret);

/* The module's limit of maps per container; false if it can't be read. */
bool vfio_why_dma_limit(uint64_t *ret);

VV_END_DECLS
