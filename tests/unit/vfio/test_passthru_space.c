// SPDX-License-Identifier: GPL-2.0-or-later
// vfio/space.c: seats in IOMMU address spaces - who shares one, who gets one of his own, in which
// order the parts come and go, and that a seat is whole or not taken.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <linux/vfio.h>

#include "core/accel.h"
#include "core/gmem.h"
#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_vfio.h"
#include "tests/fake/fake_zoo.h"
#include "vfio/space.h"

static uint8_t ram_bytes[MIB(2)] __attribute__((aligned(4096)));
static struct gmem ram;
static struct gmem_region region;
static struct accel accel;
static struct accel_ops accel_ops;
static struct platform plat;
static struct vfio_seat seat[3];
static struct verr err;
static unsigned int told, untold;
static int refuse_with;

static int vfio_add(struct accel *a, int fd, struct verr *reterr)
{
	(void)a;
	assert_non_null(strstr(fake_fd_name(fd), "/dev/vfio/"));
	if (refuse_with)
		return verr_set(reterr, refuse_with, "KVM does not want it");
	told++;
	return 0;
}

static void vfio_del(struct accel *a, int fd)
{
	(void)a;
	/* The group is still open, and its device no longer. */
	assert_non_null(fake_fd_name(fd));
	untold++;
}

static void add(const struct fake_devdesc *d, const char *bdf, int group)
{
	fake_dev_add(d, &(struct fake_place){ .bdf = bdf, .group = group, .driver = "vfio-pci" });
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	verr_clear(&err);
	memset(seat, 0, sizeof(seat));
	gmem_init(&ram);
	region = (struct gmem_region){
		.name = "ram", .size = sizeof(ram_bytes), .hva = ram_bytes, .fd = -1
	};
	assert_int_equal(gmem_add(&ram, &region, &err), 0);
	accel_ops = (struct accel_ops){ .vfio_add = vfio_add, .vfio_del = vfio_del };
	accel.ops = &accel_ops;
	plat = (struct platform){ .ram = &ram, .accel = &accel };
	told = untold = 0;
	refuse_with = 0;
	add(&zoo_nvme, "0000:03:00.0", 14);
	add(&zoo_e1000e, "0000:04:00.0", 20);
	add(&zoo_gpu, "0000:05:00.0", 21);
	add(&zoo_gpu_audio, "0000:05:00.1", 21);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(seat); i++)
		vfio_seat_leave(&seat[i]);
	gmem_del(&region);
	gmem_fini(&ram);
	return fake_clean() ? 0 : -1;
}

static int take(unsigned int i, const char *bdf)
{
	struct bdf at;
	assert_int_equal(bdf_parse(bdf, &at, NULL), 0);
	return vfio_seat_take(&seat[i], &plat, &at, &err);
}

static void must_take(unsigned int i, const char *bdf)
{
	if (take(i, bdf) < 0)
		fail_msg("%s", err.msg);
}

static void assert_not_taken(unsigned int i, unsigned int containers)
{
	assert_null(seat[i].space);
	assert_null(seat[i].group);
	assert_null(seat[i].vd);
	assert_int_equal(fake_containers(), containers);
	assert_int_equal(told, untold + (containers ? fake_groups_attached() : 0));
}

static void test_a_seat_has_all_its_parts(void **state)
{
	(void)state;
	must_take(0, "0000:03:00.0");
	assert_string_equal(seat[0].vd->name, "0000:03:00.0");
	assert_int_equal(seat[0].group->id, 14);
	assert_int_equal(fake_dma_bytes(), sizeof(ram_bytes));
	assert_int_equal(told, 1);
	vfio_seat_leave(&seat[0]);
	assert_not_taken(0, 0);
	assert_int_equal(untold, 1);
	vfio_seat_leave(&seat[0]); /* nothing more */
	assert_int_equal(untold, 1);
}

static void test_groups_share_a_space_while_they_can(void **state)
{
	(void)state;
	must_take(0, "0000:03:00.0");
	must_take(1, "0000:04:00.0");
	assert_ptr_equal(seat[0].space, seat[1].space);
	assert_int_equal(fake_dma_maps(), 1);
	assert_int_equal(told, 2);
	vfio_seat_leave(&seat[0]); /* the first to come may be the first to go */
	assert_int_equal(fake_dma_maps(), 1);
	assert_int_equal(fake_groups_attached(), 1);
	vfio_seat_leave(&seat[1]);
	assert_int_equal(fake_dma_maps(), 0);
}

static void test_incompatible_groups_do_not(void **state)
{
	(void)state;
	fake_group_domain(20, 9);
	must_take(0, "0000:03:00.0");
	must_take(1, "0000:04:00.0");
	assert_ptr_not_equal(seat[0].space, seat[1].space);
	assert_int_equal(fake_dma_maps(), 2);
	vfio_seat_leave(&seat[0]);
	assert_int_equal(fake_dma_maps(), 1);
	must_take(0, "0000:03:00.0");
	assert_int_equal(fake_containers(), 2);
}

static void test_functions_of_a_group_share_it(void **state)
{
	(void)state;
	must_take(0, "0000:05:00.0");
	must_take(1, "0000:05:00.1");
	assert_ptr_equal(seat[0].group, seat[1].group);
	assert_int_equal(told, 1);
	vfio_seat_leave(&seat[0]);
	assert_int_equal(untold, 0);
	assert_int_equal(fake_groups_attached(), 1);
	vfio_seat_leave(&seat[1]);
	assert_int_equal(untold, 1);
}

static void test_group_is_found_in_the_second_space(void **state)
{
	(void)state;
	fake_group_domain(21, 9);
	must_take(0, "0000:03:00.0");
	must_take(1, "0000:05:00.0");
	must_take(2, "0000:05:00.1");
	assert_ptr_equal(seat[1].space, seat[2].space);
	assert_int_equal(fake_containers(), 2);
}

static void test_kvm_that_refuses_leaves_nothing(void **state)
{
	(void)state;
	refuse_with = -EINVAL;
	assert_int_equal(take(0, "0000:03:00.0"), -EINVAL);
	assert_non_null(strstr(err.msg, "KVM does not want it"));
	assert_not_taken(0, 0);
}

static void test_no_accelerator_is_fine(void **state)
{
	(void)state;
	plat.accel = NULL;
	must_take(0, "0000:03:00.0");
	vfio_seat_leave(&seat[0]);
	accel_ops.vfio_add = NULL;
	accel_ops.vfio_del = NULL;
	plat.accel = &accel;
	must_take(0, "0000:03:00.0");
}

static void test_memory_that_does_not_map_leaves_nothing(void **state)
{
	(void)state;
	fake_iommu()->memlock = 4096;
	assert_int_equal(take(0, "0000:03:00.0"), -ENOMEM);
	assert_not_taken(0, 0);
	assert_int_equal(told, untold);
}

static void test_device_that_does_not_open_leaves_the_others(void **state)
{
	(void)state;
	must_take(0, "0000:03:00.0");
	fake_fault_add(&(struct fake_fault){
		.request = VFIO_GROUP_GET_DEVICE_FD, .nth = 1, .times = 1, .err = EIO });
	assert_int_equal(take(1, "0000:04:00.0"), -EIO);
	assert_non_null(strstr(err.msg, "0000:04:00.0"));
	assert_not_taken(1, 1);
	assert_int_equal(seat[0].space->devices, 1);
	assert_int_equal(fake_dma_maps(), 1);
	must_take(1, "0000:04:00.0");
}

static void test_function_that_is_not_there(void **state)
{
	(void)state;
	assert_int_equal(take(0, "0000:77:00.0"), -ENODEV);
	assert_non_null(strstr(err.msg, "0000:77:00.0"));
	assert_not_taken(0, 0);
}

static void test_group_that_is_not_viable(void **state)
{
	(void)state;
	fake_dev_bind(fake_dev_find("0000:05:00.1"), "snd_hda_intel");
	must_take(1, "0000:03:00.0");
	assert_int_equal(take(0, "0000:05:00.0"), -EPERM);
	assert_non_null(strstr(err.msg, "snd_hda_intel"));
	assert_not_taken(0, 1);
}

/* Device closed, memory unmapped, KVM told, group left, container closed. */
static void test_order_of_leaving(void **state)
{
	static const char *const order[] = { "close vfio-device", "VFIO_IOMMU_UNMAP_DMA",
					     "VFIO_GROUP_UNSET_CONTAINER", "close /dev/vfio/14",
					     "close /dev/vfio/vfio" };
	int at = -1;
	(void)state;
	must_take(0, "0000:03:00.0");
	fake_log_clear();
	vfio_seat_leave(&seat[0]);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		int next = fake_log_find(order[i], at + 1);
		if (next < 0)
			fail_msg("no \"%s\" after the %zu before it", order[i], i);
		at = next;
	}
}

#define T_(f)                                                                                      \
	{                                                                                          \
#f, f, setup, teardown, NULL                                                       \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T_(test_a_seat_has_all_its_parts),
		T_(test_groups_share_a_space_while_they_can),
		T_(test_incompatible_groups_do_not),
		T_(test_functions_of_a_group_share_it),
		T_(test_group_is_found_in_the_second_space),
		T_(test_kvm_that_refuses_leaves_nothing),
		T_(test_no_accelerator_is_fine),
		T_(test_memory_that_does_not_map_leaves_nothing),
		T_(test_device_that_does_not_open_leaves_the_others),
		T_(test_function_that_is_not_there),
		T_(test_group_that_is_not_viable),
		T_(test_order_of_leaving),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
