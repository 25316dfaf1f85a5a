// SPDX-License-Identifier: GPL-2.0-or-later
// Rings that the host kernel serves (vhost: /dev/vhost-net, /dev/vhost-vsock). A virtio device
// hands all or some of its started queues to a struct vhost; from then on neither a kick nor an
// interrupt of theirs wakes user space: the transport's ioeventfd is what the kernel waits on, the
// vector's irqfd what it signals.
//
//	realize	    vhost_open(), features of virtio_desc from vh.features and vhost_lacks(),
//		    virtio_realize()
//	activate    vhost_start(), then the device's own request (VHOST_NET_SET_BACKEND, ...)
//	deactivate  the device's own request to stop, then vhost_stop()
//	call_changed  vhost_call()
//	unrealize   virtio_unrealize(), vhost_close()
//
// Guest memory is that of virtio_dev.mem: it does not change between activate and deactivate, so
// the kernel's table is exact without a listener. Split rings only: no kernel serves packed ones.
// A ring that the kernel finds broken makes the device need a reset. Under the machine lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/loop.h"
#include "core/verr.h"
#include "vmm/virtio/virtio.h"

VV_BEGIN_DECLS

struct vhost_desc {
	const char *path;   /* opened if fd < 0; what messages call it in any case; outlives it */
	int fd;		    /* adopted on success (left open on failure), or -1 */
	unsigned int first; /* its ring 0 is the device's queue `first` */
	unsigned int n;	    /* rings */
};

struct vhost {
	struct virtio_dev *vd; /* NULL: not open */
	const char *path;
	int fd;
	unsigned int first, n;
	uint64_t features; /* the kernel's: ring features and the device type's */
	bool started;
	int err_fd; /* the kernel signals it for a broken ring */
	struct loop_fd err_src;
};

/* Becomes the owner of the kernel's device. vd->pd.dev has its platform and id, nothing else is
 * needed of it yet. In a dry run the kernel is asked, and nothing changed. Errors name the path,
 * and what to do where it is missing, forbidden, another process's, or no vhost device at all. */
int vhost_open(struct vhost *vh, struct virtio_dev *vd, const struct vhost_desc *desc,
	       struct verr *reterr);
/* Zeroed, half open, closed: fine. Stopped by then. */
void vhost_close(struct vhost *vh);

/* Those of the features that virtio.c offers by itself which the kernel does not serve: for
 * virtio_desc.no_features. */
uint64_t vhost_lacks(const struct vhost *vh);

/* In activate(): features (those negotiated that the kernel has, and `extra`, which are vhost's
 * own, such as VHOST_NET_F_VIRTIO_NET_HDR), memory, and every started queue of its n. -errno:
 * nothing is started. */
int vhost_start(struct vhost *vh, uint64_t extra);
/* In deactivate(), when the device's own request has stopped the kernel's use of the rings: the
 * positions come back. No effect if not started. */
void vhost_stop(struct vhost *vh);
/* From call_changed(): queue `q` of the device, if it is one of its rings, now signals fd. */
void vhost_call(struct vhost *vh, unsigned int q, int fd);

/* One of the device type's own requests on the kernel's device; -errno, with a debug log line. */
int vhost_request(struct vhost *vh, unsigned long request, void *arg, const char *name);

VV_END_DECLS
