// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight checks of one function's BARs: that the host gave each an address, and what of them a
// guest reaches without a trap. Where the MSI-X table lies takes configuration space past byte 63,
// which only root may read. Reads only.
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>

#include "core/bytes.h"
#include "core/range.h"
#include "core/sys.h"
#include "vfio/hostbar.h"
#include "vfio/preflight_int.h"

#define PAGE_BYTES UINT64_C(4096) /* x86 */

bool preflight_bar_hit(const struct hostpci_dev *d, struct range r)
{
	struct host_bar bar[6];
	struct range b;
	if (!host_bars_read(&d->at, bar))
		return false;
	for (unsigned int i = 0; i < 6; i++) {
		if (bar[i].size && !bar[i].io && !bar[i].unplaced &&
		    range_make(bar[i].addr, bar[i].size, &b) && range_overlaps(b, r))
			return true;
	}
	return false;
}

/* --- MSI-X ----------------------------------------------------------------------------------- */

struct msix {
	const char *unknown; /* why; NULL: the rest is true */
	unsigned int n;	     /* 0: none */
	unsigned int bar[2];
	uint32_t off[2], len[2]; /* table, pending bits */
};

static struct msix find_msix(const struct hostpci_dev *d)
{
	struct msix m = { .unknown = NULL };
	uint8_t cfg[256];
	int n = hostpci_config(d, cfg, sizeof(cfg));
	if (n == -EHOSTDOWN)
		m.unknown = "it sleeps";
	else if (n < (int)sizeof(cfg))
		m.unknown = "its config space takes root";
	else if (get_le16(cfg) == 0xffff && !d->is_vf) /* a virtual function's reads so in health */
		m.unknown = "it does not answer";
	if (m.unknown)
		return m;
	if (!(get_le16(cfg + PCI_STATUS) & PCI_STATUS_CAP_LIST))
		return m;
	unsigned int at = cfg[PCI_CAPABILITY_LIST] & ~3u;
	/* No honest list is longer: 48 times 4 bytes is all there is. */
	for (unsigned int i = 0; i < 48 && at >= 0x40 && at <= 0xf4; i++) {
		if (cfg[at] == PCI_CAP_ID_MSIX) {
			m.n = (get_le16(cfg + at + PCI_MSIX_FLAGS) & PCI_MSIX_FLAGS_QSIZE) + 1u;
			uint32_t reg[2] = { get_le32(cfg + at + PCI_MSIX_TABLE),
					    get_le32(cfg + at + PCI_MSIX_PBA) };
			for (unsigned int j = 0; j < 2; j++) {
				m.bar[j] = reg[j] & PCI_MSIX_TABLE_BIR;
				m.off[j] = reg[j] & PCI_MSIX_TABLE_OFFSET;
			}
			m.len[0] = m.n * PCI_MSIX_ENTRY_SIZE;
			m.len[1] = (m.n + 63) / 64 * 8;
			return m;
		}
		at = cfg[at + 1] & ~3u;
	}
	return m;
}

/* Registers in front of the table or the pending bits, in the same page: trapped with them. */
static bool shares_page(const struct msix *m, const struct host_bar *bar, unsigned int i)
{
	for (unsigned int j = 0; j < 2; j++) {
		uint64_t start = m->off[j] & ~(PAGE_BYTES - 1);
		bool other = m->bar[0] == m->bar[1] && m->off[1 - j] < m->off[j] &&
			     (m->off[1 - j] & ~(PAGE_BYTES - 1)) == start;
		if (m->bar[j] == i && m->off[j] != start && !other && bar[i].size > m->len[j])
			return true;
	}
	return false;
}

static bool in_msix_bar(const struct msix *m, unsigned int i)
{
	return m->n && (m->bar[0] == i || m->bar[1] == i);
}

static void check_msix(struct preflight_ctx *c, const struct host_bar *bar, const struct msix *m,
		       const char *name)
{
	for (unsigned int i = 0; i < 6 && m->n; i++) {
		if (!in_msix_bar(m, i) || bar[i].io || !bar[i].size || !shares_page(m, bar, i))
			continue;
		preflight_say(
			c, VERDICT_WARN, "msix-page", NULL,
			"BAR %u of %s has registers in a page with its MSI-X table or pending "
			"bits: each access to them is trapped, which is slow",
			i, name);
		preflight_evidence(c,
				   "config space: table in BAR %u at %#x, pending bits in BAR %u "
				   "at %#x, %u vectors",
				   m->bar[0], m->off[0], m->bar[1], m->off[1], m->n);
	}
}

/* --- all of it ------------------------------------------------------------------------------- */

static bool check_placed(struct preflight_ctx *c, const struct host_bar bar[6], const char *name)
{
	bool all = true;
	for (unsigned int i = 0; i < 6; i++) {
		if (!bar[i].size || !bar[i].unplaced)
			continue;
		all = false;
		preflight_say(c, VERDICT_FAIL, "bar-placed",
			      bar[i].io ? "boot with pci=realloc"
					: "switch on \"Above 4G decoding\" in the firmware set-up, "
					  "or boot with pci=realloc",
			      "BAR %u of %s (%" PRIu64 " KiB) has no address on the host: Linux "
			      "can't enable the function",
			      i, name, bar[i].size >> 10);
		preflight_evidence(c, "/sys/bus/pci/devices/%s/resource, line %u", name, i + 1);
	}
	return all;
}

void preflight_bars(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name)
{
	struct host_bar bar[6];
	char trapped[160] = "";
	unsigned int n = 0, direct = 0;

	if (!host_bars_read(&d->at, bar) || !check_placed(c, bar, name))
		return;
	struct msix m = find_msix(d);
	for (unsigned int i = 0; i < 6; i++) {
		size_t at = strlen(trapped);
		const char *why = NULL;
		if (!bar[i].size || bar[i].io)
			continue;
		n++;
		/* One below a page is mapped if it has its page to itself. */
		if (bar[i].addr & (PAGE_BYTES - 1))
			why = "in the middle of a page";
		else if (in_msix_bar(&m, i))
			why = "the MSI-X pages";
		if (bar[i].size >= 2 * PAGE_BYTES || !why)
			direct++;
		if (why)
			snprintf(trapped + at, sizeof(trapped) - at, "%sBAR %u (%s)",
				 at ? ", " : "", i, why);
	}
	if (n == 0)
		return;
	preflight_say(c, m.unknown ? VERDICT_UNKNOWN : VERDICT_OK, "bar-mapping", NULL,
		      "%u of %u memory BARs of %s map into the guest%s%s%s%s", direct, n, name,
		      trapped[0] ? "; trapped: " : "", trapped,
		      m.unknown ? "; where MSI-X lies can't be told: " : "",
		      m.unknown ? m.unknown : "");
	check_msix(c, bar, &m, name);
}
