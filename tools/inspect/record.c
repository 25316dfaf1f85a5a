// SPDX-License-Identifier: GPL-2.0-or-later
//
// The recorder: a system-call table that passes every call on and keeps, in a captree, what was
// looked at: contents of files opened, links and folders on the way to them, the entries of folders
// listed, owner and mode of device nodes. Of other processes only the one that holds a VFIO group
// is kept, with its name.
#include "tools/inspect/record.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "pci/hostpci.h"
#include "tools/inspect/inv.h"
#include "vfio/preflight.h"

static struct {
	const struct sys_ops *inner;
	struct sys_ops ops;
	struct captree *t;
	int r; /* the first failure to keep something */
} rec;

static void fail(int r)
{
	if (r == -ENOMEM || r == -EFBIG)
		rec.r = rec.r < 0 ? rec.r : r;
}

/* The path without the root prefix; NULL: not of the machine. */
static const char *local(const char *path)
{
	const char *root = hostpci_root();
	size_t n = strlen(root);
	return strncmp(path, root, n) == 0 && path[n] == '/' ? path + n : NULL;
}

/* Another process's folder: "/proc/123" and below. */
static bool is_process(const char *path)
{
	return strncmp(path, "/proc/", 6) == 0 && isdigit((unsigned char)path[6]);
}

/* Kept: init's mounts, what the machine as a whole has mounted; and the name of who holds a group,
 * which is known by then. */
static bool is_private(const char *path)
{
	char dir[32];
	struct captree_node *n;
	if (!is_process(path) || strcmp(path, "/proc/1/mountinfo") == 0)
		return false;
	snprintf(dir, sizeof(dir), "/proc/%.*s", (int)strcspn(path + 6, "/"), path + 6);
	return captree_find(rec.t, dir, false, &n) < 0 || !strstr(path, "/comm");
}

/* --- placing paths ---------------------------------------------------------------------------- */

/* An absolute target as one that stays in the tree wherever it is unpacked; those of descriptors
 * are names, not ways. */
static void make_relative(const char *canonical, char *target, size_t size)
{
	char out[PATH_MAX] = "";
	size_t len = 0;
	if (target[0] != '/' || strncmp(target, "/dev/vfio/", 10) == 0)
		return;
	for (const char *s = strchr(canonical + 1, '/'); s && len + 4 < sizeof(out);
	     s = strchr(s + 1, '/')) {
		memcpy(out + len, "../", 4);
		len += 3;
	}
	int n = snprintf(out + len, sizeof(out) - len, "%s", target + 1);
	if (n > 0 && len + (size_t)n < MIN(size, sizeof(out)))
		memcpy(target, out, len + (size_t)n + 1);
}

/* What a path is without following it; /proc/self is taken for a folder, or it would be another
 * process in the next run. */
static int kind_of(const char *canonical, enum captree_kind last, bool is_last, char *target,
		   size_t size)
{
	char full[PATH_MAX];
	if (strcmp(canonical, "/proc/self") == 0)
		return CAPTREE_DIR;
	hostpci_path(full, sizeof(full), "%s", canonical);
	ssize_t n = rec.inner->readlink(full, target, size - 1);
	if (n >= 0) {
		target[n] = '\0';
		make_relative(canonical, target, size);
		return CAPTREE_LINK;
	}
	return is_last ? (int)last : CAPTREE_DIR;
}

/* One step from `at` to `name`, adding it; *rest is what is left of the path. 0 or -errno. */
static int step(struct captree_node **at, const char *name, bool is_last, bool follow,
		enum captree_kind kind, char rest[PATH_MAX])
{
	char path[PATH_MAX], target[PATH_MAX], joined[PATH_MAX];
	struct captree_node *n = captree_child(*at, name);
	if (!n) {
		captree_path(*at, path, sizeof(path) - NAME_MAX - 2);
		snprintf(path + strlen(path), NAME_MAX + 2, "/%s", name);
		int k = kind_of(path, kind, is_last, target, sizeof(target));
		int r = captree_add(rec.t, *at, name, (enum captree_kind)k, &n);
		if (r == 0 && k == CAPTREE_LINK)
			r = captree_set(rec.t, n, target, strlen(target));
		if (r < 0)
			return r;
	}
	if (n->kind != CAPTREE_LINK || (is_last && !follow)) {
		*at = n;
		return 0;
	}
	if (snprintf(joined, sizeof(joined), "%s/%s", n->data, rest) >= (int)sizeof(joined))
		return -ENAMETOOLONG;
	memcpy(rest, joined, strlen(joined) + 1);
	if (n->data[0] == '/')
		*at = rec.t->root;
	return 0;
}

/* The node of a path that exists, with all folders and links on the way. NULL: not kept. */
static struct captree_node *place(const char *path, bool follow, enum captree_kind kind)
{
	char rest[PATH_MAX], name[NAME_MAX + 1];
	struct captree_node *at = rec.t->root;
	if (snprintf(rest, sizeof(rest), "%s", path) >= (int)sizeof(rest))
		return NULL;
	for (unsigned int steps = 0; steps < 1024; steps++) {
		char *s = rest + strspn(rest, "/");
		size_t n = strcspn(s, "/");
		if (n == 0)
			return at;
		if (n > NAME_MAX || at->kind != CAPTREE_DIR)
			return NULL;
		memcpy(name, s, n);
		name[n] = '\0';
		s += n + strspn(s + n, "/");
		memmove(rest, s, strlen(s) + 1);
		if (strcmp(name, "..") == 0) {
			at = at->parent ? at->parent : at;
		} else if (strcmp(name, ".") != 0) {
			int r = step(&at, name, rest[0] == '\0', follow, kind, rest);
			fail(r);
			if (r < 0)
				return NULL;
		}
	}
	return NULL;
}

/* --- keeping ---------------------------------------------------------------------------------- */

static void keep_owner(const char *full, struct captree_node *n)
{
	struct stat st;
	if (rec.inner->stat(full, &st) < 0)
		return;
	n->mode = st.st_mode & 07777u;
	n->uid = st.st_uid;
	n->gid = st.st_gid;
}

/* Contents are read by an own open: the caller may read a part only. */
static void keep_contents(const char *full, struct captree_node *n)
{
	size_t len = 0, cap = 8192;
	char *buf = malloc(cap);
	int fd = buf ? rec.inner->open(full, O_RDONLY | O_NONBLOCK, 0) : -ENOMEM;
	ssize_t got = fd < 0 ? fd : 0;
	while (fd >= 0 && (got = rec.inner->read(fd, buf + len, cap - len)) > 0) {
		len += (size_t)got;
		if (len < cap)
			continue;
		char *more = cap < CAPTREE_MAX_FILE ? realloc(buf, cap * 2) : NULL;
		if (!more)
			break;
		buf = more;
		cap *= 2;
	}
	if (fd >= 0)
		rec.inner->close(fd);
	if (got == -EACCES || got == -EPERM)
		n->mode = 0;
	if (buf)
		fail(captree_set(rec.t, n, buf, len));
	else
		fail(-ENOMEM);
	free(buf);
}

static int rec_open(const char *path, int flags, mode_t mode)
{
	int fd = rec.inner->open(path, flags, mode);
	const char *p = local(path);
	if (!p || is_private(p) || (fd < 0 && fd != -EACCES && fd != -EPERM))
		return fd;
	struct captree_node *n = place(p, true, CAPTREE_FILE);
	if (!n || n->kind != CAPTREE_FILE || n->filled)
		return fd;
	keep_owner(path, n);
	n->filled = true;
	if (strncmp(p, "/dev/", 5) == 0)
		return fd; /* that it is there, and whose */
	if (fd >= 0)
		keep_contents(path, n);
	else
		n->mode = 0;
	return fd;
}

static void keep_entry(const char *path)
{
	struct stat st;
	const char *p = local(path);
	if (!p || is_private(p) || rec.inner->stat(path, &st) < 0)
		return;
	struct captree_node *n = place(p, true, S_ISDIR(st.st_mode) ? CAPTREE_DIR : CAPTREE_FILE);
	if (!n || n->kind != CAPTREE_FILE || n->filled)
		return;
	keep_owner(path, n);
	if (strcmp(p, HOSTPCI_NAMES) == 0) /* libpci reads this one by itself */
		keep_contents(path, n);
}

static int rec_stat(const char *path, struct stat *st)
{
	int r = rec.inner->stat(path, st);
	if (r == 0)
		keep_entry(path);
	return r;
}

static int rec_access(const char *path, int mode)
{
	keep_entry(path);
	return rec.inner->access(path, mode);
}

static ssize_t rec_readlink(const char *path, char *buf, size_t len)
{
	ssize_t n = rec.inner->readlink(path, buf, len);
	const char *p = local(path);
	if (n <= 0 || !p)
		return n;
	/* The one that holds a group is looked for among all descriptors of all processes. */
	bool holds = is_process(p) && n > 10 && strncmp(buf, "/dev/vfio/", 10) == 0;
	if (holds || !is_process(p))
		place(p, false, CAPTREE_LINK);
	return n;
}

struct listing {
	int (*each)(void *opaque, const char *name);
	void *opaque;
	const char *path;
};

/* Of an interface's folder, which is full of numbers and addresses, only what is stacked on it. */
static bool is_dull(const char *path, const char *name)
{
	return strncmp(path, "/sys/class/net/", 15) == 0 && strchr(path + 15, '/') &&
	       strncmp(name, "upper_", 6) != 0;
}

static int keep_listed(void *opaque, const char *name)
{
	struct listing *l = opaque;
	char full[PATH_MAX], target[4];
	struct stat st;
	const char *p = NULL;
	if (snprintf(full, sizeof(full), "%s/%s", l->path, name) < (int)sizeof(full))
		p = local(full);
	if (!p || strncmp(p, "/proc/", 6) == 0 || is_dull(p, name))
		return l->each(l->opaque, name);
	if (rec.inner->readlink(full, target, sizeof(target)) >= 0)
		place(p, false, CAPTREE_LINK);
	else if (rec.inner->stat(full, &st) == 0)
		place(p, false, S_ISDIR(st.st_mode) ? CAPTREE_DIR : CAPTREE_FILE);
	return l->each(l->opaque, name);
}

static int rec_listdir(const char *path, int (*each)(void *opaque, const char *name), void *opaque)
{
	struct listing l = { .each = each, .opaque = opaque, .path = path };
	const char *p = local(path);
	if (p && !is_process(p)) {
		struct stat st;
		if (rec.inner->stat(path, &st) == 0 && S_ISDIR(st.st_mode))
			place(p, true, CAPTREE_DIR);
	}
	return rec.inner->listdir(path, keep_listed, &l);
}

/* --- the run ---------------------------------------------------------------------------------- */

/* Everything explain would ask of any function, its verdicts dropped. */
static int ask_preflight(const struct inv *inv)
{
	struct preflight p = { 0 };
	struct bdf *all = calloc(inv->n_fns + 1, sizeof(*all));
	unsigned int n = 0;
	if (!all)
		return -ENOMEM;
	for (unsigned int i = 0; i < inv->n_fns; i++) {
		if (!inv->fn[i].bridge)
			all[n++] = inv->fn[i].pci.at;
	}
	struct preflight_request req = {
		.bdfs = all, .n_bdfs = n, .ram_bytes = GIB(1), .need_kvm = true, .hugepages = true
	};
	int r = preflight_run(&req, &p);
	preflight_fini(&p);
	free(all);
	return r;
}

static int run(struct verr *reterr)
{
	struct inv inv;
	int r = inv_read(&inv, INV_FULL, NULL, 0, reterr);
	if (r < 0)
		return r;
	if (rec.inner != &sys_linux) { /* the names a captured machine brought stay with it */
		char names[PATH_MAX];
		keep_entry(hostpci_path(names, sizeof(names), HOSTPCI_NAMES));
	}
	r = ask_preflight(&inv);
	inv_fini(&inv);
	if (r == 0)
		r = rec.r;
	return r < 0 ? verr_set(reterr, r, "can't keep a copy of the machine: %s", strerror(-r))
		     : 0;
}

/* Of /etc/passwd and /etc/group, the lines of those who own a device node here. */
static void trim_names(struct captree *t, const char *file, bool group)
{
	struct captree_node *n, *dev;
	char *out, *in, *line;
	size_t len = 0;
	if (captree_find(t, file, true, &n) < 0 || !n->data)
		return;
	out = malloc(n->len + 2);
	in = strdup(n->data);
	bool have_dev = captree_find(t, "/dev/vfio", true, &dev) == 0;
	for (char *s = in; out && (line = strsep(&s, "\n"));) {
		unsigned int id;
		if (sscanf(line, "%*[^:]:%*[^:]:%u", &id) != 1)
			continue;
		bool owner = id == 0 || strncmp(line, "kvm:", 4) == 0;
		for (unsigned int i = 0; have_dev && i < dev->n; i++)
			owner |= id == (group ? dev->child[i]->gid : dev->child[i]->uid);
		if (owner)
			len += (size_t)snprintf(out + len, n->len + 2 - len, "%s\n", line);
	}
	if (out)
		captree_set(t, n, out, len);
	free(out);
	free(in);
}

int record_machine(struct captree *t, struct verr *reterr)
{
	int r = captree_init(t);
	if (r < 0)
		return verr_set(reterr, r, "out of memory for a copy of the machine");
	rec.inner = sys;
	rec.ops = *sys;
	rec.t = t;
	rec.r = 0;
	rec.ops.open = rec_open;
	rec.ops.stat = rec_stat;
	rec.ops.access = rec_access;
	rec.ops.readlink = rec_readlink;
	rec.ops.listdir = rec_listdir;
	sys = &rec.ops;
	r = run(reterr);
	sys = rec.inner;
	if (r < 0) {
		captree_fini(t);
		return r;
	}
	trim_names(t, "/etc/passwd", false);
	trim_names(t, "/etc/group", true);
	return 0;
}
