// SPDX-License-Identifier: GPL-2.0-or-later
//
// The x86 side of a vCPU: CPUID, MSRs, local APIC and boot registers are put where firmware and
// boot loader would have left them. Owns nothing. Must not know of threads or the machine.
// Boot: Linux x86 boot protocol (64-bit entry); Xen PVH entry (docs/misc/pvh.pandoc).
#include "kvm/vcpu_x86.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "kvm/cpuid.h"

enum {
	MSR_MISC_ENABLE = 0x1a0,
	MSR_MTRR_DEF_TYPE = 0x2ff,
	APIC_LVT_LINT0 = 0x350,
	APIC_LVT_LINT1 = 0x360,
	APIC_MODE_NMI = 0x400,
	APIC_MODE_EXTINT = 0x700,
};

#define CR0_PE	 BIT64(0)
#define CR0_ET	 BIT64(4)
#define CR0_PG	 BIT64(31)
#define CR4_PAE	 BIT64(5)
#define EFER_LME BIT64(8)
#define EFER_LMA BIT64(10)

int kvm_x86_cpuid_new(const struct kvm_host *h, struct kvm_cpuid2 **ret, struct verr *reterr)
{
	struct kvm_cpuid2 *c =
		calloc(1, sizeof(*c) + KVM_CPUID_MAX * sizeof(struct kvm_cpuid_entry2));
	if (!c)
		return verr_set(reterr, -ENOMEM, "CPUID table: out of memory");
	c->nent = KVM_CPUID_MAX;
	int r = KVM_CALL(h->fd, KVM_GET_SUPPORTED_CPUID, c, reterr);
	if (r < 0) {
		free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int kvm_x86_cpuid_fit(const struct kvm_host *h, struct kvm_cpuid2 *cpuid, unsigned int vcpus,
		      struct verr *reterr)
{
	const struct kvm_cpuid_cfg cfg = {
		.vcpus = vcpus,
		.tsc_deadline = h->cap[KVM_HAS_TSC_DEADLINE] != 0,
	};
	int r = kvm_cpuid_build(cpuid->entries, MIN(cpuid->nent, (uint32_t)KVM_CPUID_MAX), &cfg);
	if (r < 0)
		return verr_set(reterr, r, "CPUID: more than the %d leaves KVM takes",
				KVM_CPUID_MAX);
	cpuid->nent = (uint32_t)r;
	return 0;
}

int kvm_x86_cpuid_set(int vcpu_fd, struct kvm_cpuid2 *cpuid, unsigned int id, struct verr *reterr)
{
	kvm_cpuid_set_apic_id(cpuid->entries, cpuid->nent, id);
	return KVM_CALL(vcpu_fd, KVM_SET_CPUID2, cpuid, reterr);
}

/* Memory is write-back unless the guest says otherwise. Without it KVM honours "all uncached"
 * once a device with non-coherent DMA is assigned, and Linux gives up on PAT. */
static int set_msrs(int vcpu_fd, struct verr *reterr)
{
	union {
		struct kvm_msrs m;
		uint8_t space[sizeof(struct kvm_msrs) + 2 * sizeof(struct kvm_msr_entry)];
	} u = { .m = { .nmsrs = 2 } };
	u.m.entries[0] = (struct kvm_msr_entry){
		.index = MSR_MTRR_DEF_TYPE,
		.data = BIT64(11) | 6 /* enabled, write-back */,
	};
	/* Fast strings on, no BTS, no PEBS. The last, for KVM may not have it. */
	u.m.entries[1] = (struct kvm_msr_entry){
		.index = MSR_MISC_ENABLE,
		.data = BIT64(0) | BIT64(11) | BIT64(12),
	};
	int r = KVM_CALL(vcpu_fd, KVM_SET_MSRS, &u, reterr);
	if (r < 0)
		return r;
	if (r == 0)
		return verr_set(reterr, -EINVAL, "KVM_SET_MSRS: KVM refuses MTRRdefType");
	return 0;
}

/* The PIC sits on LINT0 of the boot processor, the NMI button on LINT1. */
static int set_lint(int vcpu_fd, struct verr *reterr)
{
	struct kvm_lapic_state lapic;
	int r = KVM_CALL(vcpu_fd, KVM_GET_LAPIC, &lapic, reterr);
	if (r < 0)
		return r;
	const uint32_t lint0 = APIC_MODE_EXTINT, lint1 = APIC_MODE_NMI;
	memcpy(lapic.regs + APIC_LVT_LINT0, &lint0, sizeof(lint0));
	memcpy(lapic.regs + APIC_LVT_LINT1, &lint1, sizeof(lint1));
	return KVM_CALL(vcpu_fd, KVM_SET_LAPIC, &lapic, reterr);
}

int kvm_x86_firmware(int vcpu_fd, unsigned int id, struct verr *reterr)
{
	int r = set_msrs(vcpu_fd, reterr);
	if (r < 0 || id != 0)
		return r;
	return set_lint(vcpu_fd, reterr);
}

static struct kvm_segment flat(uint16_t selector, uint8_t type, bool code64)
{
	return (struct kvm_segment){
		.base = 0,
		.limit = 0xffffffff,
		.selector = selector,
		.type = type,
		.present = 1,
		.db = !code64,
		.l = code64,
		.s = 1,
		.g = 1,
	};
}

static void boot_sregs(struct kvm_sregs *s, const struct boot_state *b)
{
	bool long64 = b->mode == BOOT_LONG64;
	s->cs = flat(0x10, 0xb /* code, read, accessed */, long64);
	s->ds = flat(0x18, 0x3 /* data, write, accessed */, false);
	s->es = s->fs = s->gs = s->ss = s->ds;
	s->tr = (struct kvm_segment){
		.limit = 0x67,
		.selector = 0x20,
		.type = 0xb /* busy TSS */,
		.present = 1,
	};
	s->ldt = (struct kvm_segment){ .unusable = 1, .type = 2 };
	s->gdt.base = b->gdt_gpa;
	s->gdt.limit = b->gdt_gpa ? 5 * 8 - 1 : 0;
	s->idt.base = 0;
	s->idt.limit = 0;
	s->cr0 = CR0_PE | CR0_ET;
	s->cr2 = 0;
	s->cr3 = 0;
	s->cr4 = 0;
	s->efer = 0;
	if (long64) {
		s->cr0 |= CR0_PG;
		s->cr3 = b->cr3;
		s->cr4 = CR4_PAE;
		s->efer = EFER_LME | EFER_LMA;
	}
}

int kvm_x86_boot(int vcpu_fd, const struct boot_state *b, struct verr *reterr)
{
	struct kvm_sregs sregs;
	int r = KVM_CALL(vcpu_fd, KVM_GET_SREGS, &sregs, reterr);
	if (r < 0)
		return r;
	boot_sregs(&sregs, b);
	r = KVM_CALL(vcpu_fd, KVM_SET_SREGS, &sregs, reterr);
	if (r < 0)
		return r;
	struct kvm_regs regs = {
		.rip = b->rip,
		.rsi = b->rsi,
		.rbx = b->rbx,
		.rsp = b->rsp,
		.rflags = 2, /* the bit that is always set: interrupts off */
	};
	return KVM_CALL(vcpu_fd, KVM_SET_REGS, &regs, reterr);
}

void kvm_x86_describe(int vcpu_fd, char *buf, size_t size)
{
	struct kvm_regs g;
	struct kvm_sregs s;
	if (sys_ioctl(vcpu_fd, KVM_GET_REGS, &g) < 0 || sys_ioctl(vcpu_fd, KVM_GET_SREGS, &s) < 0) {
		snprintf(buf, size, "registers can't be read");
		return;
	}
	snprintf(buf, size,
		 "rip %#llx cs %#x rflags %#llx rax %#llx rbx %#llx rcx %#llx rdx %#llx rsi %#llx "
		 "rdi %#llx rbp %#llx rsp %#llx r8 %#llx r9 %#llx r10 %#llx r11 %#llx r12 %#llx "
		 "r13 %#llx r14 %#llx r15 %#llx cr0 %#llx cr2 %#llx cr3 %#llx cr4 %#llx efer %#llx",
		 g.rip, s.cs.selector, g.rflags, g.rax, g.rbx, g.rcx, g.rdx, g.rsi, g.rdi, g.rbp,
		 g.rsp, g.r8, g.r9, g.r10, g.r11, g.r12, g.r13, g.r14, g.r15, s.cr0, s.cr2, s.cr3,
		 s.cr4, s.efer);
}

const char *kvm_x86_suberror(uint32_t suberror)
{
	switch (suberror) {
	case KVM_INTERNAL_ERROR_EMULATION:
		return "an instruction KVM can't emulate";
	case KVM_INTERNAL_ERROR_SIMUL_EX:
		return "an exception while delivering an exception";
	case KVM_INTERNAL_ERROR_DELIVERY_EV:
		return "an exit while delivering an event";
	case KVM_INTERNAL_ERROR_UNEXPECTED_EXIT_REASON:
		return "an exit of the CPU that KVM does not know";
	default:
		return "unknown";
	}
}
