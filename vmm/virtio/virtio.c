// SPDX-License-Identifier: GPL-2.0-or-later
// The device core: the status machine of VIRTIO 1.2 2.1 and 3.1, and the hand-over of queues to
// the data plane and back. Owns the queues; knows no device type, and of the transport only what
// virtio_pci.h says.
#define LOG_TAG "virtio"
#include "vmm/virtio/virtio.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/sys.h"
#include "core/trace.h"
#include "vmm/virtio/virtio_pci.h"

/* Newer than the oldest headers we build with. */
#define F_NOTIFICATION_DATA 38

#define DRIVER_BITS                                                                                \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_DRIVER_OK |        \
	 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_FAILED)

/* ---- the data plane's time ------------------------------------------------------------------- */

static bool wanted(const struct virtio_dev *vd)
{
	return (vd->status & VIRTIO_CONFIG_S_DRIVER_OK) &&
	       !(vd->status & (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)) &&
	       vd->running && !vd->paused && virtio_pci_dma_ok(vd);
}

/* What the driver is told when it can't be told otherwise any more. */
static void set_needs_reset(struct virtio_dev *vd, const char *why)
{
	if (vd->status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	guest_warn("%s: the device needs a reset: %s", vd->pd.dev.id, why);
	vd->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	T(virtio_status, vd->pd.dev.id, (unsigned int)vd->status);
	if (vd->status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_pci_config_irq(vd);
}

static void stop_queues(struct virtio_dev *vd)
{
	for (unsigned int i = 0; i < vd->n_queues; i++)
		vq_stop(&vd->vq[i]);
	gmem_snap_drop(vd->mem);
	vd->mem = NULL;
}

static int start_queues(struct virtio_dev *vd, const char **ret_why)
{
	int r = gmem_snap_take(vd->pd.dev.plat->ram, &vd->mem);

	*ret_why = "out of memory";
	for (unsigned int i = 0; i < vd->n_queues && r == 0; i++)
		if (vd->vq[i].regs.enabled)
			r = vq_start(&vd->vq[i], vd->mem, vd->acked, ret_why);
	if (r < 0)
		stop_queues(vd);
	return r;
}

static void activate(struct virtio_dev *vd)
{
	const char *why = NULL;

	if (start_queues(vd, &why) < 0) {
		set_needs_reset(vd, why);
		return;
	}
	virtio_pci_calls(vd);
	int r = vd->ops->activate(vd);
	if (r < 0) {
		stop_queues(vd);
		set_needs_reset(vd, strerror(-r));
		return;
	}
	vd->active = true;
	T(virtio_activate, vd->pd.dev.id, 1, vd->acked);
	virtio_pci_bells(vd);
	/* Kicks may have come before there was anybody to hear them, or been half heard. */
	for (unsigned int i = 0; i < vd->n_queues; i++)
		if (vd->vq[i].ops)
			sys_event_signal(vd->vq[i].kick_fd);
}

static void deactivate(struct virtio_dev *vd)
{
	vd->ops->deactivate(vd);
	vd->active = false;
	virtio_pci_bells(vd);
	stop_queues(vd);
	T(virtio_activate, vd->pd.dev.id, 0, vd->acked);
}

void virtio_update(struct virtio_dev *vd)
{
	bool want = wanted(vd);

	if (want && !vd->active)
		activate(vd);
	else if (!want && vd->active)
		deactivate(vd);
}

void virtio_restart(struct virtio_dev *vd)
{
	if (!vd->active)
		return;
	deactivate(vd);
	virtio_update(vd);
}

/* ---- what breaks ----------------------------------------------------------------------------- */

static void broken_run(struct loop_job *j)
{
	struct virtio_dev *vd = container_of(j, struct virtio_dev, broken_job);
	const char *why = __atomic_exchange_n(&vd->broken_why, NULL, __ATOMIC_ACQ_REL);

	if (!why)
		return;
	set_needs_reset(vd, why);
	virtio_update(vd);
}

void virtio_needs_reset(struct virtio_dev *vd, const char *why)
{
	const char *none = NULL;

	if (__atomic_compare_exchange_n(&vd->broken_why, &none, why, false, __ATOMIC_ACQ_REL,
					__ATOMIC_RELAXED))
		loop_defer(vd->pd.dev.plat->loop, &vd->broken_job);
}

static void queue_broken(struct vq *q, const char *why)
{
	virtio_needs_reset(q->opaque, why);
}

/* ---- status ---------------------------------------------------------------------------------- */

void virtio_reset(struct virtio_dev *vd)
{
	if (vd->active)
		deactivate(vd);
	loop_cancel(&vd->broken_job);
	__atomic_store_n(&vd->broken_why, NULL, __ATOMIC_RELEASE);
	vd->status = 0;
	vd->acked = 0;
	for (unsigned int i = 0; i < vd->n_queues; i++)
		vq_reset(&vd->vq[i]);
	virtio_pci_reset_regs(vd);
	if (vd->ops->reset)
		vd->ops->reset(vd);
}

static bool features_fine(struct virtio_dev *vd)
{
	return (vd->acked & ~vd->features) == 0 && virtio_has(vd, VIRTIO_F_VERSION_1) &&
	       (!vd->ops->features_ok || vd->ops->features_ok(vd, vd->acked));
}

/* VIRTIO 1.2 3.1.1: bits only ever go on, in their order; what is out of order does not. */
void virtio_set_status(struct virtio_dev *vd, uint8_t status)
{
	T(virtio_status, vd->pd.dev.id, (unsigned int)status);
	if (status == 0) {
		virtio_reset(vd);
		return;
	}
	uint8_t fresh = status & DRIVER_BITS & (uint8_t)~vd->status;

	vd->status |= fresh & (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_FAILED);
	if ((fresh & VIRTIO_CONFIG_S_DRIVER) && (vd->status & VIRTIO_CONFIG_S_ACKNOWLEDGE))
		vd->status |= VIRTIO_CONFIG_S_DRIVER;
	if ((fresh & VIRTIO_CONFIG_S_FEATURES_OK) && (vd->status & VIRTIO_CONFIG_S_DRIVER) &&
	    features_fine(vd))
		vd->status |= VIRTIO_CONFIG_S_FEATURES_OK;
	if ((fresh & VIRTIO_CONFIG_S_DRIVER_OK) && (vd->status & VIRTIO_CONFIG_S_FEATURES_OK))
		vd->status |= VIRTIO_CONFIG_S_DRIVER_OK;
	virtio_update(vd);
}

void virtio_config_changed(struct virtio_dev *vd)
{
	vd->tp.generation++;
	if (vd->status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_pci_config_irq(vd);
}

/* ---- life ------------------------------------------------------------------------------------ */

static uint64_t ring_features(const struct virtio_props *p)
{
	uint64_t f = BIT64(VIRTIO_F_VERSION_1);

	if (!p)
		return f | BIT64(VIRTIO_RING_F_EVENT_IDX) | BIT64(VIRTIO_RING_F_INDIRECT_DESC);
	f |= p->packed ? BIT64(VIRTIO_F_RING_PACKED) : 0;
	f |= p->event_idx ? BIT64(VIRTIO_RING_F_EVENT_IDX) : 0;
	f |= p->indirect_desc ? BIT64(VIRTIO_RING_F_INDIRECT_DESC) : 0;
	f |= p->in_order ? BIT64(VIRTIO_F_IN_ORDER) : 0;
	f |= p->notification_data ? BIT64(F_NOTIFICATION_DATA) : 0;
	return f;
}

static int make_queues(struct virtio_dev *vd, const struct virtio_desc *desc, struct verr *reterr)
{
	vd->vq = calloc(desc->n_queues, sizeof(*vd->vq));
	vd->config = calloc(1, MAX(desc->config_len, 1u));
	if (!vd->vq || !vd->config)
		return verr_set(reterr, -ENOMEM, "out of memory for %u queues", desc->n_queues);
	if (desc->config)
		memcpy(vd->config, desc->config, desc->config_len);
	vd->config_len = desc->config_len;
	vd->n_queues = desc->n_queues;
	for (unsigned int i = 0; i < vd->n_queues; i++)
		vd->vq[i] = (struct vq){ .max = desc->queue_size,
					 .index = (uint16_t)i,
					 .kick_fd = -1,
					 .call_fd = -1,
					 .broken_fn = queue_broken,
					 .opaque = vd };
	for (unsigned int i = 0; i < vd->n_queues && !vd->pd.dev.plat->dry_run; i++) {
		int fd = sys_eventfd(0, 0);
		if (fd < 0)
			return verr_set(reterr, fd, "no eventfd for queue %u: %s", i,
					strerror(-fd));
		vd->vq[i].kick_fd = fd;
	}
	return 0;
}

int virtio_realize(struct virtio_dev *vd, const struct virtio_desc *desc, struct verr *reterr)
{
	vd->ops = desc->ops;
	vd->id = desc->id;
	vd->features = desc->features | (ring_features(desc->props) & ~desc->no_features);
	vd->broken_job.run = broken_run;
	vd->tp.intx_fd = -1;
	int r = make_queues(vd, desc, reterr);
	if (r == 0)
		r = virtio_pci_open(vd, desc->class_code, reterr);
	if (r < 0)
		virtio_unrealize(vd);
	else
		virtio_reset(vd);
	return r;
}

void virtio_unrealize(struct virtio_dev *vd)
{
	if (!vd->ops) {
		pcidev_fini(&vd->pd);
		return;
	}
	if (vd->active)
		deactivate(vd);
	vd->running = false;
	vd->status = 0;
	loop_cancel(&vd->broken_job);
	virtio_pci_close(vd);
	for (unsigned int i = 0; i < vd->n_queues; i++)
		sys_close_fd(&vd->vq[i].kick_fd);
	free(vd->vq);
	free(vd->config);
	vd->vq = NULL;
	vd->config = NULL;
	vd->n_queues = 0;
	vd->ops = NULL;
}

void virtio_dev_reset(struct dev *d)
{
	/* Quiet before its interrupts go away. */
	virtio_reset(virtio_of(d));
	pcidev_reset(&virtio_of(d)->pd, true);
}

int virtio_dev_start(struct dev *d, struct verr *reterr)
{
	(void)reterr;
	virtio_of(d)->running = true;
	virtio_update(virtio_of(d));
	return 0;
}

void virtio_dev_stop(struct dev *d)
{
	virtio_of(d)->running = false;
	virtio_of(d)->paused = false;
	virtio_update(virtio_of(d));
}

void virtio_dev_pause(struct dev *d)
{
	virtio_of(d)->paused = true;
	virtio_update(virtio_of(d));
}

void virtio_dev_resume(struct dev *d)
{
	virtio_of(d)->paused = false;
	virtio_update(virtio_of(d));
}

void virtio_dev_describe(struct dev *d, FILE *out)
{
	const struct virtio_dev *vd = virtio_of(d);

	fprintf(out, "  virtio %u: %u queue%s of up to %u, features %#" PRIx64 "\n",
		(unsigned int)vd->id, vd->n_queues, vd->n_queues == 1 ? "" : "s",
		vd->n_queues ? (unsigned int)vd->vq[0].max : 0, vd->features);
}
