// SPDX-License-Identifier: GPL-2.0-or-later
// Journey B, a device's interrupt: from the eventfd that VFIO signals to the guest, by MSI and
// MSI-X; masked, pending, delivered once; vectors given to hardware when used. INTx and the ways
// between the modes are in test_flow_intx.c.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>

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

/* --- MSI-X ------------------------------------------------------------------------------------ */

static void test_msix_message_is_what_the_guest_wrote(void **state)
{
	struct fake_msi m;
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_msix(fn, true, false);
	guest_msix_vector(fn, 64, 0x1fee01000, 0x4123, false);
	assert_int_equal(fake_dev_fire(hw, 64), FAKE_FIRE_SENT);
	assert_int_equal(fake_kvm_msis(), 1);
	assert_true(fake_kvm_msi(0, &m));
	assert_true(m.addr == 0x1fee01000);
	assert_int_equal(m.data, 0x4123);
}

static void test_new_message_of_a_live_vector_counts_at_once(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_msix(fn, true, false);
	live(1);
	guest_msix_vector(fn, 1, MSI_ADDR, 0x99, false); /* affinity moved */
	fake_dev_fire(hw, 1);
	assert_int_equal(got(1), 0);
	assert_int_equal(fake_kvm_msi_count(0x99), 1);
}

static void test_vectors_cost_nothing_until_unmasked(void **state)
{
	(void)state;
	flow_start(&zoo_2048);
	flow_enable();
	guest_msix(fn, true, false);
	assert_int_equal(fake_dev_irq_index(hw), 2);
	assert_int_equal(fake_dev_irqs_armed(hw), 0);
	assert_int_equal(fake_dev_irqs_allocated(hw), 1);
	unsigned int routes = fake_kvm_routes(), irqfds = fake_kvm_irqfds();
	live(1000);
	assert_int_equal(fake_dev_irqs_armed(hw), 1);
	assert_int_equal(fake_kvm_routes(), routes + 1);
	assert_int_equal(fake_kvm_irqfds(), irqfds + 1);
	assert_int_equal(fake_dev_fire(hw, 1000), FAKE_FIRE_SENT);
	assert_int_equal(got(1000), 1);
	assert_int_equal(fake_dev_fire(hw, 999), FAKE_FIRE_NOBODY);
}

static void test_all_2048_vectors_work(void **state)
{
	(void)state;
	flow_start(&zoo_2048);
	flow_enable();
	guest_msix(fn, true, true); /* masked as a whole while they are written */
	for (unsigned int i = 0; i < 2048; i++)
		live(i);
	assert_int_equal(fake_dev_irqs_armed(hw), 0);
	unsigned int updates = fake_kvm_route_updates();
	unsigned int calls = fake_log_count("VFIO_DEVICE_SET_IRQS");
	guest_msix(fn, true, false);
	assert_int_equal(fake_kvm_route_updates(), updates + 1);
	assert_int_equal(fake_log_count("VFIO_DEVICE_SET_IRQS"), calls + 1);
	for (unsigned int i = 0; i < 2048; i++)
		assert_int_equal(fake_dev_fire(hw, i), FAKE_FIRE_SENT);
	assert_int_equal(fake_kvm_msis(), 2048);
	for (unsigned int i = 0; i < 2048; i += 7)
		assert_int_equal(got(i), 1);
	guest_msix(fn, false, false);
	assert_int_equal(fake_kvm_msis(), 2048);
}

static void test_masked_vector_that_fires_is_delivered_once_on_unmask(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_msix(fn, true, false);
	live(2);
	guest_msix_mask(fn, 2, true);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fake_dev_fire(hw, 2), FAKE_FIRE_SENT);
	assert_int_equal(got(2), 0);
	assert_true(guest_msix_pending(fn, 2));
	assert_false(guest_msix_pending(fn, 1));
	guest_msix_mask(fn, 2, false);
	assert_int_equal(got(2), 1);
	assert_false(guest_msix_pending(fn, 2));
	/* Nothing is left of it. */
	guest_msix_mask(fn, 2, true);
	assert_false(guest_msix_pending(fn, 2));
	guest_msix_mask(fn, 2, false);
	assert_int_equal(got(2), 1);
	fake_dev_fire(hw, 2);
	assert_int_equal(got(2), 2);
}

static void test_function_mask_holds_all_and_loses_none(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_msix(fn, true, false);
	for (unsigned int i = 0; i < 4; i++)
		live(i);
	guest_msix(fn, true, true);
	fake_dev_fire(hw, 1);
	fake_dev_fire(hw, 3);
	assert_int_equal(fake_kvm_msis(), 0);
	assert_true(guest_msix_pending(fn, 1) && guest_msix_pending(fn, 3));
	assert_false(guest_msix_pending(fn, 0) || guest_msix_pending(fn, 2));
	guest_msix(fn, true, false);
	assert_int_equal(got(1), 1);
	assert_int_equal(got(3), 1);
	assert_int_equal(fake_kvm_msis(), 2);
}

static void test_pending_bits_stand_where_the_capability_says(void **state)
{
	(void)state;
	flow_start(&zoo_2048);
	flow_enable();
	guest_msix(fn, true, false);
	for (unsigned int v = 0; v < 2048; v += 341) {
		live(v);
		guest_msix_mask(fn, v, true);
		fake_dev_fire(hw, v);
	}
	/* 2048 vectors: 256 bytes, not 32. */
	for (unsigned int v = 0; v < 2048; v++)
		assert_int_equal(guest_msix_pending(fn, v), v % 341 == 0);
	uint64_t pba = guest_bar_addr(fn, 1) + 0x8000;
	assert_int_equal(guest_read(&g, pba + 1705 / 8, 1), 1 << 1705 % 8);
	assert_int_equal(guest_read(&g, pba + 256, 8), 0); /* the device's own again */
	guest_write(&g, pba, 0, 8);
	assert_true(guest_msix_pending(fn, 0)); /* read-only */
}

static void test_without_bus_mastering_nothing_arrives(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_msix(fn, true, false);
	live(0);
	guest_command(fn, 0, PCI_COMMAND_MASTER);
	assert_int_equal(fake_dev_fire(hw, 0), FAKE_FIRE_NOBODY);
	guest_command(fn, PCI_COMMAND_MASTER, 0);
	fake_dev_fire(hw, 0);
	assert_int_equal(got(0), 1);
}

static void test_dynamic_vectors_come_one_by_one(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	flow_enable();
	guest_msix(fn, true, false);
	live(0);
	fake_log_clear();
	live(4);
	live(2);
	/* Vector 0 was never without its interrupt. */
	assert_int_equal(fake_log_count("VFIO_DEVICE_SET_IRQS"), 2);
	for (unsigned int i = 0; i <= 4; i += 2) {
		fake_dev_fire(hw, i);
		assert_int_equal(got(i), 1);
	}
}

static void test_noresize_grows_without_losing_what_was_there(void **state)
{
	(void)state;
	flow_start(&zoo_noresize);
	flow_enable();
	guest_msix(fn, true, false);
	live(0);
	fake_kvm_msis_clear();
	live(9);
	/* The moment without any may have cost vector 0 an interrupt: it gets one for free. */
	assert_int_equal(got(0), 1);
	assert_int_equal(got(9), 0);
	fake_dev_fire(hw, 0);
	fake_dev_fire(hw, 9);
	assert_int_equal(got(0), 2);
	assert_int_equal(got(9), 1);
	live(5); /* below the high-water mark */
	assert_int_equal(got(0), 2);
	fake_dev_fire(hw, 5);
	assert_int_equal(got(5), 1);
	assert_int_equal(fake_dev_irqs_allocated(hw), 10);
}

static void test_noresize_takes_a_batch_in_one_step(void **state)
{
	(void)state;
	flow_start(&zoo_noresize);
	flow_enable();
	guest_msix(fn, true, true);
	for (unsigned int i = 0; i < 16; i++)
		live(i);
	unsigned int calls = fake_log_count("VFIO_DEVICE_SET_IRQS");
	guest_msix(fn, true, false);
	assert_int_equal(fake_log_count("VFIO_DEVICE_SET_IRQS"), calls + 2);
	for (unsigned int i = 0; i < 16; i++)
		fake_dev_fire(hw, i);
	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(got(i), 1);
}

static void test_noresize_that_cannot_grow_keeps_what_it_had(void **state)
{
	(void)state;
	flow_start(&zoo_noresize);
	flow_enable();
	guest_msix(fn, true, false);
	live(0);
	live(1);
	fake_kvm_msis_clear();
	/* The next call disables the index, the one after asks for ten vectors. */
	fake_fault_add(&(struct fake_fault){
		.request = VFIO_DEVICE_SET_IRQS, .nth = 2, .times = 1, .err = ENOSPC });
	live(9);
	fake_fault_clear();
	fake_kvm_msis_clear();
	fake_dev_fire(hw, 0);
	fake_dev_fire(hw, 1);
	assert_int_equal(got(0), 1);
	assert_int_equal(got(1), 1);
	assert_int_equal(fake_dev_fire(hw, 9), FAKE_FIRE_NOBODY);
	/* Another try, when there are more, succeeds. */
	guest_msix_mask(fn, 9, true);
	guest_msix_mask(fn, 9, false);
	fake_dev_fire(hw, 9);
	assert_int_equal(got(9), 1);
}

static void test_dynamic_vector_refused_leaves_the_others(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_msix(fn, true, false);
	live(0);
	fake_fault_add(&(struct fake_fault){
		.request = VFIO_DEVICE_SET_IRQS, .nth = 1, .times = 1, .err = ENOSPC });
	live(1);
	fake_dev_fire(hw, 0);
	assert_int_equal(got(0), 1);
	guest_msix_mask(fn, 1, true);
	guest_msix_mask(fn, 1, false);
	fake_dev_fire(hw, 1);
	assert_int_equal(got(1), 1);
}

/* With 32-bit APIC ids KVM refuses a whole table for one message like that. */
static void test_bad_message_address_silences_its_vector_only(void **state)
{
	const struct guest_setup many = { .vcpus = 255 };
	(void)state;
	flow_start_with(&zoo_nvme, "", &many);
	flow_enable();
	guest_msix(fn, true, false);
	live(0);
	guest_msix_vector(fn, 1, MSI_ADDR | 1ull << 32, 0x41, false);
	guest_msix_vector(fn, 0, MSI_ADDR | 0xffull << 32, 0x40, false); /* was good */
	live(2);
	fake_dev_fire(hw, 1);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msis(), 0);
	fake_dev_fire(hw, 2);
	assert_int_equal(got(2), 1);
	live(0);
	assert_int_equal(got(0), 1); /* good again: what fired meanwhile was pending */
	live(1);
	assert_int_equal(fake_dev_fire(hw, 1), FAKE_FIRE_SENT);
	assert_int_equal(got(1), 1);
	guest_msix_vector(fn, 3, MSI_ADDR | 7ull << 40, 0x43, false); /* 32-bit ids: bits 63:40 */
	fake_dev_fire(hw, 3);
	assert_int_equal(got(3), 1);
}

/* A table that the kernel refuses (no memory): what was to change is silent, the rest stays. */
static void test_refused_table_leaves_no_vector_at_its_old_message(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_msix(fn, true, false);
	live(0);
	live(1);
	fake_fault_add(&(struct fake_fault){
		.request = KVM_SET_GSI_ROUTING, .nth = 1, .times = 0, .err = ENOMEM });
	guest_msix_vector(fn, 1, MSI_ADDR, 0x91, false);
	fake_dev_fire(hw, 0);
	fake_dev_fire(hw, 1);
	assert_int_equal(got(0), 1);
	assert_int_equal(got(1), 0);
	assert_int_equal(fake_kvm_msi_count(0x91), 0);
	fake_fault_clear();
	guest_msix_vector(fn, 1, MSI_ADDR, 0x91, false); /* and nothing was lost */
	assert_int_equal(fake_kvm_msi_count(0x91), 1);
}

static void test_split_irqchip_delivers_the_same(void **state)
{
	const struct guest_setup split = { .accel = "kvm,kernel-irqchip=split" };
	(void)state;
	flow_start_with(&zoo_nvme, "", &split);
	flow_enable();
	guest_msix(fn, true, false);
	live(3);
	guest_msix_mask(fn, 3, true);
	fake_dev_fire(hw, 3);
	guest_msix_mask(fn, 3, false);
	fake_dev_fire(hw, 3);
	assert_int_equal(got(3), 2);
}

/* --- MSI -------------------------------------------------------------------------------------- */

static void test_msi_single_vector(void **state)
{
	(void)state;
	flow_start(&zoo_edu);
	flow_enable();
	guest_msi(fn, 0, MSI_ADDR, 0x77);
	assert_int_equal(fake_dev_irq_index(hw), 1);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x77), 1);
	guest_msi(fn, -1, 0, 0);
	assert_int_not_equal(fake_dev_irq_index(hw), 1);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msis(), 1);
}

static void test_msi_many_vectors_have_their_low_data_bits(void **state)
{
	(void)state;
	flow_start(&zoo_msi32);
	flow_enable();
	guest_msi(fn, 5, MSI_ADDR, 0x60);
	assert_int_equal(fake_dev_irqs_armed(hw), 32);
	for (unsigned int i = 0; i < 32; i++)
		fake_dev_fire(hw, i);
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(fake_kvm_msi_count(0x60 + i), 1);
}

static void test_msi_vector_masks_hold_and_deliver_once(void **state)
{
	(void)state;
	flow_start(&zoo_msi32);
	flow_enable();
	unsigned int at = guest_cap(fn, PCI_CAP_ID_MSI);
	guest_cfg_set(fn, at + PCI_MSI_MASK_64, 1 << 7, 4);
	guest_msi(fn, 5, MSI_ADDR, 0x60);
	fake_dev_fire(hw, 7);
	fake_dev_fire(hw, 7);
	fake_dev_fire(hw, 8);
	assert_int_equal(fake_kvm_msis(), 1);
	assert_int_equal(guest_cfg(fn, at + PCI_MSI_PENDING_64, 4), 1 << 7);
	guest_cfg_set(fn, at + PCI_MSI_MASK_64, 0, 4);
	assert_int_equal(fake_kvm_msi_count(0x67), 1);
	assert_int_equal(guest_cfg(fn, at + PCI_MSI_PENDING_64, 4), 0);
}

static void test_msi_fewer_than_offered(void **state)
{
	(void)state;
	flow_start(&zoo_noreset); /* four vectors */
	flow_enable();
	guest_msi(fn, 1, MSI_ADDR, 0x80);
	assert_int_equal(fake_dev_irqs_armed(hw), 2);
	fake_dev_fire(hw, 1);
	assert_int_equal(fake_kvm_msi_count(0x81), 1);
}

/* --- from the host ---------------------------------------------------------------------------- */

static void test_host_asking_for_the_device_ends_the_vm(void **state)
{
	(void)state;
	flow_start_with(&zoo_nvme, ",on-request=stop", NULL);
	flow_enable();
	assert_int_equal(fake_dev_req(hw), FAKE_FIRE_SENT);
	guest_turn(&g);
	assert_int_equal(g.m->state, MACHINE_STOPPED);
	assert_int_equal(g.m->stop, MACHINE_DEVICE_LOST);
	assert_non_null(strstr(g.m->stop_text, HOST_BDF ": the host asks for the device back"));
}

static void test_host_unbinding_is_not_held_up(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	fake_dev_req(hw);
	guest_turn(&g);
	guest_close(&g);
	assert_false(fake_dev_is_open(hw));
}

static void test_uncorrectable_error_ends_the_vm(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	assert_int_equal(fake_dev_err(hw), FAKE_FIRE_SENT);
	guest_turn(&g);
	assert_int_equal(g.m->stop, MACHINE_DEVICE_LOST);
	assert_non_null(strstr(g.m->stop_text, "uncorrectable error"));
	assert_non_null(strstr(g.m->stop_text, HOST_BDF));
}

static void test_removal_noticed_through_the_request(void **state)
{
	(void)state;
	flow_start_with(&zoo_nvme, ",on-request=stop", NULL);
	fake_dev_req(hw);
	fake_dev_remove(hw);
	guest_turn(&g);
	assert_int_equal(g.m->stop, MACHINE_DEVICE_LOST);
	assert_non_null(strstr(g.m->stop_text, "gone from the host"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_msix_message_is_what_the_guest_wrote),
		FLOW_TEST(test_new_message_of_a_live_vector_counts_at_once),
		FLOW_TEST(test_vectors_cost_nothing_until_unmasked),
		FLOW_TEST(test_all_2048_vectors_work),
		FLOW_TEST(test_masked_vector_that_fires_is_delivered_once_on_unmask),
		FLOW_TEST(test_function_mask_holds_all_and_loses_none),
		FLOW_TEST(test_pending_bits_stand_where_the_capability_says),
		FLOW_TEST(test_without_bus_mastering_nothing_arrives),
		FLOW_TEST(test_dynamic_vectors_come_one_by_one),
		FLOW_TEST(test_noresize_grows_without_losing_what_was_there),
		FLOW_TEST(test_noresize_takes_a_batch_in_one_step),
		FLOW_TEST(test_noresize_that_cannot_grow_keeps_what_it_had),
		FLOW_TEST(test_dynamic_vector_refused_leaves_the_others),
		FLOW_TEST(test_bad_message_address_silences_its_vector_only),
		FLOW_TEST(test_refused_table_leaves_no_vector_at_its_old_message),
		FLOW_TEST(test_split_irqchip_delivers_the_same),
		FLOW_TEST(test_msi_single_vector),
		FLOW_TEST(test_msi_many_vectors_have_their_low_data_bits),
		FLOW_TEST(test_msi_vector_masks_hold_and_deliver_once),
		FLOW_TEST(test_msi_fewer_than_offered),
		FLOW_TEST(test_host_asking_for_the_device_ends_the_vm),
		FLOW_TEST(test_host_unbinding_is_not_held_up),
		FLOW_TEST(test_uncorrectable_error_ends_the_vm),
		FLOW_TEST(test_removal_noticed_through_the_request),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
