// SPDX-License-Identifier: GPL-2.0-or-later
//
// Level lines: a device's eventfd raises an IOAPIC pin, the guest's EOI lowers it and resamples;
// masked pins gather; pins driven from user space stay up until lowered. In both irqchip modes:
// the kernel's IOAPIC and ours must not be told apart.
#include "kvm_fix.h"

#include "core/uapi.h"

enum { PIN = 20, IOAPIC = 0xfec00000 };

static bool split;
static int fd, resample_fd;

static void rte_write(struct fix *f, unsigned int pin, uint64_t rte)
{
	fix_do(f, OP_WR32, IOAPIC, 0x11 + 2 * pin);
	fix_do(f, OP_WR32, IOAPIC + 0x10, rte >> 32);
	fix_do(f, OP_WR32, IOAPIC, 0x10 + 2 * pin);
	fix_do(f, OP_WR32, IOAPIC + 0x10, (uint32_t)rte);
}

static uint32_t rte_read(struct fix *f, unsigned int pin)
{
	fix_do(f, OP_WR32, IOAPIC, 0x10 + 2 * pin);
	return (uint32_t)fix_do(f, OP_RD32, IOAPIC + 0x10, 0);
}

static void start(struct fix *f)
{
	fix_start(f, split);
	fd = sys_eventfd(0, EFD_NONBLOCK);
	resample_fd = sys_eventfd(0, EFD_NONBLOCK);
	assert_true(fd >= 0 && resample_fd >= 0);
}

static void finish(struct fix *f)
{
	f->a->irq->ops->line_unbind(f->a->irq, PIN, fd);
	fix_close(f);
	sys_close(fd);
	sys_close(resample_fd);
}

/* The machine lock of this machine is f->lock: the IOAPIC's handlers run under it. */
static int bind_line(struct fix *f)
{
	pthread_mutex_lock(&f->lock);
	int r = f->a->irq->ops->line_bind(f->a->irq, PIN, fd, resample_fd);
	pthread_mutex_unlock(&f->lock);
	return r;
}

static void set_line(struct fix *f, unsigned int pin, bool level)
{
	pthread_mutex_lock(&f->lock);
	assert_int_equal(f->a->irq->ops->line_set(f->a->irq, pin, level), 0);
	pthread_mutex_unlock(&f->lock);
}

static uint64_t ended(struct fix *f)
{
	uint64_t n = UINT64_MAX;
	pthread_mutex_lock(&f->lock);
	assert_int_equal(f->a->irq->ops->line_ended(f->a->irq, PIN, &n), 0);
	pthread_mutex_unlock(&f->lock);
	return n;
}

static bool wait_resample(void)
{
	struct pollfd p = { .fd = resample_fd, .events = POLLIN };
	return poll(&p, 1, SECONDS * 1000) == 1 && sys_event_take(resample_fd) == 1;
}

static void test_eoi_resamples_and_a_device_still_up_interrupts_again(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15);
	assert_int_equal(bind_line(&f), 0);
	assert_int_equal(ended(&f), 0);	     /* counted from here */
	for (uint32_t i = 1; i <= 50; i++) { /* as VFIO does: unmask at resample, fire again */
		sys_event_signal(fd);
		assert_true(fix_wait_count(&f, G_COUNT + 4, i));
		assert_true(wait_resample());
	}
	fix_settle();
	assert_int_equal(fix_count(&f, G_COUNT + 4), 50);
	assert_int_equal(ended(&f), 50);
	assert_false(sys_event_pending(resample_fd));
	finish(&f);
}

/* Plays a device whose line is up until the guest has had n interrupts. At the unmask the kernel
 * either injects what it has, or (Linux 6.3 and later) asks the device again. A KVM that emulates
 * may end an interrupt as it delivers it: so the handler gets a moment before the device fires
 * again. */
static void device_is_up(struct fix *f, uint32_t n)
{
	while (fix_count(f, G_COUNT + 4) < n) {
		assert_true(wait_resample());
		fix_settle();
		if (fix_count(f, G_COUNT + 4) < n)
			sys_event_signal(fd);
		fix_settle();
	}
	assert_int_equal(fix_count(f, G_COUNT + 4), n);
	sys_event_take(resample_fd); /* of the last EOI */
}

static void test_line_down_again_while_masked(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15 | 1 << 16);
	assert_int_equal(bind_line(&f), 0);
	sys_event_signal(fd);
	fix_settle();
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15);
	assert_true(wait_resample()); /* asked; the device stays silent */
	fix_settle();
	assert_in_range(fix_count(&f, G_COUNT + 4), 0, 1);
	if (split)
		assert_int_equal(fix_count(&f, G_COUNT + 4), 0);
	finish(&f);
}

static void test_masked_pin_delivers_at_unmask_once(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15 | 1 << 16);
	assert_int_equal(bind_line(&f), 0);
	sys_event_signal(fd);
	fix_settle();
	assert_int_equal(fix_count(&f, G_COUNT + 4), 0);
	assert_false(sys_event_pending(resample_fd));
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15);
	device_is_up(&f, 1);
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15 | 1 << 16);
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15);
	fix_settle();
	assert_int_equal(fix_count(&f, G_COUNT + 4), 1);
	finish(&f);
}

static void test_bind_delivers_what_was_signalled_before(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15);
	sys_event_signal(fd);
	assert_int_equal(bind_line(&f), 0);
	assert_true(fix_wait_count(&f, G_COUNT + 4, 1));
	assert_true(wait_resample());
	fix_settle();
	assert_int_equal(fix_count(&f, G_COUNT + 4), 1);
	finish(&f);
}

static void test_unbound_line_is_silent(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15);
	assert_int_equal(bind_line(&f), 0);
	pthread_mutex_lock(&f.lock);
	f.a->irq->ops->line_unbind(f.a->irq, PIN, fd);
	pthread_mutex_unlock(&f.lock);
	sys_event_signal(fd);
	fix_settle();
	assert_int_equal(fix_count(&f, G_COUNT + 4), 0);
	assert_true(sys_event_pending(fd));
	finish(&f);
}

/* Reads the device's status in the handler's place: the line goes down when it was seen up. */
static void test_line_from_user_space_interrupts_until_lowered(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	rte_write(&f, 5, VEC_LEVEL | 1 << 15);
	set_line(&f, 5, true);
	uint64_t end = fix_now_ms() + SECONDS * 1000;
	while (fix_count(&f, G_COUNT + 4) < 3 && fix_now_ms() < end)
		usleep(100); /* EOI does not help: it is still up */
	assert_true(fix_count(&f, G_COUNT + 4) >= 3);
	set_line(&f, 5, false);
	fix_settle();
	uint32_t n = fix_count(&f, G_COUNT + 4);
	fix_settle();
	assert_int_equal(fix_count(&f, G_COUNT + 4), n);
	finish(&f);
}

static void test_edge_pin_interrupts_once_per_edge(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	rte_write(&f, 6, VEC_EDGE);
	for (uint32_t i = 1; i <= 10; i++) {
		set_line(&f, 6, true);
		assert_true(fix_wait_count(&f, G_COUNT, i));
		set_line(&f, 6, false);
	}
	fix_settle();
	assert_int_equal(fix_count(&f, G_COUNT), 10);
	finish(&f);
}

static void test_registers_read_back(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	assert_int_equal(rte_read(&f, PIN) & (1 << 16), 1 << 16); /* masked at power-on */
	rte_write(&f, PIN, UINT64_C(0x0100000000000000) | VEC_LEVEL | 1 << 15 | 1 << 16);
	assert_int_equal(rte_read(&f, PIN), VEC_LEVEL | 1 << 15 | 1 << 16);
	fix_do(&f, OP_WR32, IOAPIC, 0x11 + 2 * PIN);
	assert_int_equal(fix_do(&f, OP_RD32, IOAPIC + 0x10, 0), 0x01000000);
	fix_do(&f, OP_WR32, IOAPIC, 1);
	uint32_t version = (uint32_t)fix_do(&f, OP_RD32, IOAPIC + 0x10, 0);
	assert_int_equal(version >> 16 & 0xff, 23);
	finish(&f);
}

static void test_reset_masks_pins(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15);
	assert_int_equal(bind_line(&f), 0);
	f.a->ops->pause(f.a);
	struct verr err = { 0 };
	if (f.a->ops->reset(f.a, &err) < 0)
		fail_msg("reset: %s", err.msg);
	fix_boot64(&f, G_CODE);
	fix_run(&f);
	sys_event_signal(fd);
	fix_do(&f, OP_OUT8, 0x80, 0);
	fix_settle();
	assert_int_equal(fix_count(&f, G_COUNT + 4), 0);
	assert_int_equal(rte_read(&f, PIN) & 0x100ff, 0x10000);
	rte_write(&f, PIN, VEC_LEVEL | 1 << 15);
	device_is_up(&f, 1);
	finish(&f);
}

int main(void)
{
	fix_need_kvm();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_eoi_resamples_and_a_device_still_up_interrupts_again),
		cmocka_unit_test(test_masked_pin_delivers_at_unmask_once),
		cmocka_unit_test(test_line_down_again_while_masked),
		cmocka_unit_test(test_bind_delivers_what_was_signalled_before),
		cmocka_unit_test(test_unbound_line_is_silent),
		cmocka_unit_test(test_line_from_user_space_interrupts_until_lowered),
		cmocka_unit_test(test_edge_pin_interrupts_once_per_edge),
		cmocka_unit_test(test_registers_read_back),
		cmocka_unit_test(test_reset_masks_pins),
	};
	int failed = 0;
	for (int mode = 0; mode < 2; mode++) {
		split = mode == 1;
		print_message("kernel-irqchip=%s\n", split ? "split" : "on");
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed;
}
