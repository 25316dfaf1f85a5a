// SPDX-License-Identifier: GPL-2.0-or-later
// device_del and device_add of assigned functions: the guest asked through its slot, or not; all
// that was held given back; a new function in a free slot that works as one at the start does.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>

#include "plug.h"

#define ARG "vfio-pci,id=nic,host=" HOST_BDF

/* A machine with one empty slot, and the function on the host. */
static void start_empty(const struct fake_devdesc *desc)
{
	const struct guest_setup s = { .device = { "pcie-root-port,id=spare" } };
	hw = fake_zoo_one(desc);
	guest_start(&g, &s);
	plug_watch();
}

/* What a hot-plug driver does with a card that came: power, address, its driver's start. */
static void adopt(const struct fake_devdesc *desc)
{
	struct guest_fn port = { &g, 0, 1 << 3 };
	struct dev *d = machine_find_device(g.m, "nic");
	assert_non_null(d);
	port.devfn = container_of(d, struct pcidev, dev)->bus->bridge->devfn;
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_PDS);
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_PDC);
	slot_power(port, true);
	fn = guest_find(&g, desc->vendor, desc->device, 0);
	guest_bar_move(fn, 0, guest_cfg(port, PCI_MEMORY_BASE, 2) << 16);
	flow_enable();
}

static void assert_works(void)
{
	uint32_t v = 0x600d, seen = 0;
	guest_write(&g, guest_bar_addr(fn, 0) + 0x40, 0xbeef, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	fake_dev_bar_read(hw, 0, 0x40, &seen, 4);
	assert_int_equal(seen, 0xbeef);
	guest_msix(fn, true, false);
	guest_msix_vector(fn, 0, MSI_ADDR, 0x40, false);
	fake_kvm_msis_clear();
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x40), 1);
	assert_int_equal(fake_dev_dma_write(hw, 0x3000, &v, 4), 0);
	assert_int_equal(guest_read(&g, 0x3000, 4), v);
}

static void test_guest_lets_go_and_all_is_given_back(void **state)
{
	struct verr err = { 0 };
	(void)state;
	start_empty(&zoo_nvme);
	struct held before = held_now();
	must_plug(ARG);
	adopt(&zoo_nvme);
	assert_works();
	struct guest_fn port = port_of(fn);
	assert_int_equal(unplug("nic", false, &err), 0);
	guest_turn(&g);
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_ABP); /* asked */
	assert_works();					     /* and not taken yet */
	assert_int_equal(unplug("nic", false, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "asked already"));
	slot_power(port, false);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 4), UINT32_MAX);
	wait_devices(0);
	assert_event("DEVICE_DELETED nic: the guest let go of it");
	assert_false(slot_status(port) & PCI_EXP_SLTSTA_PDS);
	assert_false(fake_dev_is_open(hw));
	assert_false(fake_dev_bus_master(hw));
	assert_held(&before);
}

static void test_a_device_comes_and_goes_and_comes(void **state)
{
	struct verr err = { 0 };
	(void)state;
	start_empty(&zoo_nvme);
	must_plug(ARG);
	adopt(&zoo_nvme);
	assert_works();
	struct held one = held_now();
	for (unsigned int i = 0; i < 3; i++) {
		struct guest_fn port = port_of(fn);
		assert_int_equal(unplug("nic", false, &err), 0);
		slot_power(port, false);
		wait_devices(0);
		must_plug(ARG);
		adopt(&zoo_nvme);
		assert_works();
		assert_held(&one);
	}
}

static void test_guest_that_does_not_let_go_loses_it(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start_with(&zoo_nvme, ",id=nic,eject-timeout=1", NULL);
	plug_watch();
	flow_enable();
	uint64_t at = guest_bar_addr(fn, 0);
	assert_int_equal(unplug("nic", false, &err), 0);
	wait_devices(0);
	assert_event("DEVICE_DELETED nic: the guest did not let go of it in 1 s");
	assert_false(fake_dev_is_open(hw));
	/* Whatever the guest still does is answered; its late consent has nobody to go to. */
	assert_int_equal(guest_read(&g, at, 4), UINT32_MAX);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 4), UINT32_MAX);
	slot_power((struct guest_fn){ &g, 0, 1 << 3 }, false);
	guest_turn(&g);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	assert_int_equal(fake_containers(), 0);
}

static void test_force_asks_nobody(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start_with(&zoo_nvme, ",id=nic", NULL);
	plug_watch();
	struct guest_fn port = port_of(fn);
	assert_int_equal(unplug("nic", false, &err),
			 0); /* a request that is pending is over, too */
	assert_int_equal(unplug("nic", true, &err), 0);
	assert_event("DEVICE_DELETED nic: taken away by force");
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_PDC);
	assert_true(slot_status(port) & PCI_EXP_SLTSTA_DLLSC);
	slot_power(port, false);
	guest_turn(&g);
	assert_int_equal(fake_containers(), 0);
}

static void test_what_cannot_leave_says_why(void **state)
{
	const struct guest_setup s = { .device = { [1] = "pcie-root-port,id=spare" } };
	struct verr err = { 0 };
	static const struct {
		const char *id, *says;
		int r;
	} cases[] = {
		{ "nic", "is in no hot-plug slot", -EINVAL },
		{ "none", "no device \"none\"", -ENODEV },
		{ "rtc", "is part of the machine", -EINVAL },
		{ "spare", "is a bridge", -EINVAL },
	};
	(void)state;
	flow_start_with(&zoo_nvme, ",id=nic,bus=pci.0", &s);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		verr_clear(&err);
		assert_int_equal(unplug(cases[i].id, false, &err), cases[i].r);
		assert_non_null(strstr(err.msg, cases[i].says));
	}
	assert_int_equal(unplug("nic", true, &err), 0);
	assert_false(fake_dev_is_open(hw));
}

static void test_what_cannot_come_says_why_and_leaves_nothing(void **state)
{
	struct verr err = { 0 };
	static const struct {
		const char *arg, *says;
	} cases[] = {
		{ "vfio-pci", "host" },
		{ "vfio-pci,host=0000:09:00.0", "0000:09:00.0" },
		{ "vfio-pci,host=" HOST_BDF ",bus=pci.0", "takes nothing while the machine runs" },
		{ "vfio-pci,host=" HOST_BDF ",bus=nowhere", "nowhere" },
		{ "vfio-pci,host=" HOST_BDF ",addr=04", "slot 00 only" },
		{ "pcie-root-port", "bridge" },
		{ "nosuch", "nosuch" },
		{ "rtc", "part of the machine" },
	};
	(void)state;
	start_empty(&zoo_nvme);
	struct held before = held_now();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		verr_clear(&err);
		assert_true(plug(cases[i].arg, &err) < 0);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\" is not in: %s", cases[i].says, err.msg);
		assert_held(&before);
	}
	must_plug(ARG);
	fake_dev_add(
		&zoo_e1000e,
		&(struct fake_place){ .bdf = "0000:04:00.0", .group = 20, .driver = "vfio-pci" });
	verr_clear(&err);
	assert_int_equal(plug("vfio-pci,host=0000:04:00.0", &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "no hot-plug slot is empty"));
	verr_clear(&err);
	assert_int_equal(plug("vfio-pci,host=0000:04:00.0,bus=spare", &err), -EBUSY);
	assert_non_null(strstr(err.msg, "is taken by nic"));
	verr_clear(&err);
	assert_int_equal(plug(ARG, &err), -EEXIST);
}

static void test_conventional_function_comes_into_a_slot(void **state)
{
	(void)state;
	start_empty(&zoo_e1000);
	must_plug(ARG);
	adopt(&zoo_e1000);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 2), zoo_e1000.vendor);
}

static void test_device_that_is_dead_is_refused(void **state)
{
	struct verr err = { 0 };
	(void)state;
	start_empty(&zoo_nvme);
	struct held before = held_now();
	/* It answers when opened, and no longer after its reset. */
	fake_fault_add(
		&(struct fake_fault){ .calls = BIT32(FAKE_CALL_PREAD) | BIT32(FAKE_CALL_READ),
				      .path = "/sys/*config",
				      .nth = 2,
				      .err = EIO });
	assert_true(plug(ARG, &err) < 0);
	fake_fault_clear();
	assert_non_null(strstr(err.msg, HOST_BDF));
	guest_turn(&g);
	assert_held(&before);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	must_plug(ARG);
}

static void test_reset_ends_what_the_guest_was_asked(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start_with(&zoo_nvme, ",id=nic", NULL);
	plug_watch();
	assert_int_equal(unplug("nic", false, &err), 0);
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_event("DEVICE_DELETED nic: the guest was reset");
	assert_int_equal(fake_containers(), 0);
}

static void test_after_a_reset_it_is_where_the_firmware_puts_it(void **state)
{
	struct verr err = { 0 };
	(void)state;
	start_empty(&zoo_nvme);
	must_plug(ARG);
	assert_int_equal(guest_reset(&g, &err), 0);
	fn = guest_find(&g, zoo_nvme.vendor, zoo_nvme.device, 0);
	assert_int_not_equal(guest_bar_addr(fn, 0), 0);
	flow_enable();
	assert_works();
	/* It is in a slot with power now: it can leave as any other. */
	struct guest_fn port = port_of(fn);
	assert_int_equal(unplug("nic", false, &err), 0);
	slot_power(port, false);
	wait_devices(0);
}

static void test_end_with_a_request_pending(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start_with(&zoo_nvme, ",id=nic", NULL);
	assert_int_equal(unplug("nic", false, &err), 0);
	guest_close(&g);
	assert_false(fake_dev_is_open(hw));
}

static void test_paused_machine_gives_and_takes(void **state)
{
	struct verr err = { 0 };
	(void)state;
	start_empty(&zoo_nvme);
	machine_lock(g.m);
	machine_pause(g.m);
	machine_unlock(g.m);
	must_plug(ARG);
	assert_int_equal(unplug("nic", true, &err), 0);
	must_plug(ARG);
	machine_lock(g.m);
	assert_int_equal(machine_resume(g.m, &err), 0);
	machine_unlock(g.m);
	assert_true(fake_kvm_wait_running(1, 5000));
	adopt(&zoo_nvme);
	assert_works();
}

/* --- functions of one device ------------------------------------------------------------------ */

#define GPU "0000:05:00.0"
#define HDA "0000:05:00.1"

static void host_pair(void)
{
	fake_dev_add(&zoo_bridge, &(struct fake_place){ .bdf = "0000:00:1c.3", .group = 15 });
	hw = fake_dev_add(&zoo_gpu, &(struct fake_place){ .bdf = GPU,
							  .group = 15,
							  .parent = "0000:00:1c.3",
							  .driver = "vfio-pci" });
	fake_dev_add(&zoo_gpu_audio, &(struct fake_place){ .bdf = HDA,
							   .group = 15,
							   .parent = "0000:00:1c.3",
							   .driver = "vfio-pci" });
}

static void assert_pair(void)
{
	struct guest_fn gpu = guest_find(&g, zoo_gpu.vendor, zoo_gpu.device, 0);
	struct guest_fn hda = guest_find(&g, zoo_gpu_audio.vendor, zoo_gpu_audio.device, 0);
	assert_int_equal(gpu.bus, hda.bus);
	assert_int_equal(gpu.devfn, 0);
	assert_int_equal(hda.devfn, 1);
	assert_true(guest_cfg(gpu, PCI_HEADER_TYPE, 1) & 0x80);
}

static void test_functions_of_a_device_stay_together(void **state)
{
	/* Whatever the order, and with others between. */
	static const struct guest_setup ways[] = {
		{ .device = { "vfio-pci,host=" GPU, "vfio-pci,host=" HDA } },
		{ .device = { "vfio-pci,host=" HDA, "vfio-pci,host=" GPU } },
		{ .device = { "vfio-pci,host=" HDA, "pcie-root-port", "vfio-pci,host=" GPU } },
		{ .device = { "vfio-pci,group=on,id=gpu,host=" GPU } },
		{ .device = { "vfio-pci,host=" HDA ",group=on" } },
	};
	struct verr err = { 0 };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++) {
		fake_reset();
		host_pair();
		guest_start(&g, &ways[i]);
		assert_pair();
		assert_int_equal(fake_groups_attached(), 1);
		assert_int_equal(guest_reset(&g, &err), 0);
		assert_pair();
		guest_close(&g);
		assert_true(fake_clean());
	}
}

static void test_function_without_its_function_0_is_one_itself(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HDA } };
	(void)state;
	host_pair();
	guest_start(&g, &s);
	struct guest_fn hda = guest_find(&g, zoo_gpu_audio.vendor, zoo_gpu_audio.device, 0);
	assert_int_equal(hda.devfn & 7, 0);
	assert_false(guest_cfg(hda, PCI_HEADER_TYPE, 1) & 0x80);
}

static void test_who_says_where_is_obeyed(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" GPU ",bus=pci.0,addr=05",
						   "vfio-pci,host=" HDA ",bus=pci.0,addr=06" } };
	(void)state;
	host_pair();
	guest_start(&g, &s);
	assert_int_equal(guest_find(&g, zoo_gpu.vendor, zoo_gpu.device, 0).devfn, 5 << 3);
	assert_int_equal(guest_find(&g, zoo_gpu_audio.vendor, zoo_gpu_audio.device, 0).devfn,
			 6 << 3);
}

static void test_a_device_of_two_functions_comes_and_goes_whole(void **state)
{
	const struct guest_setup s = { .device = { "pcie-root-port,id=spare" } };
	struct verr err = { 0 };
	(void)state;
	host_pair();
	guest_start(&g, &s);
	plug_watch();
	struct held before = held_now();
	for (unsigned int i = 0; i < 2; i++) {
		must_plug("vfio-pci,group=on,id=gpu,host=" GPU);
		wait_devices(2);
		struct dev *d = machine_find_device(g.m, "gpu.1");
		assert_non_null(d);
		struct guest_fn port = { &g, 0,
					 container_of(d, struct pcidev, dev)->bus->bridge->devfn };
		slot_power(port, true);
		assert_pair();
		assert_int_equal(unplug("gpu.1", false, &err), 0); /* of any of them means all */
		slot_power(port, false);
		wait_devices(0);
		assert_event("DEVICE_DELETED gpu: ");
		assert_event("DEVICE_DELETED gpu.1: ");
		assert_held(&before);
	}
}

static void test_member_of_the_group_that_is_not_ours_is_named(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,group=on,host=" GPU } };
	struct verr err = { 0 };
	(void)state;
	host_pair();
	fake_dev_bind(fake_dev_find(HDA), "snd_hda_intel");
	assert_true(guest_open(&g, &s, &err) < 0);
	assert_non_null(strstr(err.msg, HDA));
	assert_non_null(strstr(err.msg, "snd_hda_intel"));
	assert_non_null(strstr(err.msg, "vfio-bind " HDA));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_guest_lets_go_and_all_is_given_back),
		FLOW_TEST(test_a_device_comes_and_goes_and_comes),
		FLOW_TEST(test_guest_that_does_not_let_go_loses_it),
		FLOW_TEST(test_force_asks_nobody),
		FLOW_TEST(test_what_cannot_leave_says_why),
		FLOW_TEST(test_what_cannot_come_says_why_and_leaves_nothing),
		FLOW_TEST(test_conventional_function_comes_into_a_slot),
		FLOW_TEST(test_device_that_is_dead_is_refused),
		FLOW_TEST(test_reset_ends_what_the_guest_was_asked),
		FLOW_TEST(test_after_a_reset_it_is_where_the_firmware_puts_it),
		FLOW_TEST(test_end_with_a_request_pending),
		FLOW_TEST(test_paused_machine_gives_and_takes),
		FLOW_TEST(test_functions_of_a_device_stay_together),
		FLOW_TEST(test_function_without_its_function_0_is_one_itself),
		FLOW_TEST(test_who_says_where_is_obeyed),
		FLOW_TEST(test_a_device_of_two_functions_comes_and_goes_whole),
		FLOW_TEST(test_member_of_the_group_that_is_not_ours_is_named),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
