// SPDX-License-Identifier: GPL-2.0-or-later
//
// Accelerator type "kvm": its properties, and the wiring of vm, vcpu, kvm_irq, doorbell and
// kvm_vfio to accel_ops. Owns them all. Must not know of machines or devices.
#include "kvm/accel_kvm.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "kvm/cpuid.h"
#include "kvm/doorbell.h"
#include "kvm/kvm_irq.h"
#include "kvm/kvm_vfio.h"
#include "kvm/power_on.h"
#include "kvm/vcpu.h"
#include "kvm/vcpu_x86.h"

struct kvm_accel_cfg {
	int irqchip; /* enum kvm_chip_mode */
};

struct accel_kvm {
	struct accel a;
	enum kvm_chip_mode mode;
	struct kvm_host host;
	struct kvm_vm vm;
	struct kvm_irq irq;
	struct kvm_vcpus vcpus;
	struct kvm_vfio vfio;
	struct kvm_cpuid2 *cpuid;      /* owned; the guest's after attach */
	struct kvm_power_on *power_on; /* owned; NULL until the first reset */
	struct accel_machine machine;  /* as attached */
	bool attached;
	bool used; /* the VM has been attached before */
};

static struct accel_kvm *from_accel(struct accel *a)
{
	return container_of(a, struct accel_kvm, a);
}

static void vm_broken(void *opaque)
{
	struct accel_kvm *k = opaque;
	kvm_vcpus_break(&k->vcpus);
}

/* Interrupt routes and KVM-VFIO stay until close: devices may be undone after the vCPUs are. */
static void op_detach(struct accel *a)
{
	struct accel_kvm *k = from_accel(a);
	kvm_vcpus_close(&k->vcpus);
	gmem_unlisten(&k->vm.listener);
	aspace_unmap(&k->irq.ioapic.region);
	k->attached = false;
}

/* The whole VM at once: taking its slots away one by one first would cost a grace period each. */
static void drop_vm(struct accel_kvm *k)
{
	kvm_vcpus_close(&k->vcpus);
	aspace_unmap(&k->irq.ioapic.region);
	kvm_vfio_fini(&k->vfio);
	kvm_irq_fini(&k->irq);
	kvm_vm_close(&k->vm);
	k->attached = false;
	k->a.irq = NULL;
	k->used = false;
}

static int op_attach(struct accel *a, const struct accel_machine *m, struct verr *reterr)
{
	struct accel_kvm *k = from_accel(a);
	if (m->vcpus < 1 || m->vcpus > a->max_vcpus)
		return verr_set(reterr, -EINVAL, "%u vCPUs: this machine's KVM runs 1 to %u",
				m->vcpus, a->max_vcpus);
	/* A VM has its controllers and vCPUs for life: a second attach needs another VM. */
	if (k->used)
		drop_vm(k);
	if (k->vm.fd < 0) {
		int r = kvm_vm_open(&k->vm, &k->host, k->mode, reterr);
		if (r < 0)
			return r;
	}
	k->vm.broken = vm_broken;
	k->vm.broken_opaque = k;
	kvm_vfio_init(&k->vfio, &k->vm);

	k->vm.vcpus = m->vcpus;
	k->machine = *m;

	int r = kvm_vm_listen(&k->vm, m->ram, reterr);
	if (r == 0)
		r = kvm_x86_cpuid_fit(&k->host, k->cpuid, m->vcpus, reterr);
	if (r == 0)
		r = kvm_irq_init(&k->irq, &k->vm, m->mmio, reterr);
	if (r < 0) {
		drop_vm(k);
		return r;
	}
	a->irq = &k->irq.chip;
	k->attached = true;
	k->used = true;
	return 0;
}

/* The vCPUs, which need the interrupt controllers, which want guest memory to be there first:
 * kvm_vm_chip() says why. So they are made when they get their first registers. */
static int need_vcpus(struct accel_kvm *k, struct verr *reterr)
{
	assert(k->attached);
	if (k->vcpus.v)
		return 0;
	int r = kvm_vm_chip(&k->vm, reterr);
	if (r < 0)
		return r;
	return kvm_vcpus_open(&k->vcpus, &k->vm, &k->irq, &k->machine, k->cpuid, reterr);
}

static void op_close(struct accel *a)
{
	if (!a)
		return;
	struct accel_kvm *k = from_accel(a);
	drop_vm(k);
	kvm_host_close(&k->host);
	kvm_power_on_free(k->power_on);
	free(k->cpuid);
	free(k);
}

static int op_boot_set(struct accel *a, const struct boot_state *b, struct verr *reterr)
{
	struct accel_kvm *k = from_accel(a);
	int r = need_vcpus(k, reterr);
	if (r < 0)
		return r;
	return kvm_x86_boot(k->vcpus.v[0].fd, b, reterr);
}

static int op_run(struct accel *a, struct verr *reterr)
{
	struct accel_kvm *k = from_accel(a);
	int r = need_vcpus(k, reterr);
	if (r < 0)
		return r;
	kvm_vcpus_run(&k->vcpus);
	return 0;
}

static void op_pause(struct accel *a)
{
	struct accel_kvm *k = from_accel(a);
	if (k->vcpus.v)
		kvm_vcpus_pause(&k->vcpus);
}

static int op_reset(struct accel *a, struct verr *reterr)
{
	struct accel_kvm *k = from_accel(a);
	int r = need_vcpus(k, reterr);
	if (r < 0)
		return r;
	if (!k->power_on) {
		r = kvm_power_on_take(&k->host, k->mode, k->cpuid, &k->power_on, reterr);
		if (r < 0)
			return r;
	}
	/* Controllers first: afterwards no interrupt can reach a vCPU that is already clean. */
	kvm_irq_reset(&k->irq);
	r = kvm_power_on_chip(k->power_on, &k->vm, reterr);
	for (unsigned int i = 0; r == 0 && i < k->vcpus.n; i++) {
		int fd = k->vcpus.v[i].fd;
		r = kvm_power_on_vcpu(k->power_on, fd, i, reterr);
		if (r == 0)
			r = kvm_x86_firmware(fd, i, reterr);
		if (r < 0)
			verr_prefix(reterr, r, "reset of vCPU %u", i);
	}
	if (r == 0)
		kvm_vcpus_revive(&k->vcpus);
	return r;
}

static int op_doorbell_add(struct accel *a, const struct doorbell *d)
{
	return kvm_doorbell_add(&from_accel(a)->vm, d);
}

static void op_doorbell_del(struct accel *a, const struct doorbell *d)
{
	kvm_doorbell_del(&from_accel(a)->vm, d);
}

static int op_vfio_add(struct accel *a, int fd, struct verr *reterr)
{
	return kvm_vfio_add(&from_accel(a)->vfio, fd, reterr);
}

static void op_vfio_del(struct accel *a, int fd)
{
	kvm_vfio_del(&from_accel(a)->vfio, fd);
}

static const struct accel_ops kvm_ops = {
	.attach = op_attach,
	.detach = op_detach,
	.close = op_close,
	.boot_set = op_boot_set,
	.run = op_run,
	.pause = op_pause,
	.reset = op_reset,
	.doorbell_add = op_doorbell_add,
	.doorbell_del = op_doorbell_del,
	.vfio_add = op_vfio_add,
	.vfio_del = op_vfio_del,
};

static int kvm_accel_open(const void *cfg, struct accel **ret, struct verr *reterr)
{
	const struct kvm_accel_cfg *c = cfg;
	struct accel_kvm *k = calloc(1, sizeof(*k));
	if (!k)
		return verr_set(reterr, -ENOMEM, "accelerator kvm: out of memory");
	k->mode = c->irqchip == 1 ? KVM_CHIP_SPLIT : KVM_CHIP_ON;
	k->vm.fd = -1;
	k->vfio.fd = -1;
	int r = kvm_host_open(&k->host, k->mode, reterr);
	if (r == 0) /* now, for it tells whether the CPU's virtualization can be had */
		r = kvm_vm_open(&k->vm, &k->host, k->mode, reterr);
	if (r == 0)
		r = kvm_x86_cpuid_new(&k->host, &k->cpuid, reterr);
	if (r < 0) {
		op_close(&k->a);
		return r;
	}
	k->a.ops = &kvm_ops;
	k->a.phys_bits = kvm_cpuid_phys_bits(k->cpuid->entries, k->cpuid->nent);
	k->a.max_vcpus = MIN((unsigned int)k->host.cap[KVM_HAS_MAX_VCPUS], 255u);
	k->a.runs_guests = true;
	k->a.name = "kvm";
	snprintf(k->a.detail, sizeof(k->a.detail), "%s irqchip, API %d, %u-bit physical addresses",
		 k->mode == KVM_CHIP_SPLIT ? "split" : "in-kernel", k->host.api, k->a.phys_bits);
	*ret = &k->a;
	return 0;
}

static const char *const irqchip_choices[] = { "on", "split", NULL };

static const struct prop kvm_props[] = {
	PROP_NAMED("kernel-irqchip", struct kvm_accel_cfg, irqchip, PROP_ENUM, "on",
		   "in the kernel wholly, or all but the IOAPIC (split)",
		   .choices = irqchip_choices),
	PROP_END,
};

const struct accel_type kvm_accel = {
	.t = {
		.name = "kvm",
		.category = "hardware",
		.desc = "Linux KVM",
		.props = kvm_props,
		.cfg_size = sizeof(struct kvm_accel_cfg),
	},
	.open = kvm_accel_open,
};
