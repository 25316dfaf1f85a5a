// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupts of a function: the sink that turns what MSI and MSI-X say into vectors bound in the
// irqchip, with one route_commit a batch; the mode the guest chose; the INTx line.
#define LOG_TAG "pci/irq"
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/trace.h"
#include "pci/pcidev.h"

int pcidev_vectors(struct pcidev *pd, unsigned int n, struct verr *reterr)
{
	if (n <= pd->n_vec)
		return 0;
	struct msivec *vec = reallocarray(pd->vec, n, sizeof(*vec));
	if (vec == NULL)
		return verr_set(reterr, -ENOMEM, "out of memory for %u interrupt vectors", n);
	for (unsigned int i = pd->n_vec; i < n; i++)
		msivec_init(&vec[i]);
	pd->vec = vec;
	pd->n_vec = n;
	return 0;
}

/* ---- the sink -------------------------------------------------------------------------------- */

static struct irqchip *chip(const struct pcidev *pd)
{
	return pd->dev.plat->irq;
}

static void batch_begin(void *opaque)
{
	struct pcidev *pd = opaque;
	pd->batching = true;
	pd->routes_changed = false;
	pd->staged_first = pd->n_vec;
	pd->staged_end = 0;
}

static void batch_vector(struct pcidev *pd, unsigned int i, const struct msi_msg *msg, bool live)
{
	struct msivec *v = &pd->vec[i];
	bool was = v->bound || v->staged;
	T(msix_vector, pd->dev.id, i, live, msg->addr, msg->data);
	int r = msivec_stage(v, chip(pd), msg, live);
	if (r < 0)
		guest_warn("%s: vector %u can't be delivered to the guest: %s", pd->dev.id, i,
			   r == -ENOSPC		 ? "all interrupt routes are in use"
			   : r == -EADDRNOTAVAIL ? "its message is no interrupt's"
						 : strerror(-r));
	bool is = v->bound || v->staged;
	if (live && r >= 0) {
		pd->routes_changed = true;
		pd->staged_first = MIN(pd->staged_first, i);
		pd->staged_end = MAX(pd->staged_end, i + 1);
	}
	if (was != is && pd->ops->irq_vector != NULL)
		pd->ops->irq_vector(pd, i, v, is);
}

static void batch_end(void *opaque)
{
	struct pcidev *pd = opaque;
	struct irqchip *c = chip(pd);
	int committed = pd->routes_changed ? c->ops->route_commit(c) : 0;
	for (unsigned int i = pd->staged_first; i < pd->staged_end; i++) {
		struct msivec *v = &pd->vec[i];
		bool concerned = v->staged || v->moved;
		int r = committed;
		if (committed < 0)
			msivec_abandon(v, c);
		else
			r = msivec_settle(v, c);
		if (r >= 0 || !concerned)
			continue;
		guest_warn("%s: vector %u can't be bound: %s", pd->dev.id, i, strerror(-r));
		if (pd->ops->irq_vector != NULL)
			pd->ops->irq_vector(pd, i, v, false);
	}
	pd->batching = false;
	if (pd->ops->irq_settled != NULL)
		pd->ops->irq_settled(pd);
}

static bool vector_pending(void *opaque, unsigned int i)
{
	const struct pcidev *pd = opaque;
	return msivec_pending(&pd->vec[i]);
}

/* ---- modes ----------------------------------------------------------------------------------- */

static void set_mode(struct pcidev *pd, enum pcidev_irq_mode mode, unsigned int n)
{
	if (pd->irq_mode == mode)
		return;
	pd->irq_mode = mode;
	pcidev_intx_update(pd);
	if (pd->ops->irq_mode != NULL)
		pd->ops->irq_mode(pd, mode, n);
}

/* After set_mode(): hardware is told first, so that nothing fires into a drained fd. */
static void release_all(struct pcidev *pd)
{
	for (unsigned int i = 0; i < pd->n_vec; i++) {
		pd->routes_changed |= pd->vec[i].routed;
		msivec_release(&pd->vec[i], chip(pd));
	}
	pd->staged_first = pd->n_vec;
	pd->staged_end = 0;
}

static enum pcidev_irq_mode fallback(const struct pcidev *pd)
{
	return pd->intx_pin != 0 ? PCI_IRQ_INTX : PCI_IRQ_NONE;
}

/* A guest must not enable both (PCI 3.0 6.8.2); if it does, MSI-X is what counts. */
static bool msix_rules(const struct pcidev *pd)
{
	return pd->msix != NULL && pd->msix->enabled;
}

static void msi_vector(void *opaque, unsigned int i, const struct msi_msg *msg, bool live)
{
	struct pcidev *pd = opaque;
	if (!msix_rules(pd))
		batch_vector(pd, i, msg, live);
}

static void msi_enable(void *opaque, bool on, unsigned int n)
{
	struct pcidev *pd = opaque;
	if (msix_rules(pd))
		return;
	if (on) {
		set_mode(pd, PCI_IRQ_MSI, n);
		return;
	}
	set_mode(pd, fallback(pd), 0);
	release_all(pd);
}

static void msix_vector(void *opaque, unsigned int i, const struct msi_msg *msg, bool live)
{
	batch_vector(opaque, i, msg, live);
}

static void msix_enable(void *opaque, bool on, unsigned int n)
{
	struct pcidev *pd = opaque;
	if (on) {
		for (unsigned int i = 0; i < pd->n_vec; i++) /* MSI's, if that was on */
			if (pd->vec[i].bound)
				batch_vector(pd, i, &pd->vec[i].msg, false);
		set_mode(pd, PCI_IRQ_MSIX, n);
		release_all(pd);
		return;
	}
	/* If MSI was on all the time, it comes into its own. */
	bool msi = pd->msi != NULL && pd->msi->enabled;
	set_mode(pd, msi ? PCI_IRQ_MSI : fallback(pd), msi ? pd->msi->n : 0);
	release_all(pd);
	for (unsigned int i = 0; msi && i < pd->msi->n; i++) {
		struct msi_msg msg = msi_message(pd->msi, i);
		if ((pd->msi->live & BIT32(i)) != 0)
			batch_vector(pd, i, &msg, true);
	}
}

const struct msi_sink pcidev_msi_sink = {
	.begin = batch_begin,
	.vector = msi_vector,
	.end = batch_end,
	.enable = msi_enable,
	.pending = vector_pending,
};

const struct msi_sink pcidev_msix_sink = {
	.begin = batch_begin,
	.vector = msix_vector,
	.end = batch_end,
	.enable = msix_enable,
	.pending = vector_pending,
};

void pcidev_irq_fini(struct pcidev *pd)
{
	enum pcidev_irq_mode mode = pd->irq_mode;
	pd->intx_level = false;
	intx_disconnect(&pd->intx);
	pd->irq_mode = PCI_IRQ_NONE;
	if (mode != PCI_IRQ_NONE && pd->ops->irq_mode != NULL)
		pd->ops->irq_mode(pd, PCI_IRQ_NONE, 0);
	for (unsigned int i = 0; i < pd->n_vec; i++)
		msivec_fini(&pd->vec[i], chip(pd));
	if (pd->n_vec > 0 && chip(pd) != NULL)
		chip(pd)->ops->route_commit(chip(pd));
	free(pd->vec);
	pd->vec = NULL;
	pd->n_vec = 0;
	free(pd->msi);
	pd->msi = NULL;
	if (pd->msix != NULL)
		msix_fini(pd->msix);
	free(pd->msix);
	pd->msix = NULL;
}

/* ---- raising --------------------------------------------------------------------------------- */

void pcidev_intx_update(struct pcidev *pd)
{
	uint64_t status = pcicfg_get(&pd->cfg, PCI_STATUS, 2);
	uint64_t command = pcicfg_get(&pd->cfg, PCI_COMMAND, 2);
	status &= ~(uint64_t)PCI_STATUS_INTERRUPT;
	/* The status bit shows what the device wants, whatever COMMAND says (PCI 3.0 6.2.3). */
	pcicfg_put(&pd->cfg, PCI_STATUS, 2, status | (pd->intx_level ? PCI_STATUS_INTERRUPT : 0));
	intx_set(&pd->intx, pd->intx_level && pd->irq_mode == PCI_IRQ_INTX &&
				    (command & PCI_COMMAND_INTX_DISABLE) == 0);
}

void pcidev_intx_set(struct pcidev *pd, bool level)
{
	if (pd->intx_pin == 0 || pd->intx_level == level)
		return;
	pd->intx_level = level;
	pcidev_intx_update(pd);
}

void pcidev_notify(struct pcidev *pd, unsigned int vec)
{
	unsigned int n = 0;
	switch (pd->irq_mode) {
	case PCI_IRQ_NONE:
		return;
	case PCI_IRQ_INTX:
		pcidev_intx_set(pd, true);
		return;
	case PCI_IRQ_MSI:
		/* Fewer vectors granted than asked for: they are shared (PCI 3.0 6.8.3.2). */
		n = pd->msi->n;
		vec &= n - 1;
		break;
	case PCI_IRQ_MSIX:
		n = pd->msix->n;
		break;
	}
	/* A message is a memory write of the function's own (PCI 3.0 6.8.3.1). */
	if (vec < n && (pcicfg_get(&pd->cfg, PCI_COMMAND, 2) & PCI_COMMAND_MASTER) != 0)
		msivec_signal(&pd->vec[vec]);
}
