// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio/container on the fake kernel: what opening checks and says, what the IOMMU's info becomes,
// hostile and old answers included, and the sweep.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <cmocka.h>
#include <linux/vfio.h>

#include "core/sys.h"
#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_vfio.h"
#include "tests/fake/fake_zoo.h"
#include "vfio/container.h"
#include "vfio/group.h"

#define NODE "/dev/vfio/vfio"

/* Opening must fail, with this code and sentence. */
static void assert_refused(int code, const char *says)
{
	struct vfio_container *c = NULL;
	struct verr err = { 0 };

	assert_int_equal(vfio_container_open(&c, &err), code);
	assert_null(c);
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, says))
		fail_msg("says: %s", err.msg);
	fake_assert_clean();
}

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_zoo_one(&zoo_e1000e);
	return 0;
}

static void test_open_and_close(void **state)
{
	(void)state;
	struct vfio_container *c = NULL;
	struct verr err = { 0 };

	assert_int_equal(vfio_container_open(&c, &err), 0);
	assert_true(c->v2);
	assert_false(c->iommu_set);
	assert_int_equal(fake_containers(), 1);
	/* Version and extensions are asked before anything else is done. */
	assert_true(fake_log_find("VFIO_GET_API_VERSION", 0) >= 0);
	assert_true(fake_log_find("VFIO_CHECK_EXTENSION",
				  fake_log_find("VFIO_GET_API_VERSION", 0)) > 0);
	assert_ptr_equal(vfio_container_get(c), c);
	vfio_container_put(c);
	assert_int_equal(fake_containers(), 1);
	vfio_container_put(c);
	assert_int_equal(fake_containers(), 0);
	vfio_container_put(NULL);
	fake_assert_clean();
}

static void test_missing_node_says_which_module(void **state)
{
	(void)state;
	fake_path_errno(NODE, ENOENT);
	assert_refused(-ENOENT,
		       NODE " does not exist: the vfio module is not loaded (run: modprobe "
			    "vfio-pci)");
	fake_path_errno(NODE, ENODEV);
	assert_refused(-ENODEV,
		       NODE " has no driver behind it: the vfio module can't be loaded (run: "
			    "modprobe vfio-pci)");
}

static void test_missing_node_without_iommu_says_that_too(void **state)
{
	(void)state;
	fake_file_remove("/sys/class/iommu");
	fake_path_errno(NODE, ENOENT);
	assert_refused(-ENOENT, "; the machine's IOMMU is off, too: switch on VT-d or AMD-Vi");
}

static void test_no_permission_says_what_to_do(void **state)
{
	(void)state;
	fake_path_errno(NODE, EACCES);
	assert_refused(-EACCES,
		       "no permission to open " NODE ": run as root, or let everybody open it, "
		       "which alone gives nobody a device (chmod 0666 " NODE ")");
	fake_path_errno(NODE, EPERM);
	assert_refused(-EPERM, "no permission to open " NODE);
	fake_path_errno(NODE, EMFILE);
	assert_refused(-EMFILE, "opening " NODE ": Too many open files");
}

static void test_without_type1_the_module_is_named(void **state)
{
	(void)state;
	fake_iommu()->present = false;
	assert_refused(-ENODEV,
		       "VFIO has no type1 IOMMU support here: the module is not loaded (run: "
		       "modprobe vfio_iommu_type1)");
}

static void test_type1_alone_will_do(void **state)
{
	(void)state;
	struct vfio_container *c = NULL;

	fake_iommu()->type1v2 = false;
	assert_int_equal(vfio_container_open(&c, NULL), 0);
	assert_false(c->v2);
	vfio_container_put(c);
	fake_assert_clean();
}

/* A kernel of another age: its answer is doctored, everything else is the fake's. */
static int version = VFIO_API_VERSION;

static int old_ioctl(int fd, unsigned long request, void *arg)
{
	int r = sys_fake.ioctl(fd, request, arg);

	return request == VFIO_GET_API_VERSION && r >= 0 ? version : r;
}

static void test_other_api_version_is_refused(void **state)
{
	(void)state;
	struct sys_ops ops = sys_fake;

	ops.ioctl = old_ioctl;
	sys = &ops;
	version = 1;
	assert_refused(-ENOTSUP, NODE " speaks VFIO version 1, this program version 0");
	sys = &sys_fake;
}

/* --- info ------------------------------------------------------------------------------------ */

static struct vfio_group *attach(struct vfio_container **c)
{
	struct vfio_group *g = NULL;
	struct verr err = { 0 };

	if (vfio_container_open(c, &err) < 0 || vfio_group_attach(*c, 14, &g, &err) < 0)
		fail_msg("%s", err.msg);
	return g;
}

static void leave(struct vfio_container *c, struct vfio_group *g)
{
	vfio_group_put(g);
	vfio_container_put(c);
	fake_assert_clean();
}

static void test_info_is_what_the_iommu_says(void **state)
{
	(void)state;
	struct vfio_container *c;

	fake_iommu()->migration_cap = true;
	struct vfio_group *g = attach(&c);

	assert_true(c->iommu_set);
	assert_true(c->info.has_iova);
	assert_int_equal(c->info.pgsizes, KIB(4) | MIB(2) | GIB(1));
	assert_int_equal(c->info.dma_avail, 65535);
	assert_true(c->info.has_migration);
	assert_true(rangeset_contains(&c->info.iova, (struct range){ 0, 0xfedfffff }));
	assert_true(
		rangeset_contains(&c->info.iova, (struct range){ 0xfef00000, (1ull << 39) - 1 }));
	assert_false(rangeset_overlaps(&c->info.iova, (struct range){ 0xfee00000, 0xfeefffff }));
	leave(c, g);
}

static void test_old_kernels_tell_less(void **state)
{
	(void)state;
	struct vfio_container *c;

	fake_iommu()->iova_cap = false;
	fake_iommu()->avail_cap = false;
	fake_iommu()->migration_cap = false;
	struct vfio_group *g = attach(&c);

	assert_false(c->info.has_iova);
	assert_true(rangeset_contains(&c->info.iova, (struct range){ 0, UINT64_MAX }));
	assert_int_equal(c->info.dma_avail, UINT32_MAX);
	assert_false(c->info.has_migration);
	leave(c, g);
}

static void test_refresh_sees_what_changed(void **state)
{
	(void)state;
	struct vfio_container *c;
	struct verr err = { 0 };
	struct vfio_group *g = attach(&c);

	fake_iommu()->avail_cap = false;
	assert_int_equal(vfio_container_refresh(c, &err), 0);
	assert_int_equal(c->info.dma_avail, UINT32_MAX);
	leave(c, g);
}

static void test_broken_chain_is_an_error_not_a_guess(void **state)
{
	(void)state;
	static const int chains[] = { FAKE_CHAIN_LOOP, FAKE_CHAIN_BEYOND };

	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		struct vfio_container *c;
		struct verr err = { 0 };

		setup(NULL);
		struct vfio_group *g = attach(&c);

		fake_iommu()->chain = chains[i];
		assert_true(vfio_container_refresh(c, &err) < 0);
		assert_string_equal(err.msg,
				    NODE ": the kernel's answer about the IOMMU's limits "
					 "(VFIO_IOMMU_GET_INFO) can't be used: its list of "
					 "capabilities is broken");
		/* What was known before still is. */
		assert_int_equal(c->info.dma_avail, 65535);
		leave(c, g);
	}
}

static void test_unknown_capabilities_are_passed_over(void **state)
{
	(void)state;
	struct vfio_container *c;

	fake_iommu()->chain = FAKE_CHAIN_UNKNOWN_FIRST;
	struct vfio_group *g = attach(&c);

	assert_true(c->info.has_iova);
	leave(c, g);
}

/* --- answers no fake makes: the info doctored byte by byte ----------------------------------- */

static struct {
	struct vfio_iommu_type1_info info;
	struct vfio_info_cap_header header; /* IOVA ranges: count, then pairs */
	uint32_t nr_iovas, reserved;
	struct vfio_iova_range r[4];
} doctored;

static int doctored_ioctl(int fd, unsigned long request, void *arg)
{
	if (request != VFIO_IOMMU_GET_INFO)
		return sys_fake.ioctl(fd, request, arg);

	uint32_t room = ((struct vfio_iommu_type1_info *)arg)->argsz;

	memcpy(arg, &doctored, MIN(room, doctored.info.argsz));
	return 0;
}

static int refresh_doctored(struct vfio_container *c, uint32_t n, uint32_t argsz, struct verr *err)
{
	struct sys_ops ops = sys_fake;

	ops.ioctl = doctored_ioctl;
	doctored.info.argsz = argsz;
	doctored.info.flags = VFIO_IOMMU_INFO_CAPS | VFIO_IOMMU_INFO_PGSIZES;
	doctored.info.iova_pgsizes = 4096;
	doctored.info.cap_offset = (uint32_t)sizeof(doctored.info);
	doctored.header.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE;
	doctored.nr_iovas = n;
	sys = &ops;
	int r = vfio_container_refresh(c, err);

	sys = &sys_fake;
	return r;
}

static void test_garbled_ranges(void **state)
{
	(void)state;
	struct vfio_container *c;
	struct verr err = { 0 };
	struct vfio_group *g = attach(&c);
	uint32_t whole = sizeof(doctored);

	/* More ranges than the answer holds. */
	assert_int_equal(refresh_doctored(c, 5, whole, &err), -EBADMSG);
	verr_clear(&err);
	assert_int_equal(refresh_doctored(c, UINT32_MAX, whole, &err), -EBADMSG);
	verr_clear(&err);
	/* A header only. */
	assert_int_equal(refresh_doctored(c, 0, sizeof(doctored.info) + 8, &err), -EBADMSG);
	verr_clear(&err);
	/* Backwards ones are no ranges, overlapping ones merge, order is no matter. */
	doctored.r[0] = (struct vfio_iova_range){ 0x9000, 0x8fff };
	doctored.r[1] = (struct vfio_iova_range){ 0x10000, 0x1ffff };
	doctored.r[2] = (struct vfio_iova_range){ 0, 0x17fff };
	doctored.r[3] = (struct vfio_iova_range){ UINT64_MAX - 0xfff, UINT64_MAX };
	assert_int_equal(refresh_doctored(c, 4, whole, &err), 0);
	assert_int_equal(c->info.iova.n, 2);
	assert_int_equal(c->info.iova.r[0].last, 0x1ffff);
	assert_int_equal(c->info.iova.r[1].last, UINT64_MAX);
	/* None at all: nothing can be mapped, and that is known. */
	assert_int_equal(refresh_doctored(c, 0, whole, &err), 0);
	assert_true(c->info.has_iova);
	assert_int_equal(c->info.iova.n, 0);
	leave(c, g);
}

/* --- sweep ----------------------------------------------------------------------------------- */

static void sweep_setup(void *opaque)
{
	(void)opaque;
	fake_zoo_one(&zoo_e1000e);
}

static int sweep_run(void *opaque, struct verr *err)
{
	struct vfio_container *c = NULL;
	(void)opaque;
	int r = vfio_container_open(&c, err);

	vfio_container_put(r < 0 ? NULL : c);
	return r;
}

static void test_sweep(void **state)
{
	(void)state;
	const struct fake_sweep s = {
		.name = "container-open",
		.setup = sweep_setup,
		.run = sweep_run,
	};

	assert_int_equal(fault_sweep(&s, NULL), 0);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_open_and_close),
		T(test_missing_node_says_which_module),
		T(test_missing_node_without_iommu_says_that_too),
		T(test_no_permission_says_what_to_do),
		T(test_without_type1_the_module_is_named),
		T(test_type1_alone_will_do),
		T(test_other_api_version_is_refused),
		T(test_info_is_what_the_iommu_says),
		T(test_old_kernels_tell_less),
		T(test_refresh_sees_what_changed),
		T(test_broken_chain_is_an_error_not_a_guess),
		T(test_unknown_capabilities_are_passed_over),
		T(test_garbled_ranges),
		T(test_sweep),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
