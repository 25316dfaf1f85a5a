// SPDX-License-Identifier: GPL-2.0-or-later
// Peer-to-peer DMA that can't be: the guest runs on, and the pair is named, once, with the reason.
// (Peer-to-peer DMA that works is in test_flow_dma.c and test_flow_peers.c.)
#include <errno.h>
#include <unistd.h>

#include "core/log.h"
#include "flow.h"

#define SECOND_BDF "0000:04:00.0"

static char log_path[64];

/* The log of this test, and how often it has `text`. */
static int logged_setup(void **state)
{
	char spec[96];
	int r = flow_setup(state);
	snprintf(log_path, sizeof(log_path), "/tmp/p2p-log.%ld", (long)getpid());
	unlink(log_path);
	snprintf(spec, sizeof(spec), "warn,file=%s", log_path);
	return log_configure(spec, NULL) < 0 ? -1 : r;
}

static int logged_teardown(void **state)
{
	log_close();
	unlink(log_path);
	return flow_teardown(state);
}

static unsigned int logged(const char *text)
{
	char line[1024];
	unsigned int n = 0;
	FILE *f = fopen(log_path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, text) != NULL;
	fclose(f);
	return n;
}

static void with_second(const struct fake_devdesc *first, const struct fake_devdesc *second)
{
	const struct guest_setup s = { .device = { [1] = "vfio-pci,host=" SECOND_BDF } };
	fake_dev_add(second,
		     &(struct fake_place){ .bdf = SECOND_BDF, .group = 20, .driver = "vfio-pci" });
	flow_start_with(first, "", &s);
	flow_enable();
	guest_command(guest_find(&g, second->vendor, second->device, 0),
		      PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
}

static void test_pair_is_named_once_with_the_reason(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_nvme;
	d.flags |= FAKE_DEV_PFNMAP_NO_DMA;
	with_second(&d, &zoo_e1000e);
	for (unsigned int i = 0; i < 10; i++) {
		guest_command(fn, 0, PCI_COMMAND_MEMORY);
		guest_command(fn, PCI_COMMAND_MEMORY, 0);
	}
	assert_int_equal(logged("vfio/window: warning: 0000:04:00.0 can't reach BAR 0 of "
				"0000:03:00.0 by DMA (peer-to-peer): the host memory behind BAR 0 "
				"of 0000:03:00.0 at 0x"),
			 1);
	assert_int_equal(logged("this kernel does not map device memory for other devices"), 1);
	assert_int_equal(logged("can't reach"), 1); /* the other way there is nothing to say */
	guest_write(&g, guest_bar_addr(fn, 0) + 8, 9, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
}

static void test_nobody_to_miss_it_nothing_to_say(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_nvme;
	d.flags |= FAKE_DEV_PFNMAP_NO_DMA;
	flow_start(&d);
	flow_enable();
	assert_false(fake_dev_bar_dma_mapped(hw, 0, 0, 0x2000));
	assert_int_equal(logged("can't reach"), 0);
}

static void test_pairs_in_two_containers(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	d = zoo_nvme;
	d.flags |= FAKE_DEV_PFNMAP_NO_DMA;
	fake_dev_add(&zoo_bridge, &(struct fake_place){ .bdf = "0000:00:1d.0", .group = 20 });
	fake_group_domain(20, 7);
	with_second(&d, &zoo_e1000e);
	assert_int_equal(fake_containers(), 2);
	assert_int_equal(logged("0000:04:00.0 can't reach BAR 0 of 0000:03:00.0"), 1);
	assert_int_equal(logged("can't reach"), 1);
}

static void test_beyond_the_reach_of_the_iommu(void **state)
{
	const uint64_t top = 0x1ffffffff;
	(void)state;
	fake_iommu()->windows[0][1] = top;
	with_second(&zoo_gpu, &zoo_e1000e);
	assert_true(guest_bar_addr(fn, 1) > top);
	assert_int_equal(logged("0000:04:00.0 can't reach BAR 1 of 0000:03:00.0 by DMA "
				"(peer-to-peer): BAR 1 of 0000:03:00.0: guest addresses "),
			 1);
	assert_int_equal(logged("0000:04:00.0 can't reach BAR 3 of 0000:03:00.0 by DMA"), 1);
	assert_int_equal(logged("the IOMMU's addresses end at 0x1ffffffff"), 2);
}

static void test_no_map_left(void **state)
{
	(void)state;
	fake_iommu()->dma_limit = 2;
	with_second(&zoo_nvme, &zoo_e1000e);
	assert_int_equal(logged("0000:03:00.0 can't reach BAR 0 of 0000:04:00.0 by DMA "
				"(peer-to-peer): no DMA map is left for BAR 0 of 0000:04:00.0 at "),
			 1);
	assert_int_equal(logged("raise it: modprobe vfio_iommu_type1 dma_entry_limit=N"), 3);
}

static void test_plan_names_the_pair(void **state)
{
	const struct guest_setup s = { .accel = "none",
				       .dry_run = true,
				       .device = { "vfio-pci,host=" HOST_BDF ",id=gpu",
						   "vfio-pci,host=" SECOND_BDF ",id=nic" } };
	struct verr err = { 0 };
	char *text = NULL;
	size_t len = 0;
	(void)state;
	fake_iommu()->windows[0][1] = 0x1ffffffff;
	fake_zoo_one(&zoo_gpu);
	fake_dev_add(&zoo_e1000e,
		     &(struct fake_place){ .bdf = SECOND_BDF, .group = 20, .driver = "vfio-pci" });
	if (guest_open(&g, &s, &err) < 0)
		fail_msg("%s", err.msg);
	FILE *out = open_memstream(&text, &len);
	machine_describe(g.m, out);
	fclose(out);
	static const char *const says[] = {
		"  note: devices can't reach each other's BARs in the 64-bit PCI window 0x",
		"    0000:04:00.0 can't reach it by DMA (peer-to-peer): guest addresses 0x",
		"the IOMMU's addresses end at 0x1ffffffff",
	};
	for (size_t i = 0; i < ARRAY_SIZE(says); i++)
		if (!strstr(text, says[i]))
			fail_msg("no \"%s\" in:\n%s", says[i], text);
	assert_null(strstr(text, "0000:03:00.0 can't reach"));
	free(text);
}

int main(void)
{
#define P2P_TEST(f)                                                                                \
	{                                                                                          \
#f, f, logged_setup, logged_teardown, NULL                                         \
	}
	static const struct CMUnitTest tests[] = {
		P2P_TEST(test_pair_is_named_once_with_the_reason),
		P2P_TEST(test_nobody_to_miss_it_nothing_to_say),
		P2P_TEST(test_pairs_in_two_containers),
		P2P_TEST(test_beyond_the_reach_of_the_iommu),
		P2P_TEST(test_no_map_left),
		P2P_TEST(test_plan_names_the_pair),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
