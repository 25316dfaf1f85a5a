// SPDX-License-Identifier: GPL-2.0-or-later
// A disk in a machine on the fake kernel: requests cost no exit, it comes and goes while the guest
// runs, nothing is left of it wherever its set-up fails.
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <unistd.h>

#include "core/bytes.h"
#include "flow.h"
#include "tests/guest/vdrv.h"

#define SLOT "pcie-root-port,id=slot"
#define DISK "virtio-blk,id=disk,drive=d0"

static struct vdrv v;
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

static void test_requests_cost_no_exit(void **state)
{
	(void)state;
	make_file();
	const struct guest_setup s = { .device = { DISK }, .backend = { { BACKEND_BLOCK, arg } } };
	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_BLOCK, 0, 0);
	vdrv_start(&v, UINT64_MAX, 1, 8, true);
	request();
	unsigned int exits = fake_kvm_exits();
	for (unsigned int i = 0; i < 100; i++)
		request();
	assert_int_equal(fake_kvm_exits(), exits);
	assert_int_equal(guest_reset(&g, NULL), 0);
	vdrv_open(&v, &g, VIRTIO_ID_BLOCK, 0, 0);
	vdrv_start(&v, 0, 1, 8, true);
	request();
}

static void test_it_comes_and_goes_while_the_guest_runs(void **state)
{
	const struct guest_setup s = { .device = { SLOT } };
	struct verr err = { 0 };

	(void)state;
	make_file();
	guest_start(&g, &s);
	machine_lock(g.m);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(machine_plug(g.m, DISK, &err), -ENOENT);
		memset(&err, 0, sizeof(err));
		assert_int_equal(machine_add_backend(g.m, BACKEND_BLOCK, arg, &err), 0);
		assert_int_equal(machine_plug(g.m, DISK, &err), 0);
		assert_int_equal(backend_del(&g.m->backends, "d0", &err), -EBUSY);
		memset(&err, 0, sizeof(err));
		assert_int_equal(machine_unplug(g.m, "disk", true, &err), 0);
		assert_null(machine_find_device(g.m, "disk"));
		assert_int_equal(backend_del(&g.m->backends, "d0", &err), 0);
	}
	machine_unlock(g.m);
}

static int seat(void *opaque, struct verr *err)
{
	const struct guest_setup bare = { .accel = "none" };
	struct guest one;
	int r = -EIO;

	(void)opaque;
	if (guest_open(&one, &bare, err) < 0)
		guest_close(&one);
	if (one.m) {
		machine_lock(one.m);
		r = machine_add_backend(one.m, BACKEND_BLOCK, arg, err);
		if (r == 0)
			r = machine_add_device(one.m, DISK ",bus=pci.0", err);
		machine_unlock(one.m);
	}
	guest_close(&one);
	return r;
}

static void host(void *opaque)
{
	(void)opaque;
	fake_allow_path("/tmp/");
}

static void test_every_failure_of_its_set_up_is_undone_and_named(void **state)
{
	const struct fake_sweep s = { .name = "virtio-blk", .setup = host, .run = seat };
	struct fake_sweep_stats st;

	(void)state;
	make_file();
	assert_int_equal(fault_sweep(&s, &st), 0);
	assert_true(st.failed > 8);
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
