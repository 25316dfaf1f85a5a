// SPDX-License-Identifier: GPL-2.0-or-later
// A machine in memory: the folders, files and symbolic links of sysfs, procfs and /dev that a
// capture holds. Filled by a recorder (capture.c) or from an archive (captar.c), changed by
// redact.c, and put behind the system-call seam by captree_serve(), so that everything that reads
// the live machine reads this one alike.
//
// Paths are absolute and end in this tree: ".." above its root is its root, absolute link targets
// start at its root. Names and targets come from strangers. Single-threaded.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

/* Bounds: a machine of 4096 functions stays below them by far. */
#define CAPTREE_MAX_NODES (1u << 20)
#define CAPTREE_MAX_BYTES ((size_t)512 << 20)
#define CAPTREE_MAX_FILE  ((size_t)4 << 20)
#define CAPTREE_MAX_LINKS 40 /* followed in one look-up, as the kernel does */

enum captree_kind { CAPTREE_DIR, CAPTREE_FILE, CAPTREE_LINK };

struct captree_node {
	char *name; /* "" for the root; owned */
	enum captree_kind kind;
	unsigned int mode; /* permission bits; a file that could not be read has none */
	unsigned int uid, gid;
	char *data; /* contents or link target, with a NUL after `len` bytes; NULL: len 0; owned */
	size_t len;
	bool filled;		     /* contents are known, not only that the file exists */
	struct captree_node *parent; /* borrowed; NULL for the root */
	struct captree_node **child; /* by name; owned */
	unsigned int n, cap;
};

struct captree {
	struct captree_node *root; /* owned */
	unsigned int nodes;
	size_t bytes;
};

/* 0 or -ENOMEM. */
int captree_init(struct captree *t);
void captree_fini(struct captree *t); /* zeroed and NULL allowed */

/* The entry `name` of folder `dir`; NULL. */
struct captree_node *captree_child(const struct captree_node *dir, const char *name);
/* Adds it, or gives the one that is there. -EEXIST: it is there and of another kind; -EINVAL: no
 * name for a file; -EFBIG: too many; -ENOMEM. */
int captree_add(struct captree *t, struct captree_node *dir, const char *name,
		enum captree_kind kind, struct captree_node **ret);
/* Replaces contents or target. -EFBIG, -ENOMEM. */
int captree_set(struct captree *t, struct captree_node *node, const void *data, size_t len);
/* By name, which must be free in the folder; the order of its siblings changes. */
int captree_rename(struct captree_node *node, const char *name);
void captree_remove(struct captree *t, struct captree_node *node);
/* Looks up a path. -ENOENT, -ENOTDIR, -ELOOP. */
int captree_find(const struct captree *t, const char *path, bool follow_last,
		 struct captree_node **ret);
/* "/sys/..." of the node itself; returns buf, "" if it does not fit. */
char *captree_path(const struct captree_node *node, char *buf, size_t size);

/* captree_sys.c: from now on every path of the system-call seam is one of `t` (borrowed, for the
 * rest of the process), read only, with the rights that who captured it had. */
void captree_serve(const struct captree *t);

/* captar.c: a tree as a tar archive (POSIX ustar; GNU's long names are read too), compressed by
 * gzip when the name ends in ".gz" or ".tgz" (read: as found). "-" is standard input or output.
 * Write: the whole archive is made before the file is opened, and replaces what it held. Read:
 * refuses absolute names and targets, "..", entries through symbolic links, targets that leave the
 * tree, anything but folders, files and symbolic links, and more than the bounds above; *t is
 * empty then. -errno with a sentence. */
struct verr;
int captar_write(const struct captree *t, const char *file, struct verr *reterr);
int captar_read(struct captree *t, const char *file, struct verr *reterr);

/* redact.c: takes out what identifies the machine or its people and no verdict depends on; see
 * vfio-inspect(1), REDACTION. 0 or -ENOMEM. */
int captree_redact(struct captree *t);

VV_END_DECLS
