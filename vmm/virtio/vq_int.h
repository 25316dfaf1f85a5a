// SPDX-License-Identifier: GPL-2.0-or-later
// What vq.c shares with the two ring formats.
#pragma once

#include "vmm/virtio/vq.h" /* <linux/virtio_ring.h> is not C++: the formats include it */

VV_BEGIN_DECLS

/* The formats. Called on a started queue that is not broken; vq.c counts what is in flight. */
struct vq_ops {
	uint32_t desc_align, driver_align, device_align;
	/* Bytes of the three areas. */
	void (*areas)(const struct vq *q, uint64_t ret_len[3]);
	bool (*pending)(const struct vq *q);
	int (*pop)(struct vq *q, struct vq_elem *e);
	void (*unpop)(struct vq *q, const struct vq_elem *e);
	void (*stage)(struct vq *q, uint16_t id, uint16_t n_desc, uint32_t written);
	void (*publish)(struct vq *q);
	bool (*wants_signal)(struct vq *q); /* for what was published since it was last asked */
	void (*kick_set)(struct vq *q, bool on);
};

extern const struct vq_ops vq_split_ops, vq_packed_ops;

/* In order: a buffer that is finished, while one before it is not. */
struct vq_done {
	uint16_t id, n_desc;
	uint32_t written;
	bool done;
};

/* A descriptor as read, once. Split and packed ones have the same size; next/id and flags are the
 * other way round. */
struct vq_raw {
	uint64_t addr, rest;
};

/* Two loads, each of which happens exactly once. */
static inline struct vq_raw vq_read_raw(const void *p)
{
	typedef uint64_t __attribute__((aligned(1), may_alias)) loose;
	struct vq_raw r;

	if (((uintptr_t)p & 7) == 0) {
		r.addr = __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
		r.rest = __atomic_load_n((const uint64_t *)p + 1, __ATOMIC_RELAXED);
	} else { /* an indirect table may lie anywhere */
		r.addr = *(const volatile loose *)p;
		r.rest = *((const volatile loose *)p + 1);
	}
	return r;
}

static inline uint16_t vq_load16(const void *p, int order)
{
	return order == __ATOMIC_ACQUIRE ? __atomic_load_n((const uint16_t *)p, __ATOMIC_ACQUIRE)
					 : __atomic_load_n((const uint16_t *)p, __ATOMIC_RELAXED);
}

static inline void vq_store16(void *p, uint16_t v)
{
	__atomic_store_n((uint16_t *)p, v, __ATOMIC_RELAXED);
}

/* VIRTIO 1.2 2.7.7.2: is `event` among what happened from `old` up to, not with, `now`? */
static inline bool vq_need_event(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

void vq_elem_init(struct vq_elem *e);
/* One segment, split where RAM regions meet. False: the queue was broken. */
bool vq_elem_add(struct vq *q, struct vq_elem *e, uint64_t gpa, uint32_t len, bool writable);
/* An indirect table of `len` bytes: its entries, or NULL and the queue broken. */
const uint8_t *vq_indirect(struct vq *q, uint64_t gpa, uint32_t len, uint32_t *ret_n);

VV_END_DECLS
