// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile driver at virtio-balloon: page frames, reports and statistics of any content on any
// queue, pauses, resets and pinned memory in between. Whatever it says: a page that it did not name
// keeps what is in it, none goes while memory is pinned, and a reset brings the device back.
//
// Input: one byte of features, then steps of 8 bytes: what, queue, count or length, 1 byte, first
// frame (4).
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_ids.h>

#include "core/bytes.h"
#include "tests/fuzz/virtiofuzz.h"
#include "vmm/virtio/virtio_balloon.h"

#define STEP   8
#define PAGE   4096u
#define QUEUES 5
#define PAGES  64u
#define AREA   UINT64_C(0x300000)
#define BUF    UINT64_C(0x200000)
#define MARK   0x77

static uint8_t *area;
static uint64_t named; /* pages that may be gone, as a mask */
static bool pinned;
static struct gmem_listener pinner;

static int take(struct gmem_listener *l, const struct gmem_region *r, struct verr *reterr)
{
	(void)l;
	(void)r;
	(void)reterr;
	return 0;
}

static void untake(struct gmem_listener *l, const struct gmem_region *r)
{
	(void)l;
	(void)r;
}

static void make(void)
{
	const struct guest_setup s = {
		.accel = "none",
		.device = { "virtio-balloon,id=dut,free-page-reporting=on,packed=on,in_order=on" },
	};

	vf_open(&s, VIRTIO_ID_BALLOON);
	area = vdrv_ptr(&v, AREA, (uint64_t)PAGES * PAGE);
}

static void start(uint8_t features)
{
	vf_start(UINT64_C(0xff) | vf_rings(features), QUEUES);
}

static void set_pinned(bool on)
{
	machine_lock(g.m);
	if (on && !pinned) {
		pinner = (struct gmem_listener){ .name = "fuzz",
						 .takes = BIT32(GMEM_RAM),
						 .pins = true,
						 .add = take,
						 .del = untake };
		pinned = gmem_listen(&g.m->gmem, &pinner, NULL) == 0;
	} else if (!on && pinned) {
		gmem_unlisten(&pinner);
		pinned = false;
	}
	machine_unlock(g.m);
}

static void check_area(void)
{
	for (unsigned int i = 0; i < PAGES; i++) {
		const uint8_t *p = area + (size_t)i * PAGE;

		CHECK(p[0] == MARK || (p[0] == 0 && (named & BIT64(i))));
		CHECK(p[0] == p[PAGE / 2] && p[0] == p[PAGE - 1]);
	}
}

static void name(uint64_t frame)
{
	if (!pinned && frame >= AREA / PAGE && frame < AREA / PAGE + PAGES)
		named |= BIT64(frame - AREA / PAGE);
}

static bool sent(unsigned int q, const struct vdrv_seg *s, unsigned int out, unsigned int in,
		 bool indirect)
{
	if (vdrv_add(&v.q[q], s, out, in, indirect, NULL) < 0)
		return true;
	vdrv_kick(&v.q[q], true);
	/* Statistics are kept until they are asked for. */
	for (unsigned int i = 0; i < (q == 2 ? 2u : 5000u); i++) {
		if (vdrv_reap(&v.q[q], NULL, NULL))
			return true;
		if (vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return false;
		loop_turn(g.loop, 1);
	}
	CHECK(q == 2);
	return true;
}

static bool frames(const uint8_t *p)
{
	unsigned int q = p[1] % 4 == 3 ? 2 : p[1] % 3, n = 1 + p[2] % 64;
	const struct vdrv_seg s[2] = { { BUF, 4 * n }, { BUF + 4 * n, 4u * (p[3] % 3) } };
	uint64_t first = p[4] < 0xf0 ? AREA / PAGE + p[4] % (PAGES + 8) - 4 : get_le32(p + 4);
	uint8_t *buf = vdrv_ptr(&v, BUF, 1024);

	memset(buf, p[5], 1024);
	for (unsigned int i = 0; i < n; i++) {
		uint32_t f =
			(uint32_t)(p[3] & 0x80 ? first - i * (p[5] % 4) : first + i * (p[5] % 4));

		put_le32(buf + 4 * (size_t)i, f);
		if (q == 0)
			name(f);
	}
	return sent(q, s, s[1].len ? 2 : 1, 0, vf_indirect(p[3] & 0x40));
}

static bool report(const uint8_t *p)
{
	uint32_t off = (uint32_t)p[4] * 1024 % (PAGES * PAGE), len = 1 + get_le16(p + 5) % 40000;
	const struct vdrv_seg s = { AREA + off, MIN(len, PAGES * PAGE - off) };

	for (uint64_t at = ALIGN_UP(s.gpa, (uint64_t)PAGE); at + PAGE <= s.gpa + s.len; at += PAGE)
		name(at / PAGE);
	return sent(3 + p[1] % 2, &s, p[2] > 0xf0, p[2] <= 0xf0, false);
}

static void control(const uint8_t *p)
{
	struct balloon_state b;

	machine_lock(g.m);
	if (p[2] & 1) {
		dev_pause(dev);
		dev_resume(dev);
	}
	if (p[2] & 2)
		virtio_balloon_set(dev, get_le32(p + 4), NULL);
	virtio_balloon_query(dev, &b);
	machine_unlock(g.m);
	CHECK(b.actual <= b.memory && b.target <= b.memory);
}

static bool step(const uint8_t *p)
{
	switch (p[0] % 8) {
	case 0:
		control(p);
		return true;
	case 1:
		set_pinned((p[2] & 1) != 0);
		return true;
	case 2:
		vdrv_set_config(&v, p[2] % 8 & ~3u, get_le32(p + 4), 4);
		return true;
	case 3:
	case 4:
		return report(p);
	default:
		return frames(p);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dev)
		make();
	uint8_t features = size ? data[0] : 0;
	memset(area, MARK, (size_t)PAGES * PAGE);
	named = 0;
	start(features);
	for (size_t at = 1; at + STEP <= size; at += STEP) {
		if (!step(data + at))
			start(features);
		check_area();
	}
	set_pinned(false);
	vdrv_set_status(&v, 0);
	machine_lock(g.m);
	CHECK(virtio_balloon_set(dev, MIB(4), NULL) == 0);
	machine_unlock(g.m);
	return 0;
}
