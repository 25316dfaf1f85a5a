// SPDX-License-Identifier: GPL-2.0-or-later
// PCI addresses: what is taken, what is refused and how it is said.
#include "rec.h"

#include "pci/bdf.h"

static void test_accepts_what_sysfs_and_lspci_print(void **state)
{
	static const struct {
		const char *text;
		struct bdf want;
		const char *printed;
	} cases[] = {
		{ "0000:03:00.0", { 0, 3, 0, 0 }, "0000:03:00.0" },
		{ "03:00.0", { 0, 3, 0, 0 }, "0000:03:00.0" },
		{ "ffff:ff:1f.7", { 0xffff, 0xff, 0x1f, 7 }, "ffff:ff:1f.7" },
		{ "FFFF:AB:1F.7", { 0xffff, 0xab, 0x1f, 7 }, "ffff:ab:1f.7" },
		{ "1:2:3.4", { 1, 2, 3, 4 }, "0001:02:03.4" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bdf b = { 0 };
		char buf[BDF_STR_MAX];
		assert_int_equal(bdf_parse(cases[i].text, &b, NULL), 0);
		assert_true(bdf_equal(&b, &cases[i].want));
		assert_string_equal(bdf_str(&b, buf), cases[i].printed);
	}
}

static void test_refuses_everything_else_and_shows_the_form(void **state)
{
	static const char *const bad[] = {
		"",
		":",
		"03",
		"03:00",
		"03:00.",
		"03:00.8",
		"03:20.0",
		"100:00.0",
		"0000:03:00.0 ",
		" 0000:03:00.0",
		"0000:03:00.0x",
		"0x3:00.0",
		"-3:00.0",
		"10000:03:00.0",
		"0000:03:00:0",
		"0000.03.00.0",
		"0:0:0:0.0",
		"03:00.00",
		"g3:00.0",
		"03:000.0",
		"03::0.0",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct bdf b = { 1, 2, 3, 4 };
		struct verr err = { 0 };
		assert_int_equal(bdf_parse(bad[i], &b, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "0000:03:00.0"));
		assert_non_null(strstr(err.msg, bad[i]));
		assert_int_equal(b.bus, 2); /* untouched */
	}
}

static void test_every_address_survives_a_round_trip(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 0x10000; i++) {
		struct bdf a = { (uint16_t)(i * 7), (uint8_t)(i >> 8), i >> 3 & 0x1f, i & 7 }, b;
		char buf[BDF_STR_MAX];
		assert_int_equal(bdf_parse(bdf_str(&a, buf), &b, NULL), 0);
		assert_true(bdf_equal(&a, &b));
	}
}

static void test_orders_by_segment_bus_device_function(void **state)
{
	static const struct bdf sorted[] = {
		{ 0, 0, 0, 0 }, { 0, 0, 0, 1 }, { 0, 0, 1, 0 }, { 0, 1, 0, 0 }, { 1, 0, 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sorted); i++)
		for (size_t j = 0; j < ARRAY_SIZE(sorted); j++)
			assert_int_equal(bdf_compare(&sorted[i], &sorted[j]), (i > j) - (i < j));
}

static void test_works_as_a_property(void **state)
{
	struct bdf b = { 0 };
	(void)state;
	assert_int_equal(bdf_prop_parse(&b, "0000:41:02.3", NULL), 0);
	assert_int_equal(b.bus, 0x41);
	assert_int_equal(PCI_DEVFN_OF(b.dev, b.fn), 0x13);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_accepts_what_sysfs_and_lspci_print),
		cmocka_unit_test(test_refuses_everything_else_and_shows_the_form),
		cmocka_unit_test(test_every_address_survives_a_round_trip),
		cmocka_unit_test(test_orders_by_segment_bus_device_function),
		cmocka_unit_test(test_works_as_a_property),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
