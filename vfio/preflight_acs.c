// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight's look at Access Control Services: which bridge above a function lets its devices
// reach each other, which is why Linux puts them in one group, and whether the groups are honest
// (pcie_acs_override). Extended configuration space takes root. Reads only.
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/sys.h"
#include "vfio/preflight_int.h"

#define PATH_SIZE 512
#define CFG_SIZE  4096
#define DEPTH_MAX 16
/* What Linux wants on the way for a group of its own. */
#define ACS_WANTED (PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)

enum acs { ACS_UNKNOWN, ACS_ON, ACS_OFF, ACS_ABSENT, ACS_PCI };

static unsigned int find_cap(const uint8_t *cfg, uint8_t id)
{
	unsigned int at = cfg[PCI_CAPABILITY_LIST] & ~3u;
	if (!(get_le16(cfg + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return 0;
	for (unsigned int i = 0; i < 48 && at >= 0x40; i++) {
		if (cfg[at] == id)
			return at;
		at = cfg[at + 1] & ~3u;
	}
	return 0;
}

static unsigned int find_ext_cap(const uint8_t *cfg, uint16_t id)
{
	unsigned int at = 0x100;
	for (unsigned int i = 0; i < (CFG_SIZE - 0x100) / 8 && at >= 0x100; i++) {
		uint32_t head = get_le32(cfg + at);
		if (head == 0 || head == UINT32_MAX)
			return 0;
		if (PCI_EXT_CAP_ID(head) == id)
			return at;
		at = PCI_EXT_CAP_NEXT(head);
	}
	return 0;
}

static enum acs acs_of(const struct hostpci_dev *bridge)
{
	uint8_t cfg[CFG_SIZE] = { 0 };
	int n = hostpci_config(bridge, cfg, sizeof(cfg));
	if (n < 256 || get_le16(cfg) == 0xffff)
		return ACS_UNKNOWN;
	unsigned int exp = find_cap(cfg, PCI_CAP_ID_EXP);
	if (!exp)
		return ACS_PCI;
	unsigned int type = (get_le16(cfg + exp + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_TYPE) >> 4;
	if (type == PCI_EXP_TYPE_PCI_BRIDGE || type == PCI_EXP_TYPE_PCIE_BRIDGE)
		return ACS_PCI;
	if (type != PCI_EXP_TYPE_ROOT_PORT && type != PCI_EXP_TYPE_DOWNSTREAM)
		return ACS_ON; /* an upstream port has no peers of its own */
	if (n < CFG_SIZE)
		return ACS_UNKNOWN;
	unsigned int acs = find_ext_cap(cfg, PCI_EXT_CAP_ID_ACS);
	if (!acs || acs > CFG_SIZE - 8)
		return ACS_ABSENT;
	return (get_le16(cfg + acs + PCI_ACS_CTRL) & ACS_WANTED) == ACS_WANTED ? ACS_ON : ACS_OFF;
}

/* Looks upwards; the nearest bridge that does not isolate. */
static enum acs walk(const struct hostpci_dev *d, char name[BDF_STR_MAX])
{
	struct hostpci_dev at = *d;
	enum acs worst = ACS_ON;
	for (unsigned int i = 0; i < DEPTH_MAX && at.has_parent; i++) {
		struct bdf up = at.parent;
		if (hostpci_read(&up, &at, NULL) < 0)
			break;
		enum acs a = acs_of(&at);
		bdf_str(&up, name);
		if (a > ACS_ON)
			return a;
		if (a == ACS_UNKNOWN)
			worst = a;
	}
	return worst;
}

bool preflight_merger(const struct hostpci_dev *d, char *buf, size_t size)
{
	char name[BDF_STR_MAX];
	switch (walk(d, name)) {
	case ACS_OFF:
		snprintf(buf, size, "%s has its ACS switched off", name);
		return true;
	case ACS_ABSENT:
		snprintf(buf, size, "%s has no ACS", name);
		return true;
	case ACS_PCI:
		snprintf(buf, size, "%s is a bridge to conventional PCI", name);
		return true;
	default:
		return false;
	}
}

void preflight_acs(struct preflight_ctx *c, const struct hostpci_dev *d)
{
	char cmdline[4096], path[PATH_SIZE], bridge[BDF_STR_MAX], name[BDF_STR_MAX];
	if (sys_read_text(hostpci_path(path, sizeof(path), "/proc/cmdline"), cmdline,
			  sizeof(cmdline)) < 0)
		return;
	const char *given = strstr(cmdline, "pcie_acs_override=");
	if (!given)
		return;
	bdf_str(&d->at, name);
	enum acs a = walk(d, bridge);
	if (a == ACS_ON) {
		preflight_say(c, VERDICT_OK, "acs-override", NULL,
			      "the bridges above %s isolate it by themselves (ACS)", name);
	} else if (a == ACS_UNKNOWN) {
		preflight_say(
			c, VERDICT_WARN, "acs-override",
			"run as root to see, or boot without pcie_acs_override",
			"Linux was told to believe in ACS that may not be there: group %u may "
			"look smaller than it is",
			d->group);
	} else {
		preflight_say(c, VERDICT_WARN, "acs-override",
			      "boot without pcie_acs_override and assign the group as it then is",
			      "Linux was told to believe in ACS that %s does not have: the guest's "
			      "devices may reach others behind it, past the IOMMU",
			      bridge);
	}
	preflight_evidence(c, "/proc/cmdline: %.*s", (int)strcspn(given, " \n"), given);
}
