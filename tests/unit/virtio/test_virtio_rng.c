// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-rng driven by the mini driver, over accelerator "none".
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "tests/guest/vdrv.h"

static struct guest g;
static struct vdrv v;

static void start(const char *device, uint64_t want, uint16_t size)
{
	const struct guest_setup s = { .accel = "none", .device = { device } };

	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_RNG, 0, 0);
	vdrv_start(&v, want, 1, size, true);
}

static int teardown(void **state)
{
	(void)state;
	guest_close(&g);
	return 0;
}

static bool all_zero(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (p[i])
			return false;
	return true;
}

/* More requests than the ring has entries: it wraps. */
static void fill(uint64_t want, bool indirect)
{
	start("virtio-rng,packed=on,in_order=on,notification_data=on", want, 8);
	assert_int_equal(v.features & want, want);
	uint64_t gpa = vdrv_ram(&v, 4096);
	uint8_t *p = vdrv_ptr(&v, gpa, 4096);

	for (unsigned int i = 0; i < 50; i++) {
		const struct vdrv_seg seg[2] = { { gpa + 64, 32 }, { gpa + 256, 64 } };
		uint32_t len = 0;
		void *cookie = NULL;

		memset(p, 0, 4096);
		assert_true(vdrv_add(&v.q[0], seg, 0, 2, indirect, p) >= 0);
		vdrv_kick(&v.q[0], true);
		assert_true(vdrv_wait(&v.q[0], &cookie, &len));
		assert_int_equal(len, 96);
		assert_ptr_equal(cookie, p);
		assert_false(all_zero(p + 64, 32));
		assert_false(all_zero(p + 256, 64));
		assert_true(all_zero(p, 64) && all_zero(p + 96, 160) && all_zero(p + 320, 3776));
	}
	assert_false(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_split_ring_fills_buffers(void **state)
{
	(void)state;
	fill(0, false);
}

static void test_packed_ring_with_event_index_and_tables_fills_buffers(void **state)
{
	(void)state;
	fill(BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_RING_F_EVENT_IDX) |
		     BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_F_IN_ORDER) | BIT64(38),
	     true);
}

static void test_a_buffer_without_room_needs_a_reset(void **state)
{
	(void)state;
	start("virtio-rng", 0, 8);
	const struct vdrv_seg s = { vdrv_ram(&v, 4096), 64 };

	assert_true(vdrv_add(&v.q[0], &s, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[0], true);
	assert_true(vdrv_wait_needs_reset(&v));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_split_ring_fills_buffers, teardown),
		cmocka_unit_test_teardown(
			test_packed_ring_with_event_index_and_tables_fills_buffers, teardown),
		cmocka_unit_test_teardown(test_a_buffer_without_room_needs_a_reset, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
