// SPDX-License-Identifier: GPL-2.0-or-later
//
// Configuration space of the fake kernel's devices, as vfio-pci virtualises it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/pci_regs.h>

#include "rawvfio.h"

static unsigned int find_cap(int device, unsigned int id)
{
	unsigned int at = raw_cfg(device, PCI_CAPABILITY_LIST, 1);
	for (int ttl = 48; at && ttl; ttl--, at = raw_cfg(device, at + 1, 1))
		if (raw_cfg(device, at, 1) == id)
			return at;
	return 0;
}

static void test_bars_are_sized_without_touching_the_device(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_gpu);
	uint32_t low = raw_cfg(r.device, PCI_BASE_ADDRESS_1, 4),
		 high = raw_cfg(r.device, PCI_BASE_ADDRESS_2, 4);
	assert_int_equal(low & 0xf, 0xc);
	uint8_t before[64];
	memcpy(before, fake_dev_config(r.d), 64);
	raw_cfg_set(r.device, PCI_BASE_ADDRESS_1, 4, ~0u);
	raw_cfg_set(r.device, PCI_BASE_ADDRESS_2, 4, ~0u);
	assert_int_equal(raw_cfg(r.device, PCI_BASE_ADDRESS_1, 4), 0xc);
	assert_int_equal(raw_cfg(r.device, PCI_BASE_ADDRESS_2, 4), 0xfffffffc); /* 16 GiB */
	raw_cfg_set(r.device, PCI_BASE_ADDRESS_1, 4, low);
	raw_cfg_set(r.device, PCI_BASE_ADDRESS_2, 4, high);
	raw_cfg_set(r.device, PCI_BASE_ADDRESS_5, 4, ~0u);
	assert_int_equal(raw_cfg(r.device, PCI_BASE_ADDRESS_5, 4), 0xffffff81);
	raw_cfg_set(r.device, PCI_ROM_ADDRESS, 4, ~0u);
	assert_int_equal(raw_cfg(r.device, PCI_ROM_ADDRESS, 4), 0xfff80001);
	assert_memory_equal(before, fake_dev_config(r.d), 64);
	raw_close(&r);
}

static void test_absent_bar_reads_zero(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_edu);
	raw_cfg_set(r.device, PCI_BASE_ADDRESS_1, 4, ~0u);
	assert_int_equal(raw_cfg(r.device, PCI_BASE_ADDRESS_1, 4), 0);
	raw_close(&r);
}

static void test_command_goes_to_the_hardware_but_intx_disable(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_e1000e);
	assert_false(fake_dev_bus_master(r.d));
	assert_true(fake_dev_memory_enabled(r.d));
	raw_cfg_set(r.device, PCI_COMMAND, 2,
		    PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	assert_true(fake_dev_bus_master(r.d));
	assert_int_equal(raw_cfg(r.device, PCI_COMMAND, 2),
			 PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(fake_dev_config(r.d)[PCI_COMMAND + 1] & 4, 0); /* virtual */
	raw_cfg_set(r.device, PCI_COMMAND, 2, 0);
	assert_false(fake_dev_memory_enabled(r.d));
	raw_close(&r);
}

static void test_msi_enable_needs_the_ioctl(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_msi32);
	unsigned int msi = find_cap(r.device, PCI_CAP_ID_MSI);
	int ev[2] = { sys_eventfd(0, 0), sys_eventfd(0, 0) };
	raw_cfg_set(r.device, msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 0x50);
	assert_int_equal(raw_cfg(r.device, msi + PCI_MSI_FLAGS, 2) & 0x71, 0);
	raw_cfg_set(r.device, msi + PCI_MSI_ADDRESS_LO, 4, 0xfee01000);
	assert_int_equal(raw_cfg(r.device, msi + PCI_MSI_ADDRESS_LO, 4), 0xfee01000);
	assert_int_equal(fake_dev_config(r.d)[msi + PCI_MSI_ADDRESS_LO + 1],
			 0); /* the kernel's own there */
	assert_int_equal(raw_irqs(r.device, VFIO_PCI_MSI_IRQ_INDEX, 0, ev, 2), 0);
	raw_cfg_set(r.device, msi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_ENABLE | 0x50);
	assert_int_equal(raw_cfg(r.device, msi + PCI_MSI_FLAGS, 2) & 0x71,
			 PCI_MSI_FLAGS_ENABLE | 0x10);
	sys_close(ev[0]);
	sys_close(ev[1]);
	raw_close(&r);
}

static void test_msix_control_is_read_only(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_nvme);
	unsigned int at = find_cap(r.device, PCI_CAP_ID_MSIX);
	int ev = sys_eventfd(0, 0);
	assert_int_equal(raw_cfg(r.device, at + PCI_MSIX_FLAGS, 2), 64);
	raw_cfg_set(r.device, at + PCI_MSIX_FLAGS, 2,
		    PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	assert_int_equal(raw_cfg(r.device, at + PCI_MSIX_FLAGS, 2), 64);
	raw_irqs(r.device, VFIO_PCI_MSIX_IRQ_INDEX, 0, &ev, 1);
	assert_int_equal(raw_cfg(r.device, at + PCI_MSIX_FLAGS, 2), 64 | PCI_MSIX_FLAGS_ENABLE);
	raw_irqs(r.device, VFIO_PCI_MSIX_IRQ_INDEX, 0, NULL, 0);
	assert_int_equal(raw_cfg(r.device, at + PCI_MSIX_FLAGS, 2), 64);
	sys_close(ev);
	raw_close(&r);
}

static void test_flr_bit_resets(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_nvme);
	unsigned int at = find_cap(r.device, PCI_CAP_ID_EXP);
	raw_cfg_set(r.device, at + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(fake_dev_resets(r.d), 2); /* with the open's */
	assert_int_equal(raw_cfg(r.device, at + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
	raw_close(&r);
	r = raw_open(&zoo_no_flr);
	at = find_cap(r.device, PCI_CAP_ID_EXP);
	raw_cfg_set(r.device, at + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);
	assert_int_equal(fake_dev_resets(r.d), 1);
	raw_close(&r);
}

static void test_power_state_gates_memory(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_no_flr);
	unsigned int pm = find_cap(r.device, PCI_CAP_ID_PM);
	uint32_t v = 5;
	sys_pwrite(r.device, &v, 4, 0);
	raw_cfg_set(r.device, pm + PCI_PM_CTRL, 2, 3);
	assert_false(fake_dev_memory_enabled(r.d));
	assert_int_equal(sys_pread(r.device, &v, 4, 0), -EIO);
	raw_cfg_set(r.device, pm + PCI_PM_CTRL, 2, 0);
	assert_int_equal(sys_pread(r.device, &v, 4, 0), 4);
	assert_int_equal(v, 0); /* no No_Soft_Reset: its state is gone */
	raw_close(&r);
}

static void test_access_ends_with_the_space(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_e1000); /* conventional: 256 bytes */
	uint8_t buf[8];
	assert_int_equal(sys_pread(r.device, buf, 4, RAW_CONFIG + 252), 4);
	assert_int_equal(sys_pread(r.device, buf, 4, RAW_CONFIG + 253), -EFAULT);
	assert_int_equal(sys_pread(r.device, buf, 4, RAW_CONFIG + 256), -EFAULT);
	assert_int_equal(sys_pread(r.device, buf, 8, RAW_CONFIG + 1), 8); /* in pieces, but whole */
	raw_close(&r);
}

static void test_short_config_device_gives_a_dword_at_a_time(void **s)
{
	(void)s;
	static struct fake_devdesc shorty;
	shorty = zoo_e1000e;
	shorty.flags |= FAKE_DEV_SHORT_CONFIG;
	struct raw r = raw_open(&shorty);
	uint8_t buf[16];
	assert_int_equal(sys_pread(r.device, buf, 16, RAW_CONFIG), 4);
	assert_int_equal(sys_pread(r.device, buf, 4, RAW_CONFIG + 2), 2);
	raw_close(&r);
}

static void test_vf_has_ids_and_memory_enable_of_vfios(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_vf);
	assert_int_equal(fake_dev_config(r.d)[0], 0xff);
	assert_int_equal(raw_cfg(r.device, PCI_VENDOR_ID, 4), 0x10ca8086);
	assert_int_equal(raw_cfg(r.device, PCI_COMMAND, 2) & PCI_COMMAND_MEMORY,
			 PCI_COMMAND_MEMORY);
	raw_cfg_set(r.device, PCI_COMMAND, 2, 0);
	assert_int_equal(raw_cfg(r.device, PCI_COMMAND, 2), 0);
	assert_true(fake_dev_memory_enabled(r.d)); /* in hardware it always decodes */
	raw_cfg_set(r.device, PCI_BASE_ADDRESS_0, 4, ~0u);
	assert_int_equal(raw_cfg(r.device, PCI_BASE_ADDRESS_0, 4), 0xffffc004);
	raw_close(&r);
}

static void test_unknown_extended_capability_is_hidden(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_sriov_pf);
	unsigned int seen = 0, n = 0;
	for (unsigned int at = 0x100; at && n < 20; n++) {
		uint32_t h = raw_cfg(r.device, at, 4);
		seen |= 1u << (h & 0x1f);
		at = h >> 20;
	}
	assert_int_equal(n, 6);
	assert_true(seen & 1u << PCI_EXT_CAP_ID_SRIOV);
	assert_false(seen & 1u << PCI_EXT_CAP_ID_PASID);
	raw_close(&r);
	/* An unknown one that is first can only lose its id. */
	r = raw_open(&zoo_gpu);
	uint32_t h = raw_cfg(r.device, 0x100, 4);
	assert_int_equal(h & 0xfffff, 0);
	assert_int_equal(raw_cfg(r.device, h >> 20, 2), PCI_EXT_CAP_ID_ERR);
	raw_close(&r);
}

static void test_vpd_answers(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_sriov_pf);
	unsigned int at = find_cap(r.device, PCI_CAP_ID_VPD);
	raw_cfg_set(r.device, at + PCI_VPD_ADDR, 2, 0x10);
	assert_int_equal(raw_cfg(r.device, at + PCI_VPD_ADDR, 2), 0x10 | PCI_VPD_ADDR_F);
	assert_int_equal(raw_cfg(r.device, at + PCI_VPD_DATA, 4) & 0xff, 0x10);
	raw_close(&r);
}

static void test_broken_chains_are_shown_as_they_are(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_cap_loop);
	assert_int_equal(raw_cfg(r.device, 0x49, 1), 0x40);
	raw_close(&r);
	r = raw_open(&zoo_cap_ff);
	assert_int_equal(raw_cfg(r.device, 0x49, 1), 0xff);
	raw_close(&r);
}

static void test_vendor_capability_goes_through(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_gpu);
	unsigned int at = find_cap(r.device, PCI_CAP_ID_VNDR);
	raw_cfg_set(r.device, at + 4, 4, 0x12345678);
	assert_int_equal(fake_dev_config(r.d)[at + 4], 0x78);
	raw_close(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bars_are_sized_without_touching_the_device),
		cmocka_unit_test(test_absent_bar_reads_zero),
		cmocka_unit_test(test_command_goes_to_the_hardware_but_intx_disable),
		cmocka_unit_test(test_msi_enable_needs_the_ioctl),
		cmocka_unit_test(test_msix_control_is_read_only),
		cmocka_unit_test(test_flr_bit_resets),
		cmocka_unit_test(test_power_state_gates_memory),
		cmocka_unit_test(test_access_ends_with_the_space),
		cmocka_unit_test(test_short_config_device_gives_a_dword_at_a_time),
		cmocka_unit_test(test_vf_has_ids_and_memory_enable_of_vfios),
		cmocka_unit_test(test_unknown_extended_capability_is_hidden),
		cmocka_unit_test(test_vpd_answers),
		cmocka_unit_test(test_broken_chains_are_shown_as_they_are),
		cmocka_unit_test(test_vendor_capability_goes_through),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
