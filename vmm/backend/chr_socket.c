// SPDX-License-Identifier: GPL-2.0-or-later
// The back end on a UNIX socket of its own: who connects has the port, one program at a time, the
// next one waits until it has left. Output that nobody is there to take is dropped; input ends
// with the connection, not before all of it was received.
#define LOG_TAG "chr"
#include "vmm/backend/backend.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "core/log.h"
#include "core/loop.h"
#include "core/sys.h"
#include "vmm/backend/chr_out.h"
#include "vmm/backend/unix_listen.h"

#define RETRY_NS UINT64_C(100000000)

struct chr_socket {
	struct chardev chr;
	struct loop *loop; /* borrowed */
	struct loop_fd listener;
	struct loop_timer retry; /* no descriptor for who connects: it waits in the backlog */
	struct loop_fd in;	 /* the connection; fd -1: none */
	int out_fd;		 /* the same again: the loop takes a descriptor once */
	bool ended;		 /* no more input comes; output goes on */
	struct chr_out out;
};

static void leave(struct chr_socket *s, int timeout_ms)
{
	loop_del_fd(&s->in);
	chr_out_fini(&s->out, timeout_ms);
	sys_close_fd(&s->out_fd);
	sys_close_fd(&s->in.fd);
}

static void disconnect(struct chr_socket *s)
{
	bool owed = s->out.owed;

	leave(s, 0);
	chr_set_closed(&s->chr, true);
	if (owed && s->chr.front)
		s->chr.front->drained(s->chr.front_opaque);
	loop_mod_fd(&s->listener, EPOLLIN);
}

/* Nothing is read for now. A peer that hung up is let go of, unless some of what it said is still
 * to be received. */
static void hold(struct chr_socket *s, uint32_t events)
{
	int unread = 0;

	if (!(events & (EPOLLHUP | EPOLLERR)))
		loop_mod_fd(&s->in, 0);
	else if (s->ended || sys_ioctl(s->in.fd, FIONREAD, &unread) < 0 || unread == 0)
		disconnect(s);
	else
		loop_del_fd(&s->in);
}

static void on_input(struct loop_fd *src, uint32_t events)
{
	struct chr_socket *s = container_of(src, struct chr_socket, in);
	const struct chardev_front *front = s->chr.front;
	size_t room = front && !s->ended ? front->room(s->chr.front_opaque) : 0;
	uint8_t buf[4096];

	if (room == 0) {
		hold(s, events);
		return;
	}
	ssize_t n = sys_read(src->fd, buf, MIN(room, sizeof(buf)));
	if (n > 0) {
		front->receive(s->chr.front_opaque, buf, (size_t)n);
	} else if (n != -EAGAIN && n != -EINTR) {
		s->ended = true;
		hold(s, n < 0 ? EPOLLERR : events);
	}
}

static void socket_input_ready(struct chardev *c)
{
	struct chr_socket *s = container_of(c, struct chr_socket, chr);
	struct verr e = { 0 };

	if (s->in.fd < 0 || s->ended || !c->front)
		return;
	if (s->in.loop)
		loop_mod_fd(&s->in, EPOLLIN);
	else if (loop_add_fd(s->loop, &s->in, &e) < 0)
		log_debug("%s: input off: %s", c->where, e.msg);
}

static size_t socket_write(struct chardev *c, const void *buf, size_t len)
{
	struct chr_socket *s = container_of(c, struct chr_socket, chr);

	return s->in.fd < 0 ? len : chr_out_write(&s->out, buf, len);
}

static void on_retry(struct loop_timer *t)
{
	loop_mod_fd(&container_of(t, struct chr_socket, retry)->listener, EPOLLIN);
}

static void on_connect(struct loop_fd *src, uint32_t events)
{
	struct chr_socket *s = container_of(src, struct chr_socket, listener);
	int fd = accept4(src->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0) {
		/* The listener stays ready: without a pause the loop would spin. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			loop_mod_fd(src, 0);
			loop_arm(s->loop, &s->retry, RETRY_NS);
		}
		return;
	}
	s->in = (struct loop_fd){ .fd = fd, .events = EPOLLIN, .ready = on_input };
	s->ended = false;
	s->out_fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (s->out_fd < 0 || loop_add_fd(s->loop, &s->in, NULL) < 0) {
		sys_close_fd(&s->out_fd);
		sys_close_fd(&s->in.fd);
		return;
	}
	chr_out_init(&s->out, s->loop, s->out_fd, true, &s->chr);
	loop_mod_fd(src, 0);
	chr_set_closed(&s->chr, false);
}

static void socket_close(struct chardev *c)
{
	struct chr_socket *s = container_of(c, struct chr_socket, chr);

	loop_disarm(&s->retry);
	if (s->in.fd >= 0)
		leave(s, CHR_FLUSH_MS);
	loop_del_fd(&s->listener);
	sys_close_fd(&s->listener.fd);
	sys->unlink(c->where);
	free(s);
}

static const struct chardev_ops socket_ops = {
	.write = socket_write,
	.input_ready = socket_input_ready,
	.close = socket_close,
};

static int socket_open(const char *arg, const struct chr_host *host, struct chardev **ret,
		       struct verr *reterr)
{
	struct chr_socket *s = calloc(1, sizeof(*s));

	if (!s)
		return verr_set(reterr, -ENOMEM, "socket: out of memory");
	int fd = unix_listen("socket", arg, reterr);
	if (fd < 0) {
		free(s);
		return fd;
	}
	s->chr.ops = &socket_ops;
	s->chr.closed = true;
	snprintf(s->chr.where, sizeof(s->chr.where), "%s", arg);
	s->loop = host->loop;
	s->retry.fired = on_retry;
	s->in.fd = s->out_fd = -1;
	s->listener = (struct loop_fd){ .fd = fd, .events = EPOLLIN, .ready = on_connect };
	int r = loop_add_fd(s->loop, &s->listener, reterr);
	if (r < 0)
		socket_close(&s->chr);
	else
		*ret = &s->chr;
	return r;
}

const struct chr_type chr_socket_type = {
	.name = "socket",
	.arg_name = "PATH",
	.desc = "a UNIX socket to connect to, one program at a time",
	.open = socket_open,
};
