// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net's transmit side (VIRTIO 1.2 5.1.6.2), in the pair's thread: frames are written from
// guest memory as they are, to a network of frames one at a time, to a stream as many as there are.
// What it does not take now goes back into the ring until it does; what it never takes is dropped.
#define LOG_TAG "virtio/net"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/sys.h"
#include "vmm/virtio/virtio_net_int.h"

#define BUDGET	    256u /* frames before others have a turn */
#define FLUSH_AFTER 32u

enum tx_result { TX_DONE, TX_NOTHING, TX_BLOCKED };

/* The next buffer, its segments at `iov`. 0: none. */
static int next(struct net_pair *p, struct vq_elem *e, struct iovec *iov)
{
	e->iov = iov;
	e->iov_max = NET_SEGS;
	if (vq_pop(p->txq, e) <= 0)
		return 0;
	if (e->n_in == 0 && e->out_len >= NETDEV_HDR)
		return 1;
	vq_unpop(p->txq, e);
	vq_break(p->txq, e->n_in ? "a frame to send in a buffer to write"
				 : "a frame to send without its header");
	return 0;
}

static bool fits(const struct vq_elem *e)
{
	return e->out_len > NETDEV_HDR && e->out_len <= NETDEV_HDR + NETDEV_FRAME_MAX;
}

/* ---- to a network of frames ------------------------------------------------------------------ */

static enum tx_result write_frame(struct net_pair *p)
{
	struct vq_elem *e = &p->tx.elem[0];
	struct iovec *iov = p->tx.iov;
	ssize_t r = -EMSGSIZE;

	if (next(p, e, iov) == 0)
		return TX_NOTHING;
	unsigned int n = e->n_out;
	if (!p->vnet_hdr)
		iov_skip(&iov, &n, NETDEV_HDR);
	if (fits(e))
		r = sys_writev(p->fd, iov, n);
	if (r == -EAGAIN) {
		vq_unpop(p->txq, e);
		return TX_BLOCKED;
	}
	if (r < 0) /* the interface is down, or the frame is none */
		net_count(&p->tx_dropped, 1);
	vq_push(p->txq, e, 0);
	return TX_DONE;
}

/* ---- to a stream ----------------------------------------------------------------------------- */

/* What a frame was cut off: it goes first. False: not yet. */
static bool write_rest(struct net_pair *p)
{
	struct netdev_stream *st = p->stream;

	while (st->out_at < st->out_fill) {
		ssize_t r = sys_write(p->fd, st->out + st->out_at, st->out_fill - st->out_at);
		if (r == -EAGAIN)
			return false;
		if (r <= 0) { /* it has ended; the receive side says so */
			st->out_at = st->out_fill;
			break;
		}
		st->out_at += (size_t)r;
	}
	return true;
}

/* As many frames as there are and fit, at p->tx.iov: how many, their segments in *ret_n. -1: one
 * was dropped. */
static int collect(struct net_pair *p, unsigned int *ret_n)
{
	unsigned int n = 0, segs = 0;

	while (n < NET_TX_MAX && segs + 1 + NET_SEGS <= NET_IOV) {
		struct vq_elem *e = &p->tx.elem[n];
		struct iovec *at = p->tx.iov + segs, *iov = at + 1;

		if (next(p, e, iov) == 0)
			break;
		unsigned int k = e->n_out;
		if (!fits(e) && n > 0) { /* only what was popped last can go back: next time */
			vq_unpop(p->txq, e);
			break;
		}
		if (!fits(e)) {
			net_count(&p->tx_dropped, 1);
			vq_push(p->txq, e, 0);
			return -1;
		}
		uint32_t len = e->out_len - NETDEV_HDR;
		iov_skip(&iov, &k, NETDEV_HDR);
		memmove(at + 1, iov, k * sizeof(*iov));
		for (unsigned int i = 0; i < 4; i++)
			p->tx.len[n][i] = (uint8_t)(len >> (24 - 8 * i));
		*at = (struct iovec){ p->tx.len[n], 4 };
		segs += 1 + k;
		n++;
	}
	*ret_n = segs;
	return (int)n;
}

/* `done` bytes of n collected frames are out: those whole are the driver's again, the rest of one
 * that was cut is kept, the others go back into the ring. */
static void settle(struct net_pair *p, unsigned int n, unsigned int segs, size_t done)
{
	struct netdev_stream *st = p->stream;
	struct iovec *iov = p->tx.iov;
	unsigned int i = 0;

	for (; i < n && done > 0; i++) {
		size_t size = 4 + (size_t)p->tx.elem[i].out_len - NETDEV_HDR;

		if (done < size) {
			iov_skip(&iov, &segs, done);
			st->out_at = 0;
			st->out_fill = iov_get(iov, segs, 0, st->out, size - done);
		} else {
			iov_skip(&iov, &segs, size);
		}
		done -= MIN(done, size);
		vq_push(p->txq, &p->tx.elem[i], 0);
	}
	while (n > i)
		vq_unpop(p->txq, &p->tx.elem[--n]);
}

static enum tx_result write_stream(struct net_pair *p)
{
	unsigned int segs;
	size_t all = 0;

	if (!write_rest(p))
		return TX_BLOCKED;
	int got = collect(p, &segs);
	if (got <= 0)
		return got < 0 ? TX_DONE : TX_NOTHING;
	unsigned int n = (unsigned int)got;
	for (unsigned int i = 0; i < n; i++)
		all += 4 + (size_t)p->tx.elem[i].out_len - NETDEV_HDR;
	ssize_t r = sys_writev(p->fd, p->tx.iov, segs);
	if (r < 0 && r != -EAGAIN) { /* it has ended: as a cable that is out */
		net_count(&p->tx_dropped, n);
		r = (ssize_t)all;
	}
	settle(p, n, segs, r < 0 ? 0 : (size_t)r);
	return r >= 0 && (size_t)r == all ? TX_DONE : TX_BLOCKED;
}

/* ---- turns ----------------------------------------------------------------------------------- */

void net_tx_run(struct net_pair *p)
{
	enum tx_result r = TX_DONE;
	unsigned int n = 0;

	do {
		vq_kick_disable(p->txq);
		while (n < BUDGET && (r = p->stream ? write_stream(p) : write_frame(p)) == TX_DONE)
			if (++n % FLUSH_AFTER == 0 || p->stream)
				vq_flush(p->txq);
		vq_flush(p->txq);
	} while (r == TX_NOTHING && vq_kick_enable(p->txq));
	p->tx.blocked = r == TX_BLOCKED;
	net_wait_for(p, EPOLLOUT, p->tx.blocked);
	if (r == TX_DONE) /* more to do, after the others */
		sys_event_signal(p->txq->kick_fd);
}

static void tx_kicked(struct iothread_fd *src, uint32_t events)
{
	struct net_pair *p = container_of(src, struct net_pair, tx_kick);

	(void)events;
	if (!p->tx.blocked)
		net_tx_run(p);
}

/* ---- hand-over ------------------------------------------------------------------------------- */

int net_tx_begin(struct net_pair *p)
{
	p->tx.blocked = false;
	p->tx.iov = calloc(NET_IOV, sizeof(*p->tx.iov));
	p->tx_kick = (struct iothread_fd){
		.fd = p->txq->kick_fd, .events = EPOLLIN, .event = true, .ready = tx_kicked
	};
	return p->tx.iov ? iothread_add_fd(p->io, &p->tx_kick) : -ENOMEM;
}

void net_tx_end(struct net_pair *p)
{
	iothread_del_fd(&p->tx_kick);
	free(p->tx.iov);
	p->tx.iov = NULL;
}
