// SPDX-License-Identifier: GPL-2.0-or-later
//
// The fake kernel's VFIO devices: information, regions, mappings and what makes them vanish, DMA
// as the device sees it, reset, removal.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <linux/kvm.h>
#include <linux/pci_regs.h>

#include "rawvfio.h"
#include "tests/fake/fake_kvm.h"

static void master(const struct raw *r, bool on)
{
	raw_cfg_set(r->device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY | (on ? PCI_COMMAND_MASTER : 0));
}

static void test_info_counts_regions_and_interrupts(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_e1000e);
	struct vfio_device_info i = { .argsz = 8 };
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_GET_INFO, &i), -EINVAL);
	i.argsz = sizeof(i);
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_GET_INFO, &i), 0);
	assert_int_equal(i.flags, VFIO_DEVICE_FLAGS_PCI | VFIO_DEVICE_FLAGS_RESET);
	assert_int_equal(i.num_regions, 9);
	assert_int_equal(i.num_irqs, 5);
	raw_close(&r);
}

static struct vfio_region_info region(int device, uint32_t index)
{
	struct vfio_region_info i = { .argsz = sizeof(i), .index = index };
	assert_int_equal(sys_ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &i), 0);
	return i;
}

static void test_regions_say_what_they_are(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_e1000e);
	assert_int_equal(region(r.device, 0).size, 0x20000);
	assert_int_equal(region(r.device, 0).flags, 7);
	assert_int_equal(region(r.device, 2).flags, 3); /* I/O: no mmap */
	assert_int_equal(region(r.device, 5).size, 0);
	assert_int_equal(region(r.device, VFIO_PCI_CONFIG_REGION_INDEX).size, 4096);
	assert_int_equal(region(r.device, VFIO_PCI_ROM_REGION_INDEX).size, 0x40000);
	struct vfio_region_info i = { .argsz = sizeof(i), .index = VFIO_PCI_VGA_REGION_INDEX };
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_GET_REGION_INFO, &i), -EINVAL);
	i.index = 99;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_GET_REGION_INFO, &i), -EINVAL);
	i = region(r.device, 3);
	assert_true(i.flags & VFIO_REGION_INFO_FLAG_CAPS);
	assert_true(i.argsz > sizeof(i)); /* MSIX_MAPPABLE wants more room */
	assert_int_equal(i.cap_offset, 0);
	raw_close(&r);
}

static void test_sparse_areas_are_told_and_enforced(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_sparse);
	union {
		struct vfio_region_info i;
		uint8_t room[256];
	} u = { .i = { .argsz = sizeof(u), .index = 0 } };
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_GET_REGION_INFO, &u), 0);
	const struct vfio_region_info_cap_sparse_mmap *c = (void *)(u.room + u.i.cap_offset);
	assert_int_equal(c->header.id, VFIO_REGION_INFO_CAP_SPARSE_MMAP);
	assert_int_equal(c->nr_areas, 3);
	assert_int_equal(c->areas[1].offset, 0x20000);
	void *p;
	assert_int_equal(raw_mmap(r.device, 0, 0, RAW_PAGE, &p), -EINVAL);
	assert_int_equal(raw_mmap(r.device, 0, 0x20000, 17 * RAW_PAGE, &p), -EINVAL);
	assert_int_equal(raw_mmap(r.device, 0, 0x20000, 16 * RAW_PAGE, &p), 0);
	sys_munmap(p, 16 * RAW_PAGE);
	raw_close(&r);
}

static void test_mmap_rules(void **s)
{
	(void)s;
	void *p;
	struct raw r = raw_open(&zoo_not_mappable);
	assert_int_equal(raw_mmap(r.device, 0, 0x2000, RAW_PAGE, &p), -EINVAL); /* the table */
	assert_int_equal(raw_mmap(r.device, 0, 0, 9 * RAW_PAGE, &p), -EINVAL);
	assert_int_equal(raw_mmap(r.device, 1, 0, RAW_PAGE, &p), -EINVAL);
	assert_int_equal(raw_mmap(r.device, VFIO_PCI_CONFIG_REGION_INDEX, 0, RAW_PAGE, &p),
			 -EINVAL);
	assert_int_equal(sys_mmap(&p, NULL, RAW_PAGE, PROT_READ, MAP_PRIVATE, r.device, 0),
			 -EINVAL);
	assert_int_equal(raw_mmap(r.device, 0, 0, 2 * RAW_PAGE, &p), 0);
	sys_munmap(p, 2 * RAW_PAGE);
	raw_close(&r);
	r = raw_open(&zoo_subpage);
	assert_int_equal(raw_mmap(r.device, 1, 0, RAW_PAGE, &p), -EINVAL); /* shared page */
	assert_int_equal(raw_mmap(r.device, 0, 0, RAW_PAGE, &p), 0);
	sys_munmap(p, RAW_PAGE);
	raw_close(&r);
}

static void test_mapped_bar_is_the_devices_memory(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_gpu);
	void *p;
	uint64_t far = GIB(16) - RAW_PAGE, v = 0x1122334455667788;
	assert_int_equal(raw_mmap(r.device, 1, far, RAW_PAGE, &p), 0);
	*(volatile uint64_t *)p = v;
	uint64_t got = 0;
	fake_dev_bar_read(r.d, 1, far, &got, 8);
	assert_int_equal(got, v);
	assert_int_equal(sys_pread(r.device, &got, 4, (off_t)(1ull << 40 | far)), 4);
	assert_int_equal(fake_dev_bar_traps(r.d, 1), 1);
	assert_int_equal(fake_leaks(NULL), 6); /* three fds, mapping, group, device */
	sys_munmap(p, RAW_PAGE);
	raw_close(&r);
}

static void test_bar_access_by_read_and_write(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_nvme);
	uint32_t v = 0xabcd0123, got = 0;
	assert_int_equal(sys_pwrite(r.device, &v, 4, 0x10), 4);
	fake_dev_bar_read(r.d, 0, 0x10, &got, 4);
	assert_int_equal(got, v);
	assert_int_equal(sys_pread(r.device, &got, 4, 0x3ffe), 2); /* cut at the end */
	assert_int_equal(sys_pread(r.device, &got, 4, 0x4000), -EINVAL);
	/* The MSI-X table is the kernel's. */
	assert_int_equal(sys_pwrite(r.device, &v, 4, 0x2000), 4);
	assert_int_equal(sys_pread(r.device, &got, 4, 0x2000), 4);
	assert_int_equal(got, UINT32_MAX);
	raw_cfg_set(r.device, PCI_COMMAND, 2, 0);
	assert_int_equal(sys_pread(r.device, &got, 4, 0x10), -EIO);
	assert_int_equal(sys_pread(r.device, &got, 4, (off_t)99 << 40), -EINVAL);
	raw_close(&r);
}

static void test_rom_reads_only_if_it_works(void **s)
{
	(void)s;
	uint8_t b[4];
	off_t rom = (off_t)VFIO_PCI_ROM_REGION_INDEX << 40;
	struct raw r = raw_open(&zoo_gpu);
	assert_int_equal(sys_pread(r.device, b, 4, rom), 4);
	assert_int_equal(b[0] << 8 | b[1], 0x55aa);
	assert_int_equal(sys_pwrite(r.device, b, 4, rom), -EINVAL);
	raw_close(&r);
	r = raw_open(&zoo_rom_bad);
	assert_int_equal(region(r.device, VFIO_PCI_ROM_REGION_INDEX).size, 0);
	raw_close(&r);
}

/* --- vanishing ---------------------------------------------------------------------------- */

static void test_decode_off_makes_mappings_inaccessible(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_nvme);
	void *p;
	raw_mmap(r.device, 0, 0, RAW_PAGE, &p);
	*(volatile uint32_t *)p = 1;
	assert_int_equal(fake_violations(NULL), 0);
	raw_cfg_set(r.device, PCI_COMMAND, 2, 0);
	*(volatile uint32_t *)p = 2; /* SIGBUS on the real thing; here a finding */
	assert_true(fake_violated("had vanished"));
	fake_violations_clear();
	raw_cfg_set(r.device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	*(volatile uint32_t *)p = 3;
	assert_int_equal(fake_violations(NULL), 0);
	sys_munmap(p, RAW_PAGE);
	raw_close(&r);
}

static struct raw with_slot(int *kvm, int *vm, void **p, uint64_t off)
{
	struct raw r = raw_open(&zoo_nvme);
	*kvm = sys_open("/dev/kvm", O_RDWR, 0);
	*vm = sys_ioctl_n(*kvm, KVM_CREATE_VM, 0);
	assert_int_equal(raw_mmap(r.device, 0, off, RAW_PAGE, p), 0);
	struct kvm_userspace_memory_region m = { .guest_phys_addr = 0xd0000000,
						 .memory_size = RAW_PAGE,
						 .userspace_addr = (uintptr_t)*p };
	assert_int_equal(sys_ioctl(*vm, KVM_SET_USER_MEMORY_REGION, &m), 0);
	return r;
}

static void without_slot(struct raw *r, int kvm, int vm, void *p)
{
	fake_violations_clear();
	sys_close(vm);
	sys_close(kvm);
	sys_munmap(p, RAW_PAGE);
	raw_close(r);
}

static void test_decode_off_under_a_slot_is_a_finding(void **s)
{
	(void)s;
	int kvm, vm;
	void *p;
	struct raw r = with_slot(&kvm, &vm, &p, 0x1000);
	assert_true(fake_dev_bar_in_slot(r.d, 0, 0x1000, 4));
	assert_false(fake_dev_bar_in_slot(r.d, 0, 0, 4));
	raw_cfg_set(r.device, PCI_COMMAND, 2, 0);
	assert_true(fake_violated("memory slot covers it"));
	fake_violations_clear();
	raw_cfg_set(r.device, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	assert_int_equal(sys_ioctl_n(r.device, VFIO_DEVICE_RESET, 0), 0);
	assert_true(fake_violated("VFIO_DEVICE_RESET took BAR0"));
	fake_violations_clear();
	raw_cfg_set(r.device, 0x4c + PCI_PM_CTRL, 2, 3); /* after its MSI-X at 0x40 */
	assert_true(fake_violated("leaving D0"));
	without_slot(&r, kvm, vm, p);
}

static void test_slot_over_the_msix_table_is_a_finding(void **s)
{
	(void)s;
	int kvm, vm;
	void *p;
	struct raw r = with_slot(&kvm, &vm, &p, 0x2000);
	assert_true(fake_violated("MSI-X page"));
	without_slot(&r, kvm, vm, p);
}

static void test_peer_map_outliving_decode_is_a_finding(void **s)
{
	(void)s;
	void *p;
	struct raw r = raw_open(&zoo_nvme);
	raw_mmap(r.device, 0, 0, RAW_PAGE, &p);
	assert_int_equal(raw_map(r.container, 0xd0000000, p, RAW_PAGE, RAW_RW), 0);
	assert_true(fake_dev_bar_dma_mapped(r.d, 0, 0, 1));
	raw_cfg_set(r.device, PCI_COMMAND, 2, 0);
	assert_true(fake_violated("DMA map covers it"));
	fake_violations_clear();
	assert_int_equal(raw_unmap(r.container, 0xd0000000, RAW_PAGE), RAW_PAGE);
	assert_int_equal(raw_map(r.container, 0xd0000000, p, RAW_PAGE, RAW_RW), -EFAULT);
	sys_munmap(p, RAW_PAGE);
	raw_close(&r);
}

/* --- DMA by the device -------------------------------------------------------------------- */

static void test_device_reaches_what_is_mapped(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_e1000e);
	void *ram;
	char buf[16];
	sys_mmap(&ram, NULL, 4 * RAW_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		 0);
	raw_map(r.container, 0x10000, ram, 2 * RAW_PAGE, RAW_RW);
	raw_map(r.container, 0x12000, (char *)ram + 2 * RAW_PAGE, RAW_PAGE, VFIO_DMA_MAP_FLAG_READ);
	assert_int_equal(fake_dev_dma_write(r.d, 0x10000, "hello", 6), -EPERM); /* not bus master */
	master(&r, true);
	assert_int_equal(fake_dev_dma_write(r.d, 0x10ffe, "hello", 6), 0);
	assert_string_equal((char *)ram + 0xffe, "hello");
	assert_int_equal(fake_dev_dma_read(r.d, 0x11ffc, buf, 8), 0);	     /* across two maps */
	assert_int_equal(fake_dev_dma_write(r.d, 0x12000, "x", 1), -EFAULT); /* read only */
	assert_int_equal(fake_dev_dma_read(r.d, 0x13000, buf, 1), -EFAULT);
	assert_int_equal(fake_dev_dma_faults(r.d), 2);
	raw_unmap(r.container, 0x10000, 2 * RAW_PAGE);
	assert_true(fake_violated("while 0000:03:00.0 is bus master"));
	fake_violations_clear();
	master(&r, false);
	raw_unmap(r.container, 0x12000, RAW_PAGE);
	sys_munmap(ram, 4 * RAW_PAGE);
	raw_close(&r);
}

static void test_device_reaches_its_peer(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_nvme);
	void *p;
	uint32_t v = 0xfeedface, got = 0;
	raw_mmap(r.device, 0, 0, RAW_PAGE, &p);
	raw_map(r.container, 0xd0000000, p, RAW_PAGE, RAW_RW);
	master(&r, true);
	assert_int_equal(fake_dev_dma_write(r.d, 0xd0000040, &v, 4), 0);
	fake_dev_bar_read(r.d, 0, 0x40, &got, 4);
	assert_int_equal(got, v);
	raw_unmap(r.container, 0xd0000000, RAW_PAGE); /* a BAR may go while the bus is mastered */
	master(&r, false);
	sys_munmap(p, RAW_PAGE);
	raw_close(&r);
}

/* --- reset and removal -------------------------------------------------------------------- */

static void test_reset_only_where_there_is_one(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_noreset);
	struct vfio_device_info i = { .argsz = sizeof(i) };
	sys_ioctl(r.device, VFIO_DEVICE_GET_INFO, &i);
	assert_int_equal(i.flags, VFIO_DEVICE_FLAGS_PCI);
	assert_int_equal(sys_ioctl_n(r.device, VFIO_DEVICE_RESET, 0), -EINVAL);
	raw_close(&r);
	r = raw_open(&zoo_nvme);
	uint32_t v = 7;
	sys_pwrite(r.device, &v, 4, 0x20);
	assert_int_equal(sys_ioctl_n(r.device, VFIO_DEVICE_RESET, 0), 0);
	sys_pread(r.device, &v, 4, 0x20);
	assert_int_equal(v, 0);
	assert_int_equal(fake_dev_resets(r.d), 2); /* with the open's */
	raw_close(&r);
}

static void test_hot_reset_wants_every_group_of_the_bus(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_e1000e);
	union {
		struct vfio_pci_hot_reset_info i;
		uint8_t room[128];
	} u = { .i = { .argsz = sizeof(u.i) } };
	fake_dev_add(&zoo_edu, &(struct fake_place){ .bdf = "0000:03:01.0",
						     .group = 20,
						     .parent = "0000:00:1c.2" });
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &u), -ENOSPC);
	assert_int_equal(u.i.count, 2);
	u.i.argsz = sizeof(u);
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &u), 0);
	assert_int_equal(u.i.devices[1].group_id, 20);
	assert_int_equal(u.i.devices[1].devfn, 8);
	union {
		struct vfio_pci_hot_reset h;
		uint8_t room[64];
	} h = { .h = { .argsz = sizeof(h), .count = 1 } };
	h.h.group_fds[0] = r.group;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	fake_dev_remove(fake_dev_find("0000:03:01.0"));
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_PCI_HOT_RESET, &h), 0);
	assert_int_equal(fake_dev_resets(r.d), 2); /* with the open's */
	h.h.count = 0;
	assert_int_equal(sys_ioctl(r.device, VFIO_DEVICE_PCI_HOT_RESET, &h), -EINVAL);
	raw_close(&r);
}

static void test_surprise_removal(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_nvme);
	uint32_t v;
	fake_dev_remove(r.d);
	assert_int_equal(sys_pread(r.device, &v, 4, 0), -EIO);
	assert_int_equal(raw_cfg(r.device, PCI_VENDOR_ID, 2),
			 0x1b36); /* virtual: keeps answering */
	assert_int_equal(raw_cfg(r.device, PCI_STATUS, 2) | PCI_STATUS_CAP_LIST, 0xffff);
	assert_int_equal(sys_ioctl_n(r.device, VFIO_DEVICE_RESET, 0), -ENODEV);
	assert_int_equal(fake_dev_fire(r.d, 0), FAKE_FIRE_NOBODY);
	raw_close(&r);
}

static void test_vga_region_has_legacy_addresses_only(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_gpu);
	struct vfio_region_info i = region(r.device, VFIO_PCI_VGA_REGION_INDEX);
	uint8_t v[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	assert_int_equal(i.size, 0xc0000);
	assert_int_equal(i.flags, 3);
	assert_int_equal(sys_pwrite(r.device, v, 4, (off_t)i.offset + 0xa0000), 4);
	assert_int_equal(fake_dev_vga(r.d)[0xa0003], 4);
	assert_int_equal(sys_pread(r.device, v, 8, (off_t)i.offset + 0xbfffc), 4);
	assert_int_equal(sys_pread(r.device, v, 8, (off_t)i.offset + 0x3ba), 2);
	assert_int_equal(fake_dev_vga_traps(r.d), 3);
	assert_int_equal(sys_pread(r.device, v, 1, (off_t)i.offset + 0x3bc), -EINVAL);
	assert_int_equal(sys_pread(r.device, v, 1, (off_t)i.offset + 0x3e0), -EINVAL);
	assert_int_equal(sys_pread(r.device, v, 1, (off_t)i.offset + 0x9ffff), -EINVAL);
	assert_int_equal(sys_pread(r.device, v, 1, (off_t)i.offset + 0xc0000), -EINVAL);
	raw_close(&r);
}

static void test_mapping_keeps_the_device_open(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_nvme);
	void *p;
	raw_mmap(r.device, 0, 0, RAW_PAGE, &p);
	sys_close_fd(&r.device);
	assert_true(fake_dev_is_open(r.d));
	sys_munmap(p, RAW_PAGE);
	assert_false(fake_dev_is_open(r.d));
	raw_close(&r);
}

static void test_host_takes_it_back_when_it_is_let_go(void **s)
{
	(void)s;
	struct raw r = raw_open(&zoo_nvme);
	int ev = sys_eventfd(0, 0);
	assert_int_equal(raw_irqs(r.device, VFIO_PCI_REQ_IRQ_INDEX, 0, &ev, 1), 0);
	assert_int_equal(sys_write_text("/sys/bus/pci/drivers/vfio-pci/unbind", "0000:03:00.0"), 0);
	assert_int_equal(sys_event_take(ev), 1);
	assert_string_equal(fake_dev_driver(r.d), "vfio-pci");
	sys_close_fd(&r.device);
	assert_string_equal(fake_dev_driver(r.d), "");
	fake_mark();
	sys_close(ev);
	raw_close(&r);
}

static void test_the_whole_zoo_opens_and_closes(void **s)
{
	(void)s;
	for (size_t i = 0; i < zoo_count; i++) {
		struct raw r = raw_open(zoo_all[i]);
		for (uint32_t n = 0; n < 8; n++)
			region(r.device, n);
		assert_int_equal(raw_cfg(r.device, PCI_VENDOR_ID, 2), zoo_all[i]->vendor);
		raw_close(&r);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_info_counts_regions_and_interrupts),
		cmocka_unit_test(test_regions_say_what_they_are),
		cmocka_unit_test(test_sparse_areas_are_told_and_enforced),
		cmocka_unit_test(test_mmap_rules),
		cmocka_unit_test(test_mapped_bar_is_the_devices_memory),
		cmocka_unit_test(test_bar_access_by_read_and_write),
		cmocka_unit_test(test_rom_reads_only_if_it_works),
		cmocka_unit_test(test_decode_off_makes_mappings_inaccessible),
		cmocka_unit_test(test_decode_off_under_a_slot_is_a_finding),
		cmocka_unit_test(test_slot_over_the_msix_table_is_a_finding),
		cmocka_unit_test(test_peer_map_outliving_decode_is_a_finding),
		cmocka_unit_test(test_device_reaches_what_is_mapped),
		cmocka_unit_test(test_device_reaches_its_peer),
		cmocka_unit_test(test_reset_only_where_there_is_one),
		cmocka_unit_test(test_hot_reset_wants_every_group_of_the_bus),
		cmocka_unit_test(test_surprise_removal),
		cmocka_unit_test(test_vga_region_has_legacy_addresses_only),
		cmocka_unit_test(test_mapping_keeps_the_device_open),
		cmocka_unit_test(test_host_takes_it_back_when_it_is_let_go),
		cmocka_unit_test(test_the_whole_zoo_opens_and_closes),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
