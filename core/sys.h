// SPDX-License-Identifier: GPL-2.0-or-later
// The system-call seam: every call this project makes into the kernel to talk to devices, KVM,
// VFIO, sysfs or files goes through one table, so that tests can put a stateful fake kernel
// behind it and fail the Nth call.
//
// Convention of every sys_*() wrapper: 0 or a positive result on success, -errno on failure;
// errno itself is not part of the contract. EINTR is retried for open, read, write, readv, writev,
// pread and pwrite, and returned for poll and ioctl. Not for hot paths that have no fd behind them.
#pragma once

#include <dirent.h>
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

/* All entries return -errno on failure. */
struct sys_ops {
	int (*open)(const char *path, int flags, mode_t mode); /* adds O_CLOEXEC */
	int (*close)(int fd);
	int (*ioctl)(int fd, unsigned long request, void *arg);
	ssize_t (*read)(int fd, void *buf, size_t len);
	ssize_t (*write)(int fd, const void *buf, size_t len);
	ssize_t (*readv)(int fd, const struct iovec *iov, unsigned int n);
	ssize_t (*writev)(int fd, const struct iovec *iov, unsigned int n);
	ssize_t (*pread)(int fd, void *buf, size_t len, off_t off);
	ssize_t (*pwrite)(int fd, const void *buf, size_t len, off_t off);
	int (*mmap)(void **ret, void *addr, size_t len, int prot, int flags, int fd, off_t off);
	int (*munmap)(void *addr, size_t len);
	int (*madvise)(void *addr, size_t len, int advice);
	int (*eventfd)(unsigned int initval, int flags);    /* adds EFD_CLOEXEC */
	int (*memfd)(const char *name, unsigned int flags); /* adds MFD_CLOEXEC */
	int (*ftruncate)(int fd, off_t len);
	int (*fsync)(int fd);
	int (*fstat)(int fd, struct stat *ret);
	int (*stat)(const char *path, struct stat *ret);
	int (*access)(const char *path, int mode);
	/* Length written, without a terminator, at most len. */
	ssize_t (*readlink)(const char *path, char *buf, size_t len);
	/* Calls each(opaque, name) for every entry but "." and ".."; stops early, returning that
	 * value, when `each` returns non-zero. Order is unspecified. */
	int (*listdir)(const char *path, int (*each)(void *opaque, const char *name), void *opaque);
	int (*mkdir)(const char *path, mode_t mode);
	int (*rename)(const char *from, const char *to);
	int (*unlink)(const char *path);
	int (*flock)(int fd, int operation); /* LOCK_* of <sys/file.h> */
	/* fcntl(F_OFD_SETLK): `type` F_RDLCK, F_WRLCK or F_UNLCK on bytes from `first` on; `test`:
	 * only whether it could be had. -EAGAIN: another open file has a lock that excludes it. */
	int (*ofd_lock)(int fd, short type, off_t first, off_t len, bool test);
	int (*poll)(struct pollfd *fds, unsigned int n, int timeout_ms);
	/* A connected UNIX stream socket, which doesn't block; close-on-exec. */
	int (*dial)(const char *path);
	/* Runs a program found in PATH with /dev/null as its input and, as its descriptor 3, the
	 * other end of *ret_fd, a UNIX stream socket as dial()'s. Returns its process id. */
	int (*spawn)(const char *const *argv, int *ret_fd);
	/* Waits for its end; kills it when timeout_ms have passed. What waitpid() says of it. */
	int (*reap)(int pid, int timeout_ms);
};

extern const struct sys_ops sys_linux; /* the real kernel */
extern const struct sys_ops *sys;      /* in use; a test's main() swaps it once, before threads */

static inline int sys_close(int fd)
{
	return sys->close(fd);
}
static inline int sys_ioctl(int fd, unsigned long req, void *arg)
{
	return sys->ioctl(fd, req, arg);
}
static inline int sys_eventfd(unsigned int initval, int flags)
{
	return sys->eventfd(initval, flags);
}
static inline ssize_t sys_read(int fd, void *b, size_t n)
{
	return sys->read(fd, b, n);
}
static inline ssize_t sys_write(int fd, const void *b, size_t n)
{
	return sys->write(fd, b, n);
}
static inline ssize_t sys_readv(int fd, const struct iovec *iov, unsigned int n)
{
	return sys->readv(fd, iov, n);
}
static inline ssize_t sys_writev(int fd, const struct iovec *iov, unsigned int n)
{
	return sys->writev(fd, iov, n);
}
static inline ssize_t sys_pread(int fd, void *b, size_t n, off_t o)
{
	return sys->pread(fd, b, n, o);
}
static inline ssize_t sys_pwrite(int fd, const void *b, size_t n, off_t o)
{
	return sys->pwrite(fd, b, n, o);
}
static inline int sys_flock(int fd, int op)
{
	return sys->flock(fd, op);
}
static inline int sys_ofd_lock(int fd, short type, off_t first, off_t len, bool test)
{
	return sys->ofd_lock(fd, type, first, len, test);
}
static inline int sys_dial(const char *path)
{
	return sys->dial(path);
}
static inline int sys_spawn(const char *const *argv, int *ret_fd)
{
	return sys->spawn(argv, ret_fd);
}
static inline int sys_reap(int pid, int timeout_ms)
{
	return sys->reap(pid, timeout_ms);
}
static inline int sys_munmap(void *a, size_t n)
{
	return sys->munmap(a, n);
}
static inline int sys_open(const char *path, int flags, mode_t mode)
{
	return sys->open(path, flags, mode);
}
static inline int sys_mmap(void **ret, void *addr, size_t len, int prot, int flags, int fd,
			   off_t off)
{
	return sys->mmap(ret, addr, len, prot, flags, fd, off);
}

/* sys_ioctl() with an integer argument. */
static inline int sys_ioctl_n(int fd, unsigned long req, unsigned long n)
{
	return sys->ioctl(fd, req, (void *)n);
}

/* At the start of a program: /dev/null in place of standard descriptors that are closed. Or the
 * next files opened would get their numbers, and messages be written into a KVM or VFIO fd. */
void sys_std_fds(void);
/* The soft limit on open files becomes the hard one: each interrupt vector in use takes a file. */
void sys_max_fds(void);
/* Closes and sets -1; a negative fd is nothing to do. */
void sys_close_fd(int *fd);

/* Reads a whole small file (sysfs, procfs) as text into buf, always terminated, trailing newline
 * cut. -EFBIG if it does not fit. Returns the length. */
ssize_t sys_read_text(const char *path, char *buf, size_t size);
/* The same for a sysfs attribute, which the kernel gives whole in one read: a quarter fewer calls
 * where there are thousands. */
ssize_t sys_read_attr(const char *path, char *buf, size_t size);
/* Opens, writes all of `text` in one write, closes. sysfs stores: the write's own errno. */
int sys_write_text(const char *path, const char *text);
/* Same, for a file that may not exist: created 0600, contents replaced through a temporary name,
 * fsync and rename: after a crash either the old or the new contents, whole. */
int sys_replace_file(const char *path, const char *text, struct verr *reterr);
/* The last component of a symbolic link's target ("../../bus/pci/drivers/e1000e" -> "e1000e"). */
int sys_readlink_base(const char *path, char *buf, size_t size);
/* A decimal, 0x hexadecimal or 0 octal number from a small text file. */
int sys_read_u64(const char *path, uint64_t *ret);

/* eventfds: signal, and take whatever is there (returns the count, 0 when none). */
int sys_event_signal(int fd);
uint64_t sys_event_take(int fd);
/* True if the eventfd has a count, which stays. */
bool sys_event_pending(int fd);

VV_END_DECLS
