// SPDX-License-Identifier: GPL-2.0-or-later
// What iothread.c shares with its two engines.
#pragma once

#include <fcntl.h>
#include <pthread.h>

#include "vmm/virtio/iothread.h"

VV_BEGIN_DECLS

struct iothread_op {
	enum { OP_READV, OP_WRITEV, OP_FSYNC, OP_FDATASYNC, OP_FALLOCATE } kind;
	int fd;
	const struct iovec *iov;
	unsigned int n;
	int mode;
	off_t off, len;
};

struct iothread_engine {
	const char *name;
	/* In the thread itself. */
	int (*open)(struct iothread *t);
	void (*close)(struct iothread *t);
	/* From now on, once: the thread's ready list gets src. Called again after each callback. */
	int (*arm)(struct iothread *t, struct iothread_fd *src);
	/* Not any more: src is not armed and not on the ready list when it returns. */
	void (*disarm)(struct iothread *t, struct iothread_fd *src);
	void (*start)(struct iothread *t, struct iothread_io *io, const struct iothread_op *op);
	/* Submits, waits (forever: timeout_ns < 0), puts what is ready on the lists. */
	void (*wait)(struct iothread *t, int64_t timeout_ns);
};

extern const struct iothread_engine iothread_uring, iothread_epoll;

struct iothread {
	const struct iothread_engine *engine;
	void *state; /* the engine's */
	pthread_t thread;
	pthread_mutex_t lock; /* the call, and the start */
	pthread_cond_t changed;
	void (*call)(void *opaque);
	void *call_opaque;
	bool call_done, started, quit;
	unsigned int flags;
	int start_result;
	char name[16];
	struct iothread_fd wake;
	struct list ready;	     /* struct iothread_fd */
	struct list done;	     /* struct iothread_io */
	struct list timers;	     /* by deadline */
	struct list jobs;	     /* struct iothread_job */
	struct iothread_fd *current; /* whose ready() runs; NULL once it was deleted there */
	unsigned int n_fds, inflight;
	bool may_batch, batch; /* nobody chose another policy; SCHED_BATCH */
	unsigned int singles;  /* kicks in a row with one buffer */
};

/* For engines: src is ready / io is done. */
void iothread_is_ready(struct iothread *t, struct iothread_fd *src, uint32_t events);
void iothread_is_done(struct iothread *t, struct iothread_io *io, ssize_t res);

VV_END_DECLS
