// SPDX-License-Identifier: GPL-2.0-or-later
// A VFIO container: opening /dev/vfio/vfio, and what its IOMMU says about itself. Owns the fd and
// the parsed info. Groups attach themselves (group.c); must not know devices or guest memory.
#define LOG_TAG "vfio/container"

#include "vfio/container.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "core/sys.h"
#include "vfio/infocap.h"
#include "vfio/preflight_int.h"
#include "vfio/why.h"

#define NODE "/dev/vfio/vfio"

static int explain_open(int r, struct verr *reterr)
{
	bool off = !vfio_why_has_iommu();
	const char *also = off ? "; the machine's IOMMU is off, too: " : "";
	const char *fix = off ? preflight_iommu_fix() : "";

	switch (r) {
	case -ENOENT:
		return verr_set(reterr, r,
				NODE " does not exist: the vfio module is not loaded "
				     "(run: modprobe vfio-pci)%s%s",
				also, fix);
	case -ENODEV:
	case -ENXIO:
		return verr_set(reterr, r,
				NODE " has no driver behind it: the vfio module can't be loaded "
				     "(run: modprobe vfio-pci)%s%s",
				also, fix);
	case -EACCES:
	case -EPERM:
		return verr_set(reterr, r,
				"no permission to open " NODE ": run as root, or let everybody "
				"open it, which alone gives nobody a device (chmod 0666 " NODE ")");
	default:
		return verr_set(reterr, r, "opening " NODE ": %s", strerror(-r));
	}
}

static int check_api(struct vfio_container *c, struct verr *reterr)
{
	int r = sys_ioctl_n(c->fd, VFIO_GET_API_VERSION, 0);

	if (r < 0)
		return verr_set(reterr, r, NODE ": VFIO_GET_API_VERSION: %s", strerror(-r));
	if (r != VFIO_API_VERSION)
		return verr_set(reterr, -ENOTSUP,
				NODE " speaks VFIO version %d, this program version %d", r,
				VFIO_API_VERSION);

	/* Before a group is attached this says what is built in, not what this host's IOMMU is:
	 * enough to know whether the module is there. */
	int v2 = sys_ioctl_n(c->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU);

	if (v2 < 0)
		return verr_set(reterr, v2, NODE ": VFIO_CHECK_EXTENSION: %s", strerror(-v2));
	int v1 = v2 > 0 ? 1 : sys_ioctl_n(c->fd, VFIO_CHECK_EXTENSION, VFIO_TYPE1_IOMMU);

	if (v1 < 0)
		return verr_set(reterr, v1, NODE ": VFIO_CHECK_EXTENSION: %s", strerror(-v1));
	if (v1 == 0)
		return verr_set(reterr, -ENODEV,
				"VFIO has no type1 IOMMU support here: the module is not loaded "
				"(run: modprobe vfio_iommu_type1)%s",
				vfio_why_has_iommu() ? "" : ", and the machine's IOMMU is off");
	c->v2 = v2 > 0;
	c->update_vaddr = sys_ioctl_n(c->fd, VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR) > 0;
	return 0;
}

int vfio_container_open(struct vfio_container **ret, struct verr *reterr)
{
	struct vfio_container *c = calloc(1, sizeof(*c));

	if (!c)
		return verr_set(reterr, -ENOMEM, "out of memory");
	c->refs = 1;
	list_init(&c->groups);
	c->fd = sys_open(NODE, O_RDWR, 0);

	int r = c->fd < 0 ? explain_open(c->fd, reterr) : check_api(c, reterr);

	if (r < 0) {
		vfio_container_put(c);
		return r;
	}
	*ret = c;
	return 0;
}

struct vfio_container *vfio_container_get(struct vfio_container *c)
{
	c->refs++;
	return c;
}

void vfio_container_put(struct vfio_container *c)
{
	if (!c || --c->refs > 0)
		return;
	assert(list_empty(&c->groups)); /* each group holds a reference */
	sys_close_fd(&c->fd);
	rangeset_fini(&c->info.iova);
	free(c);
}

/* The usable windows. No such capability (Linux before 5.4): everything, and MAP_DMA decides. */
static int parse_iova(struct vfio_iommu_info *info, const struct vfio_iommu_type1_info *raw,
		      uint32_t cap_offset)
{
	const struct vfio_info_cap_header *h;
	struct vfio_iommu_type1_info_cap_iova_range cap;

	h = vfio_info_cap(raw, raw->argsz, cap_offset, VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE,
			  sizeof(struct vfio_info_cap_header));
	if (!h)
		return rangeset_add(&info->iova, (struct range){ 0, UINT64_MAX });

	size_t room = raw->argsz - (size_t)((const char *)h - (const char *)raw);

	if (room < sizeof(cap))
		return -EBADMSG;
	memcpy(&cap, h, sizeof(cap));
	if (cap.nr_iovas > (room - sizeof(cap)) / sizeof(struct vfio_iova_range))
		return -EBADMSG;
	info->has_iova = true;
	for (uint32_t i = 0; i < cap.nr_iovas; i++) {
		struct vfio_iova_range v;

		memcpy(&v, (const char *)h + sizeof(cap) + i * sizeof(v), sizeof(v));
		if (v.start > v.end)
			continue;
		int r = rangeset_add(&info->iova, (struct range){ v.start, v.end });

		if (r < 0)
			return r;
	}
	return 0;
}

static int parse_info(struct vfio_iommu_info *info, const struct vfio_iommu_type1_info *raw)
{
	const struct vfio_info_cap_header *h;
	struct vfio_iommu_type1_info_cap_migration mig;
	struct vfio_iommu_type1_info_dma_avail avail;
	uint32_t off = 0;

	info->dma_avail = UINT32_MAX;
	if (raw->flags & VFIO_IOMMU_INFO_PGSIZES)
		info->pgsizes = raw->iova_pgsizes;
	if (info->pgsizes == 0)
		info->pgsizes = (uint64_t)sysconf(_SC_PAGESIZE);
	if (raw->flags & VFIO_IOMMU_INFO_CAPS)
		off = raw->cap_offset;

	int r = vfio_info_cap_check(raw, raw->argsz, off);

	if (r < 0)
		return r;
	h = vfio_info_cap(raw, raw->argsz, off, VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL, sizeof(avail));
	if (h) {
		memcpy(&avail, h, sizeof(avail));
		info->dma_avail = avail.avail;
	}
	h = vfio_info_cap(raw, raw->argsz, off, VFIO_IOMMU_TYPE1_INFO_CAP_MIGRATION, sizeof(mig));
	if (h) {
		memcpy(&mig, h, sizeof(mig));
		info->has_migration = true;
		info->dirty_pgsizes = mig.pgsize_bitmap;
	}
	return parse_iova(info, raw, off);
}

int vfio_container_refresh(struct vfio_container *c, struct verr *reterr)
{
	struct vfio_iommu_info info = { .pgsizes = 0 };
	void *raw;

	int r = vfio_info_get(c->fd, VFIO_IOMMU_GET_INFO, sizeof(struct vfio_iommu_type1_info),
			      NULL, NULL, &raw);

	if (r < 0)
		return verr_set(reterr, r,
				NODE ": asking the IOMMU for its limits "
				     "(VFIO_IOMMU_GET_INFO): %s",
				strerror(-r));
	r = parse_info(&info, raw);
	free(raw);
	if (r < 0) {
		rangeset_fini(&info.iova);
		return verr_set(reterr, r,
				NODE ": the kernel's answer about the IOMMU's limits "
				     "(VFIO_IOMMU_GET_INFO) can't be used: %s",
				r == -ENOMEM ? "out of memory"
					     : "its list of capabilities is broken");
	}
	rangeset_fini(&c->info.iova);
	c->info = info;
	return 0;
}
