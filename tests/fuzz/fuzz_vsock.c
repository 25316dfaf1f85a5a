// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile guest and unsteady host programs at the vsock protocol: any packet at any time, credit
// that lies, sockets that come, write, read, half-close and go, alarms, pauses and resets. Whatever
// happens: each side reads what the other wrote, in its order and nothing else; the guest gets no
// more than it gave room for; what is kept is bounded; nothing is lost of what was accepted.
//
// Input: steps of 16 bytes: what, whose, op, flags, length (2), type, spare, buf_alloc (4), fwd_cnt
// (4).
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/bytes.h"
#include "tests/fuzz/fuzz.h"
#include "vmm/virtio/vsock_hub.h"
#include "vmm/virtio/vsock_int.h"

#define STEP  16
#define SLOTS 6
#define FDS   1024
#define CID   3

/* A host program: its end of a pair of sockets, and counts of what went through. */
static struct slot {
	int fd; /* -1: none */
	int theirs;
	uint32_t said, heard; /* guest to host */
	uint32_t wrote, got;  /* host to guest */
} slots[SLOTS];

static struct {
	struct vsock_conn *c;
	uint32_t events;
	bool alarm;
} watched[FDS];

static struct vsock_hub hub;
static uint8_t block[65536];

/* ---- what the hub asks for ------------------------------------------------------------------- */

static struct slot *slot_of(const struct vsock_conn *c)
{
	for (unsigned int i = 0; i < SLOTS; i++)
		if (slots[i].theirs == c->fd)
			return &slots[i];
	return NULL;
}

/* The hub's end of a new pair; -1: all are in use. */
static int pair(void)
{
	int sv[2], small = 4096;

	for (unsigned int i = 0; i < SLOTS; i++) {
		if (slots[i].fd >= 0 || slots[i].theirs >= 0)
			continue;
		CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, sv) == 0);
		CHECK(sv[0] < FDS && sv[1] < FDS);
		setsockopt(sv[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
		slots[i] = (struct slot){ .fd = sv[0], .theirs = sv[1] };
		return sv[1];
	}
	return -1;
}

static int fuzz_connect(struct vsock_hub *h, uint32_t port)
{
	(void)h;
	return port & 1 ? -1 : pair();
}

static void fuzz_watch(struct vsock_conn *c, uint32_t events)
{
	watched[c->fd].c = c;
	watched[c->fd].events = events;
}

static void fuzz_alarm(struct vsock_conn *c, unsigned int ms)
{
	watched[c->fd].c = c;
	watched[c->fd].alarm = ms > 0;
}

static void fuzz_forget(struct vsock_conn *c)
{
	watched[c->fd].c = NULL;
	watched[c->fd].events = 0;
	watched[c->fd].alarm = false;
}

static const struct vsock_hub_ops ops = {
	.connect = fuzz_connect,
	.watch = fuzz_watch,
	.alarm = fuzz_alarm,
	.forget = fuzz_forget,
};

/* A connection that the hub has ended has closed its end: the slot is free when ours is, too. */
static void collect(void)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < SLOTS; i++) {
		struct slot *s = &slots[i];

		if (s->theirs >= 0 && !watched[s->theirs].c)
			s->theirs = -1;
		n += s->theirs >= 0;
		if (s->theirs >= 0) {
			const struct vsock_conn *c = watched[s->theirs].c;

			CHECK(c->fill <= VSOCK_BUF && c->rx_cnt - c->fwd_cnt <= VSOCK_BUF);
			CHECK(c->fill == 0 || c->buf);
		}
	}
	CHECK(n == hub.n_conns);
	CHECK(hub.n_replies <= ARRAY_SIZE(hub.reply));
}

/* ---- the host's programs --------------------------------------------------------------------- */

static void host_read(struct slot *s, size_t max)
{
	static uint8_t buf[sizeof(block)];
	ssize_t n = recv(s->fd, buf, MIN(max, sizeof(buf)), 0);

	for (ssize_t i = 0; i < n; i++) {
		CHECK(buf[i] == (uint8_t)(s->heard * 11 >> 2));
		s->heard++;
	}
	CHECK(n <= 0 || s->heard <= s->said);
}

static void host_step(const uint8_t *p)
{
	struct slot *s = &slots[p[1] % SLOTS];
	uint16_t len = get_le16(p + 4);

	if (s->fd < 0)
		return;
	switch (p[2] % 5) {
	case 0:
	case 1:
		host_read(s, len);
		break;
	case 2:
		for (unsigned int i = 0; i < len; i++)
			block[i] = (uint8_t)((s->wrote + i) * 13 >> 3);
		ssize_t n = send(s->fd, block, len, MSG_NOSIGNAL);
		s->wrote += n > 0 ? (uint32_t)n : 0;
		break;
	case 3:
		shutdown(s->fd, (int)p[3] % 2 ? SHUT_WR : SHUT_RD);
		break;
	default:
		close(s->fd);
		s->fd = -1;
	}
}

/* Its greeting is: only data is left to read. */
static void answered(struct slot *s)
{
	char line[32];
	ssize_t n = s->fd >= 0 ? recv(s->fd, line, sizeof(line), 0) : 0;

	CHECK(s->fd < 0 || (n > 3 && memcmp(line, "OK ", 3) == 0 && line[n - 1] == '\n'));
}

/* "CONNECT port", whole or in two, and now and then something else. The guest answers as it likes;
 * an answer of ours is read here, so that only data is counted. */
static void host_connects(const uint8_t *p)
{
	char line[64];
	int fd = pair();

	if (fd < 0)
		return;
	struct slot *s = NULL;
	for (unsigned int i = 0; i < SLOTS; i++)
		s = slots[i].theirs == fd ? &slots[i] : s;
	int len = snprintf(line, sizeof(line), p[3] & 1 ? "CONNECT %u\n" : "connect %u\n",
			   (unsigned int)p[2] % 8);
	unsigned int part = p[3] & 2 ? (unsigned int)p[4] % (unsigned int)len : 0;
	CHECK(send(s->fd, line, part, MSG_NOSIGNAL) == (ssize_t)part);
	vsock_accept(&hub, fd);
	if (part && watched[fd].c)
		vsock_conn_ready(watched[fd].c, EPOLLIN);
	if (watched[fd].c && send(s->fd, line + part, (size_t)len - part, MSG_NOSIGNAL) > 0)
		vsock_conn_ready(watched[fd].c, EPOLLIN);
	collect();
	struct vsock_conn *c = s->theirs >= 0 ? watched[fd].c : NULL;
	if (!c || c->state != VSOCK_CONNECTING || (p[3] & 4))
		return;
	/* The guest is asked, and accepts. */
	struct virtio_vsock_hdr hdr;
	struct iovec iov = { block, 1 };
	while (vsock_has_due(&hub) && (c->want & VSOCK_WANT_REQUEST) &&
	       vsock_to_guest(&hub, &iov, 1, &hdr)) {
		if (le16toh(hdr.op) == VIRTIO_VSOCK_OP_RW) { /* another's byte */
			struct vsock_conn *o =
				vsock_hub_find(&hub, le32toh(hdr.dst_port), le32toh(hdr.src_port));
			slot_of(o)->got += le32toh(hdr.len);
		}
		iov = (struct iovec){ block, 1 };
	}
	const struct virtio_vsock_hdr answer = { .src_cid = CID,
						 .dst_cid = VSOCK_HOST_CID,
						 .src_port = c->guest_port,
						 .dst_port = c->host_port,
						 .type = VIRTIO_VSOCK_TYPE_STREAM,
						 .op = VIRTIO_VSOCK_OP_RESPONSE,
						 .buf_alloc = get_le32(p + 8) };
	vsock_from_guest(&hub, &answer, NULL, 0);
	answered(s);
}

/* ---- the guest ------------------------------------------------------------------------------- */

static void guest_packet(const uint8_t *p)
{
	uint32_t guest_port = p[1] & 7, host_port = p[1] >> 3 & 7;
	struct vsock_conn *c = NULL;
	struct iovec iov[2];
	uint16_t len = get_le16(p + 4);

	/* A connection by its slot, or ports out of the blue. */
	if (p[3] & 0x80) {
		const struct slot *s = &slots[p[1] % SLOTS];
		c = s->theirs >= 0 ? watched[s->theirs].c : NULL;
		c = c && (c->state == VSOCK_OPEN || c->state == VSOCK_CONNECTING) ? c : NULL;
	}
	if (c) {
		guest_port = c->guest_port;
		host_port = c->host_port;
	} else {
		c = vsock_hub_find(&hub, guest_port, host_port);
	}
	struct virtio_vsock_hdr hdr = { .src_cid = p[6] & 0x40 ? CID + 1 : CID,
					.dst_cid = p[6] & 0x20 ? 7 : VSOCK_HOST_CID,
					.src_port = guest_port,
					.dst_port = host_port,
					.len = len,
					.type = p[6] & 0x10 ? p[7] : VIRTIO_VSOCK_TYPE_STREAM,
					.op = p[2] % 10,
					.flags = p[3] & 0x7f,
					.buf_alloc = get_le32(p + 8),
					.fwd_cnt = get_le32(p + 12) };
	struct slot *s = c ? slot_of(c) : NULL;
	if (c && (p[6] & 1)) /* what an honest one would say */
		hdr.fwd_cnt = s->got;
	int fd = c ? c->fd : -1;
	bool asked = c && c->state == VSOCK_CONNECTING;
	for (unsigned int i = 0; i < len; i++)
		block[i] = s ? (uint8_t)((s->said + i) * 11 >> 2) : 0;
	iov[0] = (struct iovec){ block, len / 3 };
	iov[1] = (struct iovec){ block + len / 3, len - len / 3 };
	if (!vsock_can_take(&hub))
		return;
	vsock_from_guest(&hub, &hdr, iov, 2);
	/* Taken, if it did not end the connection. */
	bool lives = fd >= 0 && watched[fd].c == c && c->state == VSOCK_OPEN;
	if (lives && asked)
		answered(s);
	else if (lives && hdr.op == VIRTIO_VSOCK_OP_RW && hdr.src_cid == CID &&
		 hdr.dst_cid == VSOCK_HOST_CID && hdr.type == VIRTIO_VSOCK_TYPE_STREAM)
		s->said += len;
}

static void guest_takes(const uint8_t *p)
{
	for (unsigned int i = 0; i < 1u + p[1] % 64 && vsock_has_due(&hub); i++) {
		uint32_t room = 1u + get_le16(p + 4) % 8192;
		struct iovec iov[2] = { { block, room / 2 },
					{ block + room / 2, room - room / 2 } };
		struct virtio_vsock_hdr h;

		if (!vsock_to_guest(&hub, iov, 2, &h))
			break;
		CHECK(le32toh(h.len) <= room && le64toh(h.dst_cid) == CID);
		CHECK(h.len == 0 || le16toh(h.op) == VIRTIO_VSOCK_OP_RW);
		if (le16toh(h.op) != VIRTIO_VSOCK_OP_RW)
			continue;
		const struct vsock_conn *c =
			vsock_hub_find(&hub, le32toh(h.dst_port), le32toh(h.src_port));
		CHECK(c && h.len > 0 && c->tx_cnt - c->passed <= c->credit);
		struct slot *s = slot_of(c);
		for (unsigned int k = 0; k < le32toh(h.len); k++, s->got++)
			CHECK(block[k] == (uint8_t)(s->got * 13 >> 3));
		CHECK(s->got <= s->wrote);
	}
}

/* ---- time ------------------------------------------------------------------------------------ */

static void socket_event(const uint8_t *p)
{
	const struct slot *s = &slots[p[1] % SLOTS];
	struct vsock_conn *c = s->theirs >= 0 ? watched[s->theirs].c : NULL;

	if (!c || watched[s->theirs].events == 0)
		return;
	struct pollfd f = { .fd = s->theirs, .events = (short)(watched[s->theirs].events & 0x3ff) };
	if (poll(&f, 1, 0) > 0)
		vsock_conn_ready(c, (uint32_t)f.revents);
}

static void alarm_event(const uint8_t *p)
{
	const struct slot *s = &slots[p[1] % SLOTS];

	if (s->theirs >= 0 && watched[s->theirs].alarm)
		vsock_conn_alarm(watched[s->theirs].c);
}

static void one_step(const uint8_t *p)
{
	switch (p[0] % 8) {
	case 0:
	case 1:
		guest_packet(p);
		break;
	case 2:
		guest_takes(p);
		break;
	case 3:
		host_step(p);
		break;
	case 4:
		host_connects(p);
		break;
	case 5:
	case 6:
		socket_event(p);
		break;
	default:
		if (p[2] == 0) {
			vsock_hub_drop(&hub);
			CHECK(hub.n_conns == 0 && !vsock_has_due(&hub));
		} else if (p[2] & 1) {
			alarm_event(p);
		} else {
			vsock_hub_pause(&hub);
			vsock_hub_resume(&hub);
		}
	}
	collect();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	vsock_hub_init(&hub, CID, &ops);
	for (unsigned int i = 0; i < SLOTS; i++)
		slots[i] = (struct slot){ .fd = -1, .theirs = -1 };
	for (; size >= STEP; data += STEP, size -= STEP) {
		one_step(data);
		/* A program that is gone, and so is its connection: the next may come. */
		for (unsigned int i = 0; i < SLOTS; i++) {
			if (slots[i].theirs < 0 && slots[i].fd >= 0) {
				host_read(&slots[i], sizeof(block));
				close(slots[i].fd);
				slots[i].fd = -1;
			}
		}
	}
	/* Nothing that was accepted is lost while somebody reads: what is still kept comes. */
	for (unsigned int i = 0; i < SLOTS; i++) {
		struct slot *s = &slots[i];

		for (unsigned int k = 0; k < 200 && s->fd >= 0 && s->theirs >= 0; k++) {
			struct vsock_conn *c = watched[s->theirs].c;
			bool last = c->fill == 0;

			host_read(s, sizeof(block));
			if (last && !(c->host_shut & VIRTIO_VSOCK_SHUTDOWN_RCV))
				CHECK(s->heard == s->said);
			if (last)
				break;
			vsock_conn_ready(c, EPOLLOUT);
			collect();
		}
	}
	vsock_hub_drop(&hub);
	CHECK(hub.n_conns == 0);
	for (unsigned int i = 0; i < SLOTS; i++)
		if (slots[i].fd >= 0)
			close(slots[i].fd);
	return 0;
}
