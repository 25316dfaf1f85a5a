// SPDX-License-Identifier: GPL-2.0-or-later
// The event loop of the main thread: fds, timers, deferred jobs, cross-thread wake.
// Callbacks run in the thread that calls loop_run(), inside lock()/unlock() of the hooks given
// (the machine lock). Sources are embedded in their owners, which remove them before they die.
// Adding, arming, removing and disarming are allowed from any thread that holds that lock; a
// source so removed is not called again. No turn inside a callback.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/list.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct loop;

struct loop_fd {
	int fd;		 /* borrowed */
	uint32_t events; /* EPOLLIN | EPOLLOUT ... */
	void (*ready)(struct loop_fd *src, uint32_t events);
	struct loop *loop; /* loop's own; NULL while not added */
};

struct loop_timer {
	void (*fired)(struct loop_timer *t);
	uint64_t deadline_ns; /* CLOCK_MONOTONIC; loop's own while armed */
	struct list node;
	struct loop *loop;
};

struct loop_job {
	void (*run)(struct loop_job *j);
	struct list node;
	struct loop *loop; /* set while queued */
};

int loop_open(struct loop **ret, struct verr *reterr);
void loop_close(struct loop *l); /* NULL allowed; asserts nothing is registered */
/* Called around every callback; both NULL for none. Before loop_run. */
void loop_set_lock(struct loop *l, void (*lock)(void *), void (*unlock)(void *), void *opaque);

int loop_add_fd(struct loop *l, struct loop_fd *src, struct verr *reterr);
int loop_mod_fd(struct loop_fd *src, uint32_t events);
void loop_del_fd(struct loop_fd *src); /* no effect if not added; safe from any callback */

void loop_arm(struct loop *l, struct loop_timer *t, uint64_t delay_ns); /* re-arms */
void loop_disarm(struct loop_timer *t);

/* Thread safe. Queues once until run; wakes the loop. */
void loop_defer(struct loop *l, struct loop_job *j);
void loop_cancel(struct loop_job *j);

/* Runs until loop_quit(); returns its status. */
int loop_run(struct loop *l);
/* One turn, waiting at most timeout_ms (-1: for ever). For tests and teardown. */
int loop_turn(struct loop *l, int timeout_ms);
void loop_quit(struct loop *l, int status); /* thread and signal-handler safe */

VV_END_DECLS
