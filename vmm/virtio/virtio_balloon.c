// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-balloon (VIRTIO 1.2 5.5): the guest is asked to do with less memory, and reports pages
// that it does not use. Owns target, statistics and thread; pages are virtio_balloon_q.c's. While
// RAM is pinned for DMA nothing is given back: the IOMMU's maps would lead to the old pages.
#define LOG_TAG "virtio/balloon"
#include "vmm/virtio/virtio_balloon.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "vmm/virtio/virtio_balloon_int.h"
#include "vmm/virtio/virtio_devs.h"

#define QUEUE_SIZE  128
#define PAGE	    4096u
#define F_REPORTING 5 /* newer than the oldest headers we build with */

const char *const balloon_stat_names[BALLOON_STATS] = {
	"swap-in",	    "swap-out",	   "major-faults",
	"minor-faults",	    "free-memory", "total-memory",
	"available-memory", "disk-caches", "hugetlb-allocations",
	"hugetlb-failures",
};

struct virtio_balloon_cfg {
	struct virtio_props virtio;
	bool deflate_on_oom, free_page_reporting;
};

static struct virtio_balloon *bal_of(struct virtio_dev *vd)
{
	return container_of(vd, struct virtio_balloon, vd);
}

static uint64_t config_pages(const struct virtio_balloon *s, size_t at)
{
	return get_le32(s->vd.config + at);
}

/* Bytes that the guest says it has given up. */
static uint64_t inflated(const struct virtio_balloon *s)
{
	return config_pages(s, offsetof(struct virtio_balloon_config, actual)) * PAGE;
}

/* ---- hand-over ------------------------------------------------------------------------------- */

struct begin {
	struct virtio_balloon *s;
	int result;
};

static void begin(void *opaque)
{
	struct begin *b = opaque;

	b->result = bal_begin(b->s);
}

static void end(void *opaque)
{
	bal_end(opaque);
}

static void bal_deactivate(struct virtio_dev *vd)
{
	iothread_call(bal_of(vd)->io, end, bal_of(vd));
}

static int bal_activate(struct virtio_dev *vd)
{
	struct begin b = { .s = bal_of(vd) };

	iothread_call(b.s->io, begin, &b);
	if (b.result < 0)
		bal_deactivate(vd);
	return b.result;
}

/* All memory is the guest's again, and it has not said anything yet. */
static void bal_reset(struct virtio_dev *vd)
{
	struct virtio_balloon *s = bal_of(vd);

	s->stats_at = 0; /* not active: the thread does not look */
	put_le32(vd->config + offsetof(struct virtio_balloon_config, actual), 0);
}

static void bal_config_write(struct virtio_dev *vd, unsigned int off, uint64_t val,
			     unsigned int size)
{
	const unsigned int at = offsetof(struct virtio_balloon_config, actual);

	for (unsigned int i = 0; i < size; i++)
		if (off + i >= at && off + i < at + 4)
			vd->config[off + i] = (uint8_t)(val >> (8 * i));
}

static const struct virtio_ops bal_ops = {
	.activate = bal_activate,
	.deactivate = bal_deactivate,
	.reset = bal_reset,
	.config_write = bal_config_write,
};

/* ---- pinned memory --------------------------------------------------------------------------- */

static void hold(void *opaque)
{
	((struct virtio_balloon *)opaque)->held = true;
}

static void let_go_on(void *opaque)
{
	((struct virtio_balloon *)opaque)->held = false;
}

static int bal_hold(struct gmem_giver *g, struct verr *reterr)
{
	struct virtio_balloon *s = container_of(g, struct virtio_balloon, giver);
	uint64_t taken = MAX(s->target, inflated(s));

	if (taken)
		return verr_set(reterr, -EBUSY,
				"virtio-balloon %s has %" PRIu64 " MiB of the guest's memory, and "
				"an assigned device would pin all of it again: give it back first "
				"(`balloon` with a size of %" PRIu64 "M)",
				s->vd.pd.dev.id, taken >> 20,
				gmem_ram_size(s->vd.pd.dev.plat->ram) >> 20);
	if (s->io)
		iothread_call(s->io, hold, s);
	return 0;
}

static void bal_go_on(struct gmem_giver *g)
{
	struct virtio_balloon *s = container_of(g, struct virtio_balloon, giver);

	if (s->io)
		iothread_call(s->io, let_go_on, s);
}

/* ---- the control socket ---------------------------------------------------------------------- */

bool virtio_is_balloon(const struct dev *d)
{
	return d->type == &virtio_balloon_type;
}

static int check_size(const struct dev *d, uint64_t size, struct verr *reterr)
{
	struct gmem *m = d->plat->ram;
	uint64_t all = gmem_ram_size(m);
	const struct gmem_region *r;

	if (size == 0 || size > all || !IS_ALIGNED(size, (uint64_t)PAGE))
		return verr_set(reterr, -EINVAL,
				"a guest of %" PRIu64 " MiB can't be given %" PRIu64
				" bytes: at most all of it, in pages of 4 KiB",
				all >> 20, size);
	if (size == all)
		return 0;
	if (gmem_pinned(m))
		return verr_set(reterr, -EBUSY,
				"the guest's memory is pinned for an assigned device, which could "
				"reach pages that were given back: remove the device first");
	list_for_each(r, &m->regions, const struct gmem_region, node)
		if (r->kind == GMEM_RAM && r->keep)
			return verr_set(reterr, -EOPNOTSUPP,
					"the guest's memory is of huge pages, which can't be given "
					"back in pages of 4 KiB: start without hugepages=on");
	return 0;
}

int virtio_balloon_set(struct dev *d, uint64_t size, struct verr *reterr)
{
	struct virtio_balloon *s = bal_of(virtio_of(d));

	int r = check_size(d, size, reterr);
	if (r < 0)
		return r;
	s->target = gmem_ram_size(d->plat->ram) - size;
	put_le32(s->vd.config + offsetof(struct virtio_balloon_config, num_pages),
		 (uint32_t)MIN(s->target / PAGE, (uint64_t)UINT32_MAX));
	virtio_config_changed(&s->vd);
	return 0;
}

struct query {
	struct virtio_balloon *s;
	struct balloon_state *ret;
};

static void query(void *opaque)
{
	const struct query *q = opaque;
	struct virtio_balloon *s = q->s;

	memcpy(q->ret->known, s->known, sizeof(s->known));
	memcpy(q->ret->stat, s->stat, sizeof(s->stat));
	q->ret->age_ms = s->stats_at ? bal_now_ms() - s->stats_at : UINT64_MAX;
	bal_ask_stats(s);
}

void virtio_balloon_query(struct dev *d, struct balloon_state *ret)
{
	struct virtio_balloon *s = bal_of(virtio_of(d));
	struct query q = { s, ret };
	uint64_t all = gmem_ram_size(d->plat->ram);

	memset(ret, 0, sizeof(*ret));
	ret->memory = all;
	ret->target = all - s->target;
	ret->actual = all - MIN(inflated(s), all);
	ret->age_ms = UINT64_MAX;
	if (s->io)
		iothread_call(s->io, query, &q);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void bal_unrealize(struct dev *d)
{
	struct virtio_balloon *s = bal_of(virtio_of(d));

	gmem_del_giver(&s->giver);
	virtio_unrealize(&s->vd);
	iothread_close(s->io);
	s->io = NULL;
}

static int bal_realize(struct dev *d, struct verr *reterr)
{
	struct virtio_balloon *s = bal_of(virtio_of(d));
	const struct virtio_balloon_cfg *c = d->cfg;
	const struct virtio_balloon_config config = { 0 };
	const struct virtio_desc desc = {
		.ops = &bal_ops,
		.id = VIRTIO_ID_BALLOON,
		.class_code = 0x00ff00,
		.features = BIT64(VIRTIO_BALLOON_F_STATS_VQ) |
			    (c->deflate_on_oom ? BIT64(VIRTIO_BALLOON_F_DEFLATE_ON_OOM) : 0) |
			    (c->free_page_reporting ? BIT64(F_REPORTING) : 0),
		.n_queues = c->free_page_reporting ? BAL_QUEUES : BAL_STATS + 1,
		.queue_size = QUEUE_SIZE,
		.config = &config,
		.config_len = 8,
		.props = &c->virtio,
	};

	s->giver = (struct gmem_giver){ .hold = bal_hold, .go_on = bal_go_on };
	int r = d->plat->dry_run ? 0 : iothread_open(d->id, 0, &s->io, reterr);
	if (r == 0)
		r = virtio_realize(&s->vd, &desc, reterr);
	if (r < 0) {
		bal_unrealize(d);
		return r;
	}
	gmem_add_giver(d->plat->ram, &s->giver);
	return 0;
}

static void bal_describe(struct dev *d, FILE *out)
{
	const struct virtio_balloon *s = bal_of(virtio_of(d));

	virtio_dev_describe(d, out);
	fprintf(out, "  balloon: %" PRIu64 " MiB are to be taken, %" PRIu64 " MiB are%s\n",
		s->target >> 20, inflated(s) >> 20,
		gmem_pinned(d->plat->ram) ? "; nothing is given back while an assigned device pins "
					    "memory"
					  : "");
}

static struct dev *bal_alloc(void)
{
	struct virtio_balloon *s = calloc(1, sizeof(*s));

	return s ? &s->vd.pd.dev : NULL;
}

static void bal_free(struct dev *d)
{
	free(bal_of(virtio_of(d)));
}

static const struct dev_ops bal_dev_ops = {
	.realize = bal_realize,
	.unrealize = bal_unrealize,
	.reset = virtio_dev_reset,
	.start = virtio_dev_start,
	.stop = virtio_dev_stop,
	.pause = virtio_dev_pause,
	.resume = virtio_dev_resume,
	.describe = bal_describe,
};

static const struct prop bal_props[] = {
	PROP_NAMED("deflate-on-oom", struct virtio_balloon_cfg, deflate_on_oom, PROP_BOOL, "off",
		   "the guest may take memory again before it kills for want of it"),
	PROP_NAMED("free-page-reporting", struct virtio_balloon_cfg, free_page_reporting, PROP_BOOL,
		   "off", "the guest reports free pages, which are given back to the host"),
	VIRTIO_PROPS(struct virtio_balloon_cfg, virtio),
	PROP_END,
};

const struct dev_type virtio_balloon_type = {
	.t = { .name = "virtio-balloon",
	       .category = "virtio",
	       .desc = "takes memory from the guest and gives it back",
	       .props = bal_props,
	       .cfg_size = sizeof(struct virtio_balloon_cfg) },
	.ops = &bal_dev_ops,
	.alloc = bal_alloc,
	.free = bal_free,
	.pci = true,
	.user = true,
};
