// SPDX-License-Identifier: GPL-2.0-or-later
//
// How a thread of ours begins. Must not know what any of them does.
#include "core/thread.h"

#include <signal.h>
#include <stddef.h>

#include "core/cc.h"

int thread_start(pthread_t *ret, void *(*run)(void *), void *arg)
{
	static const int faults[] = { SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV };
	sigset_t all, old;

	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(faults); i++)
		sigdelset(&all, faults[i]);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int r = pthread_create(ret, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return -r;
}
