// SPDX-License-Identifier: GPL-2.0-or-later
//
// The real kernel's table: -errno, close-on-exec, and the file and eventfd helpers above it. One
// table of our own fails a chosen call, to see that a half-written file never replaces a good one.
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
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/sys.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[4][128];
	static unsigned int turn;
	char *p = path[turn++ % 4];
	snprintf(p, sizeof(path[0]), "%s/%s", dir, name);
	return p;
}

static int make_dir(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/vv-test-sys-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int unlink_entry(void *opaque, const char *name)
{
	(void)opaque;
	return unlink(in_dir(name));
}

static int remove_dir(void **state)
{
	(void)state;
	sys = &sys_linux;
	sys->listdir(dir, unlink_entry, NULL);
	return rmdir(dir);
}

static void put_file(const char *name, const char *text)
{
	FILE *f = fopen(in_dir(name), "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void test_failures_come_as_negative_errno(void **state)
{
	(void)state;
	void *p = (void *)1;
	struct stat st;
	char buf[8];
	assert_int_equal(sys_open("/nonexistent/x", O_RDONLY, 0), -ENOENT);
	assert_int_equal(sys_close(-1), -EBADF);
	assert_int_equal(sys_ioctl(-1, 1, NULL), -EBADF);
	assert_int_equal(sys_ioctl_n(-1, 1, 5), -EBADF);
	assert_int_equal(sys_read(-1, buf, 1), -EBADF);
	assert_int_equal(sys_write(-1, buf, 1), -EBADF);
	assert_int_equal(sys_pread(-1, buf, 1, 0), -EBADF);
	assert_int_equal(sys_pwrite(-1, buf, 1, 0), -EBADF);
	assert_int_equal(sys_mmap(&p, NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0), -EBADF);
	assert_ptr_equal(p, (void *)1);
	assert_int_equal(sys_munmap((void *)1, 4096), -EINVAL);
	assert_int_equal(sys->ftruncate(-1, 0), -EBADF);
	assert_int_equal(sys->fsync(-1), -EBADF);
	assert_int_equal(sys->fstat(-1, &st), -EBADF);
	assert_int_equal(sys->stat("/nonexistent", &st), -ENOENT);
	assert_int_equal(sys->access("/nonexistent", R_OK), -ENOENT);
	assert_int_equal(sys->readlink("/nonexistent", buf, sizeof(buf)), -ENOENT);
	assert_int_equal(sys->listdir("/nonexistent", unlink_entry, NULL), -ENOENT);
	assert_int_equal(sys->mkdir("/nonexistent/x", 0700), -ENOENT);
	assert_int_equal(sys->rename("/nonexistent", "/nonexistent2"), -ENOENT);
	assert_int_equal(sys->unlink("/nonexistent"), -ENOENT);
	assert_int_equal(sys->madvise((void *)1, 1, MADV_NORMAL), -EINVAL);
}

static void test_descriptors_close_on_exec(void **state)
{
	(void)state;
	int fds[] = { sys_open("/dev/null", O_RDWR, 0), sys_eventfd(0, 0), sys->memfd("x", 0) };
	for (size_t i = 0; i < ARRAY_SIZE(fds); i++) {
		assert_true(fds[i] >= 0);
		assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		sys_close_fd(&fds[i]);
		assert_int_equal(fds[i], -1);
		sys_close_fd(&fds[i]); /* nothing to do */
	}
}

static void test_map_write_and_read_back(void **state)
{
	(void)state;
	void *p;
	char buf[8] = "";
	struct stat st;
	int fd = sys->memfd("ram", 0);
	assert_true(fd >= 0);
	assert_int_equal(sys->ftruncate(fd, 8192), 0);
	assert_int_equal(sys->fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 8192);
	assert_int_equal(sys_mmap(&p, NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), 0);
	assert_int_equal(sys->madvise(p, 8192, MADV_DONTFORK), 0);
	memcpy((char *)p + 4096, "hello", 6);
	assert_int_equal(sys_pread(fd, buf, 6, 4096), 6);
	assert_string_equal(buf, "hello");
	assert_int_equal(sys_pwrite(fd, "J", 1, 4096), 1);
	assert_string_equal((char *)p + 4096, "Jello");
	assert_int_equal(sys_munmap(p, 8192), 0);
	sys_close_fd(&fd);
}

static int count_until(void *opaque, const char *name)
{
	int *left = opaque;
	assert_string_not_equal(name, ".");
	assert_string_not_equal(name, "..");
	return --*left == 0 ? 77 : 0;
}

static void test_listdir_gives_all_and_stops_when_told(void **state)
{
	(void)state;
	put_file("a", "");
	put_file("b", "");
	put_file("c", "");
	int left = 100;
	assert_int_equal(sys->listdir(dir, count_until, &left), 0);
	assert_int_equal(left, 97);
	left = 2;
	assert_int_equal(sys->listdir(dir, count_until, &left), 77);
	assert_int_equal(left, 0);
}

static void test_read_text_cuts_the_newline_and_refuses_big_files(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		ssize_t want;
		const char *got;
	} cases[] = {
		{ "", 0, "" },
		{ "\n", 0, "" },
		{ "abc\n", 3, "abc" },
		{ "abc", 3, "abc" },
		{ "a\n\n", 2, "a\n" },
		{ "1234567", 7, "1234567" },
		{ "123456\n", 6, "123456" },
		{ "12345678", -EFBIG, "" },
		{ "1234567\n", -EFBIG, "" },
		{ "123456789abcdef", -EFBIG, "" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[8] = "junk";
		put_file("t", cases[i].text);
		assert_int_equal(sys_read_text(in_dir("t"), buf, sizeof(buf)), cases[i].want);
		assert_string_equal(buf, cases[i].got);
	}
	char one[1];
	assert_int_equal(sys_read_text(in_dir("none"), one, sizeof(one)), -ENOENT);
	assert_int_equal(sys_read_text(in_dir("t"), one, 0), -EINVAL);
}

static void test_read_u64_is_strict(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int r;
		uint64_t want;
	} cases[] = {
		{ "0\n", 0, 0 },
		{ "12345\n", 0, 12345 },
		{ "0x8086\n", 0, 0x8086 },
		{ "0755", 0, 0755 },
		{ "18446744073709551615", 0, UINT64_MAX },
		{ "18446744073709551616", -ERANGE, 0 },
		{ "-1\n", -EINVAL, 0 },
		{ "", -EINVAL, 0 },
		{ " 5", -EINVAL, 0 },
		{ "5 apples", -EINVAL, 0 },
		{ "0xg", -EINVAL, 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t v = 99;
		put_file("n", cases[i].text);
		assert_int_equal(sys_read_u64(in_dir("n"), &v), cases[i].r);
		assert_true(v == (cases[i].r ? 99 : cases[i].want));
	}
}

static void test_write_text_replaces_but_does_not_create(void **state)
{
	(void)state;
	char buf[32];
	assert_int_equal(sys_write_text(in_dir("w"), "x"), -ENOENT);
	put_file("w", "something longer");
	assert_int_equal(sys_write_text(in_dir("w"), "short"), 0);
	assert_int_equal(sys_read_text(in_dir("w"), buf, sizeof(buf)), 5);
	assert_string_equal(buf, "short");
	assert_int_equal(sys_write_text("/dev/full", "x"), -ENOSPC);
}

static void test_readlink_base_gives_the_last_component(void **state)
{
	(void)state;
	static const struct {
		const char *target, *want;
		int r;
	} cases[] = {
		{ "../../bus/pci/drivers/e1000e", "e1000e", 0 },
		{ "plain", "plain", 0 },
		{ "/a/much-too-long-name", "", -ENAMETOOLONG },
		{ "/a/1234567", "1234567", 0 },
		{ "/a/12345678", "", -ENAMETOOLONG },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char buf[8] = "";
		unlink(in_dir("l"));
		assert_int_equal(symlink(cases[i].target, in_dir("l")), 0);
		assert_int_equal(sys_readlink_base(in_dir("l"), buf, sizeof(buf)), cases[i].r);
		assert_string_equal(buf, cases[i].want);
	}
	char buf[8];
	assert_int_equal(sys_readlink_base(in_dir("none"), buf, sizeof(buf)), -ENOENT);
}

static void expect_text(const char *name, const char *want)
{
	char buf[64] = "";
	assert_true(sys_read_text(in_dir(name), buf, sizeof(buf)) >= 0);
	assert_string_equal(buf, want);
}

static void test_replace_file_creates_private_and_replaces(void **state)
{
	(void)state;
	struct verr e = { 0 };
	struct stat st;
	assert_int_equal(sys_replace_file(in_dir("j"), "one", &e), 0);
	expect_text("j", "one");
	assert_int_equal(sys->stat(in_dir("j"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	put_file("j.tmp", "left by a crash");
	assert_int_equal(sys_replace_file(in_dir("j"), "two", &e), 0);
	expect_text("j", "two");
	assert_int_equal(sys->access(in_dir("j.tmp"), F_OK), -ENOENT);
	assert_int_equal(e.code, 0);
}

static void test_replace_file_does_not_follow_a_planted_link(void **state)
{
	(void)state;
	put_file("victim", "precious");
	assert_int_equal(symlink(in_dir("victim"), in_dir("j.tmp")), 0);
	assert_int_equal(sys_replace_file(in_dir("j"), "data", NULL), 0);
	expect_text("victim", "precious");
	expect_text("j", "data");
}

static void test_replace_file_says_which_file_failed(void **state)
{
	(void)state;
	struct verr e = { 0 };
	assert_int_equal(sys_replace_file("/nonexistent/j", "x", &e), -ENOENT);
	assert_string_equal(e.msg, "can't write /nonexistent/j: No such file or directory");
}

/* Fails one kind of call; counts what reached the file system before it. */
static enum { FAIL_OPEN, FAIL_WRITE, FAIL_SHORT, FAIL_FSYNC, FAIL_CLOSE, FAIL_RENAME, N_FAIL } fail;

static int failing_open(const char *path, int flags, mode_t mode)
{
	return fail == FAIL_OPEN ? -EMFILE : sys_linux.open(path, flags, mode);
}

static ssize_t failing_write(int fd, const void *buf, size_t len)
{
	if (fail == FAIL_WRITE)
		return -ENOSPC;
	if (fail == FAIL_SHORT)
		return len > 2 ? sys_linux.write(fd, buf, 2) : 0;
	return sys_linux.write(fd, buf, len);
}

static int failing_fsync(int fd)
{
	return fail == FAIL_FSYNC ? -EIO : sys_linux.fsync(fd);
}

static int failing_close(int fd)
{
	int r = sys_linux.close(fd);
	return fail == FAIL_CLOSE ? -EIO : r;
}

static int failing_rename(const char *from, const char *to)
{
	return fail == FAIL_RENAME ? -EACCES : sys_linux.rename(from, to);
}

static void test_replace_file_keeps_the_old_contents_on_any_failure(void **state)
{
	(void)state;
	struct sys_ops failing = sys_linux;
	failing.open = failing_open;
	failing.write = failing_write;
	failing.fsync = failing_fsync;
	failing.close = failing_close;
	failing.rename = failing_rename;
	static const int want[N_FAIL] = { -EMFILE, -ENOSPC, -EIO, -EIO, -EIO, -EACCES };

	put_file("j", "old and whole");
	for (int i = 0; i < N_FAIL; i++) {
		struct verr e = { 0 };
		fail = i;
		sys = &failing;
		int r = sys_replace_file(in_dir("j"), "new", &e);
		sys = &sys_linux;
		assert_int_equal(r, want[i]);
		assert_int_equal(e.code, want[i]);
		expect_text("j", "old and whole");
		assert_int_equal(sys->access(in_dir("j.tmp"), F_OK), -ENOENT);
	}
}

static void test_events_are_signalled_seen_and_taken(void **state)
{
	(void)state;
	static const int flags[] = { 0, EFD_NONBLOCK };
	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		int fd = sys_eventfd(0, flags[i]);
		assert_true(fd >= 0);
		assert_false(sys_event_pending(fd));
		assert_int_equal(sys_event_take(fd), 0); /* does not block */
		assert_int_equal(sys_event_signal(fd), 0);
		assert_int_equal(sys_event_signal(fd), 0);
		assert_true(sys_event_pending(fd));
		assert_true(sys_event_pending(fd)); /* stays */
		assert_int_equal(sys_event_take(fd), 2);
		assert_int_equal(sys_event_take(fd), 0);
		sys_close_fd(&fd);
	}
	assert_int_equal(sys_event_signal(-1), -EBADF);
	assert_int_equal(sys_event_take(-1), 0);
	assert_false(sys_event_pending(-1));
}

static void test_full_event_counter_counts_as_signalled(void **state)
{
	(void)state;
	int fd = sys_eventfd(0, EFD_NONBLOCK);
	uint64_t full = UINT64_MAX - 1;
	assert_int_equal(sys_write(fd, &full, sizeof(full)), 8);
	assert_int_equal(sys_event_signal(fd), 0);
	assert_true(sys_event_take(fd) == full);
	sys_close_fd(&fd);
}

int main(void)
{
#define IN_DIR(fn) cmocka_unit_test_setup_teardown(fn, make_dir, remove_dir)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures_come_as_negative_errno),
		cmocka_unit_test(test_descriptors_close_on_exec),
		cmocka_unit_test(test_map_write_and_read_back),
		IN_DIR(test_listdir_gives_all_and_stops_when_told),
		IN_DIR(test_read_text_cuts_the_newline_and_refuses_big_files),
		IN_DIR(test_read_u64_is_strict),
		IN_DIR(test_write_text_replaces_but_does_not_create),
		IN_DIR(test_readlink_base_gives_the_last_component),
		IN_DIR(test_replace_file_creates_private_and_replaces),
		IN_DIR(test_replace_file_does_not_follow_a_planted_link),
		IN_DIR(test_replace_file_says_which_file_failed),
		IN_DIR(test_replace_file_keeps_the_old_contents_on_any_failure),
		cmocka_unit_test(test_events_are_signalled_seen_and_taken),
		cmocka_unit_test(test_full_event_counter_counts_as_signalled),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
