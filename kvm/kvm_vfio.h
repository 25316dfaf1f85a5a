// SPDX-License-Identifier: GPL-2.0-or-later
// The KVM-VFIO pseudo-device: tells KVM which VFIO groups or devices the guest has, so that it
// honours the guest's cache control where DMA is not coherent and lets VFIO hold on to the VM.
// Locking: the machine lock.
#pragma once

#include "kvm/vm.h"

VV_BEGIN_DECLS

struct kvm_vfio {
	const struct kvm_vm *vm; /* borrowed */
	int fd;			 /* owned; -1 until the first add */
};

void kvm_vfio_init(struct kvm_vfio *kv, const struct kvm_vm *vm);
/* KVM lets go of whatever is still added. Before the VM is closed. */
void kvm_vfio_fini(struct kvm_vfio *kv);
/* `fd`: a VFIO group, or (Linux 6.6 and later) a VFIO device of a cdev; borrowed until the del,
 * for which it must still be open. -EOPNOTSUPP: this kernel has no KVM-VFIO. */
int kvm_vfio_add(struct kvm_vfio *kv, int fd, struct verr *reterr);
void kvm_vfio_del(struct kvm_vfio *kv, int fd); /* never added: no effect */

VV_END_DECLS
