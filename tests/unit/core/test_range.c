// SPDX-License-Identifier: GPL-2.0-or-later
//
// Ranges at the ends of the number line, and the set that merges and splits them.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/range.h"

#define MAX64 UINT64_MAX

static void test_make_refuses_empty_and_wrapping(void **state)
{
	(void)state;
	static const struct {
		uint64_t base, size, last;
		bool ok;
	} cases[] = {
		{ 0, 0, 0, false },
		{ 0, 1, 0, true },
		{ 0x1000, 0x1000, 0x1fff, true },
		{ MAX64, 1, MAX64, true },
		{ MAX64, 2, 0, false },
		{ 1, MAX64, MAX64, true },
		{ 2, MAX64, 0, false },
		{ 0, MAX64, MAX64 - 1, true },
		{ MAX64 - 0xfff, 0x1000, MAX64, true },
		{ MAX64 - 0xfff, 0x1001, 0, false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct range r = { 7, 8 };
		assert_int_equal(range_make(cases[i].base, cases[i].size, &r), cases[i].ok);
		assert_int_equal(r.first, cases[i].ok ? cases[i].base : 7);
		assert_int_equal(r.last, cases[i].ok ? cases[i].last : 8);
	}
}

static void test_overlap_contain_intersect(void **state)
{
	(void)state;
	struct range a = { 10, 20 }, touching = { 20, 30 }, apart = { 21, 30 }, in = { 12, 20 };
	struct range common = { 1, 2 };
	assert_true(range_overlaps(a, touching));
	assert_false(range_overlaps(a, apart));
	assert_true(range_contains(a, in));
	assert_true(range_contains(a, a));
	assert_false(range_contains(in, a));
	assert_true(range_has(a, 10) && range_has(a, 20) && !range_has(a, 9) && !range_has(a, 21));
	assert_false(range_intersect(a, apart, &common));
	assert_int_equal(common.first, 1);
	assert_true(range_intersect(a, touching, &common));
	assert_true(common.first == 20 && common.last == 20);
	assert_int_equal(range_size((struct range){ 0, MAX64 }), 0);
}

/* "+a-b" adds and "~a-b" subtracts; the set is then printed as "a-b a-b". */
static void play(struct rangeset *s, const char *script)
{
	int n;
	for (const char *p = script; *p; p += n) {
		char op;
		struct range r;
		n = 0;
		assert_int_equal(
			sscanf(p, " %c%" SCNx64 "-%" SCNx64 "%n", &op, &r.first, &r.last, &n), 3);
		assert_int_equal(op == '+' ? rangeset_add(s, r) : rangeset_subtract(s, r), 0);
	}
}

static void print(const struct rangeset *s, char *buf, size_t size)
{
	size_t at = 0;
	buf[0] = '\0';
	for (size_t i = 0; i < s->n; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%" PRIx64 "-%" PRIx64, i ? " " : "",
				       s->r[i].first, s->r[i].last);
}

static void test_set_merges_and_splits(void **state)
{
	(void)state;
	static const struct {
		const char *script, *want;
	} cases[] = {
		{ "+10-1f", "10-1f" },
		{ "+10-1f +30-3f", "10-1f 30-3f" },
		{ "+30-3f +10-1f", "10-1f 30-3f" },
		{ "+10-1f +20-2f", "10-2f" }, /* neighbours */
		{ "+20-2f +10-1f", "10-2f" },
		{ "+10-1f +30-3f +20-2f", "10-3f" },
		{ "+10-1f +21-2f", "10-1f 21-2f" },
		{ "+10-1f +15-18", "10-1f" },
		{ "+15-18 +10-1f", "10-1f" },
		{ "+1-1 +3-3 +5-5 +7-7 +2-6", "1-7" },
		{ "+1-1 +3-3 +5-5 +9-9 +2-6", "1-6 9-9" },
		{ "+10-1f ~14-17", "10-13 18-1f" },
		{ "+10-1f ~10-1f", "" },
		{ "+10-1f ~0-ff", "" },
		{ "+10-1f ~0-17", "18-1f" },
		{ "+10-1f ~18-ff", "10-17" },
		{ "+10-1f ~20-2f", "10-1f" },
		{ "+10-1f +30-3f +50-5f ~18-57", "10-17 58-5f" },
		{ "~0-ffffffffffffffff", "" },
		{ "+0-ffffffffffffffff", "0-ffffffffffffffff" },
		{ "+0-ffffffffffffffff ~0-0", "1-ffffffffffffffff" },
		{ "+0-ffffffffffffffff ~ffffffffffffffff-ffffffffffffffff", "0-fffffffffffffffe" },
		{ "+0-0 +ffffffffffffffff-ffffffffffffffff",
		  "0-0 ffffffffffffffff-ffffffffffffffff" },
		{ "+ffffffffffffffff-ffffffffffffffff +fffffffffffffff0-fffffffffffffffe",
		  "fffffffffffffff0-ffffffffffffffff" },
		{ "+1-5 +0-0", "0-5" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct rangeset s = { 0 };
		char buf[256];
		play(&s, cases[i].script);
		print(&s, buf, sizeof(buf));
		assert_string_equal(buf, cases[i].want);
		rangeset_fini(&s);
	}
}

static void test_set_answers_contains_and_overlaps(void **state)
{
	(void)state;
	struct rangeset s = { 0 };
	assert_false(rangeset_contains(&s, (struct range){ 0, 0 }));
	assert_false(rangeset_overlaps(&s, (struct range){ 0, MAX64 }));
	play(&s, "+10-1f +30-3f");
	static const struct {
		uint64_t first, last;
		bool in, over;
	} cases[] = {
		{ 0x10, 0x1f, true, true },   { 0x11, 0x12, true, true },
		{ 0x0f, 0x10, false, true },  { 0x1f, 0x20, false, true },
		{ 0x20, 0x2f, false, false }, { 0x10, 0x3f, false, true },
		{ 0x30, 0x30, true, true },   { 0x40, MAX64, false, false },
		{ 0, 0xf, false, false },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct range r = { cases[i].first, cases[i].last };
		assert_int_equal(rangeset_contains(&s, r), cases[i].in);
		assert_int_equal(rangeset_overlaps(&s, r), cases[i].over);
	}
	rangeset_fini(&s);
}

static void test_copy_replaces_and_is_independent(void **state)
{
	(void)state;
	struct rangeset a = { 0 }, b = { 0 };
	char buf[128];
	play(&a, "+1-2 +5-6 +9-a");
	play(&b, "+77-78");
	assert_int_equal(rangeset_copy(&b, &a), 0);
	play(&a, "~0-ff");
	print(&b, buf, sizeof(buf));
	assert_string_equal(buf, "1-2 5-6 9-a");
	assert_int_equal(rangeset_copy(&b, &a), 0); /* the empty one */
	assert_int_equal(b.n, 0);
	assert_int_equal(rangeset_copy(&b, &b), 0);
	rangeset_fini(&a);
	rangeset_fini(&b);
	rangeset_fini(&b); /* twice is fine */
}

/* Against a bitmap of 256 units, with a fixed pseudo-random sequence. */
static void test_set_agrees_with_a_bitmap(void **state)
{
	(void)state;
	struct rangeset s = { 0 };
	bool map[256] = { false };
	uint32_t seed = 12345;
	for (int round = 0; round < 2000; round++) {
		seed = seed * 1103515245 + 12345;
		unsigned int x = (seed >> 8) & 255, y = MIN(255u, x + ((seed >> 16) & 31));
		bool add = seed >> 31;
		struct range r = { x, y };
		assert_int_equal(add ? rangeset_add(&s, r) : rangeset_subtract(&s, r), 0);
		for (unsigned int i = x; i <= y; i++)
			map[i] = add;
		unsigned int runs = 0;
		for (unsigned int i = 0; i < 256; i++) {
			assert_int_equal(rangeset_contains(&s, (struct range){ i, i }), map[i]);
			runs += map[i] && (i == 0 || !map[i - 1]);
		}
		assert_int_equal(s.n, runs); /* merged: no two neighbours */
	}
	rangeset_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_make_refuses_empty_and_wrapping),
		cmocka_unit_test(test_overlap_contain_intersect),
		cmocka_unit_test(test_set_merges_and_splits),
		cmocka_unit_test(test_set_answers_contains_and_overlaps),
		cmocka_unit_test(test_copy_replaces_and_is_independent),
		cmocka_unit_test(test_set_agrees_with_a_bitmap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
