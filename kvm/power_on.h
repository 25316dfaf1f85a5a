// SPDX-License-Identifier: GPL-2.0-or-later
// Power-on state of vCPUs and in-kernel interrupt controllers, for a guest's reset. KVM has no
// reset call; what it does have is a fresh VM, and its state is the definition of power-on: it is
// read once, at the first reset, from a VM made and thrown away for it.
#pragma once

#include "kvm/vm.h"

VV_BEGIN_DECLS

struct kvm_power_on;

/* `cpuid` is the guest's; its APIC id is left at 0. */
int kvm_power_on_take(const struct kvm_host *h, enum kvm_chip_mode mode, struct kvm_cpuid2 *cpuid,
		      struct kvm_power_on **ret, struct verr *reterr);
void kvm_power_on_free(struct kvm_power_on *p); /* NULL allowed */

/* A vCPU that is not running: registers, MSRs, local APIC; 0 is the boot processor, the others
 * wait for INIT and SIPI. */
int kvm_power_on_vcpu(const struct kvm_power_on *p, int vcpu_fd, unsigned int id,
		      struct verr *reterr);
/* PICs (masked: kvm_vm_chip()) and IOAPIC of mode `on`; nothing in mode `split`. */
int kvm_power_on_chip(const struct kvm_power_on *p, const struct kvm_vm *vm, struct verr *reterr);

VV_END_DECLS
