// SPDX-License-Identifier: GPL-2.0-or-later
// Accelerator "kvm". Beyond core/accel.h:
// - run, pause, reset, boot_set and detach are called without the machine lock, from one thread
//   that is no vCPU's (kvm/vcpu.h says why); the rest under it.
// - RAM that is in the gmem list before attach costs microseconds to map; after it, milliseconds.
// - attach takes guest addresses 0xfeffc000..0xfeffffff, and with a split irqchip the IOAPIC's
//   page at 0xfec00000 of accel_machine.mmio.
#pragma once

#include "core/accel.h"

VV_BEGIN_DECLS

extern const struct accel_type kvm_accel;

VV_END_DECLS
