// SPDX-License-Identifier: GPL-2.0-or-later
// Queues: what split and packed rings have in common. Owns positions, bounds and the decision to
// signal; knows neither what a device does with a buffer nor which transport it sits on.
#define LOG_TAG "virtio/vq"
#include "vmm/virtio/vq.h"

#include <assert.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "core/trace.h"
#include "vmm/virtio/vq_int.h"

void vq_reset(struct vq *q)
{
	assert(!q->ops);
	q->regs = (struct vq_regs){ .size = q->max };
	q->avail_idx = q->used_idx = 0;
	q->avail_wrap = q->used_wrap = true;
	q->inflight = q->pop_seq = q->push_seq = q->staged = 0;
	q->signalled = 0;
	q->signalled_valid = false;
	q->broken = false;
	__atomic_store_n(&q->call_fd, -1, __ATOMIC_RELEASE);
}

/* ---- start and stop -------------------------------------------------------------------------- */

static const char *check_layout(struct vq *q)
{
	const struct vq_regs *g = &q->regs;
	uint64_t len[3];

	if (g->size == 0 || g->size > q->max)
		return "its size is out of range";
	if (q->ops == &vq_split_ops && !IS_POW2(g->size))
		return "the size of a split ring is a power of two";
	if (!IS_ALIGNED(g->desc, q->ops->desc_align) ||
	    !IS_ALIGNED(g->driver, q->ops->driver_align) ||
	    !IS_ALIGNED(g->device, q->ops->device_align))
		return "a ring address is not aligned";
	q->size = g->size;
	q->ops->areas(q, len);
	q->desc = gmem_snap_ptr(q->mem, g->desc, len[0]);
	q->driver = gmem_snap_ptr(q->mem, g->driver, len[1]);
	q->device = gmem_snap_ptr(q->mem, g->device, len[2]);
	if (!q->desc || !q->driver || !q->device)
		return "a ring is not in RAM";
	return NULL;
}

int vq_start(struct vq *q, const struct gmem_snap *mem, uint64_t features, const char **ret_why)
{
	assert(!q->ops && q->inflight == 0);
	q->ops = features & BIT64(VIRTIO_F_RING_PACKED) ? &vq_packed_ops : &vq_split_ops;
	q->mem = mem;
	q->event_idx = (features & BIT64(VIRTIO_RING_F_EVENT_IDX)) != 0;
	q->indirect = (features & BIT64(VIRTIO_RING_F_INDIRECT_DESC)) != 0;
	q->in_order = (features & BIT64(VIRTIO_F_IN_ORDER)) != 0;
	const char *why = check_layout(q);
	if (why) {
		q->ops = NULL;
		*ret_why = why;
		return -EINVAL;
	}
	if (q->in_order) {
		q->done = calloc(q->size, sizeof(*q->done));
		if (!q->done) {
			q->ops = NULL;
			*ret_why = "out of memory";
			return -ENOMEM;
		}
	}
	q->pop_seq = q->push_seq = 0;
	return 0;
}

void vq_stop(struct vq *q)
{
	if (!q->ops)
		return;
	if (!q->broken)
		vq_flush(q);
	/* A broken queue is only ever reset. */
	assert(q->inflight == 0 || q->broken);
	q->inflight = 0;
	q->ops = NULL;
	q->mem = NULL;
	free(q->done);
	q->done = NULL;
}

void vq_break(struct vq *q, const char *why)
{
	if (q->broken)
		return;
	q->broken = true;
	T(vq_break, (unsigned int)q->index, why);
	if (q->broken_fn)
		q->broken_fn(q, why);
}

/* ---- buffers --------------------------------------------------------------------------------- */

void vq_elem_init(struct vq_elem *e)
{
	e->n_out = e->n_in = 0;
	e->out_len = e->in_len = 0;
	e->n_desc = 0;
}

bool vq_elem_add(struct vq *q, struct vq_elem *e, uint64_t gpa, uint32_t len, bool writable)
{
	uint32_t *total = writable ? &e->in_len : &e->out_len;

	if (len == 0) {
		vq_break(q, "a buffer segment is empty");
		return false;
	}
	if (!writable && e->n_in > 0) {
		vq_break(q, "a segment to read follows one to write");
		return false;
	}
	if (__builtin_add_overflow(*total, len, total)) {
		vq_break(q, "a buffer is larger than 4 GiB");
		return false;
	}
	for (uint64_t rest = len; rest > 0;) {
		uint64_t n = 0;
		void *p = gmem_snap_at(q->mem, gpa, rest, &n);

		if (!p) {
			vq_break(q, "a buffer is not in RAM");
			return false;
		}
		if (e->n_out + e->n_in >= e->iov_max) {
			vq_break(q, "a buffer has more segments than the device takes");
			return false;
		}
		e->iov[e->n_out + e->n_in] = (struct iovec){ p, n };
		if (writable)
			e->n_in++;
		else
			e->n_out++;
		rest -= n;
		gpa += n; /* wraps only where there is no RAM */
	}
	return true;
}

const uint8_t *vq_indirect(struct vq *q, uint64_t gpa, uint32_t len, uint32_t *ret_n)
{
	const uint8_t *p = NULL;

	if (!q->indirect)
		vq_break(q, "an indirect descriptor, which was not negotiated");
	else if (len == 0 || len % sizeof(struct vring_desc) != 0)
		vq_break(q, "an indirect table is not made of whole descriptors");
	else if (len / sizeof(struct vring_desc) > VQ_SIZE_MAX)
		vq_break(q, "an indirect table is longer than any queue");
	else if (!(p = gmem_snap_ptr(q->mem, gpa, len)))
		vq_break(q, "an indirect table is not in RAM");
	*ret_n = len / sizeof(struct vring_desc);
	return p;
}

bool vq_pending(const struct vq *q)
{
	return q->ops && !q->broken && q->ops->pending(q);
}

int vq_pop(struct vq *q, struct vq_elem *e)
{
	if (q->broken)
		return -EIO;
	int r = q->ops->pop(q, e);
	if (q->broken)
		return -EIO;
	if (r <= 0)
		return r;
	q->inflight += e->n_desc;
	e->seq = q->pop_seq++;
	T(vq_pop, (unsigned int)q->index, (unsigned int)e->id, e->out_len, e->in_len);
	return 1;
}

void vq_unpop(struct vq *q, const struct vq_elem *e)
{
	if (q->broken)
		return;
	assert(q->inflight >= e->n_desc);
	q->ops->unpop(q, e);
	q->inflight -= e->n_desc;
	q->pop_seq--;
}

static void stage(struct vq *q, uint16_t id, uint16_t n_desc, uint32_t written)
{
	q->ops->stage(q, id, n_desc, written);
	q->staged++;
	q->inflight -= n_desc;
}

void vq_push(struct vq *q, const struct vq_elem *e, uint32_t written)
{
	if (q->broken)
		return;
	assert(q->inflight >= e->n_desc);
	T(vq_push, (unsigned int)q->index, (unsigned int)e->id, written);
	if (!q->in_order) {
		stage(q, e->id, e->n_desc, written);
		return;
	}
	/* No more than `size` are in flight: a slot is free when its turn comes. */
	q->done[e->seq % q->size] = (struct vq_done){ e->id, e->n_desc, written, true };
	for (struct vq_done *d; (d = &q->done[q->push_seq % q->size])->done; q->push_seq++) {
		d->done = false;
		stage(q, d->id, d->n_desc, d->written);
	}
}

void vq_signal(struct vq *q)
{
	int fd = __atomic_load_n(&q->call_fd, __ATOMIC_ACQUIRE);

	if (fd >= 0)
		sys_event_signal(fd);
}

void vq_flush(struct vq *q)
{
	if (q->broken || q->staged == 0)
		return;
	q->ops->publish(q);
	q->staged = 0;
	/* Publish before looking whether the driver wants to know: it does the reverse. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (q->ops->wants_signal(q))
		vq_signal(q);
}

void vq_kick_disable(struct vq *q)
{
	if (!q->broken)
		q->ops->kick_set(q, false);
}

bool vq_kick_enable(struct vq *q)
{
	if (q->broken)
		return false;
	q->ops->kick_set(q, true);
	/* Ask before looking: the driver adds before it looks whether it was asked. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return q->ops->pending(q);
}

/* ---- vhost ----------------------------------------------------------------------------------- */

uint32_t vq_base(const struct vq *q)
{
	if (q->ops == &vq_split_ops)
		return q->avail_idx;
	return (uint32_t)(q->avail_idx | q->avail_wrap << 15) |
	       (uint32_t)(q->used_idx | q->used_wrap << 15) << 16;
}

void vq_set_base(struct vq *q, uint32_t base)
{
	assert(q->inflight == 0);
	q->signalled_valid = false;
	if (q->ops == &vq_split_ops) {
		q->avail_idx = (uint16_t)base;
		q->used_idx =
			vq_load16(&((struct vring_used *)(void *)q->device)->idx, __ATOMIC_ACQUIRE);
		return;
	}
	q->avail_idx = base & 0x7fff;
	q->avail_wrap = (base >> 15 & 1) != 0;
	q->used_idx = base >> 16 & 0x7fff;
	q->used_wrap = base >> 31 != 0;
	if (q->avail_idx >= q->size || q->used_idx >= q->size)
		vq_break(q, "the back end left an impossible position");
}

/* ---- segments -------------------------------------------------------------------------------- */

static size_t iov_copy(const struct iovec *iov, unsigned int n, size_t off, void *buf, size_t len,
		       bool put)
{
	size_t done = 0;

	for (unsigned int i = 0; i < n && done < len; i++) {
		if (off >= iov[i].iov_len) {
			off -= iov[i].iov_len;
			continue;
		}
		size_t k = MIN(len - done, iov[i].iov_len - off);
		char *seg = (char *)iov[i].iov_base + off;

		if (put)
			memcpy(seg, (const char *)buf + done, k);
		else
			memcpy((char *)buf + done, seg, k);
		done += k;
		off = 0;
	}
	return done;
}

size_t iov_get(const struct iovec *iov, unsigned int n, size_t off, void *buf, size_t len)
{
	return iov_copy(iov, n, off, buf, len, false);
}

size_t iov_put(const struct iovec *iov, unsigned int n, size_t off, const void *buf, size_t len)
{
	return iov_copy(iov, n, off, (void *)(uintptr_t)buf, len, true);
}

void iov_skip(struct iovec **iov, unsigned int *n, size_t len)
{
	while (len > 0 && *n > 0) {
		struct iovec *v = *iov;

		if (len < v->iov_len) {
			v->iov_base = (char *)v->iov_base + len;
			v->iov_len -= len;
			return;
		}
		len -= v->iov_len;
		(*iov)++;
		(*n)--;
	}
}

size_t iov_len(const struct iovec *iov, unsigned int n)
{
	size_t sum = 0;

	for (unsigned int i = 0; i < n; i++)
		sum += iov[i].iov_len;
	return sum;
}

unsigned int iov_cut(struct iovec *iov, unsigned int n, size_t max)
{
	for (unsigned int i = 0; i < n; i++) {
		iov[i].iov_len = MIN(iov[i].iov_len, max);
		max -= iov[i].iov_len;
		if (max == 0)
			return i + 1;
	}
	return n;
}
