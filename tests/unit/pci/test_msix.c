// SPDX-License-Identifier: GPL-2.0-or-later
// MSI-X as a state machine: table, pending bits, function mask; what a recording sink is told.
#include "rec.h"

#include "pci/msix.h"

struct sink {
	unsigned int batches, depth, calls;
	bool on;
	unsigned int n;
	bool live[2048];
	struct msi_msg msg[2048];
	bool pending[2048];
};

static void s_begin(void *o)
{
	struct sink *s = o;
	assert_int_equal(s->depth++, 0);
	s->batches++;
}

static void s_vector(void *o, unsigned int vec, const struct msi_msg *msg, bool live)
{
	struct sink *s = o;
	assert_int_equal(s->depth, 1);
	assert_true(vec < 2048);
	assert_true(s->on);
	assert_true(live || s->live[vec]); /* never told dead twice */
	s->live[vec] = live;
	s->msg[vec] = *msg;
	s->calls++;
}

static void s_end(void *o)
{
	struct sink *s = o;
	assert_int_equal(--s->depth, 0);
}

static void s_enable(void *o, bool on, unsigned int n)
{
	struct sink *s = o;
	assert_int_equal(s->depth, 1);
	assert_int_not_equal(s->on, on);
	if (!on)
		for (unsigned int i = 0; i < 2048; i++)
			assert_false(s->live[i]);
	s->on = on;
	s->n = n;
}

static bool s_pending(void *o, unsigned int vec)
{
	struct sink *s = o;
	assert_false(s->live[vec]);
	return s->pending[vec];
}

static const struct msi_sink sink_ops = { s_begin, s_vector, s_end, s_enable, s_pending };

static struct {
	struct pcicfg cfg;
	struct msix m;
	struct sink s;
} f;

static void make(unsigned int n)
{
	msix_fini(&f.m);
	memset(&f, 0, sizeof(f));
	pcicfg_init(&f.cfg, 256);
	assert_int_equal(
		msix_init(&f.m, &f.cfg, 0x70, n, 4, 0x2000, 2, 0x800, &sink_ops, &f.s, NULL), 0);
}

static int teardown(void **state)
{
	(void)state;
	msix_fini(&f.m);
	memset(&f, 0, sizeof(f));
	return 0;
}

static void ctl(unsigned int off, uint32_t val, unsigned int size)
{
	pcicfg_write(&f.cfg, NULL, NULL, 0x70 + off, val, size);
	msix_cfg_written(&f.m, 0x70 + off, size);
}

static void entry(unsigned int vec, uint64_t addr, uint32_t data, uint32_t mask)
{
	msix_table_write(&f.m, vec * 16, addr, 8);
	msix_table_write(&f.m, vec * 16 + 8, data, 4);
	msix_table_write(&f.m, vec * 16 + 12, mask, 4);
}

#define ON    PCI_MSIX_FLAGS_ENABLE
#define FMASK PCI_MSIX_FLAGS_MASKALL

static void test_capability_says_where_things_are(void **state)
{
	(void)state;
	make(33);
	assert_int_equal(pcicap_find(&f.cfg, PCI_CAP_ID_MSIX), 0x70);
	assert_int_equal(pcicfg_get(&f.cfg, 0x72, 2), 32);
	assert_int_equal(pcicfg_get(&f.cfg, 0x74, 4), 0x2004);
	assert_int_equal(pcicfg_get(&f.cfg, 0x78, 4), 0x802);
	assert_int_equal(MSIX_TABLE_SIZE(33), 528);
	assert_int_equal(MSIX_PBA_SIZE(1), 8);
	assert_int_equal(MSIX_PBA_SIZE(64), 8);
	assert_int_equal(MSIX_PBA_SIZE(65), 16);
	assert_int_equal(MSIX_PBA_SIZE(2048), 256);
	for (unsigned int i = 0; i < 33; i++)
		assert_int_equal(msix_table_read(&f.m, i * 16 + 12, 4), 1); /* masked */
}

static void test_impossible_layouts_are_refused(void **state)
{
	static const struct {
		unsigned int n, tbir;
		uint32_t toff;
		unsigned int pbir;
		uint32_t poff;
	} bad[] = {
		{ 0, 0, 0, 0, 0x800 }, { 2049, 0, 0, 0, 0x8000 }, { 1, 6, 0, 0, 0 },
		{ 1, 0, 0, 7, 0 },     { 1, 0, 4, 0, 0x800 },	  { 1, 0, 0, 0, 0x801 },
	};
	struct pcicfg c;
	struct msix m = { 0 };
	(void)state;
	pcicfg_init(&c, 256);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct verr err = { 0 };
		assert_int_equal(msix_init(&m, &c, 0, bad[i].n, bad[i].tbir, bad[i].toff,
					   bad[i].pbir, bad[i].poff, &sink_ops, NULL, &err),
				 -EINVAL);
		assert_true(err.msg[0] != '\0');
		assert_int_equal(pcicap_find(&c, PCI_CAP_ID_MSIX), 0);
	}
}

static void test_vector_is_live_when_enabled_and_unmasked(void **state)
{
	(void)state;
	make(4);
	entry(1, 0xfee00003, 0x41, 0);
	assert_int_equal(f.s.calls, 0); /* off: nobody is told */
	ctl(2, ON, 2);
	assert_int_equal(f.s.n, 4);
	assert_true(f.s.live[1]);
	assert_false(f.s.live[0]);
	assert_true(f.s.msg[1].addr == 0xfee00000); /* dword aligned */
	assert_int_equal(f.s.msg[1].data, 0x41);
	entry(0, 0x1fee00000, 0x42, 0);
	assert_true(f.s.live[0]);
	assert_true(f.s.msg[0].addr == 0x1fee00000);
	msix_table_write(&f.m, 12, 1, 4);
	assert_false(f.s.live[0]);
	ctl(2, 0, 2);
	assert_false(f.s.on);
}

static void test_enable_works_by_byte_word_and_dword(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= 4; size *= 2) {
		make(2);
		entry(0, 0xfee00000, 1, 0);
		if (size == 1)
			ctl(3, ON >> 8, 1);
		else if (size == 2)
			ctl(2, ON, 2);
		else
			ctl(0, (uint32_t)ON << 16, 4);
		assert_true(f.s.on);
		assert_true(f.s.live[0]);
	}
}

static void test_function_mask_masks_and_unmasks_all_in_one_batch(void **state)
{
	(void)state;
	make(64);
	for (unsigned int i = 0; i < 64; i++)
		entry(i, 0xfee00000, i, i % 2);
	ctl(2, ON | FMASK, 2);
	assert_true(f.s.on);
	assert_int_equal(f.s.calls, 0);
	assert_int_equal(f.s.batches, 1);
	ctl(2, ON, 2);
	assert_int_equal(f.s.calls, 32);
	assert_int_equal(f.s.batches, 2);
	ctl(3, (ON | FMASK) >> 8, 1);
	assert_int_equal(f.s.calls, 64);
	assert_int_equal(f.s.batches, 3);
	for (unsigned int i = 0; i < 64; i++)
		assert_false(f.s.live[i]);
	ctl(2, FMASK, 2);
	assert_false(f.s.on);
	ctl(2, 0, 2);
	assert_int_equal(f.s.batches, 4); /* the mask alone, while off, is no event */
}

static void test_message_of_a_live_vector_follows_the_table(void **state)
{
	(void)state;
	make(1);
	entry(0, 0xfee00000, 1, 0);
	ctl(2, ON, 2);
	msix_table_write(&f.m, 8, 0x99, 4);
	assert_int_equal(f.s.msg[0].data, 0x99);
	assert_true(f.s.live[0]);
	msix_table_write(&f.m, 8, UINT64_C(1) << 32 | 0x55, 8); /* data and mask at once */
	assert_false(f.s.live[0]);
	assert_int_equal(msix_table_read(&f.m, 8, 8), UINT64_C(1) << 32 | 0x55);
}

static void test_reserved_vector_control_bits_stay_zero(void **state)
{
	(void)state;
	make(1);
	msix_table_write(&f.m, 12, UINT32_MAX, 4);
	assert_int_equal(msix_table_read(&f.m, 12, 4), 1);
}

static void test_odd_accesses_do_nothing(void **state)
{
	static const struct {
		uint64_t off;
		unsigned int size;
	} odd[] = { { 0, 1 },
		    { 0, 2 },
		    { 2, 4 },
		    { 4, 8 },
		    { 12, 8 },
		    { 1, 4 },
		    { 64, 4 },
		    { 60, 8 },
		    { UINT64_MAX - 3, 4 },
		    { UINT64_MAX - 7, 8 } };
	(void)state;
	make(4);
	ctl(2, ON, 2);
	unsigned int batches = f.s.batches;
	for (size_t i = 0; i < ARRAY_SIZE(odd); i++)
		msix_table_write(&f.m, odd[i].off, UINT64_MAX, odd[i].size);
	assert_int_equal(f.s.batches, batches);
	for (unsigned int i = 0; i < 64; i += 4)
		assert_int_equal(msix_table_read(&f.m, i, 4), i % 16 == 12 ? 1 : 0);
	assert_int_equal(msix_table_read(&f.m, 64, 4), 0);
	assert_int_equal(msix_table_read(&f.m, 60, 8), 0);
	assert_int_equal(msix_table_read(&f.m, UINT64_MAX - 3, 4), 0);
	assert_int_equal(msix_table_read(&f.m, 12, 1), 1); /* narrow reads answer what is there */
}

static void test_pba_shows_masked_vectors_that_fired(void **state)
{
	(void)state;
	make(70);
	f.s.pending[0] = f.s.pending[31] = f.s.pending[32] = f.s.pending[69] = true;
	ctl(2, ON, 2);
	assert_true(msix_pba_read(&f.m, 0, 8) == (UINT64_C(1) << 32 | 0x80000001));
	assert_int_equal(msix_pba_read(&f.m, 4, 4), 1);
	assert_int_equal(msix_pba_read(&f.m, 8, 8), 1 << 5);
	assert_int_equal(msix_pba_read(&f.m, 3, 1), 0x80);
	assert_int_equal(msix_pba_read(&f.m, 16, 4), 0);
	assert_int_equal(msix_pba_read(&f.m, 12, 8), 0);
	entry(0, 0xfee00000, 0, 0); /* unmasked: not pending any more */
	assert_int_equal(msix_pba_read(&f.m, 0, 4), 0x80000000);
}

static void test_reset_masks_and_blanks_everything(void **state)
{
	(void)state;
	make(2048);
	for (unsigned int i = 0; i < 2048; i++)
		entry(i, 0xfee00000, i, 0);
	ctl(2, ON, 2);
	assert_int_equal(f.s.calls, 2048);
	msix_reset(&f.m);
	assert_false(f.s.on);
	assert_int_equal(pcicfg_get(&f.cfg, 0x72, 2), 2047);
	for (unsigned int i = 0; i < 2048; i++) {
		assert_int_equal(msix_table_read(&f.m, i * 16, 8), 0);
		assert_true(msix_table_read(&f.m, i * 16 + 8, 8) == UINT64_C(1) << 32);
	}
	msix_reset(&f.m);
}

/* Whatever a guest does, the sink's picture is the table's picture. */
static void test_random_accesses_keep_sink_and_table_together(void **state)
{
	uint32_t x = 7;
	(void)state;
	make(48);
	for (unsigned int i = 0; i < 50000; i++) {
		x = x * 1664525 + 1013904223;
		uint64_t off = (x >> 8) % (48 * 16 + 32);
		if ((x >> 4) % 16 == 0)
			ctl(2, x >> 16, 2);
		else
			msix_table_write(&f.m, (x & 8) != 0 ? off & ~UINT64_C(3) : off,
					 (uint64_t)x << 16 ^ x, 1U << (x >> 28) % 4);
		if (i % 16 != 0)
			continue;
		uint32_t flags = (uint32_t)pcicfg_get(&f.cfg, 0x72, 2);
		assert_int_equal(f.s.on, (flags & ON) != 0);
		for (unsigned int v = 0; v < 48; v++) {
			bool live = (flags & ON) != 0 && (flags & FMASK) == 0 &&
				    (msix_table_read(&f.m, v * 16 + 12, 4) & 1) == 0;
			assert_int_equal(f.s.live[v], live);
			if (!live)
				continue;
			assert_true(f.s.msg[v].addr ==
				    (msix_table_read(&f.m, v * 16, 8) & ~UINT64_C(3)));
			assert_int_equal(f.s.msg[v].data, msix_table_read(&f.m, v * 16 + 8, 4));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capability_says_where_things_are),
		cmocka_unit_test(test_impossible_layouts_are_refused),
		cmocka_unit_test(test_vector_is_live_when_enabled_and_unmasked),
		cmocka_unit_test(test_enable_works_by_byte_word_and_dword),
		cmocka_unit_test(test_function_mask_masks_and_unmasks_all_in_one_batch),
		cmocka_unit_test(test_message_of_a_live_vector_follows_the_table),
		cmocka_unit_test(test_reserved_vector_control_bits_stay_zero),
		cmocka_unit_test(test_odd_accesses_do_nothing),
		cmocka_unit_test(test_pba_shows_masked_vectors_that_fired),
		cmocka_unit_test(test_reset_masks_and_blanks_everything),
		cmocka_unit_test(test_random_accesses_keep_sink_and_table_together),
	};
	return cmocka_run_group_tests(tests, NULL, teardown);
}
