// SPDX-License-Identifier: GPL-2.0-or-later
//
// The default view: IOMMU -> group -> function. Two lines a function, the first with its address
// and name, the second with the words one greps for; both at most 100 columns.
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tools/inspect/inspect.h"

#define FN_INDENT   4  /* of a function's address */
#define WORD_INDENT 17 /* of what is said about it */

static void print_iommu(struct inspect *in, const struct inv_iommu *u)
{
	static const char *const kind[] = { "IOMMU", "Intel VT-d", "AMD-Vi" };
	char bits[24] = "", pages[64] = "";
	if (u->addr_bits)
		snprintf(bits, sizeof(bits), "%u-bit", u->addr_bits);
	if (u->page_sizes)
		inv_pages_text(u->page_sizes, pages, sizeof(pages));
	const char *const words[] = {
		kind[u->kind],
		bits,
		pages,
		!u->has_caps	? ""
		: u->intr_remap ? "can remap interrupts"
				: "can't remap interrupts",
		u->posted_intr ? "posted interrupts" : "",
	};
	paintf(in, PAINT_HEAD, "IOMMU %s", u->name);
	fputs("  ", in->out);
	paint_items(in, (unsigned int)strlen(u->name) + 8, FN_INDENT, ", ", words,
		    ARRAY_SIZE(words));
}

static void print_words(struct inspect *in, const struct inv_fn *f)
{
	char driver[150], node[16], buses[32] = "", link[80], state[80], reset[80] = "",
				    use[110] = "";
	const struct hostpci_dev *d = &f->pci;
	if (d->driver[0])
		snprintf(driver, sizeof(driver), "driver %s", d->driver);
	else
		snprintf(driver, sizeof(driver), "no driver");
	if (d->driver_override[0])
		snprintf(driver + strlen(driver), sizeof(driver) - strlen(driver), " (override %s)",
			 d->driver_override);
	snprintf(node, sizeof(node), "node %d", d->numa_node);
	if (f->bus_first)
		snprintf(buses, sizeof(buses), "buses %02x-%02x", f->bus_first, f->bus_last);
	inv_link_text(f, link, sizeof(link));
	snprintf(state, sizeof(state), "%s%s%s", d->power_state,
		 f->asleep[0] && strcmp(d->power_state, "D3cold") != 0 ? ", asleep: " : "",
		 f->asleep[0] && strcmp(d->power_state, "D3cold") != 0 ? f->asleep : "");
	if (!f->bridge)
		snprintf(reset, sizeof(reset), d->reset_method[0] ? "reset %s" : "no reset",
			 d->reset_method);
	if (f->used_by[0])
		snprintf(use, sizeof(use), "in use: %s", f->used_by);
	else if (f->cdev_holder[0])
		snprintf(use, sizeof(use), "held by %s", f->cdev_holder);
	const char *const words[] = {
		driver,
		d->numa_node >= 0 ? node : "",
		buses,
		link,
		state,
		reset,
		d->is_vf ? "virtual function" : "",
		d->boot_vga ? "boot display" : "",
		use,
	};
	fprintf(in->out, "%*s", WORD_INDENT, "");
	paint_items(in, WORD_INDENT, WORD_INDENT, ", ", words, ARRAY_SIZE(words));
}

static void print_fn(struct inspect *in, const struct inv_fn *f)
{
	char at[BDF_STR_MAX], ids[24], text[400];
	snprintf(ids, sizeof(ids), " [%04x:%04x]", f->pci.vendor, f->pci.device);
	snprintf(text, sizeof(text), "%s: %s", f->class_name, f->name);
	paint_cut(text, 100 - WORD_INDENT - (unsigned int)strlen(ids));
	fprintf(in->out, "%*s", FN_INDENT, "");
	paintf(in, PAINT_HEAD, "%s", bdf_str(&f->pci.at, at));
	fprintf(in->out, " %s%s\n", text, ids);
	print_words(in, f);
}

static void print_holder(struct inspect *in, const struct inv_group *g)
{
	char text[400];
	if (g->holder[0]) {
		snprintf(text, sizeof(text), "/dev/vfio/%" PRIu32 " is held by %s", g->id,
			 g->holder);
	} else if (g->has_node && !g->openable) {
		snprintf(text, sizeof(text),
			 "/dev/vfio/%" PRIu32 " may not be opened by you (uid %u, mode %04o)",
			 g->id, g->node_uid, g->node_mode);
	} else {
		return;
	}
	fprintf(in->out, "%*s", FN_INDENT, "");
	paint_text(in, PAINT_WARN, FN_INDENT, FN_INDENT + 2, text);
}

static void print_group(struct inspect *in, const struct inv *inv, const struct inv_group *g)
{
	static const enum paint paints[] = { [INV_VIABLE] = PAINT_GOOD,
					     [INV_NOT_VIABLE] = PAINT_WARN,
					     [INV_FORBIDDEN] = PAINT_BAD,
					     [INV_NO_ENDPOINT] = PAINT_DIM };
	char text[512], head[64];
	snprintf(head, sizeof(head), "  group %" PRIu32 "%s%s  ", g->id, g->type[0] ? ", " : "",
		 g->no_iommu ? "no IOMMU" : g->type);
	paintf(in, PAINT_HEAD, "%s", head);
	paint_text(in, paints[g->viable], (unsigned int)strlen(head), FN_INDENT + 2,
		   inv_group_verdict(inv, g, text, sizeof(text)));
	if (g->merge != INV_MERGE_NONE && g->viable != INV_NO_ENDPOINT) {
		fprintf(in->out, "%*s", FN_INDENT, "");
		paint_text(in, PAINT_DIM, FN_INDENT, FN_INDENT + 2,
			   inv_group_merge(inv, g, text, sizeof(text)));
	}
	print_holder(in, g);
	for (unsigned int i = 0; i < g->n_fn; i++)
		print_fn(in, &inv->fn[g->fn[i]]);
}

static void print_rest(struct inspect *in, const struct inv *inv)
{
	unsigned int n = 0;
	for (unsigned int i = 0; i < inv->n_fns; i++) {
		if (inv->fn[i].group != INV_NONE)
			continue;
		if (n++ == 0)
			paintf(in, PAINT_HEAD, "%s\n",
			       inv->n_groups ? "Not behind an IOMMU"
					     : "No IOMMU is active: nothing can be assigned (see: "
					       "vfio-inspect explain BDF)");
		print_fn(in, &inv->fn[i]);
	}
	if (inv->n_fns == 0)
		fputs("This machine has no PCI functions.\n", in->out);
}

static void print_notes(struct inspect *in, const struct inv *inv)
{
	if (inv->acs_override)
		paint_text(in, PAINT_BAD, 0, 2,
			   "pcie_acs_override is on the kernel command line: groups may claim an "
			   "isolation the hardware does not give");
	if (inv->n_groups && inv->intr_known && !inv->intr_remapped)
		paint_text(in, PAINT_WARN, 0, 2,
			   "Interrupts are not remapped: a guest may be refused, or raise any "
			   "interrupt on this host");
}

static void print_tree(struct inspect *in, const struct inv *inv)
{
	for (int u = INV_NONE; u < (int)inv->n_iommus; u++) {
		bool headed = false;
		for (unsigned int i = 0; i < inv->n_groups; i++) {
			if (inv->group[i].iommu != u)
				continue;
			if (!headed && u == INV_NONE)
				paintf(in, PAINT_HEAD, "IOMMU unknown\n");
			else if (!headed)
				print_iommu(in, &inv->iommu[u]);
			headed = true;
			print_group(in, inv, &inv->group[i]);
		}
	}
	print_rest(in, inv);
	print_notes(in, inv);
}

static int run(struct inspect *in)
{
	struct verr err = { .code = 0 };
	struct inv inv;
	int r = inv_read(&inv, in->json ? INV_FULL : INV_TREE, NULL, 0, &err);
	if (r < 0)
		return inspect_fail(&err, r);
	int status = INSPECT_OK;
	if (in->json)
		status = inspect_json_print(in, inspect_json(&inv, NULL, 0));
	else
		print_tree(in, &inv);
	inv_fini(&inv);
	return status;
}

const struct inspect_cmd inspect_tree = {
	.name = "tree",
	.synopsis = "[tree]",
	.summary = "IOMMUs, groups and functions",
	.args = ARGS_NONE,
	.run = run,
};
