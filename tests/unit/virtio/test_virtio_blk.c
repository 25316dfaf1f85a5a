// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-blk driven by the mini driver, over accelerator "none": every request and status, on split
// and packed rings, against a real file that is looked at from outside. Its I/O threads are threads
// (pthread_create in vmm/virtio/iothread.c).
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "core/bytes.h"
#include "tests/guest/vdrv.h"
#include "tests/guest/vdrv_bad.h"
#include "vmm/virtio/virtio_blk_int.h"

#define SIZE	MIB(4)
#define SECTORS (SIZE / 512)

static struct guest g;
static struct vdrv v;
static char path[64];
static int file = -1;

/* A request's place in guest RAM: header, status, data. */
static uint64_t head_gpa, data_gpa;
static uint8_t *head, *data;
#define STATUS	 (head + 64)
#define DATA_MAX MIB(1)

static int setup(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/vv-blk-XXXXXX");
	file = mkstemp(path);
	return file >= 0 && ftruncate(file, (off_t)SIZE) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	guest_close(&g);
	close(file);
	unlink(path);
	return 0;
}

static void attach(const char *blockdev, const char *device)
{
	char b[160];

	snprintf(b, sizeof(b), "file,id=d0,path=%s%s", path, blockdev);
	const struct guest_setup s = { .accel = "none",
				       .device = { device },
				       .ram = MIB(8),
				       .backend = { { BACKEND_BLOCK, b } } };
	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_BLOCK, 0, 0);
}

static void memory(void)
{
	head_gpa = vdrv_ram(&v, 4096);
	head = vdrv_ptr(&v, head_gpa, 4096);
	data_gpa = vdrv_ram(&v, DATA_MAX);
	data = vdrv_ptr(&v, data_gpa, DATA_MAX);
}

static void start(const char *blockdev, const char *device, uint64_t want)
{
	attach(blockdev, device);
	vdrv_start(&v, want, 1, 64, true);
	memory();
}

static void header(uint8_t *h, uint32_t type, uint64_t sector)
{
	put_le32(h, type);
	put_le32(h + 4, 0);
	put_le64(h + 8, sector);
}

static uint8_t finished(uint32_t want_len)
{
	uint32_t len = 0;

	vdrv_kick(&v.q[0], false);
	assert_true(vdrv_wait(&v.q[0], NULL, &len));
	if (want_len)
		assert_int_equal(len, want_len);
	return *STATUS;
}

/* One request: data from or to `at` of the data, as one segment. */
static uint8_t request(uint32_t type, uint64_t sector, bool to_device, uint32_t at, uint32_t len)
{
	const struct vdrv_seg out[3] = { { head_gpa, 16 },
					 { data_gpa + at, len },
					 { head_gpa + 64, 1 } };
	const struct vdrv_seg none[2] = { out[0], out[2] };
	bool indirect = (v.features & BIT64(VIRTIO_RING_F_INDIRECT_DESC)) != 0;

	header(head, type, sector);
	*STATUS = 0xee;
	int r = len == 0    ? vdrv_add(&v.q[0], none, 1, 1, indirect, NULL)
		: to_device ? vdrv_add(&v.q[0], out, 2, 1, indirect, NULL)
			    : vdrv_add(&v.q[0], out, 1, 2, indirect, NULL);
	assert_true(r >= 0);
	return finished(to_device ? 1 : len + 1);
}

static uint8_t ranges(uint32_t type, const uint64_t (*r)[3], unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		put_le64(data + 16 * i, r[i][0]);
		put_le32(data + 16 * i + 8, (uint32_t)r[i][1]);
		put_le32(data + 16 * i + 12, (uint32_t)r[i][2]);
	}
	return request(type, 0, true, 0, 16 * n);
}

static uint8_t range(uint32_t type, uint64_t sector, uint64_t n, uint64_t flags)
{
	const uint64_t r[1][3] = { { sector, n, flags } };

	return ranges(type, r, 1);
}

static void pattern(uint8_t *p, size_t n, unsigned int seed)
{
	for (size_t i = 0; i < n; i++)
		p[i] = (uint8_t)(seed + i / 512 * 7 + i);
}

static void in_file(uint64_t off, const uint8_t *want, size_t n)
{
	uint8_t *got = malloc(n);

	assert_non_null(got);
	assert_int_equal(pread(file, got, n, (off_t)off), (ssize_t)n);
	assert_memory_equal(got, want, n);
	free(got);
}

static void assert_zero(uint64_t sector, unsigned int n)
{
	uint8_t *zero = calloc(n, 512);

	in_file(sector * 512, zero, (size_t)n * 512);
	free(zero);
}

static void assert_alive(void)
{
	assert_false(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, false, 0, 512), VIRTIO_BLK_S_OK);
}

/* ---- what works ------------------------------------------------------------------------------ */

static void round_trip(const char *blockdev, uint64_t want)
{
	start(blockdev, "virtio-blk,drive=d0,packed=on,in_order=on,notification_data=on,serial=S1",
	      want);
	assert_int_equal(v.features & want, want);
	for (unsigned int i = 0; i < 80; i++) { /* more than the ring has entries */
		uint32_t n = 512 * (1 + i % 9);

		pattern(data, n, i);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, i * 16, true, 0, n), VIRTIO_BLK_S_OK);
		in_file(i * 16 * 512, data, n);
		assert_int_equal(request(VIRTIO_BLK_T_IN, i * 16, false, 8192, n), VIRTIO_BLK_S_OK);
		assert_memory_equal(data, data + 8192, n);
	}
	if (v.features & BIT64(VIRTIO_BLK_F_FLUSH))
		assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, true, 0, 0), VIRTIO_BLK_S_OK);
	memset(data, 0xaa, 64);
	assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, false, 0, 20), VIRTIO_BLK_S_OK);
	assert_memory_equal(data, "S1\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
	assert_int_equal(data[20], 0xaa);
	assert_false(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void test_split_ring(void **state)
{
	(void)state;
	round_trip("", BIT64(VIRTIO_BLK_F_FLUSH));
}

static void test_packed_ring_with_everything(void **state)
{
	(void)state;
	round_trip("", BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_RING_F_EVENT_IDX) |
			       BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_F_IN_ORDER) |
			       BIT64(38) | BIT64(VIRTIO_BLK_F_FLUSH));
}

/* Without the page cache; data that direct I/O can't use as it lies goes another way. */
static void test_direct_io(void **state)
{
	(void)state;
	round_trip(",cache=none", 0);
	for (uint32_t at = 1; at < 2000; at += 333) {
		pattern(data + at, 200 * 512, at);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, 8, true, at, 200 * 512),
				 VIRTIO_BLK_S_OK);
		in_file(8 * 512, data + at, 200 * 512);
		memset(data + 300000, 0, 200 * 512);
		assert_int_equal(request(VIRTIO_BLK_T_IN, 8, false, 300000 + at, 200 * 512),
				 VIRTIO_BLK_S_OK);
		assert_memory_equal(data + at, data + 300000 + at, 200 * 512);
	}
}

/* Header, data and status may be cut anywhere, and share segments. */
static void test_any_layout(void **state)
{
	const struct vdrv_seg write[6] = { { head_gpa, 3 }, { 0, 13 }, { 0, 1 },
					   { 0, 1000 },	    { 0, 23 }, { 0, 1 } };
	struct vdrv_seg s[6];

	(void)state;
	start("", "virtio-blk,drive=d0", 0);
	memcpy(s, write, sizeof(s));
	/* header 3 + 13, data 1 + 1000 + 23 */
	s[0].gpa = head_gpa;
	s[1].gpa = head_gpa + 3;
	s[2].gpa = data_gpa + 5;
	s[3].gpa = data_gpa + 6;
	s[4].gpa = data_gpa + 1006;
	s[5].gpa = head_gpa + 64;
	pattern(data + 5, 1024, 3);
	header(head, VIRTIO_BLK_T_OUT, 7);
	assert_true(vdrv_add(&v.q[0], s, 5, 1, false, NULL) >= 0);
	assert_int_equal(finished(1), VIRTIO_BLK_S_OK);
	in_file(7 * 512, data + 5, 1024);

	/* Data and status in one segment of 1025 bytes. */
	const struct vdrv_seg in[2] = { { head_gpa, 16 }, { data_gpa + 4096, 1025 } };
	uint32_t len = 0;
	header(head, VIRTIO_BLK_T_IN, 7);
	data[4096 + 1024] = 0xee;
	assert_true(vdrv_add(&v.q[0], in, 1, 1, false, NULL) >= 0);
	vdrv_kick(&v.q[0], false);
	assert_true(vdrv_wait(&v.q[0], NULL, &len));
	assert_int_equal(len, 1025);
	assert_int_equal(data[4096 + 1024], VIRTIO_BLK_S_OK);
	assert_memory_equal(data + 4096, data + 5, 1024);
}

static void test_discard_and_zeroes(void **state)
{
	const uint64_t three[3][3] = { { 16, 16, 0 }, { 64, 8, 1 }, { 1000, 128, 0 } };
	struct stat before, after;

	(void)state;
	start("", "virtio-blk,drive=d0",
	      BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES) |
		      BIT64(VIRTIO_BLK_F_FLUSH));
	pattern(data, DATA_MAX, 1);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, true, 0, DATA_MAX), VIRTIO_BLK_S_OK);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, true, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(fstat(file, &before), 0);
	assert_int_equal(ranges(VIRTIO_BLK_T_WRITE_ZEROES, three, 3), VIRTIO_BLK_S_OK);
	assert_zero(16, 16);
	assert_zero(64, 8);
	assert_zero(1000, 128);
	uint8_t sector[512];
	pattern(data, DATA_MAX, 1);
	assert_int_equal(pread(file, sector, 512, 32 * 512), 512);
	assert_memory_equal(sector, data + 32 * 512, 512);
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 1024, 1024, 0), VIRTIO_BLK_S_OK);
	assert_int_equal(fstat(file, &after), 0);
	assert_true(after.st_blocks < before.st_blocks);
	assert_int_equal(after.st_size, SIZE);
}

static void test_several_queues_and_threads(void **state)
{
	uint32_t len;

	(void)state;
	attach("", "virtio-blk,drive=d0,num-queues=4,iothreads=2");
	vdrv_start(&v, BIT64(VIRTIO_BLK_F_MQ), 4, 64, true);
	assert_true(v.features & BIT64(VIRTIO_BLK_F_MQ));
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_blk_config, num_queues), 2), 4);
	memory();
	for (unsigned int i = 0; i < 4; i++) {
		const struct vdrv_seg s[3] = { { head_gpa + 128 * i, 16 },
					       { data_gpa + 4096 * i, 4096 },
					       { head_gpa + 128 * i + 64, 1 } };

		header(head + 128 * i, VIRTIO_BLK_T_OUT, 8 * i);
		pattern(data + 4096 * i, 4096, i * 77);
		STATUS[128 * i] = 0xee;
		assert_true(vdrv_add(&v.q[i], s, 2, 1, false, NULL) >= 0);
		vdrv_kick(&v.q[i], true);
	}
	for (unsigned int i = 0; i < 4; i++) {
		assert_true(vdrv_wait(&v.q[i], NULL, &len));
		assert_int_equal(STATUS[128 * i], VIRTIO_BLK_S_OK);
	}
	in_file(0, data, 4 * 4096);
}

/* Requests that end together are told together. */
static void test_a_batch_is_one_interrupt(void **state)
{
	uint64_t signals = 0;
	uint32_t len;

	(void)state;
	start("", "virtio-blk,drive=d0", 0);
	vdrv_irq_on(&v.q[0], 1);
	for (unsigned int k = 0; k < 50; k++) {
		for (unsigned int i = 0; i < 16; i++) {
			const struct vdrv_seg s[3] = { { head_gpa + 128 * i, 16 },
						       { data_gpa + 4096 * i, 4096 },
						       { head_gpa + 128 * i + 64, 1 } };

			header(head + 128 * i, VIRTIO_BLK_T_IN, 8 * i);
			assert_true(vdrv_add(&v.q[0], s, 1, 2, false, NULL) >= 0);
		}
		vdrv_kick(&v.q[0], true);
		for (unsigned int i = 0; i < 16; i++)
			assert_true(vdrv_wait(&v.q[0], NULL, &len));
		signals += vdrv_signals(&v, 1);
	}
	assert_true(signals > 0 && signals < 400); /* of 800 requests */
}

/* Answered at once, all in one turn; then kicks are wanted again. */
static void test_a_full_ring_and_one_more(void **state)
{
	const uint64_t want = BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX);
	uint32_t len;

	(void)state;
	start("", "virtio-blk,drive=d0,serial=S", want);
	header(head, VIRTIO_BLK_T_GET_ID, 0);
	for (unsigned int k = 0; k < 100; k++) {
		unsigned int n = 0;

		for (const struct vdrv_seg s[2] = { { head_gpa, 16 }, { data_gpa, 21 } };
		     n < 64 && vdrv_add(&v.q[0], s, 1, 1, true, NULL) >= 0;)
			n++;
		assert_int_equal(n, 64);
		vdrv_kick(&v.q[0], false);
		for (unsigned int i = 0; i < n; i++)
			assert_true(vdrv_wait(&v.q[0], NULL, &len));
		assert_int_equal(request(VIRTIO_BLK_T_GET_ID, 0, false, 0, 20), VIRTIO_BLK_S_OK);
	}
}

/* ---- what is refused ------------------------------------------------------------------------- */

static void test_statuses(void **state)
{
	(void)state;
	start("", "virtio-blk,drive=d0",
	      BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_WRITE_ZEROES) |
		      BIT64(VIRTIO_BLK_F_FLUSH));
	const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = { { SECTORS, 512 },
		    { SECTORS - 1, 1024 },
		    { UINT64_MAX, 512 },
		    { 1ull << 55, 512 },
		    { 0, 511 },
		    { 0, 513 },
		    { 0, 0 },
		    { UINT64_MAX / 512 + 1, 512 } };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(request(VIRTIO_BLK_T_IN, bad[i].sector, false, 0, bad[i].len),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(VIRTIO_BLK_T_OUT, bad[i].sector, true, 0, bad[i].len),
				 VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(lseek(file, 0, SEEK_END), SIZE);
	const uint32_t no[] = { 2, 3, 5, 14, 100, UINT32_MAX };
	for (size_t i = 0; i < ARRAY_SIZE(no); i++)
		assert_int_equal(request(no[i], 0, false, 0, 512), VIRTIO_BLK_S_UNSUPP);
	for (uint32_t t = VIRTIO_BLK_T_DISCARD; t <= VIRTIO_BLK_T_WRITE_ZEROES; t += 2) {
		assert_int_equal(range(t, SECTORS, 1, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(range(t, SECTORS - 1, 2, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(range(t, UINT64_MAX, UINT32_MAX, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(range(t, 0, 0, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(range(t, 0, 1, 2), VIRTIO_BLK_S_UNSUPP);
		assert_int_equal(request(t, 0, true, 0, 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(t, 0, true, 0, 15), VIRTIO_BLK_S_IOERR);
		assert_int_equal(request(t, 0, true, 0, 17 * 16), VIRTIO_BLK_S_IOERR);
	}
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 1, 1), VIRTIO_BLK_S_UNSUPP);
	assert_alive();
}

static void test_what_was_not_negotiated_is_unsupported(void **state)
{
	(void)state;
	start(",discard=off", "virtio-blk,drive=d0",
	      UINT64_MAX & ~BIT64(VIRTIO_F_RING_PACKED) & ~BIT64(VIRTIO_BLK_F_WRITE_ZEROES));
	assert_false(v.features & BIT64(VIRTIO_BLK_F_DISCARD));
	assert_int_equal(range(VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(range(VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
	assert_alive();
}

static void test_read_only(void **state)
{
	(void)state;
	pattern(data = malloc(512), 512, 9);
	assert_int_equal(pwrite(file, data, 512, 0), 512);
	free(data);
	assert_int_equal(fchmod(file, 0400), 0);
	start(",readonly=on", "virtio-blk,drive=d0", UINT64_MAX & ~BIT64(VIRTIO_F_RING_PACKED));
	assert_true(v.features & BIT64(VIRTIO_BLK_F_RO));
	assert_false(v.features & (BIT64(VIRTIO_BLK_F_DISCARD) | BIT64(VIRTIO_BLK_F_FLUSH)));
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, false, 0, 512), VIRTIO_BLK_S_OK);
	in_file(0, data, 512);
	memset(data, 0x55, 512);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, true, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_FLUSH, 0, true, 0, 0), VIRTIO_BLK_S_OK);
	assert_int_not_equal(request(VIRTIO_BLK_T_IN, 0, false, 1024, 512), 0xee);
	in_file(0, data + 1024, 512);
}

static void test_a_file_that_ends_early_is_an_error(void **state)
{
	(void)state;
	start("", "virtio-blk,drive=d0", 0);
	assert_int_equal(ftruncate(file, 1000), 0);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 0, false, 0, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(VIRTIO_BLK_T_IN, 8, false, 0, 512), VIRTIO_BLK_S_IOERR);
	assert_alive();
}

static void no_request(const struct vdrv_seg *s, unsigned int n_out, unsigned int n_in)
{
	vdrv_start(&v, 0, 1, 64, true);
	assert_true(vdrv_add(&v.q[0], s, n_out, n_in, false, NULL) >= 0);
	vdrv_kick(&v.q[0], true);
	assert_true(vdrv_wait_needs_reset(&v));
}

static void test_what_is_no_request_needs_a_reset(void **state)
{
	(void)state;
	start("", "virtio-blk,drive=d0", 0);
	const struct vdrv_seg s[2] = { { head_gpa, 16 }, { head_gpa + 64, 1 } };
	const struct vdrv_seg small[2] = { { head_gpa, 15 }, { head_gpa + 64, 1 } };

	no_request(s, 1, 0);
	no_request(s + 1, 0, 1);
	no_request(small, 1, 1);
	vdrv_start(&v, 0, 1, 64, true);
	assert_alive();
}

static void test_bad_rings(void **state)
{
	(void)state;
	attach("", "virtio-blk,drive=d0,packed=on");
	assert_true(vdrv_bad_run(&v, BIT64(VIRTIO_RING_F_INDIRECT_DESC), 1, 0) > 5);
	assert_true(vdrv_bad_run(&v,
				 BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_RING_F_INDIRECT_DESC),
				 1, 0) > 5);
}

/* ---- resets and pauses ----------------------------------------------------------------------- */

static void fill_ring(unsigned int seed)
{
	const struct vdrv_seg s[3] = { { head_gpa, 16 },
				       { data_gpa, 65536 },
				       { head_gpa + 64, 1 } };
	bool in = seed & 1;

	header(head, in ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT, 0);
	while (vdrv_add(&v.q[0], s, in ? 1 : 2, in ? 2 : 1, false, NULL) >= 0)
		;
	vdrv_kick(&v.q[0], true);
}

static void test_reset_with_requests_in_flight(void **state)
{
	static const uint64_t wants[] = { 0, BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER),
					  BIT64(VIRTIO_BLK_F_FLUSH) };

	(void)state;
	attach(",cache=none", "virtio-blk,drive=d0,packed=on,in_order=on");
	uint64_t ram = v.ram_next;
	for (unsigned int i = 0; i < 30; i++) {
		v.ram_next = ram;
		vdrv_start(&v, wants[i % 3], 1, 64, true);
		memory();
		fill_ring(i);
		if (i % 5 == 0) {
			guest_command(v.fn, 0, PCI_COMMAND_MASTER);
			guest_command(v.fn, PCI_COMMAND_MASTER, 0);
		}
		vdrv_set_status(&v, 0); /* returns when nothing touches guest memory any more */
		uint8_t *copy = malloc(65536);
		memcpy(copy, data, 65536);
		loop_turn(g.loop, 1);
		assert_memory_equal(copy, data, 65536);
		free(copy);
	}
	vdrv_start(&v, 0, 1, 64, true);
	assert_alive();
}

static void test_nothing_is_lost_over_a_pause(void **state)
{
	struct dev *d;
	uint32_t len;

	(void)state;
	start("", "virtio-blk,drive=d0,id=x", 0);
	d = machine_find_device(g.m, "x");
	for (unsigned int i = 0; i < 20; i++) {
		unsigned int n = 64 / 3;

		fill_ring(i);
		machine_lock(g.m);
		dev_pause(d);
		dev_resume(d);
		machine_unlock(g.m);
		while (n-- > 0)
			assert_true(vdrv_wait(&v.q[0], NULL, &len));
	}
	assert_alive();
}

/* ---- configuration --------------------------------------------------------------------------- */

static uint64_t capacity(void)
{
	return vdrv_config(&v, 0, 8);
}

static void test_configuration(void **state)
{
	(void)state;
	start("", "virtio-blk,drive=d0,logical_block_size=1024,physical_block_size=4096", 0);
	assert_int_equal(capacity(), SECTORS);
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_blk_config, blk_size), 4), 1024);
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_blk_config, seg_max), 4), 254);
	assert_int_equal(vdrv_config(&v, offsetof(struct virtio_blk_config, physical_block_exp), 1),
			 2);
}

static const struct virtio_blk *device(void)
{
	return container_of(container_of(guest_pcidev(v.fn), struct virtio_dev, pd),
			    struct virtio_blk, vd);
}

static bool write_through(void)
{
	return __atomic_load_n(&device()->write_through, __ATOMIC_RELAXED);
}

static void test_a_write_is_stable_unless_the_driver_can_flush(void **state)
{
	const unsigned int wce = offsetof(struct virtio_blk_config, wce);

	(void)state;
	start("", "virtio-blk,drive=d0", 0);
	assert_true(write_through());
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, true, 0, 512), VIRTIO_BLK_S_OK);
	vdrv_start(&v, BIT64(VIRTIO_BLK_F_FLUSH), 1, 64, true);
	assert_false(write_through());
	vdrv_set_config(&v, wce, 0, 1); /* not negotiated */
	assert_false(write_through());
	vdrv_start(&v, BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_CONFIG_WCE), 1, 64, true);
	assert_int_equal(vdrv_config(&v, wce, 1), 1);
	assert_false(write_through());
	vdrv_set_config(&v, wce, 0, 1);
	assert_true(write_through());
	assert_int_equal(request(VIRTIO_BLK_T_OUT, 0, true, 0, 512), VIRTIO_BLK_S_OK);
	vdrv_start(&v, BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_CONFIG_WCE), 1, 64, true);
	assert_int_equal(vdrv_config(&v, wce, 1), 1);
}

static int resize(uint64_t size, struct verr *err)
{
	memset(err, 0, sizeof(*err));
	machine_lock(g.m);
	int r = blockdev_resize(&g.m->backends, "d0", size, err);
	machine_unlock(g.m);
	return r;
}

static void test_resize(void **state)
{
	struct verr err;

	(void)state;
	start("", "virtio-blk,drive=d0", 0);
	vdrv_signals(&v, 0);
	assert_int_equal(resize(SIZE + MIB(1), &err), 0);
	assert_int_equal(capacity(), (SIZE + MIB(1)) / 512);
	assert_int_equal(vdrv_signals(&v, 0), 1);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, SECTORS, true, 0, 4096), VIRTIO_BLK_S_OK);
	assert_int_equal(resize(MIB(1), &err), 0);
	assert_int_equal(lseek(file, 0, SEEK_END), MIB(1));
	assert_int_equal(vdrv_signals(&v, 0), 1);
	assert_int_equal(request(VIRTIO_BLK_T_OUT, SECTORS, true, 0, 4096), VIRTIO_BLK_S_IOERR);
	assert_int_equal(lseek(file, 0, SEEK_END), MIB(1));
	/* What another program did to it. */
	assert_int_equal(ftruncate(file, (off_t)MIB(2) + 700), 0);
	assert_int_equal(resize(0, &err), 0);
	assert_int_equal(capacity(), MIB(2) / 512 + 1);
	assert_int_equal(resize(1000, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "no multiple of 512"));
	assert_int_equal(capacity(), MIB(2) / 512 + 1);
	assert_int_equal(blockdev_resize(&g.m->backends, "nope", 0, &err), -ENOENT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_split_ring),
		TEST(test_packed_ring_with_everything),
		TEST(test_direct_io),
		TEST(test_any_layout),
		TEST(test_discard_and_zeroes),
		TEST(test_several_queues_and_threads),
		TEST(test_a_batch_is_one_interrupt),
		TEST(test_a_full_ring_and_one_more),
		TEST(test_statuses),
		TEST(test_what_was_not_negotiated_is_unsupported),
		TEST(test_read_only),
		TEST(test_a_file_that_ends_early_is_an_error),
		TEST(test_what_is_no_request_needs_a_reset),
		TEST(test_bad_rings),
		TEST(test_reset_with_requests_in_flight),
		TEST(test_nothing_is_lost_over_a_pause),
		TEST(test_configuration),
		TEST(test_a_write_is_stable_unless_the_driver_can_flush),
		TEST(test_resize),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
