// SPDX-License-Identifier: GPL-2.0-or-later
//
// A captured machine behind the system-call seam: paths are the tree's, read only; everything that
// has no path goes to the kernel. Who captured the machine had the rights that /proc/self/status
// in the capture says; files are opened, and refused, as they were for that process.
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "tools/inspect/captree.h"

#define FD_FIRST 0x40000000 /* no descriptor of the kernel's comes near */
#define FDS_MAX	 64
#define GROUPS	 64

static const struct captree *tree;
static struct sys_ops ops;
static struct {
	const struct captree_node *node; /* NULL: free */
	size_t at;
} fds[FDS_MAX];

/* Whose process the capture was; root where it does not say. */
static struct {
	bool root;
	unsigned int uid, gid, group[GROUPS], n_groups;
} who = { .root = true };

/* --- rights ----------------------------------------------------------------------------------- */

static const char *status_field(const char *status, const char *key)
{
	for (const char *s = status; s; s = strchr(s, '\n')) {
		s += *s == '\n';
		if (strncmp(s, key, strlen(key)) == 0)
			return s + strlen(key);
	}
	return NULL;
}

/* The effective one of "real effective saved fs". */
static unsigned int effective(const char *ids)
{
	char *end;
	strtoul(ids, &end, 10);
	return (unsigned int)strtoul(end, NULL, 10);
}

static void read_who(void)
{
	struct captree_node *n;
	if (captree_find(tree, "/proc/self/status", true, &n) < 0 || n->kind != CAPTREE_FILE ||
	    !n->data)
		return;
	const char *caps = status_field(n->data, "CapEff:");
	const char *uid = status_field(n->data, "Uid:"), *gid = status_field(n->data, "Gid:");
	const char *groups = status_field(n->data, "Groups:");
	if (!caps || !uid || !gid)
		return;
	who.root = strtoull(caps, NULL, 16) >> CAP_DAC_OVERRIDE & 1;
	who.uid = effective(uid);
	who.gid = effective(gid);
	while (groups && who.n_groups < GROUPS) {
		char *end;
		groups += strspn(groups, " \t");
		unsigned long v = strtoul(groups, &end, 10);
		if (end == groups)
			break;
		who.group[who.n_groups++] = (unsigned int)v;
		groups = end;
	}
}

/* Below /dev, where the bits are the node's own. */
static bool is_node(const struct captree_node *n)
{
	while (n->parent && n->parent->parent)
		n = n->parent;
	return strcmp(n->name, "dev") == 0;
}

/* `want`: 4 read, 2 write. A file without any bit is one the capture could not read. */
static bool may(const struct captree_node *n, unsigned int want)
{
	if (n->kind == CAPTREE_FILE && (n->mode & 0777) == 0 && !is_node(n))
		return false;
	if (who.root)
		return true;
	unsigned int bits = n->mode;
	if (n->uid == who.uid)
		return ((bits >> 6) & want) == want;
	bool member = n->gid == who.gid;
	for (unsigned int i = 0; i < who.n_groups; i++)
		member |= n->gid == who.group[i];
	return ((member ? bits >> 3 : bits) & want) == want;
}

/* --- the calls -------------------------------------------------------------------------------- */

static int cap_open(const char *path, int flags, mode_t mode)
{
	struct captree_node *n;
	(void)mode;
	if (flags & (O_CREAT | O_TRUNC))
		return -EROFS;
	int r = captree_find(tree, path, true, &n);
	if (r < 0)
		return r;
	if (n->kind != CAPTREE_FILE)
		return -EISDIR;
	unsigned int want = (flags & O_ACCMODE) == O_RDONLY ? 4 : 6;
	if (!may(n, want))
		return -EACCES;
	for (int i = 0; i < FDS_MAX; i++) {
		if (fds[i].node)
			continue;
		fds[i].node = n;
		fds[i].at = 0;
		return FD_FIRST + i;
	}
	return -EMFILE;
}

/* The slot, or -1 for a descriptor of the kernel's. */
static int slot_of(int fd)
{
	return fd >= FD_FIRST && fd < FD_FIRST + FDS_MAX && fds[fd - FD_FIRST].node ? fd - FD_FIRST
										    : -1;
}

static int cap_close(int fd)
{
	int i = slot_of(fd);
	if (i < 0)
		return sys_linux.close(fd);
	fds[i].node = NULL;
	return 0;
}

static ssize_t cap_pread(int fd, void *buf, size_t len, off_t off)
{
	int i = slot_of(fd);
	if (i < 0)
		return sys_linux.pread(fd, buf, len, off);
	const struct captree_node *n = fds[i].node;
	if (off < 0)
		return -EINVAL;
	if ((size_t)off >= n->len)
		return 0;
	len = MIN(len, n->len - (size_t)off);
	memcpy(buf, n->data + off, len);
	return (ssize_t)len;
}

static ssize_t cap_read(int fd, void *buf, size_t len)
{
	int i = slot_of(fd);
	if (i < 0)
		return sys_linux.read(fd, buf, len);
	ssize_t r = cap_pread(fd, buf, len, (off_t)fds[i].at);
	if (r > 0)
		fds[i].at += (size_t)r;
	return r;
}

static ssize_t cap_write(int fd, const void *buf, size_t len)
{
	return slot_of(fd) < 0 ? sys_linux.write(fd, buf, len) : -EBADF;
}

static ssize_t cap_pwrite(int fd, const void *buf, size_t len, off_t off)
{
	return slot_of(fd) < 0 ? sys_linux.pwrite(fd, buf, len, off) : -EBADF;
}

/* Device nodes are there as files: VFIO and KVM calls find no device behind them. */
static int cap_ioctl(int fd, unsigned long request, void *arg)
{
	return slot_of(fd) < 0 ? sys_linux.ioctl(fd, request, arg) : -ENOTTY;
}

static void fill(const struct captree_node *n, struct stat *st)
{
	static const mode_t kind[] = { S_IFDIR, S_IFREG, S_IFLNK };
	memset(st, 0, sizeof(*st));
	st->st_mode = kind[n->kind] | n->mode;
	st->st_uid = n->uid;
	st->st_gid = n->gid;
	st->st_size = (off_t)n->len;
	st->st_nlink = 1;
}

static int cap_fstat(int fd, struct stat *st)
{
	int i = slot_of(fd);
	if (i < 0)
		return sys_linux.fstat(fd, st);
	fill(fds[i].node, st);
	return 0;
}

static int cap_stat(const char *path, struct stat *st)
{
	struct captree_node *n;
	int r = captree_find(tree, path, true, &n);
	if (r == 0)
		fill(n, st);
	return r;
}

static int cap_access(const char *path, int mode)
{
	struct captree_node *n;
	int r = captree_find(tree, path, true, &n);
	if (r < 0)
		return r;
	unsigned int want = (mode & R_OK ? 4u : 0) | (mode & W_OK ? 2u : 0);
	return want == 0 || may(n, want) ? 0 : -EACCES;
}

static ssize_t cap_readlink(const char *path, char *buf, size_t len)
{
	struct captree_node *n;
	int r = captree_find(tree, path, false, &n);
	if (r < 0)
		return r;
	if (n->kind != CAPTREE_LINK)
		return -EINVAL;
	len = MIN(len, n->len);
	memcpy(buf, n->data, len);
	return (ssize_t)len;
}

static int cap_listdir(const char *path, int (*each)(void *opaque, const char *name), void *opaque)
{
	struct captree_node *n;
	int r = captree_find(tree, path, true, &n);
	if (r < 0)
		return r;
	if (n->kind != CAPTREE_DIR)
		return -ENOTDIR;
	for (unsigned int i = 0; r == 0 && i < n->n; i++)
		r = each(opaque, n->child[i]->name);
	return r;
}

static int cap_mkdir(const char *path, mode_t mode)
{
	(void)path;
	(void)mode;
	return -EROFS;
}

static int cap_rename(const char *from, const char *to)
{
	(void)from;
	(void)to;
	return -EROFS;
}

static int cap_unlink(const char *path)
{
	(void)path;
	return -EROFS;
}

void captree_serve(const struct captree *t)
{
	tree = t;
	read_who();
	ops = sys_linux;
	ops.open = cap_open;
	ops.close = cap_close;
	ops.read = cap_read;
	ops.pread = cap_pread;
	ops.write = cap_write;
	ops.pwrite = cap_pwrite;
	ops.ioctl = cap_ioctl;
	ops.fstat = cap_fstat;
	ops.stat = cap_stat;
	ops.access = cap_access;
	ops.readlink = cap_readlink;
	ops.listdir = cap_listdir;
	ops.mkdir = cap_mkdir;
	ops.rename = cap_rename;
	ops.unlink = cap_unlink;
	sys = &ops;
}
