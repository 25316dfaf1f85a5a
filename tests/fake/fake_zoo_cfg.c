// SPDX-License-Identifier: GPL-2.0-or-later
//
// Inhabitants of the zoo with an odd configuration space, one oddity each, and those whose reset
// goes wrong.
#include "tests/fake/fake_zoo.h"

#define PAGES(n) ((n)*UINT64_C(4096))

// clang-format off
#define ODD(n) .driver = "oddball", .vendor = 0x1234, .device = 0x7000 + (n), .class_code = 0xff0000, .intx_pin = 1
#define PM_PCIE(flr) FAKE_CAP_PM(1), FAKE_CAP_PCIE(0, flr)
#define ONE_BAR .bars = { FAKE_BAR(PAGES(1), 0) }

const struct fake_devdesc zoo_reset_fails = {
	.name = "reset-fails", ODD(22), ONE_BAR, .flags = FAKE_DEV_RESET_FAILS,
	.caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
};

const struct fake_devdesc zoo_dead_after_reset = {
	.name = "dead-after-reset", ODD(23), ONE_BAR, .flags = FAKE_DEV_DEAD_AFTER_RESET,
	.caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
};

const struct fake_devdesc zoo_stuck_d3 = {
	.name = "stuck-d3", ODD(24), ONE_BAR, .flags = FAKE_DEV_STUCK_D3,
	.caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
};

const struct fake_devdesc zoo_rebar_two = {
	.name = "rebar-two", ODD(25),
	.bars = { FAKE_BAR(MIB(16), FAKE_BAR_64 | FAKE_BAR_PREF), { .size = 0 },
		  FAKE_BAR(MIB(1), FAKE_BAR_64 | FAKE_BAR_PREF) },
	.caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
	.ecaps = { { .id = 0x15, .len = 20, .w = { 1, 0x7ff0, 0x440, 0xfff0, 0x002 } },
		   FAKE_ECAP_DSN },
};

const struct fake_devdesc zoo_ari_first = {
	.name = "ari-first", ODD(26), ONE_BAR, .caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
	.ecaps = { FAKE_ECAP_ARI, FAKE_ECAP_AER, FAKE_ECAP_ATS, FAKE_ECAP_DSN },
};

const struct fake_devdesc zoo_no_pm = {
	.name = "no-pm", ODD(27), ONE_BAR, .caps = { FAKE_CAP_MSI(0, 1, 0), FAKE_CAP_PCIE(0, 1) },
	.ecaps = { FAKE_ECAP_SRIOV(4), FAKE_ECAP_AER, FAKE_ECAP_ARI },
};

const struct fake_devdesc zoo_exp_v1 = {
	.name = "exp-v1", ODD(28), ONE_BAR,
	.caps = { { .id = 0x10, .off = 0x40, .len = 20, .w = { 1, 0x8000, 0, 0x3411, 0x10110000 } },
		  { .id = 0x05, .off = 0x54, .len = 14, .w = { 0x80 } }, FAKE_CAP_PM(1) },
	.ecaps = { FAKE_ECAP_AER },
};

const struct fake_devdesc zoo_rciep = {
	.name = "rciep", ODD(29), ONE_BAR,
	.caps = { FAKE_CAP_MSI(0, 1, 0), FAKE_CAP_PM(1), FAKE_CAP_PCIE(9, 1) },
	.ecaps = { FAKE_ECAP_AER },
};

const struct fake_devdesc zoo_pcix = {
	.name = "pci-x", ODD(30), ONE_BAR,
	.caps = { { .id = 0x07, .len = 8, .w = { 0x0002, 0x01830000 } }, FAKE_CAP_MSI(0, 1, 0) },
};

const struct fake_devdesc zoo_ext_loop = {
	.name = "ext-loop", ODD(31), ONE_BAR, .caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
	.ecaps = { FAKE_ECAP_AER, { .id = 0x03, .len = 12, .next = 0x100, .w = { 1, 1, 2 } } },
};

const struct fake_devdesc zoo_cap_edge = {
	.name = "cap-edge", ODD(32), ONE_BAR,
	.caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1),
		  { .id = 0x09, .off = 0xf8, .len = 8, .w = { 8 } } },
};

const struct fake_devdesc zoo_cap_unknown = {
	.name = "cap-unknown", ODD(33), ONE_BAR,
	.caps = { FAKE_CAP_RAW(0x14, 8), FAKE_CAP_MSI(0, 1, 0), FAKE_CAP_RAW(0x2a, 4), PM_PCIE(1),
		  FAKE_CAP_RAW(0x0c, 4) },
};

const struct fake_devdesc zoo_short_config = {
	.name = "short-config", ODD(34), ONE_BAR, .flags = FAKE_DEV_SHORT_CONFIG,
	.caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) }, .ecaps = { FAKE_ECAP_AER },
};

const struct fake_devdesc zoo_two_msi = {
	.name = "two-msi", ODD(35), ONE_BAR,
	.caps = { FAKE_CAP_MSI(2, 1, 1), FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1), FAKE_CAP_PM(0) },
};

const struct fake_devdesc zoo_dvsec = {
	.name = "dvsec", ODD(36), ONE_BAR, .caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
	.ecaps = { { .id = 0x23, .len = 16, .w = { 1, 0x01001e98, 0x00000002 } },
		   { .id = 0x0b, .len = 16, .w = { 1, 0x01000abc } } },
};

const struct fake_devdesc zoo_no_bars = {
	.name = "no-bars", ODD(37), .caps = { FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
	.ecaps = { FAKE_ECAP_DSN },
};

const struct fake_devdesc zoo_vendor_long = {
	.name = "vendor-long", ODD(38), ONE_BAR,
	.caps = { FAKE_CAP_VNDR(64), FAKE_CAP_MSI(0, 1, 0), PM_PCIE(1) },
};

const struct fake_devdesc zoo_vf_token = {
	.name = "vf-token", .driver = "igbvf", .vendor = 0x8086, .device = 0x1520,
	.subvendor = 0x8086, .class_code = 0x020000, .flags = FAKE_DEV_VF,
	.vf_token = ZOO_VF_TOKEN, .bars = { FAKE_BAR(PAGES(4), FAKE_BAR_64) },
	.caps = { FAKE_CAP_MSIX(3, 0, 0x2000, 0, 0x3000), FAKE_CAP_PCIE(0, 1) },
};

/* PBA and table fill the end of the last BAR. */
const struct fake_devdesc zoo_msix_high = {
	.name = "msix-high", ODD(39),
	.bars = { FAKE_BAR(16, FAKE_BAR_IO), { .size = 0 }, { .size = 0 }, { .size = 0 },
		  { .size = 0 }, FAKE_BAR(PAGES(4), 0) },
	.caps = { FAKE_CAP_MSIX(8, 5, 0x3f80, 5, 0x3f78), PM_PCIE(1) },
};
// clang-format on
