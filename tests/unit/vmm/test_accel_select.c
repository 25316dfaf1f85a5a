// SPDX-License-Identifier: GPL-2.0-or-later
// The ordered list of accelerators: what it accepts, what it opens, what it says of those it
// passed over.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fake/fake_host.h"
#include "tests/fake/fake_kvm.h"
#include "tests/fake/fake_sys.h"
#include "vmm/accel_select.h"

static int setup(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return fake_clean() ? 0 : -1;
}

static void test_lists_that_make_sense(void **state)
{
	static const char *const good[] = {
		"kvm",
		"none",
		"kvm:none",
		"none:kvm",
		"kvm,kernel-irqchip=split",
		"kvm,kernel-irqchip=on:none",
		"kvm,kernel-irqchip=split:kvm,kernel-irqchip=on:none",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct verr err = { 0 };
		if (accel_list_check(good[i], &err) < 0)
			fail_msg("%s: %s", good[i], err.msg);
	}
}

static void test_nonsense_is_rejected(void **state)
{
	static const struct {
		const char *list, *says;
	} bad[] = {
		{ "", "empty entry" },
		{ ":", "empty entry" },
		{ "kvm:", "empty entry" },
		{ ":kvm", "empty entry" },
		{ "kvm::none", "empty entry" },
		{ "xen", "xen" },
		{ "kvn", "did you mean" },
		{ "kvm:tcg", "tcg" },
		{ "KVM", "KVM" },
		{ "kvm,kernel-irqchip", "kernel-irqchip" },
		{ "kvm,kernel-irqchip=off", "off" },
		{ "kvm,kernel-irqchip=on,kernel-irqchip=split", "kernel-irqchip" },
		{ "kvm,speed=9", "speed" },
		{ "none,x=y", "x" },
		{ ",kernel-irqchip=on", "" },
	};
	char huge[600];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct verr err = { 0 };
		if (accel_list_check(bad[i].list, &err) >= 0)
			fail_msg("\"%s\" was accepted", bad[i].list);
		if (!err.msg[0] || !strstr(err.msg, bad[i].says))
			fail_msg("\"%s\": \"%s\"", bad[i].list, err.msg);
	}
	memset(huge, 'k', sizeof(huge) - 1);
	huge[sizeof(huge) - 1] = '\0';
	struct verr err = { 0 };
	assert_true(accel_list_check(huge, &err) < 0);
	assert_non_null(strstr(err.msg, "too long"));
}

static char *reasons;
static size_t n_reasons;

static int open_list(const char *list, struct accel **a, bool *fallback, struct verr *err)
{
	free(reasons);
	FILE *out = open_memstream(&reasons, &n_reasons);
	int r = accel_list_open(list, out, a, fallback, err);
	fclose(out);
	return r;
}

static void test_first_that_opens_is_taken(void **state)
{
	struct verr err = { 0 };
	struct accel *a = NULL;
	bool fallback = true;
	(void)state;
	assert_int_equal(open_list("kvm:none", &a, &fallback, &err), 0);
	assert_string_equal(a->name, "kvm");
	assert_false(fallback);
	assert_true(a->runs_guests);
	assert_string_equal(reasons, "");
	a->ops->close(a);
	assert_int_equal(open_list("none", &a, &fallback, &err), 0);
	assert_string_equal(a->name, "none");
	assert_false(fallback);
	assert_false(a->runs_guests);
	a->ops->close(a);
}

static void test_fallback_says_why_in_one_line_each(void **state)
{
	struct verr err = { 0 };
	struct accel *a = NULL;
	bool fallback = false;
	(void)state;
	fake_kvm()->present = false;
	fake_file_remove("/dev/kvm");
	assert_int_equal(open_list("kvm:kvm,kernel-irqchip=split:none", &a, &fallback, &err), 0);
	assert_string_equal(a->name, "none");
	assert_true(fallback);
	assert_int_equal(err.code, 0);
	unsigned int lines = 0;
	for (const char *p = reasons; *p; p++)
		lines += *p == '\n';
	assert_int_equal(lines, 2);
	assert_non_null(strstr(reasons, "vfio-vmm: accelerator kvm passed over: "));
	assert_non_null(strstr(reasons, "/dev/kvm"));
	a->ops->close(a);
}

static void test_no_permission_is_a_reason(void **state)
{
	struct verr err = { 0 };
	struct accel *a = NULL;
	bool fallback;
	(void)state;
	fake_path_errno("/dev/kvm", EACCES);
	assert_int_equal(open_list("kvm", &a, &fallback, &err), -EACCES);
	assert_non_null(strstr(err.msg, "/dev/kvm"));
	assert_string_equal(reasons, ""); /* the error itself says it */
	fake_path_errno("/dev/kvm", 0);
}

static void test_last_ones_reason_is_the_error(void **state)
{
	struct verr err = { 0 };
	struct accel *a = NULL;
	bool fallback;
	(void)state;
	fake_kvm()->present = false;
	fake_file_remove("/dev/kvm");
	assert_true(open_list("kvm,kernel-irqchip=split:kvm", &a, &fallback, &err) < 0);
	assert_true(err.code < 0);
	assert_non_null(strstr(err.msg, "/dev/kvm"));
	assert_null(a);
}

static void test_bad_entry_behind_one_that_fails(void **state)
{
	struct verr err = { 0 };
	struct accel *a = NULL;
	bool fallback;
	(void)state;
	fake_kvm()->present = false;
	fake_file_remove("/dev/kvm");
	assert_true(open_list("kvm:", &a, &fallback, &err) < 0);
	assert_true(err.msg[0] != '\0' && err.code < 0);
	verr_clear(&err);
	assert_true(open_list("kvm:nun", &a, &fallback, &err) < 0);
	assert_non_null(strstr(err.msg, "nun"));
	free(reasons);
	reasons = NULL;
}

#define T_(f)                                                                                      \
	{                                                                                          \
#f, f, setup, teardown, NULL                                                       \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T_(test_lists_that_make_sense),
		T_(test_nonsense_is_rejected),
		T_(test_first_that_opens_is_taken),
		T_(test_fallback_says_why_in_one_line_each),
		T_(test_no_permission_is_a_reason),
		T_(test_last_ones_reason_is_the_error),
		T_(test_bad_entry_behind_one_that_fails),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
