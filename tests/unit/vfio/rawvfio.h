// SPDX-License-Identifier: GPL-2.0-or-later
// VFIO by hand, for the tests of the fake kernel: ioctls through the seam with nothing of ours
// above it, so that what is tested is the kernel's side.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/sys.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_vfio.h"
#include "tests/fake/fake_zoo.h"

#define RAW_PAGE UINT64_C(4096)

struct raw {
	int container, group, device;
	struct fake_dev *d;
};

/* A device of the zoo in group 14, open through VFIO in a type1v2 container. */
static inline struct raw raw_open(const struct fake_devdesc *desc)
{
	struct raw r = { -1, -1, -1, NULL };
	fake_reset();
	r.d = fake_zoo_one(desc);
	r.container = sys_open("/dev/vfio/vfio", O_RDWR, 0);
	r.group = sys_open("/dev/vfio/14", O_RDWR, 0);
	assert_int_equal(sys_ioctl(r.group, VFIO_GROUP_SET_CONTAINER, &r.container), 0);
	assert_int_equal(sys_ioctl_n(r.container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
	char bdf[] = "0000:03:00.0";
	r.device = sys_ioctl(r.group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	assert_true(r.device >= 0);
	return r;
}

static inline void raw_close(struct raw *r)
{
	sys_close_fd(&r->device);
	sys_close_fd(&r->group);
	sys_close_fd(&r->container);
	assert_true(fake_clean());
}

static inline int raw_map(int container, uint64_t iova, const void *va, uint64_t size,
			  uint32_t flags)
{
	struct vfio_iommu_type1_dma_map m = { .argsz = sizeof(m),
					      .flags = flags,
					      .iova = iova,
					      .vaddr = (uintptr_t)va,
					      .size = size };
	return sys_ioctl(container, VFIO_IOMMU_MAP_DMA, &m);
}

/* Bytes unmapped, or -errno. */
static inline int64_t raw_unmap(int container, uint64_t iova, uint64_t size)
{
	struct vfio_iommu_type1_dma_unmap m = { .argsz = sizeof(m), .iova = iova, .size = size };
	int r = sys_ioctl(container, VFIO_IOMMU_UNMAP_DMA, &m);
	return r < 0 ? r : (int64_t)m.size;
}

#define RAW_RW (VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE)

/* SET_IRQS with up to 64 eventfds; n 0 and fds NULL: DATA_NONE with count 0. */
static inline int raw_irqs(int device, uint32_t index, uint32_t start, const int *fds, uint32_t n)
{
	union {
		struct vfio_irq_set s;
		uint8_t room[sizeof(struct vfio_irq_set) + 64 * sizeof(int)];
	} u = { .s = { .argsz = (uint32_t)(sizeof(u.s) + n * sizeof(int)),
		       .index = index,
		       .flags = VFIO_IRQ_SET_ACTION_TRIGGER |
				(fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE),
		       .start = start,
		       .count = n } };
	if (fds)
		memcpy(u.s.data, fds, n * sizeof(int));
	return sys_ioctl(device, VFIO_DEVICE_SET_IRQS, &u.s);
}

static inline int raw_irq_action(int device, uint32_t index, uint32_t flags, uint32_t count)
{
	struct vfio_irq_set s = {
		.argsz = sizeof(s), .flags = flags, .index = index, .count = count
	};
	return sys_ioctl(device, VFIO_DEVICE_SET_IRQS, &s);
}

#define RAW_CONFIG ((off_t)VFIO_PCI_CONFIG_REGION_INDEX << 40)

static inline uint32_t raw_cfg(int device, unsigned int off, unsigned int len)
{
	uint32_t v = 0;
	assert_int_equal(sys_pread(device, &v, len, RAW_CONFIG + off), len);
	return v;
}

static inline void raw_cfg_set(int device, unsigned int off, unsigned int len, uint32_t v)
{
	assert_int_equal(sys_pwrite(device, &v, len, RAW_CONFIG + off), len);
}

static inline int raw_mmap(int device, unsigned int bar, uint64_t off, uint64_t len, void **ret)
{
	return sys_mmap(ret, NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, device,
			(off_t)((uint64_t)bar << 40 | off));
}
