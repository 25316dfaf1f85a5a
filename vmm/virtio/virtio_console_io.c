// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-console: the bytes of a port, between its two queues and its back end. A turn moves a
// bounded amount, so that no guest keeps the loop for itself. What is half written or received
// stays over a pause; a reset drops it.
#define LOG_TAG "virtio/console"
#include <string.h>

#include "core/sys.h"
#include "vmm/virtio/virtio_console_int.h"

#define TURN_BUFFERS 64
#define TURN_BYTES   KIB(256)

int con_pop(struct virtio_console *s, struct vq *q, struct vq_elem *e)
{
	int r;

	e->iov = s->iov;
	e->iov_max = ARRAY_SIZE(s->iov);
	vq_kick_disable(q);
	do
		r = vq_pop(q, e);
	while (r == 0 && vq_kick_enable(q));
	return r;
}

/* ---- from the guest -------------------------------------------------------------------------- */

enum tx { TX_DONE, TX_FULL, TX_ENOUGH };

/* Writes of a buffer what has not been, at most *budget bytes. */
static enum tx tx_one(struct con_port *p, struct vq_elem *e, uint64_t *budget)
{
	struct chardev *c = con_chr(p);
	struct iovec *iov = e->iov;
	unsigned int n = e->n_out;

	if (!c || c->closed)
		return TX_DONE;
	iov_skip(&iov, &n, MIN(p->tx_off, e->out_len));
	for (unsigned int i = 0; i < n; i++) {
		size_t want = MIN(iov[i].iov_len, *budget);
		size_t got = chr_write(c, iov[i].iov_base, want);

		p->tx_off += got;
		*budget -= got;
		if (got < want)
			return TX_FULL;
		if (want < iov[i].iov_len)
			return TX_ENOUGH;
	}
	return TX_DONE;
}

static void tx_serve(struct con_port *p)
{
	struct vq *q = p->tx;
	uint64_t budget = TURN_BYTES;
	enum tx end = TX_DONE;
	struct vq_elem e;
	unsigned int n;
	int r = 1;

	if (!q->ops)
		return;
	for (n = 0; n < TURN_BUFFERS && end == TX_DONE; n++) {
		r = con_pop(p->s, q, &e);
		if (r <= 0)
			break;
		end = tx_one(p, &e, &budget);
		if (end == TX_DONE) {
			vq_push(q, &e, 0);
			p->tx_off = 0;
		} else {
			vq_unpop(q, &e);
		}
	}
	if (r >= 0)
		vq_flush(q);
	if (end == TX_ENOUGH || n == TURN_BUFFERS)
		sys_event_signal(q->kick_fd); /* the rest with the next turn */
}

void con_tx_kicked(struct loop_fd *src, uint32_t events)
{
	(void)events;
	sys_event_take(src->fd);
	tx_serve(container_of(src, struct con_port, tx_kick));
}

static void con_drained(void *opaque)
{
	tx_serve(opaque);
}

/* ---- to the guest ---------------------------------------------------------------------------- */

static void rx_flush(struct con_port *p)
{
	struct vq *q = p->rx;
	struct vq_elem e;

	while (p->n_spill > 0) {
		int r = con_pop(p->s, q, &e);
		if (r < 0)
			return;
		if (r == 0)
			break;
		size_t n = iov_put(e.iov + e.n_out, e.n_in, 0, p->spill, p->n_spill);
		vq_push(q, &e, (uint32_t)n);
		if (n == 0) {
			vq_break(q, "a buffer to receive into has no room");
			return;
		}
		p->n_spill -= n;
		memmove(p->spill, p->spill + n, p->n_spill);
	}
	vq_flush(q);
}

/* Without room in the driver's buffers nothing is taken: who sends is slowed down. */
static size_t con_room(void *opaque)
{
	struct con_port *p = opaque;

	if (!p->rx->ops || p->rx->broken || !p->guest_open || p->n_spill > 0)
		return 0;
	return vq_pending(p->rx) || vq_kick_enable(p->rx) ? sizeof(p->spill) : 0;
}

static void con_receive(void *opaque, const uint8_t *data, size_t len)
{
	struct con_port *p = opaque;

	memcpy(p->spill, data, len);
	p->n_spill = len;
	rx_flush(p);
}

void con_rx_kicked(struct loop_fd *src, uint32_t events)
{
	struct con_port *p = container_of(src, struct con_port, rx_kick);

	(void)events;
	sys_event_take(src->fd);
	rx_flush(p);
	if (con_chr(p))
		chr_input_ready(con_chr(p));
}

/* ---- who is there ---------------------------------------------------------------------------- */

static void con_opened(void *opaque)
{
	struct con_port *p = opaque;

	if (p->ready)
		con_say(p, VIRTIO_CONSOLE_PORT_OPEN);
	tx_serve(p); /* what nobody takes any more is dropped */
	chr_input_ready(con_chr(p));
}

/* A guest must come up when nobody looks at its console; on a port it may as well wait. */
const struct chardev_front con_console_front = {
	.room = con_room,
	.receive = con_receive,
	.drained = con_drained,
	.opened = con_opened,
};

const struct chardev_front con_port_front = {
	.room = con_room,
	.receive = con_receive,
	.drained = con_drained,
	.opened = con_opened,
	.lossless = true,
};
