// SPDX-License-Identifier: GPL-2.0-or-later
//
// Address-space dispatch: who answers, with which calls, and what holes read as.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/aspace.h"
#include "core/log.h"

/* The calls handlers got: "name:r4@8", or "name:w4@8=1234". */
static char calls[512];

struct device {
	struct io_region r;
	uint8_t mem[64];
};

static uint64_t dev_read(void *opaque, uint64_t off, unsigned int size)
{
	struct device *d = opaque;
	size_t at = strlen(calls);
	snprintf(calls + at, sizeof(calls) - at, "%s%s:r%u@%" PRIx64, at ? " " : "", d->r.name,
		 size, off);
	uint64_t v = 0;
	memcpy(&v, d->mem + off, size);
	return v;
}

static void dev_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct device *d = opaque;
	size_t at = strlen(calls);
	snprintf(calls + at, sizeof(calls) - at, "%s%s:w%u@%" PRIx64 "=%" PRIx64, at ? " " : "",
		 d->r.name, size, off, val);
	memcpy(d->mem + off, &val, size);
}

static const struct io_region_ops any_ops = { .read = dev_read, .write = dev_write };

static struct device device(const char *name, int prio, const struct io_region_ops *ops)
{
	struct device d = { .r = { .name = name, .ops = ops, .prio = prio } };
	for (unsigned int i = 0; i < sizeof(d.mem); i++)
		d.mem[i] = (uint8_t)(i + 1);
	return d;
}

static void map(struct aspace *as, struct device *d, uint64_t base, uint64_t size)
{
	d->r.opaque = d;
	assert_int_equal(aspace_map(as, &d->r, base, size, NULL), 0);
}

static void expect_calls(const char *want)
{
	assert_string_equal(calls, want);
	calls[0] = '\0';
}

static int fresh(void **state)
{
	(void)state;
	calls[0] = '\0';
	return 0;
}

static void test_map_checks_its_range(void **state)
{
	(void)state;
	static const struct {
		uint64_t base, size;
		int want;
	} cases[] = {
		{ 0, 0, -EINVAL },	    { 0, 1, 0 },
		{ 0, 0x10000, 0 },	    { 0, 0x10001, -EINVAL },
		{ 0xffff, 1, 0 },	    { 0xffff, 2, -EINVAL },
		{ 0x10000, 1, -EINVAL },    { UINT64_MAX, 2, -EINVAL },
		{ 2, UINT64_MAX, -EINVAL },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct aspace as;
		struct verr e = { 0 };
		struct device d = device("dev", 0, &any_ops);
		assert_int_equal(aspace_init(&as, "pio", 0xffff), 0);
		assert_int_equal(aspace_map(&as, &d.r, cases[i].base, cases[i].size, &e),
				 cases[i].want);
		assert_int_equal(e.code, cases[i].want);
		if (cases[i].want)
			assert_non_null(strstr(e.msg, "dev does not fit in pio: "));
		aspace_unmap(&d.r);
		aspace_unmap(&d.r); /* no effect */
		aspace_fini(&as);
	}
}

static void test_mapping_twice_is_refused(void **state)
{
	(void)state;
	struct aspace as;
	struct verr e = { 0 };
	struct device d = device("dev", 0, &any_ops);
	aspace_init(&as, "mmio", UINT64_MAX);
	map(&as, &d, 0x1000, 0x10);
	assert_int_equal(aspace_map(&as, &d.r, 0x2000, 0x10, &e), -EBUSY);
	assert_string_equal(e.msg, "dev is already mapped in mmio at 0x1000");
	assert_ptr_equal(aspace_find(&as, 0x1000), &d.r);
	aspace_unmap(&d.r);
	aspace_fini(&as);
}

static void test_nobody_home(void **state)
{
	(void)state;
	struct aspace as;
	uint64_t v = 42;
	aspace_init(&as, "mmio", UINT64_MAX);
	assert_false(aspace_read(&as, 0, &v, 8));
	assert_false(aspace_write(&as, 0, 1, 8));
	struct device d = device("dev", 0, &any_ops);
	map(&as, &d, 0x1000, 0x10);
	assert_false(aspace_read(&as, 0xffc, &v, 4));
	assert_false(aspace_read(&as, 0x1010, &v, 4));
	assert_false(aspace_write(&as, 0x1010, 1, 4));
	assert_false(aspace_read(&as, UINT64_MAX, &v, 8));
	assert_null(aspace_find(&as, 0xfff));
	assert_null(aspace_find(&as, 0x1010));
	assert_int_equal(v, 42);
	expect_calls("");
	aspace_unmap(&d.r);
	assert_false(aspace_read(&as, 0x1000, &v, 4));
	aspace_fini(&as);
}

static void test_highest_priority_answers_and_the_last_among_equals(void **state)
{
	(void)state;
	struct aspace as;
	aspace_init(&as, "mmio", UINT64_MAX);
	struct device low = device("low", 0, &any_ops), high = device("high", 5, &any_ops);
	struct device same = device("same", 0, &any_ops);
	map(&as, &high, 0x1010, 0x10);
	map(&as, &low, 0x1000, 0x40);
	map(&as, &same, 0x1008, 0x20);
	static const struct {
		uint64_t at;
		char who;
	} cases[] = {
		{ 0x1000, 'l' }, { 0x1007, 'l' }, { 0x1008, 's' }, { 0x100f, 's' }, { 0x1010, 'h' },
		{ 0x101f, 'h' }, { 0x1020, 's' }, { 0x1027, 's' }, { 0x1028, 'l' }, { 0x103f, 'l' },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(aspace_find(&as, cases[i].at)->name[0], cases[i].who);

	/* What was hidden comes back when what hid it goes. */
	aspace_unmap(&high.r);
	assert_ptr_equal(aspace_find(&as, 0x1010), &same.r);
	aspace_unmap(&same.r);
	assert_ptr_equal(aspace_find(&as, 0x1010), &low.r);
	assert_int_equal(as.n_view, 1);
	aspace_unmap(&low.r);
	assert_int_equal(as.n_view, 0);
	aspace_fini(&as);
}

static void test_offsets_count_from_the_region_even_where_partly_hidden(void **state)
{
	(void)state;
	struct aspace as;
	uint64_t v;
	aspace_init(&as, "mmio", UINT64_MAX);
	struct device low = device("low", 0, &any_ops), high = device("high", 1, &any_ops);
	map(&as, &low, 0x1000, 0x40);
	map(&as, &high, 0x1000, 0x10);
	assert_true(aspace_read(&as, 0x1010, &v, 4));
	expect_calls("low:r4@10");
	assert_int_equal(v, 0x14131211);
	aspace_unmap(&low.r);
	aspace_unmap(&high.r);
	aspace_fini(&as);
}

/* One device of 64 bytes at 0x1000; each case is one guest access and the calls it makes. */
static void test_accesses_are_split_and_widened(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint8_t min, max;
		bool unaligned;
		uint64_t off;
		unsigned int size;
		const char *reads, *writes;
	} cases[] = {
		{ "as it is", 0, 0, false, 8, 8, "d:r8@8", "d:w8@8=8877665544332211" },
		{ "too wide", 1, 4, false, 8, 8, "d:r4@8 d:r4@c",
		  "d:w4@8=44332211 d:w4@c=88776655" },
		{ "byte device", 1, 1, false, 4, 2, "d:r1@4 d:r1@5", "d:w1@4=11 d:w1@5=22" },
		{ "unaligned is split", 1, 4, false, 1, 4, "d:r1@1 d:r2@2 d:r1@4",
		  "d:w1@1=11 d:w2@2=3322 d:w1@4=44" },
		{ "unaligned goes through", 1, 4, true, 1, 4, "d:r4@1", "d:w4@1=44332211" },
		{ "unaligned and too wide", 1, 4, true, 1, 8, "d:r4@1 d:r4@5",
		  "d:w4@1=44332211 d:w4@5=88776655" },
		{ "odd size", 1, 4, false, 4, 3, "d:r2@4 d:r1@6", "d:w2@4=2211 d:w1@6=33" },
		{ "widened", 4, 4, false, 6, 1, "d:r4@4", "" },
		{ "widened word", 4, 4, false, 6, 2, "d:r4@4", "" },
		{ "widened across", 4, 4, false, 6, 4, "d:r4@4 d:r4@8", "" },
		{ "half of it fits", 4, 8, false, 4, 6, "d:r4@4 d:r4@8", "d:w4@4=44332211" },
		{ "eight only", 8, 8, false, 12, 4, "d:r8@8", "" },
	};
	assert_int_equal(log_configure("err", NULL), 0); /* dropped writes warn */
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct io_region_ops ops = { dev_read, dev_write, cases[i].min, cases[i].max,
						   cases[i].unaligned };
		struct device d = device("d", 0, &ops);
		struct aspace as;
		uint64_t v = 0, want = 0;
		aspace_init(&as, cases[i].name, UINT64_MAX);
		map(&as, &d, 0x1000, 64);

		memcpy(&want, d.mem + cases[i].off, cases[i].size);
		assert_true(aspace_read(&as, 0x1000 + cases[i].off, &v, cases[i].size));
		expect_calls(cases[i].reads);
		assert_true(v == want); /* however it was got */

		assert_true(aspace_write(&as, 0x1000 + cases[i].off, 0x8877665544332211,
					 cases[i].size));
		expect_calls(cases[i].writes);
		aspace_unmap(&d.r);
		aspace_fini(&as);
	}
}

static void test_straddling_access_is_shared_and_holes_read_as_ones(void **state)
{
	(void)state;
	struct aspace as;
	uint64_t v;
	aspace_init(&as, "mmio", UINT64_MAX);
	struct device a = device("a", 0, &any_ops), b = device("b", 0, &any_ops);
	map(&as, &a, 0x1000, 4);
	map(&as, &b, 0x1006, 2);
	assert_true(aspace_read(&as, 0x1002, &v, 8));
	expect_calls("a:r2@2 b:r2@0");
	assert_true(v == 0xffff0201ffff0403);

	assert_true(aspace_read(&as, 0xffe, &v, 4)); /* a hole first */
	expect_calls("a:r2@0");
	assert_int_equal(v, 0x0201ffff);

	assert_true(aspace_write(&as, 0x1002, 0x8877665544332211, 8));
	expect_calls("a:w2@2=2211 b:w2@0=6655");
	aspace_unmap(&a.r);
	aspace_unmap(&b.r);
	aspace_fini(&as);
}

static void test_access_over_the_end_reads_ones_there(void **state)
{
	(void)state;
	static const uint64_t ends[] = { 0xffff, UINT64_MAX };
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct aspace as;
		uint64_t v;
		aspace_init(&as, "pio", ends[i]);
		struct device top = device("top", 0, &any_ops), zero = device("zero", 0, &any_ops);
		map(&as, &top, ends[i] - 1, 2);
		map(&as, &zero, 0, 2);
		assert_true(aspace_read(&as, ends[i] - 1, &v, 4));
		expect_calls("top:r2@0"); /* and not address 0 */
		assert_int_equal(v, 0xffff0201);
		assert_true(aspace_write(&as, ends[i], 0x2211, 2));
		expect_calls("top:w1@1=11");
		assert_int_equal(aspace_read(&as, ends[i] + 1, &v, 1), ends[i] == UINT64_MAX);
		calls[0] = '\0';
		aspace_unmap(&top.r);
		aspace_unmap(&zero.r);
		aspace_fini(&as);
	}
}

static void test_handler_value_is_cut_to_the_access(void **state)
{
	(void)state;
	struct aspace as;
	uint64_t v;
	aspace_init(&as, "mmio", UINT64_MAX);
	struct device d = device("d", 0, &any_ops);
	map(&as, &d, 0, 64);
	assert_true(aspace_write(&as, 8, 0x1122334455667788, 2));
	expect_calls("d:w2@8=7788");
	assert_true(aspace_read(&as, 8, &v, 1));
	assert_int_equal(v, 0x88);
	aspace_unmap(&d.r);
	aspace_fini(&as);
}

/* A handler that unmaps its neighbour, which the same access would have reached next. */
struct remover {
	struct io_region r;
	struct io_region *victim;
};

static uint64_t remover_read(void *opaque, uint64_t off, unsigned int size)
{
	struct remover *rm = opaque;
	(void)off;
	(void)size;
	aspace_unmap(rm->victim);
	return 0x5a;
}

static void test_handler_may_unmap_another_region_mid_access(void **state)
{
	(void)state;
	static const struct io_region_ops ops = { .read = remover_read };
	struct aspace as;
	uint64_t v;
	aspace_init(&as, "mmio", UINT64_MAX);
	struct device next = device("next", 0, &any_ops);
	struct remover rm = { .r = { .name = "rm", .ops = &ops }, .victim = &next.r };
	rm.r.opaque = &rm;
	assert_int_equal(aspace_map(&as, &rm.r, 0x1000, 1, NULL), 0);
	map(&as, &next, 0x1001, 1);
	assert_true(aspace_read(&as, 0x1000, &v, 2));
	assert_int_equal(v, 0xff5a);
	expect_calls("");
	aspace_unmap(&rm.r);
	aspace_fini(&as);
}

/* The view against a plain search, over many maps and unmaps. */
static void test_view_agrees_with_a_plain_search(void **state)
{
	(void)state;
	enum { N = 24, SPACE = 256 };
	struct device d[N];
	unsigned int order[N] = { 0 }, clock = 0;
	struct aspace as;
	uint32_t seed = 99;
	aspace_init(&as, "mmio", SPACE - 1);
	for (unsigned int i = 0; i < N; i++)
		d[i] = device("d", 0, &any_ops);
	for (int round = 0; round < 1000; round++) {
		seed = seed * 1103515245 + 12345;
		unsigned int i = (seed >> 8) % N;
		if (d[i].r.as) {
			aspace_unmap(&d[i].r);
		} else {
			uint64_t base = (seed >> 16) % SPACE;
			uint64_t size = 1 + (seed >> 24) % MIN(64u, SPACE - (unsigned int)base);
			d[i].r.prio = (int)((seed >> 12) & 3) - 1;
			map(&as, &d[i], base, size);
			order[i] = ++clock;
		}
		for (uint64_t a = 0; a < SPACE; a++) {
			struct io_region *best = NULL;
			unsigned int best_order = 0;
			for (unsigned int k = 0; k < N; k++) {
				struct io_region *r = &d[k].r;
				if (!r->as || a < r->base || a - r->base >= r->size)
					continue;
				if (!best || r->prio > best->prio ||
				    (r->prio == best->prio && order[k] > best_order)) {
					best = r;
					best_order = order[k];
				}
			}
			assert_ptr_equal(aspace_find(&as, a), best);
		}
	}
	for (unsigned int i = 0; i < N; i++)
		aspace_unmap(&d[i].r);
	aspace_fini(&as);
}

int main(void)
{
#define T_(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		T_(test_map_checks_its_range),
		T_(test_mapping_twice_is_refused),
		T_(test_nobody_home),
		T_(test_highest_priority_answers_and_the_last_among_equals),
		T_(test_offsets_count_from_the_region_even_where_partly_hidden),
		T_(test_accesses_are_split_and_widened),
		T_(test_straddling_access_is_shared_and_holes_read_as_ones),
		T_(test_access_over_the_end_reads_ones_there),
		T_(test_handler_value_is_cut_to_the_access),
		T_(test_handler_may_unmap_another_region_mid_access),
		T_(test_view_agrees_with_a_plain_search),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
