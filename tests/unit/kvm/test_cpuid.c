// SPDX-License-Identifier: GPL-2.0-or-later
//
// CPUID made consistent, on tables as KVM gives them on an AMD and on an Intel host, for machines
// of every size: every leaf that tells topology tells the same.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kvm/cpuid.h"

typedef struct kvm_cpuid_entry2 entry;
#define E(f, i, a, b, c, d)                                                                        \
	{                                                                                          \
		.function = f, .index = i, .eax = a, .ebx = b, .ecx = c, .edx = d                  \
	}

static const entry amd[] = {
	E(0, 0, 0xd, 0x68747541, 0x444d4163, 0x69746e65),
	E(1, 0, 0x00a10f11, 0x00020800, 0xf6f8320b | 1 << 5, 0x178bfbff),
	E(5, 0, 64, 64, 3, 0),
	E(7, 0, 1, 0xf1bf97ad, 0x40415fde, 0),
	E(7, 1, 0x20, 0, 0, 0),
	E(8, 0, 0, 0, 0, 0),
	E(0xd, 0, 0x207, 0x340, 0x988, 0),
	E(0xd, 1, 0xf, 0x348, 0x1800, 0),
	E(0xd, 2, 0x100, 0x240, 0, 0),
	E(0xd, 9, 8, 0x980, 0, 0),
	E(0xd, 11, 0x10, 0, 1, 0),
	E(0x40000000, 0, 0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d),
	E(0x40000001, 0, 0x01007efb, 0, 0, 0),
	E(0x80000000, 0, 0x80000021, 0x68747541, 0x444d4163, 0x69746e65),
	E(0x80000001, 0, 0x00a10f11, 0, 0x20400397, 0x2fd3fbff),
	E(0x80000007, 0, 0, 0, 0, 0x100),
	E(0x80000008, 0, 0x00303034, 0x1142d205, 0x00017003, 0),
	E(0x8000000a, 0, 1, 0x8000, 0, 0x1fffffff),
	E(0x8000001d, 0, 0x00004121, 0x01c0003f, 0x3f, 0),
	E(0x8000001d, 1, 0x00004122, 0x01c0003f, 0x3f, 0),
	E(0x8000001d, 2, 0x00004143, 0x01c0003f, 0x7ff, 2),
	E(0x8000001d, 3, 0x0003c163, 0x03c0003f, 0x7fff, 1),
	E(0x8000001e, 0, 0x77, 0x102, 0x301, 0),
	E(0x80000026, 0, 1, 2, 0x100, 5),
};

static const entry intel[] = {
	E(0, 0, 0x1f, 0x756e6547, 0x6c65746e, 0x49656e69),
	E(1, 0, 0x000806f8, 0x05400800, 0xfffa3223 | 1 << 3, 0x1f8bfbff),
	E(4, 0, 0x7c004121, 0x02c0003f, 0x3f, 0),
	E(4, 1, 0x7c004122, 0x01c0003f, 0x3f, 0),
	E(4, 2, 0x7c004143, 0x03c0003f, 0x7ff, 0),
	E(4, 3, 0x7c1fc163, 0x0380003f, 0xffff, 4),
	E(7, 0, 2, 0xf1bf07ef, 0x1b415fee | 1 << 30, 0xffdd4432),
	E(0xb, 0, 1, 2, 0x100, 5),
	E(0xb, 1, 6, 64, 0x201, 5),
	E(0xd, 0, 0x602e7, 0xa88, 0x2b00, 0),
	E(0xd, 1, 0x1f, 0xa88, 0, 0),
	E(0xd, 2, 0x100, 0x240, 0, 0),
	E(0xd, 5, 0x40, 0x440, 0, 0),
	E(0xd, 6, 0x200, 0x480, 0, 0),
	E(0xd, 7, 0x400, 0x680, 0, 0),
	E(0xd, 9, 8, 0xa80, 0, 0),
	E(0x12, 0, 3, 0, 0, 0x241f),
	E(0x1f, 0, 1, 2, 0x100, 5),
	E(0x1f, 1, 6, 64, 0x201, 5),
	E(0x80000000, 0, 0x80000008, 0, 0, 0),
	E(0x80000001, 0, 0, 0, 0x123, 0x2c100800),
	E(0x80000008, 0, 0x3934, 0x200, 0, 0),
};

struct built {
	entry e[KVM_CPUID_MAX];
	unsigned int n;
};

static void build(struct built *b, const entry *from, size_t n, unsigned int vcpus)
{
	const struct kvm_cpuid_cfg cfg = { .vcpus = vcpus, .tsc_deadline = true };
	memset(b, 0, sizeof(*b));
	memcpy(b->e, from, n * sizeof(*from));
	for (size_t i = 0; i < n; i++) {
		uint32_t f = from[i].function;
		if (f == 4 || f == 7 || f == 0xb || f == 0xd || f == 0x1f || f == 0x8000001d)
			b->e[i].flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX;
	}
	int r = kvm_cpuid_build(b->e, (unsigned int)n, &cfg);
	assert_true(r > 0);
	b->n = (unsigned int)r;
}

static entry *at(struct built *b, uint32_t leaf, uint32_t subleaf)
{
	return kvm_cpuid_find(b->e, b->n, leaf, subleaf);
}

static const struct host {
	const char *name;
	const entry *e;
	size_t n;
} hosts[] = {
	{ "amd", amd, ARRAY_SIZE(amd) },
	{ "intel", intel, ARRAY_SIZE(intel) },
};
static const unsigned int sizes[] = { 1, 2, 3, 4, 5, 8, 63, 64, 65, 128, 254, 255 };

static unsigned int bits_for(unsigned int n)
{
	unsigned int b = 0;
	while (1u << b < n)
		b++;
	return b;
}

static void test_every_leaf_tells_the_same_topology(void **state)
{
	struct built b;
	(void)state;
	for (unsigned int h = 0; h < ARRAY_SIZE(hosts); h++) {
		for (unsigned int s = 0; s < ARRAY_SIZE(sizes); s++) {
			unsigned int n = sizes[s], bits = bits_for(n);
			bool is_amd = h == 0;
			build(&b, hosts[h].e, hosts[h].n, n);

			assert_int_equal(at(&b, 1, 0)->edx >> 28 & 1, n > 1);
			unsigned int logical = at(&b, 1, 0)->ebx >> 16 & 0xff;
			assert_int_equal(logical, is_amd ? n : MIN(1u << bits, 255));
			assert_int_equal(at(&b, 1, 0)->ebx & 0xff00, 0x0800); /* CLFLUSH stays */

			static const uint32_t ext[] = { 0xb, 0x1f };
			for (unsigned int i = 0; i < (is_amd ? 1 : 2); i++) {
				assert_int_equal(at(&b, ext[i], 0)->eax, 0);
				assert_int_equal(at(&b, ext[i], 0)->ebx, 1);
				assert_int_equal(at(&b, ext[i], 0)->ecx, 0x100);
				assert_int_equal(at(&b, ext[i], 1)->eax, bits);
				assert_int_equal(at(&b, ext[i], 1)->ebx, n);
				assert_int_equal(at(&b, ext[i], 1)->ecx, 0x201);
				assert_null(at(&b, ext[i], 2));
			}
			if (!is_amd) {
				assert_int_equal(at(&b, 4, 0)->eax >> 26,
						 MIN((1u << bits) - 1, 63));
				assert_int_equal(at(&b, 4, 2)->eax >> 14 & 0xfff, 0);
				assert_int_equal(at(&b, 4, 3)->eax >> 14 & 0xfff, (1u << bits) - 1);
				assert_int_equal(at(&b, 4, 3)->eax & 0x3fff, 0x0163);
				continue;
			}
			assert_null(at(&b, 0x1f, 0));
			assert_null(at(&b, 0x80000026, 0));
			assert_int_equal(at(&b, 0x80000008, 0)->ecx & 0xff, n - 1);
			assert_int_equal(at(&b, 0x80000008, 0)->ecx >> 12 & 0xf, bits);
			assert_int_equal(at(&b, 0x80000001, 0)->ecx >> 1 & 1, n > 1);
			assert_int_equal(at(&b, 0x8000001d, 1)->eax >> 14 & 0xfff, 0);
			assert_int_equal(at(&b, 0x8000001d, 3)->eax >> 14 & 0xfff,
					 (1u << bits) - 1);
			assert_int_equal(at(&b, 0x8000001e, 0)->ebx >> 8 & 0xff, 0);
			assert_int_equal(at(&b, 0x8000001e, 0)->ecx, 0);
		}
	}
}

static void test_apic_id_is_in_every_leaf_that_has_it(void **state)
{
	struct built b;
	(void)state;
	for (unsigned int h = 0; h < ARRAY_SIZE(hosts); h++) {
		build(&b, hosts[h].e, hosts[h].n, 255);
		static const uint32_t ids[] = { 0, 1, 7, 254 };
		for (unsigned int i = 0; i < ARRAY_SIZE(ids); i++) {
			kvm_cpuid_set_apic_id(b.e, b.n, ids[i]);
			assert_int_equal(at(&b, 1, 0)->ebx >> 24, ids[i]);
			assert_int_equal(at(&b, 0xb, 0)->edx, ids[i]);
			assert_int_equal(at(&b, 0xb, 1)->edx, ids[i]);
			if (h == 1) {
				assert_int_equal(at(&b, 0x1f, 1)->edx, ids[i]);
			} else {
				assert_int_equal(at(&b, 0x8000001e, 0)->eax, ids[i]);
				assert_int_equal(at(&b, 0x8000001e, 0)->ebx & 0xff, ids[i]);
			}
		}
	}
}

static void test_save_area_holds_what_is_offered(void **state)
{
	struct built b;
	(void)state;
	build(&b, amd, ARRAY_SIZE(amd), 2);
	assert_int_equal(at(&b, 0xd, 0)->eax, 0x207);
	assert_int_equal(at(&b, 0xd, 0)->ecx, 0x988);
	assert_int_equal(at(&b, 0xd, 0)->ebx, 576);
	assert_non_null(at(&b, 0xd, 11)); /* a supervisor component: in IA32_XSS */

	/* Intel's table offers AMX (17, 18) without their subleaves: they go, and the size with. */
	build(&b, intel, ARRAY_SIZE(intel), 2);
	assert_int_equal(at(&b, 0xd, 0)->eax, 0x2e7);
	assert_int_equal(at(&b, 0xd, 0)->ecx, 0xa88);
	assert_int_equal(at(&b, 7, 0)->edx & 0x03400000, 0);
	assert_int_equal(at(&b, 7, 0)->edx, 0xffdd4432 & ~0x03400000);
	assert_int_equal(at(&b, 7, 0)->ebx >> 16 & 1, 1); /* AVX-512 stays */
	assert_int_equal(at(&b, 0xd, 1)->eax, 0xf);	  /* no XFD */

	/* XSAVE off: no leaf 0xd at all. */
	entry no[ARRAY_SIZE(amd)];
	memcpy(no, amd, sizeof(no));
	no[1].ecx &= ~(UINT32_C(1) << 26);
	build(&b, no, ARRAY_SIZE(no), 2);
	assert_null(at(&b, 0xd, 0));
	assert_null(at(&b, 0xd, 2));
	assert_int_equal(at(&b, 1, 0)->ecx & (1u << 12 | 1u << 28 | 1u << 29), 0); /* nor AVX */
	assert_int_equal(at(&b, 7, 0)->ebx & (1u << 5 | 1u << 16), 0);
}

static void test_what_we_cannot_serve_is_hidden(void **state)
{
	struct built b;
	(void)state;
	for (unsigned int h = 0; h < ARRAY_SIZE(hosts); h++) {
		build(&b, hosts[h].e, hosts[h].n, 4);
		uint32_t c = at(&b, 1, 0)->ecx;
		assert_int_equal(c & (1u << 3 | 1u << 5 | 1u << 6 | 1u << 27), 0);
		assert_int_equal(c >> 31, 1);
		assert_int_equal(c >> 21 & 1, 1);
		assert_int_equal(c >> 24 & 1, 1);
		assert_int_equal(at(&b, 0x80000001, 0)->ecx & (1u << 2 | 1u << 29), 0);
		assert_int_equal(at(&b, 7, 0)->ebx & 1u << 2, 0);
		assert_int_equal(at(&b, 7, 0)->ecx & 1u << 30, 0);
		assert_null(at(&b, 5, 0));
		assert_null(at(&b, 0x12, 0));
		assert_null(at(&b, 0x8000000a, 0));
		for (unsigned int i = 0; i < b.n; i++) /* every indexed leaf says so */
			if (b.e[i].index)
				assert_int_equal(b.e[i].flags, KVM_CPUID_FLAG_SIGNIFCANT_INDEX);
	}
	struct kvm_cpuid_cfg cfg = { .vcpus = 1, .tsc_deadline = false };
	memcpy(b.e, amd, sizeof(amd));
	int r = kvm_cpuid_build(b.e, ARRAY_SIZE(amd), &cfg);
	assert_true(r > 0);
	b.n = (unsigned int)r;
	assert_int_equal(at(&b, 1, 0)->ecx >> 24 & 1, 0);
}

static void test_kvm_leaves_stay(void **state)
{
	struct built b;
	(void)state;
	build(&b, amd, ARRAY_SIZE(amd), 2);
	assert_memory_equal(&at(&b, 0x40000000, 0)->ebx, "KVMK", 4);
	assert_int_equal(at(&b, 0x40000001, 0)->eax, 0x01007efb);
	assert_int_equal(at(&b, 0x80000007, 0)->edx, 0x100);
}

static void test_physical_address_width(void **state)
{
	static const struct {
		uint32_t eax;
		unsigned int bits;
	} cases[] = {
		{ 0x3028, 40 },	    { 0x3934, 48 }, { 0x00303034, 48 }, { 0x00343934, 52 },
		{ 0x002f3030, 47 }, { 0x0000, 36 }, { 0x00ff30ff, 52 }, { 0x3020, 32 },
	};
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		entry e[2] = { E(0, 0, 1, 0, 0, 0), E(0x80000008, 0, cases[i].eax, 0, 0, 0) };
		assert_int_equal(kvm_cpuid_phys_bits(e, 2), cases[i].bits);
		assert_int_equal(kvm_cpuid_phys_bits(e, 1), 36);
	}
	struct built b;
	build(&b, amd, ARRAY_SIZE(amd), 2);
	assert_int_equal(at(&b, 0x80000008, 0)->eax, 0x3030);
	build(&b, intel, ARRAY_SIZE(intel), 2);
	assert_int_equal(at(&b, 0x80000008, 0)->eax, 0x3930);
}

static void test_building_twice_changes_nothing(void **state)
{
	struct built a, b;
	(void)state;
	for (unsigned int h = 0; h < ARRAY_SIZE(hosts); h++) {
		build(&a, hosts[h].e, hosts[h].n, 3);
		build(&b, a.e, a.n, 3);
		assert_int_equal(a.n, b.n);
		for (unsigned int i = 0; i < a.n; i++) {
			const entry *x = at(&b, a.e[i].function, a.e[i].index);
			assert_non_null(x);
			assert_memory_equal(x, &a.e[i], offsetof(entry, padding));
		}
	}
}

static void test_full_and_empty_tables(void **state)
{
	static entry e[KVM_CPUID_MAX];
	const struct kvm_cpuid_cfg cfg = { .vcpus = 2 };
	(void)state;
	for (unsigned int i = 0; i < KVM_CPUID_MAX; i++)
		e[i] = (entry)E(0x40000000 + i, 0, 1, 0, 0, 0);
	assert_int_equal(kvm_cpuid_build(e, KVM_CPUID_MAX, &cfg), -E2BIG);
	memset(e, 0, sizeof(e));
	assert_int_equal(kvm_cpuid_build(e, 0, &cfg), 2); /* the two of 0xb */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_leaf_tells_the_same_topology),
		cmocka_unit_test(test_apic_id_is_in_every_leaf_that_has_it),
		cmocka_unit_test(test_save_area_holds_what_is_offered),
		cmocka_unit_test(test_what_we_cannot_serve_is_hidden),
		cmocka_unit_test(test_kvm_leaves_stay),
		cmocka_unit_test(test_physical_address_width),
		cmocka_unit_test(test_building_twice_changes_nothing),
		cmocka_unit_test(test_full_and_empty_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
