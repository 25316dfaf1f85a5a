// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/dev/acpi_pm.c, debugexit.c, legacy.c: who ends or resets the machine, and who does not.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/type.h"
#include "tests/fake/rec_platform.h"
#include "vmm/dev/devs.h"

#define PM 0x600

static struct rec_platform p;

static int setup(void **state)
{
	(void)state;
	rec_platform_open(&p, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rec_platform_close(&p);
	return 0;
}

static struct dev *pm_new(void)
{
	struct acpi_pm_cfg *cfg = props_new(&acpi_pm_type.t);

	cfg->port = PM;
	return rec_platform_dev(&p, &acpi_pm_type, cfg);
}

static void test_s5_powers_off(void **state)
{
	struct dev *d = pm_new();

	(void)state;
	rec_out(&p, PM, 5 << 2, 1); /* the type alone does nothing */
	assert_int_equal(p.n_events, 0);
	assert_int_equal(rec_in(&p, PM, 1), 5 << 2);
	rec_out(&p, PM, 5 << 2 | 1 << 5, 1);
	assert_int_equal(p.n_events, 1);
	assert_int_equal(p.event[0].ev, PLATFORM_POWER_OFF);
	assert_ptr_equal(p.event[0].dev, d);
	assert_int_equal(rec_in(&p, PM, 1), 5 << 2); /* SLP_EN is write-only */
	assert_int_equal(rec_in(&p, PM + 1, 1), 0);
	dev_reset(d);
	assert_int_equal(rec_in(&p, PM, 1), 0);
	dev_free(d);
}

static void test_other_sleep_types_do_nothing(void **state)
{
	struct dev *d = pm_new();

	(void)state;
	for (uint32_t v = 0; v < 256; v++)
		if ((v & 0x3c) != (5 << 2 | 1 << 5))
			rec_out(&p, PM, v, 1);
	rec_out(&p, PM + 1, 0xff, 1);
	rec_out(&p, PM + 3, 0xff, 1);
	assert_int_equal(p.n_events, 0);
	dev_free(d);
}

static void test_reset_register_takes_its_value_only(void **state)
{
	struct dev *d = pm_new();

	(void)state;
	rec_out(&p, PM + 2, 0, 1);
	rec_out(&p, PM + 2, 2, 1);
	rec_out(&p, PM + 2, 0xff, 1);
	assert_int_equal(p.n_events, 0);
	rec_out(&p, PM + 2, ACPI_PM_RESET_VALUE, 1);
	assert_int_equal(p.n_events, 1);
	assert_int_equal(p.event[0].ev, PLATFORM_RESET);
	assert_int_equal(rec_in(&p, PM + 2, 1), 0);
	dev_free(d);
}

static void test_debug_exit_tells_success_from_failure(void **state)
{
	struct dev *d = rec_platform_dev(&p, &debugexit_type, NULL); /* defaults: 0xf4 */

	(void)state;
	rec_out(&p, 0xf4, 0, 1);
	assert_int_equal(p.event[0].ev, PLATFORM_POWER_OFF);
	rec_out(&p, 0xf4, 0x1234, 4); /* one event, whatever the width */
	assert_int_equal(p.n_events, 2);
	assert_int_equal(p.event[1].ev, PLATFORM_PANIC);
	assert_non_null(strstr(p.event[1].text, "failure 4660"));
	dev_free(d);
}

static void test_debug_exit_port_can_be_chosen(void **state)
{
	void *cfg = props_new(&debugexit_type.t);
	struct props_target target = { debugexit_type.t.props, cfg };
	struct dev *d;

	(void)state;
	assert_int_equal(props_parse("debug-exit", "port=0x501", &target, 1, NULL), 0);
	d = rec_platform_dev(&p, &debugexit_type, cfg);
	rec_out(&p, 0x501, 7, 1);
	assert_int_equal(p.n_events, 1);
	dev_free(d);
	cfg = props_new(&debugexit_type.t);
	target.cfg = cfg;
	assert_true(props_parse("debug-exit", "port=0xfffd", &target, 1, NULL) < 0);
	props_free(&debugexit_type.t, cfg);
}

static void test_legacy_ports_answer_without_waiting(void **state)
{
	struct dev *d = rec_platform_dev(&p, &legacy_type, NULL);
	uint32_t a, b;

	(void)state;
	assert_int_equal(rec_in(&p, 0x42, 1), 0);
	assert_int_equal(rec_in(&p, 0x61, 1) & 0xc0,
			 0); /* neither parity error nor channel check */
	a = rec_in(&p, 0x61, 1);
	b = rec_in(&p, 0x61, 1);
	assert_int_equal((a ^ b) & 0x10, 0x10); /* refresh toggles */
	assert_int_equal(a & 0x20, 0);
	rec_out(&p, 0x61, 0x01, 1); /* gate of timer 2: its output is up */
	assert_int_equal(rec_in(&p, 0x61, 1) & 0x23, 0x21);
	rec_out(&p, 0x80, 0x55, 1);
	assert_int_equal(p.n_events, 0);
	dev_free(d);
}

static void test_fast_reset_on_the_rising_edge(void **state)
{
	struct dev *d = rec_platform_dev(&p, &legacy_type, NULL);

	(void)state;
	rec_out(&p, 0x92, 0x02, 1);
	assert_int_equal(p.n_events, 0);
	rec_out(&p, 0x92, 0x03, 1);
	assert_int_equal(p.n_events, 1);
	assert_int_equal(p.event[0].ev, PLATFORM_RESET);
	rec_out(&p, 0x92, 0x01, 1);
	assert_int_equal(p.n_events, 1);
	assert_int_equal(rec_in(&p, 0x92, 1), 0x03);
	dev_reset(d);
	rec_out(&p, 0x92, 0x01, 1);
	assert_int_equal(p.n_events, 2);
	dev_free(d);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_s5_powers_off),
		T(test_other_sleep_types_do_nothing),
		T(test_reset_register_takes_its_value_only),
		T(test_debug_exit_tells_success_from_failure),
		T(test_debug_exit_port_can_be_chosen),
		T(test_legacy_ports_answer_without_waiting),
		T(test_fast_reset_on_the_rising_edge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
