// SPDX-License-Identifier: GPL-2.0-or-later
// Raw terminal mode and the signals that must not leave the terminal in it. The state is static
// because signal handlers have no other way to it: a process has one terminal. The terminal is
// spoken to directly, not through core/sys.h, which is not for signal handlers.
#include "vmm/backend/tty.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

static struct {
	volatile sig_atomic_t begun;
	int fd, wake_fd;
	struct termios saved, raw;
} tty;

static const int killers[] = {
	SIGABRT, SIGBUS, SIGFPE, SIGHUP, SIGILL, SIGINT, SIGQUIT, SIGSEGV, SIGTERM,
};

bool tty_foreground(int fd)
{
	return tcgetpgrp(fd) == getpgrp();
}

static void restore(void)
{
	if (tty.begun && tty_foreground(tty.fd))
		tcsetattr(tty.fd, TCSANOW, &tty.saved);
}

void tty_raw_again(void)
{
	if (tty.begun && tty_foreground(tty.fd))
		tcsetattr(tty.fd, TCSANOW, &tty.raw);
}

/* SA_RESETHAND: the second time, the default action. A fault comes again by itself. */
static void on_kill(int sig)
{
	int saved = errno;

	restore();
	raise(sig);
	errno = saved;
}

static void on_stop(int sig)
{
	struct sigaction old, dfl = { .sa_handler = SIG_DFL };
	int saved = errno;
	sigset_t set, before;

	restore();
	sigaction(sig, &dfl, &old);
	raise(sig);
	sigemptyset(&set);
	sigaddset(&set, sig);
	pthread_sigmask(SIG_UNBLOCK, &set, &before); /* stops here */
	sigaction(sig, &old, NULL);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = saved;
}

static void on_continue(int sig)
{
	uint64_t one = 1;
	int saved = errno;
	ssize_t n;

	(void)sig;
	tty_raw_again();
	n = write(tty.wake_fd, &one, sizeof(one));
	(void)n; /* the loop looks again by itself, only later */
	errno = saved;
}

static void handle(int sig, void (*handler)(int), int flags)
{
	struct sigaction sa = { .sa_handler = handler, .sa_flags = flags }, old;

	sigemptyset(&sa.sa_mask);
	if (sigaction(sig, NULL, &old) == 0 && !(old.sa_flags & SA_SIGINFO) &&
	    old.sa_handler == SIG_DFL)
		sigaction(sig, &sa, NULL);
}

static void unhandle(int sig, void (*handler)(int))
{
	struct sigaction dfl = { .sa_handler = SIG_DFL }, now;

	if (sigaction(sig, NULL, &now) == 0 && !(now.sa_flags & SA_SIGINFO) &&
	    now.sa_handler == handler)
		sigaction(sig, &dfl, NULL);
}

int tty_raw_begin(int fd, int wake_fd, struct verr *reterr)
{
	static bool at_exit;

	if (tty.begun)
		return verr_set(reterr, -EBUSY, "stdio: the terminal is in use by another port");
	if (tcgetattr(fd, &tty.saved) < 0)
		return verr_set(reterr, -errno, "stdio: terminal attributes: %s", strerror(errno));
	tty.raw = tty.saved;
	tty.raw.c_iflag &=
		(tcflag_t) ~(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
	tty.raw.c_lflag &= (tcflag_t) ~(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
	tty.raw.c_cflag = (tty.raw.c_cflag & (tcflag_t) ~(CSIZE | PARENB)) | CS8;
	/* OPOST stays: our own messages on this terminal end in a bare newline. */
	tty.raw.c_cc[VMIN] = 1;
	tty.raw.c_cc[VTIME] = 0;
	tty.fd = fd;
	tty.wake_fd = wake_fd;
	tty.begun = 1;

	for (size_t i = 0; i < ARRAY_SIZE(killers); i++)
		handle(killers[i], on_kill, (int)SA_RESETHAND);
	handle(SIGTSTP, on_stop, SA_RESTART);
	handle(SIGCONT, on_continue, SA_RESTART);
	if (!at_exit)
		at_exit = atexit(tty_raw_end) == 0;
	tty_raw_again();
	return 0;
}

void tty_raw_end(void)
{
	if (!tty.begun)
		return;
	restore();
	tty.begun = 0;
	for (size_t i = 0; i < ARRAY_SIZE(killers); i++)
		unhandle(killers[i], on_kill);
	unhandle(SIGTSTP, on_stop);
	unhandle(SIGCONT, on_continue);
}
