// SPDX-License-Identifier: GPL-2.0-or-later
// The table of character back ends, the parser of --serial, and the calls a front makes. Knows no
// back end but by its row.
#include "vmm/backend/backend.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static int open_none(const char *arg, const struct chr_host *host, struct chardev **ret,
		     struct verr *reterr)
{
	(void)arg;
	(void)host;
	(void)reterr;
	*ret = NULL;
	return 0;
}

static const struct chr_type chr_none_type = {
	.name = "none",
	.desc = "no serial port",
	.open = open_none,
};

static const struct chr_type *const chr_types[] = {
	&chr_file_type, &chr_none_type,	  &chr_null_type,
	&chr_pty_type,	&chr_socket_type, &chr_stdio_type,
};

static int find(const char *spec, const struct chr_type **ret, const char **ret_arg,
		struct verr *reterr)
{
	size_t len = strcspn(spec, ":");
	const char *arg = spec[len] ? spec + len + 1 : NULL;

	for (size_t i = 0; i < ARRAY_SIZE(chr_types); i++) {
		const struct chr_type *t = chr_types[i];

		if (strlen(t->name) != len || memcmp(t->name, spec, len))
			continue;
		if (t->arg_name && (!arg || !*arg))
			return verr_set(reterr, -EINVAL, "serial port '%s': needs %s:%s", spec,
					t->name, t->arg_name);
		if (!t->arg_name && arg)
			return verr_set(reterr, -EINVAL,
					"serial port '%s': %s takes nothing "
					"after a colon",
					spec, t->name);
		*ret = t;
		*ret_arg = arg;
		return 0;
	}
	return verr_set(reterr, -EINVAL,
			"serial port '%s': is none of stdio, none, null, "
			"file:PATH, pty, socket:PATH",
			spec);
}

int chr_check(const char *spec, struct verr *reterr)
{
	const struct chr_type *t;
	const char *arg;

	return find(spec, &t, &arg, reterr);
}

int chr_open(const char *spec, const struct chr_host *host, struct chardev **ret,
	     struct verr *reterr)
{
	const struct chr_type *t;
	const char *arg;
	int r = find(spec, &t, &arg, reterr);

	return r < 0 ? r : t->open(arg, host, ret, reterr);
}

void chr_help(FILE *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(chr_types); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%s%s%s", chr_types[i]->name,
			 chr_types[i]->arg_name ? ":" : "",
			 chr_types[i]->arg_name ? chr_types[i]->arg_name : "");
		fprintf(out, "  %-16s %s\n", name, chr_types[i]->desc);
	}
}

void chr_close(struct chardev *c)
{
	if (c)
		c->ops->close(c);
}

void chr_attach(struct chardev *c, const struct chardev_front *front, void *opaque)
{
	c->front = front;
	c->front_opaque = opaque;
	chr_input_ready(c);
}

void chr_detach(struct chardev *c)
{
	c->front = NULL;
	c->front_opaque = NULL;
}

size_t chr_write(struct chardev *c, const void *buf, size_t len)
{
	return c->ops->write(c, buf, len);
}

void chr_set_closed(struct chardev *c, bool closed)
{
	c->closed = closed;
	if (c->front && c->front->opened)
		c->front->opened(c->front_opaque);
}

void chr_input_ready(struct chardev *c)
{
	if (c->ops->input_ready)
		c->ops->input_ready(c);
}
