// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-balloon driven by the mini driver, over accelerator "none": pages given back by kind of
// memory, page frames that are no RAM, reports on either queue, statistics, the control socket's
// side, and pinned memory.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/virtio_balloon.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "core/bytes.h"
#include "tests/guest/vdrv.h"
#include "vmm/virtio/virtio_balloon.h"

#define INFLATE 0
#define DEFLATE 1
#define STATS	2
#define PAGE	4096u
#define BUF	UINT64_C(0x200000) /* page frame numbers */
#define AREA	UINT64_C(0x280000) /* pages to give back: 64 of them */
#define PAGES	64u
#define NEEDS	VIRTIO_CONFIG_S_NEEDS_RESET

static struct guest g;
static struct vdrv v;
static struct dev *bal;

static void start(const char *props, const char *machine, uint64_t want, unsigned int queues)
{
	char dev[128];

	snprintf(dev, sizeof(dev), "virtio-balloon,id=bal,packed=on,in_order=on%s", props);
	const struct guest_setup s = { .accel = "none", .machine = machine, .device = { dev } };
	guest_start(&g, &s);
	bal = machine_find_device(g.m, "bal");
	vdrv_open(&v, &g, VIRTIO_ID_BALLOON, 0, 0);
	vdrv_start(&v, want, queues, 8, true);
	memset(vdrv_ptr(&v, AREA, PAGES * PAGE), 0x77, PAGES * PAGE);
}

static int teardown(void **state)
{
	(void)state;
	guest_close(&g);
	return 0;
}

static uint8_t *page(unsigned int i)
{
	return vdrv_ptr(&v, AREA + (uint64_t)i * PAGE, PAGE);
}

/* Pages of the area that were given back: they are zero now. As a mask. */
static uint64_t gone(void)
{
	uint64_t mask = 0;

	for (unsigned int i = 0; i < PAGES; i++) {
		assert_true(page(i)[0] == page(i)[PAGE - 1]);
		mask |= page(i)[0] ? 0 : BIT64(i);
	}
	return mask;
}

static void send_frames(unsigned int q, const uint32_t *pfn, unsigned int n)
{
	const struct vdrv_seg s = { BUF, 4 * n };
	uint8_t *p = vdrv_ptr(&v, BUF, 4 * n);

	for (unsigned int i = 0; i < n; i++)
		put_le32(p + 4 * (size_t)i, pfn[i]);
	assert_true(vdrv_add(&v.q[q], &s, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[q], false);
	assert_true(vdrv_wait(&v.q[q], NULL, NULL));
}

#define FRAME(i) ((uint32_t)(AREA / PAGE) + (i))

static void inflate_some(uint64_t want, const char *machine)
{
	static const uint32_t some[] = { FRAME(1), FRAME(2),  FRAME(3), FRAME(10), FRAME(9),
					 FRAME(8), FRAME(40), FRAME(5), FRAME(5),  FRAME(63) };
	const uint64_t taken = BIT64(1) | BIT64(2) | BIT64(3) | BIT64(10) | BIT64(9) | BIT64(8) |
			       BIT64(40) | BIT64(5) | BIT64(63);

	start("", machine, want, 3);
	send_frames(INFLATE, some, ARRAY_SIZE(some));
	assert_int_equal(gone(), taken);
	memset(page(2), 0x77, PAGE); /* used again: it is there */
	send_frames(DEFLATE, some, ARRAY_SIZE(some));
	assert_int_equal(gone(), taken & ~BIT64(2));
	assert_false(vdrv_status(&v) & NEEDS);
}

static void test_pages_of_plain_memory_are_given_back(void **state)
{
	(void)state;
	inflate_some(0, NULL);
}

static void test_pages_of_a_memory_file_are_given_back(void **state)
{
	(void)state;
	inflate_some(BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_RING_F_EVENT_IDX), "memfd=on");
	/* Not from the mapping alone: the file has a hole, until it is looked at. */
	memset(page(40), 0x77, PAGE);
	send_frames(INFLATE, &(uint32_t){ FRAME(40) }, 1);
	assert_int_equal(lseek(g.m->ram.fd, (off_t)AREA + 40 * (off_t)PAGE, SEEK_DATA),
			 AREA + 41 * PAGE);
}

/* Beyond RAM, in the PCI window, at the end of what 32 bits say: and what follows is served. */
static void test_frames_that_are_no_ram_are_refused(void **state)
{
	uint32_t bad[] = { UINT32_MAX, 0xfee00000u / PAGE, 0xc0000000u / PAGE,
			   0,	       FRAME(7),	   0x80000000u };

	(void)state;
	start("", NULL, 0, 3);
	bad[3] = (uint32_t)(gmem_ram_size(&g.m->gmem) / PAGE);
	send_frames(INFLATE, bad, ARRAY_SIZE(bad));
	assert_int_equal(gone(), BIT64(7));
	/* A run over the end of RAM: only what is RAM. */
	uint32_t run[4];
	for (uint32_t i = 0; i < 4; i++)
		run[i] = bad[3] - 2 + i;
	send_frames(INFLATE, run, 4);
	assert_false(vdrv_status(&v) & NEEDS);
}

static void test_senseless_buffers(void **state)
{
	const struct vdrv_seg odd = { BUF, 7 }, huge = { BUF, 16384 * 4 + 4 };

	(void)state;
	start("", NULL, 0, 3);
	put_le32(vdrv_ptr(&v, BUF, 8), FRAME(3));
	put_le32((uint8_t *)vdrv_ptr(&v, BUF, 8) + 4, FRAME(4));
	assert_true(vdrv_add(&v.q[INFLATE], &odd, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[INFLATE], false);
	assert_true(vdrv_wait(&v.q[INFLATE], NULL, NULL));
	assert_int_equal(gone(), BIT64(3)); /* the second is cut short */
	assert_true(vdrv_add(&v.q[INFLATE], &odd, 0, 1, false, NULL) >= 0); /* to write: nothing */
	vdrv_kick(&v.q[INFLATE], false);
	assert_true(vdrv_wait(&v.q[INFLATE], NULL, NULL));
	assert_true(vdrv_add(&v.q[INFLATE], &huge, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[INFLATE], false);
	assert_true(vdrv_wait_needs_reset(&v));
	vdrv_start(&v, 0, 3, 8, true);
	send_frames(INFLATE, &(uint32_t){ FRAME(5) }, 1);
	assert_int_equal(gone(), BIT64(3) | BIT64(5));
}

static void report_on(unsigned int q)
{
	const struct vdrv_seg s[3] = { { AREA + PAGE, 3 * PAGE },
				       { AREA + 10 * PAGE + 8, 2 * PAGE },
				       { AREA + 20 * PAGE, PAGE - 1 } };

	start(",free-page-reporting=on", NULL, BIT64(5), 5);
	assert_true(v.features & BIT64(5));
	assert_true(vdrv_add(&v.q[q], s, 0, 3, false, NULL) >= 0);
	vdrv_kick(&v.q[q], false);
	assert_true(vdrv_wait(&v.q[q], NULL, NULL));
	/* Of those that are not whole pages, the whole ones. */
	assert_int_equal(gone(), BIT64(1) | BIT64(2) | BIT64(3) | BIT64(11));
}

static void test_reports_on_the_standards_queue(void **state)
{
	(void)state;
	report_on(4);
}

static void test_reports_on_the_queue_that_linux_uses(void **state)
{
	(void)state;
	report_on(3);
}

/* ---- statistics ------------------------------------------------------------------------------ */

static void send_stats(uint64_t free_memory)
{
	const struct vdrv_seg s = { BUF, 35 };
	uint8_t *p = vdrv_ptr(&v, BUF, 64);

	put_le16(p, VIRTIO_BALLOON_S_MEMFREE);
	put_le64(p + 2, free_memory);
	put_le16(p + 10, 9999); /* of a later standard */
	put_le64(p + 12, 1);
	put_le16(p + 20, VIRTIO_BALLOON_S_MEMTOT);
	put_le64(p + 22, 2 * free_memory);
	assert_true(vdrv_add(&v.q[STATS], &s, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[STATS], true);
}

static struct balloon_state query(void)
{
	struct balloon_state b;

	machine_lock(g.m);
	virtio_balloon_query(bal, &b);
	machine_unlock(g.m);
	return b;
}

static void test_statistics_are_asked_for_and_kept(void **state)
{
	struct balloon_state b;

	(void)state;
	start("", NULL, BIT64(VIRTIO_BALLOON_F_STATS_VQ), 3);
	assert_int_equal(query().age_ms, UINT64_MAX);
	for (uint64_t i = 1; i <= 20; i++) {
		send_stats(1000 * i);
		do
			b = query();
		while (b.stat[VIRTIO_BALLOON_S_MEMFREE] != 1000 * i);
		assert_true(b.known[VIRTIO_BALLOON_S_MEMFREE] && b.known[VIRTIO_BALLOON_S_MEMTOT]);
		assert_false(b.known[VIRTIO_BALLOON_S_SWAP_IN]);
		assert_int_equal(b.stat[VIRTIO_BALLOON_S_MEMTOT], 2000 * i);
		/* Asking gives the buffer back: for news. */
		query();
		assert_true(vdrv_wait(&v.q[STATS], NULL, NULL));
		if (i == 10) { /* a pause in between: it is the device's still or again */
			machine_lock(g.m);
			dev_pause(bal);
			dev_resume(bal);
			machine_unlock(g.m);
		}
	}
	/* Held by the device: a pause gives it back unserved, and it is taken again. */
	send_stats(7);
	do {
		machine_lock(g.m);
		dev_pause(bal);
		dev_resume(bal);
		machine_unlock(g.m);
		b = query();
	} while (b.stat[VIRTIO_BALLOON_S_MEMFREE] != 7);
	vdrv_set_status(&v, 0);
	assert_int_equal(query().age_ms, UINT64_MAX);
}

/* ---- target ---------------------------------------------------------------------------------- */

static int set(uint64_t size, struct verr *err)
{
	verr_clear(err);
	machine_lock(g.m);
	int r = virtio_balloon_set(bal, size, err);
	machine_unlock(g.m);
	return r;
}

static void test_the_target_is_told_and_what_the_guest_has_is_known(void **state)
{
	const size_t num = offsetof(struct virtio_balloon_config, num_pages);
	const size_t actual = offsetof(struct virtio_balloon_config, actual);
	struct verr err = { 0 };

	(void)state;
	start("", NULL, 0, 3);
	vdrv_signals(&v, 0);
	assert_int_equal(set(MIB(3), &err), 0);
	assert_true(vdrv_pending(&v, 0)); /* a change of configuration */
	assert_int_equal(vdrv_config(&v, (unsigned int)num, 4), MIB(1) / PAGE);
	assert_int_equal(query().target, MIB(3));
	assert_int_equal(query().actual, MIB(4));
	vdrv_set_config(&v, (unsigned int)actual, 200, 4);
	assert_int_equal(query().actual, MIB(4) - 200 * PAGE);
	vdrv_set_config(&v, (unsigned int)num, 77, 4); /* not the driver's */
	assert_int_equal(vdrv_config(&v, (unsigned int)num, 4), MIB(1) / PAGE);
	vdrv_set_config(&v, (unsigned int)actual, UINT32_MAX, 4);
	assert_int_equal(query().actual, 0);
	vdrv_set_status(&v, 0); /* the driver goes: all is the guest's again */
	assert_int_equal(query().actual, MIB(4));
	assert_int_equal(vdrv_config(&v, (unsigned int)num, 4), MIB(1) / PAGE);
	assert_int_equal(set(0, &err), -EINVAL);
	assert_int_equal(set(MIB(5), &err), -EINVAL);
	assert_non_null(strstr(err.msg, "a guest of 4 MiB can't be given 5242880 bytes"));
	assert_int_equal(set(MIB(3) + 1, &err), -EINVAL);
}

/* ---- pinned memory --------------------------------------------------------------------------- */

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

static int pin(struct gmem_listener *l, struct verr *err)
{
	*l = (struct gmem_listener){
		.name = "test", .takes = BIT32(GMEM_RAM), .pins = true, .add = take, .del = untake
	};
	verr_clear(err);
	machine_lock(g.m);
	int r = gmem_listen(&g.m->gmem, l, err);
	machine_unlock(g.m);
	return r;
}

static void unpin(struct gmem_listener *l)
{
	machine_lock(g.m);
	gmem_unlisten(l);
	machine_unlock(g.m);
}

static void test_nothing_is_given_back_while_memory_is_pinned(void **state)
{
	const struct vdrv_seg free_pages = { AREA + 8 * PAGE, 4 * PAGE };
	struct gmem_listener one, two;
	struct verr err = { 0 };

	(void)state;
	start(",free-page-reporting=on", NULL, BIT64(5), 5);
	assert_int_equal(pin(&one, &err), 0);
	assert_int_equal(pin(&two, &err), 0);
	assert_int_equal(set(MIB(3), &err), -EBUSY);
	assert_non_null(strstr(err.msg, "is pinned for an assigned device"));
	assert_int_equal(set(MIB(4), &err), 0); /* all of it: nothing to take */
	send_frames(INFLATE, &(uint32_t){ FRAME(1) }, 1);
	assert_true(vdrv_add(&v.q[4], &free_pages, 0, 1, false, NULL) >= 0);
	vdrv_kick(&v.q[4], false);
	assert_true(vdrv_wait(&v.q[4], NULL, NULL));
	assert_int_equal(gone(), 0);
	unpin(&one);
	assert_int_equal(set(MIB(3), &err), -EBUSY);
	unpin(&two);
	send_frames(INFLATE, &(uint32_t){ FRAME(1) }, 1);
	assert_int_equal(gone(), BIT64(1));
}

static void test_what_has_taken_memory_refuses_to_have_it_pinned(void **state)
{
	const unsigned int actual = offsetof(struct virtio_balloon_config, actual);
	struct gmem_listener l;
	struct verr err = { 0 };

	(void)state;
	start("", NULL, 0, 3);
	assert_int_equal(set(MIB(3), &err), 0);
	assert_int_equal(pin(&l, &err), -EBUSY);
	assert_string_equal(err.msg,
			    "virtio-balloon bal has 1 MiB of the guest's memory, and an assigned "
			    "device would pin all of it again: give it back first (`balloon` with "
			    "a size of 4M)");
	vdrv_set_config(&v, actual, 256, 4);
	assert_int_equal(set(MIB(4), &err), 0);
	assert_int_equal(pin(&l, &err), -EBUSY); /* the guest has not taken it back yet */
	vdrv_set_config(&v, actual, 0, 4);
	assert_int_equal(pin(&l, &err), 0);
	send_frames(INFLATE, &(uint32_t){ FRAME(1) }, 1);
	assert_int_equal(gone(), 0);
	unpin(&l);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_pages_of_plain_memory_are_given_back),
		TEST(test_pages_of_a_memory_file_are_given_back),
		TEST(test_frames_that_are_no_ram_are_refused),
		TEST(test_senseless_buffers),
		TEST(test_reports_on_the_standards_queue),
		TEST(test_reports_on_the_queue_that_linux_uses),
		TEST(test_statistics_are_asked_for_and_kept),
		TEST(test_the_target_is_told_and_what_the_guest_has_is_known),
		TEST(test_nothing_is_given_back_while_memory_is_pinned),
		TEST(test_what_has_taken_memory_refuses_to_have_it_pinned),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
