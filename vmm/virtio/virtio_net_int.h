// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of virtio-net share: virtio_net.c has the device's life and configuration,
// virtio_net_features.c what it offers, virtio_net_ctrl.c the control queue, virtio_net_rx.c and
// virtio_net_tx.c move frames, or the kernel does, by virtio_net_vhost.c.
//
// A pair of queues is served in one I/O thread. The control queue is served by the main loop, under
// the machine lock: what it changes reaches the threads by iothread_call().
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "vmm/backend/netdev.h"
#include "vmm/virtio/iothread.h"
#include "vmm/virtio/net_filter.h"
#include "vmm/virtio/vhost.h"
#include "vmm/virtio/virtio.h"

VV_BEGIN_DECLS

/* Newer than the oldest headers we build with. */
#define NET_F_GUEST_USO4 54
#define NET_F_GUEST_USO6 55
#define NET_F_HOST_USO	 56

#define NET_SEGS   512u	 /* segments a driver's buffer may have */
#define NET_IOV	   1024u /* those of all at once: IOV_MAX */
#define NET_TX_MAX 64u	 /* frames written to a stream at once */

struct virtio_net;

struct net_rx {
	struct vq_elem *held; /* popped, waiting for a frame; room for held_max */
	unsigned int n_held, held_max;
	uint64_t cover;	   /* bytes in them */
	struct iovec *iov; /* their segments, NET_IOV */
	unsigned int n_iov;
	uint64_t want; /* bytes that the next frame may well have */
	uint8_t *buf;  /* for what held buffers do not take */
	size_t left;   /* a frame waits for buffers: its bytes in buf, from 0 on */
	size_t placed; /* and in the held ones */
	bool starved;  /* waits for buffers */
};

struct net_tx {
	struct vq_elem elem[NET_TX_MAX];
	uint8_t len[NET_TX_MAX][4]; /* stream: the frames' lengths */
	struct iovec *iov;	    /* NET_IOV */
	bool blocked;		    /* waits for the network to take more */
};

/* Frozen while it is begun, but for rx and tx, which are the thread's. */
struct net_pair {
	struct virtio_net *s; /* borrowed, as the next three */
	struct iothread *io;
	struct vq *rxq, *txq;	      /* ops NULL: the driver left it out */
	struct netdev_stream *stream; /* NULL: a read is a frame */
	int fd;
	bool begun, vnet_hdr, mergeable, guest_csum;
	struct iothread_fd rx_kick, tx_kick, net;
	struct net_filter filter;
	struct net_rx rx;
	struct net_tx tx;
	uint64_t rx_dropped, tx_dropped; /* frames; atomic: the thread counts, others look */
};

struct virtio_net {
	struct virtio_dev vd; /* first */
	struct netdev *net;
	struct vhost *vhost; /* one a pair, owned; NULL: frames are moved here */
	struct loop_fd end_src;
	struct iothread **io; /* n_threads, owned; none with vhost */
	unsigned int n_threads;
	struct net_pair *pair; /* net->n_queues, owned */
	unsigned int n_pairs;  /* that the driver uses; 1 at reset */
	struct net_mac mac;    /* at reset */
	struct net_filter filter;
	uint64_t offloads; /* guest offloads in use, as virtio feature bits */
	bool fresh;	   /* not activated since the reset */

	/* The control queue. */
	struct vq *ctrl; /* NULL: not in use */
	struct loop_fd ctrl_src;

	struct loop_job lost_job; /* the network ended */
	bool lost;		  /* it has: the link is down for good */
};

static inline void net_count(uint64_t *frames, unsigned int n)
{
	__atomic_store_n(frames, *frames + n, __ATOMIC_RELAXED);
}

/* The features that are guest offloads, for CTRL_GUEST_OFFLOADS. */
uint64_t net_guest_offloads(void);
/* Has the network do what the guest's features in `offloads` say. */
int net_set_offloads(struct virtio_net *s, uint64_t offloads);
/* The first n pairs are served from now on. */
int net_use_pairs(struct virtio_net *s, unsigned int n);
/* The filter reaches the pairs. */
void net_filter_changed(struct virtio_net *s);
/* The features it offers, beside the ring's. */
uint64_t net_features(const struct virtio_net *s, bool offloads, bool mtu);
/* An interface that was deleted refuses every call: the link goes down, and that is 0. */
int net_gone(struct virtio_net *s, int r);
/* Any thread: the network is gone. */
void net_lost(struct virtio_net *s);

/* The control queue, while the device is active. */
int net_ctrl_begin(struct virtio_net *s);
void net_ctrl_end(struct virtio_net *s); /* not begun: no effect */

/* vhost=on; no effect without. Closing: at any time, all pairs ended. */
int net_vhost_open(struct virtio_net *s, struct verr *reterr);
void net_vhost_close(struct virtio_net *s);
int net_vhost_watch(struct virtio_net *s); /* from activate on: does the network end? */
void net_call_changed(struct virtio_dev *vd, unsigned int q, int fd);
/* With vhost only. */
int net_vhost_begin(struct virtio_net *s, unsigned int pair);
void net_vhost_end(struct virtio_net *s, unsigned int pair);

/* In the pair's thread. */
int net_rx_begin(struct net_pair *p);
void net_rx_end(struct net_pair *p);
void net_rx_run(struct net_pair *p); /* takes what is there, until buffers run out */
int net_tx_begin(struct net_pair *p);
void net_tx_end(struct net_pair *p);
void net_tx_run(struct net_pair *p);
/* What of EPOLLIN and EPOLLOUT to wait for on the network's descriptor. */
void net_wait_for(struct net_pair *p, uint32_t events, bool on);

VV_END_DECLS
