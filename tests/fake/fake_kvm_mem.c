// SPDX-License-Identifier: GPL-2.0-or-later
//
// Memory slots and ioeventfds, with the checks of kvm_main.c and eventfd.c.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_kvm_int.h"

static struct fk_slot *slot_by_id(struct fk_vm *vm, uint32_t id)
{
	struct fk_slot *s;
	list_for_each(s, &vm->slots, struct fk_slot, node)
		if (s->r.slot == id)
			return s;
	return NULL;
}

struct fk_slot *fk_kvm_slot_at(struct fk_vm *vm, uint64_t gpa)
{
	struct fk_slot *s;
	list_for_each(s, &vm->slots, struct fk_slot, node)
		if (gpa >= s->r.guest_phys_addr && gpa - s->r.guest_phys_addr < s->r.memory_size)
			return s;
	return NULL;
}

static bool collides(struct fk_vm *vm, const struct kvm_userspace_memory_region *r)
{
	struct fk_slot *s;
	list_for_each(s, &vm->slots, struct fk_slot, node)
		if (s->r.slot != r->slot &&
		    s->r.guest_phys_addr < r->guest_phys_addr + r->memory_size &&
		    r->guest_phys_addr < s->r.guest_phys_addr + s->r.memory_size)
			return true;
	return false;
}

static void check_shown(const struct kvm_userspace_memory_region *r)
{
	const char *bdf;
	if (fk_shows_msix((uintptr_t)r->userspace_addr, r->memory_size, &bdf))
		fk_violation("memory slot at %#llx shows the guest an MSI-X page of %s",
			     (unsigned long long)r->guest_phys_addr, bdf);
	struct fk_map *m = fk_map_at((uintptr_t)r->userspace_addr);
	if (m && m->kind == FK_MAP_BAR && m->zapped)
		fk_violation("memory slot at %#llx put over BAR%u of %s, which does not decode",
			     (unsigned long long)r->guest_phys_addr, m->bar, m->dev->bdf);
}

long fk_kvm_set_memory(struct fk_vm *vm, const struct kvm_userspace_memory_region *r)
{
	const uint32_t flags = KVM_MEM_LOG_DIRTY_PAGES | KVM_MEM_READONLY;
	uint32_t id = r->slot & 0xffff;
	if ((r->flags & ~flags) ||
	    (r->memory_size | r->guest_phys_addr | r->userspace_addr) & (FK_PAGE - 1))
		return -EINVAL;
	/* Address space 1 is SMM's: not offered. */
	if (r->slot >> 16 || id >= fake_kvm()->max_slots ||
	    r->guest_phys_addr + r->memory_size < r->guest_phys_addr)
		return -EINVAL;
	struct fk_slot *old = slot_by_id(vm, id);
	if (r->memory_size == 0) {
		if (!old)
			return -EINVAL;
		list_del(&old->node);
		free(old);
		return 0;
	}
	if (old &&
	    (old->r.memory_size != r->memory_size || old->r.userspace_addr != r->userspace_addr ||
	     (old->r.flags ^ r->flags) & KVM_MEM_READONLY))
		return -EINVAL;
	if (collides(vm, r))
		return -EEXIST;
	check_shown(r);
	if (!old) {
		old = fk_zalloc(sizeof(*old));
		list_add_tail(&vm->slots, &old->node);
	}
	old->r = *r;
	return 0;
}

bool fk_kvm_uses(uintptr_t addr, uint64_t len)
{
	struct fk_vm *vm;
	struct fk_slot *s;
	list_for_each(vm, fk_vms(), struct fk_vm, node)
		list_for_each(s, &vm->slots, struct fk_slot, node)
			if (s->r.userspace_addr < addr + len &&
			    addr < s->r.userspace_addr + s->r.memory_size)
				return true;
	return false;
}

void *fake_kvm_gpa_to_hva(uint64_t gpa)
{
	fk_lock();
	struct fk_vm *vm = fk_vm_latest();
	struct fk_slot *s = vm ? fk_kvm_slot_at(vm, gpa) : NULL;
	void *p =
		s ? (void *)(uintptr_t)(s->r.userspace_addr + (gpa - s->r.guest_phys_addr)) : NULL;
	fk_unlock();
	return p;
}

/* --- ioeventfds --------------------------------------------------------------------------- */

#define MATCH KVM_IOEVENTFD_FLAG_DATAMATCH
#define PIO   KVM_IOEVENTFD_FLAG_PIO

/* Two that could both match one write. */
static bool same_doorbell(const struct kvm_ioeventfd *a, const struct kvm_ioeventfd *b)
{
	if (a->addr != b->addr || ((a->flags ^ b->flags) & PIO))
		return false;
	if (a->len && b->len && a->len != b->len)
		return false;
	if (!a->len || !b->len || !(a->flags & MATCH) || !(b->flags & MATCH))
		return true;
	return a->datamatch == b->datamatch;
}

static long doorbell_del(struct fk_vm *vm, const struct kvm_ioeventfd *a, uint64_t id)
{
	struct fk_ioeventfd *d;
	list_for_each(d, &vm->ioeventfds, struct fk_ioeventfd, node) {
		bool wild = !(d->k.flags & MATCH);
		if (d->k.addr != a->addr || d->k.len != a->len || ((d->k.flags ^ a->flags) & PIO) ||
		    wild != !(a->flags & MATCH) || (!wild && d->k.datamatch != a->datamatch) ||
		    fk_efd_id(fk_efd_fd(d->e)) != id)
			continue;
		fk_efd_put(d->e);
		list_del(&d->node);
		free(d);
		return 0;
	}
	return -ENOENT;
}

long fk_kvm_ioeventfd(struct fk_vm *vm, const struct kvm_ioeventfd *a)
{
	int err;
	bool remove = a->flags & KVM_IOEVENTFD_FLAG_DEASSIGN;
	if (!remove) {
		if (a->len != 0 && a->len != 1 && a->len != 2 && a->len != 4 && a->len != 8)
			return -EINVAL;
		if (a->addr + a->len < a->addr || (a->flags & ~(MATCH | PIO)))
			return -EINVAL;
		if (!a->len && (a->flags & (MATCH | PIO)))
			return -EINVAL;
	}
	struct fk_efd *e = fk_efd_get(a->fd, &err);
	if (!e)
		return err;
	if (remove) {
		long r = doorbell_del(vm, a, fk_efd_id(a->fd));
		fk_efd_put(e);
		return r;
	}
	struct fk_ioeventfd *d;
	list_for_each(d, &vm->ioeventfds, struct fk_ioeventfd, node) {
		if (same_doorbell(&d->k, a)) {
			fk_efd_put(e);
			return -EEXIST;
		}
	}
	d = fk_zalloc(sizeof(*d));
	d->k = *a;
	d->e = e;
	list_add_tail(&vm->ioeventfds, &d->node);
	return 0;
}

struct fk_ioeventfd *fk_kvm_doorbell(struct fk_vm *vm, bool pio, uint64_t addr, unsigned int len,
				     uint64_t val)
{
	struct fk_ioeventfd *d;
	uint64_t mask = len == 8 ? ~UINT64_C(0) : (UINT64_C(1) << 8 * len) - 1;
	list_for_each(d, &vm->ioeventfds, struct fk_ioeventfd, node) {
		if (d->k.addr != addr || !(d->k.flags & PIO) != !pio ||
		    (d->k.len && d->k.len != len))
			continue;
		if (!(d->k.flags & MATCH) || d->k.datamatch == (val & mask))
			return d;
	}
	return NULL;
}

void fk_kvm_mem_free(struct fk_vm *vm)
{
	struct fk_slot *s, *sn;
	list_for_each_safe(s, sn, &vm->slots, struct fk_slot, node) {
		list_del(&s->node);
		free(s);
	}
	struct fk_ioeventfd *d, *dn;
	list_for_each_safe(d, dn, &vm->ioeventfds, struct fk_ioeventfd, node) {
		fk_efd_put(d->e);
		list_del(&d->node);
		free(d);
	}
}
