// SPDX-License-Identifier: GPL-2.0-or-later
//
// Appending to a buffer of fixed size: what fits, what is cut, and that nothing is written past it.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/text.h"

static void test_append_joins(void **state)
{
	char text[32] = "a";
	(void)state;
	text_append(text, sizeof(text), ", %s", "b");
	text_append(text, sizeof(text), ", %d", 3);
	assert_string_equal(text, "a, b, 3");
}

static void test_append_cuts_with_dots_and_stays_inside(void **state)
{
	(void)state;
	for (size_t size = 0; size < 12; size++) {
		char text[16];
		memset(text, '#', sizeof(text));
		if (size)
			text[0] = '\0';
		text_append(text, size, "%s", "12345");
		text_append(text, size, "%s", "67890");
		for (size_t i = size; i < sizeof(text); i++)
			assert_int_equal(text[i], '#');
		if (size == 0)
			continue;
		if (size > 10)
			assert_string_equal(text, "1234567890");
		else if (size > 3)
			assert_string_equal(text + size - 4, "...");
		assert_true(strlen(text) < size);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_joins),
		cmocka_unit_test(test_append_cuts_with_dots_and_stays_inside),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
