// SPDX-License-Identifier: GPL-2.0-or-later
// The machine: everything of one VM, its lock and its life
//   new -> add devices -> realize -> run (start, pause, resume, reset) -> free.
//
// One lock serialises the control plane: bus, config space, routes, device life. vCPU threads take
// it around an exit, the loop around a callback. It is never held while a vCPU is waited for.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/accel.h"
#include "core/aspace.h"
#include "core/cc.h"
#include "core/dev.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "core/type.h"
#include "core/verr.h"
#include "pci/intx.h"
#include "pci/pcibus.h"
#include "vmm/backend/backends.h"
#include "vmm/boot/boot.h"
#include "vmm/boot/layout.h"
#include "vmm/machine_map.h"

VV_BEGIN_DECLS

struct chardev;
struct machine;

/* What a machine type does; "pc" is the one there is. */
struct machine_ops {
	/* The parts that are always there, before any --device. */
	int (*build)(struct machine *m, struct verr *reterr);
	/* All devices are realized: fix the layout, add RAM, place BARs. */
	int (*settle)(struct machine *m, struct verr *reterr);
	void (*describe)(const struct machine *m, FILE *out);
};

struct machine_type {
	struct type_desc t;
	const struct machine_ops *ops;
};

enum machine_state { MACHINE_NEW, MACHINE_READY, MACHINE_RUNNING, MACHINE_PAUSED, MACHINE_STOPPED };

/* also the process's exit status */
enum machine_stop {
	MACHINE_POWERED_OFF = 0,
	MACHINE_CRASHED = 3,
	MACHINE_DEVICE_LOST = 4,
};

/* One allocation behind guest RAM. */
struct machine_ram {
	void *hva;     /* owned */
	uint64_t size; /* bytes */
	int fd;	       /* memfd, or -1: anonymous; owned */
	bool huge;     /* of hugetlbfs pages */
	/* Below VGA's memory if a device has that, below 4 GiB, above. */
	struct gmem_region part[3];
};

/* Phases of the start, for --timing. */
struct timing {
	struct timing_mark {
		const char *what;
		uint64_t ns;
	} mark[24];
	unsigned int n;
};

struct machine_setup {
	const struct machine_type *type;
	void *cfg;	     /* type->t.cfg_size, taken over even on failure */
	struct accel *accel; /* taken over even on failure */
	uint64_t ram_size;   /* bytes, page multiple */
	unsigned int vcpus;
	struct boot_opts boot; /* kernel NULL: nothing to boot (tests) */
	const char *serial;    /* "stdio", "none", ...; NULL: none */
	bool reboot_restarts;
	bool dry_run;
};

struct machine {
	const struct machine_type *type;
	void *cfg;
	struct machine_setup setup; /* borrowed strings */
	pthread_mutex_t lock;
	struct platform plat;
	struct loop *loop;
	struct accel *accel;
	struct aspace mmio, pio;
	struct gmem gmem;
	struct pcibus pci0;
	struct intx_lines intx;
	struct machine_ram ram;
	struct pc_layout layout;
	struct pc_map_notes map_notes; /* why the layout is as it is */
	struct pci_windows windows;
	struct range firmware; /* what machine_reserve() gave away; last 0: nothing */
	struct boot_source *boot;
	struct chardev *console; /* behind the serial port; owned, NULL: none */
	struct backend_set backends;
	struct list devs;   /* in order of creation */
	struct list ejects; /* machine_plug.c: slots the guest was asked to let go of */
	unsigned int next_id, next_port;
	bool attached, has_bus;
	bool plugged; /* functions came or went since BARs were placed */
	enum machine_state state;
	struct timing timing;

	/* What devices and vCPUs told us, until the loop gets to it; under event_lock, as are
	 * dev.raised and dev.why. */
	pthread_mutex_t event_lock;
	struct loop_job event_job;
	unsigned int events;	/* mask of BIT32(enum platform_event) */
	char event_text[256];	/* of the gravest of them */
	enum machine_stop stop; /* why it ended */
	char stop_text[256];

	/* Told of each change of state; may be NULL. For the control socket. `device`: the id of
	 * the device it is about, or NULL. */
	void (*observer)(void *opaque, const char *event, const char *device, const char *text);
	void *observer_opaque;
};

/* Borrows the loop. On failure everything taken over is freed. */
int machine_new(const struct machine_setup *s, struct loop *loop, struct machine **ret,
		struct verr *reterr);
void machine_free(struct machine *m); /* vCPUs stopped, devices given back; NULL allowed */
/* "vfio-pci,host=0000:03:00.0": created and realized. */
int machine_add_device(struct machine *m, const char *arg, struct verr *reterr);
/* The same in turn, what takes long of them side by side, to be reset before they are started.
 * Those before one that fails stay. */
int machine_add_devices(struct machine *m, char *const *args, unsigned int n, struct verr *reterr);
/* "tap,id=net0,ifname=tap0", before the device that uses it. */
int machine_add_backend(struct machine *m, enum backend_kind kind, const char *arg,
			struct verr *reterr);
int machine_realize(struct machine *m, struct verr *reterr);
/* Loads the kernel, starts the vCPUs and runs the loop until the VM ends. Returns the reason. */
int machine_run(struct machine *m, enum machine_stop *ret, struct verr *reterr);

/* From the loop (or before it runs), with the lock held; they drop it while they wait. */
int machine_start(struct machine *m, struct verr *reterr);
void machine_pause(struct machine *m);
int machine_resume(struct machine *m, struct verr *reterr);
int machine_reset(struct machine *m, struct verr *reterr); /* a failure ends the machine */
void machine_quit(struct machine *m, enum machine_stop why, const char *text);

void machine_lock(struct machine *m);
void machine_unlock(struct machine *m);
void machine_describe(const struct machine *m, FILE *out);
const char *machine_state_name(enum machine_state s);

/* machine_dev.c: the device list */
struct dev *machine_find_device(struct machine *m, const char *id);
/* A device that is part of the machine; cfg as for dev_new. */
int machine_own_device(struct machine *m, const struct dev_type *type, const char *id, void *cfg,
		       struct dev **ret, struct verr *reterr);
void machine_free_devices(struct machine *m); /* all stopped, then freed, in reverse order */
void machine_free_device(struct dev *d);
struct pcibus *machine_port_for(void *machine, struct dev *d, struct verr *reterr);

/* machine_pc.c: platform.reserve */
int machine_reserve(void *machine, uint64_t size, uint64_t *ret_gpa, struct verr *reterr);

/* machine_plug.c: devices that come and go while the machine runs or is paused. From the loop, with
 * the lock held. */
/* As machine_add_device(), for every function that `arg` means, into empty hot-plug slots: all of
 * them or none. */
int machine_plug(struct machine *m, const char *arg, struct verr *reterr);
/* Asks the guest to let go of the device's slot, with all that is in it; after its eject-timeout
 * it is taken away. `force`: at once. -ENODEV no such device, -EBUSY asked already, -EINVAL it is
 * no device that can leave. DEVICE_DELETED tells observers of each device that has left. */
int machine_unplug(struct machine *m, const char *id, bool force, struct verr *reterr);
/* Sees to what devices have raised. */
void machine_plug_events(struct machine *m);
/* The guest that was asked is no more: what it should have let go of leaves. */
void machine_plug_settle(struct machine *m);
void machine_plug_forget(struct machine *m); /* at the end */
/* Places BARs anew if functions came or went since. */
void machine_plug_place(struct machine *m);
/* A device that can't be used as it is: why, or NULL. What it raised counts as seen to. */
const char *machine_unusable(struct machine *m, struct dev *d);

/* machine_ram.c */
struct ram_opts {
	uint64_t size;
	bool shared;	/* memfd */
	bool hugepages; /* hugetlbfs pages (memfd) */
	bool prefault;	/* touch every page now, in parallel */
};
int machine_ram_alloc(struct machine_ram *r, const struct ram_opts *o, struct verr *reterr);
void machine_ram_free(struct machine_ram *r);

/* machine_exit.c */
extern const struct vmexit_ops machine_exits;

void timing_mark(struct timing *t, const char *what);
void timing_print(const struct timing *t, FILE *out);

VV_END_DECLS
