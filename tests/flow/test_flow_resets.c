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

static void hosts(const struct fake_devdesc *first, const struct fake_devdesc *second)
{
	hw = fake_zoo_one(first);
	other = fake_dev_add(second, &(struct fake_place){ .bdf = SOUND_BDF,
							   .group = 14,
							   .parent = "0000:00:1c.2",
							   .driver = "vfio-pci" });
}

static void test_a_bus_is_reset_once_for_all_on_it(void **state)
{
	struct verr err = { 0 };
	(void)state;
	hosts(&zoo_gpu, &zoo_gpu_audio);
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
	hosts(&zoo_nvme, &zoo_nvme);
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

/* --- what must not outlive its use ------------------------------------------------------------ */

static struct passthru *nth(unsigned int n)
{
	struct dev *d;

	list_for_each(d, &g.m->devs, struct dev, node)
		if (d->type == &vfio_pci_type && n-- == 0)
			return container_of(d, struct passthru, pd.dev);
	fail_msg("no such function");
	return NULL;
}

/* Function 0 can be reset alone; the other, whose turn comes later, takes it along. */
static void test_a_neighbours_reset_does_not_count_once_started(void **state)
{
	(void)state;
	hosts(&zoo_nvme, &zoo_gpu_audio);
	start(&card);
	struct guest_fn first = guest_find(&g, zoo_nvme.vendor, zoo_nvme.device, 0);
	for (unsigned int i = 0; i < 2; i++) {
		unsigned int before = fake_dev_resets(hw);
		guest_flr(first);
		assert_int_equal(fake_dev_resets(hw), before + 1);
	}
}

static void test_nor_at_a_reboot_after_the_neighbour_left(void **state)
{
	static const struct guest_setup apart = {
		.device = { "vfio-pci,host=" HOST_BDF ",bus=pci.0,addr=05",
			    "vfio-pci,id=snd,host=" SOUND_BDF ",bus=pci.0,addr=06" },
	};
	struct verr err = { 0 };
	(void)state;
	hosts(&zoo_nvme, &zoo_gpu_audio);
	start(&apart);
	machine_lock(g.m);
	assert_int_equal(machine_unplug(g.m, "snd", true, &err), 0);
	machine_unlock(g.m);
	unsigned int before = fake_dev_resets(hw);
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_int_equal(fake_dev_resets(hw), before + 1);
}

/* Both begin an FLR; the first's fails and the bus takes the second along, whose own is over
 * before the guest runs and answers no later one. */
static void test_one_that_was_not_needed_is_waited_for(void **state)
{
	struct verr err = { 0 };
	(void)state;
	hosts(&zoo_nvme, &zoo_nvme);
	start(&card);
	fake_fault_add(&(struct fake_fault){ .request = VFIO_DEVICE_RESET,
					     .path = "*" HOST_BDF "*",
					     .nth = 1,
					     .times = 1,
					     .err = EPERM });
	assert_int_equal(guest_reset(&g, &err), 0);
	fake_fault_clear();
	assert_null(nth(0)->vd->resetting);
	assert_null(nth(1)->vd->resetting);
	struct guest_fn second = guest_find(&g, zoo_nvme.vendor, zoo_nvme.device, 1);
	unsigned int before = fake_dev_resets(other);
	guest_flr(second);
	assert_int_equal(fake_dev_resets(other), before + 1);
}

static void delay(const char *path, unsigned int times)
{
	fake_fault_add(&(struct fake_fault){ .request = VFIO_DEVICE_PCI_HOT_RESET,
					     .path = path,
					     .nth = 1,
					     .times = times,
					     .err = EBUSY });
}

/* The third's bus reset, which is late, reaches the first: that opens no window before it. The fake
 * kernel objects to a reset under a memory slot or a DMA map. */
static void test_nobodys_windows_open_before_a_reset_that_reaches_it(void **state)
{
	static const struct guest_setup three = {
		.device = { "vfio-pci,host=" HOST_BDF, "vfio-pci,host=" OTHER_BDF,
			    "vfio-pci,host=" SOUND_BDF },
	};
	(void)state;
	hosts(&zoo_nvme, &zoo_gpu_audio);
	fake_dev_add(&zoo_bridge, &(struct fake_place){ .bdf = "0000:00:1c.4", .group = 4 });
	fake_dev_add(&zoo_no_flr, &(struct fake_place){ .bdf = OTHER_BDF,
							.group = 21,
							.parent = "0000:00:1c.4",
							.driver = "vfio-pci" });
	delay("*" SOUND_BDF "*", 5);
	delay("*" OTHER_BDF "*", 15);
	start(&three);
	fake_fault_clear(); /* and the fake has nothing to object, says the teardown */
}

/* What was in the way of one begun ahead is not when its turn comes. */
static void test_busy_ahead_is_tried_again(void **state)
{
	struct verr err = { 0 };
	(void)state;
	two_hosts();
	start(&two);
	delay("*" HOST_BDF "*", 20);
	fake_log_clear();
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_int_equal(fake_fault_hits(), 20);
	fake_fault_clear();
	assert_int_equal(fake_log_count("VFIO_DEVICE_RESET"), 0);
	assert_int_equal(hot_resets(), 22);
}

static struct pcidev *watched;
static unsigned int looks;

/* As the first of two has left: a guest that still runs has no way to the other. */
static void look(void *opaque, const char *event, const char *device, const char *text)
{
	(void)opaque, (void)device, (void)text;
	if (strcmp(event, "DEVICE_DELETED") != 0 || !watched)
		return;
	looks++;
	assert_false(fake_dev_memory_enabled(hw));
	assert_null(passthru_of(watched)->win[0].mem.gmem);
	watched = NULL;
}

static void test_who_leaves_next_has_no_windows(void **state)
{
	static const struct guest_setup c = {
		.device = { "vfio-pci,id=f0,host=" HOST_BDF, "vfio-pci,id=f1,host=" SOUND_BDF },
	};
	struct verr err = { 0 };
	(void)state;
	hosts(&zoo_no_flr, &zoo_gpu_audio);
	start(&c);
	struct guest_fn first = guest_find(&g, zoo_no_flr.vendor, zoo_no_flr.device, 0);
	guest_command(first, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	watched = guest_pcidev(first);
	looks = 0;
	g.m->observer = look;
	machine_lock(g.m);
	assert_int_equal(machine_unplug(g.m, "f0", true, &err), 0);
	machine_unlock(g.m);
	assert_int_equal(looks, 1);
}

/* Into two slots, off one bus: the second's reset would disturb the first, which runs already. */
static void test_one_begun_that_may_not_be_is_waited_for(void **state)
{
	static const struct guest_setup ports = {
		.device = { "pcie-root-port,id=p0", "pcie-root-port,id=p1" },
	};
	struct verr err = { 0 };
	(void)state;
	hw = fake_zoo_one(&zoo_mem32_pref);
	other = fake_dev_add(&zoo_edu, &(struct fake_place){ .bdf = "0000:03:01.0",
							     .group = 14,
							     .parent = "0000:00:1c.2",
							     .driver = "vfio-pci" });
	start(&ports);
	machine_lock(g.m);
	if (machine_plug(g.m, "vfio-pci,group=on,host=" HOST_BDF, &err) < 0)
		fail_msg("%s", err.msg);
	machine_unlock(g.m);
	assert_null(nth(0)->vd->resetting);
	assert_null(nth(1)->vd->resetting);
	unsigned int before = fake_dev_resets(other);
	guest_close(&g);
	assert_true(fake_dev_resets(other) > before);
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
		FLOW_TEST(test_a_neighbours_reset_does_not_count_once_started),
		FLOW_TEST(test_nor_at_a_reboot_after_the_neighbour_left),
		FLOW_TEST(test_one_that_was_not_needed_is_waited_for),
		FLOW_TEST(test_nobodys_windows_open_before_a_reset_that_reaches_it),
		FLOW_TEST(test_busy_ahead_is_tried_again),
		FLOW_TEST(test_who_leaves_next_has_no_windows),
		FLOW_TEST(test_one_begun_that_may_not_be_is_waited_for),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
