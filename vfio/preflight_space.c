// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight checks of addresses: whether guest RAM and all BARs find room below 4 GiB, below the
// guest's physical address width, within what the IOMMUs translate and beside what they keep for
// themselves; and which functions may reach each other. Collects the facts from sysfs; the map
// itself is the monitor's to solve (preflight_solve). Reads only.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/range.h"
#include "core/sys.h"
#include "vfio/hostbar.h"
#include "vfio/hostproc.h"
#include "vfio/preflight_int.h"

#define PATH_SIZE 512

struct space {
	uint64_t mem32, mem32_align, mem64, mem64_align;
	unsigned int phys_bits;
	bool amd;
	unsigned int family;
};

/* --- the processor --------------------------------------------------------------------------- */

static int cpu_line(void *opaque, char *line)
{
	struct space *s = (struct space *)opaque;
	unsigned int bits;
	if (strncmp(line, "vendor_id", 9) == 0)
		s->amd = strstr(line, "AuthenticAMD") != NULL;
	else if (sscanf(line, "cpu family : %u", &bits) == 1)
		s->family = bits;
	else if (sscanf(line, "address sizes : %u bits physical", &bits) == 1)
		s->phys_bits = bits;
	return line[0] == '\0'; /* one processor is enough */
}

/* --- what the functions need ----------------------------------------------------------------- */

static bool read_function(const struct preflight_ctx *c, unsigned int i, struct hostpci_dev *d)
{
	for (unsigned int j = 0; j < i; j++) {
		if (bdf_equal(&c->req->bdfs[j], &c->req->bdfs[i]))
			return false;
	}
	return hostpci_read(&c->req->bdfs[i], d, NULL) == 0 && d->header_type == 0;
}

static void add_needs(struct space *s, const struct hostpci_dev *d)
{
	struct host_bar bar[6];
	if (!host_bars_read(&d->at, bar))
		return;
	for (unsigned int i = 0; i < 6; i++) {
		if (!bar[i].size || bar[i].io)
			continue;
		uint64_t *sum = bar[i].is64 ? &s->mem64 : &s->mem32;
		uint64_t *align = bar[i].is64 ? &s->mem64_align : &s->mem32_align;
		*sum += bar[i].size;
		*align = MAX(*align, bar[i].size);
	}
}

/* --- what the IOMMUs reach -------------------------------------------------------------------- */

/* Intel: the smaller of what page tables (SAGAW) and unit (MGAW) can (VT-d 11.4.2). 0: unknown. */
static unsigned int iommu_bits(const struct hostpci_dev *d, char *unit, size_t size)
{
	char path[PATH_SIZE], name[BDF_STR_MAX], text[32];
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu", bdf_str(&d->at, name));
	if (sys_readlink_base(path, unit, size) < 0)
		return 0;
	hostpci_path(path, sizeof(path), "/sys/class/iommu/%s/intel-iommu/cap", unit);
	if (sys_read_text(path, text, sizeof(text)) <= 0)
		return 0;
	uint64_t cap = strtoull(text, NULL, 16);
	unsigned int mgaw = (cap >> 16 & 0x3f) + 1, sagaw = cap >> 8 & 0x1f;
	unsigned int table = sagaw & 8 ? 57 : sagaw & 4 ? 48 : sagaw & 2 ? 39 : 0;
	return MIN(mgaw, table);
}

struct reserved_scan {
	struct rangeset *reach;	  /* NULL: only look for `over` */
	const struct range *over; /* NULL: any */
	struct range hit;
	char type[32];
	int err;
};

/* Direct ones have their own verdict; relaxable ones the kernel lets go of. */
static int look_at_reserved(void *opaque, char *line)
{
	struct reserved_scan *s = (struct reserved_scan *)opaque;
	struct range r;
	char type[32];
	if (sscanf(line, "%" SCNx64 " %" SCNx64 " %31s", &r.first, &r.last, type) != 3 ||
	    r.first > r.last || strncmp(type, "direct", 6) == 0)
		return 0;
	if (s->reach)
		s->err = rangeset_subtract(s->reach, r);
	if (!s->over || !range_overlaps(*s->over, r))
		return s->err < 0;
	s->hit = r;
	memcpy(s->type, type, sizeof(type));
	return 1;
}

static bool scan_reserved(uint32_t group, struct reserved_scan *s)
{
	char path[64];
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%u/reserved_regions", group);
	return group != HOSTPCI_NO_GROUP && hostproc_lines(path, look_at_reserved, s) == 1;
}

static int find_reach(const struct preflight_ctx *c, struct rangeset *ret)
{
	int r = rangeset_add(ret, (struct range){ 0, UINT64_MAX });
	for (unsigned int i = 0; i < c->req->n_bdfs && r == 0; i++) {
		struct hostpci_dev d;
		char unit[64];
		struct reserved_scan s = { .reach = ret };
		if (!read_function(c, i, &d))
			continue;
		unsigned int bits = iommu_bits(&d, unit, sizeof(unit));
		if (bits)
			r = rangeset_subtract(ret,
					      (struct range){ UINT64_C(1) << bits, UINT64_MAX });
		scan_reserved(d.group, &s);
		r = MIN(r, s.err);
	}
	return r;
}

/* The solver asks why devices can't reach all of `r`. */
static int why_unreached(void *opaque, struct range r, struct verr *reterr)
{
	const struct preflight_ctx *c = (const struct preflight_ctx *)opaque;
	for (unsigned int i = 0; i < c->req->n_bdfs; i++) {
		struct hostpci_dev d;
		char unit[64], name[BDF_STR_MAX];
		struct reserved_scan s = { .over = &r };
		if (!read_function(c, i, &d))
			continue;
		unsigned int bits = iommu_bits(&d, unit, sizeof(unit));
		if (bits && r.last >> bits)
			return verr_set(reterr, -EINVAL,
					"the IOMMU %s in front of %s translates %u bits, up to "
					"%#" PRIx64 ", and not %#" PRIx64 "-%#" PRIx64,
					unit, bdf_str(&d.at, name), bits, (UINT64_C(1) << bits) - 1,
					r.first, r.last);
		if (scan_reserved(d.group, &s))
			return verr_set(reterr, -EINVAL,
					"the IOMMU of group %u does not translate %#" PRIx64
					"-%#" PRIx64 " (%s)",
					d.group, s.hit.first, s.hit.last, s.type);
	}
	return 0;
}

static void check_map(struct preflight_ctx *c, const struct space *s)
{
	struct rangeset reach = { 0 };
	char note[512] = "";
	struct verr err = { 0 };
	bool peers = true;
	struct preflight_map m = { .ram_bytes = c->req->ram_bytes,
				   .phys_bits = s->phys_bits,
				   .mmio32 = s->mem32,
				   .mmio32_align = s->mem32_align,
				   .mmio64 = s->mem64,
				   .mmio64_align = s->mem64_align,
				   .dma = &reach,
				   .why = why_unreached,
				   .opaque = c };

	if (!c->req->solve)
		return;
	if (s->phys_bits < 32 || s->phys_bits > 52) {
		preflight_say(
			c, VERDICT_UNKNOWN, "memory-map", NULL,
			"whether RAM and BARs have room can't be told: /proc/cpuinfo does not "
			"say how wide addresses are");
		return;
	}
	int r = find_reach(c, &reach);
	if (r == 0)
		r = c->req->solve(&m, note, sizeof(note), &peers, &err);
	rangeset_fini(&reach);
	if (r == -ENOMEM)
		c->out_of_memory = true;
	else if (r < 0)
		preflight_say(c, VERDICT_FAIL, "memory-map", NULL, "%s", err.msg);
	else if (!peers && c->req->n_bdfs > 1)
		preflight_say(c, VERDICT_WARN, "memory-map", NULL, "%s", note);
	else
		preflight_say(c, VERDICT_OK, "memory-map", NULL,
			      "RAM and BARs (%" PRIu64 " MiB of 32 bits, %" PRIu64 " MiB of 64) "
			      "have room%s%s",
			      (s->mem32 + MIB(1) - 1) >> 20, (s->mem64 + MIB(1) - 1) >> 20,
			      note[0] ? "; " : "", note);
	preflight_evidence(c, "guest addresses: %u bits%s", s->phys_bits,
			   c->req->phys_bits ? "" : ", as /proc/cpuinfo says");
}

/* --- peer to peer ---------------------------------------------------------------------------- */

#define DEPTH_MAX 16
#define PEERS_MAX 8 /* more have too many pairs for a verdict each */

struct peer {
	struct hostpci_dev d;
	struct bdf up[DEPTH_MAX]; /* the bridges above, nearest first */
	unsigned int n_up;
};

static void find_ancestors(struct peer *p)
{
	struct hostpci_dev at = p->d;
	while (at.has_parent && p->n_up < DEPTH_MAX) {
		struct bdf up = at.parent;
		p->up[p->n_up++] = up;
		if (hostpci_read(&up, &at, NULL) < 0)
			break;
	}
}

static const struct bdf *common_bridge(const struct peer *a, const struct peer *b)
{
	for (unsigned int i = 0; i < a->n_up; i++) {
		for (unsigned int j = 0; j < b->n_up; j++) {
			if (bdf_equal(&a->up[i], &b->up[j]))
				return &a->up[i];
		}
	}
	return NULL;
}

static void check_pair(struct preflight_ctx *c, const struct space *s, const struct peer *a,
		       const struct peer *b)
{
	char an[BDF_STR_MAX], bn[BDF_STR_MAX], via[BDF_STR_MAX], how[96];
	const struct bdf *x = &a->d.at, *y = &b->d.at, *bridge = common_bridge(a, b);
	bool one_group = a->d.group == b->d.group && a->d.group != HOSTPCI_NO_GROUP;

	bdf_str(x, an);
	bdf_str(y, bn);
	if (bridge) {
		snprintf(how, sizeof(how), "below %s%s", bdf_str(bridge, via),
			 one_group ? ", past the IOMMU: they are in one group" : "");
	} else if (x->seg == y->seg && x->bus == y->bus && x->dev == y->dev) {
		snprintf(how, sizeof(how), "as functions of one device");
	} else if (x->seg == y->seg && s->amd && s->family >= 0x17) {
		snprintf(how, sizeof(how), "through the host bridge (AMD Zen forwards)");
	} else {
		preflight_say(c, VERDICT_UNKNOWN, "peer-to-peer", NULL,
			      "%s and %s have no bridge in common: whether they reach each other's "
			      "BARs is up to the host bridge%s, and nothing tells",
			      an, bn, x->seg == y->seg ? "" : "s");
		return;
	}
	preflight_say(c, VERDICT_OK, "peer-to-peer", NULL,
		      "%s and %s can reach each other's BARs %s", an, bn, how);
}

static void check_pairs(struct preflight_ctx *c, const struct space *s)
{
	struct peer v[PEERS_MAX] = { 0 };
	unsigned int n = 0;
	if (c->req->n_bdfs > PEERS_MAX) {
		preflight_say(c, VERDICT_UNKNOWN, "peer-to-peer", NULL,
			      "who reaches whose BARs is not looked at for more than %d functions: "
			      "ask about fewer",
			      PEERS_MAX);
		return;
	}
	for (unsigned int i = 0; i < c->req->n_bdfs; i++) {
		if (read_function(c, i, &v[n].d))
			find_ancestors(&v[n++]);
	}
	for (unsigned int i = 0; i < n; i++) {
		for (unsigned int j = i + 1; j < n; j++)
			check_pair(c, s, &v[i], &v[j]);
	}
}

/* --- all of it ------------------------------------------------------------------------------- */

void preflight_space(struct preflight_ctx *c)
{
	struct space s = { .phys_bits = 0 };
	struct hostpci_dev d;

	hostproc_lines("/proc/cpuinfo", cpu_line, &s);
	if (c->req->phys_bits)
		s.phys_bits = c->req->phys_bits;
	for (unsigned int i = 0; i < c->req->n_bdfs; i++) {
		if (read_function(c, i, &d))
			add_needs(&s, &d);
	}
	check_map(c, &s);
	if (c->req->peers)
		check_pairs(c, &s);
}
