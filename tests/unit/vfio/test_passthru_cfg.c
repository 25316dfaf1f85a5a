// SPDX-License-Identifier: GPL-2.0-or-later
// vfio/passthru_cfg.c: the masks that the policy makes of registers and capabilities, and the
// function-level resets taken out of writes of every width. What comes of writes in a machine is
// in tests/flow/test_flow_cfg.c.
#include "passrig.h"

static uint32_t masks(const uint8_t *m, unsigned int off, unsigned int size)
{
	uint32_t v = 0;
	memcpy(&v, m + off, size);
	return v;
}

static void test_header(void **state)
{
	(void)state;
	rig_start(&zoo_sriov_pf);
	const struct pcicfg *c = &p->pd.cfg;
	assert_int_equal(pcicfg_get(c, PCI_VENDOR_ID, 4), 0x10c98086);
	assert_int_equal(pcicfg_get(c, PCI_CLASS_REVISION, 4), 0x02000000);
	assert_int_equal(masks(c->wmask, PCI_VENDOR_ID, 4), 0);
	assert_int_equal(masks(c->fwd, PCI_COMMAND, 2), 0x0547);
	assert_int_equal(masks(c->wmask, PCI_COMMAND, 2), 0x0547);
	assert_int_equal(masks(c->hw, PCI_COMMAND, 2), 0); /* shadowed: hardware may differ */
	assert_int_equal(masks(c->w1c, PCI_STATUS, 2), 0xf900);
	assert_int_equal(masks(c->hw, PCI_STATUS, 2), 0xf900 | PCI_STATUS_INTERRUPT);
	/* The host's addresses are the host's. */
	for (unsigned int i = 0; i < 6; i++) {
		assert_int_equal(masks(c->hw, PCI_BASE_ADDRESS_0 + 4 * i, 4), 0);
		assert_int_equal(masks(c->fwd, PCI_BASE_ADDRESS_0 + 4 * i, 4), 0);
	}
	assert_int_equal(masks(c->fwd, PCI_CACHE_LINE_SIZE, 4), 0);
	assert_int_equal(masks(c->fwd, PCI_INTERRUPT_LINE, 4), 0);
}

static void test_power_management(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	const struct pcicfg *c = &p->pd.cfg;
	unsigned int at = p->pd.pm_off;
	assert_int_equal(at, 0xc8); /* where the host has it */
	assert_int_equal(masks(c->fwd, at + PCI_PM_CTRL, 2), PCI_PM_CTRL_STATE_MASK);
	assert_int_equal(masks(c->hw, at, 4), 0);
	assert_int_equal(masks(c->wmask, at + PCI_PM_CTRL, 2) & PCI_PM_CTRL_PME_ENABLE, 0);
}

static void test_pci_express(void **state)
{
	(void)state;
	rig_start(&zoo_nvme);
	const struct pcicfg *c = &p->pd.cfg;
	unsigned int at = p->pd.exp_off;
	assert_int_equal(masks(c->fwd, at + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_PAYLOAD, 0);
	assert_int_equal(masks(c->fwd, at + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_PHANTOM, 0);
	assert_int_equal(masks(c->fwd, at + PCI_EXP_DEVCTL, 2) & PCI_EXP_DEVCTL_BCR_FLR, 0);
	assert_int_equal(masks(c->fwd, at + PCI_EXP_DEVSTA, 2), 0xf);
	assert_int_equal(masks(c->w1c, at + PCI_EXP_DEVSTA, 2), 0xf);
	/* The physical link is the host's. */
	assert_int_equal(masks(c->fwd, at + PCI_EXP_LNKCTL, 2), 0);
	assert_int_equal(masks(c->fwd, at + PCI_EXP_DEVCTL2, 2) & PCI_EXP_DEVCTL2_ARI, 0);
	assert_int_equal(masks(c->fwd, at + PCI_EXP_DEVCTL2, 2) & PCI_EXP_DEVCTL2_LTR_EN, 0);
}

static void test_version_0_becomes_1(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_nvme;
	d.caps[2].w[0] = 0;
	rig_start(&d);
	assert_int_equal(
		pcicfg_get(&p->pd.cfg, p->pd.exp_off + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_VERS, 1);
}

static void test_message_interrupts_are_not_forwarded(void **state)
{
	(void)state;
	rig_start(&zoo_sriov_pf);
	const struct pcicfg *c = &p->pd.cfg;
	for (unsigned int i = 0; i < 24; i++) {
		assert_int_equal(c->fwd[p->pd.msi->off + i], 0);
		assert_int_equal(c->hw[p->pd.msi->off + i], 0);
	}
	for (unsigned int i = 0; i < 12; i++) {
		assert_int_equal(c->fwd[p->pd.msix->off + i], 0);
		assert_int_equal(c->hw[p->pd.msix->off + i], 0);
	}
}

static void test_vectors_are_no_more_than_vfio_has(void **state)
{
	(void)state;
	rig_start(&zoo_msi32);
	assert_int_equal(p->pd.msi->log2_max, 5);
	assert_int_equal(p->pd.n_vec, 32);
}

static void test_passed_capabilities(void **state)
{
	(void)state;
	rig_start(&zoo_gpu);
	const struct pcicfg *c = &p->pd.cfg;
	unsigned int at = pcicap_find(c, PCI_CAP_ID_VNDR);
	assert_int_not_equal(at, 0);
	assert_int_equal(masks(c->hw, at, 4), 0xffff0000); /* its header is ours */
	assert_int_equal(masks(c->fwd, at, 4), 0xffff0000);
	for (unsigned int i = 4; i < 20; i++)
		assert_int_equal(c->fwd[at + i], 0xff);
	assert_int_equal(c->fwd[at + 20], 0);
	unsigned int aer = pcicap_find_ext(c, PCI_EXT_CAP_ID_ERR);
	assert_int_not_equal(aer, 0);
	assert_int_equal(masks(c->fwd, aer, 4), 0);
	assert_int_equal(masks(c->fwd, aer + 4, 4), UINT32_MAX);
}

static void test_msix_place_is_read_whole(void **state)
{
	struct msix_place m;
	(void)state;
	rig_start(&zoo_odd_table);
	passthru_cfg_msix(p->vd, &m);
	assert_int_equal(m.n, 128);
	assert_int_equal(m.tbir, 0);
	assert_int_equal(m.toff, 0x1830);
	assert_int_equal(m.poff, 0x4018);
}

/* --- function-level resets -------------------------------------------------------------------- */

/* The bit in a write of `size` at `off`, all else 0; true if it was taken for a reset. */
static bool resets(unsigned int off, unsigned int size, uint32_t val)
{
	unsigned int before = fake_dev_resets(hw);
	pcidev_cfg_write(&p->pd, off, val, size);
	return fake_dev_resets(hw) > before;
}

static void test_flr_in_writes_of_every_width(void **state)
{
	(void)state;
	rig_start(&zoo_nvme);
	unsigned int ctl = p->pd.exp_off + PCI_EXP_DEVCTL;
	assert_true(resets(ctl + 1, 1, 0x80));
	assert_true(resets(ctl, 2, 0x8000));
	assert_true(resets(ctl, 4, 0x8000));
	assert_false(resets(ctl, 4, 0x80000000)); /* Device Status */
	assert_false(resets(ctl, 1, 0x80));
	assert_false(resets(ctl, 2, 0x7fff));
	assert_false(resets(ctl + 2, 2, 0x8000));
	assert_false(resets(ctl - 4, 4, UINT32_MAX));
	assert_false(resets(ctl + 4, 4, UINT32_MAX));
}

static void test_flr_by_advanced_features_in_every_width(void **state)
{
	(void)state;
	rig_start(&zoo_mem32_pref);
	unsigned int af = pcicap_find(&p->pd.cfg, PCI_CAP_ID_AF);
	assert_int_not_equal(af, 0);
	assert_true(resets(af + PCI_AF_CTRL, 1, 1));
	assert_true(resets(af + PCI_AF_CTRL, 2, 1));
	assert_true(resets((af + PCI_AF_CTRL) & ~3u, 4, 1u << 8 * ((af + PCI_AF_CTRL) & 3)));
	assert_false(resets(af + PCI_AF_CTRL, 1, 0xfe));
	assert_false(resets(af + PCI_AF_STATUS, 1, 0xff));
	assert_false(resets(af, 4, UINT32_MAX));
}

static void test_flr_not_offered_is_not_taken(void **state)
{
	(void)state;
	rig_start(&zoo_no_flr);
	assert_false(resets(p->pd.exp_off + PCI_EXP_DEVCTL, 2, 0x8000));
	assert_int_equal(pcicfg_get(&p->pd.cfg, p->pd.exp_off + PCI_EXP_DEVCTL, 2) & 0x8000, 0);
}

static void test_flr_of_a_lost_device(void **state)
{
	(void)state;
	rig_start(&zoo_nvme);
	p->lost = true;
	assert_false(resets(p->pd.exp_off + PCI_EXP_DEVCTL, 2, 0x8000));
	p->lost = false;
}

static void test_reads_that_fail_are_no_device(void **state)
{
	(void)state;
	hw = fake_zoo_one(&zoo_nvme);
	p = rig_new("host=" HOST_BDF);
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_PREAD),
					     .path = "vfio-device*",
					     .nth = 5,
					     .times = 1,
					     .err = EIO });
	assert_int_equal(dev_realize(&p->pd.dev, &err), -EIO);
	assert_non_null(strstr(err.msg, HOST_BDF ": its configuration space can't be read"));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RIG_TEST(test_header),
		RIG_TEST(test_power_management),
		RIG_TEST(test_pci_express),
		RIG_TEST(test_version_0_becomes_1),
		RIG_TEST(test_message_interrupts_are_not_forwarded),
		RIG_TEST(test_vectors_are_no_more_than_vfio_has),
		RIG_TEST(test_passed_capabilities),
		RIG_TEST(test_msix_place_is_read_whole),
		RIG_TEST(test_flr_in_writes_of_every_width),
		RIG_TEST(test_flr_by_advanced_features_in_every_width),
		RIG_TEST(test_flr_not_offered_is_not_taken),
		RIG_TEST(test_flr_of_a_lost_device),
		RIG_TEST(test_reads_that_fail_are_no_device),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
