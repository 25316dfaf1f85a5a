// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-blk (VIRTIO 1.2 5.2): the device as the control plane sees it - properties, configuration
// space, I/O threads, life. Requests are virtio_blk_req.c's; what is behind it is a blockdev.
#define LOG_TAG "virtio/blk"
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/bytes.h"
#include "vmm/virtio/virtio_blk_int.h"
#include "vmm/virtio/virtio_devs.h"

#define QUEUE_SIZE 256

struct virtio_blk_cfg {
	struct virtio_props virtio;
	char *drive, *serial;
	uint16_t num_queues, iothreads;
	uint32_t logical_block_size, physical_block_size;
};

static struct virtio_blk *blk_of(struct virtio_dev *vd)
{
	return container_of(vd, struct virtio_blk, vd);
}

/* ---- hand-over ------------------------------------------------------------------------------- */

struct thread_call {
	struct virtio_blk *s;
	unsigned int thread;
	int result;
};

/* In thread `thread`: every n_threads-th queue is its own. */
static void begin(void *opaque)
{
	struct thread_call *c = opaque;
	struct virtio_blk *s = c->s;

	for (unsigned int i = c->thread; i < s->vd.n_queues && c->result == 0; i += s->n_threads)
		if (s->vd.vq[i].ops)
			c->result = blk_queue_begin(&s->q[i]);
}

static void end(void *opaque)
{
	struct thread_call *c = opaque;
	struct virtio_blk *s = c->s;

	for (unsigned int i = c->thread; i < s->vd.n_queues; i += s->n_threads)
		blk_queue_stop(&s->q[i]);
	iothread_drain(s->io[c->thread]);
	for (unsigned int i = c->thread; i < s->vd.n_queues; i += s->n_threads)
		blk_queue_end(&s->q[i]);
}

static void blk_deactivate(struct virtio_dev *vd)
{
	struct virtio_blk *s = blk_of(vd);

	for (unsigned int i = 0; i < s->n_threads; i++) {
		struct thread_call c = { .s = s, .thread = i };
		iothread_call(s->io[i], end, &c);
	}
}

/* VIRTIO 1.2 5.2.5.2: a driver that can't flush, or wants no cache, has what it wrote on the disk
 * when it is told that it is written. */
static void set_cache(struct virtio_blk *s)
{
	bool cached = virtio_has(&s->vd, VIRTIO_BLK_F_FLUSH) &&
		      (!virtio_has(&s->vd, VIRTIO_BLK_F_CONFIG_WCE) ||
		       s->vd.config[offsetof(struct virtio_blk_config, wce)]);

	__atomic_store_n(&s->write_through, !cached, __ATOMIC_RELAXED);
}

static int blk_activate(struct virtio_dev *vd)
{
	struct virtio_blk *s = blk_of(vd);
	int r = 0;

	set_cache(s);
	for (unsigned int i = 0; i < s->n_queues; i++) {
		s->q[i].vq = &vd->vq[i];
		s->q[i].io = s->io[i % s->n_threads];
	}
	s->can_discard = virtio_has(vd, VIRTIO_BLK_F_DISCARD);
	s->can_zero = virtio_has(vd, VIRTIO_BLK_F_WRITE_ZEROES);
	for (unsigned int i = 0; i < s->n_threads && r == 0; i++) {
		struct thread_call c = { .s = s, .thread = i };
		iothread_call(s->io[i], begin, &c);
		r = c.result;
	}
	if (r < 0)
		blk_deactivate(vd);
	return r;
}

/* ---- configuration space --------------------------------------------------------------------- */

static void set_capacity(struct virtio_blk *s)
{
	uint64_t size = blk_size(s);

	put_le64(s->vd.config + offsetof(struct virtio_blk_config, capacity),
		 size / BLOCKDEV_SECTOR);
}

static void blk_resized(void *opaque)
{
	struct virtio_blk *s = opaque;

	set_capacity(s);
	virtio_config_changed(&s->vd);
}

static void blk_config_write(struct virtio_dev *vd, unsigned int off, uint64_t val,
			     unsigned int size)
{
	const unsigned int wce = offsetof(struct virtio_blk_config, wce);

	if (off > wce || wce >= off + size || !virtio_has(vd, VIRTIO_BLK_F_CONFIG_WCE))
		return;
	vd->config[wce] = (val >> (8 * (wce - off))) & 0xff ? 1 : 0;
	set_cache(blk_of(vd));
}

static void blk_reset(struct virtio_dev *vd)
{
	if (vd->config)
		vd->config[offsetof(struct virtio_blk_config, wce)] = 1;
}

static void fill_config(const struct virtio_blk *s, struct virtio_blk_config *c)
{
	uint8_t exp = (uint8_t)(__builtin_ctz(s->physical) - __builtin_ctz(s->logical));

	memset(c, 0, sizeof(*c));
	put_le32(&c->seg_max, BLK_SEG_MAX);
	put_le32(&c->blk_size, s->logical);
	c->physical_block_exp = exp;
	put_le16(&c->min_io_size, (uint16_t)(1u << exp));
	c->wce = 1;
	put_le16(&c->num_queues, (uint16_t)s->n_queues);
	put_le32(&c->max_discard_sectors, BLK_RANGE_SECTORS);
	put_le32(&c->max_discard_seg, BLK_RANGES_MAX);
	put_le32(&c->discard_sector_alignment, s->physical / BLOCKDEV_SECTOR);
	put_le32(&c->max_write_zeroes_sectors, BLK_RANGE_SECTORS);
	put_le32(&c->max_write_zeroes_seg, BLK_RANGES_MAX);
	c->write_zeroes_may_unmap = s->disk->discard;
}

static uint64_t features(const struct virtio_blk *s)
{
	uint64_t f = BIT64(VIRTIO_BLK_F_SEG_MAX) | BIT64(VIRTIO_BLK_F_BLK_SIZE) |
		     BIT64(VIRTIO_BLK_F_TOPOLOGY);

	if (s->n_queues > 1)
		f |= BIT64(VIRTIO_BLK_F_MQ);
	if (s->disk->read_only)
		return f | BIT64(VIRTIO_BLK_F_RO);
	f |= BIT64(VIRTIO_BLK_F_FLUSH) | BIT64(VIRTIO_BLK_F_CONFIG_WCE) |
	     BIT64(VIRTIO_BLK_F_WRITE_ZEROES);
	return s->disk->discard ? f | BIT64(VIRTIO_BLK_F_DISCARD) : f;
}

static const struct virtio_ops blk_ops = {
	.activate = blk_activate,
	.deactivate = blk_deactivate,
	.reset = blk_reset,
	.config_write = blk_config_write,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void blk_unrealize(struct dev *d)
{
	struct virtio_blk *s = blk_of(virtio_of(d));

	if (s->disk)
		s->disk->resized = NULL;
	virtio_unrealize(&s->vd);
	for (unsigned int i = 0; i < s->n_threads; i++)
		iothread_close(s->io[i]);
	blk_queues_close(s);
	free(s->io);
	s->io = NULL;
	s->n_threads = 0;
	backend_release(s->disk ? &s->disk->b : NULL);
	s->disk = NULL;
}

/* What the user says about block sizes has to fit what is behind. */
static int block_sizes(struct virtio_blk *s, const struct virtio_blk_cfg *c, struct verr *reterr)
{
	s->logical = c->logical_block_size ? c->logical_block_size : s->disk->logical;
	s->physical = c->physical_block_size ? c->physical_block_size
					     : MAX(s->disk->physical, s->logical);
	if (!IS_POW2(s->logical) || !IS_POW2(s->physical))
		return verr_set(reterr, -EINVAL, "a block size is no power of two");
	if (s->physical < s->logical)
		return verr_set(reterr, -EINVAL,
				"physical_block_size=%" PRIu32 " is less than a logical block, "
				"%" PRIu32,
				s->physical, s->logical);
	if (s->logical < s->disk->io_align)
		return verr_set(reterr, -EINVAL,
				"logical_block_size=%" PRIu32 " is less than %s can do with "
				"cache=none, %" PRIu32,
				s->logical, s->disk->path, s->disk->io_align);
	return 0;
}

static int check_cfg(const struct virtio_blk_cfg *c, struct verr *reterr)
{
	if (c->serial && strlen(c->serial) > VIRTIO_BLK_ID_BYTES)
		return verr_set(reterr, -EINVAL, "serial=%s is longer than %d bytes", c->serial,
				VIRTIO_BLK_ID_BYTES);
	if (c->iothreads > c->num_queues)
		return verr_set(reterr, -EINVAL,
				"iothreads=%u is more than there are queues to serve "
				"(num-queues=%u)",
				(unsigned int)c->iothreads, (unsigned int)c->num_queues);
	return 0;
}

static int open_threads(struct virtio_blk *s, unsigned int n, struct verr *reterr)
{
	char name[16];

	s->io = calloc(n, sizeof(struct iothread *));
	if (!s->io)
		return verr_set(reterr, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), n > 1 ? "%.10s/%u" : "%.15s", s->vd.pd.dev.id, i);
		int r = iothread_open(name, 0, &s->io[i], reterr);
		if (r < 0)
			return r;
		s->n_threads++;
	}
	return 0;
}

static int take_disk(struct virtio_blk *s, const struct virtio_blk_cfg *c, struct verr *reterr)
{
	const struct dev *d = &s->vd.pd.dev;
	struct backend *b = NULL;

	int r = check_cfg(c, reterr);
	if (r == 0)
		r = backend_take(d->plat->backends, BACKEND_BLOCK, "drive", c->drive, d->id, &b,
				 reterr);
	if (r < 0)
		return r;
	s->disk = blockdev_of(b);
	return block_sizes(s, c, reterr);
}

static int make_device(struct virtio_blk *s, const struct virtio_blk_cfg *c, struct verr *reterr)
{
	struct virtio_blk_config config;

	fill_config(s, &config);
	const struct virtio_desc desc = {
		.ops = &blk_ops,
		.id = VIRTIO_ID_BLOCK,
		.class_code = 0x010000,
		.features = features(s),
		.n_queues = s->n_queues,
		.queue_size = QUEUE_SIZE,
		.config = &config,
		.config_len = offsetof(struct virtio_blk_config, unused1),
		.props = &c->virtio,
	};
	return virtio_realize(&s->vd, &desc, reterr);
}

static int blk_realize(struct dev *d, struct verr *reterr)
{
	struct virtio_blk *s = blk_of(virtio_of(d));
	const struct virtio_blk_cfg *c = d->cfg;

	s->n_queues = c->num_queues;
	if (c->serial)
		memcpy(s->serial, c->serial, MIN(strlen(c->serial), sizeof(s->serial)));
	int r = take_disk(s, c, reterr);
	if (r == 0 && !d->plat->dry_run)
		r = open_threads(s, c->iothreads, reterr);
	if (r == 0)
		r = blk_queues_open(s, reterr);
	if (r == 0)
		r = make_device(s, c, reterr);
	if (r < 0) {
		blk_unrealize(d);
		return r;
	}
	set_capacity(s);
	s->disk->opaque = s;
	s->disk->resized = blk_resized;
	return 0;
}

static void blk_describe(struct dev *d, FILE *out)
{
	const struct virtio_blk *s = blk_of(virtio_of(d));
	const struct blockdev *b = s->disk;

	virtio_dev_describe(d, out);
	fprintf(out,
		"  disk %s: %s, %" PRIu64 " bytes%s%s, blocks of %" PRIu32 " (physical %" PRIu32
		")\n",
		b->b.id, b->path, blockdev_size(b), b->read_only ? ", read-only" : "",
		b->direct ? ", past the page cache" : "", s->logical, s->physical);
	if (s->n_threads)
		fprintf(out, "  %u I/O thread%s, %s\n", s->n_threads, s->n_threads == 1 ? "" : "s",
			iothread_engine(s->io[0]));
}

static struct dev *blk_alloc(void)
{
	struct virtio_blk *s = calloc(1, sizeof(*s));

	return s ? &s->vd.pd.dev : NULL;
}

static void blk_free(struct dev *d)
{
	free(blk_of(virtio_of(d)));
}

static const struct dev_ops blk_dev_ops = {
	.realize = blk_realize,
	.unrealize = blk_unrealize,
	.reset = virtio_dev_reset,
	.start = virtio_dev_start,
	.stop = virtio_dev_stop,
	.pause = virtio_dev_pause,
	.resume = virtio_dev_resume,
	.describe = blk_describe,
};

static const struct prop blk_props[] = {
	PROP(struct virtio_blk_cfg, drive, PROP_STR, PROP_REQUIRED, "id of a --blockdev"),
	PROP(struct virtio_blk_cfg, serial, PROP_STR, NULL, "serial number, up to 20 bytes"),
	PROP_NAMED("num-queues", struct virtio_blk_cfg, num_queues, PROP_U16, "1",
		   "queues, best one a vCPU", .min = 1, .max = 256),
	PROP_NAMED("iothreads", struct virtio_blk_cfg, iothreads, PROP_U16, "1",
		   "threads that serve them", .min = 1, .max = 64),
	PROP_NAMED("logical_block_size", struct virtio_blk_cfg, logical_block_size, PROP_U32, NULL,
		   "bytes; else as the disk has it", .min = 512, .max = 32768),
	PROP_NAMED("physical_block_size", struct virtio_blk_cfg, physical_block_size, PROP_U32,
		   NULL, "bytes; else as the disk has it", .min = 512, .max = 32768),
	VIRTIO_PROPS(struct virtio_blk_cfg, virtio),
	PROP_END,
};

const struct dev_type virtio_blk_type = {
	.t = { .name = "virtio-blk",
	       .category = "virtio",
	       .desc = "a disk",
	       .props = blk_props,
	       .cfg_size = sizeof(struct virtio_blk_cfg) },
	.ops = &blk_dev_ops,
	.alloc = blk_alloc,
	.free = blk_free,
	.pci = true,
	.user = true,
};
