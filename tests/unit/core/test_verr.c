// SPDX-License-Identifier: GPL-2.0-or-later
//
// Error context: which sentence survives, and what happens to one that is too long.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include "core/verr.h"

static void test_first_error_wins(void **state)
{
	(void)state;
	struct verr e = { 0 };
	assert_int_equal(verr_set(&e, -EBUSY, "cause %d", 1), -EBUSY);
	assert_int_equal(verr_set(&e, -EIO, "consequence"), -EIO);
	assert_int_equal(e.code, -EBUSY);
	assert_string_equal(e.msg, "cause 1");
}

static void test_null_is_allowed_and_code_is_returned(void **state)
{
	(void)state;
	assert_int_equal(verr_set(NULL, -EBUSY, "x"), -EBUSY);
	assert_int_equal(verr_prefix(NULL, -EIO, "x"), -EIO);
	verr_clear(NULL);
}

static void test_prefix_goes_before_the_sentence(void **state)
{
	(void)state;
	struct verr e = { 0 };
	verr_set(&e, -EBUSY, "group 14 is not viable");
	assert_int_equal(verr_prefix(&e, -EBUSY, "vfio-pci %s", "net0"), -EBUSY);
	assert_string_equal(e.msg, "vfio-pci net0: group 14 is not viable");
	assert_int_equal(e.code, -EBUSY);
}

static void test_prefix_without_a_sentence_explains_the_code(void **state)
{
	(void)state;
	struct verr e = { 0 };
	verr_prefix(&e, -ENOENT, "can't open %s", "/dev/kvm");
	assert_string_equal(e.msg, "can't open /dev/kvm: No such file or directory");
	assert_int_equal(e.code, -ENOENT);

	verr_clear(&e);
	verr_prefix(&e, -9999, "odd");
	assert_string_equal(e.msg, "odd: error -9999");
}

static void test_cut_sentence_ends_in_dots(void **state)
{
	(void)state;
	char text[2 * VERR_MSG_MAX];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';

	struct verr e = { 0 };
	verr_set(&e, -EINVAL, "%s", text);
	assert_int_equal(strlen(e.msg), VERR_MSG_MAX - 1);
	assert_string_equal(e.msg + VERR_MSG_MAX - 4, "...");

	verr_prefix(&e, -EINVAL, "prefix");
	assert_int_equal(strlen(e.msg), VERR_MSG_MAX - 1);
	assert_memory_equal(e.msg, "prefix: aaa", 11);
	assert_string_equal(e.msg + VERR_MSG_MAX - 4, "...");
}

static void test_longest_whole_sentence_is_not_cut(void **state)
{
	(void)state;
	char text[VERR_MSG_MAX];
	memset(text, 'b', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	struct verr e = { 0 };
	verr_set(&e, -EINVAL, "%s", text);
	assert_string_equal(e.msg, text);
}

static void test_cleared_error_takes_a_new_one(void **state)
{
	(void)state;
	struct verr e = { 0 };
	verr_set(&e, -EBUSY, "old");
	verr_clear(&e);
	assert_int_equal(e.code, 0);
	assert_string_equal(e.msg, "");
	verr_set(&e, -EIO, "new");
	assert_string_equal(e.msg, "new");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_error_wins),
		cmocka_unit_test(test_null_is_allowed_and_code_is_returned),
		cmocka_unit_test(test_prefix_goes_before_the_sentence),
		cmocka_unit_test(test_prefix_without_a_sentence_explains_the_code),
		cmocka_unit_test(test_cut_sentence_ends_in_dots),
		cmocka_unit_test(test_longest_whole_sentence_is_not_cut),
		cmocka_unit_test(test_cleared_error_takes_a_new_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
