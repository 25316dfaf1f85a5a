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
#define BAR_PLAN_TRAPS	16

/* Where MSI-X structures are, physically; n == 0: no MSI-X. */
struct msix_place {
	unsigned int n;
	unsigned int tbir, pbir;
	uint32_t toff, poff;
};

/* BAR_DIRECT: mapped as far as can be. BAR_TRAP: every access is an exit, traced and without
 * peer-to-peer DMA. BAR_HIDE: the guest finds no such BAR. */
enum bar_mode { BAR_DIRECT, BAR_TRAP, BAR_HIDE };

/* What the user says of a BAR. */
struct bar_wish {
	enum bar_mode mode;
	bool as_host; /* the guest has it where the host has it */
	uint64_t at;  /* the address it has to have in the guest; 0: any (yet, if as_host) */
};

/* Where the guest finds the MSI-X table and pending bits: where they are; elsewhere if other
 * registers may lie in their pages, which would cost an exit each; or, from MSIX_TO_BAR on, in that
 * BAR. */
enum msix_to { MSIX_STAYS, MSIX_AUTO, MSIX_TO_BAR };

/* Part of a BAR that a quirk answers for: its pages are not mapped. */
struct bar_trap {
	uint8_t bar;
	uint64_t off, size;
};

/* The physical facts. */
struct bar_facts {
	uint32_t reg[PCIDEV_N_BARS];	  /* BAR registers 0-5 and the ROM register as read */
	const struct vfio_region *region; /* VFIO_N_REGIONS of them, by index */
	struct msix_place msix;
	const struct bar_trap *trap; /* n_trap of them; borrowed */
	unsigned int n_trap;
	uint64_t page_size;
	struct bar_wish wish[6];
	int msix_to;	   /* enum msix_to, by the user */
	bool no_mmap;	   /* trap everything (x-no-mmap) */
	bool no_rom;	   /* rombar=off */
	uint64_t rom_file; /* romfile=: bytes in it; 0: the function's own ROM */
};

struct bar_piece {
	uint8_t bar;
	uint64_t off, size; /* in the BAR; page multiples; sorted, disjoint. A BAR smaller than a
			       page is one page: it can be mapped where it starts one. */
};

/* The guest's view. */
struct bar_plan {
	struct {
		enum pcibar_kind kind;
		bool prefetch;
		uint64_t size;
		uint64_t align; /* where it should be placed: a multiple of this */
		uint64_t at;	/* where it has to be placed; 0: anywhere */
	} bar[PCIDEV_N_BARS];
	struct bar_piece piece[BAR_PLAN_PIECES];
	unsigned int n_pieces;
	struct msix_place msix; /* may lie past what the BAR physically has */
	bool msix_moved;
};

/* -EINVAL names the BAR and what is wrong with it (size not a power of two, MSI-X table outside
 * its BAR ...), -E2BIG too many pieces, -ENOMEM. */
int bar_plan_make(const struct bar_facts *f, struct bar_plan *ret, struct verr *reterr);
/* passthru_msix.c's part of it, the BARs being in `p`: p->msix and the BAR that grows for it. */
int bar_plan_msix(const struct bar_facts *f, struct bar_plan *p, struct verr *reterr);

VV_END_DECLS
