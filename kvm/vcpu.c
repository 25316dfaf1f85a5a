// SPDX-License-Identifier: GPL-2.0-or-later
//
// vCPU threads: KVM_RUN, the decoding of its exits into vmexit_ops, kick and pause. Owns the vCPU
// fds, their shared pages and the threads. Must not know what a guest access means, nor take the
// machine lock.
#include "kvm/vcpu.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LOG_TAG "kvm/vcpu"
#include "core/log.h"
#include "core/sys.h"
#include "core/thread.h"
#include "core/trace.h"
#include "kvm/vcpu_x86.h"

enum { WHY_MAX = 1024, REGS_MAX = 768 };

/* --- kick ------------------------------------------------------------------------------------- */

static void on_kick(int sig)
{
	(void)sig; /* interrupting KVM_RUN is all */
}

static void install_kick(void)
{
	struct sigaction sa = { .sa_handler = on_kick };
	sigemptyset(&sa.sa_mask);
	sigaction(SIGRTMIN, &sa, NULL);
}

static bool leaving(const struct kvm_vcpu *v)
{
	return __atomic_load_n(&v->run->immediate_exit, __ATOMIC_ACQUIRE) != 0;
}

/* set->lock held. The flag first: a vCPU on its way into KVM_RUN sees it, one inside is
 * interrupted by the signal. */
static void kick(struct kvm_vcpu *v)
{
	if (!v->has_thread || v->parked)
		return;
	__atomic_store_n(&v->run->immediate_exit, 1, __ATOMIC_RELEASE);
	pthread_kill(v->thread, SIGRTMIN);
}

/* --- exits ------------------------------------------------------------------------------------ */

enum next { ENTER, LEAVE, DIE };

/* Tells the machine, once for all vCPUs, and has this one park. */
static enum next die(struct kvm_vcpu *v, enum vm_stop_reason reason, const char *fmt, ...)
	ATTR_PRINTF(3, 4);
static enum next die(struct kvm_vcpu *v, enum vm_stop_reason reason, const char *fmt, ...)
{
	struct kvm_vcpus *set = v->set;
	if (__atomic_exchange_n(&set->stopped, true, __ATOMIC_ACQ_REL))
		return DIE;
	char what[WHY_MAX - REGS_MAX - 32], regs[REGS_MAX], why[WHY_MAX];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	kvm_x86_describe(v->fd, regs, sizeof(regs));
	snprintf(why, sizeof(why), "vCPU %u: %s (%s)", v->id, what, regs);
	set->exits->stopped(set->opaque, reason, why);
	return DIE;
}

static void exit_io(struct kvm_vcpu *v)
{
	const struct vmexit_ops *ops = v->set->exits;
	struct kvm_run *run = v->run;
	unsigned int size = run->io.size;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	for (uint32_t i = 0; i < run->io.count; i++, data += size) {
		if (run->io.direction == KVM_EXIT_IO_OUT)
			ops->pio_write(v->set->opaque, run->io.port, data, size);
		else
			ops->pio_read(v->set->opaque, run->io.port, data, size);
	}
}

static void exit_mmio(struct kvm_vcpu *v)
{
	const struct vmexit_ops *ops = v->set->exits;
	struct kvm_run *run = v->run;
	unsigned int len = MIN(run->mmio.len, (uint32_t)sizeof(run->mmio.data));
	if (run->mmio.is_write)
		ops->mmio_write(v->set->opaque, run->mmio.phys_addr, run->mmio.data, len);
	else
		ops->mmio_read(v->set->opaque, run->mmio.phys_addr, run->mmio.data, len);
}

static enum next exit_internal(struct kvm_vcpu *v)
{
	const struct kvm_run *run = v->run;
	uint32_t sub = run->internal.suberror;
	char insn[3 * 15 + 32] = "";
	if (sub == KVM_INTERNAL_ERROR_EMULATION && run->internal.ndata >= 3 &&
	    (run->emulation_failure.flags & KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES)) {
		size_t n = (size_t)snprintf(insn, sizeof(insn), ", bytes");
		unsigned int len = MIN(run->emulation_failure.insn_size, 15);
		for (unsigned int i = 0; i < len; i++)
			n += (size_t)snprintf(insn + n, sizeof(insn) - n, " %02x",
					      run->emulation_failure.insn_bytes[i]);
	}
	return die(v, VM_STOP_INTERNAL_ERROR, "KVM gave up: %s (suberror %u%s)",
		   kvm_x86_suberror(sub), sub, insn);
}

static enum next exit_system_event(struct kvm_vcpu *v)
{
	static const char *const names[] = {
		[KVM_SYSTEM_EVENT_SHUTDOWN] = "asked for power-off",
		[KVM_SYSTEM_EVENT_RESET] = "asked for a reset",
		[KVM_SYSTEM_EVENT_CRASH] = "reported that it crashed",
	};
	uint32_t type = v->run->system_event.type;
	const char *name = type < ARRAY_SIZE(names) ? names[type] : NULL;
	return die(v, VM_STOP_SHUTDOWN, "the guest %s through KVM (event %u)",
		   name ? name : "did something unknown", type);
}

static enum next handle_exit(struct kvm_vcpu *v)
{
	const struct kvm_run *run = v->run;
	T(kvm_exit, v->id, run->exit_reason);
	switch (run->exit_reason) {
	case KVM_EXIT_IO:
		exit_io(v);
		return ENTER;
	case KVM_EXIT_MMIO:
		exit_mmio(v);
		return ENTER;
	case KVM_EXIT_IOAPIC_EOI:
		kvm_irq_eoi(v->set->irq, run->eoi.vector);
		return ENTER;
	case KVM_EXIT_INTR:
	case KVM_EXIT_IRQ_WINDOW_OPEN:
	case KVM_EXIT_HLT: /* waits in the kernel, which has the local APIC */
		return ENTER;
	case KVM_EXIT_SHUTDOWN:
		return die(v, VM_STOP_SHUTDOWN, "triple fault");
	case KVM_EXIT_FAIL_ENTRY:
		return die(v, VM_STOP_INTERNAL_ERROR,
			   "the CPU refused to enter the guest (reason "
			   "%#" PRIx64 ")",
			   (uint64_t)run->fail_entry.hardware_entry_failure_reason);
	case KVM_EXIT_INTERNAL_ERROR:
		return exit_internal(v);
	case KVM_EXIT_SYSTEM_EVENT:
		return exit_system_event(v);
	case KVM_EXIT_UNKNOWN:
		return die(v, VM_STOP_INTERNAL_ERROR,
			   "an exit KVM does not know (hardware reason "
			   "%#" PRIx64 ")",
			   (uint64_t)run->hw.hardware_exit_reason);
	default:
		return die(v, VM_STOP_INTERNAL_ERROR,
			   "KVM_RUN returned for reason %u, which we did "
			   "not ask for",
			   run->exit_reason);
	}
}

/* Where nobody owns it now, another thread may have dropped the window in between: once more. */
static enum next handle_fault(struct kvm_vcpu *v)
{
	struct kvm_vcpus *set = v->set;
	bool owned = set->exits->fault && set->exits->fault(set->opaque);

	if (!owned && v->faulted)
		return die(v, VM_STOP_INTERNAL_ERROR,
			   "KVM_RUN: the memory behind a guest address "
			   "is gone (%s)",
			   strerror(EFAULT));
	v->faulted = !owned;
	return ENTER;
}

static enum next handle_error(struct kvm_vcpu *v, int r)
{
	switch (r) {
	case -EINTR: /* by us, or by a debugger */
		return leaving(v) ? LEAVE : ENTER;
	case -EAGAIN: /* a waiting processor got its INIT or SIPI */
		return ENTER;
	case -EFAULT:
		return handle_fault(v);
	default:
		return die(v, VM_STOP_INTERNAL_ERROR, "KVM_RUN: %s", strerror(-r));
	}
}

/* --- threads ---------------------------------------------------------------------------------- */

/* Runs the guest until asked to leave (true) or the guest is done (false). */
static bool run_guest(struct kvm_vcpu *v)
{
	enum next next = ENTER;
	while (next == ENTER) {
		int r = sys_ioctl(v->fd, KVM_RUN, NULL);
		if (r >= 0)
			v->faulted = false;
		next = r < 0 ? handle_error(v, r) : handle_exit(v);
	}
	if (next == LEAVE && __atomic_load_n(&v->set->broken, __ATOMIC_ACQUIRE))
		next = die(v, VM_STOP_INTERNAL_ERROR, "KVM did not let go of a memory slot");
	return next == LEAVE;
}

static void *vcpu_main(void *arg)
{
	struct kvm_vcpu *v = arg;
	struct kvm_vcpus *set = v->set;
	sigset_t kicks;
	sigemptyset(&kicks);
	sigaddset(&kicks, SIGRTMIN);
	pthread_sigmask(SIG_UNBLOCK, &kicks, NULL);

	pthread_mutex_lock(&set->lock);
	for (;;) {
		while (set->want == KVM_VCPUS_PAUSE || (set->want == KVM_VCPUS_RUN && v->dead)) {
			v->parked = true;
			pthread_cond_broadcast(&set->idle);
			pthread_cond_wait(&set->wake, &set->lock);
		}
		if (set->want == KVM_VCPUS_QUIT)
			break;
		v->parked = false;
		bool broken = __atomic_load_n(&set->broken, __ATOMIC_ACQUIRE);
		__atomic_store_n(&v->run->immediate_exit, broken, __ATOMIC_RELEASE);
		pthread_mutex_unlock(&set->lock);
		bool alive = run_guest(v);
		pthread_mutex_lock(&set->lock);
		v->dead = !alive;
	}
	v->parked = true;
	pthread_mutex_unlock(&set->lock);
	return NULL;
}

static int start_thread(struct kvm_vcpu *v, struct verr *reterr)
{
	v->parked = true; /* as good as: `want` is PAUSE */
	int r = thread_start(&v->thread, vcpu_main, v);
	if (r < 0)
		return verr_set(reterr, r, "thread of vCPU %u: %s", v->id, strerror(-r));
	v->has_thread = true;
	char name[16];
	snprintf(name, sizeof(name), "vcpu%u", v->id);
	pthread_setname_np(v->thread, name);
	return 0;
}

static int open_one(struct kvm_vcpus *set, unsigned int id, struct kvm_cpuid2 *cpuid,
		    struct verr *reterr)
{
	struct kvm_vcpu *v = &set->v[id];
	char what[32];
	snprintf(what, sizeof(what), "KVM_CREATE_VCPU %u", id);
	int r = kvm_call(set->vm->fd, KVM_CREATE_VCPU, (void *)(uintptr_t)id, what, reterr);
	if (r < 0)
		return r;
	v->fd = r;
	void *run;
	r = sys_mmap(&run, NULL, set->vm->host->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, v->fd,
		     0);
	if (r < 0)
		return verr_set(reterr, r, "mmap of vCPU %u: %s", id, strerror(-r));
	v->run = run;
	r = kvm_x86_cpuid_set(v->fd, cpuid, id, reterr);
	if (r == 0)
		r = kvm_x86_firmware(v->fd, id, reterr);
	if (r < 0)
		return verr_prefix(reterr, r, "vCPU %u", id);
	return start_thread(v, reterr);
}

int kvm_vcpus_open(struct kvm_vcpus *set, const struct kvm_vm *vm, struct kvm_irq *irq,
		   const struct accel_machine *m, struct kvm_cpuid2 *cpuid, struct verr *reterr)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, install_kick);

	memset(set, 0, sizeof(*set));
	set->v = calloc(m->vcpus, sizeof(*set->v));
	if (!set->v)
		return verr_set(reterr, -ENOMEM, "%u vCPUs: out of memory", m->vcpus);
	set->vm = vm;
	set->irq = irq;
	set->exits = m->exits;
	set->opaque = m->opaque;
	set->n = m->vcpus;
	pthread_mutex_init(&set->lock, NULL);
	pthread_cond_init(&set->wake, NULL);
	pthread_cond_init(&set->idle, NULL);
	for (unsigned int i = 0; i < set->n; i++) {
		set->v[i].set = set;
		set->v[i].id = i;
		set->v[i].fd = -1;
	}
	for (unsigned int i = 0; i < set->n; i++) {
		int r = open_one(set, i, cpuid, reterr);
		if (r < 0) {
			kvm_vcpus_close(set);
			return r;
		}
	}
	return 0;
}

static void ask(struct kvm_vcpus *set, enum kvm_vcpus_want want)
{
	pthread_mutex_lock(&set->lock);
	set->want = want;
	if (want != KVM_VCPUS_RUN) {
		for (unsigned int i = 0; i < set->n; i++)
			kick(&set->v[i]);
	}
	pthread_cond_broadcast(&set->wake);
	pthread_mutex_unlock(&set->lock);
}

void kvm_vcpus_close(struct kvm_vcpus *set)
{
	if (!set->v)
		return;
	ask(set, KVM_VCPUS_QUIT);
	for (unsigned int i = 0; i < set->n; i++) {
		struct kvm_vcpu *v = &set->v[i];
		if (v->has_thread)
			pthread_join(v->thread, NULL);
		if (v->run)
			sys_munmap(v->run, set->vm->host->run_size);
		sys_close_fd(&v->fd);
	}
	pthread_mutex_destroy(&set->lock);
	pthread_cond_destroy(&set->wake);
	pthread_cond_destroy(&set->idle);
	free(set->v);
	memset(set, 0, sizeof(*set));
}

void kvm_vcpus_run(struct kvm_vcpus *set)
{
	/* A guest that was paused must not take the gap for a lock-up. Fails where the guest has
	 * no kvmclock, and then there is nothing to tell. */
	for (unsigned int i = 0; set->ran && i < set->n; i++)
		sys_ioctl(set->v[i].fd, KVM_KVMCLOCK_CTRL, NULL);
	set->ran = true;
	ask(set, KVM_VCPUS_RUN);
}

void kvm_vcpus_pause(struct kvm_vcpus *set)
{
	ask(set, KVM_VCPUS_PAUSE);
	pthread_mutex_lock(&set->lock);
	for (unsigned int i = 0; i < set->n; i++) {
		while (!set->v[i].parked)
			pthread_cond_wait(&set->idle, &set->lock);
	}
	pthread_mutex_unlock(&set->lock);
}

void kvm_vcpus_revive(struct kvm_vcpus *set)
{
	pthread_mutex_lock(&set->lock);
	for (unsigned int i = 0; i < set->n; i++)
		set->v[i].dead = false;
	set->ran = false;
	pthread_mutex_unlock(&set->lock);
	__atomic_store_n(&set->stopped, false, __ATOMIC_RELEASE);
}

void kvm_vcpus_break(struct kvm_vcpus *set)
{
	if (!set->v)
		return;
	__atomic_store_n(&set->broken, true, __ATOMIC_RELEASE);
	pthread_mutex_lock(&set->lock);
	for (unsigned int i = 0; i < set->n; i++)
		kick(&set->v[i]);
	pthread_mutex_unlock(&set->lock);
}
