// SPDX-License-Identifier: GPL-2.0-or-later
// A thread beside the main one.
#pragma once

#include <pthread.h>

#include "core/cc.h"

VV_BEGIN_DECLS

/* Starts one that takes no signals (those are the main thread's), except its own faults: their
 * handlers restore the terminal. 0 or -errno. */
int thread_start(pthread_t *ret, void *(*run)(void *), void *arg);

VV_END_DECLS
