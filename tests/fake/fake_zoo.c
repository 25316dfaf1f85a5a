// SPDX-License-Identifier: GPL-2.0-or-later
//
// The zoo's inhabitants. Ordinary ones have the numbers of the real device they are like; odd
// ones have one oddity each, which the header names.
#include "tests/fake/fake_zoo.h"

#include <stdio.h>

#define PAGES(n) ((n)*UINT64_C(4096))

// clang-format off
/* IDs of our own inventions: QEMU's vendor, the range it leaves to others. */
#define ODD(n) .driver = "oddball", .vendor = 0x1234, .device = 0x7000 + (n), .class_code = 0xff0000, .intx_pin = 1
#define PM_PCIE(flr) FAKE_CAP_PM(1), FAKE_CAP_PCIE(0, flr)

const struct fake_devdesc zoo_e1000e = {
	.name = "e1000e", .driver = "e1000e", .vendor = 0x8086, .device = 0x10d3,
	.subvendor = 0x8086, .subdevice = 0, .class_code = 0x020000, .intx_pin = 1,
	.rom_size = 0x40000,
	.bars = { FAKE_BAR(PAGES(32), 0), FAKE_BAR(PAGES(32), 0), FAKE_BAR(32, FAKE_BAR_IO),
		  FAKE_BAR(PAGES(4), 0) },
	.caps = { { .id = 0x01, .off = 0xc8, .len = 8, .w = { 0x4803 } },
		  { .id = 0x05, .off = 0xd0, .len = 14, .w = { 0x80 } },
		  { .id = 0x10, .off = 0x40, .len = 60,
		    .w = { 2, 0x10008000, 0, 0x00413c11, 0x10110000 } },
		  { .id = 0x11, .off = 0xa0, .len = 12, .w = { 4, 3, 0x2003 } } },
	.ecaps = { FAKE_ECAP_AER, FAKE_ECAP_DSN },
};

const struct fake_devdesc zoo_nvme = {
	.name = "nvme", .driver = "nvme", .vendor = 0x1b36, .device = 0x0010,
	.subvendor = 0x1af4, .subdevice = 0x1100, .class_code = 0x010802, .revision = 2,
	.intx_pin = 1,
	.bars = { FAKE_BAR(PAGES(4), FAKE_BAR_64) },
	.caps = { FAKE_CAP_MSIX(65, 0, 0x2000, 0, 0x3000), PM_PCIE(1) },
	.ecaps = { FAKE_ECAP_AER },
};

const struct fake_devdesc zoo_edu = {
	.name = "edu", .driver = "edu", .vendor = 0x1234, .device = 0x11e8,
	.subvendor = 0x1af4, .subdevice = 0x1100, .class_code = 0x00ff00, .revision = 0x10,
	.intx_pin = 1, .bars = { FAKE_BAR(MIB(1), 0) }, .caps = { FAKE_CAP_MSI(0, 1, 0) },
	.flags = FAKE_DEV_NORESET,
};

const struct fake_devdesc zoo_e1000 = {
	.name = "e1000", .driver = "e1000", .vendor = 0x8086, .device = 0x100e,
	.subvendor = 0x1af4, .subdevice = 0x1100, .class_code = 0x020000, .revision = 3,
	.intx_pin = 1,
	.rom_size = 0x40000, .bars = { FAKE_BAR(PAGES(32), 0), FAKE_BAR(64, FAKE_BAR_IO) },
	.flags = FAKE_DEV_NORESET,
};

const struct fake_devdesc zoo_pba_first = {
	.name = "pba-first", ODD(1), .bars = { FAKE_BAR(PAGES(4), FAKE_BAR_64) },
	.caps = { FAKE_CAP_MSIX(8, 0, 0x1000, 0, 0), PM_PCIE(1) },
};

const struct fake_devdesc zoo_odd_table = {
	.name = "odd-table", ODD(2), .bars = { FAKE_BAR(PAGES(8), 0) },
	.caps = { FAKE_CAP_MSIX(128, 0, 0x1830, 0, 0x4018), PM_PCIE(1) },
};

const struct fake_devdesc zoo_shared_page = {
	.name = "shared-page", ODD(3), .bars = { FAKE_BAR(PAGES(2), 0) },
	.caps = { FAKE_CAP_MSIX(4, 0, 0x1c00, 0, 0x1e00), PM_PCIE(1) },
};

const struct fake_devdesc zoo_subpage = {
	.name = "subpage", ODD(4), .bars = { FAKE_BAR(256, 0), FAKE_BAR(512, FAKE_BAR_NOMMAP) },
	.caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
};

const struct fake_devdesc zoo_sparse = {
	.name = "sparse", ODD(5),
	.bars = { { .size = MIB(1), .flags = FAKE_BAR_64 | FAKE_BAR_PREF,
		    .sparse = { { 0x4000, PAGES(4) }, { 0x20000, PAGES(16) },
				{ 0xc0000, PAGES(64) } } } },
	.caps = { FAKE_CAP_MSIX(32, 0, 0x1000, 0, 0x2000), PM_PCIE(1) },
};

const struct fake_devdesc zoo_sparse_table = {
	.name = "sparse-table", ODD(6),
	.bars = { { .size = PAGES(16), .sparse = { { 0, PAGES(4) }, { PAGES(6), PAGES(4) } } } },
	.caps = { FAKE_CAP_MSIX(16, 0, 0x2100, 0, 0x7800), PM_PCIE(1) },
};

const struct fake_devdesc zoo_2048 = {
	.name = "vectors-2048", ODD(7), .bars = { FAKE_BAR(PAGES(1), 0), FAKE_BAR(PAGES(16), FAKE_BAR_64) },
	.caps = { FAKE_CAP_MSIX(2048, 1, 0, 1, 0x8000), PM_PCIE(1) },
};

const struct fake_devdesc zoo_noresize = {
	.name = "noresize", ODD(8), .flags = FAKE_DEV_NORESIZE, .bars = { FAKE_BAR(PAGES(4), 0) },
	.caps = { FAKE_CAP_MSIX(16, 0, 0x2000, 0, 0x3000), PM_PCIE(1) },
};

const struct fake_devdesc zoo_noreset = {
	.name = "noreset", ODD(9), .flags = FAKE_DEV_NORESET, .bars = { FAKE_BAR(PAGES(4), 0) },
	.caps = { FAKE_CAP_MSI(2, 1, 0), PM_PCIE(0) },
};

const struct fake_devdesc zoo_cap_loop = {
	.name = "cap-loop", ODD(10), .bars = { FAKE_BAR(PAGES(1), 0) },
	.caps = { FAKE_CAP_PM(0), { .id = 0x05, .len = 14, .next = 0x40, .w = { 0x80 } } },
};

const struct fake_devdesc zoo_cap_ff = {
	.name = "cap-ff", ODD(11), .bars = { FAKE_BAR(PAGES(1), 0) },
	.caps = { FAKE_CAP_PM(0), { .id = 0x05, .len = 14, .next = 0xff, .w = { 0x80 } } },
};

const struct fake_devdesc zoo_vf = {
	.name = "vf", .driver = "igbvf", .vendor = 0x8086, .device = 0x10ca, .subvendor = 0x8086,
	.class_code = 0x020000, .flags = FAKE_DEV_VF,
	.bars = { FAKE_BAR(PAGES(4), FAKE_BAR_64), { .size = 0 }, { .size = 0 },
		  FAKE_BAR(PAGES(4), FAKE_BAR_64) },
	.caps = { FAKE_CAP_MSIX(3, 3, 0, 3, 0x2000), FAKE_CAP_PCIE(0, 1) },
	.ecaps = { FAKE_ECAP_AER, FAKE_ECAP_ARI },
};

const struct fake_devdesc zoo_sriov_pf = {
	.name = "sriov-pf", .driver = "igb", .vendor = 0x8086, .device = 0x10c9, .subvendor = 0x8086,
	.class_code = 0x020000, .intx_pin = 1,
	.bars = { FAKE_BAR(PAGES(32), 0), FAKE_BAR(PAGES(128), 0), FAKE_BAR(32, FAKE_BAR_IO),
		  FAKE_BAR(PAGES(4), 0) },
	.caps = { FAKE_CAP_PM(0), FAKE_CAP_MSI(0, 1, 1), FAKE_CAP_MSIX(10, 3, 0, 3, 0x2000),
		  FAKE_CAP_PCIE(0, 1), FAKE_CAP_VPD },
	.ecaps = { FAKE_ECAP_AER, FAKE_ECAP_DSN, FAKE_ECAP_ARI, FAKE_ECAP_SRIOV(8), FAKE_ECAP_ATS,
		   FAKE_ECAP_REBAR(0, 0xfff0), FAKE_ECAP_RAW(0x001b, 8) },
};

const struct fake_devdesc zoo_gpu = {
	.name = "gpu", .driver = "nouveau", .vendor = 0x10de, .device = 0x2204,
	.subvendor = 0x10de,
	.subdevice = 0x1454, .class_code = 0x030000, .revision = 0xa1, .intx_pin = 1,
	.flags = FAKE_DEV_MULTIFUNCTION | FAKE_DEV_HAS_VGA, .rom_size = 0x80000,
	.bars = { FAKE_BAR(MIB(16), 0), FAKE_BAR(GIB(16), FAKE_BAR_64 | FAKE_BAR_PREF),
		  { .size = 0 }, FAKE_BAR(MIB(32), FAKE_BAR_64 | FAKE_BAR_PREF), { .size = 0 },
		  FAKE_BAR(128, FAKE_BAR_IO) },
	.caps = { FAKE_CAP_PM(1), FAKE_CAP_MSI(0, 1, 0), FAKE_CAP_PCIE(1, 0), FAKE_CAP_VNDR(20) },
	.ecaps = { FAKE_ECAP_RAW(0x0002, 28), FAKE_ECAP_AER, FAKE_ECAP_REBAR(1, 0x7fc00) },
};

const struct fake_devdesc zoo_gpu_audio = {
	.name = "gpu-audio", .driver = "snd_hda_intel", .vendor = 0x10de, .device = 0x1aef,
	.subvendor = 0x10de, .subdevice = 0x1454, .class_code = 0x040300, .revision = 0xa1,
	.intx_pin = 2, .flags = FAKE_DEV_MULTIFUNCTION, .bars = { FAKE_BAR(PAGES(4), 0) },
	.caps = { FAKE_CAP_PM(0), FAKE_CAP_MSI(0, 1, 0), FAKE_CAP_PCIE(0, 0) },
	.ecaps = { FAKE_ECAP_AER },
};

const struct fake_devdesc zoo_msix_off_bar = {
	.name = "msix-off-bar", ODD(12), .bars = { FAKE_BAR(PAGES(1), 0) },
	.caps = { FAKE_CAP_MSIX(64, 0, 0xe00, 0, 0x2000), PM_PCIE(1) },
};

const struct fake_devdesc zoo_msix_no_bar = {
	.name = "msix-no-bar", ODD(13), .bars = { FAKE_BAR(PAGES(4), 0) },
	.caps = { FAKE_CAP_MSIX(8, 4, 0, 4, 0x1000), PM_PCIE(1) },
};

const struct fake_devdesc zoo_not_mappable = {
	.name = "not-mappable", ODD(14), .flags = FAKE_DEV_NOT_MSIX_MAPPABLE, .bars = { FAKE_BAR(PAGES(8), 0) },
	.caps = { FAKE_CAP_MSIX(8, 0, 0x2000, 0, 0x3000), PM_PCIE(1) },
};

const struct fake_devdesc zoo_no_intx_no_msi = {
	.name = "no-irq", .driver = "oddball", .vendor = 0x1234, .device = 0x700f,
	.class_code = 0xff0000, .bars = { FAKE_BAR(PAGES(1), 0) }, .caps = { PM_PCIE(1) },
};

const struct fake_devdesc zoo_msi32 = {
	.name = "msi32", ODD(16), .bars = { FAKE_BAR(PAGES(1), 0) },
	.caps = { FAKE_CAP_MSI(5, 1, 1), PM_PCIE(1) },
};

const struct fake_devdesc zoo_rom_bad = {
	.name = "rom-bad", ODD(17), .flags = FAKE_DEV_ROM_BROKEN, .rom_size = 0x10000,
	.bars = { FAKE_BAR(PAGES(1), 0) }, .caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
};

const struct fake_devdesc zoo_old_intx = {
	.name = "old-intx", ODD(18), .flags = FAKE_DEV_NO_INTX_DISABLE, .bars = { FAKE_BAR(PAGES(1), 0) },
	.caps = { FAKE_CAP_PM(0) },
};

const struct fake_devdesc zoo_no_flr = {
	.name = "no-flr", ODD(19), .bars = { FAKE_BAR(PAGES(4), 0) },
	.caps = { FAKE_CAP_PM(0), FAKE_CAP_PCIE(0, 0), FAKE_CAP_MSIX(2, 0, 0x2000, 0, 0x3000) },
};

const struct fake_devdesc zoo_io_only = {
	.name = "io-only", ODD(20), .bars = { FAKE_BAR(32, FAKE_BAR_IO), FAKE_BAR(8, FAKE_BAR_IO) },
	.caps = { FAKE_CAP_PM(0) },
};

const struct fake_devdesc zoo_mem32_pref = {
	.name = "mem32-pref", ODD(21), .bars = { FAKE_BAR(MIB(8), FAKE_BAR_PREF), FAKE_BAR(PAGES(1), 0) },
	.caps = { FAKE_CAP_MSI(0, 0, 0), FAKE_CAP_AF(1) },
};

const struct fake_devdesc zoo_bridge = {
	.name = "root-port", .driver = "pcieport", .vendor = 0x1b36, .device = 0x000c,
	.class_code = 0x060400, .intx_pin = 1, .flags = FAKE_DEV_BRIDGE,
	.caps = { FAKE_CAP_PM(0), FAKE_CAP_PCIE(4, 0) },
};

const struct fake_devdesc *const zoo_all[] = {
	&zoo_e1000e, &zoo_nvme, &zoo_edu, &zoo_e1000, &zoo_pba_first,
	&zoo_odd_table, &zoo_shared_page, &zoo_subpage, &zoo_sparse, &zoo_sparse_table,
	&zoo_2048, &zoo_noresize, &zoo_noreset, &zoo_cap_loop, &zoo_cap_ff,
	&zoo_vf, &zoo_sriov_pf, &zoo_gpu, &zoo_gpu_audio, &zoo_msix_off_bar,
	&zoo_msix_no_bar, &zoo_not_mappable, &zoo_no_intx_no_msi, &zoo_msi32, &zoo_rom_bad,
	&zoo_old_intx, &zoo_no_flr, &zoo_io_only, &zoo_mem32_pref,
	&zoo_reset_fails, &zoo_dead_after_reset, &zoo_stuck_d3, &zoo_rebar_two, &zoo_ari_first,
	&zoo_no_pm, &zoo_exp_v1, &zoo_rciep, &zoo_pcix, &zoo_ext_loop, &zoo_cap_edge,
	&zoo_cap_unknown, &zoo_short_config, &zoo_two_msi, &zoo_dvsec, &zoo_no_bars,
	&zoo_vendor_long, &zoo_msix_high, &zoo_gpu_c8, &zoo_gpu_full,
	&zoo_gpu_compute, &zoo_radeon, &zoo_navi, &zoo_rtl8168, &zoo_igd, &zoo_vmd,
	&zoo_chelsio_vf, &zoo_kunlun_vf,
};
const size_t zoo_count = ARRAY_SIZE(zoo_all);
// clang-format on

struct fake_dev *fake_zoo_one(const struct fake_devdesc *desc)
{
	fake_dev_add(&zoo_bridge, &(struct fake_place){ .bdf = "0000:00:1c.2", .group = 3 });
	return fake_dev_add(desc, &(struct fake_place){ .bdf = "0000:03:00.0",
							.group = 14,
							.parent = "0000:00:1c.2",
							.driver = "vfio-pci" });
}

void fake_zoo_lab(void)
{
	static const struct {
		const struct fake_devdesc *desc;
		struct fake_place at;
	} host[] = {
		{ &zoo_bridge, { .bdf = "0000:00:1c.0", .group = 1 } },
		{ &zoo_bridge, { .bdf = "0000:00:1c.1", .group = 2 } },
		{ &zoo_bridge, { .bdf = "0000:00:1c.2", .group = 3 } },
		{ &zoo_bridge, { .bdf = "0000:00:1c.3", .group = 15 } },
		{ &zoo_e1000, { .bdf = "0000:00:04.0", .group = 16 } },
		{ &zoo_nvme, { .bdf = "0000:01:00.0", .group = 12, .parent = "0000:00:1c.0" } },
		{ &zoo_edu, { .bdf = "0000:02:00.0", .group = 13, .parent = "0000:00:1c.1" } },
		{ &zoo_e1000e, { .bdf = "0000:03:00.0", .group = 14, .parent = "0000:00:1c.2" } },
		{ &zoo_gpu, { .bdf = "0000:05:00.0", .group = 15, .parent = "0000:00:1c.3" } },
		{ &zoo_gpu_audio,
		  { .bdf = "0000:05:00.1", .group = 15, .parent = "0000:00:1c.3" } },
	};
	for (size_t i = 0; i < ARRAY_SIZE(host); i++)
		fake_dev_add(host[i].desc, &host[i].at);
}
