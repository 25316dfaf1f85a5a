// SPDX-License-Identifier: GPL-2.0-or-later
//
// Puts a captured machine in the place of the live one. A folder may come from anywhere: its
// symbolic links are followed inside it only (openat2, RESOLVE_IN_ROOT), and only files and folders
// are opened. An archive is read into memory whole.
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/sys.h"
#include "pci/hostpci.h"
#include "tools/inspect/record.h"

#define OPEN_TRIES 1000

static struct sys_ops dir_ops;
static int dir_fd = -1;
static size_t dir_len; /* of the root prefix */
static struct captree archive, redacted;

/* --- a folder --------------------------------------------------------------------------------- */

static int open_in(const char *path, int flags)
{
	struct open_how how = { .flags = (uint64_t)(flags | O_CLOEXEC),
				.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS };
	if (strncmp(path, hostpci_root(), dir_len) != 0)
		return -ENOENT;
	path += dir_len + strspn(path + dir_len, "/");
	/* EAGAIN: something was renamed, anywhere in the system, while ".." was looked up. */
	long fd = -1;
	for (unsigned int i = 0; i < OPEN_TRIES && fd < 0; i++) {
		fd = syscall(SYS_openat2, dir_fd, *path ? path : ".", &how, sizeof(how));
		if (fd < 0 && errno != EAGAIN)
			break;
	}
	return fd < 0 ? -errno : (int)fd;
}

static int dir_open(const char *path, int flags, mode_t mode)
{
	struct stat st;
	(void)mode;
	if (flags & (O_CREAT | O_TRUNC))
		return -EROFS;
	int fd = open_in(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		return fd;
	close(fd);
	return -ENXIO;
}

static int dir_stat(const char *path, struct stat *ret)
{
	int fd = open_in(path, O_PATH);
	if (fd < 0)
		return fd;
	int r = fstat(fd, ret) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static int dir_access(const char *path, int mode)
{
	int fd = open_in(path, O_PATH);
	if (fd < 0)
		return fd;
	int r = faccessat(fd, "", mode, AT_EMPTY_PATH) < 0 ? -errno : 0;
	close(fd);
	return r;
}

static ssize_t dir_readlink(const char *path, char *buf, size_t len)
{
	int fd = open_in(path, O_PATH | O_NOFOLLOW);
	if (fd < 0)
		return fd;
	ssize_t n = readlinkat(fd, "", buf, len);
	/* The kernel's word for "no link" when it is asked by descriptor. */
	if (n < 0)
		n = errno == ENOENT ? -EINVAL : -errno;
	close(fd);
	return n;
}

static int dir_listdir(const char *path, int (*each)(void *opaque, const char *name), void *opaque)
{
	int r = 0, fd = open_in(path, O_RDONLY | O_DIRECTORY);
	if (fd < 0)
		return fd;
	DIR *dir = fdopendir(fd);
	if (!dir) {
		r = -errno;
		close(fd);
		return r;
	}
	for (const struct dirent *e; r == 0 && (e = readdir(dir));) {
		if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
			r = each(opaque, e->d_name);
	}
	closedir(dir);
	return r;
}

/* The names the folder brings. libpci opens files by itself: what it gets was opened inside the
 * folder, and is a file. */
static void use_names_below(void)
{
	char path[512];
	int fd = dir_open(hostpci_path(path, sizeof(path), HOSTPCI_NAMES), O_RDONLY, 0);
	if (fd == -ENOENT)
		return; /* this machine's do */
	if (fd < 0)
		snprintf(path, sizeof(path), "/dev/null");
	else
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* open until the end */
	hostpci_set_names(path);
}

static int set_folder(const char *where, struct verr *reterr)
{
	struct stat st;
	char path[512];
	dir_fd = open(where, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir_fd < 0)
		return verr_set(reterr, -errno, "can't read %s: %s", where, strerror(errno));
	hostpci_set_root(where);
	if (strcmp(hostpci_root(), where) != 0)
		return verr_set(reterr, -ENAMETOOLONG, "the name of folder %s is too long", where);
	dir_len = strlen(where);
	dir_ops = sys_linux;
	dir_ops.open = dir_open;
	dir_ops.stat = dir_stat;
	dir_ops.access = dir_access;
	dir_ops.readlink = dir_readlink;
	dir_ops.listdir = dir_listdir;
	int r = dir_stat(hostpci_path(path, sizeof(path), "/sys/bus/pci/devices"), &st);
	if (r == -ENOSYS)
		return verr_set(reterr, r,
				"this kernel can't confine reads to a folder (openat2, Linux 5.6); "
				"name the archive itself: --root FILE");
	if (r < 0)
		return verr_set(reterr, r,
				"%s holds no captured machine: there is no %s (make one with: "
				"vfio-inspect capture FILE)",
				where, path);
	sys = &dir_ops;
	use_names_below();
	return 0;
}

/* libpci wants a file: names that the capture brought become one in memory. */
static void use_names_of(const struct captree *t)
{
	struct captree_node *n;
	char path[32];
	if (captree_find(t, HOSTPCI_NAMES, true, &n) < 0 || n->len == 0)
		return;
	int fd = memfd_create("pci.ids", MFD_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, n->data, n->len) != (ssize_t)n->len) {
		close(fd);
		return;
	}
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd); /* open until the process ends */
	hostpci_set_names(path);
}

/* --- archives, redaction ---------------------------------------------------------------------- */

int root_set(const char *where, struct verr *reterr)
{
	struct stat st;
	bool in = strcmp(where, "-") == 0;
	if (!in && stat(where, &st) < 0)
		return verr_set(reterr, -errno, "can't read %s: %s", where, strerror(errno));
	if (!in && S_ISDIR(st.st_mode))
		return set_folder(where, reterr);
	int r = captar_read(&archive, where, reterr);
	if (r < 0)
		return r;
	hostpci_set_root("");
	use_names_of(&archive);
	captree_serve(&archive);
	return 0;
}

int root_redact(struct verr *reterr)
{
	int r = record_machine(&redacted, reterr);
	if (r < 0)
		return r;
	r = captree_redact(&redacted);
	if (r < 0)
		return verr_set(reterr, r, "out of memory for a copy of the machine");
	hostpci_set_root("");
	captree_serve(&redacted);
	return 0;
}
