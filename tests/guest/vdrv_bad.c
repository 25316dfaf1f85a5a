// SPDX-License-Identifier: GPL-2.0-or-later
// The battery (see the header). Cases write rings raw: descriptor 0 is the head of what is made
// available, 1 what follows it; the packed ones are available in the first round.
#include "tests/guest/vdrv_bad.h"

#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "tests/guest/guest_int.h"

#define NEXT	 VRING_DESC_F_NEXT
#define WRITE	 VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT

static struct vring_desc *sd(struct vdrv_queue *q)
{
	return (struct vring_desc *)(void *)q->desc;
}

/* One descriptor, in either format; `next` is the split one's. */
static void desc(struct vdrv_queue *q, unsigned int i, uint64_t gpa, uint32_t len, uint16_t flags,
		 uint16_t next)
{
	if (!q->packed) {
		sd(q)[i] = (struct vring_desc){ gpa, len, flags, next };
		return;
	}
	struct vring_packed_desc *d = (struct vring_packed_desc *)(void *)q->desc + i;
	/* The device looks at the flags all the time. */
	d->addr = gpa;
	d->len = len;
	d->id = 0;
	__atomic_store_n(&d->flags, (uint16_t)(flags | 1U << VRING_PACKED_DESC_F_AVAIL),
			 __ATOMIC_RELEASE);
}

/* Makes descriptor `head` available (packed: it is already). */
static void avail(struct vdrv_queue *q, uint16_t head, uint16_t idx)
{
	struct vring_avail *a = (struct vring_avail *)(void *)q->driver;

	if (q->packed)
		return;
	a->ring[0] = head;
	__atomic_store_n(&a->idx, idx, __ATOMIC_RELEASE);
}

static void one(struct vdrv_queue *q, uint64_t gpa, uint32_t len, uint16_t flags)
{
	desc(q, 0, gpa, len, flags, 0);
	avail(q, 0, 1);
}

/* ---- addresses and lengths ------------------------------------------------------------------- */

static uint64_t ram_end(struct vdrv_queue *q)
{
	return q->v->g->m->layout.ram_low_size;
}

static void outside(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, ram_end(q), s.len, WRITE);
}

static void over_the_end(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	one(q, ram_end(q) - 16, 17, WRITE);
}

static void wraps(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	one(q, UINT64_MAX - 7, 16, WRITE);
}

static void all_ones(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	one(q, UINT64_MAX, UINT32_MAX, WRITE);
}

static void longest(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, s.gpa, UINT32_MAX, WRITE);
}

static void into_own_bar(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, q->v->common, s.len, WRITE);
}

static void into_rom_area(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, q->v->g->m->layout.ecam_base, s.len, WRITE);
}

static void empty_segment(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, s.gpa, 0, WRITE);
}

static void read_after_write(struct vdrv_queue *q, struct vdrv_seg s)
{
	desc(q, 1, s.gpa, s.len, 0, 0);
	desc(q, 0, s.gpa, s.len, WRITE | NEXT, 1);
	avail(q, 0, 1);
}

/* ---- indexes --------------------------------------------------------------------------------- */

static void head_n(struct vdrv_queue *q, struct vdrv_seg s)
{
	desc(q, 0, s.gpa, s.len, WRITE, 0);
	avail(q, q->size, 1);
}

static void head_7fff(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	avail(q, 0x7fff, 1);
}

static void head_ffff(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	avail(q, 0xffff, 1);
}

static void next_n(struct vdrv_queue *q, struct vdrv_seg s)
{
	desc(q, 0, s.gpa, s.len, WRITE | NEXT, q->size);
	avail(q, 0, 1);
}

static void next_ffff(struct vdrv_queue *q, struct vdrv_seg s)
{
	desc(q, 0, s.gpa, s.len, WRITE | NEXT, 0xffff);
	avail(q, 0, 1);
}

static void self_loop(struct vdrv_queue *q, struct vdrv_seg s)
{
	desc(q, 0, s.gpa, s.len, WRITE | NEXT, 0);
	avail(q, 0, 1);
}

static void long_loop(struct vdrv_queue *q, struct vdrv_seg s)
{
	for (uint16_t i = q->size; i-- > 0;)
		desc(q, i, s.gpa, s.len, WRITE | NEXT, (uint16_t)((i + 1) % q->size));
	avail(q, 0, 1);
}

static void idx_too_far(struct vdrv_queue *q, struct vdrv_seg s)
{
	desc(q, 0, s.gpa, s.len, WRITE, 0);
	avail(q, 0, (uint16_t)(q->size + 1));
}

static void idx_backwards(struct vdrv_queue *q, struct vdrv_seg s)
{
	desc(q, 0, s.gpa, s.len, WRITE, 0);
	avail(q, 0, 0xffff);
}

/* ---- indirect tables ------------------------------------------------------------------------- */

static uint64_t table(struct vdrv_queue *q, struct vdrv_seg s, uint16_t flags, uint16_t next)
{
	uint64_t gpa = vdrv_ram(q->v, 4096);
	struct vring_desc *t = vdrv_ptr(q->v, gpa, 4096);
	struct vring_packed_desc *p = vdrv_ptr(q->v, gpa, 4096);

	for (unsigned int i = 0; i < 4; i++) {
		if (q->packed)
			p[i] = (struct vring_packed_desc){ s.gpa, s.len, 0, flags };
		else
			t[i] = (struct vring_desc){ s.gpa, s.len, flags, next };
	}
	return gpa;
}

static void table_ragged(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, table(q, s, WRITE, 0), 17, INDIRECT);
}

static void table_empty(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, table(q, s, WRITE, 0), 0, INDIRECT);
}

static void table_outside(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	one(q, ram_end(q) - 16, 32, INDIRECT);
}

static void table_huge(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, table(q, s, WRITE, 0), UINT32_MAX & ~15u, INDIRECT);
}

static void table_in_table(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, table(q, s, INDIRECT, 0), 16, INDIRECT);
}

static void table_loop(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, table(q, s, WRITE | NEXT, 1), 64, INDIRECT);
}

static void table_next_outside(struct vdrv_queue *q, struct vdrv_seg s)
{
	one(q, table(q, s, WRITE | NEXT, 4), 64, INDIRECT);
}

static void table_with_next(struct vdrv_queue *q, struct vdrv_seg s)
{
	desc(q, 1, s.gpa, s.len, WRITE, 0);
	desc(q, 0, table(q, s, WRITE, 0), 16, INDIRECT | NEXT, 1);
	avail(q, 0, 1);
}

static void table_at_chain_end(struct vdrv_queue *q, struct vdrv_seg s)
{
	struct vdrv_seg out = s;

	/* VIRTIO 1.2 allows a split chain to end in a table; what is in it is still checked. */
	desc(q, 1, table(q, s, WRITE | NEXT, 0), 64, INDIRECT, 0);
	desc(q, 0, out.gpa, out.len, WRITE | NEXT, 1);
	avail(q, 0, 1);
}

/* ---- places of the rings --------------------------------------------------------------------- */

static void addresses(struct vdrv_queue *q, uint64_t d, uint64_t dr, uint64_t de)
{
	vdrv_set(q->v, VIRTIO_PCI_COMMON_Q_SELECT, q->index, 2);
	vdrv_set(q->v, VIRTIO_PCI_COMMON_Q_DESCLO, d, 8);
	vdrv_set(q->v, VIRTIO_PCI_COMMON_Q_AVAILLO, dr, 8);
	vdrv_set(q->v, VIRTIO_PCI_COMMON_Q_USEDLO, de, 8);
}

static void desc_outside(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	addresses(q, ram_end(q) - 16, q->driver_gpa, q->device_gpa);
}

static void driver_outside(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	addresses(q, q->desc_gpa, UINT64_MAX & ~3ull, q->device_gpa);
}

static void device_outside(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	addresses(q, q->desc_gpa, q->driver_gpa, q->v->common);
}

static void desc_unaligned(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	addresses(q, q->desc_gpa + 8, q->driver_gpa, q->device_gpa);
}

static void driver_unaligned(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	addresses(q, q->desc_gpa, q->driver_gpa + 1, q->device_gpa);
}

static void device_unaligned(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	addresses(q, q->desc_gpa, q->driver_gpa, q->device_gpa + 2);
}

static void odd_size(struct vdrv_queue *q, struct vdrv_seg s)
{
	(void)s;
	vdrv_set(q->v, VIRTIO_PCI_COMMON_Q_SELECT, q->index, 2);
	vdrv_set(q->v, VIRTIO_PCI_COMMON_Q_SIZE, 3, 2);
}

#define BOTH .packed = true, .split = true
#define CASE(fn, ...)                                                                              \
	{                                                                                          \
		.name = #fn, .make = fn, __VA_ARGS__                                               \
	}

const struct vdrv_bad vdrv_bad_cases[] = {
	CASE(outside, BOTH),
	CASE(over_the_end, BOTH),
	CASE(wraps, BOTH),
	CASE(all_ones, BOTH),
	CASE(longest, BOTH),
	CASE(into_own_bar, BOTH),
	CASE(into_rom_area, BOTH),
	CASE(empty_segment, BOTH),
	CASE(read_after_write, BOTH),
	CASE(head_n, .split = true),
	CASE(head_7fff, .split = true),
	CASE(head_ffff, .split = true),
	CASE(next_n, .split = true),
	CASE(next_ffff, .split = true),
	CASE(self_loop, .split = true),
	CASE(long_loop, BOTH),
	CASE(idx_too_far, .split = true),
	CASE(idx_backwards, .split = true),
	CASE(table_ragged, BOTH),
	CASE(table_empty, BOTH),
	CASE(table_outside, BOTH),
	CASE(table_huge, BOTH),
	CASE(table_in_table, .split = true),
	CASE(table_loop, .split = true),
	CASE(table_next_outside, .split = true),
	CASE(table_with_next, BOTH),
	CASE(table_at_chain_end, BOTH),
	CASE(desc_outside, BOTH, .at_start = true),
	CASE(driver_outside, BOTH, .at_start = true),
	CASE(device_outside, BOTH, .at_start = true),
	CASE(desc_unaligned, BOTH, .at_start = true),
	CASE(driver_unaligned, BOTH, .at_start = true),
	CASE(device_unaligned, BOTH, .at_start = true),
	CASE(odd_size, .split = true, .at_start = true),
	{ .name = NULL },
};

/* ---- running --------------------------------------------------------------------------------- */

static void make_queues(struct vdrv *v, const struct vdrv_bad *c, unsigned int n,
			unsigned int index, struct vdrv_seg seg)
{
	v->hold_enable = c && c->at_start;
	for (unsigned int i = 0; i < n; i++)
		vdrv_queue(v, i, 8);
	v->hold_enable = false;
	if (!c || !c->at_start)
		return;
	c->make(&v->q[index], seg);
	for (unsigned int i = 0; i < n; i++) {
		vdrv_set(v, VIRTIO_PCI_COMMON_Q_SELECT, i, 2);
		vdrv_set(v, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	}
}

static void run_case(struct vdrv *v, const struct vdrv_bad *c, uint64_t want, unsigned int n,
		     unsigned int index)
{
	uint64_t ram = v->ram_next;
	struct vdrv_seg seg = { vdrv_ram(v, 4096), 64 };

	if (!vdrv_negotiate(v, want))
		guest_bug("%s: the device refuses features", c->name);
	make_queues(v, c, n, index, seg);
	vdrv_driver_ok(v);
	if (!c->at_start) {
		c->make(&v->q[index], seg);
		vdrv_kick(&v->q[index], true);
	}
	if (!vdrv_wait_needs_reset(v))
		guest_bug("%s (%s ring): the device does not say that it needs a reset", c->name,
			  v->features & BIT64(VIRTIO_F_RING_PACKED) ? "packed" : "split");
	/* Ring and registers may be poked as long as anybody likes: it stands still. */
	vdrv_kick(&v->q[index], true);
	vdrv_driver_ok(v);
	vdrv_set_status(v, 0);
	if (vdrv_status(v) != 0)
		guest_bug("%s: a reset does not help", c->name);
	v->ram_next = ram;
}

unsigned int vdrv_bad_run(struct vdrv *v, uint64_t want, unsigned int n, unsigned int index)
{
	unsigned int ran = 0;

	want &= vdrv_offered(v);
	for (const struct vdrv_bad *c = vdrv_bad_cases; c->name; c++) {
		bool packed = (want & BIT64(VIRTIO_F_RING_PACKED)) != 0;

		if (!(packed ? c->packed : c->split))
			continue;
		/* Without the feature, a table is as bad as what may be in it. */
		run_case(v, c, want, n, index);
		ran++;
	}
	return ran;
}
