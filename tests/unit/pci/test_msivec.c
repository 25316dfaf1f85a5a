// SPDX-License-Identifier: GPL-2.0-or-later
// A vector on real eventfds and a recording irqchip: nothing is lost while masked, nothing comes
// twice, nothing is left behind.
#include "rec.h"

#include <dirent.h>
#include <unistd.h>

#include "pci/msivec.h"

static struct rec_chip chip;
static const struct msi_msg msg_a = { 0xfee00000, 0xa }, msg_b = { 0xfee01000, 0xb };

static int setup(void **state)
{
	(void)state;
	rec_chip_init(&chip);
	return 0;
}

static unsigned int open_fds(void)
{
	unsigned int n = 0;
	DIR *d = opendir("/proc/self/fd");
	assert_non_null(d);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void go_live(struct msivec *v, const struct msi_msg *m)
{
	assert_int_equal(msivec_stage(v, &chip.c, m, true), 0);
	assert_int_equal(chip.c.ops->route_commit(&chip.c), 0);
	assert_int_equal(msivec_settle(v, &chip.c), 0);
}

static void test_costs_nothing_until_used(void **state)
{
	static struct msivec v[2048];
	unsigned int fds = open_fds();
	(void)state;
	for (unsigned int i = 0; i < 2048; i++) {
		msivec_init(&v[i]);
		assert_false(msivec_pending(&v[i]));
		assert_int_equal(msivec_stage(&v[i], &chip.c, &msg_a, false), 0);
		msivec_release(&v[i], &chip.c);
	}
	assert_int_equal(open_fds(), fds);
	assert_int_equal(rec_routes(&chip), 0);
	for (unsigned int i = 0; i < 2048; i++)
		msivec_fini(&v[i], &chip.c);
}

static void test_live_vector_delivers(void **state)
{
	struct msivec v;
	(void)state;
	msivec_init(&v);
	assert_int_equal(msivec_stage(&v, &chip.c, &msg_a, true), 0);
	assert_true(v.staged);
	assert_false(v.bound); /* not before the commit */
	assert_int_equal(chip.binds, 0);
	assert_int_equal(chip.c.ops->route_commit(&chip.c), 0);
	assert_int_equal(msivec_settle(&v, &chip.c), 0);
	assert_true(v.bound);
	msivec_signal(&v);
	rec_poll(&chip);
	assert_int_equal(rec_got(&chip, 0xa), 1);
	msivec_fini(&v, &chip.c);
	assert_int_equal(rec_routes(&chip), 0);
}

static void test_fired_while_masked_is_pending_and_delivered_exactly_once(void **state)
{
	struct msivec v;
	(void)state;
	msivec_init(&v);
	go_live(&v, &msg_a);
	assert_int_equal(msivec_stage(&v, &chip.c, &msg_a, false), 0);
	assert_int_equal(chip.unbinds, 1);
	assert_false(msivec_pending(&v));
	for (unsigned int i = 0; i < 5; i++)
		msivec_signal(&v);
	rec_poll(&chip);
	assert_int_equal(rec_got(&chip, 0xa), 0);
	assert_true(msivec_pending(&v));
	assert_true(msivec_pending(&v)); /* looking does not take */
	go_live(&v, &msg_a);
	rec_poll(&chip);
	assert_int_equal(rec_got(&chip, 0xa), 1);
	assert_false(msivec_pending(&v));
	msivec_fini(&v, &chip.c);
}

static void test_event_before_the_first_unmask_is_not_lost(void **state)
{
	struct msivec v;
	(void)state;
	msivec_init(&v);
	msivec_signal(&v);
	assert_true(msivec_pending(&v));
	go_live(&v, &msg_b);
	assert_int_equal(rec_got(&chip, 0xb), 1);
	msivec_fini(&v, &chip.c);
}

static void test_new_message_keeps_the_binding(void **state)
{
	struct msivec v;
	(void)state;
	msivec_init(&v);
	go_live(&v, &msg_a);
	go_live(&v, &msg_b);
	assert_int_equal(chip.binds, 1);
	assert_int_equal(chip.sets, 2);
	go_live(&v, &msg_b); /* unchanged: no call */
	assert_int_equal(chip.sets, 2);
	msivec_signal(&v);
	rec_poll(&chip);
	assert_int_equal(rec_got(&chip, 0xb), 1);
	msivec_fini(&v, &chip.c);
}

static void test_release_forgets_route_and_what_was_pending(void **state)
{
	struct msivec v;
	(void)state;
	msivec_init(&v);
	go_live(&v, &msg_a);
	assert_int_equal(msivec_stage(&v, &chip.c, &msg_a, false), 0);
	msivec_signal(&v);
	msivec_release(&v, &chip.c);
	assert_int_equal(rec_routes(&chip), 0);
	assert_false(msivec_pending(&v));
	go_live(&v, &msg_a);
	rec_poll(&chip);
	assert_int_equal(rec_got(&chip, 0xa), 0);
	assert_int_equal(chip.sets, 2); /* a new route gets its message again */
	msivec_fini(&v, &chip.c);
}

static void test_without_routes_the_vector_stays_silent_and_whole(void **state)
{
	struct msivec v;
	(void)state;
	chip.limit = 0;
	msivec_init(&v);
	assert_int_equal(msivec_stage(&v, &chip.c, &msg_a, true), -ENOSPC);
	assert_false(v.staged);
	msivec_signal(&v);
	chip.limit = 1;
	go_live(&v, &msg_a);
	assert_int_equal(rec_got(&chip, 0xa), 1);
	msivec_fini(&v, &chip.c);
}

static void test_failed_bind_can_be_tried_again(void **state)
{
	struct msivec v;
	(void)state;
	msivec_init(&v);
	chip.fail_bind = -EBUSY;
	assert_int_equal(msivec_stage(&v, &chip.c, &msg_a, true), 0);
	assert_int_equal(chip.c.ops->route_commit(&chip.c), 0);
	assert_int_equal(msivec_settle(&v, &chip.c), -EBUSY);
	assert_false(v.bound);
	chip.fail_bind = 0;
	go_live(&v, &msg_a);
	assert_true(v.bound);
	msivec_fini(&v, &chip.c);
}

/* The commit of a new message failed: silent, then as if nothing had been. */
static void test_abandoned_message_is_not_delivered_by_the_old_one(void **state)
{
	struct msivec v, other;
	(void)state;
	msivec_init(&v);
	msivec_init(&other);
	go_live(&v, &msg_a);
	go_live(&other, &msg_a);
	assert_int_equal(msivec_stage(&v, &chip.c, &msg_b, true), 0);
	assert_true(v.moved);
	msivec_abandon(&v, &chip.c);
	msivec_abandon(&other, &chip.c); /* had nothing staged */
	msivec_signal(&v);
	msivec_signal(&other);
	rec_poll(&chip);
	assert_int_equal(rec_got(&chip, 0xa), 1);
	assert_int_equal(rec_got(&chip, 0xb), 0);
	assert_true(msivec_pending(&v));
	go_live(&v, &msg_b);
	assert_int_equal(rec_got(&chip, 0xb), 1);
	assert_false(v.moved);
	msivec_fini(&v, &chip.c);
	msivec_fini(&other, &chip.c);
	assert_int_equal(rec_routes(&chip), 0);
}

static void test_storm_of_masks_neither_loses_nor_doubles(void **state)
{
	struct msivec v;
	unsigned int sent = 0;
	bool owed = false;
	uint32_t x = 3;
	(void)state;
	msivec_init(&v);
	for (unsigned int i = 0; i < 5000; i++) {
		x = x * 1664525 + 1013904223;
		switch (x >> 29) {
		case 0:
		case 1:
			go_live(&v, &msg_a);
			sent += owed;
			owed = false;
			break;
		case 2:
			assert_int_equal(msivec_stage(&v, &chip.c, &msg_a, false), 0);
			break;
		default:
			msivec_signal(&v);
			if (v.bound) {
				rec_poll(&chip);
				sent++;
			} else {
				owed = true;
			}
		}
		assert_int_equal(msivec_pending(&v), owed);
		assert_int_equal(rec_got(&chip, 0xa), sent);
	}
	msivec_fini(&v, &chip.c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_costs_nothing_until_used, setup),
		cmocka_unit_test_setup(test_live_vector_delivers, setup),
		cmocka_unit_test_setup(
			test_fired_while_masked_is_pending_and_delivered_exactly_once, setup),
		cmocka_unit_test_setup(test_event_before_the_first_unmask_is_not_lost, setup),
		cmocka_unit_test_setup(test_new_message_keeps_the_binding, setup),
		cmocka_unit_test_setup(test_release_forgets_route_and_what_was_pending, setup),
		cmocka_unit_test_setup(test_without_routes_the_vector_stays_silent_and_whole,
				       setup),
		cmocka_unit_test_setup(test_failed_bind_can_be_tried_again, setup),
		cmocka_unit_test_setup(test_abandoned_message_is_not_delivered_by_the_old_one,
				       setup),
		cmocka_unit_test_setup(test_storm_of_masks_neither_loses_nor_doubles, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
