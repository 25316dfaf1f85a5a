// SPDX-License-Identifier: GPL-2.0-or-later
// The VM: its fd, its interrupt controllers in the kernel, and guest memory as KVM slots.
//
// Locking: set-up calls from one thread; the listener's callbacks under the machine lock.
#pragma once

#include "core/gmem.h"
#include "kvm/kvm.h"

VV_BEGIN_DECLS

/* Guest addresses KVM takes for itself on Intel CPUs that need help with real mode: one page of
 * identity map and three of TSS, between the local APICs and the reset vector. Nothing else may
 * be placed there; the machine's memory map must mark them reserved. */
#define KVM_IDENTITY_GPA UINT64_C(0xfeffc000)
#define KVM_TSS_GPA	 UINT64_C(0xfeffd000)

#define KVM_IOAPIC_PINS 24

struct kvm_vm {
	const struct kvm_host *host; /* borrowed */
	enum kvm_chip_mode mode;
	int fd; /* owned; -1 when closed */

	struct gmem_listener listener;
	const struct gmem_region **slots; /* by slot number; NULL: free; owned array */
	unsigned int n_slots;		  /* length of the array */

	unsigned int vcpus; /* that the controllers are for; before kvm_vm_chip() */
	bool wide_ids;	    /* APIC ids of 32 bits: KVM_CAP_X2APIC_API is on */
	int chip;	    /* 0: not made yet, 1: made, negative: why it could not be */

	/* A slot that KVM would not let go of: the guest must never run again, for its memory is
	 * about to become someone else's. Called once, from vm.c, under the machine lock. */
	void (*broken)(void *opaque);
	void *broken_opaque; /* borrowed */
};

/* A VM without controllers and vCPUs. On failure nothing is left open. */
int kvm_vm_open(struct kvm_vm *vm, const struct kvm_host *host, enum kvm_chip_mode mode,
		struct verr *reterr);
void kvm_vm_close(struct kvm_vm *vm); /* unlistens first; closed already: no effect */

/* Mirrors guest memory in KVM slots from now on. */
int kvm_vm_listen(struct kvm_vm *vm, struct gmem *m, struct verr *reterr);
/* The interrupt controllers, made at the first call; before
 * the first vCPU. As late as can be: making them in the kernel leaves SRCU work behind that has
 * the next change of a memory slot wait for milliseconds, and RAM is usually not there yet when
 * the machine attaches. */
int kvm_vm_chip(struct kvm_vm *vm, struct verr *reterr);

VV_END_DECLS
