// SPDX-License-Identifier: GPL-2.0-or-later
// The fault sweep of the parts of a machine's life that matter most: a device added, whose errors
// must name it, and a guest at work, reset in the middle. The whole lives are in test_flow_sweep.c.
#include <errno.h>

#include "sweep.h"

static void test_errors_name_the_device(void **state)
{
	char arg[] = "vfio-pci,host=" HOST_BDF;
	const struct fake_sweep s = { .name = "device added",
				      .setup = host,
				      .run = guest_seat,
				      .opaque = arg,
				      .path = "*vfio*",
				      .names = HOST_BDF };
	struct fake_sweep_stats st;
	(void)state;
	assert_int_equal(fault_sweep(&s, &st), 0);
	assert_true(st.failed > 0);
	injected += st.injected;
}

/* A machine at work, reset once by its guest; what fails in between may cost the device's service
 * or the machine, never more. */
static int at_work(void *opaque, struct verr *err)
{
	const struct guest_setup s = { .ram = MIB(2), .device = { "vfio-pci,host=" HOST_BDF } };
	struct guest one;
	(void)opaque;
	int r = guest_open(&one, &s, err);
	if (r == 0)
		r = guest_run(&one, err);
	if (r < 0) {
		guest_close(&one);
		return r;
	}
	struct guest_fn f = guest_find(&one, 0x8086, 0x10d3, 0);
	guest_command(f, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	guest_msix(f, true, false);
	for (unsigned int v = 0; v < 3; v++)
		guest_msix_vector(f, v, MSI_ADDR, 0x40 + v, false);
	guest_msix_mask(f, 1, true);
	guest_msix_mask(f, 1, false);
	guest_msix(f, false, false);
	guest_msi(f, 0, MSI_ADDR, 0x50);
	guest_msi(f, -1, 0, 0);
	guest_power(f, 3);
	guest_power(f, 0);
	guest_flr(f);
	machine_lock(one.m);
	r = machine_reset(one.m, err);
	machine_unlock(one.m);
	guest_turn(&one);
	guest_close(&one);
	return r;
}

static void test_work_and_reset(void **state)
{
	(void)state;
	sweep("work and reset", at_work, NULL, NULL, false);
}

static void test_enough_was_injected(void **state)
{
	(void)state;
	printf("%u failures injected\n", injected);
	assert_true(injected >= 1000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_name_the_device),
		cmocka_unit_test(test_work_and_reset),
		cmocka_unit_test(test_enough_was_injected),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
