// SPDX-License-Identifier: GPL-2.0-or-later
// vfio/passthru_win.c: the mappings behind the windows, and windows as regions of guest memory
// that come and go with a BAR.
#include "passrig.h"

/* Regions of guest memory that are windows. */
static unsigned int windows(void)
{
	const struct gmem_region *r;
	unsigned int n = 0;
	list_for_each(r, &rp.ram.regions, const struct gmem_region, node)
		n += r->kind == GMEM_MMIO;
	return n;
}

static void test_pieces_are_mapped_once_and_aligned(void **state)
{
	(void)state;
	rig_start(&zoo_gpu);
	assert_int_equal(p->n_win, p->plan.n_pieces);
	assert_true(p->n_win > 0);
	for (unsigned int i = 0; i < p->n_win; i++) {
		const struct passthru_win *w = &p->win[i];
		uint64_t align = MIN(p->plan.bar[w->bar].size, GIB(1));
		assert_int_equal((uintptr_t)w->mem.hva % align, w->off % align);
		assert_true(fake_dev_bar_mapped(hw, w->bar, w->off, w->mem.size));
		assert_null(w->mem.gmem);
	}
	void *before = p->win[0].mem.hva;
	rig_place();
	pcidev_cfg_write(&p->pd, PCI_COMMAND, 0, 2);
	assert_ptr_equal(p->win[0].mem.hva, before); /* the host's mapping stays */
}

static void test_windows_lie_where_the_bar_does(void **state)
{
	(void)state;
	rig_start(&zoo_sparse);
	assert_int_equal(windows(), 0);
	rig_place();
	assert_int_equal(windows(), 3);
	for (unsigned int i = 0; i < p->n_win; i++)
		assert_true(p->win[i].mem.gpa == BAR_AT + p->win[i].off);
	pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_0, (uint32_t)BAR_AT + (uint32_t)MIB(16), 4);
	assert_int_equal(windows(), 3);
	for (unsigned int i = 0; i < p->n_win; i++)
		assert_true(p->win[i].mem.gpa == BAR_AT + MIB(16) + p->win[i].off);
}

static void test_window_over_ram_stays_trapped(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	rig_place();
	unsigned int n = windows();
	/* A BAR moved into RAM: RAM wins, nothing is lost when it leaves again. */
	pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_0, 0x100000, 4);
	assert_int_equal(windows(), n - 1);
	assert_non_null(gmem_ptr(&rp.ram, 0x100000, 4096));
	pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_0, (uint32_t)BAR_AT, 4);
	assert_int_equal(windows(), n);
}

static void test_two_windows_at_one_place(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	rig_place();
	unsigned int n = windows();
	uint32_t other = (uint32_t)pcicfg_get(&p->pd.cfg, PCI_BASE_ADDRESS_1, 4);
	pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_1, (uint32_t)BAR_AT, 4);
	assert_int_equal(windows(), n - 1);
	pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_1, other, 4);
	assert_int_equal(windows(), n);
}

static void test_dropping_all_is_final_until_enabled(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	rig_place();
	assert_true(passthru_win_drop(p));
	assert_int_equal(windows(), 0);
	assert_false(passthru_win_drop(p)); /* nothing left to drop */
	pcidev_cfg_write(&p->pd, PCI_COMMAND, 0, 2);
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(windows() > 0);
}

static void test_lost_device_gets_no_window(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	p->lost = true;
	rig_place();
	assert_int_equal(windows(), 0);
	uint64_t v;
	assert_true(aspace_read(&rp.mmio, BAR_AT, &v, 4));
	assert_int_equal(v, UINT32_MAX);
	p->lost = false;
}

static void test_window_needs_hardware_that_decodes(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	fake_fault_add(&(struct fake_fault){
		.calls = BIT32(FAKE_CALL_PWRITE), .path = "vfio-device*", .nth = 1, .err = EIO });
	rig_place();
	fake_fault_clear();
	assert_false(fake_dev_memory_enabled(hw));
	assert_int_equal(windows(), 0);
	pcidev_cfg_write(&p->pd, PCI_COMMAND, 0, 2);
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(windows() > 0);
}

static void test_mapping_that_fails_undoes_the_others(void **state)
{
	(void)state;
	hw = fake_zoo_one(&zoo_sparse);
	p = rig_new("host=" HOST_BDF);
	/* Each window takes two: a reservation, and the BAR over it. */
	fake_fault_add(&(struct fake_fault){
		.calls = BIT32(FAKE_CALL_MMAP), .nth = 6, .times = 1, .err = ENOMEM });
	assert_int_equal(dev_realize(&p->pd.dev, &err), -ENOMEM);
	assert_non_null(strstr(err.msg, "BAR 0"));
	assert_non_null(strstr(err.msg, HOST_BDF));
	assert_int_equal(fake_leaks(stderr), 0);
}

static void test_no_mmap_maps_nothing(void **state)
{
	(void)state;
	hw = fake_zoo_one(&zoo_e1000e);
	p = rig_new("host=" HOST_BDF ",x-no-mmap=on");
	assert_int_equal(dev_realize(&p->pd.dev, &err), 0);
	dev_reset(&p->pd.dev);
	assert_int_equal(p->n_win, 0);
	assert_false(fake_dev_bar_mapped(hw, 0, 0, 0x20000));
	rig_place();
	uint32_t v = 0x77;
	fake_dev_bar_write(hw, 0, 16, &v, 4);
	uint64_t seen = 0;
	assert_true(aspace_read(&rp.mmio, BAR_AT + 16, &seen, 4));
	assert_int_equal(seen, v);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		RIG_TEST(test_pieces_are_mapped_once_and_aligned),
		RIG_TEST(test_windows_lie_where_the_bar_does),
		RIG_TEST(test_window_over_ram_stays_trapped),
		RIG_TEST(test_two_windows_at_one_place),
		RIG_TEST(test_dropping_all_is_final_until_enabled),
		RIG_TEST(test_lost_device_gets_no_window),
		RIG_TEST(test_window_needs_hardware_that_decodes),
		RIG_TEST(test_mapping_that_fails_undoes_the_others),
		RIG_TEST(test_no_mmap_maps_nothing),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
