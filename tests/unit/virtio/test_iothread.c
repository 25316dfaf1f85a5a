// SPDX-License-Identifier: GPL-2.0-or-later
// The data-plane thread, with both engines: calls, descriptors, timers, file operations. The
// pthread_self() of each callback has to be the thread's.
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/cc.h"
#include "vmm/virtio/iothread.h"

static struct iothread *t;
static unsigned int flags;

static int setup(void **state)
{
	struct verr err = { 0 };

	(void)state;
	assert_int_equal(iothread_open("test", flags, &t, &err), 0);
	if (flags & IOTHREAD_PLAIN)
		assert_string_equal(iothread_engine(t), "epoll");
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	iothread_close(t);
	t = NULL;
	return 0;
}

static void who(void *opaque)
{
	*(pthread_t *)opaque = pthread_self();
}

static pthread_t io_self(void)
{
	pthread_t id;

	iothread_call(t, who, &id);
	return id;
}

/* Until *n is at least `want`, up to 5 seconds. */
static bool comes(unsigned int *n, unsigned int want)
{
	const struct timespec ms = { 0, 1000000 };

	for (unsigned int i = 0; i < 5000; i++) {
		if (__atomic_load_n(n, __ATOMIC_ACQUIRE) >= want)
			return true;
		nanosleep(&ms, NULL);
	}
	return false;
}

static void bump(unsigned int *n)
{
	__atomic_fetch_add(n, 1, __ATOMIC_RELEASE);
}

/* ---- calls ----------------------------------------------------------------------------------- */

static void count(void *opaque)
{
	(*(unsigned int *)opaque)++; /* no lock: the call orders it */
}

static void test_calls_run_in_the_thread_one_after_the_other(void **state)
{
	unsigned int n = 0;

	(void)state;
	assert_false(pthread_equal(io_self(), pthread_self()));
	for (unsigned int i = 0; i < 1000; i++)
		iothread_call(t, count, &n);
	assert_int_equal(n, 1000);
}

/* ---- how it is scheduled --------------------------------------------------------------------- */

static void find_many(void *opaque)
{
	int *policy = opaque;

	for (unsigned int i = 0; i < 2; i++) {
		iothread_found(t, 2);
		for (unsigned int k = 0; k < 15; k++)
			iothread_found(t, 1);
		iothread_found(t, 0);
	}
	policy[0] = sched_getscheduler(0);
	iothread_found(t, 1);
	policy[1] = sched_getscheduler(0);
	for (unsigned int i = 0; i < 511; i++)
		iothread_found(t, 1);
	policy[2] = sched_getscheduler(0);
	iothread_found(t, 1);
	policy[3] = sched_getscheduler(0);
}

static void test_several_at_a_time_do_not_preempt(void **state)
{
	int policy[4];

	(void)state;
	iothread_call(t, find_many, policy);
	assert_int_equal(policy[0], SCHED_BATCH);
	assert_int_equal(policy[1], SCHED_OTHER); /* they come one by one */
	assert_int_equal(policy[2], SCHED_OTHER);
	assert_int_equal(policy[3], SCHED_BATCH); /* still? */
}

/* Who started us with another policy knows why. */
static void test_a_chosen_policy_stays(void **state)
{
	const struct sched_param none = { 0 };
	struct verr err = { 0 };
	int policy[4];

	(void)state;
	iothread_close(t);
	assert_int_equal(sched_setscheduler(0, SCHED_IDLE, &none), 0);
	int r = iothread_open("test", flags, &t, &err);
	assert_int_equal(r, 0);
	iothread_call(t, find_many, policy);
	sched_setscheduler(0, SCHED_OTHER, &none);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(policy[i], SCHED_IDLE);
}

/* ---- descriptors ----------------------------------------------------------------------------- */

struct source {
	struct iothread_fd fd;
	unsigned int calls;
	uint64_t taken;
	bool drop, off;
	int result;
};

static void ready(struct iothread_fd *f, uint32_t events)
{
	struct source *s = container_of(f, struct source, fd);

	if (f->event)
		__atomic_fetch_add(&s->taken, f->count, __ATOMIC_RELAXED);
	else if (events & EPOLLIN) {
		char c;
		if (!s->off)
			s->taken += read(f->fd, &c, 1) == 1;
	}
	if (s->drop)
		iothread_del_fd(f);
	if (s->off)
		iothread_mod_fd(f, 0);
	bump(&s->calls);
}

static void add(void *opaque)
{
	struct source *s = opaque;

	s->result = iothread_add_fd(t, &s->fd);
}

static void del(void *opaque)
{
	iothread_del_fd(&((struct source *)opaque)->fd);
}

static void signal_fd(int fd, uint64_t n)
{
	assert_int_equal(write(fd, &n, 8), 8);
}

static void test_an_eventfd_is_taken_and_told(void **state)
{
	struct source s = { .fd = { .events = EPOLLIN, .event = true, .ready = ready } };

	(void)state;
	s.fd.fd = eventfd(0, EFD_CLOEXEC);
	iothread_call(t, add, &s);
	assert_int_equal(s.result, 0);
	for (unsigned int i = 1; i <= 50; i++) {
		signal_fd(s.fd.fd, 3);
		assert_true(comes(&s.calls, i));
	}
	iothread_call(t, del, &s);
	assert_int_equal(s.taken, 150);
	unsigned int calls = s.calls;
	signal_fd(s.fd.fd, 1);
	iothread_call(t, count, &(unsigned int){ 0 });
	assert_int_equal(s.calls, calls);
	iothread_call(t, del, &s); /* twice is fine */
	/* What was there before it was added counts as well. */
	iothread_call(t, add, &s);
	assert_true(comes(&s.calls, calls + 1));
	iothread_call(t, del, &s);
	close(s.fd.fd);
}

static void test_a_descriptor_is_level_triggered(void **state)
{
	struct source s = { .fd = { .events = EPOLLIN, .ready = ready } };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	s.fd.fd = p[0];
	assert_int_equal(write(p[1], "abc", 3), 3);
	iothread_call(t, add, &s);
	assert_true(comes(&s.calls, 3));
	iothread_call(t, del, &s);
	assert_int_equal(s.taken, 3);
	close(p[0]);
	close(p[1]);
}

static void test_a_callback_may_remove_or_silence_its_own(void **state)
{
	struct source s = { .fd = { .events = EPOLLIN, .ready = ready }, .drop = true };
	struct source q = { .fd = { .events = EPOLLIN, .ready = ready }, .off = true };
	int p[2];

	(void)state;
	assert_int_equal(pipe(p), 0);
	assert_int_equal(write(p[1], "abc", 3), 3);
	s.fd.fd = p[0];
	iothread_call(t, add, &s);
	assert_true(comes(&s.calls, 1));
	for (unsigned int i = 0; i < 20; i++)
		iothread_call(t, count, &(unsigned int){ 0 });
	assert_int_equal(s.calls, 1);
	assert_null(s.fd.t);

	q.fd.fd = p[0];
	iothread_call(t, add, &q);
	assert_true(comes(&q.calls, 1));
	for (unsigned int i = 0; i < 20; i++)
		iothread_call(t, count, &(unsigned int){ 0 });
	assert_int_equal(q.calls, 1);
	iothread_call(t, del, &q);
	close(p[0]);
	close(p[1]);
}

/* ---- timers ---------------------------------------------------------------------------------- */

struct timer {
	struct iothread_timer tm;
	unsigned int fired;
	uint64_t delay;
};

static void fired(struct iothread_timer *tm)
{
	bump(&container_of(tm, struct timer, tm)->fired);
}

static void arm(void *opaque)
{
	struct timer *x = opaque;

	iothread_arm(t, &x->tm, x->delay);
}

static void arm_twice(void *opaque)
{
	arm(opaque);
	arm(opaque);
}

static void disarm(void *opaque)
{
	iothread_disarm(&((struct timer *)opaque)->tm);
}

static void test_timers_fire_once_when_due(void **state)
{
	struct timer a = { .tm = { .fired = fired }, .delay = 2000000 };
	struct timer b = { .tm = { .fired = fired }, .delay = UINT64_C(3600000000000) };

	(void)state;
	iothread_call(t, arm, &b);
	iothread_call(t, arm, &a);
	assert_true(comes(&a.fired, 1));
	iothread_call(t, arm_twice, &a); /* re-armed, not armed twice */
	assert_true(comes(&a.fired, 2));
	iothread_call(t, disarm, &b);
	iothread_call(t, disarm, &b);
	assert_int_equal(a.fired, 2);
	assert_int_equal(b.fired, 0);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

struct job {
	struct iothread_job j;
	unsigned int runs, more;
};

static void job_run(struct iothread_job *j)
{
	struct job *x = container_of(j, struct job, j);

	if (x->more > 0) { /* also from itself */
		x->more--;
		iothread_defer(t, j);
	}
	bump(&x->runs);
}

static void defer_twice(void *opaque)
{
	iothread_defer(t, &((struct job *)opaque)->j);
	iothread_defer(t, &((struct job *)opaque)->j);
}

static void defer_and_drain(void *opaque)
{
	defer_twice(opaque);
	iothread_drain(t);
	assert_int_equal(((struct job *)opaque)->runs, 5);
}

static void test_jobs_run_once_before_the_thread_waits(void **state)
{
	struct job x = { .j = { .run = job_run } };

	(void)state;
	iothread_call(t, defer_twice, &x);
	assert_true(comes(&x.runs, 1));
	x.more = 2;
	iothread_call(t, defer_twice, &x);
	assert_true(comes(&x.runs, 4));
	iothread_call(t, defer_and_drain, &x);
	assert_int_equal(x.runs, 5);
}

static void end_and_drain(void *opaque)
{
	((struct job *)opaque)->more = 0;
	iothread_drain(t);
}

static void test_jobs_without_an_end_keep_no_call_waiting(void **state)
{
	struct job x = { .j = { .run = job_run }, .more = UINT32_MAX };

	(void)state;
	iothread_call(t, defer_twice, &x);
	for (unsigned int i = 0; i < 100; i++)
		(void)io_self();
	iothread_call(t, end_and_drain, &x);
	assert_true(x.runs >= 100);
}

/* ---- files ----------------------------------------------------------------------------------- */

#define N_IO 300 /* more than the ring has entries */

struct request {
	struct iothread_io io;
	struct iovec iov;
	char buf[512];
	ssize_t res;
};

struct batch {
	int fd;
	bool write;
	unsigned int done, inflight_after;
	struct request r[N_IO];
};

static struct batch *current;

static void io_done(struct iothread_io *io, ssize_t res)
{
	container_of(io, struct request, io)->res = res;
	bump(&current->done);
}

static void start(void *opaque)
{
	struct batch *b = opaque;

	for (unsigned int i = 0; i < N_IO; i++) {
		struct request *r = &b->r[i];

		r->io.done = io_done;
		r->iov = (struct iovec){ r->buf, sizeof(r->buf) };
		if (b->write)
			iothread_writev(t, &r->io, b->fd, &r->iov, 1, (off_t)i * 512);
		else
			iothread_readv(t, &r->io, b->fd, &r->iov, 1, (off_t)i * 512);
	}
	assert_int_equal(b->done, 0); /* never from within the call */
}

static void start_and_drain(void *opaque)
{
	struct batch *b = opaque;

	start(b);
	iothread_drain(t);
	b->inflight_after = iothread_inflight(t);
}

static int temp_file(void)
{
	char name[] = "/tmp/vv-iothread-XXXXXX";
	int fd = mkstemp(name);

	assert_true(fd >= 0);
	unlink(name);
	return fd;
}

static void test_many_writes_and_reads_are_all_done(void **state)
{
	struct batch *b = calloc(1, sizeof(*b));

	(void)state;
	current = b;
	b->fd = temp_file();
	b->write = true;
	for (unsigned int i = 0; i < N_IO; i++)
		memset(b->r[i].buf, (int)(i % 251), 512);
	iothread_call(t, start, b);
	assert_true(comes(&b->done, N_IO));
	for (unsigned int i = 0; i < N_IO; i++) {
		assert_int_equal(b->r[i].res, 512);
		memset(b->r[i].buf, 0xee, 512);
	}
	b->write = false;
	b->done = 0;
	iothread_call(t, start_and_drain, b);
	assert_int_equal(b->done, N_IO);
	assert_int_equal(b->inflight_after, 0);
	for (unsigned int i = 0; i < N_IO; i++) {
		assert_int_equal(b->r[i].res, 512);
		assert_int_equal((uint8_t)b->r[i].buf[511], i % 251);
	}
	close(b->fd);
	free(b);
}

struct misc {
	struct iothread_io io[4];
	struct iovec iov;
	char buf[16];
	int fd;
	ssize_t res[4];
	unsigned int done;
};

static struct misc *misc;

static void misc_done(struct iothread_io *io, ssize_t res)
{
	misc->res[io - misc->io] = res;
	misc->done++;
}

static void start_misc(void *opaque)
{
	struct misc *m = opaque;

	for (unsigned int i = 0; i < 4; i++)
		m->io[i].done = misc_done;
	m->iov = (struct iovec){ m->buf, sizeof(m->buf) };
	iothread_fallocate(t, &m->io[0], m->fd, 0, 0, 8192);
	iothread_drain(t);
	iothread_fsync(t, &m->io[1], m->fd, true);
	iothread_readv(t, &m->io[2], m->fd, &m->iov, 1, 8192 - 4);
	iothread_readv(t, &m->io[3], -1, &m->iov, 1, 0);
	iothread_drain(t);
}

static void test_results_are_those_of_the_calls(void **state)
{
	struct misc m = { .fd = temp_file() };

	(void)state;
	misc = &m;
	iothread_call(t, start_misc, &m);
	assert_int_equal(m.done, 4);
	assert_int_equal(m.res[0], 0);
	assert_int_equal(m.res[1], 0);
	assert_int_equal(m.res[2], 4); /* short, at the end of the file */
	assert_int_equal(m.res[3], -EBADF);
	assert_int_equal(lseek(m.fd, 0, SEEK_END), 8192);
	close(m.fd);
}

/* Descriptors wait while a drain goes on, and are not forgotten by it. */
static void test_an_event_during_a_drain_is_kept(void **state)
{
	struct source s = { .fd = { .events = EPOLLIN, .event = true, .ready = ready } };
	struct batch *b = calloc(1, sizeof(*b));

	(void)state;
	current = b;
	b->fd = temp_file();
	b->write = true;
	s.fd.fd = eventfd(0, EFD_CLOEXEC);
	iothread_call(t, add, &s);
	for (unsigned int i = 1; i <= 20; i++) {
		b->done = 0;
		signal_fd(s.fd.fd, 1);
		iothread_call(t, start_and_drain, b);
		assert_true(comes(&s.calls, i));
	}
	iothread_call(t, del, &s);
	assert_int_equal(s.taken, 20);
	close(s.fd.fd);
	close(b->fd);
	free(b);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_calls_run_in_the_thread_one_after_the_other),
		TEST(test_several_at_a_time_do_not_preempt),
		TEST(test_a_chosen_policy_stays),
		TEST(test_an_eventfd_is_taken_and_told),
		TEST(test_a_descriptor_is_level_triggered),
		TEST(test_a_callback_may_remove_or_silence_its_own),
		TEST(test_timers_fire_once_when_due),
		TEST(test_jobs_run_once_before_the_thread_waits),
		TEST(test_jobs_without_an_end_keep_no_call_waiting),
		TEST(test_many_writes_and_reads_are_all_done),
		TEST(test_results_are_those_of_the_calls),
		TEST(test_an_event_during_a_drain_is_kept),
	};
	int failed = cmocka_run_group_tests_name("io_uring, if there is one", tests, NULL, NULL);

	flags = IOTHREAD_PLAIN;
	return failed + cmocka_run_group_tests_name("plain", tests, NULL, NULL);
}
