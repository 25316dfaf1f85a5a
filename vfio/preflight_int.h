// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of preflight share, and the two phrases vfio-bind borrows. Not for others.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/cc.h"
#include "pci/hostpci.h"
#include "vfio/preflight.h"

VV_BEGIN_DECLS

struct preflight_ctx {
	const struct preflight_request *req;
	struct preflight *out;
	unsigned int *groups; /* judged already; owned, room for one each function */
	unsigned int n_groups;
	bool no_iommu; /* said already: functions without a group are no news */
	bool out_of_memory;
};

/* Adds one verdict. `fix` may be NULL. */
void preflight_say(struct preflight_ctx *c, enum verdict_level level, const char *check,
		   const char *fix, const char *fmt, ...) ATTR_PRINTF(5, 6);

void preflight_host(struct preflight_ctx *c);	/* KVM, IOMMU, modules: before the functions */
void preflight_limits(struct preflight_ctx *c); /* memory lock, DMA maps: after them */
/* Function number i of the request. */
void preflight_function(struct preflight_ctx *c, unsigned int i);
/* Its group, unless an earlier function of the request is in the same. */
void preflight_group(struct preflight_ctx *c, const struct hostpci_dev *d);

/* vfio-pci or one of the kernel's variant drivers (mlx5_vfio_pci, ...). */
bool preflight_is_vfio_driver(const char *driver);
/* Blocking members of a group other than skip[0..n_skip), as preflight_group_blockers(). */
unsigned int preflight_blockers_except(unsigned int group, const struct bdf *skip,
				       unsigned int n_skip, char *text, size_t size);
/* How to switch the IOMMU on, on this machine. */
const char *preflight_iommu_fix(void);

VV_END_DECLS
