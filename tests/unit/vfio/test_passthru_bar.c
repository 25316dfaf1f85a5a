// SPDX-License-Identifier: GPL-2.0-or-later
// The BAR planner: which parts of which BARs map directly, on odd layouts. Peers' bugs that this
// guards against: one sparse area assumed, the list returned unmodified, offset rounded down and
// size rounded up independently, PBA before the table, the rest of the MSI-X BAR lost.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <linux/pci_regs.h>

#include "vfio/passthru_bar.h"

#define MEM64 (PCI_BASE_ADDRESS_MEM_TYPE_64)

struct piece {
	uint64_t off, size;
};

struct layout_case {
	const char *name;
	uint64_t size;
	struct vfio_mmap_area area[4];
	unsigned int n_areas;
	struct msix_place msix;
	struct piece want[6];
	unsigned int n_want;
};

static const struct layout_case layouts[] = {
	{ "whole BAR without MSI-X", 0x20000, { { 0, 0x20000 } }, 1, { 0 }, { { 0, 0x20000 } }, 1 },
	{ "nothing mappable", 0x20000, { { 0, 0 } }, 0, { 0 }, { { 0, 0 } }, 0 },
	{ "NVMe: table in the doorbells' BAR",
	  0x4000,
	  { { 0, 0x4000 } },
	  1,
	  { 65, 0, 0, 0x2000, 0x3000 },
	  { { 0, 0x2000 } },
	  1 },
	{ "table and PBA in one page at the start",
	  0x4000,
	  { { 0, 0x4000 } },
	  1,
	  { 5, 0, 0, 0, 0x800 },
	  { { 0x1000, 0x3000 } },
	  1 },
	{ "PBA before the table",
	  0x8000,
	  { { 0, 0x8000 } },
	  1,
	  { 8, 0, 0, 0x4000, 0x1000 },
	  { { 0, 0x1000 }, { 0x2000, 0x2000 }, { 0x5000, 0x3000 } },
	  3 },
	{ "table crosses a page although it would fit one",
	  0x8000,
	  { { 0, 0x8000 } },
	  1,
	  { 32, 0, 0, 0x1f00, 0x7000 },
	  { { 0, 0x1000 }, { 0x3000, 0x4000 } },
	  2 },
	{ "table in another BAR",
	  0x4000,
	  { { 0, 0x4000 } },
	  1,
	  { 8, 2, 2, 0, 0x800 },
	  { { 0, 0x4000 } },
	  1 },
	{ "2048 vectors: table of 32 KiB, PBA of 256 bytes",
	  0x20000,
	  { { 0, 0x20000 } },
	  1,
	  { 2048, 0, 0, 0x8000, 0x10000 },
	  { { 0, 0x8000 }, { 0x11000, 0xf000 } },
	  2 },
	{ "several sparse areas, the table in the second",
	  0x10000,
	  { { 0, 0x2000 }, { 0x4000, 0x4000 }, { 0xc000, 0x1000 } },
	  3,
	  { 16, 0, 0, 0x5000, 0x5800 },
	  { { 0, 0x2000 }, { 0x4000, 0x1000 }, { 0x6000, 0x2000 }, { 0xc000, 0x1000 } },
	  4 },
	{ "an area beyond the BAR is not believed",
	  0x2000,
	  { { 0, 0x1000 }, { 0x2000, 0x1000 } },
	  2,
	  { 0 },
	  { { 0, 0x1000 } },
	  1 },
	{ "an area with parts of pages gives its whole pages",
	  0x4000,
	  { { 0x800, 0x3000 } },
	  1,
	  { 0 },
	  { { 0x1000, 0x2000 } },
	  1 },
	{ "sub-page BAR with its page to itself",
	  0x100,
	  { { 0, 0x1000 } },
	  1,
	  { 0 },
	  { { 0, 0x1000 } },
	  1 },
	{ "sub-page BAR with the table in it",
	  0x100,
	  { { 0, 0x1000 } },
	  1,
	  { 4, 0, 0, 0x40, 0x80 },
	  { { 0, 0 } },
	  0 },
	{ "part of a page is none", 0x100, { { 0, 0x100 } }, 1, { 0 }, { { 0, 0 } }, 0 },
	{ "the table fills the BAR",
	  0x1000,
	  { { 0, 0x1000 } },
	  1,
	  { 8, 0, 0, 0, 0x800 },
	  { { 0, 0 } },
	  0 },
};

static void fill(struct bar_facts *f, struct vfio_region *regions, const struct layout_case *c)
{
	memset(f, 0, sizeof(*f));
	memset(regions, 0, sizeof(*regions) * VFIO_N_REGIONS);
	regions[0].size = c->size;
	regions[0].n_areas = c->n_areas;
	memcpy(regions[0].area, c->area, sizeof(c->area));
	regions[2].size = 0x1000;
	f->region = regions;
	f->page_size = 4096;
	f->msix = c->msix;
}

static void test_direct_pieces_leave_exactly_the_msix_pages_out(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(layouts); i++) {
		const struct layout_case *c = &layouts[i];
		struct vfio_region regions[VFIO_N_REGIONS];
		struct verr err = { 0 };
		struct bar_facts f;
		struct bar_plan p;

		fill(&f, regions, c);
		print_message("%s\n", c->name);
		assert_int_equal(bar_plan_make(&f, &p, &err), 0);
		assert_int_equal(p.n_pieces, c->n_want);
		for (unsigned int k = 0; k < c->n_want; k++) {
			assert_int_equal(p.piece[k].bar, 0);
			assert_int_equal(p.piece[k].off, c->want[k].off);
			assert_int_equal(p.piece[k].size, c->want[k].size);
		}
	}
}

static void test_no_mmap_traps_everything(void **state)
{
	struct vfio_region regions[VFIO_N_REGIONS];
	struct bar_facts f;
	struct bar_plan p;

	(void)state;
	fill(&f, regions, &layouts[0]);
	f.no_mmap = true;
	assert_int_equal(bar_plan_make(&f, &p, NULL), 0);
	assert_int_equal(p.n_pieces, 0);
	assert_int_equal(p.bar[0].kind, PCIBAR_MEM32);
}

static void test_kinds_follow_the_registers(void **state)
{
	struct vfio_region regions[VFIO_N_REGIONS] = { 0 };
	struct bar_facts f = { .region = regions, .page_size = 4096 };
	struct bar_plan p;

	(void)state;
	f.reg[0] = MEM64 | PCI_BASE_ADDRESS_MEM_PREFETCH;
	regions[0].size = GIB(16);
	f.reg[1] = 0xffffffff; /* the upper half must not be read as a BAR */
	regions[1].size = 0;
	f.reg[2] = PCI_BASE_ADDRESS_SPACE_IO;
	regions[2].size = 32;
	regions[PCIDEV_ROM].size = 0xe200; /* a shadowed image: not a power of two */
	assert_int_equal(bar_plan_make(&f, &p, NULL), 0);
	assert_int_equal(p.bar[0].kind, PCIBAR_MEM64);
	assert_true(p.bar[0].prefetch);
	assert_int_equal(p.bar[1].kind, PCIBAR_NONE);
	assert_int_equal(p.bar[2].kind, PCIBAR_IO);
	assert_int_equal(p.bar[PCIDEV_ROM].kind, PCIBAR_ROM);
	assert_int_equal(p.bar[PCIDEV_ROM].size, 0x10000);
	f.no_rom = true;
	assert_int_equal(bar_plan_make(&f, &p, NULL), 0);
	assert_int_equal(p.bar[PCIDEV_ROM].kind, PCIBAR_NONE);
}

static void refuse(const struct bar_facts *f, const char *sentence)
{
	struct bar_plan p, before;
	struct verr err = { 0 };

	memset(&p, 0x5a, sizeof(p));
	before = p;
	assert_int_equal(bar_plan_make(f, &p, &err), -22);
	assert_string_equal(err.msg, sentence);
	assert_memory_equal(&p, &before, sizeof(p)); /* untouched on failure */
}

static void test_impossible_facts_are_refused_by_name(void **state)
{
	struct vfio_region regions[VFIO_N_REGIONS];
	struct bar_facts f;

	(void)state;
	fill(&f, regions, &layouts[0]);
	regions[0].size = 0x3000;
	refuse(&f, "BAR 0 has a size that no BAR can have: 0x3000 bytes");

	fill(&f, regions, &layouts[0]);
	f.reg[5] = MEM64;
	regions[5].size = 0x1000;
	refuse(&f, "BAR 5 claims to be 64 bits wide");

	fill(&f, regions, &layouts[0]);
	regions[0].size = GIB(4);
	refuse(&f, "32-bit BAR 0 claims a size of 0x100000000 bytes");

	fill(&f, regions, &layouts[0]);
	f.msix = (struct msix_place){ 16, 0, 0, 0x1ff80, 0 };
	refuse(&f,
	       "the MSI-X table (offset 0x1ff80, 256 bytes) lies outside BAR 0 of 0x20000 bytes");

	fill(&f, regions, &layouts[0]);
	f.msix = (struct msix_place){ 16, 3, 0, 0, 0 };
	refuse(&f,
	       "the MSI-X table is said to be in BAR 3, which is no memory BAR of this function");

	fill(&f, regions, &layouts[0]);
	f.msix = (struct msix_place){ 1, 0, 0, 0, 0xfffffff8 };
	refuse(&f, "the MSI-X pending bit array (offset 0xfffffff8, 8 bytes) lies outside BAR 0 of "
		   "0x20000 bytes");

	fill(&f, regions, &layouts[0]);
	regions[PCIDEV_ROM].size = MIB(17);
	refuse(&f,
	       "expansion ROM of 17825792 bytes is larger than PCI allows (16 MiB); leave it out "
	       "with rombar=off");
}

/* --- x-msix-relocation= ----------------------------------------------------------------------- */

/* The layout's BAR 0 of 32 bits, and the BARs named here. */
struct move_case {
	const char *name;
	unsigned int layout;
	int to;
	struct {
		uint64_t size;
		uint32_t reg;
	} more[5];		   /* BARs 1 to 5 */
	unsigned int bar;	   /* where table and pending bits are found ... */
	uint64_t toff, poff, size; /* ... and how large it is then */
	uint64_t mapped;	   /* bytes of BAR 0 */
};

#define IO_BAR                                                                                     \
	{                                                                                          \
		32, PCI_BASE_ADDRESS_SPACE_IO                                                      \
	}
#define BAR_4K                                                                                     \
	{                                                                                          \
		0x1000, 0                                                                          \
	}
#define BAR_64K                                                                                    \
	{                                                                                          \
		0x10000, 0                                                                         \
	}

static const struct move_case moves[] = {
	{ "stays", 3, MSIX_STAYS, { { 0, 0 } }, 0, 0, 0x800, 0x4000, 0x3000 },
	{ "nothing beside it: no need to move",
	  6,
	  MSIX_AUTO,
	  { { 0, 0 }, BAR_4K },
	  2,
	  0,
	  0x800,
	  0x1000,
	  0x4000 },
	{ "to the last free one", 3, MSIX_AUTO, { { 0, 0 } }, 5, 0, 0x50, 0x1000, 0x4000 },
	{ "the upper half of a 64-bit BAR is not free",
	  3,
	  MSIX_AUTO,
	  { BAR_4K, { 0, 0 }, { 0, 0 }, { 0x1000, MEM64 } },
	  3,
	  0,
	  0x50,
	  0x1000,
	  0x4000 },
	{ "none is free: the smallest is doubled",
	  3,
	  MSIX_AUTO,
	  { BAR_64K, IO_BAR, BAR_4K, BAR_64K, BAR_64K },
	  3,
	  0x1000,
	  0x1050,
	  0x2000,
	  0x4000 },
	{ "ports are no place",
	  3,
	  MSIX_AUTO,
	  { IO_BAR, IO_BAR, IO_BAR, IO_BAR, IO_BAR },
	  0,
	  0x4000,
	  0x4050,
	  0x8000,
	  0x4000 },
	{ "by name, a free one", 3, MSIX_TO_BAR + 1, { { 0, 0 } }, 1, 0, 0x50, 0x1000, 0x4000 },
	{ "by name, its own", 3, MSIX_TO_BAR + 0, { { 0, 0 } }, 0, 0x4000, 0x4050, 0x8000, 0x4000 },
	{ "2048 vectors need more than a page",
	  7,
	  MSIX_TO_BAR + 1,
	  { { 0, 0 } },
	  1,
	  0,
	  0x8000,
	  0x10000,
	  0x20000 },
	{ "VFIO maps nothing there: not moved for nothing",
	  10,
	  MSIX_AUTO,
	  { { 0, 0 } },
	  0,
	  0,
	  0x800,
	  0x4000,
	  0x3000 },
};

static void move_facts(struct bar_facts *f, struct vfio_region *regions, const struct move_case *c)
{
	fill(f, regions, &layouts[c->layout]);
	if (c->layout == 10) { /* the kernel of before 4.16 */
		fill(f, regions, &layouts[3]);
		regions[0].area[0] = (struct vfio_mmap_area){ 0x1000, 0x3000 };
	}
	f->msix_to = c->to;
	for (unsigned int i = 0; i < 5; i++) {
		if (c->more[i].size == 0)
			continue;
		regions[i + 1].size = c->more[i].size;
		f->reg[i + 1] = c->more[i].reg;
	}
}

static void test_msix_structures_move_where_they_share_no_page(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(moves); i++) {
		const struct move_case *c = &moves[i];
		struct vfio_region regions[VFIO_N_REGIONS];
		struct verr err = { 0 };
		uint64_t mapped = 0;
		struct bar_facts f;
		struct bar_plan p;

		print_message("%s\n", c->name);
		move_facts(&f, regions, c);
		assert_int_equal(bar_plan_make(&f, &p, &err), 0);
		assert_int_equal(p.msix.tbir, c->bar);
		assert_int_equal(p.msix.pbir, c->bar);
		assert_int_equal(p.msix.toff, c->toff);
		assert_int_equal(p.msix.poff, c->poff);
		assert_int_equal(p.msix.n, f.msix.n);
		assert_int_equal(p.bar[c->bar].size, c->size);
		assert_true(p.bar[c->bar].align >= c->size);
		for (unsigned int k = 0; k < p.n_pieces; k++)
			if (p.piece[k].bar == 0)
				mapped += p.piece[k].size;
		assert_int_equal(mapped, c->mapped);
	}
}

static void test_msix_moves_that_cannot_be(void **state)
{
	struct vfio_region regions[VFIO_N_REGIONS];
	struct bar_facts f;

	(void)state;
	fill(&f, regions, &layouts[0]);
	f.msix_to = MSIX_TO_BAR;
	refuse(&f, "x-msix-relocation=bar0: the function has no MSI-X");

	fill(&f, regions, &layouts[3]);
	f.msix_to = MSIX_TO_BAR + 3;
	regions[2].size = 0x1000;
	f.reg[2] = MEM64;
	refuse(&f, "x-msix-relocation=bar3: BAR 3 is the upper half of the 64-bit BAR 2");

	fill(&f, regions, &layouts[3]);
	f.msix_to = MSIX_TO_BAR + 1;
	regions[1].size = 32;
	f.reg[1] = PCI_BASE_ADDRESS_SPACE_IO;
	refuse(&f, "x-msix-relocation=bar1: BAR 1 is made of ports; x-msix-relocation=auto finds "
		   "one");
	regions[1].size = GIB(1);
	f.reg[1] = 0;
	refuse(&f, "x-msix-relocation=bar1: BAR 1 is too large to be doubled; "
		   "x-msix-relocation=auto finds one");
	regions[1].size = GIB(4);
	f.reg[1] = MEM64;
	refuse(&f,
	       "x-msix-relocation=bar1: the table would lie past 4 GiB in BAR 1, where no MSI-X "
	       "table can be; x-msix-relocation=auto finds a place");
	f.wish[1].mode = BAR_HIDE;
	refuse(&f, "x-msix-relocation=bar1: BAR 1 is hidden; x-msix-relocation=auto finds one");
}

/* The rest of what addresses can't be is in the flow tests. */
static void test_addresses_hold_for_what_the_guest_sees(void **state)
{
	struct vfio_region regions[VFIO_N_REGIONS];
	struct bar_facts f;
	struct bar_plan p;
	struct verr err = { 0 };
	(void)state;
	fill(&f, regions, &layouts[3]);
	f.reg[0] = MEM64;
	f.wish[0].at = GIB(64) + 0x4000;
	assert_int_equal(bar_plan_make(&f, &p, &err), 0);
	assert_true(p.bar[0].at == GIB(64) + 0x4000);
	assert_true(p.n_pieces == 1 && p.piece[0].bar == 0);
	/* Twice as large with the MSI-X table in it. */
	f.msix_to = MSIX_TO_BAR;
	refuse(&f, "bar0=0x1000004000: 0x1000004000 is not a multiple of the BAR's size, 0x8000");
	f.wish[0].as_host = true;
	refuse(&f, "bar0=host: 0x1000004000 is not a multiple of the BAR's size, 0x8000");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_direct_pieces_leave_exactly_the_msix_pages_out),
		cmocka_unit_test(test_no_mmap_traps_everything),
		cmocka_unit_test(test_kinds_follow_the_registers),
		cmocka_unit_test(test_impossible_facts_are_refused_by_name),
		cmocka_unit_test(test_msix_structures_move_where_they_share_no_page),
		cmocka_unit_test(test_msix_moves_that_cannot_be),
		cmocka_unit_test(test_addresses_hold_for_what_the_guest_sees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
