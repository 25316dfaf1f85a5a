// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight on BARs, addresses, ACS, peer-to-peer, hugepages, control groups, lockdown and the
// processor: each sentence, and the state of the machine that must not provoke it.
#include "tests/unit/vfio/preflightrig.h"

#define GPU    "0000:41:00.0"
#define BRIDGE "0000:40:01.0"
#define NODE   "/sys/devices/system/node/"
#define HUGE   "/hugepages/hugepages-2048kB/free_hugepages"

static struct preflight run_ram(uint64_t ram)
{
	struct bdf b = tree_bdf(NIC);
	/* CAP_IPC_LOCK: memlock is another test's */
	tree_file("/proc/self/status", "Name:\tx\nCapEff:\t0000000000004000\n");
	return run_many(&b, 1, ram);
}

static void cpu(const char *vendor, unsigned int family, const char *flags, unsigned int bits)
{
	char text[256];
	snprintf(text, sizeof(text),
		 "processor\t: 0\nvendor_id\t: %s\ncpu family\t: %u\nflags\t\t: fpu %s sse\n"
		 "address sizes\t: %u bits physical, 48 bits virtual\n\n",
		 vendor, family, flags, bits);
	tree_file("/proc/cpuinfo", text);
}

/* BAR 0 as given, 64-bit prefetchable or 32-bit, the others absent. */
static void bar0(const char *bdf, uint64_t first, uint64_t size, bool is64)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "0x%016llx 0x%016llx 0x%016x\n",
			 (unsigned long long)first, (unsigned long long)(first + size - 1),
			 is64 ? 0x14220c : 0x40200);
	for (unsigned int i = 1; i < 6; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n,
			      "0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
	tree_attr(bdf, "resource", text);
}

/* A real sysfs entry: the link whose target tells the bridges above. */
static void below(const char *path, const char *bdf, const char *driver, int group,
		  unsigned int class_code)
{
	char link[128], target[256], file[256];
	tree_add(&(struct tree_dev){ bdf, driver, group, 0x10de, 0x2204, class_code,
				     class_code >> 8 == 0x0604 });
	snprintf(link, sizeof(link), "%s/sys/bus/pci/devices/%s", tree_root, bdf);
	snprintf(file, sizeof(file), "%s/sys/devices/%s%s", tree_root, path, bdf);
	tree_dir("/sys/devices");
	for (char *s = file + strlen(tree_root) + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		mkdir(file, 0755);
		*s = '/';
	}
	assert_int_equal(rename(link, file), 0);
	snprintf(target, sizeof(target), "../../../devices/%s%s", path, bdf);
	assert_int_equal(symlink(target, link), 0);
}

/* Configuration space of a root port, with ACS or without. */
static void root_port(const char *bdf, size_t len, int acs_ctrl)
{
	unsigned char cfg[4096] = { 0x86, 0x80, 0x20, 0x34 };
	char path[128];
	cfg[0x06] = 0x10; /* capability list */
	cfg[0x0e] = 1;
	cfg[0x34] = 0x40;
	cfg[0x40] = 0x10; /* PCI Express */
	cfg[0x42] = 0x42; /* root port, version 2 */
	if (acs_ctrl >= 0) {
		cfg[0x100] = 0x0d;
		cfg[0x102] = 0x01;
		cfg[0x104] = 0x1d;
		cfg[0x106] = (unsigned char)acs_ctrl;
	}
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", bdf);
	tree_bytes(path, cfg, len);
}

static void add_gpu(void)
{
	below("pci0000:40/", BRIDGE, "pcieport", 30, 0x060400);
	below("pci0000:40/" BRIDGE "/", GPU, "vfio-pci", 31, 0x030000);
	tree_file("/dev/vfio/31", "");
	root_port(BRIDGE, 4096, 0x1d);
}

static struct preflight run_gpu(void)
{
	struct bdf b = tree_bdf(GPU);
	return run_many(&b, 1, MIB(4));
}

/* --- the machine ----------------------------------------------------------------------------- */

static void test_no_kvm_by_reason(void **state)
{
	(void)state;
	tree_remove("/dev/kvm");
	cpu("GenuineIntel", 6, "vmx", 46);
	expect_only(run(), VERDICT_FAIL, "kvm",
		    "/dev/kvm does not exist, though the processor can virtualise: KVM's module is "
		    "not loaded",
		    "run: modprobe kvm_intel; if that fails, switch on VT-x in the firmware "
		    "set-up");
	cpu("AuthenticAMD", 23, "svm", 48);
	struct preflight p = run();
	assert_string_equal(find(&p, "kvm")->fix,
			    "run: modprobe kvm_amd; if that fails, switch on AMD-V (SVM) in the "
			    "firmware set-up");
	preflight_fini(&p);
	tree_dir("/sys/module/kvm_amd");
	expect_one(run(), VERDICT_FAIL, "kvm",
		   "/dev/kvm does not exist, though KVM's module is loaded: KVM did not start, or "
		   "/dev is not the machine's own (a container)");
	cpu("GenuineIntel", 6, "hypervisor", 46);
	expect_one(run(), VERDICT_FAIL, "kvm",
		   "/dev/kvm does not exist: this machine is itself a virtual machine, and its "
		   "host lets it have no virtualisation (nested)");
	/* "vmx" inside another word is no vmx */
	cpu("GenuineIntel", 6, "xvmx vmxx", 46);
	expect_one(run(), VERDICT_FAIL, "kvm",
		   "/dev/kvm does not exist: the processor shows neither vmx nor svm, it can't "
		   "virtualise or the firmware has switched that off");
}

static void test_nested(void **state)
{
	(void)state;
	cpu("GenuineIntel", 6, "vmx hypervisor", 46);
	expect_one(run(), VERDICT_OK, "kvm",
		   "/dev/kvm can be opened; this machine is itself a virtual machine (nested)");
	tree_remove("/sys/kernel/iommu_groups");
	tree_remove("/sys/bus/pci/devices/" NIC "/iommu_group");
	struct preflight p = run();
	assert_string_equal(find(&p, "iommu")->fix,
			    "give this virtual machine a virtual IOMMU (QEMU: -M q35 -device "
			    "intel-iommu,intremap=on, or amd-iommu; with a split irqchip)");
	assert_string_equal(find(&p, "iommu")->evidence, "ACPI table: neither DMAR nor IVRS");
	preflight_fini(&p);
}

static void test_iommufd(void **state)
{
	(void)state;
	expect_one(run(), VERDICT_OK, "iommufd",
		   "no iommufd, and none needed: vfio-vmm uses the type1 container");
	tree_file("/dev/iommu", "");
	expect_one(run(), VERDICT_OK, "iommufd",
		   "iommufd is there too; vfio-vmm uses the type1 container");
}

static void test_interrupts_posted(void **state)
{
	static const char yes[] = "interrupts reach a running guest without an exit (posted)";
	static const char iommu[] =
		"each interrupt of a device costs its guest an exit: the IOMMU posts none";
	static const char kvm[] = "each interrupt of a device costs its guest an exit: KVM does "
				  "without the processor's virtual APIC";
	static const struct {
		const char *param, *on, *reg, *value, *text;
	} cases[] = {
		{ "kvm_intel/parameters/enable_apicv", "Y\n", "dmar0/intel-iommu/cap",
		  "29a00f0505e\n", iommu },
		{ "kvm_intel/parameters/enable_apicv", "Y\n", "dmar0/intel-iommu/cap",
		  "8d2078c106f0466\n", yes },
		{ "kvm_intel/parameters/enable_apicv", "N\n", "dmar0/intel-iommu/cap",
		  "8d2078c106f0466\n", kvm },
		{ "kvm_amd/parameters/avic", "1\n", "dmar0/amd-iommu/features",
		  "58f77ef22294a5a:0\n", yes },
		{ "kvm_amd/parameters/avic", "N\n", "dmar0/amd-iommu/features",
		  "58f77ef22294a5a:0\n", kvm },
		{ "kvm_amd/parameters/avic", "N\n", "dmar0/amd-iommu/features", "58f77ef22094a5a\n",
		  iommu },
		{ "kvm_amd/parameters/avic", "Y\n", "dmar0/amd-iommu/features", "100000\n", iommu },
	};
	char path[128];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(path, sizeof(path), "/sys/class/iommu/%s", cases[i].reg);
		tree_file(path, cases[i].value);
		snprintf(path, sizeof(path), "/sys/module/%s", cases[i].param);
		tree_file(path, cases[i].on);
		expect_one(run(), VERDICT_OK, "intr-posting", cases[i].text);
		tree_remove(path);
	}
}

static void test_lockdown(void **state)
{
	(void)state;
	tree_file("/sys/kernel/security/lockdown", "[none] integrity confidentiality\n");
	expect_one(run(), VERDICT_OK, "lockdown", "the kernel is not locked down");
	tree_file("/sys/kernel/security/lockdown", "none [integrity] confidentiality\n");
	tree_bytes("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c",
		   "\6\0\0\0\1", 5);
	expect_one(run(), VERDICT_OK, "lockdown",
		   "the kernel is locked down by Secure Boot: VFIO works, modules without a known "
		   "signature (vendor-reset) and writes to PCI config space do not");
}

/* --- memory ---------------------------------------------------------------------------------- */

static void test_cgroup(void **state)
{
	(void)state;
	tree_file("/proc/self/cgroup", "0::/user.slice/vm.scope\n");
	tree_file("/sys/fs/cgroup/user.slice/vm.scope/memory.max", "max\n");
	struct preflight p = run_ram(GIB(4));
	for (unsigned int i = 0; i < p.n; i++)
		assert_string_not_equal(p.v[i].check, "cgroup");
	preflight_fini(&p);
	/* a level above counts as well */
	tree_file("/sys/fs/cgroup/user.slice/memory.max", "4294967296\n");
	expect_one(run_ram(GIB(4)), VERDICT_OK, "cgroup", "the control group allows 4096 MiB");
	expect_only(run_ram(GIB(4) + MIB(1)), VERDICT_FAIL, "cgroup",
		    "the control group /user.slice allows 4096 MiB and 4097 MiB of guest RAM must "
		    "be pinned: the kernel would kill the guest",
		    "run: systemctl set-property user.slice MemoryMax=4609M");
}

static void test_hugepages(void **state)
{
	(void)state;
	tree_file(NODE "node0" HUGE, "100\n");
	tree_file(NODE "node1" HUGE, "28\n");
	tree_file(NODE "possible", "0-1\n");
	struct preflight p = run_ram(MIB(256));
	assert_int_equal(find(&p, "hugepages")->level, VERDICT_OK);
	assert_non_null(strstr(find(&p, "hugepages")->text, "128 free hugepages of 2 MiB: enough"));
	assert_non_null(strstr(find(&p, "hugepages")->evidence, "node 1: 28"));
	preflight_fini(&p);
	expect_one(run_ram(MIB(258)), VERDICT_OK, "hugepages",
		   "128 of 129 hugepages of 2 MiB are free, so guest RAM takes ordinary pages, "
		   "slower to map");
	hugepages = true;
	tree_remove(NODE "node1");
	expect_only(run_ram(MIB(258)), VERDICT_FAIL, "hugepages",
		    "guest RAM wants 129 hugepages of 2 MiB and 100 are free (node 0: 100)",
		    "run: sysctl vm.nr_hugepages=129");
}

static void test_memlock_unknown(void **state)
{
	(void)state;
	tree_remove("/proc/self/limits");
	expect_only(run(), VERDICT_UNKNOWN, "memlock",
		    "whether 4 MiB may be locked can't be told: /proc/self/limits can't be read",
		    "");
}

/* --- addresses ------------------------------------------------------------------------------- */

static void test_no_room_below_4g(void **state)
{
	(void)state;
	bar0(NIC, 0x80000000, GIB(1), false);
	expect_one(run(), VERDICT_OK, "memory-map",
		   "RAM and BARs (1024 MiB of 32 bits, 0 MiB of 64) have room");
	struct bdf b[3] = { tree_bdf(NIC), tree_bdf("0000:04:00.0"), tree_bdf("0000:05:00.0") };
	for (unsigned int i = 1; i < 3; i++) {
		char at[BDF_STR_MAX];
		tree_add(&(struct tree_dev){ bdf_str(&b[i], at), "vfio-pci", 14, 0x8086, 0x10d3,
					     0x020000, 0 });
		bar0(at, 0x80000000, GIB(1), false);
	}
	expect_only(run_many(b, 3, MIB(4)), VERDICT_FAIL, "memory-map",
		    "the devices' 32-bit BARs need 3072 MiB, aligned to 1024 MiB, more than a PC "
		    "has room for below 4 GiB: fewer devices",
		    "");
}

static void test_no_room_above_ram(void **state)
{
	(void)state;
	cpu("GenuineIntel", 6, "vmx", 39);
	bar0(NIC, GIB(256), GIB(256), true);
	expect_one(run_ram(GIB(4)), VERDICT_OK, "memory-map",
		   "RAM and BARs (0 MiB of 32 bits, 262144 MiB of 64) have room");
	expect_only(run_ram(GIB(256)), VERDICT_FAIL, "memory-map",
		    "the devices' 64-bit BARs need 262144 MiB, aligned to 262144 MiB, beside guest "
		    "RAM above 4 GiB, but a guest address has only 39 bits here: less --memory or "
		    "fewer devices",
		    "");
	struct preflight p = run_ram(GIB(512));
	assert_int_equal(find(&p, "memory-map")->level, VERDICT_FAIL);
	assert_non_null(strstr(find(&p, "memory-map")->text,
			       "is more than a guest can address with 39 bits"));
	preflight_fini(&p);
	tree_remove("/proc/cpuinfo");
	expect_one(run_ram(GIB(512)), VERDICT_UNKNOWN, "memory-map",
		   "whether RAM and BARs have room can't be told: /proc/cpuinfo does not say how "
		   "wide addresses are");
}

static void test_iommu_width(void **state)
{
	(void)state;
	tree_link("/sys/bus/pci/devices/" NIC "/iommu", "../../virtual/iommu/dmar0");
	cpu("GenuineIntel", 6, "vmx", 46);
	/* as desktop processors have it: MGAW 39, tables of four levels */
	tree_file("/sys/class/iommu/dmar0/intel-iommu/cap", "1c0000c40660462\n");
	struct preflight p = run_ram(GIB(8));
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
	p = run_ram(GIB(600));
	const struct verdict *v = find(&p, "memory-map");
	assert_int_equal(v->level, VERDICT_FAIL);
	assert_non_null(strstr(v->text, "the IOMMU dmar0 in front of 0000:03:00.0 translates 39 "
					"bits, up to 0x7fffffffff, and not "));
	preflight_fini(&p);
	/* RAM is within reach, the BAR has a place beyond */
	bar0(NIC, GIB(512), GIB(512), true);
	p = run_ram(GIB(8));
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
	/* ... which matters to who has a peer */
	struct bdf b[2] = { tree_bdf(NIC), tree_bdf("0000:04:00.0") };
	tree_add(&(struct tree_dev){ "0000:04:00.0", "vfio-pci", 14, 0x8086, 0x10d3, 0x020000, 0 });
	p = run_many(b, 2, GIB(8));
	v = find(&p, "memory-map");
	assert_int_equal(v->level, VERDICT_WARN);
	assert_non_null(strstr(v->text, "devices can't reach each other's BARs in the 64-bit PCI "
					"window 0x10000000000-0x17fffffffff: the IOMMU dmar0"));
	preflight_fini(&p);
	/* a unit of 48 bits, whatever a wider page table could do */
	tree_file("/sys/class/iommu/dmar0/intel-iommu/cap", "1c0000c406f0c62\n");
	p = run_ram(GIB(600));
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
}

static void test_ram_beside_reserved_regions(void **state)
{
	(void)state;
	cpu("AuthenticAMD", 25, "svm", 48);
	tree_file("/sys/kernel/iommu_groups/14/reserved_regions",
		  "0x00000000fee00000 0x00000000feefffff msi\n"
		  "0x000000fd00000000 0x000000ffffffffff reserved\n");
	expect_one(run_ram(GIB(1008)), VERDICT_OK, "memory-map",
		   "RAM and BARs (0 MiB of 32 bits, 0 MiB of 64) have room");
	expect_one(run_ram(GIB(1012)), VERDICT_OK, "memory-map",
		   "RAM and BARs (0 MiB of 32 bits, 0 MiB of 64) have room; RAM above 4 GiB starts "
		   "at 0x10000000000: the IOMMU of group 14 does not translate "
		   "0xfd00000000-0xffffffffff (reserved)");
	/* nothing left above it */
	cpu("AuthenticAMD", 25, "svm", 40);
	struct preflight p = run_ram(GIB(1012));
	assert_int_equal(find(&p, "memory-map")->level, VERDICT_FAIL);
	preflight_fini(&p);
	/* a relaxable reservation is none, a direct one has its own verdict */
	cpu("AuthenticAMD", 25, "svm", 48);
	tree_file("/sys/kernel/iommu_groups/14/reserved_regions",
		  "0x0000000000001000 0x0000000000ffffff direct-relaxable\n");
	p = run_ram(GIB(1));
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
	tree_file("/sys/kernel/iommu_groups/14/reserved_regions",
		  "0x0000000000001000 0x0000000000ffffff reserved\n");
	expect_only(run_ram(GIB(1)), VERDICT_FAIL, "memory-map",
		    "RAM below 4 GiB: the IOMMU of group 14 does not translate 0x1000-0xffffff "
		    "(reserved)",
		    "");
}

static void test_unplaced_bar(void **state)
{
	(void)state;
	bar0(NIC, 0, GIB(16), true);
	expect_only(run(), VERDICT_FAIL, "bar-placed",
		    "BAR 0 of 0000:03:00.0 (16777216 KiB) has no address on the host: Linux can't "
		    "enable the function",
		    "switch on \"Above 4G decoding\" in the firmware set-up, or boot with "
		    "pci=realloc");
}

/* --- BARs in the guest ----------------------------------------------------------------------- */

static void msix_config(uint32_t table, uint32_t pba)
{
	unsigned char cfg[256] = { 0x86, 0x80, 0xd3, 0x10 };
	cfg[0x06] = 0x10;
	cfg[0x34] = 0xa0;
	cfg[0xa0] = 0x11;
	cfg[0xa2] = 4; /* five vectors */
	memcpy(cfg + 0xa4, &table, 4);
	memcpy(cfg + 0xa8, &pba, 4);
	tree_bytes("/sys/bus/pci/devices/" NIC "/config", cfg, sizeof(cfg));
}

static void test_msix_page(void **state)
{
	(void)state;
	tree_attr(NIC, "resource", NIC_BARS);
	msix_config(2, 0x2002); /* BAR 2: table at 0, pending bits at 0x2000 */
	expect_one(run(), VERDICT_OK, "bar-mapping",
		   "2 of 2 memory BARs of 0000:03:00.0 map into the guest; trapped: BAR 2 (the "
		   "MSI-X pages)");
	msix_config(2,
		    0x802); /* both in one page; what lies before them is no BAR page of its own */
	struct preflight p = run();
	assert_int_equal(preflight_worst(&p), VERDICT_OK);
	preflight_fini(&p);
	msix_config(0x3402, 0x3802); /* registers at 0x3000-0x33ff */
	expect_only(run(), VERDICT_WARN, "msix-page",
		    "BAR 2 of 0000:03:00.0 has registers in a page with its MSI-X table or pending "
		    "bits: each access to them is trapped, which is slow",
		    "");
}

/* A BAR below a page is mapped if it has a page to itself. */
static void test_small_bar(void **state)
{
	(void)state;
	bar0(NIC, 0xfe001000, 256, false);
	expect_one(run(), VERDICT_OK, "bar-mapping",
		   "1 of 1 memory BARs of 0000:03:00.0 map into the guest");
	bar0(NIC, 0xfe001100, 256, false);
	expect_one(run(), VERDICT_OK, "bar-mapping",
		   "0 of 1 memory BARs of 0000:03:00.0 map into the guest; trapped: BAR 0 (in the "
		   "middle of a page)");
}

static void test_config_space_needs_root(void **state)
{
	(void)state;
	unsigned char cfg[64] = { 0x86, 0x80, 0xd3, 0x10 };
	tree_attr(NIC, "resource", NIC_BARS);
	tree_bytes("/sys/bus/pci/devices/" NIC "/config", cfg, sizeof(cfg));
	expect_only(run(), VERDICT_UNKNOWN, "bar-mapping",
		    "2 of 2 memory BARs of 0000:03:00.0 map into the guest; where MSI-X lies can't "
		    "be told: its config space takes root",
		    "");
}

/* A list that bites its tail, or ends outside, is walked no further. */
static void test_hostile_capability_list(void **state)
{
	(void)state;
	unsigned char cfg[256] = { 0x86, 0x80, 0xd3, 0x10 };
	tree_attr(NIC, "resource", NIC_BARS);
	cfg[0x06] = 0x10;
	cfg[0x34] = 0x40;
	cfg[0x40] = 0x09;
	cfg[0x41] = 0x40;
	tree_bytes("/sys/bus/pci/devices/" NIC "/config", cfg, sizeof(cfg));
	expect_one(run(), VERDICT_OK, "bar-mapping",
		   "2 of 2 memory BARs of 0000:03:00.0 map into the guest");
	cfg[0x41] = 0xfc;
	cfg[0xfc] = 0x11;
	tree_bytes("/sys/bus/pci/devices/" NIC "/config", cfg, sizeof(cfg));
	expect_one(run(), VERDICT_OK, "bar-mapping",
		   "2 of 2 memory BARs of 0000:03:00.0 map into the guest");
}

/* --- sleep, use, reset ----------------------------------------------------------------------- */

static void test_a_sleeper_is_not_woken(void **state)
{
	(void)state;
	may_wake = false;
	tree_attr(NIC, "power_state", "D3cold\n");
	expect_only(run(), VERDICT_UNKNOWN, "answers",
		    "0000:03:00.0 is not asked whether it answers, which would wake it: it is in "
		    "D3cold",
		    "");
}

static void test_in_use(void **state)
{
	(void)state;
	tree_driver(NIC, "e1000e");
	tree_link("/sys/class/net/eth0", "../../devices/pci0000:00/" NIC "/net/eth0");
	tree_file("/proc/net/route", "Iface\tDestination\tGateway \tFlags\n");
	expect_one(run(), VERDICT_OK, "in-use",
		   "no disk, network or screen of the host is on 0000:03:00.0");
	tree_remove("/sys/class/net/eth0");
	tree_file("/sys/devices/pci0000:00/" NIC "/net/eth0/flags", "0x1003\n");
	tree_link("/sys/class/net/eth0", "../../devices/pci0000:00/" NIC "/net/eth0");
	tree_file("/proc/net/if_inet6", "fe80000000000000 02 40 20 80     eth0\n");
	tree_file("/proc/net/route", "Iface Destination Gateway Flags RefCnt Use Metric Mask\n"
				     "eth0 0002000A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n");
	struct preflight p = run();
	assert_int_equal(find(&p, "in-use")->level, VERDICT_WARN);
	assert_string_equal(
		find(&p, "in-use")->text,
		"the host's interface eth0 on 0000:03:00.0 is up and goes away with it");
	assert_string_equal(find(&p, "in-use")->evidence,
			    "/sys/class/net/eth0/flags: up; 1 IPv4 routes, 1 IPv6 addresses");
	preflight_fini(&p);
	tree_file("/proc/net/route", "eth0 00000000 0202000A 0003 0 0 0 00000000 0 0 0\n");
	struct verr err = { .code = 0 };
	p = run();
	/* the cause comes before the binding, which vfio-bind would refuse */
	preflight_error(&p, &err);
	assert_string_equal(err.msg, "the host uses 0000:03:00.0: the default route goes over eth0 "
				     "(stop that use first, or choose another function)");
	preflight_fini(&p);
}

static void test_blocker_in_use(void **state)
{
	(void)state;
	tree_add(&(struct tree_dev){ "0000:03:00.1", "igb", 14, 0x8086, 0x1521, 0x020000, 0 });
	tree_link("/sys/class/net/eth1", "../../devices/pci0000:00/0000:03:00.1/net/eth1");
	tree_file("/proc/net/route", "eth1 00000000 0202000A 0003 0 0 0 00000000 0 0 0\n");
	struct preflight p = run();
	assert_int_equal(find(&p, "group-viable")->level, VERDICT_FAIL);
	assert_string_equal(find(&p, "in-use")->text,
			    "the host uses 0000:03:00.1 of the same group: the default route goes "
			    "over eth1");
	preflight_fini(&p);
}

static void test_reset_methods(void **state)
{
	(void)state;
	tree_attr(NIC, "reset_method", "pm\n");
	expect_only(run(), VERDICT_WARN, "reset",
		    "0000:03:00.0 is reset by its power state alone (pm), which leaves parts of "
		    "many devices as they were",
		    "");
	tree_attr(NIC, "reset_method", "pm bus\n");
	expect_one(run(), VERDICT_OK, "reset", "0000:03:00.0 can be reset (pm bus)");
	tree_attr(NIC, "reset_method", "bus\n");
	tree_attr(NIC, "vendor", "0x1002\n");
	tree_attr(NIC, "class", "0x030000\n");
	expect_only(run(), VERDICT_WARN, "reset",
		    "0000:03:00.0 has no function reset (only: bus), and many AMD graphics cards "
		    "do not come back from others: the host may have to reboot before its second "
		    "use",
		    "the out-of-tree module vendor-reset knows some of them");
	tree_attr(NIC, "reset_method", "flr bus\n");
	expect_one(run(), VERDICT_OK, "reset", "0000:03:00.0 can be reset (flr bus)");
}

static void test_reset_takes_others_with_it(void **state)
{
	(void)state;
	struct bdf b[2] = { tree_bdf(GPU), tree_bdf("0000:41:00.1") };
	add_gpu();
	below("pci0000:40/" BRIDGE "/", "0000:41:00.1", "vfio-pci", 31, 0x040300);
	tree_attr(GPU, "reset_method", "\n");
	expect_only(run_gpu(), VERDICT_WARN, "reset",
		    "0000:41:00.0 has no reset of its own: only a reset of its whole bus would do, "
		    "which takes 0000:41:00.1 (vfio-pci) with it",
		    "assign them together, so that they share its fate");
	struct preflight p = run_many(b, 2, MIB(4));
	assert_string_equal(find(&p, "reset")->fix, "");
	preflight_fini(&p);
}

/* --- ACS and peers --------------------------------------------------------------------------- */

static void test_the_bridge_that_merges_a_group(void **state)
{
	(void)state;
	add_gpu();
	tree_add(&(struct tree_dev){ "0000:42:00.0", "nvme", 31, 0x144d, 0xa808, 0x010802, 0 });
	static const struct {
		int ctrl;
		size_t len;
		const char *why;
	} cases[] = {
		{ -1, 4096, "; one group because " BRIDGE " has no ACS" },
		{ 0x01, 4096, "; one group because " BRIDGE " has its ACS switched off" },
		{ 0x1d, 4096, "" },
		{ -1, 64, "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char expect[160];
		root_port(BRIDGE, cases[i].len, cases[i].ctrl);
		snprintf(expect, sizeof(expect), "/sys/kernel/iommu_groups/31/devices%s",
			 cases[i].why);
		struct preflight p = run_gpu();
		assert_int_equal(find(&p, "group-viable")->level, VERDICT_FAIL);
		assert_string_equal(find(&p, "group-viable")->evidence, expect);
		preflight_fini(&p);
	}
}

static void test_acs_override(void **state)
{
	(void)state;
	add_gpu();
	tree_file("/proc/cmdline", "quiet pcie_acs_override=downstream,multifunction ro\n");
	expect_one(run_gpu(), VERDICT_OK, "acs-override",
		   "the bridges above 0000:41:00.0 isolate it by themselves (ACS)");
	root_port(BRIDGE, 4096, -1);
	struct preflight p = run_gpu();
	assert_string_equal(find(&p, "acs-override")->evidence,
			    "/proc/cmdline: pcie_acs_override=downstream,multifunction");
	preflight_fini(&p);
	expect_only(run_gpu(), VERDICT_WARN, "acs-override",
		    "Linux was told to believe in ACS that 0000:40:01.0 does not have: the guest's "
		    "devices may reach others behind it, past the IOMMU",
		    "boot without pcie_acs_override and assign the group as it then is");
	root_port(BRIDGE, 64, -1);
	expect_only(run_gpu(), VERDICT_WARN, "acs-override",
		    "Linux was told to believe in ACS that may not be there: group 31 may look "
		    "smaller than it is",
		    "run as root to see, or boot without pcie_acs_override");
}

static void test_peers(void **state)
{
	(void)state;
	struct bdf b[2] = { tree_bdf(GPU), tree_bdf(NIC) };
	add_gpu();
	cpu("GenuineIntel", 6, "vmx", 46);
	expect_one(
		run_many(b, 2, MIB(4)), VERDICT_UNKNOWN, "peer-to-peer",
		"0000:41:00.0 and 0000:03:00.0 have no bridge in common: whether they reach each "
		"other's BARs is up to the host bridge, and nothing tells");
	cpu("AuthenticAMD", 25, "svm", 48);
	expect_one(run_many(b, 2, MIB(4)), VERDICT_OK, "peer-to-peer",
		   "0000:41:00.0 and 0000:03:00.0 can reach each other's BARs through the host "
		   "bridge (AMD Zen forwards)");
	below("pci0000:40/" BRIDGE "/", "0000:42:00.0", "vfio-pci", 32, 0x010802);
	tree_file("/dev/vfio/32", "");
	b[1] = tree_bdf("0000:42:00.0");
	expect_one(run_many(b, 2, MIB(4)), VERDICT_OK, "peer-to-peer",
		   "0000:41:00.0 and 0000:42:00.0 can reach each other's BARs below 0000:40:01.0");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_no_kvm_by_reason),
		T(test_nested),
		T(test_iommufd),
		T(test_interrupts_posted),
		T(test_lockdown),
		T(test_cgroup),
		T(test_hugepages),
		T(test_memlock_unknown),
		T(test_no_room_below_4g),
		T(test_no_room_above_ram),
		T(test_unplaced_bar),
		T(test_iommu_width),
		T(test_ram_beside_reserved_regions),
		T(test_msix_page),
		T(test_small_bar),
		T(test_config_space_needs_root),
		T(test_hostile_capability_list),
		T(test_a_sleeper_is_not_woken),
		T(test_in_use),
		T(test_blocker_in_use),
		T(test_reset_methods),
		T(test_reset_takes_others_with_it),
		T(test_the_bridge_that_merges_a_group),
		T(test_acs_override),
		T(test_peers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
