// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of preflight share, and the two phrases vfio-bind borrows. Not for others.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/cc.h"
#include "core/range.h"
#include "pci/hostpci.h"
#include "vfio/preflight.h"

VV_BEGIN_DECLS

struct preflight_ctx {
	const struct preflight_request *req;
	struct preflight *out;
	const char *function; /* the one being looked at; NULL: the machine */
	unsigned int *groups; /* judged already; owned, room for one each function */
	unsigned int n_groups;
	bool no_iommu; /* said already: functions without a group are no news */
	bool out_of_memory;
};

/* Adds one verdict. `fix` may be NULL. */
void preflight_say(struct preflight_ctx *c, enum verdict_level level, const char *check,
		   const char *fix, const char *fmt, ...) ATTR_PRINTF(5, 6);

/* Where the last verdict was read, and what it was. */
void preflight_evidence(struct preflight_ctx *c, const char *fmt, ...) ATTR_PRINTF(2, 3);

void preflight_host(struct preflight_ctx *c);	/* KVM, IOMMU, modules: before the functions */
void preflight_space(struct preflight_ctx *c);	/* addresses, peer-to-peer: after them */
void preflight_limits(struct preflight_ctx *c); /* locked memory, hugepages, DMA maps */
/* Function number i of the request. */
void preflight_function(struct preflight_ctx *c, unsigned int i);
/* Its group, unless an earlier function of the request is in the same. */
void preflight_group(struct preflight_ctx *c, const struct hostpci_dev *d);

/* vfio-pci or one of the kernel's variant drivers (mlx5_vfio_pci, ...). */
bool preflight_is_vfio_driver(const char *driver);
/* Blocking members of a group other than skip[0..n_skip), as preflight_group_blockers(). */
unsigned int preflight_blockers_except(unsigned int group, const struct bdf *skip,
				       unsigned int n_skip, char *text, size_t size);
/* Whether the host needs the function, or an unbound one's interface is up (preflight_use.c). */
void preflight_use(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name);

/* --- BARs (preflight_bar.c) ------------------------------------------------------------------ */

/* Whether a memory BAR of the function overlaps that range of host addresses. */
bool preflight_bar_hit(const struct hostpci_dev *d, struct range r);
/* What of the function's BARs is slow or unusable in a guest. */
void preflight_bars(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name);

/* --- ACS (preflight_acs.c) ------------------------------------------------------------------- */

/* Why the function shares its group: "0000:00:1c.0 has no ACS". False: nothing seen. */
bool preflight_merger(const struct hostpci_dev *d, char *buf, size_t size);
/* Whether its group is what it seems (pcie_acs_override). */
void preflight_acs(struct preflight_ctx *c, const struct hostpci_dev *d);

/* --------------------------------------------------------------------------------------------- */

/* "root:kvm, mode 0660" into buf ("" if it can't be read); group[32], or NULL, gets "kvm" if that
 * group may read and write. */
void preflight_node_owner(const char *node, char *buf, size_t size, char *group);

/* How to switch the IOMMU on, on this machine. */
const char *preflight_iommu_fix(void);

VV_END_DECLS
