// SPDX-License-Identifier: GPL-2.0-or-later
//
// The fake kernel's front door: paths, files, the leak report, the log, faults, and that the
// sweep finds what is wrong.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/sys.h"
#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_host.h"
#include "tests/fake/fake_sys.h"

static int fresh(void **s)
{
	(void)s;
	fake_reset();
	return 0;
}

static void test_unknown_path_does_not_reach_the_machine(void **s)
{
	(void)s;
	struct stat st;
	char buf[8];
	assert_int_equal(sys_open("/etc/passwd", O_RDONLY, 0), -ENOENT);
	assert_int_equal(sys->stat("/etc/passwd", &st), -ENOENT);
	assert_int_equal(sys->readlink("/proc/self/exe", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(sys->access("/etc/passwd", R_OK), -ENOENT);
}

static void test_allowed_path_reaches_the_machine(void **s)
{
	(void)s;
	fake_allow_path("/dev/zero");
	int fd = sys_open("/dev/zero", O_RDONLY, 0);
	assert_true(fd >= 0);
	char c = 1;
	assert_int_equal(sys_read(fd, &c, 1), 1);
	assert_int_equal(c, 0);
	assert_int_equal(fake_leaks(NULL), 1);
	sys_close(fd);
	fake_assert_clean();
}

static void test_open_fd_and_mapping_are_leaks(void **s)
{
	(void)s;
	void *p;
	int fd = sys_eventfd(0, 0);
	assert_string_equal(fake_fd_name(fd), "eventfd");
	assert_int_equal(sys_mmap(&p, NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 0);
	assert_int_equal(fake_leaks(NULL), 2);
	assert_int_equal(sys_munmap(p, 4096), 0);
	assert_int_equal(fake_leaks(NULL), 2); /* the second half */
	sys_munmap((char *)p + 4096, 4096);
	sys_close(fd);
	fake_assert_clean();
}

static void test_close_of_a_stranger_is_a_finding(void **s)
{
	(void)s;
	assert_int_equal(sys_close(901), -EBADF);
	assert_true(fake_violated("not opened through the seam"));
}

static void test_files_under_run_are_files(void **s)
{
	(void)s;
	struct verr err = { .code = 0 };
	char text[32];
	assert_int_equal(sys->mkdir("/run/x", 0700), 0);
	assert_int_equal(sys->mkdir("/run/x", 0700), -EEXIST);
	assert_int_equal(sys_replace_file("/run/x/j", "one\n", &err), 0);
	assert_int_equal(sys_replace_file("/run/x/j", "two\n", &err), 0);
	assert_int_equal(sys_read_text("/run/x/j", text, sizeof(text)), 3);
	assert_string_equal(text, "two");
	assert_int_equal(sys_open("/run/x/j", O_WRONLY | O_CREAT | O_EXCL, 0600), -EEXIST);
	assert_int_equal(fake_leaks(NULL), 1);
	assert_int_equal(sys->unlink("/run/x/j"), 0);
	assert_int_equal(sys->unlink("/run/x/j"), -ENOENT);
	fake_assert_clean();
}

static void test_sysfs_can_not_be_made_or_removed(void **s)
{
	(void)s;
	assert_int_equal(sys_open("/sys/bus/pci/x", O_WRONLY | O_CREAT, 0600), -EACCES);
	assert_int_equal(sys->unlink("/sys/bus/pci/drivers_probe"), -EPERM);
	assert_int_equal(sys->mkdir("/sys/x", 0700), -EPERM);
	assert_int_equal(sys_open("/sys/bus/pci/drivers_probe", O_RDONLY, 0), -EACCES);
	assert_int_equal(sys_open("/sys/bus/pci", O_WRONLY, 0), -EISDIR);
}

static void test_path_can_be_made_to_fail(void **s)
{
	(void)s;
	fake_path_errno("/dev/kvm", EACCES);
	assert_int_equal(sys_open("/dev/kvm", O_RDWR, 0), -EACCES);
	fake_path_errno("/dev/kvm", 0);
	int fd = sys_open("/dev/kvm", O_RDWR, 0);
	assert_true(fd >= 0);
	sys_close(fd);
}

static int count_names(void *opaque, const char *name)
{
	unsigned int *n = opaque;
	(*n)++;
	return strcmp(name, "c") == 0 ? 42 : 0;
}

static void test_listdir_stops_at_the_callers_word(void **s)
{
	(void)s;
	unsigned int n = 0;
	fake_file_set("/tmp/d/a", "");
	fake_file_set("/tmp/d/b", "");
	assert_int_equal(sys->listdir("/tmp/d", count_names, &n), 0);
	assert_int_equal(n, 2);
	fake_file_set("/tmp/d/c", "");
	assert_int_equal(sys->listdir("/tmp/d", count_names, &n), 42);
	assert_int_equal(sys->listdir("/tmp/d/a", count_names, &n), -ENOTDIR);
	assert_int_equal(sys->listdir("/tmp/none", count_names, &n), -ENOENT);
}

static void test_log_tells_calls_in_order(void **s)
{
	(void)s;
	int fd = sys_open("/dev/vfio/vfio", O_RDWR, 0);
	sys_open("/dev/vfio/99", O_RDWR, 0);
	sys_close(fd);
	int at = fake_log_find("open /dev/vfio/vfio", 0);
	assert_true(at >= 0);
	assert_true(fake_log_find("open /dev/vfio/99 = -ENOENT", at) > at);
	assert_int_equal(fake_log_count("close /dev/vfio/vfio = 0"), 1);
	fake_log_clear();
	assert_int_equal(fake_log_find("open", 0), -1);
}

/* --- faults ------------------------------------------------------------------------------- */

static void test_nth_matching_call_fails(void **s)
{
	(void)s;
	struct fake_fault f = {
		.calls = BIT32(FAKE_CALL_EVENTFD), .nth = 2, .times = 1, .err = EMFILE
	};
	fake_fault_add(&f);
	int a = sys_eventfd(0, 0), b = sys_eventfd(0, 0), c = sys_eventfd(0, 0);
	assert_true(a >= 0);
	assert_int_equal(b, -EMFILE);
	assert_true(c >= 0);
	assert_int_equal(fake_fault_hits(), 1);
	sys_close(a);
	sys_close(c);
}

static void test_fault_by_path_and_for_ever(void **s)
{
	(void)s;
	struct fake_fault f = { .path = "/dev/vfio/*", .nth = 1, .err = EACCES };
	fake_fault_add(&f);
	assert_int_equal(sys_open("/dev/vfio/vfio", O_RDWR, 0), -EACCES);
	assert_int_equal(sys_open("/dev/vfio/vfio", O_RDWR, 0), -EACCES);
	int fd = sys_open("/dev/kvm", O_RDWR, 0);
	assert_true(fd >= 0);
	fake_fault_clear();
	int c = sys_open("/dev/vfio/vfio", O_RDWR, 0);
	assert_true(c >= 0);
	sys_close(c);
	sys_close(fd);
}

/* --- the sweep ---------------------------------------------------------------------------- */

enum flaw { NO_FLAW, LEAKS_FD, NO_SENTENCE, WRONG_NAME, FAILS_ANYWAY };

static int scenario(void *opaque, struct verr *err)
{
	enum flaw flaw = *(enum flaw *)opaque;
	void *p;
	int a = sys_eventfd(0, 0);
	if (a < 0)
		return verr_set(err, a, "thing X: eventfd");
	int b = sys_open("/dev/kvm", O_RDWR, 0);
	if (b < 0) {
		if (flaw != LEAKS_FD)
			sys_close(a);
		if (flaw == NO_SENTENCE)
			return b;
		return verr_set(err, b, flaw == WRONG_NAME ? "it failed" : "thing X: /dev/kvm");
	}
	int r = sys_mmap(&p, NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (r == 0) {
		sys->madvise(p, 4096, MADV_HUGEPAGE); /* best effort */
		sys_munmap(p, 4096);
	} else {
		verr_set(err, r, "thing X: memory");
	}
	sys_close(b);
	sys_close(a);
	if (r == 0 && flaw == FAILS_ANYWAY)
		return verr_set(err, -EIO, "thing X: no");
	return r;
}

static struct fake_sweep_stats sweep(enum flaw flaw)
{
	struct fake_sweep_stats st;
	const struct fake_sweep sw = {
		.name = "toy", .run = scenario, .opaque = &flaw, .names = "thing X"
	};
	/* Findings are expected here: their text is not for the test's output. */
	fflush(stderr);
	int keep = dup(2), null = open("/dev/null", O_WRONLY);
	if (flaw != NO_FLAW)
		dup2(null, 2);
	fault_sweep(&sw, &st);
	fflush(stderr);
	dup2(keep, 2);
	close(keep);
	close(null);
	return st;
}

static void test_sweep_fails_every_call_in_every_way(void **s)
{
	(void)s;
	struct fake_sweep_stats st = sweep(NO_FLAW);
	assert_int_equal(st.bad, 0);
	assert_int_equal(st.calls, 4);	   /* eventfd, open, mmap, madvise */
	assert_int_equal(st.injected, 12); /* 3 + 4 + 3 + 2 errnos */
	assert_int_equal(st.failed, 10);
	assert_int_equal(st.absorbed, 2);
}

static void test_sweep_finds_what_is_wrong(void **s)
{
	(void)s;
	assert_int_equal(sweep(LEAKS_FD).bad, 4);
	assert_int_equal(sweep(NO_SENTENCE).bad, 4);
	assert_int_equal(sweep(WRONG_NAME).bad, 4);
	assert_true(sweep(FAILS_ANYWAY).bad > 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_unknown_path_does_not_reach_the_machine, fresh),
		cmocka_unit_test_setup(test_allowed_path_reaches_the_machine, fresh),
		cmocka_unit_test_setup(test_open_fd_and_mapping_are_leaks, fresh),
		cmocka_unit_test_setup(test_close_of_a_stranger_is_a_finding, fresh),
		cmocka_unit_test_setup(test_files_under_run_are_files, fresh),
		cmocka_unit_test_setup(test_sysfs_can_not_be_made_or_removed, fresh),
		cmocka_unit_test_setup(test_path_can_be_made_to_fail, fresh),
		cmocka_unit_test_setup(test_listdir_stops_at_the_callers_word, fresh),
		cmocka_unit_test_setup(test_log_tells_calls_in_order, fresh),
		cmocka_unit_test_setup(test_nth_matching_call_fails, fresh),
		cmocka_unit_test_setup(test_fault_by_path_and_for_ever, fresh),
		cmocka_unit_test_setup(test_sweep_fails_every_call_in_every_way, fresh),
		cmocka_unit_test_setup(test_sweep_finds_what_is_wrong, fresh),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
