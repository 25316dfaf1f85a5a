// SPDX-License-Identifier: GPL-2.0-or-later
// /dev/kvm: the open file, what this kernel's KVM can do, and the one way all of kvm/ calls it.
// Nothing here is per machine. Not thread safe; set up once, read-only afterwards.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/uapi.h"
#include "core/verr.h"

VV_BEGIN_DECLS

/* Where the interrupt controllers live: all in the kernel, or (split) only the local APICs. */
enum kvm_chip_mode { KVM_CHIP_ON, KVM_CHIP_SPLIT };

/* Index of a capability in kvm_host.cap[]; the table in kvm.c says what each is for. */
enum kvm_cap_id {
	KVM_HAS_USER_MEMORY,
	KVM_HAS_NR_MEMSLOTS,
	KVM_HAS_READONLY_MEM,
	KVM_HAS_TSS_ADDR,
	KVM_HAS_IDENTITY_MAP,
	KVM_HAS_EXT_CPUID,
	KVM_HAS_IMMEDIATE_EXIT,
	KVM_HAS_IRQCHIP,
	KVM_HAS_SPLIT_IRQCHIP,
	KVM_HAS_IRQ_ROUTING,
	KVM_HAS_IRQFD,
	KVM_HAS_SIGNAL_MSI,
	KVM_HAS_IOEVENTFD,
	KVM_HAS_MAX_VCPUS,
	KVM_HAS_IRQFD_RESAMPLE,
	KVM_HAS_IOEVENTFD_ANY,
	KVM_HAS_TSC_DEADLINE,
	KVM_HAS_X2APIC_API,
	KVM_CAP_IDS
};

struct kvm_host {
	int fd; /* owned; -1 when closed */
	int api;
	unsigned int run_size; /* bytes of a vCPU's shared page(s) */
	int cap[KVM_CAP_IDS];  /* as KVM_CHECK_EXTENSION answered; 0: absent */
};

/* Opens /dev/kvm and checks everything that `mode` cannot do without. Errors name what is
 * missing and the fix. On failure nothing is left open. */
int kvm_host_open(struct kvm_host *h, enum kvm_chip_mode mode, struct verr *reterr);
void kvm_host_close(struct kvm_host *h); /* closed already: no effect */

/* One ioctl of set-up: EINTR retried, the error sentence names the call. `what` is the ioctl's
 * name, with its culprit where one is worth naming ("KVM_CREATE_VCPU 3"). */
int kvm_call(int fd, unsigned long request, void *arg, const char *what, struct verr *reterr);
#define KVM_CALL(fd, request, arg, reterr) kvm_call(fd, request, arg, #request, reterr)

VV_END_DECLS
