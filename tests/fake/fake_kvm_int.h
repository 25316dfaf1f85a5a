// SPDX-License-Identifier: GPL-2.0-or-later
// What the fake KVM's files share.
#pragma once

#include <linux/kvm.h>

#include "tests/fake/fake_int.h"
#include "tests/fake/fake_kvm.h"

VV_BEGIN_DECLS

#define FK_PINS	    24
#define FK_VCPUS    256
#define FK_RUN_SIZE (3 * 4096)

enum fk_irqchip { FK_IRQCHIP_NONE, FK_IRQCHIP_FULL, FK_IRQCHIP_SPLIT };

struct fk_slot {
	struct list node;
	struct kvm_userspace_memory_region r;
};

struct fk_irqfd {
	struct fk_waiter w; /* its eventfd is w.e */
	struct list node;
	struct fk_vm *vm;
	uint32_t gsi;
	struct fk_efd *resample; /* NULL: edge */
};

struct fk_ioeventfd {
	struct list node;
	struct kvm_ioeventfd k;
	struct fk_efd *e;
};

struct fk_pin {
	bool user;	/* KVM_IRQ_LINE */
	bool resampler; /* asserted by a resample irqfd, until EOI */
	unsigned int edges;
};

struct fk_blob { /* a GET/SET pair's state */
	size_t len;
	uint8_t *data;
};

#define FK_BLOBS 10

struct fk_vcpu {
	struct fk_vm *vm;
	unsigned int id;
	int fd;
	int wake;	     /* eventfd that ends a KVM_RUN's wait */
	struct kvm_run *run; /* our mapping of its pages */
	struct fk_blob blobs[FK_BLOBS];
	struct kvm_cpuid_entry2 *cpuid;
	unsigned int n_cpuid;
	struct kvm_msr_entry *msrs;
	unsigned int n_msrs;
	bool has_sigmask;
	uint64_t sigmask;

	/* The next exit and what became of it. */
	bool in_run;
	struct fk_exit {
		bool pending;
		int err; /* KVM_RUN fails so instead of an exit */
		uint32_t reason;
		uint64_t addr, val;
		unsigned int len;
		bool write;
	} exit;
	bool in_exit;	       /* user space is handling it */
	uint64_t posted, done; /* sequence numbers */
	uint64_t result;       /* what a read brought */
};

struct fk_vm {
	struct list node;
	unsigned int refs; /* VM, vCPU and device fds */
	bool open;	   /* the VM fd itself */
	enum fk_irqchip irqchip;
	bool x2apic_format; /* KVM_X2APIC_API_USE_32BIT_IDS */
	bool pit;
	struct list slots, irqfds, ioeventfds;
	struct kvm_irq_routing_entry *routes;
	unsigned int n_routes;
	struct fk_pin pins[FK_PINS];
	struct fk_vcpu *vcpus[FK_VCPUS];
	unsigned int n_vcpus;
	bool has_vfio;	     /* a KVM-VFIO device exists */
	void *vfio_objs[64]; /* groups added */
	unsigned int n_vfio;
};

struct list *fk_vms(void);
struct fk_vm *fk_vm_latest(void); /* NULL: none */
void fk_vm_put(struct fk_vm *vm);
int fk_kvm_cap(unsigned int cap);
void fk_kvm_changed(void);			   /* wakes whoever waits in fk_kvm_wait() */
bool fk_kvm_wait(const struct timespec *deadline); /* drops the lock meanwhile; false: timed out */

/* memory and doorbells */
long fk_kvm_set_memory(struct fk_vm *vm, const struct kvm_userspace_memory_region *r);
struct fk_slot *fk_kvm_slot_at(struct fk_vm *vm, uint64_t gpa);
long fk_kvm_ioeventfd(struct fk_vm *vm, const struct kvm_ioeventfd *a);
struct fk_ioeventfd *fk_kvm_doorbell(struct fk_vm *vm, bool pio, uint64_t addr, unsigned int len,
				     uint64_t val);
void fk_kvm_mem_free(struct fk_vm *vm);

/* interrupts */
long fk_kvm_set_routing(struct fk_vm *vm, const struct kvm_irq_routing *a);
void fk_kvm_default_routes(struct fk_vm *vm);
long fk_kvm_irqfd(struct fk_vm *vm, const struct kvm_irqfd *a);
long fk_kvm_irq_line(struct fk_vm *vm, struct kvm_irq_level *a, bool status);
long fk_kvm_signal_msi(struct fk_vm *vm, const struct kvm_msi *a);
void fk_kvm_irqfds_free(struct fk_vm *vm);
long fk_kvm_create_device(struct fk_vm *vm, struct kvm_create_device *a);
void fk_kvm_irq_reset(void);

/* vCPUs */
long fk_kvm_create_vcpu(struct fk_vm *vm, unsigned long id);
void fk_kvm_vcpu_free(struct fk_vcpu *v);
long fk_kvm_supported_cpuid(struct kvm_cpuid2 *a);
long fk_kvm_msr_list(struct kvm_msr_list *a);
void fk_kvm_vcpu_reset(void);
void fk_kvm_count_exit(void);

VV_END_DECLS
