// SPDX-License-Identifier: GPL-2.0-or-later
// What vsock_hub.c (packets) and vsock_conn.c (one connection and its socket) share.
#pragma once

#include <endian.h>

#include "vmm/virtio/vsock_hub.h"

VV_BEGIN_DECLS

enum {
	VSOCK_WANT_REQUEST = 1,
	VSOCK_WANT_RESPONSE = 2,
	VSOCK_WANT_CREDIT = 4, /* to tell ours */
	VSOCK_WANT_ASK = 8,    /* for the guest's */
	VSOCK_WANT_SHUTDOWN = 16,
};

#define VSOCK_BOTH ((uint32_t)VIRTIO_VSOCK_SHUTDOWN_RCV | VIRTIO_VSOCK_SHUTDOWN_SEND)

/* vsock_conn.c. NULL: out of memory, and fd is closed. In no list yet but `others`. */
struct vsock_conn *vsock_conn_new(struct vsock_hub *h, int fd, enum vsock_state state);
void vsock_conn_free(struct vsock_conn *c);
/* Ends it at once; the guest gets a RST. */
void vsock_conn_abort(struct vsock_conn *c);
/* The guest is done with it: freed when the host's program has read all, if not now. */
void vsock_conn_finish(struct vsock_conn *c);
/* Into the bucket of its ports. */
void vsock_conn_hash(struct vsock_conn *c);
void vsock_conn_due(struct vsock_conn *c, unsigned int want);
void vsock_conn_undue(struct vsock_conn *c);
void vsock_conn_watch(struct vsock_conn *c);
/* The alarm that its state calls for. */
void vsock_conn_rearm(struct vsock_conn *c);
/* Bytes the guest takes now. */
uint32_t vsock_conn_credit(const struct vsock_conn *c);
/* The guest's payload to the socket, or into the buffer, where there is room. May free c. */
void vsock_conn_write(struct vsock_conn *c, const struct iovec *iov, unsigned int n, uint32_t len);
/* From the socket, at most the guest's credit: bytes read, 0: none now; may have set `want`. */
size_t vsock_conn_read(struct vsock_conn *c, struct iovec *iov, unsigned int n);
/* The guest accepted. */
void vsock_conn_accepted(struct vsock_conn *c);
void vsock_conn_guest_shut(struct vsock_conn *c, uint32_t flags);

/* vsock_hub.c. NULL: there is none. */
struct vsock_conn *vsock_hub_find(struct vsock_hub *h, uint32_t guest_port, uint32_t host_port);
void vsock_hub_rst(struct vsock_hub *h, uint64_t src_cid, uint32_t src_port, uint32_t dst_port,
		   uint16_t type);

VV_END_DECLS
