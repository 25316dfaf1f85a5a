// SPDX-License-Identifier: GPL-2.0-or-later
// Queues by themselves: what a device's calls do to the rings, in both formats. The rings are
// written by hand here; what drivers do is in test_virtio_pci.c.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "core/sys.h"
#include "vmm/virtio/vq.h"

#define SIZE   8
#define PAGE   4096u
#define DESC   0x1000u
#define DRIVER 0x2000u
#define DEVICE 0x3000u
#define BUF    0x4000u
/* Two regions that meet here in guest memory, not in the host's; then one too large to fill. */
#define SEAM UINT64_C(0x10000)
#define HUGE UINT64_C(0x100000000)

#define PACKED	 BIT64(VIRTIO_F_RING_PACKED)
#define EVENT	 BIT64(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT BIT64(VIRTIO_RING_F_INDIRECT_DESC)
#define IN_ORDER BIT64(VIRTIO_F_IN_ORDER)

static struct gmem mem;
static struct gmem_region low, high, huge;
static struct gmem_snap *snap;
static struct vq q;
static struct iovec iov[16];
static struct vq_elem e;
static unsigned int breaks;
static const char *why_broken;
static uint16_t avail_idx;
static bool wrap;

static void broken(struct vq *vq, const char *why)
{
	assert_ptr_equal(vq, &q);
	breaks++;
	why_broken = why;
}

static void *at(uint64_t gpa, uint64_t len)
{
	void *p = gmem_snap_ptr(snap, gpa, len);

	assert_non_null(p);
	return p;
}

static void region(struct gmem_region *r, uint64_t gpa, uint64_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_ptr_not_equal(p, MAP_FAILED);
	*r = (struct gmem_region){
		.name = "RAM", .kind = GMEM_RAM, .gpa = gpa, .size = size, .hva = p, .fd = -1
	};
	assert_int_equal(gmem_add(&mem, r, NULL), 0);
}

static int setup(void **state)
{
	(void)state;
	gmem_init(&mem);
	region(&low, 0, SEAM);
	region(&high, SEAM, SEAM);
	region(&huge, HUGE, GIB(3));
	assert_int_equal(gmem_snap_take(&mem, &snap), 0);
	memset(&q, 0, sizeof(q));
	q.max = 256;
	q.kick_fd = -1;
	q.broken_fn = broken;
	vq_reset(&q);
	q.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	breaks = 0;
	avail_idx = 0;
	wrap = true;
	e = (struct vq_elem){ .iov = iov, .iov_max = ARRAY_SIZE(iov) };
	return 0;
}

static int teardown(void **state)
{
	struct gmem_region *r[] = { &low, &high, &huge };

	(void)state;
	close(q.call_fd);
	if (q.ops && q.inflight)
		q.broken = true;
	vq_stop(&q);
	gmem_snap_drop(snap);
	for (unsigned int i = 0; i < 3; i++) {
		gmem_del(r[i]);
		munmap(r[i]->hva, r[i]->size);
	}
	gmem_fini(&mem);
	return 0;
}

static int begin(uint16_t size, uint64_t features, const char **ret_why)
{
	q.regs = (struct vq_regs){ size, true, DESC, DRIVER, DEVICE };
	return vq_start(&q, snap, features | BIT64(VIRTIO_F_VERSION_1), ret_why);
}

static void started(uint16_t size, uint64_t features)
{
	const char *why = NULL;

	assert_int_equal(begin(size, features, &why), 0);
}

static bool packed(uint64_t features)
{
	return (features & PACKED) != 0;
}

/* Makes one descriptor available, in either format; the id is the position. */
static void offer(uint64_t features, uint64_t gpa, uint32_t len, uint16_t flags)
{
	if (packed(features)) {
		struct vring_packed_desc *d = at(DESC, 16 * SIZE);
		d += avail_idx;
		*d = (struct vring_packed_desc){ gpa, len, avail_idx,
						 (uint16_t)(flags | (wrap ? 1 << 7 : 1 << 15)) };
		if (++avail_idx == q.size) {
			avail_idx = 0;
			wrap = !wrap;
		}
		return;
	}
	struct vring_desc *d = at(DESC, 16 * SIZE);
	struct vring_avail *a = at(DRIVER, PAGE);
	uint16_t i = avail_idx % q.size;
	d[i] = (struct vring_desc){ gpa, len, flags, 0 };
	a->ring[i] = i;
	a->idx = ++avail_idx;
}

static uint16_t used_idx(void)
{
	return ((struct vring_used *)at(DEVICE, PAGE))->idx;
}

/* ---- start ----------------------------------------------------------------------------------- */

static void test_sizes_a_queue_can_have(void **state)
{
	static const struct {
		uint16_t size;
		bool split, packed;
	} cases[] = { { 0, false, false },   { 1, true, true },	      { 3, false, true },
		      { 8, true, true },     { 255, false, true },    { 256, true, true },
		      { 257, false, false }, { 0xffff, false, false } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		for (unsigned int k = 0; k < 2; k++) {
			const char *why = NULL;
			int r = begin(cases[i].size, k ? PACKED : 0, &why);

			assert_int_equal(r, (k ? cases[i].packed : cases[i].split) ? 0 : -EINVAL);
			assert_int_equal(why != NULL, r < 0);
			vq_stop(&q);
		}
}

static void test_a_stopped_queue_goes_on_where_it_was(void **state)
{
	static const uint64_t f[] = { 0, PACKED, IN_ORDER, PACKED | IN_ORDER | EVENT };

	for (size_t k = 0; k < ARRAY_SIZE(f); k++) {
		if (k)
			setup(state);
		started(SIZE, f[k]);
		for (unsigned int i = 0; i < 50; i++) {
			offer(f[k], BUF, 16, VRING_DESC_F_WRITE);
			assert_int_equal(vq_pop(&q, &e), 1);
			assert_int_equal(vq_pop(&q, &(struct vq_elem){ .iov = iov }), 0);
			vq_push(&q, &e, 16);
			if (i & 1)
				vq_flush(&q); /* else stopping does it */
			vq_stop(&q);
			started(SIZE, f[k]);
		}
		if (!packed(f[k]))
			assert_int_equal(used_idx(), 50);
		assert_int_equal(breaks, 0);
		if (k + 1 < ARRAY_SIZE(f))
			teardown(state);
	}
}

/* ---- segments -------------------------------------------------------------------------------- */

static void test_a_segment_across_two_regions_is_two(void **state)
{
	(void)state;
	started(SIZE, 0);
	offer(0, SEAM - 10, 30, VRING_DESC_F_WRITE);
	assert_int_equal(vq_pop(&q, &e), 1);
	assert_int_equal(e.n_in, 2);
	assert_int_equal(e.in_len, 30);
	assert_int_equal(iov[0].iov_len, 10);
	assert_int_equal(iov[1].iov_len, 20);
	assert_ptr_equal(iov[1].iov_base, high.hva);
	vq_push(&q, &e, 0);
}

static void test_more_segments_than_there_is_room_for_break_it(void **state)
{
	struct vring_desc *d;

	(void)state;
	started(SIZE, 0);
	d = at(DESC, 16 * SIZE);
	e.iov_max = 3;
	for (uint16_t i = 0; i < 4; i++)
		d[i] = (struct vring_desc){ BUF, 1, VRING_DESC_F_NEXT, (uint16_t)(i + 1) };
	d[2].flags = 0;
	((struct vring_avail *)at(DRIVER, PAGE))->idx = 1;
	assert_int_equal(vq_pop(&q, &e), 1);
	assert_int_equal(e.n_out, 3);
	vq_push(&q, &e, 0);
	d[2].flags = VRING_DESC_F_NEXT;
	d[3].flags = 0;
	((struct vring_avail *)at(DRIVER, PAGE))->idx = 2;
	assert_int_equal(vq_pop(&q, &e), -EIO);
	assert_non_null(strstr(why_broken, "more segments"));
}

static void test_a_buffer_of_4_gib_breaks_it(void **state)
{
	static const uint64_t f[] = { INDIRECT, INDIRECT | PACKED };

	for (size_t k = 0; k < 2; k++) {
		if (k)
			setup(state);
		started(SIZE, f[k]);
		struct vring_desc *t = at(BUF, 64);
		for (unsigned int i = 0; i < 2; i++) {
			t[i] = (struct vring_desc){ HUGE, 0x80000000u, 0, 1 };
			if (packed(f[k]))
				((struct vring_packed_desc *)(void *)t)[i].flags =
					VRING_DESC_F_WRITE;
			else
				t[i].flags = (uint16_t)(VRING_DESC_F_WRITE | (i ? 0 : 1));
		}
		offer(f[k], BUF, 32, VRING_DESC_F_INDIRECT);
		assert_int_equal(vq_pop(&q, &e), -EIO);
		assert_non_null(strstr(why_broken, "4 GiB"));
		if (!k)
			teardown(state);
	}
}

static void test_a_broken_queue_says_so_once_and_touches_nothing_more(void **state)
{
	(void)state;
	started(SIZE, 0);
	offer(0, HUGE - 1, 16, VRING_DESC_F_WRITE);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(vq_pop(&q, &e), -EIO);
	assert_int_equal(breaks, 1);
	vq_push(&q, &e, 5);
	vq_flush(&q);
	vq_kick_disable(&q);
	assert_false(vq_kick_enable(&q));
	assert_false(vq_pending(&q));
	assert_int_equal(used_idx(), 0);
	assert_false(sys_event_pending(q.call_fd));
	vq_stop(&q);
	close(q.call_fd);
	vq_reset(&q); /* forgets it */
	q.call_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	memset(at(DRIVER, PAGE), 0, PAGE);
	avail_idx = 0;
	started(SIZE, 0);
	offer(0, BUF, 16, VRING_DESC_F_WRITE);
	assert_int_equal(vq_pop(&q, &e), 1);
	vq_push(&q, &e, 0);
}

static void test_unpopped_buffers_come_again(void **state)
{
	static const uint64_t f[] = { 0, PACKED, PACKED | IN_ORDER };

	for (size_t k = 0; k < ARRAY_SIZE(f); k++) {
		if (k)
			setup(state);
		started(SIZE, f[k]);
		for (unsigned int round = 0; round < 20; round++) {
			struct vq_elem el[3];

			for (unsigned int i = 0; i < 3; i++)
				offer(f[k], BUF + 16 * i, 16 + i, VRING_DESC_F_WRITE);
			for (unsigned int i = 0; i < 3; i++) {
				el[i] = e;
				assert_int_equal(vq_pop(&q, &el[i]), 1);
			}
			vq_unpop(&q, &el[2]);
			vq_unpop(&q, &el[1]);
			for (unsigned int i = 1; i < 3; i++) {
				assert_int_equal(vq_pop(&q, &el[i]), 1);
				assert_int_equal(el[i].in_len, 16 + i);
			}
			for (unsigned int i = 0; i < 3; i++)
				vq_push(&q, &el[i], 1);
			vq_flush(&q);
			assert_int_equal(q.inflight, 0);
		}
		assert_int_equal(breaks, 0);
		if (k + 1 < ARRAY_SIZE(f))
			teardown(state);
	}
}

/* ---- order and visibility -------------------------------------------------------------------- */

static void test_in_order_holds_back_what_is_early(void **state)
{
	static const uint16_t order[] = { 3, 1, 0, 2, 5, 4, 7, 6 };
	static const uint16_t seen[] = { 0, 0, 2, 4, 4, 6, 6, 8 };

	(void)state;
	started(SIZE, IN_ORDER);
	for (unsigned int round = 0; round < 5; round++) {
		struct vq_elem el[SIZE];

		for (unsigned int i = 0; i < SIZE; i++)
			offer(IN_ORDER, BUF, 16, VRING_DESC_F_WRITE);
		for (unsigned int i = 0; i < SIZE; i++) {
			el[i] = e;
			assert_int_equal(vq_pop(&q, &el[i]), 1);
		}
		for (unsigned int i = 0; i < SIZE; i++) {
			vq_push(&q, &el[order[i]], 100u + order[i]);
			vq_flush(&q);
			assert_int_equal(used_idx(), round * SIZE + seen[i]);
		}
		const struct vring_used *u = at(DEVICE, PAGE);
		for (unsigned int i = 0; i < SIZE; i++) {
			assert_int_equal(u->ring[i].id, i);
			assert_int_equal(u->ring[i].len, 100 + i);
		}
	}
}

static void test_what_is_flushed_together_is_seen_together(void **state)
{
	struct vq_elem el[3];

	(void)state;
	started(SIZE, PACKED);
	for (unsigned int i = 0; i < 3; i++)
		offer(PACKED, BUF, 16, VRING_DESC_F_WRITE);
	for (unsigned int i = 0; i < 3; i++) {
		el[i] = e;
		assert_int_equal(vq_pop(&q, &el[i]), 1);
		vq_push(&q, &el[i], 16);
	}
	/* The driver looks at the first and stops there. */
	const struct vring_packed_desc *d = at(DESC, 16 * SIZE);
	assert_int_equal(d[0].flags & 1 << 15, 0);
	vq_flush(&q);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(d[i].flags & (1 << 15 | 1 << 7), 1 << 15 | 1 << 7);
}

/* ---- signals --------------------------------------------------------------------------------- */

static bool one(uint64_t f)
{
	offer(f, BUF, 16, VRING_DESC_F_WRITE);
	assert_int_equal(vq_pop(&q, &e), 1);
	vq_push(&q, &e, 16);
	vq_flush(&q);
	return sys_event_take(q.call_fd) > 0;
}

static void test_signals_come_at_the_event_and_not_between(void **state)
{
	(void)state;
	started(SIZE, EVENT);
	struct vring_avail *a = at(DRIVER, PAGE);
	assert_true(one(EVENT)); /* nothing is known of what was before */
	for (unsigned int i = 1; i < 70000; i++) {
		/* Every fifth asks for one after three more. */
		if (i % 5 == 1)
			a->ring[SIZE] = (uint16_t)(i + 2);
		assert_int_equal(one(EVENT), i % 5 == 3);
	}
}

static void test_packed_signals_come_at_the_event_and_not_between(void **state)
{
	(void)state;
	started(SIZE, PACKED | EVENT);
	struct vring_packed_desc_event *ev = at(DRIVER, 4);
	ev->flags = VRING_PACKED_EVENT_FLAG_DESC;
	assert_true(one(PACKED | EVENT));
	for (unsigned int i = 1; i < 500; i++) {
		if (i % 5 == 1) {
			unsigned int when = i + 2;
			ev->off_wrap = (uint16_t)(when % SIZE | (when / SIZE % 2 ? 0 : 1 << 15));
		}
		assert_int_equal(one(PACKED | EVENT), i % 5 == 3);
	}
	ev->flags = VRING_PACKED_EVENT_FLAG_DISABLE;
	assert_false(one(PACKED | EVENT));
	ev->flags = VRING_PACKED_EVENT_FLAG_ENABLE;
	assert_true(one(PACKED | EVENT));
}

static void test_flags_alone_turn_signals_off(void **state)
{
	(void)state;
	started(SIZE, 0);
	assert_true(one(0));
	((struct vring_avail *)at(DRIVER, PAGE))->flags = VRING_AVAIL_F_NO_INTERRUPT;
	assert_false(one(0));
	((struct vring_avail *)at(DRIVER, PAGE))->flags = 0;
	assert_true(one(0));
}

static void test_asking_for_kicks_tells_what_came_in_between(void **state)
{
	static const uint64_t f[] = { 0, EVENT, PACKED, PACKED | EVENT };

	for (size_t k = 0; k < ARRAY_SIZE(f); k++) {
		if (k)
			setup(state);
		started(SIZE, f[k]);
		for (unsigned int i = 0; i < 20; i++) {
			vq_kick_disable(&q);
			assert_false(vq_kick_enable(&q));
			vq_kick_disable(&q);
			offer(f[k], BUF, 16, VRING_DESC_F_WRITE);
			assert_true(vq_kick_enable(&q));
			assert_int_equal(vq_pop(&q, &e), 1);
			vq_push(&q, &e, 0);
			vq_flush(&q);
		}
		if (k + 1 < ARRAY_SIZE(f))
			teardown(state);
	}
}

/* ---- vhost ----------------------------------------------------------------------------------- */

static void test_a_position_can_be_handed_over_and_taken_back(void **state)
{
	static const uint64_t f[] = { 0, PACKED };

	for (size_t k = 0; k < 2; k++) {
		if (k)
			setup(state);
		started(SIZE, f[k]);
		for (unsigned int i = 0; i < 11; i++)
			one(f[k]);
		uint32_t base = vq_base(&q);
		assert_int_equal(base, k ? (11u % 8 | (11u % 8) << 16) : 11u);
		vq_set_base(&q, base);
		one(f[k]);
		assert_int_equal(vq_base(&q), k ? (12u % 8 | (12u % 8) << 16) : 12u);
		assert_int_equal(breaks, 0);
		if (!k)
			teardown(state);
	}
	vq_set_base(&q, 0x7fff);
	assert_int_equal(breaks, 1);
}

/* ---- segments as a stream -------------------------------------------------------------------- */

static void test_copies_and_skips_respect_the_segments(void **state)
{
	char a[4] = "abcd", b[3] = "efg", c[1] = "h", buf[16] = "";
	struct iovec v[3] = { { a, 4 }, { b, 3 }, { c, 1 } }, *p = v;
	unsigned int n = 3;

	(void)state;
	assert_int_equal(iov_len(v, 3), 8);
	assert_int_equal(iov_get(v, 3, 0, buf, 16), 8);
	assert_memory_equal(buf, "abcdefgh", 8);
	assert_int_equal(iov_get(v, 3, 3, buf, 3), 3);
	assert_memory_equal(buf, "def", 3);
	assert_int_equal(iov_get(v, 3, 8, buf, 3), 0);
	assert_int_equal(iov_get(v, 3, 9, buf, 3), 0);
	assert_int_equal(iov_put(v, 3, 5, "XYZ!", 4), 3);
	assert_memory_equal(b, "eXY", 3);
	assert_memory_equal(c, "Z", 1);
	iov_skip(&p, &n, 5);
	assert_int_equal(n, 2);
	assert_int_equal(iov_len(p, n), 3);
	assert_int_equal(iov_get(p, n, 0, buf, 9), 3);
	assert_memory_equal(buf, "XYZ", 3);
	iov_skip(&p, &n, 3);
	assert_int_equal(n, 0);
	iov_skip(&p, &n, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_sizes_a_queue_can_have),
		TEST(test_a_stopped_queue_goes_on_where_it_was),
		TEST(test_a_segment_across_two_regions_is_two),
		TEST(test_more_segments_than_there_is_room_for_break_it),
		TEST(test_a_buffer_of_4_gib_breaks_it),
		TEST(test_a_broken_queue_says_so_once_and_touches_nothing_more),
		TEST(test_unpopped_buffers_come_again),
		TEST(test_in_order_holds_back_what_is_early),
		TEST(test_what_is_flushed_together_is_seen_together),
		TEST(test_signals_come_at_the_event_and_not_between),
		TEST(test_packed_signals_come_at_the_event_and_not_between),
		TEST(test_flags_alone_turn_signals_off),
		TEST(test_asking_for_kicks_tells_what_came_in_between),
		TEST(test_a_position_can_be_handed_over_and_taken_back),
		cmocka_unit_test(test_copies_and_skips_respect_the_segments),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
