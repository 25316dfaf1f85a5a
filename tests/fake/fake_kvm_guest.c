// SPDX-License-Identifier: GPL-2.0-or-later
//
// The test plays the guest: an access goes to a memory slot, an ioeventfd or user space, as it
// would in a real one, and comes back when it is done.
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tests/fake/fake_kvm_int.h"

#define PATIENCE_S 5

static struct timespec in_ms(unsigned int ms)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static int post(struct fk_vcpu *v, const struct fk_exit *x, bool wait)
{
	uint64_t one = 1;
	struct timespec deadline = in_ms(PATIENCE_S * 1000);
	while (v->exit.pending || v->in_exit)
		if (!fk_kvm_wait(&deadline))
			return -ETIMEDOUT;
	v->exit = *x;
	v->exit.pending = true;
	uint64_t mine = ++v->posted;
	if (write(v->wake, &one, sizeof(one)) < 0)
		return -errno;
	while (wait && v->done < mine) {
		if (!fk_kvm_wait(&deadline)) {
			v->exit.pending = false;
			return -ETIMEDOUT;
		}
	}
	return FAKE_ACCESS_EXIT;
}

static struct fk_vcpu *vcpu_of(unsigned int id)
{
	struct fk_vm *vm = fk_vm_latest();
	if (!vm || id >= FK_VCPUS || !vm->vcpus[id])
		fk_bug("there is no vCPU %u to play the guest on", id);
	return vm->vcpus[id];
}

/* The host address of a slot that takes this access; NULL: not memory. */
static void *slot_va(struct fk_vm *vm, uint64_t gpa, unsigned int len, bool write)
{
	struct fk_slot *s = fk_kvm_slot_at(vm, gpa);
	if (!s || s != fk_kvm_slot_at(vm, gpa + len - 1) ||
	    (write && (s->r.flags & KVM_MEM_READONLY)))
		return NULL;
	return (void *)(uintptr_t)(s->r.userspace_addr + (gpa - s->r.guest_phys_addr));
}

static int memory(struct fk_vcpu *v, uint64_t gpa, void *data, unsigned int len, bool write)
{
	for (int tries = 0; tries < 2; tries++) {
		bool bar;
		uint8_t *p = slot_va(v->vm, gpa, len, write);
		if (!p)
			return -ENOENT;
		if (fk_va_check((uintptr_t)p, len, write, &bar) == 0) {
			if (write)
				memcpy(p, data, len);
			else
				memcpy(data, p, len);
			return FAKE_ACCESS_DIRECT;
		}
		/* The page behind the slot is gone: KVM_RUN says EFAULT, and if user space enters
		 * again the guest repeats its access. */
		const struct fk_exit x = { .err = EFAULT };
		int r = post(v, &x, true);
		if (r < 0)
			return r;
	}
	return -EFAULT;
}

static int mmio(unsigned int vcpu, uint64_t gpa, uint64_t *val, unsigned int len, bool write)
{
	fk_lock();
	struct fk_vcpu *v = vcpu_of(vcpu);
	if (!write)
		*val = 0;
	int r = memory(v, gpa, val, len, write);
	struct fk_ioeventfd *d =
		r == -ENOENT && write ? fk_kvm_doorbell(v->vm, false, gpa, len, *val) : NULL;
	if (d) {
		fk_efd_signal(d->e);
		r = FAKE_ACCESS_DOORBELL;
	} else if (r == -ENOENT) {
		const struct fk_exit x = { .reason = KVM_EXIT_MMIO,
					   .addr = gpa,
					   .val = write ? *val : 0,
					   .len = len,
					   .write = write };
		r = post(v, &x, true);
		if (r >= 0 && !write)
			*val = v->result;
	}
	fk_unlock();
	return r;
}

int fake_guest_write(unsigned int vcpu, uint64_t gpa, uint64_t val, unsigned int len)
{
	return mmio(vcpu, gpa, &val, len, true);
}

int fake_guest_read(unsigned int vcpu, uint64_t gpa, uint64_t *ret, unsigned int len)
{
	return mmio(vcpu, gpa, ret, len, false);
}

int fake_guest_out(unsigned int vcpu, uint16_t port, uint32_t val, unsigned int len)
{
	fk_lock();
	struct fk_vcpu *v = vcpu_of(vcpu);
	struct fk_ioeventfd *d = fk_kvm_doorbell(v->vm, true, port, len, val);
	int r = FAKE_ACCESS_DOORBELL;
	if (d) {
		fk_efd_signal(d->e);
	} else {
		const struct fk_exit x = {
			.reason = KVM_EXIT_IO, .addr = port, .val = val, .len = len, .write = true
		};
		r = post(v, &x, true);
	}
	fk_unlock();
	return r;
}

int fake_guest_in(unsigned int vcpu, uint16_t port, uint32_t *ret, unsigned int len)
{
	fk_lock();
	struct fk_vcpu *v = vcpu_of(vcpu);
	const struct fk_exit x = { .reason = KVM_EXIT_IO, .addr = port, .len = len };
	int r = post(v, &x, true);
	if (r >= 0)
		*ret = (uint32_t)v->result;
	fk_unlock();
	return r;
}

int fake_guest_exit(unsigned int vcpu, uint32_t reason, uint64_t detail)
{
	const struct fk_exit x = { .reason = reason, .val = detail };
	fk_lock();
	int r = post(vcpu_of(vcpu), &x, false);
	fk_unlock();
	return r;
}

int fake_guest_run_errno(unsigned int vcpu, int err)
{
	const struct fk_exit x = { .err = err };
	fk_lock();
	int r = post(vcpu_of(vcpu), &x, false);
	fk_unlock();
	return r;
}

bool fake_kvm_wait_running(unsigned int n, unsigned int ms)
{
	struct timespec deadline = in_ms(ms);
	fk_lock();
	bool equal;
	do {
		unsigned int running = 0;
		struct fk_vm *vm = fk_vm_latest();
		for (unsigned int i = 0; vm && i < FK_VCPUS; i++)
			running += vm->vcpus[i] && vm->vcpus[i]->in_run;
		equal = running == n;
	} while (!equal && fk_kvm_wait(&deadline));
	fk_unlock();
	return equal;
}
