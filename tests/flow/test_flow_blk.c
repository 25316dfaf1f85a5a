// SPDX-License-Identifier: GPL-2.0-or-later
// A disk in a machine on the fake kernel: requests cost no exit, it comes and goes while the guest
// runs, nothing is left of it wherever its set-up fails.
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/bytes.h"
#include "virtio.h"

static char path[64], arg[128];

static void make_file(void)
{
	snprintf(path, sizeof(path), "/tmp/vv-flowblk-XXXXXX");
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 1 << 20), 0);
	close(fd);
	snprintf(arg, sizeof(arg), "file,id=d0,path=%s", path);
	fake_allow_path("/tmp/");
}

static int blk_teardown(void **state)
{
	guest_close(&g);
	unlink(path);
	return flow_teardown(state);
}

/* A read of sector 0 through queue 0. */
static void request(void)
{
	uint64_t gpa = MIB(3);
	uint8_t *p = vdrv_ptr(&v, gpa, 4096);
	const struct vdrv_seg s[3] = { { gpa, 16 }, { gpa + 512, 512 }, { gpa + 64, 1 } };
	uint32_t len = 0;

	memset(p, 0, 64);
	put_le32(p, VIRTIO_BLK_T_IN);
	p[64] = 0xee;
	assert_true(vdrv_add(&v.q[0], s, 1, 2, false, NULL) >= 0);
	vdrv_kick(&v.q[0], true);
	assert_int_equal(g.last, FAKE_ACCESS_DOORBELL);
	assert_true(vdrv_wait(&v.q[0], NULL, &len));
	assert_int_equal(len, 513);
	assert_int_equal(p[64], VIRTIO_BLK_S_OK);
}

static void host(void *opaque)
{
	(void)opaque;
	fake_allow_path("/tmp/");
}

static const struct flow_virtio disk = {
	.parts = { .device = { "virtio-blk,id=dut,drive=d0" },
		   .backend = { { BACKEND_BLOCK, arg } } },
	.last = "d0",
	.id = VIRTIO_ID_BLOCK,
	.n_queues = 1,
	.n_base = 1,
	.features = UINT64_MAX,
	.io = request,
	.host = host,
};

static void test_requests_cost_no_exit(void **state)
{
	(void)state;
	make_file();
	flow_virtio_no_exit(&disk);
}

static void test_it_comes_and_goes_while_the_guest_runs(void **state)
{
	(void)state;
	make_file();
	flow_virtio_plug(&disk);
}

static void test_every_failure_of_its_set_up_is_undone_and_named(void **state)
{
	(void)state;
	make_file();
	flow_virtio_sweep(&disk);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, flow_setup, blk_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_requests_cost_no_exit),
		TEST(test_it_comes_and_goes_while_the_guest_runs),
		TEST(test_every_failure_of_its_set_up_is_undone_and_named),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
