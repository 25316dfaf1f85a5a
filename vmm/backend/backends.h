// SPDX-License-Identifier: GPL-2.0-or-later
// Back ends by name: what --blockdev, --netdev and --chardev make and a device's property names
// ("drive=disk0"). A kind of back end embeds struct backend first in its own struct and has its
// own interface (blockdev.h and the like); this is what they share. Under the machine lock.
//
// A type: a row in the kind's table (vmm/tables.c) with the properties, open() and close(). A
// device finds its back end in realize with backend_take(plat->backends, ...), and gives it back
// in unrealize with backend_release(): one device at a time has it.
#pragma once

#include <stdbool.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/list.h"
#include "core/type.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct loop;

enum backend_kind { BACKEND_BLOCK, BACKEND_NET, BACKEND_CHAR, BACKEND_N_KINDS };

/* "blockdev", "netdev", "chardev": the option, and the word in messages. */
extern const char *const backend_kind_names[BACKEND_N_KINDS];

/* Properties every back end takes beside its own. */
struct backend_common {
	char *id; /* required */
};
extern const struct prop backend_common_props[];

/* What a back end may use; borrowed, outliving it. */
struct backend_host {
	struct loop *loop;
	bool dry_run; /* check what can be checked; start and change nothing */
	/* The user asked to end the machine at a console. */
	void (*quit)(void *opaque, const char *why);
	void *opaque;
	FILE *messages; /* where a pty says its name; NULL: nowhere */
};

struct backend;

struct backend_type {
	struct type_desc t;
	enum backend_kind kind;
	/* Allocates the embedding struct; its b.cfg and b.id are filled by the caller after. `cfg`
	 * outlives it. Errors name the culprit. */
	int (*open)(const char *id, const void *cfg, const struct backend_host *host,
		    struct backend **ret, struct verr *reterr);
	void (*close)(struct backend *b); /* frees it */
};

struct backend {
	const struct backend_type *type;
	char id[64];
	void *cfg;	  /* type->t.cfg_size bytes, owned by the set */
	const char *user; /* id of the device that has it, borrowed; NULL: nobody */
	struct list node;
};

struct backend_set {
	struct list all;
	struct backend_host host;
};

void backend_set_init(struct backend_set *s, const struct backend_host *host);
void backend_set_fini(struct backend_set *s); /* closes all; none may be in use */
/* `cfg` from props_new(), taken over even on failure. -EEXIST: the id is taken. */
int backend_add(struct backend_set *s, const struct backend_type *type, const char *id, void *cfg,
		struct verr *reterr);
/* -ENOENT, -EBUSY: a device has it. */
int backend_del(struct backend_set *s, const char *id, struct verr *reterr);
struct backend *backend_find(struct backend_set *s, const char *id); /* NULL: none */
/* The one with that id and kind, now `user`'s (an id that outlives the taking). `prop` is what
 * named it. -ENOENT names those there are, -EBUSY who has it; a NULL id says that `prop` is
 * missing. `s` may be NULL: none at all. */
int backend_take(struct backend_set *s, enum backend_kind kind, const char *prop, const char *id,
		 const char *user, struct backend **ret, struct verr *reterr);
void backend_release(struct backend *b); /* NULL allowed */

VV_END_DECLS
