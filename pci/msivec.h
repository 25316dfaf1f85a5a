// SPDX-License-Identifier: GPL-2.0-or-later
// One interrupt vector: a guest message, an irqchip route and an eventfd joined. Whoever raises
// it (hardware through VFIO, vhost, an emulated device) signals the eventfd. Unmasked = bound
// with irqfd; masked = unbound, so that the count stays in the fd: the pending bit is poll(fd);
// unmasking binds, and the irqchip delivers what the fd already holds exactly once.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/irq.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct msivec {
	int fd;	      /* eventfd, owned; -1 until first needed */
	uint32_t gsi; /* valid if routed */
	bool routed, bound;
	bool staged; /* to be bound after the commit */
	bool moved;  /* bound, and its new message is not committed yet */
	struct msi_msg msg;
};

void msivec_init(struct msivec *v);
void msivec_fini(struct msivec *v,
		 struct irqchip *c); /* unbinds, frees the route (uncommitted), closes */
/* The eventfd, made on first use. -errno. */
int msivec_fd(struct msivec *v);
/* Two steps, so that many vectors share one route_commit: stage the message (live) or unbind at
 * once (not live) ... */
int msivec_stage(struct msivec *v, struct irqchip *c, const struct msi_msg *msg, bool live);
/* ... and, after irqchip route_commit, bind what was staged. */
int msivec_settle(struct msivec *v, struct irqchip *c);
/* ... or, if the commit failed, give up what was staged: silent rather than by an old message. */
void msivec_abandon(struct msivec *v, struct irqchip *c);
/* Drops the route of a vector no longer in use (capability off): unbind, route_free, drain. */
void msivec_release(struct msivec *v, struct irqchip *c);
bool msivec_pending(const struct msivec *v);
void msivec_signal(struct msivec *v); /* emulated devices raise it */

VV_END_DECLS
