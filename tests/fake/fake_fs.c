// SPDX-License-Identifier: GPL-2.0-or-later
//
// The tree of names: directories, links, text files, files with behaviour (sysfs attributes) and
// device nodes, with path resolution as the kernel does it. /run, /tmp and /var can be written;
// the rest is a sysfs: nothing can be created or removed there by user space. What an open file
// does is in fake_fs_io.c.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/fake/fake_fs_int.h"
#include "tests/fake/fake_host.h"

#define LINKS_MAX  40
#define ERRNOS_MAX 16

static struct fk_node *root;
static struct {
	char path[256];
	int err;
} path_errnos[ERRNOS_MAX];

static struct fk_node *new_node(struct fk_node *parent, const char *name, enum fk_node_type type)
{
	struct fk_node *n = fk_zalloc(sizeof(*n));
	snprintf(n->name, sizeof(n->name), "%s", name);
	n->type = type;
	n->parent = parent;
	n->refs = 1;
	n->mode = type == FK_NODE_DIR ? 0755 : 0644;
	list_init(&n->children);
	list_init(&n->node);
	if (parent)
		list_add_tail(&parent->children, &n->node);
	return n;
}

void fk_node_put(struct fk_node *n)
{
	if (--n->refs)
		return;
	free(n->data);
	free(n);
}

static void remove_node(struct fk_node *n)
{
	struct fk_node *c, *next;
	list_for_each_safe(c, next, &n->children, struct fk_node, node)
		remove_node(c);
	list_del(&n->node);
	n->parent = NULL;
	/* Open files keep the node; a removed attribute answers ENODEV as kernfs does. */
	n->dead = n->type != FK_NODE_FILE || n->ops;
	fk_node_put(n);
}

static struct fk_node *child(struct fk_node *dir, const char *name, size_t len)
{
	struct fk_node *c;
	list_for_each(c, &dir->children, struct fk_node, node)
		if (strlen(c->name) == len && memcmp(c->name, name, len) == 0)
			return c;
	return NULL;
}

static struct fk_node *the_root(void)
{
	if (!root)
		root = new_node(NULL, "", FK_NODE_DIR);
	return root;
}

struct walk {
	struct fk_node *node;	/* what the path names; NULL if the last component is missing */
	struct fk_node *parent; /* its directory */
	char last[128];
	int links;
};

/* 0, or -errno. A missing last component is no error here. */
static int walk(struct walk *w, struct fk_node *at, const char *path, bool follow)
{
	if (*path == '/')
		at = the_root();
	w->node = at;
	w->parent = at;
	while (*path) {
		while (*path == '/')
			path++;
		size_t len = strcspn(path, "/");
		if (len == 0)
			break;
		const char *rest = path + len;
		bool more = rest[strspn(rest, "/")] != '\0';
		if (!w->node)
			return -ENOENT;
		if (w->node->type != FK_NODE_DIR)
			return -ENOTDIR;
		if (len >= sizeof(w->last))
			return -ENAMETOOLONG;
		memcpy(w->last, path, len);
		w->last[len] = '\0';
		struct fk_node *dir = w->node;
		w->parent = dir;
		if (strcmp(w->last, ".") == 0)
			w->node = dir;
		else if (strcmp(w->last, "..") == 0)
			w->node = dir->parent ? dir->parent : dir;
		else
			w->node = child(dir, path, len);
		if (w->node && w->node->type == FK_NODE_LINK && (more || follow)) {
			if (++w->links > LINKS_MAX)
				return -ELOOP;
			int r = walk(w, dir, w->node->data, true);
			if (r < 0)
				return r;
		}
		path = rest;
	}
	return 0;
}

static int lookup(const char *path, bool follow, struct fk_node **ret)
{
	struct walk w = { .links = 0 };
	if (path[0] != '/')
		fk_bug("relative path \"%s\"", path);
	int r = walk(&w, the_root(), path, follow);
	if (r < 0)
		return r;
	if (!w.node)
		return -ENOENT;
	*ret = w.node;
	return 0;
}

static bool writable(const struct fk_node *n)
{
	for (; n; n = n->parent)
		if (n->parent == root &&
		    (!strcmp(n->name, "run") || !strcmp(n->name, "tmp") || !strcmp(n->name, "var")))
			return true;
	return false;
}

/* --- made by fiat ------------------------------------------------------------------------- */

/* The directories above exist afterwards; an existing non-directory of that name goes. */
static struct fk_node *place(const char *path, enum fk_node_type type)
{
	struct fk_node *at = the_root();
	const char *p = path;
	for (;;) {
		p += strspn(p, "/");
		size_t len = strcspn(p, "/");
		char name[128];
		snprintf(name, sizeof(name), "%.*s", (int)len, p);
		bool last = p[len + strspn(p + len, "/")] == '\0';
		struct fk_node *c = child(at, p, len);
		if (c && c->type == FK_NODE_LINK && !last) {
			struct walk w = { .links = 0 };
			if (walk(&w, at, c->data, true) < 0 || !w.node)
				fk_bug("dangling link in %s", path);
			c = w.node;
		}
		if (c && last && (type != FK_NODE_DIR || c->type != FK_NODE_DIR)) {
			remove_node(c);
			c = NULL;
		}
		if (!c)
			c = new_node(at, name, last ? type : FK_NODE_DIR);
		if (last)
			return c;
		at = c;
		p += len;
	}
}

struct fk_node *fk_fs_dir(const char *path)
{
	return place(path, FK_NODE_DIR);
}

struct fk_node *fk_fs_text(const char *path, const char *fmt, ...)
{
	char text[8192];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	struct fk_node *n = place(path, FK_NODE_FILE);
	n->data = fk_strdup(text);
	n->len = strlen(text);
	n->mode = 0444;
	return n;
}

struct fk_node *fk_fs_ops(const char *path, mode_t mode, const struct fk_node_ops *ops,
			  void *opaque)
{
	struct fk_node *n = place(path, FK_NODE_FILE);
	n->ops = ops;
	n->opaque = opaque;
	n->mode = mode;
	return n;
}

struct fk_node *fk_fs_dev(const char *path, const struct fk_node_ops *ops, void *opaque)
{
	struct fk_node *n = place(path, FK_NODE_DEV);
	n->ops = ops;
	n->opaque = opaque;
	n->mode = 0600;
	return n;
}

void fk_fs_link(const char *path, const char *target)
{
	struct fk_node *n = place(path, FK_NODE_LINK);
	n->data = fk_strdup(target);
	n->len = strlen(target);
}

void fk_fs_remove(const char *path)
{
	struct fk_node *n;
	if (lookup(path, false, &n) == 0 && n != root)
		remove_node(n);
}

bool fk_fs_exists(const char *path)
{
	struct fk_node *n;
	return lookup(path, false, &n) == 0;
}

const char *fk_fs_text_of(const char *path)
{
	struct fk_node *n;
	if (lookup(path, true, &n) < 0 || n->type != FK_NODE_FILE || n->ops)
		return NULL;
	return n->data ? n->data : "";
}

void fk_fs_path_errno(const char *path, int err)
{
	for (unsigned int i = 0; i < ERRNOS_MAX; i++) {
		if (path_errnos[i].err == 0 || strcmp(path_errnos[i].path, path) == 0) {
			snprintf(path_errnos[i].path, sizeof(path_errnos[i].path), "%s", path);
			path_errnos[i].err = err;
			return;
		}
	}
	fk_bug("more than %d paths made to fail", ERRNOS_MAX);
}

/* --- asked for by user space -------------------------------------------------------------- */

static int create(struct walk *w, mode_t mode, struct fk_node **ret)
{
	if (!writable(w->parent) && w->parent != root)
		return -EACCES;
	if (!writable(w->parent))
		return -EROFS;
	*ret = new_node(w->parent, w->last, FK_NODE_FILE);
	(*ret)->mode = mode & 0777;
	(*ret)->user = true;
	return 0;
}

int fk_fs_open(const char *path, int flags, mode_t mode)
{
	for (unsigned int i = 0; i < ERRNOS_MAX; i++)
		if (path_errnos[i].err && strcmp(path_errnos[i].path, path) == 0)
			return -path_errnos[i].err;
	struct walk w = { .links = 0 };
	if (path[0] != '/')
		return -ENOENT;
	int r = walk(&w, the_root(), path, !(flags & O_NOFOLLOW));
	if (r < 0)
		return r;
	struct fk_node *n = w.node;
	bool wants_write = (flags & O_ACCMODE) != O_RDONLY;
	if (!n && !(flags & O_CREAT))
		return -ENOENT;
	if (!n && (r = create(&w, mode, &n)) < 0)
		return r;
	else if (w.node && (flags & O_CREAT) && (flags & O_EXCL))
		return -EEXIST;
	if (n->type == FK_NODE_LINK)
		return -ELOOP;
	if ((flags & O_DIRECTORY) && n->type != FK_NODE_DIR)
		return -ENOTDIR;
	if (n->type == FK_NODE_DIR && wants_write)
		return -EISDIR;
	if (n->type == FK_NODE_DEV)
		return n->ops->open(n->opaque, path, flags);
	if (wants_write && !(n->mode & 0222))
		return -EACCES;
	if (!wants_write && n->type == FK_NODE_FILE && !(n->mode & 0444))
		return -EACCES;
	if ((flags & O_TRUNC) && wants_write && !n->ops)
		n->len = 0;
	return fk_fs_install(n, path, flags);
}

int fk_fs_stat(const char *path, struct stat *ret)
{
	struct fk_node *n;
	int r = path[0] == '/' ? lookup(path, true, &n) : -ENOENT;
	if (r < 0)
		return r;
	static const mode_t types[] = { [FK_NODE_DIR] = S_IFDIR,
					[FK_NODE_FILE] = S_IFREG,
					[FK_NODE_LINK] = S_IFLNK,
					[FK_NODE_DEV] = S_IFCHR };
	memset(ret, 0, sizeof(*ret));
	ret->st_mode = types[n->type] | n->mode;
	ret->st_nlink = 1;
	ret->st_ino = (ino_t)(uintptr_t)n;
	ret->st_size = n->type == FK_NODE_FILE ? (off_t)(n->ops ? FK_PAGE : n->len) : 0;
	ret->st_blksize = 4096;
	if (n->type == FK_NODE_DEV)
		ret->st_rdev = makedev(240, (unsigned int)strtoul(n->name, NULL, 10));
	return 0;
}

int fk_fs_access(const char *path, int mode)
{
	for (unsigned int i = 0; i < ERRNOS_MAX; i++)
		if (mode != F_OK && path_errnos[i].err && strcmp(path_errnos[i].path, path) == 0)
			return -path_errnos[i].err;
	struct fk_node *n;
	int r = path[0] == '/' ? lookup(path, true, &n) : -ENOENT;
	if (r < 0)
		return r;
	if ((mode & W_OK) && !(n->mode & 0222))
		return -EACCES;
	if ((mode & R_OK) && !(n->mode & 0444))
		return -EACCES;
	return 0;
}

ssize_t fk_fs_readlink(const char *path, char *buf, size_t len)
{
	struct fk_node *n;
	int r = path[0] == '/' ? lookup(path, false, &n) : -ENOENT;
	if (r < 0)
		return r;
	if (n->type != FK_NODE_LINK)
		return -EINVAL;
	size_t take = MIN(len, n->len);
	memcpy(buf, n->data, take);
	return (ssize_t)take;
}

int fk_fs_listdir(const char *path, char ***ret_names, unsigned int *ret_n)
{
	struct fk_node *n, *c;
	int r = path[0] == '/' ? lookup(path, true, &n) : -ENOENT;
	if (r < 0)
		return r;
	if (n->type != FK_NODE_DIR)
		return -ENOTDIR;
	unsigned int count = 0;
	list_for_each(c, &n->children, struct fk_node, node)
		count++;
	char **names = fk_zalloc(count * sizeof(*names));
	/* Backwards: who relies on an order finds out here. */
	unsigned int i = count;
	list_for_each(c, &n->children, struct fk_node, node)
		names[--i] = fk_strdup(c->name);
	*ret_names = names;
	*ret_n = count;
	return 0;
}

int fk_fs_mkdir(const char *path, mode_t mode)
{
	struct walk w = { .links = 0 };
	int r = path[0] == '/' ? walk(&w, the_root(), path, true) : -ENOENT;
	if (r < 0)
		return r;
	if (w.node)
		return -EEXIST;
	if (!writable(w.parent))
		return -EPERM;
	struct fk_node *n = new_node(w.parent, w.last, FK_NODE_DIR);
	n->mode = mode & 0777;
	return 0;
}

int fk_fs_rename(const char *from, const char *to)
{
	struct fk_node *n;
	int r = from[0] == '/' && to[0] == '/' ? lookup(from, false, &n) : -ENOENT;
	if (r < 0)
		return r;
	struct walk w = { .links = 0 };
	r = walk(&w, the_root(), to, false);
	if (r < 0)
		return r;
	if (!writable(n) || !writable(w.parent))
		return -EPERM;
	if (w.node && w.node->type == FK_NODE_DIR)
		return -EISDIR;
	if (w.node && w.node != n)
		remove_node(w.node);
	list_del(&n->node);
	n->parent = w.parent;
	snprintf(n->name, sizeof(n->name), "%s", w.last);
	list_add_tail(&w.parent->children, &n->node);
	return 0;
}

int fk_fs_unlink(const char *path)
{
	struct fk_node *n;
	int r = path[0] == '/' ? lookup(path, false, &n) : -ENOENT;
	if (r < 0)
		return r;
	if (n->type == FK_NODE_DIR)
		return -EISDIR;
	if (!writable(n))
		return -EPERM;
	remove_node(n);
	return 0;
}

/* --- what user space left ----------------------------------------------------------------- */

static unsigned int left(const struct fk_node *dir, const char *path, FILE *f, bool mark)
{
	unsigned int n = 0;
	struct fk_node *c;
	list_for_each(c, &dir->children, struct fk_node, node) {
		char at[512];
		snprintf(at, sizeof(at), "%s/%s", path, c->name);
		if (c->type == FK_NODE_DIR) {
			n += left(c, at, f, mark);
		} else if (c->user) {
			if (mark)
				c->user = false;
			n++;
			if (f)
				fprintf(f, "leak: file %s is left\n", at);
		}
	}
	return n;
}

unsigned int fk_fs_leaks(FILE *f)
{
	struct fk_node *run;
	return lookup("/run", true, &run) == 0 ? left(run, "/run", f, false) : 0;
}

void fk_fs_mark(void)
{
	struct fk_node *run;
	if (lookup("/run", true, &run) == 0)
		left(run, "/run", NULL, true);
}

void fk_fs_reset(void)
{
	if (root)
		remove_node(root);
	root = NULL;
	memset(path_errnos, 0, sizeof(path_errnos));
	fk_fs_dir("/run");
	fk_fs_dir("/tmp");
	fk_fs_dir("/var/lib");
}

void fake_file_set(const char *path, const char *text)
{
	fk_lock();
	struct fk_node *n = fk_fs_text(path, "%s", "");
	n->mode = 0644;
	free(n->data);
	n->data = fk_strdup(text);
	n->len = strlen(text);
	fk_unlock();
}

void fake_link_set(const char *path, const char *target)
{
	fk_lock();
	fk_fs_link(path, target);
	fk_unlock();
}

void fake_file_remove(const char *path)
{
	fk_lock();
	fk_fs_remove(path);
	fk_unlock();
}

const char *fake_file_read(const char *path)
{
	fk_lock();
	const char *text = fk_fs_text_of(path);
	fk_unlock();
	return text;
}

void fake_path_errno(const char *path, int err)
{
	fk_lock();
	fk_fs_path_errno(path, err);
	fk_unlock();
}
