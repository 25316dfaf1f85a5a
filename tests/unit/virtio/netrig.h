// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of virtio-net share: a machine with a card on a TAP interface of the fake kernel,
// frames on the wire, a driver's buffers, commands.
#pragma once

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

#include "core/bytes.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_tap.h"
#include "tests/guest/vdrv.h"

#define HDR    12u
#define SLOT   2048u
#define SLOTS  64u
#define F_MRG  BIT64(VIRTIO_NET_F_MRG_RXBUF)
#define F_CTRL BIT64(VIRTIO_NET_F_CTRL_VQ)

static struct guest g;
static struct vdrv v;
static uint64_t rx_gpa, tx_gpa, ctrl_gpa;
static uint8_t *rx, *tx, *ctrl;

static inline int setup(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	guest_close(&g);
	fake_assert_clean();
	return 0;
}

static inline void attach(const char *netdev, const char *device)
{
	const struct guest_setup s = { .accel = "none",
				       .device = { device },
				       .ram = MIB(16),
				       .backend = { { BACKEND_NET, netdev } } };
	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_NET, 0, 0);
}

static inline void memory(void)
{
	rx_gpa = vdrv_ram(&v, SLOT * SLOTS);
	rx = vdrv_ptr(&v, rx_gpa, SLOT * SLOTS);
	tx_gpa = vdrv_ram(&v, 131072);
	tx = vdrv_ptr(&v, tx_gpa, 131072);
	ctrl_gpa = vdrv_ram(&v, 8192);
	ctrl = vdrv_ptr(&v, ctrl_gpa, 8192);
}

/* One pair and the control queue. */
static inline void start(const char *device, uint64_t want)
{
	attach("tap,id=n0,ifname=tap0", device);
	vdrv_start(&v, want, want & F_CTRL ? 3 : 2, 64, true);
	memory();
}

static inline int peer(unsigned int queue)
{
	int fd = fake_tap_peer("tap0", queue);

	assert_true(fd >= 0);
	return fd;
}

/* ---- the wire -------------------------------------------------------------------------------- */

static inline void fill(uint8_t *frame, size_t len, unsigned int seed)
{
	for (size_t i = 0; i < len; i++)
		frame[i] = (uint8_t)(seed * 31 + i + i / 251);
	frame[0] &= 0xfe; /* unicast */
	if (len >= 14)
		frame[12] = frame[13] = 0x08;
}

/* A frame arrives, behind the header that TAP would write. */
static inline void arrive(unsigned int queue, size_t len, unsigned int seed)
{
	static uint8_t buf[HDR + 70000];

	memset(buf, 0, HDR);
	buf[0] = VIRTIO_NET_HDR_F_DATA_VALID;
	fill(buf + HDR, len, seed);
	assert_int_equal(write(peer(queue), buf, HDR + len), (ssize_t)(HDR + len));
}

static inline ssize_t sent(unsigned int queue, uint8_t *buf, size_t size, int timeout_ms)
{
	struct pollfd p = { .fd = peer(queue), .events = POLLIN };

	return poll(&p, 1, timeout_ms) > 0 ? read(p.fd, buf, size) : -1;
}

/* ---- the driver ------------------------------------------------------------------------------ */

static inline void post(unsigned int slot, uint32_t len)
{
	const struct vdrv_seg seg = { rx_gpa + (uint64_t)slot * SLOT, len };

	assert_true(vdrv_add(&v.q[0], &seg, 0, 1, false, rx + (size_t)slot * SLOT) >= 0);
}

/* What is in memory already: a driver doesn't write to a frame that is on its way. */
static inline void send_again(struct vdrv_queue *q, uint32_t at, uint32_t len, bool two)
{
	const struct vdrv_seg one[1] = { { tx_gpa + at, HDR + len } };
	const struct vdrv_seg apart[2] = { { tx_gpa + at, HDR }, { tx_gpa + at + HDR, len } };

	assert_true(vdrv_add(q, two ? apart : one, two ? 2 : 1, 0, two, NULL) >= 0);
	vdrv_kick(q, false);
}

static inline void send_frame(struct vdrv_queue *q, uint32_t at, uint32_t len, unsigned int seed,
			      bool two)
{
	memset(tx + at, 0, HDR);
	fill(tx + at + HDR, len, seed);
	send_again(q, at, len, two);
}

/* Far more than a socket holds: n frames of 16000 bytes, in the order of eight. */
static inline void send_many(struct vdrv_queue *q, unsigned int n)
{
	for (unsigned int i = 0; i < 8; i++) {
		memset(tx + i * 16384, 0, HDR);
		fill(tx + i * 16384 + HDR, 16000, i);
	}
	for (unsigned int i = 0; i < n; i++)
		send_again(q, i % 8 * 16384, 16000, false);
}

static inline void assert_sent(unsigned int queue, uint32_t len, unsigned int seed)
{
	static uint8_t want[HDR + 70000], got[HDR + 70000];

	memset(want, 0, HDR);
	fill(want + HDR, len, seed);
	assert_int_equal(sent(queue, got, sizeof(got), 5000), (ssize_t)(HDR + len));
	assert_memory_equal(got, want, HDR + len);
}

/* A frame was received: all its buffers, put together. */
static inline void assert_received(uint32_t len, unsigned int seed)
{
	static uint8_t want[70000], got[HDR + 70000];
	uint32_t part, all;
	void *cookie;

	assert_true(vdrv_wait(&v.q[0], &cookie, &all));
	memcpy(got, cookie, all);
	uint16_t n = get_le16(got + 10);
	for (uint16_t i = 1; i < n; i++) {
		assert_true(vdrv_reap(&v.q[0], &cookie, &part)); /* visible together */
		memcpy(got + all, cookie, part);
		all += part;
	}
	assert_int_equal(all, HDR + len);
	fill(want, len, seed);
	assert_memory_equal(got + HDR, want, len);
	assert_int_equal(got[0], v.features & BIT64(VIRTIO_NET_F_GUEST_CSUM)
					 ? VIRTIO_NET_HDR_F_DATA_VALID
					 : 0);
}

static inline void assert_alive(void)
{
	assert_false(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

/* A command: its status, or 0xee if there was none. */
static inline uint8_t command(struct vdrv_queue *q, uint8_t class, uint8_t cmd, const void *data,
			      uint32_t len)
{
	const struct vdrv_seg seg[3] = { { ctrl_gpa, 2 },
					 { ctrl_gpa + 16, MAX(len, 1u) },
					 { ctrl_gpa + 8, 1 } };
	const struct vdrv_seg bare[2] = { seg[0], seg[2] };

	ctrl[0] = class;
	ctrl[1] = cmd;
	ctrl[8] = 0xee;
	if (len)
		memcpy(ctrl + 16, data, len);
	assert_true(vdrv_add(q, len ? seg : bare, len ? 2 : 1, 1, false, NULL) >= 0);
	vdrv_kick(q, false);
	assert_true(vdrv_wait(q, NULL, NULL));
	return ctrl[8];
}
