// SPDX-License-Identifier: GPL-2.0-or-later
//
// Why functions share an IOMMU group. The kernel's decision is in who is a member: a bridge that
// is in the group of what is behind it let the group grow up to it. Configuration space, where it
// may be read, only adds the reason; judging by it alone would miss the kernel's quirks for ports
// that isolate without saying so.
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdio.h>

#include "tools/inspect/inv_int.h"

/* What the kernel wants of every port on the way up (REQ_ACS_FLAGS of drivers/iommu/iommu.c). */
#define ACS_WANTED (PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF)

/* The topmost bridge above `at` that is in group `g`. */
static int top_bridge(const struct inv *inv, int at, int g)
{
	int top = INV_NONE;
	for (int p = inv->fn[at].parent; p != INV_NONE; p = inv->fn[p].parent) {
		if (inv->fn[p].group == g)
			top = p;
	}
	return top;
}

/* A conventional bus has one requester ID for all behind it, whatever ACS says. */
static bool to_pci(const struct inv *inv, int bridge)
{
	const struct inv_fn *b = &inv->fn[bridge];
	if (b->full && b->pcie_type != 0xff)
		return b->pcie_type == PCI_EXP_TYPE_PCI_BRIDGE;
	if (!b->pcie)
		return true;
	for (unsigned int i = 0; i < inv->n_fns; i++) {
		if (inv->fn[i].parent == bridge)
			return !inv->fn[i].pcie;
	}
	return false;
}

static bool slot_equal(const struct inv *inv, int i, int j)
{
	const struct bdf *a = &inv->fn[i].pci.at, *b = &inv->fn[j].pci.at;
	return a->seg == b->seg && a->bus == b->bus && a->dev == b->dev;
}

static bool same_slot(const struct inv *inv, const struct inv_group *g)
{
	for (unsigned int i = 1; i < g->n_fn; i++) {
		if (!slot_equal(inv, (int)g->fn[0], (int)g->fn[i]))
			return false;
	}
	return true;
}

bool inv_acs_lacks(const struct inv_fn *b)
{
	if (!b->acs.known)
		return false;
	/* PCIe 6.0 6.12.1.2: an upstream port has ACS only as one of several functions. */
	if (b->pcie_type == PCI_EXP_TYPE_UPSTREAM && !(inv_cfg(b, PCI_HEADER_TYPE, 1) & 0x80))
		return false;
	return !b->acs.present || (b->acs.ctrl & ACS_WANTED) != ACS_WANTED;
}

void inv_merge_find(const struct inv *inv, struct inv_group *g)
{
	g->merge = INV_MERGE_NONE;
	g->merged_by = INV_NONE;
	if (g->n_fn < 2)
		return;
	int id = inv->fn[g->fn[0]].group;
	for (unsigned int i = 0; i < g->n_fn; i++) {
		int top = top_bridge(inv, (int)g->fn[i], id);
		if (top == INV_NONE || top == g->merged_by)
			continue;
		if (g->merged_by != INV_NONE) { /* bridges that are functions of one device */
			if (slot_equal(inv, top, g->merged_by))
				g->merge = INV_MERGE_FUNCTIONS;
			continue;
		}
		g->merged_by = top;
		g->merge = to_pci(inv, top) ? INV_MERGE_PCI : INV_MERGE_ACS;
	}
	if (g->merged_by != INV_NONE)
		return;
	/* A conventional bus's functions without its bridge: the bridge's alias is another's. */
	int parent = inv->fn[g->fn[0]].parent;
	if (same_slot(inv, g)) {
		g->merge = INV_MERGE_FUNCTIONS;
	} else if (parent != INV_NONE && to_pci(inv, parent)) {
		g->merge = INV_MERGE_PCI;
		g->merged_by = parent;
	}
}

/* " (it has no ACS)", " (ACS lacks: ...)", or "" when it can't be known. */
static void acs_reason(const struct inv_fn *b, char *buf, size_t size)
{
	static const struct {
		uint16_t bit;
		const char *name;
	} bits[] = {
		{ PCI_ACS_SV, "Source Validation" },
		{ PCI_ACS_RR, "P2P Request Redirect" },
		{ PCI_ACS_CR, "P2P Completion Redirect" },
		{ PCI_ACS_UF, "Upstream Forwarding" },
	};
	buf[0] = '\0';
	if (!inv_acs_lacks(b))
		return;
	if (!b->acs.present) {
		snprintf(buf, size, " (it has no ACS)");
		return;
	}
	size_t at = (size_t)snprintf(buf, size, " (its ACS has off:");
	bool any = false;
	for (size_t i = 0; i < ARRAY_SIZE(bits) && at < size; i++) {
		if (b->acs.ctrl & bits[i].bit)
			continue;
		at += (size_t)snprintf(buf + at, size - at, "%s %s", any ? "," : "", bits[i].name);
		any = true;
	}
	if (at < size)
		snprintf(buf + at, size - at, ")");
	if (!any)
		buf[0] = '\0';
}

char *inv_group_merge(const struct inv *inv, const struct inv_group *g, char *buf, size_t size)
{
	char name[BDF_STR_MAX], why[128];
	buf[0] = '\0';
	if (g->merge == INV_MERGE_FUNCTIONS)
		snprintf(buf, size,
			 "functions of one device that do not isolate each other (no ACS)");
	if (g->merged_by == INV_NONE)
		return buf;
	const struct inv_fn *b = &inv->fn[g->merged_by];
	bdf_str(&b->pci.at, name);
	acs_reason(b, why, sizeof(why));
	if (g->merge == INV_MERGE_FUNCTIONS)
		snprintf(buf, size,
			 "behind %s or another function of that device, which do not isolate each "
			 "other%s",
			 name, why);
	else if (g->merge == INV_MERGE_PCI)
		snprintf(buf, size,
			 "all behind %s, a bridge to conventional PCI: they share one requester ID",
			 name);
	else
		snprintf(buf, size, "all behind %s, which does not isolate what is behind it%s",
			 name, why);
	return buf;
}
