// SPDX-License-Identifier: GPL-2.0-or-later
//
// The fake kernel's containers, groups and type1 IOMMU refuse what Linux refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "rawvfio.h"

static int container = -1, group = -1;

static int lab(void **s)
{
	(void)s;
	fake_reset();
	fake_zoo_lab();
	fake_dev_bind(fake_dev_find("0000:03:00.0"), "vfio-pci");
	fake_dev_bind(fake_dev_find("0000:02:00.0"), "vfio-pci");
	container = sys_open("/dev/vfio/vfio", O_RDWR, 0);
	group = sys_open("/dev/vfio/14", O_RDWR, 0);
	return container >= 0 && group >= 0 ? 0 : -1;
}

static int unlab(void **s)
{
	(void)s;
	sys_close_fd(&group);
	sys_close_fd(&container);
	return fake_clean() ? 0 : -1;
}

static int attach(void)
{
	return sys_ioctl(group, VFIO_GROUP_SET_CONTAINER, &container);
}

static int set_iommu(unsigned long type)
{
	return sys_ioctl_n(container, VFIO_SET_IOMMU, type);
}

static uint32_t status(int fd)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };
	assert_int_equal(sys_ioctl(fd, VFIO_GROUP_GET_STATUS, &st), 0);
	return st.flags;
}

static void test_group_opens_once(void **s)
{
	(void)s;
	assert_int_equal(sys_open("/dev/vfio/14", O_RDWR, 0), -EBUSY);
	assert_int_equal(sys_open("/dev/vfio/12", O_RDWR, 0), -ENOENT); /* native driver */
}

static void test_iommu_comes_after_the_group(void **s)
{
	(void)s;
	assert_int_equal(set_iommu(VFIO_TYPE1v2_IOMMU), -EINVAL);
	assert_int_equal(attach(), 0);
	assert_int_equal(attach(), -EINVAL);
	assert_int_equal(set_iommu(VFIO_NOIOMMU_IOMMU), -ENODEV);
	assert_int_equal(set_iommu(VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(set_iommu(VFIO_TYPE1v2_IOMMU), -EINVAL);
}

static void test_device_needs_container_and_iommu(void **s)
{
	(void)s;
	char bdf[] = "0000:03:00.0", other[] = "0000:02:00.0";
	assert_int_equal(sys_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf), -EINVAL);
	assert_int_equal(attach(), 0);
	assert_int_equal(sys_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf), -EINVAL);
	assert_int_equal(set_iommu(VFIO_TYPE1v2_IOMMU), 0);
	assert_int_equal(sys_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, other), -ENODEV);
	int fd = sys_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	assert_true(fd >= 0);
	assert_int_equal(sys_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EBUSY);
	sys_close(fd);
	assert_int_equal(sys_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), 0);
	assert_int_equal(sys_ioctl(group, VFIO_GROUP_UNSET_CONTAINER, NULL), -EINVAL);
}

static void test_group_stays_while_its_device_is_open(void **s)
{
	(void)s;
	char bdf[] = "0000:03:00.0";
	attach();
	set_iommu(VFIO_TYPE1v2_IOMMU);
	int fd = sys_ioctl(group, VFIO_GROUP_GET_DEVICE_FD, bdf);
	sys_close_fd(&group);
	assert_int_equal(sys_open("/dev/vfio/14", O_RDWR, 0), -EBUSY);
	assert_int_equal(fake_groups_attached(), 1);
	sys_close(fd);
	assert_int_equal(fake_groups_attached(), 0);
	group = sys_open("/dev/vfio/14", O_RDWR, 0);
	assert_true(group >= 0);
}

static void test_viability_follows_the_drivers(void **s)
{
	(void)s;
	struct vfio_group_status small = { .argsz = 4 };
	assert_int_equal(sys_ioctl(group, VFIO_GROUP_GET_STATUS, &small), -EINVAL);
	assert_int_equal(status(group), VFIO_GROUP_FLAGS_VIABLE);
	attach();
	assert_int_equal(status(group), VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET);

	fake_dev_bind(fake_dev_find("0000:05:00.0"), "vfio-pci");
	int gpu = sys_open("/dev/vfio/15", O_RDWR, 0);
	assert_int_equal(status(gpu), 0); /* its audio function is snd_hda_intel's */
	assert_int_equal(sys_ioctl(gpu, VFIO_GROUP_SET_CONTAINER, &container), -EPERM);
	fake_dev_bind(fake_dev_find("0000:05:00.1"), "");
	assert_int_equal(status(gpu),
			 VFIO_GROUP_FLAGS_VIABLE); /* driverless, and a pcieport bridge */
	sys_close(gpu);
}

static void test_native_driver_is_refused_while_the_group_is_owned(void **s)
{
	(void)s;
	fake_dev_bind(fake_dev_find("0000:05:00.0"), "vfio-pci");
	fake_dev_bind(fake_dev_find("0000:05:00.1"), "");
	int gpu = sys_open("/dev/vfio/15", O_RDWR, 0);
	assert_int_equal(sys_ioctl(gpu, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(sys_write_text("/sys/bus/pci/drivers/snd_hda_intel/bind", "0000:05:00.1"),
			 -EBUSY);
	sys_close(gpu);
}

static void test_set_container_wants_a_container(void **s)
{
	(void)s;
	int bad = 9999;
	assert_int_equal(sys_ioctl(group, VFIO_GROUP_SET_CONTAINER, &bad), -EBADF);
	assert_int_equal(sys_ioctl(group, VFIO_GROUP_SET_CONTAINER, &group), -EINVAL);
}

static void test_incompatible_domains_do_not_share(void **s)
{
	(void)s;
	attach();
	set_iommu(VFIO_TYPE1v2_IOMMU);
	int edu = sys_open("/dev/vfio/13", O_RDWR, 0);
	fake_group_domain(13, 1);
	assert_int_equal(sys_ioctl(edu, VFIO_GROUP_SET_CONTAINER, &container), -EINVAL);
	fake_group_domain(13, 0);
	fake_group_attach_errno(13, EPERM);
	assert_int_equal(sys_ioctl(edu, VFIO_GROUP_SET_CONTAINER, &container), -EPERM);
	fake_group_attach_errno(13, 0);
	assert_int_equal(sys_ioctl(edu, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(fake_groups_attached(), 2);
	sys_close(edu);
}

static void test_extensions(void **s)
{
	(void)s;
	assert_int_equal(sys_ioctl_n(container, VFIO_GET_API_VERSION, 0), VFIO_API_VERSION);
	assert_int_equal(sys_ioctl_n(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU), 1);
	assert_int_equal(sys_ioctl_n(container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 0);
	attach();
	set_iommu(VFIO_TYPE1v2_IOMMU);
	assert_int_equal(sys_ioctl_n(container, VFIO_CHECK_EXTENSION, VFIO_DMA_CC_IOMMU), 1);
	fake_iommu()->type1v2 = false;
	assert_int_equal(sys_ioctl_n(container, VFIO_CHECK_EXTENSION, VFIO_TYPE1v2_IOMMU), 0);
}

/* --- DMA ---------------------------------------------------------------------------------- */

static void *ram;

static void dma_begin(unsigned long type)
{
	assert_int_equal(attach(), 0);
	assert_int_equal(set_iommu(type), 0);
	assert_int_equal(sys_mmap(&ram, NULL, 64 * RAW_PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 0);
}

static void dma_end(void)
{
	raw_unmap(container, 0, 1ull << 38);
	sys_munmap(ram, 64 * RAW_PAGE);
}

static void test_map_before_iommu_is_refused(void **s)
{
	(void)s;
	assert_int_equal(raw_map(container, 0, &ram, RAW_PAGE, RAW_RW), -EINVAL);
	attach();
	assert_int_equal(raw_map(container, 0, &ram, RAW_PAGE, RAW_RW), -EINVAL);
}

static void test_map_wants_pages_and_permission(void **s)
{
	(void)s;
	dma_begin(VFIO_TYPE1v2_IOMMU);
	assert_int_equal(raw_map(container, 0x1000, ram, RAW_PAGE + 1, RAW_RW), -EINVAL);
	assert_int_equal(raw_map(container, 0x1001, ram, RAW_PAGE, RAW_RW), -EINVAL);
	assert_int_equal(raw_map(container, 0x1000, (char *)ram + 1, RAW_PAGE, RAW_RW), -EINVAL);
	assert_int_equal(raw_map(container, 0x1000, ram, 0, RAW_RW), -EINVAL);
	assert_int_equal(raw_map(container, 0x1000, ram, RAW_PAGE, 0), -EINVAL);
	assert_int_equal(raw_map(container, 0x1000, ram, RAW_PAGE, RAW_RW | 0x100), -EINVAL);
	assert_int_equal(raw_map(container, UINT64_MAX - RAW_PAGE + 1, ram, 2 * RAW_PAGE, RAW_RW),
			 -EINVAL);
	assert_int_equal(raw_map(container, 0x1000, ram, RAW_PAGE, VFIO_DMA_MAP_FLAG_READ), 0);
	dma_end();
}

static void test_map_overlap_is_refused(void **s)
{
	(void)s;
	dma_begin(VFIO_TYPE1v2_IOMMU);
	assert_int_equal(raw_map(container, 0x10000, ram, 4 * RAW_PAGE, RAW_RW), 0);
	assert_int_equal(raw_map(container, 0x13000, ram, RAW_PAGE, RAW_RW), -EEXIST);
	assert_int_equal(raw_map(container, 0xf000, ram, 2 * RAW_PAGE, RAW_RW), -EEXIST);
	assert_int_equal(raw_map(container, 0x14000, ram, RAW_PAGE, RAW_RW), 0);
	assert_int_equal(fake_dma_maps(), 2);
	assert_int_equal(fake_dma_bytes(), 5 * RAW_PAGE);
	dma_end();
}

static void test_map_outside_the_windows_is_refused(void **s)
{
	(void)s;
	fake_group_reserve(14, 0x100000, 0x1fffff, "direct");
	fake_group_reserve(14, 0x300000, 0x3fffff, "direct-relaxable");
	dma_begin(VFIO_TYPE1v2_IOMMU);
	assert_int_equal(raw_map(container, 0xfee00000, ram, RAW_PAGE, RAW_RW), -EINVAL);
	assert_int_equal(raw_map(container, 0xfedff000, ram, 2 * RAW_PAGE, RAW_RW), -EINVAL);
	assert_int_equal(raw_map(container, 1ull << 39, ram, RAW_PAGE, RAW_RW), -EINVAL);
	assert_int_equal(raw_map(container, 0x180000, ram, RAW_PAGE, RAW_RW), -EINVAL);
	assert_int_equal(raw_map(container, 0x300000, ram, RAW_PAGE, RAW_RW), 0);
	dma_end();
}

static void test_map_limits(void **s)
{
	(void)s;
	fake_iommu()->dma_limit = 2;
	fake_iommu()->memlock = 8 * RAW_PAGE;
	dma_begin(VFIO_TYPE1v2_IOMMU);
	assert_int_equal(raw_map(container, 0, ram, 9 * RAW_PAGE, RAW_RW), -ENOMEM);
	assert_int_equal(raw_map(container, 0, ram, 4 * RAW_PAGE, RAW_RW), 0);
	assert_int_equal(raw_map(container, 0x10000, ram, RAW_PAGE, RAW_RW), 0);
	assert_int_equal(raw_map(container, 0x20000, ram, RAW_PAGE, RAW_RW), -ENOSPC);
	assert_int_equal(raw_unmap(container, 0x10000, RAW_PAGE), RAW_PAGE);
	assert_int_equal(raw_map(container, 0x20000, ram, 5 * RAW_PAGE, RAW_RW), -ENOMEM);
	assert_int_equal(raw_map(container, 0x20000, ram, 4 * RAW_PAGE, RAW_RW), 0);
	dma_end();
}

static void test_map_of_no_memory_faults(void **s)
{
	(void)s;
	void *ro;
	dma_begin(VFIO_TYPE1v2_IOMMU);
	assert_int_equal(raw_map(container, 0, (void *)0x10000, RAW_PAGE, RAW_RW), -EFAULT);
	sys_mmap(&ro, NULL, RAW_PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_int_equal(raw_map(container, 0, ro, RAW_PAGE, RAW_RW), -EFAULT);
	assert_int_equal(raw_map(container, 0, ro, RAW_PAGE, VFIO_DMA_MAP_FLAG_READ), 0);
	dma_end();
	sys_munmap(ro, RAW_PAGE);
}

static void test_v2_unmap_does_not_split(void **s)
{
	(void)s;
	dma_begin(VFIO_TYPE1v2_IOMMU);
	raw_map(container, 0x10000, ram, 4 * RAW_PAGE, RAW_RW);
	raw_map(container, 0x20000, ram, 4 * RAW_PAGE, RAW_RW);
	assert_int_equal(raw_unmap(container, 0x10000, RAW_PAGE), -EINVAL);
	assert_int_equal(raw_unmap(container, 0x11000, 3 * RAW_PAGE), -EINVAL);
	assert_int_equal(raw_unmap(container, 0x10001, RAW_PAGE), -EINVAL);
	assert_int_equal(raw_unmap(container, 0x10000, 0), -EINVAL);
	assert_int_equal(raw_unmap(container, 0x40000, RAW_PAGE), 0); /* nothing there: no error */
	assert_int_equal(raw_unmap(container, 0, 0x100000), 8 * RAW_PAGE);
	assert_int_equal(fake_dma_maps(), 0);
	dma_end();
}

static void test_unmap_after_the_last_group_is_refused(void **s)
{
	(void)s;
	dma_begin(VFIO_TYPE1v2_IOMMU);
	raw_map(container, 0x10000, ram, 4 * RAW_PAGE, RAW_RW);
	sys_close_fd(&group);
	assert_int_equal(fake_dma_maps(), 0);
	assert_int_equal(raw_unmap(container, 0x10000, 4 * RAW_PAGE), -EINVAL);
	dma_end();
}

static void test_munmap_of_mapped_memory_is_a_finding(void **s)
{
	(void)s;
	dma_begin(VFIO_TYPE1v2_IOMMU);
	raw_map(container, 0x10000, ram, RAW_PAGE, RAW_RW);
	sys_munmap(ram, RAW_PAGE);
	assert_true(fake_violated("may still reach by DMA"));
	fake_violations_clear();
	raw_unmap(container, 0x10000, RAW_PAGE);
	sys_munmap((char *)ram + RAW_PAGE, 63 * RAW_PAGE);
}

static void test_late_group_must_fit_what_is_mapped(void **s)
{
	(void)s;
	fake_group_reserve(13, 0x10000, 0x1ffff, "direct");
	dma_begin(VFIO_TYPE1v2_IOMMU);
	raw_map(container, 0x10000, ram, RAW_PAGE, RAW_RW);
	int edu = sys_open("/dev/vfio/13", O_RDWR, 0);
	assert_int_equal(sys_ioctl(edu, VFIO_GROUP_SET_CONTAINER, &container), -EINVAL);
	raw_unmap(container, 0x10000, RAW_PAGE);
	assert_int_equal(sys_ioctl(edu, VFIO_GROUP_SET_CONTAINER, &container), 0);
	assert_int_equal(raw_map(container, 0x10000, ram, RAW_PAGE, RAW_RW), -EINVAL);
	sys_close(edu);
	assert_int_equal(raw_map(container, 0x10000, ram, RAW_PAGE, RAW_RW), 0);
	dma_end();
}

/* --- information -------------------------------------------------------------------------- */

static void test_info_says_how_much_room_it_takes(void **s)
{
	(void)s;
	dma_begin(VFIO_TYPE1v2_IOMMU);
	union {
		struct vfio_iommu_type1_info i;
		uint8_t room[512];
	} u = { .i = { .argsz = sizeof(u.i) } };
	assert_int_equal(sys_ioctl(container, VFIO_IOMMU_GET_INFO, &u), 0);
	assert_true(u.i.argsz > sizeof(u.i) && u.i.argsz <= sizeof(u));
	assert_true(u.i.flags & VFIO_IOMMU_INFO_CAPS);
	assert_int_equal(u.i.cap_offset, 0);
	assert_int_equal(u.i.iova_pgsizes, KIB(4) | MIB(2) | GIB(1));
	assert_int_equal(sys_ioctl(container, VFIO_IOMMU_GET_INFO, &u), 0);
	unsigned int seen = 0;
	for (uint32_t at = u.i.cap_offset; at;) {
		const struct vfio_info_cap_header *h = (void *)(u.room + at);
		seen |= 1u << h->id;
		if (h->id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) {
			const struct vfio_iommu_type1_info_cap_iova_range *r = (const void *)h;
			assert_int_equal(r->nr_iovas, 2);
			assert_int_equal(r->iova_ranges[0].end, 0xfedfffff);
			assert_int_equal(r->iova_ranges[1].start, 0xfef00000);
			assert_int_equal(r->iova_ranges[1].end, (1ull << 39) - 1);
		}
		at = h->next;
	}
	assert_int_equal(seen, 0xe);
	dma_end();
}

int main(void)
{
#define CASE(fn) cmocka_unit_test_setup_teardown(fn, lab, unlab)
	static const struct CMUnitTest tests[] = {
		CASE(test_group_opens_once),
		CASE(test_iommu_comes_after_the_group),
		CASE(test_device_needs_container_and_iommu),
		CASE(test_group_stays_while_its_device_is_open),
		CASE(test_viability_follows_the_drivers),
		CASE(test_native_driver_is_refused_while_the_group_is_owned),
		CASE(test_set_container_wants_a_container),
		CASE(test_incompatible_domains_do_not_share),
		CASE(test_extensions),
		CASE(test_map_before_iommu_is_refused),
		CASE(test_map_wants_pages_and_permission),
		CASE(test_map_overlap_is_refused),
		CASE(test_map_outside_the_windows_is_refused),
		CASE(test_map_limits),
		CASE(test_map_of_no_memory_faults),
		CASE(test_v2_unmap_does_not_split),
		CASE(test_unmap_after_the_last_group_is_refused),
		CASE(test_munmap_of_mapped_memory_is_a_finding),
		CASE(test_late_group_must_fit_what_is_mapped),
		CASE(test_info_says_how_much_room_it_takes),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
