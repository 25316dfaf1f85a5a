// SPDX-License-Identifier: GPL-2.0-or-later
//
// The KVM accelerator on the fake kernel: every call of its life failed in turn, every missing
// capability explained, and the exits that a real guest can't be made to have everywhere.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/aspace.h"
#include "core/gmem.h"
#include "core/uapi.h"
#include "kvm/accel_kvm.h"
#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_host.h"
#include "tests/fake/fake_kvm.h"
#include "tests/fake/fake_sys.h"

struct fix {
	struct accel *a;
	struct gmem gmem;
	struct aspace mmio;
	struct gmem_region ram;
	pthread_mutex_t lock;
	bool stopped;
	enum vm_stop_reason reason;
	char why[1024];
	unsigned int n_faults;
	struct gmem_region *drop; /* by fault() */
};

static void mmio_read(void *opaque, uint64_t gpa, void *data, unsigned int len)
{
	struct fix *f = opaque;
	uint64_t val = UINT64_MAX;
	pthread_mutex_lock(&f->lock);
	aspace_read(&f->mmio, gpa, &val, len);
	pthread_mutex_unlock(&f->lock);
	memcpy(data, &val, len);
}

static void mmio_write(void *opaque, uint64_t gpa, const void *data, unsigned int len)
{
	struct fix *f = opaque;
	uint64_t val = 0;
	memcpy(&val, data, len);
	pthread_mutex_lock(&f->lock);
	aspace_write(&f->mmio, gpa, val, len);
	pthread_mutex_unlock(&f->lock);
}

static void pio_read(void *opaque, uint16_t port, void *data, unsigned int len)
{
	(void)opaque;
	(void)port;
	memset(data, 0xff, len);
}

static void pio_write(void *opaque, uint16_t port, const void *data, unsigned int len)
{
	(void)opaque;
	(void)port;
	(void)data;
	(void)len;
}

static bool fault(void *opaque)
{
	struct fix *f = opaque;
	f->n_faults++;
	if (!f->drop)
		return false;
	gmem_del(f->drop);
	f->drop = NULL;
	return true;
}

static void stopped(void *opaque, enum vm_stop_reason reason, const char *why)
{
	struct fix *f = opaque;
	pthread_mutex_lock(&f->lock);
	f->reason = reason;
	snprintf(f->why, sizeof(f->why), "%s", why);
	f->stopped = true;
	pthread_mutex_unlock(&f->lock);
}

static const struct vmexit_ops ops = { mmio_read, mmio_write, pio_read, pio_write, fault, stopped };

static int accel_open(const char *props, struct accel **ret, struct verr *err)
{
	void *cfg = props_new(&kvm_accel.t);
	const struct props_target target = { kvm_accel.t.props, cfg };
	int r = props_parse("kvm", props, &target, 1, err);
	if (r == 0)
		r = kvm_accel.open(cfg, ret, err);
	props_free(&kvm_accel.t, cfg);
	return r;
}

static void fix_init(struct fix *f)
{
	static uint8_t ram[0x100000] __attribute__((aligned(4096)));
	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	gmem_init(&f->gmem);
	aspace_init(&f->mmio, "mmio", UINT64_MAX);
	f->ram = (struct gmem_region){ .name = "ram", .size = sizeof(ram), .hva = ram, .fd = -1 };
}

static void fix_fini(struct fix *f)
{
	if (f->a)
		f->a->ops->close(f->a);
	gmem_del(&f->ram);
	aspace_fini(&f->mmio);
	gmem_fini(&f->gmem);
}

static int attach(struct fix *f, unsigned int vcpus, struct verr *err)
{
	const struct accel_machine m = {
		.vcpus = vcpus, .ram = &f->gmem, .mmio = &f->mmio, .exits = &ops, .opaque = f
	};
	return f->a->ops->attach(f->a, &m, err);
}

static void fix_start(struct fix *f, const char *props, unsigned int vcpus)
{
	struct verr err = { 0 };
	fix_init(f);
	if (accel_open(props, &f->a, &err) < 0 || attach(f, vcpus, &err) < 0 ||
	    gmem_add(&f->gmem, &f->ram, &err) < 0 || f->a->ops->run(f->a, &err) < 0)
		fail_msg("%s", err.msg);
	assert_true(fake_kvm_wait_running(vcpus, 5000));
}

static bool wait_stopped(struct fix *f)
{
	for (unsigned int i = 0; i < 5000; i++) {
		pthread_mutex_lock(&f->lock);
		bool s = f->stopped;
		pthread_mutex_unlock(&f->lock);
		if (s)
			return true;
		usleep(1000);
	}
	return false;
}

/* --- fault sweep ------------------------------------------------------------------------------ */

static int use_irqs(struct fix *f, struct verr *err)
{
	struct irqchip *c = f->a->irq;
	const struct msi_msg msg = { .addr = 0xfee00000, .data = 0x41 };
	uint32_t gsi;
	int fd = sys_eventfd(0, EFD_NONBLOCK);
	int resample = sys_eventfd(0, EFD_NONBLOCK);
	int r = MIN(fd, 0);
	if (r == 0)
		r = MIN(resample, 0);
	if (r == 0)
		r = c->ops->route_new(c, &gsi);
	if (r < 0) {
		verr_set(err, r, "irqs: %s", strerror(-r));
		goto out;
	}
	r = c->ops->route_set(c, gsi, &msg);
	if (r == 0)
		r = c->ops->route_commit(c);
	if (r == 0 && (r = c->ops->route_bind(c, gsi, fd)) == 0)
		c->ops->route_unbind(c, gsi, fd);
	if (r == 0 && (r = c->ops->line_bind(c, 16, fd, resample)) == 0) {
		uint64_t ended;
		r = c->ops->line_ended(c, 16, &ended);
		c->ops->line_unbind(c, 16, fd);
	}
	if (r == 0)
		r = c->ops->line_set(c, 5, true);
	if (r == 0)
		r = c->ops->line_set(c, 5, false);
	if (r == 0)
		r = c->ops->msi_send(c, &msg);
	c->ops->route_free(c, gsi);
	struct doorbell d = { .addr = 0xd0000000, .size = 4, .any = true, .fd = fd };
	if (r == 0 && (r = f->a->ops->doorbell_add(f->a, &d)) == 0)
		f->a->ops->doorbell_del(f->a, &d);
	if (r < 0)
		verr_set(err, r, "irqs: %s", strerror(-r));
out:
	sys_close_fd(&fd);
	sys_close_fd(&resample);
	return r;
}

static int whole_life(void *opaque, struct verr *err)
{
	const char *props = opaque;
	const struct boot_state boot = { .mode = BOOT_LONG64, .rip = 0x1000 };
	struct fix f;
	fix_init(&f);
	int r = accel_open(props, &f.a, err);
	if (r == 0)
		r = attach(&f, 2, err);
	if (r == 0)
		r = gmem_add(&f.gmem, &f.ram, err);
	if (r == 0)
		r = f.a->ops->boot_set(f.a, &boot, err);
	if (r == 0)
		r = use_irqs(&f, err);
	if (r == 0)
		r = f.a->ops->run(f.a, err);
	if (r == 0) {
		f.a->ops->pause(f.a);
		r = f.a->ops->reset(f.a, err);
	}
	if (r == 0)
		r = f.a->ops->run(f.a, err);
	if (f.a) {
		f.a->ops->pause(f.a);
		f.a->ops->detach(f.a);
	}
	fix_fini(&f);
	return r;
}

static void test_every_failing_call_is_undone_and_named(void **state)
{
	static char modes[2][32] = { "kernel-irqchip=on", "kernel-irqchip=split" };
	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		const struct fake_sweep s = { .name = modes[i],
					      .run = whole_life,
					      .opaque = modes[i] };
		struct fake_sweep_stats st;
		assert_int_equal(fault_sweep(&s, &st), 0);
		assert_true(st.calls > 40);
	}
	fake_reset();
}

/* --- what is missing is said ------------------------------------------------------------------ */

static void expect_open_error(const char *props, int code, const char *part)
{
	struct accel *a = NULL;
	struct verr err = { 0 };
	assert_int_equal(accel_open(props, &a, &err), code);
	assert_null(a);
	if (!strstr(err.msg, part))
		fail_msg("\"%s\" is not in \"%s\"", part, err.msg);
	fake_assert_clean();
}

static void test_missing_capabilities_are_named_with_the_kernel_that_has_them(void **state)
{
	static const struct {
		unsigned int cap;
		const char *props, *name, *since;
	} cases[] = {
		{ KVM_CAP_IRQFD, "kernel-irqchip=on", "KVM_CAP_IRQFD", "2.6.31" },
		{ KVM_CAP_IMMEDIATE_EXIT, "kernel-irqchip=on", "KVM_CAP_IMMEDIATE_EXIT", "4.11" },
		{ KVM_CAP_SIGNAL_MSI, "kernel-irqchip=on", "KVM_CAP_SIGNAL_MSI", "3.5" },
		{ KVM_CAP_SPLIT_IRQCHIP, "kernel-irqchip=split", "KVM_CAP_SPLIT_IRQCHIP", "4.4" },
	};
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_reset();
		fake_kvm_set_cap(cases[i].cap, 0);
		expect_open_error(cases[i].props, -EOPNOTSUPP, cases[i].name);
		expect_open_error(cases[i].props, -EOPNOTSUPP, cases[i].since);
	}
	fake_reset();
	fake_kvm_set_cap(KVM_CAP_SPLIT_IRQCHIP, 0); /* not needed by the other mode */
	struct accel *a = NULL;
	assert_int_equal(accel_open("kernel-irqchip=on", &a, NULL), 0);
	a->ops->close(a);
	fake_reset();
}

static void test_unusable_dev_kvm_is_explained(void **state)
{
	static const struct {
		int err;
		const char *part;
	} cases[] = {
		{ ENOENT, "modprobe kvm_intel" }, { EACCES, "usermod -aG kvm" },
		{ EPERM, "usermod -aG kvm" },	  { ENODEV, "no KVM behind it" },
		{ EBUSY, "another hypervisor" },  { EMFILE, "Too many open files" },
	};
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_reset();
		fake_path_errno("/dev/kvm", cases[i].err);
		expect_open_error("kernel-irqchip=on", -cases[i].err, cases[i].part);
		fake_path_errno("/dev/kvm", 0);
	}
	fake_reset();
	fake_kvm()->present = false;
	expect_open_error("kernel-irqchip=on", -ENOENT, "/dev/kvm does not exist");
	fake_reset();
	fake_kvm()->api_version = 11;
	expect_open_error("kernel-irqchip=on", -EOPNOTSUPP, "API version 11");
	fake_reset();
	const struct fake_fault busy = {
		.calls = BIT32(FAKE_CALL_IOCTL), .request = KVM_CREATE_VM, .nth = 1, .err = EBUSY
	};
	fake_fault_add(&busy);
	expect_open_error("kernel-irqchip=on", -EBUSY, "KVM_CREATE_VM: another hypervisor");
	fake_reset();
	expect_open_error("kernel-irqchip=maybe", -EINVAL, "kernel-irqchip");
}

static void test_interrupted_set_up_calls_are_tried_again(void **state)
{
	(void)state;
	fake_reset();
	const struct fake_fault eintr = { .calls = BIT32(FAKE_CALL_IOCTL),
					  .request = KVM_CREATE_VM,
					  .nth = 1,
					  .times = 3,
					  .err = EINTR };
	fake_fault_add(&eintr);
	struct accel *a = NULL;
	assert_int_equal(accel_open("kernel-irqchip=on", &a, NULL), 0);
	assert_int_equal(fake_fault_hits(), 3);
	a->ops->close(a);
	fake_assert_clean();
}

/* --- routes ----------------------------------------------------------------------------------- */

static void test_one_kernel_call_per_commit_and_none_for_nothing(void **state)
{
	struct fix f;
	(void)state;
	fake_reset();
	fix_start(&f, "kernel-irqchip=on", 1);
	struct irqchip *c = f.a->irq;
	uint32_t gsi[8];
	unsigned int before = fake_kvm_route_updates();
	for (unsigned int i = 0; i < 8; i++) {
		const struct msi_msg m = { .addr = 0xfee00000, .data = 0x40 + i };
		assert_int_equal(c->ops->route_new(c, &gsi[i]), 0);
		assert_int_equal(c->ops->route_set(c, gsi[i], &m), 0);
	}
	assert_int_equal(fake_kvm_route_updates(), before);
	assert_int_equal(c->ops->route_commit(c), 0);
	assert_int_equal(fake_kvm_route_updates(), before + 1);
	assert_int_equal(fake_kvm_routes(), 40 + 8); /* with the kernel's own pins */
	const struct msi_msg same = { .addr = 0xfee00000, .data = 0x43 };
	assert_int_equal(c->ops->route_set(c, gsi[3], &same), 0);
	assert_int_equal(c->ops->route_commit(c), 0);
	assert_int_equal(fake_kvm_route_updates(), before + 1);
	c->ops->route_free(c, gsi[3]);
	assert_int_equal(c->ops->route_commit(c), 0);
	assert_int_equal(fake_kvm_route_updates(), before + 2);
	assert_int_equal(fake_kvm_routes(), 40 + 7);
	for (unsigned int i = 0; i < 8; i++)
		if (i != 3)
			c->ops->route_free(c, gsi[i]);
	assert_int_equal(c->ops->route_commit(c), 0);
	fix_fini(&f);
	fake_assert_clean();
}

static void test_failed_commit_is_tried_again_by_the_next(void **state)
{
	struct fix f;
	(void)state;
	fake_reset();
	fix_start(&f, "kernel-irqchip=on", 1);
	struct irqchip *c = f.a->irq;
	uint32_t gsi;
	const struct msi_msg m = { .addr = 0xfee00000, .data = 0x41 };
	assert_int_equal(c->ops->route_new(c, &gsi), 0);
	assert_int_equal(c->ops->route_set(c, gsi, &m), 0);
	const struct fake_fault nomem = {
		.request = KVM_SET_GSI_ROUTING, .nth = 1, .times = 1, .err = ENOMEM
	};
	fake_fault_add(&nomem);
	assert_int_equal(c->ops->route_commit(c), -ENOMEM);
	assert_int_equal(c->ops->route_commit(c), 0);
	assert_int_equal(fake_kvm_routes(), 41);
	c->ops->route_free(c, gsi);
	assert_int_equal(c->ops->route_commit(c), 0);
	fix_fini(&f);
	fake_assert_clean();
}

/* --- exits ------------------------------------------------------------------------------------ */

static void test_ends_of_the_guest_carry_their_reason(void **state)
{
	static const struct {
		uint32_t reason;
		uint64_t detail;
		enum vm_stop_reason stop;
		const char *part;
	} cases[] = {
		{ KVM_EXIT_SHUTDOWN, 0, VM_STOP_SHUTDOWN, "vCPU 0: triple fault" },
		{ KVM_EXIT_INTERNAL_ERROR, 1, VM_STOP_INTERNAL_ERROR, "can't emulate" },
		{ KVM_EXIT_INTERNAL_ERROR, 3, VM_STOP_INTERNAL_ERROR, "delivering an event" },
		{ KVM_EXIT_FAIL_ENTRY, 0x80000021, VM_STOP_INTERNAL_ERROR, "0x80000021" },
		{ KVM_EXIT_SYSTEM_EVENT, 3, VM_STOP_SHUTDOWN, "crashed" },
		{ KVM_EXIT_DEBUG, 0, VM_STOP_INTERNAL_ERROR, "did not ask for" },
	};
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fix f;
		fake_reset();
		fix_start(&f, "kernel-irqchip=on", 1);
		assert_true(fake_guest_exit(0, KVM_EXIT_HLT, 0) >= 0); /* changes nothing */
		assert_true(fake_guest_exit(0, cases[i].reason, cases[i].detail) >= 0);
		assert_true(wait_stopped(&f));
		assert_int_equal(f.reason, cases[i].stop);
		if (!strstr(f.why, cases[i].part) || !strstr(f.why, "rip 0x"))
			fail_msg("%s", f.why);
		f.a->ops->pause(f.a);
		fix_fini(&f);
		fake_assert_clean();
	}
}

static void test_vanished_memory_asks_the_machine_first(void **state)
{
	struct fix f;
	(void)state;
	static uint8_t bar[4096] __attribute__((aligned(4096)));
	struct gmem_region r = { .name = "bar",
				 .kind = GMEM_MMIO,
				 .gpa = 0xd0000000,
				 .size = 4096,
				 .hva = bar,
				 .fd = -1 };
	for (int dropped = 1; dropped >= 0; dropped--) {
		fake_reset();
		fix_start(&f, "kernel-irqchip=on", 1);
		assert_int_equal(gmem_add(&f.gmem, &r, NULL), 0);
		f.drop = dropped ? &r : NULL;
		assert_true(fake_guest_run_errno(0, EFAULT) >= 0);
		if (dropped) {
			for (unsigned int t = 0; t < 5000 && fake_kvm_slots() != 1; t++)
				usleep(1000);
			assert_int_equal(fake_guest_write(0, 0xd0000000, 1, 4), FAKE_ACCESS_EXIT);
			assert_false(f.stopped);
		} else { /* another thread may have dropped it: a second one is needed */
			assert_true(fake_guest_run_errno(0, EFAULT) >= 0);
			assert_true(wait_stopped(&f));
			assert_int_equal(f.reason, VM_STOP_INTERNAL_ERROR);
			assert_non_null(strstr(f.why, "memory behind a guest address"));
		}
		assert_int_equal(f.n_faults, dropped ? 1 : 2);
		f.a->ops->pause(f.a);
		gmem_del(&r);
		fix_fini(&f);
		fake_assert_clean();
	}
}

static void test_strange_errors_of_run(void **state)
{
	struct fix f;
	(void)state;
	fake_reset();
	fix_start(&f, "kernel-irqchip=on", 1);
	assert_true(fake_guest_run_errno(0, EINTR) >= 0); /* a debugger: goes on */
	assert_true(fake_guest_run_errno(0, EAGAIN) >= 0);
	uint32_t val;
	assert_int_equal(fake_guest_in(0, 0x80, &val, 4), FAKE_ACCESS_EXIT);
	assert_int_equal(val, 0xffffffff);
	assert_false(f.stopped);
	assert_true(fake_guest_run_errno(0, EIO) >= 0);
	assert_true(wait_stopped(&f));
	assert_non_null(strstr(f.why, "KVM_RUN: Input/output error"));
	f.a->ops->pause(f.a);
	fix_fini(&f);
	fake_assert_clean();
}

static void test_slot_that_stays_ends_the_guest(void **state)
{
	struct fix f;
	(void)state;
	static uint8_t bar[4096] __attribute__((aligned(4096)));
	struct gmem_region r = { .name = "bar",
				 .kind = GMEM_MMIO,
				 .gpa = 0xd0000000,
				 .size = 4096,
				 .hva = bar,
				 .fd = -1 };
	fake_reset();
	fix_start(&f, "kernel-irqchip=on", 2);
	assert_int_equal(gmem_add(&f.gmem, &r, NULL), 0);
	struct fake_fault once = {
		.request = KVM_SET_USER_MEMORY_REGION, .nth = 1, .times = 5, .err = ENOMEM
	};
	fake_fault_add(&once);
	gmem_del(&r); /* tried again until it works */
	assert_int_equal(fake_fault_hits(), 5);
	assert_int_equal(fake_kvm_slots(), 1);
	assert_false(f.stopped);

	fake_fault_clear();
	assert_int_equal(gmem_add(&f.gmem, &r, NULL), 0);
	once.times = 0; /* never works */
	fake_fault_add(&once);
	gmem_del(&r);
	assert_true(wait_stopped(&f));
	assert_int_equal(f.reason, VM_STOP_INTERNAL_ERROR);
	assert_non_null(strstr(f.why, "did not let go of a memory slot"));
	fake_fault_clear();
	f.a->ops->pause(f.a);
	assert_int_equal(f.a->ops->run(f.a, NULL), 0); /* never again inside */
	usleep(20000);
	assert_true(fake_kvm_wait_running(0, 1000));
	f.a->ops->pause(f.a);
	fix_fini(&f);
}

int main(void)
{
	sys = &sys_fake;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_failing_call_is_undone_and_named),
		cmocka_unit_test(test_missing_capabilities_are_named_with_the_kernel_that_has_them),
		cmocka_unit_test(test_unusable_dev_kvm_is_explained),
		cmocka_unit_test(test_interrupted_set_up_calls_are_tried_again),
		cmocka_unit_test(test_one_kernel_call_per_commit_and_none_for_nothing),
		cmocka_unit_test(test_failed_commit_is_tried_again_by_the_next),
		cmocka_unit_test(test_ends_of_the_guest_carry_their_reason),
		cmocka_unit_test(test_vanished_memory_asks_the_machine_first),
		cmocka_unit_test(test_strange_errors_of_run),
		cmocka_unit_test(test_slot_that_stays_ends_the_guest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
