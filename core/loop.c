// SPDX-License-Identifier: GPL-2.0-or-later
//
// The event loop. Owns the epoll and wake descriptors and its bookkeeping, never a source.
//
// Two locks: the caller's (the machine lock, through the hooks) is held around every callback;
// ours guards the bookkeeping, is taken inside the caller's, and is never held across a callback.
// A source is looked up again after the caller's lock is taken, so one that was removed between
// the kernel's answer and the callback is not called. epoll and the wake descriptor are used
// directly, not through core/sys.h: loop_quit() must be callable from a signal handler.
#define LOG_TAG "loop"
#include "core/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#define BATCH	  16
#define WAKE_TAG  UINT64_MAX
#define QUIT_FLAG (INT64_C(1) << 32)

/* What epoll hands back is a slot and its use count: a slot's old events match no new source. */
struct slot {
	struct loop_fd *src; /* borrowed; NULL: free */
	uint32_t uses;
};

struct loop {
	int epoll_fd, wake_fd;
	_Atomic int64_t quit; /* 0, or QUIT_FLAG and the status in the low 32 bits */
	void (*lock)(void *);
	void (*unlock)(void *);
	void *lock_opaque;

	pthread_mutex_t mutex; /* guards all below */
	struct slot *slots;    /* owned */
	uint32_t n_slots;
	uint32_t n_fds;
	struct list timers; /* by deadline */
	struct list jobs;   /* deferred, for the next turn */
	struct list batch;  /* of this turn */
};

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static void wake(struct loop *l)
{
	uint64_t one = 1;
	int saved = errno;
	/* EAGAIN: the counter is full, so the loop is awake. */
	ssize_t n = write(l->wake_fd, &one, sizeof(one));
	(void)n;
	errno = saved;
}

int loop_open(struct loop **ret, struct verr *reterr)
{
	struct loop *l = calloc(1, sizeof(*l));
	if (!l)
		return verr_set(reterr, -ENOMEM, "out of memory for the event loop");
	pthread_mutex_init(&l->mutex, NULL);
	list_init(&l->timers);
	list_init(&l->jobs);
	list_init(&l->batch);
	l->wake_fd = -1;
	l->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	int r = l->epoll_fd < 0 ? -errno : 0;
	if (r == 0) {
		l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		r = l->wake_fd < 0 ? -errno : 0;
	}
	if (r == 0) {
		struct epoll_event ev = { .events = EPOLLIN, .data.u64 = WAKE_TAG };
		r = epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, l->wake_fd, &ev) < 0 ? -errno : 0;
	}
	if (r < 0) {
		loop_close(l);
		return verr_prefix(reterr, r, "can't set up the event loop");
	}
	*ret = l;
	return 0;
}

void loop_close(struct loop *l)
{
	if (!l)
		return;
	assert(l->n_fds == 0);
	assert(list_empty(&l->timers));
	assert(list_empty(&l->jobs) && list_empty(&l->batch));
	if (l->wake_fd >= 0)
		close(l->wake_fd);
	if (l->epoll_fd >= 0)
		close(l->epoll_fd);
	pthread_mutex_destroy(&l->mutex);
	free(l->slots);
	free(l);
}

void loop_set_lock(struct loop *l, void (*lock)(void *), void (*unlock)(void *), void *opaque)
{
	l->lock = lock;
	l->unlock = unlock;
	l->lock_opaque = opaque;
}

static void enter(struct loop *l)
{
	if (l->lock)
		l->lock(l->lock_opaque);
}

static void leave(struct loop *l)
{
	if (l->unlock)
		l->unlock(l->lock_opaque);
}

/* Under the mutex. Index of the slot that holds src (NULL: of a free one); n_slots if none. */
static uint32_t slot_of(const struct loop *l, const struct loop_fd *src)
{
	uint32_t i = 0;
	while (i < l->n_slots && l->slots[i].src != src)
		i++;
	return i;
}

static uint64_t slot_tag(const struct loop *l, uint32_t i)
{
	return (uint64_t)l->slots[i].uses << 32 | i;
}

static int slots_grow(struct loop *l)
{
	uint32_t n = MAX(8, l->n_slots * 2);
	struct slot *slots = reallocarray(l->slots, n, sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	for (uint32_t i = l->n_slots; i < n; i++)
		slots[i] = (struct slot){ 0 };
	l->slots = slots;
	l->n_slots = n;
	return 0;
}

int loop_add_fd(struct loop *l, struct loop_fd *src, struct verr *reterr)
{
	assert(!src->loop);
	pthread_mutex_lock(&l->mutex);
	uint32_t i = slot_of(l, NULL);
	int r = i == l->n_slots ? slots_grow(l) : 0;
	if (r == 0) {
		struct epoll_event ev = { .events = src->events, .data.u64 = slot_tag(l, i) };
		r = epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, src->fd, &ev) < 0 ? -errno : 0;
	}
	if (r == 0) {
		l->slots[i].src = src;
		l->n_fds++;
		src->loop = l;
	}
	pthread_mutex_unlock(&l->mutex);
	return r < 0 ? verr_prefix(reterr, r, "can't watch file descriptor %d", src->fd) : 0;
}

int loop_mod_fd(struct loop_fd *src, uint32_t events)
{
	struct loop *l = src->loop;
	if (!l)
		return -ENOENT;
	pthread_mutex_lock(&l->mutex);
	struct epoll_event ev = { .events = events, .data.u64 = slot_tag(l, slot_of(l, src)) };
	int r = epoll_ctl(l->epoll_fd, EPOLL_CTL_MOD, src->fd, &ev) < 0 ? -errno : 0;
	if (r == 0)
		src->events = events;
	pthread_mutex_unlock(&l->mutex);
	return r;
}

void loop_del_fd(struct loop_fd *src)
{
	struct loop *l = src->loop;
	if (!l)
		return;
	pthread_mutex_lock(&l->mutex);
	/* Fails if the owner closed the fd first; then it is out of the epoll set already. */
	epoll_ctl(l->epoll_fd, EPOLL_CTL_DEL, src->fd, NULL);
	uint32_t i = slot_of(l, src);
	l->slots[i].src = NULL;
	/* WAKE_TAG is slot and count of all ones: n_slots never gets there. */
	l->slots[i].uses++;
	l->n_fds--;
	src->loop = NULL;
	pthread_mutex_unlock(&l->mutex);
}

void loop_arm(struct loop *l, struct loop_timer *t, uint64_t delay_ns)
{
	loop_disarm(t);
	pthread_mutex_lock(&l->mutex);
	if (__builtin_add_overflow(now_ns(), delay_ns, &t->deadline_ns))
		t->deadline_ns = UINT64_MAX;
	/* After those of the same deadline: first armed, first fired. */
	struct list *at = &l->timers;
	while (at->prev != &l->timers &&
	       container_of(at->prev, struct loop_timer, node)->deadline_ns > t->deadline_ns)
		at = at->prev;
	list_add_tail(at, &t->node);
	t->loop = l;
	bool first = l->timers.next == &t->node;
	pthread_mutex_unlock(&l->mutex);
	if (first)
		wake(l);
}

void loop_disarm(struct loop_timer *t)
{
	struct loop *l = t->loop;
	if (!l)
		return;
	pthread_mutex_lock(&l->mutex);
	list_del(&t->node);
	t->loop = NULL;
	pthread_mutex_unlock(&l->mutex);
}

void loop_defer(struct loop *l, struct loop_job *j)
{
	pthread_mutex_lock(&l->mutex);
	bool queue = !j->loop;
	if (queue) {
		__atomic_store_n(&j->loop, l, __ATOMIC_RELEASE);
		list_add_tail(&l->jobs, &j->node);
	}
	pthread_mutex_unlock(&l->mutex);
	if (queue)
		wake(l);
}

void loop_cancel(struct loop_job *j)
{
	struct loop *l = __atomic_load_n(&j->loop, __ATOMIC_ACQUIRE);
	if (!l)
		return;
	pthread_mutex_lock(&l->mutex);
	if (j->loop) {
		list_del(&j->node);
		__atomic_store_n(&j->loop, NULL, __ATOMIC_RELEASE);
	}
	pthread_mutex_unlock(&l->mutex);
}

static void run_fd(struct loop *l, const struct epoll_event *ev)
{
	uint32_t i = (uint32_t)ev->data.u64;
	struct loop_fd *src = NULL;
	enter(l);
	pthread_mutex_lock(&l->mutex);
	if (i < l->n_slots && slot_tag(l, i) == ev->data.u64)
		src = l->slots[i].src;
	pthread_mutex_unlock(&l->mutex);
	if (src)
		src->ready(src, ev->events);
	leave(l);
}

static void run_timers(struct loop *l)
{
	uint64_t now = now_ns();
	for (;;) {
		enter(l);
		pthread_mutex_lock(&l->mutex);
		struct loop_timer *t = list_first(&l->timers, struct loop_timer, node);
		if (t && t->deadline_ns > now)
			t = NULL;
		if (t) {
			list_del(&t->node);
			t->loop = NULL;
		}
		pthread_mutex_unlock(&l->mutex);
		if (t)
			t->fired(t);
		leave(l);
		if (!t)
			return;
	}
}

/* Those queued before the turn; what they queue waits for the next one. */
static void run_jobs(struct loop *l)
{
	pthread_mutex_lock(&l->mutex);
	while (!list_empty(&l->jobs)) {
		struct list *node = l->jobs.next;
		list_del(node);
		list_add_tail(&l->batch, node);
	}
	bool any = !list_empty(&l->batch);
	pthread_mutex_unlock(&l->mutex);

	while (any) {
		enter(l);
		pthread_mutex_lock(&l->mutex);
		struct loop_job *j = list_first(&l->batch, struct loop_job, node);
		if (j) {
			list_del(&j->node);
			__atomic_store_n(&j->loop, NULL, __ATOMIC_RELEASE);
		}
		pthread_mutex_unlock(&l->mutex);
		if (j)
			j->run(j);
		leave(l);
		any = j != NULL;
	}
}

/* In milliseconds, rounded up: a timer never fires early, and never spins. */
static int wait_for(struct loop *l, int timeout_ms)
{
	pthread_mutex_lock(&l->mutex);
	bool jobs = !list_empty(&l->jobs);
	const struct loop_timer *t = list_first(&l->timers, struct loop_timer, node);
	uint64_t deadline = t ? t->deadline_ns : UINT64_MAX;
	pthread_mutex_unlock(&l->mutex);

	if (jobs)
		return 0;
	if (deadline == UINT64_MAX)
		return timeout_ms;
	uint64_t now = now_ns();
	uint64_t ms = deadline <= now ? 0 : (deadline - now - 1) / 1000000 + 1;
	int wait = (int)MIN(ms, INT32_MAX);
	return timeout_ms < 0 ? wait : MIN(wait, timeout_ms);
}

int loop_turn(struct loop *l, int timeout_ms)
{
	struct epoll_event events[BATCH];
	int n = epoll_wait(l->epoll_fd, events, BATCH, wait_for(l, timeout_ms));
	if (n < 0)
		return errno == EINTR ? 0 : -errno;

	for (int i = 0; i < n; i++) {
		if (events[i].data.u64 == WAKE_TAG) {
			uint64_t count;
			ssize_t got = read(l->wake_fd, &count, sizeof(count));
			(void)got;
		} else {
			run_fd(l, &events[i]);
		}
	}
	run_timers(l);
	run_jobs(l);
	return 0;
}

int loop_run(struct loop *l)
{
	int64_t quit;
	while ((quit = atomic_exchange(&l->quit, 0)) == 0) {
		int r = loop_turn(l, -1);
		if (r < 0)
			return r;
	}
	return (int)(uint32_t)quit;
}

void loop_quit(struct loop *l, int status)
{
	/* The first one asked for is the reason; later ones are its consequences. */
	int64_t none = 0;
	atomic_compare_exchange_strong(&l->quit, &none, QUIT_FLAG | (int64_t)(uint32_t)status);
	wake(l);
}
