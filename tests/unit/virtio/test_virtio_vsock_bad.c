// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-vsock in user space and a hostile guest: packets against the protocol, malformed buffers,
// floods.
#include "tests/unit/virtio/vsock_case.h"

/* ---- hostile guests -------------------------------------------------------------------------- */

static void test_packets_against_the_protocol_are_answered_by_rst(void **state)
{
	static const struct {
		uint16_t op, type;
		uint64_t src, dst;
		bool answered;
	} cases[] = {
		{ RW, 1, VSOCK_GUEST_CID, 2, true },
		{ RESPONSE, 1, VSOCK_GUEST_CID, 2, true },
		{ SHUT, 1, VSOCK_GUEST_CID, 2, true },
		{ UPDATE, 1, VSOCK_GUEST_CID, 2, true },
		{ 0, 1, VSOCK_GUEST_CID, 2, true },
		{ 0xffff, 1, VSOCK_GUEST_CID, 2, true },
		{ REQUEST, 2, VSOCK_GUEST_CID, 2, true },
		{ REQUEST, 0x7777, VSOCK_GUEST_CID, 2, true },
		{ REQUEST, 1, VSOCK_GUEST_CID, 3, true },
		{ REQUEST, 1, VSOCK_GUEST_CID, UINT64_MAX, true },
		{ RST, 1, VSOCK_GUEST_CID, 2, false },
		{ RST, 9, VSOCK_GUEST_CID, 2, false },
		{ REQUEST, 1, VSOCK_GUEST_CID + 1, 2, false },
		{ REQUEST, 1, 2, 2, false },
	};

	(void)state;
	start();
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct virtio_vsock_hdr h = vsock_guest_hdr(&s, cases[i].op, 70 + i, 1234);

		h.type = cases[i].type;
		h.src_cid = cases[i].src;
		h.dst_cid = cases[i].dst;
		vsock_guest_send(&s, &h, NULL, 0);
		if (!cases[i].answered) {
			assert_true(quiet());
			continue;
		}
		assert_true(vsock_guest_get(&s, &got));
		assert_int_equal(got.h.op, RST);
		assert_int_equal(got.h.type, cases[i].type);
		assert_int_equal(got.h.src_cid, cases[i].dst);
		assert_int_equal(got.h.src_port, 1234);
		assert_int_equal(got.h.dst_port, 70 + i);
	}
	assert_true(sound());
}

static void test_an_open_connection_ends_by_what_it_must_not_get(void **state)
{
	static const uint16_t ops[] = { REQUEST, RESPONSE, 0, 8, 0xffff };

	(void)state;
	start();
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++) {
		int fd = guest_connects(7);
		vsock_guest_put(&s, ops[i], 7, 1234, NULL, 0);
		expect(RST, 7, 1234);
		assert_true(host_eof(fd));
		close(fd);
	}
	/* One the guest is being asked for: data before the answer. */
	int fd = host_connects("CONNECT 52\n");
	assert_true(vsock_guest_get(&s, &got));
	uint32_t port = got.h.src_port;
	vsock_guest_put(&s, RW, 52, port, "x", 1);
	expect(RST, 52, port);
	assert_true(host_eof(fd));
	close(fd);
	assert_true(sound());
}

static void broken_by(const struct vdrv_seg *seg, unsigned int n_out, unsigned int n_in,
		      unsigned int queue)
{
	assert_true(vdrv_add(&v.q[queue], seg, n_out, n_in, false, NULL) >= 0);
	vdrv_kick(&v.q[queue], true);
	assert_true(vdrv_wait_needs_reset(&v));
	start_driver(0, 0);
}

static void test_malformed_buffers_need_a_reset(void **state)
{
	(void)state;
	start_with(0, 0);
	uint64_t gpa = MIB(3);
	struct virtio_vsock_hdr *h = vdrv_ptr(&v, gpa, 4096);
	*h = vsock_guest_hdr(&s, RW, 7, 1234);
	h->len = 101;
	/* Shorter than a header, than it says; a part to be written. */
	broken_by((struct vdrv_seg[]){ { gpa, 43 } }, 1, 0, 1);
	broken_by((struct vdrv_seg[]){ { gpa, 44 }, { gpa + 44, 100 } }, 2, 0, 1);
	h->len = UINT32_MAX;
	broken_by((struct vdrv_seg[]){ { gpa, 44 }, { gpa + 44, 100 } }, 2, 0, 1);
	h->len = 0;
	broken_by((struct vdrv_seg[]){ { gpa, 44 }, { gpa + 44, 100 } }, 1, 1, 1);
	/* Receive buffers: no room, or to be read. A packet is due for each. */
	vsock_guest_put(&s, RW, 7, 1234, NULL, 0);
	broken_by((struct vdrv_seg[]){ { gpa, 44 } }, 0, 1, 0);
	vsock_guest_put(&s, RW, 7, 1234, NULL, 0);
	broken_by((struct vdrv_seg[]){ { gpa, 8 }, { gpa + 8, 100 } }, 1, 1, 0);
	/* It works again. */
	start_driver(0, 4);
	close(guest_connects(7));
}

static void test_answers_are_bounded_and_none_is_lost(void **state)
{
	const struct vdrv_seg seg = { MIB(3), 44 };
	unsigned int sent = 0, answered = 0;

	(void)state;
	start_with(0, 0);
	struct virtio_vsock_hdr *h = vdrv_ptr(&v, MIB(3), 4096);
	*h = vsock_guest_hdr(&s, RW, 7, 99);
	/* No buffer to answer into: it stops taking. */
	for (unsigned int idle = 0; idle < 20;) {
		while (vdrv_add(&v.q[1], &seg, 1, 0, false, NULL) >= 0) {
			sent++;
			idle = 0;
		}
		vdrv_kick(&v.q[1], true);
		usleep(5000);
		while (vdrv_reap(&v.q[1], NULL, NULL))
			idle = 0;
		idle++;
		assert_true(sent < 2 * VSOCK_REPLIES);
	}
	assert_int_equal(sent, VSOCK_REPLIES + v.q[1].size);
	vsock_guest_start(&s, &v, 16);
	for (; answered < sent; answered++)
		expect(RST, 7, 99);
	assert_true(quiet());
	assert_true(sound());
}

static void test_connections_are_bounded(void **state)
{
	static int fd[VSOCK_CONNS];

	(void)state;
	start();
	for (unsigned int i = 0; i < VSOCK_CONNS; i++)
		fd[i] = guest_connects(1000 + i);
	vsock_guest_put(&s, REQUEST, 7, 1234, NULL, 0);
	expect(RST, 7, 1234);
	/* A host program waits, as long as it takes. */
	int waits = host_connects("CONNECT 52\n");
	assert_true(quiet());
	vsock_guest_put(&s, RST, 1000, 1234, NULL, 0);
	assert_true(vsock_guest_get(&s, &got));
	assert_int_equal(got.h.op, REQUEST);
	assert_int_equal(got.h.dst_port, 52);
	close(waits);
	for (unsigned int i = 0; i < VSOCK_CONNS; i++)
		close(fd[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VSOCK_TEST(test_packets_against_the_protocol_are_answered_by_rst),
		VSOCK_TEST(test_an_open_connection_ends_by_what_it_must_not_get),
		VSOCK_TEST(test_malformed_buffers_need_a_reset),
		VSOCK_TEST(test_answers_are_bounded_and_none_is_lost),
		VSOCK_TEST(test_connections_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
