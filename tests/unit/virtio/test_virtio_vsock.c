// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-vsock in user space: connections both ways, credit, half-close, the device's life; the
// mini driver is the guest, real UNIX sockets are the host.
#include "tests/unit/virtio/vsock_case.h"

/* ---- connections ----------------------------------------------------------------------------- */

static void talk(uint64_t want)
{
	start_with(want, 16);
	assert_int_equal(v.features & want, want);
	int fd = guest_connects(7);
	assert_int_equal(got.h.buf_alloc, VSOCK_BUF);
	for (unsigned int i = 0; i < 200; i++) {
		vsock_guest_put(&s, RW, 7, 1234, "guest to host", 13);
		host_reads(fd, "guest to host", 13);
		assert_int_equal(write(fd, "host to guest", 13), 13);
		expect(RW, 7, 1234);
		assert_int_equal(got.h.len, 13);
		assert_memory_equal(got.data, "host to guest", 13);
		assert_int_equal(got.h.fwd_cnt, 13 * (i + 1));
		s.fwd_cnt += 13;
	}
	/* The guest closes. */
	struct virtio_vsock_hdr h = vsock_guest_hdr(&s, SHUT, 7, 1234);
	h.flags = 3;
	vsock_guest_send(&s, &h, NULL, 0);
	expect(RST, 7, 1234);
	assert_true(host_eof(fd));
	close(fd);
	assert_true(sound());
}

static void test_guest_connects_on_split_rings(void **state)
{
	(void)state;
	talk(0);
}

static void test_guest_connects_on_packed_rings(void **state)
{
	(void)state;
	talk(BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_RING_F_EVENT_IDX));
}

static void test_host_connects(void **state)
{
	char line[32];

	(void)state;
	start();
	/* What follows the greeting at once is the guest's. */
	int fd = host_connects("CONNECT 52\nearly");
	assert_true(vsock_guest_get(&s, &got));
	assert_int_equal(got.h.op, REQUEST);
	assert_int_equal(got.h.dst_port, 52);
	uint32_t port = got.h.src_port;
	vsock_guest_put(&s, RESPONSE, 52, port, NULL, 0);
	snprintf(line, sizeof(line), "OK %u\n", port);
	host_reads(fd, line, strlen(line));
	expect(RW, 52, port);
	assert_memory_equal(got.data, "early", 5);
	vsock_guest_put(&s, RW, 52, port, "late", 4);
	host_reads(fd, "late", 4);
	/* A second one to the same port is another connection. */
	int two = host_connects("CONNECT 52\r\n");
	assert_true(vsock_guest_get(&s, &got));
	assert_int_equal(got.h.op, REQUEST);
	assert_int_not_equal(got.h.src_port, port);
	/* It refuses this one. */
	vsock_guest_put(&s, RST, 52, got.h.src_port, NULL, 0);
	assert_true(host_eof(two));
	close(two);
	/* The host closes the first. */
	close(fd);
	expect(SHUT, 52, port);
	assert_int_equal(got.h.flags, 3);
	vsock_guest_put(&s, RST, 52, port, NULL, 0);
	assert_true(quiet());
	assert_true(sound());
}

static void test_a_greeting_may_come_in_pieces(void **state)
{
	(void)state;
	start();
	int fd = host_connects("CON");
	usleep(20000);
	assert_int_equal(write(fd, "NECT 5", 6), 6);
	usleep(20000);
	assert_int_equal(write(fd, "2\n", 2), 2);
	assert_true(vsock_guest_get(&s, &got));
	assert_int_equal(got.h.op, REQUEST);
	assert_int_equal(got.h.dst_port, 52);
	/* It gives up before the guest answers. */
	close(fd);
	expect(RST, 52, got.h.src_port);
}

static void test_other_greetings_are_hung_up_on(void **state)
{
	static const char *const bad[] = {
		"\n",
		"CONNECT\n",
		"CONNECT \n",
		"CONNECT -1\n",
		"CONNECT 0x10\n",
		"CONNECT 4294967295\n",
		"CONNECT 99999999999999999999\n",
		"CONNECT 52 53\n",
		"connect 52\n",
		"GET / HTTP/1.1\n",
		"CONNECT 00000000000000000000000000000000000000000000000052\n",
	};

	(void)state;
	start();
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		int fd = host_connects(bad[i]);
		char c;
		assert_true(recv(fd, &c, 1, 0) <= 0);
		close(fd);
	}
	/* One that is closed without a word. */
	close(host_connects(""));
	assert_true(quiet());
	assert_true(sound());
}

static void test_nobody_listens(void **state)
{
	(void)state;
	start();
	vsock_guest_put(&s, REQUEST, 7, 99, NULL, 0);
	expect(RST, 7, 99);
}

/* ---- credit ---------------------------------------------------------------------------------- */

static void test_a_slow_reader_is_waited_for_and_no_more_is_kept_than_agreed(void **state)
{
	static uint8_t block[16000], back[16000];
	uint32_t sent = 0, seen = 0, told = 0;

	(void)state;
	start();
	int fd = guest_connects(7);
	/* As far as the credit goes that it tells: the socket fills, then what it keeps itself.
	 * Read in part, and again. */
	for (unsigned int round = 0; round < 6; round++) {
		for (;;) {
			while (sent - told + sizeof(block) > VSOCK_BUF && !quiet())
				told = got.h.fwd_cnt;
			if (sent - told + sizeof(block) > VSOCK_BUF)
				break;
			for (unsigned int i = 0; i < sizeof(block); i++)
				block[i] = (uint8_t)((sent + i) * 7 >> 3);
			vsock_guest_put(&s, RW, 7, 1234, block, sizeof(block));
			sent += sizeof(block);
		}
		assert_true(told > 0 && sent > told);
		for (uint32_t last = round == 5 ? sent : sent - 150000; seen < last;) {
			assert_int_equal(recv(fd, back, sizeof(back), MSG_WAITALL), sizeof(back));
			for (unsigned int i = 0; i < sizeof(back); i++)
				assert_int_equal(back[i], (uint8_t)((seen + i) * 7 >> 3));
			seen += sizeof(back);
		}
	}
	/* It was told of the room, or is now. */
	vsock_guest_put(&s, ASK, 7, 1234, NULL, 0);
	do
		assert_true(vsock_guest_get(&s, &got));
	while (got.h.fwd_cnt != sent);
	assert_int_equal(got.h.op, UPDATE);
	close(fd);
}

static void test_more_than_the_credit_ends_the_connection(void **state)
{
	static uint8_t block[65536];
	unsigned int n = 0;

	(void)state;
	start();
	int fd = guest_connects(7);
	/* It does not wait for credit, and the host's program does not read. */
	for (;; n++) {
		vsock_guest_put(&s, RW, 7, 1234, block, sizeof(block));
		if (!quiet() && got.h.op == RST)
			break;
		assert_true(n < 100);
	}
	assert_true(n >= VSOCK_BUF / sizeof(block));
	assert_true(sound());
	close(fd);
}

static void test_the_guest_gets_no_more_than_it_has_room_for(void **state)
{
	char text[1000];
	uint32_t seen = 0;

	(void)state;
	start();
	for (unsigned int i = 0; i < sizeof(text); i++)
		text[i] = (char)('a' + i % 23);
	s.buf_alloc = 100;
	int fd = guest_connects(7);
	assert_int_equal(write(fd, text, sizeof(text)), sizeof(text));
	while (seen < sizeof(text)) {
		expect(RW, 7, 1234);
		assert_true(got.h.len <= 100);
		assert_memory_equal(got.data, text + seen, got.h.len);
		seen += got.h.len;
		if (seen - s.fwd_cnt < 100)
			continue;
		/* It asks once, and waits. */
		expect(ASK, 7, 1234);
		assert_true(quiet());
		s.fwd_cnt = seen;
		vsock_guest_put(&s, UPDATE, 7, 1234, NULL, 0);
	}
	/* Credit that was never there is none. */
	s.fwd_cnt = seen + 5000;
	s.buf_alloc = 10;
	vsock_guest_put(&s, UPDATE, 7, 1234, NULL, 0);
	assert_int_equal(write(fd, text, 10), 10);
	expect(ASK, 7, 1234);
	assert_true(sound());
	close(fd);
}

static void test_a_lot_both_ways_arrives_whole(void **state)
{
	static uint8_t out[2048], back[2048];
	uint32_t up = 0, down = 0, total = 4u << 20;

	(void)state;
	start_with(BIT64(VIRTIO_RING_F_EVENT_IDX), 32);
	int fd = guest_connects(7);
	while (up < total) {
		for (unsigned int i = 0; i < sizeof(out); i++)
			out[i] = (uint8_t)((up + i) * 13 >> 5);
		vsock_guest_put(&s, RW, 7, 1234, out, sizeof(out));
		up += sizeof(out);
		assert_int_equal(recv(fd, back, sizeof(back), MSG_WAITALL), sizeof(back));
		assert_memory_equal(out, back, sizeof(out));
		assert_int_equal(write(fd, back, sizeof(back)), sizeof(back));
		for (unsigned int n = 0; n < sizeof(back);) {
			assert_true(vsock_guest_get(&s, &got));
			if (got.h.op != RW)
				continue;
			assert_memory_equal(got.data, out + n, got.h.len);
			n += got.h.len;
			down += got.h.len;
			s.fwd_cnt = down;
		}
	}
	close(fd);
}

/* ---- ends ------------------------------------------------------------------------------------ */

static void test_half_close_leaves_the_other_half(void **state)
{
	(void)state;
	start();
	int fd = guest_connects(7);
	/* The host sends no more. */
	assert_int_equal(write(fd, "last", 4), 4);
	shutdown(fd, SHUT_WR);
	expect(RW, 7, 1234);
	expect(SHUT, 7, 1234);
	assert_int_equal(got.h.flags, VIRTIO_VSOCK_SHUTDOWN_SEND);
	vsock_guest_put(&s, RW, 7, 1234, "still", 5);
	host_reads(fd, "still", 5);
	assert_true(quiet());
	/* Then it closes, which is noticed although there is nothing to write. */
	close(fd);
	expect(SHUT, 7, 1234);
	assert_int_equal(got.h.flags, 3);
	vsock_guest_put(&s, RST, 7, 1234, NULL, 0);

	/* The guest sends no more. */
	fd = guest_connects(8);
	struct virtio_vsock_hdr h = vsock_guest_hdr(&s, SHUT, 8, 1234);
	h.flags = VIRTIO_VSOCK_SHUTDOWN_SEND;
	vsock_guest_put(&s, RW, 8, 1234, "last", 4);
	vsock_guest_send(&s, &h, NULL, 0);
	host_reads(fd, "last", 4);
	assert_true(host_eof(fd));
	assert_int_equal(write(fd, "still", 5), 5);
	expect(RW, 8, 1234);
	assert_memory_equal(got.data, "still", 5);
	/* And does, after all. */
	vsock_guest_put(&s, RW, 8, 1234, "x", 1);
	expect(RST, 8, 1234);
	close(fd);
	assert_true(sound());
}

static void test_what_the_guest_sent_last_is_read_after_it_is_gone(void **state)
{
	static uint8_t block[65536];
	size_t seen = 0;

	(void)state;
	start();
	int fd = guest_connects(7);
	memset(block, 'x', sizeof(block));
	vsock_guest_put(&s, RW, 7, 1234, block, sizeof(block));
	vsock_guest_put(&s, RW, 7, 1234, block, sizeof(block));
	struct virtio_vsock_hdr h = vsock_guest_hdr(&s, SHUT, 7, 1234);
	h.flags = 3;
	vsock_guest_send(&s, &h, NULL, 0);
	do
		assert_true(vsock_guest_get(&s, &got));
	while (got.h.op != RST);
	/* The same ports may be used again meanwhile. */
	int again = guest_connects(7);
	for (ssize_t r; (r = recv(fd, block, sizeof(block), 0)) > 0;)
		seen += (size_t)r;
	assert_int_equal(seen, 2 * sizeof(block));
	close(fd);
	close(again);
}

/* ---- the device's life ----------------------------------------------------------------------- */

static void test_connections_survive_a_pause(void **state)
{
	(void)state;
	start();
	int fd = guest_connects(7);
	for (unsigned int i = 0; i < 5; i++) {
		machine_lock(g.m);
		machine_pause(g.m);
		assert_int_equal(write(fd, "while it sleeps", 15), 15);
		assert_int_equal(machine_resume(g.m, NULL), 0);
		machine_unlock(g.m);
		expect(RW, 7, 1234);
		s.fwd_cnt += 15;
		vsock_guest_put(&s, RW, 7, 1234, "awake", 5);
		host_reads(fd, "awake", 5);
	}
	close(fd);
}

static void test_a_reset_cuts_connections_and_the_driver_is_told(void **state)
{
	uint32_t len = 0;

	(void)state;
	start();
	int fd = guest_connects(7);
	vdrv_set_status(&v, 0);
	assert_true(host_eof(fd));
	close(fd);
	start_driver(0, 4);
	uint64_t gpa = vdrv_ram(&v, 4096);
	uint8_t *p = vdrv_ptr(&v, gpa, 4);
	memset(p, 0xff, 4);
	assert_true(vdrv_add(&v.q[2], &(struct vdrv_seg){ gpa, 4 }, 0, 1, false, NULL) >= 0);
	vdrv_kick(&v.q[2], true);
	assert_true(vdrv_wait(&v.q[2], NULL, &len));
	assert_int_equal(len, 4);
	assert_memory_equal(p, "\0\0\0\0", 4);
	/* Once. */
	assert_true(vdrv_add(&v.q[2], &(struct vdrv_seg){ gpa, 4 }, 0, 1, false, NULL) >= 0);
	vdrv_kick(&v.q[2], true);
	assert_true(quiet());
	assert_false(vdrv_reap(&v.q[2], NULL, NULL));
	close(guest_connects(7));
}

static void test_a_device_taken_away_closes_its_sockets(void **state)
{
	(void)state;
	start();
	int fd = guest_connects(7);
	machine_lock(g.m);
	dev_free(machine_find_device(g.m, "v"));
	machine_unlock(g.m);
	assert_true(host_eof(fd));
	close(fd);
	assert_int_not_equal(access(path, F_OK), 0);
}

static void refused(const char *device, const char *why)
{
	const struct guest_setup setup = { .accel = "none", .device = { device } };
	struct guest one;
	struct verr err = { 0 };

	assert_true(guest_open(&one, &setup, &err) < 0);
	if (!strstr(err.msg, why))
		print_error("%s: got: %s\n", why, err.msg);
	assert_non_null(strstr(err.msg, why));
	guest_close(&one);
}

static void test_sockets_that_can_not_be(void **state)
{
	char arg[256], name[160];

	(void)state;
	start();
	snprintf(arg, sizeof(arg), "virtio-vsock,cid=43,socket=%s", path);
	refused(arg, "another process has it");
	snprintf(arg, sizeof(arg), "virtio-vsock,cid=43,socket=%s/no/v", dir);
	refused(arg, "No such file");
	memset(name, 'n', sizeof(name) - 1);
	name[98] = '\0';
	snprintf(arg, sizeof(arg), "virtio-vsock,cid=43,socket=%s", name);
	refused(arg, "at most 96 characters");
	refused("virtio-vsock,cid=43,socket=/tmp/x,vhostfd=3", "contradict");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		VSOCK_TEST(test_guest_connects_on_split_rings),
		VSOCK_TEST(test_guest_connects_on_packed_rings),
		VSOCK_TEST(test_host_connects),
		VSOCK_TEST(test_a_greeting_may_come_in_pieces),
		VSOCK_TEST(test_other_greetings_are_hung_up_on),
		VSOCK_TEST(test_nobody_listens),
		VSOCK_TEST(test_a_slow_reader_is_waited_for_and_no_more_is_kept_than_agreed),
		VSOCK_TEST(test_more_than_the_credit_ends_the_connection),
		VSOCK_TEST(test_the_guest_gets_no_more_than_it_has_room_for),
		VSOCK_TEST(test_a_lot_both_ways_arrives_whole),
		VSOCK_TEST(test_half_close_leaves_the_other_half),
		VSOCK_TEST(test_what_the_guest_sent_last_is_read_after_it_is_gone),
		VSOCK_TEST(test_connections_survive_a_pause),
		VSOCK_TEST(test_a_reset_cuts_connections_and_the_driver_is_told),
		VSOCK_TEST(test_a_device_taken_away_closes_its_sockets),
		VSOCK_TEST(test_sockets_that_can_not_be),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
