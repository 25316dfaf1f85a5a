// SPDX-License-Identifier: GPL-2.0-or-later
// vfio/reset.c: which rung of the ladder a function gets, what a hot reset takes along and who may
// forbid it, and what is said of it.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <linux/vfio.h>

#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_vfio.h"
#include "tests/fake/fake_zoo.h"
#include "vfio/reset.h"

static struct vfio_container *c;
static struct vfio_device *d, *other_bus;
static struct fake_dev *hw;
static struct vfio_reset r;
static struct verr err;
static char text[256];

static int setup(void **state)
{
	(void)state;
	fake_reset();
	verr_clear(&err);
	c = NULL;
	d = other_bus = NULL;
	hw = NULL;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	vfio_device_close(d);
	vfio_device_close(other_bus);
	vfio_container_put(c);
	return fake_clean() ? 0 : -1;
}

/* The function at 03:00.0, opened, and the choice for it. */
static void choose(void)
{
	struct bdf at = { .bus = 3 };
	if (!c && (vfio_container_open(&c, &err) < 0 || vfio_device_open(c, &at, &d, &err) < 0))
		fail_msg("%s", err.msg);
	vfio_reset_choose(d, false, &r);
	vfio_reset_text(d, &r, text, sizeof(text));
}

static void host(const struct fake_devdesc *desc)
{
	hw = fake_zoo_one(desc);
}

static struct fake_dev *neighbour(int group, const char *driver)
{
	return fake_dev_add(&zoo_gpu_audio, &(struct fake_place){ .bdf = "0000:03:00.1",
								  .group = group,
								  .parent = "0000:00:1c.2",
								  .driver = driver });
}

static void test_a_reset_of_the_function_alone_comes_first(void **state)
{
	(void)state;
	host(&zoo_nvme);
	fake_log_clear();
	choose();
	assert_true(r.function && !r.hot && !r.pm);
	assert_string_equal(text, "FLR (flr)");
	assert_int_equal(fake_log_count("HOT_RESET"), 0); /* nobody else is looked at */
	assert_int_equal(vfio_reset_run(d, &r, &err), 0);
	assert_int_equal(fake_dev_resets(hw), 2); /* with the open's */
}

static void test_without_it_the_bus_is_reset(void **state)
{
	(void)state;
	host(&zoo_noreset);
	choose();
	assert_true(!r.function && r.hot && !r.pm);
	assert_int_equal(r.n_deps, 0);
	assert_string_equal(text, "hot reset of its bus");
	assert_int_equal(vfio_reset_run(d, &r, &err), 1);
	assert_int_equal(fake_dev_resets(hw), 1);
	assert_int_equal(fake_log_count("VFIO_DEVICE_RESET"), 0);
}

static void test_the_bus_before_power_management(void **state)
{
	(void)state;
	host(&zoo_no_flr);
	choose();
	assert_string_equal(d->reset_method, "pm");
	assert_true(!r.function && r.hot && r.pm);
	/* Refused by the kernel at last: the next rung. */
	fake_fault_add(&(struct fake_fault){
		.request = VFIO_DEVICE_PCI_HOT_RESET, .nth = 1, .err = EINVAL });
	assert_int_equal(vfio_reset_run(d, &r, &err), 0);
	fake_fault_clear();
	assert_int_equal(fake_log_count("VFIO_DEVICE_RESET"), 1);
	assert_int_equal(fake_dev_resets(hw), 2); /* with the open's */
}

static void test_dependents_are_listed(void **state)
{
	(void)state;
	host(&zoo_noreset);
	struct fake_dev *other = neighbour(14, "vfio-pci");
	choose();
	assert_true(r.hot);
	assert_int_equal(r.n_deps, 1);
	assert_string_equal(text, "hot reset of its bus, together with 0000:03:00.1");
	assert_int_equal(vfio_reset_run(d, &r, &err), 1);
	assert_int_equal(fake_dev_resets(other), 1);
}

/* The kernel takes no more groups than there are functions on the bus: the guest's other devices
 * are none of its business. */
static void test_devices_of_other_buses_are_no_proof(void **state)
{
	const struct bdf at = { .dev = 9 };
	(void)state;
	host(&zoo_no_flr);
	struct fake_dev *far = fake_dev_add(
		&zoo_nvme,
		&(struct fake_place){ .bdf = "0000:00:09.0", .group = 40, .driver = "vfio-pci" });
	choose();
	if (vfio_device_open(c, &at, &other_bus, &err) < 0)
		fail_msg("%s", err.msg);
	fake_log_clear();
	choose();
	assert_true(r.hot);
	assert_int_equal(vfio_reset_run(d, &r, &err), 1);
	assert_int_equal(fake_log_count("VFIO_DEVICE_PCI_HOT_RESET"), 1);
	assert_int_equal(fake_log_count("VFIO_DEVICE_RESET"), 0); /* no second choice */
	assert_int_equal(fake_dev_resets(hw), 2);		  /* with the open's */
	assert_int_equal(fake_dev_resets(far), 1);
}

static void test_who_is_not_ours_is_not_reset(void **state)
{
	(void)state;
	host(&zoo_noreset);
	neighbour(15, "vfio-pci"); /* another group, which we have not */
	choose();
	assert_true(!r.function && !r.hot && !r.pm);
	assert_string_equal(text, "none: its state survives; no hot reset: it would reset "
				  "0000:03:00.1 of group 15, which is not this guest's");
	assert_int_equal(vfio_reset_run(d, &r, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.msg, "0000:03:00.0 has no reset"));
}

static void test_no_bus_reset_on_the_root_bus(void **state)
{
	struct bdf at = { .dev = 4 };
	(void)state;
	hw = fake_dev_add(
		&zoo_noreset,
		&(struct fake_place){ .bdf = "0000:00:04.0", .group = 5, .driver = "vfio-pci" });
	assert_int_equal(vfio_container_open(&c, &err), 0);
	assert_int_equal(vfio_device_open(c, &at, &d, &err), 0);
	choose();
	assert_string_equal(text, "none: its state survives; no hot reset: its bus can't be reset");
}

static void test_kernel_that_does_not_say_how(void **state)
{
	(void)state;
	host(&zoo_nvme);
	fake_path_errno("/sys/bus/pci/devices/0000:03:00.0/reset_method", ENOENT);
	choose();
	assert_true(r.function);
	assert_string_equal(text, "function reset (the kernel does not say how)");
}

/* Of a function, and of this process's own memory map. */
static void test_locks_of_others_are_waited_for(void **state)
{
	static const int errors[] = { EAGAIN, EBUSY };
	(void)state;
	host(&zoo_noreset);
	choose();
	for (size_t i = 0; i < ARRAY_SIZE(errors); i++) {
		unsigned int resets = fake_dev_resets(hw);
		fake_fault_add(&(struct fake_fault){ .request = VFIO_DEVICE_PCI_HOT_RESET,
						     .nth = 1,
						     .times = 3,
						     .err = errors[i] });
		assert_int_equal(vfio_reset_run(d, &r, &err), 1);
		assert_int_equal(fake_fault_hits(), 3);
		fake_fault_clear();
		assert_int_equal(fake_dev_resets(hw), resets + 1);
	}
}

static void test_one_that_was_begun_is_the_one(void **state)
{
	(void)state;
	host(&zoo_noreset);
	choose();
	vfio_reset_begin(d, &r);
	assert_int_equal(vfio_reset_run(d, &r, &err), 1);
	assert_int_equal(fake_log_count("VFIO_DEVICE_PCI_HOT_RESET"), 1);
	assert_int_equal(vfio_reset_run(d, &r, &err), 1);
	assert_int_equal(fake_log_count("VFIO_DEVICE_PCI_HOT_RESET"), 2);
}

/* One of the other kind does not count. */
static void test_what_was_begun_otherwise_is_done_again(void **state)
{
	(void)state;
	host(&zoo_no_flr);
	choose();
	vfio_reset_begin(d, &r); /* of the bus */
	r.hot = false;
	assert_int_equal(vfio_reset_run(d, &r, &err), 0);
	assert_int_equal(fake_log_count("VFIO_DEVICE_PCI_HOT_RESET"), 1);
	assert_int_equal(fake_log_count("VFIO_DEVICE_RESET"), 1);
}

static void test_closing_waits_for_what_was_begun(void **state)
{
	(void)state;
	host(&zoo_no_flr);
	choose();
	vfio_reset_begin(d, &r);
	vfio_device_close(d);
	d = NULL;
	assert_int_equal(fake_log_count("VFIO_DEVICE_PCI_HOT_RESET"), 1);
	assert_false(fake_dev_is_open(hw));
}

static void test_what_has_no_reset_begins_none(void **state)
{
	(void)state;
	host(&zoo_noreset);
	neighbour(15, "vfio-pci");
	choose();
	vfio_reset_begin(d, &r);
	assert_null(d->resetting);
}

#define T_(f)                                                                                      \
	{                                                                                          \
#f, f, setup, teardown, NULL                                                       \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T_(test_a_reset_of_the_function_alone_comes_first),
		T_(test_without_it_the_bus_is_reset),
		T_(test_the_bus_before_power_management),
		T_(test_dependents_are_listed),
		T_(test_devices_of_other_buses_are_no_proof),
		T_(test_who_is_not_ours_is_not_reset),
		T_(test_no_bus_reset_on_the_root_bus),
		T_(test_kernel_that_does_not_say_how),
		T_(test_locks_of_others_are_waited_for),
		T_(test_one_that_was_begun_is_the_one),
		T_(test_what_was_begun_otherwise_is_done_again),
		T_(test_closing_waits_for_what_was_begun),
		T_(test_what_has_no_reset_begins_none),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
