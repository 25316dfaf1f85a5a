// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio-inspect on the fake kernel: every call of an inventory fails in turn and nothing leaks;
// nothing is ever opened for writing; --open shows what VFIO says and lets go of it again.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_host.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_zoo.h"
#include "tools/inspect/inspect.h"

static void lab(void *opaque)
{
	(void)opaque;
	fake_zoo_lab();
}

static int begin(void **state)
{
	(void)state;
	fake_reset();
	return 0;
}

static struct bdf bdf_of(const char *text)
{
	struct bdf b;
	assert_int_equal(bdf_parse(text, &b, NULL), 0);
	return b;
}

static void test_inventory_has_groups_functions_and_their_facts(void **state)
{
	(void)state;
	struct inv inv;
	struct verr err = { .code = 0 };
	fake_zoo_lab();
	assert_int_equal(inv_read(&inv, INV_FULL, NULL, 0, &err), 0);
	struct bdf gpu = bdf_of("0000:05:00.0");
	int at = inv_find(&inv, &gpu);
	assert_true(at >= 0);
	const struct inv_fn *f = &inv.fn[at];
	assert_true(f->full && f->cfg_len == 4096 && f->n_caps > 0);
	assert_int_equal(inv.group[f->group].id, 15);
	assert_int_equal(inv.group[f->group].n_fn, 3);
	assert_int_equal(inv.group[f->group].merged_by, f->parent);
	assert_int_equal(inv.group[f->group].viable, INV_NOT_VIABLE);
	struct bdf nvme = bdf_of("0000:01:00.0");
	f = &inv.fn[inv_find(&inv, &nvme)];
	assert_int_equal(f->bar[0].size, 0x4000);
	assert_int_equal(f->map[0].n_holes, 2);
	assert_int_equal(f->map[0].hole[0].off, 0x2000);
	assert_int_equal(f->map[0].n_direct, 1);
	assert_int_equal(f->map[0].direct[0].size, 0x2000);
	inv_fini(&inv);
	inv_fini(&inv);
	inv_fini(NULL);
}

static void test_absent_function_is_named(void **state)
{
	(void)state;
	struct inv inv;
	struct verr err = { .code = 0 };
	struct bdf at = bdf_of("0000:09:00.0");
	fake_zoo_lab();
	assert_int_equal(inv_read(&inv, INV_FULL, &at, 1, &err), -ENODEV);
	assert_non_null(strstr(err.msg, "0000:09:00.0"));
}

/* --- what it must not do ---------------------------------------------------------------------- */

static const struct sys_ops *real;
static unsigned int forbidden;

static int no_writing_open(const char *path, int flags, mode_t mode)
{
	if ((flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC))) {
		fprintf(stderr, "opened for writing: %s\n", path);
		forbidden++;
	}
	return real->open(path, flags, mode);
}

static ssize_t no_write(int fd, const void *buf, size_t len)
{
	forbidden++;
	return real->write(fd, buf, len);
}

static int no_path_call(const char *path)
{
	forbidden++;
	return real->unlink(path);
}

static void test_inventory_opens_nothing_for_writing(void **state)
{
	(void)state;
	struct inv inv;
	struct verr err = { .code = 0 };
	fake_zoo_lab();
	struct sys_ops watch = *sys;
	real = sys;
	watch.open = no_writing_open;
	watch.write = no_write;
	watch.unlink = no_path_call;
	forbidden = 0;
	sys = &watch;
	int r = inv_read(&inv, INV_FULL, NULL, 0, &err);
	sys = real;
	assert_int_equal(r, 0);
	inv_fini(&inv);
	assert_int_equal(forbidden, 0);
}

/* --- every call fails ------------------------------------------------------------------------- */

static int read_all(void *opaque, struct verr *err)
{
	struct inv inv;
	int r = inv_read(&inv, *(enum inv_detail *)opaque, NULL, 0, err);
	if (r < 0)
		return r;
	json_t *doc = inspect_json(&inv, NULL, 0);
	assert_non_null(doc);
	json_decref(doc);
	inv_fini(&inv);
	return 0;
}

static void test_every_call_of_an_inventory_may_fail(void **state)
{
	(void)state;
	enum inv_detail detail = INV_FULL;
	struct fake_sweep s = {
		.name = "inspect", .setup = lab, .run = read_all, .opaque = &detail
	};
	assert_int_equal(fault_sweep(&s, NULL), 0);
}

/* --- show --open ------------------------------------------------------------------------------ */

/* What `show` prints of the function; the caller frees. */
static char *shown(const char *at, int *status)
{
	char *text = NULL;
	size_t len = 0;
	struct bdf b = bdf_of(at);
	struct inspect in = { .cmd = "show", .bdf = &b, .n_args = 1 };
	in.out = open_memstream(&text, &len);
	assert_non_null(in.out);
	*status = inspect_show.run(&in);
	fclose(in.out);
	return text;
}

static void test_open_shows_what_vfio_says(void **state)
{
	(void)state;
	int status;
	fake_zoo_one(&zoo_nvme);
	fake_mark();
	assert_int_equal(inspect_show.option(inspect_show.options[0].val, NULL, NULL), 0);
	char *text = shown("0000:03:00.0", &status);
	assert_int_equal(status, INSPECT_OK);
	assert_non_null(strstr(text, "BAR 0    16 KiB rw"));
	assert_non_null(strstr(text, "mappable 0x0-0x"));
	assert_non_null(strstr(text, "    IOVA     0x0-0xfedfffff\n"));
	assert_non_null(strstr(text, "migrate  no"));
	free(text);
	assert_int_equal(fake_leaks(stdout), 0);
}

static int show_run(void *opaque, struct verr *err)
{
	int status;
	FILE *shown_errors = stderr;
	stderr = fopen("/dev/null", "w"); /* a line for each of a hundred failures */
	assert_non_null(stderr);
	free(shown((const char *)opaque, &status));
	fclose(stderr);
	stderr = shown_errors;
	return status == INSPECT_OK ? 0 : verr_set(err, -EIO, "show failed");
}

/* Its errors go to stderr, so the sweep's question about their words is for the library's tests. */
static void test_every_call_of_show_open_may_fail(void **state)
{
	(void)state;
	static char at[] = "0000:03:00.0";
	for (enum fake_call c = FAKE_CALL_OPEN; c <= FAKE_CALL_IOCTL; c++) {
		for (unsigned int nth = 1; nth < 200; nth++) {
			struct verr err = { .code = 0 };
			struct fake_fault f = {
				.calls = BIT32(c), .nth = nth, .times = 1, .err = EIO
			};
			fake_reset();
			fake_zoo_one(&zoo_nvme);
			fake_mark();
			if (c == FAKE_CALL_CLOSE)
				break; /* never fails for a correct caller */
			fake_fault_add(&f);
			show_run(at, &err);
			bool hit = fake_fault_hits() > 0;
			fake_fault_clear();
			assert_int_equal(fake_leaks(stdout), 0);
			if (!hit)
				break;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_inventory_has_groups_functions_and_their_facts, begin),
		cmocka_unit_test_setup(test_absent_function_is_named, begin),
		cmocka_unit_test_setup(test_inventory_opens_nothing_for_writing, begin),
		cmocka_unit_test_setup(test_every_call_of_an_inventory_may_fail, begin),
		cmocka_unit_test_setup(test_open_shows_what_vfio_says, begin),
		cmocka_unit_test_setup(test_every_call_of_show_open_may_fail, begin),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
