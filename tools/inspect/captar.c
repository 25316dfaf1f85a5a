// SPDX-License-Identifier: GPL-2.0-or-later
//
// A captured machine as a tar archive, written and read. Reading trusts nothing: whatever a capture
// of ours would not hold is refused by name (docs/decisions/0007-own-tar.md says why it is read
// here). Knows the tree, not what is in it.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "core/verr.h"
#include "tools/inspect/captree.h"
#include "tools/inspect/tarfmt.h"

#define LONG_MAX_LEN (PATH_MAX * 2) /* of a name that comes in an entry of its own */

static bool is_gzip_name(const char *file)
{
	size_t n = strlen(file);
	return (n > 3 && strcmp(file + n - 3, ".gz") == 0) ||
	       (n > 4 && strcmp(file + n - 4, ".tgz") == 0);
}

/* --- writing ---------------------------------------------------------------------------------- */

struct writer {
	gzFile gz;
	int r; /* the first failure; what comes after does nothing */
};

static void put(struct writer *w, const void *data, size_t len)
{
	static const char zero[TAR_BLOCK];
	size_t pad = (TAR_BLOCK - len % TAR_BLOCK) % TAR_BLOCK;
	if (w->r < 0 || len == 0)
		return;
	errno = 0;
	if (gzwrite(w->gz, data, (unsigned int)len) <= 0 ||
	    (pad && gzwrite(w->gz, zero, (unsigned int)pad) <= 0))
		w->r = errno ? -errno : -EIO;
}

/* Values have been checked to fit their fields. */
static void put_header(struct writer *w, const char *name, char type, const char *link,
		       const struct captree_node *n, size_t size)
{
	struct tar_header h;
	tar_header_fill(&h, name, type, link, n->mode, n->uid, n->gid, size);
	put(w, &h, sizeof(h));
}

/* GNU's way with a name too long for the header: an entry that holds it comes first. */
static void put_long(struct writer *w, char type, const char *text)
{
	static const struct captree_node nobody = { .mode = 0 };
	size_t len = strlen(text) + 1;
	if (len <= TAR_NAME)
		return;
	put_header(w, "././@LongLink", type, "", &nobody, len);
	put(w, text, len);
}

static void put_node(struct writer *w, const struct captree_node *n)
{
	char path[PATH_MAX];
	if (n->parent) {
		captree_path(n, path, sizeof(path) - 1);
		if (!path[0])
			w->r = w->r < 0 ? w->r : -ENAMETOOLONG;
		if (n->kind == CAPTREE_DIR)
			memcpy(path + strlen(path), "/", 2);
		const char *link = n->kind == CAPTREE_LINK && n->data ? n->data : "";
		bool file = n->kind == CAPTREE_FILE;
		put_long(w, TAR_GNU_LINK, link);
		put_long(w, TAR_GNU_NAME, path + 1);
		put_header(w, path + 1,
			   file			    ? TAR_FILE
			   : n->kind == CAPTREE_DIR ? TAR_DIR
						    : TAR_LINK,
			   link, n, file ? n->len : 0);
		if (file)
			put(w, n->data, n->len);
	}
	for (unsigned int i = 0; w->r == 0 && i < n->n; i++)
		put_node(w, n->child[i]);
}

static int write_all(const struct captree *t, int fd, bool gzip)
{
	static const char end[2 * TAR_BLOCK];
	struct writer w = { .gz = gzdopen(fd, gzip ? "wb9" : "wbT") };
	if (!w.gz) {
		close(fd);
		return -ENOMEM;
	}
	put_node(&w, t->root);
	put(&w, end, sizeof(end));
	errno = 0;
	int r = gzclose(w.gz);
	if (w.r == 0 && r != Z_OK)
		w.r = errno ? -errno : -EIO;
	return w.r;
}

int captar_write(const struct captree *t, const char *file, struct verr *reterr)
{
	/* It holds what only root may read of this machine. */
	int fd = strcmp(file, "-") == 0
			 ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
			 : open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return verr_set(reterr, -errno, "can't write %s: %s", file, strerror(errno));
	int r = write_all(t, fd, is_gzip_name(file));
	return r == 0 ? 0 : verr_set(reterr, r, "can't write %s: %s", file, strerror(-r));
}

/* --- reading ---------------------------------------------------------------------------------- */

struct reader {
	gzFile gz;
	struct captree *t;
	const char *file;
	struct verr *reterr;
	char *name, *link; /* out of an entry before this one; owned */
};

/* 1, 0 at the archive's end (between blocks), or an error. */
static int get(struct reader *r, void *buf, size_t len, bool may_end)
{
	int n = gzread(r->gz, buf, (unsigned int)len);
	if (n == (int)len)
		return 1;
	if (n == 0 && may_end)
		return 0;
	if (n < 0)
		return verr_set(r->reterr, -EBADMSG,
				"%s is damaged: its compression does not add up", r->file);
	return verr_set(r->reterr, -EBADMSG, "%s is cut off in the middle (get it again)", r->file);
}

/* Contents of an entry with their padding; malloc'ed, a NUL behind. */
static int get_data(struct reader *r, size_t size, char **ret)
{
	size_t padded = (size + TAR_BLOCK - 1) / TAR_BLOCK * TAR_BLOCK;
	char *data = malloc(padded + 1);
	if (!data)
		return verr_set(r->reterr, -ENOMEM, "out of memory for %s", r->file);
	int n = padded ? get(r, data, padded, false) : 1;
	if (n < 0) {
		free(data);
		return n;
	}
	data[size] = '\0';
	*ret = data;
	return 0;
}

static int refuse(struct reader *r, const char *name, const char *what)
{
	char shown[80];
	tar_shown(name, shown, sizeof(shown));
	return verr_set(r->reterr, -EBADMSG,
			"%s is refused: its entry \"%s\" %s, which no capture of vfio-inspect does",
			r->file, shown, what);
}

/* A target that leaves the tree, from the folder of depth `depth`. Device nodes that a process
 * holds are named from the root. */
static bool leaves_tree(const char *target, unsigned int depth)
{
	if (target[0] == '/')
		return strncmp(target, "/dev/vfio/", 10) != 0 || strstr(target, "..");
	while (*target) {
		size_t n = strcspn(target, "/");
		if (n == 2 && target[0] == '.' && target[1] == '.') {
			if (depth == 0)
				return true;
			depth--;
		} else if (n && !(n == 1 && target[0] == '.')) {
			depth++;
		}
		target += n + strspn(target + n, "/");
	}
	return false;
}

/* The folder an entry goes to; *name becomes its last component. */
static int folder_of(struct reader *r, char **name, struct captree_node **ret, unsigned int *depth)
{
	struct captree_node *at = r->t->root;
	char *s = *name;
	*depth = 0;
	for (;;) {
		s += strspn(s, "/");
		char *slash = strchr(s, '/');
		if (!slash || !slash[strspn(slash, "/")]) {
			if (slash)
				*slash = '\0';
			*name = s;
			*ret = at;
			return 0;
		}
		*slash = '\0';
		int e = strcmp(s, ".") == 0 ? 0 : captree_add(r->t, at, s, CAPTREE_DIR, &at);
		if (e < 0)
			return e;
		*depth += strcmp(s, ".") != 0;
		s = slash + 1;
	}
}

static bool has_dotdot(const char *name)
{
	for (const char *s = name; *s; s += strspn(s, "/")) {
		size_t n = strcspn(s, "/");
		if (n == 2 && s[0] == '.' && s[1] == '.')
			return true;
		s += n;
	}
	return false;
}

static int add_failed(struct reader *r, const char *name, int e)
{
	switch (e) {
	case -EEXIST:
		return refuse(r, name, "goes through, or replaces, one of another kind");
	case -EINVAL:
		return refuse(r, name, "has no proper name");
	case -EFBIG:
		return verr_set(r->reterr, e, "%s is refused: it holds more than a machine could",
				r->file);
	default:
		return verr_set(r->reterr, e, "out of memory for %s", r->file);
	}
}

static int take(struct reader *r, const struct tar_entry *e, const char *data)
{
	static const enum captree_kind kinds[] = { [TAR_FILE - '0'] = CAPTREE_FILE,
						   [TAR_DIR - '0'] = CAPTREE_DIR,
						   [TAR_LINK - '0'] = CAPTREE_LINK };
	char *copy = strdup(e->name), *name = copy;
	struct captree_node *dir, *n;
	unsigned int depth;
	if (!copy)
		return verr_set(r->reterr, -ENOMEM, "out of memory for %s", r->file);
	int err = folder_of(r, &name, &dir, &depth);
	if (err == 0 && (name[0] == '\0' || strcmp(name, ".") == 0)) {
		free(copy); /* the archive's own folder */
		return 0;
	}
	if (err == 0)
		err = captree_add(r->t, dir, name, kinds[e->type - '0'], &n);
	free(copy);
	if (err < 0)
		return add_failed(r, e->name, err);
	if (e->type == TAR_LINK && leaves_tree(e->link, depth))
		return refuse(r, e->name, "is a symbolic link that leaves the capture");
	n->mode = e->mode;
	n->uid = e->uid;
	n->gid = e->gid;
	if (e->type == TAR_LINK)
		err = captree_set(r->t, n, e->link, strlen(e->link));
	else if (e->type == TAR_FILE)
		err = captree_set(r->t, n, data, e->size);
	return err < 0 ? add_failed(r, e->name, err) : 0;
}

/* An entry that speaks of the next one. 1 if it was that. */
static int take_meta(struct reader *r, const struct tar_entry *e)
{
	char *data;
	if (e->type != TAR_GNU_NAME && e->type != TAR_GNU_LINK && e->type != TAR_PAX &&
	    e->type != TAR_PAX_GLOBAL)
		return 0;
	if (e->size > LONG_MAX_LEN)
		return refuse(r, e->name, "is longer than a name can be");
	int err = get_data(r, e->size, &data);
	if (err < 0)
		return err;
	char **where = e->type == TAR_GNU_LINK ? &r->link : &r->name;
	if (e->type == TAR_GNU_NAME || e->type == TAR_GNU_LINK) {
		free(*where);
		*where = data;
		return 1;
	}
	if (e->type == TAR_PAX)
		tar_pax(data, e->size, &r->name, &r->link);
	free(data);
	return 1;
}

static int one_entry(struct reader *r, const struct tar_header *h)
{
	struct tar_entry e;
	char *data = NULL;
	if (!tar_header_parse(h, &e))
		return verr_set(r->reterr, -EBADMSG,
				"%s is no capture: it is not a tar archive (make one with: "
				"vfio-inspect capture FILE)",
				r->file);
	int err = take_meta(r, &e);
	if (err != 0)
		return err < 0 ? err : 0;
	if (r->name)
		snprintf(e.name, sizeof(e.name), "%s", r->name);
	if (r->link)
		snprintf(e.link, sizeof(e.link), "%s", r->link);
	if (e.type != TAR_FILE && e.type != TAR_DIR && e.type != TAR_LINK)
		err = refuse(r, e.name, "is a device, a hard link or a kind of file");
	else if (e.name[0] == '/' || has_dotdot(e.name))
		err = refuse(r, e.name, "has a name that leaves the capture");
	else if (e.size > CAPTREE_MAX_FILE)
		err = refuse(r, e.name, "is larger than 4 MiB");
	else
		err = get_data(r, e.size, &data);
	if (err == 0)
		err = take(r, &e, data);
	free(data);
	free(r->name);
	free(r->link);
	r->name = r->link = NULL;
	return err;
}

/* An archive of a folder that holds the machine: its contents become the root. */
static void hoist(struct captree *t)
{
	struct captree_node *root = t->root, *only = root->n == 1 ? root->child[0] : NULL;
	if (!only || only->kind != CAPTREE_DIR || strcmp(only->name, "sys") == 0 ||
	    !captree_child(only, "sys"))
		return;
	only->parent = NULL;
	only->name[0] = '\0';
	t->root = only;
	root->n = 0;
	free(root->child);
	free(root->name);
	free(root);
	t->nodes--;
}

static int read_all(struct reader *r)
{
	struct tar_header h;
	int n;
	while ((n = get(r, &h, sizeof(h), true)) > 0) {
		if (tar_is_end(&h))
			break;
		int err = one_entry(r, &h);
		if (err < 0)
			return err;
	}
	if (n < 0)
		return n;
	hoist(r->t);
	struct captree_node *devices;
	if (captree_find(r->t, "/sys/bus/pci/devices", true, &devices) < 0)
		return verr_set(
			r->reterr, -ENOENT,
			"%s holds no captured machine: there is no sys/bus/pci/devices in it",
			r->file);
	return 0;
}

int captar_read(struct captree *t, const char *file, struct verr *reterr)
{
	struct reader r = { .t = t, .file = file, .reterr = reterr };
	memset(t, 0, sizeof(*t));
	int fd = strcmp(file, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
					: open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return verr_set(reterr, -errno, "can't read %s: %s", file, strerror(errno));
	r.gz = gzdopen(fd, "rb");
	if (!r.gz || captree_init(t) < 0) {
		if (r.gz)
			gzclose(r.gz);
		else
			close(fd);
		return verr_set(reterr, -ENOMEM, "out of memory for %s", file);
	}
	int err = read_all(&r);
	gzclose(r.gz);
	free(r.name);
	free(r.link);
	if (err < 0)
		captree_fini(t);
	return err;
}
