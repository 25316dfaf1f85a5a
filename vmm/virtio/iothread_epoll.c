// SPDX-License-Identifier: GPL-2.0-or-later
// The plain engine of an I/O thread: epoll, and file operations done at once, in the thread. For
// kernels without io_uring, or where it is forbidden.
#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#include "core/sys.h"
#include "vmm/virtio/iothread_int.h"

struct epoll_state {
	int fd;
};

static int fd_of(const struct iothread *t)
{
	return ((const struct epoll_state *)t->state)->fd;
}

static int epoll_engine_open(struct iothread *t)
{
	struct epoll_state *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->fd = epoll_create1(EPOLL_CLOEXEC);
	if (s->fd < 0) {
		int r = -errno;
		free(s);
		return r;
	}
	t->state = s;
	return 0;
}

static void epoll_engine_close(struct iothread *t)
{
	close(fd_of(t));
	free(t->state);
	t->state = NULL;
}

/* One shot: it stays in the set, disabled, until it is armed again or removed. */
static int epoll_arm(struct iothread *t, struct iothread_fd *src)
{
	struct epoll_event ev = { .events = src->events | EPOLLONESHOT, .data.ptr = src };
	int r = epoll_ctl(fd_of(t), EPOLL_CTL_MOD, src->fd, &ev);

	if (r < 0 && errno == ENOENT)
		r = epoll_ctl(fd_of(t), EPOLL_CTL_ADD, src->fd, &ev);
	if (r < 0)
		return -errno;
	src->armed = true;
	return 0;
}

static void epoll_disarm(struct iothread *t, struct iothread_fd *src)
{
	epoll_ctl(fd_of(t), EPOLL_CTL_DEL, src->fd, NULL);
	src->armed = false;
}

static ssize_t perform(const struct iothread_op *op)
{
	ssize_t r;

	do {
		switch (op->kind) {
		case OP_READV:
			r = preadv(op->fd, op->iov, (int)op->n, op->off);
			break;
		case OP_WRITEV:
			r = pwritev(op->fd, op->iov, (int)op->n, op->off);
			break;
		case OP_FSYNC:
			r = fsync(op->fd);
			break;
		case OP_FDATASYNC:
			r = fdatasync(op->fd);
			break;
		default:
			r = fallocate(op->fd, op->mode, op->off, op->len);
			break;
		}
	} while (r < 0 && errno == EINTR);
	return r < 0 ? -errno : r;
}

static void epoll_start(struct iothread *t, struct iothread_io *io, const struct iothread_op *op)
{
	iothread_is_done(t, io, perform(op));
}

static void epoll_engine_wait(struct iothread *t, int64_t timeout_ns)
{
	struct epoll_event ev[64];
	int ms = timeout_ns < 0 ? -1 : (int)MIN((timeout_ns + 999999) / 1000000, INT64_C(3600000));

	int n = epoll_wait(fd_of(t), ev, ARRAY_SIZE(ev), ms);
	for (int i = 0; i < n; i++) {
		struct iothread_fd *src = ev[i].data.ptr;

		if (src->event && (ev[i].events & EPOLLIN))
			src->count = sys_event_take(src->fd);
		iothread_is_ready(t, src, ev[i].events);
	}
}

const struct iothread_engine iothread_epoll = {
	.name = "epoll",
	.open = epoll_engine_open,
	.close = epoll_engine_close,
	.arm = epoll_arm,
	.disarm = epoll_disarm,
	.start = epoll_start,
	.wait = epoll_engine_wait,
};
