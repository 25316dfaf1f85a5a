// SPDX-License-Identifier: GPL-2.0-or-later
// The back end that takes everything and gives nothing.
#include "vmm/backend/backend.h"

#include <errno.h>
#include <stdlib.h>

static size_t null_write(struct chardev *c, const void *buf, size_t len)
{
	(void)c;
	(void)buf;
	return len;
}

static void null_close(struct chardev *c)
{
	free(c);
}

static const struct chardev_ops null_ops = { .write = null_write, .close = null_close };

static int null_open(const char *arg, const struct chr_host *host, struct chardev **ret,
		     struct verr *reterr)
{
	struct chardev *c = calloc(1, sizeof(*c));

	(void)arg;
	(void)host;
	if (!c)
		return verr_set(reterr, -ENOMEM, "null: out of memory");
	c->ops = &null_ops;
	snprintf(c->where, sizeof(c->where), "null");
	*ret = c;
	return 0;
}

const struct chr_type chr_null_type = {
	.name = "null",
	.desc = "a port whose output is dropped",
	.open = null_open,
};
