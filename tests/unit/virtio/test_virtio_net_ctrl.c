// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net's control queue and what it changes: offloads, filters, queue pairs. Threads as in
// test_virtio_net.c (pthread_create in vmm/virtio/iothread.c).
#include "tests/unit/virtio/netrig.h"

/* ---- offloads -------------------------------------------------------------------------------- */

static void test_offloads_reach_the_network(void **state)
{
	uint64_t all = BIT64(VIRTIO_NET_F_GUEST_CSUM) | BIT64(VIRTIO_NET_F_GUEST_TSO4) |
		       BIT64(VIRTIO_NET_F_GUEST_TSO6) | BIT64(VIRTIO_NET_F_GUEST_ECN);
	uint8_t bits[8];

	(void)state;
	start("virtio-net,netdev=n0",
	      all | F_CTRL | BIT64(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) | BIT64(VIRTIO_NET_F_CSUM));
	assert_int_equal(fake_tap_offload("tap0"),
			 TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN);
	put_le64(bits, BIT64(VIRTIO_NET_F_GUEST_CSUM));
	assert_int_equal(command(&v.q[2], VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, bits, 8),
			 VIRTIO_NET_OK);
	assert_int_equal(fake_tap_offload("tap0"), TUN_F_CSUM);
	put_le64(bits, BIT64(VIRTIO_NET_F_GUEST_UFO)); /* was not negotiated */
	assert_int_equal(command(&v.q[2], VIRTIO_NET_CTRL_GUEST_OFFLOADS,
				 VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET, bits, 8),
			 VIRTIO_NET_ERR);
	assert_int_equal(fake_tap_offload("tap0"), TUN_F_CSUM);
	vdrv_set_status(&v, 0);
	assert_int_equal(fake_tap_offload("tap0"), 0);
	assert_int_equal(fake_log_count("TUNSETOFFLOAD = -"), 0);
}

static void test_what_the_kernel_does_not_know_is_not_offered(void **state)
{
	(void)state;
	fake_tap_know(TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN);
	attach("tap,id=n0,ifname=tap0", "virtio-net,netdev=n0,mtu=9000");
	assert_true(vdrv_offered(&v) & BIT64(VIRTIO_NET_F_HOST_TSO4));
	assert_false(vdrv_offered(&v) & (BIT64(VIRTIO_NET_F_HOST_UFO) | BIT64(54) | BIT64(56)));
	assert_true(vdrv_offered(&v) & BIT64(VIRTIO_NET_F_MTU));
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_net_config, mtu), 2), 9000);
}

/* A driver that wants TSO without checksums: the kernel would refuse it. */
static void test_offloads_that_need_others_are_left_out(void **state)
{
	(void)state;
	start("virtio-net,netdev=n0", BIT64(VIRTIO_NET_F_GUEST_TSO4) | BIT64(54));
	assert_int_equal(fake_tap_offload("tap0"), 0);
	post(0, SLOT);
	vdrv_kick(&v.q[0], false);
	arrive(0, 60, 1);
	assert_received(60, 1);
	assert_int_equal(fake_log_count("TUNSETOFFLOAD = -"), 0);
}

/* ---- the control queue ----------------------------------------------------------------------- */

static void start_ctrl(void)
{
	start("virtio-net,netdev=n0,mac=52:54:00:00:00:01",
	      F_CTRL | BIT64(VIRTIO_NET_F_CTRL_RX) | BIT64(VIRTIO_NET_F_CTRL_RX_EXTRA) |
		      BIT64(VIRTIO_NET_F_CTRL_VLAN) | BIT64(VIRTIO_NET_F_CTRL_MAC_ADDR) |
		      BIT64(VIRTIO_NET_F_MAC));
}

static void test_commands_and_their_statuses(void **state)
{
	static const uint8_t table[] = { 1, 0, 0, 0, 2, 0, 0, 0, 0, 9, 0, 0, 0, 0 };
	static const uint8_t many[] = { 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0 };
	static const uint8_t on[8] = { 1 };
	static const uint8_t mac[] = { 0x52, 0x54, 0, 1, 2, 3, 0 };
	static const uint8_t vid[] = { 0xff, 0x0f }, no_vid[] = { 0, 0x10 };
	static const struct {
		uint8_t class, cmd;
		const uint8_t *data;
		uint32_t len;
		uint8_t status;
	} cases[] = {
		{ VIRTIO_NET_CTRL_RX, 0, on, 1, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_RX, 5, on, 1, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_RX, 6, on, 1, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_RX, 0, on, 0, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_RX, 0, on, 2, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, 0, table, 14, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_MAC, 0, table, 13, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, 0, table, 9, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, 0, many, 8, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, 0, many, 3, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, 1, mac, 6, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_MAC, 1, mac, 7, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MAC, 2, mac, 6, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_VLAN, 0, vid, 2, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_VLAN, 1, vid, 2, VIRTIO_NET_OK },
		{ VIRTIO_NET_CTRL_VLAN, 2, vid, 2, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_VLAN, 0, no_vid, 2, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_MQ, 0, on, 2, VIRTIO_NET_ERR }, /* not negotiated */
		{ VIRTIO_NET_CTRL_GUEST_OFFLOADS, 0, on, 8, VIRTIO_NET_ERR },
		{ VIRTIO_NET_CTRL_ANNOUNCE, 0, on, 0, VIRTIO_NET_ERR },
		{ 0xff, 0, on, 1, VIRTIO_NET_ERR },
	};

	(void)state;
	start_ctrl();
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++)
		if (command(&v.q[2], cases[i].class, cases[i].cmd, cases[i].data, cases[i].len) !=
		    cases[i].status)
			fail_msg("case %u: class %u command %u", i, cases[i].class, cases[i].cmd);
	assert_int_equal(vdrv_config(&v, 0, 4), 0x01005452);
	assert_int_equal(vdrv_config(&v, 4, 2), 0x0302);
	assert_alive();
}

static bool gets(const uint8_t *mac, unsigned int vlan)
{
	static unsigned int turn;
	uint8_t buf[HDR + 64] = { 0 };
	uint32_t len;
	void *cookie;

	memcpy(buf + HDR, mac, 6);
	put_le16(buf + HDR + 12, vlan ? 0x0081 : 0x0008);
	buf[HDR + 14] = (uint8_t)(vlan >> 8);
	buf[HDR + 15] = (uint8_t)vlan;
	buf[HDR + 63] = (uint8_t)++turn;
	assert_int_equal(write(peer(0), buf, sizeof(buf)), (ssize_t)sizeof(buf));
	/* Then one that always comes: ours, untagged. */
	memcpy(buf + HDR, "\x52\x54\0\0\0\1\0\0\0\0\0\0\x08\0\0\0", 16);
	buf[HDR + 63] = 0;
	assert_int_equal(write(peer(0), buf, sizeof(buf)), (ssize_t)sizeof(buf));
	post(0, SLOT);
	post(1, SLOT);
	vdrv_kick(&v.q[0], false);
	assert_true(vdrv_wait(&v.q[0], &cookie, &len));
	bool got = ((uint8_t *)cookie)[HDR + 63] == (uint8_t)turn;
	if (!got) /* for the second buffer */
		assert_int_equal(write(peer(0), buf, sizeof(buf)), (ssize_t)sizeof(buf));
	assert_true(vdrv_wait(&v.q[0], &cookie, &len));
	assert_int_equal(((uint8_t *)cookie)[HDR + 63], 0);
	return got;
}

static uint8_t rx_mode(uint8_t cmd, uint8_t on)
{
	return command(&v.q[2], VIRTIO_NET_CTRL_RX, cmd, &on, 1);
}

static void test_only_what_the_driver_wants_is_received(void **state)
{
	static const uint8_t own[] = { 0x52, 0x54, 0, 0, 0, 1 }, other[] = { 2, 0, 0, 0, 0, 9 };
	static const uint8_t all[] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	static const uint8_t group[] = { 1, 0, 0x5e, 0, 0, 1 };
	static const uint8_t table[] = { 1, 0, 0, 0, 2, 0, 0,	 0, 0, 9,
					 1, 0, 0, 0, 1, 0, 0x5e, 0, 0, 1 };
	static const uint8_t vid[] = { 100, 0 };

	(void)state;
	start_ctrl();
	assert_true(gets(other, 0)); /* everything, until it says otherwise */
	assert_false(gets(own, 100));
	assert_int_equal(command(&v.q[2], VIRTIO_NET_CTRL_VLAN, 0, vid, 2), VIRTIO_NET_OK);
	assert_true(gets(own, 100));
	assert_false(gets(own, 101));
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_PROMISC, 0), VIRTIO_NET_OK);
	assert_true(gets(own, 0));
	assert_true(gets(all, 0));
	assert_false(gets(other, 0));
	assert_false(gets(group, 0));
	assert_int_equal(command(&v.q[2], VIRTIO_NET_CTRL_MAC, 0, table, sizeof(table)),
			 VIRTIO_NET_OK);
	assert_true(gets(other, 0));
	assert_true(gets(group, 0));
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_NOMULTI, 1), VIRTIO_NET_OK);
	assert_false(gets(group, 0));
	assert_int_equal(rx_mode(VIRTIO_NET_CTRL_RX_NOBCAST, 1), VIRTIO_NET_OK);
	assert_false(gets(all, 0));
	assert_alive();
}

/* ---- several queues -------------------------------------------------------------------------- */

static uint8_t set_pairs(unsigned int ctrl_queue, uint16_t n)
{
	uint8_t data[2];

	put_le16(data, n);
	return command(&v.q[ctrl_queue], VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, data,
		       2);
}

static void test_pairs_come_into_use_when_the_driver_says(void **state)
{
	(void)state;
	attach("tap,id=n0,ifname=tap0,queues=3", "virtio-net,netdev=n0,iothreads=2");
	vdrv_start(&v, F_CTRL | BIT64(VIRTIO_NET_F_MQ), 7, 64, true);
	memory();
	assert_int_equal(
		vdrv_config(&v, offsetof(struct virtio_net_config, max_virtqueue_pairs), 2), 3);
	assert_true(fake_tap_queue_on("tap0", 0));
	assert_false(fake_tap_queue_on("tap0", 1));
	assert_int_equal(set_pairs(6, 0), VIRTIO_NET_ERR);
	assert_int_equal(set_pairs(6, 4), VIRTIO_NET_ERR);
	assert_int_equal(set_pairs(6, 3), VIRTIO_NET_OK);
	assert_true(fake_tap_queue_on("tap0", 1) && fake_tap_queue_on("tap0", 2));
	for (unsigned int i = 0; i < 3; i++) {
		send_frame(&v.q[2 * i + 1], i * 4096, 200, i, false);
		assert_sent(i, 200, i);
	}
	assert_int_equal(set_pairs(6, 2), VIRTIO_NET_OK);
	assert_true(fake_tap_queue_on("tap0", 1));
	assert_false(fake_tap_queue_on("tap0", 2));
	vdrv_set_status(&v, 0);
	assert_false(fake_tap_queue_on("tap0", 2));
	assert_alive();
}

/* VIRTIO 1.2 5.1.2: without MQ the control queue is the third. */
static void test_the_control_queue_of_a_driver_without_mq(void **state)
{
	static const uint8_t on = 1;

	(void)state;
	attach("tap,id=n0,ifname=tap0,queues=2", "virtio-net,netdev=n0");
	vdrv_start(&v, F_CTRL | BIT64(VIRTIO_NET_F_CTRL_RX), 3, 64, true);
	memory();
	assert_int_equal(command(&v.q[2], VIRTIO_NET_CTRL_RX, 0, &on, 1), VIRTIO_NET_OK);
	assert_int_equal(set_pairs(2, 2), VIRTIO_NET_ERR);
}

#define T_(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_offloads_reach_the_network),
		T_(test_what_the_kernel_does_not_know_is_not_offered),
		T_(test_offloads_that_need_others_are_left_out),
		T_(test_commands_and_their_statuses),
		T_(test_only_what_the_driver_wants_is_received),
		T_(test_pairs_come_into_use_when_the_driver_says),
		T_(test_the_control_queue_of_a_driver_without_mq),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
