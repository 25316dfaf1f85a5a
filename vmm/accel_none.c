// SPDX-License-Identifier: GPL-2.0-or-later
// Accelerator "none": no vCPUs, no guest. The machine is planned (--dry-run) or driven by its
// caller (tests). Interrupts go nowhere: their eventfds keep the count, where a test reads it.

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/accel_none.h"

struct accel_none {
	struct accel a;
	struct irqchip irq;
	uint32_t next_gsi;
};

static int none_route_new(struct irqchip *c, uint32_t *ret_gsi)
{
	*ret_gsi = container_of(c, struct accel_none, irq)->next_gsi++;
	return 0;
}

static void none_route_free(struct irqchip *c, uint32_t gsi)
{
	(void)c;
	(void)gsi;
}

static int none_route_set(struct irqchip *c, uint32_t gsi, const struct msi_msg *msg)
{
	(void)c;
	(void)gsi;
	(void)msg;
	return 0;
}

static int none_route_commit(struct irqchip *c)
{
	(void)c;
	return 0;
}

static int none_bind(struct irqchip *c, uint32_t gsi, int fd)
{
	(void)c;
	(void)gsi;
	(void)fd;
	return 0;
}

static void none_unbind(struct irqchip *c, uint32_t gsi, int fd)
{
	(void)none_bind(c, gsi, fd);
}

static int none_line_bind(struct irqchip *c, uint32_t gsi, int fd, int resample_fd)
{
	(void)resample_fd;
	return none_bind(c, gsi, fd);
}

static int none_line_ended(struct irqchip *c, uint32_t gsi, uint64_t *ret)
{
	(void)c;
	(void)gsi;
	(void)ret;
	return -EOPNOTSUPP;
}

static int none_line_set(struct irqchip *c, uint32_t gsi, bool level)
{
	(void)c;
	(void)gsi;
	(void)level;
	return 0;
}

static int none_msi_send(struct irqchip *c, const struct msi_msg *msg)
{
	return none_route_set(c, 0, msg);
}

static const struct irqchip_ops none_irq_ops = {
	.route_new = none_route_new,
	.route_free = none_route_free,
	.route_set = none_route_set,
	.route_commit = none_route_commit,
	.route_bind = none_bind,
	.route_unbind = none_unbind,
	.line_bind = none_line_bind,
	.line_unbind = none_unbind,
	.line_ended = none_line_ended,
	.line_set = none_line_set,
	.msi_send = none_msi_send,
};

static int none_attach(struct accel *a, const struct accel_machine *m, struct verr *reterr)
{
	(void)a;
	(void)m;
	(void)reterr;
	return 0;
}

static void none_nothing(struct accel *a)
{
	(void)a;
}

static void none_close(struct accel *a)
{
	if (a)
		free(container_of(a, struct accel_none, a));
}

static int none_boot_set(struct accel *a, const struct boot_state *b, struct verr *reterr)
{
	(void)a;
	(void)b;
	(void)reterr;
	return 0;
}

static int none_run(struct accel *a, struct verr *reterr)
{
	(void)a;
	return verr_set(reterr, -EOPNOTSUPP, "accelerator \"none\" runs no guest");
}

static int none_reset(struct accel *a, struct verr *reterr)
{
	(void)a;
	(void)reterr;
	return 0;
}

static int none_doorbell_add(struct accel *a, const struct doorbell *d)
{
	(void)a;
	(void)d;
	return -EOPNOTSUPP;
}

static void none_doorbell_del(struct accel *a, const struct doorbell *d)
{
	(void)a;
	(void)d;
}

static int none_vfio_add(struct accel *a, int fd, struct verr *reterr)
{
	(void)a;
	(void)fd;
	(void)reterr;
	return 0;
}

static void none_vfio_del(struct accel *a, int fd)
{
	(void)a;
	(void)fd;
}

static const struct accel_ops none_ops = {
	.attach = none_attach,
	.detach = none_nothing,
	.close = none_close,
	.boot_set = none_boot_set,
	.run = none_run,
	.pause = none_nothing,
	.reset = none_reset,
	.doorbell_add = none_doorbell_add,
	.doorbell_del = none_doorbell_del,
	.vfio_add = none_vfio_add,
	.vfio_del = none_vfio_del,
};

static int none_open(const void *cfg, struct accel **ret, struct verr *reterr)
{
	struct accel_none *n = calloc(1, sizeof(*n));

	(void)cfg;
	if (!n)
		return verr_set(reterr, -ENOMEM, "out of memory");
	n->irq.ops = &none_irq_ops;
	n->next_gsi = 24;
	n->a.ops = &none_ops;
	n->a.irq = &n->irq;
	n->a.phys_bits = 40;
	n->a.max_vcpus = 255;
	n->a.name = "none";
	snprintf(n->a.detail, sizeof(n->a.detail), "no guest runs");
	*ret = &n->a;
	return 0;
}

const struct accel_type none_accel = {
	.t = { "none", "accelerator", "no guest: plan the machine and print it", NULL, 0 },
	.open = none_open,
};
