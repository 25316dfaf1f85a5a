// SPDX-License-Identifier: GPL-2.0-or-later
//
// Interrupts of the fake kernel's devices: what VFIO_DEVICE_SET_IRQS takes and refuses, and the
// way of an interrupt from the device to the guest.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/kvm.h>
#include <linux/pci_regs.h>

#include "rawvfio.h"
#include "tests/fake/fake_kvm.h"

#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define MASK	VFIO_IRQ_SET_ACTION_MASK
#define UNMASK	VFIO_IRQ_SET_ACTION_UNMASK
#define NONE	VFIO_IRQ_SET_DATA_NONE
#define MSI	VFIO_PCI_MSI_IRQ_INDEX
#define MSIX	VFIO_PCI_MSIX_IRQ_INDEX
#define INTX	VFIO_PCI_INTX_IRQ_INDEX

static int ev[8];

static struct raw begin(const struct fake_devdesc *desc)
{
	struct raw r = raw_open(desc);
	for (unsigned int i = 0; i < 8; i++)
		ev[i] = sys_eventfd(0, 0);
	raw_cfg_set(r.device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	return r;
}

static void end(struct raw *r)
{
	raw_cfg_set(r->device, PCI_COMMAND, 2, 0);
	for (unsigned int i = 0; i < 8; i++)
		sys_close(ev[i]);
	raw_close(r);
}

static struct vfio_irq_info info(const struct raw *r, uint32_t index)
{
	struct vfio_irq_info i = { .argsz = sizeof(i), .index = index };
	assert_int_equal(sys_ioctl(r->device, VFIO_DEVICE_GET_IRQ_INFO, &i), 0);
	return i;
}

static void test_irq_info(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000e);
	assert_int_equal(info(&r, INTX).count, 1);
	assert_int_equal(info(&r, INTX).flags,
			 VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED);
	assert_int_equal(info(&r, MSI).flags, VFIO_IRQ_INFO_EVENTFD | VFIO_IRQ_INFO_NORESIZE);
	assert_int_equal(info(&r, MSIX).count, 5);
	assert_int_equal(info(&r, MSIX).flags, VFIO_IRQ_INFO_EVENTFD);
	struct vfio_irq_info i = { .argsz = sizeof(i), .index = 5 };
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_GET_IRQ_INFO, &i), -EINVAL);
	end(&r);
	r = begin(&zoo_e1000);
	i.index = VFIO_PCI_ERR_IRQ_INDEX; /* PCIe only */
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_GET_IRQ_INFO, &i), -EINVAL);
	assert_int_equal(info(&r, MSIX).count, 0);
	end(&r);
	r = begin(&zoo_noresize);
	assert_true(info(&r, MSIX).flags & VFIO_IRQ_INFO_NORESIZE);
	end(&r);
}

static void test_validation(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000e);
	struct vfio_irq_set q = { .argsz = sizeof(q), .index = MSIX, .flags = TRIGGER | NONE };
	struct vfio_irq_set bad = q;
	bad.argsz = 8;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &bad), -EINVAL);
	bad = q;
	bad.index = 5;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &bad), -EINVAL);
	bad = q;
	bad.flags = TRIGGER | 1u << 9;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &bad), -EINVAL);
	bad = q;
	bad.flags = TRIGGER; /* no data type */
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &bad), -EINVAL);
	bad = q;
	bad.start = 5;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &bad), -EINVAL);
	bad = q;
	bad.start = UINT32_MAX;
	bad.count = 2;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &bad), -EINVAL);
	bad = q;
	bad.flags = TRIGGER | VFIO_IRQ_SET_DATA_EVENTFD; /* argsz leaves no room for one */
	bad.count = 1;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &bad), -EINVAL);
	assert_int_equal(raw_irqs(r.device, MSIX, 0, ev, 6), -EINVAL);
	end(&r);
}

static void test_eventfds_must_be(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000e);
	int fds[2] = { ev[0], 9999 };
	assert_int_equal(raw_irqs(r.device, MSIX, 0, fds, 2), -EBADF);
	assert_int_equal(fake_dev_irq_index(r.d), -1); /* nothing of it stays */
	fds[1] = r.group;
	assert_int_equal(raw_irqs(r.device, MSIX, 0, fds, 2), -EINVAL);
	fds[1] = -1;
	assert_int_equal(raw_irqs(r.device, MSIX, 0, fds, 2), 0);
	assert_int_equal(fake_dev_irqs_allocated(r.d), 2);
	assert_int_equal(fake_dev_irqs_armed(r.d), 1);
	end(&r);
}

static void test_vectors_signal(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000e);
	assert_int_equal(fake_dev_fire(r.d, 0), FAKE_FIRE_NOBODY);
	raw_irqs(r.device, MSIX, 0, ev, 3);
	assert_int_equal(fake_dev_irq_index(r.d), 2);
	assert_int_equal(fake_dev_fire(r.d, 2), FAKE_FIRE_SENT);
	assert_int_equal(fake_dev_fire(r.d, 3), FAKE_FIRE_NOBODY);
	assert_int_equal(sys_event_take(ev[2]), 1);
	raw_cfg_set(r.device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(fake_dev_fire(r.d, 2),
			 FAKE_FIRE_NOBODY); /* an MSI is a bus master write */
	/* loopback */
	assert_int_equal(raw_irq_action(r.device, MSIX, TRIGGER | NONE, 2), 0);
	assert_int_equal(sys_event_take(ev[0]) + sys_event_take(ev[1]), 2);
	assert_int_equal(raw_irqs(r.device, MSIX, 0, NULL, 0), 0);
	assert_int_equal(raw_irqs(r.device, MSIX, 0, NULL, 0), -EINVAL); /* off already */
	end(&r);
}

static void test_indexes_exclude_each_other(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000e);
	assert_int_equal(raw_irqs(r.device, MSIX, 0, ev, 1), 0);
	assert_int_equal(raw_irqs(r.device, MSI, 0, ev + 1, 1), -EINVAL);
	assert_int_equal(raw_irqs(r.device, INTX, 0, ev + 1, 1), -EINVAL);
	assert_int_equal(raw_irqs(r.device, MSI, 0, NULL, 0), -EINVAL);
	assert_int_equal(raw_irqs(r.device, MSIX, 0, NULL, 0), 0);
	assert_int_equal(raw_irqs(r.device, MSI, 0, ev + 1, 1), 0);
	assert_int_equal(raw_irqs(r.device, INTX, 0, ev, 1), -EINVAL);
	end(&r);
}

static void test_msix_grows_unless_noresize(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_nvme);
	assert_int_equal(raw_irqs(r.device, MSIX, 0, ev, 1), 0);
	assert_int_equal(raw_irqs(r.device, MSIX, 40, ev + 1, 1), 0);
	assert_int_equal(fake_dev_irqs_armed(r.d), 2);
	end(&r);
	r = begin(&zoo_noresize);
	assert_int_equal(raw_irqs(r.device, MSIX, 0, ev, 2), 0);
	assert_int_equal(raw_irqs(r.device, MSIX, 2, ev + 2, 1), -EINVAL);
	assert_int_equal(raw_irqs(r.device, MSIX, 1, ev + 2, 1), 0);
	raw_irqs(r.device, MSIX, 0, NULL, 0);
	assert_int_equal(raw_irqs(r.device, MSIX, 3, ev, 1), 0); /* enables 4, arms the last */
	assert_int_equal(fake_dev_irqs_allocated(r.d), 4);
	end(&r);
}

static void test_msi_can_not_be_masked_by_ioctl(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_msi32);
	raw_irqs(r.device, MSI, 0, ev, 4);
	assert_int_equal(raw_irq_action(r.device, MSI, MASK | NONE, 1), -ENOTTY);
	assert_int_equal(raw_irq_action(r.device, MSI, TRIGGER | MASK | NONE, 1), -ENOTTY);
	assert_int_equal(raw_irqs(r.device, MSI, 4, ev + 4, 1), -EINVAL); /* can't grow */
	end(&r);
}

/* --- INTx --------------------------------------------------------------------------------- */

static void test_intx_masks_itself(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000);
	assert_int_equal(raw_irq_action(r.device, INTX, UNMASK | NONE, 1), -EINVAL);
	assert_int_equal(raw_irqs(r.device, INTX, 0, ev, 1), 0);
	assert_int_equal(fake_dev_intx(r.d, true), FAKE_FIRE_SENT);
	assert_int_equal(sys_event_take(ev[0]), 1);
	assert_true(fake_dev_intx_masked(r.d));
	assert_int_equal(fake_dev_intx(r.d, true), FAKE_FIRE_MASKED);
	assert_int_equal(sys_event_take(ev[0]), 0);
	/* Unmasked while asserted: again. */
	assert_int_equal(raw_irq_action(r.device, INTX, UNMASK | NONE, 1), 0);
	assert_int_equal(sys_event_take(ev[0]), 1);
	fake_dev_intx(r.d, false);
	assert_int_equal(raw_irq_action(r.device, INTX, UNMASK | NONE, 1), 0);
	assert_int_equal(sys_event_take(ev[0]), 0);
	assert_false(fake_dev_intx_masked(r.d));
	end(&r);
}

static void test_intx_unmask_by_eventfd(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000);
	struct {
		struct vfio_irq_set h;
		int fd;
	} q = { { .argsz = sizeof(q), .flags = UNMASK | VFIO_IRQ_SET_DATA_EVENTFD, .count = 1 },
		ev[1] };
	raw_irqs(r.device, INTX, 0, ev, 1);
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &q), 0);
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &q), -EBUSY);
	fake_dev_intx(r.d, true);
	assert_int_equal(sys_event_take(ev[0]), 1);
	sys_event_signal(ev[1]);
	assert_int_equal(sys_event_take(ev[0]), 1); /* still asserted */
	assert_false(sys_event_pending(ev[1]));	    /* consumed */
	q.h.flags = MASK | VFIO_IRQ_SET_DATA_EVENTFD;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &q), -ENOTTY);
	end(&r);
}

static void test_intx_disable_bit_holds_it_back(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000);
	raw_irqs(r.device, INTX, 0, ev, 1);
	raw_cfg_set(r.device, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(fake_dev_intx(r.d, true), FAKE_FIRE_MASKED);
	assert_int_equal(sys_event_take(ev[0]), 0);
	raw_cfg_set(r.device, PCI_COMMAND, 2, 0);
	assert_int_equal(sys_event_take(ev[0]), 1);
	end(&r);
}

static void test_no_pin_no_intx(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_no_intx_no_msi);
	assert_int_equal(info(&r, INTX).count, 0);
	assert_int_equal(raw_irqs(r.device, INTX, 0, ev, 1), -EINVAL);
	end(&r);
}

/* --- ERR and REQ -------------------------------------------------------------------------- */

static void test_err_and_req(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000e);
	assert_int_equal(fake_dev_err(r.d), FAKE_FIRE_NOBODY);
	assert_int_equal(raw_irq_action(r.device, VFIO_PCI_ERR_IRQ_INDEX, TRIGGER | NONE, 0),
			 -EINVAL);
	assert_int_equal(raw_irqs(r.device, VFIO_PCI_ERR_IRQ_INDEX, 0, ev, 1), 0);
	assert_int_equal(raw_irqs(r.device, VFIO_PCI_REQ_IRQ_INDEX, 0, ev + 1, 1), 0);
	assert_int_equal(fake_dev_err(r.d), FAKE_FIRE_SENT);
	assert_int_equal(fake_dev_req(r.d), FAKE_FIRE_SENT);
	assert_int_equal(sys_event_take(ev[0]) + sys_event_take(ev[1]), 2);
	assert_int_equal(raw_irq_action(r.device, VFIO_PCI_ERR_IRQ_INDEX, TRIGGER | NONE, 0), 0);
	assert_int_equal(fake_dev_err(r.d), FAKE_FIRE_NOBODY);
	end(&r);
}

/* --- to the guest ------------------------------------------------------------------------- */

static void test_device_interrupt_reaches_the_guest_without_us(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_nvme);
	int kvm = sys_open("/dev/kvm", O_RDWR, 0), vm = sys_ioctl_n(kvm, KVM_CREATE_VM, 0);
	struct kvm_enable_cap split = { .cap = KVM_CAP_SPLIT_IRQCHIP, .args = { 24 } };
	sys_ioctl(vm, KVM_ENABLE_CAP, &split);
	union {
		struct kvm_irq_routing t;
		uint8_t room[sizeof(struct kvm_irq_routing) + sizeof(struct kvm_irq_routing_entry)];
	} routes = { .t = { .nr = 1 } };
	routes.t.entries[0] = (struct kvm_irq_routing_entry){ .gsi = 24,
							      .type = KVM_IRQ_ROUTING_MSI,
							      .u.msi = { .address_lo = 0xfee00000,
									 .data = 0x51 } };
	assert_int_equal(sys_ioctl(vm, KVM_SET_GSI_ROUTING, &routes), 0);
	struct kvm_irqfd q = { .fd = (uint32_t)ev[0], .gsi = 24 };
	assert_int_equal(sys_ioctl(vm, KVM_IRQFD, &q), 0);
	raw_irqs(r.device, MSIX, 0, ev, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fake_dev_fire(r.d, 0), FAKE_FIRE_SENT);
	assert_int_equal(fake_kvm_msi_count(0x51), 3);
	assert_false(sys_event_pending(ev[0]));
	sys_close(vm);
	sys_close(kvm);
	end(&r);
}

static void test_intx_round_through_resample(void **s)
{
	(void)s;
	struct raw r = begin(&zoo_e1000);
	int kvm = sys_open("/dev/kvm", O_RDWR, 0), vm = sys_ioctl_n(kvm, KVM_CREATE_VM, 0);
	sys_ioctl_n(vm, KVM_CREATE_IRQCHIP, 0);
	struct kvm_irqfd k = { .fd = (uint32_t)ev[0],
			       .gsi = 16,
			       .flags = KVM_IRQFD_FLAG_RESAMPLE,
			       .resamplefd = (uint32_t)ev[1] };
	assert_int_equal(sys_ioctl(vm, KVM_IRQFD, &k), 0);
	raw_irqs(r.device, INTX, 0, ev, 1);
	struct {
		struct vfio_irq_set h;
		int fd;
	} q = { { .argsz = sizeof(q), .flags = UNMASK | VFIO_IRQ_SET_DATA_EVENTFD, .count = 1 },
		ev[1] };
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_SET_IRQS, &q), 0);

	fake_dev_intx(r.d, true);
	assert_true(fake_kvm_line(16));
	fake_kvm_eoi(16); /* the device was not served: it comes again */
	assert_true(fake_kvm_line(16));
	fake_dev_intx(r.d, false);
	fake_kvm_eoi(16);
	assert_false(fake_kvm_line(16));
	assert_false(fake_dev_intx_masked(r.d));
	assert_int_equal(fake_kvm_line_edges(16), 2);
	sys_close(vm);
	sys_close(kvm);
	end(&r);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_irq_info),
		cmocka_unit_test(test_validation),
		cmocka_unit_test(test_eventfds_must_be),
		cmocka_unit_test(test_vectors_signal),
		cmocka_unit_test(test_indexes_exclude_each_other),
		cmocka_unit_test(test_msix_grows_unless_noresize),
		cmocka_unit_test(test_msi_can_not_be_masked_by_ioctl),
		cmocka_unit_test(test_intx_masks_itself),
		cmocka_unit_test(test_intx_unmask_by_eventfd),
		cmocka_unit_test(test_intx_disable_bit_holds_it_back),
		cmocka_unit_test(test_no_pin_no_intx),
		cmocka_unit_test(test_err_and_req),
		cmocka_unit_test(test_device_interrupt_reaches_the_guest_without_us),
		cmocka_unit_test(test_intx_round_through_resample),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
