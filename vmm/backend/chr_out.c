// SPDX-License-Identifier: GPL-2.0-or-later
// The output ring. Owns no descriptor; knows nothing of who produces and little of what takes.
#define LOG_TAG "chr"
#include "vmm/backend/chr_out.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "core/log.h"
#include "core/sys.h"
#include "vmm/backend/backend.h"

/* A blocking descriptor that polls writable takes this much at least: what POSIX promises of a
 * pipe. Of a terminal nothing is promised; less makes waiting less likely. */
#define SMALL_WRITE 256

static void stop_waiting(struct chr_out *o)
{
	if (o->waiting)
		loop_del_fd(&o->src);
	o->waiting = false;
	loop_disarm(&o->stall);
}

static void drained(struct chr_out *o)
{
	const struct chardev_front *front = o->chr->front;

	if (!o->owed)
		return;
	o->owed = false;
	if (front)
		front->drained(o->chr->front_opaque);
}

static void give_up(struct chr_out *o)
{
	o->dropped += o->used;
	o->used = 0;
	drained(o);
}

static void arm_stall(struct chr_out *o)
{
	if (!o->chr->front || !o->chr->front->lossless)
		loop_arm(o->loop, &o->stall, CHR_STALL_NS);
}

static void wait_writable(struct chr_out *o)
{
	struct verr e = { 0 };

	if (o->waiting)
		return;
	if (loop_add_fd(o->loop, &o->src, &e) < 0) {
		log_debug("output dropped: %s", e.msg);
		o->dead = true;
		give_up(o);
		return;
	}
	o->waiting = true;
	if (!o->stalled)
		arm_stall(o);
}

/* Bytes written, 0 if it takes none now, -errno if it never will. */
static ssize_t write_some(struct chr_out *o)
{
	size_t len = MIN(o->used, CHR_OUT_SIZE - o->head);
	struct pollfd p = { .fd = o->fd, .events = POLLOUT };
	ssize_t n;

	if (!o->nonblock) {
		n = sys->poll(&p, 1, 0);
		if (n <= 0 || !(p.revents & (POLLOUT | POLLERR | POLLHUP)))
			return n < 0 && n != -EINTR ? n : 0;
		len = MIN(len, SMALL_WRITE);
	}
	n = sys_write(o->fd, o->ring + o->head, len);
	return n == -EAGAIN || n == -EINTR ? 0 : n;
}

static void pump(struct chr_out *o)
{
	while (o->used > 0) {
		ssize_t n = write_some(o);

		if (n == 0) {
			wait_writable(o);
			return;
		}
		if (n < 0) { /* EPIPE: the reader left. EIO: the terminal did. */
			log_debug("output ends: %s", strerror((int)-n));
			o->dead = true;
			stop_waiting(o);
			give_up(o);
			return;
		}
		o->head = (o->head + (size_t)n) % CHR_OUT_SIZE;
		o->used -= (size_t)n;
		o->stalled = false;
		loop_disarm(&o->stall);
		if (o->waiting)
			arm_stall(o);
	}
	stop_waiting(o);
	drained(o);
}

static void on_flush(struct loop_job *j)
{
	pump(container_of(j, struct chr_out, flush));
}

static void on_writable(struct loop_fd *src, uint32_t events)
{
	(void)events;
	pump(container_of(src, struct chr_out, src));
}

static void on_stall(struct loop_timer *t)
{
	struct chr_out *o = container_of(t, struct chr_out, stall);

	/* What is in the ring stays; what comes from now on is lost until it moves again. */
	o->stalled = true;
	drained(o);
}

void chr_out_init(struct chr_out *o, struct loop *loop, int fd, bool nonblock, struct chardev *chr)
{
	memset(o, 0, sizeof(*o));
	o->loop = loop;
	o->fd = fd;
	o->nonblock = nonblock;
	o->chr = chr;
	o->src.fd = fd;
	o->src.events = EPOLLOUT;
	o->src.ready = on_writable;
	o->flush.run = on_flush;
	o->stall.fired = on_stall;
}

size_t chr_out_write(struct chr_out *o, const void *buf, size_t len)
{
	const uint8_t *p = buf;
	size_t n = MIN(len, CHR_OUT_SIZE - o->used);

	if (o->dead || (o->stalled && n < len)) {
		o->dropped += len;
		return len;
	}
	for (size_t i = 0; i < n; i++)
		o->ring[(o->head + o->used + i) % CHR_OUT_SIZE] = p[i];
	o->used += n;
	if (n < len)
		o->owed = true;
	if (n > 0 && !o->waiting)
		loop_defer(o->loop, &o->flush);
	return n;
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

void chr_out_fini(struct chr_out *o, int timeout_ms)
{
	int64_t end = now_ms() + timeout_ms;

	loop_cancel(&o->flush);
	stop_waiting(o);
	while (!o->dead && o->used > 0) {
		struct pollfd p = { .fd = o->fd, .events = POLLOUT };
		int64_t left = end - now_ms();
		ssize_t n = write_some(o);

		if (n < 0 || (n == 0 && left <= 0))
			break;
		if (n == 0)
			sys->poll(&p, 1, (int)left);
		o->head = (o->head + (size_t)n) % CHR_OUT_SIZE;
		o->used -= (size_t)n;
	}
	if (o->dropped + o->used > 0)
		log_debug("%" PRIu64 " bytes of output were dropped: nobody took them",
			  o->dropped + o->used);
}

int chr_reopen_nonblock(int fd, int flags, bool *ret_nonblock)
{
	char path[40];
	int r;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	r = sys_open(path, flags | O_NONBLOCK | O_NOCTTY, 0);
	*ret_nonblock = r >= 0;
	if (r >= 0)
		return r;
	r = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	return r < 0 ? -errno : r;
}
