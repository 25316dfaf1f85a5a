// SPDX-License-Identifier: GPL-2.0-or-later
//
// The fake kernel's front door: the sys_ops table and the table of open files. Owns the lock.
// Knows no VFIO, KVM or sysfs: those are the files' ops.
#include "tests/fake/fake_sys.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fake/fake_int.h"

#define FILES_MAX    65536
#define PREFIXES_MAX 8

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static __thread int depth; /* how often this thread holds it */

static struct fk_file *files[FILES_MAX];
static int files_end; /* one past the highest ever used */
static char *prefixes[PREFIXES_MAX];
static unsigned int n_prefixes;

void fk_lock(void)
{
	if (depth++ == 0)
		pthread_mutex_lock(&mutex);
}

void fk_unlock(void)
{
	if (--depth == 0)
		pthread_mutex_unlock(&mutex);
}

int fk_unlock_all(void)
{
	int held = depth;
	depth = 0;
	pthread_mutex_unlock(&mutex);
	return held;
}

void fk_relock(int held)
{
	pthread_mutex_lock(&mutex);
	depth = held;
}

void fk_bug(const char *fmt, ...)
{
	va_list ap;
	fputs("fake kernel: the test is wrong: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fputc('\n', stderr);
	abort();
}

void *fk_zalloc(size_t size)
{
	void *p = calloc(1, size ? size : 1);
	if (!p)
		fk_bug("out of memory");
	return p;
}

char *fk_strdup(const char *s)
{
	char *p = strdup(s);
	if (!p)
		fk_bug("out of memory");
	return p;
}

/* --- open files --------------------------------------------------------------------------- */

struct fk_file *fk_file(int fd)
{
	return fd >= 0 && fd < FILES_MAX ? files[fd] : NULL;
}

void *fk_obj(int fd, enum fk_kind kind)
{
	struct fk_file *f = fk_file(fd);
	return f && f->kind == kind ? f->obj : NULL;
}

static struct fk_file *tag(int fd, enum fk_kind kind, const struct fk_fops *ops, void *obj)
{
	if (fd >= FILES_MAX)
		fk_bug("file descriptor %d is beyond the table", fd);
	/* A stale entry: somebody closed the fd behind the seam's back. */
	if (files[fd]) {
		fk_violation("fd %d (%s) was closed without sys_close()", fd, files[fd]->name);
		free(files[fd]);
	}
	struct fk_file *f = fk_zalloc(sizeof(*f));
	f->fd = fd;
	f->kind = kind;
	f->ops = ops;
	f->obj = obj;
	files[fd] = f;
	files_end = MAX(files_end, fd + 1);
	return f;
}

int fk_install(enum fk_kind kind, const struct fk_fops *ops, void *obj, const char *fmt, ...)
{
	static int null = -1;
	if (null < 0)
		null = open("/dev/null", O_RDWR | O_CLOEXEC);
	/* Only a vCPU's pages are mapped; a duplicate costs a tenth of a memfd. */
	int fd = kind == FK_VCPU ? memfd_create("fake", MFD_CLOEXEC)
				 : fcntl(null, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	struct fk_file *f = tag(fd, kind, ops, obj);
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(f->name, sizeof(f->name), fmt, ap);
	va_end(ap);
	return fd;
}

void fk_install_fd(int fd, enum fk_kind kind, const struct fk_fops *ops, void *obj,
		   const char *name)
{
	struct fk_file *f = tag(fd, kind, ops, obj);
	snprintf(f->name, sizeof(f->name), "%s", name);
}

const char *fake_fd_name(int fd)
{
	const struct fk_file *f = fk_file(fd);
	return f ? f->name : NULL;
}

static int close_file(int fd)
{
	struct fk_file *f = fk_file(fd);
	files[fd] = NULL;
	if (f->ops && f->ops->release)
		f->ops->release(f);
	free(f);
	return close(fd) < 0 ? -errno : 0;
}

/* --- one call ----------------------------------------------------------------------------- */

void fk_record(const struct fk_call *c, long result)
{
	char what[240], text[320];
	/* Thousands of rounds, and nobody reads it. */
	if (fk_sweeping())
		return;
	const char *path = c->path ? c->path : "-";
	if (c->call == FAKE_CALL_IOCTL) {
		const char *name = fk_ioctl_name(c);
		char number[32];
		snprintf(number, sizeof(number), "%#lx", c->request);
		snprintf(what, sizeof(what), "ioctl %s %s", path, name ? name : number);
	} else {
		snprintf(what, sizeof(what), "%s %s", fk_call_name(c->call), path);
	}
	if (result < 0)
		snprintf(text, sizeof(text), "%s = -%s", what, strerrorname_np((int)-result));
	else
		snprintf(text, sizeof(text), "%s = %ld", what, result);
	fk_log(text);
}

static struct fk_call on_fd(enum fake_call call, int fd)
{
	const struct fk_file *f = fk_file(fd);
	return (struct fk_call){ .call = call,
				 .path = f ? f->name : NULL,
				 .kind = f ? f->kind : FK_REAL };
}

static struct fk_call on_path(enum fake_call call, const char *path)
{
	return (struct fk_call){ .call = call, .path = path, .kind = FK_FS };
}

static bool allowed(const char *path)
{
	for (unsigned int i = 0; i < n_prefixes; i++)
		if (strncmp(path, prefixes[i], strlen(prefixes[i])) == 0)
			return true;
	return false;
}

static long real_open(const char *path, int flags, mode_t mode)
{
	int fd = sys_linux.open(path, flags, mode);
	if (fd >= 0) {
		struct fk_file *f = tag(fd, FK_REAL, NULL, NULL);
		snprintf(f->name, sizeof(f->name), "%s", path);
	}
	return fd;
}

static int fake_open(const char *path, int flags, mode_t mode)
{
	fk_lock();
	struct fk_call c = on_path(FAKE_CALL_OPEN, path);
	long r = FK_CALL(&c, allowed(path) ? real_open(path, flags, mode)
					   : fk_fs_open(path, flags, mode));
	fk_unlock();
	return (int)r;
}

static int fake_close(int fd)
{
	fk_lock();
	/* The name goes with the file. */
	char name[160];
	const struct fk_file *f = fk_file(fd);
	snprintf(name, sizeof(name), "%s", f ? f->name : "?");
	struct fk_call c = on_fd(FAKE_CALL_CLOSE, fd);
	c.path = name;
	int fault = fk_fault(&c);
	int r = f ? close_file(fd) : -EBADF;
	if (!f)
		fk_violation("close of fd %d, which was not opened through the seam", fd);
	/* A close that fails has closed all the same. */
	if (fault)
		r = fault;
	fk_record(&c, r);
	fk_unlock();
	return r;
}

static long do_ioctl(int fd, unsigned long request, void *arg)
{
	struct fk_file *f = fk_file(fd);
	if (!f)
		return -EBADF;
	if (!f->ops)
		return f->kind == FK_REAL ? sys_linux.ioctl(fd, request, arg) : -ENOTTY;
	return f->ops->ioctl ? f->ops->ioctl(f, request, arg) : -ENOTTY;
}

static int fake_ioctl(int fd, unsigned long request, void *arg)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_IOCTL, fd);
	c.request = request;
	c.arg = arg;
	long r = FK_CALL(&c, do_ioctl(fd, request, arg));
	fk_unlock();
	return (int)r;
}

/* Eventfds and real files may block: their I/O runs without the lock. */
static ssize_t unlocked(ssize_t (*fn)(int, void *, size_t), int fd, void *buf, size_t len)
{
	int held = fk_unlock_all();
	ssize_t r = fn(fd, buf, len);
	fk_relock(held);
	return r;
}

static ssize_t write_fn(int fd, void *buf, size_t len)
{
	return sys_linux.write(fd, buf, len);
}

static ssize_t do_read(int fd, void *buf, size_t len)
{
	struct fk_file *f = fk_file(fd);
	if (!f)
		return -EBADF;
	if (f->ops)
		return f->ops->read ? f->ops->read(f, buf, len) : -EINVAL;
	uint64_t id = f->kind == FK_EVENTFD ? f->id : 0;
	ssize_t r = unlocked(sys_linux.read, fd, buf, len);
	if (r >= 0 && id)
		fk_efd_drained(id);
	return r;
}

static ssize_t do_write(int fd, const void *buf, size_t len)
{
	struct fk_file *f = fk_file(fd);
	if (!f)
		return -EBADF;
	if (f->ops)
		return f->ops->write ? f->ops->write(f, buf, len) : -EINVAL;
	uint64_t id = f->kind == FK_EVENTFD ? f->id : 0;
	ssize_t r = unlocked(write_fn, fd, (void *)(uintptr_t)buf, len);
	if (r >= 0 && id)
		fk_efd_wrote(id);
	return r;
}

static ssize_t fake_read(int fd, void *buf, size_t len)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_READ, fd);
	ssize_t r = FK_CALL(&c, do_read(fd, buf, len));
	fk_unlock();
	return r;
}

static ssize_t fake_write(int fd, const void *buf, size_t len)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_WRITE, fd);
	ssize_t r = FK_CALL(&c, do_write(fd, buf, len));
	fk_unlock();
	return r;
}

static ssize_t vectored(ssize_t (*fn)(int, const struct iovec *, unsigned int), int fd,
			const struct iovec *iov, unsigned int n)
{
	const struct fk_file *f = fk_file(fd);
	int r = f ? fk_tap_io(f) : -EBADF;
	if (r < 0)
		return r;
	int held = fk_unlock_all();
	ssize_t done = fn(fd, iov, n);
	fk_relock(held);
	return done;
}

static ssize_t fake_readv(int fd, const struct iovec *iov, unsigned int n)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_READV, fd);
	ssize_t r = FK_CALL(&c, vectored(sys_linux.readv, fd, iov, n));
	fk_unlock();
	return r;
}

static ssize_t fake_writev(int fd, const struct iovec *iov, unsigned int n)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_WRITEV, fd);
	ssize_t r = FK_CALL(&c, vectored(sys_linux.writev, fd, iov, n));
	fk_unlock();
	return r;
}

static ssize_t do_pread(int fd, void *buf, size_t len, off_t off)
{
	struct fk_file *f = fk_file(fd);
	if (!f)
		return -EBADF;
	if (f->ops)
		return f->ops->pread ? f->ops->pread(f, buf, len, off) : -ESPIPE;
	return sys_linux.pread(fd, buf, len, off);
}

static ssize_t do_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	struct fk_file *f = fk_file(fd);
	if (!f)
		return -EBADF;
	if (f->ops)
		return f->ops->pwrite ? f->ops->pwrite(f, buf, len, off) : -ESPIPE;
	return sys_linux.pwrite(fd, buf, len, off);
}

static ssize_t fake_pread(int fd, void *buf, size_t len, off_t off)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_PREAD, fd);
	ssize_t r = FK_CALL(&c, do_pread(fd, buf, len, off));
	fk_unlock();
	return r;
}

static ssize_t fake_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_PWRITE, fd);
	ssize_t r = FK_CALL(&c, do_pwrite(fd, buf, len, off));
	fk_unlock();
	return r;
}

static int fake_mmap(void **ret, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_MMAP, fd);
	if (!c.path)
		c.path = "anonymous";
	long r = FK_CALL(&c, fk_mmap(ret, addr, len, prot, flags, fd, off));
	fk_unlock();
	return (int)r;
}

static int fake_munmap(void *addr, size_t len)
{
	fk_lock();
	struct fk_call c = { .call = FAKE_CALL_MUNMAP, .path = "memory" };
	long r = FK_CALL(&c, fk_munmap(addr, len));
	fk_unlock();
	return (int)r;
}

static int fake_madvise(void *addr, size_t len, int advice)
{
	fk_lock();
	struct fk_call c = { .call = FAKE_CALL_MADVISE, .path = "memory" };
	long r = FK_CALL(&c, sys_linux.madvise(addr, len, advice));
	fk_unlock();
	return (int)r;
}

static long new_eventfd(unsigned int initval, int flags)
{
	int fd = sys_linux.eventfd(initval, flags);
	if (fd < 0)
		return fd;
	struct fk_file *f = tag(fd, FK_EVENTFD, NULL, NULL);
	snprintf(f->name, sizeof(f->name), "eventfd");
	f->id = fk_efd_id(fd);
	return fd;
}

static int fake_eventfd(unsigned int initval, int flags)
{
	fk_lock();
	struct fk_call c = { .call = FAKE_CALL_EVENTFD, .path = "eventfd" };
	long r = FK_CALL(&c, new_eventfd(initval, flags));
	fk_unlock();
	return (int)r;
}

static long new_memfd(const char *name, unsigned int flags)
{
	int fd = sys_linux.memfd(name, flags);
	if (fd < 0)
		return fd;
	struct fk_file *f = tag(fd, FK_MEMFD, NULL, NULL);
	snprintf(f->name, sizeof(f->name), "memfd:%s", name);
	return fd;
}

static int fake_memfd(const char *name, unsigned int flags)
{
	fk_lock();
	struct fk_call c = { .call = FAKE_CALL_MEMFD, .path = name };
	long r = FK_CALL(&c, new_memfd(name, flags));
	fk_unlock();
	return (int)r;
}

static long do_ftruncate(int fd, off_t len)
{
	struct fk_file *f = fk_file(fd);
	if (!f)
		return -EBADF;
	if (f->kind == FK_FS)
		return fk_fs_ftruncate(f, len);
	return f->ops ? -EINVAL : sys_linux.ftruncate(fd, len);
}

static int fake_ftruncate(int fd, off_t len)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_FTRUNCATE, fd);
	long r = FK_CALL(&c, do_ftruncate(fd, len));
	fk_unlock();
	return (int)r;
}

static int fake_fsync(int fd)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_FSYNC, fd);
	const struct fk_file *f = fk_file(fd);
	long r = FK_CALL(&c, !f ? -EBADF : f->kind == FK_REAL ? sys_linux.fsync(fd) : 0);
	fk_unlock();
	return (int)r;
}

static long do_fstat(int fd, struct stat *ret)
{
	const struct fk_file *f = fk_file(fd);
	if (!f)
		return -EBADF;
	/* A node of the tree or a device node knows its own; the rest is real enough. */
	if (f->ops && f->name[0] == '/')
		return fk_fs_stat(f->name, ret);
	return sys_linux.fstat(fd, ret);
}

static int fake_fstat(int fd, struct stat *ret)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_FSTAT, fd);
	long r = FK_CALL(&c, do_fstat(fd, ret));
	fk_unlock();
	return (int)r;
}

static int fake_stat(const char *path, struct stat *ret)
{
	fk_lock();
	struct fk_call c = on_path(FAKE_CALL_STAT, path);
	long r = FK_CALL(&c, allowed(path) ? sys_linux.stat(path, ret) : fk_fs_stat(path, ret));
	fk_unlock();
	return (int)r;
}

static int fake_access(const char *path, int mode)
{
	fk_lock();
	struct fk_call c = on_path(FAKE_CALL_ACCESS, path);
	long r = FK_CALL(&c,
			 allowed(path) ? sys_linux.access(path, mode) : fk_fs_access(path, mode));
	fk_unlock();
	return (int)r;
}

static ssize_t fake_readlink(const char *path, char *buf, size_t len)
{
	fk_lock();
	struct fk_call c = on_path(FAKE_CALL_READLINK, path);
	ssize_t r = FK_CALL(&c, allowed(path) ? sys_linux.readlink(path, buf, len)
					      : fk_fs_readlink(path, buf, len));
	fk_unlock();
	return r;
}

static int fake_listdir(const char *path, int (*each)(void *opaque, const char *name), void *opaque)
{
	fk_lock();
	char **names = NULL;
	unsigned int n = 0;
	bool real = allowed(path);
	struct fk_call c = on_path(FAKE_CALL_LISTDIR, path);
	long r = FK_CALL(&c, real ? 0 : fk_fs_listdir(path, &names, &n));
	fk_unlock();
	/* The caller's function may call the kernel again: it runs without the lock. */
	if (r == 0 && real)
		return sys_linux.listdir(path, each, opaque);
	for (unsigned int i = 0; i < n; i++) {
		if (r == 0)
			r = each(opaque, names[i]);
		free(names[i]);
	}
	free(names);
	return (int)r;
}

static int fake_mkdir(const char *path, mode_t mode)
{
	fk_lock();
	struct fk_call c = on_path(FAKE_CALL_MKDIR, path);
	long r = FK_CALL(&c, allowed(path) ? sys_linux.mkdir(path, mode) : fk_fs_mkdir(path, mode));
	fk_unlock();
	return (int)r;
}

static int fake_rename(const char *from, const char *to)
{
	fk_lock();
	struct fk_call c = on_path(FAKE_CALL_RENAME, from);
	long r = FK_CALL(&c, allowed(from) ? sys_linux.rename(from, to) : fk_fs_rename(from, to));
	fk_unlock();
	return (int)r;
}

static int fake_unlink(const char *path)
{
	fk_lock();
	struct fk_call c = on_path(FAKE_CALL_UNLINK, path);
	long r = FK_CALL(&c, allowed(path) ? sys_linux.unlink(path) : fk_fs_unlink(path));
	fk_unlock();
	return (int)r;
}

/* Exclusive only, never waits: whoever would wait gets EWOULDBLOCK. A close unlocks. */
static long do_flock(int fd, int operation)
{
	struct fk_file *f = fk_file(fd);
	if (!f)
		return -EBADF;
	f->locked = false;
	if (operation & LOCK_UN)
		return 0;
	for (int i = 0; i < files_end; i++)
		if (files[i] && files[i]->locked && files[i]->obj == f->obj)
			return -EWOULDBLOCK;
	f->locked = true;
	return 0;
}

static int fake_flock(int fd, int operation)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_FLOCK, fd);
	long r = FK_CALL(&c, do_flock(fd, operation));
	fk_unlock();
	return (int)r;
}

static int fake_ofd_lock(int fd, short type, off_t first, off_t len, bool test)
{
	fk_lock();
	struct fk_call c = on_fd(FAKE_CALL_OFD_LOCK, fd);
	const struct fk_file *f = fk_file(fd);
	long r = FK_CALL(&c, !f			  ? -EBADF
			     : f->kind == FK_REAL ? sys_linux.ofd_lock(fd, type, first, len, test)
						  : -EINVAL);
	fk_unlock();
	return (int)r;
}

static int fake_poll(struct pollfd *fds, unsigned int n, int timeout_ms)
{
	fk_lock();
	struct fk_call c = { .call = FAKE_CALL_POLL, .path = "poll" };
	int r = fk_fault(&c);
	fk_unlock();
	return r < 0 ? r : sys_linux.poll(fds, n, timeout_ms);
}

const struct sys_ops sys_fake = {
	.open = fake_open,
	.close = fake_close,
	.ioctl = fake_ioctl,
	.read = fake_read,
	.write = fake_write,
	.readv = fake_readv,
	.writev = fake_writev,
	.pread = fake_pread,
	.pwrite = fake_pwrite,
	.mmap = fake_mmap,
	.munmap = fake_munmap,
	.madvise = fake_madvise,
	.eventfd = fake_eventfd,
	.memfd = fake_memfd,
	.ftruncate = fake_ftruncate,
	.fsync = fake_fsync,
	.fstat = fake_fstat,
	.stat = fake_stat,
	.access = fake_access,
	.readlink = fake_readlink,
	.listdir = fake_listdir,
	.mkdir = fake_mkdir,
	.rename = fake_rename,
	.unlink = fake_unlink,
	.flock = fake_flock,
	.ofd_lock = fake_ofd_lock,
	.poll = fake_poll,
	.dial = fk_dial,
	.spawn = fk_spawn,
	.reap = fk_reap,
};

/* --- for the report and the reset --------------------------------------------------------- */

void fake_allow_path(const char *prefix)
{
	fk_lock();
	if (n_prefixes == PREFIXES_MAX)
		fk_bug("more than %d allowed paths", PREFIXES_MAX);
	prefixes[n_prefixes++] = fk_strdup(prefix);
	fk_unlock();
}

unsigned int fk_file_leaks(FILE *f)
{
	unsigned int n = 0;
	for (int fd = 0; fd < files_end; fd++) {
		if (!files[fd])
			continue;
		n++;
		if (f)
			fprintf(f, "leak: fd %d %s is open\n", fd, files[fd]->name);
	}
	return n;
}

void fk_files_reset(void)
{
	for (int fd = 0; fd < files_end; fd++)
		if (files[fd])
			close_file(fd);
	for (unsigned int i = 0; i < n_prefixes; i++)
		free(prefixes[i]);
	n_prefixes = 0;
}
