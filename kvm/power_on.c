// SPDX-License-Identifier: GPL-2.0-or-later
//
// Power-on state, read from a fresh VM and written back at a guest's reset. Owns the snapshot.
// Must not know of threads, routes or memory.
#include "kvm/power_on.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "kvm/vcpu_x86.h"

enum {
	CHIPS = 3, /* two PICs, one IOAPIC */
	MSR_TSC = 0x10,
	APIC_ID = 0x20,
};

#define APICBASE_BSP BIT64(8)

struct kvm_power_on {
	struct kvm_regs regs;
	struct kvm_sregs sregs;
	struct kvm_xcrs xcrs;
	bool has_xcrs; /* the host CPU has XSAVE */
	struct kvm_debugregs debugregs;
	struct kvm_vcpu_events events;
	struct kvm_lapic_state lapic;
	struct kvm_msrs *msrs; /* owned */
	struct kvm_irqchip chip[CHIPS];
	struct kvm_xsave xsave; /* last: it can grow */
};

/* Room for a few MSRs on the stack. */
enum { MSR_BATCH = 32 };
union msr_batch {
	struct kvm_msrs m;
	uint8_t space[sizeof(struct kvm_msrs) + MSR_BATCH * sizeof(struct kvm_msr_entry)];
};

/* Every MSR this KVM lets user space save; those it does not let us read are dropped. The TSC is
 * left alone: writing it vCPU by vCPU is what would set them apart. */
static int take_msrs(const struct kvm_host *h, int vcpu_fd, struct kvm_msrs **ret,
		     struct verr *reterr)
{
	struct kvm_msr_list head = { .nmsrs = 0 };
	int r = kvm_call(h->fd, KVM_GET_MSR_INDEX_LIST, &head, "KVM_GET_MSR_INDEX_LIST", NULL);
	if (r < 0 && r != -E2BIG)
		return verr_set(reterr, r, "KVM_GET_MSR_INDEX_LIST: %s", strerror(-r));
	uint32_t n = head.nmsrs;
	struct kvm_msr_list *list = calloc(1, sizeof(*list) + n * sizeof(uint32_t));
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + n * sizeof(struct kvm_msr_entry));
	if (!list || !msrs) {
		r = verr_set(reterr, -ENOMEM, "MSR table: out of memory");
		goto fail;
	}
	list->nmsrs = n;
	r = n ? KVM_CALL(h->fd, KVM_GET_MSR_INDEX_LIST, list, reterr) : 0;
	if (r < 0)
		goto fail;
	for (uint32_t i = 0; i < MIN(n, list->nmsrs); i++) {
		if (list->indices[i] == MSR_TSC)
			continue;
		union msr_batch one = { .m = { .nmsrs = 1 } };
		one.m.entries[0].index = list->indices[i];
		r = KVM_CALL(vcpu_fd, KVM_GET_MSRS, &one, reterr);
		if (r < 0)
			goto fail;
		if (r == 1)
			msrs->entries[msrs->nmsrs++] = one.m.entries[0];
	}
	free(list);
	*ret = msrs;
	return 0;
fail:
	free(list);
	free(msrs);
	return r;
}

static int take_vcpu(struct kvm_power_on *p, const struct kvm_host *h, int fd, struct verr *reterr)
{
	const struct {
		unsigned long request;
		void *arg;
		const char *what;
	} gets[] = {
		{ KVM_GET_REGS, &p->regs, "KVM_GET_REGS" },
		{ KVM_GET_SREGS, &p->sregs, "KVM_GET_SREGS" },
		{ KVM_GET_XSAVE, &p->xsave, "KVM_GET_XSAVE" },
		{ KVM_GET_DEBUGREGS, &p->debugregs, "KVM_GET_DEBUGREGS" },
		{ KVM_GET_VCPU_EVENTS, &p->events, "KVM_GET_VCPU_EVENTS" },
		{ KVM_GET_LAPIC, &p->lapic, "KVM_GET_LAPIC" },
	};
	for (unsigned int i = 0; i < ARRAY_SIZE(gets); i++) {
		int r = kvm_call(fd, gets[i].request, gets[i].arg, gets[i].what, reterr);
		if (r < 0)
			return r;
	}
	int r = kvm_call(fd, KVM_GET_XCRS, &p->xcrs, "KVM_GET_XCRS", NULL);
	if (r < 0 && r != -EINVAL)
		return verr_set(reterr, r, "KVM_GET_XCRS: %s", strerror(-r));
	p->has_xcrs = r == 0 && p->xcrs.nr_xcrs != 0;
	return take_msrs(h, fd, &p->msrs, reterr);
}

static int take_chip(struct kvm_power_on *p, const struct kvm_vm *vm, struct verr *reterr)
{
	if (vm->mode != KVM_CHIP_ON)
		return 0;
	for (unsigned int i = 0; i < CHIPS; i++) {
		p->chip[i].chip_id = i; /* KVM_IRQCHIP_PIC_MASTER, _PIC_SLAVE, _IOAPIC */
		int r = KVM_CALL(vm->fd, KVM_GET_IRQCHIP, &p->chip[i], reterr);
		if (r < 0)
			return r;
	}
	return 0;
}

int kvm_power_on_take(const struct kvm_host *h, enum kvm_chip_mode mode, struct kvm_cpuid2 *cpuid,
		      struct kvm_power_on **ret, struct verr *reterr)
{
	struct kvm_vm vm = { .fd = -1 };
	int vcpu = -1;
	struct kvm_power_on *p = calloc(1, sizeof(*p));
	if (!p)
		return verr_set(reterr, -ENOMEM, "power-on state: out of memory");
	int r = kvm_vm_open(&vm, h, mode, reterr);
	if (r < 0)
		goto out;
	vm.vcpus = 1;
	r = kvm_vm_chip(&vm, reterr);
	if (r == 0)
		r = take_chip(p, &vm, reterr);
	if (r == 0)
		r = vcpu = kvm_call(vm.fd, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU 0", reterr);
	if (r >= 0)
		r = kvm_x86_cpuid_set(vcpu, cpuid, 0, reterr);
	if (r == 0)
		r = take_vcpu(p, h, vcpu, reterr);
out:
	sys_close_fd(&vcpu);
	kvm_vm_close(&vm);
	if (r < 0) {
		kvm_power_on_free(p);
		return verr_prefix(reterr, r, "power-on state of a vCPU");
	}
	*ret = p;
	return 0;
}

void kvm_power_on_free(struct kvm_power_on *p)
{
	if (!p)
		return;
	free(p->msrs);
	free(p);
}

/* KVM stops at the first MSR it refuses (another is fixed by a mode the guest is not in, say):
 * go on after it. */
static int put_msrs(const struct kvm_power_on *p, int fd, struct verr *reterr)
{
	union msr_batch b = { .m = { .nmsrs = 0 } };
	uint32_t done = 0;
	while (done < p->msrs->nmsrs) {
		uint32_t n = MIN(p->msrs->nmsrs - done, (uint32_t)MSR_BATCH);
		b.m.nmsrs = n;
		memcpy(b.m.entries, &p->msrs->entries[done], n * sizeof(struct kvm_msr_entry));
		int r = KVM_CALL(fd, KVM_SET_MSRS, &b, reterr);
		if (r < 0)
			return r;
		done += (uint32_t)r < n ? (uint32_t)r + 1 : n;
	}
	return 0;
}

int kvm_power_on_vcpu(const struct kvm_power_on *p, int vcpu_fd, unsigned int id,
		      struct verr *reterr)
{
	struct kvm_regs regs = p->regs;
	struct kvm_sregs sregs = p->sregs;
	struct kvm_lapic_state lapic = p->lapic;
	struct kvm_vcpu_events events = p->events;
	struct kvm_mp_state mp = {
		.mp_state = id == 0 ? KVM_MP_STATE_RUNNABLE : KVM_MP_STATE_UNINITIALIZED,
	};
	if (id != 0)
		sregs.apic_base &= ~APICBASE_BSP;
	const uint32_t apic_id = id << 24; /* xAPIC: the state after power-on */
	memcpy(lapic.regs + APIC_ID, &apic_id, sizeof(apic_id));
	events.flags |= KVM_VCPUEVENT_VALID_NMI_PENDING | KVM_VCPUEVENT_VALID_SIPI_VECTOR |
			KVM_VCPUEVENT_VALID_SHADOW;

	/* The APIC's mode (in sregs) before its registers; MSRs after the mode of the CPU. */
	const struct {
		unsigned long request;
		const void *arg;
		const char *what;
	} sets[] = {
		{ KVM_SET_SREGS, &sregs, "KVM_SET_SREGS" },
		{ KVM_SET_REGS, &regs, "KVM_SET_REGS" },
		{ KVM_SET_XSAVE, &p->xsave, "KVM_SET_XSAVE" },
		{ KVM_SET_DEBUGREGS, &p->debugregs, "KVM_SET_DEBUGREGS" },
		{ KVM_SET_LAPIC, &lapic, "KVM_SET_LAPIC" },
		{ KVM_SET_VCPU_EVENTS, &events, "KVM_SET_VCPU_EVENTS" },
		{ KVM_SET_MP_STATE, &mp, "KVM_SET_MP_STATE" },
	};
	for (unsigned int i = 0; i < ARRAY_SIZE(sets); i++) {
		int r = kvm_call(vcpu_fd, sets[i].request, (void *)(uintptr_t)sets[i].arg,
				 sets[i].what, reterr);
		if (r < 0)
			return r;
	}
	if (p->has_xcrs) {
		int r = KVM_CALL(vcpu_fd, KVM_SET_XCRS, (void *)(uintptr_t)&p->xcrs, reterr);
		if (r < 0)
			return r;
	}
	return put_msrs(p, vcpu_fd, reterr);
}

int kvm_power_on_chip(const struct kvm_power_on *p, const struct kvm_vm *vm, struct verr *reterr)
{
	if (vm->mode != KVM_CHIP_ON)
		return 0;
	for (unsigned int i = 0; i < CHIPS; i++) {
		int r = KVM_CALL(vm->fd, KVM_SET_IRQCHIP, (void *)(uintptr_t)&p->chip[i], reterr);
		if (r < 0)
			return r;
	}
	return 0;
}
