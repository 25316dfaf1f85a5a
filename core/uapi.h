// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel interface names newer than the oldest headers we build with (Debian 12, Linux 6.1), each
// with the kernel version that brought it. Features are probed at run time, never assumed from
// a header.
#pragma once

#include <linux/kvm.h>
#include <linux/vfio.h>

/* Linux 6.6 renamed the KVM-VFIO attributes; the numbers did not change. */
#ifndef KVM_DEV_VFIO_FILE
#define KVM_DEV_VFIO_FILE     KVM_DEV_VFIO_GROUP
#define KVM_DEV_VFIO_FILE_ADD KVM_DEV_VFIO_GROUP_ADD
#define KVM_DEV_VFIO_FILE_DEL KVM_DEV_VFIO_GROUP_DEL
#endif

/* Linux 6.2. */
#ifndef VFIO_MIGRATION_PRE_COPY
#define VFIO_MIGRATION_PRE_COPY (1 << 2)
#endif
