// SPDX-License-Identifier: GPL-2.0-or-later
// Journey A, a guest's memory access: direct through a window, or trapped and made once at its own
// width on the device; windows exist exactly while the function decodes, whatever changes that.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>

#include "flow.h"

#define NVME_DOORBELL 0x1000u
#define NVME_TABLE    0x2000u
#define NVME_PBA      0x3000u

static uint64_t bar0(void)
{
	return guest_bar_addr(fn, 0);
}

/* Slot and peer-to-peer map come and go as one. */
static void assert_window(unsigned int bar, uint64_t off, uint64_t len, bool there)
{
	assert_int_equal(fake_dev_bar_in_slot(hw, bar, off, len), there);
	assert_int_equal(fake_dev_bar_dma_mapped(hw, bar, off, len), there);
}

static void test_mapped_page_is_reached_without_an_exit(void **state)
{
	uint32_t seen = 0;
	(void)state;
	flow_start(&zoo_nvme);
	guest_write(&g, bar0() + NVME_DOORBELL, 0x12345678, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	fake_dev_bar_read(hw, 0, NVME_DOORBELL, &seen, 4);
	assert_int_equal(seen, 0x12345678);
	assert_int_equal(guest_read(&g, bar0() + NVME_DOORBELL, 4), 0x12345678);
	assert_int_equal(fake_dev_bar_traps(hw, 0), 0);
}

static struct {
	unsigned int n, len;
	uint64_t off, val;
	bool write;
} access;

static void record(void *opaque, uint64_t off, void *data, unsigned int len, bool write)
{
	(void)opaque;
	access.n++;
	access.off = off;
	access.len = len;
	access.write = write;
	if (write)
		memcpy(&access.val, data, len);
	else
		memset(data, 0x5a, len);
}

static void test_trapped_access_is_made_once_at_the_guests_width(void **state)
{
	(void)state;
	flow_start_with(&zoo_nvme, ",x-no-mmap=on", NULL);
	fake_dev_bar_hook(hw, 0, record, NULL);
	for (unsigned int size = 1; size <= 8; size *= 2) {
		memset(&access, 0, sizeof(access));
		guest_write(&g, bar0() + NVME_DOORBELL + 8, 0x8877665544332211, size);
		assert_int_equal(g.last, FAKE_ACCESS_EXIT);
		assert_int_equal(access.n, 1);
		assert_int_equal(access.len, size);
		assert_int_equal(access.off, NVME_DOORBELL + 8);
		assert_memory_equal(&access.val, "\x11\x22\x33\x44\x55\x66\x77\x88", size);
		uint64_t want = 0x5a5a5a5a5a5a5a5a;
		assert_int_equal(guest_read(&g, bar0() + NVME_DOORBELL + 8, size),
				 want >> (64 - 8 * size));
		assert_int_equal(access.n, 2);
		assert_false(access.write);
	}
	assert_window(0, 0, 0x4000, false);
}

static void test_registers_beside_the_msix_table_are_the_devices(void **state)
{
	uint32_t seen = 0;
	(void)state;
	flow_start(&zoo_nvme);
	/* 65 entries end at 0x2410, the PBA at 0x3010: their pages are trapped, the rest reaches
	 * the device all the same. */
	guest_write(&g, bar0() + 0x2800, 0xcafe, 4);
	assert_int_equal(g.last, FAKE_ACCESS_EXIT);
	fake_dev_bar_read(hw, 0, 0x2800, &seen, 4);
	assert_int_equal(seen, 0xcafe);
	guest_write(&g, bar0() + 0x3ffc, 0xbeef, 4);
	fake_dev_bar_read(hw, 0, 0x3ffc, &seen, 4);
	assert_int_equal(seen, 0xbeef);
	assert_int_equal(guest_read(&g, bar0() + 0x3ffc, 4), 0xbeef);
}

static void test_table_writes_never_reach_the_device(void **state)
{
	uint32_t before = 0xfeedface, seen = 0;
	(void)state;
	flow_start(&zoo_nvme);
	fake_dev_bar_write(hw, 0, NVME_TABLE, &before, 4);
	guest_msix_vector(fn, 0, MSI_ADDR, 0x41, true);
	fake_dev_bar_read(hw, 0, NVME_TABLE, &seen, 4);
	assert_int_equal(seen, before);
	assert_int_equal(guest_read(&g, bar0() + NVME_TABLE, 4), (uint32_t)MSI_ADDR);
	assert_window(0, NVME_TABLE, 0x2000, false);
	assert_int_equal(fake_dev_bar_traps(hw, 0), 0);
}

static void test_access_across_the_tables_end_goes_to_both_owners(void **state)
{
	uint32_t reg = 0x11223344;
	(void)state;
	flow_start(&zoo_shared_page); /* 4 entries at 0x1c00, PBA 0x1e00 */
	fake_dev_bar_write(hw, 0, 0x1c40, &reg, 4);
	guest_msix_vector(fn, 3, MSI_ADDR, 0x55, true);
	uint64_t both = guest_read(&g, bar0() + 0x1c3c, 4);
	assert_int_equal(both, 1); /* vector control: masked */
	assert_int_equal(guest_read(&g, bar0() + 0x1c40, 4), reg);
	guest_write(&g, bar0() + 0x1bf8, 0xaabbccdd00112233, 8);
	uint64_t seen = 0;
	fake_dev_bar_read(hw, 0, 0x1bf8, &seen, 8);
	assert_true(seen == 0xaabbccdd00112233);
}

static void test_windows_follow_memory_enable(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	assert_window(0, 0, 0x2000, true);
	for (int i = 0; i < 3; i++) {
		guest_command(fn, 0, PCI_COMMAND_MEMORY);
		assert_false(fake_dev_memory_enabled(hw));
		assert_window(0, 0, 0x4000, false);
		assert_int_equal(guest_read(&g, bar0() + 8, 4), UINT32_MAX);
		guest_command(fn, PCI_COMMAND_MEMORY, 0);
		assert_true(fake_dev_memory_enabled(hw));
		assert_window(0, 0, 0x2000, true);
		guest_write(&g, bar0() + 8, 7, 4);
		assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	}
}

static void test_windows_follow_the_power_state(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_power(fn, 3);
	assert_window(0, 0, 0x4000, false);
	assert_int_equal(guest_read(&g, bar0() + 8, 4), UINT32_MAX);
	assert_int_equal(guest_cfg(fn, guest_cap(fn, PCI_CAP_ID_PM) + PCI_PM_CTRL, 2) & 3, 3);
	guest_power(fn, 0);
	assert_window(0, 0, 0x2000, true);
	guest_write(&g, bar0() + 8, 7, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
}

static void test_window_moves_with_its_bar(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	uint64_t old = bar0(), next = guest_bar_addr(fn, 1);
	/* Inside the port's window, decoding on, as firmware does it. */
	guest_bar_move(fn, 1, 0);
	guest_bar_move(fn, 0, next);
	assert_int_equal(bar0(), next);
	assert_window(0, 0, 0x20000, true);
	guest_write(&g, next + 0x10, 0x77, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	uint32_t seen = 0;
	fake_dev_bar_read(hw, 0, 0x10, &seen, 4);
	assert_int_equal(seen, 0x77);
	assert_int_equal(guest_read(&g, old + 0x10, 4), UINT32_MAX);
	guest_bar_move(fn, 1, old);
	assert_window(1, 0, 0x20000, true);
}

static void test_two_bars_at_one_address_both_work_once_apart(void **state)
{
	uint32_t seen = 0;
	(void)state;
	flow_start(&zoo_e1000e);
	uint64_t a = bar0(), b = guest_bar_addr(fn, 1);
	guest_bar_move(fn, 1, a);
	guest_write(&g, a + 0x20, 0x31, 4); /* somebody answers, nothing breaks */
	guest_bar_move(fn, 1, b);
	guest_write(&g, b + 0x20, 0x32, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	fake_dev_bar_read(hw, 1, 0x20, &seen, 4);
	assert_int_equal(seen, 0x32);
	guest_write(&g, a + 0x24, 0x33, 4);
	fake_dev_bar_read(hw, 0, 0x24, &seen, 4);
	assert_int_equal(seen, 0x33);
}

static void test_bars_may_change_places(void **state)
{
	uint32_t seen = 0;
	(void)state;
	flow_start(&zoo_e1000e);
	uint64_t a = bar0(), b = guest_bar_addr(fn, 1);
	guest_command(fn, 0, PCI_COMMAND_MEMORY);
	guest_bar_move(fn, 0, b);
	guest_bar_move(fn, 1, a);
	guest_command(fn, PCI_COMMAND_MEMORY, 0);
	guest_write(&g, b + 0x20, 0x41, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	fake_dev_bar_read(hw, 0, 0x20, &seen, 4);
	assert_int_equal(seen, 0x41);
	assert_window(1, 0, 0x20000, true);
}

static void test_window_closes_with_the_bridge_above(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	struct guest_fn port = { &g, 0, guest_pcidev(fn)->bus->bridge->devfn };
	uint64_t at = bar0();
	guest_command(port, 0, PCI_COMMAND_MEMORY);
	assert_window(0, 0, 0x4000, false);
	assert_int_equal(guest_read(&g, at + 8, 4), UINT32_MAX);
	guest_command(port, PCI_COMMAND_MEMORY, 0);
	assert_window(0, 0, 0x2000, true);
	/* Its window elsewhere: the BAR is outside, and does not decode. */
	uint32_t win = guest_cfg(port, PCI_PREF_MEMORY_BASE, 4);
	uint32_t mem = guest_cfg(port, PCI_MEMORY_BASE, 4);
	guest_cfg_set(port, PCI_MEMORY_BASE, 0x0000fff0, 4);
	guest_cfg_set(port, PCI_PREF_MEMORY_BASE, 0x0000fff0, 4);
	assert_window(0, 0, 0x4000, false);
	guest_cfg_set(port, PCI_PREF_MEMORY_BASE, win, 4);
	guest_cfg_set(port, PCI_MEMORY_BASE, mem, 4);
	assert_window(0, 0, 0x2000, true);
}

static void test_sizing_with_decoding_on_breaks_nothing(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	uint64_t at = bar0();
	guest_cfg_set(fn, PCI_BASE_ADDRESS_0, UINT32_MAX, 4);
	assert_int_equal(guest_cfg(fn, PCI_BASE_ADDRESS_0, 4), 0xfffe0000);
	assert_window(0, 0, 0x20000, false);
	guest_cfg_set(fn, PCI_BASE_ADDRESS_0, (uint32_t)at, 4);
	assert_window(0, 0, 0x20000, true);
}

static void test_io_bar_is_reached_by_ports(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	struct guest_bar b = guest_bar(fn, 2);
	assert_true(b.io);
	assert_int_equal(b.size, 32);
	fake_dev_bar_hook(hw, 2, record, NULL);
	memset(&access, 0, sizeof(access));
	guest_out(&g, (uint16_t)(b.addr + 4), 0x1234, 2);
	assert_int_equal(access.n, 1);
	assert_int_equal(access.off, 4);
	assert_int_equal(access.len, 2);
	assert_int_equal(guest_in(&g, (uint16_t)(b.addr + 8), 1), 0x5a);
	guest_command(fn, 0, PCI_COMMAND_IO);
	assert_int_equal(guest_in(&g, (uint16_t)(b.addr + 8), 1), 0xff);
	assert_int_equal(access.n, 2);
}

static void test_rom_is_read_and_not_written(void **state)
{
	(void)state;
	flow_start(&zoo_e1000e);
	struct guest_bar b = guest_bar(fn, PCIDEV_ROM);
	assert_int_equal(b.size, 0x40000);
	guest_cfg_set(fn, PCI_ROM_ADDRESS, (uint32_t)b.addr | PCI_ROM_ADDRESS_ENABLE, 4);
	assert_int_equal(guest_read(&g, b.addr, 2), 0xaa55);
	guest_write(&g, b.addr, 0, 2);
	assert_int_equal(guest_read(&g, b.addr, 2), 0xaa55);
	guest_cfg_set(fn, PCI_ROM_ADDRESS, (uint32_t)b.addr, 4);
	assert_int_equal(guest_read(&g, b.addr, 2), 0xffff);
}

static void test_rombar_off_hides_the_rom(void **state)
{
	(void)state;
	flow_start_with(&zoo_e1000e, ",rombar=off", NULL);
	assert_int_equal(guest_bar(fn, PCIDEV_ROM).size, 0);
	assert_int_equal(guest_cfg(fn, PCI_ROM_ADDRESS, 4), 0);
}

static void test_bars_have_the_hosts_sizes_and_kinds(void **state)
{
	(void)state;
	for (size_t i = 0; i < zoo_count; i++) {
		const struct fake_devdesc *d = zoo_all[i];
		if (d == &zoo_msix_off_bar || d == &zoo_msix_no_bar || d == &zoo_dead_after_reset)
			continue;
		fake_reset();
		flow_start(d);
		for (unsigned int b = 0; b < 6; b++) {
			const struct fake_bar *want = &d->bars[b];
			struct guest_bar have = guest_bar(fn, b);
			if (b > 0 && d->bars[b - 1].size && (d->bars[b - 1].flags & FAKE_BAR_64))
				continue;
			if (have.size != want->size || have.io != !!(want->flags & FAKE_BAR_IO) ||
			    have.is64 != !!(want->flags & FAKE_BAR_64) ||
			    have.prefetch != !!(want->flags & FAKE_BAR_PREF))
				fail_msg("%s BAR %u: %llu bytes, io %d, 64 bit %d, prefetch %d",
					 d->name, b, (unsigned long long)have.size, have.io,
					 have.is64, have.prefetch);
			assert_true(have.size == 0 || have.addr % have.size == 0);
		}
		guest_close(&g);
		assert_true(fake_clean());
	}
}

/* Pages that a quirk answers for (docs/quirks.md). */
static bool quirk_page(const struct fake_devdesc *d, unsigned int bar, uint64_t off)
{
	static const struct {
		const struct fake_devdesc *d;
		unsigned int bar;
		uint64_t off;
	} pages[] = {
		{ &zoo_gpu, 0, 0x88000 },      { &zoo_gpu_c8, 0, 0x88000 },
		{ &zoo_gpu_full, 0, 0x88000 }, { &zoo_radeon, 2, 0x4000 },
		{ &zoo_rtl8168, 2, 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(pages); i++)
		if (pages[i].d == d && pages[i].bar == bar && pages[i].off == off)
			return true;
	return false;
}

/* Every page of a memory BAR is a window, or has a reason not to be. */
static void assert_pages(const struct fake_devdesc *d, unsigned int bar)
{
	const struct fake_bar *b = &d->bars[bar];
	struct passthru *p = passthru_of(guest_pcidev(fn));
	for (uint64_t off = 0; off < MIN(b->size, MIB(1)); off += 4096) {
		bool can = !(b->flags & FAKE_BAR_NOMMAP);
		bool sparse = b->sparse[0].size, area = false;
		for (unsigned int i = 0; i < 4; i++)
			area |= off >= b->sparse[i].off &&
				off - b->sparse[i].off < b->sparse[i].size;
		uint64_t t = p->msix.toff, te = t + MSIX_TABLE_SIZE(p->msix.n);
		uint64_t q = p->msix.poff, qe = q + MSIX_PBA_SIZE(p->msix.n);
		bool msix = p->msix.n && ((p->msix.tbir == bar && off < te && off + 4096 > t) ||
					  (p->msix.pbir == bar && off < qe && off + 4096 > q));
		bool want = can && (!sparse || area) && !msix && !quirk_page(d, bar, off);
		if (fake_dev_bar_in_slot(hw, bar, off, 4096) != want ||
		    fake_dev_bar_dma_mapped(hw, bar, off, 4096) != want)
			fail_msg("%s BAR %u page %#llx: window expected %d", d->name, bar,
				 (unsigned long long)off, want);
	}
}

static void test_exactly_the_msix_pages_are_trapped(void **state)
{
	(void)state;
	for (size_t i = 0; i < zoo_count; i++) {
		const struct fake_devdesc *d = zoo_all[i];
		if (d == &zoo_msix_off_bar || d == &zoo_msix_no_bar || d == &zoo_dead_after_reset)
			continue;
		fake_reset();
		flow_start(d);
		flow_enable();
		for (unsigned int b = 0; b < 6; b++)
			if (d->bars[b].size && !(d->bars[b].flags & FAKE_BAR_IO))
				assert_pages(d, b);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

static void test_host_and_guest_agree_modulo_the_bars_size(void **state)
{
	(void)state;
	flow_start(&zoo_gpu);
	struct passthru *p = passthru_of(guest_pcidev(fn));
	for (unsigned int i = 0; i < p->n_win; i++) {
		uint64_t align = MIN(p->plan.bar[p->win[i].bar].size, GIB(1));
		uint64_t gpa = p->win[i].mem.gpa, hva = (uintptr_t)p->win[i].mem.hva;
		assert_int_equal(gpa % align, hva % align);
	}
	assert_true(fake_dev_bar_in_slot(hw, 1, GIB(16) - 4096, 4096));
}

static void test_vanished_device_reads_ones_and_is_reported(void **state)
{
	(void)state;
	flow_start_with(&zoo_nvme, ",on-request=stop", NULL);
	flow_enable();
	uint64_t at = bar0();
	fake_dev_remove(hw);
	/* The slot's page is gone: KVM_RUN says EFAULT, windows are dropped, the vCPU goes on. */
	assert_int_equal(guest_read(&g, at + 8, 4), UINT32_MAX);
	assert_int_equal(g.last, FAKE_ACCESS_EXIT);
	assert_window(0, 0, 0x4000, false);
	guest_turn(&g);
	assert_int_equal(g.m->state, MACHINE_STOPPED);
	assert_int_equal(g.m->stop, MACHINE_DEVICE_LOST);
	assert_non_null(strstr(g.m->stop_text, HOST_BDF));
	/* Whatever the guest still does is answered. */
	guest_write(&g, at + 8, 1, 4);
	assert_int_equal(guest_cfg(fn, PCI_STATUS, 2) | 0xffff, 0xffff);
	guest_command(fn, 0, PCI_COMMAND_MEMORY);
	guest_command(fn, PCI_COMMAND_MEMORY, 0);
	guest_msix(fn, true, false);
}

static void test_ram_is_memory_and_beyond_it_nothing(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	guest_write(&g, MIB(1), 0x0123456789abcdef, 8);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	assert_true(guest_read(&g, MIB(1), 8) == 0x0123456789abcdef);
	assert_true(guest_read(&g, MIB(64), 8) == UINT64_MAX);
	guest_write(&g, MIB(64), 1, 8);
	assert_int_equal(guest_in(&g, 0x9999, 4), UINT32_MAX);
}

static void test_player_needs_no_accelerator(void **state)
{
	const struct guest_setup none = { .accel = "none" };
	(void)state;
	flow_start_with(&zoo_nvme, "", &none);
	guest_write(&g, bar0() + NVME_DOORBELL, 0x77, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	assert_int_equal(guest_read(&g, bar0() + NVME_TABLE + 12, 4), 1);
	assert_int_equal(g.last, FAKE_ACCESS_EXIT);
	guest_command(fn, 0, PCI_COMMAND_MEMORY);
	assert_int_equal(guest_read(&g, bar0() + NVME_DOORBELL, 4), UINT32_MAX);
	assert_int_equal(guest_cf8(fn, PCI_VENDOR_ID, 4), guest_cfg(fn, PCI_VENDOR_ID, 4));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_mapped_page_is_reached_without_an_exit),
		FLOW_TEST(test_trapped_access_is_made_once_at_the_guests_width),
		FLOW_TEST(test_registers_beside_the_msix_table_are_the_devices),
		FLOW_TEST(test_table_writes_never_reach_the_device),
		FLOW_TEST(test_access_across_the_tables_end_goes_to_both_owners),
		FLOW_TEST(test_windows_follow_memory_enable),
		FLOW_TEST(test_windows_follow_the_power_state),
		FLOW_TEST(test_window_moves_with_its_bar),
		FLOW_TEST(test_two_bars_at_one_address_both_work_once_apart),
		FLOW_TEST(test_bars_may_change_places),
		FLOW_TEST(test_window_closes_with_the_bridge_above),
		FLOW_TEST(test_sizing_with_decoding_on_breaks_nothing),
		FLOW_TEST(test_io_bar_is_reached_by_ports),
		FLOW_TEST(test_rom_is_read_and_not_written),
		FLOW_TEST(test_rombar_off_hides_the_rom),
		FLOW_TEST(test_bars_have_the_hosts_sizes_and_kinds),
		FLOW_TEST(test_exactly_the_msix_pages_are_trapped),
		FLOW_TEST(test_host_and_guest_agree_modulo_the_bars_size),
		FLOW_TEST(test_vanished_device_reads_ones_and_is_reported),
		FLOW_TEST(test_ram_is_memory_and_beyond_it_nothing),
		FLOW_TEST(test_player_needs_no_accelerator),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
