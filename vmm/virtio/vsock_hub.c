// SPDX-License-Identifier: GPL-2.0-or-later
// Packets of the vsock protocol (see the header): whose they are, what they do to a connection, and
// which is next for the guest. Owns the table of connections and the answers due.
#define LOG_TAG "virtio/vsock"
#include "vmm/virtio/vsock_hub.h"

#include <string.h>

#include "core/log.h"
#include "vmm/virtio/vsock_int.h"

#define FIRST_PORT UINT32_C(0x40000000) /* of host programs that connect */

static struct list *bucket(struct vsock_hub *h, uint32_t guest_port, uint32_t host_port)
{
	return &h->bucket[(guest_port ^ host_port * 31) % VSOCK_BUCKETS];
}

struct vsock_conn *vsock_hub_find(struct vsock_hub *h, uint32_t guest_port, uint32_t host_port)
{
	struct vsock_conn *c;

	list_for_each(c, bucket(h, guest_port, host_port), struct vsock_conn, node)
		if (c->guest_port == guest_port && c->host_port == host_port)
			return c;
	return NULL;
}

void vsock_conn_hash(struct vsock_conn *c)
{
	struct vsock_hub *h = c->hub;

	list_del(&c->node);
	if (c->state == VSOCK_CONNECTING) {
		do
			c->host_port = FIRST_PORT | (h->next_port++ & (FIRST_PORT - 1));
		while (vsock_hub_find(h, c->guest_port, c->host_port));
	}
	list_add_tail(bucket(h, c->guest_port, c->host_port), &c->node);
}

/* Room: as many as vsock_can_take() lets in, and one for each connection that ends by itself. */
void vsock_hub_rst(struct vsock_hub *h, uint64_t src_cid, uint32_t src_port, uint32_t dst_port,
		   uint16_t type)
{
	if (h->n_replies == ARRAY_SIZE(h->reply))
		return;
	h->reply[(h->reply_head + h->n_replies++) % ARRAY_SIZE(h->reply)] =
		(struct virtio_vsock_hdr){
			.src_cid = htole64(src_cid),
			.dst_cid = htole64(h->cid),
			.src_port = htole32(src_port),
			.dst_port = htole32(dst_port),
			.type = htole16(type),
			.op = htole16(VIRTIO_VSOCK_OP_RST),
		};
}

/* ---- from the guest -------------------------------------------------------------------------- */

static void guest_connects(struct vsock_hub *h, const struct virtio_vsock_hdr *hdr)
{
	uint32_t guest_port = le32toh(hdr->src_port), host_port = le32toh(hdr->dst_port);
	struct vsock_conn *c = NULL;

	if (!vsock_hub_full(h)) {
		int fd = h->ops->connect(h, host_port);
		if (fd >= 0)
			c = vsock_conn_new(h, fd, VSOCK_OPEN);
		else
			log_debug("guest to port %u: %s", host_port, strerror(-fd));
	}
	if (!c) {
		vsock_hub_rst(h, VSOCK_HOST_CID, host_port, guest_port, VIRTIO_VSOCK_TYPE_STREAM);
		return;
	}
	c->guest_port = guest_port;
	c->host_port = host_port;
	c->credit = le32toh(hdr->buf_alloc);
	c->passed = le32toh(hdr->fwd_cnt);
	vsock_conn_hash(c);
	vsock_conn_due(c, VSOCK_WANT_RESPONSE);
	vsock_conn_watch(c);
}

static void take_credit(struct vsock_conn *c, const struct virtio_vsock_hdr *hdr)
{
	c->credit = le32toh(hdr->buf_alloc);
	c->passed = le32toh(hdr->fwd_cnt);
	if (vsock_conn_credit(c) == 0)
		return;
	c->asked = false;
	if (c->readable)
		vsock_conn_due(c, 0);
}

/* Of a connection that is open. */
static void open_packet(struct vsock_conn *c, const struct virtio_vsock_hdr *hdr,
			const struct iovec *iov, unsigned int n)
{
	switch (le16toh(hdr->op)) {
	case VIRTIO_VSOCK_OP_RW:
		vsock_conn_write(c, iov, n, le32toh(hdr->len));
		break;
	case VIRTIO_VSOCK_OP_CREDIT_UPDATE:
		break;
	case VIRTIO_VSOCK_OP_CREDIT_REQUEST:
		vsock_conn_due(c, VSOCK_WANT_CREDIT);
		break;
	case VIRTIO_VSOCK_OP_SHUTDOWN:
		vsock_conn_guest_shut(c, le32toh(hdr->flags));
		break;
	default: /* REQUEST and RESPONSE come once, and what else there may be is unknown */
		vsock_conn_abort(c);
	}
}

void vsock_from_guest(struct vsock_hub *h, const struct virtio_vsock_hdr *hdr,
		      const struct iovec *iov, unsigned int n)
{
	uint32_t guest_port = le32toh(hdr->src_port), host_port = le32toh(hdr->dst_port);
	uint16_t op = le16toh(hdr->op), type = le16toh(hdr->type);

	/* Not its own address: whoever it is meant to fool gets nothing. */
	if (le64toh(hdr->src_cid) != h->cid)
		return;
	if (le64toh(hdr->dst_cid) != VSOCK_HOST_CID || type != VIRTIO_VSOCK_TYPE_STREAM) {
		if (op != VIRTIO_VSOCK_OP_RST)
			vsock_hub_rst(h, le64toh(hdr->dst_cid), host_port, guest_port, type);
		return;
	}
	struct vsock_conn *c = vsock_hub_find(h, guest_port, host_port);
	if (!c && op == VIRTIO_VSOCK_OP_REQUEST) {
		guest_connects(h, hdr);
	} else if (!c) {
		if (op != VIRTIO_VSOCK_OP_RST)
			vsock_hub_rst(h, VSOCK_HOST_CID, host_port, guest_port, type);
	} else if (op == VIRTIO_VSOCK_OP_RST) {
		vsock_conn_finish(c);
	} else if (c->state == VSOCK_OPEN) {
		take_credit(c, hdr);
		open_packet(c, hdr, iov, n);
	} else if (op == VIRTIO_VSOCK_OP_RESPONSE && !(c->want & VSOCK_WANT_REQUEST)) {
		take_credit(c, hdr);
		vsock_conn_accepted(c);
	} else {
		vsock_conn_abort(c);
	}
}

/* ---- to the guest ---------------------------------------------------------------------------- */

static uint16_t take_want(struct vsock_conn *c)
{
	static const struct {
		unsigned int want;
		uint16_t op;
	} order[] = {
		{ VSOCK_WANT_SHUTDOWN, VIRTIO_VSOCK_OP_SHUTDOWN },
		{ VSOCK_WANT_ASK, VIRTIO_VSOCK_OP_CREDIT_REQUEST },
		{ VSOCK_WANT_CREDIT, VIRTIO_VSOCK_OP_CREDIT_UPDATE },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(order); i++) {
		if (c->want & order[i].want) {
			c->want &= ~order[i].want;
			return order[i].op;
		}
	}
	return VIRTIO_VSOCK_OP_INVALID;
}

/* False: it has none, and is not due any more. */
static bool next_packet(struct vsock_conn *c, struct iovec *iov, unsigned int n,
			struct virtio_vsock_hdr *ret)
{
	uint16_t op = VIRTIO_VSOCK_OP_INVALID;
	size_t len = 0;

	if (c->want & VSOCK_WANT_REQUEST) {
		op = VIRTIO_VSOCK_OP_REQUEST;
	} else if (c->want & VSOCK_WANT_RESPONSE) {
		op = VIRTIO_VSOCK_OP_RESPONSE;
	} else if (c->state == VSOCK_OPEN && c->readable) {
		len = vsock_conn_read(c, iov, n);
		if (len > 0)
			op = VIRTIO_VSOCK_OP_RW;
	}
	c->want &= ~(unsigned int)(VSOCK_WANT_REQUEST | VSOCK_WANT_RESPONSE);
	if (op == VIRTIO_VSOCK_OP_INVALID)
		op = take_want(c);
	if (op == VIRTIO_VSOCK_OP_INVALID) {
		vsock_conn_undue(c);
		return false;
	}
	/* Each packet tells our credit. */
	c->want &= ~(unsigned int)VSOCK_WANT_CREDIT;
	c->told = c->fwd_cnt;
	*ret = (struct virtio_vsock_hdr){
		.src_cid = htole64(VSOCK_HOST_CID),
		.dst_cid = htole64(c->hub->cid),
		.src_port = htole32(c->host_port),
		.dst_port = htole32(c->guest_port),
		.len = htole32((uint32_t)len),
		.type = htole16(VIRTIO_VSOCK_TYPE_STREAM),
		.op = htole16(op),
		.flags = htole32(op == VIRTIO_VSOCK_OP_SHUTDOWN ? c->host_shut : 0),
		.buf_alloc = htole32(VSOCK_BUF),
		.fwd_cnt = htole32(c->fwd_cnt),
	};
	return true;
}

bool vsock_to_guest(struct vsock_hub *h, struct iovec *iov, unsigned int n,
		    struct virtio_vsock_hdr *ret)
{
	if (h->n_replies > 0) {
		*ret = h->reply[h->reply_head];
		h->reply_head = (h->reply_head + 1) % ARRAY_SIZE(h->reply);
		h->n_replies--;
		return true;
	}
	while (!list_empty(&h->due)) {
		struct vsock_conn *c = list_first(&h->due, struct vsock_conn, due_node);

		if (next_packet(c, iov, n, ret)) {
			/* The others have their turn first. */
			list_del(&c->due_node);
			list_add_tail(&h->due, &c->due_node);
			return true;
		}
	}
	/* The last one may have ended just now. */
	return h->n_replies > 0 && vsock_to_guest(h, iov, n, ret);
}

/* ---- all of them ----------------------------------------------------------------------------- */

void vsock_hub_init(struct vsock_hub *h, uint64_t cid, const struct vsock_hub_ops *ops)
{
	h->cid = cid;
	h->ops = ops;
	h->n_conns = 0;
	h->next_port = 0;
	h->reply_head = h->n_replies = 0;
	list_init(&h->others);
	list_init(&h->due);
	for (unsigned int i = 0; i < VSOCK_BUCKETS; i++)
		list_init(&h->bucket[i]);
}

static struct list *all_of(struct vsock_hub *h, unsigned int i)
{
	return i < VSOCK_BUCKETS ? &h->bucket[i] : &h->others;
}

unsigned int vsock_hub_drop(struct vsock_hub *h)
{
	unsigned int known = 0;

	for (unsigned int i = 0; i <= VSOCK_BUCKETS; i++) {
		struct vsock_conn *c, *next;

		list_for_each_safe(c, next, all_of(h, i), struct vsock_conn, node) {
			known += i < VSOCK_BUCKETS;
			vsock_conn_free(c);
		}
	}
	h->n_replies = 0;
	return known;
}

void vsock_hub_pause(struct vsock_hub *h)
{
	for (unsigned int i = 0; i <= VSOCK_BUCKETS; i++) {
		struct vsock_conn *c;

		list_for_each(c, all_of(h, i), struct vsock_conn, node)
			h->ops->forget(c);
	}
}

void vsock_hub_resume(struct vsock_hub *h)
{
	for (unsigned int i = 0; i <= VSOCK_BUCKETS; i++) {
		struct vsock_conn *c;

		list_for_each(c, all_of(h, i), struct vsock_conn, node) {
			vsock_conn_watch(c);
			vsock_conn_rearm(c);
		}
	}
}
