// SPDX-License-Identifier: GPL-2.0-or-later
// The set of back ends by name (see the header). Owns them and their configurations; knows no kind.
#include "vmm/backend/backends.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

const char *const backend_kind_names[BACKEND_N_KINDS] = { "blockdev", "netdev", "chardev" };

const struct prop backend_common_props[] = {
	PROP(struct backend_common, id, PROP_STR, PROP_REQUIRED,
	     "name, for the device that uses it"),
	PROP_END,
};

void backend_set_init(struct backend_set *s, const struct backend_host *host)
{
	list_init(&s->all);
	s->host = *host;
}

static void close_one(struct backend *b)
{
	const struct backend_type *type = b->type;
	void *cfg = b->cfg;

	assert(!b->user);
	list_del(&b->node);
	type->close(b);
	props_free(&type->t, cfg);
}

void backend_set_fini(struct backend_set *s)
{
	while (s->all.next && !list_empty(&s->all))
		close_one(container_of(s->all.prev, struct backend, node));
}

struct backend *backend_find(struct backend_set *s, const char *id)
{
	struct backend *b;

	list_for_each(b, &s->all, struct backend, node)
		if (strcmp(b->id, id) == 0)
			return b;
	return NULL;
}

int backend_add(struct backend_set *s, const struct backend_type *type, const char *id, void *cfg,
		struct verr *reterr)
{
	const char *kind = backend_kind_names[type->kind];
	struct backend *b = NULL;
	int r = 0;

	if (strlen(id) >= sizeof(b->id))
		r = verr_set(reterr, -ENAMETOOLONG, "id \"%.32s...\" is longer than %zu characters",
			     id, sizeof(b->id) - 1);
	else if (backend_find(s, id))
		r = verr_set(reterr, -EEXIST, "id \"%s\" is taken by another %s", id,
			     backend_kind_names[backend_find(s, id)->type->kind]);
	if (r == 0)
		r = type->open(id, cfg, &s->host, &b, reterr);
	if (r < 0) {
		props_free(&type->t, cfg);
		return verr_prefix(reterr, r, "%s %s", kind, id);
	}
	b->type = type;
	b->cfg = cfg;
	b->user = NULL;
	snprintf(b->id, sizeof(b->id), "%s", id);
	list_add_tail(&s->all, &b->node);
	return 0;
}

int backend_del(struct backend_set *s, const char *id, struct verr *reterr)
{
	struct backend *b = backend_find(s, id);

	if (!b)
		return verr_set(reterr, -ENOENT, "there is no back end \"%s\"", id);
	if (b->user)
		return verr_set(reterr, -EBUSY, "%s %s is in use by device %s",
				backend_kind_names[b->type->kind], id, b->user);
	close_one(b);
	return 0;
}

static int missing(struct backend_set *s, enum backend_kind kind, const char *prop, const char *id,
		   struct verr *reterr)
{
	const char *word = backend_kind_names[kind];
	char have[128] = "";
	struct backend *b;
	size_t n = 0;

	if (s) {
		list_for_each(b, &s->all, struct backend, node) {
			if (b->type->kind != kind || n >= sizeof(have))
				continue;
			n += (size_t)snprintf(have + n, sizeof(have) - n, "%s%s", n ? ", " : "",
					      b->id);
		}
	}
	return verr_set(reterr, -ENOENT, "%s=%s: there is no %s of that name (%s%s)", prop, id,
			word, n ? "there are: " : "add one with --", n ? have : word);
}

int backend_take(struct backend_set *s, enum backend_kind kind, const char *prop, const char *id,
		 const char *user, struct backend **ret, struct verr *reterr)
{
	if (!id)
		return verr_set(reterr, -EINVAL, "%s= is missing: the id of a --%s", prop,
				backend_kind_names[kind]);
	struct backend *b = s ? backend_find(s, id) : NULL;
	if (!b || b->type->kind != kind)
		return missing(s, kind, prop, id, reterr);
	if (b->user)
		return verr_set(reterr, -EBUSY, "%s=%s: device %s has it", prop, id, b->user);
	b->user = user;
	*ret = b;
	return 0;
}

void backend_release(struct backend *b)
{
	if (b)
		b->user = NULL;
}
