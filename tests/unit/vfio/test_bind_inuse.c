// SPDX-License-Identifier: GPL-2.0-or-later
//
// What counts as use of a function, found in captured sysfs and procfs: disks and all that is
// stacked on them, the way to the network, the screen, shared folders; and that doubt counts as
// use.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/sys.h"
#include "tests/unit/vfio/tree.h"
#include "vfio/bind.h"
#include "vfio/bind_int.h"

#define DISK "0000:01:00.0"
#define NIC  "0000:03:00.0"

static struct sys_ops ops;
static const char *broken;  /* opening or listing this fails with EIO */
static const char *claimed; /* opening this exclusively fails with EBUSY */

static bool is(const char *path, const char *what)
{
	return what && strcmp(path + strlen(tree_root), what) == 0;
}

static int my_open(const char *path, int flags, mode_t mode)
{
	if (is(path, broken))
		return -EIO;
	if (is(path, claimed) && (flags & O_EXCL))
		return -EBUSY;
	return sys_linux.open(path, flags, mode);
}

static int my_listdir(const char *path, int (*each)(void *, const char *), void *opaque)
{
	return is(path, broken) ? -EIO : sys_linux.listdir(path, each, opaque);
}

/* "nvme0n1" with its partition "nvme0n1p2", unused; one other disk, in use. */
static void add_disk(void)
{
	tree_add(&(struct tree_dev){ DISK, "nvme", 12, 0x1b36, 0x0010, 0x010802, 0 });
	tree_link("/sys/class/block/nvme0n1",
		  "../../devices/pci0000:00/0000:00:1c.0/" DISK "/nvme/nvme0/nvme0n1");
	tree_link("/sys/class/block/nvme0n1p2",
		  "../../devices/pci0000:00/0000:00:1c.0/" DISK "/nvme/nvme0/nvme0n1/nvme0n1p2");
	/* The links must lead somewhere: what is behind them is read. */
	tree_file("/sys/devices/pci0000:00/0000:00:1c.0/" DISK "/nvme/nvme0/nvme0n1/dev",
		  "259:0\n");
	tree_file("/sys/devices/pci0000:00/0000:00:1c.0/" DISK "/nvme/nvme0/nvme0n1/nvme0n1p2/dev",
		  "259:2\n");
	tree_dir("/sys/devices/pci0000:00/0000:00:1c.0/" DISK
		 "/nvme/nvme0/nvme0n1/nvme0n1p2/holders");
	tree_link("/sys/class/block/vda",
		  "../../devices/pci0000:00/0000:00:05.0/virtio2/block/vda");
	tree_file("/sys/devices/pci0000:00/0000:00:05.0/virtio2/block/vda/dev", "254:0\n");
	tree_file("/proc/self/mountinfo", "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n");
	tree_file("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n");
}

static void add_nic(void)
{
	tree_add_nic("e1000e");
	tree_link("/sys/class/net/eth0", "../../devices/pci0000:00/0000:00:1c.2/" NIC "/net/eth0");
	tree_file("/sys/devices/pci0000:00/0000:00:1c.2/" NIC "/net/eth0/flags", "0x1002\n");
	tree_link("/sys/class/net/lo", "../../devices/virtual/net/lo");
	tree_file("/sys/devices/virtual/net/lo/flags", "0x9\n");
	tree_file("/proc/net/route",
		  "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t"
		  "\tMTU\tWindow\tIRTT\n");
}

static int begin(void **state)
{
	(void)state;
	tree_begin();
	broken = claimed = NULL;
	ops = sys_linux;
	ops.open = my_open;
	ops.listdir = my_listdir;
	sys = &ops;
	add_disk();
	add_nic();
	return 0;
}

static int end(void **state)
{
	(void)state;
	sys = &sys_linux;
	tree_end();
	return 0;
}

static void expect_use(const char *at, const char *phrase)
{
	char why[256] = "";
	struct bdf b = tree_bdf(at);
	assert_true(bind_in_use(&b, why, sizeof(why)));
	assert_string_equal(why, phrase);
}

static void expect_free(const char *at)
{
	char why[256] = "";
	struct bdf b = tree_bdf(at);
	if (bind_in_use(&b, why, sizeof(why)))
		fail_msg("%s", why);
}

static void test_idle_functions_are_free(void **state)
{
	(void)state;
	expect_free(DISK);
	expect_free(NIC);
	expect_free("0000:07:00.0"); /* nothing known of it at all */
}

/* --- disks ----------------------------------------------------------------------------------- */

static void mount_on(const char *line)
{
	char text[512];
	snprintf(text, sizeof(text), "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n%s\n", line);
	tree_file("/proc/self/mountinfo", text);
}

static void test_mounted_partition(void **state)
{
	(void)state;
	mount_on("36 22 259:2 / /home rw,noatime shared:1 - ext4 /dev/nvme0n1p2 rw");
	expect_use(DISK, "/dev/nvme0n1p2 is mounted on /home");
	expect_free(NIC);
}

static void test_mounted_whole_disk_with_spaces(void **state)
{
	(void)state;
	mount_on("36 22 259:0 / /mnt/my\\040disk rw - xfs /dev/nvme0n1 rw");
	expect_use(DISK, "/dev/nvme0n1 is mounted on /mnt/my disk");
}

/* The root file system's source may be a name that exists nowhere. */
static void test_mount_is_known_by_number(void **state)
{
	(void)state;
	tree_file("/proc/self/mountinfo", "22 1 259:2 / / rw,relatime - ext4 /dev/root rw\n");
	expect_use(DISK, "/dev/nvme0n1p2 is mounted on /");
}

static void test_mount_in_first_process_namespace(void **state)
{
	(void)state;
	tree_file("/proc/1/mountinfo", "36 22 259:2 / /srv rw - ext4 /dev/nvme0n1p2 rw\n");
	expect_use(DISK, "/dev/nvme0n1p2 is mounted on /srv");
}

static void test_mounts_file_serves_where_mountinfo_is_missing(void **state)
{
	(void)state;
	tree_remove("/proc/self/mountinfo");
	tree_file("/proc/mounts", "/dev/vda / ext4 rw 0 0\n/dev/nvme0n1p2 /home ext4 rw 0 0\n");
	expect_use(DISK, "/dev/nvme0n1p2 is mounted on /home");
}

static void test_swap(void **state)
{
	(void)state;
	tree_file("/proc/swaps", "Filename\tType\tSize\tUsed\tPriority\n"
				 "/dev/nvme0n1p2 partition 8388604 0 -2\n");
	expect_use(DISK, "/dev/nvme0n1p2 is swap space");
}

static void add_virtual(const char *name, const char *dev)
{
	char path[256], target[256];
	snprintf(path, sizeof(path), "/sys/devices/virtual/block/%s/dev", name);
	tree_file(path, dev);
	snprintf(path, sizeof(path), "/sys/class/block/%s", name);
	snprintf(target, sizeof(target), "../../devices/virtual/block/%s", name);
	tree_link(path, target);
}

/* md on the partition, a partition of that md, LVM on it, the file system on that. */
static void test_mounted_through_md_and_lvm(void **state)
{
	(void)state;
	add_virtual("md0", "9:0\n");
	add_virtual("dm-0", "253:0\n");
	tree_link("/sys/class/block/md0p1", "../../devices/virtual/block/md0/md0p1");
	tree_file("/sys/devices/virtual/block/md0/md0p1/dev", "259:9\n");
	tree_dir("/sys/devices/virtual/block/md0/md0p1/holders/dm-0");
	mount_on("36 22 253:0 / /data rw - ext4 /dev/mapper/vg-data rw");
	expect_free(DISK);
	tree_dir("/sys/devices/pci0000:00/0000:00:1c.0/" DISK
		 "/nvme/nvme0/nvme0n1/nvme0n1p2/holders/md0");
	expect_use(DISK, "/dev/dm-0 is mounted on /data");
}

static void test_mounted_through_loop(void **state)
{
	(void)state;
	add_virtual("loop0", "7:0\n");
	tree_file("/sys/devices/virtual/block/loop0/loop/backing_file", "/var/image\n");
	mount_on("36 22 7:0 / /mnt rw - ext4 /dev/loop0 rw");
	expect_free(DISK);
	tree_file("/sys/devices/virtual/block/loop0/loop/backing_file", "/dev/nvme0n1\n");
	expect_use(DISK, "/dev/loop0 is mounted on /mnt");
}

static void test_multipath_namespace(void **state)
{
	(void)state;
	tree_remove("/sys/class/block/nvme0n1");
	tree_remove("/sys/class/block/nvme0n1p2");
	tree_link("/sys/class/block/nvme0n1",
		  "../../devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1");
	tree_file("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1/dev", "259:0\n");
	tree_link("/sys/class/nvme-subsystem/nvme-subsys0",
		  "../../devices/virtual/nvme-subsystem/nvme-subsys0");
	mount_on("36 22 259:0 / /home rw - ext4 /dev/nvme0n1 rw");
	expect_free(DISK);
	tree_link("/sys/devices/virtual/nvme-subsystem/nvme-subsys0/nvme0",
		  "../../../pci0000:00/0000:00:1c.0/" DISK "/nvme/nvme0");
	expect_use(DISK, "/dev/nvme0n1 is mounted on /home");
}

static void test_btrfs_member(void **state)
{
	(void)state;
	mount_on("36 22 0:44 / /pool rw - btrfs /dev/vda rw");
	tree_dir("/sys/fs/btrfs/features");
	tree_dir("/sys/fs/btrfs/0f1e-2d3c/devices/nvme0n1p2");
	expect_use(DISK, "/dev/nvme0n1p2 belongs to the mounted btrfs 0f1e-2d3c");
}

static void test_exclusive_claim(void **state)
{
	(void)state;
	tree_file("/dev/nvme0n1", "");
	expect_free(DISK);
	claimed = "/dev/nvme0n1";
	expect_use(DISK, "/dev/nvme0n1 is claimed by something (a storage pool, or a program that "
			 "has it open for itself)");
}

static void test_shared_folders(void **state)
{
	(void)state;
	tree_link("/sys/bus/virtio/devices/virtio0", "../../../devices/pci0000:00/" NIC "/virtio0");
	tree_file("/sys/devices/pci0000:00/" NIC "/virtio0/mount_tag", "hostroot\n");
	mount_on("36 22 0:40 / /host ro - 9p other ro");
	expect_free(NIC);
	mount_on("36 22 0:40 / /host ro - 9p hostroot ro");
	expect_use(NIC, "its 9p share is mounted on /host");
	tree_remove("/sys/devices/pci0000:00/" NIC "/virtio0/mount_tag");
	tree_link("/sys/devices/pci0000:00/" NIC "/virtio0/driver",
		  "../../../../bus/virtio/drivers/virtiofs");
	mount_on("36 22 0:40 / /host rw - virtiofs share rw");
	expect_use(NIC, "its virtiofs share is mounted on /host");
}

/* --- network --------------------------------------------------------------------------------- */

#define ROUTE_HEAD                                                                                 \
	"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"

static void test_default_route(void **state)
{
	(void)state;
	tree_file("/proc/net/route",
		  ROUTE_HEAD "eth0\t0002000A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n");
	expect_free(NIC); /* a route, but not the default one */
	tree_file("/proc/net/route",
		  ROUTE_HEAD "eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
	expect_use(NIC, "the default route goes over eth0");
	expect_free(DISK);
	tree_file("/proc/net/route", /* RTF_REJECT: "unreachable default" */
		  ROUTE_HEAD "eth0\t00000000\t00000000\t0201\t0\t0\t0\t00000000\t0\t0\t0\n");
	expect_free(NIC);
	tree_file("/proc/net/route", /* half of everything is not everything */
		  ROUTE_HEAD "eth0\t00000000\t0202000A\t0003\t0\t0\t0\t00000080\t0\t0\t0\n");
	expect_free(NIC);
}

static void test_default_route_v6(void **state)
{
	(void)state;
	tree_file(
		"/proc/net/ipv6_route",
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
		"00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo\n"
		"fe800000000000000000000000000000 40 00000000000000000000000000000000 00 "
		"00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0\n");
	expect_free(NIC);
	tree_file(
		"/proc/net/ipv6_route",
		"00000000000000000000000000000000 00 00000000000000000000000000000000 00 "
		"fe800000000000000000000000000001 00000400 00000002 00000000 00000003     eth0\n");
	expect_use(NIC, "the IPv6 default route goes over eth0");
}

static void test_default_route_over_bond_and_bridge(void **state)
{
	(void)state;
	tree_link("/sys/devices/pci0000:00/0000:00:1c.2/" NIC "/net/eth0/upper_bond0",
		  "../../../../../virtual/net/bond0");
	tree_link("/sys/class/net/bond0", "../../devices/virtual/net/bond0");
	tree_link("/sys/devices/virtual/net/bond0/upper_br0", "../br0");
	tree_file("/proc/net/route",
		  ROUTE_HEAD "br0\t00000000\t0202000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
	expect_use(NIC, "the default route goes over br0, which uses eth0");
}

static void test_interface_up_is_no_use(void **state)
{
	(void)state;
	char name[32] = "";
	struct bdf b = tree_bdf(NIC);
	assert_false(bind_interface_up(&b, name, sizeof(name)));
	tree_file("/sys/devices/pci0000:00/0000:00:1c.2/" NIC "/net/eth0/flags", "0x1003\n");
	assert_true(bind_interface_up(&b, name, sizeof(name)));
	assert_string_equal(name, "eth0");
	expect_free(NIC);
}

/* --- screen ---------------------------------------------------------------------------------- */

static void test_boot_display(void **state)
{
	(void)state;
	tree_attr(NIC, "boot_vga", "1\n");
	expect_use(NIC, "it is the boot display, the host's console");
}

static void test_console_frame_buffer(void **state)
{
	(void)state;
	tree_link("/sys/class/graphics/fb0", "../../devices/pci0000:00/" NIC "/graphics/fb0");
	tree_link("/sys/class/graphics/fbcon", "../../devices/virtual/graphics/fbcon");
	tree_file("/sys/class/vtconsole/vtcon0/name", "(S) dummy device\n");
	tree_file("/sys/class/vtconsole/vtcon0/bind", "1\n");
	tree_file("/sys/class/vtconsole/vtcon1/name", "(M) frame buffer device\n");
	tree_file("/sys/class/vtconsole/vtcon1/bind", "0\n");
	expect_free(NIC); /* a frame buffer nobody looks at */
	tree_file("/sys/class/vtconsole/vtcon1/bind", "1\n");
	expect_use(NIC, "the host's console is on its frame buffer fb0");
	expect_free(DISK);
}

/* --- doubt ----------------------------------------------------------------------------------- */

static void test_what_cant_be_told_counts_as_use(void **state)
{
	(void)state;
	static const struct {
		const char *path, *at, *phrase;
	} cases[] = {
		{ "/sys/class/block", DISK,
		  "whether it is a disk in use can't be told: Input/output error" },
		{ "/proc/self/mountinfo", DISK,
		  "whether it is mounted can't be told: "
		  "/proc/self/mountinfo: Input/output error" },
		{ "/proc/swaps", DISK,
		  "whether it is mounted can't be told: /proc/swaps: Input/output error" },
		{ "/sys/class/net", NIC,
		  "whether a network interface uses it can't be told: Input/output error" },
		{ "/proc/net/route", NIC,
		  "whether the default route goes over eth0 can't be told: "
		  "/proc/net/route: Input/output error" },
		{ "/sys/class/graphics", NIC,
		  "whether the console is on it can't be told: Input/output error" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		broken = cases[i].path;
		expect_use(cases[i].at, cases[i].phrase);
	}
}

/* What a kernel simply does not have is no doubt. */
static void test_missing_subsystems(void **state)
{
	(void)state;
	tree_remove("/proc/swaps");
	tree_remove("/proc/net/route");
	expect_free(DISK);
	expect_free(NIC);
	tree_remove("/sys/class/block");
	tree_remove("/sys/class/net");
	expect_free(DISK);
	expect_free(NIC);
}

/* --- giving back ----------------------------------------------------------------------------- */

/* Unbinding vfio-pci from under a running machine would wait for that machine. */
static void test_restore_of_a_held_function(void **state)
{
	(void)state;
	struct bdf b = tree_bdf(NIC);
	struct bind_opts o = { .dry_run = true };
	struct verr err = { .code = 0 };
	char text[256];
	tree_driver(NIC, "vfio-pci");
	tree_dir("/sys/bus/pci/drivers/e1000e");
	tree_file(BIND_JOURNAL_DIR "/bind-" NIC,
		  "vfio-bind journal 1\nfunction " NIC "\ndriver e1000e\nmodule e1000e\n"
		  "override \nboot unknown\nstep bound\nend\n");
	assert_int_equal(bind_restore(&b, 1, &o, &err), 1);
	tree_link("/proc/4711/fd/3", "/dev/vfio/14");
	tree_file("/proc/4711/comm", "vfio-vmm\n");
	assert_int_equal(bind_restore(&b, 1, &o, &err), -EBUSY);
	assert_string_equal(err.msg, "0000:03:00.0 is in use by vfio-vmm (pid 4711) (stop it, or "
				     "insist with --force-in-use)");
	o.force_in_use = true;
	o.out = fmemopen(text, sizeof(text), "w");
	assert_int_equal(bind_restore(&b, 1, &o, NULL), 1);
	fclose(o.out);
	assert_int_equal(
		strncmp(text, "warning: 0000:03:00.0 is in use by vfio-vmm (pid 4711)\n", 55), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_idle_functions_are_free),
		T(test_mounted_partition),
		T(test_mounted_whole_disk_with_spaces),
		T(test_mount_is_known_by_number),
		T(test_mount_in_first_process_namespace),
		T(test_mounts_file_serves_where_mountinfo_is_missing),
		T(test_swap),
		T(test_mounted_through_md_and_lvm),
		T(test_mounted_through_loop),
		T(test_multipath_namespace),
		T(test_btrfs_member),
		T(test_exclusive_claim),
		T(test_shared_folders),
		T(test_default_route),
		T(test_default_route_v6),
		T(test_default_route_over_bond_and_bridge),
		T(test_interface_up_is_no_use),
		T(test_boot_display),
		T(test_console_frame_buffer),
		T(test_what_cant_be_told_counts_as_use),
		T(test_missing_subsystems),
		T(test_restore_of_a_held_function),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
