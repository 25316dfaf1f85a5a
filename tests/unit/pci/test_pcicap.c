// SPDX-License-Identifier: GPL-2.0-or-later
// Capability lists: walks end whatever a device or guest left there, and what is placed is found.
#include "rec.h"

#include "pci/pcicap.h"

static uint32_t raw_reader(void *opaque, unsigned int off)
{
	assert_true(off % 4 == 0 && off + 4 <= PCICFG_SIZE);
	return get_le32((const uint8_t *)opaque + off);
}

struct seen {
	unsigned int n;
	struct pcicap cap[1024];
	uint16_t stop_at; /* id */
};

static int see(void *ctx, const struct pcicap *cap)
{
	struct seen *s = ctx;
	assert_true(s->n < ARRAY_SIZE(s->cap));
	s->cap[s->n++] = *cap;
	return cap->id == s->stop_at && s->stop_at != 0 ? 77 : 0;
}

static uint8_t space[PCICFG_SIZE];
static struct seen seen;

static int walk(void)
{
	memset(&seen, 0, sizeof(seen));
	return pcicap_walk(raw_reader, space, see, &seen);
}

static int walk_ext(void)
{
	memset(&seen, 0, sizeof(seen));
	return pcicap_walk_ext(raw_reader, space, see, &seen);
}

static void begin(uint8_t first)
{
	memset(space, 0, sizeof(space));
	space[PCI_STATUS] = PCI_STATUS_CAP_LIST;
	space[PCI_CAPABILITY_LIST] = first;
}

static void put(unsigned int off, uint8_t id, uint8_t next)
{
	space[off] = id;
	space[off + 1] = next;
}

static void put_ext(unsigned int off, uint16_t id, unsigned int version, unsigned int next)
{
	put_le32(&space[off], id | version << 16 | next << 20);
}

static void test_walks_in_list_order(void **state)
{
	(void)state;
	begin(0x80);
	put(0x80, PCI_CAP_ID_PM, 0x43); /* low two bits are reserved: masked */
	put(0x40, PCI_CAP_ID_MSI, 0xa0);
	put(0xa0, PCI_CAP_ID_EXP, 0);
	assert_int_equal(walk(), 0);
	assert_int_equal(seen.n, 3);
	assert_int_equal(seen.cap[0].off, 0x80);
	assert_int_equal(seen.cap[0].next, 0x40);
	assert_int_equal(seen.cap[1].id, PCI_CAP_ID_MSI);
	assert_int_equal(seen.cap[2].off, 0xa0);
}

static void test_no_list_without_the_status_bit(void **state)
{
	(void)state;
	begin(0x40);
	space[PCI_STATUS] = 0;
	assert_int_equal(walk(), 0);
	assert_int_equal(seen.n, 0);
}

static void test_broken_lists_end_the_walk(void **state)
{
	static const struct {
		const char *name;
		uint8_t first, id, next;
		int want;
		unsigned int n;
	} cases[] = {
		{ "self loop", 0x40, 5, 0x40, -ELOOP, 1 },
		{ "into the header", 0x40, 5, 0x10, -EBADMSG, 1 },
		{ "starts in the header", 0x3c, 5, 0, -EBADMSG, 0 },
		{ "id all ones", 0x40, 0xff, 0, -EBADMSG, 0 },
		{ "last dword", 0xfc, 9, 0, 0, 1 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(cases[i].first);
		if (cases[i].first >= 0x40)
			put(cases[i].first, cases[i].id, cases[i].next);
		assert_int_equal(walk(), cases[i].want);
		assert_int_equal(seen.n, cases[i].n);
	}
	memset(space, 0xff, sizeof(space)); /* nobody there */
	assert_int_equal(walk(), -EBADMSG);
	assert_int_equal(walk_ext(), 0);
}

static void test_longest_lists_are_walked_whole(void **state)
{
	(void)state;
	begin(0x40);
	for (unsigned int o = 0x40; o < 0x100; o += 4)
		put(o, PCI_CAP_ID_VNDR, (uint8_t)(o + 4));
	assert_int_equal(walk(), 0);
	assert_int_equal(seen.n, 48);
	memset(space, 0, sizeof(space));
	for (unsigned int o = 0x100; o < 0x1000; o += 4)
		put_ext(o, PCI_EXT_CAP_ID_VNDR, 1, (o + 4) & 0xfff);
	assert_int_equal(walk_ext(), 0);
	assert_int_equal(seen.n, 960);
}

static void test_random_bytes_never_hang_or_leave_bounds(void **state)
{
	uint32_t x = 12345;
	(void)state;
	for (unsigned int round = 0; round < 3000; round++) {
		for (unsigned int i = 0; i < PCICFG_SIZE; i++) {
			x = x * 1664525 + 1013904223;
			space[i] = (uint8_t)(x >> 24);
		}
		space[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
		walk();
		assert_in_range(seen.n, 0, 48);
		walk_ext();
		assert_in_range(seen.n, 0, 960);
	}
}

static void test_callback_stops_the_walk(void **state)
{
	(void)state;
	begin(0x40);
	put(0x40, PCI_CAP_ID_PM, 0x50);
	put(0x50, PCI_CAP_ID_MSI, 0x60);
	memset(&seen, 0, sizeof(seen));
	seen.stop_at = PCI_CAP_ID_PM;
	assert_int_equal(pcicap_walk(raw_reader, space, see, &seen), 77);
	assert_int_equal(seen.n, 1);
}

static void test_extended_list_with_a_hidden_head(void **state)
{
	(void)state;
	memset(space, 0, sizeof(space));
	put_ext(0x100, 0, 0, 0x140);
	put_ext(0x140, PCI_EXT_CAP_ID_DSN, 1, 0);
	assert_int_equal(walk_ext(), 0);
	assert_int_equal(seen.n, 2);
	assert_int_equal(seen.cap[0].id, 0);
	assert_int_equal(seen.cap[1].id, PCI_EXT_CAP_ID_DSN);
	put_ext(0x140, PCI_EXT_CAP_ID_DSN, 1, 0x40);
	assert_int_equal(walk_ext(), -EBADMSG);
	put_ext(0x140, PCI_EXT_CAP_ID_DSN, 1, 0x100);
	assert_int_equal(walk_ext(), -ELOOP);
}

static void test_lengths_follow_the_registers(void **state)
{
	static const struct {
		uint8_t id;
		uint16_t flags;
		unsigned int want;
	} cases[] = {
		{ PCI_CAP_ID_PM, 0, 8 },
		{ PCI_CAP_ID_MSI, 0, 10 },
		{ PCI_CAP_ID_MSI, PCI_MSI_FLAGS_64BIT, 14 },
		{ PCI_CAP_ID_MSI, PCI_MSI_FLAGS_MASKBIT, 20 },
		{ PCI_CAP_ID_MSI, PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT, 24 },
		{ PCI_CAP_ID_MSIX, 0, 12 },
		{ PCI_CAP_ID_VNDR, 0x14, 0x14 },
		{ PCI_CAP_ID_EXP, 0x0001, 0x14 },
		{ PCI_CAP_ID_EXP, 0x0002, 0x2c },
		{ PCI_CAP_ID_EXP, 0x0142, 0x3c },
		{ PCI_CAP_ID_EXP, 0x0091, 0x0c },
		{ PCI_CAP_ID_EXP, 0x0141, 0x24 },
		{ PCI_CAP_ID_PCIX, 0, 8 },
		{ PCI_CAP_ID_PCIX, 0x1000, 24 },
		{ PCI_CAP_ID_AF, 0, 6 },
		{ 0x7e, 0, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct pcicap cap = { .off = 0x40, .id = cases[i].id };
		begin(0x40);
		put(0x40, cases[i].id, 0);
		put_le16(&space[0x42], cases[i].flags);
		assert_int_equal(pcicap_len(raw_reader, space, &cap), cases[i].want);
	}
}

static void test_added_capabilities_are_linked_and_found(void **state)
{
	static struct pcicfg c;
	struct verr err = { 0 };
	(void)state;
	pcicfg_init(&c, 4096);
	assert_int_equal(pcicap_find(&c, PCI_CAP_ID_PM), 0);
	assert_int_equal(pcicap_add(&c, PCI_CAP_ID_PM, 8, 0, &err), 0x40);
	assert_int_equal(pcicap_add(&c, PCI_CAP_ID_MSIX, 12, 0xb0, &err), 0xb0);
	assert_int_equal(pcicap_add(&c, PCI_CAP_ID_VNDR, 5, 0, &err), 0x48);
	assert_int_equal(pcicap_add(&c, PCI_CAP_ID_VPD, 8, 0, &err), 0x50);
	assert_int_equal(c.val[PCI_CAPABILITY_LIST], 0x40);
	assert_true(c.val[PCI_STATUS] & PCI_STATUS_CAP_LIST);
	assert_int_equal(c.val[0x41], 0xb0);
	assert_int_equal(c.val[0xb1], 0x48);
	assert_int_equal(pcicap_find(&c, PCI_CAP_ID_VPD), 0x50);
	assert_int_equal(pcicap_find(&c, PCI_CAP_ID_AF), 0);

	assert_int_equal(pcicap_add_ext(&c, PCI_EXT_CAP_ID_ERR, 2, 0x48, 0x140, &err), -EINVAL);
	verr_clear(&err);
	assert_int_equal(pcicap_add_ext(&c, PCI_EXT_CAP_ID_ERR, 2, 0x48, 0, &err), 0x100);
	assert_int_equal(pcicap_add_ext(&c, PCI_EXT_CAP_ID_DSN, 1, 12, 0x200, &err), 0x200);
	assert_int_equal(pcicap_add_ext(&c, PCI_EXT_CAP_ID_ACS, 1, 8, 0, &err), 0x148);
	assert_int_equal(get_le32(&c.val[0x100]), 0x20020001);
	assert_int_equal(get_le32(&c.val[0x200]), 0x14810003);
	assert_int_equal(pcicap_find_ext(&c, PCI_EXT_CAP_ID_ACS), 0x148);
}

static void test_overlaps_and_overflows_are_refused(void **state)
{
	static struct pcicfg c;
	struct verr err = { 0 };
	(void)state;
	pcicfg_init(&c, 256);
	assert_int_equal(pcicap_add(&c, 9, 0x20, 0x60, &err), 0x60);
	assert_int_equal(pcicap_add(&c, 9, 8, 0x7c, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "0x7c"));
	assert_int_equal(pcicap_add(&c, 9, 0x10, 0x58, NULL), -EBUSY);
	assert_int_equal(pcicap_add(&c, 9, 8, 0x3c, NULL), -EINVAL);
	assert_int_equal(pcicap_add(&c, 9, 8, 0x42, NULL), -EINVAL);
	assert_int_equal(pcicap_add(&c, 9, 8, 0xfc, NULL), -EINVAL);
	assert_int_equal(pcicap_add(&c, 9, 0x90, 0, NULL), -ENOSPC);
	assert_int_equal(pcicap_add_ext(&c, 1, 1, 8, 0, NULL), -ENOSPC); /* conventional */
	assert_int_equal(pcicap_add(&c, 9, 0x80, 0, NULL), 0x80);
	/* Registers somebody filled in without a capability are not given away. */
	c.wmask[0x44] = 1;
	assert_int_equal(pcicap_add(&c, 9, 8, 0, NULL), 0x48);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walks_in_list_order),
		cmocka_unit_test(test_no_list_without_the_status_bit),
		cmocka_unit_test(test_broken_lists_end_the_walk),
		cmocka_unit_test(test_longest_lists_are_walked_whole),
		cmocka_unit_test(test_random_bytes_never_hang_or_leave_bounds),
		cmocka_unit_test(test_callback_stops_the_walk),
		cmocka_unit_test(test_extended_list_with_a_hidden_head),
		cmocka_unit_test(test_lengths_follow_the_registers),
		cmocka_unit_test(test_added_capabilities_are_linked_and_found),
		cmocka_unit_test(test_overlaps_and_overflows_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
