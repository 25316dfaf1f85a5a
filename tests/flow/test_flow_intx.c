// SPDX-License-Identifier: GPL-2.0-or-later
// Journey B by the pin: from the device's level to the guest's line and back, with the kernel's
// help and without, shared, behind bridges, under a split IOAPIC; and between INTx, MSI and MSI-X.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>
#include <unistd.h>

#include <linux/kvm.h>
#include <linux/vfio.h>

#include "flow.h"

static void live(unsigned int vec)
{
	guest_msix_vector(fn, vec, MSI_ADDR, 0x40 + vec, false);
}

static unsigned int got(unsigned int vec)
{
	return fake_kvm_msi_count(0x40 + vec);
}

/* --- INTx ------------------------------------------------------------------------------------- */

/* The device asserts, the guest is told, serves it and ends it: by then it must be low. */
static void intx_round(uint32_t gsi, unsigned int edges)
{
	assert_int_equal(fake_dev_intx(hw, true), FAKE_FIRE_SENT);
	assert_true(fake_kvm_line(gsi));
	assert_int_equal(fake_kvm_line_edges(gsi), edges);
	fake_dev_intx(hw, false);
	fake_kvm_eoi(gsi);
	assert_false(fake_kvm_line(gsi));
	assert_false(fake_dev_intx_masked(hw));
}

static void test_intx_needs_no_exit(void **state)
{
	(void)state;
	flow_start(&zoo_e1000);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	unsigned int exits = fake_kvm_exits();
	intx_round(gsi, 1);
	intx_round(gsi, 2);
	assert_int_equal(fake_kvm_exits(), exits);
}

static void test_intx_still_asserted_after_eoi_comes_again(void **state)
{
	(void)state;
	flow_start(&zoo_e1000);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	fake_dev_intx(hw, true);
	fake_kvm_eoi(gsi);
	assert_true(fake_kvm_line(gsi));
	assert_int_equal(fake_kvm_line_edges(gsi), 2);
	fake_dev_intx(hw, false);
	fake_kvm_eoi(gsi);
	assert_false(fake_kvm_line(gsi));
}

static void test_intx_disable_bit_holds_it(void **state)
{
	(void)state;
	flow_start(&zoo_e1000);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	guest_command(fn, PCI_COMMAND_INTX_DISABLE, 0);
	assert_int_equal(fake_dev_intx(hw, true), FAKE_FIRE_MASKED);
	assert_false(fake_kvm_line(gsi));
	guest_command(fn, 0, PCI_COMMAND_INTX_DISABLE);
	assert_true(fake_kvm_line(gsi));
	fake_dev_intx(hw, false);
	fake_kvm_eoi(gsi);
	assert_false(fake_kvm_line(gsi));
}

static void test_intx_device_without_the_disable_bit(void **state)
{
	(void)state;
	flow_start(&zoo_old_intx);
	flow_enable();
	intx_round(guest_gsi(fn), 1);
}

static void test_intx_pin_is_where_the_tables_say(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	assert_int_equal(guest_cfg(fn, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(guest_cfg(fn, PCI_INTERRUPT_LINE, 1), guest_gsi(fn));
	intx_round(guest_gsi(fn), 1);
}

static void test_two_functions_share_a_line(void **state)
{
	struct fake_dev *other;
	(void)state;
	other = fake_dev_add(
		&zoo_edu,
		&(struct fake_place){ .bdf = "0000:04:00.0", .group = 20, .driver = "vfio-pci" });
	const struct guest_setup s = {
		.device = { [1] = "vfio-pci,host=0000:04:00.0,bus=pci.0,addr=0d" },
	};
	flow_start_with(&zoo_e1000, ",addr=05", &s); /* slots eight apart: the same line */
	struct guest_fn edu = guest_find(&g, 0x1234, 0x11e8, 0);
	uint32_t gsi = guest_gsi(fn);
	assert_int_equal(gsi, guest_gsi(edu));
	flow_enable();
	guest_command(edu, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	fake_dev_intx(hw, true);
	fake_dev_intx(other, true);
	assert_true(fake_kvm_line(gsi));
	fake_dev_intx(hw, false);
	fake_kvm_eoi(gsi);
	assert_true(fake_kvm_line(gsi)); /* the other one still wants it */
	fake_dev_intx(other, false);
	fake_kvm_eoi(gsi);
	assert_false(fake_kvm_line(gsi));
}

static void test_function_without_any_interrupt(void **state)
{
	(void)state;
	flow_start(&zoo_no_intx_no_msi);
	flow_enable();
	assert_int_equal(guest_cfg(fn, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(fake_dev_irq_index(hw), -1);
}

/* --- between modes ---------------------------------------------------------------------------- */

static void test_intx_to_msix_and_back(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	for (unsigned int round = 1; round <= 3; round++) {
		intx_round(gsi, round);
		guest_msix(fn, true, false);
		assert_int_equal(fake_dev_irq_index(hw), 2);
		live(0);
		fake_dev_fire(hw, 0);
		assert_int_equal(got(0), round);
		assert_int_not_equal(fake_dev_intx(hw, true), FAKE_FIRE_SENT);
		assert_false(fake_kvm_line(gsi));
		fake_dev_intx(hw, false);
		guest_msix(fn, false, false);
		assert_int_equal(fake_dev_irq_index(hw), 0);
	}
}

static void test_intx_to_msi_and_back(void **state)
{
	(void)state;
	flow_start(&zoo_edu);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	for (unsigned int round = 1; round <= 3; round++) {
		intx_round(gsi, round);
		guest_msi(fn, 0, MSI_ADDR, 0x70);
		fake_dev_fire(hw, 0);
		assert_int_equal(fake_kvm_msi_count(0x70), round);
		guest_msi(fn, -1, 0, 0);
	}
	assert_int_equal(fake_dev_irq_index(hw), 0);
}

static void test_msi_to_msix_and_back(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	flow_enable();
	for (unsigned int round = 1; round <= 3; round++) {
		guest_msi(fn, 0, MSI_ADDR, 0x70);
		assert_int_equal(fake_dev_irq_index(hw), 1);
		fake_dev_fire(hw, 0);
		assert_int_equal(fake_kvm_msi_count(0x70), round);
		guest_msi(fn, -1, 0, 0);
		guest_msix(fn, true, false);
		live(1);
		assert_int_equal(fake_dev_irq_index(hw), 2);
		fake_dev_fire(hw, 1);
		assert_int_equal(got(1), round);
		guest_msix(fn, false, false);
	}
}

static void test_both_enabled_means_msix(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	flow_enable();
	guest_msi(fn, 0, MSI_ADDR, 0x70);
	guest_msix(fn, true, false);
	live(1);
	assert_int_equal(fake_dev_irq_index(hw), 2);
	fake_dev_fire(hw, 1);
	assert_int_equal(got(1), 1);
	guest_msix(fn, false, false);
	assert_int_equal(fake_dev_irq_index(hw), 1);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x70), 1);
}

static void test_modes_switch_with_interrupts_in_flight(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	fake_dev_intx(hw, true); /* raised, not served */
	assert_true(fake_kvm_line(gsi));
	guest_msix(fn, true, false);
	assert_false(fake_kvm_line(gsi)); /* no level stays behind */
	live(0);
	guest_msix_mask(fn, 0, true);
	fake_dev_fire(hw, 0); /* pending, never served */
	guest_msix(fn, false, false);
	assert_true(fake_kvm_line(gsi)); /* still asserted: level semantics */
	fake_dev_intx(hw, false);
	fake_kvm_eoi(gsi);
	assert_false(fake_kvm_line(gsi));
	guest_msix(fn, true, false);
	assert_false(guest_msix_pending(fn, 0)); /* of another life */
	guest_msix_mask(fn, 0, false);
	assert_int_equal(got(0), 0);
}

/* --- asleep ----------------------------------------------------------------------------------- */

/* The host's kernel enables no messages of a function in D3hot. */
static void test_messages_enabled_asleep_come_when_awake(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	live(0); /* the table is in a BAR, which sleeps, too */
	live(9);
	guest_power(fn, 3);
	guest_msix(fn, true, false);
	assert_int_equal(fake_dev_fire(hw, 0), FAKE_FIRE_NOBODY);
	guest_power(fn, 0);
	for (unsigned int i = 0; i <= 9; i += 9) {
		assert_int_equal(fake_dev_fire(hw, i), FAKE_FIRE_SENT);
		assert_int_equal(got(i), 1);
	}
	assert_int_equal(fake_dev_irqs_armed(hw), 2);
}

static void test_msi_enabled_asleep_comes_when_awake(void **state)
{
	(void)state;
	flow_start(&zoo_msi32);
	flow_enable();
	guest_power(fn, 3);
	guest_msi(fn, 2, MSI_ADDR, 0x60);
	guest_power(fn, 0);
	assert_int_equal(fake_dev_irqs_armed(hw), 4);
	fake_dev_fire(hw, 3);
	assert_int_equal(fake_kvm_msi_count(0x63), 1);
	guest_power(fn, 3); /* enabled already: it stays so */
	guest_power(fn, 0);
	fake_dev_fire(hw, 1);
	assert_int_equal(fake_kvm_msi_count(0x61), 1);
}

/* --- without resampling ----------------------------------------------------------------------- */

static void start_without_resampling(const struct fake_devdesc *desc)
{
	fake_kvm_set_cap(KVM_CAP_IRQFD_RESAMPLE, 0);
	flow_start(desc);
	flow_enable();
}

static void test_kernel_without_resampling(void **state)
{
	(void)state;
	start_without_resampling(&zoo_e1000);
	uint32_t gsi = guest_gsi(fn);
	assert_true(fake_dev_bar_in_slot(hw, 0, 0, 4096));
	for (unsigned int i = 1; i <= 3; i++) {
		fake_dev_intx(hw, true);
		guest_turn(&g);
		assert_true(fake_kvm_line(gsi));
		assert_int_equal(fake_kvm_line_edges(gsi), i);
		assert_false(fake_dev_bar_in_slot(hw, 0, 0, 4096));
		fake_kvm_eoi(gsi); /* which nobody tells us of */
		assert_true(fake_kvm_line(gsi));
		fake_dev_intx(hw, false); /* the driver reads the cause register */
		guest_read(&g, guest_bar_addr(fn, 0) + 0xc0, 4);
		assert_int_equal(g.last, FAKE_ACCESS_EXIT);
		assert_false(fake_kvm_line(gsi));
	}
}

static void test_one_function_without_resampling_by_its_property(void **state)
{
	(void)state;
	flow_start_with(&zoo_e1000, ",x-no-resample=on", NULL);
	flow_enable();
	assert_int_equal(fake_kvm_irqfds(), 0);
	fake_dev_intx(hw, true);
	guest_turn(&g);
	assert_true(fake_kvm_line(guest_gsi(fn)));
	assert_false(fake_dev_bar_in_slot(hw, 0, 0, 4096));
}

static void test_without_resampling_messages_are_as_fast_as_ever(void **state)
{
	(void)state;
	start_without_resampling(&zoo_nvme);
	fake_dev_intx(hw, true);
	guest_turn(&g);
	assert_false(fake_dev_bar_in_slot(hw, 0, 0, 4096));
	guest_msix(fn, true, false);
	assert_true(fake_dev_bar_in_slot(hw, 0, 0, 4096));
	assert_false(fake_kvm_line(guest_gsi(fn)));
	live(0);
	fake_dev_fire(hw, 0);
	assert_int_equal(got(0), 1);
	assert_true(fake_dev_bar_in_slot(hw, 0, 0, 4096));
}

static void test_reset_while_an_unresampled_interrupt_is_pending(void **state)
{
	struct verr err = { 0 };
	(void)state;
	start_without_resampling(&zoo_nvme);
	fake_dev_intx(hw, true);
	guest_turn(&g);
	assert_true(fake_kvm_line(guest_gsi(fn)));
	assert_int_equal(guest_reset(&g, &err), 0);
	assert_false(fake_kvm_line(guest_gsi(fn)));
	flow_enable();
	assert_true(fake_dev_bar_in_slot(hw, 0, 0, 4096));
	fake_dev_intx(hw, true);
	guest_turn(&g);
	assert_true(fake_kvm_line(guest_gsi(fn)));
}

/* Timers, eventfds and the line go with it. */
static void test_removal_while_an_unresampled_interrupt_is_pending(void **state)
{
	(void)state;
	start_without_resampling(&zoo_nvme);
	uint32_t gsi = guest_gsi(fn);
	fake_dev_intx(hw, true);
	guest_turn(&g);
	assert_true(fake_kvm_line(gsi));
	fake_dev_remove(hw);
	fake_dev_req(hw);
	for (unsigned int i = 0; i < 5; i++)
		guest_turn(&g);
	flow_closed();
	assert_false(fake_dev_is_open(hw));
	assert_false(fake_kvm_line(gsi));
}

/* --- kinds of functions ----------------------------------------------------------------------- */

static const struct fake_devdesc msi_only = {
	.name = "msi-only",
	.driver = "oddball",
	.vendor = 0x1234,
	.device = 0x7fd0,
	.class_code = 0xff0000,
	.bars = { FAKE_BAR(4096, 0) },
	.caps = { FAKE_CAP_MSI(0, 1, 0) },
};

/* No pin to fall back to: enabling, disabling, resetting is all the same. */
static void test_function_with_msi_only(void **state)
{
	(void)state;
	flow_start(&msi_only);
	flow_enable();
	assert_int_equal(guest_cfg(fn, PCI_INTERRUPT_PIN, 1), 0);
	for (unsigned int round = 1; round <= 3; round++) {
		assert_int_equal(fake_dev_irq_index(hw), -1);
		guest_msi(fn, 0, MSI_ADDR, 0x70);
		fake_dev_fire(hw, 0);
		assert_int_equal(fake_kvm_msi_count(0x70), round);
		guest_msi(fn, -1, 0, 0);
	}
	guest_command(fn, PCI_COMMAND_INTX_DISABLE, 0);
	guest_command(fn, 0, PCI_COMMAND_INTX_DISABLE);
	assert_int_equal(guest_reset(&g, NULL), 0);
	flow_enable();
	guest_msi(fn, 0, MSI_ADDR, 0x71);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x71), 1);
}

/* All orders of the three modes, an interrupt in each. */
static void test_every_order_of_modes(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	unsigned int pins = 0, msis = 0, msixs = 0;
	for (unsigned int seq = 0; seq < 81; seq++) {
		for (unsigned int k = 0, s = seq; k < 4; k++, s /= 3) {
			guest_msi(fn, -1, 0, 0);
			guest_msix(fn, false, false);
			if (s % 3 == 0)
				intx_round(gsi, ++pins);
			if (s % 3 == 1) {
				guest_msi(fn, 0, MSI_ADDR, 0x70);
				fake_dev_fire(hw, 0);
				assert_int_equal(fake_kvm_msi_count(0x70), ++msis);
			}
			if (s % 3 == 2) {
				guest_msix(fn, true, false);
				live(1);
				fake_dev_fire(hw, 1);
				assert_int_equal(got(1), ++msixs);
			}
			assert_int_equal(fake_dev_irq_index(hw), s % 3);
		}
	}
}

/* --- lines ------------------------------------------------------------------------------------ */

/* Each on a port of its own: its pin is turned by its slot, then by the port's (PCI-to-PCI Bridge
 * 1.2 9.1). */
static void test_pin_behind_a_port_is_turned(void **state)
{
	const struct fake_devdesc *desc[] = { &zoo_nvme, &zoo_gpu_audio }; /* INTA#, INTB# */
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(desc); i++) {
		if (i > 0)
			flow_setup(state);
		flow_start(desc[i]);
		flow_enable();
		const struct pcidev *pd = guest_pcidev(fn), *port = pd->bus->bridge;
		assert_non_null(port);
		assert_int_equal(guest_gsi(fn), 16 + (((port->devfn >> 3) + i) & 7));
		intx_round(guest_gsi(fn), 1);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

/* An emulated source on the line of an assigned function. */
static void test_line_shared_with_an_emulated_source(void **state)
{
	struct intx_source other;
	(void)state;
	flow_start(&zoo_e1000);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	machine_lock(g.m);
	intx_connect(&g.m->intx, &other, gsi & 7, 0);
	assert_int_equal(other.gsi, gsi);
	intx_set(&other, true);
	machine_unlock(g.m);
	assert_true(fake_kvm_line(gsi));
	fake_dev_intx(hw, true);
	fake_dev_intx(hw, false);
	fake_kvm_eoi(gsi);
	assert_true(fake_kvm_line(gsi)); /* the emulated one still wants it */
	fake_dev_intx(hw, true);
	machine_lock(g.m);
	intx_set(&other, false);
	machine_unlock(g.m);
	assert_true(fake_kvm_line(gsi)); /* now the assigned one does */
	fake_dev_intx(hw, false);
	fake_kvm_eoi(gsi);
	assert_false(fake_kvm_line(gsi));
	machine_lock(g.m);
	intx_disconnect(&other);
	machine_unlock(g.m);
}

/* --- the split IOAPIC ------------------------------------------------------------------------- */

enum { IOAPIC = 0xfec00000, LEVEL = 1 << 15, MASKED = 1 << 16 };

static void rte(uint32_t pin, uint32_t low)
{
	guest_write(&g, IOAPIC, 0x11 + 2 * pin, 4);
	guest_write(&g, IOAPIC + 0x10, 0, 4);
	guest_write(&g, IOAPIC, 0x10 + 2 * pin, 4);
	guest_write(&g, IOAPIC + 0x10, low, 4);
}

/* A level message: the IOAPIC's vector with trigger mode and assertion. */
static unsigned int level_msis(uint8_t vector)
{
	return fake_kvm_msi_count(vector | 3u << 14);
}

static void eoi(uint8_t vector)
{
	unsigned int exits = fake_kvm_exits();
	fake_guest_exit(0, KVM_EXIT_IOAPIC_EOI, vector);
	while (fake_kvm_exits() == exits)
		usleep(100);
	fake_kvm_wait_running(1, 5000);
}

static const struct guest_setup split = { .accel = "kvm,kernel-irqchip=split" };

static void test_split_level_comes_again_until_served(void **state)
{
	(void)state;
	flow_start_with(&zoo_e1000, "", &split);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	rte(gsi, LEVEL | 0x31);
	fake_dev_intx(hw, true);
	assert_int_equal(level_msis(0x31), 1);
	eoi(0x31);
	assert_int_equal(level_msis(0x31), 2);
	fake_dev_intx(hw, false);
	eoi(0x31);
	assert_int_equal(level_msis(0x31), 2);
	assert_false(fake_dev_intx_masked(hw));
	fake_dev_intx(hw, true);
	assert_int_equal(level_msis(0x31), 3);
}

/* The guest moves the pin to another vector while an interrupt is in service, and ends that by the
 * old one. */
static void test_split_pin_rerouted_in_service_is_not_lost(void **state)
{
	(void)state;
	flow_start_with(&zoo_e1000, "", &split);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	rte(gsi, LEVEL | 0x31);
	fake_dev_intx(hw, true);
	assert_int_equal(level_msis(0x31), 1);
	rte(gsi, MASKED | LEVEL | 0x31);
	rte(gsi, MASKED | LEVEL | 0x52);
	rte(gsi, LEVEL | 0x52);
	assert_int_equal(level_msis(0x52), 1);
	eoi(0x31); /* no pin has that vector any more */
	fake_dev_intx(hw, false);
	eoi(0x52);
	fake_dev_intx(hw, true);
	assert_int_equal(level_msis(0x52), 2);
	rte(gsi, LEVEL | 0x61); /* without masking */
	assert_int_equal(level_msis(0x61), 1);
}

static void test_split_masked_pin_holds_the_level(void **state)
{
	(void)state;
	flow_start_with(&zoo_e1000, "", &split);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	rte(gsi, MASKED | LEVEL | 0x31);
	fake_dev_intx(hw, true);
	assert_int_equal(fake_kvm_msis(), 0);
	rte(gsi, LEVEL | 0x31);
	assert_int_equal(level_msis(0x31), 1);
	rte(gsi, MASKED | LEVEL | 0x31);
	eoi(0x31); /* of a masked pin */
	fake_dev_intx(hw, false);
	rte(gsi, LEVEL | 0x31); /* gone meanwhile */
	assert_int_equal(level_msis(0x31), 1);
	fake_dev_intx(hw, true);
	assert_int_equal(level_msis(0x31), 2);
}

/* --- storms ----------------------------------------------------------------------------------- */

/* Both irqchips count what the guest ends, and only then. */
static void test_ends_of_a_line_are_counted(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 2; i++) {
		uint64_t before = 99, after = 0;
		if (i > 0)
			flow_setup(state);
		flow_start_with(&zoo_e1000, "", i ? &split : NULL);
		flow_enable();
		uint32_t gsi = guest_gsi(fn);
		if (i)
			rte(gsi, LEVEL | 0x31);
		struct intx_source *pin = &guest_pcidev(fn)->intx;
		assert_int_equal(intx_ended(pin, &before), 0);
		for (unsigned int k = 0; k < 5; k++) {
			fake_dev_intx(hw, true);
			fake_dev_intx(hw, false);
			if (i)
				eoi(0x31);
			else
				fake_kvm_eoi(gsi);
		}
		assert_int_equal(intx_ended(pin, &after), 0);
		assert_int_equal(after - before, 5);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_intx_needs_no_exit),
		FLOW_TEST(test_intx_still_asserted_after_eoi_comes_again),
		FLOW_TEST(test_intx_disable_bit_holds_it),
		FLOW_TEST(test_intx_device_without_the_disable_bit),
		FLOW_TEST(test_intx_pin_is_where_the_tables_say),
		FLOW_TEST(test_two_functions_share_a_line),
		FLOW_TEST(test_function_without_any_interrupt),
		FLOW_TEST(test_intx_to_msix_and_back),
		FLOW_TEST(test_intx_to_msi_and_back),
		FLOW_TEST(test_msi_to_msix_and_back),
		FLOW_TEST(test_both_enabled_means_msix),
		FLOW_TEST(test_modes_switch_with_interrupts_in_flight),
		FLOW_TEST(test_messages_enabled_asleep_come_when_awake),
		FLOW_TEST(test_msi_enabled_asleep_comes_when_awake),
		FLOW_TEST(test_kernel_without_resampling),
		FLOW_TEST(test_one_function_without_resampling_by_its_property),
		FLOW_TEST(test_without_resampling_messages_are_as_fast_as_ever),
		FLOW_TEST(test_reset_while_an_unresampled_interrupt_is_pending),
		FLOW_TEST(test_removal_while_an_unresampled_interrupt_is_pending),
		FLOW_TEST(test_function_with_msi_only),
		FLOW_TEST(test_every_order_of_modes),
		FLOW_TEST(test_pin_behind_a_port_is_turned),
		FLOW_TEST(test_line_shared_with_an_emulated_source),
		FLOW_TEST(test_split_level_comes_again_until_served),
		FLOW_TEST(test_split_pin_rerouted_in_service_is_not_lost),
		FLOW_TEST(test_split_masked_pin_holds_the_level),
		FLOW_TEST(test_ends_of_a_line_are_counted),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
