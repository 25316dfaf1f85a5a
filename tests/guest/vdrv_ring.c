// SPDX-License-Identifier: GPL-2.0-or-later
// The mini driver's rings, the driver's side of VIRTIO 1.2 2.7 and 2.8.
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/guest/guest_int.h"
#include "tests/guest/vdrv.h"

#define AVAIL (1U << VRING_PACKED_DESC_F_AVAIL)
#define USED  (1U << VRING_PACKED_DESC_F_USED)

static struct vring_desc *split_desc(const struct vdrv_queue *q)
{
	return (struct vring_desc *)(void *)q->desc;
}
static struct vring_avail *split_avail(const struct vdrv_queue *q)
{
	return (struct vring_avail *)(void *)q->driver;
}
static struct vring_used *split_used(const struct vdrv_queue *q)
{
	return (struct vring_used *)(void *)q->device;
}
static struct vring_packed_desc *packed_desc(const struct vdrv_queue *q)
{
	return (struct vring_packed_desc *)(void *)q->desc;
}
static struct vring_packed_desc_event *packed_event(uint8_t *p)
{
	return (struct vring_packed_desc_event *)(void *)p;
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static void ring_addresses(struct vdrv_queue *q)
{
	struct vdrv *v = q->v;
	uint64_t n = q->size;
	uint64_t driver = q->packed ? 4 : 6 + 2 * n, device = q->packed ? 4 : 6 + 8 * n;

	q->desc_gpa = vdrv_ram(v, 16 * n);
	q->driver_gpa = vdrv_ram(v, driver);
	q->device_gpa = vdrv_ram(v, device);
	q->desc = vdrv_ptr(v, q->desc_gpa, 16 * n);
	q->driver = vdrv_ptr(v, q->driver_gpa, driver);
	q->device = vdrv_ptr(v, q->device_gpa, device);
	vdrv_set(v, VIRTIO_PCI_COMMON_Q_SIZE, q->size, 2);
	vdrv_set(v, VIRTIO_PCI_COMMON_Q_DESCLO, q->desc_gpa, 8);
	vdrv_set(v, VIRTIO_PCI_COMMON_Q_AVAILLO, q->driver_gpa, 8);
	vdrv_set(v, VIRTIO_PCI_COMMON_Q_USEDLO, q->device_gpa, 8);
}

struct vdrv_queue *vdrv_queue(struct vdrv *v, unsigned int index, uint16_t size)
{
	struct vdrv_queue *q = &v->q[index];

	if (index >= VDRV_QUEUES)
		guest_bug("the mini driver has no queue %u", index);
	memset(q, 0, sizeof(*q));
	q->v = v;
	q->index = index;
	vdrv_set(v, VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
	uint16_t max = (uint16_t)vdrv_get(v, VIRTIO_PCI_COMMON_Q_SIZE, 2);
	q->size = size ? size : (uint16_t)MIN(max, VDRV_SIZE_MAX);
	q->packed = (v->features & BIT64(VIRTIO_F_RING_PACKED)) != 0;
	q->event_idx = (v->features & BIT64(VIRTIO_RING_F_EVENT_IDX)) != 0;
	q->avail_wrap = q->used_wrap = true;
	q->n_free = q->size;
	for (uint16_t i = 0; i < q->size; i++)
		q->next[i] = (uint16_t)(i + 1);
	ring_addresses(q);
	q->notify = v->notify + vdrv_get(v, VIRTIO_PCI_COMMON_Q_NOFF, 2) * (uint64_t)v->notify_mult;
	vdrv_set(v, VIRTIO_PCI_COMMON_Q_MSIX, 1 + index, 2);
	if (!v->hold_enable)
		vdrv_set(v, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	return q;
}

/* ---- adding ---------------------------------------------------------------------------------- */

static struct vring_desc *table_of(struct vdrv_queue *q, uint16_t id, unsigned int n)
{
	if (n > 256)
		guest_bug("an indirect table of %u", n);
	if (!q->table_gpa[id])
		q->table_gpa[id] = vdrv_ram(q->v, 4096);
	return vdrv_ptr(q->v, q->table_gpa[id], 4096);
}

static int add_split(struct vdrv_queue *q, const struct vdrv_seg *seg, unsigned int n_out,
		     unsigned int n, bool indirect)
{
	struct vring_desc *d = split_desc(q);
	uint16_t head = q->free_head, i = head;

	if (indirect) {
		struct vring_desc *t = table_of(q, head, n);
		for (uint16_t k = 0; k < n; k++)
			t[k] = (struct vring_desc){
				seg[k].gpa, seg[k].len,
				(uint16_t)((k >= n_out ? VRING_DESC_F_WRITE : 0) |
					   (k + 1u < n ? VRING_DESC_F_NEXT : 0)),
				(uint16_t)(k + 1)
			};
		d[i] = (struct vring_desc){ q->table_gpa[head], 16 * n, VRING_DESC_F_INDIRECT, 0 };
		q->free_head = q->next[i];
		return head;
	}
	for (unsigned int k = 0; k < n; k++) {
		uint16_t flags = (uint16_t)((k >= n_out ? VRING_DESC_F_WRITE : 0) |
					    (k + 1 < n ? VRING_DESC_F_NEXT : 0));
		d[i] = (struct vring_desc){ seg[k].gpa, seg[k].len, flags, q->next[i] };
		if (k + 1 < n)
			i = q->next[i];
	}
	q->free_head = q->next[i];
	return head;
}

static void publish_split(struct vdrv_queue *q, int head)
{
	split_avail(q)->ring[q->avail_idx % q->size] = (uint16_t)head;
	q->avail_idx++;
	__atomic_store_n(&split_avail(q)->idx, q->avail_idx, __ATOMIC_RELEASE);
}

static int add_packed(struct vdrv_queue *q, const struct vdrv_seg *seg, unsigned int n_out,
		      unsigned int n, bool indirect)
{
	uint16_t id = q->free_head, first = q->avail_idx, first_flags = 0;
	unsigned int slots = indirect ? 1 : n;

	q->free_head = q->next[id];
	if (indirect) {
		struct vring_packed_desc *t = (void *)table_of(q, id, n);
		for (unsigned int k = 0; k < n; k++)
			t[k] = (struct vring_packed_desc){ seg[k].gpa, seg[k].len, 0,
							   k >= n_out ? VRING_DESC_F_WRITE : 0 };
	}
	for (unsigned int k = 0; k < slots; k++) {
		struct vring_packed_desc *d = &packed_desc(q)[q->avail_idx];
		uint16_t flags = (uint16_t)(q->avail_wrap ? AVAIL : USED);

		if (indirect)
			flags |= VRING_DESC_F_INDIRECT;
		else
			flags |= (uint16_t)((k >= n_out ? VRING_DESC_F_WRITE : 0) |
					    (k + 1 < n ? VRING_DESC_F_NEXT : 0));
		d->addr = indirect ? q->table_gpa[id] : seg[k].gpa;
		d->len = indirect ? 16 * n : seg[k].len;
		d->id = id;
		if (k == 0)
			first_flags = flags;
		else
			d->flags = flags;
		if (++q->avail_idx == q->size) {
			q->avail_idx = 0;
			q->avail_wrap = !q->avail_wrap;
		}
	}
	__atomic_store_n(&packed_desc(q)[first].flags, first_flags, __ATOMIC_RELEASE);
	return id;
}

int vdrv_add(struct vdrv_queue *q, const struct vdrv_seg *seg, unsigned int n_out,
	     unsigned int n_in, bool indirect, void *cookie)
{
	unsigned int n = n_out + n_in, slots = indirect ? 1 : n;

	if (slots > q->n_free)
		return -ENOSPC;
	int id = q->packed ? add_packed(q, seg, n_out, n, indirect)
			   : add_split(q, seg, n_out, n, indirect);
	q->n_free = (uint16_t)(q->n_free - slots);
	q->n_desc[id] = (uint16_t)slots;
	q->cookie[id] = cookie;
	if (!q->packed)
		publish_split(q, id);
	return id;
}

/* ---- kicks ----------------------------------------------------------------------------------- */

static bool kick_wanted(struct vdrv_queue *q)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	if (!q->packed)
		/* The event index says "at": the mini driver kicks for each buffer, which is as
		 * good as asking whether it was passed. */
		return q->event_idx || !(__atomic_load_n(&split_used(q)->flags, __ATOMIC_RELAXED) &
					 VRING_USED_F_NO_NOTIFY);
	return __atomic_load_n(&packed_event(q->device)->flags, __ATOMIC_RELAXED) !=
	       VRING_PACKED_EVENT_FLAG_DISABLE;
}

bool vdrv_kick(struct vdrv_queue *q, bool force)
{
	if (!force && !kick_wanted(q))
		return false;
	if (q->v->features & BIT64(38)) /* notification data */
		guest_write(q->v->g, q->notify,
			    q->index | (uint32_t)q->avail_idx << 16 |
				    (q->packed && q->avail_wrap ? UINT32_C(1) << 31 : 0),
			    4);
	else
		guest_write(q->v->g, q->notify, q->index, 2);
	return true;
}

/* ---- reaping --------------------------------------------------------------------------------- */

static bool reap_split(struct vdrv_queue *q, uint32_t *ret_id, uint32_t *ret_len)
{
	struct vring_used *u = split_used(q);

	if (__atomic_load_n(&u->idx, __ATOMIC_ACQUIRE) == q->used_idx)
		return false;
	*ret_id = __atomic_load_n(&u->ring[q->used_idx % q->size].id, __ATOMIC_RELAXED);
	*ret_len = __atomic_load_n(&u->ring[q->used_idx % q->size].len, __ATOMIC_RELAXED);
	q->used_idx++;
	return true;
}

static bool reap_packed(struct vdrv_queue *q, uint32_t *ret_id, uint32_t *ret_len)
{
	struct vring_packed_desc *d = &packed_desc(q)[q->used_idx];
	uint16_t flags = __atomic_load_n(&d->flags, __ATOMIC_ACQUIRE);

	if (!!(flags & AVAIL) != q->used_wrap || !!(flags & USED) != q->used_wrap)
		return false;
	*ret_id = __atomic_load_n(&d->id, __ATOMIC_RELAXED);
	*ret_len = __atomic_load_n(&d->len, __ATOMIC_RELAXED);
	if (*ret_id < q->size && q->n_desc[*ret_id]) {
		q->used_idx = (uint16_t)(q->used_idx + q->n_desc[*ret_id]);
		if (q->used_idx >= q->size) {
			q->used_idx = (uint16_t)(q->used_idx - q->size);
			q->used_wrap = !q->used_wrap;
		}
	}
	return true;
}

bool vdrv_reap(struct vdrv_queue *q, void **ret_cookie, uint32_t *ret_len)
{
	uint32_t id = 0, len = 0;

	if (!(q->packed ? reap_packed(q, &id, &len) : reap_split(q, &id, &len)))
		return false;
	if (id >= q->size || q->n_desc[id] == 0)
		guest_bug("queue %u: the device used buffer %u, which was not available", q->index,
			  id);
	uint16_t last = (uint16_t)id;
	for (unsigned int k = 1; !q->packed && k < q->n_desc[id]; k++)
		last = q->next[last];
	q->next[last] = q->free_head;
	q->free_head = (uint16_t)id;
	q->n_free = (uint16_t)(q->n_free + q->n_desc[id]);
	q->n_desc[id] = 0;
	if (ret_cookie)
		*ret_cookie = q->cookie[id];
	if (ret_len)
		*ret_len = len;
	return true;
}

void vdrv_irq_on(struct vdrv_queue *q, uint16_t n)
{
	if (q->packed) {
		uint32_t at = (uint32_t)q->used_idx + n - 1;
		bool wrap = q->used_wrap;

		if (at >= q->size) {
			at -= q->size;
			wrap = !wrap;
		}
		packed_event(q->driver)->off_wrap = (uint16_t)(at | (uint32_t)wrap << 15);
		__atomic_store_n(&packed_event(q->driver)->flags,
				 q->event_idx ? VRING_PACKED_EVENT_FLAG_DESC
					      : VRING_PACKED_EVENT_FLAG_ENABLE,
				 __ATOMIC_SEQ_CST);
	} else if (q->event_idx) {
		__atomic_store_n(&split_avail(q)->ring[q->size], (uint16_t)(q->used_idx + n - 1),
				 __ATOMIC_SEQ_CST);
	} else {
		__atomic_store_n(&split_avail(q)->flags, 0, __ATOMIC_SEQ_CST);
	}
}

void vdrv_irq_off(struct vdrv_queue *q)
{
	if (q->packed)
		__atomic_store_n(&packed_event(q->driver)->flags, VRING_PACKED_EVENT_FLAG_DISABLE,
				 __ATOMIC_SEQ_CST);
	else if (!q->event_idx)
		__atomic_store_n(&split_avail(q)->flags, VRING_AVAIL_F_NO_INTERRUPT,
				 __ATOMIC_SEQ_CST);
	else
		__atomic_store_n(&split_avail(q)->ring[q->size], (uint16_t)(q->used_idx - 1),
				 __ATOMIC_SEQ_CST);
}
