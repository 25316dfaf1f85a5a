// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile driver at virtio-blk: requests of any type, cut into any segments, with resets and
// pauses in between. Whatever it asks for: what is no request needs a reset, everything else gets a
// status; what was answered as done is what a model of the disk did; the file keeps its size; the
// guest's memory beside the request stays as it is.
//
// Input: one byte of features, then requests of 16 bytes: type, segments to read and to write (a
// half byte each), what else (pause, reset), 1 byte, sector (2), ranges (2), a segment's length
// each (8).
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>

#include "core/bytes.h"
#include "tests/fuzz/virtiofuzz.h"

#define STEP	16
#define SIZE	65536u
#define SECTORS (SIZE / 512)
#define AREA	65536u
#define CANARY	0x5a

static int file = -1;
static uint8_t model[SIZE];
static uint64_t out_gpa, in_gpa;
static uint8_t *out, *in;

static void make(void)
{
	char arg[64];

	file = memfd_create("disk", MFD_CLOEXEC);
	CHECK(file >= 0 && ftruncate(file, SIZE) == 0);
	snprintf(arg, sizeof(arg), "file,id=d,path=/proc/self/fd/%d", file);
	const struct guest_setup s = {
		.accel = "none",
		.device = { "virtio-blk,drive=d,id=dut,packed=on,in_order=on" },
		.backend = { { BACKEND_BLOCK, arg } }
	};
	vf_open(&s, VIRTIO_ID_BLOCK);
}

static void start(uint8_t features)
{
	uint64_t want = BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES) |
			vf_rings((features & 3u) | (features >> 1 & 12u));

	want |= features & 4 ? BIT64(VIRTIO_BLK_F_FLUSH) : 0;
	vf_start(want, 1);
	out_gpa = vdrv_ram(&v, AREA);
	in_gpa = vdrv_ram(&v, AREA);
	out = vdrv_ptr(&v, out_gpa, AREA);
	in = vdrv_ptr(&v, in_gpa, AREA);
}

/* ---- the model ------------------------------------------------------------------------------- */

static bool within(uint64_t sector, uint64_t bytes)
{
	return sector <= SECTORS && bytes <= SIZE - sector * 512;
}

static void model_ranges(uint32_t len)
{
	CHECK(len > 0 && len % 16 == 0);
	for (uint32_t i = 0; i < len; i += 16) {
		uint64_t sector = get_le64(out + 16 + i), n = get_le32(out + 16 + i + 8);

		CHECK(within(sector, n * 512) && n > 0);
		memset(model + sector * 512, 0, n * 512);
	}
}

/* A request that was answered. */
static void check_done(uint32_t out_len, uint32_t in_len)
{
	uint32_t type = get_le32(out), data = type == VIRTIO_BLK_T_IN ? in_len - 1 : out_len - 16;
	uint64_t sector = get_le64(out + 8);
	uint8_t status = in[in_len - 1];

	CHECK(status <= VIRTIO_BLK_S_UNSUPP);
	CHECK(in[in_len] == CANARY && in[AREA - 1] == CANARY);
	bool rw = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_OUT;
	if (rw)
		CHECK((status == VIRTIO_BLK_S_OK) ==
		      (data > 0 && data % 512 == 0 && within(sector, data)));
	if (status != VIRTIO_BLK_S_OK)
		return;
	switch (type) {
	case VIRTIO_BLK_T_IN:
		CHECK(memcmp(in, model + sector * 512, data) == 0);
		break;
	case VIRTIO_BLK_T_OUT:
		memcpy(model + sector * 512, out + 16, data);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		model_ranges(data);
		break;
	default:
		CHECK(type == VIRTIO_BLK_T_FLUSH || type == VIRTIO_BLK_T_GET_ID);
		break;
	}
}

static void check_file(void)
{
	static uint8_t now[SIZE];
	struct stat st;

	CHECK(fstat(file, &st) == 0 && st.st_size == SIZE);
	CHECK(pread(file, now, SIZE, 0) == SIZE);
	CHECK(memcmp(now, model, SIZE) == 0);
}

/* ---- requests -------------------------------------------------------------------------------- */

static const uint16_t lens[16] = { 512,	 1, 15, 16,   17, 511, 513,  1024,
				   4096, 3, 13, 1000, 24, 0,   2048, 32 };

static void fill(const uint8_t *p)
{
	static const uint8_t types[16] = { 0, 1, 0, 1, 4, 8, 11, 13, 0, 1, 2, 3, 14, 5, 13, 11 };

	for (unsigned int i = 0; i < AREA; i++)
		out[i] = (uint8_t)(p[4] + i * 5 + i / 512);
	memset(in, CANARY, AREA);
	put_le32(out, types[p[0] % 16] | (uint32_t)(p[0] & 0x80) << 24);
	put_le32(out + 4, 0);
	put_le64(out + 8,
		 get_le16(p + 4) < 0xff00 ? get_le16(p + 4) % (SECTORS + 4) : UINT64_MAX - p[4]);
	if (types[p[0] % 16] != VIRTIO_BLK_T_DISCARD &&
	    types[p[0] % 16] != VIRTIO_BLK_T_WRITE_ZEROES)
		return;
	for (unsigned int i = 0; i < 32; i++) {
		put_le64(out + 16 + 16 * i, (p[6] + i) % (SECTORS + 1));
		put_le32(out + 24 + 16 * i, p[7] % 20);
		put_le32(out + 28 + 16 * i, p[3] % 8 == 7 ? 2 : p[3] & 1);
	}
}

/* Returns true if the device is as it was, false if it needs a reset. */
static bool request(const uint8_t *p)
{
	unsigned int n_out = p[1] & 7, n_in = p[1] >> 4 & 7;
	uint32_t out_len = 0, in_len = 0, len;
	struct vdrv_seg s[14];
	bool bad = false;

	if (n_out + n_in == 0)
		return true;
	fill(p);
	for (unsigned int i = 0; i < n_out + n_in; i++) {
		uint32_t *sum = i < n_out ? &out_len : &in_len;

		s[i].len = lens[(i & 1 ? p[8 + i / 2] >> 4 : p[8 + i / 2] & 15)];
		s[i].gpa = (i < n_out ? out_gpa : in_gpa) + *sum;
		bad |= s[i].len == 0;
		*sum += s[i].len;
	}
	bad |= out_len < 16 || in_len < 1;
	CHECK(vdrv_add(&v.q[0], s, n_out, n_in, vf_indirect(p[2] & 1), NULL) >= 0);
	vdrv_kick(&v.q[0], (p[2] & 2) != 0);
	if (p[2] & 4) {
		vf_pause_resume();
	}
	if (bad) {
		CHECK(vdrv_wait_needs_reset(&v));
		return false;
	}
	CHECK(vdrv_wait(&v.q[0], NULL, &len));
	CHECK(len == in_len);
	check_done(out_len, in_len);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dev)
		make();
	memset(model, 0, sizeof(model));
	CHECK(ftruncate(file, 0) == 0 && ftruncate(file, SIZE) == 0);
	uint8_t features = size ? data[0] : 0;
	start(features);
	for (size_t at = 1; at + STEP <= size; at += STEP) {
		const uint8_t *p = data + at;

		if (!request(p) || (p[2] & 0x70) == 0x70)
			start(p[2] & 8 ? p[3] : features);
	}
	check_file();
	vdrv_set_status(&v, 0);
	return 0;
}
