// SPDX-License-Identifier: GPL-2.0-or-later
// Between kvm_irq.c (routes, messages, life) and kvm_line.c (level lines, the split IOAPIC's sink).
#pragma once

#include "core/irq.h"
#include "kvm/kvm_irq.h"

VV_BEGIN_DECLS

struct kvm_route {
	struct msi_msg msg;
	bool used; /* given out, or an IOAPIC pin */
	bool set;  /* has a message */
	unsigned int bound;
};

struct kvm_line {
	uint32_t gsi;
	int fd, resample_fd; /* borrowed */
	bool bound;	     /* the kernel has it */
};

static inline struct kvm_irq *kvm_irq_of(struct irqchip *c)
{
	return container_of(c, struct kvm_irq, chip);
}

/* --- kvm_irq.c --- */
/* KVM_IRQFD with KVM_IRQFD_FLAG_*; resample_fd counts with _RESAMPLE only. -errno. */
int kvm_irqfd(const struct kvm_irq *irq, uint32_t gsi, int fd, int resample_fd, uint32_t flags);
/* Puts the message into the table; unchanged: no effect. The GSI is in use. */
void kvm_route_stage(struct kvm_irq *irq, uint32_t gsi, const struct msi_msg *msg);

/* --- kvm_line.c: of irqchip_ops --- */
int kvm_line_bind(struct irqchip *c, uint32_t gsi, int fd, int resample_fd);
void kvm_line_unbind(struct irqchip *c, uint32_t gsi, int fd);
int kvm_line_ended(struct irqchip *c, uint32_t gsi, uint64_t *ret);
int kvm_line_set(struct irqchip *c, uint32_t gsi, bool level);
/* Lets go of all that the kernel still has. */
void kvm_lines_fini(struct kvm_irq *irq);
extern const struct kvm_ioapic_sink kvm_line_sink; /* opaque is the kvm_irq */

VV_END_DECLS
