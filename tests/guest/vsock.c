// SPDX-License-Identifier: GPL-2.0-or-later
// A guest's side of virtio-vsock (see the header). Owns no connection: tests keep those in mind.
#include "tests/guest/vsock.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void vsock_guest_post(struct vsock_guest *s, unsigned int index)
{
	uint64_t gpa = s->rx_gpa + (uint64_t)index * VSOCK_RX_LEN;
	/* In two, the header across them. */
	const struct vdrv_seg seg[2] = { { gpa, 20 }, { gpa + 20, VSOCK_RX_LEN - 20 } };

	if (vdrv_add(&s->v->q[0], seg, 0, 2, false, (void *)(uintptr_t)(index + 1)) < 0)
		abort();
	vdrv_kick(&s->v->q[0], true);
}

void vsock_guest_start(struct vsock_guest *s, struct vdrv *v, unsigned int n_rx)
{
	*s = (struct vsock_guest){ .v = v, .n_rx = n_rx, .buf_alloc = 1u << 20 };
	s->rx_gpa = vdrv_ram(v, (uint64_t)n_rx * VSOCK_RX_LEN + 4096);
	s->tx_gpa = vdrv_ram(v, sizeof(struct virtio_vsock_hdr) + VSOCK_TX_MAX);
	for (unsigned int i = 0; i < n_rx; i++)
		vsock_guest_post(s, i);
}

struct virtio_vsock_hdr vsock_guest_hdr(const struct vsock_guest *s, uint16_t op,
					uint32_t guest_port, uint32_t host_port)
{
	return (struct virtio_vsock_hdr){
		.src_cid = VSOCK_GUEST_CID,
		.dst_cid = 2,
		.src_port = guest_port,
		.dst_port = host_port,
		.type = VIRTIO_VSOCK_TYPE_STREAM,
		.op = op,
		.buf_alloc = s->buf_alloc,
		.fwd_cnt = s->fwd_cnt,
	};
}

void vsock_guest_send(struct vsock_guest *s, const struct virtio_vsock_hdr *h, const void *data,
		      uint32_t len)
{
	const struct vdrv_seg seg[2] = { { s->tx_gpa, sizeof(*h) },
					 { s->tx_gpa + sizeof(*h), len } };
	uint8_t *p = vdrv_ptr(s->v, s->tx_gpa, sizeof(*h) + VSOCK_TX_MAX);

	memcpy(p, h, sizeof(*h));
	if (len)
		memcpy(p + sizeof(*h), data, len);
	if (vdrv_add(&s->v->q[1], seg, len ? 2 : 1, 0, false, NULL) < 0)
		abort();
	vdrv_kick(&s->v->q[1], true);
	if (!vdrv_wait(&s->v->q[1], NULL, NULL))
		abort();
}

void vsock_guest_put(struct vsock_guest *s, uint16_t op, uint32_t guest_port, uint32_t host_port,
		     const void *data, uint32_t len)
{
	struct virtio_vsock_hdr h = vsock_guest_hdr(s, op, guest_port, host_port);

	h.len = len;
	vsock_guest_send(s, &h, data, len);
}

static bool taken(struct vsock_guest *s, struct vsock_got *ret, void *cookie, uint32_t len)
{
	unsigned int index = (unsigned int)(uintptr_t)cookie - 1;

	memcpy(ret, vdrv_ptr(s->v, s->rx_gpa + (uint64_t)index * VSOCK_RX_LEN, VSOCK_RX_LEN),
	       VSOCK_RX_LEN);
	if (len != sizeof(ret->h) + ret->h.len)
		abort();
	vsock_guest_post(s, index);
	return true;
}

bool vsock_guest_get(struct vsock_guest *s, struct vsock_got *ret)
{
	void *cookie = NULL;
	uint32_t len = 0;

	return vdrv_wait(&s->v->q[0], &cookie, &len) && taken(s, ret, cookie, len);
}

bool vsock_guest_look(struct vsock_guest *s, struct vsock_got *ret)
{
	void *cookie = NULL;
	uint32_t len = 0;

	usleep(30000);
	return vdrv_reap(&s->v->q[0], &cookie, &len) && taken(s, ret, cookie, len);
}
