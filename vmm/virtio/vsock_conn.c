// SPDX-License-Identifier: GPL-2.0-or-later
// One vsock connection and the host's socket behind it: greeting, data both ways, half-close, end.
// Owns the socket and what the host's program has not read yet.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "core/sys.h"
#include "core/type.h"
#include "vmm/virtio/vq.h"
#include "vmm/virtio/vsock_int.h"

/* ---- life ------------------------------------------------------------------------------------ */

struct vsock_conn *vsock_conn_new(struct vsock_hub *h, int fd, enum vsock_state state)
{
	struct vsock_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		sys_close_fd(&fd);
		return NULL;
	}
	c->hub = h;
	c->fd = fd;
	c->state = state;
	list_init(&c->due_node);
	list_add_tail(&h->others, &c->node);
	h->n_conns++;
	return c;
}

void vsock_conn_free(struct vsock_conn *c)
{
	c->hub->ops->forget(c);
	vsock_conn_undue(c);
	list_del(&c->node);
	c->hub->n_conns--;
	sys_close_fd(&c->fd);
	free(c->buf);
	free(c);
}

void vsock_conn_abort(struct vsock_conn *c)
{
	bool knows = c->state == VSOCK_OPEN || c->state == VSOCK_CONNECTING;

	if (knows && !(c->want & VSOCK_WANT_REQUEST))
		vsock_hub_rst(c->hub, VSOCK_HOST_CID, c->host_port, c->guest_port,
			      VIRTIO_VSOCK_TYPE_STREAM);
	vsock_conn_free(c);
}

void vsock_conn_finish(struct vsock_conn *c)
{
	if (c->fill == 0) {
		vsock_conn_free(c);
		return;
	}
	c->state = VSOCK_DRAINING;
	c->want = 0;
	vsock_conn_undue(c);
	list_del(&c->node);
	list_add_tail(&c->hub->others, &c->node);
	vsock_conn_watch(c);
	vsock_conn_rearm(c);
}

void vsock_conn_due(struct vsock_conn *c, unsigned int want)
{
	c->want |= want;
	if (!c->due)
		list_add_tail(&c->hub->due, &c->due_node);
	c->due = true;
}

void vsock_conn_undue(struct vsock_conn *c)
{
	if (c->due)
		list_del(&c->due_node);
	c->due = false;
}

void vsock_conn_watch(struct vsock_conn *c)
{
	uint32_t events = c->fill > 0 ? (uint32_t)EPOLLOUT : 0;

	if (c->state == VSOCK_GREETING)
		events |= EPOLLIN;
	else if (c->state == VSOCK_OPEN && !c->readable &&
		 !(c->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) &&
		 !(c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
		events |= EPOLLIN;
	/* That it is gone is seen in any case; if it is known, it would be seen without end. */
	if (events == 0 && !c->readable && !(c->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
		events = VSOCK_HUP;
	c->hub->ops->watch(c, events);
}

void vsock_conn_rearm(struct vsock_conn *c)
{
	unsigned int ms = 0;

	if (c->state == VSOCK_DRAINING)
		ms = VSOCK_DRAIN_MS;
	else if (c->state != VSOCK_OPEN)
		ms = VSOCK_CONNECT_MS;
	else if (c->host_shut == VSOCK_BOTH)
		ms = VSOCK_CLOSE_MS;
	c->hub->ops->alarm(c, ms);
}

void vsock_conn_alarm(struct vsock_conn *c)
{
	vsock_conn_abort(c);
}

/* The host's program does not send (all it sent is read) or does not read any more, or both. */
static void host_shuts(struct vsock_conn *c, uint32_t flags)
{
	if (c->state != VSOCK_OPEN) {
		vsock_conn_abort(c);
		return;
	}
	c->host_shut |= flags;
	if (c->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		c->fwd_cnt += c->fill;
		c->fill = 0;
	}
	if (c->host_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
		c->readable = false;
	vsock_conn_due(c, VSOCK_WANT_SHUTDOWN);
	vsock_conn_watch(c);
	vsock_conn_rearm(c);
}

/* ---- guest to host --------------------------------------------------------------------------- */

/* Tells the guest of room in time, that is, before it has to stop. */
static void tell_credit(struct vsock_conn *c)
{
	if (c->fwd_cnt != c->told && VSOCK_BUF - (c->rx_cnt - c->told) < VSOCK_BUF / 2)
		vsock_conn_due(c, VSOCK_WANT_CREDIT);
}

/* How much of it the socket took; -1: the other side is gone. */
static ssize_t put(struct vsock_conn *c, const struct iovec *iov, unsigned int n)
{
	const struct msghdr m = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = n };
	ssize_t r;

	do
		r = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (r < 0 && errno == EINTR);
	if (r < 0)
		return errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM ? 0 : -1;
	return r;
}

/* Keeps the payload from byte `off` on. */
static bool keep(struct vsock_conn *c, const struct iovec *iov, unsigned int n, uint32_t off,
		 uint32_t len)
{
	if (!c->buf && !(c->buf = malloc(VSOCK_BUF)))
		return false;
	while (off < len) {
		uint32_t at = (c->head + c->fill) % VSOCK_BUF;
		uint32_t k = MIN(len - off, VSOCK_BUF - at);

		iov_get(iov, n, off, c->buf + at, k);
		c->fill += k;
		off += k;
	}
	return true;
}

void vsock_conn_write(struct vsock_conn *c, const struct iovec *iov, unsigned int n, uint32_t len)
{
	ssize_t done = 0;

	if ((c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) ||
	    len > VSOCK_BUF - (c->rx_cnt - c->fwd_cnt)) {
		vsock_conn_abort(c);
		return;
	}
	c->rx_cnt += len;
	if (c->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV)
		done = len; /* it has not heard yet that nobody reads */
	else if (c->fill == 0 && len > 0)
		done = put(c, iov, n);
	if (done < 0) {
		c->fwd_cnt += len;
		host_shuts(c, VIRTIO_VSOCK_SHUTDOWN_RCV);
		return;
	}
	c->fwd_cnt += (uint32_t)done;
	if (done < len) {
		if (!keep(c, iov, n, (uint32_t)done, len)) {
			vsock_conn_abort(c);
			return;
		}
		vsock_conn_watch(c);
	}
	tell_credit(c);
}

/* The socket takes more of what was kept. May free c. */
static void drain(struct vsock_conn *c)
{
	while (c->fill > 0) {
		uint32_t first = MIN(c->fill, VSOCK_BUF - c->head);
		const struct iovec iov[2] = { { c->buf + c->head, first },
					      { c->buf, c->fill - first } };
		ssize_t r = put(c, iov, c->fill > first ? 2 : 1);

		if (r < 0) {
			host_shuts(c, VIRTIO_VSOCK_SHUTDOWN_RCV);
			return;
		}
		if (r == 0)
			break;
		c->head = (c->head + (uint32_t)r) % VSOCK_BUF;
		c->fill -= (uint32_t)r;
		c->fwd_cnt += (uint32_t)r;
		if (c->state == VSOCK_DRAINING)
			vsock_conn_rearm(c);
	}
	if (c->fill == 0) {
		free(c->buf);
		c->buf = NULL;
		c->head = 0;
		if (c->state == VSOCK_DRAINING) {
			vsock_conn_free(c);
			return;
		}
		if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND)
			shutdown(c->fd, SHUT_WR);
	}
	tell_credit(c);
	vsock_conn_watch(c);
}

void vsock_conn_guest_shut(struct vsock_conn *c, uint32_t flags)
{
	c->guest_shut |= flags & VSOCK_BOTH;
	if (c->guest_shut == VSOCK_BOTH) {
		vsock_hub_rst(c->hub, VSOCK_HOST_CID, c->host_port, c->guest_port,
			      VIRTIO_VSOCK_TYPE_STREAM);
		vsock_conn_finish(c);
		return;
	}
	if (c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_RCV) {
		c->readable = false;
		shutdown(c->fd, SHUT_RD);
	}
	if ((c->guest_shut & VIRTIO_VSOCK_SHUTDOWN_SEND) && c->fill == 0)
		shutdown(c->fd, SHUT_WR);
	vsock_conn_watch(c);
}

/* ---- host to guest --------------------------------------------------------------------------- */

uint32_t vsock_conn_credit(const struct vsock_conn *c)
{
	uint32_t under_way = c->tx_cnt - c->passed;

	return under_way < c->credit ? c->credit - under_way : 0;
}

static bool hung_up(const struct vsock_conn *c)
{
	struct pollfd p = { .fd = c->fd };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

size_t vsock_conn_read(struct vsock_conn *c, struct iovec *iov, unsigned int n)
{
	uint32_t credit = vsock_conn_credit(c);

	if (credit == 0) { /* readable stays: its next credit goes on with it */
		if (!c->asked)
			c->want |= VSOCK_WANT_ASK;
		c->asked = true;
		return 0;
	}
	n = iov_cut(iov, n, credit);
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = n };
	ssize_t r = recvmsg(c->fd, &m, MSG_DONTWAIT);
	if (r < 0 && (errno == EAGAIN || errno == EINTR)) {
		c->readable = false;
		vsock_conn_watch(c);
		return 0;
	}
	if (r <= 0) { /* the end; an error, if it left unread what the guest sent */
		host_shuts(c, r < 0 || hung_up(c) ? VSOCK_BOTH : VIRTIO_VSOCK_SHUTDOWN_SEND);
		return 0;
	}
	c->tx_cnt += (uint32_t)r;
	if ((size_t)r < iov_len(iov, n)) { /* likely empty: asked again when there is more */
		c->readable = false;
		vsock_conn_watch(c);
	}
	return (size_t)r;
}

/* ---- the greeting ---------------------------------------------------------------------------- */

/* "CONNECT PORT", terminated. */
static bool greeting_port(const char *text, uint32_t *ret)
{
	static const char word[] = "CONNECT ";
	const char *number = text + sizeof(word) - 1;
	uint64_t v;

	/* Digits alone. */
	if (strncmp(text, word, sizeof(word) - 1) != 0 || !*number ||
	    strspn(number, "0123456789") != strlen(number) ||
	    parse_u64(number, 0, UINT32_MAX - 1, &v, NULL) < 0)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* Takes up to the end of the line and not a byte more: the rest is the guest's. */
static void greeted(struct vsock_conn *c)
{
	char *at = c->greet + c->n_greet;
	size_t room = sizeof(c->greet) - c->n_greet;
	ssize_t r = recv(c->fd, at, room, MSG_PEEK | MSG_DONTWAIT);

	if (r < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	char *end = r > 0 ? memchr(at, '\n', (size_t)r) : NULL;
	size_t take = end ? (size_t)(end - at) + 1 : (size_t)MAX(r, 0);
	if (r <= 0 || (!end && take == room) ||
	    recv(c->fd, at, take, MSG_DONTWAIT) != (ssize_t)take) {
		vsock_conn_free(c);
		return;
	}
	c->n_greet += (unsigned int)take;
	if (!end)
		return;
	if (end > c->greet && end[-1] == '\r')
		end--;
	*end = '\0';
	if (!greeting_port(c->greet, &c->guest_port)) {
		vsock_conn_free(c);
		return;
	}
	c->state = VSOCK_CONNECTING;
	vsock_conn_hash(c);
	vsock_conn_due(c, VSOCK_WANT_REQUEST);
	vsock_conn_watch(c);
	vsock_conn_rearm(c);
}

void vsock_accept(struct vsock_hub *h, int fd)
{
	if (vsock_hub_full(h)) {
		sys_close_fd(&fd);
		return;
	}
	struct vsock_conn *c = vsock_conn_new(h, fd, VSOCK_GREETING);
	if (!c)
		return;
	vsock_conn_watch(c);
	vsock_conn_rearm(c);
}

void vsock_conn_accepted(struct vsock_conn *c)
{
	char line[24];
	int len = snprintf(line, sizeof(line), "OK %u\n", c->host_port);
	const struct iovec iov = { line, (size_t)len };

	/* A few bytes, the first: a socket without room for them is no use. */
	if (put(c, &iov, 1) != len) {
		vsock_conn_abort(c);
		return;
	}
	c->state = VSOCK_OPEN;
	vsock_conn_watch(c);
	vsock_conn_rearm(c);
}

/* ---- the socket ------------------------------------------------------------------------------ */

void vsock_conn_ready(struct vsock_conn *c, uint32_t events)
{
	if (c->state == VSOCK_GREETING) {
		greeted(c);
		return;
	}
	if (c->state == VSOCK_OPEN && (events & EPOLLIN)) {
		c->readable = true;
		vsock_conn_due(c, 0);
	} else if (c->fill == 0 && (events & (EPOLLHUP | EPOLLERR))) {
		host_shuts(c, VSOCK_BOTH);
		return;
	}
	if (c->fill > 0 && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR)))
		drain(c);
	else
		vsock_conn_watch(c);
}
