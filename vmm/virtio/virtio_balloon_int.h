// SPDX-License-Identifier: GPL-2.0-or-later
// What the two halves of virtio-balloon share: virtio_balloon.c is the device under the machine
// lock, virtio_balloon_q.c its queues in the I/O thread.
#pragma once

#include <linux/virtio_balloon.h>

#include "vmm/virtio/iothread.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtio_balloon.h"

VV_BEGIN_DECLS

/* Free-page reports come on queue 4, as the standard has it, and on queue 3 from a Linux that
 * counts the queues it uses: the one that the standard has there, for hints, is not offered. */
enum { BAL_INFLATE, BAL_DEFLATE, BAL_STATS, BAL_REPORT_LINUX, BAL_REPORT, BAL_QUEUES };

struct virtio_balloon;

struct bal_queue {
	struct iothread_fd kick;
	struct virtio_balloon *s;
	unsigned int index;
};

struct virtio_balloon {
	struct virtio_dev vd;
	struct iothread *io; /* NULL in a plan */
	struct gmem_giver giver;
	uint64_t target; /* bytes taken from the guest when it has done as asked */

	/* The thread's; from outside by iothread_call(). */
	struct bal_queue q[BAL_QUEUES];
	struct iovec iov[VQ_SEGS];
	bool held;	      /* RAM is pinned: nothing is given back */
	bool have_stats;      /* a buffer to ask for statistics with: */
	struct vq_elem stats; /* that one */
	bool known[BALLOON_STATS];
	uint64_t stat[BALLOON_STATS];
	uint64_t stats_at; /* CLOCK_MONOTONIC, ms; 0: never */
};

/* In the thread. */
int bal_begin(struct virtio_balloon *s); /* started queues only; on failure bal_end() */
void bal_end(struct virtio_balloon *s);
void bal_ask_stats(struct virtio_balloon *s);
uint64_t bal_now_ms(void);

VV_END_DECLS
