// SPDX-License-Identifier: GPL-2.0-or-later
// The guest's CPUID as pure functions on tables: what KVM supports goes in, what our machine is
// (its topology, address width, what we do not emulate) is made to agree in every leaf.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/uapi.h"

VV_BEGIN_DECLS

#define KVM_CPUID_MAX 256 /* entries KVM takes and gives */

struct kvm_cpuid_cfg {
	unsigned int vcpus; /* 1..255; one package of that many cores, one thread each; APIC ids
			     * are 0..vcpus-1 */
	bool tsc_deadline;  /* the local APICs have the TSC-deadline timer */
};

/* Physical address bits the guest is told of: no more than it can map (the second stage of
 * address translation may be narrower than the CPU) and no more than 48 where KVM does not say. */
unsigned int kvm_cpuid_phys_bits(const struct kvm_cpuid_entry2 *e, unsigned int n);

/* Edits the table of KVM_GET_SUPPORTED_CPUID in place; it has room for KVM_CPUID_MAX entries.
 * Returns the new number of entries, or -E2BIG. The APIC id is that of vCPU 0. */
int kvm_cpuid_build(struct kvm_cpuid_entry2 *e, unsigned int n, const struct kvm_cpuid_cfg *cfg);

/* Puts one vCPU's APIC id in every leaf that has it. */
void kvm_cpuid_set_apic_id(struct kvm_cpuid_entry2 *e, unsigned int n, uint32_t apic_id);

/* The entry, or NULL. */
struct kvm_cpuid_entry2 *kvm_cpuid_find(struct kvm_cpuid_entry2 *e, unsigned int n, uint32_t leaf,
					uint32_t subleaf);

VV_END_DECLS
