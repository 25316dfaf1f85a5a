// SPDX-License-Identifier: GPL-2.0-or-later
// What a device is and everything it may touch.
//
// Life: alloc -> (configuration filled) -> realize -> [reset] -> start -> stop -> unrealize ->
// free, driven by dev_*() below, which check the order. All under the machine lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/list.h"
#include "core/type.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct accel;
struct aspace;
struct backend_set;
struct dev;
struct gmem;
struct irqchip;
struct loop;
struct pcibus;

enum platform_event {
	PLATFORM_POWER_OFF,   /* the guest asked for it */
	PLATFORM_RESET,	      /* the guest asked for it */
	PLATFORM_PANIC,	      /* the guest crashed; text says how */
	PLATFORM_DEVICE_LOST, /* dev is gone or was reclaimed, and that is the machine's end; text
				 says which and why */
	PLATFORM_QUIT,	      /* the user asked at the console */
	/* The machine goes on; `dev` is not NULL. */
	PLATFORM_DEVICE_EJECT, /* dev has to leave: the guest is asked to let go of it first */
	PLATFORM_DEVICE_GONE,  /* dev can't be used any more: it leaves at once */
	PLATFORM_DEVICE_ERROR, /* dev had an error and was mended */
};

/* Everything a device may touch; all borrowed, outliving every device. */
struct platform {
	struct aspace *mmio, *pio;
	struct gmem *ram;
	struct irqchip *irq;
	struct accel *accel;
	struct loop *loop;
	struct pcibus *pci0;	      /* root bus */
	struct backend_set *backends; /* vmm/backend/backends.h; NULL: none */
	/* Thread safe; acts later, from the loop. `dev` may be NULL, `text` is copied. */
	void (*event)(void *opaque, enum platform_event ev, struct dev *dev, const char *text);
	/* A PCIe port with nothing behind it (a root port is made if need be and not `hot`) for a
	 * function that names no bus; NULL: none to be had, reterr says why. */
	struct pcibus *(*port_for)(void *opaque, struct dev *dev, struct verr *reterr);
	/* A page-aligned range below 4 GiB that nobody else uses and the memory map reserves, for
	 * what firmware would have left in memory. Before the first start only. NULL: none. */
	int (*reserve)(void *opaque, uint64_t size, uint64_t *ret_gpa, struct verr *reterr);
	void *event_opaque; /* for event(), port_for() and reserve() */
	bool dry_run;	    /* plan only: touch nothing that outlives us */
	bool hot;	    /* the machine runs: functions come into empty hot-plug slots only */
};

struct dev_ops {
	/* Several devices are about to be realized: what takes long and needs nobody else may start
	 * now, in a thread; realize() waits for it, free() undoes it. A failure is realize()'s to
	 * find. May be NULL. */
	void (*begin)(struct dev *d);
	int (*realize)(struct dev *d, struct verr *reterr); /* on failure undoes itself */
	void (*unrealize)(struct dev *d);
	/* reset() follows, and the device stays stopped until then: what takes long may start now,
	 * in a thread that reset() or unrealize() waits for. May be NULL. */
	void (*reset_begin)(struct dev *d);
	/* Power-on state; called before the first start, too; may be NULL. */
	void (*reset)(struct dev *d);
	int (*start)(struct dev *d, struct verr *reterr); /* may be NULL */
	void (*stop)(struct dev *d); /* no more DMA or interrupts after it; may be NULL */
	/* The machine stands still for a while: touch no guest memory from the return of pause()
	 * to resume(). Running devices; nothing is lost in between. Both may be NULL. */
	void (*pause)(struct dev *d);
	void (*resume)(struct dev *d);
	/* Guest-visible plan for --dry-run, indented lines; may be NULL. */
	void (*describe)(struct dev *d, FILE *out);
	/* Drops windows onto memory that is gone; true if any was dropped. May be NULL. */
	bool (*recheck)(struct dev *d);
};

enum dev_state { DEV_NEW, DEV_REALIZED, DEV_RUNNING };

struct dev_type {
	struct type_desc t;
	const struct dev_ops *ops;
	struct dev *(*alloc)(void); /* zeroed embedding struct; NULL: out of memory */
	void (*free)(struct dev *d);
	bool pci;  /* sits on the PCI bus: takes the bus's shared properties, see pcidev.h */
	bool user; /* may be named in --device (false: part of the machine) */
};

struct dev {
	const struct dev_type *type;
	const struct platform *plat; /* borrowed */
	char id[64];		     /* "net0"; made up if not given: "vfio-pci.0" */
	enum dev_state state;
	bool paused;	  /* running, but between dev_pause() and dev_resume() */
	void *cfg;	  /* type->t.cfg_size bytes, owned; the device's own struct */
	struct list node; /* the machine's list */
	/* The machine's own: PLATFORM_DEVICE_* raised and not seen to yet, as BIT32s, and why. */
	unsigned int raised;
	char why[192];
};

/* A device of that type with `cfg` (from props_new, taken over even on failure; may be NULL when
 * the type has no properties). */
int dev_new(const struct dev_type *type, const struct platform *plat, const char *id, void *cfg,
	    struct dev **ret, struct verr *reterr);
void dev_free(struct dev *d);			     /* stops, unrealizes as needed; NULL allowed */
int dev_realize(struct dev *d, struct verr *reterr); /* errors get the "type id: " prefix */
void dev_unrealize(struct dev *d);
/* Realized or running. The machine calls it on every device before the first dev_start, too. */
void dev_reset(struct dev *d);
void dev_reset_begin(struct dev *d); /* realized; optional before dev_reset() */
int dev_start(struct dev *d, struct verr *reterr);
void dev_stop(struct dev *d); /* paused or not */
/* No effect on a device that does not run, or is paused / is not paused already. */
void dev_pause(struct dev *d);
void dev_resume(struct dev *d);

/* plat->event with this device. */
void dev_event(struct dev *d, enum platform_event ev, const char *fmt, ...) ATTR_PRINTF(3, 4);

VV_END_DECLS
