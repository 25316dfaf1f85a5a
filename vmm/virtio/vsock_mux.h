// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-vsock served in user space: an I/O thread between the device's queues and UNIX sockets.
// Host programs connect to PATH and say "CONNECT PORT\n"; what the guest connects to at the host is
// PATH_PORT. The protocol is vsock_hub.h's.
#pragma once

#include "vmm/virtio/virtio.h"

VV_BEGIN_DECLS

struct vsock_mux;

/* Listens at `path` (borrowed, outlives it) and starts the thread; in a dry run neither. */
int vsock_mux_open(struct virtio_dev *vd, const char *path, uint64_t cid, struct vsock_mux **ret,
		   struct verr *reterr);
void vsock_mux_close(struct vsock_mux *m); /* NULL allowed; deactivated by then */

/* As virtio_ops. */
int vsock_mux_activate(struct vsock_mux *m);
void vsock_mux_deactivate(struct vsock_mux *m);
void vsock_mux_reset(struct vsock_mux *m);

VV_END_DECLS
