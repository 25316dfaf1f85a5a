// SPDX-License-Identifier: GPL-2.0-or-later
//
// Binding as a transaction, on the fake kernel: all or none, and back to exactly what was,
// whichever call fails and wherever the process is killed.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/fake/fake_fault.h"
#include "tests/unit/vfio/bindhost.h"

/* --- every failure --------------------------------------------------------------------------- */

/* Either both are bound or both are as they were; then home again, if need be by a second try. */
static int bind_both_and_back(void *opaque, struct verr *err)
{
	(void)opaque;
	struct bdf b[2] = { bdf_of(NIC), bdf_of(GPU) };
	struct bind_opts o = { .group = true };
	int r = bind_to_vfio(b, 2, &o, err);
	bool nic = strcmp(driver_of(NIC), "vfio-pci") == 0;
	bool gpu = strcmp(driver_of(GPU), "vfio-pci") == 0;
	assert_int_equal(nic, r == 0);
	assert_int_equal(gpu, r == 0);
	if (r < 0)
		return r;
	r = bind_restore(NULL, 0, &o, err);
	if (r < 0)
		assert_true(bind_restore(NULL, 0, &o, NULL) >= 0);
	return r < 0 ? r : 0;
}

static void test_sweep_all_or_none(void **state)
{
	(void)state;
	struct fake_sweep_stats st;
	struct fake_sweep s = { .name = "bind --group",
				.setup = lab_host,
				.run = bind_both_and_back };
	assert_int_equal(fault_sweep(&s, &st), 0);
	assert_true(st.calls > 500);
}

/* --- every crash ----------------------------------------------------------------------------- */

/* Like kill -9 before the Nth call: from then on nothing reaches the kernel but the closing of
 * files, which the kernel does for a dead process. */
static unsigned int calls_left; /* 0: no crash planned */
static bool crashed;

static bool dead(void)
{
	if (!crashed && calls_left > 0 && --calls_left == 0)
		crashed = true;
	return crashed;
}

static int c_open(const char *p, int f, mode_t m)
{
	return dead() ? -EIO : sys_fake.open(p, f, m);
}
static ssize_t c_read(int fd, void *b, size_t n)
{
	return dead() ? -EIO : sys_fake.read(fd, b, n);
}
static ssize_t c_write(int fd, const void *b, size_t n)
{
	return dead() ? -EIO : sys_fake.write(fd, b, n);
}
static ssize_t c_pread(int fd, void *b, size_t n, off_t o)
{
	return dead() ? -EIO : sys_fake.pread(fd, b, n, o);
}
static int c_fsync(int fd)
{
	return dead() ? -EIO : sys_fake.fsync(fd);
}
static int c_stat(const char *p, struct stat *st)
{
	return dead() ? -EIO : sys_fake.stat(p, st);
}
static int c_access(const char *p, int m)
{
	return dead() ? -EIO : sys_fake.access(p, m);
}
static ssize_t c_readlink(const char *p, char *b, size_t n)
{
	return dead() ? -EIO : sys_fake.readlink(p, b, n);
}
static int c_mkdir(const char *p, mode_t m)
{
	return dead() ? -EIO : sys_fake.mkdir(p, m);
}
static int c_rename(const char *a, const char *b)
{
	return dead() ? -EIO : sys_fake.rename(a, b);
}
static int c_unlink(const char *p)
{
	return dead() ? -EIO : sys_fake.unlink(p);
}
static int c_flock(int fd, int op)
{
	return dead() ? -EIO : sys_fake.flock(fd, op);
}
static int c_listdir(const char *p, int (*each)(void *, const char *), void *o)
{
	return dead() ? -EIO : sys_fake.listdir(p, each, o);
}

static const struct sys_ops *crashing(void)
{
	static struct sys_ops ops;
	ops = sys_fake;
	ops.open = c_open;
	ops.read = c_read;
	ops.write = c_write;
	ops.pread = c_pread;
	ops.fsync = c_fsync;
	ops.stat = c_stat;
	ops.access = c_access;
	ops.readlink = c_readlink;
	ops.mkdir = c_mkdir;
	ops.rename = c_rename;
	ops.unlink = c_unlink;
	ops.flock = c_flock;
	ops.listdir = c_listdir;
	return &ops;
}

/* Runs `verb` on the NIC and the GPU's group, killed before its Nth call; false: it got through. */
static bool killed_at(enum verb verb, unsigned int n)
{
	struct bdf b[2] = { bdf_of(NIC), bdf_of(GPU) };
	struct bind_opts o = { .group = true };
	crashed = false;
	calls_left = n;
	sys = crashing();
	if (verb == BIND)
		bind_to_vfio(b, 2, &o, NULL);
	else
		bind_restore(NULL, 0, &o, NULL);
	sys = &sys_fake;
	calls_left = 0;
	bool was = crashed;
	crashed = false;
	return was;
}

static void mended(enum verb verb, unsigned int n)
{
	struct verr err = { .code = 0 };
	if (run(RESTORE, NULL, (struct bind_opts){ 0 }, &err) < 0)
		fail_msg("%s killed at call %u: %s", verb == BIND ? "bind" : "restore", n, err.msg);
	if (!fake_clean())
		fail_msg("%s killed at call %u", verb == BIND ? "bind" : "restore", n);
}

static void test_killed_anywhere_while_binding(void **state)
{
	unsigned int n = 1;
	for (;; n++) {
		begin(state);
		if (!killed_at(BIND, n))
			break;
		mended(BIND, n);
	}
	mended(BIND, n);
	assert_true(n > 100);
	print_message("killed before each of %u calls\n", n - 1);
}

/* The same, but the next thing is another bind, which must succeed and remember the original. */
static void test_killed_anywhere_and_bound_again(void **state)
{
	for (unsigned int n = 1;; n += 3) {
		begin(state);
		bool more = killed_at(BIND, n);
		assert_int_equal(run(BIND, NAMES(NIC, GPU, AUDIO), (struct bind_opts){ 0 }, NULL),
				 0);
		mended(BIND, n);
		if (!more)
			break;
	}
}

static void test_killed_anywhere_while_restoring(void **state)
{
	unsigned int n = 1;
	for (;; n++) {
		begin(state);
		bind_ok(NIC, GPU, AUDIO);
		if (!killed_at(RESTORE, n))
			break;
		mended(RESTORE, n);
	}
	mended(RESTORE, n);
	assert_true(n > 50);
	print_message("killed before each of %u calls\n", n - 1);
}

static void test_killed_twice(void **state)
{
	for (unsigned int n = 1;; n += 23) {
		for (unsigned int m = 1;; m += 11) {
			begin(state);
			if (!killed_at(BIND, n))
				return;
			bool more = killed_at(RESTORE, m);
			mended(BIND, n);
			if (!more)
				break;
		}
	}
}

int main(void)
{
	sys = &sys_fake;
#define T(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		T(test_sweep_all_or_none),
		T(test_killed_anywhere_while_binding),
		T(test_killed_anywhere_and_bound_again),
		T(test_killed_anywhere_while_restoring),
		T(test_killed_twice),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
