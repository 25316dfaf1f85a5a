// SPDX-License-Identifier: GPL-2.0-or-later
// The MSI and MSI-X capability state machines (PCI 3.0 6.8). Pure: what follows from a guest's
// write is told to a sink; pcidev.c has the usual one, tests a recording one.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/irq.h"

VV_BEGIN_DECLS

struct pcicfg;
struct verr;

/* Both capabilities drive this. vector() says what a vector is now, each time that changes:
 * live = delivers to the guest (enabled, not masked); then msg is what to deliver. Calls come
 * between begin() and end(), so that routes can be committed once a batch. */
struct msi_sink {
	void (*begin)(void *opaque);
	void (*vector)(void *opaque, unsigned int vec, const struct msi_msg *msg, bool live);
	void (*end)(void *opaque);
	/* The capability went on (n vectors usable) or off (0); before / after the vectors. */
	void (*enable)(void *opaque, bool on, unsigned int n);
	/* Has a masked vector something to deliver? Feeds pending bits. */
	bool (*pending)(void *opaque, unsigned int vec);
};

struct msi {
	struct pcicfg *cfg; /* borrowed */
	const struct msi_sink *sink;
	void *opaque;
	uint16_t off;	  /* capability offset */
	uint8_t log2_max; /* multiple message capable: 0..5 */
	bool is64, maskable;
	bool enabled;
	uint8_t n;     /* vectors enabled while on: 1 << log2 */
	uint32_t live; /* mask of live vectors */
	struct msi_msg base;
	uint32_t mask;
};

/* Adds the capability to cfg at `off` (0: anywhere). */
int msi_init(struct msi *m, struct pcicfg *cfg, unsigned int off, unsigned int vectors, bool is64,
	     bool maskable, const struct msi_sink *sink, void *opaque, struct verr *reterr);
/* After cfg was written at [off, off+size) (any range: it looks whether it is concerned). */
void msi_cfg_written(struct msi *m, unsigned int off, unsigned int size);
/* Refreshes the pending bits register before a read of it. */
void msi_cfg_read(struct msi *m, unsigned int off, unsigned int size);
void msi_reset(struct msi *m); /* off; sink told */
/* The message of an enabled vector, by the base last captured. */
struct msi_msg msi_message(const struct msi *m, unsigned int vec);
unsigned int msi_len(bool is64, bool maskable); /* bytes of the capability */

VV_END_DECLS
