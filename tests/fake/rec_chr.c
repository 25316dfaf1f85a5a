// SPDX-License-Identifier: GPL-2.0-or-later
// The recording character back end.
#include "tests/fake/rec_chr.h"

#include <string.h>

static size_t rec_write(struct chardev *c, const void *buf, size_t len)
{
	struct rec_chr *r = container_of(c, struct rec_chr, chr);
	size_t n = MIN(len, MIN(r->takes, sizeof(r->out) - r->n_out));

	memcpy(r->out + r->n_out, buf, n);
	r->n_out += n;
	if (r->takes != SIZE_MAX)
		r->takes -= n;
	return n;
}

static void rec_input_ready(struct chardev *c)
{
	struct rec_chr *r = container_of(c, struct rec_chr, chr);
	uint8_t batch[sizeof(r->in)];
	size_t n;

	if (!c->front || r->n_in == 0)
		return;
	n = MIN(r->n_in, c->front->room(c->front_opaque));
	if (n == 0)
		return;
	memcpy(batch, r->in, n);
	r->n_in -= n;
	memmove(r->in, r->in + n, r->n_in);
	c->front->receive(c->front_opaque, batch, n);
}

static void rec_close(struct chardev *c)
{
	(void)c;
}

static const struct chardev_ops rec_ops = {
	.write = rec_write,
	.input_ready = rec_input_ready,
	.close = rec_close,
};

void rec_chr_init(struct rec_chr *c)
{
	memset(c, 0, sizeof(*c));
	c->chr.ops = &rec_ops;
	c->takes = SIZE_MAX;
}

void rec_chr_type(struct rec_chr *c, const char *text)
{
	size_t n = MIN(strlen(text), sizeof(c->in) - c->n_in);

	memcpy(c->in + c->n_in, text, n);
	c->n_in += n;
	rec_input_ready(&c->chr);
}

void rec_chr_drain(struct rec_chr *c, size_t n)
{
	c->takes = n;
	if (c->chr.front)
		c->chr.front->drained(c->chr.front_opaque);
}
