// SPDX-License-Identifier: GPL-2.0-or-later
// The core of a virtio device (VIRTIO 1.2, modern, on PCI): features, status machine, queues,
// hand-over to and from the data plane. A device embeds struct virtio_dev first, fills a static
// const struct virtio_desc and implements struct virtio_ops; virtio_rng.c is the shortest one.
//
// A device's life, in the order it is called (all under the machine lock):
//
//	realize	   its back end and io thread opened, virtio_realize()
//	activate   the queues that the driver enabled are started: serve them
//	deactivate give them back: no thread, kernel or callback touches queue or guest memory after
//	...	   again and again: driver's reset, pause, bus mastering off, D3, NEEDS_RESET
//	reset	   device-specific state to power-on (already deactivated)
//	unrealize  virtio_unrealize() (deactivates), then the back end closed
//
// A device that was deactivated and is activated again without a reset goes on where it was: ring
// positions are in the queues. What is in flight has to be finished, or given back with
// vq_unpop(), before deactivate returns.
//
// Which thread may call what: functions here want the machine lock unless they say otherwise. Data
// planes never take that lock: an io thread uses its started queues (vq.h), virtio_needs_reset()
// and loop_defer() for what has to be told to the control plane.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "pci/pcidev.h"
#include "vmm/virtio/vq.h"

VV_BEGIN_DECLS

struct virtio_dev;

struct virtio_ops {
	/* The driver is ready. Queues with q->ops are started; kick_fd of each is signalled once
	 * after this returns, whether the driver kicked or not. -errno: the device needs a reset
	 * (the driver is told); nothing of it may be running then. */
	int (*activate)(struct virtio_dev *vd);
	void (*deactivate)(struct virtio_dev *vd);
	void (*reset)(struct virtio_dev *vd); /* NULL: nothing to do */
	/* May refuse a set of features (a subset of those offered). NULL: takes any. */
	bool (*features_ok)(struct virtio_dev *vd, uint64_t features);
	/* Brings desc.config's copy in vd->config up to date before the driver reads. NULL. */
	void (*config_read)(struct virtio_dev *vd);
	/* The driver writes: size 1, 2, 4 or 8, inside the space. NULL: read-only. */
	void (*config_write)(struct virtio_dev *vd, unsigned int off, uint64_t val,
			     unsigned int size);
	/* Queue q of an active device now signals `fd` (-1: nobody). vq.c knows already; this is
	 * for rings that are served elsewhere (vhost). NULL. */
	void (*call_changed)(struct virtio_dev *vd, unsigned int q, int fd);
};

/* Properties that all virtio devices take; member of the device's configuration. */
struct virtio_props {
	bool packed, event_idx, indirect_desc, in_order, notification_data;
};
/* Rows for the device's table: VIRTIO_PROPS(struct virtio_rng_cfg, virtio). */
#define VIRTIO_PROPS(cfg, member)                                                                  \
	PROP_NAMED("packed", cfg, member.packed, PROP_BOOL, "off", "offer packed rings"),          \
		PROP_NAMED("event_idx", cfg, member.event_idx, PROP_BOOL, "on",                    \
			   "offer the event index (fewer kicks and interrupts)"),                  \
		PROP_NAMED("indirect_desc", cfg, member.indirect_desc, PROP_BOOL, "on",            \
			   "offer indirect descriptors"),                                          \
		PROP_NAMED("in_order", cfg, member.in_order, PROP_BOOL, "off",                     \
			   "offer to use buffers in order"),                                       \
		PROP_NAMED("notification_data", cfg, member.notification_data, PROP_BOOL, "off",   \
			   "offer notification data")

/* What virtio_realize() is given; the struct itself need not outlive the call. */
struct virtio_desc {
	const struct virtio_ops *ops;
	uint16_t id;		 /* VIRTIO_ID_*; PCI device id 0x1040 + id */
	uint32_t class_code;	 /* 24 bits */
	uint64_t features;	 /* the device type's own (bits 0-23, 50-63) */
	uint64_t no_features;	 /* of the ring's features: those it can't do (vhost) */
	unsigned int n_queues;	 /* 1..VIRTIO_MAX_QUEUES */
	uint16_t queue_size;	 /* default and largest, a power of two */
	const void *config;	 /* initial device configuration space, copied; little endian */
	unsigned int config_len; /* <= VIRTIO_CONFIG_MAX */
	const struct virtio_props *props; /* NULL: the defaults */
};

#define VIRTIO_MAX_QUEUES 1024
#define VIRTIO_CONFIG_MAX 4096

struct virtio_queue_pci { /* virtio_pci.c's, one a queue */
	uint16_t vector;
	int bell; /* size of the doorbell that is registered, -1: none */
};

struct virtio_dev {
	struct pcidev pd; /* first: pd.dev is the device */
	const struct virtio_ops *ops;
	uint16_t id;
	uint64_t features; /* offered */
	uint64_t acked;	   /* negotiated: valid from FEATURES_OK on */
	uint8_t status;
	unsigned int n_queues;
	struct vq *vq;	 /* n_queues, owned */
	uint8_t *config; /* config_len bytes, owned; change it, then virtio_config_changed() */
	unsigned int config_len;
	struct gmem_snap *mem; /* while active: RAM as the queues see it */
	bool active;	       /* between activate and deactivate */
	bool running, paused;  /* what the machine wants */
	struct virtio_tp {     /* virtio_pci.c's: registers, vectors, doorbells */
		uint32_t feature_sel, driver_feature_sel;
		uint16_t queue_sel, config_vector;
		uint8_t generation, isr;
		unsigned int cfg_cap; /* offset of the PCI configuration access capability */
		uint64_t bells_gpa;   /* where the doorbells are registered, 0: nowhere */
		int intx_fd;	      /* queues signal it without MSI-X; the loop raises the line */
		struct loop_fd intx_src;
		struct virtio_queue_pci *q;
	} tp;
	const char *broken_why; /* atomic; set by the first who breaks it */
	struct loop_job broken_job;
};

static inline struct virtio_dev *virtio_of(struct dev *d)
{
	return container_of(d, struct virtio_dev, pd.dev);
}

static inline bool virtio_has(const struct virtio_dev *vd, unsigned int feature_bit)
{
	return (vd->acked & BIT64(feature_bit)) != 0;
}

/* The function with its BAR and capabilities, on its bus: behind a PCIe port of its own unless
 * `bus` or `addr` say otherwise. On failure everything is undone. */
int virtio_realize(struct virtio_dev *vd, const struct virtio_desc *desc, struct verr *reterr);
/* In any state, zeroed included; twice is fine. */
void virtio_unrealize(struct virtio_dev *vd);

/* For the device's dev_ops: VIRTIO_DEV_OPS fills all but realize and unrealize. */
void virtio_dev_reset(struct dev *d);
int virtio_dev_start(struct dev *d, struct verr *reterr);
void virtio_dev_stop(struct dev *d);
void virtio_dev_pause(struct dev *d);
void virtio_dev_resume(struct dev *d);
void virtio_dev_describe(struct dev *d, FILE *out);
#define VIRTIO_DEV_OPS                                                                             \
	.reset = virtio_dev_reset, .start = virtio_dev_start, .stop = virtio_dev_stop,             \
	.pause = virtio_dev_pause, .resume = virtio_dev_resume, .describe = virtio_dev_describe

/* The device's configuration space changed: the driver is told. */
void virtio_config_changed(struct virtio_dev *vd);
/* The guest did what no driver does: DEVICE_NEEDS_RESET, data plane stopped, driver told. Any
 * thread; `why` is static. It takes effect when the loop gets to it. */
void virtio_needs_reset(struct virtio_dev *vd, const char *why);
/* Deactivates a device that is active and activates it again: its back end changed. */
void virtio_restart(struct virtio_dev *vd);

/* --- between core and transport --------------------------------------------------------------- */

/* The driver writes its status register; 0 resets. */
void virtio_set_status(struct virtio_dev *vd, uint8_t status);
void virtio_reset(struct virtio_dev *vd);
/* Activates or deactivates, as status, machine, bus mastering and power state say now. */
void virtio_update(struct virtio_dev *vd);

VV_END_DECLS
