// SPDX-License-Identifier: GPL-2.0-or-later
// The device's side of a virtqueue: split and packed rings (VIRTIO 1.2 2.7, 2.8) behind one bounded
// interface. A device pops buffers, serves them, pushes them back and flushes:
//
//	vq_kick_disable(q);
//	do {
//		while ((r = vq_pop(q, &e)) > 0) {
//			... e.iov[0 .. n_out) to read, then n_in segments to write ...
//			vq_push(q, &e, bytes_written);
//		}
//		vq_flush(q);
//	} while (vq_kick_enable(q));
//
// The driver is hostile: every index, length and address is read once and checked before it is
// used. What is wrong breaks the queue: it is told to q->broken_fn once, and from then on vq_pop()
// returns -EIO; the device needs a reset.
//
// Threads: regs belong to the transport, under the machine lock, while the queue is stopped. From
// vq_start() to vq_stop() the queue belongs to one thread at a time, the device's io thread, which
// takes no lock; call_fd may be changed under it at any time.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "core/cc.h"
#include "core/gmem.h"

VV_BEGIN_DECLS

#define VQ_SIZE_MAX 32768

struct vq;

/* What the driver programmed; frozen once `enabled`. */
struct vq_regs {
	uint16_t size; /* entries */
	bool enabled;
	uint64_t desc;	 /* gpa of the descriptor table (split) or ring (packed) */
	uint64_t driver; /* gpa of the available ring, or the driver's event suppression */
	uint64_t device; /* gpa of the used ring, or the device's event suppression */
};

/* One buffer of the driver's. */
struct vq_elem {
	/* Filled by the caller before vq_pop(): room for the segments. A buffer that has more
	 * breaks the queue: give as much as the device promises (seg_max), or VQ_SEGS. */
	struct iovec *iov;
	uint32_t iov_max;
	/* Filled by vq_pop(): segments the device reads, then those it writes. */
	uint32_t n_out, n_in;
	uint32_t out_len, in_len; /* bytes in them */

	uint16_t id;	 /* vq's own, as the next two */
	uint16_t n_desc; /* entries of the ring it occupies */
	uint16_t seq;	 /* order of the pop */
};

/* Segments that no driver we know exceeds, where a device promises nothing. */
#define VQ_SEGS 1024

struct vq_ops; /* split or packed; vq_int.h */

struct vq {
	struct vq_regs regs;
	uint16_t max; /* largest regs.size; 0: the queue does not exist */
	uint16_t index;
	int kick_fd; /* eventfd, blocking: the driver made buffers available; owned by virtio */
	int call_fd; /* eventfd to signal the driver with, -1: nobody listens; atomic, borrowed */
	void (*broken_fn)(struct vq *q, const char *why); /* from the queue's thread; may be NULL */
	void *opaque;					  /* for broken_fn */

	/* While started. Host addresses of the three areas: for vhost, too. */
	const struct vq_ops *ops; /* NULL: stopped */
	const struct gmem_snap *mem;
	uint8_t *desc, *driver, *device;
	uint16_t size;
	bool event_idx, indirect, in_order;
	bool broken;
	struct vq_done *done; /* in order: what is finished out of order; `size`, owned */

	/* Positions, kept over stop and start; vq_reset() clears them. */
	uint16_t avail_idx, used_idx; /* split: free running; packed: < size */
	bool avail_wrap, used_wrap;   /* packed */
	uint16_t inflight;	      /* ring entries popped and not pushed */
	uint16_t pop_seq, push_seq;   /* in order */
	uint16_t signalled;	      /* used_idx at the last decision to signal */
	bool signalled_valid;
	uint16_t staged;       /* pushed, not flushed */
	uint16_t staged_idx;   /* packed: position and flags of the first staged one, */
	uint16_t staged_flags; /* which is written last */
};

/* Power-on: registers and positions. Stopped queues only. */
void vq_reset(struct vq *q);
/* Checks and freezes regs; `features` are those negotiated. `mem` is borrowed until vq_stop().
 * -EINVAL with a reason in *ret_why (static): size, alignment, or an area outside RAM. -ENOMEM. */
int vq_start(struct vq *q, const struct gmem_snap *mem, uint64_t features, const char **ret_why);
/* Nothing may be popped and neither pushed nor unpopped by then; what was pushed is flushed. */
void vq_stop(struct vq *q);

/* 1: a buffer; 0: none now; -EIO: the queue is broken. */
int vq_pop(struct vq *q, struct vq_elem *e);
/* Gives back what was popped last (and, repeated, what was before it), unserved. */
void vq_unpop(struct vq *q, const struct vq_elem *e);
/* Done with it, `written` bytes put into the segments to write. Seen by the driver after
 * vq_flush(); buffers flushed together become visible together (mergeable receive buffers). With
 * in-order negotiated, not before all popped earlier. */
void vq_push(struct vq *q, const struct vq_elem *e, uint32_t written);
/* Publishes what was pushed and signals the driver if it wants to know. */
void vq_flush(struct vq *q);
/* Asks the driver not to kick / to kick again. The latter is true if buffers came in between: they
 * have to be served, no kick may come for them. */
void vq_kick_disable(struct vq *q);
bool vq_kick_enable(struct vq *q);
/* Is there something to pop? Does not look at what it is. */
bool vq_pending(const struct vq *q);
/* Breaks the queue: the device found something wrong with a buffer. `why` is static. */
void vq_break(struct vq *q, const char *why);
/* The driver's signal is due whatever it asked for: after a state was restored. */
void vq_signal(struct vq *q);

/* A ring that is served elsewhere (vhost): the position to hand over and to take back, as
 * VHOST_SET_VRING_BASE and VHOST_GET_VRING_BASE have it. Started queues, nothing in flight. */
uint32_t vq_base(const struct vq *q);
void vq_set_base(struct vq *q, uint32_t base);

/* Copies between a flat buffer and segments, from byte `off` of them on; the bytes copied, less
 * than `len` where the segments end. */
size_t iov_get(const struct iovec *iov, unsigned int n, size_t off, void *buf, size_t len);
size_t iov_put(const struct iovec *iov, unsigned int n, size_t off, const void *buf, size_t len);
/* Drops the first `len` bytes: advances *iov and *n, changes the first segment left. */
void iov_skip(struct iovec **iov, unsigned int *n, size_t len);
size_t iov_len(const struct iovec *iov, unsigned int n);
/* The first `max` bytes of the segments, which are shortened; how many segments that is. */
unsigned int iov_cut(struct iovec *iov, unsigned int n, size_t max);

VV_END_DECLS
