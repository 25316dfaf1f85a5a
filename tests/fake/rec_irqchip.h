// SPDX-License-Identifier: GPL-2.0-or-later
// An interrupt controller that records what it is told, and checks that it is told it in order.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/irq.h"

VV_BEGIN_DECLS

#define REC_LINES      64
#define REC_ROUTES     4096
#define REC_ROUTE_BASE 64 /* GSIs of routes start after the lines */
#define REC_SENT_MAX   64

struct rec_route {
	bool used;
	struct msi_msg staged, live; /* live: as of the last commit */
	bool committed;
	int fd; /* bound, or -1 */
};

struct rec_line {
	bool level;
	unsigned int rises, falls;
	int fd, resample_fd; /* bound, or -1 */
	uint64_t ended;	     /* set by the test */
};

struct rec_irqchip {
	struct irqchip chip;
	struct rec_line line[REC_LINES];
	struct rec_route *route; /* REC_ROUTES, owned */
	unsigned int commits;	 /* that changed something */
	bool dirty;
	struct msi_msg sent[REC_SENT_MAX];
	unsigned int n_sent;
	int fail; /* returned by the next operation that can fail, then 0 */
};

void rec_irqchip_init(struct rec_irqchip *r);
void rec_irqchip_fini(struct rec_irqchip *r);

/* Routes in use; routes and lines bound. Zero of each when a device is gone. */
unsigned int rec_irqchip_routes(const struct rec_irqchip *r);
unsigned int rec_irqchip_bound(const struct rec_irqchip *r);
/* NULL if the GSI is no route in use. */
const struct rec_route *rec_irqchip_route(const struct rec_irqchip *r, uint32_t gsi);

VV_END_DECLS
