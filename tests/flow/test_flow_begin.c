// SPDX-License-Identifier: GPL-2.0-or-later
// Several functions opened side by side: all have begun before the first is looked at; whichever
// fails is named, and nothing is left.

#include <linux/vfio.h>

#include "flow.h"

#define SECOND_BDF "0000:04:00.0"
#define THIRD_BDF  "0000:05:00.0"

static const struct guest_setup three = {
	.device = { "vfio-pci,host=" HOST_BDF, "vfio-pci,id=two,host=" SECOND_BDF,
		    "vfio-pci,id=three,host=" THIRD_BDF },
};

static void host(void)
{
	hw = fake_zoo_one(&zoo_nvme);
	fake_dev_add(&zoo_e1000e,
		     &(struct fake_place){ .bdf = SECOND_BDF, .group = 20, .driver = "vfio-pci" });
	fake_dev_add(&zoo_nvme,
		     &(struct fake_place){ .bdf = THIRD_BDF, .group = 21, .driver = "vfio-pci" });
}

static void test_all_begin_before_the_first_is_looked_at(void **state)
{
	struct verr err = { 0 };
	int at = -1;
	(void)state;
	host();
	if (guest_open(&g, &three, &err) < 0)
		fail_msg("%s", err.msg);
	for (unsigned int i = 0; i < 3; i++)
		at = fake_log_find("VFIO_GROUP_SET_CONTAINER", at + 1);
	assert_true(at >= 0 && at < fake_log_find("VFIO_DEVICE_GET_INFO", 0));
	assert_int_equal(fake_log_count("VFIO_GROUP_GET_DEVICE_FD"), 3);
	assert_int_equal(fake_log_count("open /dev/vfio/vfio"), 1);
	if (guest_run(&g, &err) < 0)
		fail_msg("%s", err.msg);
}

static void test_whichever_does_not_open_is_named(void **state)
{
	static const char *const node[] = { "/dev/vfio/14", "/dev/vfio/20", "/dev/vfio/21" };
	static const char *const bdf[] = { HOST_BDF, SECOND_BDF, THIRD_BDF };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(node); i++) {
		for (unsigned int call = 0; call < 2; call++) {
			struct verr err = { 0 };
			fake_reset();
			host();
			fake_fault_add(&(struct fake_fault){
				.calls = BIT32(call ? FAKE_CALL_OPEN : FAKE_CALL_IOCTL),
				.request = call ? 0 : VFIO_GROUP_GET_DEVICE_FD,
				.path = node[i],
				.nth = 1,
				.err = EBUSY });
			assert_int_equal(guest_open(&g, &three, &err), -EBUSY);
			assert_non_null(strstr(err.msg, bdf[i]));
			fake_fault_clear();
			assert_true(fake_clean());
		}
	}
}

static void test_the_same_twice_is_refused(void **state)
{
	static const struct guest_setup twice = {
		.device = { "vfio-pci,host=" HOST_BDF, "vfio-pci,host=" HOST_BDF },
	};
	struct verr err = { 0 };
	(void)state;
	host();
	assert_int_equal(guest_open(&g, &twice, &err), -EBUSY);
	assert_non_null(strstr(err.msg, HOST_BDF " is assigned to this guest already"));
	assert_false(fake_dev_is_open(hw));
}

/* A wrong word in the last argument: nobody was touched for it. */
static void test_arguments_are_read_before_anything_begins(void **state)
{
	static const struct guest_setup wrong = {
		.device = { "vfio-pci,id=one,host=" HOST_BDF,
			    "vfio-pci,host=" SECOND_BDF ",rombra=off" },
	};
	struct verr err = { 0 };
	(void)state;
	host();
	assert_int_equal(guest_open(&g, &wrong, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "rombra"));
	assert_int_equal(fake_log_count("VFIO_GROUP_GET_DEVICE_FD"), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_all_begin_before_the_first_is_looked_at),
		FLOW_TEST(test_whichever_does_not_open_is_named),
		FLOW_TEST(test_the_same_twice_is_refused),
		FLOW_TEST(test_arguments_are_read_before_anything_begins),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
