// SPDX-License-Identifier: GPL-2.0-or-later
// Shared level lines: the OR of their sources, told on change only; hardware beside them.
#include "rec.h"

static struct rec_chip chip;
static struct intx_lines lines;

static uint32_t gsi_of(unsigned int dev, unsigned int pin)
{
	return (dev + pin) % 4;
}

static int setup(void **state)
{
	(void)state;
	rec_chip_init(&chip);
	intx_lines_init(&lines, &chip.c, gsi_of);
	return 0;
}

static void test_line_is_the_or_of_its_sources(void **state)
{
	struct intx_source a = { 0 }, b = { 0 }, other = { 0 };
	(void)state;
	intx_connect(&lines, &a, 1, 1);
	intx_connect(&lines, &b, 0, 2);
	intx_connect(&lines, &other, 0, 3);
	assert_int_equal(a.gsi, 2);
	assert_int_equal(b.gsi, 2);
	intx_set(&a, true);
	assert_true(chip.level[2]);
	intx_set(&b, true);
	intx_set(&a, true);
	assert_int_equal(chip.line_sets, 1);
	intx_set(&a, false);
	assert_true(chip.level[2]);
	intx_set(&b, false);
	assert_false(chip.level[2]);
	assert_int_equal(chip.line_sets, 2);
	intx_set(&other, true);
	assert_true(chip.level[3]);
	assert_false(chip.level[2]);
	intx_disconnect(&a);
	intx_disconnect(&b);
	intx_disconnect(&other);
	assert_false(chip.level[3]); /* lowered on the way out */
}

static void test_disconnected_source_is_inert(void **state)
{
	struct intx_source s = { 0 };
	(void)state;
	intx_set(&s, true);
	intx_disconnect(&s);
	assert_int_equal(intx_bind(&s, 5, 6), -ENOTCONN);
	intx_unbind(&s);
	assert_int_equal(chip.line_sets, 0);
	intx_connect(&lines, &s, 0, 0);
	intx_disconnect(&s);
	intx_disconnect(&s);
}

static void test_several_hardware_sources_share_a_line(void **state)
{
	struct intx_source a = { 0 }, b = { 0 }, soft = { 0 };
	(void)state;
	intx_connect(&lines, &a, 1, 0);
	intx_connect(&lines, &b, 5, 0);
	intx_connect(&lines, &soft, 1, 0);
	assert_int_equal(intx_bind(&a, 10, 11), 0);
	assert_int_equal(intx_bind(&b, 20, 21), 0);
	assert_int_equal(intx_bind(&a, 30, 31), -EBUSY);
	assert_int_equal(chip.n_line, 2);
	assert_int_equal(chip.line[1].gsi, 1);
	assert_int_equal(chip.line[1].resample_fd, 21);
	intx_set(&soft, true);
	assert_true(chip.level[1]);
	intx_unbind(&a);
	assert_int_equal(chip.n_line, 1);
	assert_int_equal(chip.line[0].fd, 20);
	intx_unbind(&a);
	intx_disconnect(&b); /* unbinds */
	assert_int_equal(chip.n_line, 0);
	assert_true(chip.level[1]);
	intx_disconnect(&soft);
	intx_disconnect(&a);
}

static void test_refused_bind_leaves_nothing(void **state)
{
	struct intx_source a = { 0 };
	(void)state;
	intx_connect(&lines, &a, 0, 0);
	chip.fail_line = -EOPNOTSUPP;
	assert_int_equal(intx_bind(&a, 10, 11), -EOPNOTSUPP);
	assert_int_equal(a.fd, -1);
	intx_disconnect(&a);
}

static void test_ends_are_those_of_a_bound_line(void **state)
{
	struct intx_source a = { 0 };
	uint64_t ended = 7;
	(void)state;
	assert_int_equal(intx_ended(&a, &ended), -ENOTCONN);
	intx_connect(&lines, &a, 3, 0);
	assert_int_equal(intx_ended(&a, &ended), -ENOTCONN);
	assert_int_equal(ended, 7);
	assert_int_equal(intx_bind(&a, 10, 11), 0);
	assert_int_equal(intx_ended(&a, &ended), 0);
	assert_int_equal(ended, 103);
	intx_disconnect(&a);
	assert_int_equal(intx_ended(&a, &ended), -ENOTCONN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_line_is_the_or_of_its_sources, setup),
		cmocka_unit_test_setup(test_disconnected_source_is_inert, setup),
		cmocka_unit_test_setup(test_several_hardware_sources_share_a_line, setup),
		cmocka_unit_test_setup(test_refused_bind_leaves_nothing, setup),
		cmocka_unit_test_setup(test_ends_are_those_of_a_bound_line, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
