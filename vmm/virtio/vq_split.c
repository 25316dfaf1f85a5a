// SPDX-License-Identifier: GPL-2.0-or-later
// Split rings (VIRTIO 1.2 2.7): descriptor table, available ring, used ring.
#include <linux/virtio_ring.h>

#include "vmm/virtio/vq_int.h"

static void split_areas(const struct vq *q, uint64_t ret_len[3])
{
	ret_len[0] = sizeof(struct vring_desc) * (uint64_t)q->size;
	ret_len[1] = sizeof(uint16_t) * (3 + (uint64_t)q->size); /* used_event counted */
	ret_len[2] = sizeof(uint16_t) * 3 + sizeof(struct vring_used_elem) * (uint64_t)q->size;
}

static struct vring_avail *avail_of(const struct vq *q)
{
	return (struct vring_avail *)(void *)q->driver;
}

static struct vring_used *used_of(const struct vq *q)
{
	return (struct vring_used *)(void *)q->device;
}

static bool split_pending(const struct vq *q)
{
	return vq_load16(&avail_of(q)->idx, __ATOMIC_ACQUIRE) != q->avail_idx;
}

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static struct desc read_desc(const uint8_t *table, uint32_t i)
{
	struct vq_raw r = vq_read_raw(table + sizeof(struct vring_desc) * (uint64_t)i);

	return (struct desc){ .addr = r.addr,
			      .len = (uint32_t)r.rest,
			      .flags = (uint16_t)(r.rest >> 32),
			      .next = (uint16_t)(r.rest >> 48) };
}

/* Follows a chain from entry `i` of a table of `n`. At most `n` steps: more is a loop. */
static void walk(struct vq *q, struct vq_elem *e, const uint8_t *table, uint32_t n, uint32_t i,
		 bool indirect)
{
	for (uint32_t steps = 0;; steps++) {
		if (i >= n) {
			vq_break(q, "a descriptor's next one is outside its table");
			return;
		}
		if (steps == n) {
			vq_break(q, "a descriptor chain loops");
			return;
		}
		struct desc d = read_desc(table, i);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			uint32_t k = 0;
			const uint8_t *t = NULL;

			if (indirect || (d.flags & VRING_DESC_F_NEXT))
				vq_break(q, "an indirect descriptor inside a table or a chain");
			else
				t = vq_indirect(q, d.addr, d.len, &k);
			if (t)
				walk(q, e, t, k, 0, true);
			return;
		}
		if (!vq_elem_add(q, e, d.addr, d.len, (d.flags & VRING_DESC_F_WRITE) != 0) ||
		    !(d.flags & VRING_DESC_F_NEXT))
			return;
		i = d.next;
	}
}

static int split_pop(struct vq *q, struct vq_elem *e)
{
	uint16_t ahead = (uint16_t)(vq_load16(&avail_of(q)->idx, __ATOMIC_ACQUIRE) - q->avail_idx);

	if (ahead == 0)
		return 0;
	if (ahead > q->size - q->inflight) {
		vq_break(q, "more buffers are available than the queue has entries");
		return -1;
	}
	uint16_t head =
		vq_load16(&avail_of(q)->ring[q->avail_idx & (q->size - 1)], __ATOMIC_RELAXED);
	vq_elem_init(e);
	e->id = head;
	e->n_desc = 1;
	walk(q, e, q->desc, q->size, head, false);
	q->avail_idx++;
	return 1;
}

static void split_unpop(struct vq *q, const struct vq_elem *e)
{
	(void)e;
	q->avail_idx--;
}

static void split_stage(struct vq *q, uint16_t id, uint16_t n_desc, uint32_t written)
{
	struct vring_used_elem *u =
		&used_of(q)->ring[(uint16_t)(q->used_idx + q->staged) & (q->size - 1)];

	(void)n_desc;
	__atomic_store_n(&u->id, (uint32_t)id, __ATOMIC_RELAXED);
	__atomic_store_n(&u->len, written, __ATOMIC_RELAXED);
}

static void split_publish(struct vq *q)
{
	q->used_idx = (uint16_t)(q->used_idx + q->staged);
	__atomic_store_n(&used_of(q)->idx, q->used_idx, __ATOMIC_RELEASE);
}

/* VIRTIO 1.2 2.7.7 */
static bool split_wants_signal(struct vq *q)
{
	uint16_t old = q->signalled, now = q->used_idx;
	bool valid = q->signalled_valid;

	q->signalled = now;
	q->signalled_valid = true;
	if (!q->event_idx)
		return !(vq_load16(&avail_of(q)->flags, __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	return !valid ||
	       vq_need_event(vq_load16(&avail_of(q)->ring[q->size], __ATOMIC_RELAXED), now, old);
}

/* VIRTIO 1.2 2.7.10 */
static void split_kick_set(struct vq *q, bool on)
{
	struct vring_used *u = used_of(q);

	if (!q->event_idx)
		vq_store16(&u->flags, on ? 0 : VRING_USED_F_NO_NOTIFY);
	else if (on) /* off: the event simply stays behind */
		vq_store16(&u->ring[q->size], q->avail_idx);
}

const struct vq_ops vq_split_ops = {
	.desc_align = 16,
	.driver_align = 2,
	.device_align = 4,
	.areas = split_areas,
	.pending = split_pending,
	.pop = split_pop,
	.unpop = split_unpop,
	.stage = split_stage,
	.publish = split_publish,
	.wants_signal = split_wants_signal,
	.kick_set = split_kick_set,
};
