// SPDX-License-Identifier: GPL-2.0-or-later
// The ACPI tables through Intel's own compiler: each disassembles, and the DSDT's disassembly
// compiles again without an error, a warning or a remark. Skipped without iasl.
#include <errno.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fake/acpi_fixture.h"
#include "tests/fake/boot_fixture.h"
#include "vmm/boot/acpi.h"

static char dir[] = "/tmp/vv-acpi-XXXXXX";

/* Runs a command line in `dir`, its output in dir/out.txt. */
static int run(const char *command)
{
	char line[512];

	snprintf(line, sizeof(line), "cd %s && %s >out.txt 2>&1", dir, command);
	return system(line);
}

static char *slurp(const char *name)
{
	static char text[1 << 20];
	char path[512];
	size_t n;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	f = fopen(path, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = 0;
	return text;
}

static void write_table(const char *sig, const uint8_t *data, size_t len)
{
	char path[512];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s.aml", dir, sig);
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(data, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

static void check_table(const char *sig, const uint8_t *data, size_t len)
{
	char command[128], dsl[32], *text;

	write_table(sig, data, len);
	snprintf(command, sizeof(command), "iasl -d %s.aml", sig);
	if (run(command) != 0)
		fail_msg("iasl -d %s: %s", sig, slurp("out.txt"));
	text = slurp("out.txt");
	if (strstr(text, "Error") || strstr(text, "Warning") || strstr(text, "Invalid"))
		fail_msg("iasl -d %s: %s", sig, text);
	snprintf(dsl, sizeof(dsl), "%s.dsl", sig);
	text = slurp(dsl);
	if (strstr(text, "Unknown") || strstr(text, "Invalid") || strstr(text, "Incorrect"))
		fail_msg("%s: %s", dsl, text);
}

static void recompile_dsdt(void)
{
	if (run("iasl -tc DSDT.dsl") != 0)
		fail_msg("iasl DSDT.dsl: %s", slurp("out.txt"));
	if (!strstr(slurp("out.txt"), "0 Errors, 0 Warnings, 0 Remarks"))
		fail_msg("iasl DSDT.dsl: %s", slurp("out.txt"));
}

static void check_machine(const struct pc_layout *l)
{
	struct acpi_tables t;

	assert_int_equal(acpi_build(l, &t, NULL), 0);
	for (unsigned int i = 0; i < t.n; i++)
		check_table(t.table[i].sig, t.buf + t.table[i].off, t.table[i].len);
	acpi_free(&t);
	recompile_dsdt();
}

static void test_every_table_disassembles_and_the_dsdt_compiles(void **state)
{
	struct pc_layout l;

	(void)state;
	for (unsigned int c = 0; c < n_acpi_cases; c++) {
		acpi_cases[c].layout(&l);
		check_machine(&l);
	}
	fixture_layout(&l, GIB(16), 300);
	check_machine(&l);
}

static void test_dsdt_says_what_the_layout_says(void **state)
{
	static const char *const lines[] = {
		"Name (_HID, EisaId (\"PNP0A08\") /* PCI Express Bus */)",
		"Name (_CID, EisaId (\"PNP0A03\") /* PCI Bus */)",
		"0xC0000000,         // Range Minimum",
		"0xDFFFFFFF,         // Range Maximum",
		"0x000A0000,         // Range Minimum",
		"0x000BFFFF,         // Range Maximum",
		"0x000003B0,         // Range Minimum",
		"0x000003BB,         // Range Maximum",
		"0x000003C0,         // Range Minimum",
		"0x000003DF,         // Range Maximum",
		"0x0000000800000000, // Range Minimum",
		"0x0000000FFFFFFFFF, // Range Maximum",
		"Name (_HID, EisaId (\"PNP0C02\") /* PNP Motherboard Resources */)",
		"Name (_HID, EisaId (\"PNP0501\")",
		"Name (_HID, EisaId (\"PNP0B00\")",
		"Name (_HID, EisaId (\"PNP0303\")",
		"Name (_HID, \"ACPI0007\" /* Processor Device */)",
		"Name (\\_S5",
		"Method (_OSC, 4, Serialized)",
	};
	struct acpi_tables t;
	struct pc_layout l;
	char *text;

	(void)state;
	acpi_cases[0].layout(&l);
	l.has_vga = true;
	assert_int_equal(acpi_build(&l, &t, NULL), 0);
	for (unsigned int i = 0; i < t.n; i++)
		if (!strcmp(t.table[i].sig, "DSDT"))
			check_table("DSDT", t.buf + t.table[i].off, t.table[i].len);
	acpi_free(&t);
	text = slurp("DSDT.dsl");
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		if (!strstr(text, lines[i]))
			fail_msg("the DSDT does not say: %s", lines[i]);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) ? 0 : -1;
}

static int remove_dir(void **state)
{
	(void)state;
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_table_disassembles_and_the_dsdt_compiles),
		cmocka_unit_test(test_dsdt_says_what_the_layout_says),
	};

	if (system("command -v iasl >/dev/null") != 0) {
		fprintf(stderr, "skipped: no iasl (acpica-tools)\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
