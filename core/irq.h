// SPDX-License-Identifier: GPL-2.0-or-later
// What an interrupt controller offers: routes (an MSI message behind a GSI number), eventfds
// bound to routes, and level lines. Implemented by kvm/ (in-kernel and split irqchip) and by a
// recording one in tests. All under the machine lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct msi_msg {
	uint64_t addr;
	uint32_t data;
};

struct irqchip;

struct irqchip_ops {
	/* A GSI number for one MSI route; -ENOSPC when all are in use (KVM: 4096 routes). */
	int (*route_new)(struct irqchip *c, uint32_t *ret_gsi);
	/* Frees the number; must be unbound. Takes effect at the next route_commit. */
	void (*route_free)(struct irqchip *c, uint32_t gsi);
	/* Stages the message. An unchanged message costs nothing. -EADDRNOTAVAIL: no interrupt can
	 * be delivered to that address; what was staged before stands. */
	int (*route_set)(struct irqchip *c, uint32_t gsi, const struct msi_msg *msg);
	/* Makes all staged changes effective, with one kernel call if anything changed. */
	int (*route_commit)(struct irqchip *c);
	/* From now on a signal of `fd` (an eventfd, borrowed until unbind) is an interrupt. A count
	 * the fd already has is delivered at once, exactly once. */
	int (*route_bind)(struct irqchip *c, uint32_t gsi, int fd);
	void (*route_unbind)(struct irqchip *c, uint32_t gsi, int fd);
	/* Level line (IOAPIC pin `gsi`): `fd` raises it; when the guest has EOIed, it is lowered
	 * and `resample_fd` is signalled. -EOPNOTSUPP where there is no such thing. */
	int (*line_bind)(struct irqchip *c, uint32_t gsi, int fd, int resample_fd);
	void (*line_unbind)(struct irqchip *c, uint32_t gsi, int fd);
	/* How many interrupts of the line the guest has ended since a moment that stays the same
	 * while fds are bound to it; the first question may be that moment. -EOPNOTSUPP: nobody
	 * counts. */
	int (*line_ended)(struct irqchip *c, uint32_t gsi, uint64_t *ret);
	/* Drives the pin from user space (emulated devices; sources are ORed by pci/intx.c). */
	int (*line_set)(struct irqchip *c, uint32_t gsi, bool level);
	/* Injects a message right now, without a route. */
	int (*msi_send)(struct irqchip *c, const struct msi_msg *msg);
};

struct irqchip {
	const struct irqchip_ops *ops;
};

VV_END_DECLS
