// SPDX-License-Identifier: GPL-2.0-or-later
//
// The event loop: order, removal at awkward moments, other threads, signals, the lock hooks.
// Clean under TSan.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "core/loop.h"

#define MS UINT64_C(1000000)

static struct loop *loop;
static char order[256];

static int setup(void **state)
{
	(void)state;
	order[0] = '\0';
	return loop_open(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	loop_close(loop);
	return 0;
}

static void note(char c)
{
	size_t at = strlen(order);
	assert_true(at + 1 < sizeof(order));
	order[at] = c;
	order[at + 1] = '\0';
}

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct source {
	struct loop_fd s;
	char name;
	struct source *removes; /* on its callback */
	bool frees;
	unsigned int calls;
	uint32_t events;
};

static void source_ready(struct loop_fd *s, uint32_t events)
{
	struct source *src = container_of(s, struct source, s);
	uint64_t v;
	note(src->name);
	src->calls++;
	src->events = events;
	if (events & EPOLLIN)
		assert_int_equal(read(s->fd, &v, sizeof(v)), 8);
	struct source *victim = src->removes;
	if (victim) {
		loop_del_fd(&victim->s);
		close(victim->s.fd);
		if (victim->frees)
			free(victim);
	}
}

static void source_init(struct source *s, char name, uint64_t count)
{
	*s = (struct source){ .s = { .fd = eventfd((unsigned int)count, EFD_NONBLOCK),
				     .events = EPOLLIN,
				     .ready = source_ready },
			      .name = name };
	assert_true(s->s.fd >= 0);
	assert_int_equal(loop_add_fd(loop, &s->s, NULL), 0);
}

static void source_fini(struct source *s)
{
	loop_del_fd(&s->s);
	close(s->s.fd);
}

static void kick(int fd)
{
	uint64_t one = 1;
	assert_int_equal(write(fd, &one, sizeof(one)), 8);
}

static void test_ready_fd_is_called_until_it_is_read(void **state)
{
	(void)state;
	struct source a;
	source_init(&a, 'a', 0);
	assert_int_equal(loop_turn(loop, 0), 0);
	assert_string_equal(order, "");
	kick(a.s.fd);
	loop_turn(loop, -1);
	loop_turn(loop, 0);
	assert_string_equal(order, "a");
	assert_true(a.events & EPOLLIN);
	source_fini(&a);
	loop_del_fd(&a.s); /* no effect */
}

static void test_changed_events_take_effect(void **state)
{
	(void)state;
	struct source a;
	source_init(&a, 'a', 1);
	assert_int_equal(loop_mod_fd(&a.s, EPOLLOUT), 0);
	loop_turn(loop, 0);
	assert_int_equal(a.events, EPOLLOUT);
	assert_int_equal(loop_mod_fd(&a.s, 0), 0);
	loop_turn(loop, 0);
	assert_int_equal(a.calls, 1);
	assert_int_equal(loop_mod_fd(&a.s, EPOLLIN), 0);
	loop_turn(loop, 0);
	assert_int_equal(a.events, EPOLLIN);
	source_fini(&a);
	assert_int_equal(loop_mod_fd(&a.s, EPOLLIN), -ENOENT);
}

static void test_unwatchable_fd_is_an_error_by_number(void **state)
{
	(void)state;
	struct verr e = { 0 };
	struct loop_fd s = { .fd = -1, .events = EPOLLIN };
	assert_int_equal(loop_add_fd(loop, &s, &e), -EBADF);
	assert_string_equal(e.msg, "can't watch file descriptor -1: Bad file descriptor");
	assert_null(s.loop);
}

static void test_callback_may_remove_itself(void **state)
{
	(void)state;
	struct source *a = malloc(sizeof(*a));
	source_init(a, 'a', 5);
	a->removes = a;
	a->frees = true;
	loop_turn(loop, 0);
	loop_turn(loop, 0);
	assert_string_equal(order, "a");
}

static void test_callback_may_free_another_that_is_ready_too(void **state)
{
	(void)state;
	struct source *a = malloc(sizeof(*a)), *b = malloc(sizeof(*b));
	source_init(a, 'a', 1);
	source_init(b, 'b', 1);
	a->removes = b;
	b->removes = a;
	a->frees = b->frees = true;
	loop_turn(loop, 0); /* both are in the same batch; one of them goes before it is called */
	assert_int_equal(strlen(order), 1);
	struct source *left = order[0] == 'a' ? a : b;
	left->removes = NULL;
	loop_turn(loop, 0);
	assert_int_equal(strlen(order), 1);
	source_fini(left);
	free(left);
}

static void test_many_sources_come_and_go(void **state)
{
	(void)state;
	static struct source s[50];
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 50; i++)
			source_init(&s[i], '.', 1);
		for (int i = 0; i < 10; i++)
			loop_turn(loop, 0);
		for (int i = 0; i < 50; i++) {
			assert_int_equal(s[i].calls, 1);
			source_fini(&s[i]);
		}
		order[0] = '\0';
	}
}

struct timer {
	struct loop_timer t;
	char name;
	uint64_t again_ns; /* re-arms itself with it, if not 0 */
	struct timer *disarms;
	uint64_t at;
};

static void timer_fired(struct loop_timer *t)
{
	struct timer *tm = container_of(t, struct timer, t);
	note(tm->name);
	tm->at = now_ns();
	if (tm->again_ns)
		loop_arm(loop, t, tm->again_ns);
	if (tm->disarms)
		loop_disarm(&tm->disarms->t);
}

static struct timer timer(char name)
{
	return (struct timer){ .t.fired = timer_fired, .name = name };
}

static void test_timers_fire_by_deadline_and_never_early(void **state)
{
	(void)state;
	struct timer a = timer('a'), b = timer('b'), c = timer('c'), d = timer('d');
	uint64_t start = now_ns();
	loop_arm(loop, &c.t, 30 * MS);
	loop_arm(loop, &a.t, 5 * MS);
	loop_arm(loop, &b.t, 15 * MS);
	loop_arm(loop, &d.t, 0);
	while (strlen(order) < 4)
		loop_turn(loop, -1);
	assert_string_equal(order, "dabc");
	assert_true(a.at - start >= 5 * MS);
	assert_true(b.at - start >= 15 * MS);
	assert_true(c.at - start >= 30 * MS);
	assert_null(c.t.loop);
}

static void test_rearming_moves_and_disarming_stops_a_timer(void **state)
{
	(void)state;
	struct timer a = timer('a'), b = timer('b');
	loop_arm(loop, &a.t, 0);
	loop_arm(loop, &b.t, 0);
	loop_arm(loop, &a.t, 10 * MS); /* now after b */
	while (strlen(order) < 2)
		loop_turn(loop, -1);
	assert_string_equal(order, "ba");

	loop_arm(loop, &a.t, 1 * MS);
	loop_disarm(&a.t);
	loop_disarm(&a.t); /* no effect */
	loop_turn(loop, 5);
	assert_string_equal(order, "ba");
}

static void test_timer_may_rearm_itself_and_disarm_a_due_one(void **state)
{
	(void)state;
	struct timer a = timer('a'), b = timer('b');
	a.disarms = &b;
	a.again_ns = 1;
	loop_arm(loop, &a.t, 0);
	loop_arm(loop, &b.t, 0);
	struct timespec ms = { .tv_nsec = 1000000 };
	nanosleep(&ms, NULL);
	loop_turn(loop, 0);
	assert_true(order[0] == 'a' && !strchr(order, 'b'));
	a.again_ns = 0;
	while (a.t.loop)
		loop_turn(loop, -1);
}

static void test_far_timer_neither_fires_nor_wraps(void **state)
{
	(void)state;
	struct timer a = timer('a'), b = timer('b');
	loop_arm(loop, &a.t, UINT64_MAX);
	loop_arm(loop, &b.t, UINT64_MAX / 2);
	loop_turn(loop, 1);
	loop_turn(loop, 1);
	assert_string_equal(order, "");
	loop_disarm(&a.t);
	loop_disarm(&b.t);
}

struct job {
	struct loop_job j;
	char name;
	bool again;
	struct job *cancels;
};

static void job_run(struct loop_job *j)
{
	struct job *job = container_of(j, struct job, j);
	note(job->name);
	if (job->again)
		loop_defer(loop, j);
	if (job->cancels)
		loop_cancel(&job->cancels->j);
}

static struct job job(char name)
{
	return (struct job){ .j.run = job_run, .name = name };
}

static void test_jobs_run_once_in_order(void **state)
{
	(void)state;
	struct job a = job('a'), b = job('b');
	loop_defer(loop, &a.j);
	loop_defer(loop, &b.j);
	loop_defer(loop, &a.j); /* queued already */
	loop_turn(loop, -1);
	loop_turn(loop, 0);
	assert_string_equal(order, "ab");
}

static void test_job_that_defers_itself_runs_once_a_turn(void **state)
{
	(void)state;
	struct job a = job('a');
	a.again = true;
	loop_defer(loop, &a.j);
	loop_turn(loop, -1);
	assert_string_equal(order, "a");
	loop_turn(loop, -1); /* does not wait: there is a job */
	assert_string_equal(order, "aa");
	loop_cancel(&a.j);
	loop_cancel(&a.j); /* no effect */
	loop_turn(loop, 0);
	assert_string_equal(order, "aa");
}

static void test_job_may_cancel_another_of_its_turn(void **state)
{
	(void)state;
	struct job a = job('a'), b = job('b');
	a.cancels = &b;
	loop_defer(loop, &a.j);
	loop_defer(loop, &b.j);
	loop_turn(loop, 0);
	loop_turn(loop, 0);
	assert_string_equal(order, "a");
}

static void quit_ready(struct loop_fd *s, uint32_t events)
{
	(void)events;
	uint64_t v;
	assert_int_equal(read(s->fd, &v, sizeof(v)), 8);
	loop_quit(loop, 7);
	loop_quit(loop, 8); /* the first one is the reason */
}

static void test_run_returns_the_status_of_quit(void **state)
{
	(void)state;
	struct source a;
	source_init(&a, 'a', 1);
	a.s.ready = quit_ready;
	assert_int_equal(loop_run(loop), 7);
	source_fini(&a);
	loop_quit(loop, -5); /* before it runs */
	assert_int_equal(loop_run(loop), -5);
	loop_quit(loop, 0); /* and it can run again */
	assert_int_equal(loop_run(loop), 0);
}

static void on_alarm(int sig)
{
	(void)sig;
	loop_quit(loop, 3);
}

static void test_quit_from_a_signal_handler(void **state)
{
	(void)state;
	struct sigaction sa = { .sa_handler = on_alarm }, old;
	sigaction(SIGALRM, &sa, &old);
	ualarm(20000, 0);
	assert_int_equal(loop_run(loop), 3);
	sigaction(SIGALRM, &old, NULL);
}

/* Other threads: defer, arm and remove under a lock that the loop takes around callbacks. */
static pthread_mutex_t big_lock = PTHREAD_MUTEX_INITIALIZER;
static unsigned int shared_count; /* guarded by big_lock */
static int lock_depth;

static void take(void *opaque)
{
	assert_ptr_equal(opaque, &big_lock);
	pthread_mutex_lock(&big_lock);
	lock_depth++;
}

static void give(void *opaque)
{
	(void)opaque;
	lock_depth--;
	pthread_mutex_unlock(&big_lock);
}

static void count_job(struct loop_job *j)
{
	(void)j;
	assert_int_equal(lock_depth, 1);
	shared_count++;
}

enum { THREADS = 4, JOBS = 500 };

static void *defer_many(void *opaque)
{
	struct loop_job *jobs = opaque;
	for (int i = 0; i < JOBS; i++)
		loop_defer(loop, &jobs[i]);
	return NULL;
}

static void test_jobs_of_many_threads_all_run_under_the_lock(void **state)
{
	(void)state;
	static struct loop_job jobs[THREADS][JOBS];
	pthread_t th[THREADS];
	shared_count = 0;
	loop_set_lock(loop, take, give, &big_lock);
	for (int t = 0; t < THREADS; t++) {
		for (int i = 0; i < JOBS; i++)
			jobs[t][i] = (struct loop_job){ .run = count_job };
		assert_int_equal(pthread_create(&th[t], NULL, defer_many, jobs[t]), 0);
	}
	unsigned int seen = 0;
	while (seen < THREADS * JOBS) {
		assert_int_equal(loop_turn(loop, 5000), 0);
		pthread_mutex_lock(&big_lock);
		seen = shared_count;
		pthread_mutex_unlock(&big_lock);
	}
	for (int t = 0; t < THREADS; t++)
		pthread_join(th[t], NULL);
	assert_int_equal(shared_count, THREADS * JOBS);
}

struct victim {
	struct loop_fd s;
	struct loop_timer t;
	bool alive;
};

static void victim_ready(struct loop_fd *s, uint32_t events)
{
	(void)events;
	assert_true(container_of(s, struct victim, s)->alive);
	shared_count++;
}

static void victim_fired(struct loop_timer *t)
{
	assert_true(container_of(t, struct victim, t)->alive);
	shared_count++;
}

/* Sources are made and freed, under the lock, while the loop is busy calling them. */
static void *churn(void *opaque)
{
	(void)opaque;
	for (int i = 0; i < 300; i++) {
		pthread_mutex_lock(&big_lock);
		struct victim *v = calloc(1, sizeof(*v));
		v->alive = true;
		v->s = (struct loop_fd){ .fd = eventfd(1, EFD_NONBLOCK),
					 .events = EPOLLIN,
					 .ready = victim_ready };
		v->t.fired = victim_fired;
		loop_add_fd(loop, &v->s, NULL);
		loop_arm(loop, &v->t, 1);
		pthread_mutex_unlock(&big_lock);
		struct timespec pause = { .tv_nsec = (i % 3) * 20000 };
		nanosleep(&pause, NULL);
		pthread_mutex_lock(&big_lock);
		loop_del_fd(&v->s);
		loop_disarm(&v->t);
		close(v->s.fd);
		v->alive = false;
		free(v);
		pthread_mutex_unlock(&big_lock);
	}
	loop_quit(loop, 0);
	return NULL;
}

static void test_removal_by_another_thread_is_final(void **state)
{
	(void)state;
	pthread_t th;
	shared_count = 0;
	loop_set_lock(loop, take, give, &big_lock);
	assert_int_equal(pthread_create(&th, NULL, churn, NULL), 0);
	assert_int_equal(loop_run(loop), 0);
	pthread_join(th, NULL);
	assert_true(shared_count > 0);
}

static void *arm_later(void *opaque)
{
	struct timespec pause = { .tv_nsec = 10000000 };
	nanosleep(&pause, NULL);
	pthread_mutex_lock(&big_lock);
	loop_arm(loop, opaque, 1 * MS);
	pthread_mutex_unlock(&big_lock);
	return NULL;
}

static void quit_fired(struct loop_timer *t)
{
	(void)t;
	loop_quit(loop, 9);
}

static void test_timer_armed_by_another_thread_wakes_the_loop(void **state)
{
	(void)state;
	struct loop_timer t = { .fired = quit_fired };
	pthread_t th;
	loop_set_lock(loop, take, give, &big_lock);
	assert_int_equal(pthread_create(&th, NULL, arm_later, &t), 0);
	assert_int_equal(loop_run(loop), 9); /* it was asleep for ever */
	pthread_join(th, NULL);
}

static void test_close_accepts_null(void **state)
{
	(void)state;
	loop_close(NULL);
}

int main(void)
{
#define T_(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
		T_(test_ready_fd_is_called_until_it_is_read),
		T_(test_changed_events_take_effect),
		T_(test_unwatchable_fd_is_an_error_by_number),
		T_(test_callback_may_remove_itself),
		T_(test_callback_may_free_another_that_is_ready_too),
		T_(test_many_sources_come_and_go),
		T_(test_timers_fire_by_deadline_and_never_early),
		T_(test_rearming_moves_and_disarming_stops_a_timer),
		T_(test_timer_may_rearm_itself_and_disarm_a_due_one),
		T_(test_far_timer_neither_fires_nor_wraps),
		T_(test_jobs_run_once_in_order),
		T_(test_job_that_defers_itself_runs_once_a_turn),
		T_(test_job_may_cancel_another_of_its_turn),
		T_(test_run_returns_the_status_of_quit),
		T_(test_quit_from_a_signal_handler),
		T_(test_jobs_of_many_threads_all_run_under_the_lock),
		T_(test_removal_by_another_thread_is_final),
		T_(test_timer_armed_by_another_thread_wakes_the_loop),
		cmocka_unit_test(test_close_accepts_null),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
