// SPDX-License-Identifier: GPL-2.0-or-later
// Resets of several functions, and those begun ahead in a thread: a bus is reset once for all who
// are on it, whatever is begun is waited for, and what fails goes on to the next method.
// They are made by threads (pthread_create in core/thread.c), so these run under TSan, too.
#include <linux/vfio.h>

#include "flow.h"

#define SOUND_BDF "0000:03:00.1"
#define OTHER_BDF "0000:05:00.0"

static struct fake_dev *other;

static unsigned int hot_resets(void)
{
	return fake_log_count("VFIO_DEVICE_PCI_HOT_RESET");
}

static void start(const struct guest_setup *s)
{
	fake_log_clear();
	guest_start(&g, s);
}

/* A graphics card and its sound function, which one bus has: neither can be reset alone. */
static const struct guest_setup card = {
	.device = { "vfio-pci,host=" HOST_BDF, "vfio-pci,host=" SOUND_BDF },
};

static void card_host(void)
{
	hw = fake_zoo_one(&zoo_gpu);
	other = fake_dev_add(&zoo_gpu_audio, &(struct fake_place){ .bdf = SOUND_BDF,
								   .group = 14,
								   .parent = "0000:00:1c.2",
								   .driver = "vfio-pci" });
}

static void test_a_bus_is_reset_once_for_all_on_it(void **state)
{
	struct verr err = { 0 };
	(void)state;
	card_host();
	start(&card);
	assert_int_equal(hot_resets(), 1);
	unsigned int gpu = fake_dev_resets(hw), sound = fake_dev_resets(other);
	for (unsigned int i = 1; i <= 2; i++) {
		assert_int_equal(guest_reset(&g, &err), 0);
		assert_int_equal(hot_resets(), 1 + i);
		assert_int_equal(fake_dev_resets(hw), gpu + i);
		assert_int_equal(fake_dev_resets(other), sound + i);
	}
	guest_close(&g);
	assert_int_equal(hot_resets(), 4);
}

/* A neighbour's reset is none of one's own for a function that has been at work since. */
static void test_who_works_is_reset_again(void **state)
{
	(void)state;
	hw = fake_zoo_one(&zoo_nvme);
	other = fake_dev_add(&zoo_nvme, &(struct fake_place){ .bdf = SOUND_BDF,
							      .group = 14,
							      .parent = "0000:00:1c.2",
							      .driver = "vfio-pci" });
	start(&card);
	struct guest_fn first = guest_find(&g, zoo_nvme.vendor, zoo_nvme.device, 0);
	struct guest_fn second = guest_find(&g, zoo_nvme.vendor, zoo_nvme.device, 1);
	fake_fault_add(&(struct fake_fault){
		.request = VFIO_DEVICE_RESET, .nth = 1, .times = 1, .err = EPERM });
	guest_flr(first);
	fake_fault_clear();
	assert_int_equal(hot_resets(), 1); /* as the better one failed */
	unsigned int resets = fake_dev_resets(hw) + fake_dev_resets(other);
	guest_flr(second);
	assert_int_equal(fake_dev_resets(hw) + fake_dev_resets(other), resets + 1);
}

/* Two buses, each reset in a thread of its own. */
static const struct guest_setup two = {
	.device = { "vfio-pci,host=" HOST_BDF, "vfio-pci,host=" OTHER_BDF },
};

static void two_hosts(void)
{
	hw = fake_zoo_one(&zoo_no_flr);
	fake_dev_add(&zoo_bridge, &(struct fake_place){ .bdf = "0000:00:1c.4", .group = 4 });
	other = fake_dev_add(&zoo_no_flr, &(struct fake_place){ .bdf = OTHER_BDF,
								.group = 21,
								.parent = "0000:00:1c.4",
								.driver = "vfio-pci" });
}

static void test_each_bus_is_reset(void **state)
{
	struct verr err = { 0 };
	(void)state;
	two_hosts();
	start(&two);
	assert_int_equal(hot_resets(), 2);
	assert_int_equal(fake_dev_resets(hw), 2); /* with the open's */
	assert_int_equal(fake_dev_resets(other), 2);
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_int_equal(hot_resets(), 4);
	assert_int_equal(fake_log_count("VFIO_DEVICE_RESET"), 0);
}

static void test_what_was_begun_is_waited_for_without_a_start(void **state)
{
	struct verr err = { 0 };
	(void)state;
	two_hosts();
	if (guest_open(&g, &two, &err) < 0)
		fail_msg("%s", err.msg);
	guest_close(&g);
	assert_true(fake_dev_resets(hw) >= 2 && fake_dev_resets(other) >= 2);
	assert_true(fake_clean());
}

static void test_what_was_begun_may_fail(void **state)
{
	(void)state;
	two_hosts();
	fake_fault_add(&(struct fake_fault){ .request = VFIO_DEVICE_PCI_HOT_RESET,
					     .path = "*" HOST_BDF "*",
					     .nth = 1,
					     .times = 1,
					     .err = EPERM });
	start(&two);
	assert_int_equal(fake_fault_hits(), 1);
	fake_fault_clear();
	assert_int_equal(fake_log_count("VFIO_DEVICE_RESET"), 1); /* power management, instead */
	assert_int_equal(fake_dev_resets(hw), 2);
	assert_int_equal(fake_dev_resets(other), 2);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
}

static void test_a_dry_run_resets_nothing(void **state)
{
	struct guest_setup dry = two;
	struct verr err = { 0 };
	(void)state;
	two_hosts();
	dry.dry_run = true;
	fake_log_clear();
	if (guest_open(&g, &dry, &err) < 0)
		fail_msg("%s", err.msg);
	guest_close(&g);
	assert_int_equal(hot_resets(), 0);
	assert_int_equal(fake_log_count("VFIO_DEVICE_RESET"), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_a_bus_is_reset_once_for_all_on_it),
		FLOW_TEST(test_who_works_is_reset_again),
		FLOW_TEST(test_each_bus_is_reset),
		FLOW_TEST(test_what_was_begun_is_waited_for_without_a_start),
		FLOW_TEST(test_what_was_begun_may_fail),
		FLOW_TEST(test_a_dry_run_resets_nothing),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
