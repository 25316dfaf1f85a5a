// SPDX-License-Identifier: GPL-2.0-or-later
//
// Doorbells: a matching guest write signals the eventfd and makes no exit; any other write does.
#include "kvm_fix.h"

#include "core/uapi.h"

static int fd;

static void start(struct fix *f)
{
	fix_start(f, false);
	fd = sys_eventfd(0, EFD_NONBLOCK);
	assert_true(fd >= 0);
	fix_do(f, OP_OUT8, 0x80, 0);
	f->n_exits = 0;
}

static void finish(struct fix *f)
{
	fix_close(f);
	sys_close(fd);
}

static void test_matching_write_signals_without_exit(void **state)
{
	static const struct {
		struct doorbell d;
		enum op op;
		uint32_t addr;
		uint64_t hit, miss; /* miss 0: every value hits */
	} cases[] = {
		{ { .addr = 0xd0000000, .size = 4, .any = true }, OP_WR32, 0xd0000000, 7, 0 },
		{ { .addr = 0xd0000000, .size = 2, .match = 3 }, OP_WR16, 0xd0000000, 3, 4 },
		{ { .addr = 0xd0000008, .size = 8, .match = UINT64_C(0x1122334455667788) },
		  OP_WR64,
		  0xd0000008,
		  UINT64_C(0x1122334455667788),
		  UINT64_C(0x1122334455667789) },
		{ { .addr = 0x600, .size = 1, .match = 1, .pio = true }, OP_OUT8, 0x600, 1, 2 },
		{ { .addr = 0x604, .size = 4, .any = true, .pio = true }, OP_OUT32, 0x604, 9, 0 },
	};
	struct fix f;
	(void)state;
	start(&f);
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		struct doorbell d = cases[i].d;
		d.fd = fd;
		f.n_exits = 0;
		assert_int_equal(f.a->ops->doorbell_add(f.a, &d), 0);
		for (unsigned int n = 0; n < 3; n++)
			fix_do(&f, cases[i].op, cases[i].addr, cases[i].hit);
		assert_int_equal(sys_event_take(fd), 3);
		assert_int_equal(f.n_exits, 0);
		if (cases[i].miss) {
			fix_do(&f, cases[i].op, cases[i].addr, cases[i].miss);
			assert_int_equal(f.n_exits, 1);
			assert_false(sys_event_pending(fd));
		}
		f.n_exits = 0;
		f.a->ops->doorbell_del(f.a, &d);
		fix_do(&f, cases[i].op, cases[i].addr, cases[i].hit);
		assert_int_equal(f.n_exits, 1);
		assert_true(f.exits[0].data == cases[i].hit);
		assert_false(sys_event_pending(fd));
	}
	finish(&f);
}

static void test_any_width_doorbell_takes_every_width(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	struct doorbell d = { .addr = 0xd0000000, .size = 0, .any = true, .fd = fd };
	int r = f.a->ops->doorbell_add(f.a, &d);
	if (r == -EOPNOTSUPP) {
		print_message("skipped: KVM_CAP_IOEVENTFD_ANY_LENGTH is absent\n");
		finish(&f);
		skip();
	}
	assert_int_equal(r, 0);
	static const enum op ops[] = { OP_WR8, OP_WR16, OP_WR32, OP_WR64 };
	for (unsigned int i = 0; i < ARRAY_SIZE(ops); i++)
		fix_do(&f, ops[i], 0xd0000000, i);
	assert_int_equal(sys_event_take(fd), 4);
	assert_int_equal(f.n_exits, 0);
	f.a->ops->doorbell_del(f.a, &d);
	finish(&f);
}

static void test_reads_and_neighbours_still_exit(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	struct doorbell d = { .addr = 0xd0000000, .size = 4, .any = true, .fd = fd };
	assert_int_equal(f.a->ops->doorbell_add(f.a, &d), 0);
	f.read_answer = 5;
	assert_int_equal(fix_do(&f, OP_RD32, 0xd0000000, 0), 5);
	fix_do(&f, OP_WR32, 0xd0000004, 1);
	fix_do(&f, OP_WR16, 0xd0000000, 1);
	assert_int_equal(f.n_exits, 3);
	assert_false(sys_event_pending(fd));
	f.a->ops->doorbell_del(f.a, &d);
	finish(&f);
}

static void test_bad_and_double_doorbells_are_refused(void **state)
{
	struct fix f;
	(void)state;
	start(&f);
	struct doorbell d = { .addr = 0xd0000000, .size = 3, .any = true, .fd = fd };
	assert_int_equal(f.a->ops->doorbell_add(f.a, &d), -EINVAL);
	d.size = 0;
	d.any = false;
	assert_int_equal(f.a->ops->doorbell_add(f.a, &d), -EINVAL);
	d.size = 4;
	assert_int_equal(f.a->ops->doorbell_add(f.a, &d), 0);
	assert_int_equal(f.a->ops->doorbell_add(f.a, &d), -EEXIST);
	f.a->ops->doorbell_del(f.a, &d);
	f.a->ops->doorbell_del(f.a, &d); /* no effect */
	assert_int_equal(f.a->ops->doorbell_add(f.a, &d), 0);
	f.a->ops->doorbell_del(f.a, &d);
	finish(&f);
}

int main(void)
{
	fix_need_kvm();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_matching_write_signals_without_exit),
		cmocka_unit_test(test_any_width_doorbell_takes_every_width),
		cmocka_unit_test(test_reads_and_neighbours_still_exit),
		cmocka_unit_test(test_bad_and_double_doorbells_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
