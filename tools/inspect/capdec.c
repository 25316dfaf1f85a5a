// SPDX-License-Identifier: GPL-2.0-or-later
//
// Standard capabilities in words (PCI 3.0 6.7, PCI PM 1.2, PCIe 6.0 7.5.3), and what both halves
// need. Flags are printed as lspci prints them, NAME+ or NAME-, because that is what people grep
// for.
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/inspect/capdec_int.h"

uint32_t capdec_get(const struct capdec_tell *t, unsigned int reg, unsigned int size)
{
	return inv_cfg(t->f, t->off + reg, size);
}

void capdec_say(const struct capdec_tell *t, const char *fmt, ...)
{
	char line[256];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	t->say(t->opaque, line);
}

void capdec_bits(const struct capdec_tell *t, const char *head, uint32_t value,
		 const struct capdec_bit *bits, unsigned int n)
{
	char line[256];
	size_t at = (size_t)snprintf(line, sizeof(line), "%s:", head);
	for (unsigned int i = 0; i < n && at < sizeof(line); i++)
		at += (size_t)snprintf(line + at, sizeof(line) - at, " %s%c", bits[i].name,
				       value & bits[i].mask ? '+' : '-');
	t->say(t->opaque, line);
}

const char *capdec_speed(unsigned int code)
{
	static const char *const speed[] = { "?",	"2.5 GT/s", "5 GT/s", "8 GT/s",
					     "16 GT/s", "32 GT/s",  "64 GT/s" };
	return speed[code < ARRAY_SIZE(speed) ? code : 0];
}

/* --- power management ------------------------------------------------------------------------- */

static void tell_pm(const struct capdec_tell *t)
{
	static const struct capdec_bit caps[] = {
		{ PCI_PM_CAP_D1, "D1" },
		{ PCI_PM_CAP_D2, "D2" },
		{ PCI_PM_CAP_PME_D0, "PME-D0" },
		{ PCI_PM_CAP_PME_D3hot, "PME-D3hot" },
		{ PCI_PM_CAP_PME_D3cold, "PME-D3cold" },
	};
	static const struct capdec_bit status[] = {
		{ PCI_PM_CTRL_NO_SOFT_RESET, "NoSoftRst" },
		{ PCI_PM_CTRL_PME_ENABLE, "PME-Enable" },
		{ PCI_PM_CTRL_PME_STATUS, "PME" },
	};
	uint32_t ctrl = capdec_get(t, PCI_PM_CTRL, 2);
	capdec_say(t, "version %u, state D%u", capdec_get(t, PCI_PM_PMC, 2) & PCI_PM_CAP_VER_MASK,
		   ctrl & PCI_PM_CTRL_STATE_MASK);
	CAPDEC_BITS(t, "flags", capdec_get(t, PCI_PM_PMC, 2), caps);
	CAPDEC_BITS(t, "status", ctrl, status);
	if (ctrl & PCI_PM_CTRL_NO_SOFT_RESET)
		capdec_say(t, "a change of power state does not reset it (NoSoftRst+)");
}

/* --- interrupts ------------------------------------------------------------------------------- */

static void tell_msi(const struct capdec_tell *t)
{
	static const struct capdec_bit flags[] = {
		{ PCI_MSI_FLAGS_ENABLE, "Enable" },
		{ PCI_MSI_FLAGS_MASKBIT, "Maskable" },
		{ PCI_MSI_FLAGS_64BIT, "64bit" },
	};
	uint32_t f = capdec_get(t, PCI_MSI_FLAGS, 2);
	capdec_say(t, "vectors: %u of %u", 1u << (f >> 4 & 7), 1u << (f >> 1 & 7));
	CAPDEC_BITS(t, "flags", f, flags);
}

/* A structure of `len` bytes at `off` of a BAR whose size may be known. */
static void tell_msix_place(const struct capdec_tell *t, const char *what, uint32_t reg,
			    uint64_t len)
{
	uint32_t bar = reg & PCI_MSIX_TABLE_BIR, off = reg & PCI_MSIX_TABLE_OFFSET;
	capdec_say(t, "%s: BAR %u at 0x%08x, %" PRIu64 " bytes", what, bar, off, len);
	if (bar > 5 || t->f->bar[bar].kind == INV_BAR_IO || t->f->bar[bar].size == 0)
		capdec_say(t, "%s: BROKEN, BAR %u is no memory BAR of this function", what, bar);
	else if (off + len > t->f->bar[bar].size)
		capdec_say(t, "%s: BROKEN, it lies past the end of BAR %u (0x%" PRIx64 " bytes)",
			   what, bar, t->f->bar[bar].size);
}

static void tell_msix(const struct capdec_tell *t)
{
	static const struct capdec_bit flags[] = {
		{ PCI_MSIX_FLAGS_ENABLE, "Enable" },
		{ PCI_MSIX_FLAGS_MASKALL, "Masked" },
	};
	uint32_t f = capdec_get(t, PCI_MSIX_FLAGS, 2);
	uint32_t n = (f & PCI_MSIX_FLAGS_QSIZE) + 1;
	capdec_say(t, "vectors: %u", n);
	CAPDEC_BITS(t, "flags", f, flags);
	tell_msix_place(t, "table", capdec_get(t, PCI_MSIX_TABLE, 4), (uint64_t)n * 16);
	tell_msix_place(t, "PBA", capdec_get(t, PCI_MSIX_PBA, 4), (uint64_t)(n + 63) / 64 * 8);
}

/* --- PCI Express ------------------------------------------------------------------------------ */

static const char *express_type(unsigned int type)
{
	static const char *const name[16] = {
		[PCI_EXP_TYPE_ENDPOINT] = "Endpoint",
		[PCI_EXP_TYPE_LEG_END] = "Legacy Endpoint",
		[PCI_EXP_TYPE_ROOT_PORT] = "Root Port",
		[PCI_EXP_TYPE_UPSTREAM] = "Upstream Port",
		[PCI_EXP_TYPE_DOWNSTREAM] = "Downstream Port",
		[PCI_EXP_TYPE_PCI_BRIDGE] = "PCI Express to PCI Bridge",
		[PCI_EXP_TYPE_PCIE_BRIDGE] = "PCI to PCI Express Bridge",
		[PCI_EXP_TYPE_RC_END] = "Root Complex Integrated Endpoint",
		[PCI_EXP_TYPE_RC_EC] = "Root Complex Event Collector",
	};
	return type < 16 && name[type] ? name[type] : "unknown type";
}

static void tell_link(const struct capdec_tell *t)
{
	static const struct capdec_bit ctl[] = {
		{ PCI_EXP_LNKCTL_ASPM_L0S, "ASPM-L0s" },
		{ PCI_EXP_LNKCTL_ASPM_L1, "ASPM-L1" },
		{ PCI_EXP_LNKCTL_LD, "Disabled" },
		{ PCI_EXP_LNKCTL_CCC, "CommClk" },
	};
	uint32_t cap = capdec_get(t, PCI_EXP_LNKCAP, 4), sta = capdec_get(t, PCI_EXP_LNKSTA, 2);
	capdec_say(t, "link: %s x%u of %s x%u, port %u", capdec_speed(sta & PCI_EXP_LNKSTA_CLS),
		   (sta & PCI_EXP_LNKSTA_NLW) >> 4, capdec_speed(cap & PCI_EXP_LNKCAP_SLS),
		   (cap & PCI_EXP_LNKCAP_MLW) >> 4, cap >> 24);
	CAPDEC_BITS(t, "link control", capdec_get(t, PCI_EXP_LNKCTL, 2), ctl);
}

static void tell_slot(const struct capdec_tell *t)
{
	static const struct capdec_bit caps[] = {
		{ PCI_EXP_SLTCAP_HPC, "HotPlug" },
		{ PCI_EXP_SLTCAP_HPS, "Surprise" },
		{ PCI_EXP_SLTCAP_PCP, "PwrCtrl" },
	};
	uint32_t cap = capdec_get(t, PCI_EXP_SLTCAP, 4);
	capdec_say(t, "slot %u, %s", cap >> 19,
		   capdec_get(t, PCI_EXP_SLTSTA, 2) & PCI_EXP_SLTSTA_PDS ? "occupied" : "empty");
	CAPDEC_BITS(t, "slot", cap, caps);
}

static void tell_express(const struct capdec_tell *t)
{
	static const struct capdec_bit ctl[] = {
		{ PCI_EXP_DEVCTL_RELAX_EN, "RlxdOrd" },
		{ PCI_EXP_DEVCTL_EXT_TAG, "ExtTag" },
		{ PCI_EXP_DEVCTL_NOSNOOP_EN, "NoSnoop" },
	};
	static const struct capdec_bit sta[] = {
		{ PCI_EXP_DEVSTA_CED, "CorrErr" },     { PCI_EXP_DEVSTA_NFED, "NonFatalErr" },
		{ PCI_EXP_DEVSTA_FED, "FatalErr" },    { PCI_EXP_DEVSTA_URD, "UnsupReq" },
		{ PCI_EXP_DEVSTA_TRPND, "TransPend" },
	};
	static const struct capdec_bit cap2[] = {
		{ PCI_EXP_DEVCAP2_COMP_TMOUT_DIS, "TimeoutDis" },
		{ PCI_EXP_DEVCAP2_ARI, "ARIFwd" },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP32, "32bitAtomic" },
		{ PCI_EXP_DEVCAP2_ATOMIC_COMP64, "64bitAtomic" },
		{ PCI_EXP_DEVCAP2_LTR, "LTR" },
	};
	uint32_t flags = capdec_get(t, PCI_EXP_FLAGS, 2), cap = capdec_get(t, PCI_EXP_DEVCAP, 4);
	uint32_t c = capdec_get(t, PCI_EXP_DEVCTL, 2);
	unsigned int type = (flags & PCI_EXP_FLAGS_TYPE) >> 4;
	bool port = type == PCI_EXP_TYPE_ROOT_PORT || type == PCI_EXP_TYPE_DOWNSTREAM;
	capdec_say(t, "version %u, %s", flags & PCI_EXP_FLAGS_VERS, express_type(type));
	capdec_say(t, "payload %u of %u bytes, read requests %u bytes", 128u << (c >> 5 & 7),
		   128u << (cap & PCI_EXP_DEVCAP_PAYLOAD), 128u << (c >> 12 & 7));
	if (type == PCI_EXP_TYPE_ENDPOINT || type == PCI_EXP_TYPE_LEG_END ||
	    type == PCI_EXP_TYPE_RC_END)
		capdec_say(t, "function-level reset: FLReset%c",
			   cap & PCI_EXP_DEVCAP_FLR ? '+' : '-');
	CAPDEC_BITS(t, "device control", c, ctl);
	CAPDEC_BITS(t, "device status", capdec_get(t, PCI_EXP_DEVSTA, 2), sta);
	if (type != PCI_EXP_TYPE_RC_END && type != PCI_EXP_TYPE_RC_EC)
		tell_link(t);
	if (port && (flags & PCI_EXP_FLAGS_SLOT))
		tell_slot(t);
	if ((flags & PCI_EXP_FLAGS_VERS) >= 2)
		CAPDEC_BITS(t, "device 2", capdec_get(t, PCI_EXP_DEVCAP2, 4), cap2);
}

/* --- the small ones --------------------------------------------------------------------------- */

static void tell_ssvid(const struct capdec_tell *t)
{
	capdec_say(t, "subsystem %04x:%04x", capdec_get(t, PCI_SSVID_VENDOR_ID, 2),
		   capdec_get(t, PCI_SSVID_DEVICE_ID, 2));
}

static void tell_vendor(const struct capdec_tell *t)
{
	capdec_say(t, "%u bytes", capdec_get(t, PCI_CAP_FLAGS, 1));
}

static void tell_af(const struct capdec_tell *t)
{
	capdec_say(t, "function-level reset: FLR%c",
		   capdec_get(t, PCI_AF_CAP, 1) & PCI_AF_CAP_FLR ? '+' : '-');
}

static void tell_debug(const struct capdec_tell *t)
{
	uint32_t port = capdec_get(t, 2, 2);
	capdec_say(t, "BAR %u at 0x%04x", (port >> 13 & 7) - 1, port & 0x1fff);
}

const struct capdec_row capdec_standard[] = {
	{ 0x00, "Null", NULL },
	{ PCI_CAP_ID_PM, "Power Management", tell_pm },
	{ PCI_CAP_ID_AGP, "AGP", NULL },
	{ PCI_CAP_ID_VPD, "Vital Product Data", NULL },
	{ PCI_CAP_ID_SLOTID, "Slot Identification", NULL },
	{ PCI_CAP_ID_MSI, "MSI", tell_msi },
	{ PCI_CAP_ID_CHSWP, "CompactPCI Hot Swap", NULL },
	{ PCI_CAP_ID_PCIX, "PCI-X", NULL },
	{ PCI_CAP_ID_HT, "HyperTransport", NULL },
	{ PCI_CAP_ID_VNDR, "Vendor Specific", tell_vendor },
	{ PCI_CAP_ID_DBG, "Debug Port", tell_debug },
	{ PCI_CAP_ID_CCRC, "CompactPCI Resource Control", NULL },
	{ PCI_CAP_ID_SHPC, "Standard Hot-Plug", NULL },
	{ PCI_CAP_ID_SSVID, "Bridge Subsystem", tell_ssvid },
	{ PCI_CAP_ID_AGP3, "AGP 8x", NULL },
	{ PCI_CAP_ID_SECDEV, "Secure Device", NULL },
	{ PCI_CAP_ID_EXP, "PCI Express", tell_express },
	{ PCI_CAP_ID_MSIX, "MSI-X", tell_msix },
	{ PCI_CAP_ID_SATA, "SATA", NULL },
	{ PCI_CAP_ID_AF, "Advanced Features", tell_af },
	{ PCI_CAP_ID_EA, "Enhanced Allocation", NULL },
	{ 0, NULL, NULL },
};

static const struct capdec_row *row_of(const struct inv_cap *c)
{
	const struct capdec_row *r = c->ext ? capdec_extended : capdec_standard;
	for (; r->name; r++) {
		if (r->id == c->id)
			return r;
	}
	return NULL;
}

char *capdec_name(const struct inv_cap *c, char *buf, size_t size)
{
	const struct capdec_row *r = row_of(c);
	if (r)
		snprintf(buf, size, "%s", r->name);
	else
		snprintf(buf, size, c->ext ? "extended capability 0x%04x" : "capability 0x%02x",
			 c->id);
	return buf;
}

void capdec(const struct inv_fn *f, const struct inv_cap *c,
	    void (*say)(void *opaque, const char *line), void *opaque)
{
	const struct capdec_tell t = { .f = f, .off = c->off, .say = say, .opaque = opaque };
	const struct capdec_row *r = row_of(c);
	if (r && r->tell)
		r->tell(&t);
}
