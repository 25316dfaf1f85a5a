// SPDX-License-Identifier: GPL-2.0-or-later
// Journey C, DMA: guest memory at its own addresses in every container, before the guest runs;
// peers' BARs where that can be; containers and groups by the kernel's rules; refusals explained.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>

#include "flow.h"

#define SECOND_BDF "0000:04:00.0"
#define BIG	   GIB(5)

static const char *const no_prefault = "prefault=off";

static struct fake_dev *second_at(const struct fake_devdesc *desc, const char *bdf, int group)
{
	return fake_dev_add(
		desc, &(struct fake_place){ .bdf = bdf, .group = group, .driver = "vfio-pci" });
}

static void assert_refused(const struct guest_setup *s, int code, const char *says)
{
	struct verr err = { 0 };
	int r = guest_open(&g, s, &err);
	if (r >= 0)
		fail_msg("a machine that can't be was made");
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
	assert_int_equal(r, code);
	assert_int_equal(err.code, code);
	assert_int_equal(fake_leaks(stderr), 0);
}

static void test_device_reaches_the_guests_memory_at_its_addresses(void **state)
{
	char buf[16];
	(void)state;
	flow_start(&zoo_nvme);
	flow_enable();
	guest_write(&g, 0x12345, 0x1122334455667788, 8);
	assert_int_equal(fake_dev_dma_read(hw, 0x12345, buf, 8), 0);
	assert_memory_equal(buf, "\x88\x77\x66\x55\x44\x33\x22\x11", 8);
	assert_int_equal(fake_dev_dma_write(hw, MIB(4) - 8, "ABCDEFGH", 8), 0);
	assert_true(guest_read(&g, MIB(4) - 8, 8) == 0x4847464544434241);
	/* One byte further there is nothing. */
	assert_int_equal(fake_dev_dma_write(hw, MIB(4) - 7, "ABCDEFGH", 8), -EFAULT);
	assert_int_equal(fake_dev_dma_faults(hw), 1);
}

static void test_no_dma_without_bus_mastering(void **state)
{
	char c;
	(void)state;
	flow_start(&zoo_nvme);
	assert_int_equal(fake_dev_dma_read(hw, 0, &c, 1), -EPERM);
	flow_enable();
	assert_int_equal(fake_dev_dma_read(hw, 0, &c, 1), 0);
	guest_command(fn, 0, PCI_COMMAND_MASTER);
	assert_int_equal(fake_dev_dma_read(hw, 0, &c, 1), -EPERM);
}

static void test_memory_above_4g_is_one_map_more(void **state)
{
	const struct guest_setup s = { .ram = BIG, .machine = no_prefault };
	uint64_t size;
	char c = 'x';
	(void)state;
	flow_start_with(&zoo_nvme, ",x-no-mmap=on", &s);
	flow_enable();
	assert_int_equal(fake_dma_maps(), 2);
	assert_true(fake_dma_bytes() == BIG);
	assert_true(fake_dma_lookup(GIB(4), NULL, &size, NULL));
	assert_true(size == g.m->layout.ram_high_size);
	assert_int_equal(fake_dev_dma_write(hw, GIB(4) + size - 1, &c, 1), 0);
	assert_int_equal(guest_read(&g, GIB(4) + size - 1, 1), 'x');
	assert_int_equal(fake_dev_dma_write(hw, GIB(4) - 1, &c, 1), -EFAULT);
}

static void test_two_groups_share_a_container(void **state)
{
	const struct guest_setup s = { .device = { [1] = "vfio-pci,host=" SECOND_BDF } };
	char c;
	(void)state;
	struct fake_dev *other = second_at(&zoo_e1000e, SECOND_BDF, 20);
	flow_start_with(&zoo_nvme, ",x-no-mmap=on", &s);
	assert_int_equal(fake_containers(), 1);
	assert_int_equal(fake_groups_attached(), 2);
	assert_int_equal(fake_kvm_vfio_files(), 2);
	struct guest_fn nic = guest_find(&g, 0x8086, 0x10d3, 0);
	guest_command(nic, PCI_COMMAND_MASTER, 0);
	assert_int_equal(fake_dev_dma_read(other, 0, &c, 1), 0);
}

static void test_incompatible_group_gets_a_container_of_its_own(void **state)
{
	const struct guest_setup s = { .device = { [1] = "vfio-pci,host=" SECOND_BDF } };
	char c;
	(void)state;
	struct fake_dev *other = second_at(&zoo_e1000e, SECOND_BDF, 20);
	fake_group_domain(20, 7);
	flow_start_with(&zoo_nvme, "", &s);
	assert_int_equal(fake_containers(), 2);
	assert_int_equal(fake_kvm_vfio_files(), 2);
	struct guest_fn nic = guest_find(&g, 0x8086, 0x10d3, 0);
	flow_enable();
	guest_command(nic, PCI_COMMAND_MASTER, 0);
	assert_int_equal(fake_dev_dma_read(hw, MIB(1), &c, 1), 0);
	assert_int_equal(fake_dev_dma_read(other, MIB(1), &c, 1), 0);
	/* Peers reach each other all the same: BARs are in both. */
	assert_int_equal(fake_dev_dma_read(other, guest_bar_addr(fn, 0), &c, 1), 0);
	assert_int_equal(fake_dev_dma_read(hw, guest_bar_addr(nic, 0), &c, 1), 0);
}

static void test_third_device_finds_the_container_it_fits(void **state)
{
	const struct guest_setup s = {
		.device = { [1] = "vfio-pci,host=" SECOND_BDF, [2] = "vfio-pci,host=0000:04:00.1" }
	};
	(void)state;
	second_at(&zoo_gpu, SECOND_BDF, 20);
	second_at(&zoo_gpu_audio, "0000:04:00.1", 20);
	fake_group_domain(20, 7);
	flow_start_with(&zoo_nvme, "", &s);
	assert_int_equal(fake_containers(), 2);
	assert_int_equal(fake_groups_attached(), 2);
}

static void test_two_functions_of_one_group(void **state)
{
	const struct guest_setup s = { .device = { [1] = "vfio-pci,host=" SECOND_BDF ",bus=pci.0,"
							 "addr=06,multifunction=on",
						   [2] = "vfio-pci,host=0000:04:00.1,bus=pci.0,"
							 "addr=06.1" } };
	(void)state;
	struct fake_dev *gpu = second_at(&zoo_gpu, SECOND_BDF, 20);
	struct fake_dev *audio = second_at(&zoo_gpu_audio, "0000:04:00.1", 20);
	flow_start_with(&zoo_nvme, "", &s);
	assert_int_equal(fake_containers(), 1);
	assert_int_equal(fake_groups_attached(), 2);
	assert_int_equal(fake_kvm_vfio_files(), 2); /* one for each group */
	assert_int_equal(fake_log_count("open /dev/vfio/20"), 1);
	/* The guest finds them as functions of one device. */
	struct guest_fn f0 = guest_find(&g, 0x10de, 0x2204, 0);
	struct guest_fn f1 = guest_find(&g, 0x10de, 0x1aef, 0);
	assert_int_equal(f0.devfn, 6 << 3);
	assert_int_equal(f1.devfn, 6 << 3 | 1);
	assert_true(fake_dev_is_open(gpu) && fake_dev_is_open(audio));
}

static void test_kvm_knows_the_group_before_its_device_is_opened(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	int told = fake_log_find("KVM_SET_DEVICE_ATTR", 0);
	int opened = fake_log_find("VFIO_GROUP_GET_DEVICE_FD", 0);
	assert_true(told >= 0 && told < opened);
}

static void test_memory_is_mapped_before_the_guest_runs(void **state)
{
	struct verr err = { 0 };
	(void)state;
	hw = fake_zoo_one(&zoo_nvme);
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF ",x-no-mmap=on" } };
	assert_int_equal(guest_open(&g, &s, &err), 0);
	assert_true(fake_dma_bytes() == MIB(4));
	assert_int_equal(fake_kvm_exits(), 0);
}

static void test_peer_reaches_a_bar_while_it_decodes(void **state)
{
	const struct guest_setup s = { .device = { [1] = "vfio-pci,host=" SECOND_BDF } };
	uint32_t v = 0x600df00d, seen = 0;
	(void)state;
	struct fake_dev *other = second_at(&zoo_e1000e, SECOND_BDF, 20);
	flow_start_with(&zoo_nvme, "", &s);
	struct guest_fn nic = guest_find(&g, 0x8086, 0x10d3, 0);
	guest_command(nic, PCI_COMMAND_MASTER, 0);
	uint64_t at = guest_bar_addr(fn, 0) + 0x100;
	assert_int_equal(fake_dev_dma_write(other, at, &v, 4), 0);
	fake_dev_bar_read(hw, 0, 0x100, &seen, 4);
	assert_int_equal(seen, v);
	guest_command(fn, 0, PCI_COMMAND_MEMORY);
	assert_int_equal(fake_dev_dma_write(other, at, &v, 4), -EFAULT);
	guest_command(fn, PCI_COMMAND_MEMORY, 0);
	assert_int_equal(fake_dev_dma_write(other, at, &v, 4), 0);
	/* It follows the BAR. */
	guest_bar_move(fn, 0, 0);
	assert_int_equal(fake_dev_dma_write(other, at, &v, 4), -EFAULT);
	/* The MSI-X pages are no peer's either. */
	guest_bar_move(fn, 0, at - 0x100);
	assert_int_equal(fake_dev_dma_write(other, at - 0x100 + 0x2000, &v, 4), -EFAULT);
}

static void test_window_without_peer_map_is_still_a_window(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_nvme;
	d.flags |= FAKE_DEV_PFNMAP_NO_DMA;
	flow_start(&d);
	assert_false(fake_dev_bar_dma_mapped(hw, 0, 0, 0x2000));
	guest_write(&g, guest_bar_addr(fn, 0) + 8, 9, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
}

static void test_bar_beyond_the_iommus_reach_is_still_a_window(void **state)
{
	(void)state;
	fake_iommu()->windows[0][0] = 0;
	fake_iommu()->windows[0][1] = 0xfedfffff;
	fake_iommu()->windows[1][0] = fake_iommu()->windows[1][1] = 0;
	flow_start(&zoo_gpu); /* its 16 GiB BAR lies above 4 GiB */
	assert_true(guest_bar_addr(fn, 1) >= GIB(4));
	assert_false(fake_dev_bar_dma_mapped(hw, 1, 0, 4096));
	guest_write(&g, guest_bar_addr(fn, 1) + 8, 9, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
}

static void test_no_map_left_for_peers_is_no_failure(void **state)
{
	(void)state;
	fake_iommu()->dma_limit = 1;
	flow_start(&zoo_e1000e);
	assert_int_equal(fake_dma_maps(), 1);
	guest_write(&g, guest_bar_addr(fn, 0) + 8, 9, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
}

/* --- refusals --------------------------------------------------------------------------------- */

static void test_too_few_maps_for_ram(void **state)
{
	const struct guest_setup s = { .ram = BIG,
				       .machine = no_prefault,
				       .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	fake_zoo_one(&zoo_e1000e);
	fake_iommu()->dma_limit = 1;
	assert_refused(&s, -ENOSPC, "dma_entry_limit");
}

static void test_memlock_limit_is_explained(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	fake_zoo_one(&zoo_e1000e);
	fake_iommu()->memlock = MIB(2);
	assert_refused(&s, -ENOMEM, "ulimit -l");
}

static void test_reservation_inside_ram_is_named(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	fake_zoo_one(&zoo_e1000e);
	fake_group_reserve(14, 0x200000, 0x2fffff, "direct");
	assert_refused(&s, -EINVAL, "0x200000-0x2fffff is a firmware reservation (RMRR)");
}

static void test_reservation_of_the_second_group_is_named(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF,
						   "vfio-pci,host=" SECOND_BDF } };
	(void)state;
	fake_zoo_one(&zoo_e1000e);
	second_at(&zoo_nvme, SECOND_BDF, 20);
	fake_group_reserve(20, 0x200000, 0x2fffff, "direct");
	assert_refused(&s, -EINVAL, "0x200000-0x2fffff is a firmware reservation (RMRR)");
}

static void narrow_iommu(void)
{
	fake_iommu()->windows[0][0] = 0;
	fake_iommu()->windows[0][1] = 0xfedfffff;
	fake_iommu()->windows[1][0] = 0xfef00000;
	fake_iommu()->windows[1][1] = 0x1ffffffff;
	fake_iommu()->windows[2][1] = 0;
}

static void test_ram_beyond_the_iommus_reach(void **state)
{
	const struct guest_setup s = { .ram = GIB(16),
				       .machine = no_prefault,
				       .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	fake_zoo_one(&zoo_e1000e);
	narrow_iommu();
	assert_refused(&s, -EINVAL, "the IOMMU's addresses end at 0x1ffffffff");
}

static void test_member_of_the_group_with_a_host_driver(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	fake_zoo_one(&zoo_gpu);
	fake_dev_add(&zoo_gpu_audio, &(struct fake_place){ .bdf = "0000:03:00.1", .group = 14 });
	assert_refused(&s, -EPERM, "0000:03:00.1");
}

static void test_same_device_twice(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF,
						   "vfio-pci,host=" HOST_BDF } };
	struct verr err = { 0 };
	(void)state;
	fake_zoo_one(&zoo_nvme);
	assert_true(guest_open(&g, &s, &err) < 0);
	assert_non_null(strstr(err.msg, HOST_BDF));
	assert_int_equal(fake_leaks(stderr), 0);
}

static void test_second_device_that_fails_leaves_nothing(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF ",id=a",
						   "vfio-pci,host=0000:77:00.0,id=b" } };
	(void)state;
	fake_zoo_one(&zoo_nvme);
	assert_refused(&s, -ENODEV, "0000:77:00.0");
}

/* --- a plan ----------------------------------------------------------------------------------- */

static void test_dry_run_touches_neither_device_nor_memory(void **state)
{
	const struct guest_setup s = { .accel = "none",
				       .dry_run = true,
				       .device = { "vfio-pci,host=" HOST_BDF } };
	struct verr err = { 0 };
	char *text = NULL;
	size_t len = 0;
	(void)state;
	hw = fake_zoo_one(&zoo_nvme);
	if (guest_open(&g, &s, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(fake_dma_maps(), 0);
	FILE *out = open_memstream(&text, &len);
	machine_describe(g.m, out);
	fclose(out);
	assert_non_null(strstr(text, "host " HOST_BDF ", IOMMU group 14, reset: "));
	assert_non_null(strstr(text, "BAR 0: 0x4000 bytes, 0x2000 mapped directly, MSI-X table"));
	assert_non_null(strstr(text, "MSI-X 65"));
	free(text);
	guest_close(&g);
	assert_int_equal(fake_dev_resets(hw), 2); /* the open's, the close's */
	assert_int_equal(fake_log_count("pwrite vfio-device"), 0);
	assert_int_equal(fake_log_count("VFIO_DEVICE_SET_IRQS"), 0);
}

static void test_dry_run_finds_what_would_not_fit(void **state)
{
	const struct guest_setup s = { .accel = "none",
				       .dry_run = true,
				       .ram = GIB(16),
				       .device = { "vfio-pci,host=" HOST_BDF } };
	(void)state;
	fake_zoo_one(&zoo_nvme);
	narrow_iommu();
	assert_refused(&s, -EINVAL, "the IOMMU's addresses end at 0x1ffffffff");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_device_reaches_the_guests_memory_at_its_addresses),
		FLOW_TEST(test_no_dma_without_bus_mastering),
		FLOW_TEST(test_memory_above_4g_is_one_map_more),
		FLOW_TEST(test_two_groups_share_a_container),
		FLOW_TEST(test_incompatible_group_gets_a_container_of_its_own),
		FLOW_TEST(test_third_device_finds_the_container_it_fits),
		FLOW_TEST(test_two_functions_of_one_group),
		FLOW_TEST(test_kvm_knows_the_group_before_its_device_is_opened),
		FLOW_TEST(test_memory_is_mapped_before_the_guest_runs),
		FLOW_TEST(test_peer_reaches_a_bar_while_it_decodes),
		FLOW_TEST(test_window_without_peer_map_is_still_a_window),
		FLOW_TEST(test_bar_beyond_the_iommus_reach_is_still_a_window),
		FLOW_TEST(test_no_map_left_for_peers_is_no_failure),
		FLOW_TEST(test_too_few_maps_for_ram),
		FLOW_TEST(test_memlock_limit_is_explained),
		FLOW_TEST(test_reservation_inside_ram_is_named),
		FLOW_TEST(test_reservation_of_the_second_group_is_named),
		FLOW_TEST(test_ram_beyond_the_iommus_reach),
		FLOW_TEST(test_member_of_the_group_with_a_host_driver),
		FLOW_TEST(test_same_device_twice),
		FLOW_TEST(test_second_device_that_fails_leaves_nothing),
		FLOW_TEST(test_dry_run_touches_neither_device_nor_memory),
		FLOW_TEST(test_dry_run_finds_what_would_not_fit),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
