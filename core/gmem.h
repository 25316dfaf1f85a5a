// SPDX-License-Identifier: GPL-2.0-or-later
// Guest physical memory: a list of regions, and the listeners that mirror it (KVM memory slots,
// VFIO DMA maps, vhost tables). RAM maps everywhere or nowhere; a device BAR (GMEM_MMIO) is best
// effort for those listeners that do not require it.
//
// Locking: add, del and listen under the machine lock. gmem_ptr() and the copy functions may be
// called from any thread while no region is being added or removed that they could touch
// (vCPUs stopped, or the region is RAM, which is only added before start or under the lock).
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/list.h"
#include "core/verr.h"

VV_BEGIN_DECLS

enum gmem_kind { GMEM_RAM, GMEM_ROM, GMEM_MMIO };

/* Embedded in its owner; the owner keeps hva valid from gmem_add to gmem_del. */
struct gmem_region {
	const char *name; /* borrowed */
	enum gmem_kind kind;
	uint64_t gpa;  /* page aligned */
	uint64_t size; /* bytes, page multiple, > 0 */
	void *hva;     /* page aligned, size bytes */
	int fd;	       /* file behind hva, or -1 (anonymous); borrowed */
	uint64_t fd_off;
	bool keep; /* RAM that can't be given back to the host page by page (hugetlbfs) */

	/* gmem's own */
	struct gmem *gmem; /* NULL while not added */
	uint32_t mapped;   /* listeners that hold it, by their index */
	struct list node;
};

struct gmem_listener {
	const char *name;   /* "kvm", "vfio": for messages */
	unsigned int takes; /* mask of BIT32(enum gmem_kind) it wants to hear of */
	/* Mask of kinds whose refusal fails the add; others are best effort. */
	unsigned int requires_ok;
	bool pins; /* RAM stays where it is while it listens: no giver gives any back */
	int (*add)(struct gmem_listener *l, const struct gmem_region *r, struct verr *reterr);
	/* Only for regions whose add succeeded. Cannot fail: what it can't undo it must
	 * neutralise. */
	void (*del)(struct gmem_listener *l, const struct gmem_region *r);

	/* gmem's own */
	struct gmem *gmem;
	unsigned int index; /* 0..31 */
	struct list node;
};

/* Who gives RAM that the guest does without back to the host: a balloon. What a device can reach by
 * DMA is pinned and must not be given back: the IOMMU's maps would lead to the old pages. */
struct gmem_giver {
	/* The first listener that pins comes: give nothing back from the return on. -EBUSY, with a
	 * sentence, refuses it: so much was given back that taking it again would surprise. */
	int (*hold)(struct gmem_giver *g, struct verr *reterr);
	void (*go_on)(struct gmem_giver *g); /* the last one has left, or did not come */

	/* gmem's own */
	struct gmem *gmem;
	struct list node;
};

struct gmem {
	struct list givers;
	struct list regions;   /* sorted by gpa */
	struct list listeners; /* in order of gmem_listen; del runs in reverse */
	uint32_t used_indexes;
	unsigned int n_snaps; /* snapshots out */
};

void gmem_init(struct gmem *m);
void gmem_fini(struct gmem *m); /* asserts: no regions, no listeners */

/* Tells every listener that takes the kind, in order; if one that requires it refuses, those told
 * are untold in reverse and the error is returned: all or none. -EINVAL (alignment, wrap),
 * -EEXIST (overlaps a region; RAM only: MMIO regions of two BARs may collide for a moment and
 * then get -EEXIST too, the caller leaves the window trapped), or the listener's. */
int gmem_add(struct gmem *m, struct gmem_region *r, struct verr *reterr);
void gmem_del(struct gmem_region *r); /* no effect if not added */
/* Replays existing regions; whole or not at all (best-effort kinds excepted). */
int gmem_listen(struct gmem *m, struct gmem_listener *l, struct verr *reterr);
void gmem_unlisten(struct gmem_listener *l); /* untells every region; no effect if not listening */

bool gmem_pinned(const struct gmem *m);
/* hold() is called at once if RAM is pinned; it must not refuse then. */
void gmem_add_giver(struct gmem *m, struct gmem_giver *g);
void gmem_del_giver(struct gmem_giver *g); /* no effect if not added */

/* NULL unless [gpa, gpa+len) is wholly inside one RAM region (never ROM: the result may be
 * written). len > 0. */
void *gmem_ptr(const struct gmem *m, uint64_t gpa, uint64_t len);
/* Span adjacent regions: RAM, and for reading ROM too. -EFAULT, nothing promised about what was
 * copied, if any byte is neither. len 0 is nothing to do. */
int gmem_read(const struct gmem *m, uint64_t gpa, void *buf, uint64_t len);
int gmem_write(struct gmem *m, uint64_t gpa, const void *buf, uint64_t len);
uint64_t gmem_ram_size(const struct gmem *m);

/* All RAM as it is now, for threads that take no lock: immutable from take to drop. RAM is not
 * removed while one is out (asserted): who changes RAM under a machine pauses its devices first
 * (dev_pause()), which drop theirs, and resumes them after, which take new ones. */
struct gmem_snap {
	struct gmem *gmem; /* borrowed */
	unsigned int n;
	struct gmem_snap_region {
		uint64_t gpa, size;
		uint8_t *hva;
		int fd; /* as in gmem_region, and the next two */
		uint64_t fd_off;
		bool keep;
	} r[]; /* sorted by gpa */
};

/* Under the machine lock. -ENOMEM. */
int gmem_snap_take(struct gmem *m, struct gmem_snap **ret);
void gmem_snap_drop(struct gmem_snap *s); /* NULL allowed */
/* Any thread. The host address of gpa, and in *ret_len how many of `len` (> 0) bytes follow it
 * there; NULL if gpa is not RAM. */
void *gmem_snap_at(const struct gmem_snap *s, uint64_t gpa, uint64_t len, uint64_t *ret_len);
/* As gmem_ptr(). */
void *gmem_snap_ptr(const struct gmem_snap *s, uint64_t gpa, uint64_t len);

VV_END_DECLS
