// SPDX-License-Identifier: GPL-2.0-or-later
// The irqchip of core/irq.h on KVM: MSI routes, irqfds, level lines.
//
// GSIs 0..23 are the IOAPIC's pins, 24 and up MSI routes. In mode `on` the pins are the kernel's;
// in mode `split` kvm/ioapic.c has them, and each unmasked pin also is an MSI route, so that the
// kernel tells us when the guest ends an interrupt of it.
//
// What binding an irqfd to an eventfd that already has a count does (Linux 2.6.31 and later;
// checked by tests/kvm/test_kvm_irqfd_mask.c): the kernel injects once, at once, from a worker,
// and leaves the count. route_bind() and line_bind() therefore take it after binding. A signal in
// between is not lost by that: since Linux 5.11 the kernel takes the count of every signal of a
// bound eventfd itself, in the signaller's context, so what is read after binding is only what
// was there before. On older kernels counts stay while bound and the unbind takes them. Either
// way each signal is one interrupt or none is lost: the minimum is the one of KVM_CAP_IRQFD; only
// a pending bit read while bound would be stale before 5.11, and nobody reads it then.
//
// Locking: the machine lock, except kvm_irq_eoi().
#pragma once

#include "core/irq.h"
#include "kvm/ioapic.h"
#include "kvm/vm.h"

VV_BEGIN_DECLS

struct kvm_route;
struct kvm_line;

/* Ended interrupts of a pin. Mode `on`: a resampling irqfd of our own, that nobody signals and
 * nobody waits for, gathers them in the eventfd's count at no cost. */
struct kvm_tally {
	int fd, resample_fd; /* owned; -1 while not made */
	uint64_t ended;
};

struct kvm_irq {
	struct irqchip chip;
	struct kvm_vm *vm;	  /* borrowed */
	struct kvm_ioapic ioapic; /* mode split only */

	struct kvm_route *routes;      /* by GSI; owned */
	unsigned int n_routes;	       /* length of the array */
	unsigned int used;	       /* GSIs given out */
	bool dirty;		       /* something is staged */
	struct kvm_irq_routing *table; /* scratch for the kernel call; owned */
	unsigned int table_cap;

	struct kvm_line *lines; /* fds bound to pins; owned */
	unsigned int n_lines, cap_lines;
	struct kvm_tally tally[KVM_IOAPIC_PINS];
	pthread_mutex_t lines_lock; /* guards lines and tally against kvm_irq_eoi() */
};

/* `mmio` is where a split IOAPIC goes. The kernel's part is made at the first use, by
 * kvm_vm_chip(). */
int kvm_irq_init(struct kvm_irq *irq, struct kvm_vm *vm, struct aspace *mmio, struct verr *reterr);
void kvm_irq_fini(struct kvm_irq *irq); /* vCPUs gone; before the VM is closed */
/* KVM_EXIT_IOAPIC_EOI; any thread. */
void kvm_irq_eoi(struct kvm_irq *irq, uint8_t vector);
/* Power-on state of a split IOAPIC; no effect in mode `on`. */
void kvm_irq_reset(struct kvm_irq *irq);

VV_END_DECLS
