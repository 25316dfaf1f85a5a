// SPDX-License-Identifier: GPL-2.0-or-later
//
// The table that is the real kernel, and the small file helpers above the table. With sys_child.c
// the only file that calls open, ioctl, mmap and their kin; the helpers go through `sys` like
// everybody else, so they work, and fail, on a fake kernel too.
#include "core/sys.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/sys_int.h"

static int linux_open(const char *path, int flags, mode_t mode)
{
	return RETRY(open(path, flags | O_CLOEXEC, mode));
}

static int linux_close(int fd)
{
	/* Linux has let go of the descriptor even when it says EINTR. */
	int r = result(close(fd));
	return r == -EINTR ? 0 : r;
}

static int linux_ioctl(int fd, unsigned long request, void *arg)
{
	return result(ioctl(fd, request, arg));
}

static ssize_t linux_read(int fd, void *buf, size_t len)
{
	return RETRY(read(fd, buf, len));
}

static ssize_t linux_write(int fd, const void *buf, size_t len)
{
	return RETRY(write(fd, buf, len));
}

static ssize_t linux_readv(int fd, const struct iovec *iov, unsigned int n)
{
	return RETRY(readv(fd, iov, (int)n));
}

static ssize_t linux_writev(int fd, const struct iovec *iov, unsigned int n)
{
	return RETRY(writev(fd, iov, (int)n));
}

static ssize_t linux_pread(int fd, void *buf, size_t len, off_t off)
{
	return RETRY(pread(fd, buf, len, off));
}

static ssize_t linux_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	return RETRY(pwrite(fd, buf, len, off));
}

static int linux_mmap(void **ret, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	void *p = mmap(addr, len, prot, flags, fd, off);
	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

static int linux_munmap(void *addr, size_t len)
{
	return result(munmap(addr, len));
}

static int linux_madvise(void *addr, size_t len, int advice)
{
	return result(madvise(addr, len, advice));
}

static int linux_eventfd(unsigned int initval, int flags)
{
	return result(eventfd(initval, flags | EFD_CLOEXEC));
}

static int linux_memfd(const char *name, unsigned int flags)
{
	return result(memfd_create(name, flags | MFD_CLOEXEC));
}

static int linux_ftruncate(int fd, off_t len)
{
	return RETRY(ftruncate(fd, len));
}

static int linux_fsync(int fd)
{
	return RETRY(fsync(fd));
}

static int linux_fstat(int fd, struct stat *ret)
{
	return result(fstat(fd, ret));
}

static int linux_stat(const char *path, struct stat *ret)
{
	return result(stat(path, ret));
}

static int linux_access(const char *path, int mode)
{
	return result(access(path, mode));
}

static ssize_t linux_readlink(const char *path, char *buf, size_t len)
{
	ssize_t n = readlink(path, buf, len);
	return n < 0 ? -errno : n;
}

static int linux_listdir(const char *path, int (*each)(void *opaque, const char *name),
			 void *opaque)
{
	DIR *dir = opendir(path);
	if (!dir)
		return -errno;

	int r = 0;
	while (r == 0) {
		errno = 0;
		const struct dirent *e = readdir(dir);
		if (!e) {
			r = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = each(opaque, e->d_name);
	}
	closedir(dir);
	return r;
}

static int linux_mkdir(const char *path, mode_t mode)
{
	return result(mkdir(path, mode));
}

static int linux_rename(const char *from, const char *to)
{
	return result(rename(from, to));
}

static int linux_unlink(const char *path)
{
	return result(unlink(path));
}

static int linux_flock(int fd, int operation)
{
	return result(flock(fd, operation));
}

static int linux_ofd_lock(int fd, short type, off_t first, off_t len, bool test)
{
	struct flock l = { .l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = len };
	int r = result(fcntl(fd, test ? F_OFD_GETLK : F_OFD_SETLK, &l));

	if (r == 0 && test && l.l_type != F_UNLCK)
		return -EAGAIN;
	return r == -EACCES ? -EAGAIN : r; /* either means it */
}

static int linux_poll(struct pollfd *fds, unsigned int n, int timeout_ms)
{
	return result(poll(fds, n, timeout_ms));
}

const struct sys_ops sys_linux = {
	.open = linux_open,
	.close = linux_close,
	.ioctl = linux_ioctl,
	.read = linux_read,
	.write = linux_write,
	.readv = linux_readv,
	.writev = linux_writev,
	.pread = linux_pread,
	.pwrite = linux_pwrite,
	.mmap = linux_mmap,
	.munmap = linux_munmap,
	.madvise = linux_madvise,
	.eventfd = linux_eventfd,
	.memfd = linux_memfd,
	.ftruncate = linux_ftruncate,
	.fsync = linux_fsync,
	.fstat = linux_fstat,
	.stat = linux_stat,
	.access = linux_access,
	.readlink = linux_readlink,
	.listdir = linux_listdir,
	.mkdir = linux_mkdir,
	.rename = linux_rename,
	.unlink = linux_unlink,
	.flock = linux_flock,
	.ofd_lock = linux_ofd_lock,
	.poll = linux_poll,
	.dial = sys_linux_dial,
	.spawn = sys_linux_spawn,
	.reap = sys_linux_reap,
};

const struct sys_ops *sys = &sys_linux;

void sys_std_fds(void)
{
	int fd;

	do
		fd = sys_open("/dev/null", O_RDWR, 0);
	while (fd >= 0 && fd <= STDERR_FILENO);
	sys_close_fd(&fd);
}

void sys_max_fds(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r); /* a refusal shows where files run out */
}

void sys_close_fd(int *fd)
{
	if (*fd >= 0)
		sys_close(*fd);
	*fd = -1;
}

/* `once`: the first read has it all. */
static ssize_t read_text(const char *path, char *buf, size_t size, bool once)
{
	if (size == 0)
		return -EINVAL;
	int fd = sys_open(path, O_RDONLY, 0);
	if (fd < 0)
		return fd;

	size_t at = 0;
	ssize_t r;
	for (;;) {
		/* One byte more than fits as text: a full buffer is a file that is too big. */
		r = sys_read(fd, buf + at, size - at);
		if (r <= 0)
			break;
		at += (size_t)r;
		if (at == size) {
			r = -EFBIG;
			break;
		}
		if (once)
			break;
	}
	sys_close(fd);
	if (r < 0) {
		buf[0] = '\0';
		return r;
	}
	if (at > 0 && buf[at - 1] == '\n')
		at--;
	buf[at] = '\0';
	return (ssize_t)at;
}

ssize_t sys_read_text(const char *path, char *buf, size_t size)
{
	return read_text(path, buf, size, false);
}

ssize_t sys_read_attr(const char *path, char *buf, size_t size)
{
	return read_text(path, buf, size, true);
}

int sys_write_text(const char *path, const char *text)
{
	int fd = sys_open(path, O_WRONLY | O_TRUNC, 0);
	if (fd < 0)
		return fd;
	size_t len = strlen(text);
	ssize_t n = sys_write(fd, text, len);
	int r = sys_close(fd);
	if (n < 0)
		return (int)n;
	if ((size_t)n != len)
		return -EIO;
	return r;
}

static int write_all(int fd, const char *text)
{
	size_t len = strlen(text);
	while (len > 0) {
		ssize_t n = sys_write(fd, text, len);
		if (n < 0)
			return (int)n;
		if (n == 0)
			return -EIO;
		text += n;
		len -= (size_t)n;
	}
	return 0;
}

static int write_temporary(const char *tmp, const char *text)
{
	/* A temporary left by a crash is ours to remove; O_EXCL keeps links out. */
	int r = sys->unlink(tmp);
	if (r < 0 && r != -ENOENT)
		return r;
	int fd = sys_open(tmp, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		return fd;
	r = write_all(fd, text);
	if (r == 0)
		r = sys->fsync(fd);
	int closed = sys_close(fd);
	if (r == 0)
		r = closed;
	if (r < 0)
		sys->unlink(tmp);
	return r;
}

/* The new name is on the disk only when the directory is. */
static int sync_directory_of(const char *path)
{
	char dir[PATH_MAX];
	const char *slash = strrchr(path, '/');
	if (!slash)
		snprintf(dir, sizeof(dir), ".");
	else
		snprintf(dir, sizeof(dir), "%.*s", (int)MAX(slash - path, 1), path);

	int fd = sys_open(dir, O_RDONLY | O_DIRECTORY, 0);
	if (fd < 0)
		return fd;
	int r = sys->fsync(fd);
	sys_close(fd);
	/* A file system without directory sync keeps the order anyway. */
	return r == -EINVAL ? 0 : r;
}

int sys_replace_file(const char *path, const char *text, struct verr *reterr)
{
	char tmp[PATH_MAX];
	int len = snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	if (len < 0 || (size_t)len >= sizeof(tmp))
		return verr_prefix(reterr, -ENAMETOOLONG, "can't write %.128s...", path);

	int r = write_temporary(tmp, text);
	if (r == 0) {
		r = sys->rename(tmp, path);
		if (r < 0)
			sys->unlink(tmp);
	}
	if (r == 0)
		r = sync_directory_of(path);
	if (r < 0)
		return verr_prefix(reterr, r, "can't write %s", path);
	return 0;
}

int sys_readlink_base(const char *path, char *buf, size_t size)
{
	char target[PATH_MAX];
	ssize_t n = sys->readlink(path, target, sizeof(target) - 1);
	if (n < 0)
		return (int)n;
	target[n] = '\0';

	const char *slash = strrchr(target, '/');
	const char *base = slash ? slash + 1 : target;
	size_t len = strlen(base);
	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(buf, base, len + 1);
	return 0;
}

int sys_read_u64(const char *path, uint64_t *ret)
{
	char text[64];
	ssize_t n = sys_read_text(path, text, sizeof(text));
	if (n < 0)
		return (int)n;
	if (text[0] < '0' || text[0] > '9')
		return -EINVAL;
	char *end;
	errno = 0;
	unsigned long long v = strtoull(text, &end, 0);
	if (errno == ERANGE)
		return -ERANGE;
	if (*end != '\0')
		return -EINVAL;
	*ret = v;
	return 0;
}

int sys_event_signal(int fd)
{
	uint64_t one = 1;
	ssize_t n = sys_write(fd, &one, sizeof(one));
	/* A full counter is signalled already. */
	if (n < 0 && n != -EAGAIN)
		return (int)n;
	return 0;
}

bool sys_event_pending(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	return sys->poll(&p, 1, 0) > 0 && (p.revents & POLLIN) != 0;
}

uint64_t sys_event_take(int fd)
{
	/* The poll first, so that a blocking eventfd does not block. */
	uint64_t count = 0;
	if (!sys_event_pending(fd))
		return 0;
	if (sys_read(fd, &count, sizeof(count)) != (ssize_t)sizeof(count))
		return 0;
	return count;
}
