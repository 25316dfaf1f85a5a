// SPDX-License-Identifier: GPL-2.0-or-later
//
// Pause, resume and stop: a vCPU leaves the guest wherever it is (a loop, HLT, an exit's callback,
// waiting for SIPI), no kick is lost, and an access in flight is neither lost nor done twice.
#include "kvm_fix.h"

/* Counts at G_COUNT for ever; halts with interrupts off; writes 1, 2, 3 ... to MMIO; reads MMIO
 * values and writes each back to a port. */
__asm__(".pushsection .rodata\n"
	".globl g_loop, g_hlt, g_stream, g_echo, g_pause_end\n"
	"g_loop: incl 0x30000; jmp g_loop\n"
	"g_hlt: incl 0x30000; cli; hlt; jmp g_hlt\n"
	"g_stream: xor %eax, %eax; mov $0xd0000000, %ebx\n"
	"1: inc %eax; mov %eax, (%rbx); jmp 1b\n"
	"g_echo: mov $0xd0000000, %ebx; mov $0x600, %edx\n"
	"2: mov (%rbx), %eax; out %eax, %dx; jmp 2b\n"
	"g_pause_end:\n"
	".popsection\n");
extern const uint8_t g_loop[], g_hlt[], g_stream[], g_echo[], g_pause_end[];

static void start_at(struct fix *f, const uint8_t *code, unsigned int vcpus)
{
	fix_open(f, false, vcpus);
	fix_put(f, G_CODE + 0x1000, g_loop, g_pause_end);
	fix_boot64(f, (uint64_t)(G_CODE + 0x1000 + (code - g_loop)));
	fix_run(f);
}

static bool wait_beyond(struct fix *f, uint32_t n)
{
	uint64_t end = fix_now_ms() + SECONDS * 1000;
	while (fix_count(f, G_COUNT) <= n && fix_now_ms() < end)
		usleep(100);
	return fix_count(f, G_COUNT) > n;
}

static void test_pause_stops_a_loop_and_run_goes_on(void **state)
{
	struct fix f;
	(void)state;
	start_at(&f, g_loop, 1);
	for (unsigned int i = 0; i < 50; i++) {
		uint32_t n = fix_count(&f, G_COUNT);
		assert_true(wait_beyond(&f, n));
		f.a->ops->pause(f.a);
		n = fix_count(&f, G_COUNT);
		if (i % 10 == 0)
			usleep(5000);
		assert_int_equal(fix_count(&f, G_COUNT), n);
		f.a->ops->pause(f.a); /* idempotent */
		fix_run(&f);
	}
	fix_close(&f);
}

static void test_pause_at_any_moment_always_returns(void **state)
{
	struct fix f;
	(void)state;
	start_at(&f, g_loop, 1);
	for (unsigned int i = 0; i < 2000; i++) { /* often before the thread has entered */
		if (i % 3 == 0)
			usleep(i % 50);
		f.a->ops->pause(f.a);
		fix_run(&f);
	}
	assert_true(wait_beyond(&f, fix_count(&f, G_COUNT)));
	fix_close(&f);
}

static void test_pause_in_hlt(void **state)
{
	struct fix f;
	(void)state;
	start_at(&f, g_hlt, 1);
	assert_true(wait_beyond(&f, 0));
	for (unsigned int i = 0; i < 20; i++) {
		usleep(1000);
		f.a->ops->pause(f.a);
		fix_run(&f);
	}
	assert_int_equal(fix_count(&f, G_COUNT), 1); /* a kick is no interrupt */
	fix_close(&f);
}

static void test_pause_with_processors_that_were_never_started(void **state)
{
	struct fix f;
	(void)state;
	start_at(&f, g_loop, 4);
	for (unsigned int i = 0; i < 20; i++) {
		assert_true(wait_beyond(&f, fix_count(&f, G_COUNT)));
		f.a->ops->pause(f.a);
		fix_run(&f);
	}
	fix_close(&f);
}

static void test_writes_in_flight_are_done_exactly_once(void **state)
{
	struct fix f;
	(void)state;
	start_at(&f, g_stream, 1);
	for (unsigned int i = 0; i < 300; i++) {
		usleep(i % 97);
		f.a->ops->pause(f.a);
		unsigned int n = f.n_exits;
		if (i % 30 == 0)
			usleep(2000);
		assert_int_equal(f.n_exits, n);
		fix_run(&f);
	}
	assert_true(fix_wait_exits(&f, f.n_exits + 100));
	f.a->ops->pause(f.a);
	for (unsigned int i = 0; i < f.n_exits; i++)
		assert_int_equal(f.exits[i].data, i + 1);
	fix_close(&f);
}

static void test_reads_in_flight_are_done_exactly_once(void **state)
{
	struct fix f;
	(void)state;
	fix_open(&f, false, 1);
	fix_put(&f, G_CODE + 0x1000, g_loop, g_pause_end);
	fix_boot64(&f, (uint64_t)(G_CODE + 0x1000 + (g_echo - g_loop)));
	f.read_answer = 1;
	f.read_count = true;
	fix_run(&f);
	for (unsigned int i = 0; i < 300; i++) {
		usleep(i % 97);
		f.a->ops->pause(f.a);
		fix_run(&f);
	}
	assert_true(fix_wait_exits(&f, f.n_exits + 100));
	f.a->ops->pause(f.a);
	for (unsigned int i = 0; i + 1 < f.n_exits; i += 2) {
		assert_int_equal(f.exits[i].kind, E_MMIO_READ);
		assert_int_equal(f.exits[i].data, i / 2 + 1);
		assert_int_equal(f.exits[i + 1].kind, E_PIO_WRITE);
		assert_int_equal(f.exits[i + 1].data, i / 2 + 1);
	}
	fix_close(&f);
}

static void test_pause_is_quick(void **state)
{
	struct fix f;
	(void)state;
	start_at(&f, g_loop, 1);
	assert_true(wait_beyond(&f, 0));
	uint64_t worst = 0;
	for (unsigned int i = 0; i < 20; i++) {
		usleep(2000);
		uint64_t t = fix_now_ms();
		f.a->ops->pause(f.a);
		worst = MAX(worst, fix_now_ms() - t);
		fix_run(&f);
	}
	assert_in_range(worst, 0,
			2000); /* a lost kick would take until the next signal: for ever */
	fix_close(&f);
}

static void test_detach_without_pause_and_before_run(void **state)
{
	struct fix f;
	(void)state;
	start_at(&f, g_loop, 2);
	f.a->ops->detach(f.a);
	f.a->ops->detach(f.a);
	fix_close(&f);
	fix_open(&f, false, 2); /* never run */
	f.a->ops->pause(f.a);
	fix_close(&f);
	f.a = fix_accel(false); /* never attached */
	f.a->ops->pause(f.a);
	f.a->ops->close(f.a);
}

static void test_attach_again_after_detach(void **state)
{
	struct fix f;
	(void)state;
	start_at(&f, g_loop, 1);
	assert_true(wait_beyond(&f, 0));
	f.a->ops->detach(f.a);
	const struct accel_machine m = {
		.vcpus = 2, .ram = &f.gmem, .mmio = &f.mmio, .exits = &fix_ops, .opaque = &f
	};
	assert_int_equal(f.a->ops->attach(f.a, &m, NULL), 0);
	fix_boot64(&f, G_CODE);
	fix_run(&f);
	fix_do(&f, OP_OUT8, 0x80, 1);
	fix_close(&f);
}

int main(void)
{
	fix_need_kvm();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pause_stops_a_loop_and_run_goes_on),
		cmocka_unit_test(test_pause_at_any_moment_always_returns),
		cmocka_unit_test(test_pause_in_hlt),
		cmocka_unit_test(test_pause_with_processors_that_were_never_started),
		cmocka_unit_test(test_writes_in_flight_are_done_exactly_once),
		cmocka_unit_test(test_reads_in_flight_are_done_exactly_once),
		cmocka_unit_test(test_pause_is_quick),
		cmocka_unit_test(test_detach_without_pause_and_before_run),
		cmocka_unit_test(test_attach_again_after_detach),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
