// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile driver at virtio-net, and a wire that brings frames of any size: buffers of any kind
// cut into any segments at all three queues, with resets and pauses in between. What is no buffer
// for its queue needs a reset; a frame to send goes out as it was or not at all; a command gets a
// status; a frame that comes is in the driver's buffers as it was, and nothing beside them changes.
//
// Input: one byte of features, then steps of 8 bytes: what (send, post, arrive, command), segments
// to read and to write (a half byte each), what else (pause, reset, indirect), content, and the
// lengths of segments (a half byte each).
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>

#include "core/bytes.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_tap.h"
#include "tests/fuzz/virtiofuzz.h"

#define STEP	8
#define HDR	12u
#define AREA	65536u
#define CANARY	0x5a
#define RING	16
#define PATIENT 5000

static uint64_t out_gpa, in_gpa;
static uint8_t *out, *in;
static uint32_t in_used; /* bytes of `in` given to posted buffers */
static unsigned int posted;
static struct post {
	uint32_t at, len; /* of `in` */
} post_of[RING];

static int wire(void)
{
	return fake_tap_peer("tap0", 0);
}

static void make(void)
{
	sys = &sys_fake;
	fake_reset();
	const struct guest_setup s = {
		.accel = "none",
		.device = { "virtio-net,netdev=n,id=dut,packed=on,in_order=on" },
		.backend = { { BACKEND_NET, "tap,id=n,ifname=tap0" } }
	};
	vf_open(&s, VIRTIO_ID_NET);
}

static void start(uint8_t features)
{
	static uint8_t rest[70000];
	uint64_t want = BIT64(VIRTIO_NET_F_CTRL_VQ) | BIT64(VIRTIO_NET_F_CTRL_RX) |
			BIT64(VIRTIO_NET_F_CTRL_MAC_ADDR) |
			vf_rings((features & 3u) | (features >> 1 & 12u));

	want |= features & 4 ? BIT64(VIRTIO_NET_F_MRG_RXBUF) : 0;
	vdrv_set_status(&v, 0);
	while (read(wire(), rest, sizeof(rest)) >= 0)
		;
	fake_log_clear();
	vf_start(want, 3);
	out_gpa = vdrv_ram(&v, AREA);
	in_gpa = vdrv_ram(&v, AREA);
	out = vdrv_ptr(&v, out_gpa, AREA);
	in = vdrv_ptr(&v, in_gpa, AREA);
	memset(in, CANARY, AREA);
	in_used = posted = 0;
}

static const uint16_t lens[16] = { 12, 1,    64,   11, 1514, 2048, 100, 14,
				   0,  4096, 9000, 2,  26,   512,  3,	1500 };

/* ---- steps: false if the device needs a reset ------------------------------------------------ */

struct segs {
	struct vdrv_seg s[14];
	unsigned int n_out, n_in;
	uint32_t out_len, in_len;
	bool empty;
};

static void cut(struct segs *c, const uint8_t *p, uint32_t in_at)
{
	memset(c, 0, sizeof(*c));
	c->n_out = p[1] & 7;
	c->n_in = p[1] >> 4 & 7;
	for (unsigned int i = 0; i < c->n_out + c->n_in; i++) {
		uint32_t *sum = i < c->n_out ? &c->out_len : &c->in_len;

		c->s[i].len = lens[i & 1 ? p[4 + i / 2 % 4] >> 4 : p[4 + i / 2 % 4] & 15];
		c->s[i].gpa = (i < c->n_out ? out_gpa : in_gpa + in_at) + *sum;
		c->empty |= c->s[i].len == 0;
		*sum += c->s[i].len;
	}
}

static bool add(unsigned int queue, const struct segs *c, const uint8_t *p, void *cookie)
{
	if (vdrv_add(&v.q[queue], c->s, c->n_out, c->n_in, vf_indirect(p[2] & 1), cookie) < 0)
		return false; /* no room */
	vdrv_kick(&v.q[queue], (p[2] & 2) != 0);
	return true;
}

static bool send_step(const uint8_t *p)
{
	static uint8_t got[AREA];
	struct pollfd fd = { .fd = wire(), .events = POLLIN };
	struct segs c;

	cut(&c, p, in_used);
	if (c.n_out + c.n_in == 0 || in_used + c.in_len > AREA)
		return true;
	for (uint32_t i = 0; i < c.out_len; i++)
		out[i] = (uint8_t)(p[3] + i * 7 + i / 256);
	CHECK(add(1, &c, p, NULL));
	if (c.empty || c.n_in > 0 || c.out_len < HDR) {
		CHECK(vdrv_wait_needs_reset(&v));
		return false;
	}
	CHECK(vdrv_wait(&v.q[1], NULL, NULL));
	if (c.out_len == HDR) {
		CHECK(poll(&fd, 1, 0) == 0);
		return true;
	}
	CHECK(poll(&fd, 1, PATIENT) == 1);
	CHECK(read(fd.fd, got, sizeof(got)) == (ssize_t)c.out_len);
	CHECK(memcmp(got, out, c.out_len) == 0);
	return true;
}

static bool command_step(const uint8_t *p)
{
	struct segs c;

	cut(&c, p, in_used);
	if (c.n_out + c.n_in == 0 || in_used + c.in_len > AREA)
		return true;
	for (uint32_t i = 0; i < MIN(c.out_len, 64u); i++)
		out[i] = (uint8_t)(i == 0 ? p[3] % 7 : i == 1 ? p[3] >> 4 : p[4 + i % 4] % 3);
	CHECK(add(2, &c, p, NULL));
	if (c.empty || c.in_len == 0) {
		CHECK(vdrv_wait_needs_reset(&v));
		return false;
	}
	CHECK(vdrv_wait(&v.q[2], NULL, NULL));
	CHECK(in[in_used] <= VIRTIO_NET_ERR);
	in[in_used] = CANARY;
	return true;
}

static bool post_step(const uint8_t *p)
{
	struct segs c;

	cut(&c, p, in_used);
	if (c.n_out + c.n_in == 0 || in_used + c.in_len > AREA - 1 || posted == RING ||
	    (c.n_out && c.n_in))
		return true;
	post_of[posted].at = in_used;
	post_of[posted].len = c.in_len;
	if (!add(0, &c, p, &post_of[posted]))
		return true;
	posted++;
	in_used += c.in_len;
	/* Looked at when a frame comes: now or later, but not while none does. */
	return !(c.empty || c.n_out > 0 || c.in_len < HDR);
}

static bool arrive_step(const uint8_t *p)
{
	static uint8_t frame[HDR + AREA];
	uint32_t len = 14u + lens[p[4] & 15] + lens[p[4] >> 4] * (p[1] & 3u);

	memset(frame, 0, HDR);
	for (uint32_t i = HDR; i < HDR + len; i++)
		frame[i] = (uint8_t)(len + i * 3);
	ssize_t r = write(wire(), frame, HDR + len); /* or it is full */
	CHECK(r < 0 || r == (ssize_t)(HDR + len));
	return true;
}

/* What was received: whole frames, nothing else written. */
static void reap(void)
{
	void *cookie;
	uint32_t len;

	while (vdrv_reap(&v.q[0], &cookie, &len)) {
		uint32_t first = (uint32_t)((const struct post *)cookie)->at, all = 0;
		uint16_t n = get_le16(in + first + 10);
		static uint8_t got[2 * AREA];

		CHECK(n >= 1 && n <= RING);
		for (uint16_t i = 0; i < n; i++) {
			uint32_t at = ((const struct post *)cookie)->at;

			CHECK(len <= ((const struct post *)cookie)->len);
			memcpy(got + all, in + at, len);
			all += len;
			if (i + 1 < n)
				CHECK(vdrv_reap(&v.q[0], &cookie, &len));
		}
		CHECK(all > HDR);
		for (uint32_t i = HDR; i < all; i++)
			CHECK(got[i] == (uint8_t)(all - HDR + i * 3));
	}
}

static bool step(const uint8_t *p)
{
	static bool (*const steps[])(const uint8_t *) = { send_step, post_step, arrive_step,
							  command_step };
	bool fine = steps[p[0] % ARRAY_SIZE(steps)](p);

	if (p[2] & 4) {
		vf_pause_resume();
	}
	reap();
	return fine;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dev)
		make();
	uint8_t features = size ? data[0] : 0;
	start(features);
	for (size_t at = 1; at + STEP <= size; at += STEP) {
		const uint8_t *p = data + at;

		if (!step(p) || (p[2] & 0x70) == 0x70)
			start(p[2] & 8 ? p[3] : features);
	}
	vdrv_set_status(&v, 0);
	reap();
	for (uint32_t i = in_used; i < AREA; i++)
		CHECK(in[i] == CANARY);
	return 0;
}
