// SPDX-License-Identifier: GPL-2.0-or-later
// BAR decode: sizing, gating by COMMAND, power state and bridges, order of windows, and the
// MSI-X structures inside trapped BARs.
#include "rec.h"

static struct rig g;

static int setup(void **state)
{
	(void)state;
	rig_init(&g);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(&g);
	return 0;
}

static void w(struct tdev *t, unsigned int off, uint32_t val, unsigned int size)
{
	pcidev_cfg_write(&t->pd, off, val, size);
}

static uint32_t r(struct tdev *t, unsigned int off, unsigned int size)
{
	return pcidev_cfg_read(&t->pd, off, size);
}

static const struct tspec all_kinds = {
	.bar = { [0] = { PCIBAR_MEM32, false, KIB(16), 0 },
		 [1] = { PCIBAR_IO, false, 64, 0 },
		 [2] = { PCIBAR_MEM64, true, GIB(8), 0 },
		 [4] = { PCIBAR_MEM64, false, KIB(4), 0 },
		 [6] = { PCIBAR_ROM, false, KIB(64), 0 } },
	.pm = true,
	.pin = 1,
};

static void test_sizing_by_ones_works_whatever_decodes(void **state)
{
	struct tdev *t = rig_tdev(&g, "t", NULL, NULL, all_kinds);
	static const struct {
		unsigned int off;
		uint32_t want;
	} cases[] = {
		{ 0x10, 0xffffc000 }, { 0x14, 0xffffffc1 }, { 0x18, 0x0000000c },
		{ 0x1c, 0xfffffffe }, { 0x20, 0xfffff004 }, { 0x24, 0xffffffff },
		{ 0x30, 0xffff0001 },
	};
	(void)state;
	for (unsigned int command = 0; command < 4; command++) {
		for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
			for (unsigned int size = 1; size <= 4; size *= 2) {
				w(t, cases[i].off, 0, 4);
				w(t, 4, command, 2);
				for (unsigned int o = 0; o < 4; o += size)
					w(t, cases[i].off + o, (uint32_t)ones(size), size);
				assert_int_equal(r(t, cases[i].off, 4), cases[i].want);
				w(t, cases[i].off, 0, 4);
				w(t, 4, 0, 2);
			}
		}
	}
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++)
		assert_false(t->pd.bar[i].active);
}

static void test_command_gates_memory_and_io_apart(void **state)
{
	struct tdev *t = rig_tdev(&g, "t", NULL, NULL, all_kinds);
	uint64_t v;
	(void)state;
	w(t, 0x10, 0xd0000000, 4);
	w(t, 0x14, 0xc000, 4);
	assert_false(aspace_read(&g.mmio, 0xd0000000, &v, 4));
	w(t, 4, PCI_COMMAND_MEMORY, 2);
	assert_true(t->pd.bar[0].active);
	assert_false(t->pd.bar[1].active);
	assert_true(aspace_write(&g.mmio, 0xd0000010, 0x1234, 4));
	assert_int_equal(mmio_r(&g, 0xd0000010, 4), 0x1234);
	w(t, 4, PCI_COMMAND_IO, 1);
	assert_false(t->pd.bar[0].active);
	assert_true(t->pd.bar[1].active);
	assert_true(aspace_write(&g.pio, 0xc03c, 7, 1));
	assert_int_equal(t->mem[1][0x3c], 7);
	assert_false(aspace_read(&g.pio, 0xc040, &v, 1));
	assert_false(aspace_read(&g.mmio, 0xd0000000, &v, 4));
}

static void test_unassigned_and_half_sized_addresses_do_not_decode(void **state)
{
	struct tdev *t = rig_tdev(&g, "t", NULL, NULL, all_kinds);
	(void)state;
	w(t, 4, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
	assert_int_equal(t->enables, 0); /* all at zero */
	w(t, 0x10, UINT32_MAX, 4);
	w(t, 0x18, UINT32_MAX, 4);
	w(t, 0x1c, UINT32_MAX, 4);
	w(t, 0x20, UINT32_MAX, 4);
	w(t, 0x14, UINT32_MAX, 4);
	assert_int_equal(t->enables, 0);
	w(t, 0x24, 0x00010000, 4); /* beyond the guest's physical addresses: 2^48 */
	assert_int_equal(t->enables, 0);
	w(t, 0x24, 0x00000001, 4);
	assert_true(t->pd.bar[4].active);
	assert_true(t->pd.bar[4].gpa == 0x1fffff000);
}

static void test_64_bit_halves_are_written_apart(void **state)
{
	struct tdev *t = rig_tdev(&g, "t", NULL, NULL, all_kinds);
	(void)state;
	w(t, 4, PCI_COMMAND_MEMORY, 2);
	w(t, 0x1c, 0x2, 4);
	assert_true(t->pd.bar[2].active);
	assert_true(t->pd.bar[2].gpa == GIB(8));
	w(t, 0x1c, 0x6, 1);
	assert_true(t->pd.bar[2].gpa == GIB(24));
	assert_int_equal(t->enables, 2);
	assert_int_equal(t->disables, 1);
	w(t, 0x18, 0xffffffff, 4); /* no address bits there: nothing moves */
	assert_int_equal(t->disables, 1);
}

static void test_rom_has_an_enable_of_its_own(void **state)
{
	struct tdev *t = rig_tdev(&g, "t", NULL, NULL, all_kinds);
	(void)state;
	w(t, 0x30, 0xe0000000, 4);
	w(t, 4, PCI_COMMAND_MEMORY, 2);
	assert_false(t->pd.bar[PCIDEV_ROM].active);
	w(t, 0x30, 0xe0000001, 4);
	assert_true(t->pd.bar[PCIDEV_ROM].active);
	t->mem[PCIDEV_ROM][0] = 0x55;
	assert_int_equal(mmio_r(&g, 0xe0000000, 1), 0x55);
	w(t, 0x30, 0, 1);
	assert_false(t->pd.bar[PCIDEV_ROM].active);
}

static void test_d3hot_stops_decoding(void **state)
{
	struct tdev *t = rig_tdev(&g, "t", NULL, NULL, all_kinds);
	unsigned int ctrl = t->pd.pm_off + PCI_PM_CTRL;
	(void)state;
	w(t, 0x10, 0xd0000000, 4);
	w(t, 4, PCI_COMMAND_MEMORY, 2);
	w(t, ctrl, 3, 2);
	assert_false(t->pd.bar[0].active);
	assert_int_equal(t->disables, 1);
	assert_int_equal(r(t, ctrl, 2) & 3, 3);
	w(t, ctrl, 1, 1); /* D1 and D2 are not there */
	assert_int_equal(r(t, ctrl, 2) & 3, 3);
	w(t, ctrl, 0, 2);
	assert_true(t->pd.bar[0].active);
	w(t, ctrl, 2, 4);
	assert_int_equal(r(t, ctrl, 2) & 3, 0);
}

/* What goes must go before the shadow changes, what comes must come after it has. */
static void test_windows_go_before_and_come_after_the_write(void **state)
{
	struct tdev *t = rig_tdev(&g, "t", NULL, NULL, all_kinds);
	(void)state;
	w(t, 0x10, 0xd0000000, 4);
	t->log[0] = '\0';
	w(t, 4, PCI_COMMAND_MEMORY, 2);
	w(t, 0x10, 0xd8000000, 4);
	w(t, 4, 0, 2);
	assert_string_equal(t->log, "enable written disable enable written disable written ");
}

static void test_bars_may_swap_places(void **state)
{
	struct tspec s = { .bar = { [0] = { PCIBAR_MEM32, false, KIB(4), 0 } } };
	struct tdev *a = rig_tdev(&g, "a", NULL, NULL, s);
	struct tdev *b = rig_tdev(&g, "b", NULL, NULL, s);
	(void)state;
	a->mem[0][0] = 0xaa;
	b->mem[0][0] = 0xbb;
	w(a, 0x10, 0xd0000000, 4);
	w(b, 0x10, 0xd0001000, 4);
	w(a, 4, 2, 2);
	w(b, 4, 2, 2);
	w(a, 0x10, 0xd0001000, 4); /* on top of each other for a moment */
	w(b, 0x10, 0xd0000000, 4);
	assert_int_equal(mmio_r(&g, 0xd0000000, 1), 0xbb);
	assert_int_equal(mmio_r(&g, 0xd0001000, 1), 0xaa);
}

/* ---- behind a bridge ------------------------------------------------------------------------- */

static void test_a_bar_outside_its_bridges_window_does_not_decode(void **state)
{
	struct pcidev *rp = rig_add(&g, &rootport_type, "rp", NULL, NULL);
	struct tdev *t = rig_tdev(&g, "t", "rp", NULL, all_kinds);
	(void)state;
	rig_start(&g);
	w(t, 0x10, 0xd0000000, 4);
	w(t, 0x14, 0xc000, 4);
	w(t, 0x1c, 0x4, 4); /* 16 GiB */
	w(t, 4, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
	assert_int_equal(t->enables, 0);
	pcidev_cfg_write(rp, PCI_MEMORY_BASE, 0xd000d000, 4);
	assert_int_equal(t->enables, 0); /* the bridge's own COMMAND is off */
	pcidev_cfg_write(rp, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(t->pd.bar[0].active);
	assert_false(t->pd.bar[1].active);
	assert_false(t->pd.bar[2].active);
	pcidev_cfg_write(rp, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_IO, 2);
	pcidev_cfg_write(rp, PCI_IO_BASE, 0xc0c0, 2);
	assert_true(t->pd.bar[1].active);
	pcidev_cfg_write(rp, PCI_PREF_BASE_UPPER32, 4, 4);
	pcidev_cfg_write(rp, PCI_PREF_LIMIT_UPPER32, 5, 4);
	pcidev_cfg_write(rp, PCI_PREF_MEMORY_BASE, 0xfff00000, 4);
	assert_true(t->pd.bar[2].active); /* 16..24 GiB */
	pcidev_cfg_write(rp, PCI_PREF_MEMORY_LIMIT, 0xffe0, 2);
	assert_false(t->pd.bar[2].active); /* its end sticks out */
	pcidev_cfg_write(rp, PCI_MEMORY_LIMIT, 0xc000, 2);
	assert_false(t->pd.bar[0].active);
	assert_true(t->pd.bar[1].active);
	pcidev_cfg_write(rp, rp->pm_off + PCI_PM_CTRL, 3, 2);
	assert_false(t->pd.bar[1].active);
}

static void test_windows_of_every_bridge_above_count(void **state)
{
	struct pcidev *top = rig_add(&g, &rootport_type, "top", NULL, NULL);
	struct pcidev *low = rig_add(&g, &rootport_type, "low", "top", NULL);
	struct tdev *t = rig_tdev(&g, "t", "low", NULL, all_kinds);
	(void)state;
	rig_start(&g);
	rig_place(&g);
	assert_true(t->pd.bar[0].active);
	pcidev_cfg_write(top, PCI_COMMAND, 0, 2);
	assert_false(t->pd.bar[0].active);
	pcidev_cfg_write(top, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(t->pd.bar[0].active);
	pcidev_cfg_write(low, PCI_MEMORY_BASE, 0x0000fff0, 4);
	assert_false(t->pd.bar[0].active);
	assert_true(t->pd.bar[2].active);
}

/* ---- MSI-X inside BARs ----------------------------------------------------------------------- */

static struct tdev *place_msix(unsigned int n, unsigned int tbir, uint32_t toff, unsigned int pbir,
			       uint32_t poff)
{
	struct tspec s = { .bar = { [0] = { PCIBAR_MEM32, false, KIB(16), 0 },
				    [2] = { PCIBAR_MEM32, false, KIB(16), 0 } },
			   .msix_n = n,
			   .tbir = tbir,
			   .toff = toff,
			   .pbir = pbir,
			   .poff = poff };
	struct tdev *t = rig_tdev(&g, "t", NULL, NULL, s);
	w(t, 0x10, 0xd0000000, 4);
	w(t, 0x18, 0xd1000000, 4);
	w(t, 4, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
	return t;
}

static void test_table_and_pba_are_taken_out_of_the_bar(void **state)
{
	struct tdev *t = place_msix(3, 0, 0x2008, 0, 0x1ff8); /* PBA before the table, unaligned */
	(void)state;
	mmio_w(&g, 0xd0002008, 0xfee00000, 8);
	mmio_w(&g, 0xd0002010, 0x41, 4);
	assert_int_equal(t->writes, 0);
	assert_int_equal(mmio_r(&g, 0xd0002010, 8), UINT64_C(1) << 32 | 0x41);
	assert_int_equal(mmio_r(&g, 0xd0001ff8, 8), 0); /* PBA */
	mmio_w(&g, 0xd0001ff8, UINT64_MAX, 8);		/* read-only */
	assert_int_equal(t->reads + t->writes, 0);
	mmio_w(&g, 0xd0002000, 0x77, 8); /* between the two */
	mmio_w(&g, 0xd0002038, 0x88, 8); /* after the table */
	mmio_w(&g, 0xd0001ff0, 0x99, 8); /* before the PBA */
	assert_int_equal(t->writes, 3);
	assert_int_equal(mmio_r(&g, 0xd0002038, 1), 0x88);
	mmio_w(&g, 0xd1002008, 1, 4); /* the other BAR has none of it */
	assert_int_equal(t->writes, 4);
}

static void test_table_and_pba_in_different_bars(void **state)
{
	struct tdev *t = place_msix(70, 2, 0, 0, 0);
	(void)state;
	w(t, t->pd.msix->off + 2, PCI_MSIX_FLAGS_ENABLE, 2);
	pcidev_notify(&t->pd, 69);
	assert_int_equal(mmio_r(&g, 0xd0000008, 8), 1 << 5);
	assert_int_equal(mmio_r(&g, 0xd0000008, 1), 1 << 5);
	mmio_w(&g, 0xd1000000 + 69 * 16, 0xfee00000, 8);
	mmio_w(&g, 0xd1000000 + 69 * 16 + 8, 0x77, 8);
	assert_int_equal(rec_got(&g.chip, 0x77), 1);
	assert_int_equal(mmio_r(&g, 0xd0000008, 8), 0);
	assert_int_equal(t->reads + t->writes, 0);
	assert_int_equal(mmio_r(&g, 0xd1000000 + 70 * 16, 4), 0);
	assert_int_equal(t->reads, 1);
}

static void test_structures_that_do_not_fit_are_refused(void **state)
{
	static const struct {
		unsigned int n, tbir;
		uint32_t toff;
		unsigned int pbir;
		uint32_t poff;
		const char *says;
	} bad[] = {
		{ 3, 0, 0x3ff0, 0, 0, "table" },	  { 3, 0, 0, 0, 0x4000, "pending" },
		{ 3, 1, 0, 0, 0x100, "not memory" },	  { 3, 0, 0, 4, 0, "not memory" },
		{ 3, 0, 0x100, 0, 0x108, "overlap" },	  { 3, 0, 0x100, 0, 0xf8 + 8, "overlap" },
		{ 3, 0, 0xfffffff8, 0, 0, "not inside" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct dev *d;
		struct verr err = { 0 };
		next_spec = (struct tspec){ .bar = { [0] = { PCIBAR_MEM32, false, KIB(16), 0 } },
					    .msix_n = bad[i].n,
					    .tbir = bad[i].tbir,
					    .toff = bad[i].toff,
					    .pbir = bad[i].pbir,
					    .poff = bad[i].poff };
		assert_int_equal(dev_new(&tdev_type, &g.plat, "x", NULL, &d, &err), 0);
		assert_int_equal(dev_realize(d, &err), -EINVAL);
		assert_non_null(strstr(err.msg, bad[i].says));
		dev_free(d);
	}
}

static void test_impossible_bars_are_refused(void **state)
{
	static const struct {
		unsigned int bar;
		enum pcibar_kind kind;
		uint64_t size;
	} bad[] = {
		{ 0, PCIBAR_MEM32, 8 },	    { 0, PCIBAR_MEM32, 48 }, { 0, PCIBAR_MEM32, GIB(4) },
		{ 5, PCIBAR_MEM64, 4096 },  { 0, PCIBAR_IO, 2 },     { 0, PCIBAR_ROM, 4096 },
		{ 6, PCIBAR_MEM32, 4096 },  { 6, PCIBAR_ROM, 1024 }, { 7, PCIBAR_MEM32, 4096 },
		{ 6, PCIBAR_ROM, MIB(32) }, { 0, PCIBAR_NONE, 16 },  { 0, PCIBAR_MEM32, 0 },
	};
	struct pcidev pd;
	(void)state;
	memset(&pd, 0, sizeof(pd));
	pcidev_init(&pd, NULL, true, false);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct verr err = { 0 };
		assert_int_equal(
			pcidev_add_bar(&pd, bad[i].bar, bad[i].kind, false, bad[i].size, &err),
			-EINVAL);
		assert_true(err.msg[0] != '\0');
	}
	assert_int_equal(pcidev_add_bar(&pd, 2, PCIBAR_MEM64, true, 4096, NULL), 0);
	assert_int_equal(pcidev_add_bar(&pd, 2, PCIBAR_MEM32, true, 4096, NULL), -EBUSY);
	assert_int_equal(pcidev_add_bar(&pd, 3, PCIBAR_MEM32, true, 4096, NULL), -EBUSY);
	assert_int_equal(pcidev_add_bar(&pd, 1, PCIBAR_MEM64, true, 4096, NULL), -EBUSY);
	assert_int_equal(pcidev_add_bar(&pd, 4, PCIBAR_MEM64, true, BIT64(62), NULL), 0);
	memset(&pd, 0, sizeof(pd));
	pcidev_init(&pd, NULL, true, true); /* a bridge has two */
	assert_int_equal(pcidev_add_bar(&pd, 2, PCIBAR_MEM32, true, 4096, NULL), -EINVAL);
	assert_int_equal(pcidev_add_bar(&pd, 0, PCIBAR_MEM64, true, 4096, NULL), 0);
	assert_int_equal(pcidev_bar_reg(&pd, PCIDEV_ROM), 0x38);
}

/* Random guests: the windows that are open are those the registers describe. */
static void test_random_writes_keep_windows_and_registers_together(void **state)
{
	struct pcidev *rp = rig_add(&g, &rootport_type, "rp", NULL, NULL);
	struct tdev *t = rig_tdev(&g, "t", "rp", NULL, all_kinds);
	uint32_t x = 77;
	(void)state;
	rig_start(&g);
	rig_place(&g);
	for (unsigned int i = 0; i < 20000; i++) {
		x = x * 1664525 + 1013904223;
		struct pcidev *pd = (x >> 30) != 0 ? &t->pd : rp;
		unsigned int size = 1U << (x >> 28) % 3;
		unsigned int off = (x >> 20) % 0x40 & ~(size - 1);
		uint32_t val = (x >> 7) % 4 == 0 ? UINT32_MAX : (x << 9 ^ x);
		if ((x >> 5) % 8 == 0) {
			off = 4;
			size = 2;
			val = 7;
		}
		pcidev_cfg_write(pd, off, val, size);
		assert_int_equal(t->enables - t->disables,
				 t->pd.bar[0].active + t->pd.bar[1].active + t->pd.bar[2].active +
					 t->pd.bar[4].active + t->pd.bar[6].active);
		for (unsigned int b = 0; b < PCIDEV_N_BARS; b++) {
			const struct pcidev_bar *bar = &t->pd.bar[b];
			assert_int_equal(bar->active, bar->io.as != NULL);
			if (!bar->active)
				continue;
			assert_true(pcidev_decodes(&t->pd, bar->kind == PCIBAR_IO));
			assert_true(pcidev_decodes(rp, bar->kind == PCIBAR_IO));
			assert_true(bar->gpa != 0 && IS_ALIGNED(bar->gpa, bar->size));
			assert_int_equal((uint32_t)bar->gpa,
					 r(t, pcidev_bar_reg(&t->pd, b), 4) &
						 (bar->kind == PCIBAR_IO ? ~3U : ~15U));
		}
		if (i % 500 == 0)
			rig_place(&g);
	}
}

#define T_(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_sizing_by_ones_works_whatever_decodes),
		T_(test_command_gates_memory_and_io_apart),
		T_(test_unassigned_and_half_sized_addresses_do_not_decode),
		T_(test_64_bit_halves_are_written_apart),
		T_(test_rom_has_an_enable_of_its_own),
		T_(test_d3hot_stops_decoding),
		T_(test_windows_go_before_and_come_after_the_write),
		T_(test_bars_may_swap_places),
		T_(test_a_bar_outside_its_bridges_window_does_not_decode),
		T_(test_windows_of_every_bridge_above_count),
		T_(test_table_and_pba_are_taken_out_of_the_bar),
		T_(test_table_and_pba_in_different_bars),
		T_(test_structures_that_do_not_fit_are_refused),
		T_(test_impossible_bars_are_refused),
		T_(test_random_writes_keep_windows_and_registers_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
