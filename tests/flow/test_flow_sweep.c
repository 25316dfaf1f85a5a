// SPDX-License-Identifier: GPL-2.0-or-later
// The fault sweep of the whole: every kernel call of a machine's life failed in turn, in every way
// its manual knows. After each failure nothing is left, and the error says what and which.
// Too long for TSan: the other flow tests go through the same threads.
#include <errno.h>

#include "sweep.h"

/* From nothing to a running machine and back. */
static int life(void *opaque, struct verr *err)
{
	struct guest one;
	struct guest_setup s = *(const struct guest_setup *)opaque;
	s.ram = MIB(2); /* populated and thrown away thousands of times */
	int r = guest_open(&one, &s, err);
	if (r == 0)
		r = guest_run(&one, err);
	guest_close(&one);
	return r;
}

static void test_life_with_one_device(void **state)
{
	struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	sweep("one device", life, &s, NULL, false);
}

static void test_life_with_one_device_undone(void **state)
{
	struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	sweep("one device, undoing calls too", life, &s, NULL, true);
}

static void test_life_with_two_devices_of_a_group(void **state)
{
	struct guest_setup s = { .accel = "none",
				 .device = { "vfio-pci,host=" SECOND_BDF,
					     "vfio-pci,host=" THIRD_BDF } };
	(void)state;
	sweep("two functions of a group", life, &s, NULL, false);
}

static void test_life_with_two_containers(void **state)
{
	struct guest_setup s = {
		.vcpus = 2, .device = { "vfio-pci,host=" HOST_BDF, "vfio-pci,host=0000:05:00.0" }
	};
	(void)state;
	sweep("two containers", life, &s, NULL, false);
}

static void test_life_with_split_irqchip(void **state)
{
	struct guest_setup s = { .accel = "kvm,kernel-irqchip=split",
				 .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	sweep("split irqchip", life, &s, NULL, false);
}

/* A machine without devices gets one and loses it again. */
static int come_and_go(void *opaque, struct verr *err)
{
	struct guest one;
	const struct guest_setup s = { .ram = MIB(2), .device = { "pcie-root-port" } };
	int r = guest_open(&one, &s, err);
	if (r == 0)
		r = guest_run(&one, err);
	if (r == 0) {
		machine_lock(one.m);
		r = machine_plug(one.m, opaque, err);
		if (r == 0)
			r = machine_unplug(one.m, "late", true, err);
		machine_unlock(one.m);
	}
	guest_close(&one);
	return r;
}

static void test_device_that_comes_and_goes(void **state)
{
	static char arg[] = "vfio-pci,id=late,group=on,host=" SECOND_BDF;
	(void)state;
	sweep("two functions that come and go", come_and_go, arg, NULL, false);
}

static void test_plan(void **state)
{
	struct guest_setup s = { .accel = "none",
				 .dry_run = true,
				 .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	sweep("plan", life, &s, NULL, false);
}

static void test_enough_was_injected(void **state)
{
	(void)state;
	printf("%u failures injected\n", injected);
	assert_true(injected >= 2000);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life_with_one_device),
		cmocka_unit_test(test_life_with_one_device_undone),
		cmocka_unit_test(test_life_with_two_devices_of_a_group),
		cmocka_unit_test(test_life_with_two_containers),
		cmocka_unit_test(test_life_with_split_irqchip),
		cmocka_unit_test(test_device_that_comes_and_goes),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_enough_was_injected),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
