// SPDX-License-Identifier: GPL-2.0-or-later
//
// `vfio-inspect show BDF`: all that is known of a function, a label a line, tables below headings.
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "tools/inspect/capdec.h"
#include "tools/inspect/show_int.h"
#include "vfio/why.h"

enum { OPT_OPEN = 256 };

static bool open_it; /* --open */

static const struct option options[] = {
	{ "open", no_argument, NULL, OPT_OPEN },
	{ NULL, 0, NULL, 0 },
};

static int option(int val, const char *arg, struct verr *reterr)
{
	(void)arg;
	(void)reterr;
	if (val == OPT_OPEN)
		open_it = true;
	return 0;
}

/* --- lines ------------------------------------------------------------------------------------ */

static void ATTR_PRINTF(4, 0)
	row(const struct inspect *in, enum paint p, const char *label, const char *fmt, va_list ap)
{
	char text[768];
	vsnprintf(text, sizeof(text), fmt, ap);
	paintf(in, PAINT_HEAD, "  %-*s", SHOW_LABEL - 2, label);
	paint_text(in, p, SHOW_LABEL, SHOW_LABEL, text);
}

void show_row(const struct inspect *in, const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	row(in, PAINT_PLAIN, label, fmt, ap);
	va_end(ap);
}

void show_paint(const struct inspect *in, enum paint p, const char *label, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	row(in, p, label, fmt, ap);
	va_end(ap);
}

void show_line(const struct inspect *in, const char *fmt, ...)
{
	char text[768];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(in->out, "%*s", SHOW_TABLE, "");
	paint_text(in, PAINT_PLAIN, SHOW_TABLE, SHOW_TABLE + 8, text);
}

/* --- what it is ------------------------------------------------------------------------------- */

static void show_head(const struct inspect *in, const struct inv_fn *f)
{
	char at[BDF_STR_MAX], text[600];
	const struct hostpci_dev *d = &f->pci;
	snprintf(text, sizeof(text), " %s: %s [%04x:%04x] (rev %02x)", f->class_name, f->name,
		 d->vendor, d->device, d->revision);
	paintf(in, PAINT_HEAD, "%s", bdf_str(&d->at, at));
	paint_text(in, PAINT_PLAIN, (unsigned int)strlen(at), 2, text);
	show_row(in, "class", "%06x", d->class_code);
	if (d->subvendor)
		show_row(in, "subsystem", "%04x:%04x", d->subvendor, d->subdevice);
	if (d->is_vf)
		show_row(in, "kind", "virtual function");
	else if (f->bridge)
		show_row(in, "kind", "bridge to buses %02x-%02x", f->bus_first, f->bus_last);
	show_row(in, "driver", "%s%s%s%s", d->driver[0] ? d->driver : "none",
		 d->driver_override[0] ? " (driver_override " : "", d->driver_override,
		 d->driver_override[0] ? ")" : "");
	if (f->used_by[0])
		show_paint(in, PAINT_WARN, "in use", "%s", f->used_by);
}

static void show_state(const struct inspect *in, const struct inv *inv, const struct inv_fn *f)
{
	char link[100];
	const struct hostpci_dev *d = &f->pci;
	if (d->numa_node >= 0)
		show_row(in, "NUMA node", "%d, CPUs %s", d->numa_node, f->cpus);
	else if (f->cpus[0])
		show_row(in, "CPUs", "%s", f->cpus);
	inv_link_text(f, link, sizeof(link));
	if (link[0])
		show_paint(in, f->degraded ? PAINT_WARN : PAINT_PLAIN, "link", "%s", link);
	show_row(in, "power state", "%s", d->power_state);
	if (f->asleep[0])
		show_paint(in, PAINT_WARN, "asleep",
			   "%s: reading its configuration space would wake it, so what follows is "
			   "incomplete",
			   f->asleep);
	else if (f->cfg_errno)
		show_paint(in, PAINT_WARN, "config space", "can't be read: %s",
			   strerror(-f->cfg_errno));
	else if (f->cfg_len && inv_cfg(f, PCI_VENDOR_ID, 2) == 0xffff && !d->is_vf)
		show_paint(in, PAINT_BAD, "config space",
			   "reads all ones: the function does not answer");
	uint64_t maps;
	if (vfio_why_dma_limit(&maps))
		show_row(in, "DMA maps", "at most %" PRIu64 " for each container (dma_entry_limit)",
			 maps);
	if (f->dma_bits)
		show_row(in, "DMA mask", "%u bits, as its driver asked", f->dma_bits);
	if (f->iommu != INV_NONE && inv->iommu[f->iommu].addr_bits)
		show_row(in, "DMA addresses", "%u bits through the IOMMU",
			 inv->iommu[f->iommu].addr_bits);
}

/* A bus reset hits all that is below the bridge. */
static void show_reset(const struct inspect *in, const struct inv *inv, const struct inv_fn *f)
{
	char text[600] = "", at[BDF_STR_MAX];
	unsigned int n = 0;
	if (f->bridge)
		return;
	if (!f->pci.reset_method[0]) {
		show_paint(in, PAINT_WARN, "reset",
			   "none: after a guest crashes it may stay unusable until the host "
			   "reboots");
		return;
	}
	show_row(in, "reset", "%s", f->pci.reset_method);
	if (!strstr(f->pci.reset_method, "bus") || f->parent == INV_NONE)
		return;
	for (unsigned int i = 0; i < inv->n_fns; i++) {
		const struct inv_fn *o = &inv->fn[i];
		if (o == f || o->parent != f->parent || strlen(text) > 400)
			continue;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s", n++ ? ", " : "",
			 bdf_str(&o->pci.at, at));
	}
	if (n)
		show_row(in, "bus reset hits", "%s", text);
}

/* --- group ------------------------------------------------------------------------------------ */

static void show_iommu(const struct inspect *in, const struct inv *inv, const struct inv_fn *f)
{
	char pages[64] = "";
	if (f->iommu == INV_NONE)
		return;
	const struct inv_iommu *u = &inv->iommu[f->iommu];
	if (u->page_sizes)
		inv_pages_text(u->page_sizes, pages, sizeof(pages));
	show_row(in, "IOMMU", "%s%s%s%s%s%s%s", u->name, pages[0] ? ", " : "", pages,
		 u->intr_remap ? ", can remap interrupts" : "",
		 u->posted_intr ? ", posted interrupts" : "",
		 u->dirty_tracking ? ", tracks dirty pages" : "", u->pasid ? ", PASID" : "");
}

static bool has_vfio(const struct inv *inv, const struct inv_group *g)
{
	for (unsigned int i = 0; i < g->n_fn; i++) {
		if (inv->fn[g->fn[i]].is_vfio)
			return true;
	}
	return false;
}

static void show_group(const struct inspect *in, const struct inv *inv, const struct inv_fn *f)
{
	static const enum paint paints[] = { [INV_VIABLE] = PAINT_GOOD,
					     [INV_NOT_VIABLE] = PAINT_WARN,
					     [INV_FORBIDDEN] = PAINT_BAD,
					     [INV_NO_ENDPOINT] = PAINT_PLAIN };
	char text[512];
	if (f->group == INV_NONE) {
		show_paint(in, PAINT_BAD, "IOMMU group", "none: no IOMMU stands before it");
		return;
	}
	const struct inv_group *g = &inv->group[f->group];
	show_paint(in, paints[g->viable], "IOMMU group", "%" PRIu32 "%s%s, %s", g->id,
		   g->type[0] ? ", " : "", g->no_iommu ? "no IOMMU" : g->type,
		   inv_group_verdict(inv, g, text, sizeof(text)));
	if (inv_group_merge(inv, g, text, sizeof(text))[0])
		show_row(in, "", "%s", text);
	if (g->n_fn > 1) {
		char at[BDF_STR_MAX];
		text[0] = '\0';
		for (unsigned int i = 0; i < g->n_fn && strlen(text) < sizeof(text) - 32; i++)
			snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%s",
				 i ? ", " : "", bdf_str(&inv->fn[g->fn[i]].pci.at, at));
		show_row(in, "members", "%s", text);
	}
	if (!g->has_node)
		show_row(in, "VFIO node", "there is no /dev/vfio/%" PRIu32 "%s", g->id,
			 has_vfio(inv, g) ? "" : ": no member is bound to vfio-pci");
	else
		show_row(in, "VFIO node",
			 "/dev/vfio/%s%" PRIu32 ", uid %u, gid %u, mode %04o, %s%s%s",
			 g->no_iommu ? "noiommu-" : "", g->id, g->node_uid, g->node_gid,
			 g->node_mode, g->openable ? "you may open it" : "you may not open it",
			 g->holder[0] ? ", held by " : "", g->holder);
	if (f->cdev[0])
		show_row(in, "", "/dev/vfio/devices/%s%s%s", f->cdev,
			 f->cdev_holder[0] ? ", held by " : "", f->cdev_holder);
}

static void show_reserved(const struct inspect *in, const struct inv *inv, const struct inv_fn *f)
{
	if (f->group == INV_NONE)
		return;
	const struct inv_group *g = &inv->group[f->group];
	if (!g->n_resv)
		return;
	paintf(in, PAINT_HEAD, "  reserved DMA addresses\n");
	for (unsigned int i = 0; i < g->n_resv; i++)
		show_line(in, "0x%012" PRIx64 "-0x%012" PRIx64 " %s", g->resv[i].first,
			  g->resv[i].last, g->resv[i].type);
}

/* --- the way up ------------------------------------------------------------------------------- */

static void acs_words(const struct inv_fn *b, char *buf, size_t size)
{
	static const struct {
		uint16_t bit;
		const char *name;
	} bits[] = { { PCI_ACS_SV, "SrcValid" },
		     { PCI_ACS_RR, "ReqRedir" },
		     { PCI_ACS_CR, "CmpltRedir" },
		     { PCI_ACS_UF, "UpstreamFwd" } };
	if (!b->acs.known) {
		snprintf(buf, size,
			 b->asleep[0] ? "ACS not read: it sleeps" : "ACS " INV_NEED_ROOT);
	} else if (!b->acs.present) {
		snprintf(buf, size, "%s", inv_acs_lacks(b) ? "no ACS" : "needs no ACS");
	} else {
		snprintf(buf, size, "ACS");
		for (size_t i = 0; i < ARRAY_SIZE(bits); i++)
			snprintf(buf + strlen(buf), size - strlen(buf), " %s%c", bits[i].name,
				 b->acs.ctrl & bits[i].bit ? '+' : '-');
	}
}

static void show_path(const struct inspect *in, const struct inv *inv, const struct inv_fn *f)
{
	char at[BDF_STR_MAX], acs[80];
	if (f->parent == INV_NONE)
		return;
	paintf(in, PAINT_HEAD, "  path to the root\n");
	for (int p = f->parent; p != INV_NONE; p = inv->fn[p].parent) {
		const struct inv_fn *b = &inv->fn[p];
		bool merges = b->group != INV_NONE && b->group == f->group;
		bool by = f->group != INV_NONE && inv->group[f->group].merged_by == p;
		acs_words(b, acs, sizeof(acs));
		show_line(in, "%s %s, %s%s", bdf_str(&b->pci.at, at), acs,
			  b->group == INV_NONE ? "no group"
			  : merges	       ? "in the same group"
			  : !inv_acs_lacks(b)  ? "isolates"
			  : inv->acs_override  ? "another group, by pcie_acs_override alone"
					       : "another group, by a kernel quirk for this port",
			  by ? ": this bridge merges the group" : "");
	}
}

/* --- capabilities ----------------------------------------------------------------------------- */

static void cap_line(void *opaque, const char *line)
{
	const struct inspect *in = opaque;
	fprintf(in->out, "%*s", SHOW_TABLE + 8, "");
	paint_text(in, PAINT_PLAIN, SHOW_TABLE + 8, SHOW_TABLE + 12, line);
}

static void show_caps(struct inspect *in, const struct inv_fn *f)
{
	char name[64];
	if (f->asleep[0] || f->cfg_errno)
		return;
	paintf(in, PAINT_HEAD, "  capabilities\n");
	for (unsigned int i = 0; i < f->n_caps; i++) {
		const struct inv_cap *c = &f->cap[i];
		capdec_name(c, name, sizeof(name));
		if (c->ext)
			show_line(in, "[%03x v%u] %s", c->off, c->version, name);
		else
			show_line(in, "[%02x] %s", c->off, name);
		capdec(f, c, cap_line, in);
	}
	if (f->caps_errno)
		show_line(in, "BROKEN LIST: it %s",
			  f->caps_errno == -ELOOP ? "loops"
						  : "leaves its bounds or reads all ones");
	if (f->cfg_len < 256)
		show_line(in, INV_NEED_ROOT);
	else if (f->n_caps == 0 && !f->caps_errno)
		show_line(in, "none");
	else if (f->pcie && f->cfg_len == 256)
		show_line(in, "extended ones can't be reached (no memory-mapped configuration)");
}

static void show_sriov(const struct inspect *in, const struct inv *inv, const struct inv_fn *f)
{
	char at[BDF_STR_MAX];
	if (f->sriov.pf)
		show_row(in, "SR-IOV", "physical function, %u of %u VFs enabled, device %04x",
			 f->sriov.enabled, f->sriov.total, f->sriov.vf_device);
	else if (f->sriov.pf_fn != INV_NONE)
		show_row(in, "SR-IOV", "virtual function of %s",
			 bdf_str(&inv->fn[f->sriov.pf_fn].pci.at, at));
}

/* --- the command ------------------------------------------------------------------------------ */

static int show_one(struct inspect *in, const struct inv *inv, const struct inv_fn *f)
{
	struct verr err = { .code = 0 };
	show_head(in, f);
	show_sriov(in, inv, f);
	show_state(in, inv, f);
	show_reset(in, inv, f);
	show_iommu(in, inv, f);
	show_group(in, inv, f);
	show_path(in, inv, f);
	show_reserved(in, inv, f);
	show_bars(in, f);
	show_irqs(in, f);
	show_caps(in, f);
	if (open_it) {
		int r = show_vfio(in, f, &err);
		if (r < 0) {
			fflush(in->out);
			return inspect_fail(&err, r);
		}
	} else if (f->is_vfio) {
		show_row(in, "VFIO",
			 "not asked: opening the function wakes and resets it (add --open)");
	}
	return INSPECT_OK;
}

static int run(struct inspect *in)
{
	struct verr err = { .code = 0 };
	struct inv inv;
	int status = INSPECT_OK;
	if (open_it && hostpci_root()[0])
		return inspect_fail(
			&(struct verr){ -EINVAL, "--open is for this machine, not for a captured "
						 "one; leave out --root" },
			-EINVAL);
	int r = inv_read(&inv, INV_FULL, in->bdf, in->n_args, &err);
	if (r < 0)
		return inspect_fail(&err, r);
	if (in->json)
		status = inspect_json_print(in, inspect_json(&inv, in->bdf, in->n_args));
	for (unsigned int i = 0; !in->json && status == INSPECT_OK && i < in->n_args; i++) {
		int at = inv_find(&inv, &in->bdf[i]);
		if (i)
			fputc('\n', in->out);
		if (at != INV_NONE) /* it may have gone meanwhile */
			status = show_one(in, &inv, &inv.fn[at]);
	}
	inv_fini(&inv);
	return status;
}

const struct inspect_cmd inspect_show = {
	.name = "show",
	.synopsis = "show BDF... [--open]",
	.summary = "all that is known of functions",
	.args = ARGS_BDF,
	.options = options,
	.option = option,
	.run = run,
};
