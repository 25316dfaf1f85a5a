// SPDX-License-Identifier: GPL-2.0-or-later
//
// MSI by irqfd: bound delivers, unbound gathers, bind delivers what was gathered exactly once; a
// message can change under a bound irqfd; a storm of masking loses nothing. In both irqchip modes.
#include "kvm_fix.h"

#include <stdatomic.h>

#include "core/uapi.h"

static const struct msi_msg edge = { .addr = 0xfee00000, .data = VEC_EDGE };

static bool split;
static int fd;
static uint32_t gsi;

static void start(struct fix *f)
{
	fix_start(f, split);
	struct irqchip *c = f->a->irq;
	fd = sys_eventfd(0, EFD_NONBLOCK);
	assert_true(fd >= 0);
	assert_int_equal(c->ops->route_new(c, &gsi), 0);
	assert_in_range(gsi, 24, 4095);
	assert_int_equal(c->ops->route_set(c, gsi, &edge), 0);
	assert_int_equal(c->ops->route_commit(c), 0);
	fix_do(f, OP_OUT8, 0x80, 0); /* interrupts are on by now */
}

static void finish(struct fix *f)
{
	f->a->irq->ops->route_unbind(f->a->irq, gsi, fd);
	f->a->irq->ops->route_free(f->a->irq, gsi);
	fix_close(f);
	sys_close(fd);
}

static int bind_fd(struct fix *f)
{
	return f->a->irq->ops->route_bind(f->a->irq, gsi, fd);
}

static void unbind_fd(struct fix *f)
{
	f->a->irq->ops->route_unbind(f->a->irq, gsi, fd);
}

static void test_bound_fd_is_an_interrupt_each(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	assert_int_equal(bind_fd(&f), 0);
	for (uint32_t i = 1; i <= 50; i++) {
		sys_event_signal(fd);
		assert_true(fix_wait_count(&f, G_COUNT, i));
	}
	assert_false(sys_event_pending(fd));
	assert_int_equal(f.n_exits, 1); /* the OUT of start(): interrupts make no exit */
	finish(&f);
}

static void test_unbound_gathers_and_bind_delivers_exactly_once(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	for (uint32_t round = 1; round <= 20; round++) {
		sys_event_signal(fd);
		sys_event_signal(fd);
		assert_true(sys_event_pending(fd)); /* the pending bit */
		if (round == 1) {
			fix_settle();
			assert_int_equal(fix_count(&f, G_COUNT), 0);
		}
		assert_int_equal(bind_fd(&f), 0);
		assert_true(fix_wait_count(&f, G_COUNT, round));
		assert_false(sys_event_pending(fd));
		unbind_fd(&f);
		/* Nothing left that the next bind would deliver again. */
		assert_false(sys_event_pending(fd));
		assert_int_equal(bind_fd(&f), 0);
		if (round % 10 == 0)
			fix_settle();
		assert_int_equal(fix_count(&f, G_COUNT), round);
		unbind_fd(&f);
	}
	finish(&f);
}

/* The kernel's own behaviour that kvm_irq.h relies on, seen without our draining. */
static void test_kernel_leaves_count_at_bind_and_takes_it_at_unbind(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	int kvm = sys_open("/dev/kvm", O_RDWR, 0);
	int vm = sys_ioctl(kvm, KVM_CREATE_VM, NULL); /* to call KVM_IRQFD by hand */
	assert_true(vm >= 0);
	assert_int_equal(sys_ioctl(vm, KVM_CREATE_IRQCHIP, NULL), 0);
	struct kvm_irqfd irqfd = { .fd = (uint32_t)fd, .gsi = 30 };
	sys_event_signal(fd);
	assert_int_equal(sys_ioctl(vm, KVM_IRQFD, &irqfd), 0);
	assert_true(sys_event_pending(fd)); /* left */
	sys_event_take(fd);
	sys_event_signal(fd);
	assert_false(sys_event_pending(fd)); /* a signal while bound: taken in its own context */
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	assert_int_equal(sys_ioctl(vm, KVM_IRQFD, &irqfd), 0);
	sys_event_signal(fd);
	irqfd.flags = 0;
	assert_int_equal(sys_ioctl(vm, KVM_IRQFD, &irqfd), 0);
	irqfd.flags = KVM_IRQFD_FLAG_DEASSIGN;
	assert_int_equal(sys_ioctl(vm, KVM_IRQFD, &irqfd), 0);
	assert_false(sys_event_pending(fd)); /* the unbind took what the bind had delivered */
	sys_close(vm);
	sys_close(kvm);
	finish(&f);
}

static void test_message_changes_under_a_bound_fd(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	struct irqchip *c = f.a->irq;
	assert_int_equal(bind_fd(&f), 0);
	const struct msi_msg other = { .addr = 0xfee00000, .data = VEC_LEVEL };
	assert_int_equal(c->ops->route_set(c, gsi, &other), 0);
	sys_event_signal(fd); /* staged only: still the old one */
	assert_true(fix_wait_count(&f, G_COUNT, 1));
	assert_int_equal(c->ops->route_commit(c), 0);
	sys_event_signal(fd);
	assert_true(fix_wait_count(&f, G_COUNT + 4, 1));
	assert_int_equal(fix_count(&f, G_COUNT), 1);
	finish(&f);
}

/* Signals are numbered by waiting for each: whatever the state of the mask was when it came, the
 * interrupt must come. */
struct storm {
	atomic_bool stop;
};

static void *storm_signals(void *arg)
{
	struct storm *s = arg;
	while (!s->stop) {
		sys_event_signal(fd);
		usleep(50);
	}
	return NULL;
}

static void test_storm_of_masking_loses_no_interrupt(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	struct storm s = { .stop = false };
	for (uint32_t i = 1; i <= 300; i++) { /* one at a time: every one arrives */
		sys_event_signal(fd);
		assert_int_equal(bind_fd(&f), 0);
		unbind_fd(&f);
		assert_true(fix_wait_count(&f, G_COUNT, i));
	}
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, storm_signals, &s), 0);
	for (unsigned int i = 0; i < 500; i++) {
		assert_int_equal(bind_fd(&f), 0);
		unbind_fd(&f);
	}
	s.stop = true;
	pthread_join(t, NULL);
	assert_int_equal(bind_fd(&f), 0);
	fix_settle();
	uint32_t before = fix_count(&f, G_COUNT);
	sys_event_signal(fd); /* and the last one */
	assert_true(fix_wait_count(&f, G_COUNT, before + 1));
	finish(&f);
}

static void test_msi_send_needs_no_route(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	assert_int_equal(f.a->irq->ops->msi_send(f.a->irq, &edge), 0);
	assert_true(fix_wait_count(&f, G_COUNT, 1));
	finish(&f);
}

static void test_gsis_run_out_with_an_error_and_come_back(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	struct irqchip *c = f.a->irq;
	unsigned int n = 0;
	static uint32_t gsis[5000];
	int r;
	while ((r = c->ops->route_new(c, &gsis[n])) == 0)
		assert_int_equal(c->ops->route_set(c, gsis[n++], &edge), 0);
	assert_int_equal(r, -ENOSPC);
	assert_in_range(n, 4000, 4095 - 24);
	assert_int_equal(c->ops->route_commit(c), 0); /* the kernel takes that many */
	sys_event_take(fd);
	assert_int_equal(bind_fd(&f), 0);
	sys_event_signal(fd);
	assert_true(fix_wait_count(&f, G_COUNT, 1));
	for (unsigned int i = 0; i < n; i++)
		c->ops->route_free(c, gsis[i]);
	assert_int_equal(c->ops->route_commit(c), 0);
	assert_int_equal(c->ops->route_new(c, &gsis[0]), 0);
	assert_int_equal(gsis[0], gsi + 1);
	c->ops->route_free(c, gsis[0]);
	finish(&f);
}

static void test_wrong_use_is_refused(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	struct irqchip *c = f.a->irq;
	assert_int_equal(c->ops->route_set(c, 4095, &edge), -EINVAL);
	assert_int_equal(c->ops->route_set(c, 3, &edge), -EINVAL);
	assert_int_equal(c->ops->route_bind(c, 3, fd), -EINVAL);
	assert_int_equal(bind_fd(&f), 0);
	assert_int_equal(bind_fd(&f), -EBUSY);
	assert_int_equal(c->ops->line_set(c, 24, true), -EINVAL);
	assert_int_equal(c->ops->line_bind(c, 24, fd, -1), -EINVAL);
	finish(&f);
}

int main(void)
{
	fix_need_kvm();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bound_fd_is_an_interrupt_each),
		cmocka_unit_test(test_unbound_gathers_and_bind_delivers_exactly_once),
		cmocka_unit_test(test_kernel_leaves_count_at_bind_and_takes_it_at_unbind),
		cmocka_unit_test(test_message_changes_under_a_bound_fd),
		cmocka_unit_test(test_storm_of_masking_loses_no_interrupt),
		cmocka_unit_test(test_msi_send_needs_no_route),
		cmocka_unit_test(test_gsis_run_out_with_an_error_and_come_back),
		cmocka_unit_test(test_wrong_use_is_refused),
	};
	int failed = 0;
	for (int mode = 0; mode < 2; mode++) {
		split = mode == 1;
		print_message("kernel-irqchip=%s\n", split ? "split" : "on");
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed;
}
