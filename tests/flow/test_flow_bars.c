// SPDX-License-Identifier: GPL-2.0-or-later
// BARs at their edges: smaller than a page, up to 64 GiB, moved about by firmware and operating
// systems in every order, and the user's word on each (barN=direct|trap|hide).
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "flow.h"

#define PAGE UINT64_C(4096)

static bool direct(uint64_t gpa)
{
	guest_read(&g, gpa, 4);
	return g.last == FAKE_ACCESS_DIRECT;
}

static void assert_refused(const char *props, const char *sentence)
{
	char arg[128];
	struct verr err = { 0 };
	snprintf(arg, sizeof(arg), "vfio-pci,host=" HOST_BDF ",id=dut%s", props);
	const struct guest_setup s = { .device = { arg } };
	assert_int_equal(guest_open(&g, &s, &err), -EINVAL);
	assert_string_equal(err.msg, sentence);
	assert_int_equal(fake_leaks(stderr), 0);
}

/* --- smaller than a page ---------------------------------------------------------------------- */

static void test_small_bar_with_a_page_to_itself_needs_no_exit(void **state)
{
	uint32_t seen = 0;
	(void)state;
	flow_start(&zoo_subpage);
	flow_enable();
	uint64_t at = guest_bar_addr(fn, 0), other = guest_bar_addr(fn, 1);
	assert_int_equal(at % PAGE, 0);
	assert_true(ALIGN_DOWN(other, PAGE) != at);
	guest_write(&g, at + 0x40, 0x12345678, 4);
	assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	fake_dev_bar_read(hw, 0, 0x40, &seen, 4);
	assert_int_equal(seen, 0x12345678);
	/* A page that it shares on the host: the kernel offers no mapping. */
	assert_false(direct(other));
	assert_int_equal(fake_dev_bar_traps(hw, 0), 0);
}

static void test_small_bar_inside_a_page_is_trapped(void **state)
{
	(void)state;
	flow_start(&zoo_subpage);
	flow_enable();
	uint64_t at = guest_bar_addr(fn, 0);
	fake_dev_bar_write(hw, 0, 0x40, "abcd", 4);
	guest_bar_move(fn, 0, at + 0x100);
	assert_false(direct(at + 0x100));
	assert_int_equal(guest_read(&g, at + 0x140, 4), 0x64636261);
	assert_int_equal(guest_read(&g, at, 4), UINT32_MAX);
	guest_bar_move(fn, 0, at);
	assert_true(direct(at));
}

static void test_small_bars_may_share_a_page(void **state)
{
	uint8_t b = 0;
	(void)state;
	flow_start(&zoo_subpage);
	flow_enable();
	uint64_t at = guest_bar_addr(fn, 0), home = guest_bar_addr(fn, 1);
	fake_dev_bar_write(hw, 0, 1, "\x11", 1);
	fake_dev_bar_write(hw, 1, 1, "\x22", 1);
	assert_true(direct(at));
	/* The second moves into the first's page: a mapping of the page would hide it. */
	guest_bar_move(fn, 1, at + 0x200);
	assert_false(direct(at));
	assert_int_equal(guest_read(&g, at + 1, 1), 0x11);
	assert_int_equal(guest_read(&g, at + 0x201, 1), 0x22);
	guest_write(&g, at + 0x203, 0x33, 1);
	fake_dev_bar_read(hw, 1, 3, &b, 1);
	assert_int_equal(b, 0x33);
	assert_int_equal(guest_read(&g, at + 0x400, 4), UINT32_MAX);
	/* And leaves again. */
	guest_bar_move(fn, 1, home);
	assert_true(direct(at));
	assert_int_equal(guest_read(&g, home + 1, 1), 0x22);
}

/* --- large ------------------------------------------------------------------------------------ */

static void test_every_size_from_1m_to_64g(void **state)
{
	static struct fake_devdesc d;
	(void)state;
	for (uint64_t size = MIB(1); size <= GIB(64); size <<= 1) {
		uint32_t seen = 0;
		fake_reset();
		d = zoo_nvme;
		d.bars[0] = (struct fake_bar){ .size = size, .flags = FAKE_BAR_64 | FAKE_BAR_PREF };
		flow_start_with(&d, ",bus=pci.0", NULL); /* no bridge's window around it */
		flow_enable();
		struct guest_bar b = guest_bar(fn, 0);
		if (b.size != size || b.addr % size != 0)
			fail_msg("BAR of %#llx: %#llx at %#llx", (unsigned long long)size,
				 (unsigned long long)b.size, (unsigned long long)b.addr);
		struct passthru *p = passthru_of(guest_pcidev(fn));
		uint64_t align = MIN(size, GIB(1));
		for (unsigned int i = 0; i < p->n_win; i++) {
			const struct gmem_region *m = &p->win[i].mem;
			/* Huge pages need guest, host and device to agree in the low bits. */
			assert_true((uintptr_t)m->hva % align == p->win[i].off % align);
			assert_true(m->gpa % align == p->win[i].off % align);
		}
		guest_write(&g, b.addr + size - 4, 0xabcd1234, 4);
		assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
		fake_dev_bar_read(hw, 0, size - 4, &seen, 4);
		assert_int_equal(seen, 0xabcd1234);
		assert_true(fake_dev_bar_dma_mapped(hw, 0, size - PAGE, PAGE));
		guest_bar_move(fn, 0, b.addr + 2 * size);
		assert_int_equal(guest_read(&g, b.addr + 3 * size - 4, 4), 0xabcd1234);
		assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
		assert_int_equal(fake_dev_bar_traps(hw, 0), 0);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

/* --- moved about ------------------------------------------------------------------------------ */

/* Firmware that sizes each BAR in turn with decoding on, parks them all at one address, and then
 * gives each its place: none of the steps may fail, none may leave a BAR lost. */
static void test_firmware_that_parks_all_bars_at_one_place(void **state)
{
	uint64_t home[6];
	(void)state;
	flow_start(&zoo_e1000e);
	flow_enable();
	for (unsigned int b = 0; b < 4; b++)
		home[b] = guest_bar_addr(fn, b);
	for (unsigned int round = 0; round < 50; round++) {
		for (unsigned int b = 0; b < 4; b++) {
			if (b == 2)
				continue;
			guest_cfg_set(fn, PCI_BASE_ADDRESS_0 + 4 * b, UINT32_MAX, 4);
			guest_cfg(fn, PCI_BASE_ADDRESS_0 + 4 * b, 4);
			guest_cfg_set(fn, PCI_BASE_ADDRESS_0 + 4 * b, (uint32_t)home[0], 4);
		}
		for (unsigned int b = 3; b < 4; b--)
			if (b != 2)
				guest_cfg_set(fn, PCI_BASE_ADDRESS_0 + 4 * b, (uint32_t)home[b], 4);
		assert_true(direct(home[0]) && direct(home[1]));
	}
	uint8_t v = 0x5a, seen = 0;
	guest_write(&g, home[1] + 5, v, 1);
	fake_dev_bar_read(hw, 1, 5, &seen, 1);
	assert_int_equal(seen, v);
}

/* A 64-bit BAR goes from below to above 4 GiB by its halves: between the two writes it is
 * somewhere else. */
static void test_halves_of_a_64_bit_bar_in_either_order(void **state)
{
	(void)state;
	flow_start(&zoo_gpu);
	flow_enable();
	uint64_t home = guest_bar_addr(fn, 1);
	uint64_t away = home ^ UINT64_C(0x1000000000); /* another upper half, the same lower */
	for (unsigned int low_first = 0; low_first < 2; low_first++) {
		for (unsigned int k = 0; k < 2; k++) {
			bool low = k == !low_first;
			guest_cfg_set(fn, low ? 0x14 : 0x18, (uint32_t)(low ? away : away >> 32),
				      4);
		}
		assert_true(guest_bar_addr(fn, 1) == away);
		guest_bar_move(fn, 1, home);
		assert_true(direct(home));
	}
}

/* RAM, the IOAPIC, another device's BAR: a BAR put over them never takes them away, and works
 * again as soon as it is elsewhere. */
static void test_bar_over_what_is_not_its_own(void **state)
{
	static const uint64_t places[] = { 0x100000, 0xfec00000, 0xfee00000, 0xe0000000 };
	(void)state;
	flow_start(&zoo_e1000e);
	flow_enable();
	uint64_t home = guest_bar_addr(fn, 0);
	guest_write(&g, 0x100010, 0xfeedface, 4);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		guest_bar_move(fn, 0, places[i]);
		assert_int_equal(guest_read(&g, 0x100010, 4), 0xfeedface);
		assert_int_equal(guest_cfg(fn, 0, 4), 0x10d38086); /* ECAM still answers */
		guest_bar_move(fn, 0, home);
		assert_true(direct(home));
	}
}

/* --- registers beside the MSI-X table --------------------------------------------------------- */

static void fire_one(unsigned int vec)
{
	guest_msix(fn, true, false);
	guest_msix_vector(fn, vec, MSI_ADDR, 0x40 + vec, false);
	assert_int_equal(fake_dev_fire(hw, vec), FAKE_FIRE_SENT);
	guest_msix_mask(fn, vec, true);
	fake_dev_fire(hw, vec);
	guest_turn(&g);
	assert_true(guest_msix_pending(fn, vec));
}

static void test_moved_table_leaves_the_registers_without_exits(void **state)
{
	static const char *const words[] = { "auto", "bar0", "bar4" };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		char arg[80];
		uint32_t seen = 0;
		fake_reset();
		hw = fake_zoo_one(&zoo_shared_page);
		fake_dev_msix_moved(hw);
		snprintf(arg, sizeof(arg), "vfio-pci,host=" HOST_BDF ",x-msix-relocation=%s",
			 words[i]);
		guest_start(&g, &(struct guest_setup){ .device = { arg } });
		fn = guest_find(&g, zoo_shared_page.vendor, zoo_shared_page.device, 0);
		flow_enable();
		uint64_t at = guest_bar_addr(fn, 0);
		assert_int_equal(guest_bar(fn, 0).size, i == 1 ? 4 * PAGE : 2 * PAGE);
		assert_true(direct(at) && direct(at + PAGE) && direct(at + 0x1c00));
		guest_write(&g, at + 0x1bf0, 0x12345678, 4);
		fake_dev_bar_read(hw, 0, 0x1bf0, &seen, 4);
		assert_int_equal(seen, 0x12345678);
		fire_one(3);
		/* Past what the device has there is nothing, and nothing reaches it. */
		if (i == 1) {
			assert_int_equal(guest_read(&g, at + 3 * PAGE, 4), UINT32_MAX);
			guest_write(&g, at + 3 * PAGE, 0, 4);
		}
		assert_int_equal(fake_dev_bar_traps(hw, 0), 0);
		guest_close(&g);
		assert_true(fake_clean());
	}
}

/* What stderr got from `play`. */
static void listen(void (*play)(uint64_t at), uint64_t at, char *text, size_t size)
{
	int out = dup(STDERR_FILENO), end[2];
	assert_true(out >= 0 && pipe2(end, O_NONBLOCK) == 0);
	dup2(end[1], STDERR_FILENO);
	play(at);
	dup2(out, STDERR_FILENO);
	ssize_t n = read(end[0], text, size - 1);
	text[MAX(n, 0)] = '\0';
	close(out);
	close(end[0]);
	close(end[1]);
}

static void read_a_little(uint64_t at)
{
	for (unsigned int i = 0; i < 9999; i++)
		guest_read(&g, at + 0x1000, 4);
}

static void write_much(uint64_t at)
{
	for (unsigned int i = 0; i < 30000; i++)
		guest_write(&g, at + 0x1ff0, i, 4);
}

/* The table stays where it is, and the user hears of it once it has cost something; once. */
static void test_registers_beside_the_table_are_told_of(void **state)
{
	static const char words[] =
		"the guest uses registers in a page of BAR 0 that has the MSI-X "
		"table or pending bits, which costs an exit each time: "
		"x-msix-relocation=auto moves those";
	char text[1024];
	(void)state;
	flow_start(&zoo_shared_page);
	flow_enable();
	listen(read_a_little, guest_bar_addr(fn, 0), text, sizeof(text));
	assert_string_equal(text, "");
	listen(write_much, guest_bar_addr(fn, 0), text, sizeof(text));
	char *at = strstr(text, words);
	assert_non_null(at);
	assert_null(strstr(at + 1, words));
}

/* --- the user's word -------------------------------------------------------------------------- */

static void test_bar_trapped_by_word_works_and_has_no_peers(void **state)
{
	(void)state;
	flow_start_with(&zoo_e1000e, ",bar0=trap", NULL);
	flow_enable();
	guest_write(&g, guest_bar_addr(fn, 0) + 8, 7, 4);
	assert_int_equal(g.last, FAKE_ACCESS_EXIT);
	assert_int_equal(guest_read(&g, guest_bar_addr(fn, 0) + 8, 4), 7);
	assert_false(fake_dev_bar_mapped(hw, 0, 0, PAGE));
	assert_false(fake_dev_bar_dma_mapped(hw, 0, 0, PAGE));
	assert_true(direct(guest_bar_addr(fn, 1)));
}

static void test_hidden_bar_is_not_there(void **state)
{
	(void)state;
	flow_start_with(&zoo_gpu, ",bar1=hide", NULL);
	flow_enable();
	assert_int_equal(guest_bar(fn, 1).size, 0);
	assert_int_equal(guest_bar(fn, 2).size, 0); /* its upper half */
	assert_false(fake_dev_bar_mapped(hw, 1, 0, PAGE));
	assert_true(guest_bar(fn, 0).size > 0);
}

static void test_words_that_cannot_be_kept(void **state)
{
	(void)state;
	fake_zoo_one(&zoo_nvme);
	assert_refused(",bar0=hide", "vfio-pci dut: 0000:03:00.0: bar0=hide: the MSI-X table or "
				     "pending bits are in BAR 0; bar0=trap keeps them");
	assert_refused(",bar1=trap", "vfio-pci dut: 0000:03:00.0: bar1=trap: BAR 1 is the upper "
				     "half of the 64-bit BAR 0");
	assert_refused(",bar5=hide",
		       "vfio-pci dut: 0000:03:00.0: bar5=hide: the function has no BAR 5");
	assert_refused(",x-no-mmap=on,bar0=hide",
		       "vfio-pci dut: 0000:03:00.0: x-no-mmap=on traps every BAR and bar0=hide "
		       "leaves it out: drop one of the two");
	assert_refused(",bar0=off",
		       "vfio-pci: bar0: 'off' is none of direct, trap, hide, host and an address");
}

static void test_plan_tells_what_becomes_of_each_bar(void **state)
{
	const struct guest_setup s = { .accel = "none",
				       .dry_run = true,
				       .device = { "vfio-pci,host=" HOST_BDF
						   ",bar0=trap,bar1=hide,rombar=off" } };
	struct verr err = { 0 };
	char *text = NULL;
	size_t len = 0;
	(void)state;
	fake_zoo_one(&zoo_e1000e);
	if (guest_open(&g, &s, &err) < 0)
		fail_msg("%s", err.msg);
	FILE *out = open_memstream(&text, &len);
	machine_describe(g.m, out);
	fclose(out);
	assert_non_null(strstr(text, "  BAR 0: 0x20000 bytes, 0 mapped directly, no peer-to-peer "
				     "DMA to it\n"
				     "  BAR 1: left out (bar1=hide)\n"
				     "  BAR 2: 0x20 bytes, 0 mapped directly\n"
				     "  BAR 3: 0x4000 bytes, 0x2000 mapped directly, MSI-X table "
				     "trapped\n"
				     "  ROM: hidden (rombar=off)\n"));
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_small_bar_with_a_page_to_itself_needs_no_exit),
		FLOW_TEST(test_small_bar_inside_a_page_is_trapped),
		FLOW_TEST(test_small_bars_may_share_a_page),
		FLOW_TEST(test_every_size_from_1m_to_64g),
		FLOW_TEST(test_firmware_that_parks_all_bars_at_one_place),
		FLOW_TEST(test_halves_of_a_64_bit_bar_in_either_order),
		FLOW_TEST(test_bar_over_what_is_not_its_own),
		FLOW_TEST(test_moved_table_leaves_the_registers_without_exits),
		FLOW_TEST(test_registers_beside_the_table_are_told_of),
		FLOW_TEST(test_bar_trapped_by_word_works_and_has_no_peers),
		FLOW_TEST(test_hidden_bar_is_not_there),
		FLOW_TEST(test_words_that_cannot_be_kept),
		FLOW_TEST(test_plan_tells_what_becomes_of_each_bar),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
