// SPDX-License-Identifier: GPL-2.0-or-later
//
// KVM's rules as cases that run on the fake and on the real kernel alike. Uses the seam only.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/sys.h"
#include "tests/fake/kvm_rules.h"

#define PAGE 4096

enum chip { NO_CHIP, FULL, SPLIT };

static int kvm = -1, vm = -1, ev = -1;
static void *ram;

static long vm_n(unsigned long req, unsigned long n)
{
	return sys_ioctl_n(vm, req, n);
}

static long enable_split(void)
{
	struct kvm_enable_cap c = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	return sys_ioctl(vm, KVM_ENABLE_CAP, &c);
}

static void begin(enum chip chip)
{
	kvm = sys_open("/dev/kvm", O_RDWR, 0);
	assert_true(kvm >= 0);
	vm = (int)sys_ioctl_n(kvm, KVM_CREATE_VM, 0);
	assert_true(vm >= 0);
	if (chip == FULL)
		assert_int_equal(vm_n(KVM_CREATE_IRQCHIP, 0), 0);
	if (chip == SPLIT)
		assert_int_equal(enable_split(), 0);
	ev = sys_eventfd(0, 0);
	assert_true(ev >= 0);
	assert_int_equal(sys_mmap(&ram, NULL, 64 * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			 0);
}

static void end(void)
{
	sys_close_fd(&vm);
	sys_close_fd(&kvm);
	sys_close_fd(&ev);
	sys_munmap(ram, 64 * PAGE);
}

static long slot(uint32_t id, uint64_t gpa, uint64_t size, uint64_t page, uint32_t flags)
{
	struct kvm_userspace_memory_region r = { .slot = id,
						 .flags = flags,
						 .guest_phys_addr = gpa,
						 .memory_size = size,
						 .userspace_addr = (uintptr_t)ram + page };
	return sys_ioctl(vm, KVM_SET_USER_MEMORY_REGION, &r);
}

static void test_slot_must_be_page_aligned(void **s)
{
	(void)s;
	begin(NO_CHIP);
	assert_int_equal(slot(0, 0x1000, PAGE + 1, 0, 0), -EINVAL);
	assert_int_equal(slot(0, 0x1001, PAGE, 0, 0), -EINVAL);
	assert_int_equal(slot(0, 0x1000, PAGE, 1, 0), -EINVAL);
	assert_int_equal(slot(0, 0x1000, PAGE, 0, 0), 0);
	end();
}

static void test_slot_overlap_is_refused(void **s)
{
	(void)s;
	begin(NO_CHIP);
	assert_int_equal(slot(0, 0x10000, 4 * PAGE, 0, 0), 0);
	assert_int_equal(slot(1, 0x13000, 4 * PAGE, 0, 0), -EEXIST);
	assert_int_equal(slot(1, 0xf000, 2 * PAGE, 0, 0), -EEXIST);
	assert_int_equal(slot(1, 0x14000, PAGE, 0, 0), 0);
	end();
}

static void test_slot_deleted_twice_is_refused(void **s)
{
	(void)s;
	begin(NO_CHIP);
	assert_int_equal(slot(3, 0, 0, 0, 0), -EINVAL);
	assert_int_equal(slot(3, 0x10000, PAGE, 0, 0), 0);
	assert_int_equal(slot(3, 0, 0, 0, 0), 0);
	assert_int_equal(slot(3, 0, 0, 0, 0), -EINVAL);
	end();
}

static void test_slot_may_move_but_not_change_size_or_memory(void **s)
{
	(void)s;
	begin(NO_CHIP);
	assert_int_equal(slot(0, 0x10000, 2 * PAGE, 0, 0), 0);
	assert_int_equal(slot(0, 0x10000, PAGE, 0, 0), -EINVAL);
	assert_int_equal(slot(0, 0x10000, 2 * PAGE, 8 * PAGE, 0), -EINVAL);
	assert_int_equal(slot(0, 0x10000, 2 * PAGE, 0, KVM_MEM_READONLY), -EINVAL);
	assert_int_equal(slot(0, 0x20000, 2 * PAGE, 0, 0), 0);
	assert_int_equal(slot(0, 0x20000, 2 * PAGE, 0, 1u << 12), -EINVAL);
	end();
}

static void test_slot_number_is_bounded(void **s)
{
	(void)s;
	begin(NO_CHIP);
	long n = sys_ioctl_n(kvm, KVM_CHECK_EXTENSION, KVM_CAP_NR_MEMSLOTS);
	assert_true(n >= 32);
	assert_int_equal(slot((uint32_t)n, 0x10000, PAGE, 0, 0), -EINVAL);
	assert_int_equal(slot((uint32_t)n - 1, 0x10000, PAGE, 0, 0), 0);
	end();
}

/* --- irqchip and routing ------------------------------------------------------------------ */

static void test_irqchip_only_once_and_before_vcpus(void **s)
{
	(void)s;
	begin(FULL);
	assert_int_equal(vm_n(KVM_CREATE_IRQCHIP, 0), -EEXIST);
	assert_int_equal(enable_split(), -EEXIST);
	end();
	begin(NO_CHIP);
	int vcpu = (int)vm_n(KVM_CREATE_VCPU, 0);
	assert_true(vcpu >= 0);
	assert_int_equal(vm_n(KVM_CREATE_IRQCHIP, 0), -EINVAL);
	assert_int_equal(enable_split(), -EEXIST);
	sys_close(vcpu);
	end();
}

static void test_pit_needs_the_full_irqchip(void **s)
{
	(void)s;
	struct kvm_pit_config pit = { .flags = KVM_PIT_SPEAKER_DUMMY };
	begin(SPLIT);
	assert_int_equal(sys_ioctl(vm, KVM_CREATE_PIT2, &pit), -ENOENT);
	end();
	begin(FULL);
	assert_int_equal(sys_ioctl(vm, KVM_CREATE_PIT2, &pit), 0);
	assert_int_equal(sys_ioctl(vm, KVM_CREATE_PIT2, &pit), -EEXIST);
	end();
}

static long routes(unsigned int n, uint32_t first_gsi, uint32_t step, uint32_t type)
{
	struct kvm_irq_routing *r = calloc(1, sizeof(*r) + n * sizeof(r->entries[0]));
	assert_non_null(r);
	r->nr = n;
	for (unsigned int i = 0; i < n; i++) {
		r->entries[i].gsi = first_gsi + i * step;
		r->entries[i].type = type;
		r->entries[i].u.msi.address_lo = type == KVM_IRQ_ROUTING_MSI ? 0xfee00000 : 0;
		r->entries[i].u.msi.data = 0x30;
	}
	long ret = sys_ioctl(vm, KVM_SET_GSI_ROUTING, r);
	free(r);
	return ret;
}

static void test_routing_needs_an_irqchip(void **s)
{
	(void)s;
	begin(NO_CHIP);
	assert_int_equal(routes(1, 0, 1, KVM_IRQ_ROUTING_MSI), -EINVAL);
	end();
	begin(SPLIT);
	assert_int_equal(routes(1, 0, 1, KVM_IRQ_ROUTING_MSI), 0);
	assert_int_equal(routes(1, 0, 1, KVM_IRQ_ROUTING_IRQCHIP), -EINVAL);
	end();
}

static void test_routing_table_is_bounded(void **s)
{
	(void)s;
	begin(SPLIT);
	assert_int_equal(sys_ioctl_n(kvm, KVM_CHECK_EXTENSION, KVM_CAP_IRQ_ROUTING), 4096);
	assert_int_equal(routes(4096, 0, 1, KVM_IRQ_ROUTING_MSI), 0);
	assert_int_equal(routes(4097, 0, 1, KVM_IRQ_ROUTING_MSI), -EINVAL);
	assert_int_equal(routes(1, 4096, 1, KVM_IRQ_ROUTING_MSI), -EINVAL);
	end();
}

static void test_one_gsi_has_one_msi_route(void **s)
{
	(void)s;
	begin(SPLIT);
	assert_int_equal(routes(2, 30, 0, KVM_IRQ_ROUTING_MSI), -EINVAL);
	assert_int_equal(routes(1, 30, 1, 99), -EINVAL);
	end();
}

/* --- irqfd -------------------------------------------------------------------------------- */

static long irqfd(int fd, uint32_t gsi, uint32_t flags, int resample)
{
	struct kvm_irqfd a = {
		.fd = (uint32_t)fd, .gsi = gsi, .flags = flags, .resamplefd = (uint32_t)resample
	};
	return sys_ioctl(vm, KVM_IRQFD, &a);
}

/* With 32-bit APIC ids, a message for an id beyond 32 bits spoils the whole table. */
static void test_wide_ids_reserve_address_bits(void **s)
{
	struct {
		struct kvm_irq_routing head;
		struct kvm_irq_routing_entry e[1];
	} t = { .head = { .nr = 1 } };
	(void)s;
	begin(FULL);
	t.e[0] = (struct kvm_irq_routing_entry){ .gsi = 30, .type = KVM_IRQ_ROUTING_MSI };
	t.e[0].u.msi.address_lo = 0xfee00000;
	t.e[0].u.msi.address_hi = 1;
	assert_int_equal(sys_ioctl(vm, KVM_SET_GSI_ROUTING, &t), 0);
	struct kvm_enable_cap c = { .cap = KVM_CAP_X2APIC_API,
				    .args = { KVM_X2APIC_API_USE_32BIT_IDS } };
	assert_int_equal(sys_ioctl(vm, KVM_ENABLE_CAP, &c), 0);
	assert_int_equal(sys_ioctl(vm, KVM_SET_GSI_ROUTING, &t), -EINVAL);
	t.e[0].u.msi.address_hi = 0x100;
	assert_int_equal(sys_ioctl(vm, KVM_SET_GSI_ROUTING, &t), 0);
	end();
}

static void test_irqfd_needs_an_irqchip(void **s)
{
	(void)s;
	begin(NO_CHIP);
	assert_int_equal(irqfd(ev, 5, 0, 0), -EINVAL);
	end();
}

static void test_irqfd_needs_an_eventfd(void **s)
{
	(void)s;
	begin(SPLIT);
	assert_int_equal(irqfd(kvm, 30, 0, 0), -EINVAL);
	assert_int_equal(irqfd(9999, 30, 0, 0), -EBADF);
	assert_int_equal(irqfd(ev, 30, 1u << 7, 0), -EINVAL);
	end();
}

static void test_irqfd_takes_an_eventfd_once(void **s)
{
	(void)s;
	begin(SPLIT);
	assert_int_equal(irqfd(ev, 30, 0, 0), 0);
	assert_int_equal(irqfd(ev, 30, 0, 0), -EBUSY);
	assert_int_equal(irqfd(ev, 31, 0, 0), -EBUSY);
	assert_int_equal(irqfd(ev, 30, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	assert_int_equal(irqfd(ev, 31, 0, 0), 0);
	end();
}

static void test_irqfd_deassign_of_nothing_succeeds(void **s)
{
	(void)s;
	begin(SPLIT);
	assert_int_equal(irqfd(ev, 30, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	end();
}

static void test_resample_needs_the_full_irqchip(void **s)
{
	(void)s;
	int re = sys_eventfd(0, 0);
	begin(SPLIT);
	assert_int_equal(irqfd(ev, 10, KVM_IRQFD_FLAG_RESAMPLE, re), -EINVAL);
	end();
	begin(FULL);
	assert_int_equal(irqfd(ev, 10, KVM_IRQFD_FLAG_RESAMPLE, 9999), -EBADF);
	assert_int_equal(irqfd(ev, 10, KVM_IRQFD_FLAG_RESAMPLE, re), 0);
	end();
	sys_close(re);
}

/* Binding an eventfd with a count does not take the count: who unmasks must drain it. */
static void test_irqfd_bind_leaves_a_pending_count(void **s)
{
	(void)s;
	begin(SPLIT);
	assert_int_equal(routes(1, 30, 1, KVM_IRQ_ROUTING_MSI), 0);
	assert_int_equal(sys_event_signal(ev), 0);
	assert_int_equal(irqfd(ev, 30, 0, 0), 0);
	assert_true(sys_event_pending(ev));
	end();
}

static void test_irqfd_takes_the_count_of_a_signal(void **s)
{
	(void)s;
	begin(SPLIT);
	assert_int_equal(routes(1, 30, 1, KVM_IRQ_ROUTING_MSI), 0);
	assert_int_equal(irqfd(ev, 30, 0, 0), 0);
	assert_int_equal(sys_event_signal(ev), 0);
	assert_false(sys_event_pending(ev));
	end();
}

static void test_unbound_eventfd_keeps_its_count(void **s)
{
	(void)s;
	begin(SPLIT);
	assert_int_equal(routes(1, 30, 1, KVM_IRQ_ROUTING_MSI), 0);
	assert_int_equal(irqfd(ev, 30, 0, 0), 0);
	assert_int_equal(irqfd(ev, 30, KVM_IRQFD_FLAG_DEASSIGN, 0), 0);
	assert_int_equal(sys_event_signal(ev), 0);
	assert_true(sys_event_pending(ev));
	assert_int_equal(sys_event_take(ev), 1);
	end();
}

/* --- lines and messages ------------------------------------------------------------------- */

static void test_lines_and_messages_need_an_irqchip(void **s)
{
	(void)s;
	struct kvm_irq_level l = { .irq = 4, .level = 1 };
	struct kvm_msi m = { .address_lo = 0xfee00000, .data = 0x30 };
	begin(NO_CHIP);
	assert_int_equal(sys_ioctl(vm, KVM_IRQ_LINE, &l), -ENXIO);
	assert_int_equal(sys_ioctl(vm, KVM_SIGNAL_MSI, &m), -EINVAL);
	end();
	begin(FULL);
	assert_int_equal(sys_ioctl(vm, KVM_IRQ_LINE, &l), 0);
	end();
}

/* --- ioeventfd ---------------------------------------------------------------------------- */

static long doorbell(uint64_t addr, uint32_t len, uint64_t match, uint32_t flags, int fd)
{
	struct kvm_ioeventfd a = {
		.addr = addr, .len = len, .datamatch = match, .flags = flags, .fd = fd
	};
	return sys_ioctl(vm, KVM_IOEVENTFD, &a);
}

static void test_ioeventfd_lengths(void **s)
{
	(void)s;
	begin(FULL);
	assert_int_equal(doorbell(0xd0000000, 3, 0, 0, ev), -EINVAL);
	assert_int_equal(doorbell(0xd0000000, 16, 0, 0, ev), -EINVAL);
	assert_int_equal(doorbell(0xd0000000, 0, 0, KVM_IOEVENTFD_FLAG_DATAMATCH, ev), -EINVAL);
	assert_int_equal(doorbell(UINT64_MAX, 4, 0, 0, ev), -EINVAL);
	assert_int_equal(doorbell(0xd0000000, 4, 0, 1u << 9, ev), -EINVAL);
	assert_int_equal(doorbell(0xd0000000, 4, 0, 0, 9999), -EBADF);
	assert_int_equal(doorbell(0xd0000000, 4, 0, 0, kvm), -EINVAL);
	assert_int_equal(doorbell(0xd0000000, 0, 0, 0, ev), 0);
	end();
}

static void test_ioeventfd_collision_and_absence(void **s)
{
	(void)s;
	const uint32_t match = KVM_IOEVENTFD_FLAG_DATAMATCH, gone = KVM_IOEVENTFD_FLAG_DEASSIGN;
	begin(FULL);
	assert_int_equal(doorbell(0xd0000000, 4, 1, match, ev), 0);
	assert_int_equal(doorbell(0xd0000000, 4, 1, match, ev), -EEXIST);
	assert_int_equal(doorbell(0xd0000000, 4, 0, 0, ev), -EEXIST);
	assert_int_equal(doorbell(0xd0000000, 4, 2, match, ev), 0);
	assert_int_equal(doorbell(0xd0000000, 2, 1, match, ev), 0);
	assert_int_equal(doorbell(0xd0000000, 4, 3, match | gone, ev), -ENOENT);
	assert_int_equal(doorbell(0xd0000000, 4, 1, match | gone, ev), 0);
	assert_int_equal(doorbell(0xd0000000, 4, 1, match | gone, ev), -ENOENT);
	end();
}

/* --- vCPUs and the rest ------------------------------------------------------------------- */

static void test_vcpu_ids_are_unique(void **s)
{
	(void)s;
	begin(FULL);
	int a = (int)vm_n(KVM_CREATE_VCPU, 0);
	assert_true(a >= 0);
	assert_int_equal(vm_n(KVM_CREATE_VCPU, 0), -EEXIST);
	assert_int_equal(vm_n(KVM_CREATE_VCPU, 1ul << 20), -EINVAL);
	sys_close(a);
	end();
}

static void test_identity_map_before_vcpus_only(void **s)
{
	(void)s;
	uint64_t at = 0xfffbc000;
	begin(FULL);
	assert_int_equal(sys_ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &at), 0);
	int a = (int)vm_n(KVM_CREATE_VCPU, 0);
	assert_int_equal(sys_ioctl(vm, KVM_SET_IDENTITY_MAP_ADDR, &at), -EINVAL);
	sys_close(a);
	end();
}

static void test_immediate_exit_ends_run(void **s)
{
	(void)s;
	begin(FULL);
	int a = (int)vm_n(KVM_CREATE_VCPU, 0);
	int size = sys_ioctl_n(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);
	void *p;
	assert_int_equal(sys_mmap(&p, NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, a, 0),
			 0);
	struct kvm_run *run = p;
	run->immediate_exit = 1;
	assert_int_equal(sys_ioctl_n(a, KVM_RUN, 0), -EINTR);
	sys_munmap(p, (size_t)size);
	sys_close(a);
	end();
}

static void test_cpuid_and_msr_lists_ask_for_room(void **s)
{
	(void)s;
	begin(NO_CHIP);
	struct kvm_cpuid2 c = { .nent = 0 };
	assert_int_equal(sys_ioctl(kvm, KVM_GET_SUPPORTED_CPUID, &c), -E2BIG);
	struct kvm_msr_list m = { .nmsrs = 0 };
	assert_int_equal(sys_ioctl(kvm, KVM_GET_MSR_INDEX_LIST, &m), -E2BIG);
	assert_true(m.nmsrs > 4);
	end();
}

static void test_unknown_capability_is_refused(void **s)
{
	(void)s;
	begin(NO_CHIP);
	struct kvm_enable_cap c = { .cap = 9999 };
	assert_int_equal(sys_ioctl(vm, KVM_ENABLE_CAP, &c), -EINVAL);
	assert_int_equal(sys_ioctl_n(kvm, KVM_CHECK_EXTENSION, 9999), 0);
	assert_int_equal(sys_ioctl_n(kvm, KVM_GET_API_VERSION, 0), 12);
	end();
}

/* --- KVM-VFIO ----------------------------------------------------------------------------- */

static long vfio_attr(int dev, uint64_t attr, int fd)
{
	struct kvm_device_attr a = { .group = KVM_DEV_VFIO_GROUP,
				     .attr = attr,
				     .addr = (uintptr_t)&fd };
	return sys_ioctl(dev, KVM_SET_DEVICE_ATTR, &a);
}

static void test_kvm_vfio_rules(void **s)
{
	(void)s;
	begin(NO_CHIP);
	struct kvm_create_device d = { .type = KVM_DEV_TYPE_VFIO };
	long r = sys_ioctl(vm, KVM_CREATE_DEVICE, &d);
	if (r == -ENODEV) {
		end();
		skip();
	}
	assert_int_equal(r, 0);
	struct kvm_create_device again = { .type = KVM_DEV_TYPE_VFIO };
	assert_int_equal(sys_ioctl(vm, KVM_CREATE_DEVICE, &again), -EBUSY);
	assert_int_equal(vfio_attr((int)d.fd, KVM_DEV_VFIO_GROUP_ADD, 9999), -EBADF);
	assert_int_equal(vfio_attr((int)d.fd, KVM_DEV_VFIO_GROUP_ADD, ev), -EINVAL);
	assert_int_equal(vfio_attr((int)d.fd, 77, ev), -ENXIO);
	sys_close((int)d.fd);
	end();
}

static const struct CMUnitTest rules[] = {
	cmocka_unit_test(test_slot_must_be_page_aligned),
	cmocka_unit_test(test_slot_overlap_is_refused),
	cmocka_unit_test(test_slot_deleted_twice_is_refused),
	cmocka_unit_test(test_slot_may_move_but_not_change_size_or_memory),
	cmocka_unit_test(test_slot_number_is_bounded),
	cmocka_unit_test(test_irqchip_only_once_and_before_vcpus),
	cmocka_unit_test(test_pit_needs_the_full_irqchip),
	cmocka_unit_test(test_routing_needs_an_irqchip),
	cmocka_unit_test(test_routing_table_is_bounded),
	cmocka_unit_test(test_one_gsi_has_one_msi_route),
	cmocka_unit_test(test_wide_ids_reserve_address_bits),
	cmocka_unit_test(test_irqfd_needs_an_irqchip),
	cmocka_unit_test(test_irqfd_needs_an_eventfd),
	cmocka_unit_test(test_irqfd_takes_an_eventfd_once),
	cmocka_unit_test(test_irqfd_deassign_of_nothing_succeeds),
	cmocka_unit_test(test_resample_needs_the_full_irqchip),
	cmocka_unit_test(test_irqfd_bind_leaves_a_pending_count),
	cmocka_unit_test(test_irqfd_takes_the_count_of_a_signal),
	cmocka_unit_test(test_unbound_eventfd_keeps_its_count),
	cmocka_unit_test(test_lines_and_messages_need_an_irqchip),
	cmocka_unit_test(test_ioeventfd_lengths),
	cmocka_unit_test(test_ioeventfd_collision_and_absence),
	cmocka_unit_test(test_vcpu_ids_are_unique),
	cmocka_unit_test(test_identity_map_before_vcpus_only),
	cmocka_unit_test(test_immediate_exit_ends_run),
	cmocka_unit_test(test_cpuid_and_msr_lists_ask_for_room),
	cmocka_unit_test(test_unknown_capability_is_refused),
	cmocka_unit_test(test_kvm_vfio_rules),
};

int kvm_rules_run(const char *name, int (*before)(void **state), int (*after)(void **state))
{
	return _cmocka_run_group_tests(name, rules, ARRAY_SIZE(rules), before, after);
}
