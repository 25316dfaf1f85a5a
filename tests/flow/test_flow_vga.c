// SPDX-License-Identifier: GPL-2.0-or-later
// Legacy VGA of an assigned function (x-vga=on): its addresses answer when function and bridges
// decode them and not otherwise, guest RAM keeps out of their way, and one function has them.
#include "plug.h"

#include "core/bytes.h"

#define MEM  UINT64_C(0xa0000)
#define LAST UINT64_C(0xbffff)
#define IO   PCI_COMMAND_IO
#define BOTH (PCI_COMMAND_IO | PCI_COMMAND_MEMORY)

static void vga_start(const char *more)
{
	char props[64];

	snprintf(props, sizeof(props), ",x-vga=on%s", more);
	flow_start_with(&zoo_gpu, props, NULL);
	memset(fake_dev_vga(hw) + MEM, 0x5a, LAST + 1 - MEM);
	memset(fake_dev_vga(hw) + 0x3b0, 0x6b, 0x30);
}

static void vga_enable(struct guest_fn port, bool on)
{
	guest_cfg_set(port, PCI_BRIDGE_CONTROL, on ? PCI_BRIDGE_CTL_VGA : 0, 2);
}

/* Who answers: the card (true) or nobody. */
static bool mem_answers(void)
{
	uint64_t lo = guest_read(&g, MEM, 1), hi = guest_read(&g, LAST, 1);

	assert_int_equal(lo, hi);
	assert_true(lo == 0x5a || lo == 0xff);
	return lo == 0x5a;
}

static bool ports_answer(void)
{
	static const uint16_t ports[] = { 0x3b0, 0x3bb, 0x3c0, 0x3df };
	uint32_t first = guest_in(&g, ports[0], 1);

	for (size_t i = 1; i < ARRAY_SIZE(ports); i++)
		assert_int_equal(guest_in(&g, ports[i], 1), first);
	assert_true(first == 0x6b || first == 0xff);
	return first == 0x6b;
}

static void assert_answers(bool mem, bool ports)
{
	assert_int_equal(mem_answers(), mem);
	assert_int_equal(ports_answer(), ports);
}

/* Sets both function's decode bits and the port's VGA Enable. */
static void vga_on(void)
{
	guest_command(fn, BOTH, 0);
	guest_command(port_of(fn), BOTH, 0);
	vga_enable(port_of(fn), true);
}

static void test_accesses_of_every_size_reach_the_card(void **state)
{
	uint8_t *vga;
	(void)state;
	vga_start("");
	vga_on();
	vga = fake_dev_vga(hw);
	for (unsigned int size = 1; size <= 8; size *= 2) {
		uint64_t at = MEM + 0x1230 + 16 * size, val = UINT64_C(0x1122334455667788);
		guest_write(&g, at, val, size);
		assert_int_equal(g.last, FAKE_ACCESS_EXIT);
		assert_int_equal(get_le(vga + at, size), val & ones(size));
		assert_int_equal(get_le(vga + at + size, 1), 0x5a);
		assert_int_equal(guest_read(&g, at, size), val & ones(size));
	}
	guest_out(&g, 0x3d4, 0x0a0e, 2);
	assert_int_equal(get_le16(vga + 0x3d4), 0x0a0e);
	guest_out(&g, 0x3b4, 0x11223344, 4);
	assert_int_equal(guest_in(&g, 0x3b4, 4), 0x11223344);
	/* Across the end of what is VGA's: the rest is nobody's. */
	assert_int_equal(guest_in(&g, 0x3bb, 2), 0xff6b);
	guest_out(&g, 0x3bb, 0x1234, 2);
	assert_int_equal(get_le16(vga + 0x3bb), 0x6b34);
	assert_int_equal(guest_in(&g, 0x3bc, 4), UINT32_MAX);
	assert_int_equal(guest_in(&g, 0x3e0, 1), 0xff);
}

static void test_ram_ends_and_begins_around_it(void **state)
{
	(void)state;
	vga_start("");
	vga_on();
	guest_write(&g, MEM - 8, 0x0123456789abcdef, 8);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	guest_write(&g, LAST + 1, 0xfedcba98, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	guest_write(&g, MIB(3), 0x1357, 2);
	assert_int_equal(guest_read(&g, MEM - 8, 8), 0x0123456789abcdef);
	assert_int_equal(guest_read(&g, LAST + 1, 4), 0xfedcba98);
	assert_int_equal(guest_read(&g, MIB(3), 2), 0x1357);
	assert_int_equal(gmem_ram_size(&g.m->gmem), MIB(4) - (LAST + 1 - MEM));
	/* Nor does the device reach it by DMA. */
	guest_command(fn, PCI_COMMAND_MASTER, 0);
	assert_int_equal(fake_dev_dma_write(hw, MEM - 4, "abcd", 4), 0);
	assert_int_equal(fake_dev_dma_write(hw, MEM, "abcd", 4), -EFAULT);
	assert_int_equal(fake_dev_dma_write(hw, LAST + 1, "abcd", 4), 0);
}

static void test_without_the_property_it_is_ram(void **state)
{
	(void)state;
	flow_start(&zoo_gpu);
	vga_on();
	guest_write(&g, MEM, 0x12345678, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	assert_int_equal(guest_read(&g, MEM, 4), 0x12345678);
	assert_int_equal(guest_in(&g, 0x3c0, 1), 0xff);
	assert_int_equal(fake_dev_vga_traps(hw), 0);
	assert_int_equal(gmem_ram_size(&g.m->gmem), MIB(4));
}

static void test_decoding_takes_the_function_and_the_port(void **state)
{
	struct guest_fn port;
	(void)state;
	vga_start("");
	port = port_of(fn);
	/* As firmware leaves it: BARs decode, VGA does not. */
	assert_int_equal(guest_cfg(port, PCI_BRIDGE_CONTROL, 2), 0);
	assert_answers(false, false);
	assert_int_equal(fake_dev_vga_traps(hw), 0);
	vga_on();
	assert_answers(true, true);
	guest_command(fn, 0, IO);
	assert_answers(true, false);
	guest_command(fn, IO, PCI_COMMAND_MEMORY);
	assert_answers(false, true);
	guest_command(fn, BOTH, 0);
	guest_command(port, 0, IO);
	assert_answers(true, false);
	guest_command(port, IO, PCI_COMMAND_MEMORY);
	assert_answers(false, true);
	guest_command(port, BOTH, 0);
	vga_enable(port, false);
	assert_answers(false, false);
	vga_enable(port, true);
	assert_answers(true, true);
	guest_power(fn, 3);
	assert_answers(false, false);
	guest_power(fn, 0);
	guest_command(fn, BOTH, 0);
	assert_answers(true, true);
	guest_write(&g, MEM, 0x5a, 1); /* a write of what was there, for traps' sake */
	unsigned int before = fake_dev_vga_traps(hw);
	vga_enable(port, false);
	guest_write(&g, MEM, 0, 1);
	guest_out(&g, 0x3c0, 0, 1);
	assert_int_equal(fake_dev_vga_traps(hw), before);
}

/* PCI-to-PCI Bridge 1.2 4.2: a window that covers them passes them on, too. */
static void test_window_over_the_addresses_passes_them_on(void **state)
{
	struct guest_fn port;
	(void)state;
	vga_start("");
	port = port_of(fn);
	guest_command(fn, BOTH, 0);
	guest_command(port, BOTH, 0);
	guest_cfg_set(port, PCI_IO_BASE, 0x0000, 2);
	assert_answers(false, true);
	guest_cfg_set(port, PCI_MEMORY_BASE, 0x00000000, 4);
	assert_answers(true, true);
}

static void test_on_the_root_bus_the_function_decides_alone(void **state)
{
	(void)state;
	vga_start(",bus=pci.0");
	guest_command(fn, BOTH, 0);
	assert_answers(true, true);
	guest_command(fn, 0, BOTH);
	assert_answers(false, false);
}

static void test_reset_turns_it_off(void **state)
{
	struct verr err = { 0 };
	struct guest_fn port;
	(void)state;
	vga_start("");
	port = port_of(fn);
	vga_on();
	guest_cfg_set(port, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_VGA | PCI_BRIDGE_CTL_BUS_RESET, 2);
	guest_cfg_set(port, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_VGA, 2);
	assert_answers(false, false);
	guest_command(fn, BOTH, 0);
	assert_answers(true, true);
	if (guest_reset(&g, &err) < 0)
		fail_msg("%s", err.msg);
	assert_answers(false, false);
	vga_on();
	assert_answers(true, true);
}

static void test_card_that_is_gone_answers_ones(void **state)
{
	(void)state;
	vga_start(",on-request=stop");
	vga_on();
	fake_dev_remove(hw);
	assert_answers(false, false);
	guest_write(&g, MEM, 0, 4);
	guest_out(&g, 0x3c0, 0, 1);
}

/* --- the user's word -------------------------------------------------------------------------- */

static void assert_refused(const struct guest_setup *s, int code, const char *sentence)
{
	struct verr err = { 0 };

	assert_int_equal(guest_open(&g, s, &err), code);
	assert_string_equal(err.msg, sentence);
	assert_int_equal(fake_leaks(stderr), 0);
}

static void test_who_can_not_have_it(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,id=dut,x-vga=on,host=" HOST_BDF } };
	const struct guest_setup bad = { .device = { "vfio-pci,id=dut,x-vga=yes,host=" HOST_BDF } };
	(void)state;
	fake_zoo_one(&zoo_gpu_compute);
	assert_refused(&s, -ENODEV,
		       "vfio-pci dut: 0000:03:00.0: x-vga=on is for VGA controllers (class 0300), "
		       "this is of class 0302: leave it out");
	fake_reset();
	fake_zoo_one(&zoo_navi);
	assert_refused(&s, -ENODEV,
		       "vfio-pci dut: 0000:03:00.0: x-vga=on: the host's kernel offers no legacy "
		       "VGA access: it needs CONFIG_VFIO_PCI_VGA=y, and vfio-pci without "
		       "disable_vga=1");
	assert_refused(&bad, -EINVAL, "vfio-pci: x-vga: 'yes' is neither on nor off");
}

static void second_card(void)
{
	fake_dev_add(
		&zoo_radeon,
		&(struct fake_place){ .bdf = "0000:00:05.0", .group = 20, .driver = "vfio-pci" });
}

static void test_second_card_is_refused(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,id=first,x-vga=on,host=" HOST_BDF,
						   "vfio-pci,id=two,x-vga=on,host=0000:00:05.0" } };
	(void)state;
	fake_zoo_one(&zoo_gpu);
	second_card();
	assert_refused(&s, -EBUSY,
		       "vfio-pci two: 0000:00:05.0: x-vga=on: first has it already, and a machine "
		       "has one set of legacy VGA addresses");
}

/* RAM is where it is; but a machine that has the place may get another card. */
static void test_running_machine_takes_it_where_there_is_room(void **state)
{
	static const char arg[] = "vfio-pci,id=late,x-vga=on,host=0000:00:05.0";
	const struct guest_setup s = { .device = { "pcie-root-port,id=slot" } };
	struct verr err = { 0 };
	(void)state;
	second_card();
	guest_start(&g, &s);
	assert_int_equal(plug(arg, &err), -EBUSY);
	assert_string_equal(err.msg, "vfio-pci late: 0000:00:05.0: x-vga=on needs a place in the "
				     "guest's memory map, which is fixed once the machine runs: "
				     "give the device at the start");
	guest_close(&g);
	fake_reset();
	second_card();
	vga_start("");
	assert_int_equal(unplug("vfio-pci.0", true, &err), 0);
	assert_int_equal(plug(arg, &err), 0);
}

static void test_plan_shows_it(void **state)
{
	const struct guest_setup s = { .accel = "none",
				       .dry_run = true,
				       .device = { "vfio-pci,x-vga=on,host=" HOST_BDF } };
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
	if (!strstr(text, "memory map\n"
			  "  0x000000000000 0x00000009ffff RAM\n"
			  "  0x0000000a0000 0x0000000bffff legacy VGA\n"
			  "  0x0000000c0000 0x0000003fffff RAM\n") ||
	    !strstr(text, "  legacy VGA: memory 0xa0000-0xbffff, ports 0x3b0-0x3bb and "
			  "0x3c0-0x3df, trapped\n"))
		fail_msg("%s", text);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_accesses_of_every_size_reach_the_card),
		FLOW_TEST(test_ram_ends_and_begins_around_it),
		FLOW_TEST(test_without_the_property_it_is_ram),
		FLOW_TEST(test_decoding_takes_the_function_and_the_port),
		FLOW_TEST(test_window_over_the_addresses_passes_them_on),
		FLOW_TEST(test_on_the_root_bus_the_function_decides_alone),
		FLOW_TEST(test_reset_turns_it_off),
		FLOW_TEST(test_card_that_is_gone_answers_ones),
		FLOW_TEST(test_who_can_not_have_it),
		FLOW_TEST(test_second_card_is_refused),
		FLOW_TEST(test_running_machine_takes_it_where_there_is_room),
		FLOW_TEST(test_plan_shows_it),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
