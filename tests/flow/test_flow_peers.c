// SPDX-License-Identifier: GPL-2.0-or-later
// Mistakes that other monitors are known to have made with assigned devices, one case each for
// what there is here: each fails if we make it, too.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>

#include <linux/vfio.h>

#include "flow.h"

static struct sys_ops ops; /* the fake with one call doctored */

static int doctored_teardown(void **state)
{
	sys = &sys_fake;
	return flow_teardown(state);
}

/* `flags != VIABLE` calls a group not viable that has one flag more. */
static int more_flags(int fd, unsigned long request, void *arg)
{
	int r = sys_fake.ioctl(fd, request, arg);
	if (request == VFIO_GROUP_GET_STATUS && r == 0)
		((struct vfio_group_status *)arg)->flags |= 1u << 7;
	return r;
}

static void test_viability_is_one_flag_among_others(void **state)
{
	(void)state;
	ops = sys_fake;
	ops.ioctl = more_flags;
	sys = &ops;
	flow_start(&zoo_nvme);
	assert_true(fake_dev_is_open(hw));
}

/* A pending bit array of n / 64 bytes instead of n / 64 * 8: the rest reads as the device's. */
static void test_pending_bit_array_has_a_quadword_for_64_vectors(void **state)
{
	uint8_t junk[256];
	(void)state;
	memset(junk, 0xff, sizeof(junk));
	flow_start(&zoo_2048);
	fake_dev_bar_write(hw, 1, 0x8000, junk, sizeof(junk));
	uint64_t pba = guest_bar_addr(fn, 1) + 0x8000;
	for (unsigned int i = 0; i < 256; i += 8)
		assert_int_equal(guest_read(&g, pba + i, 8), 0);
}

/* Pending bits read from hardware are always clear there, or are whatever lies there. */
static void test_pending_bits_are_ours(void **state)
{
	uint64_t junk = UINT64_MAX;
	(void)state;
	flow_start(&zoo_nvme);
	fake_dev_bar_write(hw, 0, 0x3000, &junk, 8);
	flow_enable();
	guest_msix(fn, true, false);
	guest_msix_vector(fn, 7, MSI_ADDR, 0x47, true);
	assert_false(guest_msix_pending(fn, 7));
	guest_msix_mask(fn, 7, false); /* given to hardware */
	guest_msix_mask(fn, 7, true);
	fake_dev_fire(hw, 7);
	assert_true(guest_msix_pending(fn, 7));
	assert_false(guest_msix_pending(fn, 6));
}

/* Only table and pending bits of the MSI-X BAR were reachable, and the table moved to its start. */
static void test_rest_of_the_msix_bar_is_there_and_the_table_stays(void **state)
{
	uint32_t v = 0xabcd, seen = 0;
	(void)state;
	flow_start(&zoo_pba_first); /* pending bits at 0, table at 0x1000 */
	unsigned int at = guest_cap(fn, PCI_CAP_ID_MSIX);
	assert_int_equal(guest_cfg(fn, at + PCI_MSIX_TABLE, 4), 0x1000);
	assert_int_equal(guest_cfg(fn, at + PCI_MSIX_PBA, 4), 0);
	for (unsigned int off = 0x100; off < 0x4000; off += 0x1000) {
		fake_dev_bar_write(hw, 0, off, &v, 4);
		assert_int_equal(guest_read(&g, guest_bar_addr(fn, 0) + off, 4), v);
		guest_write(&g, guest_bar_addr(fn, 0) + off + 4, v + off, 4);
		fake_dev_bar_read(hw, 0, off + 4, &seen, 4);
		assert_int_equal(seen, v + off);
	}
}

/* KVM was never told of the group: no WBINVD, no coherence for what needs it. */
static void test_kvm_is_told_of_the_group(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	assert_int_equal(fake_kvm_vfio_files(), 1);
	guest_close(&g);
	assert_int_equal(fake_kvm_vfio_files(), 0);
}

/* Where the kernel lets the whole BAR be mapped (MSIX_MAPPABLE), the table was mapped, too: the
 * guest then writes interrupt messages past the monitor. */
static void test_mappable_table_is_trapped_all_the_same(void **state)
{
	uint32_t seen = 1;
	(void)state;
	flow_start(&zoo_odd_table); /* 128 vectors at 0x1830 of a BAR that may be mapped whole */
	assert_true(passthru_of(guest_pcidev(fn))->vd->region[0].msix_mappable);
	for (unsigned int off = 0x1000; off < 0x3000; off += 0x1000)
		assert_false(fake_dev_bar_in_slot(hw, 0, off, 4096));
	guest_msix_vector(fn, 127, MSI_ADDR, 0x7f, false);
	fake_dev_bar_read(hw, 0, 0x1830 + 127 * 16 + 8, &seen, 4);
	assert_int_equal(seen, 0);
}

/* Offset rounded down and size rounded up, each for itself: the end of an unaligned table was
 * mapped. */
static void test_unaligned_table_is_trapped_to_its_end(void **state)
{
	(void)state;
	flow_start(&zoo_odd_table);
	uint64_t end = guest_bar_addr(fn, 0) + 0x1830 + 127 * 16;
	guest_write(&g, end + 8, 0x1234, 4);
	assert_int_equal(g.last, FAKE_ACCESS_EXIT);
	assert_int_equal(guest_read(&g, end + 8, 4), 0x1234);
	assert_true(fake_dev_bar_in_slot(hw, 0, 0, 0x1000));
	assert_true(fake_dev_bar_in_slot(hw, 0, 0x3000, 0x1000));
}

/* The kernel's list of areas was taken as it is, without a hole; or one area was assumed. */
static void test_every_sparse_area_has_its_hole(void **state)
{
	static const struct {
		uint64_t off;
		bool slot;
	} pages[] = { { 0, true },	 { 0x1000, true }, { 0x2000, false }, { 0x3000, true },
		      { 0x4000, false }, { 0x6000, true }, { 0x7000, false }, { 0x8000, true } };
	(void)state;
	flow_start(&zoo_sparse_table);
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (fake_dev_bar_in_slot(hw, 0, pages[i].off, 4096) != pages[i].slot)
			fail_msg("page %#llx", (unsigned long long)pages[i].off);
}

/* No reset anywhere, or one whose failure nobody looked at. */
static void test_device_is_reset_before_and_after(void **state)
{
	uint32_t secret = 0x5ec2e7, seen = 1;
	struct verr err = { 0 };
	(void)state;
	hw = fake_zoo_one(&zoo_nvme);
	fake_dev_bar_write(hw, 0, 0x40, &secret, 4);
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	if (guest_open(&g, &s, &err) < 0 || guest_run(&g, &err) < 0)
		fail_msg("%s", err.msg);
	fake_dev_bar_read(hw, 0, 0x40, &seen, 4);
	assert_int_equal(seen, 0);
	fake_dev_bar_write(hw, 0, 0x40, &secret, 4);
	guest_close(&g);
	fake_dev_bar_read(hw, 0, 0x40, &seen, 4);
	assert_int_equal(seen, 0);
}

/* INTx ended only when a BAR access happened to trap: never, with mapped BARs. */
static void test_intx_ends_without_any_bar_access(void **state)
{
	(void)state;
	flow_start(&zoo_e1000);
	flow_enable();
	uint32_t gsi = guest_gsi(fn);
	for (unsigned int i = 1; i <= 5; i++) {
		fake_dev_intx(hw, true);
		fake_dev_intx(hw, false);
		fake_kvm_eoi(gsi);
		assert_int_equal(fake_kvm_line_edges(gsi), i);
	}
	assert_int_equal(fake_dev_bar_traps(hw, 0), 0);
}

/* All vectors of the table were armed when MSI-X was switched on. */
static void test_switching_msix_on_arms_nothing(void **state)
{
	(void)state;
	flow_start(&zoo_2048);
	flow_enable();
	unsigned int routes = fake_kvm_routes();
	guest_msix(fn, true, false);
	assert_int_equal(fake_dev_irqs_armed(hw), 0);
	assert_int_equal(fake_kvm_irqfds(), 0); /* INTx's went */
	assert_int_equal(fake_kvm_routes(), routes);
}

/* Extended capabilities were hidden only if there was a power management capability, too. */
static void test_extended_capabilities_are_hidden_without_power_management(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_nvme;
	d.caps[1] = d.caps[2]; /* PCI Express, no power management */
	d.caps[2] = (struct fake_cap){ 0 };
	d.ecaps[1] = (struct fake_cap)FAKE_ECAP_SRIOV(4);
	d.ecaps[2] = (struct fake_cap)FAKE_ECAP_ARI;
	flow_start(&d);
	assert_int_equal(guest_cap(fn, PCI_CAP_ID_PM), 0);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_SRIOV), 0);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_ARI), 0);
	assert_int_not_equal(guest_ecap(fn, PCI_EXT_CAP_ID_ERR), 0);
}

/* Capability chains of the kernel's answers were walked without bounds. */
static void test_hostile_chains_end(void **state)
{
	static const int chains[] = { FAKE_CHAIN_LOOP, FAKE_CHAIN_BEYOND,
				      FAKE_CHAIN_UNKNOWN_FIRST };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(chains); i++) {
		const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
		struct verr err = { 0 };
		fake_reset();
		fake_iommu()->chain = chains[i];
		fake_zoo_one(&zoo_nvme);
		int r = guest_open(&g, &s, &err);
		if (chains[i] == FAKE_CHAIN_UNKNOWN_FIRST)
			assert_int_equal(r, 0);
		else
			assert_true(r == 0 || err.msg[0] != '\0');
		guest_close(&g);
		assert_true(fake_clean());
	}
}

/* A BAR that moved left its peer-to-peer map where it had been. */
static void test_peer_map_moves_with_the_bar(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	uint64_t a = guest_bar_addr(fn, 0), b = guest_bar_addr(fn, 1);
	assert_true(fake_dma_lookup(a, NULL, NULL, NULL));
	guest_bar_move(fn, 1, 0);
	guest_bar_move(fn, 0, b);
	assert_true(fake_dma_lookup(b, NULL, NULL, NULL));
	assert_false(fake_dma_lookup(a, NULL, NULL, NULL));
}

/* Memory slots were used up by BARs that move. */
static void test_moving_bars_uses_up_no_slots(void **state)
{
	(void)state;
	fake_kvm()->max_slots = 16;
	flow_start(&zoo_e1000e);
	uint64_t a = guest_bar_addr(fn, 0);
	unsigned int slots = fake_kvm_slots();
	for (unsigned int i = 0; i < 100; i++) {
		guest_bar_move(fn, 0, 0);
		guest_bar_move(fn, 0, a);
		assert_int_equal(fake_kvm_slots(), slots);
	}
	guest_write(&g, a + 8, 1, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
}

/* A route for every vector of every device, for ever. */
static void test_routes_are_given_back(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start(&zoo_2048);
	unsigned int routes = fake_kvm_routes();
	for (unsigned int round = 0; round < 3; round++) {
		flow_enable();
		guest_msix(fn, true, true);
		for (unsigned int v = 0; v < 2048; v++)
			guest_msix_vector(fn, v, MSI_ADDR, v, false);
		guest_msix(fn, true, false);
		assert_int_equal(fake_kvm_routes(), routes + 2048);
		guest_msix(fn, false, false);
		assert_true(fake_kvm_routes() <= MAX(routes, 40));
	}
	assert_int_equal(guest_reset(&g, &err), 0);
}

#define PEER_TEST(f)                                                                               \
	{                                                                                          \
#f, f, flow_setup, doctored_teardown, NULL                                         \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		PEER_TEST(test_viability_is_one_flag_among_others),
		PEER_TEST(test_pending_bit_array_has_a_quadword_for_64_vectors),
		PEER_TEST(test_pending_bits_are_ours),
		PEER_TEST(test_rest_of_the_msix_bar_is_there_and_the_table_stays),
		PEER_TEST(test_kvm_is_told_of_the_group),
		PEER_TEST(test_mappable_table_is_trapped_all_the_same),
		PEER_TEST(test_unaligned_table_is_trapped_to_its_end),
		PEER_TEST(test_every_sparse_area_has_its_hole),
		PEER_TEST(test_device_is_reset_before_and_after),
		PEER_TEST(test_intx_ends_without_any_bar_access),
		PEER_TEST(test_switching_msix_on_arms_nothing),
		PEER_TEST(test_extended_capabilities_are_hidden_without_power_management),
		PEER_TEST(test_hostile_chains_end),
		PEER_TEST(test_peer_map_moves_with_the_bar),
		PEER_TEST(test_moving_bars_uses_up_no_slots),
		PEER_TEST(test_routes_are_given_back),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
