// SPDX-License-Identifier: GPL-2.0-or-later
//
// Level lines on KVM: the pins of the kernel's IOAPIC or of ours (kvm/ioapic.c), bound to eventfds
// or driven from user space, and the count of interrupts that the guest ended. Owns the list of
// bound fds and the counting irqfds. Must not know of devices or of who signals the eventfds.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#define LOG_TAG "kvm/line"
#include "core/log.h"
#include "core/sys.h"
#include "core/trace.h"
#include "kvm/kvm_irq_int.h"

/* Mode `on`: the kernel raises the pin, lowers it at EOI and signals resample_fd. Mode `split`:
 * the irqfd is the pin's MSI route, and kvm_irq_eoi() resamples. */
static int line_attach(struct kvm_irq *irq, struct kvm_line *line)
{
	bool resample = irq->vm->mode == KVM_CHIP_ON && line->resample_fd >= 0;
	int r = kvm_irqfd(irq, line->gsi, line->fd, line->resample_fd,
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
	int r = kvm_irqfd(irq, line->gsi, line->fd, -1, KVM_IRQFD_FLAG_DEASSIGN);
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

int kvm_line_bind(struct irqchip *c, uint32_t gsi, int fd, int resample_fd)
{
	struct kvm_irq *irq = kvm_irq_of(c);
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
	kvm_irqfd(irq, gsi, t->fd, -1, KVM_IRQFD_FLAG_DEASSIGN);
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
		r = kvm_irqfd(irq, gsi, fd, resample_fd, KVM_IRQFD_FLAG_RESAMPLE);
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

int kvm_line_ended(struct irqchip *c, uint32_t gsi, uint64_t *ret)
{
	struct kvm_irq *irq = kvm_irq_of(c);
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

void kvm_line_unbind(struct irqchip *c, uint32_t gsi, int fd)
{
	struct kvm_irq *irq = kvm_irq_of(c);
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

int kvm_line_set(struct irqchip *c, uint32_t gsi, bool level)
{
	struct kvm_irq *irq = kvm_irq_of(c);
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

void kvm_lines_fini(struct kvm_irq *irq)
{
	for (unsigned int i = 0; i < irq->n_lines; i++)
		line_detach(irq, &irq->lines[i]);
	for (unsigned int i = 0; i < KVM_IOAPIC_PINS; i++)
		tally_close(irq, i);
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
		kvm_route_stage(irq, pin, msg);
		int r = irq->chip.ops->route_commit(&irq->chip);
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
	irq->chip.ops->msi_send(&irq->chip, msg);
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

const struct kvm_ioapic_sink kvm_line_sink = {
	.pin = sink_pin,
	.send = sink_send,
	.eoi = sink_eoi,
};
