// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/dev/i8042.c: resets, and immediate answers to every probe.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/fake/rec_platform.h"
#include "vmm/dev/devs.h"

struct fix {
	struct rec_platform p;
	struct dev *d;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));

	rec_platform_open(&f->p, 0);
	f->d = rec_platform_dev(&f->p, &i8042_type, NULL);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	dev_free(f->d);
	assert_int_equal(rec_in(&f->p, 0x64, 1), 0xff);
	rec_platform_close(&f->p);
	free(f);
	return 0;
}

static void cmd(struct fix *f, uint8_t v)
{
	rec_out(&f->p, 0x64, v, 1);
}

static void data(struct fix *f, uint8_t v)
{
	rec_out(&f->p, 0x60, v, 1);
}

static uint8_t status(struct fix *f)
{
	return (uint8_t)rec_in(&f->p, 0x64, 1);
}

/* The answer, which must be there at once and then be gone. */
static uint8_t answer(struct fix *f)
{
	uint8_t v;

	assert_int_equal(status(f) & 0x03, 0x01);
	v = (uint8_t)rec_in(&f->p, 0x60, 1);
	assert_int_equal(status(f) & 0x01, 0);
	return v;
}

static void test_reset_pulses(void **state)
{
	struct fix *f = *state;
	unsigned int resets = 0;

	for (unsigned int c = 0xf0; c <= 0xff; c++) {
		cmd(f, (uint8_t)c);
		resets += !(c & 1);
		assert_int_equal(f->p.n_events, resets);
	}
	cmd(f, 0xd1);
	data(f, 0x03); /* A20 on, not reset */
	assert_int_equal(f->p.n_events, resets);
	cmd(f, 0xd1);
	data(f, 0x02);
	assert_int_equal(f->p.n_events, resets + 1);
	assert_int_equal(f->p.event[0].ev, PLATFORM_RESET);
	assert_ptr_equal(f->p.event[0].dev, f->d);
	assert_non_null(strstr(f->p.event[0].text, "keyboard controller"));
}

static void test_probe_as_linux_does_it_never_waits(void **state)
{
	struct fix *f = *state;

	assert_int_equal(status(f) & 0x01, 0); /* nothing to flush */
	cmd(f, 0xaa);
	assert_int_equal(answer(f), 0x55);
	cmd(f, 0x20);
	uint8_t ctr = answer(f);
	cmd(f, 0x60);
	data(f, (uint8_t)(ctr | 0x10));
	/* The second port: loop comes back, but not from it; its test fails; it stays off. */
	cmd(f, 0xd3);
	data(f, 0x5a);
	assert_int_equal(status(f) & 0x21, 0x01);
	assert_int_equal(answer(f), 0x5a);
	cmd(f, 0xa9);
	assert_int_equal(answer(f), 0x01);
	cmd(f, 0xa8);
	cmd(f, 0x20);
	assert_int_equal(answer(f) & 0x20, 0x20);
	cmd(f, 0xab);
	assert_int_equal(answer(f), 0x00);
	/* The keyboard: told at once that there is none. */
	data(f, 0xf2);
	assert_int_equal(status(f) & 0x41, 0x41);
	assert_int_equal(answer(f), 0xfe);
	cmd(f, 0xd4);
	data(f, 0xf2);
	assert_int_equal(status(f) & 0x41, 0x41);
	assert_int_equal(answer(f), 0xfe);
	assert_int_equal(f->p.n_events, 0);
}

static void test_interrupt_only_when_enabled(void **state)
{
	struct fix *f = *state;

	data(f, 0xf2);
	assert_false(f->p.irq.line[1].level);
	answer(f);
	cmd(f, 0x60);
	data(f, 0x01);
	data(f, 0xf2);
	assert_true(f->p.irq.line[1].level);
	answer(f);
	assert_false(f->p.irq.line[1].level);
	data(f, 0xf2);
	dev_reset(f->d);
	assert_false(f->p.irq.line[1].level);
	assert_int_equal(status(f) & 1, 0);
}

static void test_command_bit_follows_the_port(void **state)
{
	struct fix *f = *state;

	cmd(f, 0xad);
	assert_int_equal(status(f) & 0x08, 0x08);
	data(f, 0x00);
	assert_int_equal(status(f) & 0x08, 0);
	cmd(f, 0xae);
	cmd(f, 0x20);
	assert_int_equal(answer(f) & 0x10, 0);
	cmd(f, 0xd0);
	assert_int_equal(answer(f), 0x03);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_reset_pulses),
		T(test_probe_as_linux_does_it_never_waits),
		T(test_interrupt_only_when_enabled),
		T(test_command_bit_follows_the_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
