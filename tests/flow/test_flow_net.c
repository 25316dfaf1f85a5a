// SPDX-License-Identifier: GPL-2.0-or-later
// A network card in a machine on the fake kernel: frames cost no exit, it comes and goes while the
// guest runs, nothing is left of it wherever its set-up fails.
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <unistd.h>

#include "tests/fake/fake_tap.h"
#include "virtio.h"

#define NET "tap,id=n0,ifname=tap0,queues=2"

/* A frame out, a frame in. */
static void frames(void)
{
	uint64_t gpa = MIB(3);
	uint8_t *p = vdrv_ptr(&v, gpa, 8192), buf[256] = { 0 };
	const struct vdrv_seg out = { gpa, 112 }, in = { gpa + 4096, 2048 };
	uint32_t len = 0;

	memset(p, 0x5a, 112);
	memset(p, 0, 12);
	assert_true(vdrv_add(&v.q[1], &out, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[1], true);
	assert_int_equal(g.last, FAKE_ACCESS_DOORBELL);
	assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	struct pollfd fd = { .fd = fake_tap_peer("tap0", 0), .events = POLLIN };
	assert_int_equal(poll(&fd, 1, 5000), 1);
	assert_int_equal(read(fd.fd, buf, sizeof(buf)), 112);
	assert_memory_equal(buf, p, 112);

	assert_true(vdrv_add(&v.q[0], &in, 0, 1, false, NULL) >= 0);
	vdrv_kick(&v.q[0], false);
	assert_int_equal(write(fd.fd, buf, 100), 100);
	assert_true(vdrv_wait(&v.q[0], NULL, &len));
	assert_int_equal(len, 100);
}

static const struct flow_virtio card = {
	.parts = { .device = { "virtio-net,id=dut,netdev=n0,iothreads=2" },
		   .backend = { { BACKEND_NET, NET } } },
	.last = "n0",
	.id = VIRTIO_ID_NET,
	.n_queues = 5,
	.n_base = 2,
	.features = UINT64_MAX,
	.io = frames,
};

static void test_frames_cost_no_exit(void **state)
{
	(void)state;
	flow_virtio_no_exit(&card);
}

static void test_it_comes_and_goes_while_the_guest_runs(void **state)
{
	(void)state;
	flow_virtio_plug(&card);
}

static void test_properties_that_do_not_fit_are_explained(void **state)
{
	static const struct {
		const char *device, *says;
	} cases[] = {
		{ "virtio-net", "netdev" },
		{ "virtio-net,netdev=n1", "there is no netdev of that name (there are: n0)" },
		{ "virtio-net,netdev=n0,mac=01:00:5e:00:00:01", "multicast" },
		{ "virtio-net,netdev=n0,mac=1:2:3:4:5:6", "no MAC address" },
		{ "virtio-net,netdev=n0,mac=52:54:00:12:34:567", "no MAC address" },
		{ "virtio-net,netdev=n0,iothreads=3", "netdev n0 has 2" },
		{ "virtio-net,netdev=n0,queue-size=100", "power of two" },
		{ "virtio-net,netdev=n0,mtu=67", "mtu" },
		{ "virtio-net,netdev=n0,mak=52:54:00:12:34:56", "mac" },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct guest_setup s = { .accel = "none",
					       .device = { cases[i].device },
					       .backend = { { BACKEND_NET, NET } } };
		struct verr err = { 0 };

		assert_true(guest_open(&g, &s, &err) < 0);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\" is not in: %s", cases[i].says, err.msg);
	}
}

static void test_every_failure_of_its_set_up_is_undone_and_named(void **state)
{
	(void)state;
	flow_virtio_sweep(&card);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_frames_cost_no_exit),
		FLOW_TEST(test_it_comes_and_goes_while_the_guest_runs),
		FLOW_TEST(test_properties_that_do_not_fit_are_explained),
		FLOW_TEST(test_every_failure_of_its_set_up_is_undone_and_named),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
