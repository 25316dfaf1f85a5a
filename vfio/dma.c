// SPDX-License-Identifier: GPL-2.0-or-later
// The IOVA mapper: mirrors guest memory into a type1 container, one MAP_DMA per region, and
// explains each refusal. Owns the maps it made (the container's reference keeps them valid). Must
// not know devices.
//
// RAM must map. A BAR (GMEM_MMIO) is mapped through the address its owner mmapped it at, best
// effort: without it only peer-to-peer DMA is lost. Guest ROM is not mapped at all: no device has
// reason to read firmware, and what a device can't reach it can't leak.
#define LOG_TAG "vfio/dma"

#include "vfio/dma.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"
#include "core/sys.h"
#include "core/trace.h"
#include "vfio/group.h"
#include "vfio/why.h"

/* AMD processors decode this as HyperTransport: DMA to it never reaches memory (AMD I/O
 * Virtualization Technology (IOMMU) Specification 2.1.2). */
static const struct range ht_hole = { UINT64_C(0xfd00000000), UINT64_C(0xffffffffff) };
/* Writes there are interrupts (Intel SDM 3A 10.11.1). */
static const struct range msi_window = { 0xfee00000, 0xfeefffff };

static struct range region_range(const struct gmem_region *r)
{
	return (struct range){ r->gpa, r->gpa + r->size - 1 };
}

/* --- windows --------------------------------------------------------------------------------- */

/* The first part of `r` that no window covers; there is one. */
static struct range first_gap(const struct rangeset *s, struct range r)
{
	uint64_t at = r.first;

	for (size_t i = 0; i < s->n; i++) {
		struct range w = s->r[i];

		if (w.last < at)
			continue;
		if (w.first > at)
			return (struct range){ at, MIN(r.last, w.first - 1) };
		if (w.last >= r.last)
			break;
		at = w.last + 1;
	}
	return (struct range){ at, r.last };
}

/* What lies there, as a phrase; false: nothing known. */
static bool name_hole(const struct vfio_container *c, struct range gap, char *buf, size_t size)
{
	const struct vfio_group *g;
	struct vfio_reserved v;
	const char *what = NULL;

	list_for_each(g, &c->groups, const struct vfio_group, node) {
		if (!vfio_why_reserved(g->id, gap, &v))
			continue;
		if (v.r.first == ht_hole.first && v.r.last == ht_hole.last)
			what = "AMD's HyperTransport hole";
		else if (strcmp(v.type, "msi") == 0)
			what = "the interrupt (MSI) window";
		else if (strcmp(v.type, "direct") == 0)
			what = "a firmware reservation (RMRR)";
		else
			what = "a reserved region";
		snprintf(buf, size, "%#" PRIx64 "-%#" PRIx64 " is %s of IOMMU group %u", v.r.first,
			 v.r.last, what, g->id);
		return true;
	}

	const struct range *known = NULL;

	if (range_overlaps(gap, ht_hole)) {
		known = &ht_hole;
		what = "AMD's HyperTransport hole";
	} else if (range_overlaps(gap, msi_window)) {
		known = &msi_window;
		what = "the interrupt (MSI) window";
	}
	if (!known)
		return false;
	snprintf(buf, size, "%#" PRIx64 "-%#" PRIx64 " is %s", known->first, known->last, what);
	return true;
}

int vfio_dma_check(const struct vfio_container *c, uint64_t iova, uint64_t size,
		   struct verr *reterr)
{
	const struct rangeset *win = &c->info.iova;
	char hole[160];
	struct range r;

	if (!range_make(iova, size, &r))
		return verr_set(reterr, -EINVAL,
				"%#" PRIx64 " bytes at guest address %#" PRIx64 " are not a range",
				size, iova);
	if (rangeset_contains(win, r))
		return 0;
	if (win->n == 0)
		return verr_set(reterr, -EINVAL,
				"the IOMMU has no address for DMA at all, guest "
				"addresses %#" PRIx64 "-%#" PRIx64 " included",
				r.first, r.last);

	struct range gap = first_gap(win, r);
	uint64_t top = win->r[win->n - 1].last;

	if (gap.first > top)
		return verr_set(reterr, -EINVAL,
				"guest addresses %#" PRIx64 "-%#" PRIx64 " are beyond "
				"the reach of DMA: the IOMMU's addresses end at %#" PRIx64
				"; the guest's memory and BARs have to fit below",
				r.first, r.last, top);
	if (!name_hole(c, gap, hole, sizeof(hole)))
		snprintf(hole, sizeof(hole),
			 "%#" PRIx64 "-%#" PRIx64 " is not in the IOMMU's ranges", gap.first,
			 gap.last);
	return verr_set(reterr, -EINVAL,
			"guest addresses %#" PRIx64 "-%#" PRIx64 " can't all be "
			"reached by DMA: %s; the guest's memory and BARs have to keep clear of it",
			r.first, r.last, hole);
}

/* --- refusals -------------------------------------------------------------------------------- */

static unsigned int mappers(struct gmem *m)
{
	unsigned int n = 0;

	for (const struct vfio_dma *d = vfio_dma_next(m, NULL); d; d = vfio_dma_next(m, d))
		n++;
	return n;
}

static int explain_nomem(const struct vfio_dma *d, const struct gmem_region *r, struct verr *reterr)
{
	struct vfio_memlock m;
	uint64_t need = d->mapped + r->size;
	char once[96] = "";
	unsigned int n = mappers(d->gmem);

	if (n > 1)
		snprintf(once, sizeof(once), " (guest RAM counts once for each of %u containers)",
			 n);
	vfio_why_memlock(&m);
	/* Maps of this and other containers are in `used` already. */
	need = MAX(need, m.used + r->size);
	if (m.known && (m.unlimited || need <= m.limit))
		return verr_set(reterr, -ENOMEM,
				"the kernel ran out of memory while it pinned %s (%" PRIu64
				" MiB) for DMA: give the guest less memory, or free some",
				r->name, r->size >> 20);
	if (!m.known)
		return verr_set(
			reterr, -ENOMEM,
			"pinning %s (%" PRIu64 " MiB) for DMA: out of memory, "
			"most likely of memory that may be locked; %" PRIu64 " KiB are needed%s: "
			"raise the limit by `ulimit -l %" PRIu64 "`, by LimitMEMLOCK=%" PRIu64
			" in the systemd unit, or by the capability CAP_IPC_LOCK",
			r->name, r->size >> 20, need >> 10, once, need >> 10, need);
	return verr_set(reterr, -ENOMEM,
			"pinning %s (%" PRIu64 " MiB) for DMA needs %" PRIu64 " KiB of "
			"locked memory%s, the limit is %" PRIu64
			" KiB: raise it by `ulimit -l %" PRIu64 "`, by LimitMEMLOCK=%" PRIu64
			" in the systemd unit, or by the capability "
			"CAP_IPC_LOCK",
			r->name, r->size >> 20, need >> 10, once, m.limit >> 10, need >> 10, need);
}

static int explain_nospc(const char *what, struct verr *reterr)
{
	uint64_t limit;
	char known[48] = "";

	if (vfio_why_dma_limit(&limit))
		snprintf(known, sizeof(known), " of %" PRIu64, limit);
	return verr_set(
		reterr, -ENOSPC,
		"no DMA map is left for %s: the limit%s per container is "
		"reached; raise it: modprobe vfio_iommu_type1 dma_entry_limit=N (or \"options "
		"vfio_iommu_type1 dma_entry_limit=N\" in /etc/modprobe.d)",
		what, known);
}

static int explain_perm(const struct vfio_dma *d, const struct gmem_region *r, struct verr *reterr)
{
	const struct vfio_group *g = list_first(&d->c->groups, struct vfio_group, node);
	char why[300];

	vfio_why_eperm(g ? g->id : 0, why, sizeof(why));
	return verr_set(reterr, -EPERM, "mapping %s for DMA is refused (EPERM): %s", r->name, why);
}

static int explain_map(const struct vfio_dma *d, const struct gmem_region *r, int err,
		       struct verr *reterr)
{
	struct range at = region_range(r);
	char hole[160];

	switch (err) {
	case -EEXIST:
		/* gmem refuses regions that overlap: it is none of those it has now. */
		return verr_set(reterr, err,
				"%s at %#" PRIx64 "-%#" PRIx64
				" overlaps a DMA map that is still in this "
				"container although the guest has no memory there any more",
				r->name, at.first, at.last);
	case -EINVAL:
		/* A kernel without IOVA ranges (before 5.4) says no more than this. */
		if (!name_hole(d->c, at, hole, sizeof(hole)))
			snprintf(hole, sizeof(hole), "they may be beyond the reach of the IOMMU");
		return verr_set(reterr, err,
				"mapping %s for DMA: the kernel refuses the guest addresses "
				"%#" PRIx64 "-%#" PRIx64 ": %s",
				r->name, at.first, at.last, hole);
	case -ENOMEM:
		return explain_nomem(d, r, reterr);
	case -ENOSPC:
		snprintf(hole, sizeof(hole), "%s at %#" PRIx64 "-%#" PRIx64, r->name, at.first,
			 at.last);
		return explain_nospc(hole, reterr);
	case -EFAULT:
		return verr_set(
			reterr, err,
			"the host memory behind %s at %#" PRIx64 "-%#" PRIx64
			" can't be pinned for DMA (EFAULT): %s",
			r->name, at.first, at.last,
			r->kind == GMEM_MMIO
				? "this kernel does not map device memory for other devices, or the "
				  "device's memory decode is off"
				: "it is not there, or not writable");
	case -EPERM:
		return explain_perm(d, r, reterr);
	default:
		return verr_set(reterr, err,
				"mapping %s at %#" PRIx64 "-%#" PRIx64 " for DMA "
				"(VFIO_IOMMU_MAP_DMA): %s",
				r->name, at.first, at.last, strerror(-err));
	}
}

/* --- the listener ---------------------------------------------------------------------------- */

static int map_region(struct vfio_dma *d, const struct gmem_region *r, struct verr *reterr)
{
	uint64_t granule = d->c->info.pgsizes & (~d->c->info.pgsizes + 1);

	if ((r->gpa | r->size | (uintptr_t)r->hva) & (granule - 1))
		return verr_set(reterr, -EINVAL,
				"%s at %#" PRIx64 " (%#" PRIx64 " bytes) is not aligned "
				"to the IOMMU's page of %#" PRIx64 " bytes",
				r->name, r->gpa, r->size, granule);

	int rc = vfio_dma_check(d->c, r->gpa, r->size, reterr);

	if (rc < 0)
		return verr_prefix(reterr, rc, "%s", r->name);

	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.vaddr = (uintptr_t)r->hva,
		.iova = r->gpa,
		.size = r->size,
	};

	rc = sys_ioctl(d->c->fd, VFIO_IOMMU_MAP_DMA, &map);
	if (rc < 0) {
		log_debug("map %s %#" PRIx64 "+%#" PRIx64 ": %s", r->name, r->gpa, r->size,
			  strerror(-rc));
		return explain_map(d, r, rc, reterr);
	}
	T(vfio_dma_map, r->gpa, r->size, r->hva);
	if (r->kind == GMEM_RAM)
		d->mapped += r->size;
	return 0;
}

static int dma_add(struct gmem_listener *l, const struct gmem_region *r, struct verr *reterr)
{
	struct vfio_dma *d = container_of(l, struct vfio_dma, listener);

	if (r->kind != GMEM_MMIO)
		return map_region(d, r, reterr);
	struct verr err = { 0 };
	int rc = map_region(d, r, &err);
	if (rc < 0) {
		d->bars_refused++;
		d->bar_refusal = err;
		verr_set(reterr, rc, "%s", err.msg);
	}
	return rc;
}

/* A map that the kernel won't undo goes with the container. Until then its pages stay pinned, so
 * that a device can still write them but nobody else is ever given them. */
static void dma_del(struct gmem_listener *l, const struct gmem_region *r)
{
	struct vfio_dma *d = container_of(l, struct vfio_dma, listener);
	struct vfio_iommu_type1_dma_unmap unmap = {
		.argsz = sizeof(unmap),
		.iova = r->gpa,
		.size = r->size,
	};

	int rc = sys_ioctl(d->c->fd, VFIO_IOMMU_UNMAP_DMA, &unmap);

	T(vfio_dma_unmap, r->gpa, r->size);
	/* TYPE1 (v1) may unmap more or less than it was asked for, and succeed. */
	if (rc < 0)
		log_debug("unmap %s %#" PRIx64 "+%#" PRIx64 ": %s", r->name, r->gpa, r->size,
			  strerror(-rc));
	else if (unmap.size != r->size)
		log_debug("unmap %s %#" PRIx64 "+%#" PRIx64 ": the kernel unmapped %#" PRIx64
			  " bytes",
			  r->name, r->gpa, r->size, (uint64_t)unmap.size);
	if (r->kind == GMEM_RAM)
		d->mapped -= r->size;
}

/* --- life ------------------------------------------------------------------------------------ */

/* Each region takes one map: better to know before the first gigabyte is pinned. */
static int check_room(const struct vfio_container *c, const struct gmem *m, struct verr *reterr)
{
	const struct gmem_region *r;
	char what[64];
	uint32_t n = 0;

	list_for_each(r, &m->regions, const struct gmem_region, node)
		n += r->kind == GMEM_RAM;
	if (n <= c->info.dma_avail)
		return 0;
	snprintf(what, sizeof(what), "guest memory (%u needed, %u left)", n, c->info.dma_avail);
	return explain_nospc(what, reterr);
}

int vfio_dma_start(struct vfio_dma *d, struct vfio_container *c, struct gmem *m,
		   struct verr *reterr)
{
	assert(!d->gmem);
	if (!c->iommu_set)
		return verr_set(reterr, -EINVAL,
				"guest memory can't be mapped for DMA before a group is "
				"attached to the container");

	int r = vfio_container_refresh(c, reterr);

	if (r == 0)
		r = check_room(c, m, reterr);
	if (r < 0)
		return r;

	*d = (struct vfio_dma){
		.listener = {
			.name = "vfio",
			.takes = BIT32(GMEM_RAM) | BIT32(GMEM_MMIO),
			.requires_ok = BIT32(GMEM_RAM),
			.pins = true,
			.add = dma_add,
			.del = dma_del,
		},
		.c = vfio_container_get(c),
		.gmem = m,
	};
	r = gmem_listen(m, &d->listener, reterr);
	if (r < 0) {
		d->gmem = NULL;
		d->c = NULL;
		vfio_container_put(c);
	}
	return r;
}

void vfio_dma_stop(struct vfio_dma *d)
{
	if (!d->gmem)
		return;
	gmem_unlisten(&d->listener);
	assert(d->mapped == 0);
	d->gmem = NULL;
	vfio_container_put(d->c);
	d->c = NULL;
}

struct vfio_dma *vfio_dma_next(struct gmem *m, const struct vfio_dma *after)
{
	struct list *at = after ? after->listener.node.next : m->listeners.next;

	for (; at != &m->listeners; at = at->next) {
		struct gmem_listener *l = container_of(at, struct gmem_listener, node);

		if (l->add == dma_add)
			return container_of(l, struct vfio_dma, listener);
	}
	return NULL;
}
