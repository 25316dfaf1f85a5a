// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-rng: the driver's buffers are filled from a random source of the host (VIRTIO 1.2 5.4).
// Owns the source and the thread; a guest may ask for no more than max-bytes in a period. The
// shortest whole virtio device: read it first.
#define LOG_TAG "virtio/rng"
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/sys.h"
#include "vmm/virtio/iothread.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtio_devs.h"

#define QUEUE_SIZE  256
#define REQUEST_MAX 65536u /* bytes: a larger buffer is answered short, as the driver must expect */

struct virtio_rng_cfg {
	struct virtio_props virtio;
	char *filename;
	uint64_t max_bytes;
	uint32_t period;
};

struct virtio_rng {
	struct virtio_dev vd;
	struct iothread *io;
	int fd;

	/* In the thread: one request at a time. */
	struct iothread_fd kick;
	struct iothread_io read;
	struct iothread_timer refill;
	struct vq_elem elem;
	struct iovec iov[VQ_SEGS];
	bool busy, stopping;
	uint64_t left; /* bytes of this period */
};

static struct virtio_rng *rng_of(struct virtio_dev *vd)
{
	return container_of(vd, struct virtio_rng, vd);
}

/* ---- in the thread --------------------------------------------------------------------------- */

static void serve(struct virtio_rng *s)
{
	struct vq *q = &s->vd.vq[0];
	struct vq_elem *e = &s->elem;

	while (!s->busy && !s->stopping && s->left > 0) {
		e->iov = s->iov;
		e->iov_max = ARRAY_SIZE(s->iov);
		vq_kick_disable(q);
		int r = vq_pop(q, e);
		if (r < 0 || (r == 0 && !vq_kick_enable(q)))
			return;
		if (r == 0)
			continue;
		if (e->n_in == 0) { /* VIRTIO 1.2 5.4.6.1 */
			vq_unpop(q, e);
			vq_break(q, "a buffer without room for random bytes");
			return;
		}
		unsigned int n = iov_cut(e->iov + e->n_out, e->n_in, MIN(s->left, REQUEST_MAX));
		s->busy = true;
		iothread_readv(s->io, &s->read, s->fd, e->iov + e->n_out, n, 0);
	}
}

static void filled(struct iothread_io *io, ssize_t res)
{
	struct virtio_rng *s = container_of(io, struct virtio_rng, read);
	struct vq *q = &s->vd.vq[0];

	s->busy = false;
	if (res <= 0) {
		vq_unpop(q, &s->elem);
		virtio_needs_reset(&s->vd, "the host's random source can't be read");
		s->stopping = true;
		return;
	}
	const struct virtio_rng_cfg *c = s->vd.pd.dev.cfg;
	if (c->max_bytes)
		s->left -= MIN(s->left, (uint64_t)res);
	vq_push(q, &s->elem, (uint32_t)res);
	vq_flush(q);
	serve(s);
}

static void kicked(struct iothread_fd *src, uint32_t events)
{
	(void)events;
	serve(container_of(src, struct virtio_rng, kick));
}

static void new_period(struct virtio_rng *s)
{
	const struct virtio_rng_cfg *c = s->vd.pd.dev.cfg;

	s->left = c->max_bytes ? c->max_bytes : UINT64_MAX;
	if (c->max_bytes)
		iothread_arm(s->io, &s->refill, (uint64_t)c->period * 1000000);
}

static void refilled(struct iothread_timer *t)
{
	struct virtio_rng *s = container_of(t, struct virtio_rng, refill);

	new_period(s);
	serve(s);
}

struct begin {
	struct virtio_rng *s;
	int result;
};

static void begin(void *opaque)
{
	struct begin *b = opaque;
	struct virtio_rng *s = b->s;

	s->stopping = false;
	new_period(s);
	b->result = iothread_add_fd(s->io, &s->kick);
}

static void end(void *opaque)
{
	struct virtio_rng *s = opaque;

	s->stopping = true;
	iothread_del_fd(&s->kick);
	iothread_disarm(&s->refill);
	iothread_drain(s->io);
}

/* ---- under the machine lock ------------------------------------------------------------------ */

static int rng_activate(struct virtio_dev *vd)
{
	struct virtio_rng *s = rng_of(vd);
	struct begin b = { .s = s };

	if (!vd->vq[0].ops) /* the driver left it out */
		return 0;
	s->kick = (struct iothread_fd){
		.fd = vd->vq[0].kick_fd, .events = EPOLLIN, .event = true, .ready = kicked
	};
	s->read.done = filled;
	s->refill.fired = refilled;
	iothread_call(s->io, begin, &b);
	if (b.result < 0)
		iothread_call(s->io, end, s);
	return b.result;
}

static void rng_deactivate(struct virtio_dev *vd)
{
	iothread_call(rng_of(vd)->io, end, rng_of(vd));
}

static const struct virtio_ops rng_ops = {
	.activate = rng_activate,
	.deactivate = rng_deactivate,
};

static void rng_unrealize(struct dev *d)
{
	struct virtio_rng *s = rng_of(virtio_of(d));

	virtio_unrealize(&s->vd);
	iothread_close(s->io);
	s->io = NULL;
	sys_close_fd(&s->fd);
}

static int rng_realize(struct dev *d, struct verr *reterr)
{
	struct virtio_rng *s = rng_of(virtio_of(d));
	const struct virtio_rng_cfg *c = d->cfg;
	const struct virtio_desc desc = {
		.ops = &rng_ops,
		.id = VIRTIO_ID_RNG,
		.class_code = 0x00ff00,
		.n_queues = 1,
		.queue_size = QUEUE_SIZE,
		.props = &c->virtio,
	};

	int r = sys_open(c->filename, O_RDONLY, 0);
	s->fd = MAX(r, -1);
	if (r < 0)
		r = verr_set(reterr, r, "filename=%s can't be opened: %s", c->filename,
			     strerror(-r));
	else
		r = d->plat->dry_run ? 0 : iothread_open(d->id, 0, &s->io, reterr);
	if (r == 0)
		r = virtio_realize(&s->vd, &desc, reterr);
	if (r < 0)
		rng_unrealize(d);
	return r;
}

static struct dev *rng_alloc(void)
{
	struct virtio_rng *s = calloc(1, sizeof(*s));

	return s ? &s->vd.pd.dev : NULL;
}

static void rng_free(struct dev *d)
{
	free(rng_of(virtio_of(d)));
}

static const struct dev_ops rng_dev_ops = {
	.realize = rng_realize,
	.unrealize = rng_unrealize,
	VIRTIO_DEV_OPS,
};

static const struct prop rng_props[] = {
	PROP(struct virtio_rng_cfg, filename, PROP_STR, "/dev/urandom", "the host's random source"),
	PROP_NAMED("max-bytes", struct virtio_rng_cfg, max_bytes, PROP_U64, "0",
		   "bytes the guest may have in a period; 0: as many as it asks for"),
	PROP_NAMED("period", struct virtio_rng_cfg, period, PROP_U32, "1000",
		   "that period, in milliseconds", .min = 1, .max = 3600000),
	VIRTIO_PROPS(struct virtio_rng_cfg, virtio),
	PROP_END,
};

const struct dev_type virtio_rng_type = {
	.t = { .name = "virtio-rng",
	       .category = "virtio",
	       .desc = "random numbers from the host",
	       .props = rng_props,
	       .cfg_size = sizeof(struct virtio_rng_cfg) },
	.ops = &rng_dev_ops,
	.alloc = rng_alloc,
	.free = rng_free,
	.pci = true,
	.user = true,
};
