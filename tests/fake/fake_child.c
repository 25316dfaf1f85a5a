// SPDX-License-Identifier: GPL-2.0-or-later
//
// Programs and listeners as far as anybody sees them: a connected socket, a process id to wait for.
#include "tests/fake/fake_child.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/fake/fake_int.h"

#define PID 4711

static const char *listener, *program;
static int other = -1, running;
static char arguments[256];

static int connected(const char *name)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) < 0)
		return -errno;
	fake_hang_up();
	other = fds[1];
	fk_install_fd(fds[0], FK_SOCKET, NULL, NULL, name);
	return fds[0];
}

static int do_dial(const char *path)
{
	return listener && strcmp(listener, path) == 0 ? connected(path) : -ENOENT;
}

static int do_spawn(const char *const *argv, int *ret_fd)
{
	if (!program || strcmp(program, argv[0]) != 0)
		return -ENOENT;
	int fd = connected(argv[0]);
	if (fd < 0)
		return fd;
	arguments[0] = '\0';
	for (unsigned int i = 1; argv[i]; i++) {
		size_t n = strlen(arguments);
		snprintf(arguments + n, sizeof(arguments) - n, "%s%s", n ? " " : "", argv[i]);
	}
	running++;
	*ret_fd = fd;
	return PID;
}

static int do_reap(int pid)
{
	if (pid != PID || running == 0)
		return -ECHILD;
	running--;
	return 0;
}

int fk_dial(const char *path)
{
	fk_lock();
	struct fk_call c = { .call = FAKE_CALL_DIAL, .path = path, .kind = FK_SOCKET };
	long r = FK_CALL(&c, do_dial(path));
	fk_unlock();
	return (int)r;
}

int fk_spawn(const char *const *argv, int *ret_fd)
{
	fk_lock();
	struct fk_call c = { .call = FAKE_CALL_SPAWN, .path = argv[0], .kind = FK_SOCKET };
	long r = FK_CALL(&c, do_spawn(argv, ret_fd));
	fk_unlock();
	return (int)r;
}

int fk_reap(int pid, int timeout_ms)
{
	(void)timeout_ms;
	fk_lock();
	struct fk_call c = { .call = FAKE_CALL_REAP, .path = "process" };
	long r = FK_CALL(&c, do_reap(pid));
	fk_unlock();
	return (int)r;
}

unsigned int fk_child_leaks(FILE *f)
{
	if (running && f)
		fprintf(f, "leak: %d programs were not waited for\n", running);
	return (unsigned int)running;
}

void fk_child_reset(void)
{
	fake_hang_up();
	listener = program = NULL;
	running = 0;
}

void fake_listen(const char *path)
{
	listener = path;
}

void fake_program(const char *name)
{
	program = name;
}

int fake_other_end(void)
{
	return other;
}

void fake_hang_up(void)
{
	if (other >= 0)
		close(other);
	other = -1;
}

const char *fake_arguments(void)
{
	return arguments;
}
