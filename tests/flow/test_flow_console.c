// SPDX-License-Identifier: GPL-2.0-or-later
// A console in a machine on the fake kernel: output costs no exit, it comes and goes while the
// guest runs, nothing is left of it wherever its set-up fails.
#include <linux/virtio_console.h>
#include <linux/virtio_ids.h>

#include "virtio.h"

static void output(void)
{
	const struct vdrv_seg s = { MIB(3), 64 };

	assert_true(vdrv_add(&v.q[1], &s, 1, 0, false, NULL) >= 0);
	vdrv_kick(&v.q[1], true);
	assert_int_equal(g.last, FAKE_ACCESS_DOORBELL);
	assert_true(vdrv_wait(&v.q[1], NULL, NULL));
}

static void host(void *opaque)
{
	(void)opaque;
	fake_allow_path("/dev/null");
}

static const struct flow_virtio console = {
	.parts = { .device = { "virtio-console,id=dut,chardev=c0,ports=a:c1" },
		   .backend = { { BACKEND_CHAR, "null,id=c0" },
				{ BACKEND_CHAR, "file,id=c1,path=/dev/null" } } },
	.last = "c1",
	.id = VIRTIO_ID_CONSOLE,
	.n_queues = 6,
	.n_base = 2,
	.features = BIT64(VIRTIO_CONSOLE_F_MULTIPORT),
	.io = output,
	.host = host,
};

static void test_output_costs_no_exit(void **state)
{
	(void)state;
	host(NULL);
	flow_virtio_no_exit(&console);
}

static void test_it_comes_and_goes_while_the_guest_runs(void **state)
{
	(void)state;
	host(NULL);
	flow_virtio_plug(&console);
}

static void test_every_failure_of_its_set_up_is_undone_and_named(void **state)
{
	(void)state;
	flow_virtio_sweep(&console);
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
