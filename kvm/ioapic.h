// SPDX-License-Identifier: GPL-2.0-or-later
// The IOAPIC of a split irqchip: 24 pins, register window and pin state machine. Pure: what has
// to happen is told to a sink (kvm_irq.c, or a recording one in tests).
//
// Locking: register accesses, set and reset under the machine lock; eoi from vCPU threads without
// it. The IOAPIC's own lock makes these one after the other; sink callbacks run under it and must
// not call back.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/aspace.h"
#include "core/irq.h"

VV_BEGIN_DECLS

#define KVM_IOAPIC_GPA	 UINT64_C(0xfec00000)
#define KVM_IOAPIC_SIZE	 0x1000
#define KVM_IOAPIC_NPINS 24

struct kvm_ioapic_sink {
	/* The pin now stands for this message; NULL: it is masked. Only called on a change. */
	void (*pin)(void *opaque, unsigned int pin, const struct msi_msg *msg);
	/* Deliver now. */
	void (*send)(void *opaque, const struct msi_msg *msg);
	/* The guest ended a level interrupt of this pin. */
	void (*eoi)(void *opaque, unsigned int pin);
};

struct kvm_ioapic {
	struct io_region region; /* mapped by kvm_ioapic_map() */
	pthread_mutex_t lock;
	const struct kvm_ioapic_sink *sink;
	void *opaque; /* borrowed */
	uint8_t select;
	uint32_t id;
	uint64_t rte[KVM_IOAPIC_NPINS]; /* redirection entries, with remote IRR */
	uint32_t level;			/* pins that are asserted from outside */
};

void kvm_ioapic_init(struct kvm_ioapic *io, const struct kvm_ioapic_sink *sink, void *opaque);
void kvm_ioapic_fini(struct kvm_ioapic *io); /* unmaps */
int kvm_ioapic_map(struct kvm_ioapic *io, struct aspace *mmio, struct verr *reterr);

/* The pin's line; pin < KVM_IOAPIC_NPINS. */
void kvm_ioapic_set(struct kvm_ioapic *io, unsigned int pin, bool level);
/* A local APIC ended `vector` (KVM_EXIT_IOAPIC_EOI). Any thread. */
void kvm_ioapic_eoi(struct kvm_ioapic *io, uint8_t vector);
/* Power-on: all pins masked. Lines stay as they are: they are inputs. */
void kvm_ioapic_reset(struct kvm_ioapic *io);

VV_END_DECLS
