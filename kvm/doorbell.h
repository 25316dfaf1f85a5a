// SPDX-License-Identifier: GPL-2.0-or-later
// Doorbells by ioeventfd: a guest write signals an eventfd without leaving the kernel.
// Locking: the machine lock.
#pragma once

#include "core/accel.h"
#include "kvm/vm.h"

VV_BEGIN_DECLS

/* -EEXIST: there is one that a write would match just as well; -EINVAL: the size is none of 0, 1,
 * 2, 4, 8 or `match` goes with size 0; -EOPNOTSUPP: size 0 and the kernel is too old for it;
 * -ENOSPC: the kernel's table is full. */
int kvm_doorbell_add(const struct kvm_vm *vm, const struct doorbell *d);
/* Exactly as added. No effect if it is not there. */
void kvm_doorbell_del(const struct kvm_vm *vm, const struct doorbell *d);

VV_END_DECLS
