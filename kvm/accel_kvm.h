// SPDX-License-Identifier: GPL-2.0-or-later
// Accelerator "kvm". Beyond core/accel.h:
// - pause and detach are called without the machine lock, from a thread that is no vCPU's: they
//   wait for vCPUs that may be inside an exit callback and want it. The rest under it, or with
//   the vCPUs paused.
// - the kernel's interrupt controllers and the vCPUs are made at the first boot_set, run or use of
//   an interrupt, so that guest memory can be added before: that way it takes microseconds to
//   map, and milliseconds later. What is wrong with them is therefore said there.
// - guest addresses 0xfeffc000..0xfeffffff are taken (KVM_IDENTITY_GPA, KVM_TSS_GPA in kvm/vm.h),
//   and with a split irqchip the IOAPIC's page at 0xfec00000 of accel_machine.mmio.
#pragma once

#include "core/accel.h"

VV_BEGIN_DECLS

extern const struct accel_type kvm_accel;

VV_END_DECLS
