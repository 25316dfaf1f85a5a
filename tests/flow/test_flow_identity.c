// SPDX-License-Identifier: GPL-2.0-or-later
// Who a function says it is and what its port says because of it: overridden ids, serial numbers
// left out, VF tokens, resizable BARs, link and AtomicOps of the root port. Peers' bugs with
// configuration space have a test each here.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>

#include "core/bytes.h"
#include "flow.h"

static void assert_refused(const struct fake_devdesc *d, const char *props, const char *says)
{
	char arg[160];
	struct verr err = { 0 };
	fake_reset();
	fake_zoo_one(d);
	snprintf(arg, sizeof(arg), "vfio-pci,host=%s%s", HOST_BDF, props);
	const struct guest_setup s = { .device = { arg } };
	assert_true(guest_open(&g, &s, &err) < 0);
	if (strcmp(err.msg, says) != 0)
		fail_msg("%s", err.msg);
	assert_true(fake_clean());
}

/* --- ids -------------------------------------------------------------------------------------- */

static void test_ids_and_class_are_overridden(void **state)
{
	(void)state;
	hw = fake_zoo_one(&zoo_nvme);
	const struct guest_setup s = {
		.device = { "vfio-pci,host=" HOST_BDF ",x-pci-vendor-id=0x8086,"
			    "x-pci-device-id=0x0953,x-pci-sub-vendor-id=1,"
			    "x-pci-sub-device-id=0,x-pci-class-code=0x020000" }
	};
	guest_start(&g, &s);
	fn = guest_find(&g, 0x8086, 0x0953, 0);
	assert_int_equal(guest_cfg(fn, PCI_SUBSYSTEM_VENDOR_ID, 4), 1);
	assert_int_equal(guest_cfg(fn, PCI_CLASS_REVISION, 4), 0x02000002); /* revision stays */
	/* Also after a reset of the function. */
	guest_flr(fn);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 4), 0x09538086);
	assert_int_equal(get_le32(fake_dev_config(hw)), 0x00101b36);
}

static void test_ids_that_are_none_are_refused(void **state)
{
	(void)state;
	assert_refused(&zoo_nvme, ",x-pci-vendor-id=0x10000",
		       "vfio-pci: x-pci-vendor-id: a PCI id is 0 to 0xffff, or off");
	assert_refused(&zoo_nvme, ",x-pci-class-code=storage",
		       "vfio-pci: x-pci-class-code: a PCI class is 0 to 0xffffff, or off");
}

static void test_serial_numbers_are_hidden_on_demand(void **state)
{
	(void)state;
	flow_start(&zoo_sriov_pf);
	assert_int_not_equal(guest_ecap(fn, PCI_EXT_CAP_ID_DSN), 0);
	assert_int_not_equal(guest_cap(fn, PCI_CAP_ID_VPD), 0);
	int std = guest_caps_walk(fn, false), ext = guest_caps_walk(fn, true);
	guest_close(&g);
	fake_reset();
	flow_start_with(&zoo_sriov_pf, ",hide-serial=on", NULL);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_DSN), 0);
	assert_int_equal(guest_cap(fn, PCI_CAP_ID_VPD), 0);
	assert_int_equal(guest_caps_walk(fn, false), std - 1);
	assert_int_equal(guest_caps_walk(fn, true), ext - 1);
	for (unsigned int off = 0x40; off < 4096; off += 4)
		assert_int_not_equal(guest_cfg(fn, off, 4), 0xffe0c0de);
}

/* --- VF tokens -------------------------------------------------------------------------------- */

static void test_vf_token_opens(void **state)
{
	(void)state;
	flow_start_with(&zoo_vf_token, ",vf-token=" ZOO_VF_TOKEN, NULL);
	assert_int_equal(guest_cfg(fn, PCI_VENDOR_ID, 4), 0x15208086);
}

static void test_vf_token_missing_wrong_or_for_nobody(void **state)
{
	(void)state;
	assert_refused(
		&zoo_vf_token, "",
		"vfio-pci vfio-pci.0: " HOST_BDF
		" needs a VF token: VFIO has its physical function, too, or virtual functions "
		"of it; give vf-token=UUID, or give those back to their host driver (run: "
		"vfio-bind --restore)");
	assert_refused(&zoo_vf_token, ",vf-token=00000000-0000-0000-0000-000000000000",
		       "vfio-pci vfio-pci.0: " HOST_BDF
		       ": this is not its VF token: vf-token= takes the UUID that the owner of the "
		       "physical function chose");
	assert_refused(&zoo_vf, ",vf-token=" ZOO_VF_TOKEN,
		       "vfio-pci vfio-pci.0: " HOST_BDF
		       " takes no VF token: its physical function is not VFIO's (leave out "
		       "vf-token=)");
	assert_refused(&zoo_vf_token, ",vf-token=secret",
		       "vfio-pci: vf-token: a VF token is a UUID like "
		       "00112233-4455-6677-8899-aabbccddeeff");
}

/* --- resizable BARs --------------------------------------------------------------------------- */

static void test_resizable_bars_have_the_size_they_have(void **state)
{
	(void)state;
	flow_start(&zoo_rebar_two);
	unsigned int at = guest_ecap(fn, PCI_EXT_CAP_ID_REBAR);
	assert_int_equal(at, 0x100);
	assert_int_equal(guest_cfg(fn, at + 4, 4), 1u << 8);  /* 16 MiB and nothing else */
	assert_int_equal(guest_cfg(fn, at + 12, 4), 1u << 4); /* 1 MiB */
	assert_int_equal(guest_cfg(fn, at + 8, 4), 0x440);    /* two BARs, the first is 0 */
	guest_cfg_set(fn, at + 8, 0x0a40, 4);
	assert_int_equal(guest_cfg(fn, at + 8, 4), 0x440);
	assert_int_equal(get_le32(fake_dev_config(hw) + at + 8), 0x440);
	assert_int_equal(guest_bar(fn, 0).size, MIB(16));
}

/* --- the root port ---------------------------------------------------------------------------- */

static struct guest_fn port_of(uint8_t bus)
{
	struct guest_fn f[16];
	unsigned int n = guest_enumerate(&g, f, ARRAY_SIZE(f));
	for (unsigned int i = 0; i < n; i++)
		if ((guest_cfg(f[i], PCI_HEADER_TYPE, 1) & 0x7f) == 1 &&
		    guest_cfg(f[i], PCI_SECONDARY_BUS, 1) == bus)
			return f[i];
	fail_msg("no port leads to bus %u", bus);
	return f[0];
}

static void test_port_has_the_link_of_its_card(void **state)
{
	(void)state;
	flow_start(&zoo_nvme); /* capability: 2.5 GT/s, x1; status: the same */
	struct guest_fn port = port_of(fn.bus);
	unsigned int exp = guest_cap(port, PCI_CAP_ID_EXP);
	unsigned int dev = guest_cap(fn, PCI_CAP_ID_EXP);
	uint32_t cap = guest_cfg(fn, dev + PCI_EXP_LNKCAP, 4);
	assert_int_equal(guest_cfg(port, exp + PCI_EXP_LNKCAP, 4) & 0x3ff, cap & 0x3ff);
	assert_int_equal(guest_cfg(port, exp + PCI_EXP_LNKSTA, 2) & 0x3ff,
			 guest_cfg(fn, dev + PCI_EXP_LNKSTA, 2) & 0x3ff);
	assert_true(guest_cfg(port, exp + PCI_EXP_LNKSTA, 2) & PCI_EXP_LNKSTA_DLLLA);
	struct verr err = { 0 };
	assert_int_equal(guest_reset(&g, &err), 0);
	fn = guest_find(&g, zoo_nvme.vendor, zoo_nvme.device, 0);
	port = port_of(fn.bus);
	assert_int_equal(guest_cfg(port, exp + PCI_EXP_LNKCAP, 4) & 0x3ff, cap & 0x3ff);
}

static void test_port_shows_the_fastest_links(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_gpu_compute;
	d.caps[2].w[3] = 0x00400905 | 0x100; /* 32 GT/s, x16 */
	flow_start(&d);
	struct guest_fn port = port_of(fn.bus);
	unsigned int exp = guest_cap(port, PCI_CAP_ID_EXP);
	assert_int_equal(guest_cfg(port, exp + PCI_EXP_LNKCAP, 4) & 0x3ff, 0x105);
	assert_int_equal(guest_cfg(port, exp + PCI_EXP_LNKCAP2, 4) & 0xfe, 0x3e); /* five speeds */
}

static uint32_t atomics(struct guest_fn port)
{
	unsigned int exp = guest_cap(port, PCI_CAP_ID_EXP);
	return guest_cfg(port, exp + PCI_EXP_DEVCAP2, 4) &
	       (PCI_EXP_DEVCAP2_ATOMIC_COMP32 | PCI_EXP_DEVCAP2_ATOMIC_COMP64 |
		PCI_EXP_DEVCAP2_ATOMIC_COMP128);
}

static void test_port_completes_the_atomics_that_the_host_does(void **state)
{
	(void)state;
	flow_start(&zoo_gpu_compute);
	assert_int_equal(atomics(port_of(fn.bus)),
			 PCI_EXP_DEVCAP2_ATOMIC_COMP32 | PCI_EXP_DEVCAP2_ATOMIC_COMP64);
	guest_close(&g);
	fake_reset();
	flow_start(&zoo_nvme); /* the kernel does not say */
	assert_int_equal(atomics(port_of(fn.bus)), 0);
}

/* --- peers' bugs ------------------------------------------------------------------------------ */

/* A peer hides extended capabilities only of functions that have power management as well. */
static void test_hiding_does_not_depend_on_power_management(void **state)
{
	(void)state;
	flow_start(&zoo_no_pm);
	assert_int_equal(guest_cap(fn, PCI_CAP_ID_PM), 0);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_SRIOV), 0);
	assert_int_equal(guest_ecap(fn, PCI_EXT_CAP_ID_ARI), 0);
	assert_int_not_equal(guest_ecap(fn, PCI_EXT_CAP_ID_ERR), 0);
	/* And one leaves the BARs of virtual functions readable where the list no longer leads. */
	for (unsigned int off = 0x104; off < 0x140; off += 4)
		assert_int_equal(guest_cfg(fn, off, 4), 0);
}

/* Walks of kernel-made lists that loop. */
static void test_extended_list_that_loops_is_cut(void **state)
{
	(void)state;
	flow_start(&zoo_ext_loop);
	assert_int_equal(guest_caps_walk(fn, true), 2);
	assert_int_not_equal(guest_ecap(fn, PCI_EXT_CAP_ID_ERR), 0);
	assert_int_not_equal(guest_ecap(fn, PCI_EXT_CAP_ID_DSN), 0);
}

/* A peer computes the PBA's size without its factor of 8. */
static void test_pending_bits_of_all_vectors_are_there(void **state)
{
	(void)state;
	flow_start(&zoo_2048);
	flow_enable();
	guest_msix(fn, true, false);
	guest_msix_vector(fn, 2047, MSI_ADDR, 0x40, false);
	guest_msix_mask(fn, 2047, true);
	fake_dev_fire(hw, 2047);
	assert_true(guest_msix_pending(fn, 2047));
	assert_false(guest_msix_pending(fn, 31));
}

static void test_function_has_one_of_each_capability(void **state)
{
	(void)state;
	flow_start(&zoo_two_msi);
	assert_int_equal(guest_caps_walk(fn, false), 3); /* MSI, PM, PCI Express */
	flow_enable();
	guest_msi(fn, 0, MSI_ADDR, 0x60);
	fake_dev_fire(hw, 0);
	assert_int_equal(fake_kvm_msi_count(0x60), 1);
}

/* --- every call failed: an OpRegion on top of the rest ---------------------------------------- */

static void igd_host(void *opaque)
{
	(void)opaque;
	fake_zoo_one(&zoo_igd);
}

static int igd_life(void *opaque, struct verr *err)
{
	const struct guest_setup s = { .accel = "none", .device = { "vfio-pci,host=" HOST_BDF } };
	(void)opaque;
	int r = guest_open(&g, &s, err);
	guest_close(&g);
	return r;
}

static void test_opregion_under_failing_calls(void **state)
{
	const struct fake_sweep s = { .name = "igd", .setup = igd_host, .run = igd_life };
	(void)state;
	assert_int_equal(fault_sweep(&s, NULL), 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_ids_and_class_are_overridden),
		FLOW_TEST(test_ids_that_are_none_are_refused),
		FLOW_TEST(test_serial_numbers_are_hidden_on_demand),
		FLOW_TEST(test_vf_token_opens),
		FLOW_TEST(test_vf_token_missing_wrong_or_for_nobody),
		FLOW_TEST(test_resizable_bars_have_the_size_they_have),
		FLOW_TEST(test_port_has_the_link_of_its_card),
		FLOW_TEST(test_port_shows_the_fastest_links),
		FLOW_TEST(test_port_completes_the_atomics_that_the_host_does),
		FLOW_TEST(test_hiding_does_not_depend_on_power_management),
		FLOW_TEST(test_extended_list_that_loops_is_cut),
		FLOW_TEST(test_pending_bits_of_all_vectors_are_there),
		FLOW_TEST(test_function_has_one_of_each_capability),
		FLOW_TEST(test_opregion_under_failing_calls),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
