// SPDX-License-Identifier: GPL-2.0-or-later
// A mini virtio driver on top of the guest player: negotiates, builds split and packed rings in
// guest RAM, kicks, reaps - and, by the raw pointers, breaks every rule on purpose. Any device,
// accelerator "none" (kicks are trapped) or the fake kernel. What no test expects ends the test.
#pragma once

#include "tests/guest/guest.h"

VV_BEGIN_DECLS

#define VDRV_QUEUES   16
#define VDRV_SIZE_MAX 1024

struct vdrv_queue {
	struct vdrv *v;
	unsigned int index;
	uint16_t size;
	bool packed, event_idx;
	uint64_t desc_gpa, driver_gpa, device_gpa;
	uint8_t *desc, *driver, *device; /* host addresses of the same */
	uint64_t notify;		 /* gpa of its doorbell */
	uint16_t avail_idx, used_idx;	 /* as vq.h's */
	bool avail_wrap, used_wrap;
	uint16_t free_head, n_free;	   /* split: free descriptors; packed: free entries */
	uint16_t next[VDRV_SIZE_MAX];	   /* split: free list, and chains; packed: free ids */
	uint16_t n_desc[VDRV_SIZE_MAX];	   /* by id */
	void *cookie[VDRV_SIZE_MAX];	   /* by id */
	uint64_t table_gpa[VDRV_SIZE_MAX]; /* indirect tables, by id; made when first needed */
};

struct vdrv {
	struct guest *g;
	struct guest_fn fn;
	uint64_t common, notify, isr, config; /* gpas; config 0: the device has none */
	uint32_t notify_mult;
	unsigned int cfg_cap; /* PCI configuration access capability */
	uint64_t features;    /* as negotiated */
	unsigned int n_queues;
	bool hold_enable;  /* vdrv_queue() leaves the queue disabled */
	uint64_t ram_next; /* guest RAM not given out yet */
	struct vdrv_queue q[VDRV_QUEUES];
};

#define VDRV_MSI_ADDR UINT64_C(0xfee00000)

/* The nth device of that virtio id; found, decoding and mastering enabled, nothing written to it
 * yet. Guest RAM from `ram` on (0: 1 MiB) is the driver's. */
void vdrv_open(struct vdrv *v, struct guest *g, unsigned int virtio_id, unsigned int nth,
	       uint64_t ram);

/* Registers. */
uint64_t vdrv_get(struct vdrv *v, unsigned int off, unsigned int size); /* common configuration */
void vdrv_set(struct vdrv *v, unsigned int off, uint64_t val, unsigned int size);
uint8_t vdrv_status(struct vdrv *v);
void vdrv_set_status(struct vdrv *v, uint8_t s);
uint64_t vdrv_offered(struct vdrv *v);
uint64_t vdrv_config(struct vdrv *v, unsigned int off, unsigned int size);
void vdrv_set_config(struct vdrv *v, unsigned int off, uint64_t val, unsigned int size);

/* Reset, ACKNOWLEDGE, DRIVER, features (those of `want` that are offered, VERSION_1 always),
 * FEATURES_OK. False if the device refused them. */
bool vdrv_negotiate(struct vdrv *v, uint64_t want);
/* Rings of `size` entries (0: what the device offers, at most VDRV_SIZE_MAX) in RAM, zeroed,
 * vector 1 + index, enabled. */
struct vdrv_queue *vdrv_queue(struct vdrv *v, unsigned int index, uint16_t size);
void vdrv_driver_ok(struct vdrv *v);
/* All of it: negotiate, n queues of that size, MSI-X on if `msix`, DRIVER_OK. */
void vdrv_start(struct vdrv *v, uint64_t want, unsigned int n, uint16_t size, bool msix);
/* MSI-X on, all vectors unmasked; config changes on vector 0. */
void vdrv_msix(struct vdrv *v);

/* Guest RAM: page aligned, zeroed, and its host address. */
uint64_t vdrv_ram(struct vdrv *v, uint64_t size);
void *vdrv_ptr(struct vdrv *v, uint64_t gpa, uint64_t len);

struct vdrv_seg {
	uint64_t gpa;
	uint32_t len;
};
/* Adds a buffer: n_out segments to read, then n_in to write. `indirect`: by a table. Returns its
 * id, -ENOSPC if the ring is full. Visible to the device at once; kick when done. */
int vdrv_add(struct vdrv_queue *q, const struct vdrv_seg *seg, unsigned int n_out,
	     unsigned int n_in, bool indirect, void *cookie);
/* Rings the doorbell, if the device wants it; `force`: in any case. True if rung. */
bool vdrv_kick(struct vdrv_queue *q, bool force);
/* A used buffer, or false: none yet. */
bool vdrv_reap(struct vdrv_queue *q, void **ret_cookie, uint32_t *ret_len);
/* The same, waiting (loop turned) up to `ms` milliseconds, and up to a minute. */
bool vdrv_wait_for(struct vdrv_queue *q, unsigned int ms, void **ret_cookie, uint32_t *ret_len);
bool vdrv_wait(struct vdrv_queue *q, void **ret_cookie, uint32_t *ret_len);
/* Waits until the device says it needs a reset. */
bool vdrv_wait_needs_reset(struct vdrv *v);
/* Asks for interrupts (after the next `n` used buffers, with the event index) or none. */
void vdrv_irq_on(struct vdrv_queue *q, uint16_t n);
void vdrv_irq_off(struct vdrv_queue *q);
/* How often queue `index` has been signalled since last asked (MSI-X). */
uint64_t vdrv_signals(struct vdrv *v, unsigned int vector);
/* Has it been, at all? Nothing is taken. */
bool vdrv_pending(struct vdrv *v, unsigned int vector);

VV_END_DECLS
