// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/boot/cmdline.c: the user's command line is appended, and wins.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cc.h"
#include "vmm/boot/cmdline.h"
#include "vmm/boot/layout.h"

static const struct {
	const char *user;
	bool serial;
	const char *out;
} cases[] = {
	{ NULL, true, "console=ttyS0" },
	{ NULL, false, "" },
	{ "", true, "console=ttyS0" },
	{ "quiet", true, "console=ttyS0 quiet" },
	{ "quiet", false, "quiet" },
	{ "console=tty0 quiet", true, "console=tty0 quiet" },
	{ "quiet  console=hvc0", true, "quiet  console=hvc0" },
	{ "console", true, "console" },
	{ "\"console=tty0 x\" a", true, "\"console=tty0 x\" a" },
	{ "consoleblank=0", true, "console=ttyS0 consoleblank=0" },
	{ "noconsole=1", true, "console=ttyS0 noconsole=1" },
	{ "a=\"b console=tty0\"", true, "console=ttyS0 a=\"b console=tty0\"" },
	{ "a -- console=tty0", true, "console=ttyS0 a -- console=tty0" },
	{ "a --x console=tty0", true, "a --x console=tty0" },
	{ "a\tb", true, "console=ttyS0 a\tb" },
	{ "\"open console=tty0", true, "console=ttyS0 \"open console=tty0" },
};

static void test_defaults_are_merged_with_the_users(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pc_layout l = { .has_serial = cases[i].serial };
		char *line;

		assert_int_equal(cmdline_build(&l, cases[i].user, &line, NULL), 0);
		assert_string_equal(line, cases[i].out);
		free(line);
	}
}

static void test_control_characters_are_refused(void **state)
{
	static const char *const bad[] = { "a\nb", "a\r", "\033[0m", "x\177" };
	struct pc_layout l = { .has_serial = true };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct verr e = { 0 };
		char *line;

		assert_int_equal(cmdline_build(&l, bad[i], &line, &e), -EINVAL);
		assert_non_null(strstr(e.msg, "--cmdline: control character"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_are_merged_with_the_users),
		cmocka_unit_test(test_control_characters_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
