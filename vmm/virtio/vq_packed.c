// SPDX-License-Identifier: GPL-2.0-or-later
// Packed rings (VIRTIO 1.2 2.8): one ring of descriptors, written by both sides, and an area each
// to say when to be notified.
#include <linux/virtio_ring.h>

#include "vmm/virtio/vq_int.h"

#define AVAIL (1U << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1U << VRING_PACKED_DESC_F_USED)

static void packed_areas(const struct vq *q, uint64_t ret_len[3])
{
	ret_len[0] = sizeof(struct vring_packed_desc) * (uint64_t)q->size;
	ret_len[1] = ret_len[2] = sizeof(struct vring_packed_desc_event);
}

static struct vring_packed_desc *desc_at(const struct vq *q, uint16_t i)
{
	return (struct vring_packed_desc *)(void *)q->desc + i;
}

/* Forward by n <= size entries; past the end the wrap counter turns. */
static void advance(const struct vq *q, uint16_t *idx, bool *wrap, uint16_t n)
{
	uint32_t to = (uint32_t)*idx + n;

	if (to >= q->size) {
		to -= q->size;
		*wrap = !*wrap;
	}
	*idx = (uint16_t)to;
}

static bool packed_pending(const struct vq *q)
{
	uint16_t flags = vq_load16(&desc_at(q, q->avail_idx)->flags, __ATOMIC_ACQUIRE);

	return !!(flags & AVAIL) == q->avail_wrap && !!(flags & USED) != q->avail_wrap;
}

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

static struct desc read_desc(const void *p)
{
	struct vq_raw r = vq_read_raw(p);

	return (struct desc){ .addr = r.addr,
			      .len = (uint32_t)r.rest,
			      .id = (uint16_t)(r.rest >> 32),
			      .flags = (uint16_t)(r.rest >> 48) };
}

/* VIRTIO 1.2 2.8.8: a table is used whole, entry after entry; of its flags only WRITE counts. */
static void walk_indirect(struct vq *q, struct vq_elem *e, uint64_t gpa, uint32_t len)
{
	uint32_t n = 0;
	const uint8_t *table = vq_indirect(q, gpa, len, &n);

	for (uint32_t i = 0; table && i < n; i++) {
		struct desc d = read_desc(table + sizeof(struct vring_packed_desc) * (uint64_t)i);

		if (!vq_elem_add(q, e, d.addr, d.len, (d.flags & VRING_DESC_F_WRITE) != 0))
			return;
	}
}

static int packed_pop(struct vq *q, struct vq_elem *e)
{
	uint16_t idx = q->avail_idx, n = 0;
	bool wrap = q->avail_wrap;
	struct desc d;

	if (!packed_pending(q))
		return 0;
	vq_elem_init(e);
	do {
		if (n == q->size - q->inflight) {
			vq_break(q, "a buffer has more descriptors than the ring has left");
			return -1;
		}
		d = read_desc(desc_at(q, idx));
		advance(q, &idx, &wrap, 1);
		n++;
		if (!(d.flags & VRING_DESC_F_INDIRECT)) {
			if (!vq_elem_add(q, e, d.addr, d.len, (d.flags & VRING_DESC_F_WRITE) != 0))
				return -1;
			continue;
		}
		if (n > 1 || (d.flags & VRING_DESC_F_NEXT)) {
			vq_break(q, "an indirect descriptor inside a chain");
			return -1;
		}
		walk_indirect(q, e, d.addr, d.len);
	} while (d.flags & VRING_DESC_F_NEXT);
	e->id = d.id; /* the last one's counts (VIRTIO 1.2 2.8.6) */
	e->n_desc = n;
	q->avail_idx = idx;
	q->avail_wrap = wrap;
	return 1;
}

static void packed_unpop(struct vq *q, const struct vq_elem *e)
{
	if (q->avail_idx < e->n_desc) {
		q->avail_idx = (uint16_t)(q->avail_idx + q->size);
		q->avail_wrap = !q->avail_wrap;
	}
	q->avail_idx = (uint16_t)(q->avail_idx - e->n_desc);
}

/* The driver looks at one after the other and stops at the first that is not used: that one's
 * flags are written last, in publish. */
static void packed_stage(struct vq *q, uint16_t id, uint16_t n_desc, uint32_t written)
{
	struct vring_packed_desc *d = desc_at(q, q->used_idx);
	uint16_t flags = (uint16_t)((q->used_wrap ? AVAIL | USED : 0) |
				    (written > 0 ? VRING_DESC_F_WRITE : 0));

	__atomic_store_n(&d->len, written, __ATOMIC_RELAXED);
	vq_store16(&d->id, id);
	if (q->staged == 0) {
		q->staged_idx = q->used_idx;
		q->staged_flags = flags;
	} else {
		__atomic_store_n(&d->flags, flags, __ATOMIC_RELEASE);
	}
	advance(q, &q->used_idx, &q->used_wrap, n_desc);
}

static void packed_publish(struct vq *q)
{
	__atomic_store_n(&desc_at(q, q->staged_idx)->flags, q->staged_flags, __ATOMIC_RELEASE);
}

/* VIRTIO 1.2 2.8.10 */
static bool packed_wants_signal(struct vq *q)
{
	const struct vring_packed_desc_event *ev = (const void *)q->driver;
	uint16_t flags = vq_load16(&ev->flags, __ATOMIC_ACQUIRE) & 3;
	uint16_t old = q->signalled, now = q->used_idx;
	bool valid = q->signalled_valid;

	q->signalled = now;
	q->signalled_valid = true;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !q->event_idx)
		return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
	uint16_t where = vq_load16(&ev->off_wrap, __ATOMIC_RELAXED);
	uint16_t off = where & 0x7fff;

	/* As if positions never wrapped: `now` is ahead of `old`, the event in now's round or in
	 * the one before. */
	if (now <= old)
		old = (uint16_t)(old - q->size);
	if ((where >> 15 != 0) != q->used_wrap)
		off = (uint16_t)(off - q->size);
	return !valid || vq_need_event(off, now, old);
}

static void packed_kick_set(struct vq *q, bool on)
{
	struct vring_packed_desc_event *ev = (void *)q->device;
	uint16_t flags = VRING_PACKED_EVENT_FLAG_DISABLE;

	if (on && q->event_idx) {
		vq_store16(&ev->off_wrap, (uint16_t)(q->avail_idx | q->avail_wrap << 15));
		flags = VRING_PACKED_EVENT_FLAG_DESC;
	} else if (on) {
		flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	}
	__atomic_store_n(&ev->flags, flags, __ATOMIC_RELEASE);
}

const struct vq_ops vq_packed_ops = {
	.desc_align = 16,
	.driver_align = 4,
	.device_align = 4,
	.areas = packed_areas,
	.pending = packed_pending,
	.pop = packed_pop,
	.unpop = packed_unpop,
	.stage = packed_stage,
	.publish = packed_publish,
	.wants_signal = packed_wants_signal,
	.kick_set = packed_kick_set,
};
