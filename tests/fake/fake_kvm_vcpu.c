// SPDX-License-Identifier: GPL-2.0-or-later
//
// vCPUs: registers and tables that are set and read back, and KVM_RUN, which waits for an exit
// the test has made (fake_kvm_guest.c), for a signal, or for immediate_exit.
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "tests/fake/fake_kvm_int.h"

static unsigned int exits; /* atomic: tests read it while vCPUs run */

void fk_kvm_count_exit(void)
{
	__atomic_fetch_add(&exits, 1, __ATOMIC_RELAXED);
}

unsigned int fake_kvm_exits(void)
{
	return __atomic_load_n(&exits, __ATOMIC_RELAXED);
}

void fk_kvm_vcpu_reset(void)
{
	__atomic_store_n(&exits, 0, __ATOMIC_RELAXED);
}

/* --- what is set and read back ------------------------------------------------------------ */

enum { REGS, SREGS };

static const struct {
	unsigned long get, set;
	size_t size;
} pairs[] = {
	[REGS] = { KVM_GET_REGS, KVM_SET_REGS, sizeof(struct kvm_regs) },
	[SREGS] = { KVM_GET_SREGS, KVM_SET_SREGS, sizeof(struct kvm_sregs) },
	{ KVM_GET_FPU, KVM_SET_FPU, sizeof(struct kvm_fpu) },
	{ KVM_GET_XSAVE, KVM_SET_XSAVE, 4096 },
	{ KVM_GET_XCRS, KVM_SET_XCRS, sizeof(struct kvm_xcrs) },
	{ KVM_GET_LAPIC, KVM_SET_LAPIC, sizeof(struct kvm_lapic_state) },
	{ KVM_GET_MP_STATE, KVM_SET_MP_STATE, sizeof(struct kvm_mp_state) },
	{ KVM_GET_VCPU_EVENTS, KVM_SET_VCPU_EVENTS, sizeof(struct kvm_vcpu_events) },
	{ KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS, sizeof(struct kvm_debugregs) },
};

static bool get_or_set(struct fk_vcpu *v, unsigned long req, void *arg)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(pairs); i++) {
		if (req == pairs[i].get) {
			memcpy(arg, v->blobs[i].data, pairs[i].size);
			return true;
		}
		if (req == pairs[i].set) {
			memcpy(v->blobs[i].data, arg, pairs[i].size);
			return true;
		}
	}
	return req == KVM_GET_XSAVE2 ? (memcpy(arg, v->blobs[3].data, 4096), true) : false;
}

static void power_on(struct fk_vcpu *v)
{
	struct kvm_sregs s = { .cr0 = 0x60000010,
			       .apic_base = 0xfee00000 | 0x800 | (v->id ? 0 : 0x100) };
	s.cs = (struct kvm_segment){ .base = 0xffff0000,
				     .limit = 0xffff,
				     .selector = 0xf000,
				     .type = 0xb,
				     .present = 1,
				     .s = 1 };
	memcpy(v->blobs[SREGS].data, &s, sizeof(s));
	struct kvm_regs r = { .rip = 0xfff0, .rflags = 2 };
	memcpy(v->blobs[REGS].data, &r, sizeof(r));
	struct kvm_mp_state m = { v->id ? KVM_MP_STATE_UNINITIALIZED : KVM_MP_STATE_RUNNABLE };
	memcpy(v->blobs[6].data, &m, sizeof(m));
	struct kvm_xcrs x = { .nr_xcrs = 1, .xcrs = { { .xcr = 0, .value = 1 } } };
	memcpy(v->blobs[4].data, &x, sizeof(x));
}

/* --- CPUID and MSRs ----------------------------------------------------------------------- */

// clang-format off
#define LEAF(f, a, b, c, d) \
	{ .function = (f), .eax = (a), .ebx = (b), .ecx = (c), .edx = (d) }
#define SUBLEAF(f, i, a, b, c) \
	{ .function = (f), .index = (i), .flags = 1, .eax = (a), .ebx = (b), .ecx = (c) }
static const struct kvm_cpuid_entry2 supported[] = {
	LEAF(0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69),
	LEAF(1, 0x000906ea, 0x00010800, 0xfffa3203, 0x1f8bfbff),
	SUBLEAF(4, 0, 0x04000121, 0x01c0003f, 0x3f),
	SUBLEAF(4, 1, 0x04000122, 0x01c0003f, 0x3f),
	SUBLEAF(4, 2, 0x04000143, 0x01c0003f, 0x3ff),
	LEAF(6, 4, 0, 0, 0),
	SUBLEAF(7, 0, 0, 0x009c67ab, 0),
	SUBLEAF(0xb, 0, 0, 1, 0x100),
	SUBLEAF(0xb, 1, 3, 8, 0x201),
	SUBLEAF(0xd, 0, 7, 832, 832),
	SUBLEAF(0xd, 1, 0xf, 832, 0),
	SUBLEAF(0xd, 2, 256, 576, 0),
	LEAF(0x15, 0, 0, 0, 0), LEAF(0x16, 0, 0, 0, 0),
	LEAF(0x40000000, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d),
	LEAF(0x40000001, 0x01007efb, 0, 0, 0),
	LEAF(0x80000000, 0x80000008, 0, 0, 0),
	LEAF(0x80000001, 0, 0, 0x121, 0x2c100800),
	LEAF(0x80000002, 0x656b6146, 0x55504320, 0, 0),
	LEAF(0x80000003, 0, 0, 0, 0), LEAF(0x80000004, 0, 0, 0, 0),
	LEAF(0x80000006, 0, 0, 0x01006040, 0),
	LEAF(0x80000007, 0, 0, 0, 0x100),
	LEAF(0x80000008, 0x3027, 0, 0, 0),
};
// clang-format on

long fk_kvm_supported_cpuid(struct kvm_cpuid2 *a)
{
	if (a->nent < ARRAY_SIZE(supported))
		return -E2BIG;
	memcpy(a->entries, supported, sizeof(supported));
	a->nent = ARRAY_SIZE(supported);
	return 0;
}

static long set_cpuid(struct fk_vcpu *v, const struct kvm_cpuid2 *a)
{
	if (a->nent > 256)
		return -E2BIG;
	free(v->cpuid);
	v->cpuid = fk_zalloc(a->nent * sizeof(*v->cpuid));
	memcpy(v->cpuid, a->entries, a->nent * sizeof(*v->cpuid));
	v->n_cpuid = a->nent;
	return 0;
}

static const uint32_t msr_list[] = { 0x10,	 0x11,	     0x12,	 0x174,	     0x175,
				     0x176,	 0x1a0,	     0x277,	 0x2ff,	     0x3a,
				     0x3b,	 0x6e0,	     0xc0000080, 0xc0000081, 0xc0000082,
				     0xc0000083, 0xc0000084, 0xc0000100, 0xc0000101, 0xc0000102,
				     0x4b564d00, 0x4b564d01, 0x4b564d02, 0x4b564d03, 0x4b564d04 };

long fk_kvm_msr_list(struct kvm_msr_list *a)
{
	uint32_t room = a->nmsrs;
	a->nmsrs = ARRAY_SIZE(msr_list);
	if (room < ARRAY_SIZE(msr_list))
		return -E2BIG;
	memcpy(a->indices, msr_list, sizeof(msr_list));
	return 0;
}

static struct kvm_msr_entry *msr(struct fk_vcpu *v, uint32_t index)
{
	for (unsigned int i = 0; i < v->n_msrs; i++)
		if (v->msrs[i].index == index)
			return &v->msrs[i];
	return NULL;
}

/* The number done, as KVM counts them. */
static long msrs(struct fk_vcpu *v, struct kvm_msrs *a, bool set)
{
	for (uint32_t i = 0; i < a->nmsrs; i++) {
		struct kvm_msr_entry *m = msr(v, a->entries[i].index);
		if (!set) {
			a->entries[i].data = m ? m->data : 0;
			continue;
		}
		if (!m) {
			v->msrs = realloc(v->msrs, (v->n_msrs + 1) * sizeof(*v->msrs));
			if (!v->msrs)
				fk_bug("out of memory");
			m = &v->msrs[v->n_msrs++];
		}
		*m = a->entries[i];
	}
	return a->nmsrs;
}

/* --- KVM_RUN ------------------------------------------------------------------------------ */

/* User space has entered again: the exit it was given is done, its answer is in the run page. */
static void complete(struct fk_vcpu *v)
{
	if (!v->in_exit)
		return;
	struct kvm_run *run = v->run;
	v->result = 0;
	if (run->exit_reason == KVM_EXIT_MMIO && !run->mmio.is_write)
		memcpy(&v->result, run->mmio.data, run->mmio.len);
	if (run->exit_reason == KVM_EXIT_IO && run->io.direction == KVM_EXIT_IO_IN)
		memcpy(&v->result, (uint8_t *)run + run->io.data_offset, run->io.size);
	v->in_exit = false;
	v->done = v->posted;
	fk_kvm_changed();
}

static long hand_over(struct fk_vcpu *v)
{
	struct kvm_run *run = v->run;
	const struct fk_exit x = v->exit;
	uint64_t drain;
	v->exit.pending = false;
	if (read(v->wake, &drain, sizeof(drain)) < 0 && errno != EAGAIN)
		fk_bug("wake: %s", strerror(errno));
	v->in_exit = true;
	run->exit_reason = x.err ? KVM_EXIT_UNKNOWN : x.reason;
	if (x.err)
		return -x.err;
	__atomic_fetch_add(&exits, 1, __ATOMIC_RELAXED);
	switch (x.reason) {
	case KVM_EXIT_MMIO:
		run->mmio.phys_addr = x.addr;
		run->mmio.len = x.len;
		run->mmio.is_write = x.write;
		memset(run->mmio.data, 0, sizeof(run->mmio.data));
		if (x.write)
			memcpy(run->mmio.data, &x.val, x.len);
		break;
	case KVM_EXIT_IO:
		run->io.direction = x.write ? KVM_EXIT_IO_OUT : KVM_EXIT_IO_IN;
		run->io.size = (uint8_t)x.len;
		run->io.port = (uint16_t)x.addr;
		run->io.count = 1;
		run->io.data_offset = 4096;
		memcpy((uint8_t *)run + 4096, &x.val, 8);
		break;
	case KVM_EXIT_INTERNAL_ERROR:
		run->internal.suberror = (uint32_t)x.val;
		run->internal.ndata = 0;
		break;
	case KVM_EXIT_FAIL_ENTRY:
		run->fail_entry.hardware_entry_failure_reason = x.val;
		break;
	case KVM_EXIT_IOAPIC_EOI:
		run->eoi.vector = (uint8_t)x.val;
		break;
	case KVM_EXIT_SYSTEM_EVENT:
		run->system_event.type = (uint32_t)x.val;
		break;
	default:
		break;
	}
	return 0;
}

static long interrupted(struct fk_vcpu *v)
{
	v->run->exit_reason = KVM_EXIT_INTR;
	return -EINTR;
}

static long run_loop(struct fk_vcpu *v)
{
	for (;;) {
		if (v->exit.pending)
			return hand_over(v);
		if (__atomic_load_n(&v->run->immediate_exit, __ATOMIC_SEQ_CST))
			return interrupted(v);
		struct pollfd p = { .fd = v->wake, .events = POLLIN };
		/* Short: a kick between the check above and the wait is seen in time. */
		struct timespec t = { .tv_nsec = 10000000 };
		sigset_t set;
		sigemptyset(&set);
		for (int s = 1; v->has_sigmask && s <= 64; s++)
			if (v->sigmask >> (s - 1) & 1)
				sigaddset(&set, s);
		int held = fk_unlock_all();
		int r = ppoll(&p, 1, &t, v->has_sigmask ? &set : NULL);
		int err = errno;
		fk_relock(held);
		if (r < 0 && err == EINTR)
			return interrupted(v);
	}
}

static long vcpu_run(struct fk_vcpu *v)
{
	complete(v);
	v->in_run = true;
	fk_kvm_changed();
	/* The exit is completed, but the guest is not entered. */
	long r = v->run->immediate_exit ? interrupted(v) : run_loop(v);
	v->in_run = false;
	fk_kvm_changed();
	return r;
}

static long set_signal_mask(struct fk_vcpu *v, const struct kvm_signal_mask *a)
{
	v->has_sigmask = a != NULL;
	if (!a)
		return 0;
	if (a->len != sizeof(v->sigmask))
		return -EINVAL;
	memcpy(&v->sigmask, a->sigset, sizeof(v->sigmask));
	return 0;
}

static long vcpu_ioctl(struct fk_file *f, unsigned long req, void *arg)
{
	struct fk_vcpu *v = f->obj;
	if (v->in_run) {
		fk_violation("ioctl on vCPU %u while it is in KVM_RUN: Linux blocks there", v->id);
		return -EBUSY;
	}
	if (get_or_set(v, req, arg))
		return 0;
	switch (req) {
	case KVM_RUN:
		return vcpu_run(v);
	case KVM_SET_CPUID2:
		return set_cpuid(v, arg);
	case KVM_SET_MSRS:
		return msrs(v, arg, true);
	case KVM_GET_MSRS:
		return msrs(v, arg, false);
	case KVM_SET_SIGNAL_MASK:
		return set_signal_mask(v, arg);
	case KVM_INTERRUPT:
		return v->vm->irqchip == FK_IRQCHIP_NONE ? 0 : -ENXIO;
	case KVM_NMI:
	case KVM_KVMCLOCK_CTRL:
	case KVM_SET_TSC_KHZ:
		return 0;
	case KVM_GET_TSC_KHZ:
		return 2000000;
	default:
		return -ENOTTY;
	}
}

/* --- life --------------------------------------------------------------------------------- */

static int vcpu_mmap(struct fk_file *f, struct fk_map *m, off_t off, int *ret_fd, off_t *ret_off)
{
	if (off != 0 || m->len > FK_RUN_SIZE)
		return -EINVAL;
	m->kind = FK_MAP_VCPU;
	*ret_fd = f->fd;
	*ret_off = 0;
	return 0;
}

/* The vCPU itself lives as long as its VM. */
static void vcpu_release(struct fk_file *f)
{
	struct fk_vcpu *v = f->obj;
	v->fd = -1;
	fk_vm_put(v->vm);
}

static const struct fk_fops vcpu_fops = { .ioctl = vcpu_ioctl,
					  .mmap = vcpu_mmap,
					  .release = vcpu_release };

long fk_kvm_create_vcpu(struct fk_vm *vm, unsigned long id)
{
	if (id >= FK_VCPUS || vm->n_vcpus >= fake_kvm()->max_vcpus)
		return -EINVAL;
	if (vm->vcpus[id])
		return -EEXIST;
	struct fk_vcpu *v = fk_zalloc(sizeof(*v));
	v->vm = vm;
	v->id = (unsigned int)id;
	int fd = fk_install(FK_VCPU, &vcpu_fops, v, "kvm-vcpu %lu", id);
	if (fd < 0) {
		free(v);
		return fd;
	}
	v->fd = fd;
	v->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (v->wake < 0 || ftruncate(fd, FK_RUN_SIZE) < 0)
		fk_bug("vCPU %lu: %s", id, strerror(errno));
	v->run = mmap(NULL, FK_RUN_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (v->run == MAP_FAILED)
		fk_bug("vCPU %lu: %s", id, strerror(errno));
	for (unsigned int i = 0; i < ARRAY_SIZE(pairs); i++)
		v->blobs[i].data = fk_zalloc(pairs[i].size);
	power_on(v);
	vm->refs++;
	vm->vcpus[id] = v;
	vm->n_vcpus++;
	return fd;
}

void fk_kvm_vcpu_free(struct fk_vcpu *v)
{
	if (!v)
		return;
	for (unsigned int i = 0; i < FK_BLOBS; i++)
		free(v->blobs[i].data);
	munmap(v->run, FK_RUN_SIZE);
	close(v->wake);
	free(v->cpuid);
	free(v->msrs);
	free(v);
}

/* --- asked by tests ----------------------------------------------------------------------- */

static struct fk_vcpu *latest(unsigned int id)
{
	struct fk_vm *vm = fk_vm_latest();
	return vm && id < FK_VCPUS ? vm->vcpus[id] : NULL;
}

bool fake_kvm_get_regs(unsigned int vcpu, struct kvm_regs *ret)
{
	fk_lock();
	struct fk_vcpu *v = latest(vcpu);
	if (v)
		memcpy(ret, v->blobs[REGS].data, sizeof(*ret));
	fk_unlock();
	return v != NULL;
}

bool fake_kvm_get_sregs(unsigned int vcpu, struct kvm_sregs *ret)
{
	fk_lock();
	struct fk_vcpu *v = latest(vcpu);
	if (v)
		memcpy(ret, v->blobs[SREGS].data, sizeof(*ret));
	fk_unlock();
	return v != NULL;
}

bool fake_kvm_cpuid(unsigned int vcpu, uint32_t leaf, uint32_t subleaf, uint32_t ret[4])
{
	bool found = false;
	fk_lock();
	struct fk_vcpu *v = latest(vcpu);
	for (unsigned int i = 0; v && i < v->n_cpuid && !found; i++) {
		const struct kvm_cpuid_entry2 *e = &v->cpuid[i];
		bool indexed = e->flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
		if (e->function != leaf || (indexed && e->index != subleaf))
			continue;
		ret[0] = e->eax;
		ret[1] = e->ebx;
		ret[2] = e->ecx;
		ret[3] = e->edx;
		found = true;
	}
	fk_unlock();
	return found;
}
