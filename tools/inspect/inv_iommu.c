// SPDX-License-Identifier: GPL-2.0-or-later
//
// IOMMU units with what their capability registers say, and IOMMU groups: members, reserved
// ranges, whether VFIO would give them out, and who has them. Registers: Intel VT-d 4.0 10.4,
// AMD I/O Virtualization 3.08 3.4 (extended features, which Linux prints as one number).
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "tools/inspect/inv_int.h"
#include "vfio/why.h"

/* --- units ------------------------------------------------------------------------------------ */

/* "d2008c40660462", without 0x; newer kernels append ":second register". */
static bool unit_register(const struct inv_iommu *u, const char *file, uint64_t *ret)
{
	char path[INV_PATH], text[64], *end;
	hostpci_path(path, sizeof(path), "/sys/class/iommu/%s/%s", u->name, file);
	if (sys_read_text(path, text, sizeof(text)) < 0)
		return false;
	errno = 0;
	*ret = strtoull(text, &end, 16);
	return errno == 0 && end != text;
}

static bool bit(uint64_t v, unsigned int n)
{
	return v >> n & 1;
}

static void read_intel(struct inv_iommu *u, uint64_t cap, uint64_t ecap)
{
	unsigned int width = 0, mgaw = (unsigned int)(cap >> 16 & 0x3f) + 1;
	static const unsigned int agaw_bits[5] = { 30, 39, 48, 57, 64 };
	for (unsigned int i = 0; i < 5; i++) {
		if (bit(cap, 8 + i))
			width = agaw_bits[i];
	}
	u->kind = INV_IOMMU_INTEL;
	u->addr_bits = width ? MIN(width, mgaw) : mgaw;
	u->page_sizes = KIB(4) | (bit(cap, 34) ? MIB(2) : 0) | (bit(cap, 35) ? GIB(1) : 0);
	u->posted_intr = bit(cap, 59);
	u->intr_remap = bit(ecap, 3);
	u->pasid = bit(ecap, 40);
	u->dirty_tracking = bit(ecap, 45);
}

static void read_amd(struct inv_iommu *u, uint64_t features)
{
	static const unsigned int levels[4] = { 48, 57, 64, 0 };
	u->kind = INV_IOMMU_AMD;
	u->addr_bits = levels[features >> 10 & 3];
	/* Its host page tables take every power of two but 512 GiB (a level's default size). */
	u->page_sizes = ~UINT64_C(0xfff) & ~BIT64(39);
	u->intr_remap = true;
	u->posted_intr = bit(features, 7);
	u->pasid = bit(features, 4);
	u->dirty_tracking = bit(features, 52);
}

static void read_unit(struct inv_iommu *u)
{
	uint64_t cap, ecap;
	if (unit_register(u, "intel-iommu/cap", &cap) &&
	    unit_register(u, "intel-iommu/ecap", &ecap)) {
		u->has_caps = true;
		read_intel(u, cap, ecap);
	} else if (unit_register(u, "amd-iommu/features", &cap)) {
		u->has_caps = true;
		read_amd(u, cap);
	}
}

static int add_unit(void *opaque, const char *name)
{
	struct inv *inv = opaque;
	struct inv_iommu *v = reallocarray(inv->iommu, inv->n_iommus + 1, sizeof(*inv->iommu));
	if (!v)
		return -ENOMEM;
	inv->iommu = v;
	memset(&v[inv->n_iommus], 0, sizeof(*v));
	snprintf(v[inv->n_iommus++].name, sizeof(v->name), "%s", name);
	inv_clean(v[inv->n_iommus - 1].name);
	return 0;
}

static int compare_unit(const void *a, const void *b)
{
	return strverscmp(((const struct inv_iommu *)a)->name, ((const struct inv_iommu *)b)->name);
}

int inv_iommus_read(struct inv *inv)
{
	char path[INV_PATH];
	int r = sys->listdir(hostpci_path(path, sizeof(path), "/sys/class/iommu"), add_unit, inv);
	if (r == -ENOMEM)
		return r;
	if (inv->n_iommus > 1)
		qsort(inv->iommu, inv->n_iommus, sizeof(*inv->iommu), compare_unit);
	for (unsigned int i = 0; i < inv->n_iommus; i++)
		read_unit(&inv->iommu[i]);
	return 0;
}

/* --- groups ----------------------------------------------------------------------------------- */

static int add_reserved(struct inv_group *g, const char *line)
{
	struct inv_resv x;
	if (sscanf(line, "%" SCNx64 " %" SCNx64 " %23s", &x.first, &x.last, x.type) != 3)
		return 0;
	inv_clean(x.type);
	struct inv_resv *v = reallocarray(g->resv, g->n_resv + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	g->resv = v;
	v[g->n_resv++] = x;
	return 0;
}

static int read_reserved(struct inv_group *g)
{
	char path[INV_PATH], text[4096], *save = NULL;
	hostpci_path(path, sizeof(path), "/sys/kernel/iommu_groups/%" PRIu32 "/reserved_regions",
		     g->id);
	g->resv_known = sys_read_attr(path, text, sizeof(text)) >= 0;
	if (!g->resv_known)
		return 0;
	int r = 0;
	for (char *s = strtok_r(text, "\n", &save); r == 0 && s; s = strtok_r(NULL, "\n", &save))
		r = add_reserved(g, s);
	return r;
}

static char *node_name(const struct inv_group *g, char buf[32])
{
	snprintf(buf, 32, "/dev/vfio/%s%" PRIu32, g->no_iommu ? "noiommu-" : "", g->id);
	return buf;
}

#define CDEVS "/dev/vfio/devices/"

static void take_holder(void *opaque, const char *node, const char *who)
{
	const struct inv *inv = opaque;
	char name[32];
	if (strncmp(node, CDEVS, sizeof(CDEVS) - 1) == 0) {
		for (unsigned int i = 0; i < inv->n_fns; i++) {
			struct inv_fn *f = &inv->fn[i];
			if (f->cdev_holder[0] || strcmp(node + sizeof(CDEVS) - 1, f->cdev) != 0)
				continue;
			snprintf(f->cdev_holder, sizeof(f->cdev_holder), "%s", who);
			inv_clean(f->cdev_holder);
		}
		return;
	}
	for (unsigned int i = 0; i < inv->n_groups; i++) {
		struct inv_group *g = &inv->group[i];
		if (g->has_node && !g->holder[0] && strcmp(node, node_name(g, name)) == 0) {
			snprintf(g->holder, sizeof(g->holder), "%s", who);
			inv_clean(g->holder);
		}
	}
}

static void read_node(struct inv_group *g)
{
	char path[INV_PATH], node[32];
	struct stat st;
	hostpci_path(path, sizeof(path), "%s", node_name(g, node));
	if (sys->stat(path, &st) < 0)
		return;
	g->has_node = true;
	g->node_mode = st.st_mode & 07777u;
	g->node_uid = st.st_uid;
	g->node_gid = st.st_gid;
	g->openable = sys->access(path, R_OK | W_OK) == 0;
}

static void judge(const struct inv *inv, struct inv_group *g)
{
	bool endpoint = false, blocked = false, direct = false;
	for (unsigned int i = 0; i < g->n_fn; i++) {
		endpoint |= !inv->fn[g->fn[i]].bridge;
		blocked |= inv->fn[g->fn[i]].blocks;
	}
	for (unsigned int i = 0; i < g->n_resv; i++)
		direct |= strcmp(g->resv[i].type, "direct") == 0;
	g->viable = !endpoint ? INV_NO_ENDPOINT
		    : direct  ? INV_FORBIDDEN
		    : blocked ? INV_NOT_VIABLE
			      : INV_VIABLE;
}

static int read_group(const struct inv *inv, struct inv_group *g)
{
	char path[INV_PATH], text[32];
	hostpci_path(path, sizeof(path), "/sys/kernel/iommu_groups/%" PRIu32 "/type", g->id);
	if (sys_read_attr(path, g->type, sizeof(g->type)) < 0)
		g->type[0] = '\0';
	inv_clean(g->type);
	hostpci_path(path, sizeof(path), "/sys/kernel/iommu_groups/%" PRIu32 "/name", g->id);
	g->no_iommu =
		sys_read_text(path, text, sizeof(text)) >= 0 && strcmp(text, "vfio-noiommu") == 0;
	int r = read_reserved(g);
	if (r < 0)
		return r;
	g->iommu = g->n_fn ? inv->fn[g->fn[0]].iommu : INV_NONE;
	read_node(g);
	judge(inv, g);
	inv_merge_find(inv, g);
	return 0;
}

static int compare_group(const void *a, const void *b)
{
	uint32_t x = ((const struct inv_group *)a)->id, y = ((const struct inv_group *)b)->id;
	return x < y ? -1 : x > y;
}

/* Groups are those functions are in: one of other devices alone (platform ones) is not ours. */
static int collect(struct inv *inv)
{
	inv->group = calloc(inv->n_fns + 1, sizeof(*inv->group));
	if (!inv->group)
		return -ENOMEM;
	for (unsigned int i = 0; i < inv->n_fns; i++) {
		uint32_t id = inv->fn[i].pci.group;
		if (id != HOSTPCI_NO_GROUP && inv_find_group(inv, id) == INV_NONE)
			inv->group[inv->n_groups++].id = id;
	}
	if (inv->n_groups > 1)
		qsort(inv->group, inv->n_groups, sizeof(*inv->group), compare_group);
	for (unsigned int i = 0; i < inv->n_fns; i++) {
		int at = inv_find_group(inv, inv->fn[i].pci.group);
		inv->fn[i].group = at;
		if (at == INV_NONE)
			continue;
		struct inv_group *g = &inv->group[at];
		unsigned int *v = reallocarray(g->fn, g->n_fn + 1, sizeof(*v));
		if (!v)
			return -ENOMEM;
		g->fn = v;
		v[g->n_fn++] = i;
	}
	return 0;
}

int inv_groups_read(struct inv *inv)
{
	int r = collect(inv);
	for (unsigned int i = 0; r == 0 && i < inv->n_groups; i++)
		r = read_group(inv, &inv->group[i]);
	bool nodes = false;
	for (unsigned int i = 0; i < inv->n_groups; i++)
		nodes |= inv->group[i].has_node;
	for (unsigned int i = 0; i < inv->n_fns; i++)
		nodes |= inv->fn[i].cdev[0] != '\0';
	if (r == 0 && nodes) /* a walk over all processes */
		vfio_why_holders(take_holder, inv);
	return r;
}
