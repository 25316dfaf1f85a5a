// SPDX-License-Identifier: GPL-2.0-or-later
//
// The split irqchip's IOAPIC against a recording sink: registers, edge and level pins, remote IRR,
// EOI by vector and by register, masks, reset.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "kvm/ioapic.h"

struct rec {
	unsigned int n_send, n_eoi, n_pin;
	struct msi_msg sent, pin_msg;
	unsigned int pin, eoi_pin;
	bool open;
};

static void rec_pin(void *opaque, unsigned int pin, const struct msi_msg *msg)
{
	struct rec *r = opaque;
	r->n_pin++;
	r->pin = pin;
	r->open = msg != NULL;
	if (msg)
		r->pin_msg = *msg;
}

static void rec_send(void *opaque, const struct msi_msg *msg)
{
	struct rec *r = opaque;
	r->n_send++;
	r->sent = *msg;
}

static void rec_eoi(void *opaque, unsigned int pin)
{
	struct rec *r = opaque;
	r->n_eoi++;
	r->eoi_pin = pin;
}

static const struct kvm_ioapic_sink sink = { .pin = rec_pin, .send = rec_send, .eoi = rec_eoi };

struct fix {
	struct kvm_ioapic io;
	struct aspace mmio;
	struct rec r;
};

static void open_fix(struct fix *f)
{
	memset(f, 0, sizeof(*f));
	assert_int_equal(aspace_init(&f->mmio, "mmio", UINT64_MAX), 0);
	kvm_ioapic_init(&f->io, &sink, &f->r);
	assert_int_equal(kvm_ioapic_map(&f->io, &f->mmio, NULL), 0);
}

static void close_fix(struct fix *f)
{
	kvm_ioapic_fini(&f->io);
	aspace_fini(&f->mmio);
}

static void wr(struct fix *f, uint32_t index, uint32_t val)
{
	assert_true(aspace_write(&f->mmio, KVM_IOAPIC_GPA, index, 4));
	assert_true(aspace_write(&f->mmio, KVM_IOAPIC_GPA + 0x10, val, 4));
}

static uint32_t rd(struct fix *f, uint32_t index)
{
	uint64_t val = 0;
	assert_true(aspace_write(&f->mmio, KVM_IOAPIC_GPA, index, 4));
	assert_true(aspace_read(&f->mmio, KVM_IOAPIC_GPA + 0x10, &val, 4));
	return (uint32_t)val;
}

static void test_power_on(void **state)
{
	struct fix f;
	(void)state;
	open_fix(&f);
	assert_int_equal(rd(&f, 1), 0x00170020); /* version 0x20, 24 pins */
	for (uint32_t i = 0; i < 24; i++)
		assert_int_equal(rd(&f, 0x10 + 2 * i), 0x10000);
	wr(&f, 0, 0xffffffff);
	assert_int_equal(rd(&f, 0), 0x0f000000);
	assert_int_equal(rd(&f, 0x40), 0); /* past the last entry */
	wr(&f, 0x40, 0x1234);
	wr(&f, 1, 0);
	assert_int_equal(rd(&f, 1), 0x00170020);
	close_fix(&f);
}

static void test_entry_becomes_the_message_it_stands_for(void **state)
{
	static const struct {
		const char *name;
		uint32_t lo, hi;
		uint64_t addr;
		uint32_t data;
	} cases[] = {
		{ "fixed physical edge", 0x0031, 0x05000000, 0xfee05000, 0x0031 },
		{ "fixed physical level", 0x8031, 0x05000000, 0xfee05000, 0xc031 },
		{ "logical lowest priority", 0x0931, 0xff000000, 0xfeeff004, 0x0131 },
		{ "NMI", 0x0400, 0, 0xfee00000, 0x0400 },
	};
	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fix f;
		open_fix(&f);
		wr(&f, 0x11 + 2 * 9, cases[i].hi);
		assert_int_equal(f.r.n_pin, 0); /* masked: nothing to tell */
		wr(&f, 0x10 + 2 * 9, cases[i].lo);
		assert_int_equal(f.r.n_pin, 1);
		assert_int_equal(f.r.pin, 9);
		assert_true(f.r.open);
		assert_true(f.r.pin_msg.addr == cases[i].addr);
		assert_int_equal(f.r.pin_msg.data, cases[i].data);
		wr(&f, 0x10 + 2 * 9, cases[i].lo); /* unchanged */
		assert_int_equal(f.r.n_pin, 1);
		wr(&f, 0x10 + 2 * 9, cases[i].lo | 0x10000);
		assert_int_equal(f.r.n_pin, 2);
		assert_false(f.r.open);
		close_fix(&f);
	}
}

static void test_edge_fires_on_the_edge_and_is_lost_when_masked(void **state)
{
	struct fix f;
	(void)state;
	open_fix(&f);
	kvm_ioapic_set(&f.io, 4, true);
	wr(&f, 0x10 + 8, 0x34);
	assert_int_equal(f.r.n_send, 0);
	kvm_ioapic_set(&f.io, 4, true);
	assert_int_equal(f.r.n_send, 0);
	kvm_ioapic_set(&f.io, 4, false);
	kvm_ioapic_set(&f.io, 4, true);
	assert_int_equal(f.r.n_send, 1);
	assert_int_equal(f.r.sent.data, 0x34);
	kvm_ioapic_eoi(&f.io, 0x34);
	assert_int_equal(f.r.n_eoi, 0); /* not for edges */
	close_fix(&f);
}

static void test_level_waits_for_eoi_and_fires_again_while_up(void **state)
{
	struct fix f;
	(void)state;
	open_fix(&f);
	wr(&f, 0x10 + 2 * 16, 0x8041);
	kvm_ioapic_set(&f.io, 16, true);
	assert_int_equal(f.r.n_send, 1);
	assert_int_equal(rd(&f, 0x10 + 2 * 16), 0xc041); /* remote IRR */
	kvm_ioapic_set(&f.io, 16, true);
	assert_int_equal(f.r.n_send, 1);
	kvm_ioapic_eoi(&f.io, 0x42); /* another's */
	assert_int_equal(f.r.n_eoi, 0);
	kvm_ioapic_eoi(&f.io, 0x41);
	assert_int_equal(f.r.n_eoi, 1);
	assert_int_equal(f.r.eoi_pin, 16);
	assert_int_equal(f.r.n_send, 2);
	kvm_ioapic_set(&f.io, 16, false);
	kvm_ioapic_eoi(&f.io, 0x41);
	assert_int_equal(f.r.n_send, 2);
	assert_int_equal(rd(&f, 0x10 + 2 * 16), 0x8041);
	close_fix(&f);
}

static void test_level_up_while_masked_fires_at_unmask(void **state)
{
	struct fix f;
	(void)state;
	open_fix(&f);
	wr(&f, 0x10 + 2 * 16, 0x18041);
	kvm_ioapic_set(&f.io, 16, true);
	assert_int_equal(f.r.n_send, 0);
	wr(&f, 0x10 + 2 * 16, 0x8041);
	assert_int_equal(f.r.n_send, 1);
	/* Masked while in service, ended, unmasked: again, for it is still up. */
	wr(&f, 0x10 + 2 * 16, 0x18041);
	kvm_ioapic_eoi(&f.io, 0x41);
	assert_int_equal(f.r.n_eoi, 1);
	assert_int_equal(f.r.n_send, 1);
	wr(&f, 0x10 + 2 * 16, 0x8041);
	assert_int_equal(f.r.n_send, 2);
	close_fix(&f);
}

static void test_remote_irr_is_cleared_by_edge_mode_and_by_the_eoi_register(void **state)
{
	struct fix f;
	(void)state;
	open_fix(&f);
	wr(&f, 0x10, 0x8041);
	kvm_ioapic_set(&f.io, 0, true);
	wr(&f, 0x10, 0xffff8041); /* the guest can't set or clear it */
	assert_int_equal(rd(&f, 0x10) & 0x4000, 0x4000);
	kvm_ioapic_set(&f.io, 0, false);
	wr(&f, 0x10, 0x10041);
	assert_int_equal(rd(&f, 0x10), 0x10041);
	wr(&f, 0x10, 0x8041);
	kvm_ioapic_set(&f.io, 0, true);
	kvm_ioapic_set(&f.io, 0, false);
	assert_true(aspace_write(&f.mmio, KVM_IOAPIC_GPA + 0x40, 0x41, 4));
	assert_int_equal(rd(&f, 0x10), 0x8041);
	assert_int_equal(f.r.n_eoi, 1);
	close_fix(&f);
}

static void test_shared_vector_ends_every_pin_of_it(void **state)
{
	struct fix f;
	(void)state;
	open_fix(&f);
	wr(&f, 0x10 + 2 * 16, 0x8041);
	wr(&f, 0x10 + 2 * 17, 0x8041);
	kvm_ioapic_eoi(&f.io, 0x41);
	assert_int_equal(f.r.n_eoi, 2);
	close_fix(&f);
}

static void test_reset_masks_and_keeps_lines(void **state)
{
	struct fix f;
	(void)state;
	open_fix(&f);
	wr(&f, 0, 0x05000000);
	wr(&f, 0x10 + 2 * 16, 0x8041);
	kvm_ioapic_set(&f.io, 16, true);
	kvm_ioapic_reset(&f.io);
	assert_false(f.r.open);
	assert_int_equal(f.r.n_pin, 2);
	assert_int_equal(rd(&f, 0x10 + 2 * 16), 0x10000);
	assert_int_equal(rd(&f, 0), 0);
	wr(&f, 0x10 + 2 * 16, 0x8041);
	assert_int_equal(f.r.n_send, 2);
	close_fix(&f);
}

static void test_odd_accesses_are_harmless(void **state)
{
	struct fix f;
	(void)state;
	open_fix(&f);
	uint64_t val;
	for (uint64_t off = 0; off < 0x60; off++) {
		for (unsigned int size = 1; size <= 8; size *= 2) {
			assert_true(aspace_write(&f.mmio, KVM_IOAPIC_GPA + off, UINT64_MAX, size));
			assert_true(aspace_read(&f.mmio, KVM_IOAPIC_GPA + off, &val, size));
		}
	}
	close_fix(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_power_on),
		cmocka_unit_test(test_entry_becomes_the_message_it_stands_for),
		cmocka_unit_test(test_edge_fires_on_the_edge_and_is_lost_when_masked),
		cmocka_unit_test(test_level_waits_for_eoi_and_fires_again_while_up),
		cmocka_unit_test(test_level_up_while_masked_fires_at_unmask),
		cmocka_unit_test(test_remote_irr_is_cleared_by_edge_mode_and_by_the_eoi_register),
		cmocka_unit_test(test_shared_vector_ends_every_pin_of_it),
		cmocka_unit_test(test_reset_masks_and_keeps_lines),
		cmocka_unit_test(test_odd_accesses_are_harmless),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
