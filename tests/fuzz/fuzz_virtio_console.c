// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile driver at virtio-console: buffers of any content and cut on any queue, control messages
// in any order, a peer that comes, talks, reads and goes, pauses and resets in between. Whatever
// happens: what reaches the peer is what the guest wrote, in its order, with nothing that it did
// not write; no buffer is said to hold more than it has; a reset always brings the device back.
//
// Input: one byte of features, then steps of 8 bytes: what, queue, length (2), content (4).
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "core/bytes.h"
#include "tests/fuzz/virtiofuzz.h"

#define STEP   8
#define QUEUES 6
#define SLOTS  16 /* a queue: as many as it has entries, so none is used twice at once */
#define SLOT   4096u

static char path[64];
static int peer = -1;
static uint64_t slots;
static unsigned int next[QUEUES];
static uint8_t wrote, heard; /* the last bytes of port 1: it is a running count */
static bool any;

static void make(void)
{
	char arg[96];

	signal(SIGPIPE, SIG_IGN);
	snprintf(path, sizeof(path), "/tmp/vv-fuzzcon-%d", (int)getpid());
	snprintf(arg, sizeof(arg), "socket,id=p,path=%s", path);
	const struct guest_setup s = {
		.accel = "none",
		.device = { "virtio-console,id=dut,chardev=n,ports=p:p,packed=on,in_order=on" },
		.backend = { { BACKEND_CHAR, "null,id=n" }, { BACKEND_CHAR, arg } },
	};
	vf_open(&s, VIRTIO_ID_CONSOLE);
}

static void start(uint8_t features)
{
	uint64_t want = features & 1 ? 0 : BIT64(VIRTIO_CONSOLE_F_MULTIPORT);

	vf_start(want | vf_rings(features >> 1), QUEUES);
	slots = vdrv_ram(&v, (uint64_t)QUEUES * SLOTS * SLOT);
	memset(next, 0, sizeof(next));
}

/* ---- the peer -------------------------------------------------------------------------------- */

static void hang_up(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
	any = false; /* what was under way is lost with it */
}

static void dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	memcpy(a.sun_path, path, strlen(path));
	peer = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	CHECK(peer >= 0);
	/* Those before it may wait until what the first of them said is heard. */
	if (connect(peer, (struct sockaddr *)&a, sizeof(a)) < 0) {
		CHECK(errno == EAGAIN);
		close(peer);
		peer = -1;
	}
}

/* A running count, with gaps where nobody was there to hear, and at resets. */
static void listen_peer(void)
{
	uint8_t buf[4096];
	ssize_t n;

	while (peer >= 0 && (n = read(peer, buf, sizeof(buf))) > 0) {
		for (ssize_t i = 0; i < n; i++) {
			CHECK(!any || buf[i] == (uint8_t)(heard + 1));
			heard = buf[i];
			any = true;
		}
	}
}

static void peer_step(const uint8_t *p)
{
	uint8_t buf[256];

	switch (p[1] % 4) {
	case 0:
		if (peer < 0)
			dial();
		break;
	case 1:
		hang_up();
		break;
	case 2:
		memset(buf, p[4], sizeof(buf));
		if (peer >= 0)
			(void)!write(peer, buf, 1 + p[2] % sizeof(buf));
		break;
	default:
		listen_peer();
		break;
	}
}

/* ---- the driver ------------------------------------------------------------------------------ */

static void fill(uint8_t *at, unsigned int q, uint32_t len, const uint8_t *p)
{
	if (q == 5) {
		for (uint32_t i = 0; i < len; i++)
			at[i] = ++wrote;
		return;
	}
	memset(at, p[4], len);
	if (q == 3 && len >= 8) {
		put_le32(at, p[4] % 8 == 7 ? UINT32_MAX : p[4] % 4);
		put_le16(at + 4, p[5] % 10);
		put_le16(at + 6, p[6] % 2);
	}
}

static void buffer(const uint8_t *p)
{
	unsigned int q = p[1] % QUEUES, cut = p[7] % 4;
	bool out = (q & 1) != (p[0] >= 0xf8);
	uint32_t len = 1 + get_le16(p + 2) % (SLOT - 1);
	uint64_t gpa = slots + (uint64_t)(q * SLOTS + next[q] % SLOTS) * SLOT;

	cut = MIN(cut, len - 1);
	const struct vdrv_seg s[2] = { { gpa, cut ? cut : len }, { gpa + cut, len - cut } };
	unsigned int n = cut ? 2 : 1;
	if (vdrv_add(&v.q[q], s, out ? n : 0, out ? 0 : n, vf_indirect(p[7] & 0x80),
		     (void *)(uintptr_t)(out ? 1 : 1 + len)) < 0)
		return;
	next[q]++;
	/* After it is there: the device looks at it when the loop has its turn, not before. */
	fill(vdrv_ptr(&v, gpa, len), out ? q : 0, len, p);
	vdrv_kick(&v.q[q], (p[7] & 0x40) != 0);
}

static void reap(void)
{
	for (unsigned int q = 0; q < QUEUES; q++) {
		void *cookie = NULL;
		uint32_t len = 0;

		while (vdrv_reap(&v.q[q], &cookie, &len))
			CHECK(len < (uintptr_t)cookie); /* none in what it reads */
	}
}

static void again(uint8_t features)
{
	vdrv_set_status(&v, 0);
	hang_up(); /* the count has a gap */
	loop_turn(g.loop, 0);
	loop_turn(g.loop, 0);
	start(features);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dev)
		make();
	uint8_t features = size ? data[0] : 0;
	again(features);
	for (size_t at = 1; at + STEP <= size; at += STEP) {
		const uint8_t *p = data + at;

		switch (p[0] % 8) {
		case 0:
			peer_step(p);
			break;
		case 1:
			vf_pause_resume();
			break;
		case 2:
			if (p[1] > 0xc0)
				again(p[2]);
			break;
		default:
			buffer(p);
			break;
		}
		loop_turn(g.loop, 0);
		reap();
		listen_peer();
		if (vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET)
			again(features);
	}
	vdrv_set_status(&v, 0);
	hang_up();
	return 0;
}
