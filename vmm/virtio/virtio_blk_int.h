// SPDX-License-Identifier: GPL-2.0-or-later
// Between virtio-blk's halves: virtio_blk.c is the device under the machine lock, virtio_blk_req.c
// serves its queues in the I/O threads.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "vmm/backend/blockdev.h"
#include "vmm/virtio/iothread.h"
#include "vmm/virtio/virtio.h"

VV_BEGIN_DECLS

#define BLK_SEG_MAX	  254u	    /* data segments of a request; two more frame it */
#define BLK_RANGES_MAX	  16u	    /* ranges of a discard or write-zeroes request */
#define BLK_RANGE_SECTORS 0x400000u /* sectors in one of them: 2 GiB */
#define BLK_ID_BYTES	  20

struct virtio_blk;
struct blk_req;

/* A queue's data plane; its thread's, once begun. */
struct blk_queue {
	struct virtio_blk *s; /* borrowed, as the next two */
	struct vq *vq;
	struct iothread *io;
	struct iothread_fd kick;
	struct iothread_job flush;
	struct list idle; /* struct blk_req: allocated, not in use */
	unsigned int n_reqs;
	bool stopping;
	bool again; /* there may be more that no kick comes for: at the next flush */
};

struct virtio_blk {
	struct virtio_dev vd; /* first */
	struct blockdev *disk;
	uint32_t logical, physical; /* block sizes as the guest has them, bytes */
	uint8_t serial[BLK_ID_BYTES];
	struct iothread **io; /* n_threads, owned */
	unsigned int n_threads, n_queues;
	struct blk_queue *q;	    /* n_queues, owned */
	bool write_through;	    /* atomic: a write is on the disk when it is answered */
	bool can_discard, can_zero; /* negotiated */
};

/* Bytes the guest has. */
static inline uint64_t blk_size(const struct virtio_blk *s)
{
	return ALIGN_DOWN(blockdev_size(s->disk), (uint64_t)s->logical);
}

int blk_queues_open(struct virtio_blk *s, struct verr *reterr);
void blk_queues_close(struct virtio_blk *s); /* none begun; twice is fine */

/* In the queue's thread. */
int blk_queue_begin(struct blk_queue *q);
void blk_queue_stop(struct blk_queue *q); /* no new requests; then drain the thread */
void blk_queue_end(struct blk_queue *q);

VV_END_DECLS
