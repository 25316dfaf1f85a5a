// SPDX-License-Identifier: GPL-2.0-or-later
// Nodes of the fake kernel's tree, shared by the tree and its open files only.
#pragma once

#include "tests/fake/fake_int.h"

VV_BEGIN_DECLS

enum fk_node_type { FK_NODE_DIR, FK_NODE_FILE, FK_NODE_LINK, FK_NODE_DEV };

struct fk_node {
	char name[128];
	enum fk_node_type type;
	mode_t mode;
	struct fk_node *parent;
	struct list children, node;
	char *data; /* text (terminated), or a link's target */
	size_t len;
	const struct fk_node_ops *ops; /* NULL: plain text */
	void *opaque;
	unsigned int refs; /* the tree and open files */
	bool user;	   /* created by user space */
	bool dead;	   /* gone from the tree: ENODEV */
};

void fk_node_put(struct fk_node *n);
int fk_fs_install(struct fk_node *n, const char *path, int flags);

VV_END_DECLS
