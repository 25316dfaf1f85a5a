// SPDX-License-Identifier: GPL-2.0-or-later
// Knobs of the fake VFIO and its type1 IOMMU. Defaults, set by fake_reset(), are those of an
// Intel host with Linux 6.1: IOVA 0..fedfffff and fef00000..2^39-1 less each group's reserved
// regions, page sizes 4K|2M|1G, 65535 maps, no memory-lock limit, type1 and type1v2.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

#define FAKE_WINDOWS_MAX 8

struct fake_iommu_cfg {
	bool present;	  /* false: /dev/vfio/vfio opens, no group exists, no type1 */
	bool type1v2;	  /* false: only VFIO_TYPE1_IOMMU */
	uint64_t pgsizes; /* bitmap */
	uint64_t windows[FAKE_WINDOWS_MAX][2]; /* first, last; both 0 ends */
	uint32_t dma_limit;		       /* dma_entry_limit */
	uint64_t memlock;		       /* bytes that may be pinned; UINT64_MAX none */
	bool iova_cap;	/* the info chain has the IOVA ranges capability (5.4) */
	bool avail_cap; /* ... and DMA_AVAIL (5.10) */
	bool migration_cap;
	int chain;	   /* 0 proper; FAKE_CHAIN_* : a hostile capability chain in GET_INFO */
	bool dma_coherent; /* VFIO_DMA_CC_IOMMU */
};

enum { FAKE_CHAIN_OK, FAKE_CHAIN_LOOP, FAKE_CHAIN_BEYOND, FAKE_CHAIN_UNKNOWN_FIRST };

/* The live configuration: change it before the container is set up. */
struct fake_iommu_cfg *fake_iommu(void);

/* Over all containers. */
unsigned int fake_dma_maps(void);
uint64_t fake_dma_bytes(void);
/* True if iova is mapped in some container, and to where. */
bool fake_dma_lookup(uint64_t iova, void **ret_va, uint64_t *ret_size, uint32_t *ret_flags);
unsigned int fake_containers(void); /* open ones */
unsigned int fake_groups_attached(void);

VV_END_DECLS
