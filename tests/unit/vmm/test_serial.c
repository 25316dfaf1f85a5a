// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/dev/serial.c: the 16550 as a driver sees it.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/type.h"
#include "tests/fake/rec_chr.h"
#include "tests/fake/rec_platform.h"
#include "vmm/dev/devs.h"

#define PORT 0x3f8
enum { DATA, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

struct fix {
	struct rec_platform p;
	struct rec_chr chr;
	struct dev *d;
};

static int setup(void **state)
{
	struct fix *f = calloc(1, sizeof(*f));
	struct serial_cfg *cfg = props_new(&serial_type.t);

	rec_platform_open(&f->p, 0);
	rec_chr_init(&f->chr);
	cfg->chr = &f->chr.chr;
	cfg->port = PORT;
	cfg->irq = 4;
	f->d = rec_platform_dev(&f->p, &serial_type, cfg);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fix *f = *state;

	dev_free(f->d);
	assert_null(f->chr.chr.front);
	assert_int_equal(rec_in(&f->p, PORT + SCR, 1), 0xff); /* gone */
	rec_platform_close(&f->p);
	free(f);
	return 0;
}

static uint8_t in(struct fix *f, unsigned int reg)
{
	return (uint8_t)rec_in(&f->p, (uint16_t)(PORT + reg), 1);
}

static void out(struct fix *f, unsigned int reg, uint8_t v)
{
	rec_out(&f->p, (uint16_t)(PORT + reg), v, 1);
}

static bool line(const struct fix *f)
{
	return f->p.irq.line[4].level;
}

static void send(struct fix *f, const char *s)
{
	while (*s)
		out(f, DATA, (uint8_t)*s++);
}

static void assert_sent(const struct fix *f, const char *s)
{
	assert_int_equal(f->chr.n_out, strlen(s));
	assert_memory_equal(f->chr.out, s, strlen(s));
}

static void test_power_on_state(void **state)
{
	struct fix *f = *state;

	assert_int_equal(in(f, IER), 0);
	assert_int_equal(in(f, IIR), 0x01);
	assert_int_equal(in(f, LCR), 0);
	assert_int_equal(in(f, MCR), 0);
	assert_int_equal(in(f, LSR), 0x60);
	assert_int_equal(in(f, MSR), 0xb0);
	assert_false(line(f));
}

static void test_registers_keep_what_they_can(void **state)
{
	struct fix *f = *state;

	out(f, SCR, 0x5a);
	assert_int_equal(in(f, SCR), 0x5a);
	out(f, IER, 0xff);
	assert_int_equal(in(f, IER), 0x0f); /* no sleep bits: not a 16750 */
	out(f, MCR, 0xff & ~0x10);
	assert_int_equal(in(f, MCR), 0x0f);
	out(f, LCR, 0x83); /* divisor latch */
	out(f, DATA, 0x01);
	out(f, IER, 0x02);
	assert_int_equal(in(f, DATA), 0x01);
	assert_int_equal(in(f, IER), 0x02);
	out(f, LCR, 0x03);
	assert_int_equal(in(f, IER), 0x0f); /* not the latch */
	assert_int_equal(f->chr.n_out, 0);
	out(f, LSR, 0xff);
	assert_int_equal(in(f, LSR), 0x60);
}

static void test_fifo_enable_is_seen_in_iir(void **state)
{
	struct fix *f = *state;

	out(f, FCR, 0x01);
	assert_int_equal(in(f, IIR), 0xc1);
	out(f, FCR, 0x00);
	assert_int_equal(in(f, IIR), 0x01);
}

static void test_transmit_interrupt(void **state)
{
	struct fix *f = *state;

	out(f, MCR, 0x08); /* OUT2 */
	out(f, IER, 0x02);
	assert_true(line(f)); /* already empty */
	assert_int_equal(in(f, IIR), 0x02);
	assert_false(line(f)); /* reading IIR acknowledged it */
	assert_int_equal(in(f, IIR), 0x01);
	send(f, "hi");
	assert_sent(f, "hi");
	assert_true(line(f));
	out(f, IER, 0x00);
	assert_false(line(f));
	assert_int_equal(in(f, LSR), 0x60);
}

static void test_line_is_driven_once_for_a_burst(void **state)
{
	struct fix *f = *state;

	out(f, FCR, 0x01);
	out(f, MCR, 0x08);
	out(f, IER, 0x02);
	in(f, IIR);
	unsigned int rises = f->p.irq.line[4].rises;
	send(f, "0123456789abcdef");
	assert_int_equal(f->p.irq.line[4].rises, rises + 1);
}

static void test_out2_gates_the_line(void **state)
{
	struct fix *f = *state;

	out(f, IER, 0x02);
	assert_false(line(f));
	out(f, MCR, 0x08);
	assert_true(line(f));
	out(f, MCR, 0x00);
	assert_false(line(f));
	assert_int_equal(in(f, IIR), 0x02); /* the cause is seen all the same */
}

static void test_receive_without_fifo(void **state)
{
	struct fix *f = *state;

	out(f, MCR, 0x08);
	out(f, IER, 0x01);
	rec_chr_type(&f->chr, "ab");
	assert_true(line(f));
	assert_int_equal(f->chr.n_in, 1); /* one register's worth taken */
	assert_int_equal(in(f, IIR), 0x04);
	assert_int_equal(in(f, LSR), 0x61);
	assert_int_equal(in(f, DATA), 'a');
	assert_true(line(f)); /* the next came at once */
	assert_int_equal(in(f, DATA), 'b');
	assert_false(line(f));
	assert_int_equal(in(f, LSR), 0x60);
	assert_int_equal(in(f, DATA), 0);
}

static void test_receive_fifo_trigger_and_timeout(void **state)
{
	struct fix *f = *state;
	char got[64] = "";

	out(f, MCR, 0x08);
	out(f, FCR, 0xc1); /* trigger at 14 */
	out(f, IER, 0x01);
	rec_chr_type(&f->chr, "abc");
	assert_int_equal(in(f, IIR), 0xcc); /* below it: timeout */
	rec_chr_type(&f->chr, "defghijklmnopqrstuvwxyz");
	assert_int_equal(in(f, IIR), 0xc4);
	assert_int_equal(f->chr.n_in, 10);
	for (unsigned int i = 0; in(f, LSR) & 1; i++)
		got[i] = (char)in(f, DATA);
	assert_string_equal(got, "abcdefghijklmnopqrstuvwxyz");
	assert_int_equal(in(f, IIR), 0xc1);
	assert_false(line(f));
}

static void test_fifo_resets(void **state)
{
	struct fix *f = *state;

	out(f, FCR, 0x01);
	rec_chr_type(&f->chr, "abc");
	out(f, FCR, 0x03);
	assert_int_equal(in(f, LSR), 0x60);
	f->chr.takes = 0;
	send(f, "xyz");
	assert_int_equal(in(f, LSR), 0x00);
	out(f, FCR, 0x05);
	assert_int_equal(in(f, LSR), 0x60);
	f->chr.takes = SIZE_MAX;
	send(f, "!");
	assert_sent(f, "!");
	rec_chr_type(&f->chr, "q");
	out(f, FCR, 0x00); /* turning the FIFO off empties it as well */
	assert_int_equal(in(f, LSR), 0x60);
}

static void test_a_slow_back_end_is_seen_as_a_full_transmitter(void **state)
{
	struct fix *f = *state;

	out(f, MCR, 0x08);
	out(f, FCR, 0x01);
	out(f, IER, 0x02);
	in(f, IIR);
	f->chr.takes = 2;
	send(f, "0123456789abcdefXX"); /* 2 go, 16 wait */
	assert_int_equal(in(f, LSR), 0x00);
	assert_false(line(f));
	send(f, "lost");
	rec_chr_drain(&f->chr, 10);
	assert_int_equal(in(f, LSR), 0x00); /* not empty yet */
	rec_chr_drain(&f->chr, SIZE_MAX);
	assert_int_equal(in(f, LSR), 0x60);
	assert_true(line(f));
	assert_sent(f, "0123456789abcdefXX");
}

static void test_loopback(void **state)
{
	struct fix *f = *state;

	out(f, MCR, 0x18);
	assert_int_equal(in(f, MSR) & 0xf0, 0x80); /* OUT2 -> DCD */
	out(f, MCR, 0x1a);
	assert_int_equal(in(f, MSR) & 0xf0, 0x90); /* RTS -> CTS */
	out(f, MCR, 0x1f);
	assert_int_equal(in(f, MSR) & 0xf0, 0xf0);
	send(f, "L");
	assert_int_equal(f->chr.n_out, 0);
	assert_int_equal(in(f, LSR), 0x61);
	rec_chr_type(&f->chr, "outside"); /* is not connected now */
	assert_int_equal(f->chr.n_in, 7);
	send(f, "M"); /* overrun: 'L' was not taken */
	assert_int_equal(in(f, LSR), 0x63);
	assert_int_equal(in(f, LSR), 0x61); /* told once */
	assert_int_equal(in(f, DATA), 'M');
	assert_false(line(f));
	out(f, MCR, 0x08);
	assert_int_equal(in(f, DATA), 'o');
}

static void test_modem_status_deltas(void **state)
{
	struct fix *f = *state;

	in(f, MSR);
	out(f, MCR, 0x18); /* loopback: CTS and DSR drop, DCD stays */
	assert_int_equal(in(f, MSR), 0x83);
	assert_int_equal(in(f, MSR), 0x80); /* cleared by reading */
	out(f, MCR, 0x1c);		    /* RI rises: no delta */
	assert_int_equal(in(f, MSR), 0xc0);
	out(f, MCR, 0x18); /* RI falls: trailing edge */
	assert_int_equal(in(f, MSR), 0x84);
	out(f, MCR, 0x08);
	out(f, IER, 0x08);
	assert_true(line(f)); /* CTS and DSR came back */
	assert_int_equal(in(f, IIR), 0x00);
	in(f, MSR);
	assert_false(line(f));
}

static void test_interrupt_priority(void **state)
{
	struct fix *f = *state;

	out(f, MCR, 0x18);
	send(f, "ab"); /* overrun, data */
	out(f, IER, 0x0f);
	assert_int_equal(in(f, IIR), 0x06);
	in(f, LSR);
	assert_int_equal(in(f, IIR), 0x04);
	in(f, DATA);
	assert_int_equal(in(f, IIR), 0x02);
	assert_int_equal(in(f, IIR), 0x00);
	in(f, MSR);
	assert_int_equal(in(f, IIR), 0x01);
}

static void test_guest_reset_restores_power_on_state(void **state)
{
	struct fix *f = *state;

	out(f, MCR, 0x08);
	out(f, IER, 0x0f);
	out(f, FCR, 0x01);
	rec_chr_type(&f->chr, "abc");
	assert_true(line(f));
	dev_reset(f->d);
	assert_false(line(f));
	test_power_on_state(state);
}

static void test_wide_accesses_are_split(void **state)
{
	struct fix *f = *state;

	rec_out(&f->p, PORT + 6, 0x7b00, 2); /* MSR ignores, SCR keeps */
	assert_int_equal(in(f, SCR), 0x7b);
	assert_int_equal(rec_in(&f->p, PORT + 4, 4), 0x7bb06000);
}

static void test_a_taken_port_fails_realize_cleanly(void **state)
{
	struct fix *f = *state;
	struct serial_cfg *cfg = props_new(&serial_type.t);
	struct rec_chr chr;
	struct verr e = { 0 };
	struct dev *d;

	rec_chr_init(&chr);
	cfg->chr = &chr.chr;
	cfg->port = 0xfffc; /* 8 ports do not fit */
	assert_int_equal(dev_new(&serial_type, &f->p.plat, "serial1", cfg, &d, &e), 0);
	assert_true(dev_realize(d, &e) < 0);
	assert_non_null(strstr(e.msg, "serial1"));
	assert_null(chr.chr.front);
	dev_free(d);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_power_on_state),
		T(test_registers_keep_what_they_can),
		T(test_fifo_enable_is_seen_in_iir),
		T(test_transmit_interrupt),
		T(test_line_is_driven_once_for_a_burst),
		T(test_out2_gates_the_line),
		T(test_receive_without_fifo),
		T(test_receive_fifo_trigger_and_timeout),
		T(test_fifo_resets),
		T(test_a_slow_back_end_is_seen_as_a_full_transmitter),
		T(test_loopback),
		T(test_modem_status_deltas),
		T(test_interrupt_priority),
		T(test_guest_reset_restores_power_on_state),
		T(test_wide_accesses_are_split),
		T(test_a_taken_port_fails_realize_cleanly),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
