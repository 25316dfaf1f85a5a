// SPDX-License-Identifier: GPL-2.0-or-later
// A console in a machine on the fake kernel: output costs no exit, it comes and goes while the
// guest runs, nothing is left of it wherever its set-up fails.
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "flow.h"
#include "tests/guest/vdrv.h"

#define CON "virtio-console,id=con,chardev=c0,ports=a:c1"

static struct vdrv v;

static void output(void)
{
	const struct vdrv_seg s = { MIB(3), 64 };

	assert_true(vdrv_add(&v.q[1], &s, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[1], true);
	assert_int_equal(g.last, FAKE_ACCESS_DOORBELL);
	assert_true(vdrv_wait(&v.q[1], NULL, NULL));
}

static void test_output_costs_no_exit(void **state)
{
	const struct guest_setup s = { .device = { CON },
				       .backend = { { BACKEND_CHAR, "null,id=c0" },
						    { BACKEND_CHAR, "null,id=c1" } } };

	(void)state;
	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_CONSOLE, 0, 0);
	vdrv_start(&v, BIT64(VIRTIO_CONSOLE_F_MULTIPORT), 6, 8, true);
	output();
	unsigned int exits = fake_kvm_exits();
	for (unsigned int i = 0; i < 100; i++)
		output();
	assert_int_equal(fake_kvm_exits(), exits);
	assert_int_equal(guest_reset(&g, NULL), 0);
	vdrv_open(&v, &g, VIRTIO_ID_CONSOLE, 0, 0);
	vdrv_start(&v, 0, 2, 8, true);
	output();
}

static void test_it_comes_and_goes_while_the_guest_runs(void **state)
{
	const struct guest_setup s = { .device = { "pcie-root-port,id=slot" } };
	struct verr err = { 0 };

	(void)state;
	guest_start(&g, &s);
	machine_lock(g.m);
	assert_int_equal(machine_add_backend(g.m, BACKEND_CHAR, "null,id=c0", &err), 0);
	for (unsigned int i = 0; i < 3; i++) {
		memset(&err, 0, sizeof(err));
		assert_int_equal(machine_plug(g.m, CON, &err), -ENOENT);
		assert_non_null(strstr(err.msg, "ports=c1: there is no chardev of that name"));
		memset(&err, 0, sizeof(err));
		assert_int_equal(machine_add_backend(g.m, BACKEND_CHAR, "null,id=c1", &err), 0);
		assert_int_equal(machine_plug(g.m, CON, &err), 0);
		assert_int_equal(backend_del(&g.m->backends, "c1", &err), -EBUSY);
		memset(&err, 0, sizeof(err));
		assert_int_equal(machine_unplug(g.m, "con", true, &err), 0);
		assert_int_equal(backend_del(&g.m->backends, "c1", &err), 0);
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
		r = machine_add_backend(one.m, BACKEND_CHAR, "null,id=c0", err);
		if (r == 0)
			r = machine_add_backend(one.m, BACKEND_CHAR, "file,id=c1,path=/dev/null",
						err);
		if (r == 0)
			r = machine_add_device(one.m, CON ",bus=pci.0", err);
		machine_unlock(one.m);
	}
	guest_close(&one);
	return r;
}

static void host(void *opaque)
{
	(void)opaque;
	fake_allow_path("/dev/null");
}

static void test_every_failure_of_its_set_up_is_undone_and_named(void **state)
{
	const struct fake_sweep s = { .name = "virtio-console", .setup = host, .run = seat };
	struct fake_sweep_stats st;

	(void)state;
	assert_int_equal(fault_sweep(&s, &st), 0);
	assert_true(st.failed > 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_output_costs_no_exit),
		FLOW_TEST(test_it_comes_and_goes_while_the_guest_runs),
		FLOW_TEST(test_every_failure_of_its_set_up_is_undone_and_named),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
