// SPDX-License-Identifier: GPL-2.0-or-later
//
// Aligned allocation: lowest first, never outside what was given, exact errors.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "core/rangealloc.h"

static void give(struct rangealloc *a, uint64_t first, uint64_t last)
{
	assert_int_equal(rangealloc_give(a, (struct range){ first, last }), 0);
}

static void test_takes_the_lowest_aligned_fit(void **state)
{
	(void)state;
	struct rangealloc a = { 0 };
	uint64_t at;
	give(&a, 0x1100, 0x1fff);
	give(&a, 0x10000, 0x1ffff);
	assert_int_equal(rangealloc_take(&a, 0x1000, 0x1000, &at), 0);
	assert_int_equal(at, 0x10000);
	assert_int_equal(rangealloc_take(&a, 0x100, 0x100, &at), 0);
	assert_int_equal(at, 0x1100);
	assert_int_equal(rangealloc_take(&a, 0x10, 0x800, &at), 0);
	assert_int_equal(at, 0x1800);
	/* The hole that alignment left is still there. */
	assert_int_equal(rangealloc_take(&a, 0x600, 1, &at), 0);
	assert_int_equal(at, 0x1200);
	rangealloc_fini(&a);
}

static void test_refuses_what_does_not_fit(void **state)
{
	(void)state;
	struct rangealloc a = { 0 };
	uint64_t at = 42;
	assert_int_equal(rangealloc_take(&a, 1, 1, &at), -ENOSPC);
	give(&a, 0x1001, 0x2fff);
	assert_int_equal(rangealloc_take(&a, 0x1001, 0x1000, &at), -ENOSPC);
	assert_int_equal(rangealloc_take(&a, 0, 1, &at), -EINVAL);
	assert_int_equal(rangealloc_take(&a, 1, 0, &at), -EINVAL);
	assert_int_equal(rangealloc_take(&a, 1, 3, &at), -EINVAL);
	assert_int_equal(rangealloc_take(&a, UINT64_MAX, 1, &at), -ENOSPC);
	assert_int_equal(at, 42);
	assert_int_equal(rangealloc_take(&a, 0x1000, 0x1000, &at), 0);
	assert_int_equal(at, 0x2000);
	rangealloc_fini(&a);
}

static void test_alignment_that_wraps_is_no_space(void **state)
{
	(void)state;
	struct rangealloc a = { 0 };
	uint64_t at = 42;
	give(&a, UINT64_MAX - 0xffe, UINT64_MAX);
	assert_int_equal(rangealloc_take(&a, 1, 0x1000, &at), -ENOSPC);
	assert_int_equal(at, 42);
	give(&a, UINT64_MAX - 0xfff, UINT64_MAX - 0xfff);
	assert_int_equal(rangealloc_take(&a, 0x1000, 0x1000, &at), 0);
	assert_int_equal(at, UINT64_MAX - 0xfff);
	rangealloc_fini(&a);
}

static void test_take_at_is_exact(void **state)
{
	(void)state;
	struct rangealloc a = { 0 };
	give(&a, 10, 19);
	assert_int_equal(rangealloc_take_at(&a, (struct range){ 9, 10 }), -EBUSY);
	assert_int_equal(rangealloc_take_at(&a, (struct range){ 12, 13 }), 0);
	assert_int_equal(rangealloc_take_at(&a, (struct range){ 13, 14 }), -EBUSY);
	assert_int_equal(rangealloc_take_at(&a, (struct range){ 14, 19 }), 0);
	assert_int_equal(rangealloc_largest(&a), 2);
	give(&a, 12, 13);
	assert_int_equal(rangealloc_largest(&a), 4);
	rangealloc_fini(&a);
}

static void test_largest_saturates(void **state)
{
	(void)state;
	struct rangealloc a = { 0 };
	assert_int_equal(rangealloc_largest(&a), 0);
	give(&a, 0, UINT64_MAX);
	assert_true(rangealloc_largest(&a) == UINT64_MAX);
	rangealloc_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_takes_the_lowest_aligned_fit),
		cmocka_unit_test(test_refuses_what_does_not_fit),
		cmocka_unit_test(test_alignment_that_wraps_is_no_space),
		cmocka_unit_test(test_take_at_is_exact),
		cmocka_unit_test(test_largest_saturates),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
