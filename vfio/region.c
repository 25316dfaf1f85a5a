// SPDX-License-Identifier: GPL-2.0-or-later
// The regions of a VFIO device: what the kernel says of each, access of one width by pread and
// pwrite, and mapping. Owns nothing beyond the call; a mapping is the caller's. Must not know BARs
// as the guest sees them, nor MSI-X (the holes are cut by passthru_bar.c).
#define LOG_TAG "vfio/region"

#include "vfio/device.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/range.h"
#include "core/sys.h"
#include "core/trace.h"
#include "vfio/infocap.h"

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

/* --- what the kernel says -------------------------------------------------------------------- */

/* An area is taken as it is or not at all: half of one would not be what the driver offered. */
static void add_area(const struct vfio_device *d, struct vfio_region *rg, uint64_t off,
		     uint64_t size)
{
	struct range whole, r;
	uint64_t mask = page_size() - 1;

	if (!range_make(0, rg->size, &whole) || !range_make(off, size, &r) ||
	    !range_contains(whole, r) || ((off | size) & mask) != 0) {
		log_debug("%s region %u: mmap area %#" PRIx64 "+%#" PRIx64 " is not usable",
			  d->name, rg->index, off, size);
		return;
	}
	for (unsigned int i = 0; i < rg->n_areas; i++) {
		if (range_overlaps(r, (struct range){ rg->area[i].off,
						      rg->area[i].off + rg->area[i].size - 1 })) {
			log_debug("%s region %u: mmap areas overlap at %#" PRIx64, d->name,
				  rg->index, off);
			return;
		}
	}
	if (rg->n_areas == VFIO_MAX_MMAP_AREAS) {
		log_debug("%s region %u: too many mmap areas, %#" PRIx64 " is trapped", d->name,
			  rg->index, off);
		return;
	}
	rg->area[rg->n_areas++] = (struct vfio_mmap_area){ off, size };
}

static void parse_sparse(const struct vfio_device *d, struct vfio_region *rg, const void *raw,
			 uint32_t argsz, const struct vfio_info_cap_header *h)
{
	struct vfio_region_info_cap_sparse_mmap cap;
	size_t room = argsz - (size_t)((const char *)h - (const char *)raw);

	if (room < sizeof(cap))
		return;
	memcpy(&cap, h, sizeof(cap));
	if (cap.nr_areas > (room - sizeof(cap)) / sizeof(struct vfio_region_sparse_mmap_area)) {
		log_debug("%s region %u: %u mmap areas do not fit the answer", d->name, rg->index,
			  cap.nr_areas);
		return;
	}
	for (uint32_t i = 0; i < cap.nr_areas; i++) {
		struct vfio_region_sparse_mmap_area a;

		memcpy(&a, (const char *)h + sizeof(cap) + i * sizeof(a), sizeof(a));
		add_area(d, rg, a.offset, a.size);
	}
}

/* A broken chain may hide a sparse list: then nothing is mapped, the region is trapped whole. */
static void parse_areas(const struct vfio_device *d, struct vfio_region *rg,
			const struct vfio_region_info *raw)
{
	uint32_t off = raw->flags & VFIO_REGION_INFO_FLAG_CAPS ? raw->cap_offset : 0;

	if (vfio_info_cap_check(raw, raw->argsz, off) < 0) {
		log_debug("%s region %u: broken capability chain", d->name, rg->index);
		return;
	}
	rg->msix_mappable = vfio_info_cap(raw, raw->argsz, off, VFIO_REGION_INFO_CAP_MSIX_MAPPABLE,
					  sizeof(struct vfio_info_cap_header)) != NULL;
	const struct vfio_info_cap_header *t =
		vfio_info_cap(raw, raw->argsz, off, VFIO_REGION_INFO_CAP_TYPE,
			      sizeof(struct vfio_region_info_cap_type));
	if (t) {
		rg->type = ((const struct vfio_region_info_cap_type *)(const void *)t)->type;
		rg->subtype = ((const struct vfio_region_info_cap_type *)(const void *)t)->subtype;
	}
	if (!(raw->flags & VFIO_REGION_INFO_FLAG_MMAP))
		return;

	const struct vfio_info_cap_header *h =
		vfio_info_cap(raw, raw->argsz, off, VFIO_REGION_INFO_CAP_SPARSE_MMAP,
			      sizeof(struct vfio_info_cap_header));

	if (h)
		parse_sparse(d, rg, raw, raw->argsz, h);
	else if (rg->size >= page_size())
		add_area(d, rg, 0, ALIGN_DOWN(rg->size, page_size()));
	else if (rg->size > 0) /* it has its page to itself, or would not be offered */
		rg->area[rg->n_areas++] = (struct vfio_mmap_area){ 0, page_size() };
}

static void set_region_index(void *info, void *ctx)
{
	((struct vfio_region_info *)info)->index = *(const unsigned int *)ctx;
}

static struct vfio_region *slot(struct vfio_device *d, unsigned int index)
{
	if (index < VFIO_N_REGIONS)
		return &d->region[index];
	return index < VFIO_N_REGIONS + VFIO_N_EXTRA ? &d->extra[index - VFIO_N_REGIONS] : NULL;
}

const struct vfio_region *vfio_region_typed(const struct vfio_device *d, uint32_t type,
					    uint32_t subtype)
{
	for (unsigned int i = 0; i < VFIO_N_EXTRA; i++)
		if (d->extra[i].size && d->extra[i].type == type && d->extra[i].subtype == subtype)
			return &d->extra[i];
	return NULL;
}

int vfio_region_query(struct vfio_device *d, unsigned int index, struct verr *reterr)
{
	struct vfio_region rg = { .index = index };
	void *raw;

	if (!slot(d, index))
		return 0; /* more than anybody here knows what to do with */

	int r = vfio_info_get(d->fd, VFIO_DEVICE_GET_REGION_INFO, sizeof(struct vfio_region_info),
			      set_region_index, &index, &raw);

	/* Only VGA controllers have the VGA region: EINVAL is how the others say so. */
	if (r == -EINVAL && index >= VFIO_PCI_VGA_REGION_INDEX) {
		*slot(d, index) = rg;
		return 0;
	}
	if (r < 0)
		return verr_set(reterr, r,
				"%s: asking for region %u (VFIO_DEVICE_GET_REGION_INFO): %s",
				d->name, index, strerror(-r));

	const struct vfio_region_info *info = raw;
	struct range in_fd;

	rg.flags = info->flags;
	rg.size = info->size;
	rg.fd_off = info->offset;
	if (rg.size > 0 && (!range_make(rg.fd_off, rg.size, &in_fd) || in_fd.last > INT64_MAX)) {
		r = verr_set(reterr, -EBADMSG,
			     "%s: the kernel's answer about region %u makes no sense: "
			     "%#" PRIx64 " bytes at %#" PRIx64,
			     d->name, index, rg.size, rg.fd_off);
	} else {
		parse_areas(d, &rg, info);
		*slot(d, index) = rg;
	}
	free(raw);
	return r;
}

/* --- access ---------------------------------------------------------------------------------- */

/* NULL unless the access lies wholly inside the region and the region takes it. */
static const struct vfio_region *region_for(const struct vfio_device *d, unsigned int index,
					    uint64_t off, unsigned int size, uint32_t flag)
{
	const struct vfio_region *rg = index < VFIO_N_REGIONS ? &d->region[index]
				       : index < VFIO_N_REGIONS + VFIO_N_EXTRA
					       ? &d->extra[index - VFIO_N_REGIONS]
					       : NULL;

	if (!rg || size == 0 || size > 8)
		return NULL;
	if (!(rg->flags & flag) || size > rg->size || off > rg->size - size)
		return NULL;
	return rg;
}

/* Configuration space may be answered register by register: one access never crosses a dword. */
static unsigned int piece(unsigned int index, uint64_t off, unsigned int left)
{
	if (index != VFIO_PCI_CONFIG_REGION_INDEX)
		return left;
	return MIN(left, 4 - (unsigned int)(off & 3));
}

uint64_t vfio_region_read(struct vfio_device *d, unsigned int index, uint64_t off,
			  unsigned int size)
{
	const struct vfio_region *rg = region_for(d, index, off, size, VFIO_REGION_INFO_FLAG_READ);
	uint8_t buf[8] = { 0 };
	uint64_t val = ones(size);
	unsigned int done = 0;

	while (rg && done < size) {
		unsigned int n = piece(index, off + done, size - done);

		if (sys_pread(d->fd, buf + done, n, (off_t)(rg->fd_off + off + done)) != (ssize_t)n)
			break;
		done += n;
	}
	if (rg && done == size)
		val = get_le(buf, size);
	else if (rg) {
		d->failed_reads++;
		d->failed_region = index;
	}
	T(vfio_region_read, d->name, index, off, size, val);
	return val;
}

int vfio_region_write(struct vfio_device *d, unsigned int index, uint64_t off, uint64_t val,
		      unsigned int size)
{
	const struct vfio_region *rg = region_for(d, index, off, size, VFIO_REGION_INFO_FLAG_WRITE);
	uint8_t buf[8];

	T(vfio_region_write, d->name, index, off, size, val);
	if (!rg)
		return -EINVAL;
	put_le(buf, val, size);
	for (unsigned int done = 0; done < size;) {
		unsigned int n = piece(index, off + done, size - done);
		ssize_t w = sys_pwrite(d->fd, buf + done, n, (off_t)(rg->fd_off + off + done));

		if (w != (ssize_t)n)
			return w < 0 ? (int)w : -EIO;
		done += n;
	}
	return 0;
}

int vfio_region_fetch(struct vfio_device *d, unsigned int index, void *buf, uint64_t size)
{
	const struct vfio_region *rg = &d->region[index];

	if (!(rg->flags & VFIO_REGION_INFO_FLAG_READ) || size > rg->size)
		return -EINVAL;
	for (uint64_t done = 0; done < size;) {
		ssize_t n = sys_pread(d->fd, (char *)buf + done, size - done,
				      (off_t)(rg->fd_off + done));

		if (n <= 0)
			return n < 0 ? (int)n : -EIO;
		done += (uint64_t)n;
	}
	return 0;
}

uint32_t vfio_cfg_read(struct vfio_device *d, unsigned int off, unsigned int size)
{
	return (uint32_t)vfio_region_read(d, VFIO_PCI_CONFIG_REGION_INDEX, off, size);
}

int vfio_cfg_write(struct vfio_device *d, unsigned int off, uint32_t val, unsigned int size)
{
	return vfio_region_write(d, VFIO_PCI_CONFIG_REGION_INDEX, off, val, size);
}

uint32_t vfio_cfg_reader(void *device, unsigned int off)
{
	return vfio_cfg_read(device, off & ~3u, 4);
}

/* --- mapping --------------------------------------------------------------------------------- */

static bool in_one_area(const struct vfio_region *rg, uint64_t off, uint64_t size)
{
	struct range r;

	if (!range_make(off, size, &r))
		return false;
	for (unsigned int i = 0; i < rg->n_areas; i++) {
		const struct vfio_mmap_area *a = &rg->area[i];

		if (range_contains((struct range){ a->off, a->off + a->size - 1 }, r))
			return true;
	}
	return false;
}

/* Address space for `size` bytes at an address equal to `off` modulo `align`, holding nothing. */
static int reserve(uint64_t size, uint64_t align, uint64_t off, char **ret)
{
	uint64_t total = size + align;
	void *base;

	if (total < size)
		return -ENOMEM;
	int r = sys_mmap(&base, NULL, total, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
			 -1, 0);

	if (r < 0)
		return r;
	/* The tail is cut first: then what is left is always one piece from `base`. */
	uint64_t head = (off - (uintptr_t)base) & (align - 1);

	if (total > head + size)
		sys_munmap((char *)base + head + size, total - head - size);
	if (head > 0)
		sys_munmap(base, head);
	*ret = (char *)base + head;
	return 0;
}

int vfio_region_mmap(struct vfio_device *d, unsigned int index, uint64_t off, uint64_t size,
		     uint64_t align, void **ret, struct verr *reterr)
{
	uint64_t page = page_size();
	const struct vfio_region *rg;
	int prot = PROT_NONE;
	char *at;
	void *hva;

	if (index >= VFIO_N_REGIONS || !in_one_area(&d->region[index], off, size) ||
	    ((off | size) & (page - 1)) != 0 || !IS_POW2(align) || align > GIB(1))
		return verr_set(reterr, -EINVAL,
				"%s: region %u can't be mapped at %#" PRIx64 "+%#" PRIx64, d->name,
				index, off, size);
	rg = &d->region[index];
	if (rg->flags & VFIO_REGION_INFO_FLAG_READ)
		prot |= PROT_READ;
	if (rg->flags & VFIO_REGION_INFO_FLAG_WRITE)
		prot |= PROT_WRITE;

	int r = reserve(size, MAX(align, page), off, &at);

	if (r < 0)
		return verr_set(reterr, r,
				"%s: reserving %#" PRIx64 " bytes of address space for region "
				"%u: %s",
				d->name, size, index, strerror(-r));
	r = sys_mmap(&hva, at, size, prot, MAP_SHARED | MAP_FIXED, d->fd,
		     (off_t)(rg->fd_off + off));
	if (r < 0) {
		sys_munmap(at, size);
		return verr_set(reterr, r, "%s: mapping region %u at %#" PRIx64 "+%#" PRIx64 ": %s",
				d->name, index, off, size, strerror(-r));
	}
	/* A child would keep the device's memory alive behind our back, and reach it. */
	r = sys->madvise(hva, size, MADV_DONTFORK);
	if (r < 0) {
		sys_munmap(hva, size);
		return verr_set(reterr, r,
				"%s: keeping region %u from child processes "
				"(MADV_DONTFORK): %s",
				d->name, index, strerror(-r));
	}
	*ret = hva;
	return 0;
}

void vfio_region_munmap(void *hva, uint64_t size)
{
	if (hva)
		sys_munmap(hva, size);
}
