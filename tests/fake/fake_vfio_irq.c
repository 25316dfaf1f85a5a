// SPDX-License-Identifier: GPL-2.0-or-later
//
// VFIO_DEVICE_SET_IRQS by the rules of vfio_main.c's validation and vfio_pci_intrs.c: INTx with
// its automask and unmask eventfd, MSI and MSI-X with their allocation, ERR and REQ. Owns the
// references to the eventfds bound.
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_int.h"

enum { INTX, MSI, MSIX, ERR, REQ };

#define TYPES (VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_DATA_BOOL | VFIO_IRQ_SET_DATA_EVENTFD)
#define ACTIONS                                                                                    \
	(VFIO_IRQ_SET_ACTION_MASK | VFIO_IRQ_SET_ACTION_UNMASK | VFIO_IRQ_SET_ACTION_TRIGGER)

struct req { /* a request that has passed validation */
	struct fk_vdev *v;
	unsigned int start, count;
	uint32_t type;
	const uint8_t *bools;
	const int32_t *fds;
};

unsigned int fk_irq_count(const struct fk_vdev *v, unsigned int index)
{
	const struct fake_dev *d = v->d;
	switch (index) {
	case INTX:
		return v->vcfg[PCI_INTERRUPT_PIN] != 0;
	case MSI:
		if (!d->msi)
			return 0;
		return 1u << ((fk_cfg_get(d->cfg, d->msi + PCI_MSI_FLAGS, 2) &
			       PCI_MSI_FLAGS_QMASK) >>
			      1);
	case MSIX:
		return fk_msix_count(d);
	case ERR:
		return d->pcie != 0;
	default:
		return 1;
	}
}

/* --- INTx --------------------------------------------------------------------------------- */

/* PCI 2.3 devices show what they want, masked or not. */
void fk_intx_level(struct fake_dev *d, bool level)
{
	uint32_t status = fk_cfg_get(d->cfg, PCI_STATUS, 2) & ~(uint32_t)PCI_STATUS_INTERRUPT;
	d->intx_level = level;
	if (!(d->desc->flags & FAKE_DEV_NO_INTX_DISABLE))
		fk_cfg_set(d->cfg, PCI_STATUS, 2, status | (level ? PCI_STATUS_INTERRUPT : 0));
}

/* The line is looked at again: asserted and not masked means one signal, and masked from then. */
void fk_intx_update(struct fk_vdev *v)
{
	if (v->irq_index != INTX || !v->d->intx_level || v->intx_masked || v->intx_virt_disabled)
		return;
	v->intx_masked = true;
	if (v->ctx[0].trigger)
		fk_efd_signal(v->ctx[0].trigger);
}

static void intx_unmask(struct fk_vdev *v)
{
	v->intx_masked = false;
	fk_intx_update(v);
}

struct unmask_waiter {
	struct fk_waiter w;
	struct fk_vdev *v;
};

static void unmask_signalled(struct fk_waiter *w)
{
	intx_unmask(container_of(w, struct unmask_waiter, w)->v);
}

static void unmask_waiter_drop(struct fk_vdev *v)
{
	if (!v->intx_unmask)
		return;
	fk_waiter_del(v->intx_unmask);
	free(container_of(v->intx_unmask, struct unmask_waiter, w));
	v->intx_unmask = NULL;
}

static void ctx_resize(struct fk_vdev *v, unsigned int n)
{
	v->ctx = realloc(v->ctx, MAX(n, 1u) * sizeof(*v->ctx));
	if (!v->ctx)
		fk_bug("out of memory");
	if (n > v->n_ctx)
		memset(v->ctx + v->n_ctx, 0, (n - v->n_ctx) * sizeof(*v->ctx));
	v->n_ctx = n;
}

static void ctx_drop(struct fk_vdev *v)
{
	for (unsigned int i = 0; i < v->n_ctx; i++)
		fk_efd_put(v->ctx[i].trigger);
	free(v->ctx);
	v->ctx = NULL;
	v->n_ctx = 0;
	v->n_irqs = 0;
	v->irq_index = -1;
}

static void intx_disable(struct fk_vdev *v)
{
	unmask_waiter_drop(v);
	ctx_drop(v);
}

static long intx_eventfd(struct fk_vdev *v, int fd)
{
	struct fk_efd *e = NULL;
	int err;
	if (fd >= 0 && !(e = fk_efd_get(fd, &err)))
		return err;
	if (v->irq_index != INTX) {
		ctx_resize(v, 1);
		v->irq_index = INTX;
		v->n_irqs = 1;
		v->intx_masked = false;
	}
	fk_efd_put(v->ctx[0].trigger);
	v->ctx[0].trigger = e;
	fk_intx_update(v);
	return 0;
}

static long intx_trigger(const struct req *q)
{
	struct fk_vdev *v = q->v;
	if (v->irq_index == INTX && !q->count && q->type == VFIO_IRQ_SET_DATA_NONE) {
		intx_disable(v);
		return 0;
	}
	if ((v->irq_index != INTX && v->irq_index != -1) || q->start != 0 || q->count != 1)
		return -EINVAL;
	if (q->type == VFIO_IRQ_SET_DATA_EVENTFD)
		return intx_eventfd(v, q->fds[0]);
	if (v->irq_index != INTX)
		return -EINVAL;
	if ((q->type == VFIO_IRQ_SET_DATA_NONE || q->bools[0]) && v->ctx[0].trigger)
		fk_efd_signal(v->ctx[0].trigger);
	return 0;
}

static long intx_mask(const struct req *q)
{
	if (q->v->irq_index != INTX || q->start != 0 || q->count != 1)
		return -EINVAL;
	if (q->type == VFIO_IRQ_SET_DATA_EVENTFD)
		return -ENOTTY;
	if (q->type == VFIO_IRQ_SET_DATA_NONE || q->bools[0])
		q->v->intx_masked = true;
	return 0;
}

static long intx_unmask_request(const struct req *q)
{
	struct fk_vdev *v = q->v;
	if (v->irq_index != INTX || q->start != 0 || q->count != 1)
		return -EINVAL;
	if (q->type != VFIO_IRQ_SET_DATA_EVENTFD) {
		if (q->type == VFIO_IRQ_SET_DATA_NONE || q->bools[0])
			intx_unmask(v);
		return 0;
	}
	if (q->fds[0] < 0) {
		unmask_waiter_drop(v);
		return 0;
	}
	int err;
	struct fk_efd *e = fk_efd_get(q->fds[0], &err);
	if (!e)
		return err;
	if (v->intx_unmask) {
		fk_efd_put(e);
		return -EBUSY;
	}
	struct unmask_waiter *w = fk_zalloc(sizeof(*w));
	w->v = v;
	w->w.fn = unmask_signalled;
	v->intx_unmask = &w->w;
	fk_waiter_add(&w->w, e);
	/* A count it already has unmasks at once. */
	if (fk_efd_pending(e)) {
		fk_efd_seen(e, false);
		intx_unmask(v);
	}
	return 0;
}

/* --- MSI and MSI-X ------------------------------------------------------------------------ */

static void hw_enable(struct fk_vdev *v, bool msix, bool on)
{
	struct fake_dev *d = v->d;
	unsigned int reg = msix ? d->msix + PCI_MSIX_FLAGS : d->msi + PCI_MSI_FLAGS;
	uint32_t bit = msix ? PCI_MSIX_FLAGS_ENABLE : PCI_MSI_FLAGS_ENABLE;
	uint32_t flags = fk_cfg_get(d->cfg, reg, 2);
	fk_cfg_phys_write(d, reg, 2, on ? flags | bit : flags & ~bit);
	if (!msix)
		fk_cfg_set(v->vcfg, reg, 2, fk_cfg_get(d->cfg, reg, 2));
}

static unsigned int log2_up(unsigned int n)
{
	unsigned int r = 0;
	while ((1u << r) < n)
		r++;
	return r;
}

static long msi_enable(struct fk_vdev *v, unsigned int n, bool msix)
{
	if (v->irq_index != -1)
		return -EINVAL;
	if (n == 0)
		return -ERANGE;
	if (v->d->removed || v->d->power != 0)
		return -EINVAL;
	ctx_resize(v, n);
	v->irq_index = msix ? MSIX : MSI;
	v->n_irqs = n;
	if (!msix)
		v->msi_qmax = log2_up(n);
	hw_enable(v, msix, true);
	return 0;
}

static void msi_disable(struct fk_vdev *v, bool msix)
{
	hw_enable(v, msix, false);
	ctx_drop(v);
}

static long set_vector(struct fk_vdev *v, unsigned int vec, int fd, bool msix)
{
	bool dynamic = msix && !(v->d->desc->flags & FAKE_DEV_NORESIZE);
	if (vec >= v->n_irqs && !dynamic)
		return -EINVAL;
	if (vec >= v->n_ctx)
		ctx_resize(v, vec + 1);
	if (v->ctx[vec].trigger) {
		fk_efd_put(v->ctx[vec].trigger);
		v->ctx[vec].trigger = NULL;
	}
	if (fd < 0)
		return 0;
	int err;
	struct fk_efd *e = fk_efd_get(fd, &err);
	if (!e)
		return err;
	v->ctx[vec].trigger = e;
	v->n_irqs = MAX(v->n_irqs, vec + 1);
	return 0;
}

static long set_block(const struct req *q, bool msix)
{
	/* Kernels before 6.4, those with NORESIZE, check the block at once. */
	if ((q->v->d->desc->flags & FAKE_DEV_NORESIZE || !msix) &&
	    q->start + q->count > q->v->n_irqs)
		return -EINVAL;
	long r = 0;
	unsigned int i;
	for (i = 0; i < q->count && r == 0; i++)
		r = set_vector(q->v, q->start + i, q->fds[i], msix);
	/* All of the block, or none of it. */
	for (unsigned int j = 0; r < 0 && j < i; j++)
		set_vector(q->v, q->start + j, -1, msix);
	return r;
}

static long msi_trigger(const struct req *q, bool msix)
{
	struct fk_vdev *v = q->v;
	int index = msix ? MSIX : MSI;
	if (v->irq_index == index && !q->count && q->type == VFIO_IRQ_SET_DATA_NONE) {
		msi_disable(v, msix);
		return 0;
	}
	if (v->irq_index != index && v->irq_index != -1)
		return -EINVAL;
	if (q->type == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (v->irq_index == index)
			return set_block(q, msix);
		long r = msi_enable(v, q->start + q->count, msix);
		if (r)
			return r;
		r = set_block(q, msix);
		if (r)
			msi_disable(v, msix);
		return r;
	}
	if (v->irq_index != index)
		return -EINVAL;
	for (unsigned int i = 0; i < q->count; i++) {
		struct fk_efd *e = q->start + i < v->n_ctx ? v->ctx[q->start + i].trigger : NULL;
		if (e && (q->type == VFIO_IRQ_SET_DATA_NONE || q->bools[i]))
			fk_efd_signal(e);
	}
	return 0;
}

/* --- ERR and REQ -------------------------------------------------------------------------- */

static long single_trigger(const struct req *q, struct fk_efd **ctx)
{
	if (q->start != 0 || q->count > 1)
		return -EINVAL;
	if (q->type == VFIO_IRQ_SET_DATA_EVENTFD) {
		if (!q->count || q->fds[0] < -1)
			return -EINVAL;
		struct fk_efd *e = NULL;
		int err;
		if (q->fds[0] >= 0 && !(e = fk_efd_get(q->fds[0], &err)))
			return err;
		fk_efd_put(*ctx);
		*ctx = e;
		return 0;
	}
	if (q->type == VFIO_IRQ_SET_DATA_BOOL) {
		if (!q->count)
			return -EINVAL;
		if (q->bools[0] && *ctx)
			fk_efd_signal(*ctx);
		return 0;
	}
	if (!*ctx)
		return -EINVAL;
	if (q->count) {
		fk_efd_signal(*ctx);
		return 0;
	}
	fk_efd_put(*ctx);
	*ctx = NULL;
	return 0;
}

/* --- the ioctl ---------------------------------------------------------------------------- */

static long validate(struct fk_vdev *v, const struct vfio_irq_set *s, struct req *ret)
{
	size_t head = offsetof(struct vfio_irq_set, data), size;
	if (s->argsz < head || s->index >= VFIO_PCI_NUM_IRQS || s->count >= UINT32_MAX - s->start ||
	    (s->flags & ~(uint32_t)(TYPES | ACTIONS)))
		return -EINVAL;
	unsigned int max = fk_irq_count(v, s->index);
	if (s->start >= max || s->start + s->count > max)
		return -EINVAL;
	switch (s->flags & TYPES) {
	case VFIO_IRQ_SET_DATA_NONE:
		size = 0;
		break;
	case VFIO_IRQ_SET_DATA_BOOL:
		size = 1;
		break;
	case VFIO_IRQ_SET_DATA_EVENTFD:
		size = 4;
		break;
	default:
		return -EINVAL;
	}
	if (s->argsz - head < s->count * size)
		return -EINVAL;
	*ret = (struct req){ .v = v,
			     .start = s->start,
			     .count = s->count,
			     .type = s->flags & TYPES,
			     .bools = s->data,
			     .fds = (const void *)s->data };
	return 0;
}

long fk_set_irqs(struct fk_vdev *v, void *arg)
{
	const struct vfio_irq_set *s = arg;
	struct req q;
	long r = validate(v, s, &q);
	if (r < 0)
		return r;
	uint32_t action = s->flags & ACTIONS;
	switch (s->index) {
	case INTX:
		return action == VFIO_IRQ_SET_ACTION_TRIGGER  ? intx_trigger(&q)
		       : action == VFIO_IRQ_SET_ACTION_MASK   ? intx_mask(&q)
		       : action == VFIO_IRQ_SET_ACTION_UNMASK ? intx_unmask_request(&q)
							      : -ENOTTY;
	case MSI:
	case MSIX:
		return action == VFIO_IRQ_SET_ACTION_TRIGGER ? msi_trigger(&q, s->index == MSIX)
							     : -ENOTTY;
	case ERR:
		return action == VFIO_IRQ_SET_ACTION_TRIGGER ? single_trigger(&q, &v->err)
							     : -ENOTTY;
	default:
		return action == VFIO_IRQ_SET_ACTION_TRIGGER ? single_trigger(&q, &v->req)
							     : -ENOTTY;
	}
}

bool fk_irqs_all_off_request(const void *arg)
{
	const struct vfio_irq_set *s = arg;
	return (s->flags & VFIO_IRQ_SET_DATA_NONE) && s->count == 0;
}

void fk_irqs_off(struct fk_vdev *v)
{
	if (v->irq_index == INTX)
		intx_disable(v);
	else if (v->irq_index > INTX)
		msi_disable(v, v->irq_index == MSIX);
	fk_efd_put(v->err);
	fk_efd_put(v->req);
	v->err = NULL;
	v->req = NULL;
}
