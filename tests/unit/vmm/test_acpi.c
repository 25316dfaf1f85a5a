// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/boot/acpi.c, dsdt.c, aml.c: checksums and pointers, the golden tables byte for byte, limits.
// VV_GOLDEN_UPDATE=1 in the environment rewrites tests/golden/acpi instead of comparing; read a
// table with `iasl -d tests/golden/acpi/full/dsdt.aml`.
#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "core/bytes.h"
#include "tests/fake/acpi_fixture.h"
#include "tests/fake/boot_fixture.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/aml.h"

static void assert_sums_to_zero(const uint8_t *p, size_t len)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum = (uint8_t)(sum + p[i]);
	assert_int_equal(sum, 0);
}

static const uint8_t *find(const struct acpi_tables *t, const char *sig, size_t *ret_len)
{
	for (unsigned int i = 0; i < t->n; i++) {
		if (strcmp(t->table[i].sig, sig))
			continue;
		*ret_len = t->table[i].len;
		return t->buf + t->table[i].off;
	}
	fail_msg("no %s", sig);
	return NULL;
}

/* From the RSDP, as a guest goes. */
static const uint8_t *follow(const struct acpi_tables *t, const char *sig)
{
	size_t xsdt_at = get_le64(t->buf + 24) - PC_ACPI_BASE;
	const uint8_t *xsdt = t->buf + xsdt_at;

	assert_memory_equal(xsdt, "XSDT", 4);
	for (size_t off = 36; off < get_le32(xsdt + 4); off += 8) {
		const uint8_t *p = t->buf + (get_le64(xsdt + off) - PC_ACPI_BASE);

		if (!memcmp(p, sig, 4))
			return p;
	}
	fail_msg("the XSDT does not list %s", sig);
	return NULL;
}

static void test_pointers_lengths_and_checksums(void **state)
{
	struct acpi_tables t;
	struct pc_layout l;

	(void)state;
	fixture_layout(&l, GIB(4), 3);
	assert_int_equal(acpi_build(&l, &t, NULL), 0);
	assert_memory_equal(t.buf, "RSD PTR ", 8);
	assert_sums_to_zero(t.buf, 20);
	assert_sums_to_zero(t.buf, 36);
	for (unsigned int i = 0; i < t.n; i++) {
		assert_int_equal(t.table[i].off % 16, 0);
		assert_int_equal(get_le32(t.buf + t.table[i].off + 4), t.table[i].len);
		assert_sums_to_zero(t.buf + t.table[i].off, t.table[i].len);
	}
	const uint8_t *fadt = follow(&t, "FACP");
	assert_memory_equal(t.buf + (get_le64(fadt + 140) - PC_ACPI_BASE), "DSDT", 4);
	assert_int_equal(get_le32(fadt + 112) >> 20 & 1, 1); /* hardware-reduced */
	assert_int_equal(get_le64(fadt + 120), 0x602);	     /* reset register */
	assert_int_equal(get_le64(fadt + 248), 0x600);	     /* sleep control */
	const uint8_t *mcfg = follow(&t, "MCFG");
	assert_int_equal(get_le64(mcfg + 44), l.ecam_base);
	assert_int_equal(mcfg[54], 0);
	assert_int_equal(mcfg[55], 255);
	acpi_free(&t);
}

/* LAPIC entries up to id 254, x2APIC ones from there on. */
static void count_cpus(const uint8_t *madt, unsigned int *ret_lapic, unsigned int *ret_x2apic)
{
	*ret_lapic = *ret_x2apic = 0;
	for (size_t off = 44; off < get_le32(madt + 4); off += madt[off + 1]) {
		assert_true(madt[off + 1] >= 2);
		*ret_lapic += madt[off] == 0;
		*ret_x2apic += madt[off] == 9;
	}
}

static void test_every_vcpu_is_listed(void **state)
{
	static const struct {
		unsigned int vcpus, lapic, x2apic;
	} cases[] = { { 1, 1, 0 }, { 255, 255, 0 }, { 256, 255, 1 }, { 1024, 255, 769 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned int lapic, x2apic;
		struct acpi_tables t;
		struct pc_layout l;

		fixture_layout(&l, GIB(4), cases[i].vcpus);
		assert_int_equal(acpi_build(&l, &t, NULL), 0);
		count_cpus(follow(&t, "APIC"), &lapic, &x2apic);
		assert_int_equal(lapic, cases[i].lapic);
		assert_int_equal(x2apic, cases[i].x2apic);
		acpi_free(&t);
	}
}

static void test_tables_that_do_not_fit_are_refused(void **state)
{
	struct verr e = { 0 };
	struct acpi_tables t;
	struct pc_layout l;

	(void)state;
	fixture_layout(&l, GIB(4), 4096);
	assert_int_equal(acpi_build(&l, &t, &e), -ENOSPC);
	assert_string_equal(e.msg, "ACPI tables for 4096 vCPUs do not fit in 127 KiB");
}

static void golden_path(char *buf, size_t size, const char *name, const char *sig)
{
	char low[5] = { 0 };

	for (unsigned int i = 0; i < 4; i++)
		low[i] = (char)tolower((unsigned char)sig[i]);
	snprintf(buf, size, "%s/tests/golden/acpi/%s/%s.aml", getenv("VV_SRC") ?: "..", name, low);
}

static void golden_compare(const char *path, const uint8_t *data, size_t len)
{
	uint8_t *want = malloc(len + 1);
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		fail_msg("%s: %s", path, strerror(errno));
	n = fread(want, 1, len + 1, f);
	fclose(f);
	for (size_t i = 0; i < len && i < n; i++)
		if (want[i] != data[i])
			fail_msg("%s differs at byte %#zx (VV_GOLDEN_UPDATE=1 to accept)", path, i);
	if (n != len)
		fail_msg("%s has another length than %zu", path, len);
	free(want);
}

static void golden_write(const char *path, const uint8_t *data, size_t len)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(data, 1, len, f) != len || fclose(f))
		fail_msg("%s: %s", path, strerror(errno));
}

static void test_tables_are_the_golden_ones(void **state)
{
	(void)state;
	for (unsigned int c = 0; c < n_acpi_cases; c++) {
		struct acpi_tables t;
		struct pc_layout l;

		acpi_cases[c].layout(&l);
		assert_int_equal(pc_layout_check(&l, NULL), 0);
		assert_int_equal(acpi_build(&l, &t, NULL), 0);
		for (unsigned int i = 0; i < t.n; i++) {
			const uint8_t *p = t.buf + t.table[i].off;
			char path[512];

			golden_path(path, sizeof(path), acpi_cases[c].name, t.table[i].sig);
			if (getenv("VV_GOLDEN_UPDATE"))
				golden_write(path, p, t.table[i].len);
			else
				golden_compare(path, p, t.table[i].len);
		}
		acpi_free(&t);
	}
}

static void test_fadt_says_which_isa_devices_are_there(void **state)
{
	static const struct {
		bool serial, rtc, i8042;
		uint16_t arch;
	} cases[] = {
		{ false, false, false, 0x24 }, { true, false, false, 0x25 },
		{ false, true, false, 0x04 },  { false, false, true, 0x27 },
		{ true, true, true, 0x07 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct acpi_tables t;
		struct pc_layout l;
		size_t len;

		fixture_layout(&l, GIB(1), 1);
		l.has_serial = cases[i].serial;
		l.has_rtc = cases[i].rtc;
		l.has_i8042 = cases[i].i8042;
		assert_int_equal(acpi_build(&l, &t, NULL), 0);
		assert_int_equal(get_le16(find(&t, "FACP", &len) + 109), cases[i].arch);
		assert_int_equal(len, 276);
		acpi_free(&t);
	}
}

static void test_package_lengths_at_every_width(void **state)
{
	/* Body sizes around each width's end, and what the length field is then. */
	static const struct {
		size_t body;
		uint8_t len[4];
		size_t width;
	} cases[] = {
		{ 0, { 0x01 }, 1 },
		{ 62, { 0x3f }, 1 },
		{ 63, { 0x41, 0x04 }, 2 },
		{ 4093, { 0x4f, 0xff }, 2 },
		{ 4094, { 0x81, 0x00, 0x01 }, 3 },
		{ 0xffffc, { 0x8f, 0xff, 0xff }, 3 },
		{ 0xffffd, { 0xc1, 0x00, 0x00, 0x01 }, 4 },
	};
	static uint8_t buf[0x100010], body[0x100000];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct aml a;

		aml_init(&a, buf, sizeof(buf));
		aml_bytes(&a, body, cases[i].body);
		aml_end(&a, 0);
		assert_false(a.overflow);
		assert_int_equal(a.len, cases[i].body + cases[i].width);
		assert_memory_equal(buf, cases[i].len, cases[i].width);
	}
}

static void test_builder_never_leaves_its_buffer(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 80; cap++) {
		uint8_t *buf = malloc(cap + 1);
		struct aml a;
		size_t m;

		buf[cap] = 0xee;
		aml_init(&a, buf, cap);
		m = aml_device(&a, "DEV0");
		aml_name(&a, "_HID");
		aml_eisaid(&a, "PNP0A08");
		aml_name(&a, "\\_SB.PCI0.XYZ");
		aml_int(&a, UINT64_MAX);
		aml_string(&a, "hello");
		aml_uuid(&a, "33db4d5b-1ff7-401c-9657-7441c03dd766");
		aml_end(&a, m);
		assert_true(a.len <= cap);
		assert_int_equal(buf[cap], 0xee);
		assert_int_equal(a.overflow, cap < 70);
		free(buf);
	}
}

static void test_encodings_known_from_the_specification(void **state)
{
	/* clang-format off */
	static const uint8_t want[] = {
		0x0c, 0x41, 0xd0, 0x0a, 0x08, /* EISAID PNP0A08 */
		0x00, 0x01, 0x0a, 0x02, 0x0b, 0x00, 0x01, 0x0c, 0x00, 0x00, 0x01, 0x00,
		0x0e, 0, 0, 0, 0, 1, 0, 0, 0,
		'\\', 0x2e, '_', 'S', 'B', '_', 'P', 'C', 'I', '0',
		0x11, 0x13, 0x0a, 0x10, /* a UUID's bytes, swapped as ToUUID does */
		0x5b, 0x4d, 0xdb, 0x33, 0xf7, 0x1f, 0x1c, 0x40,
		0x96, 0x57, 0x74, 0x41, 0xc0, 0x3d, 0xd7, 0x66,
	};
	/* clang-format on */
	uint8_t buf[128];
	struct aml a;

	(void)state;
	aml_init(&a, buf, sizeof(buf));
	aml_eisaid(&a, "PNP0A08");
	aml_int(&a, 0);
	aml_int(&a, 1);
	aml_int(&a, 2);
	aml_int(&a, 0x100);
	aml_int(&a, 0x10000);
	aml_int(&a, UINT64_C(0x100000000));
	aml_path(&a, "\\_SB.PCI0");
	aml_uuid(&a, "33db4d5b-1ff7-401c-9657-7441c03dd766");
	assert_int_equal(a.len, sizeof(want));
	assert_memory_equal(buf, want, sizeof(want));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pointers_lengths_and_checksums),
		cmocka_unit_test(test_every_vcpu_is_listed),
		cmocka_unit_test(test_tables_that_do_not_fit_are_refused),
		cmocka_unit_test(test_tables_are_the_golden_ones),
		cmocka_unit_test(test_fadt_says_which_isa_devices_are_there),
		cmocka_unit_test(test_package_lengths_at_every_width),
		cmocka_unit_test(test_builder_never_leaves_its_buffer),
		cmocka_unit_test(test_encodings_known_from_the_specification),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
