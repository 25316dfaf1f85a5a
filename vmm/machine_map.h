// SPDX-License-Identifier: GPL-2.0-or-later
// The memory map of the pc machine, solved for everything that has a say at once: RAM, the devices'
// BARs, the processor's physical address width, what their IOMMUs can reach, and the ranges that
// hardware keeps for itself. Pure: facts in, layout and the reasons for it out.
#pragma once

#include <stdint.h>

#include "core/cc.h"
#include "core/range.h"
#include "core/verr.h"
#include "pci/pcibus.h"
#include "vmm/boot/layout.h"

VV_BEGIN_DECLS

#define PC_ECAM_BASE  UINT64_C(0xe0000000)
#define PC_ECAM_BUSES 256u

struct pc_map_facts {
	uint64_t ram_size;
	unsigned int phys_bits; /* of a guest address */
	struct pci_needs needs;
	/* What devices can reach by DMA, in every IOMMU address space; NULL: no device does DMA. */
	const struct rangeset *dma;
	/* Says why `r` can't be reached, of which some part is not in `dma`; `opaque` is yours. */
	int (*why)(void *opaque, struct range r, struct verr *reterr);
	void *opaque;
};

/* Why the map is not the usual one: sentences for --dry-run. */
struct pc_map_notes {
	char text[4][VERR_MSG_MAX];
	unsigned int n;
};

/* Fills RAM and the PCI memory windows of *ret, leaving the rest of it as it is; on failure as far
 * as it got, for --dry-run. -EINVAL (RAM), -ENOSPC (BARs): the sentence says what does not fit,
 * where and why. */
int pc_map_solve(const struct pc_map_facts *f, struct pc_layout *ret, struct pc_map_notes *notes,
		 struct verr *reterr);

VV_END_DECLS
