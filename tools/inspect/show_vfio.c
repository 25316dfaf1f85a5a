// SPDX-License-Identifier: GPL-2.0-or-later
//
// What VFIO itself says of a function that is bound to it: regions with their mappable areas,
// interrupts, the IOMMU's ranges, migration and dirty tracking. Opens container, group and device,
// which wakes the function and resets it; so this happens only when asked for.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/sys.h"
#include "core/uapi.h"
#include "tools/inspect/show_int.h"
#include "vfio/device.h"

static void show_region(const struct inspect *in, const struct vfio_region *r)
{
	static const char *const name[VFIO_N_REGIONS] = { "BAR 0", "BAR 1",  "BAR 2",
							  "BAR 3", "BAR 4",  "BAR 5",
							  "ROM",   "config", "VGA" };
	char text[600], size[24];
	if (r->size == 0)
		return;
	snprintf(text, sizeof(text), "%-8s %s %s%s%s", name[r->index],
		 inv_size_text(r->size, size, sizeof(size)),
		 r->flags & VFIO_REGION_INFO_FLAG_READ ? "r" : "-",
		 r->flags & VFIO_REGION_INFO_FLAG_WRITE ? "w" : "-",
		 r->msix_mappable ? ", the MSI-X table may be mapped too" : "");
	for (unsigned int i = 0; i < r->n_areas && strlen(text) < sizeof(text) - 48; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "%s 0x%" PRIx64 "-0x%" PRIx64, i ? "," : ", mappable", r->area[i].off,
			 r->area[i].off + r->area[i].size - 1);
	show_line(in, "%s", text);
}

static void show_irq(const struct inspect *in, unsigned int index, const struct vfio_irq *q)
{
	static const char *const name[VFIO_N_IRQS] = { "INTx", "MSI", "MSI-X", "error", "request" };
	if (q->count)
		show_line(in, "%-8s %u%s%s%s", name[index], q->count,
			  q->flags & VFIO_IRQ_INFO_MASKABLE ? ", maskable" : "",
			  q->flags & VFIO_IRQ_INFO_AUTOMASKED ? ", masked by itself" : "",
			  q->flags & VFIO_IRQ_INFO_NORESIZE ? ", vectors can't be added later"
							    : "");
}

/* 0 or -errno: -ENOTTY where the device has no such feature. */
static int feature(const struct vfio_device *d, uint32_t flags, uint64_t *ret)
{
	struct {
		struct vfio_device_feature head;
		uint64_t data;
	} f = { .head = { .argsz = sizeof(f), .flags = flags } };
	VV_STATIC_ASSERT(sizeof(f) == sizeof(struct vfio_device_feature) + 8, "no hole");
	int r = sys_ioctl(d->fd, VFIO_DEVICE_FEATURE, &f);
	if (r >= 0 && ret)
		*ret = f.data;
	return r < 0 ? r : 0;
}

static void show_features(const struct inspect *in, const struct vfio_device *d)
{
	uint64_t flags = 0;
	if (feature(d, VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_MIGRATION, &flags) == 0)
		show_line(in, "%-8s %s%s%s", "migrate",
			  flags & VFIO_MIGRATION_STOP_COPY ? "stop-and-copy" : "none",
			  flags & VFIO_MIGRATION_P2P ? ", peer-to-peer" : "",
			  flags & VFIO_MIGRATION_PRE_COPY ? ", pre-copy" : "");
	else
		show_line(in, "%-8s no: its driver does not save the device's state", "migrate");
	show_line(in, "%-8s %s", "dirty",
		  feature(d,
			  VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
				  VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			  NULL) == 0
			  ? "the device logs what it writes"
			  : "the device does not log what it writes");
}

static void show_container(const struct inspect *in, const struct vfio_container *c)
{
	char pages[64];
	show_line(in, "%-8s %s", "IOMMU", inv_pages_text(c->info.pgsizes, pages, sizeof(pages)));
	for (size_t i = 0; c->info.has_iova && i < c->info.iova.n; i++)
		show_line(in, "%-8s 0x%" PRIx64 "-0x%" PRIx64, "IOVA", c->info.iova.r[i].first,
			  c->info.iova.r[i].last);
	if (c->info.dma_avail != UINT32_MAX)
		show_line(in, "%-8s %" PRIu32 " are left", "DMA maps", c->info.dma_avail);
	if (c->info.has_migration)
		show_line(in, "%-8s the container tracks dirty pages, %s", "dirty",
			  inv_pages_text(c->info.dirty_pgsizes, pages, sizeof(pages)));
}

int show_vfio(const struct inspect *in, const struct inv_fn *f, struct verr *reterr)
{
	struct vfio_container *c;
	struct vfio_device *d;
	int r = vfio_container_open(&c, reterr);
	if (r < 0)
		return r;
	r = vfio_device_open(c, &f->pci.at, &d, reterr);
	if (r == 0) {
		paintf(in, PAINT_HEAD, "  VFIO\n");
		show_line(in, "%-8s %s", "reset",
			  d->flags & VFIO_DEVICE_FLAGS_RESET ? "yes" : "no");
		for (unsigned int i = 0; i < VFIO_N_REGIONS; i++)
			show_region(in, &d->region[i]);
		for (unsigned int i = 0; i < VFIO_N_IRQS; i++)
			show_irq(in, i, &d->irq[i]);
		show_container(in, c);
		show_features(in, d);
		vfio_device_close(d);
	}
	vfio_container_put(c);
	return r;
}
