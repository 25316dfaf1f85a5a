// SPDX-License-Identifier: GPL-2.0-or-later
// The real kernel's part of sys.h that has to do with other programs: connecting to one that
// listens, starting one, waiting for its end. Owns nothing.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/sys_int.h"

int sys_linux_dial(const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	memcpy(addr.sun_path, path, strlen(path));
	int fd = result(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
	if (fd < 0)
		return fd;
	int r = RETRY(connect(fd, (const struct sockaddr *)&addr, sizeof(addr)));
	if (r < 0)
		close(fd);
	return r < 0 ? r : fd;
}

/* With default signals, and out of the terminal's reach. */
static int spawn_with(const char *const *argv, int fd)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	pid_t pid;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fd, 3);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
						POSIX_SPAWN_SETPGROUP);
	int r = posix_spawnp(&pid, argv[0], &actions, &attr, (char *const *)(uintptr_t)argv,
			     environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	return r ? -r : (int)pid;
}

int sys_linux_spawn(const char *const *argv, int *ret_fd)
{
	int fds[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return -errno;
	int one = 1, pid = result(ioctl(fds[0], FIONBIO, &one));
	if (pid == 0)
		pid = spawn_with(argv, fds[1]);
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	else
		*ret_fd = fds[0];
	return pid;
}

int sys_linux_reap(int pid, int timeout_ms)
{
	const struct timespec ms = { 0, 1000000 };
	int status = 0, r;

	while ((r = RETRY(waitpid(pid, &status, WNOHANG))) == 0 && timeout_ms-- > 0)
		nanosleep(&ms, NULL);
	if (r == 0) {
		kill(pid, SIGKILL);
		r = RETRY(waitpid(pid, &status, 0));
	}
	return r < 0 ? r : status;
}
