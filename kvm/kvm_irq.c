// SPDX-License-Identifier: GPL-2.0-or-later
//
// The irqchip of core/irq.h on KVM. Owns the GSI numbers, the routing table and the userspace
// IOAPIC of a split irqchip. Must not know of devices or of who signals the eventfds. Level lines
// are kvm_line.c's.
#include "kvm/kvm_irq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LOG_TAG "kvm/irq"
#include "core/log.h"
#include "core/sys.h"
#include "core/trace.h"
#include "kvm/kvm_irq_int.h"

enum { PIC_PINS = 8 };

int kvm_irqfd(const struct kvm_irq *irq, uint32_t gsi, int fd, int resample_fd, uint32_t flags)
{
	struct kvm_irqfd f = {
		.fd = (uint32_t)fd,
		.gsi = gsi,
		.flags = flags,
		.resamplefd = flags & KVM_IRQFD_FLAG_RESAMPLE ? (uint32_t)resample_fd : 0,
	};
	T(irq_bind, gsi, fd, !(flags & KVM_IRQFD_FLAG_DEASSIGN));
	int r = kvm_vm_chip(irq->vm, NULL);
	if (r < 0)
		return r;
	do {
		r = sys_ioctl(irq->vm->fd, KVM_IRQFD, &f);
	} while (r == -EINTR);
	return MIN(r, 0);
}

/* --- routes ----------------------------------------------------------------------------------- */

/* Entries of the table that are not MSI routes: in mode `on` what the kernel starts with. */
static unsigned int fixed_entries(const struct kvm_irq *irq)
{
	return irq->vm->mode == KVM_CHIP_ON ? KVM_IOAPIC_PINS + 2 * PIC_PINS : KVM_IOAPIC_PINS;
}

static int routes_grow(struct kvm_irq *irq, unsigned int gsi)
{
	if (gsi < irq->n_routes)
		return 0;
	unsigned int n = MAX(gsi + 1, irq->n_routes * 2);
	struct kvm_route *routes = realloc(irq->routes, n * sizeof(*routes));
	if (!routes)
		return -ENOMEM;
	memset(routes + irq->n_routes, 0, (n - irq->n_routes) * sizeof(*routes));
	irq->routes = routes;
	irq->n_routes = n;
	return 0;
}

static int route_new(struct irqchip *c, uint32_t *ret_gsi)
{
	struct kvm_irq *irq = kvm_irq_of(c);
	unsigned int limit = (unsigned int)irq->vm->host->cap[KVM_HAS_IRQ_ROUTING];
	if (fixed_entries(irq) + irq->used >= limit)
		return -ENOSPC;
	unsigned int gsi = KVM_IOAPIC_PINS;
	while (gsi < irq->n_routes && irq->routes[gsi].used)
		gsi++;
	if (gsi >= limit)
		return -ENOSPC;
	int r = routes_grow(irq, gsi);
	if (r < 0)
		return r;
	irq->routes[gsi] = (struct kvm_route){ .used = true };
	irq->used++;
	if (fixed_entries(irq) + irq->used == limit / 4 * 3)
		guest_warn("%u of %u interrupt routes are in use", limit / 4 * 3, limit);
	*ret_gsi = gsi;
	return 0;
}

static struct kvm_route *route_at(struct kvm_irq *irq, uint32_t gsi)
{
	if (gsi < KVM_IOAPIC_PINS || gsi >= irq->n_routes || !irq->routes[gsi].used)
		return NULL;
	return &irq->routes[gsi];
}

static void route_free(struct irqchip *c, uint32_t gsi)
{
	struct kvm_irq *irq = kvm_irq_of(c);
	struct kvm_route *route = route_at(irq, gsi);
	if (!route)
		return;
	irq->dirty |= route->set;
	*route = (struct kvm_route){ .used = false };
	irq->used--;
}

void kvm_route_stage(struct kvm_irq *irq, uint32_t gsi, const struct msi_msg *msg)
{
	struct kvm_route *route = &irq->routes[gsi];
	if (route->set && route->msg.addr == msg->addr && route->msg.data == msg->data)
		return;
	T(irq_route, gsi, msg->addr, msg->data);
	route->msg = *msg;
	route->set = true;
	irq->dirty = true;
}

/* With 32-bit APIC ids (vm.c) KVM takes bits 39:32 of the address as reserved and refuses the whole
 * table for one such entry. Hardware would see a write to memory there, and no interrupt. */
static bool deliverable(const struct kvm_irq *irq, const struct msi_msg *msg)
{
	return !irq->vm->wide_ids || (msg->addr >> 32 & 0xff) == 0;
}

static int route_set(struct irqchip *c, uint32_t gsi, const struct msi_msg *msg)
{
	struct kvm_irq *irq = kvm_irq_of(c);
	if (!route_at(irq, gsi))
		return -EINVAL;
	if (!deliverable(irq, msg))
		return -EADDRNOTAVAIL;
	kvm_route_stage(irq, gsi, msg);
	return 0;
}

static void table_pin(struct kvm_irq_routing *t, uint32_t gsi, uint32_t chip, uint32_t pin)
{
	t->entries[t->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_IRQCHIP,
		.u.irqchip = { .irqchip = chip, .pin = pin },
	};
}

static void table_msi(struct kvm_irq_routing *t, uint32_t gsi, const struct msi_msg *msg)
{
	t->entries[t->nr++] = (struct kvm_irq_routing_entry){
		.gsi = gsi,
		.type = KVM_IRQ_ROUTING_MSI,
		.u.msi = {
			.address_lo = (uint32_t)msg->addr,
			.address_hi = (uint32_t)(msg->addr >> 32),
			.data = msg->data,
		},
	};
}

static int table_fill(struct kvm_irq *irq)
{
	unsigned int need = fixed_entries(irq) + irq->used;
	if (need > irq->table_cap) {
		unsigned int cap = MAX(need, irq->table_cap * 2);
		struct kvm_irq_routing *t = realloc(
			irq->table, sizeof(*t) + cap * sizeof(struct kvm_irq_routing_entry));
		if (!t)
			return -ENOMEM;
		irq->table = t;
		irq->table_cap = cap;
	}
	struct kvm_irq_routing *t = irq->table;
	t->nr = 0;
	t->flags = 0;
	if (irq->vm->mode == KVM_CHIP_ON) {
		for (uint32_t i = 0; i < 2 * PIC_PINS; i++)
			table_pin(t, i, i / PIC_PINS /* KVM_IRQCHIP_PIC_MASTER, _SLAVE */,
				  i % PIC_PINS);
		for (uint32_t i = 0; i < KVM_IOAPIC_PINS; i++)
			table_pin(t, i, KVM_IRQCHIP_IOAPIC, i);
	}
	for (uint32_t i = 0; i < irq->n_routes; i++) {
		if (irq->routes[i].used && irq->routes[i].set)
			table_msi(t, i, &irq->routes[i].msg);
	}
	return 0;
}

static int route_commit(struct irqchip *c)
{
	struct kvm_irq *irq = kvm_irq_of(c);
	if (!irq->dirty)
		return 0;
	int r = table_fill(irq);
	if (r == 0)
		r = kvm_vm_chip(irq->vm, NULL);
	if (r < 0)
		return r;
	do {
		r = sys_ioctl(irq->vm->fd, KVM_SET_GSI_ROUTING, irq->table);
	} while (r == -EINTR);
	if (r < 0)
		return r;
	irq->dirty = false;
	return 0;
}

static int route_bind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct kvm_irq *irq = kvm_irq_of(c);
	struct kvm_route *route = route_at(irq, gsi);
	if (!route)
		return -EINVAL;
	int r = kvm_irqfd(irq, gsi, fd, -1, 0);
	if (r < 0)
		return r;
	route->bound++;
	sys_event_take(fd); /* delivered already: see kvm_irq.h */
	return 0;
}

static void route_unbind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct kvm_irq *irq = kvm_irq_of(c);
	struct kvm_route *route = route_at(irq, gsi);
	if (!route || route->bound == 0)
		return;
	int r = kvm_irqfd(irq, gsi, fd, -1, KVM_IRQFD_FLAG_DEASSIGN);
	if (r < 0)
		log_debug("KVM_IRQFD deassign of gsi %u: %s", gsi, strerror(-r));
	route->bound--;
}

static int msi_send(struct irqchip *c, const struct msi_msg *msg)
{
	struct kvm_irq *irq = kvm_irq_of(c);
	struct kvm_msi m = {
		.address_lo = (uint32_t)msg->addr,
		.address_hi = (uint32_t)(msg->addr >> 32),
		.data = msg->data,
	};
	int r = kvm_vm_chip(irq->vm, NULL);
	if (r < 0)
		return r;
	do {
		r = sys_ioctl(irq->vm->fd, KVM_SIGNAL_MSI, &m);
	} while (r == -EINTR);
	return MIN(r, 0); /* 1: delivered, 0: the guest blocks it */
}

/* --- life ------------------------------------------------------------------------------------- */

static const struct irqchip_ops chip_ops = {
	.route_new = route_new,
	.route_free = route_free,
	.route_set = route_set,
	.route_commit = route_commit,
	.route_bind = route_bind,
	.route_unbind = route_unbind,
	.line_bind = kvm_line_bind,
	.line_unbind = kvm_line_unbind,
	.line_ended = kvm_line_ended,
	.line_set = kvm_line_set,
	.msi_send = msi_send,
};

int kvm_irq_init(struct kvm_irq *irq, struct kvm_vm *vm, struct aspace *mmio, struct verr *reterr)
{
	memset(irq, 0, sizeof(*irq));
	irq->chip.ops = &chip_ops;
	irq->vm = vm;
	pthread_mutex_init(&irq->lines_lock, NULL);
	for (unsigned int i = 0; i < KVM_IOAPIC_PINS; i++)
		irq->tally[i].fd = irq->tally[i].resample_fd = -1;
	kvm_ioapic_init(&irq->ioapic, &kvm_line_sink, irq);
	int r = routes_grow(irq, KVM_IOAPIC_PINS - 1);
	if (r < 0) {
		verr_set(reterr, r, "interrupt routes: out of memory");
		goto fail;
	}
	for (unsigned int i = 0; i < KVM_IOAPIC_PINS; i++)
		irq->routes[i].used = vm->mode == KVM_CHIP_SPLIT;
	if (vm->mode == KVM_CHIP_SPLIT) {
		r = kvm_ioapic_map(&irq->ioapic, mmio, reterr);
		if (r < 0)
			goto fail;
	}
	return 0;
fail:
	kvm_irq_fini(irq);
	return r;
}

void kvm_irq_fini(struct kvm_irq *irq)
{
	if (!irq->vm)
		return;
	kvm_lines_fini(irq);
	kvm_ioapic_fini(&irq->ioapic);
	pthread_mutex_destroy(&irq->lines_lock);
	free(irq->routes);
	free(irq->lines);
	free(irq->table);
	memset(irq, 0, sizeof(*irq));
}

void kvm_irq_eoi(struct kvm_irq *irq, uint8_t vector)
{
	kvm_ioapic_eoi(&irq->ioapic, vector);
}

void kvm_irq_reset(struct kvm_irq *irq)
{
	if (irq->vm->mode == KVM_CHIP_SPLIT)
		kvm_ioapic_reset(&irq->ioapic);
}
