// SPDX-License-Identifier: GPL-2.0-or-later
// The data-plane thread: its turn, its calls from outside, timers. Owns the thread and the lists of
// what is ready; the engines (iothread_uring.c, iothread_epoll.c) fill them.
#define LOG_TAG "virtio/iothread"
#include "vmm/virtio/iothread.h"

#include <assert.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>

#include "core/log.h"
#include "core/sys.h"
#include "core/thread.h"
#include "vmm/virtio/iothread_int.h"

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * UINT64_C(1000000000) + (uint64_t)ts.tv_nsec;
}

/* What is added while a batch is served waits for the next turn: a guest that always has something
 * more to do keeps nothing else waiting, calls from outside least. */
static void take_batch(struct list *from, struct list *batch)
{
	list_init(batch);
	while (!list_empty(from)) {
		struct list *n = from->next;
		list_del(n);
		list_add_tail(batch, n);
	}
}

/* ---- descriptors ----------------------------------------------------------------------------- */

void iothread_is_ready(struct iothread *t, struct iothread_fd *src, uint32_t events)
{
	src->armed = false;
	src->revents = events;
	list_add_tail(&t->ready, &src->node);
}

int iothread_add_fd(struct iothread *t, struct iothread_fd *src)
{
	assert(!src->t);
	src->t = t;
	src->armed = false;
	list_init(&src->node);
	int r = src->events ? t->engine->arm(t, src) : 0;
	if (r < 0)
		src->t = NULL;
	else
		t->n_fds++;
	return r;
}

void iothread_del_fd(struct iothread_fd *src)
{
	struct iothread *t = src->t;

	if (!t)
		return;
	t->engine->disarm(t, src);
	list_del(&src->node);
	list_init(&src->node);
	if (t->current == src)
		t->current = NULL;
	src->t = NULL;
	t->n_fds--;
}

int iothread_mod_fd(struct iothread_fd *src, uint32_t events)
{
	struct iothread *t = src->t;

	if (!t || src->events == events)
		return 0;
	t->engine->disarm(t, src);
	list_del(&src->node);
	list_init(&src->node);
	src->events = events;
	/* Its own ready() runs: it is armed after that. */
	return events && t->current != src ? t->engine->arm(t, src) : 0;
}

static void serve_fds(struct iothread *t)
{
	struct list batch;

	take_batch(&t->ready, &batch);
	while (!list_empty(&batch)) {
		struct iothread_fd *src = container_of(batch.next, struct iothread_fd, node);
		list_del(&src->node);
		list_init(&src->node);
		t->current = src;
		src->ready(src, src->revents);
		if (t->current && src->events && t->engine->arm(t, src) < 0)
			log_debug("%s: a descriptor can't be waited for any more", t->name);
		t->current = NULL;
	}
}

/* ---- operations ------------------------------------------------------------------------------ */

void iothread_is_done(struct iothread *t, struct iothread_io *io, ssize_t res)
{
	io->res = res;
	list_add_tail(&t->done, &io->node);
}

static void serve_done(struct iothread *t)
{
	struct list batch;

	take_batch(&t->done, &batch);
	while (!list_empty(&batch)) {
		struct iothread_io *io = container_of(batch.next, struct iothread_io, node);
		list_del(&io->node);
		t->inflight--;
		io->done(io, io->res);
	}
}

static void start(struct iothread *t, struct iothread_io *io, const struct iothread_op *op)
{
	t->inflight++;
	t->engine->start(t, io, op);
}

void iothread_readv(struct iothread *t, struct iothread_io *io, int fd, const struct iovec *iov,
		    unsigned int n, off_t off)
{
	const struct iothread_op op = { OP_READV, fd, iov, n, 0, off, 0 };

	start(t, io, &op);
}

void iothread_writev(struct iothread *t, struct iothread_io *io, int fd, const struct iovec *iov,
		     unsigned int n, off_t off)
{
	const struct iothread_op op = { OP_WRITEV, fd, iov, n, 0, off, 0 };

	start(t, io, &op);
}

void iothread_fsync(struct iothread *t, struct iothread_io *io, int fd, bool data_only)
{
	const struct iothread_op op = { data_only ? OP_FDATASYNC : OP_FSYNC, fd, NULL, 0, 0, 0, 0 };

	start(t, io, &op);
}

void iothread_fallocate(struct iothread *t, struct iothread_io *io, int fd, int mode, off_t off,
			off_t len)
{
	const struct iothread_op op = { OP_FALLOCATE, fd, NULL, 0, mode, off, len };

	start(t, io, &op);
}

void iothread_defer(struct iothread *t, struct iothread_job *j)
{
	if (j->t)
		return;
	j->t = t;
	list_add_tail(&t->jobs, &j->node);
}

static void serve_jobs(struct iothread *t)
{
	struct list batch;

	take_batch(&t->jobs, &batch);
	while (!list_empty(&batch)) {
		struct iothread_job *j = container_of(batch.next, struct iothread_job, node);
		list_del(&j->node);
		j->t = NULL;
		j->run(j);
	}
}

#define ENOUGH 16  /* kicks with one buffer each: so it is one at a time */
#define RETRY  512 /* that many more, and it is tried again */

void iothread_found(struct iothread *t, unsigned int n)
{
	bool batch = t->batch;

	t->singles = n > 1 ? 0 : t->singles + n;
	if (n > 1 || t->singles >= (batch ? ENOUGH : RETRY))
		batch = t->may_batch && (n > 1 || !batch);
	if (batch == t->batch)
		return;
	t->batch = batch;
	t->singles = 0;
	pthread_setschedparam(pthread_self(), batch ? SCHED_BATCH : SCHED_OTHER,
			      &(struct sched_param){ 0 });
}

unsigned int iothread_inflight(const struct iothread *t)
{
	return t->inflight;
}

void iothread_drain(struct iothread *t)
{
	for (;;) {
		serve_done(t);
		serve_jobs(t);
		if (!list_empty(&t->done) || !list_empty(&t->jobs))
			continue;
		if (t->inflight == 0)
			return;
		t->engine->wait(t, -1);
	}
}

/* ---- timers ---------------------------------------------------------------------------------- */

void iothread_disarm(struct iothread_timer *tm)
{
	if (!tm->t)
		return;
	list_del(&tm->node);
	tm->t = NULL;
}

void iothread_arm(struct iothread *t, struct iothread_timer *tm, uint64_t delay_ns)
{
	iothread_disarm(tm);
	tm->t = t;
	tm->deadline_ns = now_ns() + delay_ns;
	struct list *at = t->timers.next;
	while (at != &t->timers &&
	       container_of(at, struct iothread_timer, node)->deadline_ns <= tm->deadline_ns)
		at = at->next;
	list_add_tail(at, &tm->node);
}

static int64_t timeout(const struct iothread *t)
{
	if (list_empty(&t->timers))
		return -1;
	uint64_t at = container_of(t->timers.next, struct iothread_timer, node)->deadline_ns;
	uint64_t now = now_ns();
	return at > now ? (int64_t)(at - now) : 0;
}

static void serve_timers(struct iothread *t)
{
	while (!list_empty(&t->timers) && timeout(t) == 0) {
		struct iothread_timer *tm =
			container_of(t->timers.next, struct iothread_timer, node);
		iothread_disarm(tm);
		tm->fired(tm);
	}
}

/* ---- calls from outside ---------------------------------------------------------------------- */

/* The function runs without the lock: it may take long, and the caller waits anyway. */
static void serve_call(struct iothread *t)
{
	pthread_mutex_lock(&t->lock);
	void (*fn)(void *) = t->call;
	void *opaque = t->call_opaque;
	t->call = NULL;
	pthread_mutex_unlock(&t->lock);
	if (!fn)
		return;
	fn(opaque);
	pthread_mutex_lock(&t->lock);
	t->call_done = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
}

static void woken(struct iothread_fd *src, uint32_t events)
{
	(void)events;
	serve_call(container_of(src, struct iothread, wake));
}

void iothread_call(struct iothread *t, void (*fn)(void *opaque), void *opaque)
{
	assert(!pthread_equal(pthread_self(), t->thread));
	pthread_mutex_lock(&t->lock);
	assert(!t->call); /* callers hold the machine lock: one at a time */
	t->call = fn;
	t->call_opaque = opaque;
	t->call_done = false;
	sys_event_signal(t->wake.fd);
	while (!t->call_done)
		pthread_cond_wait(&t->changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int open_engine(struct iothread *t)
{
	int r = -EOPNOTSUPP;

	t->engine = &iothread_uring;
	if (!(t->flags & IOTHREAD_PLAIN))
		r = t->engine->open(t);
	if (r < 0) {
		if (!(t->flags & IOTHREAD_PLAIN))
			log_debug("%s: no io_uring (%s): plain calls", t->name, strerror(-r));
		t->engine = &iothread_epoll;
		r = t->engine->open(t);
	}
	if (r < 0)
		return r;
	r = iothread_add_fd(t, &t->wake);
	if (r < 0)
		t->engine->close(t);
	return r;
}

static void *thread_main(void *arg)
{
	struct iothread *t = arg;
	int r = open_engine(t);

	t->may_batch = sched_getscheduler(0) == SCHED_OTHER;
	pthread_mutex_lock(&t->lock);
	t->start_result = r;
	t->started = true;
	pthread_cond_broadcast(&t->changed);
	pthread_mutex_unlock(&t->lock);
	while (r == 0 && !t->quit) {
		bool idle = list_empty(&t->ready) && list_empty(&t->done) && list_empty(&t->jobs);

		t->engine->wait(t, idle ? timeout(t) : 0);
		serve_done(t);
		serve_timers(t);
		serve_fds(t);
		serve_jobs(t);
	}
	if (r == 0)
		t->engine->close(t);
	return NULL;
}

static int start_thread(struct iothread *t)
{
	int r = thread_start(&t->thread, thread_main, t);

	if (r < 0)
		return r;
	pthread_setname_np(t->thread, t->name);
	pthread_mutex_lock(&t->lock);
	while (!t->started)
		pthread_cond_wait(&t->changed, &t->lock);
	r = t->start_result;
	pthread_mutex_unlock(&t->lock);
	if (r < 0)
		pthread_join(t->thread, NULL);
	return r;
}

static void free_thread(struct iothread *t)
{
	sys_close_fd(&t->wake.fd);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->changed);
	free(t);
}

int iothread_open(const char *name, unsigned int flags, struct iothread **ret, struct verr *reterr)
{
	struct iothread *t = calloc(1, sizeof(*t));

	if (!t)
		return verr_set(reterr, -ENOMEM, "out of memory for an I/O thread");
	snprintf(t->name, sizeof(t->name), "%s", name);
	t->flags = flags;
	list_init(&t->ready);
	list_init(&t->done);
	list_init(&t->timers);
	list_init(&t->jobs);
	pthread_mutex_init(&t->lock, NULL);
	pthread_cond_init(&t->changed, NULL);
	int r = sys_eventfd(0, 0);
	t->wake = (struct iothread_fd){
		.fd = MAX(r, -1), .events = EPOLLIN, .event = true, .ready = woken
	};
	if (r >= 0)
		r = start_thread(t);
	if (r < 0) {
		free_thread(t);
		return verr_set(reterr, r, "no I/O thread \"%s\": %s", name, strerror(-r));
	}
	*ret = t;
	return 0;
}

static void leave(void *opaque)
{
	struct iothread *t = opaque;

	assert(t->inflight == 0 && list_empty(&t->timers) && list_empty(&t->jobs));
	iothread_del_fd(&t->wake);
	assert(t->n_fds == 0);
	t->quit = true;
}

void iothread_close(struct iothread *t)
{
	if (!t)
		return;
	iothread_call(t, leave, t);
	pthread_join(t->thread, NULL);
	free_thread(t);
}

const char *iothread_engine(const struct iothread *t)
{
	return t->engine->name;
}
