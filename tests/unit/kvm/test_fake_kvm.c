// SPDX-License-Identifier: GPL-2.0-or-later
//
// The fake KVM: the rules it shares with the real one, and what only it has: playing the guest,
// recorded interrupts, findings.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/fake/fake_kvm.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/kvm_rules.h"

#define PAGE 4096

static int kvm = -1, vm = -1;

static int fresh(void **s)
{
	(void)s;
	fake_reset();
	return 0;
}

static int rules_setup(void **s)
{
	(void)s;
	sys = &sys_fake;
	fake_reset();
	return 0;
}

static int rules_teardown(void **s)
{
	(void)s;
	return fake_clean() ? 0 : -1;
}

static void begin(bool split)
{
	kvm = sys_open("/dev/kvm", O_RDWR, 0);
	vm = sys_ioctl_n(kvm, KVM_CREATE_VM, 0);
	struct kvm_enable_cap c = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	assert_int_equal(split ? sys_ioctl(vm, KVM_ENABLE_CAP, &c)
			       : sys_ioctl_n(vm, KVM_CREATE_IRQCHIP, 0),
			 0);
}

static void end(void)
{
	sys_close_fd(&vm);
	sys_close_fd(&kvm);
	fake_assert_clean();
}

static void route(uint32_t gsi, uint64_t addr, uint32_t data)
{
	struct kvm_irq_routing *r = calloc(1, sizeof(*r) + sizeof(r->entries[0]));
	r->nr = 1;
	r->entries[0] =
		(struct kvm_irq_routing_entry){ .gsi = gsi,
						.type = KVM_IRQ_ROUTING_MSI,
						.u.msi = { .address_lo = (uint32_t)addr,
							   .address_hi = (uint32_t)(addr >> 32),
							   .data = data } };
	assert_int_equal(sys_ioctl(vm, KVM_SET_GSI_ROUTING, r), 0);
	free(r);
}

static int irqfd(int fd, uint32_t gsi, uint32_t flags, int re)
{
	struct kvm_irqfd a = {
		.fd = (uint32_t)fd, .gsi = gsi, .flags = flags, .resamplefd = (uint32_t)re
	};
	return sys_ioctl(vm, KVM_IRQFD, &a);
}

/* --- interrupts --------------------------------------------------------------------------- */

static void test_signal_becomes_the_routed_message(void **s)
{
	(void)s;
	begin(true);
	int ev = sys_eventfd(0, 0);
	route(30, 0xfee01000, 0x4041);
	assert_int_equal(irqfd(ev, 30, 0, 0), 0);
	assert_int_equal(fake_kvm_msis(), 0);
	sys_event_signal(ev);
	struct fake_msi m;
	assert_true(fake_kvm_msi(0, &m));
	assert_int_equal(m.addr, 0xfee01000);
	assert_int_equal(m.data, 0x4041);
	assert_int_equal(fake_kvm_msis(), 1);
	route(30, 0xfee02000, 0x4042);
	sys_event_signal(ev);
	assert_int_equal(fake_kvm_msi_count(0x4042), 1);
	assert_int_equal(fake_kvm_irqfds(), 1);
	assert_int_equal(fake_kvm_route_updates(), 2);
	sys_close(ev);
	end();
}

static void test_pending_count_is_injected_at_bind(void **s)
{
	(void)s;
	begin(true);
	int ev = sys_eventfd(0, 0);
	route(30, 0xfee00000, 0x31);
	sys_event_signal(ev);
	sys_event_signal(ev);
	assert_int_equal(irqfd(ev, 30, 0, 0), 0);
	assert_int_equal(fake_kvm_msis(), 1);
	assert_int_equal(sys_event_take(ev), 2);
	sys_close(ev);
	end();
}

static void test_signal_without_route_is_a_finding(void **s)
{
	(void)s;
	begin(true);
	int ev = sys_eventfd(0, 0);
	assert_int_equal(irqfd(ev, 30, 0, 0), 0);
	sys_event_signal(ev);
	assert_true(fake_violated("no route"));
	fake_violations_clear();
	sys_close(ev);
	end();
}

static void test_resample_holds_the_line_until_eoi(void **s)
{
	(void)s;
	begin(false);
	int ev = sys_eventfd(0, 0), re = sys_eventfd(0, 0);
	assert_int_equal(irqfd(ev, 10, KVM_IRQFD_FLAG_RESAMPLE, re), 0);
	sys_event_signal(ev);
	assert_true(fake_kvm_line(10));
	assert_false(sys_event_pending(re));
	fake_kvm_eoi(10);
	assert_false(fake_kvm_line(10));
	assert_int_equal(sys_event_take(re), 1);
	assert_int_equal(fake_kvm_line_edges(10), 1);
	sys_close(ev);
	sys_close(re);
	end();
}

/* --- playing the guest -------------------------------------------------------------------- */

static struct {
	struct kvm_run *run;
	int fd;
	pthread_t thread;
	volatile int last; /* what KVM_RUN returned at the end */
	volatile unsigned int mmio, pio, faults;
	volatile bool remap_on_fault;
	void *ram;
} vcpu;

static void put_slot(void *mem, uint64_t gpa, uint64_t size)
{
	struct kvm_userspace_memory_region r = { .slot = 0,
						 .guest_phys_addr = gpa,
						 .memory_size = size,
						 .userspace_addr = (uintptr_t)mem };
	assert_int_equal(sys_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r), 0);
}

static void *vcpu_main(void *opaque)
{
	(void)opaque;
	for (;;) {
		int r = sys_ioctl_n(vcpu.fd, KVM_RUN, 0);
		if (r == -EFAULT) {
			vcpu.faults++;
			continue;
		}
		if (r < 0 || vcpu.run->exit_reason == KVM_EXIT_SHUTDOWN) {
			vcpu.last = r;
			return NULL;
		}
		if (vcpu.run->exit_reason == KVM_EXIT_MMIO) {
			vcpu.mmio++;
			if (!vcpu.run->mmio.is_write)
				memcpy(vcpu.run->mmio.data, &vcpu.run->mmio.phys_addr,
				       vcpu.run->mmio.len);
		} else if (vcpu.run->exit_reason == KVM_EXIT_IO) {
			vcpu.pio++;
			if (vcpu.run->io.direction == KVM_EXIT_IO_IN)
				memset((char *)vcpu.run + vcpu.run->io.data_offset, 0x5a,
				       vcpu.run->io.size);
		}
	}
}

static void vcpu_start(void)
{
	void *p;
	memset(&vcpu, 0, sizeof(vcpu));
	vcpu.fd = sys_ioctl_n(vm, KVM_CREATE_VCPU, 0);
	int size = sys_ioctl_n(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	assert_int_equal(
		sys_mmap(&p, NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.fd, 0),
		0);
	vcpu.run = p;
	assert_int_equal(sys_mmap(&vcpu.ram, NULL, 16 * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 0);
	pthread_create(&vcpu.thread, NULL, vcpu_main, NULL);
	assert_true(fake_kvm_wait_running(1, 2000));
}

static void vcpu_stop(void)
{
	fake_guest_exit(0, KVM_EXIT_SHUTDOWN, 0);
	pthread_join(vcpu.thread, NULL);
	assert_int_equal(vcpu.last, 0);
	int size = sys_ioctl_n(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	sys_munmap(vcpu.run, (size_t)size);
	sys_close(vcpu.fd);
}

static void test_guest_access_takes_slot_doorbell_or_exit(void **s)
{
	(void)s;
	begin(false);
	vcpu_start();
	put_slot(vcpu.ram, 0x10000, 16 * PAGE);
	int ev = sys_eventfd(0, 0);
	struct kvm_ioeventfd d = { .addr = 0xd0000000,
				   .len = 4,
				   .datamatch = 7,
				   .fd = ev,
				   .flags = KVM_IOEVENTFD_FLAG_DATAMATCH };
	assert_int_equal(sys_ioctl(vm, KVM_IOEVENTFD, &d), 0);

	uint64_t v;
	assert_int_equal(fake_guest_write(0, 0x10008, 0x1122334455667788, 8), FAKE_ACCESS_DIRECT);
	assert_int_equal(*(uint64_t *)((char *)vcpu.ram + 8), 0x1122334455667788);
	assert_int_equal(fake_guest_read(0, 0x10008, &v, 4), FAKE_ACCESS_DIRECT);
	assert_int_equal(v, 0x55667788);
	assert_int_equal(fake_guest_write(0, 0xd0000000, 7, 4), FAKE_ACCESS_DOORBELL);
	assert_int_equal(sys_event_take(ev), 1);
	assert_int_equal(fake_guest_write(0, 0xd0000000, 8, 4), FAKE_ACCESS_EXIT);
	assert_int_equal(fake_guest_read(0, 0xd0000010, &v, 4), FAKE_ACCESS_EXIT);
	assert_int_equal(v, 0xd0000010);
	assert_int_equal(vcpu.mmio, 2);
	uint32_t in;
	assert_int_equal(fake_guest_in(0, 0x64, &in, 1), FAKE_ACCESS_EXIT);
	assert_int_equal(in, 0x5a);
	assert_int_equal(fake_guest_out(0, 0x80, 1, 1), FAKE_ACCESS_EXIT);
	assert_int_equal(vcpu.pio, 2);
	assert_int_equal(fake_kvm_exits(), 4);
	assert_ptr_equal(fake_kvm_gpa_to_hva(0x10008), (char *)vcpu.ram + 8);

	vcpu_stop();
	struct kvm_userspace_memory_region none = { .slot = 0 };
	assert_int_equal(sys_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &none), 0);
	sys_munmap(vcpu.ram, 16 * PAGE);
	sys_close(ev);
	end();
}

static void test_munmap_under_a_slot_is_a_finding(void **s)
{
	(void)s;
	begin(false);
	vcpu_start();
	put_slot(vcpu.ram, 0x10000, 16 * PAGE);
	sys_munmap(vcpu.ram, 16 * PAGE);
	assert_true(fake_violated("memory slot still uses"));
	fake_violations_clear();
	vcpu_stop();
	end();
}

static void test_leaks_are_named(void **s)
{
	(void)s;
	begin(false);
	char *text = NULL;
	size_t len;
	FILE *f = open_memstream(&text, &len);
	assert_int_equal(fake_leaks(f), 3); /* two fds and the VM */
	fclose(f);
	assert_non_null(strstr(text, "/dev/kvm"));
	assert_non_null(strstr(text, "kvm-vm"));
	free(text);
	end();
}

static void test_registers_are_kept(void **s)
{
	(void)s;
	begin(false);
	int fd = sys_ioctl_n(vm, KVM_CREATE_VCPU, 0);
	struct kvm_regs r = { .rip = 0x100000, .rsi = 0x7000, .rflags = 2 };
	assert_int_equal(sys_ioctl(fd, KVM_SET_REGS, &r), 0);
	struct kvm_regs got;
	assert_true(fake_kvm_get_regs(0, &got));
	assert_int_equal(got.rip, 0x100000);
	assert_false(fake_kvm_get_regs(1, &got));
	uint32_t regs[4];
	assert_false(fake_kvm_cpuid(0, 0, 0, regs));
	sys_close(fd);
	end();
}

static void test_capabilities_can_be_taken_away(void **s)
{
	(void)s;
	begin(false);
	assert_int_equal(sys_ioctl_n(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQFD_RESAMPLE), 1);
	fake_kvm_set_cap(KVM_CAP_IRQFD_RESAMPLE, 0);
	assert_int_equal(sys_ioctl_n(vm, KVM_CHECK_EXTENSION, KVM_CAP_IRQFD_RESAMPLE), 0);
	end();
	fake_kvm()->present = false;
	assert_int_equal(sys_open("/dev/kvm", O_RDWR, 0), -ENOENT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_signal_becomes_the_routed_message, fresh),
		cmocka_unit_test_setup(test_pending_count_is_injected_at_bind, fresh),
		cmocka_unit_test_setup(test_signal_without_route_is_a_finding, fresh),
		cmocka_unit_test_setup(test_resample_holds_the_line_until_eoi, fresh),
		cmocka_unit_test_setup(test_guest_access_takes_slot_doorbell_or_exit, fresh),
		cmocka_unit_test_setup(test_munmap_under_a_slot_is_a_finding, fresh),
		cmocka_unit_test_setup(test_leaks_are_named, fresh),
		cmocka_unit_test_setup(test_registers_are_kept, fresh),
		cmocka_unit_test_setup(test_capabilities_can_be_taken_away, fresh),
	};
	int bad = kvm_rules_run("kvm_rules_on_the_fake", rules_setup, rules_teardown);
	return bad + cmocka_run_group_tests(tests, NULL, NULL);
}
