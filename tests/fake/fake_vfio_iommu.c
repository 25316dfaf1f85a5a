// SPDX-License-Identifier: GPL-2.0-or-later
//
// The type1 IOMMU: MAP_DMA and UNMAP_DMA with the checks of vfio_iommu_type1.c in its order, the
// information chain, and translation for the device's side. Owns the DMA maps and the live
// configuration.
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "core/range.h"
#include "tests/fake/fake_int.h"
#include "tests/fake/fake_vfio.h"

struct dma {
	struct list node;
	struct range iova;
	uintptr_t va;
	uint32_t flags;
	bool bar; /* some of it is a device's BAR: not pinned, not charged */
};

struct fk_iommu {
	struct list node;
	struct list dmas;
	bool v2;
	unsigned int n_dmas, n_groups;
	struct rangeset valid; /* what may be mapped, while a group is attached */
};

static struct fake_iommu_cfg cfg;
static struct list iommus = { &iommus, &iommus };
static uint64_t pinned;

struct fake_iommu_cfg *fake_iommu(void)
{
	return &cfg;
}

struct fk_iommu *fk_iommu_new(bool v2)
{
	struct fk_iommu *io = fk_zalloc(sizeof(*io));
	list_init(&io->dmas);
	io->v2 = v2;
	list_add_tail(&iommus, &io->node);
	return io;
}

static void dma_free(struct fk_iommu *io, struct dma *m)
{
	if (!m->bar)
		pinned -= range_size(m->iova);
	list_del(&m->node);
	io->n_dmas--;
	free(m);
}

static void unmap_all(struct fk_iommu *io)
{
	struct dma *m, *next;
	list_for_each_safe(m, next, &io->dmas, struct dma, node)
		dma_free(io, m);
}

void fk_iommu_free(struct fk_iommu *io)
{
	unmap_all(io);
	rangeset_fini(&io->valid);
	list_del(&io->node);
	free(io);
}

static struct dma *overlapping(struct fk_iommu *io, struct range r)
{
	struct dma *m;
	list_for_each(m, &io->dmas, struct dma, node)
		if (range_overlaps(m->iova, r))
			return m;
	return NULL;
}

/* --- groups come and go ------------------------------------------------------------------- */

static void subtract_reserved(struct rangeset *s, const struct fk_group *g)
{
	for (unsigned int i = 0; i < g->n_resv; i++)
		if (strcmp(g->resv[i].type, "direct-relaxable") != 0)
			rangeset_subtract(s, (struct range){ g->resv[i].first, g->resv[i].last });
}

/* The aperture less the reserved regions of every group inside and of `more`. */
static void valid_windows(struct fk_iommu *io, const struct fk_group *more, struct rangeset *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < FAKE_WINDOWS_MAX && cfg.windows[i][1]; i++)
		rangeset_add(ret, (struct range){ cfg.windows[i][0], cfg.windows[i][1] });
	struct fk_group *g;
	list_for_each(g, fk_groups(), struct fk_group, node)
		if (fk_group_iommu(g) == io)
			subtract_reserved(ret, g);
	if (more)
		subtract_reserved(ret, more);
}

int fk_iommu_attach(struct fk_iommu *io, struct fk_group *g)
{
	struct rangeset next;
	valid_windows(io, g, &next);
	/* What is mapped already must stay legal. */
	struct dma *m;
	list_for_each(m, &io->dmas, struct dma, node) {
		if (!rangeset_contains(&next, m->iova)) {
			rangeset_fini(&next);
			return -EINVAL;
		}
	}
	rangeset_fini(&io->valid);
	io->valid = next;
	io->n_groups++;
	return 0;
}

void fk_iommu_detach(struct fk_iommu *io, struct fk_group *g, bool last)
{
	(void)g;
	io->n_groups--;
	if (last) {
		unmap_all(io);
		return;
	}
	struct rangeset next;
	valid_windows(io, NULL, &next);
	rangeset_fini(&io->valid);
	io->valid = next;
}

/* --- map ---------------------------------------------------------------------------------- */

static bool dma_refused_bar(uintptr_t va)
{
	const struct fk_map *m = fk_map_at(va);
	return m && m->kind == FK_MAP_BAR && (m->dev->desc->flags & FAKE_DEV_PFNMAP_NO_DMA);
}

static int pin(const struct vfio_iommu_type1_dma_map *a, bool *bar)
{
	bool write = a->flags & VFIO_DMA_MAP_FLAG_WRITE;
	int r = fk_va_check((uintptr_t)a->vaddr, a->size, write, bar);
	if (r < 0)
		return r;
	if (*bar)
		return dma_refused_bar((uintptr_t)a->vaddr) ? -EFAULT : 0;
	return a->size > cfg.memlock || pinned > cfg.memlock - a->size ? -ENOMEM : 0;
}

static long map(struct fk_iommu *io, const struct vfio_iommu_type1_dma_map *a)
{
	const uint32_t rw = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE;
	uint64_t page = cfg.pgsizes & -cfg.pgsizes;
	if (a->argsz < sizeof(*a) || (a->flags & ~rw) || !(a->flags & rw))
		return -EINVAL;
	if (!a->size || (a->size | a->iova | a->vaddr) & (page - 1))
		return -EINVAL;
	struct range r;
	if (!range_make(a->iova, a->size, &r) || a->vaddr + a->size - 1 < a->vaddr)
		return -EINVAL;
	if (overlapping(io, r))
		return -EEXIST;
	if (io->n_dmas >= cfg.dma_limit)
		return -ENOSPC;
	if (!rangeset_contains(&io->valid, r))
		return -EINVAL;
	bool bar = false;
	int err = pin(a, &bar);
	if (err < 0)
		return err;
	struct dma *m = fk_zalloc(sizeof(*m));
	m->iova = r;
	m->va = (uintptr_t)a->vaddr;
	m->flags = a->flags;
	m->bar = bar;
	list_add_tail(&io->dmas, &m->node);
	io->n_dmas++;
	if (!bar)
		pinned += a->size;
	return 0;
}

/* --- unmap -------------------------------------------------------------------------------- */

/* RAM taken from under a device that may be writing it. */
static void check_quiet(struct fk_iommu *io, const struct dma *m)
{
	const struct fake_dev *d;
	list_for_each(d, fk_devs(), struct fake_dev, node)
		if (!m->bar && d->vdev && fk_group_iommu(d->group) == io &&
		    (d->cfg[PCI_COMMAND] & PCI_COMMAND_MASTER) && !d->removed)
			fk_violation("DMA unmap of RAM at %#llx while %s is bus master",
				     (unsigned long long)m->iova.first, d->bdf);
}

static long unmap(struct fk_iommu *io, struct vfio_iommu_type1_dma_unmap *a)
{
	uint64_t page = cfg.pgsizes & -cfg.pgsizes;
	bool all = a->flags & VFIO_DMA_UNMAP_FLAG_ALL;
	if (a->argsz < sizeof(*a) || (a->flags & ~VFIO_DMA_UNMAP_FLAG_ALL))
		return -EINVAL;
	if (all ? a->iova || a->size : !a->size || (a->size | a->iova) & (page - 1))
		return -EINVAL;
	struct range r = { 0, UINT64_MAX };
	if (!all && !range_make(a->iova, a->size, &r))
		return -EINVAL;
	struct dma *m, *next;
	/* v2 never splits a mapping: an end inside one is refused. */
	list_for_each(m, &io->dmas, struct dma, node)
		if (io->v2 && !all && range_overlaps(m->iova, r) && !range_contains(r, m->iova))
			return -EINVAL;
	uint64_t done = 0;
	list_for_each_safe(m, next, &io->dmas, struct dma, node) {
		/* v1 takes the whole of any mapping whose start is inside. */
		if (!range_overlaps(m->iova, r) || m->iova.first < r.first)
			continue;
		check_quiet(io, m);
		done += range_size(m->iova);
		dma_free(io, m);
	}
	a->size = done;
	return 0;
}

/* --- information -------------------------------------------------------------------------- */

struct chain {
	uint8_t buf[1024];
	uint32_t len;  /* from the start of the info structure */
	uint32_t last; /* offset of the last header, 0 none */
};

static void *chain_add(struct chain *c, uint16_t id, uint16_t version, uint32_t len)
{
	struct vfio_info_cap_header *h = (void *)(c->buf + c->len);
	if (c->last)
		((struct vfio_info_cap_header *)(void *)(c->buf + c->last))->next = c->len;
	h->id = id;
	h->version = version;
	c->last = c->len;
	c->len += ALIGN_UP(len, 8u);
	return h;
}

static void chain_windows(struct chain *c, const struct rangeset *s)
{
	struct vfio_iommu_type1_info_cap_iova_range *h =
		chain_add(c, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, 1,
			  (uint32_t)(sizeof(*h) + s->n * sizeof(h->iova_ranges[0])));
	h->nr_iovas = (uint32_t)s->n;
	for (size_t i = 0; i < s->n; i++) {
		h->iova_ranges[i].start = s->r[i].first;
		h->iova_ranges[i].end = s->r[i].last;
	}
}

static void chain_build(struct fk_iommu *io, struct chain *c)
{
	c->len = sizeof(struct vfio_iommu_type1_info);
	if (cfg.chain == FAKE_CHAIN_UNKNOWN_FIRST)
		chain_add(c, 0x7777, 9, 24);
	if (cfg.migration_cap) {
		struct vfio_iommu_type1_info_cap_migration *h =
			chain_add(c, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, 1, sizeof(*h));
		h->pgsize_bitmap = FK_PAGE;
		h->max_dirty_bitmap_size = MIB(256);
	}
	if (cfg.avail_cap) {
		struct vfio_iommu_type1_info_dma_avail *h =
			chain_add(c, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, 1, sizeof(*h));
		h->avail = cfg.dma_limit - io->n_dmas;
	}
	if (cfg.iova_cap)
		chain_windows(c, &io->valid);
	struct vfio_info_cap_header *last = (void *)(c->buf + c->last);
	if (cfg.chain == FAKE_CHAIN_LOOP && c->last)
		last->next = sizeof(struct vfio_iommu_type1_info);
	if (cfg.chain == FAKE_CHAIN_BEYOND && c->last)
		last->next = c->len + 4096;
}

static long get_info(struct fk_iommu *io, struct vfio_iommu_type1_info *a)
{
	if (a->argsz < offsetof(struct vfio_iommu_type1_info, cap_offset))
		return -EINVAL;
	struct chain c = { .last = 0 };
	chain_build(io, &c);
	uint32_t room = a->argsz;
	struct vfio_iommu_type1_info *head = (void *)c.buf;
	*head = (struct vfio_iommu_type1_info){ .argsz = room,
						.flags = VFIO_IOMMU_INFO_PGSIZES,
						.iova_pgsizes = cfg.pgsizes };
	if (c.last) {
		head->flags |= VFIO_IOMMU_INFO_CAPS;
		if (room < c.len)
			head->argsz = c.len;
		else
			head->cap_offset = sizeof(*head);
	}
	/* Too small a buffer gets the head alone, and argsz says what it takes. */
	memcpy(a, c.buf, MIN(room, head->cap_offset ? c.len : (uint32_t)sizeof(*head)));
	return 0;
}

long fk_iommu_extension(bool set, bool v2, unsigned long ext)
{
	(void)v2;
	if (!cfg.present)
		return 0;
	switch (ext) {
	case VFIO_TYPE1_IOMMU:
	case VFIO_UNMAP_ALL:
		return 1;
	case VFIO_TYPE1v2_IOMMU:
		return cfg.type1v2;
	case VFIO_DMA_CC_IOMMU:
		return set && cfg.dma_coherent;
	default:
		return 0;
	}
}

long fk_iommu_ioctl(struct fk_iommu *io, unsigned long req, void *arg)
{
	switch (req) {
	case VFIO_IOMMU_GET_INFO:
		return get_info(io, arg);
	case VFIO_IOMMU_MAP_DMA:
		return map(io, arg);
	case VFIO_IOMMU_UNMAP_DMA:
		return unmap(io, arg);
	default:
		return -ENOTTY;
	}
}

/* --- the other side ----------------------------------------------------------------------- */

void *fk_iommu_translate(struct fk_iommu *io, uint64_t iova, bool write, size_t *len)
{
	struct dma *m = overlapping(io, (struct range){ iova, iova });
	uint32_t need = write ? VFIO_DMA_MAP_FLAG_WRITE : VFIO_DMA_MAP_FLAG_READ;
	if (!m || !(m->flags & need))
		return NULL;
	*len = (size_t)MIN((uint64_t)*len, m->iova.last - iova + 1);
	uintptr_t va = m->va + (iova - m->iova.first);
	bool bar;
	if (fk_va_check(va, *len, write, &bar) < 0)
		return NULL;
	return (void *)va;
}

bool fk_iommu_uses(uintptr_t addr, uint64_t len)
{
	struct fk_iommu *io;
	struct dma *m;
	list_for_each(io, &iommus, struct fk_iommu, node)
		list_for_each(m, &io->dmas, struct dma, node)
			if (m->va < addr + len && addr < m->va + range_size(m->iova))
				return true;
	return false;
}

unsigned int fake_dma_maps(void)
{
	unsigned int n = 0;
	fk_lock();
	struct fk_iommu *io;
	list_for_each(io, &iommus, struct fk_iommu, node)
		n += io->n_dmas;
	fk_unlock();
	return n;
}

uint64_t fake_dma_bytes(void)
{
	uint64_t n = 0;
	fk_lock();
	struct fk_iommu *io;
	struct dma *m;
	list_for_each(io, &iommus, struct fk_iommu, node)
		list_for_each(m, &io->dmas, struct dma, node)
			n += range_size(m->iova);
	fk_unlock();
	return n;
}

bool fake_dma_lookup(uint64_t iova, void **ret_va, uint64_t *ret_size, uint32_t *ret_flags)
{
	bool found = false;
	fk_lock();
	struct fk_iommu *io;
	list_for_each(io, &iommus, struct fk_iommu, node) {
		const struct dma *m = overlapping(io, (struct range){ iova, iova });
		if (!m || found)
			continue;
		found = true;
		if (ret_va)
			*ret_va = (void *)(m->va + (iova - m->iova.first));
		if (ret_size)
			*ret_size = range_size(m->iova);
		if (ret_flags)
			*ret_flags = m->flags;
	}
	fk_unlock();
	return found;
}

void fk_vfio_reset(void)
{
	if (!list_empty(&iommus))
		fk_bug("an IOMMU is left after everything was closed");
	pinned = 0;
	cfg = (struct fake_iommu_cfg){
		.present = true,
		.type1v2 = true,
		.pgsizes = KIB(4) | MIB(2) | GIB(1),
		.windows = { { 0, (UINT64_C(1) << 39) - 1 } },
		.dma_limit = 65535,
		.memlock = UINT64_MAX,
		.iova_cap = true,
		.avail_cap = true,
		.migration_cap = true,
		.dma_coherent = true,
	};
}
