// SPDX-License-Identifier: GPL-2.0-or-later
// BARs with an address of their own in the guest: the one they have on the host (barN=host), or any
// (barN=0x...). They are there before the guest runs and after every reset, directly mapped, for
// peers, too; what can't be is refused in a sentence.
#include <errno.h>

#include "flow.h"
#include "plug.h"
#include "vfio/hostbar.h"

#define SECOND_BDF "0000:04:00.0"
#define AT	   GIB(128)

static uint64_t host_address(const char *bdf, unsigned int bar)
{
	struct host_bar host[6];
	struct bdf at;
	assert_int_equal(bdf_parse(bdf, &at, NULL), 0);
	assert_true(host_bars_read(&at, host));
	return host[bar].addr;
}

/* BAR 1 is at `at`, without exits, and the device is behind it. */
static void assert_is_at(uint64_t at)
{
	uint32_t seen = 0;
	assert_true(guest_bar_addr(fn, 1) == at);
	guest_write(&g, at + GIB(16) - 8, 0xabcd1234, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	fake_dev_bar_read(hw, 1, GIB(16) - 8, &seen, 4);
	assert_int_equal(seen, 0xabcd1234);
	fake_dev_bar_write(hw, 1, GIB(16) - 8, &(uint32_t){ 0 }, 4);
	assert_true(fake_dev_bar_dma_mapped(hw, 1, 0, GIB(1)));
	assert_int_equal(fake_dev_bar_traps(hw, 1), 0);
}

static void test_bar_at_its_host_address(void **state)
{
	(void)state;
	flow_start_with(&zoo_gpu, ",bar1=host,bus=pci.0", NULL); /* no bridge's window around it */
	flow_enable();
	uint64_t at = host_address(HOST_BDF, 1);
	assert_true(at >= GIB(4));
	assert_is_at(at);
	/* The guest's to move, as any; a reset brings it back. */
	guest_bar_move(fn, 1, at + GIB(32));
	assert_is_at(at + GIB(32));
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(guest_reset(&g, NULL), 0);
		flow_enable();
		assert_is_at(at);
	}
}

static void test_bar_at_an_address_on_either_kind_of_bus(void **state)
{
	static const char *const words[] = { ",bar1=0x2000000000", ",bar1=137438953472,bus=pci.0" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		fake_reset();
		flow_start_with(&zoo_gpu, words[i], NULL);
		flow_enable();
		assert_is_at(AT);
		/* Its other BARs found a place, too. */
		assert_true(guest_bar_addr(fn, 0) != 0 && guest_bar_addr(fn, 3) != 0);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

static void test_two_that_are_neighbours_on_the_host(void **state)
{
	const struct guest_setup s = { .device = { [1] = "vfio-pci,host=" SECOND_BDF
							 ",bar1=host" } };
	(void)state;
	struct fake_dev *second = fake_dev_add(
		&zoo_gpu,
		&(struct fake_place){ .bdf = SECOND_BDF, .group = 20, .driver = "vfio-pci" });
	flow_start_with(&zoo_gpu, ",bar1=host", &s);
	flow_enable();
	assert_is_at(host_address(HOST_BDF, 1));
	fn = guest_find(&g, zoo_gpu.vendor, zoo_gpu.device, 1);
	hw = second;
	flow_enable();
	assert_is_at(host_address(SECOND_BDF, 1));
}

static void test_ram_makes_room(void **state)
{
	const struct guest_setup s = { .accel = "none",
				       .dry_run = true,
				       .ram = GIB(32),
				       .device = { "vfio-pci,host=" HOST_BDF
						   ",id=gpu,bar1=0x400000000" } };
	struct verr err = { 0 };
	char *text = NULL;
	size_t len = 0;
	(void)state;
	fake_zoo_one(&zoo_gpu);
	if (guest_open(&g, &s, &err) < 0)
		fail_msg("%s", err.msg);
	FILE *out = open_memstream(&text, &len);
	machine_describe(g.m, out);
	fclose(out);
	static const char *const says[] = {
		"  0x000400000000 0x00103fffffff 64-bit PCI window\n"
		"  0x001040000000 0x00177fffffff RAM\n",
		"  note: RAM above 4 GiB starts at 0x1040000000: the 64-bit PCI window "
		"0x400000000-0x103fffffff is around gpu BAR 1, which has an address of its own\n",
		"  BAR 1: 0x400000000 bytes, 0x400000000 mapped directly, at the address given for "
		"it\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(says); i++)
		if (strstr(text, says[i]) == NULL)
			fail_msg("no '%s' in\n%s", says[i], text);
	free(text);
}

static void assert_refused(const char *props, int code, const char *sentence)
{
	char arg[128];
	struct verr err = { 0 };
	snprintf(arg, sizeof(arg), "vfio-pci,host=" HOST_BDF ",id=dut%s", props);
	const struct guest_setup s = { .device = { arg } };
	assert_int_equal(guest_open(&g, &s, &err), code);
	assert_string_equal(err.msg, sentence);
	assert_int_equal(fake_leaks(stderr), 0);
}

static void test_addresses_that_cannot_be(void **state)
{
	(void)state;
	fake_zoo_one(&zoo_gpu);
#define DUT "vfio-pci dut: 0000:03:00.0: "
	assert_refused(",bar0=host", -EINVAL,
		       DUT "bar0=host: only a 64-bit memory BAR can have an address of its own, "
			   "and BAR 0 is a 32-bit one");
	assert_refused(",bar5=0x2000000000", -EINVAL,
		       DUT "bar5=0x2000000000: only a 64-bit memory BAR can have an address of its "
			   "own, and BAR 5 is made of I/O ports");
	assert_refused(",bar2=host", -EINVAL,
		       DUT "bar2=host: BAR 2 is the upper half of the 64-bit BAR 1");
	assert_refused(",bar1=0x2000001000", -EINVAL,
		       DUT "bar1=0x2000001000: 0x2000001000 is not a multiple of the BAR's size, "
			   "0x400000000");
	assert_refused(",bar1=0x10000000000000", -EINVAL,
		       DUT "bar1=0x10000000000000: the BAR's 0x400000000 bytes would not end below "
			   "0x10000000000000, where addresses end");
	assert_refused(
		",bar1=0x1000000000000", -EINVAL,
		"dut BAR 1 has an address of its own, which has the 64-bit PCI window reach to "
		"0x1000401ffffff, but a guest address has only 39 bits here");
	char text[256];
	snprintf(text, sizeof(text),
		 DUT "bar3=host: %#llx is below 4 GiB, and a BAR can have an address of its own "
		     "above only",
		 (unsigned long long)host_address(HOST_BDF, 3));
	assert_refused(",bar3=host", -EINVAL, text);
	assert_refused(",bar1=hots", -EINVAL,
		       "vfio-pci: bar1: 'hots' is none of direct, trap, hide, host and an address: "
		       "did you mean 'host'?");
	assert_refused(",bar1=0x1000", -ERANGE,
		       "vfio-pci: bar1: 0x1000 is out of range: 4294967296 to "
		       "18446744073709551615");
	assert_refused(",bar1=4G", -EINVAL,
		       "vfio-pci: bar1: '4G' is not a number (decimal or 0x hexadecimal)");
	assert_refused(",bar1=0x2000000000,bar3=0x2001000000", -EINVAL,
		       DUT "bar3=0x2001000000: 0x2001000000 is not a multiple of the BAR's size, "
			   "0x2000000");
	assert_refused(",bar1=0x2000000000,bar3=0x2002000000", -EINVAL,
		       "dut BAR 1 at 0x2000000000-0x23ffffffff overlaps dut BAR 3 at "
		       "0x2002000000-0x2003ffffff: one of them needs another address");
}

static void test_not_without_an_address_on_the_host(void **state)
{
	(void)state;
	fake_zoo_one(&zoo_gpu);
	fake_file_set("/sys/bus/pci/devices/" HOST_BDF "/resource", "gibberish\n");
	assert_refused(",bar1=host", -EIO,
		       "vfio-pci dut: bar1=host: /sys/bus/pci/devices/0000:03:00.0/resource, "
		       "which says where the host has it, can't be read");
}

static void test_not_while_the_machine_runs(void **state)
{
	struct verr err = { 0 };
	(void)state;
	guest_start(&g, &(struct guest_setup){ .device = { "pcie-root-port,id=spare" } });
	fake_dev_add(&zoo_gpu,
		     &(struct fake_place){ .bdf = SECOND_BDF, .group = 20, .driver = "vfio-pci" });
	assert_int_equal(plug("vfio-pci,host=" SECOND_BDF ",id=gpu,bar1=host", &err), -EBUSY);
	assert_string_equal(err.msg,
			    "vfio-pci gpu: 0000:04:00.0: bar1: a BAR's address is in the guest's "
			    "memory map, which is fixed once the machine runs: give the device at "
			    "the start");
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_bar_at_its_host_address),
		FLOW_TEST(test_bar_at_an_address_on_either_kind_of_bus),
		FLOW_TEST(test_two_that_are_neighbours_on_the_host),
		FLOW_TEST(test_ram_makes_room),
		FLOW_TEST(test_addresses_that_cannot_be),
		FLOW_TEST(test_not_without_an_address_on_the_host),
		FLOW_TEST(test_not_while_the_machine_runs),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
