// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net's receive side (VIRTIO 1.2 5.1.6.3, 5.1.6.4), in the pair's thread: frames are read
// into the driver's buffers themselves. How long one is is not known before it is read: buffers
// for as many bytes as the last ones had are held ready, and what does not fit them comes through
// memory of our own, into as many more as it takes. A frame that was read waits for buffers; it is
// dropped only where no number of them would do.
#define LOG_TAG "virtio/net"
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/bytes.h"
#include "core/sys.h"
#include "vmm/virtio/virtio_net_int.h"

#define BUDGET	    64u /* frames before others have a turn */
#define FLUSH_AFTER 16u
#define TAIL	    ((size_t)NETDEV_HDR + NETDEV_FRAME_MAX)

enum rx_result { RX_DONE, RX_NOTHING, RX_NO_BUFFERS, RX_LOST };

/* ---- buffers --------------------------------------------------------------------------------- */

/* One more of the driver's. 1: held; 0: there is none; -ENOSPC: more can't be held. */
static int hold(struct net_pair *p)
{
	struct net_rx *x = &p->rx;

	if (x->n_held == x->held_max || x->n_iov + NET_SEGS >= NET_IOV)
		return -ENOSPC;
	struct vq_elem *e = &x->held[x->n_held];
	e->iov = x->iov + x->n_iov;
	e->iov_max = NET_SEGS;
	if (vq_pop(p->rxq, e) <= 0)
		return 0;
	if (e->n_out > 0 || (x->n_held == 0 && e->in_len < NETDEV_HDR)) {
		vq_unpop(p->rxq, e);
		vq_break(p->rxq, e->n_out > 0 ? "a receive buffer that is not to write"
					      : "a receive buffer without room for a header");
		return 0;
	}
	x->n_held++;
	x->n_iov += e->n_in;
	x->cover += e->in_len;
	return 1;
}

/* True with at least one buffer; more, if they are there and the last frames needed them. */
static bool hold_ready(struct net_pair *p)
{
	struct net_rx *x = &p->rx;

	while (x->n_held == 0 || (p->mergeable && x->cover < x->want))
		if (hold(p) <= 0)
			break;
	return x->n_held > 0;
}

/* The first n are the driver's again. */
static void let_go(struct net_rx *x, unsigned int n)
{
	unsigned int segs = 0;

	for (unsigned int i = 0; i < n; i++) {
		segs += x->held[i].n_in;
		x->cover -= x->held[i].in_len;
	}
	x->n_held -= n;
	x->n_iov -= segs;
	memmove(x->held, x->held + n, x->n_held * sizeof(*x->held));
	memmove(x->iov, x->iov + segs, x->n_iov * sizeof(*x->iov));
}

/* ---- a frame --------------------------------------------------------------------------------- */

/* Whole in the held buffers, `total` bytes with its header. */
static void give(struct net_pair *p, uint64_t total)
{
	struct net_rx *x = &p->rx;
	unsigned int n = 0;
	uint8_t hdr[NETDEV_HDR] = { 0 };

	if (p->vnet_hdr)
		iov_get(x->iov, x->n_iov, 0, hdr, sizeof(hdr));
	if (!p->guest_csum) /* VIRTIO 1.2 5.1.6.4.1: only for who negotiated it */
		hdr[0] = 0;
	for (uint64_t left = total; left > 0; n++) {
		uint32_t part = (uint32_t)MIN(left, x->held[n].in_len);

		vq_push(p->rxq, &x->held[n], part);
		left -= part;
	}
	put_le16(hdr + offsetof(struct virtio_net_hdr_v1, num_buffers), (uint16_t)n);
	iov_put(x->iov, x->n_iov, 0, hdr, sizeof(hdr));
	let_go(x, n);
	x->want = MAX(total, x->want - x->want / 8);
}

/* x->placed bytes are in the held buffers, `n` more at `data` follow them. */
static enum rx_result place(struct net_pair *p, const uint8_t *data, size_t n)
{
	struct net_rx *x = &p->rx;
	uint64_t total = x->placed + n;
	int r = 1;

	while (x->cover < total && p->mergeable && (r = hold(p)) > 0)
		;
	if (x->cover < total && r == 0 && !p->rxq->broken) {
		x->left = n;
		return RX_NO_BUFFERS;
	}
	x->left = 0;
	if (p->rxq->broken)
		return RX_NO_BUFFERS;
	if (x->cover < total) { /* no number of buffers will do */
		net_count(&p->rx_dropped, 1);
		return RX_DONE;
	}
	iov_put(x->iov, x->n_iov, x->placed, data, n);
	give(p, total);
	return RX_DONE;
}

static bool wanted(const struct net_pair *p, const struct iovec *iov, unsigned int n, size_t off)
{
	uint8_t head[NET_FILTER_BYTES] = { 0 };

	if (p->filter.promisc && p->filter.vlans_all)
		return true;
	iov_get(iov, n, off, head, sizeof(head));
	return net_filter_accepts(&p->filter, head);
}

/* ---- from a network of frames ---------------------------------------------------------------- */

static enum rx_result read_failed(ssize_t r)
{
	return r == -EAGAIN || r == -ENOBUFS || r == -ENOMEM ? RX_NOTHING : RX_LOST;
}

/* After a frame that waited for buffers. */
static enum rx_result place_rest(struct net_pair *p)
{
	return place(p, p->rx.buf, p->rx.left);
}

static enum rx_result read_frame(struct net_pair *p)
{
	struct net_rx *x = &p->rx;
	struct iovec all[NET_IOV];
	struct iovec *iov = x->iov;
	unsigned int n = x->n_iov;
	size_t hdr = p->vnet_hdr ? 0 : NETDEV_HDR;

	if (hdr) { /* the network knows none: read behind it */
		memcpy(all, x->iov, x->n_iov * sizeof(*iov));
		iov = all;
		iov_skip(&iov, &n, hdr);
	}
	iov[n] = (struct iovec){ x->buf, TAIL };
	ssize_t r = sys_readv(p->fd, iov, n + 1);
	if (r <= 0)
		return r == 0 ? RX_NOTHING : read_failed(r);
	uint64_t total = (uint64_t)r + hdr;
	if (total < NETDEV_HDR || !wanted(p, iov, n + 1, NETDEV_HDR - hdr))
		return RX_DONE;
	x->placed = MIN(total, x->cover);
	return place(p, x->buf, total - x->placed);
}

/* ---- from a stream --------------------------------------------------------------------------- */

static enum rx_result fill_stream(struct net_pair *p)
{
	struct netdev_stream *in = p->stream;

	memmove(in->buf, in->buf + in->at, in->fill - in->at);
	in->fill -= in->at;
	in->at = 0;
	ssize_t r = sys_read(p->fd, in->buf + in->fill, NETDEV_STREAM - in->fill);
	if (r == -EAGAIN)
		return RX_NOTHING;
	if (r <= 0)
		return RX_LOST;
	in->fill += (size_t)r;
	return RX_DONE;
}

/* The frame that begins the buffer. True: all of it is there. */
static bool peek(const struct netdev_stream *in, uint32_t *ret_len)
{
	const uint8_t *b = in->buf + in->at;
	size_t have = in->fill - in->at;

	*ret_len = have < 4 ? 0 : (uint32_t)b[0] << 24 | b[1] << 16 | b[2] << 8 | b[3];
	return have >= 4 && have - 4 >= *ret_len;
}

static enum rx_result next_of_stream(struct net_pair *p)
{
	struct netdev_stream *in = p->stream;
	uint32_t len;

	bool whole = peek(in, &len);
	if (len > NETDEV_FRAME_MAX)
		return RX_LOST; /* out of step: there is no way back */
	if (!whole)
		return fill_stream(p);
	struct iovec frame = { in->buf + in->at + 4, len };
	p->rx.placed = NETDEV_HDR;
	enum rx_result r = wanted(p, &frame, 1, 0) ? place(p, frame.iov_base, len) : RX_DONE;
	if (r == RX_DONE)
		in->at += 4 + (size_t)len;
	return r; /* without buffers it is looked at again, in its place */
}

/* ---- turns ----------------------------------------------------------------------------------- */

static enum rx_result one(struct net_pair *p)
{
	if (p->rxq->broken || !hold_ready(p))
		return RX_NO_BUFFERS;
	if (p->stream)
		return next_of_stream(p);
	return p->rx.left ? place_rest(p) : read_frame(p);
}

/* True: some came meanwhile. */
static bool starve(struct net_pair *p)
{
	p->rx.starved = true;
	net_wait_for(p, EPOLLIN, false);
	return vq_kick_enable(p->rxq);
}

static void feed(struct net_pair *p)
{
	p->rx.starved = false;
	net_wait_for(p, EPOLLIN, true);
	vq_kick_disable(p->rxq);
}

/* A turn may end here: what is left makes the descriptor readable. */
static bool may_stop(const struct net_pair *p, unsigned int n)
{
	uint32_t len;

	return n >= BUDGET && !p->rx.left && !(p->stream && peek(p->stream, &len));
}

void net_rx_run(struct net_pair *p)
{
	enum rx_result r = RX_DONE;

	feed(p);
	for (unsigned int n = 1; r == RX_DONE && !may_stop(p, n); n++) {
		r = one(p);
		if (n % FLUSH_AFTER == 0 || r == RX_NO_BUFFERS)
			vq_flush(p->rxq);
		if (r == RX_NO_BUFFERS && starve(p)) {
			feed(p);
			r = RX_DONE;
		}
	}
	vq_flush(p->rxq);
	if (r == RX_LOST) {
		net_wait_for(p, EPOLLIN, false);
		net_lost(p->s);
	}
}

static void rx_kicked(struct iothread_fd *src, uint32_t events)
{
	struct net_pair *p = container_of(src, struct net_pair, rx_kick);

	(void)events;
	/* A frame that waits, or whatever has come while nobody looked. */
	if (p->rx.starved)
		net_rx_run(p);
}

/* ---- hand-over ------------------------------------------------------------------------------- */

int net_rx_begin(struct net_pair *p)
{
	struct net_rx *x = &p->rx;

	*x = (struct net_rx){ .held_max = p->rxq->size, .want = 1 };
	x->held = calloc(x->held_max, sizeof(*x->held));
	x->iov = calloc(NET_IOV, sizeof(*x->iov));
	x->buf = malloc(TAIL);
	p->rx_kick = (struct iothread_fd){
		.fd = p->rxq->kick_fd, .events = EPOLLIN, .event = true, .ready = rx_kicked
	};
	return x->held && x->iov && x->buf ? iothread_add_fd(p->io, &p->rx_kick) : -ENOMEM;
}

void net_rx_end(struct net_pair *p)
{
	struct net_rx *x = &p->rx;

	iothread_del_fd(&p->rx_kick);
	while (x->n_held > 0)
		vq_unpop(p->rxq, &x->held[--x->n_held]);
	free(x->held);
	free(x->iov);
	free(x->buf);
	*x = (struct net_rx){ 0 };
}
