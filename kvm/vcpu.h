// SPDX-License-Identifier: GPL-2.0-or-later
// All vCPUs of a machine and their threads.
//
// Life: open (threads exist, parked) -> run -> pause -> run ... -> close. Each of these from one
// thread, never from a vCPU's; pause and close *without the machine lock*: they wait for vCPUs
// that may be inside an exit callback and want it. vmexit_ops callbacks run in vCPU threads
// without locks.
//
// Kicks are never lost: a request to leave the guest sets immediate_exit in the vCPU's shared
// page and then signals the thread; a vCPU leaves only where KVM_RUN returns EINTR with that flag
// up, which is also where no access of the guest is half done.
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "core/accel.h"
#include "kvm/kvm_irq.h"
#include "kvm/vm.h"

VV_BEGIN_DECLS

struct kvm_vcpus;

struct kvm_vcpu {
	struct kvm_vcpus *set; /* borrowed */
	unsigned int id;       /* the APIC id, too */
	int fd;		       /* owned */
	struct kvm_run *run;   /* owned mapping, shared with the kernel */
	pthread_t thread;
	bool has_thread;
	bool faulted; /* entered again after an EFAULT that nobody owned; its own thread's */
	bool parked;  /* outside the guest and waiting; under set->lock */
	bool dead;    /* has reported the guest's end; until reset; under set->lock */
};

enum kvm_vcpus_want { KVM_VCPUS_PAUSE, KVM_VCPUS_RUN, KVM_VCPUS_QUIT };

struct kvm_vcpus {
	const struct kvm_vm *vm;	/* borrowed */
	struct kvm_irq *irq;		/* borrowed: EOIs of a split irqchip */
	const struct vmexit_ops *exits; /* borrowed */
	void *opaque;			/* borrowed, of exits */
	struct kvm_vcpu *v;		/* owned, n of them */
	unsigned int n;
	bool ran; /* since open or reset */

	pthread_mutex_t lock;
	pthread_cond_t wake; /* `want` changed */
	pthread_cond_t idle; /* a vCPU parked */
	enum kvm_vcpus_want want;
	bool stopped; /* exits->stopped was called; atomic */
	bool broken;  /* may never run again; atomic */
};

/* m->vcpus vCPUs with that CPUID. On failure nothing is left. */
int kvm_vcpus_open(struct kvm_vcpus *set, const struct kvm_vm *vm, struct kvm_irq *irq,
		   const struct accel_machine *m, struct kvm_cpuid2 *cpuid, struct verr *reterr);
void kvm_vcpus_close(struct kvm_vcpus *set); /* joins the threads; never opened: no effect */

void kvm_vcpus_run(struct kvm_vcpus *set);
void kvm_vcpus_pause(struct kvm_vcpus *set);
/* Paused, registers back at power-on: those that reported the guest's end may run again. */
void kvm_vcpus_revive(struct kvm_vcpus *set);
/* Any thread, with or without the machine lock: all vCPUs leave the guest soon, say so by
 * exits->stopped, and never enter it again. */
void kvm_vcpus_break(struct kvm_vcpus *set);

VV_END_DECLS
