// SPDX-License-Identifier: GPL-2.0-or-later
// The x86 side of a vCPU: its CPUID, the MSRs and local APIC firmware would have set, the
// registers a boot protocol asks for, and words about its state for error messages.
// No locking: the vCPU must not be running, except for kvm_x86_describe() in its own thread.
#pragma once

#include <stddef.h>

#include "core/accel.h"
#include "kvm/kvm.h"

VV_BEGIN_DECLS

/* The guest's CPUID table (room for KVM_CPUID_MAX entries), one for all vCPUs; free() it. As KVM
 * supports it: kvm_x86_cpuid_fit() makes it this machine's. */
int kvm_x86_cpuid_new(const struct kvm_host *h, struct kvm_cpuid2 **ret, struct verr *reterr);
int kvm_x86_cpuid_fit(const struct kvm_host *h, struct kvm_cpuid2 *cpuid, unsigned int vcpus,
		      struct verr *reterr);

/* CPUID of a new vCPU; edits the APIC id in the table. */
int kvm_x86_cpuid_set(int vcpu_fd, struct kvm_cpuid2 *cpuid, unsigned int id, struct verr *reterr);
/* What firmware leaves behind: memory types, fast strings, LINT pins of the boot processor.
 * For a new vCPU, and again after it got power-on state back. */
int kvm_x86_firmware(int vcpu_fd, unsigned int id, struct verr *reterr);
/* Registers of the boot processor. */
int kvm_x86_boot(int vcpu_fd, const struct boot_state *b, struct verr *reterr);

/* Registers in one line: "rip ... rsp ... cr0 ...". Always terminated. */
void kvm_x86_describe(int vcpu_fd, char *buf, size_t size);
/* KVM_INTERNAL_ERROR_* in words. */
const char *kvm_x86_suberror(uint32_t suberror);

VV_END_DECLS
