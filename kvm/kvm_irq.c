// SPDX-License-Identifier: GPL-2.0-or-later
//
// The irqchip of core/irq.h on KVM. Owns the GSI numbers, the routing table and the userspace
// IOAPIC of a split irqchip. Must not know of devices or of who signals the eventfds.
#include "kvm/kvm_irq.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define LOG_TAG "kvm/irq"
#include "core/log.h"
#include "core/sys.h"
#include "core/trace.h"

enum { PIC_PINS = 8 };

struct kvm_route {
	struct msi_msg msg;
	bool used; /* given out, or an IOAPIC pin */
	bool set;  /* has a message */
	unsigned int bound;
};

struct kvm_line {
	uint32_t gsi;
	int fd, resample_fd; /* borrowed */
	bool bound;	     /* the kernel has it */
};

static struct kvm_irq *from_chip(struct irqchip *c)
{
	return container_of(c, struct kvm_irq, chip);
}

static int irqfd(const struct kvm_irq *irq, uint32_t gsi, int fd, int resample_fd, uint32_t flags)
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
	struct kvm_irq *irq = from_chip(c);
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
	struct kvm_irq *irq = from_chip(c);
	struct kvm_route *route = route_at(irq, gsi);
	if (!route)
		return;
	irq->dirty |= route->set;
	*route = (struct kvm_route){ .used = false };
	irq->used--;
}

static void stage(struct kvm_irq *irq, uint32_t gsi, const struct msi_msg *msg)
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
	struct kvm_irq *irq = from_chip(c);
	if (!route_at(irq, gsi))
		return -EINVAL;
	if (!deliverable(irq, msg))
		return -EADDRNOTAVAIL;
	stage(irq, gsi, msg);
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
	struct kvm_irq *irq = from_chip(c);
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
	struct kvm_irq *irq = from_chip(c);
	struct kvm_route *route = route_at(irq, gsi);
	if (!route)
		return -EINVAL;
	int r = irqfd(irq, gsi, fd, -1, 0);
	if (r < 0)
		return r;
	route->bound++;
	sys_event_take(fd); /* delivered already: see kvm_irq.h */
	return 0;
}

static void route_unbind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct kvm_irq *irq = from_chip(c);
	struct kvm_route *route = route_at(irq, gsi);
	if (!route || route->bound == 0)
		return;
	int r = irqfd(irq, gsi, fd, -1, KVM_IRQFD_FLAG_DEASSIGN);
	if (r < 0)
		log_debug("KVM_IRQFD deassign of gsi %u: %s", gsi, strerror(-r));
	route->bound--;
}

static int msi_send(struct irqchip *c, const struct msi_msg *msg)
{
	struct kvm_irq *irq = from_chip(c);
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

/* --- level lines ------------------------------------------------------------------------------ */

/* Mode `on`: the kernel raises the pin, lowers it at EOI and signals resample_fd. Mode `split`:
 * the irqfd is the pin's MSI route, and kvm_irq_eoi() resamples. */
static int line_attach(struct kvm_irq *irq, struct kvm_line *line)
{
	bool resample = irq->vm->mode == KVM_CHIP_ON && line->resample_fd >= 0;
	int r = irqfd(irq, line->gsi, line->fd, line->resample_fd,
		      resample ? KVM_IRQFD_FLAG_RESAMPLE : 0);
	if (r < 0)
		return r;
	line->bound = true;
	sys_event_take(line->fd);
	return 0;
}

static void line_detach(struct kvm_irq *irq, struct kvm_line *line)
{
	if (!line->bound)
		return;
	int r = irqfd(irq, line->gsi, line->fd, -1, KVM_IRQFD_FLAG_DEASSIGN);
	if (r < 0)
		log_debug("KVM_IRQFD deassign of pin %u: %s", line->gsi, strerror(-r));
	line->bound = false;
}

/* Split: is the pin's route live? A masked pin's fds are not bound and gather counts instead. */
static bool pin_open(const struct kvm_irq *irq, uint32_t gsi)
{
	return irq->vm->mode == KVM_CHIP_ON || irq->routes[gsi].bound != 0;
}

static int line_reserve(struct kvm_irq *irq)
{
	if (irq->n_lines < irq->cap_lines)
		return 0;
	unsigned int cap = irq->cap_lines ? irq->cap_lines * 2 : 8;
	struct kvm_line *lines = realloc(irq->lines, cap * sizeof(*lines));
	if (!lines)
		return -ENOMEM;
	irq->lines = lines;
	irq->cap_lines = cap;
	return 0;
}

static int line_bind(struct irqchip *c, uint32_t gsi, int fd, int resample_fd)
{
	struct kvm_irq *irq = from_chip(c);
	if (gsi >= KVM_IOAPIC_PINS)
		return -EINVAL;
	if (irq->vm->mode == KVM_CHIP_ON && resample_fd >= 0 &&
	    !irq->vm->host->cap[KVM_HAS_IRQFD_RESAMPLE])
		return -EOPNOTSUPP;

	struct kvm_line line = { .gsi = gsi, .fd = fd, .resample_fd = resample_fd };
	pthread_mutex_lock(&irq->lines_lock);
	int r = line_reserve(irq);
	if (r == 0)
		irq->lines[irq->n_lines++] = line;
	pthread_mutex_unlock(&irq->lines_lock);
	if (r < 0 || !pin_open(irq, gsi))
		return r;

	/* In the list first: its interrupt may be ended before the attach returns. */
	r = line_attach(irq, &irq->lines[irq->n_lines - 1]);
	if (r < 0) {
		pthread_mutex_lock(&irq->lines_lock);
		irq->n_lines--;
		pthread_mutex_unlock(&irq->lines_lock);
	}
	return r;
}

static void tally_close(struct kvm_irq *irq, uint32_t gsi)
{
	struct kvm_tally *t = &irq->tally[gsi];
	if (t->fd < 0)
		return;
	irqfd(irq, gsi, t->fd, -1, KVM_IRQFD_FLAG_DEASSIGN);
	sys_close_fd(&t->fd);
	sys_close_fd(&t->resample_fd);
}

static int tally_open(struct kvm_irq *irq, uint32_t gsi)
{
	struct kvm_tally *t = &irq->tally[gsi];
	int fd = sys_eventfd(0, EFD_NONBLOCK);
	int resample_fd = sys_eventfd(0, EFD_NONBLOCK);
	int r = MIN(MIN(fd, resample_fd), 0);
	if (r == 0)
		r = irqfd(irq, gsi, fd, resample_fd, KVM_IRQFD_FLAG_RESAMPLE);
	if (r < 0) {
		if (fd >= 0)
			sys_close_fd(&fd);
		if (resample_fd >= 0)
			sys_close_fd(&resample_fd);
		return r;
	}
	*t = (struct kvm_tally){ .fd = fd, .resample_fd = resample_fd };
	return 0;
}

static int line_ended(struct irqchip *c, uint32_t gsi, uint64_t *ret)
{
	struct kvm_irq *irq = from_chip(c);
	if (gsi >= KVM_IOAPIC_PINS)
		return -EINVAL;
	struct kvm_tally *t = &irq->tally[gsi];
	if (irq->vm->mode == KVM_CHIP_ON) {
		int r = t->fd >= 0 ? 0 : tally_open(irq, gsi);
		if (r < 0)
			return r;
		t->ended += sys_event_take(t->resample_fd);
	}
	pthread_mutex_lock(&irq->lines_lock);
	*ret = t->ended;
	pthread_mutex_unlock(&irq->lines_lock);
	return 0;
}

static bool line_used(const struct kvm_irq *irq, uint32_t gsi)
{
	for (unsigned int i = 0; i < irq->n_lines; i++)
		if (irq->lines[i].gsi == gsi)
			return true;
	return false;
}

static void line_unbind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct kvm_irq *irq = from_chip(c);
	for (unsigned int i = 0; i < irq->n_lines; i++) {
		if (irq->lines[i].gsi != gsi || irq->lines[i].fd != fd)
			continue;
		line_detach(irq, &irq->lines[i]);
		pthread_mutex_lock(&irq->lines_lock);
		irq->lines[i] = irq->lines[--irq->n_lines];
		pthread_mutex_unlock(&irq->lines_lock);
		/* The kernel lowers the pin with its last resampling irqfd. */
		if (!line_used(irq, gsi))
			tally_close(irq, gsi);
		return;
	}
}

static int line_set(struct irqchip *c, uint32_t gsi, bool level)
{
	struct kvm_irq *irq = from_chip(c);
	if (gsi >= KVM_IOAPIC_PINS)
		return -EINVAL;
	T(irq_line, gsi, level);
	if (irq->vm->mode == KVM_CHIP_SPLIT) {
		kvm_ioapic_set(&irq->ioapic, gsi, level);
		return 0;
	}
	struct kvm_irq_level l = { .irq = gsi, .level = level };
	int r = kvm_vm_chip(irq->vm, NULL);
	if (r < 0)
		return r;
	do {
		r = sys_ioctl(irq->vm->fd, KVM_IRQ_LINE, &l);
	} while (r == -EINTR);
	return MIN(r, 0);
}

/* --- the split IOAPIC's sink ------------------------------------------------------------------ */

/* What a line gathered while masked may be over: the device is asked to signal again if it is not,
 * as the kernel's own IOAPIC does since Linux 6.3. It is asked as well if the pin's message is new:
 * the end of an interrupt that was in service by the old one may never be told. */
static void line_unmask(struct kvm_irq *irq, struct kvm_line *line, bool rerouted)
{
	bool ask = line->resample_fd >= 0 && !line->bound && sys_event_take(line->fd) != 0;
	int r = line->bound ? 0 : line_attach(irq, line);
	if (r < 0)
		guest_warn("IOAPIC pin %u can't be unmasked: %s", line->gsi, strerror(-r));
	if (ask || (rerouted && line->resample_fd >= 0))
		sys_event_signal(line->resample_fd);
}

/* A route's `bound` says for a pin whether it is unmasked. A masked pin keeps its route: the
 * guest may yet end an interrupt of it. */
static void sink_pin(void *opaque, unsigned int pin, const struct msi_msg *msg)
{
	struct kvm_irq *irq = opaque;
	struct kvm_route *route = &irq->routes[pin];
	bool rerouted =
		msg && route->set && (route->msg.addr != msg->addr || route->msg.data != msg->data);
	route->bound = msg != NULL;
	if (msg) {
		stage(irq, pin, msg);
		int r = route_commit(&irq->chip);
		if (r < 0) { /* as masked: nothing may arrive by the old message */
			guest_warn("IOAPIC pin %u can't be routed: %s", pin, strerror(-r));
			route->bound = 0;
			return;
		}
	}
	for (unsigned int i = 0; i < irq->n_lines; i++) {
		struct kvm_line *line = &irq->lines[i];
		if (line->gsi != pin)
			continue;
		if (!msg)
			line_detach(irq, line);
		else
			line_unmask(irq, line, rerouted);
	}
}

static void sink_send(void *opaque, const struct msi_msg *msg)
{
	struct kvm_irq *irq = opaque;
	msi_send(&irq->chip, msg);
}

static void sink_eoi(void *opaque, unsigned int pin)
{
	struct kvm_irq *irq = opaque;
	pthread_mutex_lock(&irq->lines_lock);
	irq->tally[pin].ended++;
	for (unsigned int i = 0; i < irq->n_lines; i++) {
		if (irq->lines[i].gsi == pin && irq->lines[i].resample_fd >= 0)
			sys_event_signal(irq->lines[i].resample_fd);
	}
	pthread_mutex_unlock(&irq->lines_lock);
}

static const struct kvm_ioapic_sink ioapic_sink = {
	.pin = sink_pin,
	.send = sink_send,
	.eoi = sink_eoi,
};

/* --- life ------------------------------------------------------------------------------------- */

static const struct irqchip_ops chip_ops = {
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

int kvm_irq_init(struct kvm_irq *irq, struct kvm_vm *vm, struct aspace *mmio, struct verr *reterr)
{
	memset(irq, 0, sizeof(*irq));
	irq->chip.ops = &chip_ops;
	irq->vm = vm;
	pthread_mutex_init(&irq->lines_lock, NULL);
	for (unsigned int i = 0; i < KVM_IOAPIC_PINS; i++)
		irq->tally[i].fd = irq->tally[i].resample_fd = -1;
	kvm_ioapic_init(&irq->ioapic, &ioapic_sink, irq);
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
	for (unsigned int i = 0; i < irq->n_lines; i++)
		line_detach(irq, &irq->lines[i]);
	for (unsigned int i = 0; i < KVM_IOAPIC_PINS; i++)
		tally_close(irq, i);
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
