// SPDX-License-Identifier: GPL-2.0-or-later
//
// The VM: creates it, gives it interrupt controllers, and mirrors guest memory in its slots as a
// gmem listener. Owns the VM fd and the slot numbers. Must not know of vCPUs, routes or devices.
#include "kvm/vm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LOG_TAG "kvm/vm"
#include "core/log.h"
#include "core/sys.h"
#include "core/trace.h"

enum { SLOT_DEL_TRIES = 100 };

static int slot_set(const struct kvm_vm *vm, unsigned int slot, const struct gmem_region *r,
		    bool map)
{
	struct kvm_userspace_memory_region reg = {
		.slot = slot,
		.flags = r->kind == GMEM_ROM ? KVM_MEM_READONLY : 0,
		.guest_phys_addr = r->gpa,
		.memory_size = map ? r->size : 0,
		.userspace_addr = (uint64_t)(uintptr_t)r->hva,
	};
	T(kvm_slot, slot, r->gpa, (uint64_t)reg.memory_size, reg.flags);
	int ret;
	do {
		ret = sys_ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &reg);
	} while (ret == -EINTR);
	return ret;
}

/* Lowest free slot number; grows the array. */
static int slot_take(struct kvm_vm *vm, unsigned int *ret)
{
	for (unsigned int i = 0; i < vm->n_slots; i++) {
		if (!vm->slots[i]) {
			*ret = i;
			return 0;
		}
	}
	unsigned int limit = (unsigned int)vm->host->cap[KVM_HAS_NR_MEMSLOTS];
	if (vm->n_slots >= limit)
		return -ENOSPC;
	unsigned int n = MIN(vm->n_slots ? vm->n_slots * 2 : 16, limit);
	const struct gmem_region **slots = realloc(vm->slots, n * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	memset(slots + vm->n_slots, 0, (n - vm->n_slots) * sizeof(*slots));
	*ret = vm->n_slots;
	vm->slots = slots;
	vm->n_slots = n;
	return 0;
}

static int listener_add(struct gmem_listener *l, const struct gmem_region *r, struct verr *reterr)
{
	struct kvm_vm *vm = container_of(l, struct kvm_vm, listener);
	unsigned int slot;
	int ret = slot_take(vm, &slot);
	if (ret == -ENOSPC)
		return verr_set(reterr, ret,
				"no KVM memory slot is free for %s: this kernel has %d", r->name,
				vm->host->cap[KVM_HAS_NR_MEMSLOTS]);
	if (ret < 0)
		return verr_set(reterr, ret, "memory slot table for %s: %s", r->name,
				strerror(-ret));
	ret = slot_set(vm, slot, r, true);
	if (ret < 0)
		return verr_set(reterr, ret,
				"KVM_SET_USER_MEMORY_REGION for %s (%#llx bytes at %#llx): %s",
				r->name, (unsigned long long)r->size, (unsigned long long)r->gpa,
				strerror(-ret));
	vm->slots[slot] = r;
	return 0;
}

/* Deleting a slot fails only when the kernel is out of memory for a moment, so it is tried again;
 * a slot that stays could be reused by the guest after its owner has given the memory away, so
 * then the guest is stopped for good. */
static void listener_del(struct gmem_listener *l, const struct gmem_region *r)
{
	struct kvm_vm *vm = container_of(l, struct kvm_vm, listener);
	for (unsigned int i = 0; i < vm->n_slots && vm->fd >= 0;
	     i++) { /* gone with its VM if not */
		if (vm->slots[i] != r)
			continue;
		int ret = slot_set(vm, i, r, false);
		for (int t = 0; ret < 0 && t < SLOT_DEL_TRIES; t++) {
			nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
			ret = slot_set(vm, i, r, false);
		}
		if (ret == 0) {
			vm->slots[i] = NULL;
			return;
		}
		log_debug("KVM keeps slot %u (%s): %s", i, r->name, strerror(-ret));
		if (vm->broken)
			vm->broken(vm->broken_opaque);
		return;
	}
}

int kvm_vm_open(struct kvm_vm *vm, const struct kvm_host *host, enum kvm_chip_mode mode,
		struct verr *reterr)
{
	memset(vm, 0, sizeof(*vm));
	vm->host = host;
	vm->mode = mode;
	vm->fd = kvm_call(host->fd, KVM_CREATE_VM, NULL, "KVM_CREATE_VM", NULL);
	if (vm->fd < 0) {
		int r = vm->fd;
		vm->fd = -1;
		if (r == -EBUSY)
			return verr_set(reterr, r,
					"KVM_CREATE_VM: another hypervisor holds the CPU's "
					"virtualization (stop it, for VirtualBox: rmmod vboxdrv)");
		return verr_set(reterr, r, "KVM_CREATE_VM: %s", strerror(-r));
	}
	vm->listener = (struct gmem_listener){
		.name = "kvm",
		.takes = BIT32(GMEM_RAM) | BIT32(GMEM_ROM) | BIT32(GMEM_MMIO),
		.requires_ok = BIT32(GMEM_RAM) | BIT32(GMEM_ROM),
		.add = listener_add,
		.del = listener_del,
	};
	return 0;
}

void kvm_vm_close(struct kvm_vm *vm)
{
	sys_close_fd(&vm->fd);
	gmem_unlisten(&vm->listener);
	free(vm->slots);
	vm->slots = NULL;
	vm->n_slots = 0;
}

int kvm_vm_listen(struct kvm_vm *vm, struct gmem *m, struct verr *reterr)
{
	return gmem_listen(m, &vm->listener, reterr);
}

static int chip_split(struct kvm_vm *vm, struct verr *reterr)
{
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_SPLIT_IRQCHIP,
		.args = { KVM_IOAPIC_PINS }, /* routes that mirror our IOAPIC: EOIs of these exit */
	};
	return kvm_call(vm->fd, KVM_ENABLE_CAP, &cap, "KVM_ENABLE_CAP(KVM_CAP_SPLIT_IRQCHIP)",
			reterr);
}

/* As firmware leaves it. KVM's PIC passes interrupts on before anyone has initialised it, and a
 * guest that was told of no PIC (hardware-reduced ACPI) never masks it: the first one would come
 * in as an exception. */
static int mask_pic(struct kvm_vm *vm, uint32_t chip_id, struct verr *reterr)
{
	struct kvm_irqchip chip = { .chip_id = chip_id };
	int r = KVM_CALL(vm->fd, KVM_GET_IRQCHIP, &chip, reterr);
	if (r < 0)
		return r;
	chip.chip.pic.imr = 0xff;
	return KVM_CALL(vm->fd, KVM_SET_IRQCHIP, &chip, reterr);
}

static int chip_on(struct kvm_vm *vm, struct verr *reterr)
{
	int r = KVM_CALL(vm->fd, KVM_CREATE_IRQCHIP, NULL, reterr);
	if (r == 0)
		r = mask_pic(vm, KVM_IRQCHIP_PIC_MASTER, reterr);
	if (r == 0)
		r = mask_pic(vm, KVM_IRQCHIP_PIC_SLAVE, reterr);
	/* No PIT: ACPI says there is none (hardware-reduced), and making one takes milliseconds. */
	return r;
}

/* APIC id 254 and up: without it KVM takes 0xff for "all" in x2APIC mode as well. */
static int x2apic_api(struct kvm_vm *vm, struct verr *reterr)
{
	if (!vm->host->cap[KVM_HAS_X2APIC_API])
		return verr_set(reterr, -EOPNOTSUPP,
				"%u vCPUs need KVM_CAP_X2APIC_API (Linux 4.8 or later); 254 do not",
				vm->vcpus);
	struct kvm_enable_cap cap = {
		.cap = KVM_CAP_X2APIC_API,
		.args = { KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK },
	};
	int r = kvm_call(vm->fd, KVM_ENABLE_CAP, &cap, "KVM_ENABLE_CAP(KVM_CAP_X2APIC_API)",
			 reterr);
	vm->wide_ids = r == 0;
	return r;
}

static int make_chip(struct kvm_vm *vm, struct verr *reterr)
{
	uint64_t identity = KVM_IDENTITY_GPA;
	int r = KVM_CALL(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity, reterr);
	if (r == 0)
		r = KVM_CALL(vm->fd, KVM_SET_TSS_ADDR, (void *)(uintptr_t)KVM_TSS_GPA, reterr);
	if (r < 0)
		return r;
	r = vm->mode == KVM_CHIP_SPLIT ? chip_split(vm, reterr) : chip_on(vm, reterr);
	if (r == 0 && vm->vcpus > 254)
		r = x2apic_api(vm, reterr);
	return r;
}

int kvm_vm_chip(struct kvm_vm *vm, struct verr *reterr)
{
	if (vm->chip == 0) {
		int r = make_chip(vm, reterr);
		vm->chip = r < 0 ? r : 1;
	}
	if (vm->chip < 0)
		return verr_set(reterr, vm->chip,
				"the VM's interrupt controllers could not be made: %s",
				strerror(-vm->chip));
	return 0;
}
