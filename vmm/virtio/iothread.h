// SPDX-License-Identifier: GPL-2.0-or-later
// A data-plane thread: it waits for descriptors and does file I/O, by io_uring where the kernel
// has it (one system call waits, submits and collects), by epoll and plain calls elsewhere. A
// device opens one for its queues in realize and closes it in unrealize.
//
// It never takes the machine lock. The control plane reaches into it with iothread_call(), which
// runs a function there and waits: activate adds the queues' descriptors that way, deactivate
// removes them and drains what is in flight. Everything below "in the thread" is for callbacks and
// for such functions only.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "core/cc.h"
#include "core/list.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct iothread;

enum iothread_flags {
	IOTHREAD_PLAIN = 1, /* no io_uring, even if there is one */
};

/* Starts the thread; `name` (15 characters count) is what top shows. */
int iothread_open(const char *name, unsigned int flags, struct iothread **ret, struct verr *reterr);
/* NULL allowed. Nothing may be registered or in flight any more (asserted). Joins. */
void iothread_close(struct iothread *t);
/* Runs fn(opaque) in the thread, between callbacks, and returns when it has. From any thread but
 * itself; the machine lock may be held, as the thread never wants it. */
void iothread_call(struct iothread *t, void (*fn)(void *opaque), void *opaque);
/* "io_uring" or "epoll". */
const char *iothread_engine(const struct iothread *t);

/* ---- in the thread --------------------------------------------------------------------------- */

/* A descriptor to wait for; embedded in its owner. Level triggered: as long as it is ready,
 * ready() is called, once a turn. */
struct iothread_fd {
	int fd;		 /* borrowed */
	uint32_t events; /* EPOLLIN | EPOLLOUT */
	bool event;	 /* a blocking eventfd: its count is taken before ready() is called */
	void (*ready)(struct iothread_fd *src, uint32_t events);

	/* the thread's own */
	struct iothread *t; /* NULL while not added */
	uint64_t count;
	uint32_t revents;
	bool armed;
	struct list node;
};

struct iothread_timer {
	void (*fired)(struct iothread_timer *t);
	uint64_t deadline_ns;
	struct iothread *t; /* NULL while not armed */
	struct list node;
};

/* Something to do before the thread waits next, for all that happened in a turn together. Queued
 * by a job, it runs a turn later, without a wait. */
struct iothread_job {
	void (*run)(struct iothread_job *j);
	struct iothread *t; /* NULL while not queued */
	struct list node;
};

/* One operation on a file; embedded in the request it is for. */
struct iothread_io {
	/* In the thread, never from within the call that starts it. `res` as preadv() and the like,
	 * -errno on failure. */
	void (*done)(struct iothread_io *io, ssize_t res);

	/* the thread's own */
	ssize_t res;
	struct list node;
};

/* -EBADF, -EPERM (epoll, not io_uring: a regular file), -ENOMEM. */
int iothread_add_fd(struct iothread *t, struct iothread_fd *src);
/* ready() is not called any more, not even in this turn. No effect if not added. */
void iothread_del_fd(struct iothread_fd *src);
/* Changes what is waited for; 0: nothing. Also from src's own ready(). */
int iothread_mod_fd(struct iothread_fd *src, uint32_t events);

void iothread_arm(struct iothread *t, struct iothread_timer *tm, uint64_t delay_ns); /* re-arms */
void iothread_disarm(struct iothread_timer *tm);

/* Once, however often it is called before it runs. iothread_drain() runs jobs, too. */
void iothread_defer(struct iothread *t, struct iothread_job *j);

/* Start an operation; iov and what it points at stay until done(). Short reads and writes are the
 * caller's to continue. Started together in one turn, they cost one system call together. */
void iothread_readv(struct iothread *t, struct iothread_io *io, int fd, const struct iovec *iov,
		    unsigned int n, off_t off);
void iothread_writev(struct iothread *t, struct iothread_io *io, int fd, const struct iovec *iov,
		     unsigned int n, off_t off);
void iothread_fsync(struct iothread *t, struct iothread_io *io, int fd, bool data_only);
void iothread_fallocate(struct iothread *t, struct iothread_io *io, int fd, int mode, off_t off,
			off_t len);
/* Operations started and not done. */
unsigned int iothread_inflight(const struct iothread *t);
/* Returns when all of them are done, done() called for each; descriptors and timers wait. */
void iothread_drain(struct iothread *t);
/* In the thread: a kick found so many buffers. Where processors are scarce a kick takes the
 * driver's away, and a driver with many requests gets them served one by one. So it is tried now
 * and then not to (SCHED_BATCH), and kept so while several come at a time; where it is one all the
 * same, the driver waits for it, and it is served at once. */
void iothread_found(struct iothread *t, unsigned int n);

VV_END_DECLS
