// SPDX-License-Identifier: GPL-2.0-or-later
// Listening UNIX sockets in the file system (see the header). Owns nothing; what another program
// has there is left to it.
#include "vmm/backend/unix_listen.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int clear_path(const char *what, const struct sockaddr_un *addr, struct verr *reterr)
{
	struct stat st;

	if (lstat(addr->sun_path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode))
		return verr_set(reterr, -EEXIST,
				"%s %s: a file that is no socket is there; remove it or choose "
				"another path",
				what, addr->sun_path);
	/* Without waiting: who listens may not come to accept. */
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return verr_set(reterr, -errno, "%s %s: %s", what, addr->sun_path, strerror(errno));
	bool dead = connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 &&
		    errno == ECONNREFUSED;
	close(fd);
	if (!dead)
		return verr_set(reterr, -EADDRINUSE,
				"%s %s: another process has it; choose another path", what,
				addr->sun_path);
	unlink(addr->sun_path);
	return 0;
}

static int bind_and_listen(int fd, const struct sockaddr_un *addr)
{
	mode_t mask = umask(0177);
	int r = bind(fd, (const struct sockaddr *)addr, sizeof(*addr)) < 0 ? -errno : 0;

	umask(mask);
	if (r == 0 && listen(fd, 8) < 0) {
		r = -errno;
		unlink(addr->sun_path);
	}
	return r;
}

int unix_listen(const char *what, const char *path, struct verr *reterr)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (path[0] == '\0')
		return verr_set(reterr, -EINVAL, "%s: the path is empty", what);
	if (strlen(path) >= sizeof(addr.sun_path))
		return verr_set(reterr, -ENAMETOOLONG,
				"%s %s: a socket path has at most %zu characters", what, path,
				sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, strlen(path));
	int r = clear_path(what, &addr, reterr);
	if (r < 0)
		return r;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return verr_set(reterr, -errno, "%s %s: %s", what, path, strerror(errno));
	r = bind_and_listen(fd, &addr);
	if (r < 0) {
		close(fd);
		return verr_set(reterr, r, "%s %s: %s", what, path, strerror(-r));
	}
	return fd;
}
