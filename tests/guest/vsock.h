// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's side of virtio-vsock on the mini driver: packets out, packets in.
#pragma once

#include <linux/virtio_vsock.h>

#include "tests/guest/vdrv.h"

VV_BEGIN_DECLS

#define VSOCK_GUEST_CID 42
#define VSOCK_RX_LEN	4096u
#define VSOCK_TX_MAX	65536u

struct vsock_guest {
	struct vdrv *v;
	uint64_t rx_gpa, tx_gpa;
	unsigned int n_rx;	     /* receive buffers it keeps posted */
	uint32_t buf_alloc, fwd_cnt; /* of the next packets */
};

/* A packet as it came. */
struct vsock_got {
	struct virtio_vsock_hdr h;
	uint8_t data[VSOCK_RX_LEN];
};

/* Queues of a driver that is started: `n_rx` buffers posted. */
void vsock_guest_start(struct vsock_guest *s, struct vdrv *v, unsigned int n_rx);
/* One more receive buffer. */
void vsock_guest_post(struct vsock_guest *s, unsigned int index);
/* The header of a stream packet to the host. */
struct virtio_vsock_hdr vsock_guest_hdr(const struct vsock_guest *s, uint16_t op,
					uint32_t guest_port, uint32_t host_port);
/* Sends it, with `len` bytes after it (hdr->len is whatever it says); waits until it is used. */
void vsock_guest_send(struct vsock_guest *s, const struct virtio_vsock_hdr *h, const void *data,
		      uint32_t len);
/* Both, with hdr->len right. */
void vsock_guest_put(struct vsock_guest *s, uint16_t op, uint32_t guest_port, uint32_t host_port,
		     const void *data, uint32_t len);
/* The next packet for the guest; its buffer is posted again. False: none for 5 seconds. */
bool vsock_guest_get(struct vsock_guest *s, struct vsock_got *ret);
/* The same, waiting for a moment only. */
bool vsock_guest_look(struct vsock_guest *s, struct vsock_got *ret);

VV_END_DECLS
