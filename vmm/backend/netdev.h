// SPDX-License-Identifier: GPL-2.0-or-later
// Networks: what --netdev makes and a device's netdev= names. A network is one descriptor a queue
// that Ethernet frames are read from and written to; the device does that itself, in its I/O
// threads. Under the machine lock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "vmm/backend/backends.h"

VV_BEGIN_DECLS

#define NETDEV_QUEUES_MAX 64

/* Largest frame, segmentation offload and VLAN tag counted: 64 KiB of IP, and Ethernet's header. */
#define NETDEV_FRAME_MAX (65535u + 18u)
/* struct virtio_net_hdr_v1, before each frame where `vnet_hdr`. */
#define NETDEV_HDR 12u

/* Offloads, as TUNSETOFFLOAD numbers them; the last two are newer than the oldest headers. */
#define NETDEV_USO4 0x20u
#define NETDEV_USO6 0x40u

/* Bytes read at once from a stream. */
#define NETDEV_STREAM 262144u

struct netdev;

/* Where a stream is between two frames: it has to outlive whoever reads and writes it. */
struct netdev_stream {
	size_t at, fill;	 /* of buf: read, not used yet */
	size_t out_at, out_fill; /* of out: the rest of a frame, not written yet */
	uint8_t buf[NETDEV_STREAM];
	uint8_t out[4 + NETDEV_FRAME_MAX];
};

struct netdev_ops {
	/* Frames to the guest may be as these TUN_F_* say, of nd->offloads. NULL: none ever. */
	int (*set_offload)(struct netdev *nd, unsigned int offloads);
	/* The first `n` queues are used from now on. NULL: there is but one. */
	int (*set_queues)(struct netdev *nd, unsigned int n);
};

struct netdev {
	struct backend b; /* first */
	const struct netdev_ops *ops;
	unsigned int n_queues;	   /* 1..NETDEV_QUEUES_MAX */
	int fd[NETDEV_QUEUES_MAX]; /* owned, never block; -1 where there is none (dry run) */
	/* A read or write is one frame, after a header if `vnet_hdr`. Or `stream`: frames each
	 * after their length in four bytes, big endian; end of it is the end of the network. */
	bool vnet_hdr;
	struct netdev_stream *stream;	 /* owned; NULL: none */
	unsigned int offloads;		 /* TUN_F_* and NETDEV_* it knows; 0 without vnet_hdr */
	bool vhost;			 /* the kernel is to move the frames: */
	int vhost_fd[NETDEV_QUEUES_MAX]; /* one a queue, owned, -1: open /dev/vhost-net */
	char name[64];			 /* "tap0", for messages */
};

extern const struct backend_type net_tap_type, net_user_type;

static inline struct netdev *netdev_of(struct backend *b)
{
	return container_of(b, struct netdev, b);
}

/* For the types: all descriptors -1; and closes those that are not. */
void netdev_init(struct netdev *nd, const struct netdev_ops *ops);
void netdev_fini(struct netdev *nd);

VV_END_DECLS
