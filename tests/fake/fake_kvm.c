// SPDX-License-Identifier: GPL-2.0-or-later
//
// /dev/kvm and VMs: capabilities, creation order, the VM's ioctls handed to their files. Owns the
// list of VMs.
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/fake/fake_kvm_int.h"

#define OVERRIDES 32

static struct fake_kvm_cfg cfg;
static struct list vms = { &vms, &vms };
static struct {
	unsigned int cap;
	int value;
} overrides[OVERRIDES];
static unsigned int n_overrides;

// clang-format off
static const struct {
	unsigned int cap;
	int value;
} caps[] = {
	{ KVM_CAP_IRQCHIP, 1 }, { KVM_CAP_HLT, 1 }, { KVM_CAP_USER_MEMORY, 1 },
	{ KVM_CAP_SET_TSS_ADDR, 1 }, { KVM_CAP_EXT_CPUID, 1 }, { KVM_CAP_CLOCKSOURCE, 1 },
	{ KVM_CAP_NR_VCPUS, 8 }, { KVM_CAP_NOP_IO_DELAY, 1 }, { KVM_CAP_MP_STATE, 1 },
	{ KVM_CAP_SYNC_MMU, 1 }, { KVM_CAP_DESTROY_MEMORY_REGION_WORKS, 1 },
	{ KVM_CAP_USER_NMI, 1 }, { KVM_CAP_IRQ_ROUTING, 4096 }, { KVM_CAP_IRQ_INJECT_STATUS, 1 },
	{ KVM_CAP_JOIN_MEMORY_REGIONS_WORKS, 1 }, { KVM_CAP_IRQFD, 1 }, { KVM_CAP_PIT2, 1 },
	{ KVM_CAP_PIT_STATE2, 1 }, { KVM_CAP_IOEVENTFD, 1 }, { KVM_CAP_SET_IDENTITY_MAP_ADDR, 1 },
	{ KVM_CAP_ADJUST_CLOCK, 1 }, { KVM_CAP_INTERNAL_ERROR_DATA, 1 }, { KVM_CAP_VCPU_EVENTS, 1 },
	{ KVM_CAP_DEBUGREGS, 1 }, { KVM_CAP_XSAVE, 1 }, { KVM_CAP_XCRS, 1 },
	{ KVM_CAP_TSC_CONTROL, 1 }, { KVM_CAP_GET_TSC_KHZ, 1 }, { KVM_CAP_TSC_DEADLINE_TIMER, 1 },
	{ KVM_CAP_KVMCLOCK_CTRL, 1 }, { KVM_CAP_SIGNAL_MSI, 1 }, { KVM_CAP_READONLY_MEM, 1 },
	{ KVM_CAP_IRQFD_RESAMPLE, 1 }, { KVM_CAP_DEVICE_CTRL, 1 }, { KVM_CAP_ENABLE_CAP_VM, 1 },
	{ KVM_CAP_CHECK_EXTENSION_VM, 1 }, { KVM_CAP_SPLIT_IRQCHIP, 1 },
	{ KVM_CAP_IOEVENTFD_ANY_LENGTH, 1 }, { KVM_CAP_IOEVENTFD_NO_LENGTH, 1 },
	{ KVM_CAP_X2APIC_API, 3 }, { KVM_CAP_MAX_VCPU_ID, 4096 }, { KVM_CAP_IMMEDIATE_EXIT, 1 },
	{ KVM_CAP_X86_DISABLE_EXITS, 15 }, { KVM_CAP_GET_MSR_FEATURES, 1 },
	{ KVM_CAP_EXCEPTION_PAYLOAD, 1 }, { KVM_CAP_X86_USER_SPACE_MSR, 7 },
	{ KVM_CAP_MSR_PLATFORM_INFO, 1 }, { KVM_CAP_XSAVE2, 4096 },
};
// clang-format on

struct list *fk_vms(void)
{
	return &vms;
}

struct fk_vm *fk_vm_latest(void)
{
	return list_empty(&vms) ? NULL : container_of(vms.prev, struct fk_vm, node);
}

struct fake_kvm_cfg *fake_kvm(void)
{
	return &cfg;
}

int fk_kvm_cap(unsigned int cap)
{
	for (unsigned int i = 0; i < n_overrides; i++)
		if (overrides[i].cap == cap)
			return overrides[i].value;
	if (cap == KVM_CAP_NR_MEMSLOTS)
		return (int)cfg.max_slots;
	if (cap == KVM_CAP_MAX_VCPUS)
		return (int)cfg.max_vcpus;
	for (unsigned int i = 0; i < ARRAY_SIZE(caps); i++)
		if (caps[i].cap == cap)
			return caps[i].value;
	return 0;
}

void fake_kvm_set_cap(unsigned int cap, int value)
{
	fk_lock();
	unsigned int i = 0;
	while (i < n_overrides && overrides[i].cap != cap)
		i++;
	if (i == OVERRIDES)
		fk_bug("more than %d capabilities altered", OVERRIDES);
	n_overrides = MAX(n_overrides, i + 1);
	overrides[i].cap = cap;
	overrides[i].value = value;
	fk_unlock();
}

/* --- VM life ------------------------------------------------------------------------------ */

void fk_vm_put(struct fk_vm *vm)
{
	if (--vm->refs)
		return;
	for (unsigned int i = 0; i < FK_VCPUS; i++)
		fk_kvm_vcpu_free(vm->vcpus[i]);
	fk_kvm_irqfds_free(vm);
	fk_kvm_mem_free(vm);
	while (vm->n_vfio)
		fk_group_put(vm->vfio_objs[--vm->n_vfio]);
	free(vm->routes);
	list_del(&vm->node);
	free(vm);
}

static void vm_release(struct fk_file *f)
{
	struct fk_vm *vm = f->obj;
	vm->open = false;
	/* As the kernel does: irqfds go with the VM fd even while vCPU fds are open. */
	fk_kvm_irqfds_free(vm);
	fk_vm_put(vm);
}

static long create_irqchip(struct fk_vm *vm, enum fk_irqchip kind)
{
	if (vm->irqchip != FK_IRQCHIP_NONE)
		return -EEXIST;
	if (vm->n_vcpus)
		return kind == FK_IRQCHIP_FULL ? -EINVAL : -EEXIST;
	vm->irqchip = kind;
	if (kind == FK_IRQCHIP_FULL)
		fk_kvm_default_routes(vm);
	return 0;
}

static long enable_cap(struct fk_vm *vm, const struct kvm_enable_cap *a)
{
	if (a->flags)
		return -EINVAL;
	if (fk_kvm_cap(a->cap) == 0)
		return -EINVAL;
	if (a->cap == KVM_CAP_SPLIT_IRQCHIP)
		return a->args[0] > FK_PINS * 4u ? -EINVAL : create_irqchip(vm, FK_IRQCHIP_SPLIT);
	if (a->cap == KVM_CAP_X2APIC_API) {
		if (a->args[0] & ~3ull)
			return -EINVAL;
		vm->x2apic_format |= a->args[0] & KVM_X2APIC_API_USE_32BIT_IDS;
		return 0;
	}
	return 0;
}

static long create_pit(struct fk_vm *vm)
{
	if (vm->pit)
		return -EEXIST;
	if (vm->irqchip != FK_IRQCHIP_FULL)
		return -ENOENT;
	vm->pit = true;
	return 0;
}

static long vm_ioctl(struct fk_file *f, unsigned long req, void *arg)
{
	struct fk_vm *vm = f->obj;
	switch (req) {
	case KVM_CHECK_EXTENSION:
		return fk_kvm_cap((unsigned int)(uintptr_t)arg);
	case KVM_CREATE_VCPU:
		return fk_kvm_create_vcpu(vm, (unsigned long)arg);
	case KVM_SET_USER_MEMORY_REGION:
		return fk_kvm_set_memory(vm, arg);
	case KVM_CREATE_IRQCHIP:
		return create_irqchip(vm, FK_IRQCHIP_FULL);
	case KVM_CREATE_PIT2:
		return create_pit(vm);
	case KVM_ENABLE_CAP:
		return enable_cap(vm, arg);
	case KVM_SET_TSS_ADDR:
		return (uintptr_t)arg > UINT32_MAX - 3 * FK_PAGE + 1 ? -EINVAL : 0;
	case KVM_SET_IDENTITY_MAP_ADDR:
		return vm->n_vcpus ? -EINVAL : 0;
	case KVM_SET_BOOT_CPU_ID:
		return vm->n_vcpus ? -EBUSY : 0;
	case KVM_SET_GSI_ROUTING:
		return fk_kvm_set_routing(vm, arg);
	case KVM_IRQFD:
		return fk_kvm_irqfd(vm, arg);
	case KVM_IRQ_LINE:
		return fk_kvm_irq_line(vm, arg, false);
	case KVM_IRQ_LINE_STATUS:
		return fk_kvm_irq_line(vm, arg, true);
	case KVM_SIGNAL_MSI:
		return fk_kvm_signal_msi(vm, arg);
	case KVM_IOEVENTFD:
		return fk_kvm_ioeventfd(vm, arg);
	case KVM_CREATE_DEVICE:
		return fk_kvm_create_device(vm, arg);
	case KVM_GET_IRQCHIP:
	case KVM_SET_IRQCHIP:
		return vm->irqchip == FK_IRQCHIP_FULL ? 0 : -ENXIO;
	case KVM_GET_PIT2:
	case KVM_SET_PIT2:
		return vm->pit ? 0 : -ENXIO;
	case KVM_GET_CLOCK:
		memset(arg, 0, sizeof(struct kvm_clock_data));
		return 0;
	case KVM_SET_CLOCK:
	case KVM_SET_TSC_KHZ:
		return 0;
	case KVM_GET_TSC_KHZ:
		return 2000000;
	default:
		return -ENOTTY;
	}
}

static const struct fk_fops vm_fops = { .ioctl = vm_ioctl, .release = vm_release };

static long create_vm(unsigned long type)
{
	if (type != 0)
		return -EINVAL;
	struct fk_vm *vm = fk_zalloc(sizeof(*vm));
	int fd = fk_install(FK_VM, &vm_fops, vm, "kvm-vm");
	if (fd < 0) {
		free(vm);
		return fd;
	}
	vm->refs = 1;
	vm->open = true;
	list_init(&vm->slots);
	list_init(&vm->irqfds);
	list_init(&vm->ioeventfds);
	list_add_tail(&vms, &vm->node);
	return fd;
}

/* --- /dev/kvm ----------------------------------------------------------------------------- */

static long kvm_ioctl(struct fk_file *f, unsigned long req, void *arg)
{
	(void)f;
	switch (req) {
	case KVM_GET_API_VERSION:
		return cfg.api_version;
	case KVM_CREATE_VM:
		return create_vm((unsigned long)arg);
	case KVM_CHECK_EXTENSION:
		return fk_kvm_cap((unsigned int)(uintptr_t)arg);
	case KVM_GET_VCPU_MMAP_SIZE:
		return FK_RUN_SIZE;
	case KVM_GET_SUPPORTED_CPUID:
		return fk_kvm_supported_cpuid(arg);
	case KVM_GET_MSR_INDEX_LIST:
		return fk_kvm_msr_list(arg);
	default:
		return -ENOTTY;
	}
}

static const struct fk_fops kvm_fops = { .ioctl = kvm_ioctl };

int fk_kvm_open(void *opaque, const char *path, int flags)
{
	(void)opaque;
	(void)flags;
	if (!cfg.present)
		return -ENOENT;
	return fk_install(FK_KVM, &kvm_fops, NULL, "%s", path);
}

/* --- waiting ------------------------------------------------------------------------------ */

static pthread_mutex_t wait_mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wait_cond = PTHREAD_COND_INITIALIZER;
static unsigned int generation;

void fk_kvm_changed(void)
{
	pthread_mutex_lock(&wait_mutex);
	generation++;
	pthread_cond_broadcast(&wait_cond);
	pthread_mutex_unlock(&wait_mutex);
}

bool fk_kvm_wait(const struct timespec *deadline)
{
	pthread_mutex_lock(&wait_mutex);
	unsigned int seen = generation;
	int held = fk_unlock_all();
	int r = 0;
	while (seen == generation && r == 0)
		r = pthread_cond_timedwait(&wait_cond, &wait_mutex, deadline);
	bool changed = seen != generation;
	pthread_mutex_unlock(&wait_mutex);
	fk_relock(held);
	return changed;
}

/* --- counting ----------------------------------------------------------------------------- */

static unsigned int list_count(const struct list *l)
{
	unsigned int n = 0;
	for (const struct list *p = l->next; p != l; p = p->next)
		n++;
	return n;
}

#define SUM(expr)                                                                                  \
	({                                                                                         \
		unsigned int n_ = 0;                                                               \
		struct fk_vm *vm;                                                                  \
		fk_lock();                                                                         \
		list_for_each(vm, &vms, struct fk_vm, node)                                        \
			n_ += (expr);                                                              \
		fk_unlock();                                                                       \
		n_;                                                                                \
	})

unsigned int fake_kvm_vms(void)
{
	return SUM(vm->open);
}

unsigned int fake_kvm_slots(void)
{
	return SUM(list_count(&vm->slots));
}

unsigned int fake_kvm_irqfds(void)
{
	return SUM(list_count(&vm->irqfds));
}

unsigned int fake_kvm_ioeventfds(void)
{
	return SUM(list_count(&vm->ioeventfds));
}

unsigned int fake_kvm_routes(void)
{
	return SUM(vm->n_routes);
}

unsigned int fake_kvm_vfio_files(void)
{
	return SUM(vm->n_vfio);
}

unsigned int fk_kvm_leaks(FILE *f)
{
	unsigned int n = 0;
	struct fk_vm *vm;
	list_for_each(vm, &vms, struct fk_vm, node) {
		n++;
		if (f)
			fprintf(f,
				"leak: a VM with %u vCPUs, %u slots, %u irqfds, %u ioeventfds, "
				"%u routes, %u VFIO files\n",
				vm->n_vcpus, list_count(&vm->slots), list_count(&vm->irqfds),
				list_count(&vm->ioeventfds), vm->n_routes, vm->n_vfio);
	}
	return n;
}

void fk_kvm_reset(void)
{
	if (!list_empty(&vms))
		fk_bug("a VM is left after everything was closed");
	cfg = (struct fake_kvm_cfg){ .present = true,
				     .api_version = KVM_API_VERSION,
				     .max_vcpus = 255,
				     .max_slots = 32764,
				     .max_routes = 4096 };
	n_overrides = 0;
	fk_kvm_irq_reset();
	fk_kvm_vcpu_reset();
}
