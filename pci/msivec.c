// SPDX-License-Identifier: GPL-2.0-or-later
// A vector: message, route and eventfd joined. Owns the eventfd and the route; knows neither who
// signals the fd nor which capability the vector belongs to.
#include "pci/msivec.h"

#include <sys/eventfd.h>

#include "core/sys.h"
#include "core/trace.h"

void msivec_init(struct msivec *v)
{
	*v = (struct msivec){ .fd = -1 };
}

static void unbind(struct msivec *v, struct irqchip *c)
{
	v->staged = v->moved = false;
	if (!v->bound)
		return;
	c->ops->route_unbind(c, v->gsi, v->fd);
	v->bound = false;
	T(irq_bind, v->gsi, v->fd, 0);
}

static void unroute(struct msivec *v, struct irqchip *c)
{
	unbind(v, c);
	if (!v->routed)
		return;
	c->ops->route_free(c, v->gsi);
	v->routed = false;
	v->msg = (struct msi_msg){ 0 };
}

void msivec_fini(struct msivec *v, struct irqchip *c)
{
	unroute(v, c);
	sys_close_fd(&v->fd);
}

int msivec_fd(struct msivec *v)
{
	if (v->fd >= 0)
		return v->fd;
	int fd = sys_eventfd(0, EFD_NONBLOCK);
	if (fd >= 0)
		v->fd = fd;
	return fd;
}

int msivec_stage(struct msivec *v, struct irqchip *c, const struct msi_msg *msg, bool live)
{
	if (!live) {
		unbind(v, c);
		return 0;
	}
	int r = msivec_fd(v);
	if (r < 0)
		return r;
	bool fresh = !v->routed;
	if (fresh) {
		r = c->ops->route_new(c, &v->gsi);
		if (r < 0)
			return r;
		v->routed = true;
	}
	if (fresh || v->msg.addr != msg->addr || v->msg.data != msg->data) {
		r = c->ops->route_set(c, v->gsi, msg);
		if (r < 0) {
			/* The old message is not what the guest wants any more: better silent. */
			unroute(v, c);
			return r;
		}
		v->msg = *msg;
		v->moved = v->bound;
		T(irq_route, v->gsi, msg->addr, msg->data);
	}
	v->staged = !v->bound;
	return 0;
}

int msivec_settle(struct msivec *v, struct irqchip *c)
{
	v->moved = false;
	if (!v->staged)
		return 0;
	v->staged = false;
	int r = c->ops->route_bind(c, v->gsi, v->fd);
	if (r < 0)
		return r;
	v->bound = true;
	T(irq_bind, v->gsi, v->fd, 1);
	return 0;
}

void msivec_abandon(struct msivec *v, struct irqchip *c)
{
	if (v->staged || v->moved)
		unroute(v, c);
}

void msivec_release(struct msivec *v, struct irqchip *c)
{
	unroute(v, c);
	if (v->fd >= 0)
		sys_event_take(v->fd);
}

bool msivec_pending(const struct msivec *v)
{
	return v->fd >= 0 && !v->bound && sys_event_pending(v->fd);
}

void msivec_signal(struct msivec *v)
{
	int fd = msivec_fd(v);
	if (fd >= 0)
		sys_event_signal(fd);
}
