// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight: each sentence and its fix, word for word, and that a healthy machine gets none.
#include "tests/unit/vfio/preflightrig.h"

static void test_healthy_machine(void **state)
{
	(void)state;
	struct preflight p = run();
	struct verr err = { .code = 0 };
	for (unsigned int i = 0; i < p.n; i++) {
		if (p.v[i].level != VERDICT_OK)
			fail_msg("%s: %s", p.v[i].check, p.v[i].text);
	}
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	assert_int_equal(preflight_error(&p, &err), 0);
	assert_int_equal(err.code, 0);
	assert_int_equal(p.n, 18);
	preflight_fini(&p);
	preflight_fini(&p); /* harmless */
}

static void test_printing(void **state)
{
	(void)state;
	char *text = NULL;
	size_t size;
	tree_driver(NIC, "e1000e");
	struct preflight p = run();
	FILE *f = open_memstream(&text, &size);
	preflight_print(&p, f, false);
	fclose(f);
	assert_string_equal(text, "fail  driver            0000:03:00.0 is bound to e1000e, not to "
				  "vfio-pci; run: vfio-bind 0000:03:00.0\n");
	free(text);
	f = open_memstream(&text, &size);
	preflight_print(&p, f, true);
	fclose(f);
	assert_non_null(strstr(text, "ok    kvm               /dev/kvm can be opened\n"));
	assert_non_null(strstr(text, "ok    iommu             the IOMMU is on: dmar0\n"));
	free(text);
	preflight_fini(&p);
}

static void test_error_is_the_first_failure(void **state)
{
	(void)state;
	struct verr err = { .code = 0 };
	tree_attr(NIC, "reset_method", "\n"); /* a warning is no error */
	tree_driver(NIC, "e1000e");
	struct preflight p = run();
	assert_int_equal(preflight_error(&p, &err), -EINVAL);
	assert_string_equal(err.msg, "0000:03:00.0 is bound to e1000e, not to vfio-pci "
				     "(run: vfio-bind 0000:03:00.0)");
	assert_int_equal(preflight_error(&p, NULL), -EINVAL);
	preflight_fini(&p);
}

static void test_kvm(void **state)
{
	(void)state;
	denied = "/dev/kvm";
	struct preflight p = run();
	assert_int_equal(p.v[0].level, VERDICT_FAIL);
	assert_non_null(strstr(p.v[0].text, "/dev/kvm may not be opened: Permission denied, it "
					    "belongs to "));
	assert_non_null(strstr(p.v[0].fix, "run as root, or"));
	preflight_fini(&p);
	denied = NULL;
	tree_remove("/dev/kvm");
	expect_only(run(), VERDICT_FAIL, "kvm", "/dev/kvm does not exist: KVM is not there",
		    "run: modprobe kvm-intel or kvm-amd; if that fails, switch on VT-x or AMD-V in "
		    "the firmware set-up");
	tree_dir("/dev/kvm");
	expect_only(run(), VERDICT_FAIL, "kvm", "/dev/kvm can't be opened: Is a directory", "");
}

static void test_kvm_is_not_asked_for_without_need(void **state)
{
	(void)state;
	struct preflight p;
	tree_remove("/dev/kvm");
	assert_int_equal(preflight_run(&(struct preflight_request){ .n_bdfs = 0 }, &p), 0);
	assert_int_equal(p.n, 0);
	preflight_fini(&p);
}

/* Groups gone: only the cause is told, not that each function lacks a group. */
static void no_groups(void)
{
	tree_remove("/sys/kernel/iommu_groups");
	tree_remove("/sys/bus/pci/devices/" NIC "/iommu_group");
}

#define NO_IOMMU "no IOMMU is active: /sys/class/iommu and /sys/kernel/iommu_groups are empty"
#define WHERE                                                                                      \
	" the kernel command line (GRUB_CMDLINE_LINUX in /etc/default/grub and update-grub; "      \
	"systemd-boot: the entry's options line) and reboot"

static void test_iommu_off(void **state)
{
	(void)state;
	no_groups();
	tree_remove("/sys/class/iommu/dmar0");
	expect_only(run(), VERDICT_FAIL, "iommu", NO_IOMMU,
		    "switch on VT-d or AMD-Vi (IOMMU) in the firmware set-up; a virtual machine "
		    "needs a virtual IOMMU");
	tree_file("/sys/firmware/acpi/tables/DMAR", "");
	expect_only(run(), VERDICT_FAIL, "iommu", NO_IOMMU, "add intel_iommu=on to" WHERE);
	tree_file("/proc/cmdline", "quiet intel_iommu=off\n");
	expect_only(run(), VERDICT_FAIL, "iommu", NO_IOMMU,
		    "replace iommu=off by intel_iommu=on in" WHERE);
	tree_file("/proc/cmdline", "quiet intel_iommu=on\n");
	expect_only(run(), VERDICT_FAIL, "iommu", NO_IOMMU,
		    "intel_iommu=on is given but has no effect, see: dmesg | grep -i dmar");
	tree_remove("/sys/firmware/acpi/tables/DMAR");
	tree_file("/sys/firmware/acpi/tables/IVRS", "");
	expect_only(run(), VERDICT_FAIL, "iommu", NO_IOMMU, "see why with: dmesg | grep -i amd-vi");
	tree_file("/proc/cmdline", "quiet amd_iommu=off\n");
	expect_only(run(), VERDICT_FAIL, "iommu", NO_IOMMU,
		    "remove iommu=off and amd_iommu=off from" WHERE);
}

/* The command line alone proves nothing: the state of the kernel does. */
static void test_iommu_is_judged_by_its_effect(void **state)
{
	(void)state;
	tree_file("/proc/cmdline", "quiet intel_iommu=off\n");
	struct preflight p = run();
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
	no_groups();
	tree_file("/sys/firmware/acpi/tables/DMAR", "");
	tree_file("/proc/cmdline", "quiet\n");
	expect_only(run(), VERDICT_FAIL, "iommu",
		    "the IOMMU dmar0 is there but translates nothing: "
		    "/sys/kernel/iommu_groups is empty",
		    "add intel_iommu=on to" WHERE);
}

static void test_function_without_group(void **state)
{
	(void)state;
	tree_remove("/sys/bus/pci/devices/" NIC "/iommu_group");
	expect_only(run(), VERDICT_FAIL, "group",
		    "0000:03:00.0 has no IOMMU group: no IOMMU stands "
		    "between it and memory",
		    "");
}

static void test_no_iommu_mode(void **state)
{
	(void)state;
	tree_file("/sys/kernel/iommu_groups/14/name", "vfio-noiommu\n");
	expect_only(run(), VERDICT_FAIL, "group-type",
		    "group 14 is VFIO's no-IOMMU mode: nothing "
		    "would translate a guest's addresses or keep its DMA out of the host",
		    "switch on VT-d or AMD-Vi (IOMMU) in the firmware set-up; a virtual machine "
		    "needs a virtual IOMMU");
}

static void test_interrupt_remapping(void **state)
{
	(void)state;
	tree_file("/proc/interrupts", "  9:   0  IO-APIC   9-fasteoi   acpi\n");
	expect_only(
		run(), VERDICT_WARN, "intr-remapping",
		"no interrupt is remapped: VFIO may refuse the IOMMU group (EPERM)",
		"switch it on in the firmware set-up and remove nointremap or intremap=off from "
		"the kernel command line; or, trusting the guest, run: echo Y > "
		"/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts");
	tree_file("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
	expect_only(run(), VERDICT_WARN, "intr-remapping",
		    "interrupts are not remapped and "
		    "allow_unsafe_interrupts is set: a guest can raise any interrupt on this host",
		    "");
}

static void test_modules(void **state)
{
	(void)state;
	tree_remove("/sys/module/vfio_iommu_type1");
	expect_only(run(), VERDICT_FAIL, "vfio-modules",
		    "the kernel module vfio_iommu_type1 is not "
		    "loaded: /sys/module/vfio_iommu_type1 does not exist",
		    "run: modprobe vfio_iommu_type1");
	tree_file("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "65535\n");
	tree_remove("/dev/vfio/vfio");
	expect_only(run(), VERDICT_FAIL, "vfio-modules",
		    "the kernel module vfio is not loaded: /dev/vfio/vfio does not exist",
		    "run: modprobe vfio-pci");
	tree_file("/dev/vfio/vfio", "");
	tree_remove("/sys/bus/pci/drivers/vfio-pci");
	expect_only(run(), VERDICT_FAIL, "vfio-modules",
		    "the kernel module vfio-pci is not loaded: "
		    "/sys/bus/pci/drivers/vfio-pci does not exist",
		    "run: modprobe vfio-pci");
	tree_dir("/sys/bus/pci/drivers/vfio-pci");
	denied = "/dev/vfio/vfio";
	expect_only(run(), VERDICT_FAIL, "vfio-modules",
		    "/dev/vfio/vfio may not be opened: Permission denied",
		    "run: chmod 0666 /dev/vfio/vfio");
}

static void test_absent_and_twice(void **state)
{
	(void)state;
	struct bdf b[2] = { tree_bdf("0000:04:00.0"), tree_bdf(NIC) };
	expect_only(run_many(b, 1, 0), VERDICT_FAIL, "device",
		    "there is no PCI function 0000:04:00.0 (the nearest is 0000:03:00.0)",
		    "see: lspci -D");
	b[0] = b[1];
	expect_only(run_many(b, 2, 0), VERDICT_FAIL, "twice", "0000:03:00.0 is assigned twice",
		    "name it once");
}

static void test_bridge(void **state)
{
	(void)state;
	struct bdf b = tree_bdf("0000:00:1c.0");
	tree_add(&(struct tree_dev){ "0000:00:1c.0", "pcieport", 3, 0x8086, 0x3420, 0x060400, 1 });
	expect_only(run_many(&b, 1, 0), VERDICT_FAIL, "endpoint",
		    "0000:00:1c.0 is a bridge, which can't be assigned",
		    "name the functions behind it");
}

static void test_dead_function(void **state)
{
	(void)state;
	unsigned char ones[64];
	memset(ones, 0xff, sizeof(ones));
	tree_bytes("/sys/bus/pci/devices/" NIC "/config", ones, sizeof(ones));
	tree_attr(NIC, "power_state", "D3cold\n");
	expect_only(run(), VERDICT_FAIL, "answers",
		    "0000:03:00.0 does not answer: its vendor id reads ffff (power state D3cold)",
		    "run: echo on > /sys/bus/pci/devices/0000:03:00.0/power/control; if it still "
		    "reads ffff, power the machine off and on");
	/* A virtual function reads so in health. */
	tree_link("/sys/bus/pci/devices/" NIC "/physfn", "../0000:02:00.0");
	struct preflight p = run();
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
}

static void test_driver(void **state)
{
	(void)state;
	tree_driver(NIC, "e1000e");
	expect_only(run(), VERDICT_FAIL, "driver",
		    "0000:03:00.0 is bound to e1000e, not to vfio-pci",
		    "run: vfio-bind 0000:03:00.0");
	tree_remove("/sys/bus/pci/devices/" NIC "/driver");
	expect_only(run(), VERDICT_FAIL, "driver", "0000:03:00.0 is bound to no driver",
		    "run: vfio-bind 0000:03:00.0");
	tree_driver(NIC, "mlx5_vfio_pci"); /* the kernel's variant drivers are as good */
	struct preflight p = run();
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
}

static void add_neighbours(void)
{
	tree_add(&(struct tree_dev){ "0000:02:00.0", "pcieport", 14, 0x8086, 0x3420, 0x060400, 1 });
	tree_add(&(struct tree_dev){ "0000:03:00.1", NULL, 14, 0x10de, 0x10f0, 0x040300, 0 });
	tree_add(&(struct tree_dev){ "0000:03:00.2", "pci-stub", 14, 0x10de, 0x10f0, 0x040300, 0 });
	tree_add(&(struct tree_dev){ "0000:03:00.3", "vfio-pci", 14, 0x10de, 0x10f0, 0x040300, 0 });
}

static void test_group_with_harmless_neighbours(void **state)
{
	(void)state;
	add_neighbours();
	struct preflight p = run();
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
	char text[64] = "x";
	assert_int_equal(preflight_group_blockers(14, text, sizeof(text)), 0);
	assert_string_equal(text, "");
}

static void test_group_not_viable_names_every_blocker(void **state)
{
	(void)state;
	add_neighbours();
	tree_driver("0000:03:00.1", "snd_hda_intel");
	tree_driver("0000:03:00.2", "xhci_hcd");
	expect_only(run(), VERDICT_FAIL, "group-viable",
		    "group 14 is not viable: "
		    "0000:03:00.1 is still bound to snd_hda_intel (run: vfio-bind 0000:03:00.1); "
		    "0000:03:00.2 is still bound to xhci_hcd (run: vfio-bind 0000:03:00.2)",
		    "for all at once: vfio-bind --group 0000:03:00.0");
	char text[64];
	assert_int_equal(preflight_group_blockers(14, text, sizeof(text)), 2);
	assert_string_equal(text,
			    "0000:03:00.1 is still bound to snd_hda_intel (run: vfio-bind...");
	assert_int_equal(preflight_group_blockers(99, text, sizeof(text)), 0);
	assert_int_equal(preflight_group_blockers(14, NULL, 0), 2);
}

/* Functions of the request have their own verdict, once; a group is judged once. */
static void test_request_with_two_of_a_group(void **state)
{
	(void)state;
	struct bdf b[2] = { tree_bdf(NIC), tree_bdf("0000:03:00.1") };
	add_neighbours();
	tree_driver("0000:03:00.1", "snd_hda_intel");
	struct preflight p = run_many(b, 2, 0);
	unsigned int viable = 0;
	for (unsigned int i = 0; i < p.n; i++)
		viable += strcmp(p.v[i].check, "group-viable") == 0;
	assert_int_equal(viable, 1);
	expect_only(p, VERDICT_FAIL, "driver",
		    "0000:03:00.1 is bound to snd_hda_intel, not to vfio-pci",
		    "run: vfio-bind 0000:03:00.1");
}

static void test_node(void **state)
{
	(void)state;
	char full[128], users[128], expect[128];
	struct stat st;
	snprintf(full, sizeof(full), "%s/dev/vfio/14", tree_root);
	assert_int_equal(chmod(full, 0600), 0);
	assert_int_equal(stat(full, &st), 0);
	snprintf(users, sizeof(users), "nobody:x:65534:65534::/:\nalice:x:%u:100::/:/bin/sh\n",
		 st.st_uid);
	tree_file("/etc/passwd", users);
	snprintf(expect, sizeof(expect),
		 "/dev/vfio/14 may not be opened: it belongs to alice:%u, mode 0600", st.st_gid);
	denied = "/dev/vfio/14";
	expect_only(run(), VERDICT_FAIL, "vfio-node", expect,
		    "run: chown USER /dev/vfio/14; for good: vfio-inspect explain --udev-rule USER "
		    "0000:03:00.0");
	denied = NULL;
	tree_remove("/dev/vfio/14");
	expect_only(run(), VERDICT_FAIL, "vfio-node",
		    "/dev/vfio/14 can't be opened: No such file or directory",
		    "see: dmesg | grep -i vfio");
}

static void test_group_held(void **state)
{
	(void)state;
	tree_link("/proc/4711/fd/3", "/dev/vfio/14");
	tree_file("/proc/4711/comm", "qemu-system-x86\n");
	tree_link("/proc/4712/fd/3", "/dev/vfio/15");
	expect_only(run(), VERDICT_FAIL, "group-free",
		    "group 14 is in use by qemu-system-x86 (pid 4711)", "stop it first");
}

static void test_reserved_regions(void **state)
{
	(void)state;
	tree_file("/sys/kernel/iommu_groups/14/reserved_regions",
		  "0x000000007b800000 0x000000007fffffff direct\n"
		  "0x0000000080000000 0x00000000800fffff direct-relaxable\n"
		  "0x00000000fee00000 0x00000000feefffff msi\n");
	expect_only(run(), VERDICT_FAIL, "reserved-regions",
		    "group 14 can't be assigned: firmware "
		    "demands that its devices reach 0x7b800000-0x7fffffff directly (RMRR)",
		    "look in the firmware set-up for what uses it (management processor, RMRR), or "
		    "move the device to another slot");
}

static void test_reset(void **state)
{
	(void)state;
	tree_attr(NIC, "reset_method", "\n");
	expect_only(run(), VERDICT_WARN, "reset",
		    "0000:03:00.0 can't be reset: after the guest "
		    "stops or crashes it may stay unusable until the host reboots",
		    "");
	tree_attr(NIC, "reset", ""); /* how older kernels say that it can */
	struct preflight p = run();
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
}

static const char boot_fb_fix[] = "boot with initcall_blacklist=sysfb_init (before Linux 5.14: "
				  "video=efifb:off,vesafb:off), or use another display";

static void test_boot_display(void **state)
{
	(void)state;
	tree_attr(NIC, "boot_vga", "1\n");
	expect_only(run(), VERDICT_WARN, "boot-display",
		    "0000:03:00.0 is the boot display: the host's console goes dark", "");
	tree_file("/proc/iomem",
		  "c0000000-cfffffff : PCI Bus 0000:03\n  c0000000-c02fffff : BOOTFB\n");
	expect_only(run(), VERDICT_WARN, "boot-display",
		    "0000:03:00.0 is the boot display and BOOTFB still holds its memory",
		    boot_fb_fix);
	/* The frame buffer is in this very function: VFIO gets EBUSY for that BAR. */
	tree_attr(NIC, "resource", NIC_BARS);
	expect_only(run(), VERDICT_FAIL, "boot-display",
		    "the firmware's frame buffer BOOTFB still holds memory of 0000:03:00.0: VFIO "
		    "can't map that BAR",
		    boot_fb_fix);
	/* Linux 6's vfio-pci takes it away when it binds; until then only the console is at stake.
	 */
	tree_file("/proc/sys/kernel/osrelease", "6.1.0-9-amd64\n");
	tree_driver(NIC, "nouveau");
	struct preflight p = run();
	const struct verdict *v = find(&p, "boot-display");
	assert_int_equal(v->level, VERDICT_WARN);
	assert_string_equal(v->text,
			    "0000:03:00.0 is the boot display: the host's console goes dark");
	preflight_fini(&p);
	tree_file("/proc/sys/kernel/osrelease", "5.15.0-9-amd64\n");
	p = run();
	assert_int_equal(find(&p, "boot-display")->level, VERDICT_FAIL);
	preflight_fini(&p);
}

static void test_memlock(void **state)
{
	(void)state;
	struct bdf b = tree_bdf(NIC);
	expect_only(
		run_many(&b, 1, MIB(4096)), VERDICT_FAIL, "memlock",
		"4096 MiB of guest RAM must "
		"be locked for DMA and the limit (RLIMIT_MEMLOCK) is 8192 KiB",
		"run as root, or allow it: LimitMEMLOCK=4096M in the systemd unit, or a memlock "
		"line of 4194304 in /etc/security/limits.conf and a new login");
	/* exactly enough, less what is locked already */
	struct preflight p = run_many(&b, 1, MIB(8));
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
	p = run_many(&b, 1, MIB(8) + 1);
	assert_int_equal(preflight_worst(&p), VERDICT_FAIL);
	preflight_fini(&p);
	tree_file("/proc/self/status",
		  "Name:\tx\nVmLck:\t       4 kB\nCapEff:\t0000000000000000\n");
	p = run_many(&b, 1, MIB(8));
	assert_int_equal(preflight_worst(&p), VERDICT_FAIL);
	preflight_fini(&p);
	/* CAP_IPC_LOCK is bit 14 */
	tree_file("/proc/self/status",
		  "Name:\tx\nVmLck:\t       4 kB\nCapEff:\t0000000000004000\n");
	p = run_many(&b, 1, GIB(4));
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
}

static void test_memory_of_the_host(void **state)
{
	(void)state;
	struct bdf b = tree_bdf(NIC);
	tree_file("/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
	tree_file("/proc/meminfo", "MemTotal:        8388608 kB\nMemFree:  1 kB\n"
				   "MemAvailable:    2097152 kB\nHugePages_Free:      512\n"
				   "Hugepagesize:       2048 kB\n");
	struct preflight p = run_many(&b, 1, GIB(3));
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
	expect_only(run_many(&b, 1, GIB(3) + 1), VERDICT_WARN, "memory",
		    "3073 MiB of guest RAM must be pinned for DMA and 3072 MiB are available: the "
		    "host may kill processes for it",
		    "give a smaller --memory, or stop what uses it");
	expect_only(run_many(&b, 1, GIB(9)), VERDICT_FAIL, "memory",
		    "9216 MiB of guest RAM must be pinned for DMA and this host has 8192 MiB",
		    "give a smaller --memory");
}

static void test_dma_limit(void **state)
{
	(void)state;
	tree_file("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "11\n");
	expect_only(run(), VERDICT_WARN, "dma-limit",
		    "VFIO allows 11 DMA maps and about 12 are needed",
		    "run: echo 65535 > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
	tree_file("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "3\n");
	expect_only(run(), VERDICT_FAIL, "dma-limit",
		    "VFIO allows 3 DMA maps and about 12 are needed",
		    "run: echo 65535 > /sys/module/vfio_iommu_type1/parameters/dma_entry_limit");
}

/* Verdicts only read: a tree without write permission gives the same. */
static int forbid_write(const char *path, int flags, mode_t mode)
{
	if (strcmp(path + strlen(tree_root), "/dev/kvm") != 0)
		assert_int_equal(flags & O_ACCMODE, O_RDONLY);
	return sys_linux.open(path, flags, mode);
}

static void test_nothing_is_written(void **state)
{
	(void)state;
	add_neighbours();
	tree_driver("0000:03:00.1", "snd_hda_intel");
	ops.open = forbid_write;
	struct preflight p = run();
	assert_int_equal(preflight_worst(&p), VERDICT_FAIL);
	preflight_fini(&p);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_healthy_machine),
		T(test_printing),
		T(test_error_is_the_first_failure),
		T(test_kvm),
		T(test_kvm_is_not_asked_for_without_need),
		T(test_iommu_off),
		T(test_iommu_is_judged_by_its_effect),
		T(test_function_without_group),
		T(test_no_iommu_mode),
		T(test_interrupt_remapping),
		T(test_modules),
		T(test_absent_and_twice),
		T(test_bridge),
		T(test_dead_function),
		T(test_driver),
		T(test_group_with_harmless_neighbours),
		T(test_group_not_viable_names_every_blocker),
		T(test_request_with_two_of_a_group),
		T(test_node),
		T(test_group_held),
		T(test_reserved_regions),
		T(test_reset),
		T(test_boot_display),
		T(test_memlock),
		T(test_memory_of_the_host),
		T(test_dma_limit),
		T(test_nothing_is_written),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
