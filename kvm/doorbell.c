// SPDX-License-Identifier: GPL-2.0-or-later
//
// Doorbells by KVM_IOEVENTFD. Keeps no list: a doorbell is described by its owner both times.
#include "kvm/doorbell.h"

#include <errno.h>
#include <string.h>

#define LOG_TAG "kvm/doorbell"
#include "core/log.h"
#include "core/sys.h"

static int ioeventfd(const struct kvm_vm *vm, const struct doorbell *d, uint32_t flags)
{
	struct kvm_ioeventfd e = {
		.datamatch = d->any ? 0 : d->match,
		.addr = d->addr,
		.len = d->size,
		.fd = d->fd,
		.flags = flags,
	};
	if (!d->any)
		e.flags |= KVM_IOEVENTFD_FLAG_DATAMATCH;
	if (d->pio)
		e.flags |= KVM_IOEVENTFD_FLAG_PIO;
	int r;
	do {
		r = sys_ioctl(vm->fd, KVM_IOEVENTFD, &e);
	} while (r == -EINTR);
	return MIN(r, 0);
}

int kvm_doorbell_add(const struct kvm_vm *vm, const struct doorbell *d)
{
	if (d->size > 8 || (d->size != 0 && !IS_POW2(d->size)) || (d->size == 0 && !d->any))
		return -EINVAL;
	if (d->size == 0 && !vm->host->cap[KVM_HAS_IOEVENTFD_ANY])
		return -EOPNOTSUPP;
	return ioeventfd(vm, d, 0);
}

void kvm_doorbell_del(const struct kvm_vm *vm, const struct doorbell *d)
{
	int r = ioeventfd(vm, d, KVM_IOEVENTFD_FLAG_DEASSIGN);
	if (r < 0 && r != -ENOENT)
		log_debug("KVM_IOEVENTFD deassign at %#llx: %s", (unsigned long long)d->addr,
			  strerror(-r));
}
