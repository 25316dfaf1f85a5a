// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net on the "user" network: passt's stream, played by the test at the other end of the
// socket. Threads as in test_virtio_net.c (pthread_create in vmm/virtio/iothread.c).
#include "tests/unit/virtio/netrig.h"

#include <sys/socket.h>

#include "tests/fake/fake_child.h"
#include "vmm/typearg.h"

static int begin(void **state)
{
	setup(state);
	fake_program("passt");
	fake_listen("/run/passt.socket");
	return 0;
}

static void start_user(const char *netdev, uint64_t want)
{
	attach(netdev, "virtio-net,netdev=n0");
	assert_false(vdrv_offered(&v) & BIT64(VIRTIO_NET_F_CSUM));
	vdrv_start(&v, want, 2, 64, true);
	memory();
}

/* All `len` bytes, however the socket cuts them. */
static void to_guest(const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t r = write(fake_other_end(), p, len);

		assert_true(r > 0 || errno == EAGAIN);
		if (r < 0) {
			struct pollfd fd = { .fd = fake_other_end(), .events = POLLOUT };
			assert_int_equal(poll(&fd, 1, 5000), 1);
			continue;
		}
		p += r;
		len -= (size_t)r;
	}
}

static void from_guest(uint8_t *p, size_t len)
{
	while (len > 0) {
		struct pollfd fd = { .fd = fake_other_end(), .events = POLLIN };

		assert_int_equal(poll(&fd, 1, 5000), 1);
		ssize_t r = read(fd.fd, p, len);
		assert_true(r > 0);
		p += r;
		len -= (size_t)r;
	}
}

static size_t frame(uint8_t *at, uint32_t len, unsigned int seed)
{
	for (unsigned int i = 0; i < 4; i++)
		at[i] = (uint8_t)(len >> (24 - 8 * i));
	fill(at + 4, len, seed);
	return 4 + (size_t)len;
}

static void assert_from_guest(uint32_t len, unsigned int seed)
{
	static uint8_t want[70000], got[70000];
	size_t n = frame(want, len, seed);

	from_guest(got, n);
	assert_memory_equal(got, want, n);
}

static void test_frames_in_a_stream(void **state)
{
	static uint8_t buf[400000];
	static const uint32_t sizes[] = { 60, 1500, 65534, 1, 9000, 14 };
	size_t n = 0;

	(void)state;
	start_user("user,id=n0", F_MRG);
	assert_string_equal(fake_arguments(), "--foreground --quiet --fd 3");
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++)
		n += frame(buf + n, sizes[i], i);
	/* In odd pieces: within lengths, within frames, several at once. */
	for (size_t at = 0, piece = 1; at < n; at += piece, piece = piece % 7000 * 3 + 1)
		to_guest(buf + at, MIN(piece, n - at));
	for (unsigned int i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (unsigned int k = 0; k < (HDR + sizes[i] + SLOT - 1) / SLOT; k++)
			post(k, SLOT);
		vdrv_kick(&v.q[0], false);
		assert_received(sizes[i], i);
	}
	for (unsigned int i = 0; i < 100; i++) {
		send_frame(&v.q[1], 0, 100 + i * 10, i, false);
		assert_from_guest(100 + i * 10, i);
		assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	}
	assert_alive();
}

/* The socket takes a part: the rest of that frame goes first, then the others, in order; across a
 * pause and a reset, too. */
static void test_a_full_stream_is_gone_on_with(void **state)
{
	struct dev *d;

	(void)state;
	start_user("user,id=n0,socket=/run/passt.socket", 0);
	d = &guest_pcidev(v.fn)->dev;
	send_many(&v.q[1], 60);
	usleep(20000);
	machine_lock(g.m);
	dev_pause(d);
	dev_resume(d);
	machine_unlock(g.m);
	for (unsigned int i = 0; i < 60; i++)
		assert_from_guest(16000, i % 8);
	for (unsigned int i = 0; i < 60; i++)
		assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	send_many(&v.q[1], 60);
	usleep(20000);
	vdrv_start(&v, 0, 2, 64, true);
	send_frame(&v.q[1], 0, 200, 99, false);
	/* Whole frames, some of the sixty, then the new one. */
	static uint8_t head[4], got[20000], want[20000];
	for (unsigned int i = 0; i < 61; i++) {
		from_guest(head, 4);
		uint32_t len = (uint32_t)head[2] << 8 | head[3];
		assert_true(len == 16000 || len == 200);
		from_guest(got, len);
		fill(want, len, len == 200 ? 99 : i % 8);
		assert_memory_equal(got, want, len);
		if (len == 200)
			break;
	}
	assert_alive();
}

static void link_goes_down(void)
{
	for (unsigned int i = 0; i < 500 && !vdrv_pending(&v, 0); i++) {
		guest_turn(&g);
		usleep(5000);
	}
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_net_config, status), 2), 0);
	send_frame(&v.q[1], 0, 100, 1, false); /* into the void */
	assert_true(vdrv_wait(&v.q[1], NULL, NULL));
	assert_alive();
}

static void test_its_end_takes_the_link_down(void **state)
{
	(void)state;
	start_user("user,id=n0", BIT64(VIRTIO_NET_F_STATUS));
	post(0, SLOT);
	vdrv_kick(&v.q[0], false);
	fake_hang_up();
	link_goes_down();
}

/* A length that no frame has: out of step, or hostile. */
static void test_nonsense_ends_it(void **state)
{
	(void)state;
	start_user("user,id=n0", BIT64(VIRTIO_NET_F_STATUS));
	post(0, SLOT);
	vdrv_kick(&v.q[0], false);
	to_guest((const uint8_t *)"\xff\xff\xff\xff", 4);
	link_goes_down();
}

static void test_what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *props, *says;
	} cases[] = {
		{ ",socket=/run/none", "socket=/run/none can't be connected to" },
		{ ",program=slirp", "slirp can't be started" },
		{ ",socket=/run/passt.socket,tcp=22", "give it --tcp-ports" },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		char netdev[128];
		struct verr err = { 0 };

		snprintf(netdev, sizeof(netdev), "user,id=n0%s", cases[i].props);
		const struct guest_setup s = { .accel = "none",
					       .backend = { { BACKEND_NET, netdev } } };
		assert_true(guest_open(&g, &s, &err) < 0);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\" is not in: %s", cases[i].says, err.msg);
	}
}

#define T_(fn) cmocka_unit_test_setup_teardown(fn, begin, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_frames_in_a_stream),	      T_(test_a_full_stream_is_gone_on_with),
		T_(test_its_end_takes_the_link_down), T_(test_nonsense_ends_it),
		T_(test_what_is_wrong_is_said),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
