// SPDX-License-Identifier: GPL-2.0-or-later
// One VFIO device: its fd, info, regions, interrupts, reset. Kernel group devices today; the ops
// table is where cdev and vfio-user devices come in.
//
// Under the machine lock. Config and BAR accesses may be called from vCPU threads (holding it).
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/bdf.h"
#include "vfio/group.h"

VV_BEGIN_DECLS

#define VFIO_MAX_MMAP_AREAS 32

struct vfio_mmap_area {
	uint64_t off, size; /* in the region, page multiples */
};

struct vfio_region {
	uint32_t index;
	uint32_t flags;		/* VFIO_REGION_INFO_FLAG_* */
	uint64_t size;		/* 0: absent */
	uint64_t fd_off;	/* of the region in the device fd */
	uint32_t type, subtype; /* device-specific regions: VFIO_REGION_INFO_CAP_TYPE; 0: none */
	bool msix_mappable;
	/* Areas that may be mapped, exactly as the kernel returned them (one, the whole, when MMAP
	 * is set without a sparse list); page parts only. */
	struct vfio_mmap_area area[VFIO_MAX_MMAP_AREAS];
	unsigned int n_areas;
};

struct vfio_irq {
	uint32_t count; /* 0: absent */
	uint32_t flags; /* VFIO_IRQ_INFO_* */
};

#define VFIO_N_REGIONS 9 /* BAR0-5, ROM, config, VGA */
#define VFIO_N_EXTRA   8 /* device-specific regions behind them */
#define VFIO_N_IRQS    5 /* INTx, MSI, MSI-X, ERR, REQ */

struct vfio_reset_job;

struct vfio_device {
	int fd;
	struct bdf at;
	char name[BDF_STR_MAX];
	struct vfio_group *group; /* reference held */
	uint32_t flags;		  /* VFIO_DEVICE_FLAGS_* */
	struct vfio_region region[VFIO_N_REGIONS];
	struct vfio_region extra[VFIO_N_EXTRA]; /* index VFIO_N_REGIONS on; size 0: absent */
	struct vfio_irq irq[VFIO_N_IRQS];
	uint32_t atomic_comp;  /* VFIO_PCI_ATOMIC_COMP* of the host's root port; 0: unknown */
	char reset_method[64]; /* from sysfs reset_method; "" unknown */
	/* Nothing was done with it since it was opened, which resets it: VFIO_DEVICE_FLAGS_RESET is
	 * the kernel's word that this reset worked (vfio_pci_core_enable()). */
	bool fresh;
	unsigned int failed_reads;	  /* answered with ones because the kernel refused them; */
	unsigned int failed_region;	  /* ... the last one's, by index */
	bool vanished;			  /* the user's finding; decides how it is closed */
	struct vfio_reset_job *resetting; /* reset.c: begun and not waited for; owned */

	/* Until it is open. */
	char opening[BDF_STR_MAX + 64]; /* what the kernel opens by */
	bool token;			/* ... has a VF token in it */
	bool threaded;			/* `thread` is at it */
	pthread_t thread;
};

/* Opening one, in two steps, as the kernel resets it meanwhile: 100 ms and more. The first attaches
 * its group to `c` and, if `aside`, has a thread open it; the second waits for that, or opens it,
 * and reads all info. `token` is the UUID that VFIO demands for a function of an SR-IOV family
 * which it has several of; "" or NULL: none. After a failure of the second it is to be closed. */
int vfio_device_begin(struct vfio_container *c, const struct bdf *at, const char *token, bool aside,
		      struct vfio_device **ret, struct verr *reterr);
int vfio_device_finish(struct vfio_device *d, struct verr *reterr);
/* Both. */
int vfio_device_open(struct vfio_container *c, const struct bdf *at, struct vfio_device **ret,
		     struct verr *reterr);
/* Closes the fd and drops the group, once a thread that opens it has ended. NULL allowed. */
void vfio_device_close(struct vfio_device *d);
/* The kernel resets what it closes, and takes seconds to give up where nothing answers; it keeps
 * group and KVM waiting meanwhile. So a vanished device's fd is taken out first and, when all else
 * is given back, closed by a thread of its own; the group is free when that has ended. */
int vfio_device_take_fd(struct vfio_device *d);
void vfio_device_close_aside(int fd);
/* Is there such a thread? Any thread may ask. */
bool vfio_device_closing(void);

/* Is it there and awake? Reads the vendor id through sysfs `config` (VFIO's own config reads keep
 * answering after a removal). False: gone, or stuck in D3cold / after a failed reset. */
bool vfio_device_alive(const struct vfio_device *d);
/* The same, open or not. */
bool vfio_function_alive(const struct bdf *at);
/* Does the host still list it? One that is listed and not alive has failed. */
bool vfio_device_listed(const struct vfio_device *d);

/* --- reset.c --- */
/* VFIO_DEVICE_RESET. -EOPNOTSUPP if the device offers none; errors name the method. */
int vfio_device_reset(struct vfio_device *d, struct verr *reterr);
/* Until a reset that was begun (vfio/reset.h) is over; nothing, if there is none. */
void vfio_reset_wait(struct vfio_device *d);

/* --- region.c --- */
/* Fills d->region[index] from VFIO_DEVICE_GET_REGION_INFO: for vfio_device_open(). */
int vfio_region_query(struct vfio_device *d, unsigned int index, struct verr *reterr);
/* The device-specific region of that type; its `index` is good for the accesses below. NULL: the
 * device has none. */
const struct vfio_region *vfio_region_typed(const struct vfio_device *d, uint32_t type,
					    uint32_t subtype);
/* Little-endian accesses of 1, 2, 4 or 8 bytes at [off, off+size) of region `index`; the same
 * width on the fd. Read: all ones on any failure or short read. Write: -errno. */
uint64_t vfio_region_read(struct vfio_device *d, unsigned int index, uint64_t off,
			  unsigned int size);
int vfio_region_write(struct vfio_device *d, unsigned int index, uint64_t off, uint64_t val,
		      unsigned int size);
/* The first `size` bytes of the region, in as few calls as the kernel allows. -EIO: fewer came. */
int vfio_region_fetch(struct vfio_device *d, unsigned int index, void *buf, uint64_t size);
/* Maps [off, off+size) of the region (inside one of its areas, page aligned) at an address that is
 * congruent to `off` modulo `align` (a power of two: the BAR's size, at most 1 GiB; reserve, then
 * MAP_FIXED), so that KVM and the IOMMU can use huge entries. MADV_DONTFORK. */
int vfio_region_mmap(struct vfio_device *d, unsigned int index, uint64_t off, uint64_t size,
		     uint64_t align, void **ret, struct verr *reterr);
void vfio_region_munmap(void *hva, uint64_t size);
/* Whole config space accessors (region 7), dword reader for pcicap walkers. */
uint32_t vfio_cfg_read(struct vfio_device *d, unsigned int off, unsigned int size);
int vfio_cfg_write(struct vfio_device *d, unsigned int off, uint32_t val, unsigned int size);
uint32_t vfio_cfg_reader(void *device, unsigned int off);

/* --- irqset.c: VFIO_DEVICE_SET_IRQS --- */
/* Triggers of [start, start+n) become fds[i] (-1: none) by eventfd; positive result of the kernel
 * ("only k vectors available") is returned as it is, other failures as -errno. */
int vfio_irqs_set(struct vfio_device *d, unsigned int index, unsigned int start, const int *fds,
		  unsigned int n);
/* Disables the whole index (count 0, DATA_NONE). -EINVAL if it is not enabled, 0 if absent. */
int vfio_irqs_disable(struct vfio_device *d, unsigned int index);
/* INTx: mask / unmask now, or unmask whenever `fd` is signalled (-1: stop that). */
int vfio_intx_mask(struct vfio_device *d, bool mask);
int vfio_intx_unmask_fd(struct vfio_device *d, int fd);

VV_END_DECLS
