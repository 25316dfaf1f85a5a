// SPDX-License-Identifier: GPL-2.0-or-later
// Legacy INTx: four root-bus lines shared by every function, level semantics (PCI 3.0 2.2.6).
// A line is the OR of its sources; a source is one function's pin, after the swizzle of the
// bridges above it. A source may also be driven by hardware through a resample irqfd.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/irq.h"
#include "core/list.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct intx_source {
	bool level;
	uint32_t gsi;		  /* where it is routed */
	int fd, resample_fd;	  /* bound with line_bind; -1 otherwise */
	struct intx_lines *lines; /* NULL while not connected */
	struct list node;
};

/* Every root-bus pin's line; one per machine, embedded in the root bus. */
struct intx_lines {
	struct irqchip *irq; /* borrowed */
	struct list sources;
	/* GSI of root-bus device `dev` pin `pin` (0 = INTA#): fixed by the machine, as in _PRT. */
	uint32_t (*gsi_of)(unsigned int dev, unsigned int pin);
};

void intx_lines_init(struct intx_lines *l, struct irqchip *irq,
		     uint32_t (*gsi_of)(unsigned int dev, unsigned int pin));
/* `root_dev` and `pin` are after swizzling. */
void intx_connect(struct intx_lines *l, struct intx_source *s, unsigned int root_dev,
		  unsigned int pin);
void intx_disconnect(
	struct intx_source *s); /* lowers and unbinds first; no effect if not connected */
void intx_set(struct intx_source *s, bool level); /* emulated sources */
/* Hardware source: `fd` raises the line, after the guest's EOI `resample_fd` is signalled. */
int intx_bind(struct intx_source *s, int fd, int resample_fd);
void intx_unbind(struct intx_source *s);
/* Of a bound source: irqchip_ops.line_ended of its line, whoever asserted it. */
int intx_ended(const struct intx_source *s, uint64_t *ret);

VV_END_DECLS
