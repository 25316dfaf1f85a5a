// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of virtio-vsock share: a machine with the device at a socket of its own, a
// listener at the host's port 1234, and the ends of a case. Each test file has its own copy of this
// state.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "tests/guest/vsock.h"
#include "vmm/virtio/vsock_hub.h"

#define RST	 VIRTIO_VSOCK_OP_RST
#define RW	 VIRTIO_VSOCK_OP_RW
#define REQUEST	 VIRTIO_VSOCK_OP_REQUEST
#define RESPONSE VIRTIO_VSOCK_OP_RESPONSE
#define SHUT	 VIRTIO_VSOCK_OP_SHUTDOWN
#define UPDATE	 VIRTIO_VSOCK_OP_CREDIT_UPDATE
#define ASK	 VIRTIO_VSOCK_OP_CREDIT_REQUEST

static struct guest g;
static struct vdrv v;
static struct vsock_guest s;
static struct vsock_got got;
static char dir[32], path[64];
static int listener = -1; /* of PATH_1234 */

static inline struct sockaddr_un addr_of(const char *suffix)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s%s", path, suffix);
	return a;
}

static inline void with_timeout(int fd)
{
	const struct timeval tv = { .tv_sec = 5 };

	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)), 0);
}

static inline void start_driver(uint64_t want, unsigned int n_rx)
{
	vdrv_open(&v, &g, VIRTIO_ID_VSOCK, 0, 0);
	vdrv_start(&v, want, 3, 64, true);
	vsock_guest_start(&s, &v, n_rx);
}

static inline void start_with(uint64_t want, unsigned int n_rx)
{
	char arg[128];
	const struct guest_setup setup = { .accel = "none", .device = { arg } };
	struct sockaddr_un a;

	snprintf(dir, sizeof(dir), "/tmp/vsockXXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/v", dir);
	snprintf(arg, sizeof(arg), "virtio-vsock,id=v,cid=%u,packed=on,socket=%s", VSOCK_GUEST_CID,
		 path);
	guest_start(&g, &setup);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	a = addr_of("_1234");
	assert_int_equal(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(listener, 1024), 0);
	with_timeout(listener);
	start_driver(want, n_rx);
}

static inline void start(void)
{
	start_with(0, 16);
}

static inline int teardown(void **state)
{
	(void)state;
	guest_close(&g);
	close(listener);
	struct sockaddr_un a = addr_of("_1234");
	unlink(a.sun_path);
	/* The device's own socket is gone with it. */
	return rmdir(dir);
}

static inline void expect(uint16_t op, uint32_t guest_port, uint32_t host_port)
{
	assert_true(vsock_guest_get(&s, &got));
	if (got.h.op != op)
		print_error("op %u, not %u\n", got.h.op, op);
	assert_int_equal(got.h.op, op);
	assert_int_equal(got.h.src_cid, 2);
	assert_int_equal(got.h.dst_cid, VSOCK_GUEST_CID);
	assert_int_equal(got.h.src_port, host_port);
	assert_int_equal(got.h.dst_port, guest_port);
}

static inline bool quiet(void)
{
	return !vsock_guest_look(&s, &got);
}

static inline bool sound(void)
{
	return !(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* The guest connects from `port` to 1234: the host's end. */
static inline int guest_connects(uint32_t port)
{
	vsock_guest_put(&s, REQUEST, port, 1234, NULL, 0);
	expect(RESPONSE, port, 1234);
	int fd = accept(listener, NULL, NULL);
	assert_true(fd >= 0);
	with_timeout(fd);
	return fd;
}

static inline int host_connects(const char *greeting)
{
	struct sockaddr_un a = addr_of("");
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	with_timeout(fd);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(write(fd, greeting, strlen(greeting)), strlen(greeting));
	return fd;
}

static inline void host_reads(int fd, const void *want, size_t len)
{
	char buf[256];

	assert_true(len <= sizeof(buf));
	assert_int_equal(recv(fd, buf, len, MSG_WAITALL), len);
	assert_memory_equal(buf, want, len);
}

static inline bool host_eof(int fd)
{
	char c;

	return recv(fd, &c, 1, 0) == 0;
}

#define VSOCK_TEST(f) cmocka_unit_test_teardown(f, teardown)
