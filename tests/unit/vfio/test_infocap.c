// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio/infocap: the argsz handshake against scripted answers, and the chain walker against
// well-formed, broken and looping chains. A table of its own stands in for the kernel.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "core/sys.h"
#include "vfio/infocap.h"

/* --- argsz ----------------------------------------------------------------------------------- */

static struct {
	uint32_t want; /* argsz the kernel answers */
	uint32_t grow; /* added to it at every call */
	int err;       /* errno of the call, positive */
	unsigned int calls;
	uint32_t seen;	/* argsz of the last request */
	uint32_t field; /* the second dword of the last request */
} k;

static int scripted_ioctl(int fd, unsigned long request, void *arg)
{
	uint32_t *info = arg;

	assert_int_equal(fd, 7);
	assert_int_equal(request, 1234);
	k.calls++;
	k.seen = info[0];
	k.field = info[1];
	if (k.err)
		return -k.err;
	info[0] = k.want;
	if (k.seen >= k.want)
		memset(info + 1, 0x5a, k.seen - sizeof(uint32_t));
	k.want += k.grow;
	return 0;
}

static void set_field(void *info, void *ctx)
{
	((uint32_t *)info)[1] = *(uint32_t *)ctx;
}

static void test_answer_that_fits_takes_one_call(void **state)
{
	(void)state;
	void *info;

	memset(&k, 0, sizeof(k));
	k.want = 16;
	assert_int_equal(vfio_info_get(7, 1234, 16, NULL, NULL, &info), 0);
	assert_int_equal(k.calls, 1);
	assert_int_equal(k.seen, 16);
	assert_int_equal(((uint32_t *)info)[3], 0x5a5a5a5a);
	free(info);
}

static void test_longer_answer_is_asked_for_again_with_room(void **state)
{
	(void)state;
	void *info;
	uint32_t index = 3;

	memset(&k, 0, sizeof(k));
	k.want = 5000;
	assert_int_equal(vfio_info_get(7, 1234, 16, set_field, &index, &info), 0);
	assert_int_equal(k.calls, 2);
	assert_int_equal(k.seen, 5000);
	assert_int_equal(k.field, 3); /* set again for the second call */
	assert_int_equal(((uint32_t *)info)[0], 5000);
	assert_int_equal(((unsigned char *)info)[4999], 0x5a);
	free(info);
}

static void test_shorter_argsz_in_the_answer_is_taken(void **state)
{
	(void)state;
	void *info;

	memset(&k, 0, sizeof(k));
	k.want = 4;
	assert_int_equal(vfio_info_get(7, 1234, 32, NULL, NULL, &info), 0);
	assert_int_equal(k.calls, 1);
	free(info);
}

static void test_answer_that_never_stops_growing_is_given_up(void **state)
{
	(void)state;
	void *info = NULL;

	memset(&k, 0, sizeof(k));
	k.want = 32;
	k.grow = 8;
	assert_int_equal(vfio_info_get(7, 1234, 16, NULL, NULL, &info), -EBADMSG);
	assert_null(info);
	assert_true(k.calls <= 8);
}

static void test_answer_above_a_mebibyte_is_refused(void **state)
{
	(void)state;
	void *info = NULL;

	memset(&k, 0, sizeof(k));
	k.want = UINT32_MAX;
	assert_int_equal(vfio_info_get(7, 1234, 16, NULL, NULL, &info), -E2BIG);
	k.want = 1 << 20;
	assert_int_equal(vfio_info_get(7, 1234, 16, NULL, NULL, &info), 0);
	free(info);
}

static void test_the_calls_own_error_comes_back(void **state)
{
	(void)state;
	void *info = NULL;

	memset(&k, 0, sizeof(k));
	k.err = ENODEV;
	assert_int_equal(vfio_info_get(7, 1234, 16, NULL, NULL, &info), -ENODEV);
	assert_null(info);
	assert_int_equal(vfio_info_get(7, 1234, 3, NULL, NULL, &info), -EINVAL);
}

/* --- chains ---------------------------------------------------------------------------------- */

#define INFO 96

static uint32_t info_words[INFO / 4];

static void put_cap(uint32_t off, uint16_t id, uint32_t next)
{
	struct vfio_info_cap_header h = { .id = id, .version = 1, .next = next };

	memcpy((char *)info_words + off, &h, sizeof(h));
}

static void test_chain_walks(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		struct {
			uint32_t off, id, next;
		} cap[4];
		uint32_t argsz, first, id, len;
		int check;   /* of the whole chain */
		uint32_t at; /* where the capability is found; 0: NULL */
	} cases[] = {
		{ "no chain", { { 0 } }, INFO, 0, 1, 8, 0, 0 },
		{ "one", { { 32, 1, 0 } }, INFO, 32, 1, 8, 0, 32 },
		{ "other id", { { 32, 1, 0 } }, INFO, 32, 2, 8, 0, 0 },
		{ "second", { { 32, 9, 48 }, { 48, 1, 0 } }, INFO, 32, 1, 16, 0, 48 },
		{ "first of two alike", { { 32, 1, 48 }, { 48, 1, 0 } }, INFO, 32, 1, 8, 0, 32 },
		{ "backwards is no loop", { { 64, 2, 32 }, { 32, 1, 0 } }, INFO, 64, 1, 8, 0, 32 },
		{ "id 0", { { 32, 0, 48 }, { 48, 1, 0 } }, INFO, 32, 0, 8, 0, 32 },
		{ "to the last byte", { { 88, 1, 0 } }, INFO, 88, 1, 8, 0, 88 },
		{ "longer than the rest", { { 88, 1, 0 } }, INFO, 88, 1, 9, 0, 0 },
		{ "length wraps", { { 88, 1, 0 } }, INFO, 88, 1, UINT32_MAX, 0, 0 },
		{ "header across the end", { { 32, 2, 92 } }, INFO, 32, 1, 8, -EBADMSG, 0 },
		{ "at the end", { { 32, 2, 96 } }, INFO, 32, 1, 8, -EBADMSG, 0 },
		{ "far beyond", { { 32, 2, UINT32_MAX - 3 } }, INFO, 32, 1, 8, -EBADMSG, 0 },
		{ "starts beyond", { { 0 } }, INFO, 1 << 20, 1, 8, -EBADMSG, 0 },
		{ "in the struct's head", { { 32, 2, 4 } }, INFO, 32, 1, 8, -EBADMSG, 0 },
		{ "unaligned", { { 32, 2, 49 } }, INFO, 32, 1, 8, -EBADMSG, 0 },
		{ "beyond argsz", { { 32, 1, 0 } }, 36, 32, 1, 8, -EBADMSG, 0 },
		{ "argsz 0", { { 32, 1, 0 } }, 0, 32, 1, 8, -ELOOP, 0 },
		{ "broken after the find", { { 32, 1, 200 } }, INFO, 32, 1, 8, -EBADMSG, 0 },
		{ "self loop", { { 32, 2, 32 } }, INFO, 32, 1, 8, -ELOOP, 0 },
		{ "self loop, found", { { 32, 1, 32 } }, INFO, 32, 1, 8, -ELOOP, 0 },
		{ "loop of two", { { 32, 2, 64 }, { 64, 3, 32 } }, INFO, 32, 1, 8, -ELOOP, 0 },
		{ "loop behind a tail",
		  { { 32, 2, 48 }, { 48, 3, 64 }, { 64, 4, 48 } },
		  INFO,
		  32,
		  1,
		  8,
		  -ELOOP,
		  0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		/* Exactly as long as argsz says, so that a sanitizer sees the first byte too many.
		 */
		char *info = malloc(cases[i].argsz ? cases[i].argsz : 1);

		memset(info_words, 0, sizeof(info_words));
		for (size_t c = 0; c < 4 && cases[i].cap[c].off; c++)
			put_cap(cases[i].cap[c].off, (uint16_t)cases[i].cap[c].id,
				cases[i].cap[c].next);
		memcpy(info, info_words, cases[i].argsz);

		int check = vfio_info_cap_check(info, cases[i].argsz, cases[i].first);
		const void *h = vfio_info_cap(info, cases[i].argsz, cases[i].first,
					      (uint16_t)cases[i].id, cases[i].len);
		uint32_t at = h ? (uint32_t)((const char *)h - info) : 0;

		if (check != cases[i].check || at != cases[i].at)
			fail_msg("%s: check %d, found at %u", cases[i].name, check, at);
		free(info);
	}
}

int main(void)
{
	static struct sys_ops ops;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer_that_fits_takes_one_call),
		cmocka_unit_test(test_longer_answer_is_asked_for_again_with_room),
		cmocka_unit_test(test_shorter_argsz_in_the_answer_is_taken),
		cmocka_unit_test(test_answer_that_never_stops_growing_is_given_up),
		cmocka_unit_test(test_answer_above_a_mebibyte_is_refused),
		cmocka_unit_test(test_the_calls_own_error_comes_back),
		cmocka_unit_test(test_chain_walks),
	};

	ops = sys_linux;
	ops.ioctl = scripted_ioctl;
	sys = &ops;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
