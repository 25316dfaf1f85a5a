// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/boot/pvh.c: ELF kernels with a PVH note, good and defective, fabricated and real.
#include <elf.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/accel.h"
#include "core/bytes.h"
#include "tests/fake/boot_fixture.h"
#include "vmm/boot/boot.h"

static void assert_says(const struct verr *e, const char *what)
{
	assert_true(e->code < 0);
	if (!strstr(e->msg, what))
		fail_msg("'%s' does not say '%s'", e->msg, what);
}

static void check_start_info(const struct fixture_ram *ram, const struct boot_state *bs,
			     const uint8_t *initrd, size_t initrd_len)
{
	const uint8_t *si = fixture_at(ram, bs->rbx, 56), *mod, *map;
	uint64_t at;

	assert_int_equal(get_le32(si), 0x336ec578);
	assert_int_equal(get_le32(si + 4), 1);
	assert_int_equal(get_le32(si + 12), 1);
	assert_string_equal((const char *)fixture_at(ram, get_le64(si + 24), 64),
			    "console=ttyS0 quiet");
	assert_memory_equal(fixture_at(ram, get_le64(si + 32), 8), "RSD PTR ", 8);
	mod = fixture_at(ram, get_le64(si + 16), 32);
	at = get_le64(mod);
	assert_int_equal(get_le64(mod + 8), initrd_len);
	assert_int_equal(at, ALIGN_DOWN(ram->low.size - initrd_len, 4096));
	assert_memory_equal(fixture_at(ram, at, initrd_len), initrd, initrd_len);
	assert_int_equal(get_le32(si + 48), 7); /* with memory above 4 GiB */
	map = fixture_at(ram, get_le64(si + 40), 7 * 24);
	assert_int_equal(get_le64(map + 6 * 24), GIB(4));
	assert_int_equal(get_le64(map + 6 * 24 + 8), GIB(1));
	assert_int_equal(get_le32(map + 6 * 24 + 16), 1);
}

static void test_good_kernel_is_placed_as_pvh_says(void **state)
{
	struct boot_source *src;
	struct boot_state bs;
	struct fixture_ram ram;
	struct pc_layout l;
	struct image img;
	struct verr e = { 0 };
	uint8_t initrd[5000];

	(void)state;
	memset(initrd, 0x5a, sizeof(initrd));
	fixture_elf(&img);
	fixture_layout(&l, GIB(4), 1);
	fixture_ram_open(&ram, &l);
	const struct boot_opts o = {
		.kernel = fixture_file(0, img.buf, img.len),
		.initrd = fixture_file(1, initrd, sizeof(initrd)),
		.cmdline = "quiet",
	};
	assert_int_equal(boot_open(&o, &src, &e), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(boot_load(src, &l, &ram.gmem, &bs, &e), 0);
		assert_int_equal(bs.mode, BOOT_PVH32);
		assert_int_equal(bs.rip, FIXTURE_ELF_ENTRY);
		assert_memory_equal(fixture_at(&ram, 0x100000, 0x1000), img.buf + FIXTURE_ELF_TEXT,
				    0x1000);
		assert_memory_equal(fixture_at(&ram, 0x200000, 0x800), img.buf + FIXTURE_ELF_DATA,
				    0x800);
		for (uint64_t bss = 0x200800; bss < 0x203000; bss++)
			assert_int_equal(*fixture_at(&ram, bss, 1), 0);
		check_start_info(&ram, &bs, initrd, sizeof(initrd));
		assert_int_equal(get_le64(fixture_at(&ram, bs.gdt_gpa + 0x10, 8)),
				 UINT64_C(0x00cf9b000000ffff));
		memset(ram.low.hva, 0xa5, MIB(3)); /* the guest's doing, before it reboots */
	}
	boot_close(src);
	fixture_ram_close(&ram);
	fixture_free(&img);
}

#define EH(field) offsetof(Elf64_Ehdr, field), sizeof(((Elf64_Ehdr *)0)->field)
#define PH(i, field)                                                                               \
	FIXTURE_ELF_PHDR(i) + offsetof(Elf64_Phdr, field), sizeof(((Elf64_Phdr *)0)->field)
#define NOTE(off) FIXTURE_ELF_NOTE + (off), 4

static const struct {
	const char *name;
	size_t off, size;
	uint64_t value;
	const char *says;
} defects[] = {
	{ "arm", EH(e_machine), EM_AARCH64, "is an ELF for aarch64" },
	{ "i386", EH(e_machine), EM_386, "is an ELF for 32-bit x86" },
	{ "unknown machine", EH(e_machine), 9999, "is an ELF for machine 9999" },
	{ "32-bit", EI_CLASS, 1, ELFCLASS32, "is a 32-bit ELF" },
	{ "big-endian", EI_DATA, 1, ELFDATA2MSB, "big-endian" },
	{ "object file", EH(e_type), ET_REL, "not an executable" },
	{ "no headers", EH(e_phnum), 0, "no ELF program headers" },
	{ "odd header size", EH(e_phentsize), 32, "no ELF program headers" },
	{ "too many headers", EH(e_phnum), 65535, "65535 ELF program headers" },
	{ "headers beyond the end", EH(e_phoff), 0x27ff, "is truncated" },
	{ "headers wrap", EH(e_phoff), UINT64_MAX - 8, "is truncated" },
	{ "filesz > memsz", PH(0, p_filesz), 0x1001, "more bytes in the file than in memory" },
	{ "offset beyond the end", PH(0, p_offset), 0x2801, "is truncated: segment at 0x100000" },
	{ "offset wraps", PH(0, p_offset), UINT64_MAX, "is truncated: segment" },
	{ "memsz wraps", PH(1, p_memsz), UINT64_MAX, "does not end below 4 GiB" },
	{ "paddr wraps", PH(1, p_paddr), UINT64_MAX - 16, "does not end below 4 GiB" },
	{ "paddr high", PH(1, p_paddr), 0xffffffff, "does not end below 4 GiB" },
	{ "paddr low", PH(0, p_paddr), 0xfffff, "is below 1 MiB" },
	{ "overlap", PH(1, p_paddr), 0x100fff, "segments at 0x100000 and 0x100fff overlap" },
	{ "entry in no segment", NOTE(40), 0x300000, "entry point 0x300000 is in none" },
	{ "entry just past", NOTE(40), 0x101000, "entry point 0x101000 is in none" },
	{ "no note segment", PH(2, p_type), PT_NULL, "has no PVH entry note" },
	{ "other type", NOTE(32), 17, "has no PVH entry note" },
	{ "other name", NOTE(36), 0x006e6558 + 1, "has no PVH entry note" },
	{ "entry of 3 bytes", NOTE(28), 3, "has no PVH entry note" },
	{ "note name too long", NOTE(0), UINT32_MAX, "has no PVH entry note" },
	{ "note contents too long", NOTE(4), UINT32_MAX, "has no PVH entry note" },
	{ "our contents cut", PH(2, p_filesz), 43, "has no PVH entry note" },
	{ "notes huge", PH(2, p_filesz), 0x10001, "65537 bytes of ELF notes" },
	{ "notes beyond the end", PH(2, p_offset), 0x27f0, "is truncated" },
};

static void test_each_defect_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(defects); i++) {
		struct boot_source *src = NULL;
		struct image img;
		struct verr e = { 0 };

		fixture_elf(&img);
		put_le(img.buf + defects[i].off, defects[i].value, (unsigned int)defects[i].size);
		const struct boot_opts o = { .kernel = fixture_file(0, img.buf, img.len) };
		if (boot_open(&o, &src, &e) == 0)
			fail_msg("accepted: %s", defects[i].name);
		assert_says(&e, defects[i].says);
		assert_says(&e, "kernel /tmp/vv-boot-0-");
		fixture_free(&img);
	}
}

static void test_truncation_anywhere_is_refused(void **state)
{
	struct image img;

	(void)state;
	fixture_elf(&img);
	for (size_t len = 1; len < img.len; len += len < 0x300 ? 1 : 37) {
		const struct boot_opts o = { .kernel = fixture_file(0, img.buf, len) };
		struct boot_source *src;
		struct verr e = { 0 };

		if (boot_open(&o, &src, &e) == 0)
			fail_msg("accepted with %zu bytes", len);
		assert_says(&e, "kernel /tmp/vv-boot-0-");
	}
	fixture_free(&img);
}

static void test_only_empty_segments_is_no_kernel(void **state)
{
	struct boot_source *src;
	struct image img;
	struct verr e = { 0 };

	(void)state;
	fixture_elf(&img);
	for (unsigned int i = 0; i < 2; i++) {
		put_le64(img.buf + FIXTURE_ELF_PHDR(i) + offsetof(Elf64_Phdr, p_filesz), 0);
		put_le64(img.buf + FIXTURE_ELF_PHDR(i) + offsetof(Elf64_Phdr, p_memsz), 0);
	}
	const struct boot_opts o = { .kernel = fixture_file(0, img.buf, img.len) };
	assert_int_equal(boot_open(&o, &src, &e), -EINVAL);
	assert_says(&e, "has no loadable ELF segment");
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

static void test_limits_of_memory_and_cmdline(void **state)
{
	char line[2100];
	uint8_t initrd[4097] = { 0 };
	struct image img;
	struct verr e = { 0 };

	(void)state;
	fixture_elf(&img);
	struct boot_opts o = { .kernel = fixture_file(0, img.buf, img.len) };
	assert_int_equal(load_with(0x203000, &o, &e), 0);
	assert_int_equal(load_with(0x202000, &o, &e), -EINVAL);
	assert_says(&e, "needs RAM up to 3 MiB");
	o.initrd = fixture_file(1, initrd, sizeof(initrd));
	assert_int_equal(load_with(0x205000, &o, &e), 0);
	assert_int_equal(load_with(0x204000, &o, &e), -EFBIG);
	o.initrd = NULL;
	memset(line, 'x', sizeof(line));
	line[2048] = 0;
	o.cmdline = line;
	assert_int_equal(load_with(MIB(16), &o, &e), -E2BIG);
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
	assert_int_equal(bs.mode, BOOT_PVH32);
	assert_true(bs.rip >= MIB(16));
	boot_close(src);
	fixture_ram_close(&ram);
}

static void test_real_kernels_load(void **state)
{
	(void)state;
	if (fixture_real_kernels("vmlinux", load_real) == 0)
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
		cmocka_unit_test(test_good_kernel_is_placed_as_pvh_says),
		cmocka_unit_test(test_each_defect_is_named),
		cmocka_unit_test(test_truncation_anywhere_is_refused),
		cmocka_unit_test(test_only_empty_segments_is_no_kernel),
		cmocka_unit_test(test_limits_of_memory_and_cmdline),
		cmocka_unit_test(test_real_kernels_load),
	};

	return cmocka_run_group_tests(tests, NULL, cleanup);
}
