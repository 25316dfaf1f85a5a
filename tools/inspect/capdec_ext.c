// SPDX-License-Identifier: GPL-2.0-or-later
//
// Extended capabilities in words (PCIe 6.0 7.7 to 7.9).
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>

#include "tools/inspect/capdec_int.h"

static const struct capdec_bit acs_bits[] = {
	{ PCI_ACS_SV, "SrcValid" },    { PCI_ACS_TB, "TransBlk" },    { PCI_ACS_RR, "ReqRedir" },
	{ PCI_ACS_CR, "CmpltRedir" },  { PCI_ACS_UF, "UpstreamFwd" }, { PCI_ACS_EC, "EgressCtrl" },
	{ PCI_ACS_DT, "DirectTrans" },
};

static void tell_acs(const struct capdec_tell *t)
{
	CAPDEC_BITS(t, "can", capdec_get(t, PCI_ACS_CAP, 2), acs_bits);
	CAPDEC_BITS(t, "on", capdec_get(t, PCI_ACS_CTRL, 2), acs_bits);
}

static void tell_aer(const struct capdec_tell *t)
{
	static const struct capdec_bit unc[] = {
		{ PCI_ERR_UNC_DLP, "DLP" },	      { PCI_ERR_UNC_SURPDN, "SDES" },
		{ PCI_ERR_UNC_POISON_TLP, "TLP" },    { PCI_ERR_UNC_FCP, "FCP" },
		{ PCI_ERR_UNC_COMP_TIME, "CmpltTO" }, { PCI_ERR_UNC_COMP_ABORT, "CmpltAbrt" },
		{ PCI_ERR_UNC_UNX_COMP, "UnxCmplt" }, { PCI_ERR_UNC_RX_OVER, "RxOF" },
		{ PCI_ERR_UNC_MALF_TLP, "MalfTLP" },  { PCI_ERR_UNC_ECRC, "ECRC" },
		{ PCI_ERR_UNC_UNSUP, "UnsupReq" },    { PCI_ERR_UNC_ACSV, "ACSViol" },
	};
	static const struct capdec_bit cor[] = {
		{ PCI_ERR_COR_RCVR, "RxErr" },	      { PCI_ERR_COR_BAD_TLP, "BadTLP" },
		{ PCI_ERR_COR_BAD_DLLP, "BadDLLP" },  { PCI_ERR_COR_REP_ROLL, "Rollover" },
		{ PCI_ERR_COR_REP_TIMER, "Timeout" }, { PCI_ERR_COR_ADV_NFAT, "AdvNonFatalErr" },
	};
	CAPDEC_BITS(t, "uncorrectable", capdec_get(t, PCI_ERR_UNCOR_STATUS, 4), unc);
	CAPDEC_BITS(t, "correctable", capdec_get(t, PCI_ERR_COR_STATUS, 4), cor);
}

static void tell_dsn(const struct capdec_tell *t)
{
	uint32_t lo = capdec_get(t, 4, 4), hi = capdec_get(t, 8, 4);
	capdec_say(t, "%02x-%02x-%02x-%02x-%02x-%02x-%02x-%02x", hi >> 24, hi >> 16 & 0xff,
		   hi >> 8 & 0xff, hi & 0xff, lo >> 24, lo >> 16 & 0xff, lo >> 8 & 0xff, lo & 0xff);
}

static void tell_ari(const struct capdec_tell *t)
{
	static const struct capdec_bit caps[] = {
		{ PCI_ARI_CAP_MFVC, "MFVC" },
		{ PCI_ARI_CAP_ACS, "ACS" },
	};
	CAPDEC_BITS(t, "can", capdec_get(t, PCI_ARI_CAP, 2), caps);
	capdec_say(t, "next function: %u", capdec_get(t, PCI_ARI_CAP, 2) >> 8);
}

static void tell_ats(const struct capdec_tell *t)
{
	static const struct capdec_bit on[] = { { PCI_ATS_CTRL_ENABLE, "Enable" } };
	uint32_t depth = capdec_get(t, PCI_ATS_CAP, 2) & 0x1f;
	capdec_say(t, "invalidate queue depth %u", depth ? depth : 32);
	CAPDEC_BITS(t, "on", capdec_get(t, PCI_ATS_CTRL, 2), on);
}

static void tell_pri(const struct capdec_tell *t)
{
	static const struct capdec_bit on[] = { { PCI_PRI_CTRL_ENABLE, "Enable" } };
	CAPDEC_BITS(t, "on", capdec_get(t, PCI_PRI_CTRL, 2), on);
}

static void tell_pasid(const struct capdec_tell *t)
{
	static const struct capdec_bit on[] = {
		{ PCI_PASID_CTRL_ENABLE, "Enable" },
		{ PCI_PASID_CTRL_EXEC, "Exec" },
		{ PCI_PASID_CTRL_PRIV, "Priv" },
	};
	capdec_say(t, "%u bits", capdec_get(t, PCI_PASID_CAP, 2) >> 8 & 0x1f);
	CAPDEC_BITS(t, "on", capdec_get(t, PCI_PASID_CTRL, 2), on);
}

static void tell_sriov(const struct capdec_tell *t)
{
	static const struct capdec_bit on[] = {
		{ PCI_SRIOV_CTRL_VFE, "Enable" },
		{ PCI_SRIOV_CTRL_MSE, "MSE" },
		{ PCI_SRIOV_CTRL_ARI, "ARIHierarchy" },
	};
	capdec_say(t, "VFs: %u enabled, %u initially, %u in all",
		   capdec_get(t, PCI_SRIOV_CTRL, 2) & PCI_SRIOV_CTRL_VFE
			   ? capdec_get(t, PCI_SRIOV_NUM_VF, 2)
			   : 0,
		   capdec_get(t, PCI_SRIOV_INITIAL_VF, 2), capdec_get(t, PCI_SRIOV_TOTAL_VF, 2));
	capdec_say(t, "first VF at offset %u, then every %u; device %04x",
		   capdec_get(t, PCI_SRIOV_VF_OFFSET, 2), capdec_get(t, PCI_SRIOV_VF_STRIDE, 2),
		   capdec_get(t, PCI_SRIOV_VF_DID, 2));
	CAPDEC_BITS(t, "on", capdec_get(t, PCI_SRIOV_CTRL, 2), on);
}

static void tell_rebar(const struct capdec_tell *t)
{
	unsigned int n = capdec_get(t, PCI_REBAR_CTRL, 4) >> 5 & 7;
	for (unsigned int i = 0; i < n && i < 6; i++) {
		char sizes[160] = "", one[16];
		size_t at = 0;
		uint32_t ctrl = capdec_get(t, PCI_REBAR_CTRL + 8 * i, 4);
		uint64_t can = (uint64_t)(capdec_get(t, PCI_REBAR_CAP + 8 * i, 4) >> 4) |
			       (uint64_t)(ctrl >> 16) << 28;
		for (unsigned int s = 0; s < 44 && at < sizeof(sizes); s++) {
			if (can >> s & 1)
				at += (size_t)snprintf(
					sizes + at, sizeof(sizes) - at, " %s",
					inv_size_text(BIT64(s + 20), one, sizeof(one)));
		}
		capdec_say(t, "BAR %u: now %s, can:%s", ctrl & PCI_REBAR_CTRL_BAR_IDX,
			   inv_size_text(BIT64((ctrl >> 8 & 0x3f) % 44 + 20), one, sizeof(one)),
			   sizes);
	}
}

static void tell_ltr(const struct capdec_tell *t)
{
	static const unsigned int scale[8] = { 1, 32, 1024, 32768, 1048576, 33554432, 0, 0 };
	uint32_t a = capdec_get(t, PCI_LTR_MAX_SNOOP_LAT, 2);
	uint32_t b = capdec_get(t, PCI_LTR_MAX_NOSNOOP_LAT, 2);
	capdec_say(t, "snoop latency at most %" PRIu64 " ns, no-snoop %" PRIu64 " ns",
		   (uint64_t)(a & 0x3ff) * scale[a >> 10 & 7],
		   (uint64_t)(b & 0x3ff) * scale[b >> 10 & 7]);
}

static void tell_l1ss(const struct capdec_tell *t)
{
	static const struct capdec_bit bits[] = {
		{ PCI_L1SS_CAP_PCIPM_L1_2, "PCI-PM_L1.2" },
		{ PCI_L1SS_CAP_PCIPM_L1_1, "PCI-PM_L1.1" },
		{ PCI_L1SS_CAP_ASPM_L1_2, "ASPM_L1.2" },
		{ PCI_L1SS_CAP_ASPM_L1_1, "ASPM_L1.1" },
	};
	CAPDEC_BITS(t, "can", capdec_get(t, PCI_L1SS_CAP, 4), bits);
	CAPDEC_BITS(t, "on", capdec_get(t, PCI_L1SS_CTL1, 4), bits);
}

static void tell_dpc(const struct capdec_tell *t)
{
	uint32_t status = capdec_get(t, PCI_EXP_DPC_STATUS, 2);
	capdec_say(t, "containment %s, %s", capdec_get(t, PCI_EXP_DPC_CTL, 2) & 3 ? "armed" : "off",
		   status & PCI_EXP_DPC_STATUS_TRIGGER ? "TRIGGERED" : "not triggered");
}

static void tell_vendor(const struct capdec_tell *t)
{
	uint32_t h = capdec_get(t, 4, 4);
	capdec_say(t, "id %04x, revision %u, %u bytes", h & 0xffff, h >> 16 & 0xf, h >> 20);
}

static void tell_dvsec(const struct capdec_tell *t)
{
	uint32_t h = capdec_get(t, 4, 4);
	capdec_say(t, "vendor %04x, id %04x, revision %u, %u bytes", h & 0xffff,
		   capdec_get(t, 8, 2), h >> 16 & 0xf, h >> 20);
}

const struct capdec_row capdec_extended[] = {
	{ 0x00, "Null", NULL },
	{ PCI_EXT_CAP_ID_ERR, "Advanced Error Reporting", tell_aer },
	{ PCI_EXT_CAP_ID_VC, "Virtual Channel", NULL },
	{ PCI_EXT_CAP_ID_DSN, "Device Serial Number", tell_dsn },
	{ PCI_EXT_CAP_ID_PWR, "Power Budgeting", NULL },
	{ PCI_EXT_CAP_ID_RCLD, "Root Complex Link Declaration", NULL },
	{ PCI_EXT_CAP_ID_RCILC, "Root Complex Internal Link Control", NULL },
	{ PCI_EXT_CAP_ID_RCEC, "Root Complex Event Collector", NULL },
	{ PCI_EXT_CAP_ID_MFVC, "Multi-Function Virtual Channel", NULL },
	{ PCI_EXT_CAP_ID_VC9, "Virtual Channel", NULL },
	{ PCI_EXT_CAP_ID_RCRB, "Root Complex Register Block", NULL },
	{ PCI_EXT_CAP_ID_VNDR, "Vendor Specific", tell_vendor },
	{ PCI_EXT_CAP_ID_CAC, "Configuration Access Correlation", NULL },
	{ PCI_EXT_CAP_ID_ACS, "Access Control Services", tell_acs },
	{ PCI_EXT_CAP_ID_ARI, "Alternative Routing-ID", tell_ari },
	{ PCI_EXT_CAP_ID_ATS, "Address Translation Service", tell_ats },
	{ PCI_EXT_CAP_ID_SRIOV, "SR-IOV", tell_sriov },
	{ PCI_EXT_CAP_ID_MRIOV, "MR-IOV", NULL },
	{ PCI_EXT_CAP_ID_MCAST, "Multicast", NULL },
	{ PCI_EXT_CAP_ID_PRI, "Page Request Interface", tell_pri },
	{ PCI_EXT_CAP_ID_REBAR, "Resizable BAR", tell_rebar },
	{ PCI_EXT_CAP_ID_DPA, "Dynamic Power Allocation", NULL },
	{ PCI_EXT_CAP_ID_TPH, "TPH Requester", NULL },
	{ PCI_EXT_CAP_ID_LTR, "Latency Tolerance Reporting", tell_ltr },
	{ PCI_EXT_CAP_ID_SECPCI, "Secondary PCI Express", NULL },
	{ PCI_EXT_CAP_ID_PMUX, "Protocol Multiplexing", NULL },
	{ PCI_EXT_CAP_ID_PASID, "Process Address Space ID", tell_pasid },
	{ PCI_EXT_CAP_ID_DPC, "Downstream Port Containment", tell_dpc },
	{ PCI_EXT_CAP_ID_L1SS, "L1 PM Substates", tell_l1ss },
	{ PCI_EXT_CAP_ID_PTM, "Precision Time Measurement", NULL },
	{ 0x21, "Readiness Time Reporting", NULL },
	{ 0x23, "Designated Vendor Specific", tell_dvsec },
	{ 0x24, "VF Resizable BAR", tell_rebar },
	{ 0x25, "Data Link Feature", NULL },
	{ 0x26, "Physical Layer 16 GT/s", NULL },
	{ 0x27, "Lane Margining", NULL },
	{ 0x29, "Native PCIe Enclosure Management", NULL },
	{ 0x2a, "Physical Layer 32 GT/s", NULL },
	{ 0x2b, "Alternate Protocol", NULL },
	{ 0x2e, "Data Object Exchange", NULL },
	{ 0x2f, "Device 3", NULL },
	{ 0x30, "Integrity and Data Encryption", NULL },
	{ 0x31, "Physical Layer 64 GT/s", NULL },
	{ 0, NULL, NULL },
};
