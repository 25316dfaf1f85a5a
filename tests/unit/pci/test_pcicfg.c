// SPDX-License-Identifier: GPL-2.0-or-later
// The four-mask configuration space against a model that does one bit at a time.
#include "rec.h"

#include "pci/pcicfg.h"

/* ---- hardware behind it ---------------------------------------------------------------------- */

struct fake_hw {
	uint8_t reg[PCICFG_SIZE];
	unsigned int reads, writes;
	unsigned int off, size; /* of the last write */
	uint32_t val;
};

static uint32_t hw_read(void *opaque, unsigned int off, unsigned int size)
{
	struct fake_hw *h = opaque;
	assert_true(off % size == 0);
	h->reads++;
	return (uint32_t)get_le(&h->reg[off], size);
}

static void hw_write(void *opaque, unsigned int off, uint32_t val, unsigned int size)
{
	struct fake_hw *h = opaque;
	assert_true(off % size == 0);
	h->writes++;
	h->off = off;
	h->size = size;
	h->val = val;
}

static const struct pcicfg_hw fake = { .read = hw_read, .write = hw_write };

/* ---- a bit at a time ------------------------------------------------------------------------- */

static bool bit(const uint8_t *p, unsigned int i)
{
	return (p[i / 8] >> i % 8 & 1) != 0;
}

/* What the guest reads in bit i; what a write of `w` leaves there; what hardware is sent. */
static bool model_read(const struct pcicfg *c, const struct fake_hw *h, unsigned int i)
{
	if (i / 8 >= c->size)
		return true;
	return bit(c->hw, i) ? bit(h->reg, i) : bit(c->val, i);
}

static bool model_after(const struct pcicfg *c, unsigned int i, bool w)
{
	if (i / 8 >= c->size)
		return bit(c->val, i);
	if (bit(c->w1c, i) && w)
		return false;
	return bit(c->wmask, i) ? w : bit(c->val, i);
}

static bool model_sent(const struct pcicfg *c, const struct fake_hw *h, unsigned int i, bool w)
{
	if (bit(c->fwd, i))
		return w;
	return bit(c->w1c, i) ? false : bit(h->reg, i);
}

static uint64_t rng_state = 0x9e3779b97f4a7c15;

static uint32_t rng(void)
{
	rng_state ^= rng_state << 13;
	rng_state ^= rng_state >> 7;
	rng_state ^= rng_state << 17;
	return (uint32_t)(rng_state >> 16);
}

static void randomise(struct pcicfg *c, struct fake_hw *h, uint16_t size)
{
	pcicfg_init(c, size);
	for (unsigned int i = 0; i < PCICFG_SIZE; i++) {
		c->val[i] = (uint8_t)rng();
		c->wmask[i] = (uint8_t)rng();
		c->w1c[i] = (uint8_t)(rng() & ~c->wmask[i]);
		c->hw[i] = (uint8_t)(rng() & rng());
		c->fwd[i] = rng() % 3 == 0 ? (uint8_t)rng() : 0;
		h->reg[i] = (uint8_t)rng();
	}
}

static void check_access(struct pcicfg *c, struct fake_hw *h, unsigned int off, unsigned int size,
			 uint32_t w)
{
	static struct pcicfg before;
	before = *c;
	uint32_t got = pcicfg_read(c, &fake, h, off, size);
	for (unsigned int i = 0; i < size * 8; i++)
		assert_int_equal(got >> i & 1, model_read(c, h, off * 8 + i));
	unsigned int off4 = off & ~3U;
	uint32_t peek = pcicfg_peek_write(c, off4, off, w, size);

	h->writes = 0;
	pcicfg_write(c, &fake, h, off, w, size);
	for (unsigned int i = 0; i < size * 8; i++)
		assert_int_equal(bit(c->val, off * 8 + i),
				 model_after(&before, off * 8 + i, (w >> i & 1) != 0));
	assert_int_equal(peek, get_le32(&c->val[off4]));
	bool forwards = off + size <= c->size && get_le(&c->fwd[off], size) != 0;
	assert_int_equal(h->writes, forwards ? 1 : 0);
	if (forwards) {
		assert_int_equal(h->off, off);
		assert_int_equal(h->size, size);
		for (unsigned int i = 0; i < size * 8; i++)
			assert_int_equal(h->val >> i & 1,
					 model_sent(&before, h, off * 8 + i, (w >> i & 1) != 0));
	}
	/* Nothing else moved. */
	memcpy(&before.val[off], &c->val[off], size);
	assert_memory_equal(&before, c, sizeof(before));
}

static void test_every_byte_size_and_pattern_is_as_the_model_says(void **state)
{
	static const uint32_t pattern[] = { 0, UINT32_MAX, 0xaaaaaaaa, 0x55555555 };
	static struct pcicfg c;
	static struct fake_hw h;
	(void)state;
	for (unsigned int round = 0; round < 2; round++) {
		randomise(&c, &h, round == 0 ? 4096 : 256);
		for (unsigned int p = 0; p < ARRAY_SIZE(pattern) + 2; p++)
			for (unsigned int size = 1; size <= 4; size *= 2)
				for (unsigned int off = 0; off < PCICFG_SIZE; off += size)
					check_access(&c, &h, off, size,
						     p < ARRAY_SIZE(pattern) ? pattern[p] : rng());
	}
}

static void test_random_walk_is_as_the_model_says(void **state)
{
	static struct pcicfg c;
	static struct fake_hw h;
	(void)state;
	randomise(&c, &h, 4096);
	for (unsigned int i = 0; i < 20000; i++) {
		unsigned int size = 1U << rng() % 3;
		check_access(&c, &h, rng() % PCICFG_SIZE & ~(size - 1), size, rng());
		h.reg[rng() % PCICFG_SIZE] = (uint8_t)rng();
	}
}

/* ---- the contract, said in examples ---------------------------------------------------------- */

static void test_emulated_registers_need_no_hardware(void **state)
{
	struct pcicfg c;
	(void)state;
	pcicfg_init(&c, 256);
	assert_int_equal(pcicfg_read(&c, NULL, NULL, 0x40, 4), 0);
	pcicfg_write(&c, NULL, NULL, 0x40, UINT32_MAX, 4);
	assert_int_equal(pcicfg_read(&c, NULL, NULL, 0x40, 4), 0);
	pcicfg_set(&c, 0x40, 8, 0x1122334455667788, 0xff00ff00ff00ff00);
	pcicfg_write(&c, NULL, NULL, 0x40, 0, 4);
	pcicfg_write(&c, NULL, NULL, 0x44, UINT32_MAX, 4);
	assert_int_equal(pcicfg_get(&c, 0x40, 8), 0xff22ff4400660088);
}

static void test_beyond_the_end_reads_ones_and_ignores_writes(void **state)
{
	static struct pcicfg c;
	(void)state;
	pcicfg_init(&c, 256);
	memset(c.wmask, 0xff, sizeof(c.wmask));
	pcicfg_write(&c, NULL, NULL, 0x100, 0, 4);
	assert_int_equal(pcicfg_read(&c, NULL, NULL, 0x100, 4), UINT32_MAX);
	assert_int_equal(pcicfg_read(&c, NULL, NULL, 0xfff, 1), 0xff);
	assert_int_equal(pcicfg_read(&c, NULL, NULL, 0xfc, 4), 0);
}

static void test_w1c_bits_leave_the_write_mask(void **state)
{
	static struct pcicfg c;
	(void)state;
	pcicfg_init(&c, 256);
	pcicfg_set(&c, 6, 2, 0xf900, 0xffff);
	pcicfg_set_w1c(&c, 6, 2, 0xf900);
	assert_int_equal(get_le16(&c.wmask[6]), 0x06ff);
	pcicfg_write(&c, NULL, NULL, 4, 0x88000000, 4); /* the dword that holds COMMAND, too */
	assert_int_equal(pcicfg_get(&c, 6, 2), 0x7100);
}

static void test_command_is_shadowed_and_forwarded(void **state)
{
	static struct pcicfg c;
	static struct fake_hw h;
	(void)state;
	pcicfg_init(&c, 256);
	memset(&h, 0, sizeof(h));
	pcicfg_set(&c, 4, 2, 0, 0x0547);
	pcicfg_set_fwd(&c, 4, 2, 0x0547);
	pcicfg_set_hw(&c, 6, 2, 0xffff);
	pcicfg_set_w1c(&c, 6, 2, 0xf900);
	pcicfg_set_fwd(&c, 6, 2, 0xf900);
	put_le16(&h.reg[4], 0x0200);
	put_le16(&h.reg[6], 0xf910);
	pcicfg_write(&c, &fake, &h, 4, 0x08000006, 4);
	assert_int_equal(h.writes, 1);
	assert_int_equal(h.size, 4);
	/* Bits nobody owns stay as hardware has them; one W1C bit cleared, the others not. */
	assert_int_equal(h.val, 0x08100206);
	assert_int_equal(pcicfg_get(&c, 4, 2), 0x0006);
}

static void test_fully_forwarded_writes_do_not_read_first(void **state)
{
	static struct pcicfg c;
	static struct fake_hw h;
	(void)state;
	pcicfg_init(&c, 4096);
	memset(&h, 0, sizeof(h));
	pcicfg_set_fwd(&c, 0x80, 4, UINT32_MAX);
	pcicfg_write(&c, &fake, &h, 0x80, 0xdeadbeef, 4);
	assert_int_equal(h.reads, 0);
	assert_int_equal(h.val, 0xdeadbeef);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_byte_size_and_pattern_is_as_the_model_says),
		cmocka_unit_test(test_random_walk_is_as_the_model_says),
		cmocka_unit_test(test_emulated_registers_need_no_hardware),
		cmocka_unit_test(test_beyond_the_end_reads_ones_and_ignores_writes),
		cmocka_unit_test(test_w1c_bits_leave_the_write_mask),
		cmocka_unit_test(test_command_is_shadowed_and_forwarded),
		cmocka_unit_test(test_fully_forwarded_writes_do_not_read_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
