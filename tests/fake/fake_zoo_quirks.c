// SPDX-License-Identifier: GPL-2.0-or-later
//
// Inhabitants of the zoo that need a row of the quirk table (vfio/quirks.c), and ones that look as
// if they did. The numbers are those of the real devices, as far as the quirk looks at them.
#include "tests/fake/fake_zoo.h"

#define PAGES(n) ((n)*UINT64_C(4096))

// clang-format off
#define PM_PCIE(flr) FAKE_CAP_PM(1), FAKE_CAP_PCIE(0, flr)

/* A GPU whose own capability sits where the clique's should. */
const struct fake_devdesc zoo_gpu_c8 = {
	.name = "gpu-c8", .driver = "nouveau", .vendor = 0x10de, .device = 0x1b06,
	.subvendor = 0x10de, .class_code = 0x030000, .revision = 0xa1, .intx_pin = 1,
	.bars = { FAKE_BAR(MIB(16), 0), FAKE_BAR(MIB(256), FAKE_BAR_64 | FAKE_BAR_PREF),
		  { .size = 0 }, FAKE_BAR(MIB(32), FAKE_BAR_64 | FAKE_BAR_PREF), { .size = 0 },
		  FAKE_BAR(128, FAKE_BAR_IO) },
	.caps = { FAKE_CAP_PM(0), FAKE_CAP_MSI(0, 1, 0), FAKE_CAP_PCIE(1, 0),
		  { .id = 0x09, .off = 0xc8, .len = 8, .w = { 8 } } },
};

/* Both of the clique's places taken. */
const struct fake_devdesc zoo_gpu_full = {
	.name = "gpu-full", .driver = "nouveau", .vendor = 0x10de, .device = 0x1b07,
	.subvendor = 0x10de, .class_code = 0x030000, .intx_pin = 1,
	.bars = { FAKE_BAR(MIB(16), 0) },
	.caps = { FAKE_CAP_PM(0), FAKE_CAP_MSI(0, 1, 0), FAKE_CAP_PCIE(1, 0),
		  { .id = 0x09, .off = 0xc8, .len = 20, .w = { 20 } } },
};

/* 3D controller, no display: a clique, but no mirror; fixed BARs, MSI-X, AtomicOps. */
const struct fake_devdesc zoo_gpu_compute = {
	.name = "gpu-compute", .driver = "nvidia", .vendor = 0x10de, .device = 0x2330,
	.subvendor = 0x10de, .class_code = 0x030200, .revision = 0xa1, .atomic_comp = 0x3,
	.bars = { FAKE_BAR(MIB(16), 0), FAKE_BAR(GIB(64), FAKE_BAR_64 | FAKE_BAR_PREF) },
	.caps = { FAKE_CAP_PM(1), FAKE_CAP_MSIX(6, 0, 0xb90000, 0, 0xba0000), FAKE_CAP_PCIE(0, 1) },
	.ecaps = { FAKE_ECAP_AER, FAKE_ECAP_SRIOV(16), FAKE_ECAP_REBAR(1, 0x7fff0) },
};

/* HD 7850: registers in a 64-bit BAR 2, ports in BAR 4, no function-level reset. */
const struct fake_devdesc zoo_radeon = {
	.name = "radeon", .driver = "radeon", .vendor = 0x1002, .device = 0x6819,
	.subvendor = 0x1458, .class_code = 0x030000, .intx_pin = 1, .rom_size = 0x20000,
	.flags = FAKE_DEV_HAS_VGA,
	.bars = { FAKE_BAR(MIB(256), FAKE_BAR_64 | FAKE_BAR_PREF), { .size = 0 },
		  FAKE_BAR(KIB(256), FAKE_BAR_64), { .size = 0 }, FAKE_BAR(256, FAKE_BAR_IO) },
	.caps = { FAKE_CAP_VNDR(8), FAKE_CAP_PM(1), FAKE_CAP_PCIE(1, 0), FAKE_CAP_MSI(0, 1, 0) },
	.ecaps = { FAKE_ECAP_RAW(0x000b, 16), FAKE_ECAP_AER },
};

/* Navi: doorbells in BAR 2, registers in BAR 5; resizable BARs first in the list. */
const struct fake_devdesc zoo_navi = {
	.name = "navi", .driver = "amdgpu", .vendor = 0x1002, .device = 0x73bf,
	.subvendor = 0x1002, .class_code = 0x030000, .intx_pin = 1, .rom_size = 0x20000,
	.atomic_comp = 0x3,
	.bars = { FAKE_BAR(MIB(256), FAKE_BAR_64 | FAKE_BAR_PREF), { .size = 0 },
		  FAKE_BAR(MIB(2), FAKE_BAR_64 | FAKE_BAR_PREF), { .size = 0 },
		  FAKE_BAR(256, FAKE_BAR_IO), FAKE_BAR(MIB(1), 0) },
	.caps = { FAKE_CAP_VNDR(8), FAKE_CAP_PM(1), FAKE_CAP_PCIE(0, 0), FAKE_CAP_MSI(0, 1, 1) },
	.ecaps = { FAKE_ECAP_REBAR(0, 0x7f000), FAKE_ECAP_AER, FAKE_ECAP_ARI },
};

const struct fake_devdesc zoo_rtl8168 = {
	.name = "rtl8168", .driver = "r8169", .vendor = 0x10ec, .device = 0x8168,
	.subvendor = 0x10ec, .subdevice = 0x0123, .class_code = 0x020000, .revision = 0x15,
	.intx_pin = 1,
	.bars = { FAKE_BAR(256, FAKE_BAR_IO), { .size = 0 }, FAKE_BAR(PAGES(1), FAKE_BAR_64),
		  { .size = 0 }, FAKE_BAR(PAGES(4), FAKE_BAR_64) },
	.caps = { FAKE_CAP_PM(1), FAKE_CAP_MSI(0, 1, 0), FAKE_CAP_PCIE(0, 0),
		  FAKE_CAP_MSIX(4, 4, 0, 4, 0x800), FAKE_CAP_VPD },
	.ecaps = { FAKE_ECAP_AER, FAKE_ECAP_DSN },
};

/* HD Graphics on the root complex: conventional, with an OpRegion. */
const struct fake_devdesc zoo_igd = {
	.name = "igd", .driver = "i915", .vendor = 0x8086, .device = 0x5912, .subvendor = 0x8086,
	.class_code = 0x030000, .intx_pin = 1, .opregion_size = 0x2000,
	.bars = { FAKE_BAR(MIB(16), FAKE_BAR_64), { .size = 0 },
		  FAKE_BAR(MIB(256), FAKE_BAR_64 | FAKE_BAR_PREF), { .size = 0 },
		  FAKE_BAR(64, FAKE_BAR_IO) },
	.caps = { FAKE_CAP_VNDR(16), FAKE_CAP_PCIE(9, 0), { .id = 0x05, .off = 0xac, .len = 10 },
		  { .id = 0x01, .off = 0xd0, .len = 8, .w = { 0x4803 } } },
};

const struct fake_devdesc zoo_vmd = {
	.name = "vmd", .driver = "vmd", .vendor = 0x8086, .device = 0x9a0b, .subvendor = 0x8086,
	.class_code = 0x010400,
	.bars = { FAKE_BAR(MIB(32), FAKE_BAR_64), { .size = 0 }, FAKE_BAR(MIB(32), 0),
		  { .size = 0 }, FAKE_BAR(MIB(1), FAKE_BAR_64) },
	.caps = { FAKE_CAP_MSIX(19, 4, 0, 4, 0x1000), FAKE_CAP_PCIE(9, 1) },
};

/* 8 KiB of BAR, and the pending bits at 32 KiB. */
const struct fake_devdesc zoo_chelsio_vf = {
	.name = "chelsio-vf", .driver = "cxgb4vf", .vendor = 0x1425, .device = 0x5803,
	.subvendor = 0x1425, .class_code = 0x020000, .flags = FAKE_DEV_VF,
	.bars = { FAKE_BAR(PAGES(1), FAKE_BAR_64), { .size = 0 },
		  FAKE_BAR(MIB(1), FAKE_BAR_64 | FAKE_BAR_PREF), { .size = 0 },
		  FAKE_BAR(PAGES(2), FAKE_BAR_64) },
	.caps = { FAKE_CAP_MSIX(33, 4, 0, 4, 0x8000), FAKE_CAP_PCIE(0, 1) },
};

const struct fake_devdesc zoo_kunlun_vf = {
	.name = "kunlun-vf", .driver = "kunlun", .vendor = 0x1d22, .device = 0x3685,
	.subvendor = 0x1d22, .class_code = 0x120000, .flags = FAKE_DEV_VF,
	.bars = { FAKE_BAR(KIB(64), FAKE_BAR_64) },
	.caps = { FAKE_CAP_MSIX(16, 0, 0xb000, 0, 0x460000), FAKE_CAP_PCIE(0, 1) },
};
// clang-format on
