// SPDX-License-Identifier: GPL-2.0-or-later
// The user-space vsock back end: queues on one side, the listening socket and the connections' on
// the other, one I/O thread. Owns the thread and the listener; what a packet means is the hub's.
#define LOG_TAG "virtio/vsock"
#include "vmm/virtio/vsock_mux.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/sys.h"
#include "vmm/backend/unix_listen.h"
#include "vmm/virtio/iothread.h"
#include "vmm/virtio/vsock_hub.h"

enum { Q_RX, Q_TX, Q_EVENT, N_QUEUES };

/* Packets in a turn: a guest that never stops must not keep the thread from its other work. */
#define BUDGET	  256
#define RETRY_NS  UINT64_C(1000000000)
#define PORT_TEXT 11 /* "_4294967295" */

struct vsock_mux {
	struct virtio_dev *vd;
	const char *path;
	bool bound; /* the path is ours to remove */
	struct iothread *io;
	struct vsock_hub hub;
	bool active;
	bool event_due; /* the driver is to hear that its connections are gone */
	struct mux_kick {
		struct iothread_fd src;
		struct vsock_mux *m;
	} kick[N_QUEUES];
	struct iothread_fd listener;
	struct iothread_timer retry;
	struct iothread_job job; /* serve() */
	struct iovec iov[VQ_SEGS], data[VQ_SEGS];
};

/* Before the thread waits next: once for all that came in a turn. */
static void serve_later(struct vsock_mux *m)
{
	iothread_defer(m->io, &m->job);
}

/* ---- what the hub asks for ------------------------------------------------------------------- */

static struct vsock_mux *mux_of(struct vsock_conn *c)
{
	return container_of(c->hub, struct vsock_mux, hub);
}

static void socket_ready(struct iothread_fd *src, uint32_t events)
{
	struct vsock_conn *c = container_of(src, struct vsock_conn, src);
	struct vsock_mux *m = mux_of(c);

	vsock_conn_ready(c, events);
	serve_later(m);
}

static void alarm_fired(struct iothread_timer *t)
{
	struct vsock_conn *c = container_of(t, struct vsock_conn, timer);
	struct vsock_mux *m = mux_of(c);

	vsock_conn_alarm(c);
	serve_later(m);
}

static void mux_alarm(struct vsock_conn *c, unsigned int ms)
{
	struct vsock_mux *m = mux_of(c);

	c->timer.fired = alarm_fired;
	if (ms == 0)
		iothread_disarm(&c->timer);
	else if (m->active)
		iothread_arm(m->io, &c->timer, ms * UINT64_C(1000000));
}

static void mux_watch(struct vsock_conn *c, uint32_t events)
{
	struct vsock_mux *m = mux_of(c);
	int r;

	if (!m->active)
		return;
	if (c->src.t) {
		r = iothread_mod_fd(&c->src, events);
	} else {
		c->src = (struct iothread_fd){ .fd = c->fd,
					       .events = events,
					       .ready = socket_ready };
		r = iothread_add_fd(m->io, &c->src);
	}
	/* A socket that can't be waited for: its connection ends. */
	if (r < 0)
		mux_alarm(c, 1);
}

static void mux_forget(struct vsock_conn *c)
{
	iothread_del_fd(&c->src);
	iothread_disarm(&c->timer);
}

static int mux_connect(struct vsock_hub *h, uint32_t port)
{
	const struct vsock_mux *m = container_of(h, struct vsock_mux, hub);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s_%u", m->path, port);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	/* With UNIX sockets it is done or refused at once. */
	if (connect(fd, (const struct sockaddr *)&addr, sizeof(addr)) < 0) {
		int r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

static const struct vsock_hub_ops hub_ops = {
	.connect = mux_connect,
	.watch = mux_watch,
	.alarm = mux_alarm,
	.forget = mux_forget,
};

/* ---- queues ---------------------------------------------------------------------------------- */

static int pop(struct vsock_mux *m, struct vq *q, struct vq_elem *e)
{
	e->iov = m->iov;
	e->iov_max = VQ_SEGS;
	return vq_pop(q, e);
}

/* One packet of the guest's. False: it is none, and the queue is broken. */
static bool take(struct vsock_mux *m, struct vq *q, const struct vq_elem *e)
{
	struct virtio_vsock_hdr hdr;
	struct iovec *iov = e->iov;
	unsigned int n = e->n_out;

	if (e->n_in > 0) {
		vq_break(q, "a vsock packet to send has a part to be written");
		return false;
	}
	if (iov_get(iov, n, 0, &hdr, sizeof(hdr)) != sizeof(hdr)) {
		vq_break(q, "a vsock packet is shorter than its header");
		return false;
	}
	uint32_t len = get_le32(&hdr.len);
	if (len > e->out_len - VSOCK_HDR) {
		vq_break(q, "a vsock packet is shorter than it says");
		return false;
	}
	iov_skip(&iov, &n, VSOCK_HDR);
	/* What follows its payload is nobody's. */
	vsock_from_guest(&m->hub, &hdr, iov, iov_cut(iov, n, len));
	return true;
}

static void from_guest(struct vsock_mux *m)
{
	struct vq *q = &m->vd->vq[Q_TX];
	struct vq_elem e;

	if (!q->ops)
		return;
	vq_kick_disable(q);
	for (unsigned int i = 0; vsock_can_take(&m->hub);) {
		if (i == BUDGET) {
			serve_later(m);
			break;
		}
		int r = pop(m, q, &e);
		if (r < 0)
			return;
		if (r == 0) {
			if (!vq_kick_enable(q))
				break;
			vq_kick_disable(q);
			continue;
		}
		if (!take(m, q, &e))
			return;
		vq_push(q, &e, 0);
		i++;
	}
	vq_flush(q);
}

/* One packet into a buffer of the guest's. 1: done; 0: there was none; -1: the queue is broken. */
static int fill(struct vsock_mux *m, struct vq *q, const struct vq_elem *e)
{
	struct virtio_vsock_hdr hdr;
	struct iovec *in = e->iov + e->n_out, *data = m->data;
	unsigned int n = e->n_in;

	if (e->n_out > 0 || e->in_len <= VSOCK_HDR) {
		vq_break(q, e->n_out ? "a vsock receive buffer has a part to be read"
				     : "a vsock receive buffer has no room for data");
		return -1;
	}
	memcpy(data, in, n * sizeof(*data));
	iov_skip(&data, &n, VSOCK_HDR);
	if (!vsock_to_guest(&m->hub, data, n, &hdr))
		return 0;
	iov_put(in, e->n_in, 0, &hdr, sizeof(hdr));
	vq_push(q, e, VSOCK_HDR + get_le32(&hdr.len));
	return 1;
}

static void to_guest(struct vsock_mux *m)
{
	struct vq *q = &m->vd->vq[Q_RX];
	struct vq_elem e;

	if (!q->ops)
		return;
	vq_kick_disable(q);
	for (unsigned int i = 0; vsock_has_due(&m->hub); i++) {
		if (i == BUDGET) {
			serve_later(m);
			break;
		}
		int r = pop(m, q, &e);
		if (r < 0)
			return;
		if (r == 0) { /* its kick goes on with it */
			if (!vq_kick_enable(q))
				break;
			vq_kick_disable(q);
			continue;
		}
		r = fill(m, q, &e);
		if (r < 0)
			return;
		if (r == 0)
			vq_unpop(q, &e);
	}
	vq_flush(q);
}

static void send_event(struct vsock_mux *m)
{
	const struct virtio_vsock_event ev = { .id = VIRTIO_VSOCK_EVENT_TRANSPORT_RESET };
	struct vq *q = &m->vd->vq[Q_EVENT];
	struct vq_elem e;
	int r;

	if (!m->event_due || !q->ops)
		return;
	do {
		r = pop(m, q, &e);
	} while (r == 0 && vq_kick_enable(q));
	if (r <= 0)
		return;
	if (iov_put(e.iov + e.n_out, e.n_in, 0, &ev, sizeof(ev)) != sizeof(ev)) {
		vq_break(q, "a vsock event buffer has no room for an event");
		return;
	}
	vq_push(q, &e, sizeof(ev));
	vq_flush(q);
	m->event_due = false;
}

static void serve(struct iothread_job *j)
{
	struct vsock_mux *m = container_of(j, struct vsock_mux, job);

	if (!m->active)
		return;
	send_event(m);
	from_guest(m);
	bool stalled = !vsock_can_take(&m->hub);
	to_guest(m);
	/* It has taken answers: there is room for what waited. */
	if (stalled && vsock_can_take(&m->hub))
		serve_later(m);
	if (m->listener.t && m->listener.events == 0 && !m->retry.t && !vsock_hub_full(&m->hub))
		iothread_mod_fd(&m->listener, EPOLLIN);
}

static void kicked(struct iothread_fd *src, uint32_t events)
{
	struct vsock_mux *m = container_of(src, struct mux_kick, src)->m;

	(void)events;
	serve_later(m);
}

/* ---- host programs --------------------------------------------------------------------------- */

static void retry_accept(struct iothread_timer *t)
{
	serve_later(container_of(t, struct vsock_mux, retry));
}

static void listener_ready(struct iothread_fd *src, uint32_t events)
{
	struct vsock_mux *m = container_of(src, struct vsock_mux, listener);

	(void)events;
	int fd = vsock_hub_full(&m->hub)
			 ? -1
			 : accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		vsock_accept(&m->hub, fd);
		return;
	}
	/* Full, or out of descriptors: those who connect wait. */
	if (!vsock_hub_full(&m->hub) && (errno == EAGAIN || errno == ECONNABORTED))
		return;
	iothread_mod_fd(src, 0);
	if (!vsock_hub_full(&m->hub))
		iothread_arm(m->io, &m->retry, RETRY_NS);
}

/* ---- hand-over ------------------------------------------------------------------------------- */

struct begin {
	struct vsock_mux *m;
	int result;
};

static void begin(void *opaque)
{
	struct begin *b = opaque;
	struct vsock_mux *m = b->m;

	m->active = true;
	m->listener.events = EPOLLIN;
	b->result = iothread_add_fd(m->io, &m->listener);
	for (unsigned int i = 0; i < N_QUEUES && b->result == 0; i++) {
		const struct vq *q = &m->vd->vq[i];

		m->kick[i].m = m;
		m->kick[i].src = (struct iothread_fd){
			.fd = q->kick_fd, .events = EPOLLIN, .event = true, .ready = kicked
		};
		if (q->ops)
			b->result = iothread_add_fd(m->io, &m->kick[i].src);
	}
	vsock_hub_resume(&m->hub);
}

/* Packets are whole or not begun between callbacks: nothing is in flight. */
static void end(void *opaque)
{
	struct vsock_mux *m = opaque;

	for (unsigned int i = 0; i < N_QUEUES; i++)
		iothread_del_fd(&m->kick[i].src);
	iothread_del_fd(&m->listener);
	iothread_disarm(&m->retry);
	vsock_hub_pause(&m->hub);
	m->active = false;
	iothread_drain(m->io);
}

int vsock_mux_activate(struct vsock_mux *m)
{
	struct begin b = { .m = m };

	iothread_call(m->io, begin, &b);
	if (b.result < 0)
		iothread_call(m->io, end, m);
	return b.result;
}

void vsock_mux_deactivate(struct vsock_mux *m)
{
	iothread_call(m->io, end, m);
}

/* The thread has nothing of ours any more. A driver that lost connections without knowing (a guest
 * that slept) is told. */
void vsock_mux_reset(struct vsock_mux *m)
{
	if (vsock_hub_drop(&m->hub) > 0)
		m->event_due = true;
}

/* ---- life ------------------------------------------------------------------------------------ */

int vsock_mux_open(struct virtio_dev *vd, const char *path, uint64_t cid, struct vsock_mux **ret,
		   struct verr *reterr)
{
	const size_t max = sizeof(((struct sockaddr_un *)0)->sun_path) - 1 - PORT_TEXT;
	int r = 0;

	if (strlen(path) > max)
		return verr_set(reterr, -ENAMETOOLONG,
				"socket=%s: at most %zu characters, as ports are added to it", path,
				max);
	struct vsock_mux *m = calloc(1, sizeof(*m));
	if (!m)
		return verr_set(reterr, -ENOMEM, "out of memory");
	m->vd = vd;
	m->path = path;
	m->listener.fd = -1;
	m->listener.ready = listener_ready;
	m->retry.fired = retry_accept;
	m->job.run = serve;
	vsock_hub_init(&m->hub, cid, &hub_ops);
	if (!vd->pd.dev.plat->dry_run) {
		r = unix_listen("socket", path, reterr);
		m->listener.fd = MAX(r, -1);
		m->bound = r >= 0;
		if (r >= 0)
			r = iothread_open(vd->pd.dev.id, 0, &m->io, reterr);
	}
	if (r < 0) {
		vsock_mux_close(m);
		return r;
	}
	*ret = m;
	return 0;
}

void vsock_mux_close(struct vsock_mux *m)
{
	if (!m)
		return;
	vsock_hub_drop(&m->hub);
	iothread_close(m->io);
	if (m->listener.fd >= 0)
		close(m->listener.fd);
	if (m->bound)
		unlink(m->path);
	free(m);
}
