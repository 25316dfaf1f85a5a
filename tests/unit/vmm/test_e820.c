// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/boot/e820.c and layout.c: the memory map, its encodings, and layouts that contradict
// themselves.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/fake/boot_fixture.h"
#include "vmm/boot/e820.h"

static uint64_t ram_in(const struct e820 *m)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < m->n; i++)
		if (m->e[i].type == E820_RAM)
			sum += m->e[i].size;
	return sum;
}

static void test_map_is_sorted_and_covers_ram(void **state)
{
	static const uint64_t sizes[] = { MIB(2), MIB(256), GIB(3), GIB(3) + MIB(2), GIB(16) };

	(void)state;
	for (size_t s = 0; s < ARRAY_SIZE(sizes); s++) {
		struct pc_layout l;
		struct e820 m;
		uint64_t lost = MIB(1) - PC_LOW_RAM_END; /* VGA hole and tables */

		fixture_layout(&l, sizes[s], 1);
		assert_int_equal(pc_layout_check(&l, NULL), 0);
		assert_int_equal(e820_build(&l, &m, NULL), 0);
		assert_int_equal(ram_in(&m), sizes[s] - lost);
		for (unsigned int i = 1; i < m.n; i++)
			assert_true(m.e[i - 1].addr + m.e[i - 1].size <= m.e[i].addr);
	}
}

static bool reserved(const struct e820 *m, uint64_t addr)
{
	for (unsigned int i = 0; i < m->n; i++)
		if (addr >= m->e[i].addr && addr - m->e[i].addr < m->e[i].size)
			return m->e[i].type == E820_RESERVED;
	return false;
}

static void test_what_the_guest_must_leave_alone_is_reserved(void **state)
{
	struct pc_layout l;
	struct e820 m;

	(void)state;
	fixture_layout(&l, GIB(1), 1);
	assert_int_equal(e820_build(&l, &m, NULL), 0);
	assert_true(reserved(&m, PC_ACPI_BASE));
	assert_true(reserved(&m, PC_ACPI_LAST));
	assert_true(reserved(&m, PC_RESET_VECTOR));
	assert_true(reserved(&m, l.ecam_base));
	assert_true(reserved(&m, l.ecam_base + MIB(256) - 1));
	assert_true(reserved(&m, 0xfeffc000));
	assert_false(reserved(&m, l.mmio32.first));
}

static void test_both_encodings_say_the_same(void **state)
{
	uint8_t boot[E820_MAX * E820_BOOT_ENTRY_SIZE], pvh[E820_MAX * E820_PVH_ENTRY_SIZE];
	struct pc_layout l;
	struct e820 m;

	(void)state;
	fixture_layout(&l, GIB(5), 1);
	assert_int_equal(e820_build(&l, &m, NULL), 0);
	e820_encode_boot(&m, boot);
	e820_encode_pvh(&m, pvh);
	for (unsigned int i = 0; i < m.n; i++) {
		assert_memory_equal(boot + i * 20, pvh + i * 24, 20);
		assert_int_equal(get_le32(pvh + i * 24 + 20), 0);
		assert_int_equal(get_le64(boot + i * 20), m.e[i].addr);
		assert_int_equal(get_le64(boot + i * 20 + 8), m.e[i].size);
		assert_int_equal(get_le32(boot + i * 20 + 16), m.e[i].type);
	}
}

static void test_bad_layouts_are_named(void **state)
{
	static const struct {
		const char *says;
		int what;
	} cases[] = {
		{ "overlaps low RAM", 0 },
		{ "multiple of 4 KiB", 1 },
		{ "is not between 2 MiB", 2 },
		{ "ECAM at 0xe0080000", 3 },
		{ "reserved range", 4 },
		{ "64-bit PCI window", 5 },
		{ "PCI I/O window", 6 },
		{ "slot 31 pin INTD on GSI 24", 7 },
		{ "no vCPU", 8 },
		{ "is backwards", 9 },
		{ "is empty or wraps", 10 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct verr e = { 0 };
		struct pc_layout l;

		fixture_layout(&l, GIB(5), 1);
		switch (cases[i].what) {
		case 0:
			l.mmio32.first -= 1;
			break;
		case 1:
			l.ram_high_size += 512;
			break;
		case 2:
			l.ram_low_size = MIB(1);
			break;
		case 3:
			l.ecam_base += KIB(512);
			break;
		case 4:
			l.reserved[0] = (struct range){ 0xfee00000, 0xfee00fff };
			break;
		case 5:
			l.mmio64.first = GIB(5) - 1;
			break;
		case 6:
			l.pio.last = 0x10000;
			break;
		case 7:
			l.slots[31].gsi[3] = 24;
			break;
		case 8:
			l.vcpus = 0;
			break;
		case 9:
			l.mmio32.last = 0;
			break;
		case 10:
			l.ram_high_size = UINT64_MAX - 4095;
			break;
		}
		assert_int_equal(pc_layout_check(&l, &e), -EINVAL);
		if (!strstr(e.msg, cases[i].says))
			fail_msg("'%s' does not say '%s'", e.msg, cases[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_map_is_sorted_and_covers_ram),
		cmocka_unit_test(test_what_the_guest_must_leave_alone_is_reserved),
		cmocka_unit_test(test_both_encodings_say_the_same),
		cmocka_unit_test(test_bad_layouts_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
