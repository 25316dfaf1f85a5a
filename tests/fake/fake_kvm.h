// SPDX-License-Identifier: GPL-2.0-or-later
// The fake KVM: VMs, vCPUs, memory slots, GSI routes, irqfds, ioeventfds, the VFIO pseudo-device.
// A test plays the guest: it makes accesses (which take the path a real guest's would: memory
// slot, ioeventfd, or exit to user space) and sees which interrupts arrived.
//
// Guest calls below act on the most recently created VM. Those that lead to an exit hand it to
// the thread in KVM_RUN on that vCPU and wait until that thread is back in KVM_RUN (the exit has
// been completed), at most 5 seconds; then -ETIMEDOUT.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

struct fake_kvm_cfg {
	bool present;		     /* false: /dev/kvm does not exist */
	int api_version;	     /* 12 */
	unsigned int max_vcpus;	     /* 255; at most 256 */
	unsigned int max_slots;	     /* 32764 */
	unsigned int max_routes;     /* 4096 */
	bool irqfd_consumes_at_bind; /* false as Linux: a pending count is injected and stays */
};

/* The live configuration. */
struct fake_kvm_cfg *fake_kvm(void);
/* Answer of KVM_CHECK_EXTENSION(cap), on /dev/kvm and VMs alike. */
void fake_kvm_set_cap(unsigned int cap, int value);

/* --- what user space has set up ----------------------------------------------------------- */

unsigned int fake_kvm_vms(void);
unsigned int fake_kvm_slots(void);
unsigned int fake_kvm_irqfds(void);
unsigned int fake_kvm_ioeventfds(void);
unsigned int fake_kvm_routes(void);	   /* entries of the last KVM_SET_GSI_ROUTING */
unsigned int fake_kvm_route_updates(void); /* KVM_SET_GSI_ROUTING calls since reset */
unsigned int fake_kvm_vfio_files(void);	   /* added to KVM-VFIO */
/* Host address behind a guest physical one; NULL: no slot. */
void *fake_kvm_gpa_to_hva(uint64_t gpa);
/* Copies the vCPU's registers as last set: struct kvm_regs, kvm_sregs. False: no such vCPU. */
struct kvm_regs;
struct kvm_sregs;
bool fake_kvm_get_regs(unsigned int vcpu, struct kvm_regs *ret);
bool fake_kvm_get_sregs(unsigned int vcpu, struct kvm_sregs *ret);
/* CPUID leaf as given to KVM_SET_CPUID2; false if absent. ret[4]: eax ebx ecx edx. */
bool fake_kvm_cpuid(unsigned int vcpu, uint32_t leaf, uint32_t subleaf, uint32_t ret[4]);

/* --- interrupts that reached the guest ---------------------------------------------------- */

struct fake_msi {
	uint64_t addr;
	uint32_t data;
};

/* MSI messages delivered since reset or clear (irqfd or KVM_SIGNAL_MSI), oldest first. Takes
 * what eventfds have first, so signals from any thread count. */
unsigned int fake_kvm_msis(void);
bool fake_kvm_msi(unsigned int nth, struct fake_msi *ret);
unsigned int fake_kvm_msi_count(uint32_t data); /* with this data value */
void fake_kvm_msis_clear(void);

/* Pins of the IOAPIC/PIC. */
bool fake_kvm_line(uint32_t gsi);		/* current level, all sources ORed */
unsigned int fake_kvm_line_edges(uint32_t gsi); /* low-to-high transitions since reset */
/* The guest ends the interrupt: resample irqfds de-assert and signal their resample fds. */
void fake_kvm_eoi(uint32_t gsi);

/* --- playing the guest -------------------------------------------------------------------- */

enum fake_access {
	FAKE_ACCESS_DIRECT = 0,	  /* a memory slot: done without an exit */
	FAKE_ACCESS_DOORBELL = 1, /* an ioeventfd: signalled without an exit */
	FAKE_ACCESS_EXIT = 2,	  /* user space handled it */
	/* negative: -errno; -EFAULT: KVM_RUN returned EFAULT (slot over a vanished page) and user
	 * space entered again without fixing it. */
};

int fake_guest_write(unsigned int vcpu, uint64_t gpa, uint64_t val, unsigned int len);
int fake_guest_read(unsigned int vcpu, uint64_t gpa, uint64_t *ret, unsigned int len);
int fake_guest_out(unsigned int vcpu, uint16_t port, uint32_t val, unsigned int len);
int fake_guest_in(unsigned int vcpu, uint16_t port, uint32_t *ret, unsigned int len);
/* An exit as it is: `reason` KVM_EXIT_SHUTDOWN, _HLT, _INTERNAL_ERROR (detail: suberror),
 * _FAIL_ENTRY (detail: hardware reason), _IOAPIC_EOI (detail: vector), _SYSTEM_EVENT.
 * Does not wait for completion: those may be the vCPU's last. */
int fake_guest_exit(unsigned int vcpu, uint32_t reason, uint64_t detail);
/* KVM_RUN of that vCPU returns this errno once (EFAULT, EINTR, EIO...). */
int fake_guest_run_errno(unsigned int vcpu, int err);

/* Threads inside KVM_RUN; waits up to `ms` until it is `n`. */
bool fake_kvm_wait_running(unsigned int n, unsigned int ms);
/* Exits taken by user space since reset (not counting EINTR). */
unsigned int fake_kvm_exits(void);

VV_END_DECLS
