// SPDX-License-Identifier: GPL-2.0-or-later
//
// GSI routing, irqfds with and without resampling, pins, MSI messages, the KVM-VFIO device
// (virt/kvm/eventfd.c, irqchip.c, vfio.c are the model). Owns the record of what the guest got.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_kvm_int.h"

#define MSIS_MAX 100000

static struct fake_msi *msis;
static unsigned int n_msis, route_updates;

/* --- delivery ----------------------------------------------------------------------------- */

static void deliver_msi(uint64_t addr, uint32_t data)
{
	if (!msis)
		msis = fk_zalloc(MSIS_MAX * sizeof(*msis));
	if (n_msis < MSIS_MAX)
		msis[n_msis++] = (struct fake_msi){ addr, data };
}

static bool pin_level(const struct fk_pin *p)
{
	return p->user || p->resampler;
}

static void pin_set(struct fk_pin *p, bool *source, bool level)
{
	bool was = pin_level(p);
	*source = level;
	if (!was && pin_level(p))
		p->edges++;
}

static const struct kvm_irq_routing_entry *route_of(const struct fk_vm *vm, uint32_t gsi)
{
	for (unsigned int i = 0; i < vm->n_routes; i++)
		if (vm->routes[i].gsi == gsi)
			return &vm->routes[i];
	return NULL;
}

static void irqfd_inject(struct fk_irqfd *q)
{
	const struct kvm_irq_routing_entry *e = route_of(q->vm, q->gsi);
	if (q->resample && q->gsi < FK_PINS) {
		pin_set(&q->vm->pins[q->gsi], &q->vm->pins[q->gsi].resampler, true);
	} else if (!e) {
		fk_violation(
			"an irqfd was signalled on GSI %u, which has no route: the interrupt is lost",
			q->gsi);
	} else if (e->type == KVM_IRQ_ROUTING_MSI) {
		deliver_msi((uint64_t)e->u.msi.address_hi << 32 | e->u.msi.address_lo,
			    e->u.msi.data);
	} else if (q->gsi < FK_PINS) {
		q->vm->pins[q->gsi].edges++; /* up and down again */
	}
}

static void irqfd_signalled(struct fk_waiter *w)
{
	irqfd_inject(container_of(w, struct fk_irqfd, w));
}

/* --- routing ------------------------------------------------------------------------------ */

static bool valid_route(const struct fk_vm *vm, const struct kvm_irq_routing_entry *e)
{
	if (e->gsi >= fake_kvm()->max_routes)
		return false;
	if (e->type == KVM_IRQ_ROUTING_MSI)
		return !(e->flags & ~(uint32_t)KVM_MSI_VALID_DEVID) && !e->flags &&
		       !(vm->x2apic_format && (e->u.msi.address_hi & 0xff));
	if (e->type == KVM_IRQ_ROUTING_IRQCHIP)
		return vm->irqchip == FK_IRQCHIP_FULL && !e->flags && e->u.irqchip.irqchip < 3 &&
		       e->u.irqchip.pin <
			       (e->u.irqchip.irqchip == KVM_IRQCHIP_IOAPIC ? FK_PINS : 8u);
	return false;
}

/* One MSI route per GSI; irqchip routes of one GSI must be on different chips. */
static bool clashes(const struct kvm_irq_routing_entry *a, const struct kvm_irq_routing_entry *b)
{
	return a->gsi == b->gsi &&
	       (a->type != KVM_IRQ_ROUTING_IRQCHIP || b->type != KVM_IRQ_ROUTING_IRQCHIP ||
		a->u.irqchip.irqchip == b->u.irqchip.irqchip);
}

long fk_kvm_set_routing(struct fk_vm *vm, const struct kvm_irq_routing *a)
{
	if (vm->irqchip == FK_IRQCHIP_NONE || a->nr > fake_kvm()->max_routes || a->flags)
		return -EINVAL;
	/* One slot per GSI: sees clashes without comparing all pairs. */
	const struct kvm_irq_routing_entry **seen =
		fk_zalloc(fake_kvm()->max_routes * sizeof(*seen));
	long r = 0;
	for (uint32_t i = 0; i < a->nr && r == 0; i++) {
		const struct kvm_irq_routing_entry *e = &a->entries[i];
		if (!valid_route(vm, e) || (seen[e->gsi] && clashes(seen[e->gsi], e)))
			r = -EINVAL;
		else
			seen[e->gsi] = e;
	}
	free(seen);
	if (r < 0)
		return r;
	free(vm->routes);
	vm->routes = fk_zalloc(a->nr * sizeof(*vm->routes));
	memcpy(vm->routes, a->entries, a->nr * sizeof(*vm->routes));
	vm->n_routes = a->nr;
	route_updates++;
	return 0;
}

void fk_kvm_default_routes(struct fk_vm *vm)
{
	free(vm->routes);
	vm->routes = fk_zalloc(40 * sizeof(*vm->routes));
	unsigned int n = 0;
	for (uint32_t gsi = 0; gsi < FK_PINS; gsi++) {
		if (gsi < 16)
			vm->routes[n++] = (struct kvm_irq_routing_entry){
				.gsi = gsi,
				.type = KVM_IRQ_ROUTING_IRQCHIP,
				.u.irqchip = { gsi < 8 ? KVM_IRQCHIP_PIC_MASTER
						       : KVM_IRQCHIP_PIC_SLAVE,
					       gsi % 8 }
			};
		vm->routes[n++] =
			(struct kvm_irq_routing_entry){ .gsi = gsi,
							.type = KVM_IRQ_ROUTING_IRQCHIP,
							.u.irqchip = { KVM_IRQCHIP_IOAPIC, gsi } };
	}
	vm->n_routes = n;
}

/* --- irqfd -------------------------------------------------------------------------------- */

static void irqfd_free(struct fk_irqfd *q)
{
	list_del(&q->node);
	/* The last resampler on the pin takes its level with it. */
	bool last = q->resample && q->gsi < FK_PINS;
	struct fk_irqfd *o;
	list_for_each(o, &q->vm->irqfds, struct fk_irqfd, node)
		last &= !o->resample || o->gsi != q->gsi;
	if (last)
		q->vm->pins[q->gsi].resampler = false;
	fk_waiter_del(&q->w);
	fk_efd_put(q->resample);
	free(q);
}

static long irqfd_deassign(struct fk_vm *vm, const struct kvm_irqfd *a, struct fk_efd *e)
{
	struct fk_irqfd *q, *next;
	list_for_each_safe(q, next, &vm->irqfds, struct fk_irqfd, node)
		if (q->w.e == e && q->gsi == a->gsi)
			irqfd_free(q);
	fk_efd_put(e);
	return 0;
}

static long irqfd_assign(struct fk_vm *vm, const struct kvm_irqfd *a, struct fk_efd *e,
			 struct fk_efd *resample)
{
	struct fk_irqfd *q;
	list_for_each(q, &vm->irqfds, struct fk_irqfd, node)
		if (q->w.e == e)
			return -EBUSY;
	q = fk_zalloc(sizeof(*q));
	q->vm = vm;
	q->gsi = a->gsi;
	q->resample = resample;
	q->w.fn = irqfd_signalled;
	list_add_tail(&vm->irqfds, &q->node);
	fk_waiter_add(&q->w, e);
	/* A count from before is one interrupt. The counter itself stays, as in Linux: the next
	 * signal takes it along. */
	if (fk_efd_pending(e)) {
		fk_efd_seen(e, fake_kvm()->irqfd_consumes_at_bind);
		irqfd_inject(q);
	}
	return 0;
}

long fk_kvm_irqfd(struct fk_vm *vm, const struct kvm_irqfd *a)
{
	const uint32_t flags = KVM_IRQFD_FLAG_DEASSIGN | KVM_IRQFD_FLAG_RESAMPLE;
	int err;
	if ((a->flags & ~flags) || a->gsi >= fake_kvm()->max_routes)
		return -EINVAL;
	if (a->flags & KVM_IRQFD_FLAG_DEASSIGN) {
		struct fk_efd *e = fk_efd_get((int)a->fd, &err);
		return e ? irqfd_deassign(vm, a, e) : err;
	}
	if (vm->irqchip == FK_IRQCHIP_NONE)
		return -EINVAL;
	bool resample = a->flags & KVM_IRQFD_FLAG_RESAMPLE;
	if (resample && vm->irqchip != FK_IRQCHIP_FULL)
		return -EINVAL;
	struct fk_efd *e = fk_efd_get((int)a->fd, &err);
	if (!e)
		return err;
	struct fk_efd *re = NULL;
	if (resample && !(re = fk_efd_get((int)a->resamplefd, &err))) {
		fk_efd_put(e);
		return err;
	}
	long r = irqfd_assign(vm, a, e, re);
	if (r < 0) {
		fk_efd_put(e);
		fk_efd_put(re);
	}
	return r;
}

void fk_kvm_irqfds_free(struct fk_vm *vm)
{
	struct fk_irqfd *q, *next;
	list_for_each_safe(q, next, &vm->irqfds, struct fk_irqfd, node)
		irqfd_free(q);
}

/* --- pins and messages -------------------------------------------------------------------- */

long fk_kvm_irq_line(struct fk_vm *vm, struct kvm_irq_level *a, bool status)
{
	if (vm->irqchip == FK_IRQCHIP_NONE)
		return -ENXIO;
	uint32_t gsi = a->irq;
	if (gsi < FK_PINS)
		pin_set(&vm->pins[gsi], &vm->pins[gsi].user, a->level);
	if (status)
		a->status = 1;
	return 0;
}

long fk_kvm_signal_msi(struct fk_vm *vm, const struct kvm_msi *a)
{
	if (vm->irqchip == FK_IRQCHIP_NONE || a->flags ||
	    (vm->x2apic_format && (a->address_hi & 0xff)))
		return -EINVAL;
	deliver_msi((uint64_t)a->address_hi << 32 | a->address_lo, a->data);
	return 1;
}

void fake_kvm_eoi(uint32_t gsi)
{
	fk_lock();
	struct fk_vm *vm = fk_vm_latest();
	if (vm && gsi < FK_PINS) { /* whoever raised the pin */
		vm->pins[gsi].resampler = false;
		struct fk_irqfd *q, *next;
		list_for_each_safe(q, next, &vm->irqfds, struct fk_irqfd, node)
			if (q->gsi == gsi && q->resample)
				fk_efd_signal(q->resample);
	}
	fk_unlock();
}

bool fake_kvm_line(uint32_t gsi)
{
	fk_lock();
	fk_efd_pump_all();
	struct fk_vm *vm = fk_vm_latest();
	bool r = vm && gsi < FK_PINS && pin_level(&vm->pins[gsi]);
	fk_unlock();
	return r;
}

unsigned int fake_kvm_line_edges(uint32_t gsi)
{
	fk_lock();
	fk_efd_pump_all();
	struct fk_vm *vm = fk_vm_latest();
	unsigned int r = vm && gsi < FK_PINS ? vm->pins[gsi].edges : 0;
	fk_unlock();
	return r;
}

unsigned int fake_kvm_msis(void)
{
	fk_lock();
	fk_efd_pump_all();
	unsigned int n = n_msis;
	fk_unlock();
	return n;
}

bool fake_kvm_msi(unsigned int nth, struct fake_msi *ret)
{
	bool there = nth < fake_kvm_msis();
	if (there)
		*ret = msis[nth];
	return there;
}

unsigned int fake_kvm_msi_count(uint32_t data)
{
	unsigned int n = 0, all = fake_kvm_msis();
	for (unsigned int i = 0; i < all; i++)
		n += msis[i].data == data;
	return n;
}

void fake_kvm_msis_clear(void)
{
	fk_lock();
	fk_efd_pump_all();
	n_msis = 0;
	fk_unlock();
}

unsigned int fake_kvm_route_updates(void)
{
	return route_updates;
}

void fk_kvm_irq_reset(void)
{
	n_msis = 0;
	route_updates = 0;
}

/* --- KVM-VFIO ----------------------------------------------------------------------------- */

static long vfio_file(struct fk_vm *vm, const struct kvm_device_attr *a)
{
	int fd;
	memcpy(&fd, (const void *)(uintptr_t)a->addr, sizeof(fd));
	const struct fk_file *f = fk_file(fd);
	if (!f)
		return -EBADF;
	if (f->kind != FK_GROUP)
		return -EINVAL;
	unsigned int i = 0;
	while (i < vm->n_vfio && vm->vfio_objs[i] != f->obj)
		i++;
	if (a->attr == KVM_DEV_VFIO_GROUP_ADD) {
		if (i < vm->n_vfio)
			return -EEXIST;
		if (i == ARRAY_SIZE(vm->vfio_objs))
			fk_bug("more than %zu files in KVM-VFIO", ARRAY_SIZE(vm->vfio_objs));
		/* KVM keeps the file, so the group stays open with it. */
		((struct fk_group *)f->obj)->opens++;
		vm->vfio_objs[vm->n_vfio++] = f->obj;
		return 0;
	}
	if (i == vm->n_vfio)
		return -ENOENT;
	vm->vfio_objs[i] = vm->vfio_objs[--vm->n_vfio];
	fk_group_put(f->obj);
	return 0;
}

static long kvmdev_ioctl(struct fk_file *f, unsigned long req, void *arg)
{
	const struct kvm_device_attr *a = arg;
	bool known = (req == KVM_SET_DEVICE_ATTR || req == KVM_HAS_DEVICE_ATTR) &&
		     a->group == KVM_DEV_VFIO_GROUP &&
		     (a->attr == KVM_DEV_VFIO_GROUP_ADD || a->attr == KVM_DEV_VFIO_GROUP_DEL);
	if (req != KVM_SET_DEVICE_ATTR && req != KVM_HAS_DEVICE_ATTR)
		return -ENOTTY;
	if (!known)
		return -ENXIO;
	return req == KVM_HAS_DEVICE_ATTR ? 0 : vfio_file(f->obj, a);
}

/* The device object lives as long as the VM; only its fd goes. */
static void kvmdev_release(struct fk_file *f)
{
	fk_vm_put(f->obj);
}

static const struct fk_fops kvmdev_fops = { .ioctl = kvmdev_ioctl, .release = kvmdev_release };

long fk_kvm_create_device(struct fk_vm *vm, struct kvm_create_device *a)
{
	if (a->type != KVM_DEV_TYPE_VFIO)
		return -ENODEV;
	if (a->flags & KVM_CREATE_DEVICE_TEST)
		return 0;
	if (vm->has_vfio)
		return -EBUSY;
	int fd = fk_install(FK_KVMDEV, &kvmdev_fops, vm, "kvm-vfio");
	if (fd < 0)
		return fd;
	vm->refs++;
	vm->has_vfio = true;
	a->fd = (uint32_t)fd;
	return 0;
}
