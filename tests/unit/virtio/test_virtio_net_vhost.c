// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net with vhost=on, on the fake kernel's /dev/vhost-net: what the kernel is given and when
// it is taken away, pairs, descriptors that were passed, what is refused.
#include "tests/unit/virtio/netrig.h"

#include <fcntl.h>

#include "tests/fake/fake_vhost.h"

#define TAP "tap,id=n0,ifname=tap0,vhost=on"

static struct fake_vhost_state state_of(unsigned int nth)
{
	struct fake_vhost_state s;

	assert_true(fake_vhost_get(FAKE_VHOST_NET, nth, &s));
	return s;
}

static void wait_finished(unsigned int nth, unsigned int ring, unsigned int n)
{
	for (unsigned int i = 0; i < 500 && state_of(nth).ring[ring].finished < n; i++) {
		guest_turn(&g);
		usleep(2000);
	}
	assert_int_equal(state_of(nth).ring[ring].finished, n);
}

static void test_the_kernel_serves_and_goes_on_after_a_pause(void **state)
{
	struct fake_vhost_state s;
	struct dev *d;

	(void)state;
	attach(TAP, "virtio-net,netdev=n0,packed=on,in_order=on");
	d = &guest_pcidev(v.fn)->dev;
	assert_false(vdrv_offered(&v) & (BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER)));
	assert_true(vdrv_offered(&v) & F_MRG);
	vdrv_start(&v, F_MRG | BIT64(VIRTIO_RING_F_EVENT_IDX), 2, 64, true);
	memory();
	s = state_of(0);
	assert_true(s.owned);
	assert_int_equal(s.features, F_MRG | BIT64(VIRTIO_RING_F_EVENT_IDX) |
					     BIT64(VIRTIO_F_VERSION_1)); /* TAP has the header */
	assert_true(s.ring[0].kick && s.ring[0].call && s.ring[1].kick && s.ring[1].call);
	assert_true(s.ring[0].backend >= 0 && s.ring[0].backend == s.ring[1].backend);
	assert_int_equal(fake_log_count("readv"), 0);
	send_frame(&v.q[1], 0, 100, 1, false);
	wait_finished(0, 1, 1);
	assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	post(0, SLOT);
	vdrv_kick(&v.q[0], false);
	assert_int_equal(fake_vhost_deliver(FAKE_VHOST_NET, 0, 0, 1, 112), 1);
	assert_true(vdrv_wait(&v.q[0], NULL, NULL));

	machine_lock(g.m);
	dev_pause(d);
	machine_unlock(g.m);
	s = state_of(0);
	assert_int_equal(s.ring[0].backend, -1);
	assert_false(s.ring[0].kick || s.ring[1].kick);
	machine_lock(g.m);
	dev_resume(d);
	machine_unlock(g.m);
	assert_int_equal(state_of(0).ring[1].base, 1); /* where it was */
	send_frame(&v.q[1], 0, 100, 2, false);
	wait_finished(0, 1, 2);
	vdrv_set_status(&v, 0);
	assert_int_equal(state_of(0).ring[1].backend, -1);
	assert_alive();
}

static void test_each_pair_has_a_kernel_device(void **state)
{
	uint8_t two[2] = { 2, 0 };

	(void)state;
	attach("tap,id=n0,ifname=tap0,vhost=on,queues=2", "virtio-net,netdev=n0");
	vdrv_start(&v, F_CTRL | BIT64(VIRTIO_NET_F_MQ), 5, 64, true);
	memory();
	assert_true(state_of(0).ring[0].backend >= 0);
	assert_int_equal(state_of(1).ring[0].backend, -1);
	assert_int_equal(
		command(&v.q[4], VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two, 2),
		VIRTIO_NET_OK);
	assert_true(state_of(1).ring[0].backend >= 0);
	assert_int_not_equal(state_of(0).ring[0].backend, state_of(1).ring[0].backend);
	send_frame(&v.q[3], 0, 100, 1, false);
	wait_finished(1, 1, 1);
	two[0] = 1;
	assert_int_equal(
		command(&v.q[4], VIRTIO_NET_CTRL_MQ, VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET, two, 2),
		VIRTIO_NET_OK);
	assert_int_equal(state_of(1).ring[0].backend, -1);
	assert_alive();
}

/* As OpenStack hands them over; this interface has no header, so the kernel makes it. */
static void test_descriptors_may_be_passed(void **state)
{
	struct ifreq ifr = { .ifr_name = "tap0", .ifr_flags = IFF_TAP | IFF_NO_PI };
	char netdev[96];

	(void)state;
	int tap = sys_open("/dev/net/tun", O_RDWR, 0);
	int vhost = sys_open("/dev/vhost-net", O_RDWR, 0);
	assert_int_equal(sys_ioctl(tap, TUNSETIFF, &ifr), 0);
	snprintf(netdev, sizeof(netdev), "tap,id=n0,fd=%d,vhost=on,vhostfd=%d", tap, vhost);
	attach(netdev, "virtio-net,netdev=n0");
	vdrv_start(&v, F_MRG, 2, 64, true);
	assert_int_equal(state_of(0).ring[0].backend, tap);
	assert_true(state_of(0).features & BIT64(VHOST_NET_F_VIRTIO_NET_HDR));
}

static void test_a_ring_the_kernel_finds_broken(void **state)
{
	(void)state;
	attach(TAP, "virtio-net,netdev=n0");
	vdrv_start(&v, 0, 2, 64, true);
	fake_vhost_ring_error(FAKE_VHOST_NET, 0, 0);
	assert_true(vdrv_wait_needs_reset(&v));
	assert_int_equal(state_of(0).ring[0].backend, -1);
	vdrv_start(&v, 0, 2, 64, true);
	assert_true(state_of(0).ring[0].backend >= 0);
}

static void test_a_deleted_interface_takes_the_link_down(void **state)
{
	(void)state;
	attach(TAP, "virtio-net,netdev=n0");
	vdrv_start(&v, BIT64(VIRTIO_NET_F_STATUS), 2, 64, true);
	fake_tap_delete("tap0");
	for (unsigned int i = 0; i < 500 && !vdrv_pending(&v, 0); i++) {
		guest_turn(&g);
		usleep(5000);
	}
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_net_config, status), 2), 0);
	assert_alive();
}

static void test_what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *netdev, *device, *says;
	} cases[] = {
		{ "tap,id=n0,ifname=tap0,vhostfd=5", "virtio-net,netdev=n0", "needs vhost=on" },
		{ "tap,id=n0,ifname=tap0,queues=2,vhost=on,vhostfd=5", "virtio-net,netdev=n0",
		  "1 vhost descriptors for 2 queues" },
		{ "tap,id=n0,ifname=tap0,queues=2,vhost=on", "virtio-net,netdev=n0,iothreads=2",
		  "the kernel's threads" },
		{ "tap,id=n0,ifname=tap0,vhost=on,vhostfd=999", "virtio-net,netdev=n0", "vhost" },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct guest_setup s = { .accel = "none",
					       .device = { cases[i].device },
					       .backend = { { BACKEND_NET, cases[i].netdev } } };
		struct verr err = { 0 };

		assert_true(guest_open(&g, &s, &err) < 0);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\" is not in: %s", cases[i].says, err.msg);
		fake_violations_clear();
	}
}

#define T_(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_the_kernel_serves_and_goes_on_after_a_pause),
		T_(test_each_pair_has_a_kernel_device),
		T_(test_descriptors_may_be_passed),
		T_(test_a_ring_the_kernel_finds_broken),
		T_(test_a_deleted_interface_takes_the_link_down),
		T_(test_what_is_wrong_is_said),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
