// SPDX-License-Identifier: GPL-2.0-or-later
// Placement: everything aligned, inside its windows, apart from everything else, and decoding;
// what does not fit is named.
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

static const struct pci_windows usual = {
	.io = { 0x1000, 0xffff },
	.mmio32 = { 0xc0000000, 0xdfffffff },
	.mmio64 = { GIB(16), GIB(256) - 1 },
};

/* ---- what has to hold after any placement ---------------------------------------------------- */

struct placed {
	struct range r;
	bool io;
};

struct check {
	const struct pci_windows *w;
	struct placed at[256];
	unsigned int n;
};

static bool in_parent_windows(const struct pcidev *pd, bool io, struct range r)
{
	for (const struct pcibus *b = pd->bus; b->bridge != NULL; b = b->bridge->bus) {
		bool in = false;
		for (unsigned int i = 0; i < PCI_N_WINS; i++)
			in |= (i == PCI_WIN_IO) == io && b->win[i].first <= r.first &&
			      r.last <= b->win[i].last;
		if (!in)
			return false;
	}
	return true;
}

static int check_fn(void *ctx, struct pcidev *pd)
{
	struct check *c = ctx;
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		const struct pcidev_bar *b = &pd->bar[i];
		if (b->kind == PCIBAR_NONE)
			continue;
		struct range r = { b->placed, b->placed + b->size - 1 };
		bool io = b->kind == PCIBAR_IO;
		assert_true(b->placed != 0);
		assert_true(IS_ALIGNED(b->placed, b->size));
		assert_true(b->fixed == 0 || b->placed == b->fixed);
		assert_true(b->align == 0 || IS_ALIGNED(b->placed, b->align));
		assert_true(in_parent_windows(pd, io, r));
		if (io)
			assert_true(range_contains(c->w->io, r));
		else if (b->kind == PCIBAR_MEM64)
			assert_true(range_contains(c->w->mmio32, r) ||
				    range_contains(c->w->mmio64, r));
		else
			assert_true(range_contains(c->w->mmio32, r));
		for (unsigned int k = 0; k < c->n; k++)
			assert_false(c->at[k].io == io && range_overlaps(c->at[k].r, r));
		assert_true(c->n < ARRAY_SIZE(c->at));
		c->at[c->n++] = (struct placed){ r, io };
		/* The guest finds it there, and it answers (a ROM only once enabled). */
		assert_int_equal(b->active, b->kind != PCIBAR_ROM);
		if (b->active)
			assert_true(b->gpa == b->placed);
	}
	return 0;
}

static void place(const struct pci_windows *w)
{
	static struct check c;
	struct verr err = { 0 };
	memset(&c, 0, sizeof(c));
	c.w = w;
	if (pcibus_place(&g.root, w, &err) < 0)
		fail_msg("%s", err.msg);
	rig_program(&g);
	pcibus_walk(&g.root, check_fn, &c);
}

static void must_fail(const struct pci_windows *w, const char *const *says)
{
	struct verr err = { 0 };
	assert_int_equal(pcibus_place(&g.root, w, &err), -ENOSPC);
	for (; *says != NULL; says++)
		if (strstr(err.msg, *says) == NULL)
			fail_msg("'%s' does not say '%s'", err.msg, *says);
}

/* ---- cases ----------------------------------------------------------------------------------- */

static void test_root_bus_functions_are_placed_by_size(void **state)
{
	(void)state;
	struct tdev *a =
		rig_tdev(&g, "a", NULL, NULL,
			 (struct tspec){ .bar = { { PCIBAR_MEM32, false, KIB(4), 0 },
						  { PCIBAR_IO, false, 32, 0 },
						  { PCIBAR_MEM64, true, MIB(16), 0 },
						  [4] = { PCIBAR_MEM64, true, MIB(256), 0 },
						  [6] = { PCIBAR_ROM, false, MIB(1), 0 } } });
	struct tdev *b = rig_tdev(&g, "b", NULL, NULL,
				  (struct tspec){ .bar = { { PCIBAR_MEM32, false, MIB(64), 0 } } });
	place(&usual);
	assert_true(b->pd.bar[0].placed == 0xc0000000); /* largest first */
	assert_true(a->pd.bar[2].placed == 0xc4000000);
	assert_true(a->pd.bar[4].placed >= GIB(16));
	assert_int_equal(pcidev_cfg_read(&a->pd, PCI_COMMAND, 2),
			 PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
	assert_int_equal(pcidev_cfg_read(&b->pd, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(pcidev_cfg_read(&a->pd, PCI_ROM_ADDRESS, 4), a->pd.bar[6].placed);
}

static void test_huge_bars_get_their_natural_place(void **state)
{
	(void)state;
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	rig_add(&g, &rootport_type, "rp2", NULL, NULL);
	struct tdev *gpu =
		rig_tdev(&g, "gpu", "rp", NULL,
			 (struct tspec){ .pcie = true,
					 .bar = { { PCIBAR_MEM32, false, MIB(16), 0 },
						  { PCIBAR_MEM64, true, GIB(64), 0 },
						  [3] = { PCIBAR_MEM64, true, MIB(32), 0 },
						  [5] = { PCIBAR_IO, false, 128, 0 } } });
	rig_start(&g);
	place(&usual);
	assert_true(gpu->pd.bar[1].placed == GIB(64));
	struct pcidev *rp = gpu->pd.bus->bridge;
	assert_int_equal(pcidev_cfg_read(rp, PCI_PREF_BASE_UPPER32, 4), 16);
	assert_int_equal(pcidev_cfg_read(rp, PCI_SECONDARY_BUS, 1), 1);
	assert_int_equal(pcidev_cfg_read(rp, PCI_SUBORDINATE_BUS, 1), 1);
	assert_ptr_equal(pcibus_lookup(&g.root, 1, 0), &gpu->pd);
	struct pci_needs n;
	assert_int_equal(pcibus_needs(&g.root, &n, NULL), 0);
	assert_true(n.mmio64_align == GIB(64));
	assert_true(n.mmio64 >= GIB(64) + MIB(32) + MIB(256));
	assert_true(n.io == KIB(4));
}

static void test_empty_slots_keep_room_and_no_io(void **state)
{
	(void)state;
	struct pcidev *a = rig_add(&g, &rootport_type, "a", NULL, NULL);
	struct pcidev *b = rig_add(&g, &rootport_type, "b", NULL, NULL);
	rig_tdev(&g, "t", "b", NULL,
		 (struct tspec){ .pcie = true, .bar = { { PCIBAR_IO, false, 32, 0 } } });
	rig_start(&g);
	place(&usual);
	const struct pci_win_range *w = a->secondary->win;
	assert_true(w[PCI_WIN_MEM].last - w[PCI_WIN_MEM].first + 1 == MIB(2));
	assert_true(w[PCI_WIN_PREF].last - w[PCI_WIN_PREF].first + 1 == MIB(256));
	assert_true(w[PCI_WIN_IO].first > w[PCI_WIN_IO].last);
	assert_int_equal(pcidev_cfg_read(a, PCI_IO_BASE, 2), 0x00f0); /* closed */
	assert_int_equal(pcidev_cfg_read(a, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	w = b->secondary->win;
	assert_true(w[PCI_WIN_IO].last - w[PCI_WIN_IO].first + 1 == KIB(4));
	assert_int_equal(pcidev_cfg_read(b, PCI_COMMAND, 2), PCI_COMMAND_IO);
	assert_int_equal(pcidev_cfg_read(b, PCI_MEMORY_BASE, 4), 0x0000fff0);
	/* Without a 64-bit window there is no prefetchable reserve. */
	struct pci_windows no64 = usual;
	no64.mmio64 = (struct range){ 0, 0 };
	place(&no64);
	w = a->secondary->win;
	assert_true(w[PCI_WIN_PREF].first > w[PCI_WIN_PREF].last);
}

static void test_64_bit_bars_without_prefetch_stay_below_4g_while_they_can(void **state)
{
	(void)state;
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	struct tdev *t =
		rig_tdev(&g, "t", "rp", NULL,
			 (struct tspec){ .pcie = true,
					 .bar = { { PCIBAR_MEM64, false, MIB(128), 0 },
						  [2] = { PCIBAR_MEM64, false, KIB(16), 0 },
						  [4] = { PCIBAR_MEM64, false, GIB(1), 0 } } });
	rig_start(&g);
	place(&usual); /* 512 MiB below: the largest one has to go */
	assert_true(t->pd.bar[0].placed < GIB(4));
	assert_true(t->pd.bar[2].placed < GIB(4));
	assert_true(t->pd.bar[4].placed >= GIB(4));
	struct pci_needs n;
	assert_int_equal(pcibus_needs(&g.root, &n, NULL), 0);
	assert_true(n.mmio32 >= MIB(128) + KIB(16) && n.mmio32 < GIB(1));
	assert_true(n.mmio64 >= GIB(1) + MIB(128));
	struct pci_windows small = usual;
	small.mmio32.last = small.mmio32.first + MIB(16) - 1;
	place(&small);
	assert_true(t->pd.bar[0].placed >= GIB(4));
	assert_true(t->pd.bar[2].placed < GIB(4));
}

static void test_root_bus_bars_move_up_when_32_bits_are_full(void **state)
{
	struct pci_windows w = usual;
	(void)state;
	for (unsigned int i = 0; i < 6; i++)
		rig_tdev(&g, "t", NULL, NULL,
			 (struct tspec){ .bar = { { PCIBAR_MEM64, false, MIB(32), 0 },
						  [2] = { PCIBAR_MEM32, false, MIB(1), 0 } } });
	w.mmio32.last = w.mmio32.first + MIB(64) - 1;
	place(&w);
}

static void test_alignment_wishes_are_kept(void **state)
{
	(void)state;
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	for (unsigned int i = 0; i < 4; i++)
		rig_tdev(&g, "t", i == 0 ? "rp" : NULL, NULL,
			 (struct tspec){ .pcie = true,
					 .bar = { { PCIBAR_MEM32, false, 256, KIB(4) },
						  { PCIBAR_MEM32, false, 1024, KIB(4) },
						  { PCIBAR_MEM64, true, KIB(64), MIB(2) } } });
	rig_start(&g);
	place(&usual);
}

static void test_what_does_not_fit_is_named(void **state)
{
	struct pci_windows w = usual;
	(void)state;
	rig_tdev(&g, "small", NULL, NULL,
		 (struct tspec){ .bar = { { PCIBAR_MEM32, false, MIB(1), 0 } } });
	struct tdev *big =
		rig_tdev(&g, "big", NULL, NULL,
			 (struct tspec){ .bar = { { PCIBAR_MEM32, false, GIB(1), 0 } } });
	must_fail(&w, (const char *[]){ "big BAR 0", "1 GiB", "32-bit", "0xc0000000-0xdfffffff",
					"largest hole is 512 MiB", NULL });
	assert_false(big->pd.bar[0].active); /* nothing was programmed */
	assert_int_equal(pcidev_cfg_read(&big->pd, PCI_COMMAND, 2), 0);
	rig_del(&g, &big->pd);
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	rig_tdev(&g, "gpu", "rp", NULL,
		 (struct tspec){ .pcie = true,
				 .bar = { { PCIBAR_MEM64, true, GIB(512), 0 },
					  [2] = { PCIBAR_MEM64, true, MIB(1), 0 } } });
	must_fail(&w, (const char *[]){ "gpu BAR 0", "bridge's window", "prefetchable", "64-bit",
					"largest hole is 240 GiB", NULL });
}

static void test_slot_reserve_that_does_not_fit_is_named(void **state)
{
	struct pci_windows w = usual;
	(void)state;
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	w.mmio32.last = w.mmio32.first + MIB(1) - 1;
	must_fail(&w, (const char *[]){ "slot rp", "2 MiB", NULL });
}

static void test_io_ports_go_to_those_who_need_them(void **state)
{
	struct pci_windows w = usual;
	(void)state;
	for (unsigned int i = 0; i < 15; i++) {
		char id[8];
		snprintf(id, sizeof(id), "rp%u", i);
		rig_add(&g, &rootport_type, id, NULL, NULL);
		rig_tdev(&g, "io", id, NULL,
			 (struct tspec){ .pcie = true, .bar = { { PCIBAR_IO, false, 8, 0 } } });
	}
	rig_start(&g);
	place(&w);
	/* One more of PCI Express does without... */
	rig_add(&g, &rootport_type, "last", NULL, NULL);
	struct tdev *none = rig_tdev(&g, "none", "last", NULL,
				     (struct tspec){ .pcie = true,
						     .bar = { { PCIBAR_IO, false, 8, 0 },
							      { PCIBAR_MEM32, false, 4096, 0 } } });
	pcidev_reset(&none->pd, false);
	struct verr err = { 0 };
	assert_int_equal(pcibus_place(&g.root, &w, &err), 0);
	rig_program(&g);
	assert_true(none->pd.bar[0].placed == 0 && none->pd.bar[1].placed != 0);
	assert_true(none->pd.bus->win[PCI_WIN_IO].first > none->pd.bus->win[PCI_WIN_IO].last);
	assert_false(none->pd.bar[0].active);
	assert_true(none->pd.bar[1].active);
	/* ... for a conventional one, two of them; */
	struct tdev *old = rig_tdev(&g, "old", NULL, NULL,
				    (struct tspec){ .bar = { { PCIBAR_IO, false, 8, 0 } } });
	pcidev_reset(&old->pd, false);
	assert_int_equal(pcibus_place(&g.root, &w, &err), 0);
	assert_true(old->pd.bar[0].placed != 0);
	/* what nobody can do without is missed by name. */
	rig_tdev(&g, "straw", NULL, NULL,
		 (struct tspec){ .bar = { { PCIBAR_IO, false, KIB(64), 0 } } });
	must_fail(&w, (const char *[]){ "straw BAR 0", "I/O", NULL });
}

static void test_placing_again_and_after_reset_gives_the_same(void **state)
{
	(void)state;
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	struct tdev *t = rig_tdev(&g, "t", "rp", NULL,
				  (struct tspec){ .pcie = true,
						  .bar = { { PCIBAR_MEM64, true, MIB(64), 0 },
							   { PCIBAR_NONE, false, 0, 0 },
							   { PCIBAR_MEM32, false, KIB(8), 0 } } });
	rig_start(&g);
	place(&usual);
	uint64_t was[2] = { t->pd.bar[0].placed, t->pd.bar[2].placed };
	pcidev_cfg_write(&t->pd, 0x18, 0xdeadb000, 4);
	pcidev_cfg_write(t->pd.bus->bridge, PCI_MEMORY_BASE, 0, 4);
	pcidev_cfg_write(t->pd.bus->bridge, PCI_PRIMARY_BUS, 0x090900, 4);
	for (unsigned int i = 0; i < g.n_dev; i++)
		dev_reset(g.dev[i]);
	assert_true(t->pd.bar[0].active && t->pd.bar[0].gpa == was[0]);
	assert_true(t->pd.bar[2].active && t->pd.bar[2].gpa == was[1]);
	assert_ptr_equal(pcibus_lookup(&g.root, 1, 0), &t->pd);
	place(&usual);
	assert_true(t->pd.bar[0].gpa == was[0]);
}

static void test_sizing_windows_from_needs_always_fits(void **state)
{
	uint32_t x = 1;
	(void)state;
	for (unsigned int round = 0; round < 60; round++) {
		rig_free(&g);
		rig_init(&g);
		unsigned int n = 0;
		for (unsigned int i = 0; i < 10; i++) {
			struct tspec s = { .pcie = true };
			char id[8];
			x = x * 1664525 + 1013904223;
			snprintf(id, sizeof(id), "rp%u", i);
			bool behind = (x >> 20) % 3 != 0;
			if (behind || i == 0)
				rig_add(&g, &rootport_type, id, NULL, NULL);
			for (unsigned int b = 0; b < 6; b++) {
				x = x * 1664525 + 1013904223;
				switch ((x >> 24) % 6) {
				case 0:
					s.bar[b].kind = PCIBAR_MEM32;
					s.bar[b].size = BIT64(4 + (x >> 16) % 20);
					break;
				case 1:
					if (b == 5)
						break;
					s.bar[b].kind = PCIBAR_MEM64;
					s.bar[b].prefetch = (x >> 8) % 2 != 0;
					s.bar[b].size = BIT64(4 + (x >> 16) % 33);
					b++;
					break;
				case 2:
					if (n++ < 10) {
						s.bar[b].kind = PCIBAR_IO;
						s.bar[b].size = BIT64(2 + (x >> 16) % 7);
					}
					break;
				default:
					break;
				}
			}
			rig_tdev(&g, "t", behind || i == 0 ? id : NULL, NULL, s);
		}
		rig_start(&g);
		struct pci_needs need;
		assert_int_equal(pcibus_needs(&g.root, &need, NULL), 0);
		uint64_t low = ALIGN_UP(need.mmio32 + MIB(512), MIB(512));
		struct pci_windows w = usual;
		w.mmio32.first = GIB(4) - MIB(64) - low;
		w.mmio32.last = GIB(4) - MIB(64) - 1;
		uint64_t base = MAX(need.mmio64_align, GIB(4));
		w.mmio64 = (struct range){ ALIGN_UP(GIB(8), base),
					   ALIGN_UP(GIB(8), base) + need.mmio64 + MIB(1) };
		place(&w);
	}
}

static void test_bus_numbers_nest(void **state)
{
	const char *id[] = { "0", "1", "2", "3", "4", "5", "6", "7" };
	(void)state;
	/* Ports below ports: the numbers below each stay inside its own. */
	for (unsigned int i = 0; i < 8; i++)
		rig_add(&g, &rootport_type, id[i], i == 0 ? NULL : id[i - 1], NULL);
	rig_start(&g);
	place(&usual);
	for (unsigned int i = 0; i < 8; i++) {
		assert_int_equal(pcidev_cfg_read(rig_pd(g.dev[i]), PCI_SECONDARY_BUS, 1), i + 1);
		assert_int_equal(pcidev_cfg_read(rig_pd(g.dev[i]), PCI_SUBORDINATE_BUS, 1), 8);
		assert_int_equal(pcidev_cfg_read(rig_pd(g.dev[i]), PCI_PRIMARY_BUS, 1), i);
	}
}

/* ---- addresses of their own ------------------------------------------------------------------ */

static struct tdev *fixed_fn(const char *id, const char *bus, uint64_t size, uint64_t at)
{
	return rig_tdev(&g, id, bus, NULL,
			(struct tspec){ .pcie = true,
					.bar = { { PCIBAR_MEM64, true, size, 0 },
						 [2] = { PCIBAR_MEM64, true, MIB(32), 0 },
						 [4] = { PCIBAR_MEM32, false, MIB(1), 0 } },
					.fixed = { at } });
}

static struct range pref_window(const struct tdev *t)
{
	const struct pci_win_range *w = &t->pd.bus->win[PCI_WIN_PREF];
	return (struct range){ w->first, w->last };
}

static void needs(struct pci_needs *ret)
{
	struct verr err = { 0 };
	if (pcibus_needs(&g.root, ret, &err) < 0)
		fail_msg("%s", err.msg);
}

static void must_refuse(const struct pci_windows *w, const char *sentence)
{
	struct verr err = { 0 };
	assert_int_equal(pcibus_place(&g.root, w, &err), -EINVAL);
	assert_string_equal(err.msg, sentence);
}

static void test_fixed_bars_are_where_they_have_to_be(void **state)
{
	struct pci_needs n;
	(void)state;
	struct tdev *root = fixed_fn("root", NULL, MIB(4), GIB(20) + MIB(4));
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	struct tdev *gpu = fixed_fn("gpu", "rp", GIB(16), GIB(64));
	rig_add(&g, &rootport_type, "empty", NULL, NULL);
	rig_start(&g);
	needs(&n);
	assert_true(n.fixed.first == GIB(20) + MIB(4));
	assert_true(n.fixed.last == GIB(80) + MIB(32) - 1);
	assert_string_equal(n.lowest, "root BAR 0");
	assert_string_equal(n.highest, "gpu BAR 0");
	assert_true(n.mmio64 < GIB(1)); /* the rest: the slot's reserve, root's other one */
	place(&usual);
	/* The port's window: the fixed BAR and the other one behind it. */
	assert_true(pref_window(gpu).first == GIB(64));
	assert_true(pref_window(gpu).last == GIB(80) + MIB(32) - 1);
	assert_int_equal(pcidev_cfg_read(gpu->pd.bus->bridge, PCI_PREF_BASE_UPPER32, 4), 16);
	assert_true(root->pd.bar[0].gpa == GIB(20) + MIB(4));
	/* The guest may move it; a reset brings it back. */
	pcidev_cfg_write(&root->pd, 0x14, 99, 4);
	assert_true(root->pd.bar[0].gpa != GIB(20) + MIB(4));
	for (unsigned int i = 0; i < g.n_dev; i++)
		dev_reset(g.dev[i]);
	assert_true(root->pd.bar[0].gpa == GIB(20) + MIB(4));
	assert_true(gpu->pd.bar[0].active && gpu->pd.bar[0].gpa == GIB(64));
}

/* The one after the other, as hosts have them: what else is behind the first bridge goes below. */
static void test_fixed_neighbours_leave_each_other_room(void **state)
{
	struct pci_needs n;
	(void)state;
	rig_add(&g, &rootport_type, "a", NULL, NULL);
	rig_add(&g, &rootport_type, "b", NULL, NULL);
	struct tdev *a = fixed_fn("first", "a", GIB(16), GIB(64));
	struct tdev *b = fixed_fn("second", "b", GIB(16), GIB(80));
	rig_start(&g);
	place(&usual);
	assert_true(pref_window(a).first == GIB(64) - MIB(32));
	assert_true(pref_window(a).last == GIB(80) - 1);
	assert_true(pref_window(b).first == GIB(80));
	needs(&n);
	assert_true(n.fixed.first == GIB(64) - MIB(32));
	assert_true(n.fixed.last == GIB(96) + MIB(32) - 1);
	/* A window of just that is enough. */
	struct pci_windows w = usual;
	w.mmio64 = n.fixed;
	place(&w);
}

static void test_fixed_bars_below_nested_bridges(void **state)
{
	(void)state;
	rig_add(&g, &rootport_type, "up", NULL, NULL);
	rig_add(&g, &rootport_type, "down", "up", NULL);
	struct tdev *t = fixed_fn("deep", "down", GIB(1), GIB(33));
	rig_start(&g);
	place(&usual);
	assert_true(pref_window(t).first == GIB(33));
	assert_true(t->pd.bar[2].placed == GIB(34));
}

static void test_fixed_bars_that_cannot_be(void **state)
{
	struct pci_needs n;
	struct verr err = { 0 };
	struct pci_windows no64 = usual;
	(void)state;
	struct tdev *t = fixed_fn("one", NULL, GIB(1), GIB(512));
	must_refuse(&usual, "one BAR 0 has to be at 0x8000000000, and the 64-bit PCI window is "
			    "0x400000000-0x3fffffffff");
	assert_false(t->pd.bar[0].active);
	no64.mmio64 = (struct range){ 0, 0 };
	must_refuse(&no64,
		    "one BAR 0 has to be at 0x8000000000, and there is no 64-bit PCI window");
	struct tdev *two = fixed_fn("two", NULL, MIB(64), GIB(512) + MIB(64));
	must_refuse(&usual, "one BAR 0 at 0x8000000000-0x803fffffff overlaps two BAR 0 at "
			    "0x8004000000-0x8007ffffff: one of them needs another address");
	assert_int_equal(pcibus_needs(&g.root, &n, &err), -EINVAL);
	rig_del(&g, &two->pd);
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	/* Both apart, and no bridge window can be. */
	rig_tdev(&g, "wide", "rp", NULL,
		 (struct tspec){ .pcie = true,
				 .bar = { { PCIBAR_MEM64, true, GIB(1), 0 },
					  [2] = { PCIBAR_MEM64, true, GIB(1), 0 } },
				 .fixed = { GIB(510), [2] = GIB(514) } });
	rig_start(&g);
	must_refuse(&usual, "one BAR 0 at 0x8000000000-0x803fffffff overlaps the bridge window "
			    "around wide BAR 0 at 0x7f80000000-0x80bfffffff: one of them needs "
			    "another address");
}

/* Random sets, at random places: every answer is a placement that holds, or names two. */
static void test_fixed_bars_at_random(void **state)
{
	unsigned int placed = 0, refused = 0;
	uint32_t x = 7;
	(void)state;
	for (unsigned int round = 0; round < 300; round++) {
		rig_free(&g);
		rig_init(&g);
		for (unsigned int i = 0; i < 5; i++) {
			struct tspec s = { .pcie = true };
			char id[8];
			snprintf(id, sizeof(id), "rp%u", i);
			rig_add(&g, &rootport_type, id, NULL, NULL);
			for (unsigned int b = 0; b < 6; b += 2) {
				x = x * 1664525 + 1013904223;
				s.bar[b].kind = PCIBAR_MEM64;
				s.bar[b].prefetch = (x >> 9) % 2 != 0;
				s.bar[b].size = BIT64(14 + (x >> 16) % 18);
				if ((x >> 24) % 3 == 0)
					s.fixed[b] = ALIGN_DOWN(GIB(32) + (uint64_t)x * 16,
								s.bar[b].size);
			}
			x = x * 1664525 + 1013904223;
			rig_tdev(&g, "t", (x >> 20) % 3 == 0 ? NULL : id, NULL, s);
		}
		rig_start(&g);
		struct pci_needs n;
		struct verr err = { 0 };
		if (pcibus_needs(&g.root, &n, &err) < 0) {
			assert_non_null(strstr(err.msg, "overlaps"));
			must_refuse(&usual, err.msg);
			refused++;
			continue;
		}
		struct pci_windows w = usual;
		w.mmio32.first = 0x80000000;
		if (n.fixed.last != 0) {
			uint64_t end = ALIGN_UP(n.fixed.last + 1, MAX(n.mmio64_align, MIB(1)));
			w.mmio64 = (struct range){ n.fixed.first, end + n.mmio64 };
		}
		place(&w);
		placed++;
	}
	assert_true(placed > 50 && refused > 50);
}

static void test_description_has_a_line_for_everything(void **state)
{
	char *text = NULL;
	size_t len = 0;
	(void)state;
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	rig_tdev(&g, "nic", "rp", NULL,
		 (struct tspec){ .pcie = true,
				 .bar = { { PCIBAR_MEM32, false, KIB(128), 0 },
					  { PCIBAR_IO, false, 32, 0 },
					  { PCIBAR_MEM64, true, MIB(1), 0 },
					  [6] = { PCIBAR_ROM, false, KIB(256), 0 } } });
	rig_start(&g);
	place(&usual);
	FILE *out = open_memstream(&text, &len);
	assert_non_null(out);
	pcibus_describe(&g.root, out);
	fclose(out);
	static const char *const says[] = { "00:00.0 1b36:000c rp",
					    "01:00.0 1234:11e8 nic",
					    "BAR 0 32-bit memory",
					    "BAR 1 I/O",
					    "BAR 2 64-bit memory, pref",
					    "ROM",
					    "window memory",
					    "window I/O",
					    "0x1000-0x1fff (4 KiB)",
					    "(128 KiB)" };
	for (size_t i = 0; i < ARRAY_SIZE(says); i++)
		if (strstr(text, says[i]) == NULL)
			fail_msg("no '%s' in\n%s", says[i], text);
	free(text);
}

#define T_(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_root_bus_functions_are_placed_by_size),
		T_(test_huge_bars_get_their_natural_place),
		T_(test_empty_slots_keep_room_and_no_io),
		T_(test_64_bit_bars_without_prefetch_stay_below_4g_while_they_can),
		T_(test_root_bus_bars_move_up_when_32_bits_are_full),
		T_(test_alignment_wishes_are_kept),
		T_(test_what_does_not_fit_is_named),
		T_(test_slot_reserve_that_does_not_fit_is_named),
		T_(test_io_ports_go_to_those_who_need_them),
		T_(test_placing_again_and_after_reset_gives_the_same),
		T_(test_sizing_windows_from_needs_always_fits),
		T_(test_bus_numbers_nest),
		T_(test_fixed_bars_are_where_they_have_to_be),
		T_(test_fixed_neighbours_leave_each_other_room),
		T_(test_fixed_bars_below_nested_bridges),
		T_(test_fixed_bars_that_cannot_be),
		T_(test_fixed_bars_at_random),
		T_(test_description_has_a_line_for_everything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
