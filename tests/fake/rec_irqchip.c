// SPDX-License-Identifier: GPL-2.0-or-later
// The recording interrupt controller. A call that no implementation would accept (a free GSI, a
// second bind, a bound route freed) ends the test there.
#include "tests/fake/rec_irqchip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CHECK(c)                                                                                   \
	do {                                                                                       \
		if (!(c)) {                                                                        \
			fprintf(stderr, "%s:%d: irqchip misused: %s\n", __FILE__, __LINE__, #c);   \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static struct rec_irqchip *rec(struct irqchip *c)
{
	return container_of(c, struct rec_irqchip, chip);
}

static int take_fail(struct rec_irqchip *r)
{
	int e = r->fail;

	r->fail = 0;
	return e;
}

static struct rec_route *route(struct rec_irqchip *r, uint32_t gsi)
{
	CHECK(gsi >= REC_ROUTE_BASE && gsi < REC_ROUTE_BASE + REC_ROUTES);
	CHECK(r->route[gsi - REC_ROUTE_BASE].used);
	return &r->route[gsi - REC_ROUTE_BASE];
}

static struct rec_line *line(struct rec_irqchip *r, uint32_t gsi)
{
	CHECK(gsi < REC_LINES);
	return &r->line[gsi];
}

static int route_new(struct irqchip *c, uint32_t *ret_gsi)
{
	struct rec_irqchip *r = rec(c);
	int e = take_fail(r);

	if (e < 0)
		return e;
	for (uint32_t i = 0; i < REC_ROUTES; i++) {
		if (r->route[i].used)
			continue;
		r->route[i] = (struct rec_route){ .used = true, .fd = -1 };
		*ret_gsi = REC_ROUTE_BASE + i;
		return 0;
	}
	return -ENOSPC;
}

static void route_free(struct irqchip *c, uint32_t gsi)
{
	struct rec_route *rt = route(rec(c), gsi);

	CHECK(rt->fd == -1);
	rt->used = false;
	rec(c)->dirty |= rt->committed;
}

static int route_set(struct irqchip *c, uint32_t gsi, const struct msi_msg *msg)
{
	struct rec_route *rt = route(rec(c), gsi);
	int e = take_fail(rec(c));

	if (e < 0)
		return e;
	if (!rt->committed || rt->staged.addr != msg->addr || rt->staged.data != msg->data)
		rec(c)->dirty = true;
	rt->staged = *msg;
	return 0;
}

static int route_commit(struct irqchip *c)
{
	struct rec_irqchip *r = rec(c);
	int e = take_fail(r);

	if (e < 0)
		return e;
	if (!r->dirty)
		return 0;
	r->dirty = false;
	r->commits++;
	for (uint32_t i = 0; i < REC_ROUTES; i++) {
		r->route[i].live = r->route[i].staged;
		r->route[i].committed = r->route[i].used;
	}
	return 0;
}

static int route_bind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct rec_route *rt = route(rec(c), gsi);
	int e = take_fail(rec(c));

	if (e < 0)
		return e;
	CHECK(rt->fd == -1 && fd >= 0);
	CHECK(rt->committed);
	rt->fd = fd;
	return 0;
}

static void route_unbind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct rec_route *rt = route(rec(c), gsi);

	CHECK(rt->fd == fd);
	rt->fd = -1;
}

static int line_bind(struct irqchip *c, uint32_t gsi, int fd, int resample_fd)
{
	struct rec_line *l = line(rec(c), gsi);
	int e = take_fail(rec(c));

	if (e < 0)
		return e;
	CHECK(l->fd == -1 && fd >= 0 && resample_fd >= 0);
	l->fd = fd;
	l->resample_fd = resample_fd;
	return 0;
}

static void line_unbind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct rec_line *l = line(rec(c), gsi);

	CHECK(l->fd == fd);
	l->fd = l->resample_fd = -1;
}

static int line_ended(struct irqchip *c, uint32_t gsi, uint64_t *ret)
{
	int e = take_fail(rec(c));

	if (e < 0)
		return e;
	*ret = line(rec(c), gsi)->ended;
	return 0;
}

static int line_set(struct irqchip *c, uint32_t gsi, bool level)
{
	struct rec_line *l = line(rec(c), gsi);
	int e = take_fail(rec(c));

	if (e < 0)
		return e;
	if (level && !l->level)
		l->rises++;
	if (!level && l->level)
		l->falls++;
	l->level = level;
	return 0;
}

static int msi_send(struct irqchip *c, const struct msi_msg *msg)
{
	struct rec_irqchip *r = rec(c);
	int e = take_fail(r);

	if (e < 0)
		return e;
	r->sent[r->n_sent++ % REC_SENT_MAX] = *msg;
	return 0;
}

static const struct irqchip_ops rec_ops = {
	.route_new = route_new,
	.route_free = route_free,
	.route_set = route_set,
	.route_commit = route_commit,
	.route_bind = route_bind,
	.route_unbind = route_unbind,
	.line_bind = line_bind,
	.line_unbind = line_unbind,
	.line_ended = line_ended,
	.line_set = line_set,
	.msi_send = msi_send,
};

void rec_irqchip_init(struct rec_irqchip *r)
{
	*r = (struct rec_irqchip){ .chip = { .ops = &rec_ops } };
	r->route = calloc(REC_ROUTES, sizeof(*r->route));
	CHECK(r->route);
	for (unsigned int i = 0; i < REC_ROUTES; i++)
		r->route[i].fd = -1;
	for (unsigned int i = 0; i < REC_LINES; i++)
		r->line[i].fd = r->line[i].resample_fd = -1;
}

void rec_irqchip_fini(struct rec_irqchip *r)
{
	free(r->route);
	r->route = NULL;
}

unsigned int rec_irqchip_routes(const struct rec_irqchip *r)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < REC_ROUTES; i++)
		n += r->route[i].used;
	return n;
}

unsigned int rec_irqchip_bound(const struct rec_irqchip *r)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < REC_ROUTES; i++)
		n += r->route[i].used && r->route[i].fd >= 0;
	for (unsigned int i = 0; i < REC_LINES; i++)
		n += r->line[i].fd >= 0;
	return n;
}

const struct rec_route *rec_irqchip_route(const struct rec_irqchip *r, uint32_t gsi)
{
	if (gsi < REC_ROUTE_BASE || gsi >= REC_ROUTE_BASE + REC_ROUTES ||
	    !r->route[gsi - REC_ROUTE_BASE].used)
		return NULL;
	return &r->route[gsi - REC_ROUTE_BASE];
}
