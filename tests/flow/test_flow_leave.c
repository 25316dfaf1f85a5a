// SPDX-License-Identifier: GPL-2.0-or-later
// An assigned function that leaves or is lost: the host's request, an error, a removal by surprise,
// under each of the properties that say what then; in no case does the machine fault, hang or keep
// the host waiting.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>
#include <time.h>

#include "plug.h"

static uint64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static void start(const char *props)
{
	flow_start_with(&zoo_nvme, props, NULL);
	plug_watch();
	flow_enable();
}

/* The machine runs on, without the device and with nothing of it left. */
static void assert_left(const char *event)
{
	wait_devices(0);
	assert_event(event);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	assert_false(fake_dev_is_open(hw));
	assert_int_equal(fake_containers(), 0);
	assert_int_equal(fake_dma_maps(), 0);
	assert_int_equal(fake_kvm_vfio_files(), 0);
	guest_write(&g, 0x2000, 7, 4);
	assert_int_equal(guest_read(&g, 0x2000, 4), 7);
}

/* --- the host wants it back ------------------------------------------------------------------- */

static void test_request_asks_the_guest_first(void **state)
{
	(void)state;
	start(",id=nic");
	struct guest_fn port = port_of(fn);
	for (unsigned int i = 0; i < 3; i++) { /* VFIO repeats it until it has it */
		fake_dev_req(hw);
		guest_turn(&g);
	}
	assert_event("DEVICE_REQUESTED nic: " HOST_BDF ": the host asks for the device back");
	assert_null(strstr(strstr(events, "REQUESTED") + 1, "REQUESTED"));
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_ABP);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 2), zoo_nvme.vendor); /* works meanwhile */
	assert_true(fake_dev_bar_in_slot(hw, 0, 0, 0x1000));
	unsigned int resets = fake_dev_resets(hw);
	slot_power(port, false);
	assert_left("DEVICE_DELETED nic: the guest let go of it");
	assert_true(fake_dev_resets(hw) > resets); /* the host has it as it was */
}

static void test_request_does_not_wait_for_a_guest_for_ever(void **state)
{
	(void)state;
	start(",id=nic,eject-timeout=1");
	uint64_t before = now_ms();
	fake_dev_req(hw);
	assert_left("DEVICE_DELETED nic: the guest did not let go of it in 1 s");
	assert_true(now_ms() - before >= 1000);
}

static void test_request_where_no_guest_can_be_asked(void **state)
{
	static const char *const ways[] = { ",id=nic,bus=pci.0", ",id=nic,eject-timeout=0" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		fake_reset();
		start(ways[i]);
		uint64_t before = now_ms();
		fake_dev_req(hw);
		assert_left("DEVICE_DELETED nic: " HOST_BDF ": the host asks for the device back");
		assert_true(now_ms() - before < 2000);
		assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 4), UINT32_MAX);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

static void test_request_that_stops_gives_a_clean_device_back(void **state)
{
	(void)state;
	start(",on-request=stop");
	unsigned int resets = fake_dev_resets(hw);
	uint64_t before = now_ms();
	fake_dev_req(hw);
	guest_turn(&g);
	assert_int_equal(g.m->stop, MACHINE_DEVICE_LOST);
	guest_close(&g);
	assert_true(now_ms() - before < 2000);
	assert_false(fake_dev_is_open(hw));
	assert_int_equal(fake_dev_resets(hw), resets + 1);
}

static void test_request_while_paused(void **state)
{
	(void)state;
	start(",id=nic,eject-timeout=1");
	machine_lock(g.m);
	machine_pause(g.m);
	machine_unlock(g.m);
	fake_dev_req(hw);
	wait_devices(0);
	assert_int_equal(g.m->state, MACHINE_PAUSED);
	assert_false(fake_dev_is_open(hw));
}

/* --- it is gone ------------------------------------------------------------------------------- */

static void test_removal_is_the_end_of_the_device_only(void **state)
{
	(void)state;
	start(",id=nic");
	uint64_t at = guest_bar_addr(fn, 0), before = now_ms();
	struct guest_fn port = port_of(fn);
	fake_dev_req(hw);
	fake_dev_remove(hw);
	/* A vCPU that touches the vanished BAR reads ones, and is not the machine's end. */
	assert_int_equal(guest_read(&g, at + 8, 4), UINT32_MAX);
	guest_write(&g, at + 8, 1, 4);
	assert_left("DEVICE_DELETED nic: " HOST_BDF ": the device is gone from the host");
	assert_true(now_ms() - before < 2000);
	assert_int_equal(guest_read(&g, at + 8, 4), UINT32_MAX);
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_PDC); /* the guest is told */
	assert_false(slot_status(port) & PCI_EXP_SLTSTA_PDS);
}

/* Nobody says so: the vCPU's fault is how it is found out. */
static void test_removal_noticed_by_a_fault(void **state)
{
	(void)state;
	start(",id=nic");
	uint64_t at = guest_bar_addr(fn, 0);
	fake_dev_remove(hw);
	assert_int_equal(guest_read(&g, at + 8, 4), UINT32_MAX);
	assert_left("DEVICE_DELETED nic: " HOST_BDF ": the device is gone from the host");
}

/* Nobody says so, and nobody touches it. */
static void test_removal_noticed_by_nobody(void **state)
{
	(void)state;
	start(",id=nic");
	struct guest_fn port = port_of(fn);
	uint64_t before = now_ms();
	fake_dev_remove(hw);
	assert_left("DEVICE_DELETED nic: " HOST_BDF ": the device is gone from the host");
	assert_true(now_ms() - before < 2000);
	assert_false(slot_status(port) & PCI_EXP_SLTSTA_PDS);
}

/* A bus that is being reset answers nothing for a moment. */
static void test_silence_of_a_moment_is_no_removal(void **state)
{
	(void)state;
	start(",id=nic");
	fake_fault_add(
		&(struct fake_fault){ .calls = BIT32(FAKE_CALL_PREAD) | BIT32(FAKE_CALL_READ),
				      .path = "/sys/*config",
				      .nth = 1,
				      .err = EIO,
				      .times = 2 });
	uint64_t before = now_ms();
	while (now_ms() - before < 2600)
		guest_turn(&g);
	assert_true(fake_fault_hits() == 2);
	fake_fault_clear();
	assert_null(strstr(events, "DEVICE_DELETED"));
	assert_true(fake_dev_is_open(hw));
}

static void test_removal_while_the_guest_was_being_asked(void **state)
{
	(void)state;
	start(",id=nic");
	struct guest_fn port = port_of(fn);
	fake_dev_req(hw);
	guest_turn(&g);
	fake_dev_remove(hw);
	fake_dev_req(hw);
	assert_left("gone from the host");
	slot_power(port, false); /* consent to what is over */
	guest_turn(&g);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
}

static void test_removal_with_a_reset_of_the_machine(void **state)
{
	struct verr err = { 0 };
	(void)state;
	start(",id=nic");
	fake_dev_remove(hw);
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_left("DEVICE_DELETED nic: ");
}

/* --- it had an error -------------------------------------------------------------------------- */

static void test_error_stops_the_machine_unless_told_otherwise(void **state)
{
	(void)state;
	start("");
	fake_dev_err(hw);
	guest_turn(&g);
	assert_int_equal(g.m->stop, MACHINE_DEVICE_LOST);
	assert_non_null(strstr(g.m->stop_text, HOST_BDF ": the device reported an uncorrectable"));
}

static void test_error_takes_it_away_at_once(void **state)
{
	(void)state;
	start(",id=nic,on-error=eject");
	uint64_t before = now_ms();
	fake_dev_err(hw);
	assert_left("DEVICE_DELETED nic: " HOST_BDF ": the device reported an uncorrectable error");
	assert_true(now_ms() - before < 2000);
}

static void mend_once(uint64_t at, bool works)
{
	struct guest_fn port = port_of(fn);
	unsigned int resets = fake_dev_resets(hw);
	events[0] = '\0';
	fake_dev_err(hw);
	guest_turn(&g);
	if (!works)
		return;
	fake_dev_err(hw); /* one more while it waits is no news */
	guest_turn(&g);
	/* The button is pressed; the guest lets go of it; the button again. */
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_ABP);
	assert_null(strstr(events, "DEVICE_ERROR"));
	slot_power(port, false);
	guest_turn(&g);
	assert_event("DEVICE_ERROR nic: " HOST_BDF ": reset after an uncorrectable error");
	assert_true(fake_dev_resets(hw) > resets);
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_ABP);
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_PDS);
	slot_power(port, true);
	assert_int_equal(guest_cfg(fn, PCI_COMMAND, 2), 0);
	guest_bar_move(fn, 0, at);
	flow_enable();
	guest_write(&g, at + 0x40, 0xbeef, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
}

static void test_error_is_mended_three_times_a_minute(void **state)
{
	(void)state;
	start(",id=nic,on-error=reset");
	uint64_t at = guest_bar_addr(fn, 0);
	for (unsigned int i = 0; i < 3; i++)
		mend_once(at, true);
	mend_once(at, false);
	assert_left("DEVICE_DELETED nic: " HOST_BDF
		    ": the device reported an uncorrectable error again and again");
}

/* It was to leave anyway: the guest gets no new card that is then taken away under it. */
static void test_error_while_asked_to_let_go_ends_that(void **state)
{
	struct verr err = { 0 };
	(void)state;
	start(",id=nic,on-error=reset,eject-timeout=3600");
	assert_int_equal(unplug("nic", false, &err), 0);
	fake_dev_err(hw);
	assert_left("DEVICE_DELETED nic: it had an error while the guest was asked to let go");
	assert_event("DEVICE_ERROR nic: ");
	assert_true(list_empty(&g.m->ejects));
}

/* A guest that does not answer sees it pulled and put in again. */
static void test_error_of_a_deaf_guests_device(void **state)
{
	static const char *const props[] = { ",id=nic,on-error=reset,eject-timeout=1",
					     ",id=nic,on-error=reset,eject-timeout=0" };
	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		fake_reset();
		start(props[i]);
		struct guest_fn port = port_of(fn);
		unsigned int resets = fake_dev_resets(hw);
		uint64_t before = now_ms();
		fake_dev_err(hw);
		while (!strstr(events, "DEVICE_ERROR") && now_ms() - before < 3000)
			guest_turn(&g);
		assert_event("DEVICE_ERROR nic: " HOST_BDF ": reset after an uncorrectable error");
		assert_true(i == 1 || now_ms() - before >= 1000);
		assert_true(fake_dev_resets(hw) > resets);
		assert_true(slot_status(port) & PCI_EXP_SLTSTA_PDC);
		assert_true(slot_status(port) & PCI_EXP_SLTSTA_PDS);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

/* A reset of the machine meanwhile mends it, too; and it can leave in the middle. */
static void test_error_and_then_something_else(void **state)
{
	struct verr err = { 0 };
	(void)state;
	start(",id=nic,on-error=reset,eject-timeout=1");
	fake_dev_err(hw);
	guest_turn(&g);
	assert_int_equal(guest_reset(&g, &err), 0);
	uint64_t before = now_ms();
	while (now_ms() - before < 1500)
		guest_turn(&g);
	assert_null(strstr(events, "DEVICE_"));
	fake_dev_err(hw);
	guest_turn(&g);
	assert_int_equal(unplug("nic", true, &err), 0);
	assert_left("DEVICE_DELETED nic: taken away by force");
}

static void test_error_reset_needs_a_slot(void **state)
{
	(void)state;
	start(",on-error=reset,bus=pci.0");
	fake_dev_err(hw);
	guest_turn(&g);
	assert_int_equal(g.m->stop, MACHINE_DEVICE_LOST);
	assert_non_null(strstr(g.m->stop_text, "no hot-plug slot"));
}

static void test_error_of_what_is_gone_is_its_removal(void **state)
{
	(void)state;
	start(",id=nic,on-error=reset");
	fake_dev_err(hw);
	fake_dev_remove(hw);
	assert_left("DEVICE_DELETED nic: " HOST_BDF ": the device had an error and is gone");
}

/* Without SERR# the host may not hear of errors: neither a guest nor a reset turns it off. */
static void test_error_reporting_stays_as_the_host_has_it(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	struct verr err = { 0 };
	(void)state;
	for (int on = 0; on < 2; on++) {
		fake_reset();
		hw = fake_zoo_one(&zoo_nvme);
		if (on)
			fake_dev_set_serr(hw);
		guest_start(&g, &s);
		fn = guest_find(&g, zoo_nvme.vendor, zoo_nvme.device, 0);
		assert_int_equal(fake_dev_serr(hw), on);
		assert_false(guest_cfg(fn, PCI_COMMAND, 2) &
			     PCI_COMMAND_SERR); /* not the guest's */
		flow_enable();
		assert_int_equal(fake_dev_serr(hw), on);
		guest_cfg_set(fn, PCI_COMMAND, PCI_COMMAND_MEMORY, 1);
		guest_cfg_set(fn, PCI_COMMAND + 1, 0, 1);
		guest_cfg_set(fn, PCI_COMMAND, PCI_COMMAND_MEMORY, 4);
		assert_int_equal(fake_dev_serr(hw), on);
		assert_int_equal(guest_cfg(fn, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
		guest_cfg_set(fn, PCI_COMMAND, PCI_COMMAND_SERR, 2);
		assert_true(fake_dev_serr(hw));
		assert_int_equal(guest_reset(&g, &err), 0);
		assert_int_equal(fake_dev_serr(hw), on);
		guest_close(&g);
		assert_int_equal(fake_dev_serr(hw), on);
		assert_true(fake_clean());
	}
}

/* One function's error resets the card: its neighbour goes through it, too. */
static void test_error_of_one_function_resets_both(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,group=on,id=gpu,on-error=reset,"
						   "eject-timeout=0,host=0000:03:00.0" } };
	(void)state;
	hw = fake_zoo_one(&zoo_gpu);
	struct fake_dev *other =
		fake_dev_add(&zoo_gpu_audio, &(struct fake_place){ .bdf = "0000:03:00.1",
								   .group = 14,
								   .parent = "0000:00:1c.2",
								   .driver = "vfio-pci" });
	guest_start(&g, &s);
	plug_watch();
	unsigned int a = fake_dev_resets(hw), b = fake_dev_resets(other);
	fake_dev_err(hw);
	guest_turn(&g);
	assert_event("DEVICE_ERROR gpu: ");
	assert_true(fake_dev_resets(hw) > a);
	assert_true(fake_dev_resets(other) > b);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
}

/* --- it does not come back from a reset ------------------------------------------------------- */

static void die_in_reset(void)
{
	struct verr err = { 0 };
	fake_fault_add(
		&(struct fake_fault){ .calls = BIT32(FAKE_CALL_PREAD) | BIT32(FAKE_CALL_READ),
				      .path = "/sys/*config",
				      .nth = 1,
				      .err = EIO });
	assert_int_equal(guest_reset(&g, &err), 0);
	fake_fault_clear();
}

static void test_dead_after_reset_leaves_if_told_so(void **state)
{
	(void)state;
	start(",id=nic,on-error=eject");
	die_in_reset();
	assert_left("DEVICE_DELETED nic: " HOST_BDF ": the device does not answer after its reset");
}

static void test_dead_at_the_start_is_a_failed_start(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	struct verr err = { 0 };
	(void)state;
	hw = fake_zoo_one(&zoo_nvme);
	assert_int_equal(guest_open(&g, &s, &err), 0);
	fake_fault_add(
		&(struct fake_fault){ .calls = BIT32(FAKE_CALL_PREAD) | BIT32(FAKE_CALL_READ),
				      .path = "/sys/*config",
				      .nth = 1,
				      .err = EIO });
	assert_int_equal(guest_run(&g, &err), -EIO);
	fake_fault_clear();
	assert_non_null(strstr(err.msg, HOST_BDF ": the device does not answer after its reset"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_request_asks_the_guest_first),
		FLOW_TEST(test_request_does_not_wait_for_a_guest_for_ever),
		FLOW_TEST(test_request_where_no_guest_can_be_asked),
		FLOW_TEST(test_request_that_stops_gives_a_clean_device_back),
		FLOW_TEST(test_request_while_paused),
		FLOW_TEST(test_removal_is_the_end_of_the_device_only),
		FLOW_TEST(test_removal_noticed_by_a_fault),
		FLOW_TEST(test_removal_noticed_by_nobody),
		FLOW_TEST(test_silence_of_a_moment_is_no_removal),
		FLOW_TEST(test_removal_while_the_guest_was_being_asked),
		FLOW_TEST(test_removal_with_a_reset_of_the_machine),
		FLOW_TEST(test_error_stops_the_machine_unless_told_otherwise),
		FLOW_TEST(test_error_takes_it_away_at_once),
		FLOW_TEST(test_error_is_mended_three_times_a_minute),
		FLOW_TEST(test_error_while_asked_to_let_go_ends_that),
		FLOW_TEST(test_error_of_a_deaf_guests_device),
		FLOW_TEST(test_error_and_then_something_else),
		FLOW_TEST(test_error_reset_needs_a_slot),
		FLOW_TEST(test_error_of_what_is_gone_is_its_removal),
		FLOW_TEST(test_error_reporting_stays_as_the_host_has_it),
		FLOW_TEST(test_error_of_one_function_resets_both),
		FLOW_TEST(test_dead_after_reset_leaves_if_told_so),
		FLOW_TEST(test_dead_at_the_start_is_a_failed_start),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
