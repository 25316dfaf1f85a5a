// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-console driven by the mini driver, over accelerator "none": bytes both ways through UNIX
// sockets, each control message, what a driver may get wrong.
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "core/bytes.h"
#include "tests/guest/vdrv.h"

#define MULTIPORT BIT64(VIRTIO_CONSOLE_F_MULTIPORT)
#define NEEDS	  VIRTIO_CONFIG_S_NEEDS_RESET
#define CTL_RX	  2
#define CTL_TX	  3
#define PORT_RX	  4 /* port 1 */
#define PORT_TX	  5
#define BUF	  UINT64_C(0x300000) /* guest RAM that the tests use by hand */

static struct guest g;
static struct vdrv v;
static char dir[64], path[2][96];
static int fd[2] = { -1, -1 };

static void start(uint64_t want, const char *more)
{
	char dev[160], back[2][160];

	snprintf(dir, sizeof(dir), "/tmp/vv-con-XXXXXX");
	assert_non_null(mkdtemp(dir));
	for (unsigned int i = 0; i < 2; i++) {
		snprintf(path[i], sizeof(path[i]), "%s/%u", dir, i);
		snprintf(back[i], sizeof(back[i]), "socket,id=c%u,path=%s", i, path[i]);
	}
	snprintf(dev, sizeof(dev), "virtio-console,chardev=c0,ports=org.test.0:c1%s", more);
	const struct guest_setup s = {
		.accel = "none",
		.device = { dev },
		.backend = { { BACKEND_CHAR, back[0] }, { BACKEND_CHAR, back[1] } },
	};
	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_CONSOLE, 0, 0);
	vdrv_start(&v, want, want & MULTIPORT ? 6 : 2, 8, true);
}

static int teardown(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		if (fd[i] >= 0)
			close(fd[i]);
		fd[i] = -1;
	}
	guest_close(&g);
	assert_int_equal(rmdir(dir), 0); /* the sockets are gone */
	return 0;
}

static void turns(unsigned int n)
{
	while (n--)
		loop_turn(g.loop, 2);
}

static void dial(unsigned int i)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path, path[i], strlen(path[i]));
	fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(fd[i], (struct sockaddr *)&a, sizeof(a)), 0);
	turns(2);
}

static void hang_up(unsigned int i)
{
	close(fd[i]);
	fd[i] = -1;
	turns(3);
}

/* What queue `q` has been given to fill. */
static void give(unsigned int q, uint64_t gpa, uint32_t len)
{
	const struct vdrv_seg s = { gpa, len };

	assert_true(vdrv_add(&v.q[q], &s, 0, 1, false, vdrv_ptr(&v, gpa, len)) >= 0);
	vdrv_kick(&v.q[q], false);
}

static bool send_buf(unsigned int q, const void *data, uint32_t len)
{
	const struct vdrv_seg s = { BUF, len };

	memcpy(vdrv_ptr(&v, BUF, len), data, len);
	assert_true(vdrv_add(&v.q[q], &s, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[q], false);
	return vdrv_wait(&v.q[q], NULL, NULL);
}

static void tell(uint32_t id, unsigned int event, unsigned int value)
{
	uint8_t m[8];

	put_le32(m, id);
	put_le16(m + 4, (uint16_t)event);
	put_le16(m + 6, (uint16_t)value);
	assert_true(send_buf(CTL_TX, m, sizeof(m)));
}

/* The next message of the device's is this one; a name follows PORT_NAME. */
static void hear(uint32_t id, unsigned int event, unsigned int value, const char *name)
{
	void *cookie = NULL;
	uint32_t len = 0;

	give(CTL_RX, BUF + 0x1000, 128);
	assert_true(vdrv_wait(&v.q[CTL_RX], &cookie, &len));
	const uint8_t *m = cookie;
	assert_int_equal(len, 8 + (name ? strlen(name) : 0));
	assert_int_equal(get_le32(m), id);
	assert_int_equal(get_le16(m + 4), event);
	assert_int_equal(get_le16(m + 6), value);
	if (name)
		assert_memory_equal(m + 8, name, strlen(name));
}

static void hear_nothing(void)
{
	give(CTL_RX, BUF + 0x2000, 128);
	turns(3);
	assert_false(vdrv_reap(&v.q[CTL_RX], NULL, NULL));
}

/* As Linux does: both ports are there, the named one open. */
static void greet(void)
{
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	hear(0, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	hear(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	tell(0, VIRTIO_CONSOLE_PORT_READY, 1);
	hear(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL);
	tell(1, VIRTIO_CONSOLE_PORT_READY, 1);
	hear(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.test.0");
}

static void expect(unsigned int i, const char *text)
{
	char got[256];

	turns(3);
	assert_int_equal(read(fd[i], got, sizeof(got)), strlen(text));
	assert_memory_equal(got, text, strlen(text));
}

/* ---- one console ----------------------------------------------------------------------------- */

static void console_both_ways(uint64_t want)
{
	void *cookie = NULL;
	uint32_t len = 0;

	start(want, ",packed=on,in_order=on");
	assert_int_equal(v.features & MULTIPORT, 0);
	assert_true(send_buf(1, "nobody is there", 15)); /* dropped, not waited for */
	dial(0);
	for (unsigned int i = 0; i < 20; i++) {
		assert_true(send_buf(1, "hello", 5));
		expect(0, "hello");
		assert_int_equal(write(fd[0], "world", 5), 5);
		give(0, BUF + 0x1000, 64);
		assert_true(vdrv_wait(&v.q[0], &cookie, &len));
		assert_int_equal(len, 5);
		assert_memory_equal(cookie, "world", 5);
	}
	assert_false(vdrv_status(&v) & NEEDS);
}

static void test_a_console_on_split_rings(void **state)
{
	(void)state;
	console_both_ways(0);
}

static void test_a_console_on_packed_rings(void **state)
{
	(void)state;
	console_both_ways(BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_RING_F_EVENT_IDX) |
			  BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_F_IN_ORDER));
}

static void test_input_waits_for_buffers_and_fills_small_ones(void **state)
{
	char got[16] = "";
	uint32_t len = 0;
	void *cookie = NULL;

	(void)state;
	start(BIT64(VIRTIO_RING_F_EVENT_IDX), "");
	dial(0);
	assert_int_equal(write(fd[0], "0123456789", 10), 10);
	turns(3);
	for (unsigned int at = 0; at < 10; at += len) {
		give(0, BUF + 0x1000 + UINT64_C(16) * at, 3);
		assert_true(vdrv_wait(&v.q[0], &cookie, &len));
		assert_true(len > 0 && len <= 3);
		memcpy(got + at, cookie, len);
	}
	assert_string_equal(got, "0123456789");
}

static void test_emergency_write_needs_no_driver(void **state)
{
	(void)state;
	start(0, "");
	dial(0);
	vdrv_set_status(&v, 0);
	vdrv_set_config(&v, offsetof(struct virtio_console_config, emerg_wr), 'E', 4);
	vdrv_set_config(&v, offsetof(struct virtio_console_config, cols), 'x', 2);
	expect(0, "E");
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_console_config, max_nr_ports), 4),
			 2);
}

/* ---- ports ----------------------------------------------------------------------------------- */

static void test_ports_are_announced_named_and_opened(void **state)
{
	(void)state;
	start(MULTIPORT, "");
	greet();
	hear_nothing();
	dial(1);
	assert_true(vdrv_wait(&v.q[CTL_RX], NULL, NULL)); /* that buffer: PORT_OPEN */
	hang_up(1);
	hear(1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL);
	dial(1);
	hear(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
	dial(0);
	hear(0, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
	/* A driver that starts over is told all of it again. */
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	hear(0, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	hear(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	tell(1, VIRTIO_CONSOLE_PORT_READY, 1);
	hear(1, VIRTIO_CONSOLE_PORT_NAME, 1, "org.test.0");
	hear(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL);
	assert_false(vdrv_status(&v) & NEEDS);
}

static void test_a_port_is_read_while_the_guest_has_it_open(void **state)
{
	uint32_t len = 0;

	(void)state;
	start(MULTIPORT, "");
	greet();
	dial(1);
	assert_int_equal(write(fd[1], "early", 5), 5);
	give(PORT_RX, BUF + 0x3000, 64);
	turns(3);
	assert_false(vdrv_reap(&v.q[PORT_RX], NULL, NULL));
	tell(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_true(vdrv_wait(&v.q[PORT_RX], NULL, &len));
	assert_int_equal(len, 5);
	tell(1, VIRTIO_CONSOLE_PORT_OPEN, 0);
	give(PORT_RX, BUF + 0x3000, 64);
	/* Who says something and leaves is heard later all the same. */
	assert_int_equal(write(fd[1], "later", 5), 5);
	hang_up(1);
	assert_false(vdrv_reap(&v.q[PORT_RX], NULL, NULL));
	tell(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_true(vdrv_wait(&v.q[PORT_RX], NULL, &len));
	assert_int_equal(len, 5);
	hear(1, VIRTIO_CONSOLE_PORT_OPEN, 0, NULL);
}

/* More than socket and ring take: the driver waits, as long as it takes, and nothing is lost. */
static void test_a_port_loses_nothing_when_its_reader_is_slow(void **state)
{
	enum { CHUNK = 0x4000, N = 64 };
	const struct vdrv_seg s = { BUF, CHUNK };
	static uint8_t got[CHUNK];
	unsigned int sent = 0, done = 0;
	size_t n = 0;

	(void)state;
	start(MULTIPORT, "");
	greet();
	dial(1);
	uint8_t *p = vdrv_ptr(&v, BUF, CHUNK);
	for (unsigned int i = 0; i < CHUNK; i++)
		p[i] = (uint8_t)(i * 7 + i / 256);
	while (sent < 8 && vdrv_add(&v.q[PORT_TX], &s, 1, 0, false, NULL) >= 0)
		sent++;
	vdrv_kick(&v.q[PORT_TX], true);
	while (sent < N && vdrv_wait_for(&v.q[PORT_TX], 2000, NULL, NULL)) {
		done++;
		assert_true(vdrv_add(&v.q[PORT_TX], &s, 1, 0, false, NULL) >= 0);
		vdrv_kick(&v.q[PORT_TX], true);
		sent++;
	}
	assert_true(sent < N); /* it stands */
	machine_lock(g.m);
	machine_pause(g.m);
	assert_int_equal(machine_resume(g.m, NULL), 0);
	machine_unlock(g.m);
	for (unsigned int tries = 0; n < (size_t)sent * CHUNK && tries < 5000;) {
		ssize_t r = read(fd[1], got + n % CHUNK, CHUNK - n % CHUNK);
		if (r <= 0) {
			turns(1);
			tries++;
			continue;
		}
		n += (size_t)r;
		if (n % CHUNK == 0)
			assert_memory_equal(got, p, CHUNK);
	}
	assert_int_equal(n, (size_t)sent * CHUNK);
	while (done < sent && vdrv_wait(&v.q[PORT_TX], NULL, NULL))
		done++;
	assert_int_equal(done, sent);
}

static void test_a_reader_that_leaves_lets_the_guest_go_on(void **state)
{
	const struct vdrv_seg s = { BUF, 0x10000 };
	unsigned int n = 0;

	(void)state;
	start(MULTIPORT, "");
	greet();
	dial(1);
	for (unsigned int i = 0; i < 8; i++)
		assert_true(vdrv_add(&v.q[PORT_TX], &s, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[PORT_TX], true);
	turns(10);
	while (vdrv_reap(&v.q[PORT_TX], NULL, NULL))
		n++;
	assert_true(n < 8);
	hang_up(1);
	while (n < 8 && vdrv_wait(&v.q[PORT_TX], NULL, NULL))
		n++;
	assert_int_equal(n, 8);
}

/* ---- what a driver gets wrong ---------------------------------------------------------------- */

static void test_senseless_messages_are_ignored(void **state)
{
	static const uint32_t ids[] = { 2, 31, UINT32_MAX };

	(void)state;
	start(MULTIPORT, "");
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++)
		for (unsigned int e = 1; e < 16; e++)
			tell(ids[i], e, 1);
	for (unsigned int e = 8; e < 1000; e += 37)
		tell(1, e, 1);
	tell(1, VIRTIO_CONSOLE_PORT_OPEN, 1); /* it is not ready */
	assert_true(send_buf(CTL_TX, "short", 5));
	greet();
	tell(1, VIRTIO_CONSOLE_PORT_READY, 0); /* the driver failed */
	dial(1);
	hear_nothing();
	assert_false(vdrv_status(&v) & NEEDS);
}

static void test_messages_do_not_pile_up(void **state)
{
	(void)state;
	start(MULTIPORT, "");
	for (unsigned int i = 0; i < 1000; i++)
		tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	hear(0, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	hear(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL);
	hear_nothing();
}

static void test_buffers_without_room_need_a_reset(void **state)
{
	(void)state;
	start(MULTIPORT, "");
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	give(CTL_RX, BUF, 7);
	assert_true(vdrv_wait_needs_reset(&v));
	vdrv_start(&v, MULTIPORT, 6, 8, true);
	greet();
	tell(1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	dial(1);
	assert_int_equal(write(fd[1], "x", 1), 1);
	const struct vdrv_seg s = { BUF, 16 };
	assert_true(vdrv_add(&v.q[PORT_RX], &s, 1, 0, false, NULL) >= 0); /* to read only */
	vdrv_kick(&v.q[PORT_RX], true);
	assert_true(vdrv_wait_needs_reset(&v));
	vdrv_start(&v, MULTIPORT, 6, 8, true);
	greet();
}

static void test_queues_may_be_left_out(void **state)
{
	(void)state;
	start(0, "");
	assert_true(vdrv_negotiate(&v, MULTIPORT));
	vdrv_queue(&v, CTL_TX, 8);
	vdrv_driver_ok(&v);
	tell(VIRTIO_CONSOLE_BAD_ID, VIRTIO_CONSOLE_DEVICE_READY, 1);
	tell(1, VIRTIO_CONSOLE_PORT_READY, 1);
	dial(0);
	dial(1);
	assert_int_equal(write(fd[0], "x", 1), 1);
	turns(3);
	assert_false(vdrv_status(&v) & NEEDS);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_a_console_on_split_rings),
		TEST(test_a_console_on_packed_rings),
		TEST(test_input_waits_for_buffers_and_fills_small_ones),
		TEST(test_emergency_write_needs_no_driver),
		TEST(test_ports_are_announced_named_and_opened),
		TEST(test_a_port_is_read_while_the_guest_has_it_open),
		TEST(test_a_port_loses_nothing_when_its_reader_is_slow),
		TEST(test_a_reader_that_leaves_lets_the_guest_go_on),
		TEST(test_senseless_messages_are_ignored),
		TEST(test_messages_do_not_pile_up),
		TEST(test_buffers_without_room_need_a_reset),
		TEST(test_queues_may_be_left_out),
	};
	signal(SIGPIPE, SIG_IGN); /* as the programs have it */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
