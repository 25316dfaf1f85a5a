// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inventory as a JSON document. vfio-inspect.schema.json describes every key; what is unknown
// is null, never left out. Addresses are strings in hexadecimal (they do not fit the numbers of
// most readers), sizes are numbers.
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tools/inspect/capdec.h"
#include "tools/inspect/inspect.h"

static json_t *hex(uint64_t v, int digits)
{
	return json_sprintf("0x%0*" PRIx64, digits, v);
}

/* null for "". */
static json_t *text_or_null(const char *s)
{
	return s && s[0] ? json_string(s) : json_null();
}

static json_t *count_or_null(uint64_t v)
{
	return v ? json_integer((json_int_t)v) : json_null();
}

static json_t *address(const struct inv *inv, int fn)
{
	char at[BDF_STR_MAX];
	return fn == INV_NONE ? json_null() : json_string(bdf_str(&inv->fn[fn].pci.at, at));
}

static json_t *host(const struct inv *inv)
{
	return json_pack(
		"{so, so, so, so, so, so, sb, sb, sb, sb, sb}", "kernel", text_or_null(inv->kernel),
		"product", text_or_null(inv->product), "cpu", text_or_null(inv->cpu),
		"physical_address_bits", count_or_null(inv->phys_bits), "ram_bytes",
		count_or_null(inv->ram_bytes), "interrupts_remapped",
		inv->intr_known ? json_boolean(inv->intr_remapped) : json_null(), "acs_override",
		inv->acs_override, "kvm", inv->has_kvm, "vfio", inv->has_vfio, "iommufd",
		inv->has_iommufd, "unprivileged", inv->unprivileged);
}

static json_t *iommu(const struct inv_iommu *u)
{
	static const char *const kind[] = { "other", "intel", "amd" };
	json_t *pages = u->page_sizes ? json_array() : json_null();
	for (unsigned int i = 0; u->page_sizes && i < 63; i++) {
		if (u->page_sizes >> i & 1)
			json_array_append_new(pages, json_integer((json_int_t)BIT64(i)));
	}
	return json_pack(
		"{ss, ss, so, so, so, so, so, so, si}", "name", u->name, "kind", kind[u->kind],
		"address_bits", count_or_null(u->addr_bits), "page_sizes", pages,
		"interrupt_remapping", u->has_caps ? json_boolean(u->intr_remap) : json_null(),
		"posted_interrupts", u->has_caps ? json_boolean(u->posted_intr) : json_null(),
		"dirty_tracking", u->has_caps ? json_boolean(u->dirty_tracking) : json_null(),
		"pasid", u->has_caps ? json_boolean(u->pasid) : json_null(), "functions",
		(int)u->n_fns);
}

/* --- groups ----------------------------------------------------------------------------------- */

static json_t *merge(const struct inv *inv, const struct inv_group *g)
{
	static const char *const kind[] = { "none", "acs", "conventional-pci", "functions" };
	char text[400];
	if (g->merge == INV_MERGE_NONE)
		return json_null();
	return json_pack("{ss, so, ss}", "kind", kind[g->merge], "bridge",
			 address(inv, g->merged_by), "text",
			 inv_group_merge(inv, g, text, sizeof(text)));
}

static json_t *node(const struct inv_group *g)
{
	if (!g->has_node)
		return json_null();
	return json_pack("{so, so, si, si, sb, so}", "path",
			 json_sprintf("/dev/vfio/%s%" PRIu32, g->no_iommu ? "noiommu-" : "", g->id),
			 "mode", json_sprintf("%04o", g->node_mode), "uid", (int)g->node_uid, "gid",
			 (int)g->node_gid, "openable", g->openable, "holder",
			 text_or_null(g->holder));
}

static json_t *reserved(const struct inv_group *g)
{
	if (!g->resv_known)
		return json_null();
	json_t *a = json_array();
	for (unsigned int i = 0; i < g->n_resv; i++)
		json_array_append_new(
			a, json_pack("{so, so, ss}", "first", hex(g->resv[i].first, 1), "last",
				     hex(g->resv[i].last, 1), "type", g->resv[i].type));
	return a;
}

static json_t *group(const struct inv *inv, const struct inv_group *g)
{
	static const char *const viability[] = { "viable", "not-viable", "forbidden",
						 "no-endpoint" };
	char text[512];
	json_t *fns = json_array();
	for (unsigned int i = 0; i < g->n_fn; i++)
		json_array_append_new(fns, address(inv, (int)g->fn[i]));
	return json_pack(
		"{sI, so, so, sb, ss, ss, so, so, so, so}", "id", (json_int_t)g->id, "iommu",
		g->iommu == INV_NONE ? json_null() : json_string(inv->iommu[g->iommu].name), "type",
		text_or_null(g->type), "no_iommu", g->no_iommu, "viability", viability[g->viable],
		"verdict", inv_group_verdict(inv, g, text, sizeof(text)), "merge", merge(inv, g),
		"functions", fns, "reserved_regions", reserved(g), "node", node(g));
}

/* --- functions -------------------------------------------------------------------------------- */

static json_t *link_of(const struct inv_link *l)
{
	if (!l->mts || !l->width)
		return json_null();
	return json_pack("{si, si}", "mts", (int)l->mts, "width", (int)l->width);
}

static json_t *resets(const char *methods)
{
	json_t *a = json_array();
	for (const char *s = methods; *s;) {
		size_t n = strcspn(s, " ");
		if (n)
			json_array_append_new(a, json_stringn(s, n));
		s += n + (s[n] == ' ');
	}
	return a;
}

static json_t *spans(const struct inv_span *s, unsigned int n)
{
	json_t *a = json_array();
	for (unsigned int i = 0; i < n; i++)
		json_array_append_new(a, json_pack("{so, sI}", "offset", hex(s[i].off, 1), "size",
						   (json_int_t)s[i].size));
	return a;
}

static json_t *bar(const char *name, const struct inv_bar *b, const struct inv_bar_map *m)
{
	static const char *const kind[] = { "none", "io", "memory-32", "memory-64", "rom" };
	json_t *sizes = json_array();
	for (unsigned int i = 0; i < 43; i++) {
		if (b->resizable >> i & 1)
			json_array_append_new(sizes, json_integer((json_int_t)(BIT64(i) << 20)));
	}
	json_t *o = json_pack("{ss, ss, sb, so, sI, so}", "name", name, "kind", kind[b->kind],
			      "prefetchable", b->prefetch, "address",
			      b->unassigned ? json_null() : hex(b->addr, 1), "size",
			      (json_int_t)b->size, "resizable_to", sizes);
	if (m && (b->kind == INV_BAR_MEM32 || b->kind == INV_BAR_MEM64))
		json_object_set_new(o, "mapping",
				    json_pack("{sb, sb, sb, so, so}", "certain", m->known,
					      "below_page_size", m->subpage, "shares_page",
					      m->shares_page, "direct",
					      spans(m->direct, m->n_direct), "msix_holes",
					      spans(m->hole, m->n_holes)));
	return o;
}

static json_t *bars(const struct inv_fn *f)
{
	json_t *a = json_array();
	char name[16];
	for (unsigned int i = 0; i < INV_N_BARS; i++) {
		snprintf(name, sizeof(name), i == 6 ? "rom" : "bar%u", i);
		if (f->bar[i].size)
			json_array_append_new(a, bar(name, &f->bar[i], &f->map[i]));
	}
	for (unsigned int i = 0; i < INV_N_VF_BARS; i++) {
		snprintf(name, sizeof(name), "vf-bar%u", i);
		if (f->sriov.vf_bar[i].size)
			json_array_append_new(a, bar(name, &f->sriov.vf_bar[i], NULL));
	}
	for (unsigned int i = 0; i < INV_N_WINDOWS; i++) {
		snprintf(name, sizeof(name), "window%u", i);
		if (f->window[i].size)
			json_array_append_new(a, bar(name, &f->window[i], NULL));
	}
	return a;
}

static json_t *interrupts(const struct inv_fn *f)
{
	static const char *const pin[] = { "", "A", "B", "C", "D" };
	const struct inv_irq *q = &f->irq;
	json_t *msi = json_null(), *msix = json_null();
	if (q->msi)
		msi = json_pack("{si, sb, sb, sb}", "vectors", q->msi, "address_64", q->msi_64,
				"per_vector_mask", q->msi_mask, "enabled", q->msi_on);
	if (q->msix)
		msix = json_pack("{si, sb, si, so, si, so}", "vectors", q->msix, "enabled",
				 q->msix_on, "table_bar", q->table_bar, "table_offset",
				 hex(q->table_off, 1), "pba_bar", q->pba_bar, "pba_offset",
				 hex(q->pba_off, 1));
	return json_pack("{sb, so, so, so, so, si}", "complete", q->known, "intx",
			 text_or_null(pin[q->intx_pin]), "irq",
			 q->irq < 0 ? json_null() : json_integer(q->irq), "msi", msi, "msix", msix,
			 "vectors_in_use", (int)q->in_use);
}

static void add_detail(void *opaque, const char *line)
{
	json_array_append_new(opaque, json_string(line));
}

static json_t *capabilities(const struct inv_fn *f)
{
	json_t *a = json_array();
	for (unsigned int i = 0; i < f->n_caps; i++) {
		const struct inv_cap *c = &f->cap[i];
		char name[64];
		json_t *details = json_array();
		capdec(f, c, add_detail, details);
		json_array_append_new(a, json_pack("{so, so, sb, si, ss, so}", "offset",
						   hex(c->off, 1), "id", hex(c->id, c->ext ? 4 : 2),
						   "extended", c->ext, "version", c->version,
						   "name", capdec_name(c, name, sizeof(name)),
						   "details", details));
	}
	return a;
}

static json_t *sriov(const struct inv *inv, const struct inv_fn *f)
{
	if (!f->sriov.pf && !f->pci.is_vf)
		return json_null();
	return json_pack("{ss, si, si, so, so}", "role", f->pci.is_vf ? "vf" : "pf", "total_vfs",
			 (int)f->sriov.total, "enabled_vfs", (int)f->sriov.enabled, "vf_device",
			 f->sriov.vf_device ? hex(f->sriov.vf_device, 4) : json_null(), "pf",
			 address(inv, f->sriov.pf_fn));
}

static json_t *acs(const struct inv_fn *f)
{
	if (!f->acs.known)
		return json_null();
	return json_pack("{sb, so, so}", "present", f->acs.present, "capability",
			 hex(f->acs.cap, 4), "control", hex(f->acs.ctrl, 4));
}

/* What INV_FULL adds. */
static json_t *full(const struct inv *inv, const struct inv_fn *f)
{
	return json_pack("{si, so, so, so, so, so, so, so, so, so}", "config_bytes",
			 (int)f->cfg_len, "config_error",
			 f->cfg_errno ? json_string(strerror(-f->cfg_errno)) : json_null(), "bars",
			 bars(f), "interrupts", interrupts(f), "capabilities", capabilities(f),
			 "capability_list_error",
			 f->caps_errno ? json_string(strerror(-f->caps_errno)) : json_null(), "acs",
			 acs(f), "sriov", sriov(inv, f), "local_cpus", text_or_null(f->cpus),
			 "dma_mask_bits", count_or_null(f->dma_bits));
}

static json_t *vfio_device(const struct inv_fn *f)
{
	if (!f->cdev[0])
		return json_null();
	return json_pack("{so, so}", "path", json_sprintf("/dev/vfio/devices/%s", f->cdev),
			 "holder", text_or_null(f->cdev_holder));
}

static json_t *function(const struct inv *inv, const struct inv_fn *f)
{
	const struct hostpci_dev *d = &f->pci;
	char at[BDF_STR_MAX];
	json_t *o = json_pack(
		"{ss, so, so, so, so, so, so, ss, ss, so, so, so, so, so}", "address",
		bdf_str(&d->at, at), "vendor", hex(d->vendor, 4), "device", hex(d->device, 4),
		"subsystem_vendor", hex(d->subvendor, 4), "subsystem_device", hex(d->subdevice, 4),
		"class", hex(d->class_code, 6), "revision", hex(d->revision, 2), "name", f->name,
		"class_name", f->class_name, "driver", text_or_null(d->driver), "driver_override",
		text_or_null(d->driver_override), "group",
		f->group == INV_NONE ? json_null() : json_integer((json_int_t)d->group), "iommu",
		f->iommu == INV_NONE ? json_null() : json_string(inv->iommu[f->iommu].name),
		"parent", address(inv, f->parent));
	json_t *more =
		json_pack("{so, sb, sb, sb, sb, so, ss, so, so, so, sb, so, so, so}", "bridge",
			  f->bridge ? json_pack("{si, si}", "first_bus", f->bus_first, "last_bus",
						f->bus_last)
				    : json_null(),
			  "pci_express", f->pcie, "virtual_function", d->is_vf, "boot_display",
			  d->boot_vga, "blocks_group", f->blocks, "numa_node",
			  d->numa_node < 0 ? json_null() : json_integer(d->numa_node),
			  "power_state", d->power_state, "asleep", text_or_null(f->asleep), "link",
			  link_of(&f->now), "link_max", link_of(&f->max), "link_degraded",
			  f->degraded, "reset_methods", resets(d->reset_method), "used_by",
			  text_or_null(f->used_by), "vfio_device", vfio_device(f));
	json_object_update_new(o, more);
	if (f->full && inv->detail == INV_FULL)
		json_object_update_new(o, full(inv, f));
	return o;
}

/* --- the document ----------------------------------------------------------------------------- */

static bool chosen(const struct inv_fn *f, const struct bdf *only, unsigned int n_only)
{
	for (unsigned int i = 0; i < n_only; i++) {
		if (bdf_equal(&only[i], &f->pci.at))
			return true;
	}
	return n_only == 0;
}

static bool group_chosen(const struct inv *inv, const struct inv_group *g, const struct bdf *only,
			 unsigned int n_only)
{
	for (unsigned int i = 0; i < g->n_fn; i++) {
		if (chosen(&inv->fn[g->fn[i]], only, n_only))
			return true;
	}
	return false;
}

json_t *inspect_json(const struct inv *inv, const struct bdf *only, unsigned int n_only)
{
	json_t *iommus = json_array(), *groups = json_array(), *fns = json_array();
	for (unsigned int i = 0; i < inv->n_iommus; i++)
		json_array_append_new(iommus, iommu(&inv->iommu[i]));
	for (unsigned int i = 0; i < inv->n_groups; i++) {
		if (group_chosen(inv, &inv->group[i], only, n_only))
			json_array_append_new(groups, group(inv, &inv->group[i]));
	}
	for (unsigned int i = 0; i < inv->n_fns; i++) {
		if (chosen(&inv->fn[i], only, n_only))
			json_array_append_new(fns, function(inv, &inv->fn[i]));
	}
	return json_pack("{ss, si, so, so, so, so}", "schema", INSPECT_SCHEMA, "version",
			 INSPECT_SCHEMA_VERSION, "host", host(inv), "iommus", iommus, "groups",
			 groups, "functions", fns);
}

int inspect_json_print(struct inspect *in, json_t *doc)
{
	struct verr err = { .code = 0 };
	if (!doc)
		return inspect_fail(&err, -ENOMEM);
	char *text = json_dumps(doc, JSON_INDENT(2));
	json_decref(doc);
	if (!text)
		return inspect_fail(&err, -ENOMEM);
	fprintf(in->out, "%s\n", text);
	free(text);
	return INSPECT_OK;
}
