// SPDX-License-Identifier: GPL-2.0-or-later
// Shared level lines: a line is the OR of its emulated sources; hardware sources are bound to the
// irqchip, which ORs them itself. Owns the list of sources; knows no device and no bus.
#include "pci/intx.h"

#include <errno.h>

#include "core/trace.h"

void intx_lines_init(struct intx_lines *l, struct irqchip *irq,
		     uint32_t (*gsi_of)(unsigned int dev, unsigned int pin))
{
	l->irq = irq;
	l->gsi_of = gsi_of;
	list_init(&l->sources);
}

static bool line_level(struct intx_lines *l, uint32_t gsi)
{
	struct intx_source *s;
	list_for_each(s, &l->sources, struct intx_source, node)
		if (s->gsi == gsi && s->level)
			return true;
	return false;
}

void intx_connect(struct intx_lines *l, struct intx_source *s, unsigned int root_dev,
		  unsigned int pin)
{
	s->level = false;
	s->gsi = l->gsi_of(root_dev, pin);
	s->fd = -1;
	s->resample_fd = -1;
	s->lines = l;
	list_add_tail(&l->sources, &s->node);
}

void intx_disconnect(struct intx_source *s)
{
	if (s->lines == NULL)
		return;
	intx_set(s, false);
	intx_unbind(s);
	list_del(&s->node);
	s->lines = NULL;
}

void intx_set(struct intx_source *s, bool level)
{
	struct intx_lines *l = s->lines;
	if (l == NULL || s->level == level)
		return;
	bool before = line_level(l, s->gsi);
	s->level = level;
	bool after = line_level(l, s->gsi);
	if (before == after)
		return;
	T(irq_line, s->gsi, after);
	l->irq->ops->line_set(l->irq, s->gsi, after);
}

int intx_bind(struct intx_source *s, int fd, int resample_fd)
{
	struct intx_lines *l = s->lines;
	if (l == NULL)
		return -ENOTCONN;
	if (s->fd >= 0)
		return -EBUSY;
	int r = l->irq->ops->line_bind(l->irq, s->gsi, fd, resample_fd);
	if (r < 0)
		return r;
	s->fd = fd;
	s->resample_fd = resample_fd;
	return 0;
}

void intx_unbind(struct intx_source *s)
{
	if (s->lines == NULL || s->fd < 0)
		return;
	s->lines->irq->ops->line_unbind(s->lines->irq, s->gsi, s->fd);
	s->fd = -1;
	s->resample_fd = -1;
}

int intx_ended(const struct intx_source *s, uint64_t *ret)
{
	if (s->lines == NULL || s->fd < 0)
		return -ENOTCONN;
	return s->lines->irq->ops->line_ended(s->lines->irq, s->gsi, ret);
}
