// SPDX-License-Identifier: GPL-2.0-or-later
// vfio/passthru_irq.c: what reaches VFIO_DEVICE_SET_IRQS, in which order, and what becomes of it
// when VFIO grants less than asked for, or nothing.
#include "passrig.h"

static struct sys_ops ops; /* the fake with one call doctored */

static int doctored_teardown(void **state)
{
	sys = &sys_fake;
	return rig_teardown(state);
}

/* Every SET_IRQS since it was cleared: "index action type start+count". */
static char calls[64][48];
static unsigned int n_calls;
static int grant = -1; /* MSI vectors granted; -1: all */

static int recorded(int fd, unsigned long request, void *arg)
{
	if (request != VFIO_DEVICE_SET_IRQS)
		return sys_fake.ioctl(fd, request, arg);
	const struct vfio_irq_set *s = arg;
	const char *action = s->flags & VFIO_IRQ_SET_ACTION_TRIGGER ? "trigger"
			     : s->flags & VFIO_IRQ_SET_ACTION_MASK  ? "mask"
								    : "unmask";
	const char *type = s->flags & VFIO_IRQ_SET_DATA_EVENTFD ? "fds" : "now";
	if (n_calls < ARRAY_SIZE(calls))
		snprintf(calls[n_calls++], sizeof(calls[0]), "%u %s %s %u+%u", s->index, action,
			 type, s->start, s->count);
	if (s->index == VFIO_PCI_MSI_IRQ_INDEX && grant >= 0 && s->count > (uint32_t)grant)
		return grant;
	return sys_fake.ioctl(fd, request, arg);
}

static void start_recorded(const struct fake_devdesc *desc)
{
	ops = sys_fake;
	ops.ioctl = recorded;
	sys = &ops;
	grant = -1;
	rig_start(desc);
	rig_place();
	n_calls = 0;
}

static void assert_calls(const char *const *want, unsigned int n)
{
	for (unsigned int i = 0; i < MAX(n, n_calls); i++)
		if (i >= n || i >= n_calls || strcmp(want[i], calls[i]) != 0)
			fail_msg("call %u: \"%s\", not \"%s\"", i, i < n_calls ? calls[i] : "-",
				 i < n ? want[i] : "-");
	n_calls = 0;
}

#define ASSERT_CALLS(...)                                                                          \
	do {                                                                                       \
		static const char *const want_[] = { __VA_ARGS__ };                                \
		assert_calls(want_, ARRAY_SIZE(want_));                                            \
	} while (0)

static void msix(uint16_t flags)
{
	pcidev_cfg_write(&p->pd, p->pd.msix->off + PCI_MSIX_FLAGS, flags, 2);
}

static void vector(unsigned int v, bool masked)
{
	msix_table_write(p->pd.msix, 16ull * v, 0xfee00000, 4);
	msix_table_write(p->pd.msix, 16ull * v + 8, 0x40 + v, 4);
	msix_table_write(p->pd.msix, 16ull * v + 12, masked, 4);
}

static void test_intx_is_bound_before_it_is_let_go(void **state)
{
	(void)state;
	ops = sys_fake;
	ops.ioctl = recorded;
	sys = &ops;
	n_calls = 0;
	rig_start(&zoo_nvme);
	/* ERR and REQ at realize; INTx at reset: eventfd, unmask eventfd, unmask now. */
	ASSERT_CALLS("4 trigger fds 0+1", "3 trigger fds 0+1", "0 trigger fds 0+1",
		     "0 unmask fds 0+1", "0 unmask now 0+1");
	assert_int_equal(p->irq_mode, PCI_IRQ_INTX);
	assert_int_equal(rec_irqchip_bound(&rp.irq), 1);
}

static void test_intx_is_masked_before_its_line_is_unbound(void **state)
{
	(void)state;
	start_recorded(&zoo_nvme);
	msix(PCI_MSIX_FLAGS_ENABLE);
	ASSERT_CALLS("0 mask now 0+1", "0 unmask fds 0+1", "0 trigger now 0+0",
		     "2 trigger fds 0+1");
	assert_int_equal(rec_irqchip_bound(&rp.irq), 0);
	msix(0);
	ASSERT_CALLS("2 trigger now 0+0", "0 trigger fds 0+1", "0 unmask fds 0+1",
		     "0 unmask now 0+1");
}

static void test_neighbours_come_in_one_call(void **state)
{
	(void)state;
	start_recorded(&zoo_nvme);
	msix(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
	for (unsigned int v = 0; v < 10; v++)
		if (v != 4 && v != 5)
			vector(v, false);
	n_calls = 0;
	msix(PCI_MSIX_FLAGS_ENABLE);
	ASSERT_CALLS("2 trigger fds 0+4", "2 trigger fds 6+4");
	assert_int_equal(rp.irq.commits, 1);
}

static void test_masking_is_no_business_of_vfios(void **state)
{
	(void)state;
	start_recorded(&zoo_nvme);
	msix(PCI_MSIX_FLAGS_ENABLE);
	vector(0, false);
	n_calls = 0;
	for (int i = 0; i < 5; i++) {
		vector(0, true);
		vector(0, false);
	}
	assert_int_equal(n_calls, 0);
}

static void test_high_water_mark_without_resizing(void **state)
{
	(void)state;
	start_recorded(&zoo_noresize);
	msix(PCI_MSIX_FLAGS_ENABLE);
	n_calls = 0;
	vector(0, false); /* the one allocated to switch it on */
	ASSERT_CALLS("2 trigger fds 0+1");
	vector(3, false);
	ASSERT_CALLS("2 trigger now 0+0", "2 trigger fds 0+4");
	vector(1, false);
	ASSERT_CALLS("2 trigger fds 1+1");
}

static void test_msi_takes_what_is_granted(void **state)
{
	(void)state;
	start_recorded(&zoo_msi32);
	grant = 4;
	unsigned int off = p->pd.msi->off;
	pcidev_cfg_write(&p->pd, off + PCI_MSI_ADDRESS_LO, 0xfee00000, 4);
	pcidev_cfg_write(&p->pd, off + PCI_MSI_DATA_64, 0x40, 2);
	n_calls = 0;
	pcidev_cfg_write(&p->pd, off + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE | 5 << 4, 2);
	ASSERT_CALLS("0 mask now 0+1", "0 unmask fds 0+1", "0 trigger now 0+0",
		     "1 trigger fds 0+32", "1 trigger fds 0+4");
	assert_int_equal(fake_dev_irqs_armed(hw), 4);
	assert_int_equal(fake_dev_fire(hw, 3), FAKE_FIRE_SENT);
}

static void test_msi_without_eventfds_says_so_and_goes_on(void **state)
{
	(void)state;
	start_recorded(&zoo_edu);
	fake_fault_add(
		&(struct fake_fault){ .calls = BIT32(FAKE_CALL_EVENTFD), .nth = 1, .err = EMFILE });
	unsigned int off = p->pd.msi->off;
	pcidev_cfg_write(&p->pd, off + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 2);
	assert_int_equal(fake_dev_irq_index(hw), -1);
	pcidev_cfg_write(&p->pd, off + PCI_MSI_FLAGS, 0, 2); /* INTx can't be had either */
	fake_fault_clear();
	pcidev_cfg_write(&p->pd, off + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 2);
	assert_int_equal(fake_dev_irq_index(hw), 1);
}

static void test_intx_that_cannot_be_bound_leaves_no_eventfds(void **state)
{
	(void)state;
	for (unsigned int nth = 1; nth <= 2; nth++) {
		start_recorded(&zoo_nvme);
		msix(PCI_MSIX_FLAGS_ENABLE);
		fake_fault_add(&(struct fake_fault){
			.calls = BIT32(FAKE_CALL_EVENTFD), .nth = nth, .times = 1, .err = EMFILE });
		msix(0);
		fake_fault_clear();
		assert_int_equal(p->intx.fd, -1);
		assert_int_equal(p->intx.resample_fd, -1);
		assert_int_equal(doctored_teardown(state), 0);
		rig_setup(state);
	}
}

static void power(unsigned int state)
{
	pcidev_cfg_write(&p->pd, p->pd.pm_off + PCI_PM_CTRL, state, 2);
}

static void test_asleep_is_refused_and_awake_is_granted(void **state)
{
	(void)state;
	start_recorded(&zoo_nvme);
	power(3);
	msix(PCI_MSIX_FLAGS_ENABLE);
	vector(0, false);
	vector(5, false);
	vector(6, true);
	assert_int_equal(fake_dev_irq_index(hw), -1);
	n_calls = 0;
	power(0);
	ASSERT_CALLS("2 trigger fds 0+1", "2 trigger fds 0+1", "2 trigger fds 5+1");
	power(0); /* once is enough */
	assert_int_equal(n_calls, 0);
}

static void test_turned_off_while_asleep_stays_off(void **state)
{
	(void)state;
	start_recorded(&zoo_nvme);
	power(3);
	msix(PCI_MSIX_FLAGS_ENABLE);
	vector(0, false);
	msix(0);
	assert_int_equal(fake_dev_irq_index(hw), 0);
	n_calls = 0;
	power(0);
	assert_int_equal(n_calls, 0);
	assert_int_equal(fake_dev_irq_index(hw), 0);
}

static void test_off_is_idempotent(void **state)
{
	(void)state;
	start_recorded(&zoo_nvme);
	msix(PCI_MSIX_FLAGS_ENABLE);
	vector(2, false);
	passthru_irq_off(p);
	assert_int_equal(fake_dev_irq_index(hw), -1);
	n_calls = 0;
	passthru_irq_off(p);
	assert_int_equal(n_calls, 0);
}

static void test_lost_device_is_asked_nothing(void **state)
{
	(void)state;
	start_recorded(&zoo_nvme);
	p->lost = true;
	msix(PCI_MSIX_FLAGS_ENABLE);
	vector(0, false);
	msix(0);
	assert_int_equal(n_calls, 0);
	p->lost = false;
}

static void test_more_vectors_than_the_host_has(void **state)
{
	(void)state;
	start_recorded(&zoo_nvme);
	msix(PCI_MSIX_FLAGS_ENABLE);
	vector(0, false);
	rp.irq.fail = -ENOSPC; /* no route left */
	vector(1, false);
	assert_int_equal(fake_dev_irqs_armed(hw), 1);
	vector(1, true);
	vector(1, false);
	assert_int_equal(fake_dev_irqs_armed(hw), 2);
}

#define IRQ_TEST(f)                                                                                \
	{                                                                                          \
#f, f, rig_setup, doctored_teardown, NULL                                          \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		IRQ_TEST(test_intx_is_bound_before_it_is_let_go),
		IRQ_TEST(test_intx_is_masked_before_its_line_is_unbound),
		IRQ_TEST(test_neighbours_come_in_one_call),
		IRQ_TEST(test_masking_is_no_business_of_vfios),
		IRQ_TEST(test_high_water_mark_without_resizing),
		IRQ_TEST(test_msi_takes_what_is_granted),
		IRQ_TEST(test_msi_without_eventfds_says_so_and_goes_on),
		IRQ_TEST(test_intx_that_cannot_be_bound_leaves_no_eventfds),
		IRQ_TEST(test_asleep_is_refused_and_awake_is_granted),
		IRQ_TEST(test_turned_off_while_asleep_stays_off),
		IRQ_TEST(test_off_is_idempotent),
		IRQ_TEST(test_lost_device_is_asked_nothing),
		IRQ_TEST(test_more_vectors_than_the_host_has),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
