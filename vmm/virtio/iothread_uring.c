// SPDX-License-Identifier: GPL-2.0-or-later
// The io_uring engine of an I/O thread: one call submits what was started, waits and collects.
// An eventfd is read by the ring itself, other descriptors are polled by it, one shot, and armed
// again after their callback together with whatever else is submitted then.
#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "vmm/virtio/iothread_int.h"

#define ENTRIES 256

/* What a completion is for: the pointer's low bits. */
enum { TAG_IO, TAG_FD, TAG_NOTHING, TAG_MASK = 3 };

struct uring_state {
	struct io_uring ring;
};

static struct io_uring *ring_of(const struct iothread *t)
{
	return &((struct uring_state *)t->state)->ring;
}

static int init_ring(struct io_uring *ring)
{
	/* Newest first: completions are run when we ask for them, not by interrupting us. */
	static const unsigned int flags[] = {
#ifdef IORING_SETUP_DEFER_TASKRUN
		IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
#endif
		IORING_SETUP_COOP_TASKRUN,
		0,
	};
	int r = -EINVAL;

	for (unsigned int i = 0; i < ARRAY_SIZE(flags) && r == -EINVAL; i++) {
		struct io_uring_params p = { .flags = flags[i] | IORING_SETUP_CQSIZE,
					     .cq_entries = 4 * ENTRIES };
		r = io_uring_queue_init_params(ENTRIES, ring, &p);
	}
	return r;
}

static bool has_ops(struct io_uring *ring)
{
	static const int ops[] = { IORING_OP_READV,	  IORING_OP_WRITEV,    IORING_OP_FSYNC,
				   IORING_OP_READ,	  IORING_OP_FALLOCATE, IORING_OP_POLL_ADD,
				   IORING_OP_ASYNC_CANCEL };
	struct io_uring_probe *p = io_uring_get_probe_ring(ring);
	bool all = p && (ring->features & IORING_FEAT_EXT_ARG);

	for (unsigned int i = 0; i < ARRAY_SIZE(ops) && all; i++)
		all = io_uring_opcode_supported(p, ops[i]);
	io_uring_free_probe(p);
	return all;
}

static int uring_open(struct iothread *t)
{
	struct uring_state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	int r = init_ring(&s->ring);
	if (r == 0 && !has_ops(&s->ring)) {
		io_uring_queue_exit(&s->ring);
		r = -EOPNOTSUPP;
	}
	if (r < 0) {
		free(s);
		return r;
	}
	t->state = s;
	return 0;
}

static void uring_close(struct iothread *t)
{
	io_uring_queue_exit(ring_of(t));
	free(t->state);
	t->state = NULL;
}

static void collect(struct iothread *t)
{
	struct io_uring *ring = ring_of(t);
	struct io_uring_cqe *cqe;
	unsigned int head, n = 0;

	io_uring_for_each_cqe(ring, head, cqe)
	{
		void *p = (void *)(uintptr_t)(cqe->user_data & ~(uint64_t)TAG_MASK);

		n++;
		switch (cqe->user_data & TAG_MASK) {
		case TAG_IO:
			iothread_is_done(t, p, cqe->res);
			break;
		case TAG_FD: {
			struct iothread_fd *src = p;
			uint32_t events = cqe->res < 0 ? EPOLLERR
					  : src->event ? EPOLLIN
						       : (uint32_t)cqe->res;
			iothread_is_ready(t, src, events);
			break;
		}
		default:
			break;
		}
	}
	io_uring_cq_advance(ring, n);
}

static struct io_uring_sqe *get_sqe(struct iothread *t)
{
	struct io_uring_sqe *sqe;

	while (!(sqe = io_uring_get_sqe(ring_of(t))))
		if (io_uring_submit(ring_of(t)) < 0)
			collect(t); /* it wants room for completions first */
	return sqe;
}

static void tag(struct io_uring_sqe *sqe, void *p, unsigned int what)
{
	io_uring_sqe_set_data64(sqe, (uint64_t)(uintptr_t)p | what);
}

static int uring_arm(struct iothread *t, struct iothread_fd *src)
{
	struct io_uring_sqe *sqe = get_sqe(t);

	if (src->event)
		io_uring_prep_read(sqe, src->fd, &src->count, sizeof(src->count), 0);
	else
		io_uring_prep_poll_add(sqe, src->fd, src->events);
	tag(sqe, src, TAG_FD);
	src->armed = true;
	return 0;
}

static void uring_wait(struct iothread *t, int64_t timeout_ns)
{
	struct __kernel_timespec ts = { .tv_sec = timeout_ns / 1000000000,
					.tv_nsec = timeout_ns % 1000000000 };
	struct io_uring_cqe *cqe;

	if (timeout_ns < 0)
		io_uring_submit_and_wait(ring_of(t), 1);
	else if (timeout_ns == 0)
		io_uring_submit_and_get_events(ring_of(t));
	else
		io_uring_submit_and_wait_timeout(ring_of(t), &cqe, 1, &ts, NULL);
	collect(t);
}

static void uring_disarm(struct iothread *t, struct iothread_fd *src)
{
	if (src->armed) {
		struct io_uring_sqe *sqe = get_sqe(t);

		io_uring_prep_cancel64(sqe, (uint64_t)(uintptr_t)src | TAG_FD, 0);
		tag(sqe, NULL, TAG_NOTHING);
	}
	/* It may still point at src until the ring has said its last word about it. */
	while (src->armed) {
		io_uring_submit_and_wait(ring_of(t), 1);
		collect(t);
	}
}

static void uring_start(struct iothread *t, struct iothread_io *io, const struct iothread_op *op)
{
	struct io_uring_sqe *sqe = get_sqe(t);

	switch (op->kind) {
	case OP_READV:
		io_uring_prep_readv(sqe, op->fd, op->iov, op->n, (uint64_t)op->off);
		break;
	case OP_WRITEV:
		io_uring_prep_writev(sqe, op->fd, op->iov, op->n, (uint64_t)op->off);
		break;
	case OP_FSYNC:
	case OP_FDATASYNC:
		io_uring_prep_fsync(sqe, op->fd,
				    op->kind == OP_FDATASYNC ? IORING_FSYNC_DATASYNC : 0);
		break;
	case OP_FALLOCATE:
		io_uring_prep_fallocate(sqe, op->fd, op->mode, op->off, op->len);
		break;
	}
	tag(sqe, io, TAG_IO);
}

const struct iothread_engine iothread_uring = {
	.name = "io_uring",
	.open = uring_open,
	.close = uring_close,
	.arm = uring_arm,
	.disarm = uring_disarm,
	.start = uring_start,
	.wait = uring_wait,
};
