// SPDX-License-Identifier: GPL-2.0-or-later
// The "file" disk: what it opens and what it refuses, who may use a file together with whom, and
// other sizes.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/sys.h"
#include "vmm/backend/blockdev.h"
#include "vmm/tables.h"
#include "vmm/typearg.h"

static char path[64];
static int file = -1;
static struct backend_set set;
static struct verr err;

static int setup(void **state)
{
	const struct backend_host host = { 0 };

	(void)state;
	snprintf(path, sizeof(path), "/tmp/vv-blkfile-XXXXXX");
	file = mkstemp(path);
	backend_set_init(&set, &host);
	return file >= 0 && ftruncate(file, 1 << 20) == 0 ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	backend_set_fini(&set);
	close(file);
	unlink(path);
	return 0;
}

/* As --blockdev file,path=...,id=...: 0 or an error in `err`. */
static int add_path(const char *id, const char *where, const char *props)
{
	const struct backend_type *type = NULL;
	struct backend_common common = { 0 };
	void *cfg = NULL;
	char arg[256];

	memset(&err, 0, sizeof(err));
	snprintf(arg, sizeof(arg), "file,id=%s,path=%s%s", id, where, props);
	int r = typearg_backend(BACKEND_BLOCK, arg, &type, &cfg, &common, &err);
	if (r == 0)
		r = backend_add(&set, type, common.id, cfg, &err);
	props_clear(backend_common_props, &common);
	return r;
}

static int add(const char *id, const char *props)
{
	return add_path(id, path, props);
}

static void assert_says(const char *what)
{
	if (!strstr(err.msg, what))
		fail_msg("\"%s\" is not in: %s", what, err.msg);
}

static void test_one_writer_or_many_readers(void **state)
{
	(void)state;
	assert_int_equal(add("a", ""), 0);
	assert_int_equal(add("b", ""), -EBUSY);
	assert_says("in use");
	assert_int_equal(add("b", ",readonly=on"), -EBUSY);
	assert_says("writes to it");
	assert_int_equal(add("b", ",locking=off"), 0);
	assert_int_equal(backend_del(&set, "a", NULL), 0);
	assert_int_equal(add("c", ",readonly=on"), 0);
	assert_int_equal(add("d", ",readonly=on"), 0);
	assert_int_equal(add("a", ""), -EBUSY);
	assert_int_equal(backend_del(&set, "c", NULL), 0);
	assert_int_equal(backend_del(&set, "d", NULL), 0);
	assert_int_equal(add("a", ""), 0);
}

/* QEMU locks bytes, shared: 100 + n it does n, 201 nobody else may write. */
static void test_qemu_and_we_keep_out_of_each_others_way(void **state)
{
	(void)state;
	assert_int_equal(sys_ofd_lock(file, F_RDLCK, 100, 1, false), 0); /* reads */
	assert_int_equal(sys_ofd_lock(file, F_RDLCK, 201, 1, false), 0);
	assert_int_equal(add("a", ""), -EBUSY);
	assert_int_equal(add("a", ",readonly=on"), 0);
	/* A second QEMU that reads: may it? As it looks: no exclusive lock on 200, 101. */
	assert_int_equal(sys_ofd_lock(file, F_WRLCK, 200, 1, true), 0);
	assert_int_equal(sys_ofd_lock(file, F_WRLCK, 101, 1, true), 0);
	/* One that writes: somebody wants no writers. */
	assert_int_equal(sys_ofd_lock(file, F_WRLCK, 201, 1, true), -EAGAIN);
	assert_int_equal(backend_del(&set, "a", NULL), 0);

	assert_int_equal(sys_ofd_lock(file, F_RDLCK, 101, 1, false), 0); /* writes */
	assert_int_equal(add("a", ",readonly=on"), -EBUSY);
	assert_int_equal(sys_ofd_lock(file, F_UNLCK, 100, 200, false), 0);
	assert_int_equal(add("a", ""), 0);
	assert_int_equal(sys_ofd_lock(file, F_RDLCK, 101, 1, false), -EAGAIN);
	assert_int_equal(sys_ofd_lock(file, F_RDLCK, 100, 1, false), -EAGAIN);
}

static void test_what_is_no_disk_is_refused_with_the_reason(void **state)
{
	static const struct {
		const char *path, *props, *says;
		int result;
	} bad[] = {
		{ "/tmp/no/such/file", "", "No such file", -ENOENT },
		{ "/tmp", "", "a directory", -EINVAL },
		{ "/dev/null", "", "not a file or a block device", -EINVAL },
		{ "/proc/version", ",cache=none,readonly=on", "use cache=writeback", -EINVAL },
		{ "/proc/version", ",chache=none", "cache", -EINVAL },
		{ "/proc/version", ",cache=never", "writeback", -EINVAL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(add_path("a", bad[i].path, bad[i].props), bad[i].result);
		assert_says(bad[i].says);
		assert_null(backend_find(&set, "a"));
	}
}

static void test_images_of_other_formats_are_not_taken_for_raw_ones(void **state)
{
	static const struct {
		const char *magic, *name;
		off_t off;
	} images[] = { { "QFI\xfb", "qcow2", 0 },
		       { "KDMV", "VMDK", 0 },
		       { "vhdxfile", "VHDX", 0 },
		       { "conectix", "VHD", 0 },
		       { "\x7f\x10\xda\xbe", "VDI", 64 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		assert_int_equal(ftruncate(file, 0), 0);
		assert_int_equal(ftruncate(file, 1 << 20), 0);
		assert_int_equal(add("ok", ""), 0);
		assert_int_equal(backend_del(&set, "ok", NULL), 0);
		size_t n = strlen(images[i].magic);
		assert_int_equal(pwrite(file, images[i].magic, n, images[i].off), (ssize_t)n);
		assert_int_equal(add("a", ""), -EINVAL);
		assert_says(images[i].name);
		assert_says("qemu-img convert");
		assert_int_equal(add("a", ",format=raw"), 0);
		assert_int_equal(backend_del(&set, "a", NULL), 0);
	}
}

static const struct blockdev *disk(const char *id)
{
	return blockdev_of(backend_find(&set, id));
}

static void test_size_and_alignment(void **state)
{
	(void)state;
	assert_int_equal(ftruncate(file, 1000), 0);
	assert_int_equal(add("a", ",cache=writeback"), 0);
	assert_int_equal(blockdev_size(disk("a")), 512);
	assert_int_equal(disk("a")->logical, 512);
	assert_int_equal(disk("a")->io_align, 1);
	assert_int_equal(backend_del(&set, "a", NULL), 0);
	assert_int_equal(ftruncate(file, 0), 0);
	assert_int_equal(add("empty", ""), 0);
	assert_int_equal(blockdev_size(disk("empty")), 0);
	assert_int_equal(backend_del(&set, "empty", NULL), 0);
	assert_int_equal(ftruncate(file, 1 << 20), 0);
	assert_int_equal(add("d", ",cache=none"), 0);
	assert_true(IS_POW2(disk("d")->io_align) && disk("d")->io_align >= 512);
	assert_true(disk("d")->logical >= disk("d")->io_align);
}

static void test_resize_says_why_it_can_not(void **state)
{
	(void)state;
	assert_int_equal(add("r", ",readonly=on"), 0);
	memset(&err, 0, sizeof(err));
	assert_int_equal(blockdev_resize(&set, "r", 4096, &err), -EROFS);
	assert_says("reading only");
	assert_int_equal(ftruncate(file, 8192), 0);
	assert_int_equal(blockdev_resize(&set, "r", 0, NULL), 0);
	assert_int_equal(blockdev_size(disk("r")), 8192);
	assert_int_equal(backend_del(&set, "r", NULL), 0);
	assert_int_equal(add("w", ""), 0);
	memset(&err, 0, sizeof(err));
	assert_int_equal(blockdev_resize(&set, "w", UINT64_MAX - 511, &err), -EINVAL);
	assert_int_equal(blockdev_resize(&set, "w", UINT64_C(1) << 62, &err), -EFBIG);
	assert_int_equal(blockdev_size(disk("w")), 8192);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_one_writer_or_many_readers),
		TEST(test_qemu_and_we_keep_out_of_each_others_way),
		TEST(test_what_is_no_disk_is_refused_with_the_reason),
		TEST(test_images_of_other_formats_are_not_taken_for_raw_ones),
		TEST(test_size_and_alignment),
		TEST(test_resize_says_why_it_can_not),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
