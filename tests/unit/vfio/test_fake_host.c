// SPDX-License-Identifier: GPL-2.0-or-later
//
// The fake host: what sysfs shows, and binding by Linux's rules.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "core/sys.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_zoo.h"

#define DEV "/sys/bus/pci/devices/0000:03:00.0"
#define DRV "/sys/bus/pci/drivers"

static int lab(void **s)
{
	(void)s;
	fake_reset();
	fake_zoo_lab();
	return 0;
}

static const char *text_of(const char *path)
{
	static char text[2048];
	ssize_t n = sys_read_text(path, text, sizeof(text));
	assert_true(n >= 0);
	return text;
}

static const char *link_of(const char *path)
{
	static char text[128];
	assert_int_equal(sys_readlink_base(path, text, sizeof(text)), 0);
	return text;
}

static void test_attributes_are_as_sysfs_writes_them(void **s)
{
	(void)s;
	assert_string_equal(text_of(DEV "/vendor"), "0x8086");
	assert_string_equal(text_of(DEV "/class"), "0x020000");
	assert_string_equal(text_of(DEV "/driver_override"), "(null)");
	assert_string_equal(link_of(DEV "/driver"), "e1000e");
	assert_string_equal(link_of(DEV "/iommu_group"), "14");
	assert_string_equal(text_of("/sys/kernel/iommu_groups/14/type"), "DMA");
	assert_non_null(strstr(text_of("/sys/kernel/iommu_groups/14/reserved_regions"),
			       "0x00000000fee00000 0x00000000feefffff msi"));
	assert_string_equal(text_of(DEV "/reset_method"), "flr pm");
	const char *lines = text_of(DEV "/resource");
	assert_non_null(strstr(lines, "0x0000000000040200\n"));
	assert_int_equal(sys->access("/sys/bus/pci/devices/0000:02:00.0/reset", F_OK), -ENOENT);
}

static void test_config_file_is_the_device(void **s)
{
	(void)s;
	uint8_t cfg[64];
	int fd = sys_open(DEV "/config", O_RDONLY, 0);
	assert_int_equal(sys_pread(fd, cfg, 64, 0), 64);
	assert_int_equal(cfg[0] | cfg[1] << 8, 0x8086);
	assert_int_equal(sys_pread(fd, cfg, 4, 4094), 2);
	sys_close(fd);
	fd = sys_open("/sys/bus/pci/devices/0000:00:04.0/config", O_RDONLY, 0);
	assert_int_equal(sys_pread(fd, cfg, 4, 256), 0); /* conventional */
	sys_close(fd);
}

static void test_links_lead_everywhere_and_back(void **s)
{
	(void)s;
	struct stat st;
	assert_int_equal(sys->stat("/sys/kernel/iommu_groups/15/devices/0000:05:00.1/vendor", &st),
			 0);
	assert_int_equal(sys->stat(DRV "/e1000e/0000:03:00.0/driver/0000:03:00.0/class", &st), 0);
	assert_int_equal(sys->stat(DEV "/subsystem/devices/0000:03:00.0", &st), 0);
	assert_int_equal(sys->stat(DEV "/iommu_group/devices/0000:03:00.0", &st), 0);
	assert_int_equal(sys->stat(DEV "/../config", &st), 0); /* the bridge above */
}

static void test_override_probe_binds_vfio(void **s)
{
	(void)s;
	assert_int_equal(sys_write_text(DEV "/driver_override", "vfio-pci"), 0);
	assert_int_equal(sys_write_text(DRV "/vfio-pci/bind", "0000:03:00.0"), -EBUSY);
	assert_int_equal(sys_write_text(DRV "/e1000e/unbind", "0000:03:00.0"), 0);
	assert_int_equal(sys->access("/dev/vfio/14", F_OK), -ENOENT);
	assert_int_equal(sys_write_text("/sys/bus/pci/drivers_probe", "0000:03:00.0"), 0);
	assert_string_equal(link_of(DEV "/driver"), "vfio-pci");
	assert_int_equal(sys->access("/dev/vfio/14", F_OK), 0);
	assert_int_equal(fake_leaks(NULL), 2); /* the binding and the override */
	/* and back */
	assert_int_equal(sys_write_text(DEV "/driver_override", "\n"), 0);
	assert_int_equal(sys_write_text(DRV "/vfio-pci/unbind", "0000:03:00.0"), 0);
	assert_int_equal(sys_write_text("/sys/bus/pci/drivers_probe", "0000:03:00.0"), 0);
	assert_string_equal(fake_dev_driver(fake_dev_find("0000:03:00.0")), "e1000e");
	fake_assert_clean();
}

static void test_empty_write_does_not_clear_the_override(void **s)
{
	(void)s;
	assert_int_equal(sys_write_text(DEV "/driver_override", "vfio-pci"), 0);
	assert_int_equal(sys_write_text(DEV "/driver_override", ""), 0);
	assert_string_equal(text_of(DEV "/driver_override"), "vfio-pci");
	assert_int_equal(sys_write_text(DEV "/driver_override", "\n"), 0);
	assert_string_equal(text_of(DEV "/driver_override"), "(null)");
}

static void test_probe_succeeds_though_nobody_claims(void **s)
{
	(void)s;
	assert_int_equal(sys_write_text(DEV "/driver_override", "nosuch"), 0);
	assert_int_equal(sys_write_text(DRV "/e1000e/unbind", "0000:03:00.0\n"), 0);
	assert_int_equal(sys_write_text("/sys/bus/pci/drivers_probe", "0000:03:00.0"), 0);
	char buf[8];
	assert_int_equal(sys->readlink(DEV "/driver", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(sys_write_text("/sys/bus/pci/drivers_probe", "0000:77:00.0"), -ENODEV);
}

static void test_bind_and_unbind_of_the_wrong_driver(void **s)
{
	(void)s;
	assert_int_equal(sys_write_text(DRV "/nvme/unbind", "0000:03:00.0"), -ENODEV);
	assert_int_equal(sys_write_text(DRV "/nvme/bind", "0000:03:00.0"), -ENODEV);
	assert_int_equal(sys_write_text(DRV "/vfio-pci/bind", "0000:03:00.0"), -ENODEV);
	assert_int_equal(sys_write_text(DRV "/none/bind", "0000:03:00.0"), -ENOENT);
}

static void test_probe_failure_leaves_unbound(void **s)
{
	(void)s;
	fake_driver_set("vfio-pci", EINVAL, true);
	assert_int_equal(sys_write_text(DEV "/driver_override", "vfio-pci"), 0);
	assert_int_equal(sys_write_text(DRV "/e1000e/unbind", "0000:03:00.0"), 0);
	assert_int_equal(sys_write_text(DRV "/vfio-pci/bind", "0000:03:00.0"), -EINVAL);
	assert_int_equal(sys_write_text("/sys/bus/pci/drivers_probe", "0000:03:00.0"), 0);
	assert_string_equal(fake_dev_driver(fake_dev_find("0000:03:00.0")), "");
}

static void test_bridges_are_not_for_vfio(void **s)
{
	(void)s;
	const char *bridge = "0000:00:1c.2";
	assert_int_equal(
		sys_write_text("/sys/bus/pci/devices/0000:00:1c.2/driver_override", "vfio-pci"), 0);
	assert_int_equal(sys_write_text(DRV "/pcieport/unbind", bridge), 0);
	assert_int_equal(sys_write_text(DRV "/vfio-pci/bind", bridge), -EINVAL);
}

static void test_new_id_is_a_finding(void **s)
{
	(void)s;
	assert_true(sys_write_text(DRV "/vfio-pci/new_id", "8086 10d3") < 0);
	assert_true(fake_violated("new_id"));
}

static void test_disk_goes_with_its_driver(void **s)
{
	(void)s;
	struct stat st;
	struct fake_dev *nvme = fake_dev_find("0000:01:00.0");
	fake_dev_add_block(nvme, "nvme0n1", "/data", true);
	assert_int_equal(sys->stat("/sys/class/block/nvme0n1/size", &st), 0);
	assert_string_equal(link_of("/sys/class/block/nvme0n1/device"), "0000:01:00.0");
	assert_non_null(strstr(text_of("/proc/mounts"), "/dev/nvme0n1 /data"));
	assert_non_null(strstr(text_of("/proc/swaps"), "/dev/nvme0n1"));
	fake_dev_bind(nvme, "vfio-pci");
	assert_int_equal(sys->stat("/sys/class/block/nvme0n1", &st), -ENOENT);
	fake_dev_bind(nvme, "nvme");
	assert_int_equal(sys->stat("/sys/class/block/nvme0n1", &st), 0);
	fake_dev_add_net(fake_dev_find("0000:03:00.0"), "eth0", true);
	assert_non_null(strstr(text_of("/proc/net/route"), "eth0\t00000000"));
}

static void test_removed_device_leaves_sysfs(void **s)
{
	(void)s;
	struct stat st;
	fake_dev_remove(fake_dev_find("0000:03:00.0"));
	assert_int_equal(sys->stat(DEV, &st), -ENOENT);
	assert_int_equal(sys->stat("/sys/kernel/iommu_groups/14/devices/0000:03:00.0", &st),
			 -ENOENT);
	assert_null(fake_dev_find("0000:03:00.0"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_attributes_are_as_sysfs_writes_them, lab),
		cmocka_unit_test_setup(test_config_file_is_the_device, lab),
		cmocka_unit_test_setup(test_links_lead_everywhere_and_back, lab),
		cmocka_unit_test_setup(test_override_probe_binds_vfio, lab),
		cmocka_unit_test_setup(test_empty_write_does_not_clear_the_override, lab),
		cmocka_unit_test_setup(test_probe_succeeds_though_nobody_claims, lab),
		cmocka_unit_test_setup(test_bind_and_unbind_of_the_wrong_driver, lab),
		cmocka_unit_test_setup(test_probe_failure_leaves_unbound, lab),
		cmocka_unit_test_setup(test_bridges_are_not_for_vfio, lab),
		cmocka_unit_test_setup(test_new_id_is_a_finding, lab),
		cmocka_unit_test_setup(test_disk_goes_with_its_driver, lab),
		cmocka_unit_test_setup(test_removed_device_leaves_sysfs, lab),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
