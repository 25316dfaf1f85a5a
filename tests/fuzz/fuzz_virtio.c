// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile driver at the transport and the rings: any register at any time, any bytes in the
// rings, completions in any order, resets and pauses in between. Whatever it does, a segment that
// is handed out lies in guest RAM, no more buffers are in flight than the queue has entries, and
// the device ends in a state it can be reset from.
//
// Input: steps of 16 bytes: what, size or index, offset (2), 4 bytes, value (8).
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/sys.h"
#include "tests/fuzz/fuzz.h"
#include "tests/guest/guest.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtio_pci.h"

#define STEP	16
#define N_Q	2
#define SIZE	16
#define HELD	64
#define SEGS	24
#define ARENA	UINT64_C(0x100000) /* where the fuzzer's rings and tables are */
#define ARENA_N 0x10000u

struct held {
	struct vq_elem e;
	struct iovec iov[SEGS];
	unsigned int q;
};

struct fuzzdev {
	struct virtio_dev vd;
	struct held held[HELD];
	unsigned int n;
	bool on;
};

static struct guest g;
static struct fuzzdev *dev;
static uint8_t *arena;

static struct fuzzdev *fuzz_of(struct virtio_dev *vd)
{
	return container_of(vd, struct fuzzdev, vd);
}

static int fuzz_activate(struct virtio_dev *vd)
{
	struct fuzzdev *f = fuzz_of(vd);

	CHECK(!f->on && f->n == 0);
	f->on = true;
	for (unsigned int i = 0; i < vd->n_queues; i++)
		CHECK(!vd->vq[i].ops == !vd->vq[i].regs.enabled);
	return 0;
}

static void drop(struct fuzzdev *f, unsigned int i)
{
	f->n--;
	for (; i < f->n; i++) {
		f->held[i] = f->held[i + 1];
		f->held[i].e.iov = f->held[i].iov;
	}
}

static void complete(struct fuzzdev *f, unsigned int i, uint32_t written)
{
	struct held *h = &f->held[i];
	struct vq *q = &f->vd.vq[h->q];

	vq_push(q, &h->e, MIN(written, h->e.in_len));
	drop(f, i);
}

static void fuzz_deactivate(struct virtio_dev *vd)
{
	struct fuzzdev *f = fuzz_of(vd);

	CHECK(f->on);
	while (f->n > 0)
		complete(f, f->n - 1, 0);
	f->on = false;
}

static void check_segments(const struct vq_elem *e)
{
	const struct machine_ram *r = &g.m->ram;
	uint64_t out = 0, in = 0;

	CHECK(e->n_out + e->n_in <= SEGS);
	for (unsigned int i = 0; i < e->n_out + e->n_in; i++) {
		const uint8_t *p = e->iov[i].iov_base, *ram = r->hva;

		CHECK(p >= ram && p < ram + r->size);
		CHECK(e->iov[i].iov_len > 0 && e->iov[i].iov_len <= (size_t)(ram + r->size - p));
		*(i < e->n_out ? &out : &in) += e->iov[i].iov_len;
	}
	CHECK(out == e->out_len && in == e->in_len);
}

static void serve(struct fuzzdev *f, unsigned int index)
{
	struct vq *q = &f->vd.vq[index];

	if (!f->on || !q->ops)
		return;
	vq_kick_disable(q);
	do {
		while (f->n < HELD) {
			struct held *h = &f->held[f->n];

			h->e.iov = h->iov;
			h->e.iov_max = SEGS;
			h->q = index;
			if (vq_pop(q, &h->e) <= 0)
				break;
			check_segments(&h->e);
			f->n++;
			CHECK(q->inflight <= q->size);
		}
	} while (f->n < HELD && vq_kick_enable(q));
}

static const struct virtio_ops fuzz_ops = {
	.activate = fuzz_activate,
	.deactivate = fuzz_deactivate,
};

static int fuzz_realize(struct dev *d, struct verr *reterr)
{
	static const uint8_t config[24] = { 1, 2, 3 };
	static const struct virtio_props all = { true, true, true, true, true };
	const struct virtio_desc desc = {
		.ops = &fuzz_ops,
		.id = 42,
		.class_code = 0xff0000,
		.features = 0x3,
		.n_queues = N_Q,
		.queue_size = SIZE,
		.config = config,
		.config_len = sizeof(config),
		.props = &all,
	};

	return virtio_realize(virtio_of(d), &desc, reterr);
}

static void fuzz_unrealize(struct dev *d)
{
	virtio_unrealize(virtio_of(d));
}

static struct dev *fuzz_alloc(void)
{
	struct fuzzdev *f = calloc(1, sizeof(*f));

	return f ? &f->vd.pd.dev : NULL;
}

static void fuzz_free(struct dev *d)
{
	free(fuzz_of(virtio_of(d)));
}

static const struct dev_ops fuzz_dev_ops = {
	.realize = fuzz_realize,
	.unrealize = fuzz_unrealize,
	VIRTIO_DEV_OPS,
};

static const struct dev_type fuzz_type = {
	.t = { .name = "fuzz" },
	.ops = &fuzz_dev_ops,
	.alloc = fuzz_alloc,
	.free = fuzz_free,
	.pci = true,
};

static void make(void)
{
	const struct guest_setup s = { .accel = "none" };
	struct dev *d = NULL;

	CHECK(log_configure("err", NULL) == 0);
	guest_start(&g, &s);
	CHECK(dev_new(&fuzz_type, &g.m->plat, "fuzz", NULL, &d, NULL) == 0);
	dev = fuzz_of(virtio_of(d));
	dev->vd.pd.common.bus = strdup("pci.0");
	CHECK(dev_realize(d, NULL) == 0);
	arena = gmem_ptr(&g.m->gmem, ARENA, ARENA_N);
	CHECK(arena);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void bar_set(unsigned int off, uint64_t val, unsigned int size)
{
	dev->vd.pd.ops->bar_write(&dev->vd.pd, VPCI_BAR, off, val, size);
}

/* The way to running rings, in one step: features, both queues where the input says. */
static void set_up(uint64_t features, uint16_t queue_size)
{
	bar_set(VIRTIO_PCI_COMMON_STATUS, 0, 1);
	bar_set(VIRTIO_PCI_COMMON_STATUS, 3, 1);
	features = (features & dev->vd.features) | BIT64(VIRTIO_F_VERSION_1);
	for (uint32_t i = 0; i < 2; i++) {
		bar_set(VIRTIO_PCI_COMMON_GFSELECT, i, 4);
		bar_set(VIRTIO_PCI_COMMON_GF, (uint32_t)(features >> (32 * i)), 4);
	}
	bar_set(VIRTIO_PCI_COMMON_STATUS, 11, 1);
	for (unsigned int i = 0; i < N_Q; i++) {
		uint64_t at = ARENA + i * UINT64_C(0x4000);

		bar_set(VIRTIO_PCI_COMMON_Q_SELECT, i, 2);
		bar_set(VIRTIO_PCI_COMMON_Q_SIZE, queue_size % (SIZE + 1), 2);
		bar_set(VIRTIO_PCI_COMMON_Q_DESCLO, at, 8);
		bar_set(VIRTIO_PCI_COMMON_Q_AVAILLO, at + 0x1000, 8);
		bar_set(VIRTIO_PCI_COMMON_Q_USEDLO, at + 0x2000, 8);
		bar_set(VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	}
	bar_set(VIRTIO_PCI_COMMON_STATUS, 15, 1);
}

/* Control-plane events. */
static void control(unsigned int what)
{
	struct dev *d = &dev->vd.pd.dev;

	switch (what % 8) {
	case 0:
		dev_pause(d);
		break;
	case 1:
		dev_resume(d);
		break;
	case 2:
		dev_reset(d);
		break;
	case 3:
		pcidev_reset(&dev->vd.pd, false);
		break;
	case 4:
		virtio_config_changed(&dev->vd);
		break;
	case 5:
		virtio_restart(&dev->vd);
		break;
	case 6:
		pcidev_cfg_write(&dev->vd.pd, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
		break;
	default:
		loop_turn(g.loop, 0);
		break;
	}
}

static void step(const uint8_t *p)
{
	unsigned int size = 1u << (p[1] & 3), q = p[1] % N_Q;
	unsigned int off = get_le16(p + 2);
	uint64_t val = get_le64(p + 8);

	switch (p[0] % 10) {
	case 0:
	case 1:
		bar_set(ALIGN_DOWN(off % (p[0] & 1 ? 0x40 : 0x4000), size), val & ones(size), size);
		break;
	case 2:
		dev->vd.pd.ops->bar_read(&dev->vd.pd, VPCI_BAR, ALIGN_DOWN(off % 0x4000, size),
					 size);
		break;
	case 3:
		memcpy(arena + MIN(off, ARENA_N - 8), p + 8, 8);
		break;
	case 4:
		size = MIN(size, 4);
		pcidev_cfg_write(&dev->vd.pd, ALIGN_DOWN(off % 256, size), (uint32_t)val, size);
		break;
	case 5:
		size = MIN(size, 4);
		pcidev_cfg_read(&dev->vd.pd, ALIGN_DOWN(off % 256, size), size);
		break;
	case 6:
		serve(dev, q);
		break;
	case 7:
		if (dev->n > 0)
			complete(dev, off % dev->n, (uint32_t)val);
		if (dev->on && dev->vd.vq[q].ops && (p[1] & 0x80))
			vq_flush(&dev->vd.vq[q]);
		break;
	case 8:
		set_up(val, off);
		break;
	default:
		control(p[1]);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!dev)
		make();
	memset(arena, 0, ARENA_N);
	dev_reset(&dev->vd.pd.dev);
	CHECK(dev_start(&dev->vd.pd.dev, NULL) == 0);
	pcidev_cfg_write(&dev->vd.pd, PCI_COMMAND, PCI_COMMAND_MASTER, 2);
	for (; size >= STEP; data += STEP, size -= STEP)
		step(data);
	bar_set(VIRTIO_PCI_COMMON_STATUS, 0, 1);
	CHECK(!dev->on && dev->n == 0 && dev->vd.status == 0);
	dev_stop(&dev->vd.pd.dev);
	return 0;
}
