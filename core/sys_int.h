// SPDX-License-Identifier: GPL-2.0-or-later
// What the files of the real kernel's table share.
#pragma once

#include <errno.h>

#include "core/cc.h"

VV_BEGIN_DECLS

/* A call's result, or -errno; again after a signal. */
#define RETRY(expr)                                                                                \
	({                                                                                         \
		__typeof__(expr) r_;                                                               \
		do                                                                                 \
			r_ = (expr);                                                               \
		while (r_ < 0 && errno == EINTR);                                                  \
		r_ < 0 ? (__typeof__(r_))-errno : r_;                                              \
	})

/* The same for a call that was made. */
static inline int result(int r)
{
	return r < 0 ? -errno : r;
}

/* Entries of sys_linux. */
int sys_linux_dial(const char *path);
int sys_linux_spawn(const char *const *argv, int *ret_fd);
int sys_linux_reap(int pid, int timeout_ms);

VV_END_DECLS
