// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/machine_map.c: RAM, BARs, address width, reservations and the reach of DMA solved together,
// and each answer's reason. What makes a case is in the table; every map must hold together.
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "vmm/machine_map.h"

#define TIB(n)	((n) * (UINT64_C(1) << 40))
#define MIBS(n) ((uint64_t)MIB(n))

struct map_case {
	const char *name;
	uint64_t ram, mmio32, mmio64, align32, align64;
	unsigned int bits;	       /* 0: 46 */
	struct range hole[3];	       /* not reached by DMA; last 0 ends */
	struct range fixed;	       /* BARs with an address of their own; last 0: none */
	uint64_t top;		       /* last address reached by DMA; 0: nothing does DMA */
	uint64_t low, base, mmio64_at; /* wanted; base 0: no high RAM; mmio64_at 0: no window */
	const char *note[2];	       /* wanted, in order */
	int code;		       /* or refused: */
	const char *sentence;
};

#define HT_FIRST UINT64_C(0xfd00000000)
#define HT_LAST	 UINT64_C(0xffffffffff)
#define BITS(n)	 ((UINT64_C(1) << (n)) - 1)

static const struct map_case cases[] = {
	{ .name = "small", .ram = MIBS(512), .low = MIBS(512), .mmio64_at = GIB(4) },
	{ .name = "RAM around the hole",
	  .ram = GIB(8),
	  .low = GIB(3),
	  .base = GIB(4),
	  .mmio64_at = GIB(9) },
	{ .name = "the hole grows with 32-bit BARs, and says so",
	  .ram = GIB(8),
	  .mmio32 = GIB(1) + MIBS(2),
	  .align32 = GIB(1),
	  .low = GIB(2),
	  .base = GIB(4),
	  .mmio64_at = GIB(10),
	  .note = { "RAM below 4 GiB ends at 0x80000000: the devices' 32-bit BARs need 1026 MiB" } },
	{ .name = "a 64 GiB BAR gets its alignment above RAM",
	  .ram = GIB(8),
	  .mmio64 = GIB(64) + MIBS(32),
	  .align64 = GIB(64),
	  .low = GIB(3),
	  .base = GIB(4),
	  .mmio64_at = GIB(64) },
	{ .name = "RAM that would cross the HyperTransport hole goes above it",
	  .ram = GIB(1100),
	  .low = GIB(3),
	  .base = TIB(1),
	  .mmio64_at = GIB(4),
	  .note = { "RAM above 4 GiB starts at 0x10000000000: 0xfd00000000-0xffffffffff is AMD's "
		    "HyperTransport hole" } },
	{ .name = "the window keeps clear of it, too",
	  .ram = GIB(1000),
	  .low = GIB(3),
	  .base = GIB(4),
	  .mmio64_at = TIB(1) },
	{ .name = "40 address bits end with it",
	  .ram = GIB(1000),
	  .bits = 40,
	  .low = GIB(3),
	  .base = GIB(4) },
	{ .name = "an AMD host whose IOMMU reserves it",
	  .ram = GIB(1100),
	  .top = BITS(48),
	  .hole = { { HT_FIRST, HT_LAST } },
	  .low = GIB(3),
	  .base = TIB(1),
	  .mmio64_at = GIB(4),
	  .note = { "RAM above 4 GiB starts at 0x10000000000: [fd00000000-ffffffffff]" } },
	{ .name = "a firmware reservation below 4 GiB ends RAM there, the rest moves up",
	  .ram = GIB(4),
	  .top = BITS(48),
	  .hole = { { 0x7b800000, 0x7fffffff } },
	  .low = 0x7b800000,
	  .base = GIB(4),
	  .mmio64_at = GIB(7),
	  .note = { "RAM below 4 GiB ends at 0x7b800000: [7b800000-7fffffff]" } },
	{ .name = "one that leaves too little is refused",
	  .ram = GIB(4),
	  .top = BITS(48),
	  .hole = { { 0x200000, 0x2fffff } },
	  .code = -EINVAL,
	  .sentence = "RAM below 4 GiB: [200000-2fffff]" },
	{ .name = "one beyond the end of RAM is nobody's business",
	  .ram = MIBS(512),
	  .top = BITS(48),
	  .hole = { { 0x7b800000, 0x7fffffff } },
	  .low = MIBS(512),
	  .mmio64_at = GIB(4) },
	{ .name = "one above 4 GiB is passed by",
	  .ram = GIB(8),
	  .top = BITS(48),
	  .hole = { { GIB(6), GIB(6) + 0xffff } },
	  .low = GIB(3),
	  .base = GIB(7),
	  .mmio64_at = GIB(12),
	  .note = { "RAM above 4 GiB starts at 0x1c0000000: [180000000-18000ffff]" } },
	{ .name = "39 bits of IOMMU hold RAM and BARs",
	  .ram = GIB(64),
	  .top = BITS(39),
	  .mmio64 = GIB(64),
	  .align64 = GIB(64),
	  .low = GIB(3),
	  .base = GIB(4),
	  .mmio64_at = GIB(128) },
	{ .name = "or RAM alone: BARs lie beyond, without peers, and that is said",
	  .ram = GIB(480),
	  .top = BITS(39),
	  .mmio64 = GIB(64),
	  .align64 = GIB(64),
	  .low = GIB(3),
	  .base = GIB(4),
	  .mmio64_at = GIB(512),
	  .note = { "devices can't reach each other's BARs in the 64-bit PCI window "
		    "0x8000000000-0x8fffffffff: [8000000000-ffffffffffffffff]" } },
	{ .name = "RAM beyond 39 bits of IOMMU",
	  .ram = GIB(600),
	  .top = BITS(39),
	  .code = -EINVAL,
	  .sentence = "611328 MiB of RAM above 4 GiB: [8000000000-ffffffffffffffff]; give a "
		      "smaller --memory" },
	{ .name = "RAM beyond the processor's bits",
	  .ram = GIB(600),
	  .bits = 39,
	  .code = -EINVAL,
	  .sentence = "--memory 614400M is more than a guest can address with 39 bits: at most "
		      "523264 MiB here" },
	{ .name = "BARs beyond the processor's bits",
	  .ram = GIB(8),
	  .bits = 39,
	  .mmio64 = GIB(512),
	  .align64 = GIB(256),
	  .code = -ENOSPC,
	  .sentence = "the devices' 64-bit BARs need 524288 MiB, aligned to 262144 MiB, beside "
		      "guest RAM above 4 GiB, but a guest address has only 39 bits here: less "
		      "--memory or fewer devices" },
	{ .name = "the ample window shrinks to what is needed before anything is refused",
	  .ram = GIB(3),
	  .bits = 34,
	  .mmio64 = GIB(1),
	  .align64 = GIB(1),
	  .low = GIB(3),
	  .mmio64_at = GIB(4) },
	{ .name = "a BAR with an address of its own takes the window with it",
	  .ram = GIB(8),
	  .mmio64 = MIBS(32),
	  .align64 = MIBS(32),
	  .fixed = { GIB(512), GIB(528) - 1 },
	  .low = GIB(3),
	  .base = GIB(4),
	  .mmio64_at = GIB(512) },
	{ .name = "and RAM out of its way",
	  .ram = GIB(8),
	  .mmio64 = GIB(16),
	  .align64 = GIB(16),
	  .fixed = { GIB(4), GIB(6) - 1 },
	  .low = GIB(3),
	  .base = GIB(48),
	  .mmio64_at = GIB(4),
	  .note = { "RAM above 4 GiB starts at 0xc00000000: the 64-bit PCI window 0x100000000-"
		    "0xbffffffff is around gpu BAR 1, which has an address of its own" } },
	{ .name = "at the end of all addresses the other BARs are below it",
	  .ram = GIB(8),
	  .bits = 39,
	  .mmio64 = GIB(2),
	  .align64 = GIB(1),
	  .fixed = { GIB(508), GIB(512) - 1 },
	  .low = GIB(3),
	  .base = GIB(4),
	  .mmio64_at = GIB(476) },
	{ .name = "where RAM leaves little the window is just large enough",
	  .ram = GIB(480),
	  .bits = 39,
	  .mmio64 = GIB(2),
	  .align64 = GIB(1),
	  .fixed = { GIB(508), GIB(512) - 1 },
	  .low = GIB(3),
	  .base = GIB(4),
	  .mmio64_at = GIB(506) },
	{ .name = "beyond the reach of DMA it has no peers, and that is said",
	  .ram = GIB(8),
	  .top = BITS(39),
	  .fixed = { GIB(1024), GIB(1040) - 1 },
	  .low = GIB(3),
	  .base = GIB(4),
	  .mmio64_at = GIB(1024),
	  .note = { "devices can't reach each other's BARs in the 64-bit PCI window "
		    "0x10000000000-0x10bffffffff: [10000000000-ffffffffffffffff]" } },
	{ .name = "an address beyond the processor's bits",
	  .ram = GIB(8),
	  .bits = 39,
	  .fixed = { GIB(504), GIB(520) - 1 },
	  .code = -EINVAL,
	  .sentence =
		  "nic BAR 0 has an address of its own, which has the 64-bit PCI window reach to 0x81ffffffff, but a guest address has only 39 bits here" },
	{ .name = "two on both sides of the HyperTransport hole",
	  .ram = GIB(8),
	  .fixed = { GIB(512), GIB(1040) - 1 },
	  .code = -EINVAL,
	  .sentence = "the 64-bit PCI window would have to reach from gpu BAR 1 (0x8000000000) to "
		      "nic BAR 0 (0x103ffffffff), over AMD's HyperTransport hole "
		      "0xfd00000000-0xffffffffff" },
	{ .name = "an address below 4 GiB",
	  .ram = MIBS(512),
	  .fixed = { GIB(2), GIB(3) - 1 },
	  .code = -EINVAL,
	  .sentence = "gpu BAR 1 has to be at 0x80000000, and a BAR can have an address of its own "
		      "above 4 GiB only" },
	{ .name = "in the middle of what RAM needs",
	  .ram = GIB(400),
	  .bits = 39,
	  .mmio64 = GIB(1),
	  .fixed = { GIB(200), GIB(201) - 1 },
	  .code = -ENOSPC,
	  .sentence = "gpu BAR 1 to nic BAR 0 have addresses of their own, 0x3200000000-"
		      "0x323fffffff, and leave no room for 406528 MiB of RAM above 4 GiB and "
		      "1024 MiB of other 64-bit BARs beside them: less --memory, or other "
		      "addresses" },
	{ .name = "RAM that would be too much without them",
	  .ram = GIB(600),
	  .bits = 39,
	  .fixed = { GIB(200), GIB(201) - 1 },
	  .code = -EINVAL,
	  .sentence = "--memory 614400M is more than a guest can address with 39 bits: at most "
		      "523264 MiB here" },
	{ .name = "32-bit BARs beyond 4 GiB's room",
	  .ram = GIB(3),
	  .mmio32 = GIB(3),
	  .align32 = GIB(2),
	  .code = -ENOSPC,
	  .sentence = "the devices' 32-bit BARs need 3072 MiB, aligned to 2048 MiB, more than a PC "
		      "has room for below 4 GiB: fewer devices" },
	{ .name = "an IOMMU that reaches nothing",
	  .ram = GIB(1),
	  .top = 1,
	  .hole = { { 0, 0xfff } },
	  .code = -EINVAL,
	  .sentence = "RAM below 4 GiB: [0-ffffffffffffffff]" },
};

static struct rangeset dma;

/* The first stretch of `r` that is not reached. */
static int why(void *opaque, struct range r, struct verr *reterr)
{
	uint64_t at = r.first;
	(void)opaque;
	for (size_t i = 0; i < dma.n; i++) {
		if (dma.r[i].last < at)
			continue;
		if (dma.r[i].first > at)
			return verr_set(reterr, -EINVAL, "[%" PRIx64 "-%" PRIx64 "]", at,
					dma.r[i].first - 1);
		at = dma.r[i].last + 1;
	}
	return verr_set(reterr, -EINVAL, "[%" PRIx64 "-%" PRIx64 "]", at, UINT64_MAX);
}

static void fill_dma(const struct map_case *c)
{
	rangeset_fini(&dma);
	memset(&dma, 0, sizeof(dma));
	assert_int_equal(rangeset_add(&dma, (struct range){ 0, c->top }), 0);
	for (unsigned int i = 0; i < 3 && c->hole[i].last; i++)
		assert_int_equal(rangeset_subtract(&dma, c->hole[i]), 0);
}

static void assert_holds(const struct map_case *c, const struct pc_layout *l)
{
	struct range low = { 0, l->ram_low_size - 1 };
	struct range high = { l->ram_high_base, l->ram_high_base + l->ram_high_size - 1 };
	assert_true(l->ram_low_size + l->ram_high_size == c->ram);
	assert_true(l->ram_low_size <= l->mmio32.first && l->mmio32.last < PC_ECAM_BASE);
	assert_true(range_size(l->mmio32) >= c->mmio32);
	assert_true(!l->has_mmio64 || range_size(l->mmio64) >= c->mmio64);
	if (c->fixed.last) {
		assert_true(l->has_mmio64 && range_contains(l->mmio64, c->fixed));
		assert_true(range_size(l->mmio64) >= c->mmio64 + range_size(c->fixed));
		assert_true(l->mmio64.last < UINT64_C(1) << (c->bits ? c->bits : 46));
		assert_false(range_overlaps(l->mmio64, (struct range){ HT_FIRST, HT_LAST }));
	}
	if (l->ram_high_size) {
		assert_true(high.last < UINT64_C(1) << (c->bits ? c->bits : 46));
		assert_false(range_overlaps(high, (struct range){ HT_FIRST, HT_LAST }));
		assert_false(l->has_mmio64 && range_overlaps(high, l->mmio64));
	}
	if (c->top) {
		assert_true(rangeset_contains(&dma, low));
		assert_true(!l->ram_high_size || rangeset_contains(&dma, high));
	}
}

static void test_maps(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct map_case *c = &cases[i];
		struct pc_map_notes notes;
		struct pc_layout l = { .vcpus = 3 };
		struct verr err = { 0 };
		struct pc_map_facts f = {
			.ram_size = c->ram,
			.phys_bits = c->bits ? c->bits : 46,
			.needs = { .mmio32 = c->mmio32,
				   .mmio64 = c->mmio64,
				   .mmio32_align = c->align32,
				   .mmio64_align = c->align64,
				   .fixed = c->fixed,
				   .lowest = "gpu BAR 1",
				   .highest = "nic BAR 0" },
			.dma = c->top ? &dma : NULL,
			.why = why,
		};
		print_message("%s\n", c->name);
		fill_dma(c);
		int r = pc_map_solve(&f, &l, &notes, &err);
		assert_int_equal(r, c->code);
		assert_int_equal(l.vcpus, 3);
		if (r < 0) {
			assert_string_equal(err.msg, c->sentence);
			continue;
		}
		assert_string_equal(err.msg, "");
		assert_true(l.ram_low_size == c->low);
		assert_true(l.ram_high_base == c->base);
		assert_true(l.has_mmio64 == (c->mmio64_at != 0));
		assert_true(!l.has_mmio64 || l.mmio64.first == c->mmio64_at);
		unsigned int n = 0;
		while (n < 2 && c->note[n])
			n++;
		assert_int_equal(notes.n, n);
		for (unsigned int k = 0; k < n; k++)
			assert_string_equal(notes.text[k], c->note[k]);
		assert_holds(c, &l);
	}
	rangeset_fini(&dma);
	memset(&dma, 0, sizeof(dma));
}

/* Random facts: a map that holds, or a sentence. */
static void test_any_facts_have_an_answer(void **state)
{
	uint64_t x = 88172645463325252;
	unsigned int solved = 0, refused = 0;
	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		uint64_t v[8];
		for (unsigned int k = 0; k < 8; k++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			v[k] = x >> 8;
		}
		struct map_case c = {
			.ram = ALIGN_UP((v[0] & BITS(41)) >> (v[0] >> 50) % 30, KIB(4)) + MIB(2),
			.align32 = v[1] & 1 ? MIBS(1) << v[1] % 11 : 0,
			.align64 = v[2] & 1 ? MIBS(1) << v[2] % 20 : 0,
			.bits = 34 + (unsigned int)(v[3] % 19),
			.top = v[4] & 1 ? BITS(32 + v[4] % 25) : 0,
			.hole = { { v[5] & BITS(42), 0 } },
		};
		if (v[3] & BIT32(20)) {
			c.fixed.first = ALIGN_DOWN(v[7] >> 10 & BITS(36 + v[6] % 8), MIBS(1));
			c.fixed.last = c.fixed.first + (MIBS(1) << (v[6] >> 8) % 16) - 1;
		}
		c.mmio32 = c.align32 * (1 + v[6] % 3);
		c.mmio64 = c.align64 * (1 + v[6] % 5);
		c.hole[0].last = c.hole[0].first + (v[7] & BITS(30));
		struct pc_map_notes notes;
		struct pc_layout l = { .vcpus = 1 };
		struct verr err = { 0 };
		struct pc_map_facts f = { .ram_size = c.ram,
					  .phys_bits = c.bits,
					  .needs = { .mmio32 = c.mmio32,
						     .mmio64 = c.mmio64,
						     .mmio32_align = c.align32,
						     .mmio64_align = c.align64,
						     .fixed = c.fixed,
						     .lowest = "gpu BAR 1",
						     .highest = "nic BAR 0" },
					  .dma = c.top ? &dma : NULL,
					  .why = why };
		fill_dma(&c);
		if (pc_map_solve(&f, &l, &notes, &err) == 0) {
			assert_holds(&c, &l);
			solved++;
		} else {
			assert_true(err.code < 0 && strlen(err.msg) > 20);
			refused++;
		}
	}
	assert_true(solved > 2000 && refused > 2000);
	rangeset_fini(&dma);
	memset(&dma, 0, sizeof(dma));
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_maps),
		cmocka_unit_test(test_any_facts_have_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
