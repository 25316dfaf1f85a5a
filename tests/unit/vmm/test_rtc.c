// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/dev/rtc.c: time in every format, setting it, update-in-progress, memory sizes.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "core/type.h"
#include "tests/fake/rec_platform.h"
#include "vmm/dev/devs.h"

#define NS INT64_C(1000000000)

struct fix {
	struct rec_platform p;
	struct dev *d;
};

static int64_t now;

static int64_t fake_now(void)
{
	return now;
}

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	struct rtc_cfg *cfg = props_new(&rtc_type.t);

	rec_platform_open(&f->p, 0);
	cfg->ram_low_size = GIB(3);
	cfg->ram_high_size = GIB(5);
	cfg->now_ns = fake_now;
	now = INT64_C(1709210096) * NS; /* 2024-02-29 12:34:56, a Thursday */
	f->d = rec_platform_dev(&f->p, &rtc_type, cfg);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	dev_free(f->d);
	rec_platform_close(&f->p);
	free(f);
	return 0;
}

static uint8_t get(struct fix *f, uint8_t reg)
{
	rec_out(&f->p, 0x70, reg, 1);
	return (uint8_t)rec_in(&f->p, 0x71, 1);
}

static void set(struct fix *f, uint8_t reg, uint8_t v)
{
	rec_out(&f->p, 0x70, reg, 1);
	rec_out(&f->p, 0x71, v, 1);
}

static void assert_time(struct fix *f, uint8_t century, uint8_t y, uint8_t mo, uint8_t d, uint8_t h,
			uint8_t mi, uint8_t s)
{
	assert_int_equal(get(f, 0x32), century);
	assert_int_equal(get(f, 9), y);
	assert_int_equal(get(f, 8), mo);
	assert_int_equal(get(f, 7), d);
	assert_int_equal(get(f, 4), h);
	assert_int_equal(get(f, 2), mi);
	assert_int_equal(get(f, 0), s);
}

static void test_bcd_24_hours_by_default(void **state)
{
	struct fix *f = *state;

	assert_int_equal(get(f, 0x0b), 0x02);
	assert_int_equal(get(f, 0x0d), 0x80);
	assert_int_equal(get(f, 0x0c), 0);
	assert_time(f, 0x20, 0x24, 0x02, 0x29, 0x12, 0x34, 0x56);
	assert_int_equal(get(f, 6), 5); /* Thursday */
	now += NS * 60 * 60 * 12;
	assert_time(f, 0x20, 0x24, 0x03, 0x01, 0x00, 0x34, 0x56);
}

static void test_other_formats(void **state)
{
	struct fix *f = *state;

	set(f, 0x0b, 0x06); /* binary */
	assert_time(f, 0x20, 24, 2, 29, 12, 34, 56);
	set(f, 0x0b, 0x00); /* BCD, 12 hours */
	assert_int_equal(get(f, 4), 0x92);
	now += NS * 3600;
	assert_int_equal(get(f, 4), 0x81);
	now += NS * 3600 * 11;
	assert_int_equal(get(f, 4), 0x12); /* midnight */
	now += NS * 3600;
	assert_int_equal(get(f, 4), 0x01);
}

static void test_guest_sets_the_time_and_it_goes_on(void **state)
{
	struct fix *f = *state;

	set(f, 0x0b, 0x82); /* SET: stands */
	set(f, 0x32, 0x19);
	set(f, 9, 0x99);
	set(f, 8, 0x12);
	set(f, 7, 0x31);
	set(f, 4, 0x23);
	set(f, 2, 0x59);
	set(f, 0, 0x58);
	now += NS * 10;
	assert_time(f, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
	set(f, 0x0b, 0x02);
	assert_time(f, 0x19, 0x99, 0x12, 0x31, 0x23, 0x59, 0x58);
	now += NS * 2;
	assert_time(f, 0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
	dev_reset(f->d); /* battery backed */
	assert_time(f, 0x20, 0x00, 0x01, 0x01, 0x00, 0x00, 0x00);
	set(f, 2, 0x30); /* one register, while running */
	assert_time(f, 0x20, 0x00, 0x01, 0x01, 0x00, 0x30, 0x00);
}

static void test_years_far_away(void **state)
{
	struct fix *f = *state;

	set(f, 0x0b, 0x82);
	set(f, 0x32, 0x17);
	set(f, 9, 0x51);
	set(f, 0x0b, 0x02);
	assert_time(f, 0x17, 0x51, 0x03, 0x01, 0x12, 0x34, 0x56); /* 1751 had no 29 February */
	set(f, 0x0b, 0x82);
	set(f, 0x32, 0x99);
	set(f, 0x0b, 0x02);
	assert_time(f, 0x99, 0x51, 0x03, 0x01, 0x12, 0x34, 0x56);
}

static void test_update_in_progress(void **state)
{
	struct fix *f = *state;

	assert_int_equal(get(f, 0x0a), 0x26);
	now += NS - 244001;
	assert_int_equal(get(f, 0x0a), 0x26);
	now += 1;
	assert_int_equal(get(f, 0x0a), 0xa6);
	assert_int_equal(get(f, 0), 0x56); /* the old second still */
	now += 244000;
	assert_int_equal(get(f, 0x0a), 0x26);
	assert_int_equal(get(f, 0), 0x57);
	now += NS - 1;
	set(f, 0x0b, 0x82);
	assert_int_equal(get(f, 0x0a), 0x26); /* no updates while set */
}

static void test_memory_sizes(void **state)
{
	struct fix *f = *state;

	assert_int_equal(get(f, 0x15) | get(f, 0x16) << 8, 640);
	assert_int_equal(get(f, 0x17) | get(f, 0x18) << 8, 0xffff);
	assert_int_equal(get(f, 0x30) | get(f, 0x31) << 8, 0xffff);
	assert_int_equal(get(f, 0x34) | get(f, 0x35) << 8, (GIB(3) - MIB(16)) >> 16);
	assert_int_equal(get(f, 0x5b) | get(f, 0x5c) << 8 | get(f, 0x5d) << 16, GIB(5) >> 16);
}

static void test_no_value_the_guest_can_write_does_harm(void **state)
{
	struct fix *f = *state;

	for (unsigned int v = 0; v < 256; v++) {
		for (unsigned int reg = 0; reg < 256; reg++) {
			set(f, (uint8_t)reg, (uint8_t)v);
			get(f, (uint8_t)reg);
		}
		set(f, 0x0b, (uint8_t)(v ^ 0x80));
		get(f, 0);
	}
	assert_int_equal(get(f, 0x0d), 0x80);
	set(f, 0x80 | 0x40, 0x11); /* the NMI mask bit is no part of the index */
	assert_int_equal(get(f, 0x40), 0x11);
	assert_int_equal(rec_in(&f->p, 0x70, 1), 0xff);
}

static void test_hosts_clock_by_default(void **state)
{
	struct fix *f = *state;
	struct rec_platform p;
	struct dev *d;
	time_t t = time(NULL);
	struct tm tm;

	(void)f;
	rec_platform_open(&p, 0);
	d = rec_platform_dev(&p, &rtc_type, NULL);
	rec_out(&p, 0x70, 9, 1);
	gmtime_r(&t, &tm);
	assert_int_equal(rec_in(&p, 0x71, 1), (tm.tm_year % 100 / 10 << 4) | tm.tm_year % 10);
	dev_free(d);
	rec_platform_close(&p);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_bcd_24_hours_by_default),
		T(test_other_formats),
		T(test_guest_sets_the_time_and_it_goes_on),
		T(test_years_far_away),
		T(test_update_in_progress),
		T(test_memory_sizes),
		T(test_no_value_the_guest_can_write_does_harm),
		T(test_hosts_clock_by_default),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
