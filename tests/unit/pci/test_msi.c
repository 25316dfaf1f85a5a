// SPDX-License-Identifier: GPL-2.0-or-later
// MSI as a state machine: what a recording sink is told for what a guest writes.
#include "rec.h"

#include "pci/msi.h"

struct sink {
	unsigned int batches, depth, calls, enables;
	bool on;
	unsigned int n;
	bool live[32];
	struct msi_msg msg[32];
	uint32_t pending;
	bool vector_before_enable;
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
	assert_true(vec < 32);
	assert_true(s->on); /* on before the first vector, off after the last */
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
		for (unsigned int i = 0; i < 32; i++)
			assert_false(s->live[i]);
	s->on = on;
	s->n = n;
	s->enables++;
}

static bool s_pending(void *o, unsigned int vec)
{
	struct sink *s = o;
	assert_false(s->live[vec]); /* live vectors have nothing pending */
	return (s->pending & BIT32(vec)) != 0;
}

static const struct msi_sink sink_ops = { s_begin, s_vector, s_end, s_enable, s_pending };

struct fix {
	struct pcicfg cfg;
	struct msi m;
	struct sink s;
};

static struct fix f;

static void make(unsigned int n, bool is64, bool maskable)
{
	memset(&f, 0, sizeof(f));
	pcicfg_init(&f.cfg, 256);
	assert_int_equal(msi_init(&f.m, &f.cfg, 0x50, n, is64, maskable, &sink_ops, &f.s, NULL), 0);
	assert_int_equal(pcicap_find(&f.cfg, PCI_CAP_ID_MSI), 0x50);
}

static void w(unsigned int off, uint32_t val, unsigned int size)
{
	pcicfg_write(&f.cfg, NULL, NULL, 0x50 + off, val, size);
	msi_cfg_written(&f.m, 0x50 + off, size);
}

static uint32_t r(unsigned int off, unsigned int size)
{
	msi_cfg_read(&f.m, 0x50 + off, size);
	return pcicfg_read(&f.cfg, NULL, NULL, 0x50 + off, size);
}

static void test_capability_says_what_was_asked_for(void **state)
{
	(void)state;
	make(8, true, true);
	assert_int_equal(r(2, 2), 3 << 1 | PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	make(1, false, false);
	assert_int_equal(r(2, 2), 0);
	assert_int_equal(msi_len(false, false), 10);
	assert_int_equal(msi_len(true, true), 24);
	assert_int_equal(msi_init(&f.m, &f.cfg, 0, 3, true, true, &sink_ops, &f.s, NULL), -EINVAL);
	assert_int_equal(msi_init(&f.m, &f.cfg, 0, 64, true, true, &sink_ops, &f.s, NULL), -EINVAL);
	assert_int_equal(msi_init(&f.m, &f.cfg, 0, 0, true, true, &sink_ops, &f.s, NULL), -EINVAL);
}

static void test_enable_tells_every_vector_with_its_data(void **state)
{
	(void)state;
	make(4, true, true);
	w(4, 0xfee01003, 4); /* low bits do not stick */
	w(8, 0x1, 4);
	w(12, 0x4042, 2);
	assert_int_equal(f.s.calls, 0);
	w(2, PCI_MSI_FLAGS_ENABLE | 2 << 4, 2);
	assert_int_equal(f.s.batches, 1);
	assert_int_equal(f.s.n, 4);
	for (unsigned int i = 0; i < 4; i++) {
		assert_true(f.s.live[i]);
		assert_true(f.s.msg[i].addr == 0x1fee01000);
		assert_int_equal(f.s.msg[i].data, 0x4040 | i);
	}
	assert_false(f.s.live[4]);
	w(2, 0, 2);
	assert_false(f.s.on);
}

static void test_enable_works_by_byte_word_and_dword(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= 4; size *= 2) {
		make(1, true, false);
		if (size == 4)
			w(0, PCI_MSI_FLAGS_ENABLE << 16, 4);
		else
			w(2, PCI_MSI_FLAGS_ENABLE, size);
		assert_true(f.s.on);
		assert_true(f.s.live[0]);
	}
}

static void test_more_vectors_than_offered_are_cut(void **state)
{
	(void)state;
	make(2, true, true);
	w(2, PCI_MSI_FLAGS_ENABLE | 7 << 4, 2);
	assert_int_equal(f.s.n, 2);
	assert_int_equal(f.s.calls, 2);
}

static void test_masks_stop_and_start_single_vectors(void **state)
{
	(void)state;
	make(4, true, true);
	w(16, 0x5, 4);
	w(2, PCI_MSI_FLAGS_ENABLE | 2 << 4, 2);
	assert_false(f.s.live[0]);
	assert_true(f.s.live[1]);
	assert_false(f.s.live[2]);
	f.s.calls = 0;
	w(16, 0x6, 1); /* unmasks 0, masks 1 */
	assert_int_equal(f.s.calls, 2);
	assert_true(f.s.live[0]);
	assert_false(f.s.live[1]);
	w(16, UINT32_MAX, 4);
	assert_int_equal(r(16, 4), 0xf); /* only what there is */
	unsigned int calls = f.s.calls;
	w(16, 0xf, 4); /* nothing new */
	assert_int_equal(f.s.calls, calls);
}

static void test_pending_bits_show_masked_vectors_that_fired(void **state)
{
	(void)state;
	make(8, true, true);
	f.s.pending = 0xff;
	assert_int_equal(r(20, 4), 0); /* off */
	w(16, 0x3, 4);
	w(2, PCI_MSI_FLAGS_ENABLE | 2 << 4, 2);
	assert_int_equal(r(20, 4), 0x3);
	assert_int_equal(r(20, 1), 0x3);
	f.s.pending = 0x2;
	assert_int_equal(r(20, 2), 0x2);
	w(20, 0, 4); /* read-only */
	assert_int_equal(r(20, 4), 0x2);
}

static void test_moving_the_message_tells_live_vectors(void **state)
{
	(void)state;
	make(2, false, true);
	w(2, PCI_MSI_FLAGS_ENABLE | 1 << 4, 2);
	w(12, 0x1, 4); /* mask vector 0 */
	f.s.calls = 0;
	w(4, 0xfee02000, 4);
	assert_int_equal(f.s.calls, 1); /* vector 1 only */
	w(8, 0x30, 2);
	assert_int_equal(f.s.msg[1].data, 0x31);
	assert_int_equal(f.s.msg[1].addr, 0xfee02000);
	w(12, 0, 4);
	assert_int_equal(f.s.msg[0].data, 0x30);
}

static void test_changing_the_count_while_on_starts_anew(void **state)
{
	(void)state;
	make(8, true, false);
	w(2, PCI_MSI_FLAGS_ENABLE, 2);
	assert_int_equal(f.s.n, 1);
	w(2, PCI_MSI_FLAGS_ENABLE | 3 << 4, 2);
	assert_true(f.s.on);
	assert_int_equal(f.s.n, 8);
	assert_int_equal(f.s.enables, 3);
	assert_true(f.s.live[7]);
}

static void test_writes_elsewhere_are_nobodys_business(void **state)
{
	(void)state;
	make(1, true, true);
	w(2, PCI_MSI_FLAGS_ENABLE, 2);
	f.s.batches = 0;
	msi_cfg_written(&f.m, 0x4c, 4);
	msi_cfg_written(&f.m, 0x50 + 24, 4);
	msi_cfg_written(&f.m, 0x50, 24);
	assert_int_equal(f.s.batches, 0);
}

static void test_reset_is_off_and_blank(void **state)
{
	(void)state;
	make(4, true, true);
	w(4, 0xfee00000, 4);
	w(12, 0x41, 2);
	w(16, 1, 4);
	w(2, PCI_MSI_FLAGS_ENABLE | 2 << 4, 2);
	msi_reset(&f.m);
	assert_false(f.s.on);
	assert_int_equal(r(2, 2), 2 << 1 | PCI_MSI_FLAGS_64BIT | PCI_MSI_FLAGS_MASKBIT);
	for (unsigned int off = 4; off < 24; off += 4)
		assert_int_equal(r(off, 4), 0);
	msi_reset(&f.m); /* twice is nothing */
	assert_int_equal(f.s.enables, 2);
}

/* Whatever is written, the sink's picture is the registers' picture. */
static void test_random_writes_keep_sink_and_registers_together(void **state)
{
	uint32_t x = 99;
	(void)state;
	make(16, true, true);
	for (unsigned int i = 0; i < 20000; i++) {
		x = x * 1664525 + 1013904223;
		unsigned int size = 1U << (x >> 8) % 3;
		unsigned int off = (x >> 12) % 24 & ~(size - 1);
		w(off, x ^ x << 13, size);
		uint32_t flags = (uint32_t)pcicfg_get(&f.cfg, 0x52, 2);
		bool on = (flags & PCI_MSI_FLAGS_ENABLE) != 0;
		unsigned int n = on ? 1U << MIN(flags >> 4 & 7, 4U) : 0;
		uint32_t mask = (uint32_t)pcicfg_get(&f.cfg, 0x60, 4);
		assert_int_equal(f.s.on, on);
		assert_int_equal(f.s.n, n);
		for (unsigned int v = 0; v < 32; v++) {
			bool live = v < n && (mask & BIT32(v)) == 0;
			assert_int_equal(f.s.live[v], live);
			if (!live)
				continue;
			assert_true(f.s.msg[v].addr == pcicfg_get(&f.cfg, 0x54, 8));
			assert_int_equal(f.s.msg[v].data,
					 (pcicfg_get(&f.cfg, 0x5c, 2) & ~(uint64_t)(n - 1)) | v);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_capability_says_what_was_asked_for),
		cmocka_unit_test(test_enable_tells_every_vector_with_its_data),
		cmocka_unit_test(test_enable_works_by_byte_word_and_dword),
		cmocka_unit_test(test_more_vectors_than_offered_are_cut),
		cmocka_unit_test(test_masks_stop_and_start_single_vectors),
		cmocka_unit_test(test_pending_bits_show_masked_vectors_that_fired),
		cmocka_unit_test(test_moving_the_message_tells_live_vectors),
		cmocka_unit_test(test_changing_the_count_while_on_starts_anew),
		cmocka_unit_test(test_writes_elsewhere_are_nobodys_business),
		cmocka_unit_test(test_reset_is_off_and_blank),
		cmocka_unit_test(test_random_writes_keep_sink_and_registers_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
