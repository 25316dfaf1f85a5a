// SPDX-License-Identifier: GPL-2.0-or-later
// The fault sweep of the whole: every kernel call of a machine's life failed in turn, in every way
// its manual knows. After each failure nothing is left, and the error says what and which.
// Too long for TSan: the other flow tests go through the same threads.
#include <errno.h>

#include "flow.h"

#define SECOND_BDF "0000:04:00.0"
#define THIRD_BDF  "0000:04:00.1"

static unsigned int injected;

static void host(void *opaque)
{
	(void)opaque;
	hw = fake_zoo_one(&zoo_e1000e);
	fake_dev_add(&zoo_gpu,
		     &(struct fake_place){ .bdf = SECOND_BDF, .group = 20, .driver = "vfio-pci" });
	fake_dev_add(&zoo_gpu_audio,
		     &(struct fake_place){ .bdf = THIRD_BDF, .group = 20, .driver = "vfio-pci" });
	fake_dev_add(&zoo_nvme, &(struct fake_place){
					.bdf = "0000:05:00.0", .group = 21, .driver = "vfio-pci" });
	fake_group_domain(21, 7);
}

static void sweep(const char *name, int (*run)(void *opaque, struct verr *err), void *opaque,
		  const char *names, bool undo)
{
	const struct fake_sweep s = { .name = name,
				      .setup = host,
				      .run = run,
				      .opaque = opaque,
				      .names = names,
				      .undo = undo };
	struct fake_sweep_stats st;
	assert_int_equal(fault_sweep(&s, &st), 0);
	injected += st.injected;
}

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

static void test_plan(void **state)
{
	struct guest_setup s = { .accel = "none",
				 .dry_run = true,
				 .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	sweep("plan", life, &s, NULL, false);
}

/* The assigned device's part alone: the error always has its address. */
static int seat(void *opaque, struct verr *err)
{
	const struct guest_setup bare = { .accel = "none" };
	struct guest one;
	if (guest_open(&one, &bare, err) < 0)
		guest_close(&one);
	int r = -EIO;
	if (one.m) {
		machine_lock(one.m);
		r = machine_add_device(one.m, opaque, err);
		machine_unlock(one.m);
	}
	guest_close(&one);
	return r;
}

static void test_errors_name_the_device(void **state)
{
	char arg[] = "vfio-pci,host=" HOST_BDF;
	const struct fake_sweep s = { .name = "device added",
				      .setup = host,
				      .run = seat,
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
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_errors_name_the_device),
		cmocka_unit_test(test_work_and_reset),
		cmocka_unit_test(test_enough_was_injected),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
