// SPDX-License-Identifier: GPL-2.0-or-later
// The virtio device types, for vmm/tables.c.
#pragma once

#include "core/dev.h"

VV_BEGIN_DECLS

extern const struct dev_type virtio_balloon_type, virtio_blk_type, virtio_console_type,
	virtio_net_type, virtio_rng_type, virtio_vsock_type;

VV_END_DECLS
