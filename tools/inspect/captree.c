// SPDX-License-Identifier: GPL-2.0-or-later
//
// The tree of a captured machine: folders with sorted entries, and look-ups that never leave it.
// Knows nothing of sysfs, archives or the seam.
#include "tools/inspect/captree.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct captree_node *node_new(const char *name, enum captree_kind kind)
{
	struct captree_node *n = calloc(1, sizeof(*n));
	if (!n)
		return NULL;
	n->name = strdup(name);
	if (!n->name) {
		free(n);
		return NULL;
	}
	n->kind = kind;
	n->mode = kind == CAPTREE_DIR ? 0755 : kind == CAPTREE_LINK ? 0777 : 0444;
	return n;
}

static void node_free(struct captree *t, struct captree_node *n)
{
	for (unsigned int i = 0; i < n->n; i++)
		node_free(t, n->child[i]);
	t->bytes -= n->len;
	t->nodes--;
	free(n->child);
	free(n->data);
	free(n->name);
	free(n);
}

int captree_init(struct captree *t)
{
	memset(t, 0, sizeof(*t));
	t->root = node_new("", CAPTREE_DIR);
	t->nodes = t->root ? 1 : 0;
	return t->root ? 0 : -ENOMEM;
}

void captree_fini(struct captree *t)
{
	if (!t)
		return;
	if (t->root)
		node_free(t, t->root);
	memset(t, 0, sizeof(*t));
}

/* Where `name` is, or would go. */
static unsigned int slot(const struct captree_node *dir, const char *name, bool *found)
{
	unsigned int lo = 0, hi = dir->n;
	*found = false;
	while (lo < hi) {
		unsigned int mid = lo + (hi - lo) / 2;
		int c = strcmp(dir->child[mid]->name, name);
		if (c == 0) {
			*found = true;
			return mid;
		}
		if (c < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct captree_node *captree_child(const struct captree_node *dir, const char *name)
{
	bool found;
	unsigned int at = slot(dir, name, &found);
	return found ? dir->child[at] : NULL;
}

static int put(struct captree_node *dir, struct captree_node *n)
{
	bool found;
	unsigned int at = slot(dir, n->name, &found);
	if (dir->n == dir->cap) {
		unsigned int cap = dir->cap ? dir->cap * 2 : 8;
		struct captree_node **v =
			reallocarray(dir->child, cap, sizeof(struct captree_node *));
		if (!v)
			return -ENOMEM;
		dir->child = v;
		dir->cap = cap;
	}
	memmove(&dir->child[at + 1], &dir->child[at],
		(dir->n - at) * sizeof(struct captree_node *));
	dir->child[at] = n;
	dir->n++;
	n->parent = dir;
	return 0;
}

static void take_out(struct captree_node *n)
{
	bool found;
	struct captree_node *dir = n->parent;
	unsigned int at = slot(dir, n->name, &found);
	memmove(&dir->child[at], &dir->child[at + 1],
		(dir->n - at - 1) * sizeof(struct captree_node *));
	dir->n--;
}

static bool good_name(const char *name)
{
	return name[0] && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !strchr(name, '/') &&
	       strlen(name) <= NAME_MAX;
}

int captree_add(struct captree *t, struct captree_node *dir, const char *name,
		enum captree_kind kind, struct captree_node **ret)
{
	if (!good_name(name))
		return -EINVAL;
	struct captree_node *n = captree_child(dir, name);
	if (n) {
		if (n->kind != kind)
			return -EEXIST;
		*ret = n;
		return 0;
	}
	if (t->nodes >= CAPTREE_MAX_NODES)
		return -EFBIG;
	n = node_new(name, kind);
	if (!n)
		return -ENOMEM;
	if (put(dir, n) < 0) {
		free(n->name);
		free(n);
		return -ENOMEM;
	}
	t->nodes++;
	*ret = n;
	return 0;
}

int captree_set(struct captree *t, struct captree_node *node, const void *data, size_t len)
{
	if (len > CAPTREE_MAX_FILE || t->bytes - node->len + len > CAPTREE_MAX_BYTES)
		return -EFBIG;
	char *copy = malloc(len + 1);
	if (!copy)
		return -ENOMEM;
	if (len)
		memcpy(copy, data, len);
	copy[len] = '\0';
	t->bytes += len - node->len;
	free(node->data);
	node->data = copy;
	node->len = len;
	node->filled = true;
	return 0;
}

int captree_rename(struct captree_node *node, const char *name)
{
	struct captree_node *dir = node->parent;
	if (!dir || !good_name(name))
		return -EINVAL;
	if (captree_child(dir, name))
		return -EEXIST;
	char *copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	take_out(node);
	free(node->name);
	node->name = copy;
	return put(dir, node); /* its place is free: can't fail */
}

void captree_remove(struct captree *t, struct captree_node *node)
{
	if (!node->parent)
		return;
	take_out(node);
	node_free(t, node);
}

/* --- look-up ---------------------------------------------------------------------------------- */

/* Takes "component/rest" apart; *path moves behind it. False at the end, and when it is too long
 * for a name. */
static bool next(const char **path, char name[NAME_MAX + 1], bool *last)
{
	const char *s = *path + strspn(*path, "/");
	size_t n = strcspn(s, "/");
	if (n == 0 || n > NAME_MAX)
		return false;
	memcpy(name, s, n);
	name[n] = '\0';
	s += n;
	*path = s + strspn(s, "/");
	*last = **path == '\0';
	return true;
}

/* `target`, then what is left of the path, as the new path. */
static int splice(char path[PATH_MAX], const char *target, const char *rest)
{
	char joined[PATH_MAX];
	int n = snprintf(joined, sizeof(joined), "%s/%s", target, rest);
	if (n < 0 || (size_t)n >= sizeof(joined))
		return -ENAMETOOLONG;
	memcpy(path, joined, (size_t)n + 1);
	return 0;
}

int captree_find(const struct captree *t, const char *path, bool follow_last,
		 struct captree_node **ret)
{
	char buf[PATH_MAX], name[NAME_MAX + 1];
	struct captree_node *at = t->root;
	unsigned int links = 0;
	bool last;
	const char *s = buf;
	if (splice(buf, "", path) < 0)
		return -ENAMETOOLONG;
	while (next(&s, name, &last)) {
		if (at->kind != CAPTREE_DIR)
			return -ENOTDIR;
		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			at = at->parent ? at->parent : at;
			continue;
		}
		struct captree_node *n = captree_child(at, name);
		if (!n)
			return -ENOENT;
		if (n->kind != CAPTREE_LINK || (last && !follow_last)) {
			at = n;
			continue;
		}
		if (++links > CAPTREE_MAX_LINKS)
			return -ELOOP;
		if (!n->data || !n->data[0])
			return -ENOENT;
		if (n->data[0] == '/')
			at = t->root;
		int r = splice(buf, n->data, s);
		if (r < 0)
			return r;
		s = buf;
	}
	if (s[strspn(s, "/")])
		return -ENAMETOOLONG;
	*ret = at;
	return 0;
}

char *captree_path(const struct captree_node *node, char *buf, size_t size)
{
	size_t at = size - 1;
	buf[at] = '\0';
	for (; node->parent; node = node->parent) {
		size_t n = strlen(node->name);
		if (at < n + 1) {
			buf[0] = '\0';
			return buf;
		}
		at -= n;
		memcpy(buf + at, node->name, n);
		buf[--at] = '/';
	}
	memmove(buf, buf + at, size - at);
	return buf;
}
