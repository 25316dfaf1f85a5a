// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio/group on the fake kernel: from a function to its group, attaching in the kernel's order,
// sharing, and every sentence for a group that can't be had.
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

static struct vfio_container *c;
static struct verr err;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_zoo_lab();
	fake_dev_bind(fake_dev_find("0000:03:00.0"), "vfio-pci");
	memset(&err, 0, sizeof(err));
	return vfio_container_open(&c, &err);
}

static int teardown(void **state)
{
	(void)state;
	vfio_container_put(c);
	return fake_clean() ? 0 : -1;
}

static struct bdf at(const char *text)
{
	struct bdf b = { 0 };

	assert_int_equal(bdf_parse(text, &b, NULL), 0);
	return b;
}

static void assert_refused(unsigned int id, int code, const char *says)
{
	struct vfio_group *g = NULL;

	verr_clear(&err);
	assert_int_equal(vfio_group_attach(c, id, &g, &err), code);
	assert_null(g);
	assert_int_equal(err.code, code);
	if (strcmp(err.msg, says) != 0)
		fail_msg("says: %s", err.msg);
	assert_true(list_empty(&c->groups));
	assert_int_equal(c->refs, 1);
	assert_false(c->iommu_set);
	assert_int_equal(fake_groups_attached(), 0);
}

static void test_group_of_a_function(void **state)
{
	(void)state;
	struct bdf e1000e = at("0000:03:00.0"), none = at("0000:0f:00.0");
	unsigned int id = 99;

	assert_int_equal(vfio_group_of(&e1000e, &id, &err), 0);
	assert_int_equal(id, 14);
	assert_int_equal(vfio_group_of(&none, &id, &err), -ENODEV);
	assert_int_equal(id, 14);
	assert_non_null(strstr(err.msg, "0000:0f:00.0"));
}

static void test_function_without_group(void **state)
{
	(void)state;
	struct bdf b = at("0000:06:00.0");
	unsigned int id;

	fake_dev_add(&zoo_edu, &(struct fake_place){ .bdf = "0000:06:00.0", .group = -1 });
	assert_int_equal(vfio_group_of(&b, &id, &err), -ENXIO);
	assert_string_equal(err.msg,
			    "0000:06:00.0 has no IOMMU group: the machine's IOMMU does not "
			    "cover it, so it can't be isolated");
	verr_clear(&err);
	fake_file_remove("/sys/class/iommu");
	assert_int_equal(vfio_group_of(&b, &id, &err), -ENXIO);
	assert_non_null(strstr(err.msg,
			       "0000:06:00.0 has no IOMMU group, the machine's IOMMU is off: "
			       "switch on VT-d or AMD-Vi"));
}

static void test_attach_keeps_the_kernels_order(void **state)
{
	(void)state;
	struct vfio_group *g = NULL;

	fake_log_clear();
	assert_int_equal(vfio_group_attach(c, 14, &g, &err), 0);
	assert_int_equal(g->id, 14);
	assert_ptr_equal(g->container, c);
	assert_true(c->iommu_set);
	assert_true(c->v2);

	int open = fake_log_find("open /dev/vfio/14", 0);
	int status = fake_log_find("VFIO_GROUP_GET_STATUS", open);
	int set = fake_log_find("VFIO_GROUP_SET_CONTAINER", status);
	int type = fake_log_find("VFIO_SET_IOMMU", set);
	int info = fake_log_find("VFIO_IOMMU_GET_INFO", type);

	assert_true(open >= 0 && status > open && set > status && type > set && info > type);
	vfio_group_put(g);
	assert_false(c->iommu_set);
	assert_true(list_empty(&c->groups));
	assert_int_equal(fake_groups_attached(), 0);
	assert_true(fake_log_find("VFIO_GROUP_UNSET_CONTAINER", info) > 0);
}

static void test_group_is_opened_once_and_counted(void **state)
{
	(void)state;
	struct vfio_group *a = NULL, *b = NULL;

	assert_int_equal(vfio_group_attach(c, 14, &a, &err), 0);
	assert_int_equal(vfio_group_attach(c, 14, &b, &err), 0);
	assert_ptr_equal(a, b);
	assert_int_equal(a->refs, 2);
	assert_int_equal(fake_log_count("open /dev/vfio/14"), 1);
	vfio_group_put(a);
	assert_int_equal(fake_groups_attached(), 1);
	vfio_group_put(b);
	assert_int_equal(fake_groups_attached(), 0);
	vfio_group_put(NULL);
}

static void test_two_groups_share_a_container(void **state)
{
	(void)state;
	struct vfio_group *a = NULL, *b = NULL;

	fake_dev_bind(fake_dev_find("0000:01:00.0"), "vfio-pci");
	assert_int_equal(vfio_group_attach(c, 14, &a, &err), 0);
	assert_int_equal(vfio_group_attach(c, 12, &b, &err), 0);
	assert_int_equal(fake_log_count("VFIO_SET_IOMMU"), 1);
	assert_int_equal(fake_groups_attached(), 2);
	vfio_group_put(a);
	assert_true(c->iommu_set); /* b still holds it */
	vfio_group_put(b);
	assert_false(c->iommu_set);
	/* The container can be used again: the IOMMU is set anew. */
	assert_int_equal(vfio_group_attach(c, 14, &a, &err), 0);
	assert_true(c->iommu_set);
	vfio_group_put(a);
}

static void test_second_groups_ranges_count(void **state)
{
	(void)state;
	struct vfio_group *a = NULL, *b = NULL;
	struct range r = { 0x40000000, 0x40ffffff };

	fake_dev_bind(fake_dev_find("0000:01:00.0"), "vfio-pci");
	fake_group_reserve(12, r.first, r.last, "reserved");
	assert_int_equal(vfio_group_attach(c, 14, &a, &err), 0);
	assert_true(rangeset_contains(&c->info.iova, r));
	assert_int_equal(vfio_group_attach(c, 12, &b, &err), 0);
	assert_false(rangeset_overlaps(&c->info.iova, r));
	vfio_group_put(b);
	vfio_group_put(a);
}

static void test_incompatible_second_group_is_einval(void **state)
{
	(void)state;
	struct vfio_group *a = NULL, *b = NULL;

	fake_dev_bind(fake_dev_find("0000:01:00.0"), "vfio-pci");
	fake_group_domain(12, 1);
	assert_int_equal(vfio_group_attach(c, 14, &a, &err), 0);
	assert_int_equal(vfio_group_attach(c, 12, &b, &err), -EINVAL);
	assert_string_equal(err.msg,
			    "group 12: its IOMMU is not compatible with that of the groups "
			    "already in the container (VFIO_GROUP_SET_CONTAINER)");
	assert_null(b);
	assert_int_equal(fake_groups_attached(), 1);
	vfio_group_put(a);
}

static void test_type1_where_there_is_no_v2(void **state)
{
	(void)state;
	struct vfio_group *g = NULL;

	/* Found out only at SET_IOMMU: the container was opened when v2 was there. */
	fake_iommu()->type1v2 = false;
	assert_int_equal(vfio_group_attach(c, 14, &g, &err), 0);
	assert_false(c->v2);
	assert_int_equal(fake_log_count("VFIO_SET_IOMMU"), 2);
	vfio_group_put(g);
}

/* --- refusals -------------------------------------------------------------------------------- */

static void test_not_viable_names_member_driver_and_command(void **state)
{
	(void)state;
	fake_dev_bind(fake_dev_find("0000:05:00.0"), "vfio-pci");
	const char *audio = fake_dev_driver(fake_dev_find("0000:05:00.1"));
	char says[256];

	snprintf(says, sizeof(says),
		 "group 15 is not viable: 0000:05:00.1 is still bound to %s (run: "
		 "vfio-bind 0000:05:00.1)",
		 audio);
	assert_refused(15, -EPERM, says);
}

static void test_group_without_node_names_its_members(void **state)
{
	(void)state;
	char says[256];

	snprintf(says, sizeof(says),
		 "group 12 has no node in /dev/vfio: 0000:01:00.0 is still bound to "
		 "%s (run: vfio-bind 0000:01:00.0)",
		 fake_dev_driver(fake_dev_find("0000:01:00.0")));
	assert_refused(12, -ENOENT, says);
	fake_dev_bind(fake_dev_find("0000:01:00.0"), "");
	assert_refused(12, -ENOENT,
		       "group 12 has no node in /dev/vfio: none of its functions is bound "
		       "to vfio-pci (run: vfio-bind 0000:01:00.0)");
}

static void test_no_iommu_group_is_never_given(void **state)
{
	(void)state;
	fake_dev_bind(fake_dev_find("0000:01:00.0"), "");
	fake_file_set("/sys/kernel/iommu_groups/12/name", "vfio-noiommu\n");
	assert_refused(12, -EOPNOTSUPP,
		       "group 12 is a no-IOMMU group: nothing would keep the guest's "
		       "device out of the host's memory, so it is never given to a guest");
}

static void test_group_in_use_names_who(void **state)
{
	(void)state;
	fake_path_errno("/dev/vfio/14", EBUSY);
	assert_refused(14, -EBUSY,
		       "group 14 is in use: another process has /dev/vfio/14 open (run: "
		       "fuser -v /dev/vfio/14)");
	/* Processes without a readable fd folder, and one with other files, are passed over. */
	fake_file_set("/proc/1/comm", "init\n");
	fake_link_set("/proc/77/fd/3", "/dev/vfio/1");
	fake_link_set("/proc/4711/fd/0", "/dev/null");
	fake_link_set("/proc/4711/fd/31", "/dev/vfio/14");
	fake_file_set("/proc/4711/comm", "qemu-system\x1bx86\n");
	fake_file_set("/proc/version", "Linux\n");
	assert_refused(14, -EBUSY,
		       "group 14 is in use: qemu-system?x86 (pid 4711) has /dev/vfio/14 open");
	fake_file_remove("/proc/4711/comm");
	assert_refused(14, -EBUSY,
		       "group 14 is in use: a process (pid 4711) has /dev/vfio/14 open");
}

static void test_no_permission(void **state)
{
	(void)state;
	fake_path_errno("/dev/vfio/14", EACCES);
	assert_refused(14, -EACCES,
		       "no permission to open /dev/vfio/14: run as root, or give it to your "
		       "user (run: chown $USER /dev/vfio/14)");
	fake_path_errno("/dev/vfio/14", EMFILE);
	assert_refused(14, -EMFILE, "opening /dev/vfio/14: Too many open files");
}

static void test_eperm_without_interrupt_remapping(void **state)
{
	(void)state;
	fake_group_attach_errno(14, EPERM);
	assert_refused(14, -EPERM,
		       "group 14: the kernel refuses VFIO_SET_IOMMU (EPERM): this machine has "
		       "no interrupt remapping (dmesg says so), so the guest could send "
		       "interrupts to the host; switch it on in the firmware, or accept the "
		       "risk: modprobe vfio_iommu_type1 allow_unsafe_interrupts=1");
}

static void test_eperm_although_unsafe_is_allowed(void **state)
{
	(void)state;
	fake_group_attach_errno(14, EPERM);
	fake_file_set("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
	assert_refused(14, -EPERM,
		       "group 14: the kernel refuses VFIO_SET_IOMMU (EPERM): the kernel's "
		       "reason is in its log (run: dmesg)");
}

static void test_eperm_with_firmware_reservation(void **state)
{
	(void)state;
	fake_group_reserve(14, 0x7b800000, 0x7fffffff, "direct");
	fake_group_attach_errno(14, EPERM);
	assert_refused(14, -EPERM,
		       "group 14: the kernel refuses VFIO_SET_IOMMU (EPERM): the firmware "
		       "reserves memory 0x7b800000-0x7fffffff for a device of group 14 "
		       "(RMRR), and Linux does not hand such devices out; a firmware setting "
		       "or update may drop the reservation");
}

static void test_other_refusals_of_the_iommu(void **state)
{
	(void)state;
	fake_group_attach_errno(14, EINVAL);
	assert_refused(14, -EINVAL, "group 14: VFIO_SET_IOMMU: Invalid argument");
	fake_group_attach_errno(14, EBUSY);
	assert_refused(14, -EBUSY,
		       "group 14 is in use: a host driver or another process owns a member "
		       "(run: vfio-bind 0000:03:00.0)");
	fake_group_attach_errno(14, ENODEV);
	assert_refused(14, -ENODEV,
		       "group 14: no type1 IOMMU driver takes it (VFIO_SET_IOMMU; run: "
		       "modprobe vfio_iommu_type1)");
}

/* Flags no fake group has: the status is doctored. */
static uint32_t status_flags;

static int status_ioctl(int fd, unsigned long request, void *arg)
{
	int r = sys_fake.ioctl(fd, request, arg);

	if (request == VFIO_GROUP_GET_STATUS)
		((struct vfio_group_status *)arg)->flags = status_flags;
	return r;
}

static void test_status_flags_are_told_apart(void **state)
{
	(void)state;
	struct sys_ops ops = sys_fake;
	struct vfio_group *g = NULL;

	ops.ioctl = status_ioctl;
	sys = &ops;
	status_flags = VFIO_GROUP_FLAGS_VIABLE | VFIO_GROUP_FLAGS_CONTAINER_SET;
	assert_refused(14, -EBUSY,
		       "group 14 is in a container already: whoever opened it before uses it");
	status_flags = VFIO_GROUP_FLAGS_CONTAINER_SET;
	assert_refused(14, -EPERM,
		       "group 14 is not viable: a member belongs to a host driver (run: "
		       "vfio-bind 0000:03:00.0)");
	/* Bits we don't know are no reason to refuse. */
	status_flags = VFIO_GROUP_FLAGS_VIABLE | 1u << 7;
	assert_int_equal(vfio_group_attach(c, 14, &g, &err), 0);
	vfio_group_put(g);
	sys = &sys_fake;
}

/* --- sweep ----------------------------------------------------------------------------------- */

static void sweep_setup(void *opaque)
{
	(void)opaque;
	fake_zoo_lab();
	fake_dev_bind(fake_dev_find("0000:03:00.0"), "vfio-pci");
	fake_dev_bind(fake_dev_find("0000:01:00.0"), "vfio-pci");
}

static int sweep_run(void *opaque, struct verr *verr)
{
	struct vfio_container *sc = NULL;
	struct vfio_group *a = NULL, *b = NULL;
	struct bdf bdf = at("0000:03:00.0");
	unsigned int id;
	(void)opaque;

	int r = vfio_container_open(&sc, verr);

	if (r == 0)
		r = vfio_group_of(&bdf, &id, verr);
	if (r == 0)
		r = vfio_group_attach(sc, id, &a, verr);
	if (r == 0)
		r = vfio_group_attach(sc, 12, &b, verr);
	vfio_group_put(b);
	vfio_group_put(a);
	vfio_container_put(sc);
	return r;
}

static void test_sweep(void **state)
{
	(void)state;
	const struct fake_sweep s = {
		.name = "group-attach",
		.setup = sweep_setup,
		.run = sweep_run,
	};

	vfio_container_put(c);
	c = NULL;
	assert_int_equal(fault_sweep(&s, NULL), 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_group_of_a_function),
		T(test_function_without_group),
		T(test_attach_keeps_the_kernels_order),
		T(test_group_is_opened_once_and_counted),
		T(test_two_groups_share_a_container),
		T(test_second_groups_ranges_count),
		T(test_incompatible_second_group_is_einval),
		T(test_type1_where_there_is_no_v2),
		T(test_not_viable_names_member_driver_and_command),
		T(test_group_without_node_names_its_members),
		T(test_no_iommu_group_is_never_given),
		T(test_group_in_use_names_who),
		T(test_no_permission),
		T(test_eperm_without_interrupt_remapping),
		T(test_eperm_although_unsafe_is_allowed),
		T(test_eperm_with_firmware_reservation),
		T(test_other_refusals_of_the_iommu),
		T(test_status_flags_are_told_apart),
		T(test_sweep),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
