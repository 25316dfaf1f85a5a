// SPDX-License-Identifier: GPL-2.0-or-later
// Buffered output to a file descriptor that may not take it at once: a terminal, a pipe, a pty.
// Bytes gather in a ring, which the loop writes out; the vCPU that wrote them goes on.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/loop.h"
#include "core/verr.h"

VV_BEGIN_DECLS

#define CHR_OUT_SIZE 65536

struct chardev;

struct chr_out {
	struct loop *loop;   /* borrowed */
	struct chardev *chr; /* whose it is: its front is told when there is room again */
	int fd;		     /* borrowed */
	bool nonblock;	  /* the fd is O_NONBLOCK; otherwise it is polled before each small write */
	bool waiting;	  /* for the fd to take more: `src` is in the loop */
	bool stalled;	  /* it did not for CHR_STALL_NS: dropping */
	bool dead;	  /* nobody will ever read: dropping */
	bool owed;	  /* the front was given a short count */
	uint64_t dropped; /* bytes */
	size_t head, used; /* ring */
	uint8_t ring[CHR_OUT_SIZE];
	struct loop_fd src;
	struct loop_job flush;
	struct loop_timer stall;
};

void chr_out_init(struct chr_out *o, struct loop *loop, int fd, bool nonblock, struct chardev *chr);
size_t chr_out_write(struct chr_out *o, const void *buf, size_t len);
/* Writes out what goes within timeout_ms, then leaves the loop. The fd stays open. */
void chr_out_fini(struct chr_out *o, int timeout_ms);

/* A descriptor of the same file that is non-blocking without making anyone else's so: `fd`'s file
 * description is shared with whoever started us. Falls back to a duplicate that is not
 * (*ret_nonblock false). -errno. */
int chr_reopen_nonblock(int fd, int flags, bool *ret_nonblock);

VV_END_DECLS
