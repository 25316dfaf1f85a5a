// SPDX-License-Identifier: GPL-2.0-or-later
// Resets: of the machine, of the function, by the port above; each leaves device and guest's view
// as at the start, with no bus mastering in between, whatever state the guest had it in.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>
#include <unistd.h>

#include "flow.h"
#include "tests/fake/boot_fixture.h"

static void dump(uint8_t buf[4096])
{
	for (unsigned int off = 0; off < 4096; off += 4) {
		uint32_t v = guest_cfg(fn, off, 4);
		memcpy(buf + off, &v, 4);
	}
}

/* A driver at work: MSI-X on, a register changed, bus mastering. */
static void use(void)
{
	flow_enable();
	guest_write(&g, guest_bar_addr(fn, 0) + 0x40, 0xdead, 4);
	guest_msix(fn, true, false);
	guest_msix_vector(fn, 0, MSI_ADDR, 0x40, false);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x40), 1);
	fake_kvm_msis_clear();
}

static void assert_pristine(unsigned int resets)
{
	uint32_t reg = 1;
	assert_int_equal(fake_dev_resets(hw), resets);
	assert_false(fake_dev_bus_master(hw));
	assert_int_not_equal(fake_dev_irq_index(hw), 2);
	fake_dev_bar_read(hw, 0, 0x40, &reg, 4);
	assert_int_equal(reg, 0);
	assert_int_equal(fake_dev_fire(hw, 0), FAKE_FIRE_NOBODY);
}

static void test_machine_reset_is_a_new_start(void **state)
{
	uint8_t before[4096], after[4096];
	struct verr err = { 0 };
	(void)state;
	flow_start(&zoo_nvme);
	unsigned int resets = fake_dev_resets(hw);
	assert_int_equal(resets, 1); /* the open's does for the start */
	assert_int_equal(fake_log_count("VFIO_DEVICE_RESET"), 0);
	dump(before);
	for (unsigned int i = 1; i <= 2; i++) {
		use();
		assert_int_equal(guest_reset(&g, &err), 0);
		assert_pristine(resets + i);
		dump(after);
		assert_memory_equal(before, after, sizeof(before));
		assert_true(fake_dev_bar_in_slot(hw, 0, 0, 0x2000));
		assert_int_equal(g.m->state, MACHINE_RUNNING);
	}
	use(); /* and it works as before */
}

static void test_machine_reset_takes_a_moved_bar_home(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start(&zoo_e1000e);
	uint64_t home = guest_bar_addr(fn, 0);
	guest_command(fn, 0, PCI_COMMAND_MEMORY);
	guest_bar_move(fn, 0, 0xc0000000);
	guest_command(fn, PCI_COMMAND_MEMORY, 0);
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_int_equal(guest_bar_addr(fn, 0), home);
	guest_write(&g, home + 8, 3, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
}

static void test_guest_reboot_resets_the_machine(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	use();
	guest_out(&g, 0x64, 0xfe, 1);
	guest_turn(&g);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	assert_pristine(2);
}

static void test_guest_reboot_ends_the_machine_if_asked(void **state)
{
	const struct guest_setup s = { .reboot_exits = true };
	(void)state;
	flow_start_with(&zoo_nvme, "", &s);
	guest_out(&g, 0x64, 0xfe, 1);
	guest_turn(&g);
	assert_int_equal(g.m->state, MACHINE_STOPPED);
	assert_int_equal(g.m->stop, MACHINE_POWERED_OFF);
}

static void test_reset_of_a_paused_machine_runs_it(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start(&zoo_nvme);
	machine_lock(g.m);
	machine_pause(g.m);
	assert_int_equal(g.m->state, MACHINE_PAUSED);
	machine_unlock(g.m);
	assert_true(fake_kvm_wait_running(0, 5000));
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
}

static void test_reset_loads_the_kernel_anew(void **state)
{
	struct image img;
	struct verr err = { 0 };
	(void)state;
	fixture_bzimage(&img);
	const struct guest_setup s = { .kernel = fixture_file(0, img.buf, img.len),
				       .ram = MIB(64) };
	fake_allow_path("/tmp/vv-boot");
	flow_start_with(&zoo_nvme, "", &s);
	uint64_t first = guest_read(&g, MIB(16), 8);
	assert_memory_equal(&first, img.buf + FIXTURE_BZ_PAYLOAD_OFF, 8);
	guest_write(&g, MIB(16), ~first, 8);
	guest_write(&g, PC_BOOT_PARAMS + 0x1f1, 0xffff, 2);
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_true(guest_read(&g, MIB(16), 8) == first);
	assert_int_not_equal(guest_read(&g, PC_BOOT_PARAMS + 0x1f1, 2), 0xffff);
	fixture_free(&img);
	fixture_cleanup();
}

static void test_reset_wakes_what_sleeps(void **state)
{
	const struct fake_devdesc *const sleepers[] = { &zoo_nvme, &zoo_noreset, &zoo_no_flr };
	struct verr err = { 0 };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sleepers); i++) {
		fake_reset();
		flow_start(sleepers[i]);
		flow_enable();
		guest_power(fn, 3);
		assert_int_equal(guest_reset(&g, &err), 0);
		assert_true(fake_dev_memory_enabled(hw));
		guest_write(&g, guest_bar_addr(fn, 0) + 8, 5, 4);
		assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

static void test_failing_reset_does_not_end_the_vm(void **state)
{
	static struct fake_devdesc stubborn;
	struct verr err = { 0 };
	(void)state;
	stubborn = zoo_nvme;
	stubborn.flags |= FAKE_DEV_RESET_FAILS;
	flow_start(&stubborn);
	flow_enable();
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	guest_flr(fn);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 2), stubborn.vendor);
}

static void test_device_dead_after_its_reset_is_reported(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start(&zoo_nvme);
	/* Its vendor id, asked for through sysfs, can't be read any more. */
	fake_fault_add(
		&(struct fake_fault){ .calls = BIT32(FAKE_CALL_PREAD) | BIT32(FAKE_CALL_READ),
				      .path = "/sys/*config",
				      .nth = 1,
				      .err = EIO });
	assert_int_equal(guest_reset(&g, &err), 0);
	fake_fault_clear();
	guest_turn(&g);
	assert_int_equal(g.m->stop, MACHINE_DEVICE_LOST);
	assert_non_null(strstr(g.m->stop_text, HOST_BDF));
	assert_false(fake_dev_bar_in_slot(hw, 0, 0, 0x4000));
}

/* --- of the function -------------------------------------------------------------------------- */

static void after_flr(const struct fake_devdesc *d)
{
	assert_int_equal(guest_cfg(fn, PCI_COMMAND, 2), 0);
	assert_int_equal(guest_cfg(fn, PCI_BASE_ADDRESS_0, 4) & ~15u, 0);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 2), d->vendor);
	assert_false(fake_dev_bar_in_slot(hw, 0, 0, d->bars[0].size));
	assert_false(fake_dev_bus_master(hw));
}

static void test_flr_by_pcie_resets_the_function_only(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	uint64_t at = guest_bar_addr(fn, 0);
	use();
	guest_flr(fn);
	assert_pristine(2);
	after_flr(&zoo_nvme);
	/* The bit reads 0 at once: done (PCIe 6.0 6.6.2 gives a guest 100 ms to wait). */
	unsigned int exp = guest_cap(fn, PCI_CAP_ID_EXP);
	assert_int_equal(guest_cfg(fn, exp + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
	guest_bar_move(fn, 0, at);
	use();
	assert_int_equal(g.m->state, MACHINE_RUNNING);
}

static void test_flr_by_advanced_features(void **state)
{
	(void)state;
	flow_start(&zoo_mem32_pref);
	uint64_t at = guest_bar_addr(fn, 0);
	flow_enable();
	guest_msi(fn, 0, MSI_ADDR, 0x31);
	guest_write(&g, at + 0x40, 0xdead, 4);
	guest_flr(fn);
	assert_pristine(2);
	after_flr(&zoo_mem32_pref);
	guest_bar_move(fn, 0, at);
	flow_enable();
	guest_msi(fn, 0, MSI_ADDR, 0x31);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x31), 1);
}

static void test_flr_gives_intx_back(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	use();
	guest_flr(fn);
	assert_int_equal(fake_dev_irq_index(hw), 0);
	assert_int_equal(fake_dev_intx(hw, true), FAKE_FIRE_SENT);
	assert_true(fake_kvm_line(guest_gsi(fn)));
	fake_dev_intx(hw, false);
	fake_kvm_eoi(guest_gsi(fn));
}

static void test_flr_is_not_there_unless_the_host_can_reset(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_noreset;
	d.caps[1].w[1] |= PCI_EXP_DEVCAP_FLR; /* claimed, but VFIO offers none */
	flow_start(&d);
	unsigned int exp = guest_cap(fn, PCI_CAP_ID_EXP);
	assert_int_equal(guest_cfg(fn, exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR, 0);
	uint32_t command = guest_cfg(fn, PCI_COMMAND, 2);
	unsigned int resets = fake_dev_resets(hw);
	guest_cfg_set(fn, exp + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR, 2);
	assert_int_equal(guest_cfg(fn, PCI_COMMAND, 2), command);
	assert_int_equal(fake_dev_resets(hw), resets);
}

static void test_flr_in_low_power(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_power(fn, 3);
	guest_flr(fn);
	assert_int_equal(guest_cfg(fn, guest_cap(fn, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2) & 3, 0);
	after_flr(&zoo_nvme);
}

/* --- by the port above ------------------------------------------------------------------------ */

static struct guest_fn port_of(void)
{
	return (struct guest_fn){ &g, 0, guest_pcidev(fn)->bus->bridge->devfn };
}

static void test_secondary_bus_reset_reaches_the_device(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	uint64_t at = guest_bar_addr(fn, 0);
	use();
	struct guest_fn port = port_of();
	uint32_t ctl = guest_cfg(port, PCI_BRIDGE_CONTROL, 2);
	guest_cfg_set(port, PCI_BRIDGE_CONTROL, ctl | PCI_BRIDGE_CTL_BUS_RESET, 2);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 4), UINT32_MAX);
	assert_pristine(2);
	guest_cfg_set(port, PCI_BRIDGE_CONTROL, ctl, 2);
	after_flr(&zoo_nvme);
	guest_bar_move(fn, 0, at);
	use();
}

static void test_link_down_resets_the_device(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	uint64_t at = guest_bar_addr(fn, 0);
	use();
	struct guest_fn port = port_of();
	unsigned int lnk = guest_cap(port, PCI_CAP_ID_EXP) + PCI_EXP_LNKCTL;
	guest_cfg_set(port, lnk, PCI_EXP_LNKCTL_LD, 2);
	assert_pristine(2);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 4), UINT32_MAX);
	guest_cfg_set(port, lnk, 0, 2);
	guest_bar_move(fn, 0, at);
	use();
}

static void test_bus_reset_of_a_device_without_reset_silences_it(void **state)
{
	(void)state;
	flow_start(&zoo_noreset);
	flow_enable();
	guest_msi(fn, 0, MSI_ADDR, 0x31);
	guest_power(fn, 3);
	struct guest_fn port = port_of();
	guest_cfg_set(port, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET, 2);
	guest_cfg_set(port, PCI_BRIDGE_CONTROL, 0, 2);
	assert_false(fake_dev_bus_master(hw));
	assert_int_not_equal(fake_dev_irq_index(hw), 1);
	after_flr(&zoo_noreset);
	guest_bar_move(fn, 0, MIB(3584) - MIB(256)); /* anywhere: decodes or not, never wrongly */
	flow_enable();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_machine_reset_is_a_new_start),
		FLOW_TEST(test_machine_reset_takes_a_moved_bar_home),
		FLOW_TEST(test_guest_reboot_resets_the_machine),
		FLOW_TEST(test_guest_reboot_ends_the_machine_if_asked),
		FLOW_TEST(test_reset_of_a_paused_machine_runs_it),
		FLOW_TEST(test_reset_loads_the_kernel_anew),
		FLOW_TEST(test_reset_wakes_what_sleeps),
		FLOW_TEST(test_failing_reset_does_not_end_the_vm),
		FLOW_TEST(test_device_dead_after_its_reset_is_reported),
		FLOW_TEST(test_flr_by_pcie_resets_the_function_only),
		FLOW_TEST(test_flr_by_advanced_features),
		FLOW_TEST(test_flr_gives_intx_back),
		FLOW_TEST(test_flr_is_not_there_unless_the_host_can_reset),
		FLOW_TEST(test_flr_in_low_power),
		FLOW_TEST(test_secondary_bus_reset_reaches_the_device),
		FLOW_TEST(test_link_down_resets_the_device),
		FLOW_TEST(test_bus_reset_of_a_device_without_reset_silences_it),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
