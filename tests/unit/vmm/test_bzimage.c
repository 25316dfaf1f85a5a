// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/boot: bzImages, good and defective, fabricated and real; and what is told apart before that.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/accel.h"
#include "core/bytes.h"
#include "tests/fake/boot_fixture.h"
#include "vmm/boot/boot.h"

static int open_image(const struct image *img, size_t len, struct boot_source **ret, struct verr *e)
{
	const struct boot_opts o = { .kernel = fixture_file(0, img->buf, len) };

	verr_clear(e);
	return boot_open(&o, ret, e);
}

static void assert_says(const struct verr *e, const char *what)
{
	assert_true(e->code < 0);
	if (!strstr(e->msg, what))
		fail_msg("'%s' does not say '%s'", e->msg, what);
}

/* Physical address behind a linear one, by the page tables a vCPU would walk. */
static uint64_t translate(const struct fixture_ram *r, uint64_t cr3, uint64_t va)
{
	uint64_t e = get_le64(fixture_at(r, cr3 + (va >> 39) * 8, 8));

	assert_int_equal(e & 1, 1);
	e = get_le64(fixture_at(r, (e & ~UINT64_C(0xfff)) + (va >> 30 & 511) * 8, 8));
	assert_int_equal(e & 1, 1);
	e = get_le64(fixture_at(r, (e & ~UINT64_C(0xfff)) + (va >> 21 & 511) * 8, 8));
	assert_int_equal(e & 0x83, 0x83);
	return (e & ~UINT64_C(0x1fffff)) + (va & 0x1fffff);
}

static void check_boot_params(const struct fixture_ram *ram, const struct image *img,
			      uint64_t initrd_len)
{
	const uint8_t *bp = fixture_at(ram, 0x7000, 4096);
	uint32_t initrd = get_le32(bp + 0x218);

	assert_memory_equal(bp + 0x211, img->buf + 0x211, 7); /* untouched between our fields */
	assert_memory_equal(bp + 0x22c, img->buf + 0x22c, 0x26c - 0x22c);
	assert_int_equal(bp[0x210], 0xff);
	assert_int_equal(bp[0x1ef], 0); /* sentinel */
	assert_int_equal(get_le32(bp + 0x228), 0x20000);
	assert_string_equal((const char *)fixture_at(ram, 0x20000, 64),
			    "console=ttyS0 root=/dev/ram0");
	assert_int_equal(get_le32(bp + 0x21c), initrd_len);
	assert_int_equal(initrd % 4096, 0);
	assert_true(initrd + initrd_len <= ram->low.size);
	assert_true(initrd + initrd_len + 4096 > ram->low.size); /* as high as possible */
	assert_int_equal(get_le64(bp + 0x70), PC_ACPI_BASE);
	assert_memory_equal(fixture_at(ram, PC_ACPI_BASE, 8), "RSD PTR ", 8);
	/* Reset vector: mov al, 1; mov dx, 0x602; out dx, al; cli; hlt; jmp */
	assert_memory_equal(fixture_at(ram, 0xffff0, 10),
			    "\xb0\x01\xba\x02\x06\xee\xfa\xf4\xeb\xfc", 10);
	assert_int_equal(bp[0x1e8], 6);
	assert_int_equal(get_le64(bp + 0x2d0), 0);
	assert_int_equal(get_le64(bp + 0x2d8), PC_LOW_RAM_END);
}

static void test_good_image_is_placed_as_the_protocol_says(void **state)
{
	struct boot_source *src;
	struct boot_state bs;
	struct fixture_ram ram;
	struct pc_layout l;
	struct image img;
	struct verr e = { 0 };
	uint8_t initrd[10001];

	(void)state;
	for (size_t i = 0; i < sizeof(initrd); i++)
		initrd[i] = (uint8_t)(i * 3);
	fixture_bzimage(&img);
	fixture_layout(&l, MIB(64), 1);
	fixture_ram_open(&ram, &l);
	const struct boot_opts o = {
		.kernel = fixture_file(0, img.buf, img.len),
		.initrd = fixture_file(1, initrd, sizeof(initrd)),
		.cmdline = "root=/dev/ram0",
	};
	assert_int_equal(boot_open(&o, &src, &e), 0);

	/* The second time is a guest's reboot, over memory the guest has scribbled on. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(boot_load(src, &l, &ram.gmem, &bs, &e), 0);
		assert_int_equal(bs.mode, BOOT_LONG64);
		assert_int_equal(bs.rip, 0x1000200);
		assert_int_equal(bs.rsi, 0x7000);
		assert_memory_equal(fixture_at(&ram, 0x1000000, FIXTURE_BZ_PAYLOAD),
				    img.buf + FIXTURE_BZ_PAYLOAD_OFF, FIXTURE_BZ_PAYLOAD);
		check_boot_params(&ram, &img, sizeof(initrd));
		assert_memory_equal(
			fixture_at(&ram, get_le32(fixture_at(&ram, 0x7218, 4)), sizeof(initrd)),
			initrd, sizeof(initrd));
		for (uint64_t va = 0; va < GIB(4); va += MIB(2) * 17 + 5)
			assert_int_equal(translate(&ram, bs.cr3, va), va);
		assert_int_equal(get_le64(fixture_at(&ram, bs.gdt_gpa + 0x10, 8)),
				 UINT64_C(0x00af9b000000ffff));
		memset(ram.low.hva, 0xa5, MIB(1));
		memset((uint8_t *)ram.low.hva + MIB(16), 0xa5, MIB(1));
	}
	boot_close(src);
	fixture_ram_close(&ram);
	fixture_free(&img);
}

static const struct {
	const char *name;
	unsigned int off, size;
	uint64_t value;
	const char *says;
} defects[] = {
	{ "no boot flag", 0x1fe, 2, 0, "not a kernel" },
	{ "no magic", 0x202, 4, 0, "not a kernel" },
	{ "protocol 2.11", 0x206, 2, 0x20b, "boot protocol 2.11 is too old" },
	{ "zImage", 0x211, 1, 0, "is a zImage" },
	{ "32-bit", 0x236, 2, 2, "32-bit kernel" },
	{ "no jump", 0x200, 1, 0x90, "setup header ends at" },
	{ "header too short", 0x201, 1, 0x10, "setup header ends at 0x212" },
	{ "header too long", 0x201, 1, 0xff, "setup header ends at 0x301" },
	{ "setup_sects 0 means 4, and eats what syssize promises", 0x1f1, 1, 0, "is truncated" },
	{ "setup_sects 255", 0x1f1, 1, 255, "no kernel behind 255" },
	{ "syssize", 0x1f4, 4, 0xffffffff, "promises 68719476720 bytes" },
	{ "pref_address 0", 0x258, 8, 0, "preferred address 0" },
	{ "pref_address wraps", 0x258, 8, UINT64_MAX, "preferred address" },
	{ "alignment 3", 0x230, 4, 3, "alignment 0x3" },
	{ "alignment 0", 0x230, 4, 0, "alignment 0" },
	{ "alignment 2G", 0x230, 4, 0x80000000, "alignment 0x80000000" },
	{ "init_size 0", 0x260, 4, 0, "init_size 0" },
};

static void test_each_defect_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(defects); i++) {
		struct boot_source *src = NULL;
		struct image img;
		struct verr e = { 0 };

		fixture_bzimage(&img);
		put_le(img.buf + defects[i].off, defects[i].value, defects[i].size);
		if (open_image(&img, img.len, &src, &e) == 0)
			fail_msg("accepted: %s", defects[i].name);
		assert_says(&e, defects[i].says);
		assert_says(&e, "/tmp/vv-boot-0-"); /* names the file */
		assert_null(src);
		fixture_free(&img);
	}
}

static void test_truncation_anywhere_is_refused(void **state)
{
	struct image img;

	(void)state;
	fixture_bzimage(&img);
	for (size_t len = 0; len < img.len; len += len < 0x700 ? 1 : 977) {
		struct boot_source *src;
		struct verr e = { 0 };

		if (open_image(&img, len, &src, &e) == 0)
			fail_msg("accepted with %zu bytes", len);
		assert_says(&e, "kernel /tmp/vv-boot-0-");
	}
	fixture_free(&img);
}

static void test_file_truncated_after_opening_is_an_error_not_a_crash(void **state)
{
	struct boot_source *src;
	struct boot_state bs;
	struct fixture_ram ram;
	struct pc_layout l;
	struct image img;
	struct verr e = { 0 };

	(void)state;
	fixture_bzimage(&img);
	fixture_layout(&l, MIB(64), 1);
	fixture_ram_open(&ram, &l);
	const struct boot_opts o = { .kernel = fixture_file(0, img.buf, img.len) };
	assert_int_equal(boot_open(&o, &src, &e), 0);
	assert_int_equal(truncate(o.kernel, 5000), 0);
	assert_int_equal(boot_load(src, &l, &ram.gmem, &bs, &e), -ENODATA);
	assert_says(&e, "was truncated while in use, at byte 5000");
	boot_close(src);
	fixture_ram_close(&ram);
	fixture_free(&img);
}

static int load_with(uint64_t ram_size, const struct boot_opts *o, struct verr *e)
{
	struct boot_source *src;
	struct boot_state bs;
	struct fixture_ram ram;
	struct pc_layout l;
	int r;

	verr_clear(e);
	fixture_layout(&l, ram_size, 1);
	fixture_ram_open(&ram, &l);
	assert_int_equal(boot_open(o, &src, e), 0);
	r = boot_load(src, &l, &ram.gmem, &bs, e);
	boot_close(src);
	fixture_ram_close(&ram);
	return r;
}

static void test_limits_of_memory_initrd_and_cmdline(void **state)
{
	char line[2100];
	struct image img, initrd = { calloc(1, MIB(20)), MIB(20) };
	struct verr e = { 0 };

	(void)state;
	fixture_bzimage(&img);
	struct boot_opts o = { .kernel = fixture_file(0, img.buf, img.len) };
	assert_int_equal(load_with(MIB(17), &o, &e), 0); /* exactly enough */
	assert_int_equal(load_with(MIB(17) - 4096, &o, &e), -EINVAL);
	assert_says(&e, "needs RAM up to 17 MiB");

	o.initrd = fixture_file(1, initrd.buf, initrd.len);
	assert_int_equal(load_with(MIB(37), &o, &e), 0);
	assert_int_equal(load_with(MIB(37) - 4096, &o, &e), -EFBIG);
	assert_says(&e, "20480 KiB do not fit");
	put_le32(img.buf + 0x22c, 0x1ffffff); /* initrd_addr_max: 32 MiB */
	o.kernel = fixture_file(0, img.buf, img.len);
	assert_int_equal(load_with(MIB(512), &o, &e), -EFBIG);
	put_le32(img.buf + 0x22c, 0);
	o.kernel = fixture_file(0, img.buf, img.len);
	assert_int_equal(load_with(MIB(512), &o, &e), -EFBIG);

	o.initrd = NULL;
	memset(line, 'x', sizeof(line));
	line[2047 - strlen("console=ttyS0 ")] = 0;
	o.cmdline = line;
	assert_int_equal(load_with(MIB(64), &o, &e), 0);
	line[2047 - strlen("console=ttyS0 ")] = 'x';
	line[2048 - strlen("console=ttyS0 ")] = 0;
	assert_int_equal(load_with(MIB(64), &o, &e), -E2BIG);
	assert_says(&e, "2048 bytes long");
	put_le32(img.buf + 0x238, 0xffffffff); /* never more than its place in memory */
	o.kernel = fixture_file(0, img.buf, img.len);
	assert_int_equal(load_with(MIB(64), &o, &e), 0);
	fixture_free(&img);
	fixture_free(&initrd);
}

static const struct {
	const char *bytes;
	size_t len;
	const char *says;
} others[] = {
	{ "\x1f\x8b\x08", 3, "is gzip-compressed (gunzip it first)" },
	{ "\xfd"
	  "7zXZ\0",
	  6, "is xz-compressed" },
	{ "\x28\xb5\x2f\xfd", 4, "is zstd-compressed" },
	{ "BZh9", 4, "is bzip2-compressed" },
	{ "070701000", 9, "is a cpio archive" },
	{ "#!/bin/sh\n", 10, "is a script" },
	{ "MZ", 2, "is an EFI program" },
	{ "hello", 5, "neither a bzImage nor an ELF" },
};

static void test_what_is_no_kernel_is_said(void **state)
{
	uint8_t arm[64] = { 0 };
	struct boot_source *src;
	struct verr e = { 0 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		struct boot_opts o = { .kernel = fixture_file(0, others[i].bytes, others[i].len) };

		verr_clear(&e);
		assert_true(boot_open(&o, &src, &e) < 0);
		assert_says(&e, others[i].says);
	}
	memcpy(arm, "MZ", 2);
	memcpy(arm + 56, "ARMd", 4);
	struct boot_opts o = { .kernel = fixture_file(0, arm, sizeof(arm)) };
	verr_clear(&e);
	assert_true(boot_open(&o, &src, &e) < 0);
	assert_says(&e, "arm64 Image");
}

static void test_what_is_no_file_is_said(void **state)
{
	char fifo[] = "/tmp/vv-boot-fifo";
	struct boot_opts o = { .kernel = "/nonexistent/vmlinuz" };
	struct boot_source *src;
	struct image img;
	struct verr e = { 0 };

	(void)state;
	assert_int_equal(boot_open(&o, &src, &e), -ENOENT);
	assert_string_equal(e.msg, "kernel /nonexistent/vmlinuz: No such file or directory");
	verr_clear(&e);
	o.kernel = "/tmp";
	assert_int_equal(boot_open(&o, &src, &e), -EISDIR);
	verr_clear(&e);
	o.kernel = fixture_file(0, "", 0);
	assert_int_equal(boot_open(&o, &src, &e), -EINVAL);
	assert_says(&e, "is empty");
	verr_clear(&e);
	unlink(fifo);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	o.kernel = fifo;
	assert_int_equal(boot_open(&o, &src, &e), -EINVAL); /* and does not wait for a writer */
	assert_says(&e, "a device or pipe");
	unlink(fifo);
	verr_clear(&e);
	fixture_bzimage(&img);
	o.kernel = fixture_file(0, img.buf, img.len);
	o.initrd = "/nonexistent/initrd";
	assert_int_equal(boot_open(&o, &src, &e), -ENOENT);
	assert_says(&e, "initrd /nonexistent/initrd");
	fixture_free(&img);
}

static void load_real(const char *path)
{
	const struct boot_opts o = { .kernel = path };
	struct boot_source *src;
	struct boot_state bs;
	struct fixture_ram ram;
	struct pc_layout l;
	struct verr e = { 0 };

	print_message("loading %s\n", path);
	fixture_layout(&l, MIB(256), 2);
	fixture_ram_open(&ram, &l);
	if (boot_open(&o, &src, &e) < 0)
		fail_msg("%s", e.msg);
	if (boot_load(src, &l, &ram.gmem, &bs, &e) < 0)
		fail_msg("%s", e.msg);
	assert_int_equal(bs.mode, BOOT_LONG64);
	assert_int_equal(bs.rip, 0x1000200);
	assert_memory_equal(fixture_at(&ram, 0x7202, 4), "HdrS", 4);
	boot_close(src);
	fixture_ram_close(&ram);
}

static void test_real_kernels_load(void **state)
{
	(void)state;
	if (fixture_real_kernels("vmlinuz", load_real) == 0)
		skip();
}

static int cleanup(void **state)
{
	(void)state;
	fixture_cleanup();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good_image_is_placed_as_the_protocol_says),
		cmocka_unit_test(test_each_defect_is_named),
		cmocka_unit_test(test_truncation_anywhere_is_refused),
		cmocka_unit_test(test_file_truncated_after_opening_is_an_error_not_a_crash),
		cmocka_unit_test(test_limits_of_memory_initrd_and_cmdline),
		cmocka_unit_test(test_what_is_no_kernel_is_said),
		cmocka_unit_test(test_what_is_no_file_is_said),
		cmocka_unit_test(test_real_kernels_load),
	};

	return cmocka_run_group_tests(tests, NULL, cleanup);
}
