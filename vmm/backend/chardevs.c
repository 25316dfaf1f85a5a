// SPDX-License-Identifier: GPL-2.0-or-later
// Character back ends as rows of --chardev (see the header). Owns their wrapping; what they do is
// in the chr_*.c.
#include "vmm/backend/chardevs.h"

#include <errno.h>
#include <stdlib.h>

struct path_cfg {
	char *path;
};

static int open_as(const struct chr_type *type, const char *arg, const char *id,
		   const struct backend_host *host, struct backend **ret, struct verr *reterr)
{
	char who[96];
	const struct chr_host h = {
		.loop = host->loop,
		.quit = host->quit,
		.opaque = host->opaque,
		.messages = host->messages,
		.who = who,
	};
	struct chr_backend *c = calloc(1, sizeof(*c));

	if (!c)
		return verr_set(reterr, -ENOMEM, "out of memory");
	snprintf(who, sizeof(who), "chardev %s", id);
	int r = (host->dry_run ? &chr_null_type : type)->open(arg, &h, &c->chr, reterr);
	if (r < 0) {
		free(c);
		return r;
	}
	if (host->dry_run)
		snprintf(c->chr->where, sizeof(c->chr->where), "%s", arg ? arg : type->name);
	*ret = &c->b;
	return 0;
}

static void chr_backend_close(struct backend *b)
{
	struct chr_backend *c = container_of(b, struct chr_backend, b);

	chr_close(c->chr);
	free(c);
}

static const struct prop file_props[] = {
	PROP(struct path_cfg, path, PROP_STR, PROP_REQUIRED, "the file, truncated at the start"),
	PROP_END,
};

static const struct prop socket_props[] = {
	PROP(struct path_cfg, path, PROP_STR, PROP_REQUIRED, "where it listens"),
	PROP_END,
};

/* A row without properties. */
#define PLAIN(name_, desc_)                                                                        \
	static int open_##name_(const char *id, const void *cfg, const struct backend_host *host,  \
				struct backend **ret, struct verr *reterr)                         \
	{                                                                                          \
		(void)cfg;                                                                         \
		return open_as(&chr_##name_##_type, NULL, id, host, ret, reterr);                  \
	}                                                                                          \
	const struct backend_type chr_##name_##_backend = {                                        \
		.t = { .name = #name_, .category = "character", .desc = desc_ },                   \
		.kind = BACKEND_CHAR,                                                              \
		.open = open_##name_,                                                              \
		.close = chr_backend_close,                                                        \
	}

/* A row with a path. */
#define PATH(name_, desc_)                                                                         \
	static int open_##name_(const char *id, const void *cfg, const struct backend_host *host,  \
				struct backend **ret, struct verr *reterr)                         \
	{                                                                                          \
		const struct path_cfg *c = cfg;                                                    \
		return open_as(&chr_##name_##_type, c->path, id, host, ret, reterr);               \
	}                                                                                          \
	const struct backend_type chr_##name_##_backend = {                                        \
		.t = { .name = #name_,                                                             \
		       .category = "character",                                                    \
		       .desc = desc_,                                                              \
		       .props = name_##_props,                                                     \
		       .cfg_size = sizeof(struct path_cfg) },                                      \
		.kind = BACKEND_CHAR,                                                              \
		.open = open_##name_,                                                              \
		.close = chr_backend_close,                                                        \
	}

PATH(file, "output into a file, no input");
PLAIN(null, "output is dropped, no input");
PLAIN(pty, "a pseudoterminal, whose name is printed");
PATH(socket, "a UNIX socket to connect to, one program at a time");
PLAIN(stdio, "this terminal (Ctrl-A x quits, Ctrl-A h helps), or standard input and output");

const char *chr_backend_overwrites(const struct backend_type *type, const void *cfg)
{
	const struct path_cfg *c = cfg;

	return type == &chr_file_backend ? c->path : NULL;
}
