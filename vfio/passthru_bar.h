// SPDX-License-Identifier: GPL-2.0-or-later
// The BAR planner: what a function physically has -> what the guest gets, as two structs of which
// neither is ever edited into the other. Pure: no kernel, no guest.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/pcidev.h"
#include "vfio/device.h"

VV_BEGIN_DECLS

#define BAR_PLAN_PIECES 64

/* Where MSI-X structures are, physically; n == 0: no MSI-X. */
struct msix_place {
	unsigned int n;
	unsigned int tbir, pbir;
	uint32_t toff, poff;
};

/* The physical facts. */
struct bar_facts {
	uint32_t reg[PCIDEV_N_BARS];	  /* BAR registers 0-5 and the ROM register as read */
	const struct vfio_region *region; /* VFIO_N_REGIONS of them, by index */
	struct msix_place msix;
	uint64_t page_size;
	bool no_mmap; /* trap everything (x-no-mmap) */
	bool no_rom;  /* rombar=off */
};

struct bar_piece {
	uint8_t bar;
	uint64_t off, size; /* in the BAR; page multiples; sorted, disjoint */
};

/* The guest's view. */
struct bar_plan {
	struct {
		enum pcibar_kind kind;
		bool prefetch;
		uint64_t size;
	} bar[PCIDEV_N_BARS];
	struct bar_piece piece[BAR_PLAN_PIECES];
	unsigned int n_pieces;
};

/* -EINVAL names the BAR and what is wrong with it (size not a power of two, MSI-X table outside
 * its BAR ...), -E2BIG too many pieces. */
int bar_plan_make(const struct bar_facts *f, struct bar_plan *ret, struct verr *reterr);

VV_END_DECLS
