// SPDX-License-Identifier: GPL-2.0-or-later
// The protocol of virtio-vsock (VIRTIO 1.2 5.10.6) in user space: streams between ports of the
// guest and UNIX sockets of the host, with credit both ways. Packets go in and out here;
// vsock_mux.c carries them through the queues and waits for the sockets.
//
// A host program that connects says "CONNECT PORT\n" and is answered "OK HOSTPORT\n" once the guest
// accepts; what the guest connects to is the UNIX socket that ops->connect() finds for a port.
//
// The guest is hostile: what is against the protocol ends that one connection with a RST. All that
// is kept for it is bounded: VSOCK_CONNS connections, VSOCK_BUF bytes each while the host's program
// reads slowly, VSOCK_REPLIES answers. One thread at a time; no function here waits.
#pragma once

#include <linux/virtio_vsock.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/list.h"
#include "vmm/virtio/iothread.h"

VV_BEGIN_DECLS

#define VSOCK_HOST_CID 2
#define VSOCK_CONNS    512	    /* connections, those that close counted */
#define VSOCK_BUF      (128u << 10) /* what the guest may have under way on each */
#define VSOCK_REPLIES  256	    /* answers due before the guest's packets have to wait */
#define VSOCK_HDR      ((unsigned int)sizeof(struct virtio_vsock_hdr))

/* Milliseconds: to say CONNECT and to be accepted by the guest; for the guest to acknowledge the
 * end; for a host program to read on after the guest is done. */
#define VSOCK_CONNECT_MS 10000
#define VSOCK_CLOSE_MS	 8000
#define VSOCK_DRAIN_MS	 30000

struct vsock_hub;

enum vsock_state {
	VSOCK_GREETING,	  /* a host program has not said yet where to */
	VSOCK_CONNECTING, /* the guest is being asked */
	VSOCK_OPEN,
	VSOCK_DRAINING, /* gone for the guest; the host's program reads on */
};

struct vsock_conn {
	struct vsock_hub *hub;
	struct list node;     /* in a bucket; in `others` while greeting or draining */
	struct list due_node; /* in hub->due while `due` */
	bool due;
	enum vsock_state state;
	uint32_t guest_port, host_port;
	int fd;				 /* owned */
	unsigned int want;		 /* packets to send: VSOCK_WANT_* */
	uint32_t guest_shut, host_shut;	 /* VIRTIO_VSOCK_SHUTDOWN_*, as each side said */
	bool readable;			 /* the socket, when last seen */
	bool asked;			 /* for credit */
	uint32_t rx_cnt, fwd_cnt, told;	 /* guest to host: taken, passed on, of which it knows */
	uint32_t tx_cnt, credit, passed; /* host to guest: sent, its buffer, what it passed on */
	uint8_t *buf;			 /* VSOCK_BUF, a ring; NULL while empty */
	uint32_t head, fill;
	char greet[32];
	unsigned int n_greet;
	/* The operations' own. */
	struct iothread_fd src;
	struct iothread_timer timer;
};

struct vsock_hub_ops {
	/* A connected, non-blocking socket of the host for that port, or -errno. */
	int (*connect)(struct vsock_hub *h, uint32_t port);
	/* From now on vsock_conn_ready() for these events (EPOLLIN, EPOLLOUT, VSOCK_HUP). */
	void (*watch)(struct vsock_conn *c, uint32_t events);
	/* vsock_conn_alarm() in so many milliseconds; 0: not any more. */
	void (*alarm)(struct vsock_conn *c, unsigned int ms);
	/* Neither of them any more. */
	void (*forget)(struct vsock_conn *c);
};

/* Nothing but that the other side is gone, which is told in any case. */
#define VSOCK_HUP 0x400u /* EPOLLMSG: no socket ever has it */

#define VSOCK_BUCKETS 64

struct vsock_hub {
	const struct vsock_hub_ops *ops;
	uint64_t cid; /* the guest's */
	struct list bucket[VSOCK_BUCKETS], others;
	struct list due; /* connections that may have a packet for the guest */
	unsigned int n_conns;
	uint32_t next_port;
	struct virtio_vsock_hdr reply[VSOCK_REPLIES + VSOCK_CONNS];
	unsigned int reply_head, n_replies;
};

void vsock_hub_init(struct vsock_hub *h, uint64_t cid, const struct vsock_hub_ops *ops);
/* All connections and answers; returns how many connections the guest knew of. */
unsigned int vsock_hub_drop(struct vsock_hub *h);
/* Calls forget() for all; and after that, watch() and alarm() again. */
void vsock_hub_pause(struct vsock_hub *h);
void vsock_hub_resume(struct vsock_hub *h);

static inline bool vsock_hub_full(const struct vsock_hub *h)
{
	return h->n_conns >= VSOCK_CONNS;
}
/* A host program connected; the descriptor is taken over in any case. */
void vsock_accept(struct vsock_hub *h, int fd);

/* False: not before the guest has taken some of the answers. */
static inline bool vsock_can_take(const struct vsock_hub *h)
{
	return h->n_replies < VSOCK_REPLIES;
}
/* A packet of the guest's; the n segments are its payload, of hdr->len bytes. */
void vsock_from_guest(struct vsock_hub *h, const struct virtio_vsock_hdr *hdr,
		      const struct iovec *iov, unsigned int n);

static inline bool vsock_has_due(const struct vsock_hub *h)
{
	return h->n_replies > 0 || !list_empty(&h->due);
}
/* The next packet for the guest: its header into *ret, hdr->len bytes into the n segments (changed
 * by this; at least a byte long). False: none after all. */
bool vsock_to_guest(struct vsock_hub *h, struct iovec *iov, unsigned int n,
		    struct virtio_vsock_hdr *ret);

/* These may end and free the connection. */
void vsock_conn_ready(struct vsock_conn *c, uint32_t events);
void vsock_conn_alarm(struct vsock_conn *c);

VV_END_DECLS
