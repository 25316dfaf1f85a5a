// SPDX-License-Identifier: GPL-2.0-or-later
// What an accelerator (KVM, or none) offers a machine, and what it asks of it.
//
// Life: type->open -> attach (vcpus exist, gmem listener registered, not running) ->
// boot_set -> run -> pause/resume -> reset (all vCPUs stopped inside, registers to boot state) ->
// detach -> close. Threads: one per vCPU, owned by the accelerator. vmexit_ops callbacks run in
// vCPU threads without any lock: the machine takes its lock itself.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/irq.h"
#include "core/type.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct aspace;
struct gmem;

enum vm_stop_reason {
	VM_STOP_SHUTDOWN,	/* triple fault */
	VM_STOP_INTERNAL_ERROR, /* the accelerator can't go on (emulation failure, entry failure) */
};

struct vmexit_ops {
	void (*mmio_read)(void *opaque, uint64_t gpa, void *data, unsigned int len);
	void (*mmio_write)(void *opaque, uint64_t gpa, const void *data, unsigned int len);
	void (*pio_read)(void *opaque, uint16_t port, void *data, unsigned int len);
	void (*pio_write)(void *opaque, uint16_t port, const void *data, unsigned int len);
	/* KVM_RUN returned a bare EFAULT: a mapped BAR may have vanished. The machine rechecks
	 * every window; true: something was dropped, enter the guest again; false: nothing. Then it
	 * is entered once more, as another thread may have been first, and ends if that fails in
	 * the same way. */
	bool (*fault)(void *opaque);
	/* The guest is done; `why` is a sentence. Called at most once per run, from a vCPU thread;
	 * that vCPU then parks until reset or stop. */
	void (*stopped)(void *opaque, enum vm_stop_reason reason, const char *why);
};

/* How the boot processor starts; the others wait for INIT/SIPI. */
struct boot_state {
	enum { BOOT_LONG64, BOOT_PVH32 } mode;
	uint64_t rip;
	uint64_t rsi; /* LONG64: boot_params */
	uint64_t rbx; /* PVH32: hvm_start_info */
	uint64_t cr3; /* LONG64: page tables already in guest memory */
	uint64_t rsp;
	/* GDT already in guest memory: null, null, code (0x10), data (0x18), tss (0x20) */
	uint64_t gdt_gpa;
};

/* A write to `addr` of `size` bytes (0: any) with value `match` (if !any) signals `fd`. */
struct doorbell {
	uint64_t addr;
	uint32_t size; /* 0, 1, 2, 4, 8 */
	uint64_t match;
	bool any;
	bool pio;
	int fd; /* borrowed */
};

struct accel_machine {
	unsigned int vcpus; /* 1..255 */
	struct gmem *ram;
	struct aspace *mmio; /* where a split irqchip puts its IOAPIC */
	const struct vmexit_ops *exits;
	void *opaque;
};

struct accel;

struct accel_ops {
	int (*attach)(struct accel *a, const struct accel_machine *m, struct verr *reterr);
	void (*detach)(struct accel *a); /* vCPU threads joined, listener gone; idempotent */
	void (*close)(struct accel *a);	 /* frees `a`; NULL allowed */
	int (*boot_set)(struct accel *a, const struct boot_state *b, struct verr *reterr);
	int (*run)(struct accel *a, struct verr *reterr); /* starts, or resumes after pause */
	void (*pause)(struct accel *a); /* returns when no vCPU is inside the guest; idempotent */
	/* Paused: registers and irqchip to power-on. */
	int (*reset)(struct accel *a, struct verr *reterr);
	int (*doorbell_add)(struct accel *a, const struct doorbell *d);
	void (*doorbell_del)(struct accel *a, const struct doorbell *d);
	/* Tells KVM of a VFIO group or device file (KVM-VFIO); fd is borrowed until vfio_del. */
	int (*vfio_add)(struct accel *a, int fd, struct verr *reterr);
	void (*vfio_del)(struct accel *a, int fd);
};

struct accel {
	const struct accel_ops *ops;
	struct irqchip *irq;	/* never NULL after attach, not even for "none" */
	unsigned int phys_bits; /* guest physical address width, e.g. 40 */
	unsigned int max_vcpus;
	bool runs_guests; /* false: "none" */
	const char *name; /* "kvm" */
	char detail[128]; /* "split irqchip, API 12": for logs and --dry-run */
};

struct accel_type {
	struct type_desc t;
	/* `cfg` is t.cfg_size bytes filled from t.props. -errno and why it can't be used. */
	int (*open)(const void *cfg, struct accel **ret, struct verr *reterr);
};

VV_END_DECLS
