// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net driven by the mini driver, over accelerator "none" and a TAP interface of the fake
// kernel: frames both ways on split and packed rings, what no driver may do, comings and goings.
// Its I/O threads are threads (pthread_create in vmm/virtio/iothread.c).
#include "tests/unit/virtio/netrig.h"

/* ---- what works ------------------------------------------------------------------------------ */

static void both_ways(uint64_t want)
{
	start("virtio-net,netdev=n0,packed=on,in_order=on,notification_data=on", want);
	assert_int_equal(v.features & want, want);
	for (unsigned int i = 0; i < 150; i++) { /* more than the rings have entries */
		uint32_t len = 14 + i * 10;

		post(i % SLOTS, SLOT);
		post((i + 1) % SLOTS, SLOT);
		vdrv_kick(&v.q[0], false);
		arrive(0, len, i);
		assert_received(len, i);
		arrive(0, 60, i + 1);
		assert_received(60, i + 1);
		send_frame(&v.q[1], 0, len, i, i % 2);
		assert_sent(0, len, i);
		assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	}
	assert_alive();
}

static void test_split_rings(void **state)
{
	(void)state;
	both_ways(BIT64(VIRTIO_RING_F_INDIRECT_DESC));
}

static void test_split_rings_with_everything(void **state)
{
	(void)state;
	both_ways(BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX) | F_MRG |
		  BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(38));
}

static void test_packed_rings_with_everything(void **state)
{
	(void)state;
	both_ways(BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX) | F_MRG |
		  BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER) |
		  BIT64(VIRTIO_NET_F_GUEST_CSUM));
}

/* Frames of all sizes over buffers that hold a part: what was guessed right comes directly, the
 * rest behind it. */
static void merge(uint64_t want)
{
	static const uint32_t sizes[] = { 60, 1500, 1501, 2036, 2037, 9000, 65550, 64, 40000, 14 };

	start("virtio-net,netdev=n0,packed=on,in_order=on", want | F_MRG);
	for (unsigned int round = 0; round < 3; round++)
		for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
			unsigned int n = (HDR + sizes[i] + SLOT - 1) / SLOT;

			for (unsigned int k = 0; k < n; k++)
				post(k, SLOT);
			vdrv_kick(&v.q[0], false);
			arrive(0, sizes[i], i + round);
			assert_received(sizes[i], i + round);
		}
	assert_alive();
}

static void test_large_frames_are_spread_over_buffers(void **state)
{
	(void)state;
	merge(0);
}

static void test_large_frames_are_spread_on_packed_rings(void **state)
{
	(void)state;
	merge(BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER) |
	      BIT64(VIRTIO_RING_F_EVENT_IDX));
}

static void test_a_frame_waits_for_buffers_and_keeps_its_place(void **state)
{
	(void)state;
	start("virtio-net,netdev=n0", F_MRG | BIT64(VIRTIO_RING_F_EVENT_IDX));
	for (unsigned int i = 0; i < 20; i++)
		arrive(0, 5000, i);
	for (unsigned int i = 0; i < 20; i++) {
		for (unsigned int k = 0; k < 3; k++) { /* one at a time */
			post(k, SLOT);
			vdrv_kick(&v.q[0], false);
		}
		assert_received(5000, i);
	}
	assert_alive();
}

static void test_without_merging_what_is_too_large_is_dropped(void **state)
{
	(void)state;
	start("virtio-net,netdev=n0", 0);
	post(0, 512);
	vdrv_kick(&v.q[0], false);
	arrive(0, 1500, 1);
	arrive(0, 500, 2);
	assert_received(500, 2);
	assert_alive();
}

static void test_more_buffers_than_a_ring_has_are_too_many(void **state)
{
	(void)state;
	start("virtio-net,netdev=n0", F_MRG);
	for (unsigned int i = 0; i < 64; i++)
		post(i, 16);
	vdrv_kick(&v.q[0], false);
	arrive(0, 1500, 1); /* 64 times 16 bytes are not enough */
	arrive(0, 60, 2);
	assert_received(60, 2);
	assert_alive();
}

static void test_what_the_network_does_not_take_is_sent_later(void **state)
{
	const unsigned int out = 60;
	unsigned int in = 0;

	(void)state;
	start("virtio-net,netdev=n0", BIT64(VIRTIO_RING_F_EVENT_IDX));
	send_many(&v.q[1], out);
	usleep(20000);
	assert_int_equal(fake_log_count("writev /dev/net/tun = -EAGAIN") > 0, 1);
	for (; in < out; in++)
		assert_sent(0, 16000, in % 8);
	for (; in > 0; in--)
		assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	assert_alive();
}

static void assert_described(const char *what)
{
	struct dev *d = &guest_pcidev(v.fn)->dev;
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	d->type->ops->describe(d, f);
	fclose(f);
	if (!strstr(text, what))
		fail_msg("\"%s\" is not in:\n%s", what, text);
	free(text);
}

static void test_frames_that_are_none_are_dropped(void **state)
{
	(void)state;
	start("virtio-net,netdev=n0", 0);
	const struct vdrv_seg seg[2] = { { tx_gpa, HDR }, { tx_gpa, 70000 } };
	assert_true(vdrv_add(&v.q[1], seg, 1, 0, false, NULL) >= 0); /* a header alone */
	assert_true(vdrv_add(&v.q[1], seg, 2, 0, false, NULL) >= 0); /* larger than any frame */
	vdrv_kick(&v.q[1], false);
	assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	assert_described("dropped: 0 frames to the guest, 2 of it");
	send_frame(&v.q[1], 0, 100, 3, false);
	assert_sent(0, 100, 3);
	assert_alive();
}

/* ---- a network without headers --------------------------------------------------------------- */

static void test_a_tap_without_vnet_header(void **state)
{
	struct ifreq ifr = { .ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI };
	uint8_t frame[1500], got[2000];
	char netdev[64];

	(void)state;
	int fd = sys_open("/dev/net/tun", 2, 0);
	assert_int_equal(sys_ioctl(fd, TUNSETIFF, &ifr), 0);
	snprintf(netdev, sizeof(netdev), "tap,id=n0,fd=%d", fd);
	attach(netdev, "virtio-net,netdev=n0");
	assert_false(vdrv_offered(&v) & BIT64(VIRTIO_NET_F_CSUM));
	vdrv_start(&v, F_MRG | BIT64(VIRTIO_RING_F_INDIRECT_DESC), 2, 64, true);
	memory();
	post(0, 100);
	post(1, SLOT);
	vdrv_kick(&v.q[0], false);
	fill(frame, sizeof(frame), 7);
	assert_int_equal(write(peer(0), frame, 1400), 1400);
	assert_received(1400, 7);
	send_frame(&v.q[1], 0, 1300, 9, true);
	assert_int_equal(sent(0, got, sizeof(got), 5000), 1300);
	fill(frame, 1300, 9);
	assert_memory_equal(got, frame, 1300);
	assert_alive();
}

/* ---- what no driver does --------------------------------------------------------------------- */

static void test_buffers_of_the_wrong_kind_break_the_device(void **state)
{
	static const struct {
		unsigned int queue, n_out, n_in;
		uint32_t len;
	} cases[] = {
		{ 1, 0, 1, 64 }, /* to send, in memory to write */
		{ 1, 1, 0, 11 }, /* to send, without its header */
		{ 0, 1, 0, 64 }, /* to receive, in memory to read */
		{ 0, 0, 1, 11 }, /* to receive, without room for a header */
		{ 2, 1, 0, 2 },	 /* a command without room for a status */
	};

	(void)state;
	start("virtio-net,netdev=n0", F_CTRL | F_MRG);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct vdrv_seg seg = { tx_gpa, cases[i].len };

		vdrv_start(&v, F_CTRL | F_MRG, 3, 64, true);
		assert_true(vdrv_add(&v.q[cases[i].queue], &seg, cases[i].n_out, cases[i].n_in,
				     false, NULL) >= 0);
		vdrv_kick(&v.q[cases[i].queue], true);
		arrive(0, 60, 1);
		assert_true(vdrv_wait_needs_reset(&v));
	}
	vdrv_start(&v, 0, 2, 64, true);
	memory();
	send_frame(&v.q[1], 0, 100, 3, false);
	assert_sent(0, 100, 3);
	assert_alive();
}

/* ---- comings and goings ---------------------------------------------------------------------- */

static void test_pause_and_reset_with_frames_under_way(void **state)
{
	struct dev *d;

	(void)state;
	start("virtio-net,netdev=n0", F_MRG);
	d = &guest_pcidev(v.fn)->dev;
	for (unsigned int i = 0; i < 30; i++) {
		post(0, SLOT); /* a frame that waits for a second buffer */
		vdrv_kick(&v.q[0], false);
		arrive(0, 3000, i);
		usleep(i * 50);
		machine_lock(g.m);
		dev_pause(d);
		dev_resume(d);
		machine_unlock(g.m);
		while (sent(0, tx + 65536, 4096, 0) > 0)
			;
		vdrv_start(&v, F_MRG, 2, 64, true);
		send_frame(&v.q[1], 0, 100, i, false);
		assert_sent(0, 100, i);
	}
	assert_alive();
}

static void tick(void)
{
	guest_turn(&g);
	usleep(5000);
}

static void test_a_deleted_interface_takes_the_link_down(void **state)
{
	(void)state;
	start("virtio-net,netdev=n0", BIT64(VIRTIO_NET_F_STATUS));
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_net_config, status), 2),
			 VIRTIO_NET_S_LINK_UP);
	post(0, SLOT);
	vdrv_kick(&v.q[0], false);
	fake_tap_delete("tap0");
	for (unsigned int i = 0; i < 500 && !vdrv_pending(&v, 0); i++)
		tick();
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_net_config, status), 2), 0);
	send_frame(&v.q[1], 0, 100, 1, false); /* into the void */
	assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	vdrv_start(&v, 0, 2, 64, true);
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_net_config, status), 2), 0);
	assert_alive();
}

#define T_(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_split_rings),
		T_(test_split_rings_with_everything),
		T_(test_packed_rings_with_everything),
		T_(test_large_frames_are_spread_over_buffers),
		T_(test_large_frames_are_spread_on_packed_rings),
		T_(test_a_frame_waits_for_buffers_and_keeps_its_place),
		T_(test_without_merging_what_is_too_large_is_dropped),
		T_(test_more_buffers_than_a_ring_has_are_too_many),
		T_(test_what_the_network_does_not_take_is_sent_later),
		T_(test_frames_that_are_none_are_dropped),
		T_(test_a_tap_without_vnet_header),
		T_(test_buffers_of_the_wrong_kind_break_the_device),
		T_(test_pause_and_reset_with_frames_under_way),
		T_(test_a_deleted_interface_takes_the_link_down),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
