// SPDX-License-Identifier: GPL-2.0-or-later
// low-power=on: what the guest puts to D3hot the host may switch off, until anybody needs it.

#include <linux/vfio.h>
#include <poll.h>

#include "flow.h"

#define CTRL (guest_cap(fn, PCI_CAP_ID_PM) + PCI_PM_CTRL)

static void sleeps(const char *props)
{
	flow_start_with(&zoo_nvme, props, NULL);
	flow_enable();
	guest_power(fn, 3);
}

static void test_asleep_in_d3hot_and_awake_in_d0(void **state)
{
	(void)state;
	sleeps(",low-power=on");
	for (unsigned int i = 0; i < 3; i++) {
		assert_true(fake_dev_is_asleep(hw));
		assert_int_equal(guest_read(&g, guest_bar_addr(fn, 0) + 0x40, 4), UINT32_MAX);
		guest_power(fn, 0);
		assert_false(fake_dev_is_asleep(hw));
		assert_true(fake_dev_bar_in_slot(hw, 0, 0, 4096));
		guest_write(&g, guest_bar_addr(fn, 0) + 0x40, 0x1234 + i, 4);
		assert_int_equal(guest_read(&g, guest_bar_addr(fn, 0) + 0x40, 4), 0x1234 + i);
		guest_power(fn, 3);
	}
}

/* Its registers may be lost: the guest is told so. */
static void test_state_is_not_promised_to_survive(void **state)
{
	static const char *const props[] = { "", ",low-power=on" };
	struct fake_devdesc keeps = zoo_nvme;
	(void)state;
	for (struct fake_cap *c = keeps.caps; c->id; c++)
		if (c->id == PCI_CAP_ID_PM)
			c->w[1] |= PCI_PM_CTRL_NO_SOFT_RESET;
	for (unsigned int on = 0; on < 2; on++) {
		fake_reset();
		flow_start_with(&keeps, props[on], NULL);
		assert_int_equal(!(guest_cfg(fn, CTRL, 2) & PCI_PM_CTRL_NO_SOFT_RESET), on);
		guest_close(&g);
	}
}

static void test_off_unless_asked_for(void **state)
{
	(void)state;
	sleeps("");
	assert_false(fake_dev_is_asleep(hw));
	assert_int_equal(fake_log_count("VFIO_DEVICE_FEATURE"), 0);
}

static void test_messages_come_after_the_sleep(void **state)
{
	(void)state;
	flow_start_with(&zoo_nvme, ",low-power=on", NULL);
	flow_enable();
	guest_msix(fn, true, false);
	guest_msix_vector(fn, 0, MSI_ADDR, 0x40, false);
	guest_power(fn, 3);
	guest_power(fn, 0);
	guest_msix_vector(fn, 0, MSI_ADDR, 0x40, false);
	guest_command(fn, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	assert_int_equal(fake_dev_fire(hw, 0), FAKE_FIRE_SENT);
}

static void test_reset_wakes_it(void **state)
{
	struct verr err = { 0 };
	(void)state;
	sleeps(",low-power=on");
	guest_flr(fn);
	assert_false(fake_dev_is_asleep(hw));
	guest_power(fn, 3);
	assert_true(fake_dev_is_asleep(hw));
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_false(fake_dev_is_asleep(hw));
	assert_int_equal(guest_cfg(fn, CTRL, 2) & PCI_PM_CTRL_STATE_MASK, 0);
}

static void test_it_goes_back_awake(void **state)
{
	(void)state;
	sleeps(",low-power=on");
	guest_close(&g);
	assert_false(fake_dev_is_open(hw));
	assert_false(fake_dev_is_asleep(hw));
	assert_true(fake_log_find("VFIO_DEVICE_FEATURE", 0) >= 0);
}

/* A look through sysfs wakes what is in D3cold. */
static void test_nobody_looks_at_it_while_it_sleeps(void **state)
{
	(void)state;
	sleeps(",low-power=on");
	fake_log_clear();
	poll(NULL, 0, 700);
	guest_turn(&g);
	assert_int_equal(fake_log_count("/config"), 0);
	guest_power(fn, 0);
	fake_log_clear();
	poll(NULL, 0, 700);
	guest_turn(&g);
	assert_true(fake_log_count("/config") > 0);
}

static void refused(const struct fake_devdesc *d, const char *why)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF ",low-power=on" } };
	struct verr err = { 0 };
	hw = fake_zoo_one(d);
	assert_true(guest_open(&g, &s, &err) < 0);
	if (!strstr(err.msg, why) || !strstr(err.msg, HOST_BDF))
		fail_msg("%s", err.msg);
	assert_false(fake_dev_is_open(hw));
}

static void test_kernel_without_it_is_said(void **state)
{
	(void)state;
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_IOCTL),
					     .request = VFIO_DEVICE_FEATURE,
					     .nth = 1,
					     .err = ENOTTY });
	refused(&zoo_nvme, "low-power=on: the host's kernel does not offer it for this function "
			   "(Inappropriate ioctl for device); Linux has it since 6.1");
	fake_fault_clear();
}

static void test_function_without_power_management_is_said(void **state)
{
	(void)state;
	refused(&zoo_e1000, "low-power=on: the function has no power management capability");
}

static void test_entry_that_fails_leaves_it_in_d3hot(void **state)
{
	(void)state;
	flow_start_with(&zoo_nvme, ",low-power=on", NULL);
	flow_enable();
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_IOCTL),
					     .request = VFIO_DEVICE_FEATURE,
					     .nth = 1,
					     .err = EINVAL });
	guest_power(fn, 3);
	fake_fault_clear();
	assert_false(fake_dev_is_asleep(hw));
	guest_power(fn, 0);
	assert_true(fake_dev_bar_in_slot(hw, 0, 0, 4096));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_asleep_in_d3hot_and_awake_in_d0),
		FLOW_TEST(test_state_is_not_promised_to_survive),
		FLOW_TEST(test_off_unless_asked_for),
		FLOW_TEST(test_messages_come_after_the_sleep),
		FLOW_TEST(test_reset_wakes_it),
		FLOW_TEST(test_it_goes_back_awake),
		FLOW_TEST(test_nobody_looks_at_it_while_it_sleeps),
		FLOW_TEST(test_kernel_without_it_is_said),
		FLOW_TEST(test_function_without_power_management_is_said),
		FLOW_TEST(test_entry_that_fails_leaves_it_in_d3hot),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
