// SPDX-License-Identifier: GPL-2.0-or-later
// The MSI-X table, pending bit array and capability (PCI 3.0 6.8.2), as a pure state machine over
// a sink (pci/msi.h). Table and PBA accesses are offsets from their own start.
#pragma once

#include "pci/msi.h"

VV_BEGIN_DECLS

struct msix {
	struct pcicfg *cfg; /* borrowed */
	const struct msi_sink *sink;
	void *opaque;
	uint16_t off;	/* capability offset */
	uint16_t n;	/* vectors: 1..2048 */
	uint8_t *table; /* n * 16 bytes, owned; reset state: all masked */
	uint8_t *live;	/* one bit per vector, owned */
	bool enabled, fmask;
};

#define MSIX_TABLE_SIZE(n) ((uint64_t)(n)*16)
#define MSIX_PBA_SIZE(n)   (((uint64_t)(n) + 63) / 64 * 8)

/* Adds the capability: table in BAR `tbir` at `toff`, PBA in `pbir` at `poff` (8-byte aligned). */
int msix_init(struct msix *m, struct pcicfg *cfg, unsigned int off, unsigned int n,
	      unsigned int tbir, uint32_t toff, unsigned int pbir, uint32_t poff,
	      const struct msi_sink *sink, void *opaque, struct verr *reterr);
void msix_fini(struct msix *m);
void msix_cfg_written(struct msix *m, unsigned int off, unsigned int size);
void msix_reset(struct msix *m); /* off, all masked, table cleared; sink told */

/* Guest accesses; size 4 or 8 aligned have meaning; others read the bytes that are there and
 * write nothing (PCI 3.0 6.8.2: only DWORD and QWORD accesses are defined). Out of range: zero,
 * or ignored. */
uint64_t msix_table_read(struct msix *m, uint64_t off, unsigned int size);
void msix_table_write(struct msix *m, uint64_t off, uint64_t val, unsigned int size);
uint64_t msix_pba_read(struct msix *m, uint64_t off, unsigned int size); /* asks sink->pending */

VV_END_DECLS
