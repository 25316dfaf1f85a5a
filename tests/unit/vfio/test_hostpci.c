// SPDX-License-Identifier: GPL-2.0-or-later
//
// The host inventory out of a captured sysfs: every field, what stands for "unknown", lists,
// groups, and the sentence for an address that is not there.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/vfio/tree.h"

static int begin(void **state)
{
	(void)state;
	tree_begin();
	return 0;
}

static int end(void **state)
{
	(void)state;
	tree_end();
	return 0;
}

static struct hostpci_dev read_ok(const char *at)
{
	struct bdf b = tree_bdf(at);
	struct hostpci_dev d;
	struct verr err = { .code = 0 };
	assert_int_equal(hostpci_read(&b, &d, &err), 0);
	assert_int_equal(err.code, 0);
	return d;
}

static void test_every_field_is_read(void **state)
{
	(void)state;
	tree_add_nic("e1000e");
	tree_attr("0000:03:00.0", "subsystem_vendor", "0x15d9\n");
	tree_attr("0000:03:00.0", "subsystem_device", "0x0001\n");
	tree_attr("0000:03:00.0", "numa_node", "1\n");
	tree_attr("0000:03:00.0", "driver_override", "vfio-pci\n");
	struct hostpci_dev d = read_ok("0000:03:00.0");
	assert_int_equal(d.at.bus, 3);
	assert_int_equal(d.vendor, 0x8086);
	assert_int_equal(d.device, 0x10d3);
	assert_int_equal(d.subvendor, 0x15d9);
	assert_int_equal(d.subdevice, 1);
	assert_int_equal(d.class_code, 0x020000);
	assert_int_equal(d.revision, 3);
	assert_int_equal(d.header_type, 0);
	assert_string_equal(d.driver, "e1000e");
	assert_string_equal(d.driver_override, "vfio-pci");
	assert_int_equal(d.group, 14);
	assert_int_equal(d.numa_node, 1);
	assert_string_equal(d.reset_method, "flr bus");
	assert_string_equal(d.power_state, "D0");
	assert_false(d.is_vf);
	assert_false(d.boot_vga);
}

static void test_unknowns_have_their_values(void **state)
{
	(void)state;
	tree_file("/sys/bus/pci/devices/0000:00:02.0/vendor", "0x1234\n");
	tree_file("/sys/bus/pci/devices/0000:00:02.0/class", "0x060400\n");
	struct hostpci_dev d = read_ok("0000:00:02.0");
	assert_string_equal(d.driver, "");
	assert_string_equal(d.driver_override, "");
	assert_int_equal(d.group, HOSTPCI_NO_GROUP);
	assert_int_equal(d.numa_node, -1);
	assert_string_equal(d.reset_method, "");
	assert_string_equal(d.power_state, "unknown");
	/* no config to read: the class says it is a bridge */
	assert_int_equal(d.header_type, 1);
}

static void test_null_override_is_none(void **state)
{
	(void)state;
	tree_add_nic(NULL);
	assert_string_equal(read_ok("0000:03:00.0").driver_override, "");
}

static void test_multifunction_bit_is_not_header_type(void **state)
{
	(void)state;
	tree_add(&(struct tree_dev){ "0000:05:00.0", NULL, 15, 0x10de, 0x1b80, 0x030000, 0x80 });
	assert_int_equal(read_ok("0000:05:00.0").header_type, 0);
}

static void test_all_ones_config_falls_back_to_class(void **state)
{
	(void)state;
	unsigned char ones[64];
	memset(ones, 0xff, sizeof(ones));
	tree_add(&(struct tree_dev){ "0000:05:00.0", NULL, 15, 0x10de, 0x1b80, 0x030000, 1 });
	tree_bytes("/sys/bus/pci/devices/0000:05:00.0/config", ones, sizeof(ones));
	assert_int_equal(read_ok("0000:05:00.0").header_type, 0);
	struct bdf b = tree_bdf("0000:05:00.0");
	assert_int_equal(hostpci_vendor_now(&b), 0xffff);
}

static void test_vf_and_boot_display(void **state)
{
	(void)state;
	tree_add_nic(NULL);
	tree_attr("0000:03:00.0", "boot_vga", "1\n");
	tree_link("/sys/bus/pci/devices/0000:03:00.0/physfn", "../0000:02:00.0");
	struct hostpci_dev d = read_ok("0000:03:00.0");
	assert_true(d.is_vf);
	assert_true(d.boot_vga);
}

static void test_absent_function_names_neighbours(void **state)
{
	(void)state;
	struct bdf at = tree_bdf("0000:03:00.1");
	struct hostpci_dev d;
	memset(&d, 0x5a, sizeof(d));
	struct verr err = { .code = 0 };
	tree_add_nic("e1000e");
	assert_int_equal(hostpci_read(&at, &d, &err), -ENODEV);
	assert_string_equal(err.msg,
			    "there is no PCI function 0000:03:00.1 (the nearest is 0000:03:00.0)");
	assert_int_equal(d.vendor, 0x5a5a); /* untouched */

	tree_add(&(struct tree_dev){ "0000:05:00.0", NULL, 15, 0x10de, 0x1b80, 0x030000, 0 });
	verr_clear(&err);
	assert_int_equal(hostpci_read(&at, &d, &err), -ENODEV);
	assert_string_equal(err.msg, "there is no PCI function 0000:03:00.1 (the nearest are "
				     "0000:03:00.0 and 0000:05:00.0)");
	assert_int_equal(hostpci_read(&at, &d, NULL), -ENODEV);
}

static void test_absent_function_without_any_bus(void **state)
{
	(void)state;
	struct bdf at = tree_bdf("0000:03:00.1");
	struct hostpci_dev d;
	struct verr err = { .code = 0 };
	assert_int_equal(hostpci_read(&at, &d, &err), -ENODEV);
	assert_string_equal(err.msg, "there is no PCI function 0000:03:00.1");
}

static void test_list_is_sorted_and_skips_foreign_names(void **state)
{
	(void)state;
	struct hostpci_dev *v;
	tree_add(&(struct tree_dev){ "0000:05:00.1", NULL, 15, 0x10de, 0x10f0, 0x040300, 0 });
	tree_add_nic("e1000e");
	tree_add(&(struct tree_dev){ "0000:05:00.0", NULL, 15, 0x10de, 0x1b80, 0x030000, 0 });
	tree_dir("/sys/bus/pci/devices/10000:e1:00.0"); /* a segment beyond 16 bits */
	int n = hostpci_list(&v, NULL);
	assert_int_equal(n, 3);
	assert_int_equal(v[0].device, 0x10d3);
	assert_int_equal(v[1].device, 0x1b80);
	assert_int_equal(v[2].device, 0x10f0);
	free(v);
}

static void test_group_members(void **state)
{
	(void)state;
	struct hostpci_dev *v;
	struct verr err = { .code = 0 };
	tree_add(&(struct tree_dev){ "0000:05:00.1", NULL, 15, 0x10de, 0x10f0, 0x040300, 0 });
	tree_add(&(struct tree_dev){ "0000:05:00.0", NULL, 15, 0x10de, 0x1b80, 0x030000, 0 });
	tree_add_nic("e1000e");
	assert_int_equal(hostpci_group(15, &v, &err), 2);
	assert_int_equal(v[0].at.fn, 0);
	assert_int_equal(v[1].at.fn, 1);
	free(v);
	v = NULL;
	assert_int_equal(hostpci_group(16, &v, &err), -ENOENT);
	assert_string_equal(err.msg, "there is no IOMMU group 16");
	assert_null(v);
}

static void test_list_without_sysfs(void **state)
{
	(void)state;
	struct hostpci_dev *v;
	struct verr err = { .code = 0 };
	char expect[256];
	assert_int_equal(hostpci_list(&v, &err), -ENOENT);
	snprintf(expect, sizeof(expect),
		 "can't list PCI functions in %s/sys/bus/pci/devices: "
		 "No such file or directory",
		 tree_root);
	assert_string_equal(err.msg, expect);
}

static void test_path_gets_root_or_nothing(void **state)
{
	(void)state;
	char buf[64], small[8];
	hostpci_set_root("/tmp/x");
	assert_string_equal(hostpci_path(buf, sizeof(buf), "/sys/%d", 7), "/tmp/x/sys/7");
	assert_string_equal(hostpci_path(small, sizeof(small), "/sys/%d", 7), "");
	hostpci_set_root("");
	assert_string_equal(hostpci_path(small, sizeof(small), "/sys/%d", 7), "/sys/7");
	hostpci_set_root(tree_root);
}

/* The database may be missing on a build machine: then names are made of numbers. */
static void test_names_come_from_the_database(void **state)
{
	(void)state;
	struct hostpci_dev d = { .vendor = 0x8086, .device = 0x10d3 };
	char buf[128], tiny[6];
	hostpci_name(&d, buf, sizeof(buf));
	assert_true(strstr(buf, "Intel") || strstr(buf, "8086"));
	hostpci_class_name(0x020000, buf, sizeof(buf));
	assert_true(strstr(buf, "Ethernet controller") || strstr(buf, "0200"));
	hostpci_name(&d, tiny, sizeof(tiny));
	assert_int_equal(strlen(tiny), 5);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_every_field_is_read),
		T(test_unknowns_have_their_values),
		T(test_null_override_is_none),
		T(test_multifunction_bit_is_not_header_type),
		T(test_all_ones_config_falls_back_to_class),
		T(test_vf_and_boot_display),
		T(test_absent_function_names_neighbours),
		T(test_absent_function_without_any_bus),
		T(test_list_is_sorted_and_skips_foreign_names),
		T(test_group_members),
		T(test_list_without_sysfs),
		T(test_path_gets_root_or_nothing),
		T(test_names_come_from_the_database),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
