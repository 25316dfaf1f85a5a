// SPDX-License-Identifier: GPL-2.0-or-later
//
// The life of a device: order, unwinding from any state, ids and errors.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/dev.h"

static char calls[256];
static int realize_result, start_result;

static void note(const char *what)
{
	size_t at = strlen(calls);
	snprintf(calls + at, sizeof(calls) - at, "%s%s", at ? " " : "", what);
}

static int t_realize(struct dev *d, struct verr *reterr)
{
	(void)d;
	note("realize");
	return realize_result ? verr_set(reterr, realize_result, "no such host device") : 0;
}

static void t_unrealize(struct dev *d)
{
	(void)d;
	note("unrealize");
}

static void t_reset(struct dev *d)
{
	(void)d;
	note("reset");
}

static int t_start(struct dev *d, struct verr *reterr)
{
	(void)d;
	(void)reterr; /* a start that fails without a sentence */
	note("start");
	return start_result;
}

static void t_stop(struct dev *d)
{
	(void)d;
	note("stop");
}

static bool no_memory;

static struct dev *t_alloc(void)
{
	return no_memory ? NULL : calloc(1, sizeof(struct dev));
}

static void t_free(struct dev *d)
{
	note("free");
	free(d);
}

struct cfg {
	char *path;
};

static const struct prop props[] = {
	PROP(struct cfg, path, PROP_STR, "/dev/zero", "file"),
	PROP_END,
};

static const struct dev_ops full_ops = { .realize = t_realize,
					 .unrealize = t_unrealize,
					 .reset = t_reset,
					 .start = t_start,
					 .stop = t_stop };
static const struct dev_ops bare_ops = { .realize = t_realize, .unrealize = t_unrealize };

static const struct dev_type full = { .t = { "full", "test", "all of it", props,
					     sizeof(struct cfg) },
				      .ops = &full_ops,
				      .alloc = t_alloc,
				      .free = t_free };
static const struct dev_type bare = { .t = { "bare", "test", "only what must be", NULL, 0 },
				      .ops = &bare_ops,
				      .alloc = t_alloc,
				      .free = t_free };

static const struct platform no_platform;

static int fresh(void **state)
{
	(void)state;
	calls[0] = '\0';
	realize_result = start_result = 0;
	no_memory = false;
	return 0;
}

static struct dev *make(const struct dev_type *type, const char *id)
{
	struct dev *d = NULL;
	struct verr e = { 0 };
	assert_int_equal(dev_new(type, &no_platform, id, NULL, &d, &e), 0);
	return d;
}

static void test_whole_life_in_order(void **state)
{
	(void)state;
	struct dev *d = make(&full, "net0");
	assert_string_equal(((struct cfg *)d->cfg)->path, "/dev/zero");
	assert_int_equal(dev_realize(d, NULL), 0);
	dev_reset(d);
	assert_int_equal(dev_start(d, NULL), 0);
	dev_reset(d);
	dev_stop(d);
	assert_int_equal(dev_start(d, NULL), 0);
	dev_stop(d);
	dev_unrealize(d);
	dev_free(d);
	assert_string_equal(calls, "realize reset start reset stop start stop unrealize free");
}

static void test_free_unwinds_from_any_state(void **state)
{
	(void)state;
	dev_free(NULL);
	struct dev *d = make(&full, NULL);
	dev_free(d);
	d = make(&full, NULL);
	dev_realize(d, NULL);
	dev_free(d);
	d = make(&full, NULL);
	dev_realize(d, NULL);
	dev_start(d, NULL);
	dev_free(d);
	assert_string_equal(calls, "free realize unrealize free realize start stop unrealize free");
}

static void test_free_leaves_the_machines_list(void **state)
{
	(void)state;
	struct list list;
	list_init(&list);
	struct dev *d = make(&bare, NULL);
	list_add_tail(&list, &d->node);
	dev_free(d);
	assert_true(list_empty(&list));
}

static void test_failed_realize_is_prefixed_and_may_be_tried_again(void **state)
{
	(void)state;
	struct verr e = { 0 };
	struct dev *d = make(&full, "gpu");
	realize_result = -ENODEV;
	assert_int_equal(dev_realize(d, &e), -ENODEV);
	assert_string_equal(e.msg, "full gpu: no such host device");
	assert_int_equal(d->state, DEV_NEW);
	realize_result = 0;
	assert_int_equal(dev_realize(d, NULL), 0);
	dev_free(d);
	assert_string_equal(calls, "realize realize unrealize free");
}

static void test_failed_start_stays_realized(void **state)
{
	(void)state;
	struct verr e = { 0 };
	struct dev *d = make(&full, "gpu");
	dev_realize(d, NULL);
	start_result = -EIO;
	assert_int_equal(dev_start(d, &e), -EIO);
	assert_string_equal(e.msg, "full gpu: Input/output error");
	assert_int_equal(d->state, DEV_REALIZED);
	dev_free(d);
	assert_string_equal(calls, "realize start unrealize free");
}

static void test_optional_hooks_may_be_absent(void **state)
{
	(void)state;
	struct dev *d = make(&bare, NULL);
	dev_realize(d, NULL);
	dev_reset(d);
	assert_int_equal(dev_start(d, NULL), 0);
	dev_stop(d);
	dev_free(d);
	assert_string_equal(calls, "realize unrealize free");
}

static void test_ids_are_made_up_distinct_and_checked(void **state)
{
	(void)state;
	struct dev *a = make(&bare, NULL), *b = make(&bare, "");
	assert_memory_equal(a->id, "bare.", 5);
	assert_string_not_equal(a->id, b->id);
	dev_free(a);
	dev_free(b);

	char long_id[65];
	memset(long_id, 'a', 64);
	long_id[64] = '\0';
	static const char *const bad[] = { "a b", "net/0", "x,y", "\xc3\xa9", NULL };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct dev *d = (struct dev *)1;
		struct verr e = { 0 };
		const char *id = bad[i] ? bad[i] : long_id;
		struct cfg *cfg = props_new(&full.t); /* taken over all the same */
		assert_true(dev_new(&full, &no_platform, id, cfg, &d, &e) < 0);
		assert_ptr_equal(d, (struct dev *)1);
		assert_memory_equal(e.msg, "full: id '", 10);
	}
	long_id[63] = '\0';
	a = make(&bare, long_id);
	assert_string_equal(a->id, long_id);
	dev_free(a);
}

static void test_no_memory_frees_the_configuration(void **state)
{
	(void)state;
	struct dev *d = NULL;
	struct verr e = { 0 };
	no_memory = true;
	assert_int_equal(dev_new(&full, &no_platform, "x", props_new(&full.t), &d, &e), -ENOMEM);
	assert_string_equal(e.msg, "out of memory for a full");
	assert_null(d);
}

static struct dev *event_dev;
static char event_text[64];
static enum platform_event event_kind;

static void on_event(void *opaque, enum platform_event ev, struct dev *dev, const char *text)
{
	assert_ptr_equal(opaque, &event_dev);
	event_kind = ev;
	event_dev = dev;
	snprintf(event_text, sizeof(event_text), "%s", text);
}

static void test_event_reaches_the_platform(void **state)
{
	(void)state;
	const struct platform plat = { .event = on_event, .event_opaque = &event_dev };
	struct dev *d;
	assert_int_equal(dev_new(&bare, &plat, "gpu", NULL, &d, NULL), 0);
	dev_event(d, PLATFORM_DEVICE_LOST, "%s is gone", "0000:01:00.0");
	assert_ptr_equal(event_dev, d);
	assert_int_equal(event_kind, PLATFORM_DEVICE_LOST);
	assert_string_equal(event_text, "0000:01:00.0 is gone");
	dev_free(d);

	d = make(&bare, NULL);
	dev_event(d, PLATFORM_RESET, "nobody listens");
	dev_free(d);
}

#ifndef NDEBUG
/* True if `fn` dies of an assertion. */
static bool aborts(void (*fn)(struct dev *), struct dev *d)
{
	fflush(NULL);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		const struct rlimit none = { 0, 0 };
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(2);
		fn(d);
		_exit(0);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT;
}

static void do_start(struct dev *d)
{
	dev_start(d, NULL);
}

static void do_realize(struct dev *d)
{
	dev_realize(d, NULL);
}

static void test_wrong_order_is_a_programmers_error(void **state)
{
	(void)state;
	struct dev *d = make(&full, NULL);
	assert_true(aborts(do_start, d));
	assert_true(aborts(dev_reset, d));
	assert_true(aborts(dev_stop, d));
	assert_true(aborts(dev_unrealize, d));
	dev_realize(d, NULL);
	assert_true(aborts(do_realize, d));
	assert_true(aborts(dev_stop, d));
	dev_start(d, NULL);
	assert_true(aborts(do_start, d));
	assert_true(aborts(dev_unrealize, d));
	dev_free(d);
}
#endif

int main(void)
{
#define T_(fn) cmocka_unit_test_setup(fn, fresh)
	const struct CMUnitTest tests[] = {
		T_(test_whole_life_in_order),
		T_(test_free_unwinds_from_any_state),
		T_(test_free_leaves_the_machines_list),
		T_(test_failed_realize_is_prefixed_and_may_be_tried_again),
		T_(test_failed_start_stays_realized),
		T_(test_optional_hooks_may_be_absent),
		T_(test_ids_are_made_up_distinct_and_checked),
		T_(test_no_memory_frees_the_configuration),
		T_(test_event_reaches_the_platform),
#ifndef NDEBUG
		T_(test_wrong_order_is_a_programmers_error),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
