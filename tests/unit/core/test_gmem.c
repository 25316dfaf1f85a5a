// SPDX-License-Identifier: GPL-2.0-or-later
//
// Guest memory: all listeners or none, best effort where allowed, checked access.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/gmem.h"

#define PAGE	  4096u
#define ALL_KINDS (BIT32(GMEM_RAM) | BIT32(GMEM_ROM) | BIT32(GMEM_MMIO))

static uint8_t backing[8 * PAGE] __attribute__((aligned(4096)));

/* What the listeners heard, in order: "+kvm:a" and "-kvm:a". */
static char heard[512];

struct recorder {
	struct gmem_listener l;
	const char *refuses; /* name of a region, or NULL */
	bool silent;	     /* refuses without a sentence */
};

static void note(char op, const struct gmem_listener *l, const struct gmem_region *r)
{
	size_t at = strlen(heard);
	snprintf(heard + at, sizeof(heard) - at, "%s%c%s:%s", at ? " " : "", op, l->name, r->name);
}

static int rec_add(struct gmem_listener *l, const struct gmem_region *r, struct verr *reterr)
{
	struct recorder *rec = container_of(l, struct recorder, l);
	if (rec->refuses && strcmp(rec->refuses, r->name) == 0)
		return rec->silent ? -ENOSPC : verr_set(reterr, -ENOSPC, "no room for %s", r->name);
	note('+', l, r);
	return 0;
}

static void rec_del(struct gmem_listener *l, const struct gmem_region *r)
{
	note('-', l, r);
}

static struct recorder recorder(const char *name, unsigned int takes, unsigned int required)
{
	return (struct recorder){ .l = { .name = name,
					 .takes = takes,
					 .requires_ok = required,
					 .add = rec_add,
					 .del = rec_del } };
}

static struct gmem_region region(const char *name, enum gmem_kind kind, uint64_t gpa,
				 unsigned int page, unsigned int pages)
{
	return (struct gmem_region){ .name = name,
				     .kind = kind,
				     .gpa = gpa,
				     .size = pages * PAGE,
				     .hva = backing + page * PAGE,
				     .fd = -1 };
}

static void expect_heard(const char *want)
{
	assert_string_equal(heard, want);
	heard[0] = '\0';
}

static int fresh(void **state)
{
	(void)state;
	heard[0] = '\0';
	memset(backing, 0, sizeof(backing));
	return 0;
}

static void test_add_checks_alignment_and_wrap(void **state)
{
	(void)state;
	static const struct {
		uint64_t gpa, size;
		uintptr_t hva_off;
		int want;
	} cases[] = {
		{ 0, PAGE, 0, 0 },
		{ 0, 0, 0, -EINVAL },
		{ 1, PAGE, 0, -EINVAL },
		{ 0, PAGE + 1, 0, -EINVAL },
		{ 0, PAGE, 1, -EINVAL },
		{ UINT64_MAX - PAGE + 1, PAGE, 0, 0 }, /* the last page there is */
		{ UINT64_MAX - PAGE + 1, 2 * PAGE, 0, -EINVAL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct gmem m;
		struct verr e = { 0 };
		struct gmem_region r = region("ram", GMEM_RAM, cases[i].gpa, 0, 1);
		r.size = cases[i].size;
		r.hva = backing + cases[i].hva_off;
		gmem_init(&m);
		assert_int_equal(gmem_add(&m, &r, &e), cases[i].want);
		assert_int_equal(e.code, cases[i].want);
		assert_int_equal(r.gmem == &m, cases[i].want == 0);
		gmem_del(&r);
		gmem_del(&r); /* no effect */
		gmem_fini(&m);
	}
}

static void test_overlap_is_refused_by_name(void **state)
{
	(void)state;
	struct gmem m;
	struct verr e = { 0 };
	struct gmem_region a = region("low", GMEM_RAM, 0x10000, 0, 4);
	struct gmem_region before = region("before", GMEM_MMIO, 0xd000, 4, 3);
	struct gmem_region after = region("after", GMEM_RAM, 0x14000, 4, 1);
	gmem_init(&m);
	assert_int_equal(gmem_add(&m, &a, &e), 0);
	assert_int_equal(gmem_add(&m, &before, &e), 0); /* neighbours are fine */
	assert_int_equal(gmem_add(&m, &after, &e), 0);
	for (uint64_t gpa = 0xc000; gpa <= 0x14000; gpa += PAGE) {
		struct gmem_region r = region("new", GMEM_MMIO, gpa, 4, 2);
		verr_clear(&e);
		assert_int_equal(gmem_add(&m, &r, &e), -EEXIST);
		assert_non_null(strstr(e.msg, "guest memory new at 0x"));
		assert_non_null(strstr(e.msg, " overlaps "));
		assert_null(r.gmem);
	}
	gmem_del(&before);
	gmem_del(&a);
	gmem_del(&after);
	gmem_fini(&m);
}

static void test_listeners_hear_in_order_and_unhear_in_reverse(void **state)
{
	(void)state;
	struct gmem m;
	gmem_init(&m);
	struct recorder kvm = recorder("kvm", ALL_KINDS, ALL_KINDS);
	struct recorder vfio =
		recorder("vfio", BIT32(GMEM_RAM) | BIT32(GMEM_MMIO), BIT32(GMEM_RAM));
	struct gmem_region ram = region("ram", GMEM_RAM, 0, 0, 1);
	struct gmem_region rom = region("rom", GMEM_ROM, 0x10000, 1, 1);
	assert_int_equal(gmem_listen(&m, &kvm.l, NULL), 0);
	assert_int_equal(gmem_listen(&m, &vfio.l, NULL), 0);
	gmem_add(&m, &ram, NULL);
	gmem_add(&m, &rom, NULL); /* not for vfio */
	expect_heard("+kvm:ram +vfio:ram +kvm:rom");
	gmem_del(&rom);
	gmem_del(&ram);
	expect_heard("-kvm:rom -vfio:ram -kvm:ram");
	gmem_unlisten(&vfio.l);
	gmem_unlisten(&kvm.l);
	gmem_fini(&m);
}

static void test_refused_ram_is_taken_back_everywhere(void **state)
{
	(void)state;
	for (int silent = 0; silent < 2; silent++) {
		struct gmem m;
		struct verr e = { 0 };
		gmem_init(&m);
		struct recorder a = recorder("a", ALL_KINDS, ALL_KINDS);
		struct recorder b = recorder("b", ALL_KINDS, ALL_KINDS);
		struct recorder c = recorder("c", ALL_KINDS, ALL_KINDS);
		struct recorder d = recorder("d", ALL_KINDS, ALL_KINDS);
		c.refuses = "ram";
		c.silent = silent;
		struct gmem_region ram = region("ram", GMEM_RAM, 0, 0, 1);
		gmem_listen(&m, &a.l, NULL);
		gmem_listen(&m, &b.l, NULL);
		gmem_listen(&m, &c.l, NULL);
		gmem_listen(&m, &d.l, NULL);
		assert_int_equal(gmem_add(&m, &ram, &e), -ENOSPC);
		expect_heard("+a:ram +b:ram -b:ram -a:ram");
		assert_string_equal(e.msg, silent ? "c refuses guest memory ram at 0 (error -28)"
						  : "no room for ram");
		assert_null(ram.gmem);
		assert_int_equal(ram.mapped, 0);
		assert_null(gmem_ptr(&m, 0, 1));

		/* It may be tried again. */
		c.refuses = NULL;
		assert_int_equal(gmem_add(&m, &ram, &e), 0);
		expect_heard("+a:ram +b:ram +c:ram +d:ram");
		gmem_del(&ram);
		expect_heard("-d:ram -c:ram -b:ram -a:ram");
		gmem_unlisten(&a.l);
		gmem_unlisten(&b.l);
		gmem_unlisten(&c.l);
		gmem_unlisten(&d.l);
		gmem_fini(&m);
	}
}

static void test_refused_bar_is_best_effort_where_not_required(void **state)
{
	(void)state;
	struct gmem m;
	struct verr e = { 0 };
	gmem_init(&m);
	struct recorder kvm = recorder("kvm", ALL_KINDS, ALL_KINDS);
	struct recorder vfio = recorder("vfio", ALL_KINDS, BIT32(GMEM_RAM));
	struct gmem_region bar = region("bar", GMEM_MMIO, 0x10000, 0, 1);
	gmem_listen(&m, &vfio.l, NULL);
	gmem_listen(&m, &kvm.l, NULL);

	vfio.refuses = "bar";
	assert_int_equal(gmem_add(&m, &bar, &e), 0);
	assert_int_equal(e.code, 0); /* a success leaves no error behind */
	expect_heard("+kvm:bar");
	gmem_del(&bar); /* vfio is not told to drop what it never had */
	expect_heard("-kvm:bar");

	vfio.refuses = NULL;
	kvm.refuses = "bar";
	assert_int_equal(gmem_add(&m, &bar, &e), -ENOSPC);
	expect_heard("+vfio:bar -vfio:bar");
	gmem_unlisten(&vfio.l);
	gmem_unlisten(&kvm.l);
	gmem_fini(&m);
}

static void test_late_listener_hears_all_or_is_refused_whole(void **state)
{
	(void)state;
	struct gmem m;
	struct verr e = { 0 };
	gmem_init(&m);
	struct gmem_region b = region("b", GMEM_RAM, 0x20000, 1, 1);
	struct gmem_region a = region("a", GMEM_RAM, 0x10000, 0, 1);
	struct gmem_region bar = region("bar", GMEM_MMIO, 0x30000, 2, 1);
	gmem_add(&m, &b, NULL);
	gmem_add(&m, &a, NULL);
	gmem_add(&m, &bar, NULL);

	struct recorder late = recorder("late", ALL_KINDS, BIT32(GMEM_RAM));
	late.refuses = "b";
	assert_int_equal(gmem_listen(&m, &late.l, &e), -ENOSPC);
	expect_heard("+late:a -late:a");
	assert_string_equal(e.msg, "no room for b");
	assert_null(late.l.gmem);
	assert_int_equal(m.used_indexes, 0);
	gmem_unlisten(&late.l); /* no effect */

	late.refuses = "bar";
	verr_clear(&e);
	assert_int_equal(gmem_listen(&m, &late.l, &e), 0);
	assert_int_equal(e.code, 0);
	expect_heard("+late:a +late:b"); /* by address */
	gmem_unlisten(&late.l);
	expect_heard("-late:b -late:a");
	gmem_del(&a);
	gmem_del(&b);
	gmem_del(&bar);
	expect_heard("");
	gmem_fini(&m);
}

static void test_thirty_two_listeners_and_no_more(void **state)
{
	(void)state;
	struct gmem m;
	struct verr e = { 0 };
	struct recorder rec[33];
	gmem_init(&m);
	for (int i = 0; i < 33; i++)
		rec[i] = recorder("many", ALL_KINDS, ALL_KINDS);
	for (int i = 0; i < 32; i++)
		assert_int_equal(gmem_listen(&m, &rec[i].l, &e), 0);
	assert_int_equal(gmem_listen(&m, &rec[32].l, &e), -ENOSPC);
	assert_string_equal(e.msg, "many is one listener of guest memory too many: 32 is all");
	gmem_unlisten(&rec[7].l);
	assert_int_equal(gmem_listen(&m, &rec[32].l, NULL), 0);
	assert_int_equal(rec[32].l.index, 7);
	for (int i = 0; i < 33; i++)
		gmem_unlisten(&rec[i].l);
	gmem_fini(&m);
}

/* RAM 0x10000..0x12fff in two regions, ROM 0x13000, BAR 0x14000, then nothing. */
struct layout {
	struct gmem m;
	struct gmem_region r[4];
};

static void layout_init(struct layout *l)
{
	gmem_init(&l->m);
	l->r[0] = region("low", GMEM_RAM, 0x10000, 0, 2);
	l->r[1] = region("high", GMEM_RAM, 0x12000, 4, 1);
	l->r[2] = region("rom", GMEM_ROM, 0x13000, 5, 1);
	l->r[3] = region("bar", GMEM_MMIO, 0x14000, 6, 1);
	for (size_t i = 0; i < ARRAY_SIZE(l->r); i++)
		assert_int_equal(gmem_add(&l->m, &l->r[i], NULL), 0);
}

static void layout_fini(struct layout *l)
{
	for (size_t i = 0; i < ARRAY_SIZE(l->r); i++)
		gmem_del(&l->r[i]);
	gmem_fini(&l->m);
}

static void test_access_is_checked_to_the_byte(void **state)
{
	(void)state;
	static const struct {
		uint64_t gpa, len;
		bool ptr, read, write;
	} cases[] = {
		{ 0x10000, 1, true, true, true },
		{ 0x10000, 0x2000, true, true, true },
		{ 0x11fff, 1, true, true, true },
		{ 0x11fff, 2, false, true, true }, /* spans two regions */
		{ 0x10000, 0x3000, false, true, true },
		{ 0x12fff, 2, false, true, false }, /* into the ROM */
		{ 0x13000, 4, false, true, false },
		{ 0x13fff, 2, false, false, false }, /* into the BAR */
		{ 0x14000, 4, false, false, false },
		{ 0xffff, 2, false, false, false },
		{ 0xffff, 1, false, false, false },
		{ 0x15000, 1, false, false, false },
		{ UINT64_MAX, 1, false, false, false },
	};
	struct layout l;
	static uint8_t buf[0x4000];
	layout_init(&l);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t gpa = cases[i].gpa, len = cases[i].len;
		assert_int_equal(gmem_ptr(&l.m, gpa, len) != NULL, cases[i].ptr);
		assert_int_equal(gmem_read(&l.m, gpa, buf, len), cases[i].read ? 0 : -EFAULT);
		assert_int_equal(gmem_write(&l.m, gpa, buf, len), cases[i].write ? 0 : -EFAULT);
	}
	assert_null(gmem_ptr(&l.m, 0x10000, 0));
	assert_null(gmem_ptr(&l.m, 0x10000, UINT64_MAX));
	assert_int_equal(gmem_read(&l.m, 0x10000, buf, 0), 0);
	layout_fini(&l);
}

static void test_copy_across_regions_lands_where_it_should(void **state)
{
	(void)state;
	struct layout l;
	char got[5] = "";
	layout_init(&l);
	assert_int_equal(gmem_write(&l.m, 0x11ffe, "abcd", 4), 0);
	assert_memory_equal(backing + 2 * PAGE - 2, "ab", 2);
	assert_memory_equal(backing + 4 * PAGE, "cd", 2);
	assert_int_equal(gmem_read(&l.m, 0x11ffe, got, 4), 0);
	assert_string_equal(got, "abcd");
	assert_ptr_equal(gmem_ptr(&l.m, 0x12001, 1), backing + 4 * PAGE + 1);
	assert_int_equal(gmem_ram_size(&l.m), 3 * PAGE);
	layout_fini(&l);
}

static void test_copy_off_the_top_of_the_address_space_fails(void **state)
{
	(void)state;
	struct gmem m;
	char buf[4];
	gmem_init(&m);
	struct gmem_region top = region("top", GMEM_RAM, UINT64_MAX - PAGE + 1, 0, 1);
	struct gmem_region zero = region("zero", GMEM_RAM, 0, 1, 1);
	gmem_add(&m, &top, NULL);
	gmem_add(&m, &zero, NULL);
	assert_int_equal(gmem_read(&m, UINT64_MAX - 1, buf, 2), 0);
	assert_int_equal(gmem_read(&m, UINT64_MAX - 1, buf, 3), -EFAULT);
	assert_null(gmem_ptr(&m, UINT64_MAX, 2));
	gmem_del(&top);
	gmem_del(&zero);
	gmem_fini(&m);
}

/* ---- who gives back, who pins ---------------------------------------------------------------- */

struct giver {
	struct gmem_giver g;
	bool refuses;
	int held;
};

static int giver_hold(struct gmem_giver *g, struct verr *reterr)
{
	struct giver *me = container_of(g, struct giver, g);
	if (me->refuses)
		return verr_set(reterr, -EBUSY, "so much was given back");
	me->held++;
	return 0;
}

static void giver_go_on(struct gmem_giver *g)
{
	container_of(g, struct giver, g)->held--;
}

static void test_givers_hold_still_from_the_first_that_pins_to_the_last(void **state)
{
	(void)state;
	struct giver a = { .g = { giver_hold, giver_go_on, NULL, { NULL, NULL } } }, b = a, c = a;
	struct recorder plain = recorder("plain", ALL_KINDS, 0),
			one = recorder("one", ALL_KINDS, 0),
			two = recorder("two", ALL_KINDS, BIT32(GMEM_RAM));
	struct gmem_region r = region("ram", GMEM_RAM, 0, 0, 1);
	struct verr err = { 0 };
	struct gmem m;

	one.l.pins = two.l.pins = true;
	gmem_init(&m);
	gmem_add_giver(&m, &a.g);
	gmem_add_giver(&m, &b.g);
	assert_int_equal(gmem_add(&m, &r, NULL), 0);
	assert_int_equal(gmem_listen(&m, &plain.l, NULL), 0);
	assert_false(gmem_pinned(&m));
	/* One refuses: the other goes on, nobody was told of any memory. */
	b.refuses = true;
	heard[0] = '\0';
	assert_int_equal(gmem_listen(&m, &one.l, &err), -EBUSY);
	assert_string_equal(err.msg, "so much was given back");
	assert_int_equal(a.held, 0);
	expect_heard("");
	/* The listener itself fails: all go on. */
	b.refuses = false;
	two.refuses = "ram";
	assert_int_equal(gmem_listen(&m, &two.l, NULL), -ENOSPC);
	assert_int_equal(a.held + b.held, 0);
	two.refuses = NULL;
	assert_int_equal(gmem_listen(&m, &one.l, NULL), 0);
	assert_int_equal(gmem_listen(&m, &two.l, NULL), 0);
	assert_true(gmem_pinned(&m));
	assert_int_equal(a.held, 1);
	assert_int_equal(b.held, 1);
	gmem_add_giver(&m, &c.g); /* comes late: held at once */
	assert_int_equal(c.held, 1);
	gmem_unlisten(&one.l);
	assert_int_equal(a.held, 1);
	gmem_del_giver(&b.g);
	gmem_del_giver(&b.g);
	gmem_unlisten(&two.l);
	assert_int_equal(a.held + c.held, 0);
	assert_int_equal(b.held, 1);
	gmem_del_giver(&a.g);
	gmem_del_giver(&c.g);
	gmem_unlisten(&plain.l);
	gmem_del(&r);
	gmem_fini(&m);
}

int main(void)
{
#define T_(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		T_(test_add_checks_alignment_and_wrap),
		T_(test_overlap_is_refused_by_name),
		T_(test_listeners_hear_in_order_and_unhear_in_reverse),
		T_(test_refused_ram_is_taken_back_everywhere),
		T_(test_refused_bar_is_best_effort_where_not_required),
		T_(test_late_listener_hears_all_or_is_refused_whole),
		T_(test_thirty_two_listeners_and_no_more),
		T_(test_access_is_checked_to_the_byte),
		T_(test_copy_across_regions_lands_where_it_should),
		T_(test_copy_off_the_top_of_the_address_space_fails),
		T_(test_givers_hold_still_from_the_first_that_pins_to_the_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
