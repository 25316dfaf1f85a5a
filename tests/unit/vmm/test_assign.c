// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/assign.c: which functions --device arguments mean, in which order, with which properties.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_zoo.h"
#include "vmm/assign.h"

#define ROOM 6

static int setup(void **state)
{
	(void)state;
	fake_reset();
	fake_zoo_lab(); /* 05:00.0 and 05:00.1 share group 15 with their bridge */
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return fake_clean() ? 0 : -1;
}

/* What `in` becomes, arguments separated by blanks; its result. */
static int expand(const char *in, char *out, size_t size, struct verr *err)
{
	char copy[512], *rest, *args[ROOM] = { NULL };
	unsigned int n = 0;
	snprintf(copy, sizeof(copy), "%s", in);
	for (char *a = strtok_r(copy, " ", &rest); a; a = strtok_r(NULL, " ", &rest))
		args[n++] = strdup(a);
	int r = assign_expand(args, &n, ROOM, err);
	out[0] = '\0';
	for (unsigned int i = 0; i < n; i++) {
		size_t at = strlen(out);
		snprintf(out + at, size - at, "%s%s", i ? " " : "", args[i]);
	}
	assign_free(args, n);
	return r;
}

static void test_groups_and_order(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "vfio-pci,host=03:00.0", "vfio-pci,host=03:00.0" },
		{ "rtc pcie-root-port,id=a", "rtc pcie-root-port,id=a" },
		/* Functions of one slot in their order, where the first of them stood. */
		{ "vfio-pci,host=05:00.1 x vfio-pci,id=g,host=05:00.0",
		  "vfio-pci,id=g,host=05:00.0 vfio-pci,host=05:00.1 x" },
		{ "vfio-pci,host=05:00.0 x vfio-pci,host=05:00.1",
		  "vfio-pci,host=05:00.0 x vfio-pci,host=05:00.1" },
		/* Whole groups: endpoints only, with the properties that all can have. */
		{ "vfio-pci,host=0000:05:00.0,group=on",
		  "vfio-pci,host=0000:05:00.0,group=on vfio-pci,host=0000:05:00.1" },
		{ "vfio-pci,group=on,host=0000:05:00.1,on-error=eject,id=hda,addr=03,romfile=a,,b,x-vga=on",
		  "vfio-pci,host=0000:05:00.0,id=hda.1,on-error=eject "
		  "vfio-pci,group=on,host=0000:05:00.1,on-error=eject,id=hda,addr=03,romfile=a,,b,x-vga=on" },
		{ "vfio-pci,host=0000:05:00.0,group=off", "vfio-pci,host=0000:05:00.0,group=off" },
		/* Who is named himself is not named again. */
		{ "vfio-pci,host=05:00.0,group=on vfio-pci,host=05:00.1,rombar=off",
		  "vfio-pci,host=05:00.0,group=on vfio-pci,host=05:00.1,rombar=off" },
		/* What is wrong is said by those who come after. */
		{ "vfio-pci,host=nonsense,group=on", "vfio-pci,host=nonsense,group=on" },
		{ "vfio-pci,host=09:00.0,group=on", "vfio-pci,host=09:00.0,group=on" },
		{ "vfio-pci,group=on", "vfio-pci,group=on" },
	};
	struct verr err = { 0 };
	char out[512];
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(expand(cases[i].in, out, sizeof(out), &err), 0);
		assert_string_equal(out, cases[i].out);
	}
}

static void test_too_many_are_refused(void **state)
{
	struct verr err = { 0 };
	char out[512];
	(void)state;
	assert_int_equal(expand("a b c d e vfio-pci,host=05:00.0,group=on", out, sizeof(out), &err),
			 -E2BIG);
	assert_string_equal(err.msg, "more than 6 devices");
}

static void test_host_address(void **state)
{
	struct verr err = { 0 };
	struct bdf at;
	(void)state;
	assert_int_equal(
		assign_host("vfio-pci,id=a,,host=b,host=0000:05:00.1,rombar=on", &at, &err), 1);
	assert_true(at.bus == 5 && at.fn == 1);
	assert_int_equal(assign_host("vfio-pci,id=host", &at, &err), 0);
	assert_int_equal(assign_host("virtio-net,host=05:00.0", &at, &err), 0);
	assert_int_equal(assign_host("vfio-pci,host=", &at, &err), -EINVAL);
	assert_true(err.msg[0]);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_groups_and_order, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_host_address, setup, teardown),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
