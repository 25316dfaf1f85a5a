// SPDX-License-Identifier: GPL-2.0-or-later
// Interrupts of an assigned function: what the guest's choice of mode and its MSI and MSI-X state
// ask of VFIO_DEVICE_SET_IRQS. The vectors' routes and irqfds are pcidev_irq.c's; here only the
// hardware end of the same eventfds. MSI-X vectors are given to hardware when first unmasked, so
// that 2048 of them cost nothing until used. INTx itself is passthru_intx.c's.

#define LOG_TAG "vfio/irq"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/log.h"
#include "core/sys.h"
#include "vfio/passthru.h"

#define MSIX_MAX 2048

static int msi_on(struct passthru *p, unsigned int n)
{
	int fds[32];
	int r = 0;

	n = MIN(n, (unsigned int)ARRAY_SIZE(fds));
	for (unsigned int i = 0; i < n && r == 0; i++) {
		fds[i] = msivec_fd(&p->pd.vec[i]);
		r = MIN(fds[i], 0);
	}
	if (r == 0)
		r = vfio_irqs_set(p->vd, VFIO_PCI_MSI_IRQ_INDEX, 0, fds, n);
	if (r > 0 && (unsigned int)r < n) {
		guest_warn("%s: the host grants %d of %u MSI vectors", p->vd->name, r, n);
		r = vfio_irqs_set(p->vd, VFIO_PCI_MSI_IRQ_INDEX, 0, fds, (unsigned int)r);
	}
	if (r == 0)
		p->armed = n;
	if (r < 0)
		guest_warn("%s: MSI can't be enabled on the host: %s", p->vd->name, strerror(-r));
	return r;
}

/* Hardware goes into MSI-X mode with one vector that nobody hears, as a driver may look at the
 * enable bit's effect before it unmasks anything. */
static int msix_on(struct passthru *p)
{
	const int none = -1;

	memset(p->used, 0, p->pd.n_vec);
	memset(p->fresh, 0, p->pd.n_vec);
	p->any_fresh = false;
	p->armed = 0;
	int r = vfio_irqs_set(p->vd, VFIO_PCI_MSIX_IRQ_INDEX, 0, &none, 1);
	if (r == 0)
		p->armed = 1;
	else
		guest_warn("%s: MSI-X can't be enabled on the host: %s", p->vd->name, strerror(-r));
	return r;
}

/* Gives hardware the eventfds of [start, start+n): of vectors in use, and of fresh ones if
 * asked. */
static int msix_fds(struct passthru *p, unsigned int start, unsigned int n, bool fresh)
{
	int fds[MSIX_MAX] = { -1 };

	for (unsigned int i = 0; i < n; i++) {
		unsigned int v = start + i;

		fds[i] = p->used[v] || (fresh && p->fresh[v]) ? msivec_fd(&p->pd.vec[v]) : -1;
	}
	int r = vfio_irqs_set(p->vd, VFIO_PCI_MSIX_IRQ_INDEX, start, fds, n);
	for (unsigned int v = start; v < start + n && r == 0 && fresh; v++)
		p->used[v] |= p->fresh[v];
	return r;
}

/* Without dynamic allocation (NORESIZE) more vectors mean a moment without any: the index is
 * disabled and enabled at the new high-water mark, or at the old one if that is refused. What fired
 * meanwhile is lost, so every vector that was in use gets one spurious signal, which drivers must
 * tolerate (PCI 3.0 6.8.3.5). */
static int msix_grow(struct passthru *p, unsigned int top)
{
	uint8_t was[MSIX_MAX];

	memcpy(was, p->used, p->pd.n_vec);
	vfio_irqs_disable(p->vd, VFIO_PCI_MSIX_IRQ_INDEX);
	int r = msix_fds(p, 0, top, true);
	if (r == 0)
		p->armed = top;
	else if (p->armed && msix_fds(p, 0, p->armed, false) != 0)
		p->armed = 0;
	for (unsigned int i = 0; i < p->armed; i++)
		if (was[i])
			msivec_signal(&p->pd.vec[i]);
	return r;
}

/* One call for each run of neighbours. */
static int msix_add(struct passthru *p)
{
	for (unsigned int i = 0; i < p->pd.n_vec;) {
		unsigned int n = 0;

		while (i + n < p->pd.n_vec && p->fresh[i + n])
			n++;
		if (n) {
			int r = msix_fds(p, i, n, true);
			if (r != 0)
				return r;
			p->armed = MAX(p->armed, i + n);
		}
		i += n ? n : 1;
	}
	return 0;
}

void passthru_irq_settled(struct pcidev *pd)
{
	struct passthru *p = passthru_of(pd);
	unsigned int top = 0;

	if (p->irq_mode != PCI_IRQ_MSIX || !p->any_fresh)
		return;
	for (unsigned int i = 0; i < pd->n_vec; i++)
		if (p->fresh[i])
			top = i + 1;
	bool fixed = p->vd->irq[VFIO_PCI_MSIX_IRQ_INDEX].flags & VFIO_IRQ_INFO_NORESIZE;
	int r = fixed && top > p->armed ? msix_grow(p, top) : msix_add(p);
	if (r != 0)
		guest_warn("%s: the host has no more MSI-X vectors (%s): vector %u and others stay "
			   "silent",
			   p->vd->name, r < 0 ? strerror(-r) : "fewer than asked", top - 1);
	memset(p->fresh, 0, pd->n_vec);
	p->any_fresh = false;
}

void passthru_irq_vector(struct pcidev *pd, unsigned int vec, struct msivec *v, bool live)
{
	struct passthru *p = passthru_of(pd);

	(void)v;
	/* A vector that goes silent keeps its eventfd in hardware: what fires then stays in the fd,
	 * where the pending bit is read from. */
	if (p->irq_mode != PCI_IRQ_MSIX || !live || p->used[vec] || p->fresh[vec])
		return;
	p->fresh[vec] = 1;
	p->any_fresh = true;
}

void passthru_irq_off(struct passthru *p)
{
	switch (p->irq_mode) {
	case PCI_IRQ_INTX:
		passthru_intx_off(p);
		break;
	case PCI_IRQ_MSI:
	case PCI_IRQ_MSIX:
		if (p->armed)
			vfio_irqs_disable(p->vd, p->irq_mode == PCI_IRQ_MSI
							 ? VFIO_PCI_MSI_IRQ_INDEX
							 : VFIO_PCI_MSIX_IRQ_INDEX);
		break;
	case PCI_IRQ_NONE:
		break;
	}
	p->armed = 0;
	p->irq_mode = PCI_IRQ_NONE;
	p->irq_refused = false;
}

void passthru_irq_mode(struct pcidev *pd, enum pcidev_irq_mode mode, unsigned int n)
{
	struct passthru *p = passthru_of(pd);
	int r = 0;

	if (!p->vd || p->lost || pd->dev.plat->dry_run)
		return;
	if (mode == p->irq_mode && mode != PCI_IRQ_MSI)
		return;
	passthru_irq_off(p);
	p->irq_mode = mode;
	switch (mode) {
	case PCI_IRQ_INTX:
		r = passthru_intx_on(p);
		break;
	case PCI_IRQ_MSI:
		r = msi_on(p, n);
		break;
	case PCI_IRQ_MSIX:
		r = msix_on(p);
		break;
	case PCI_IRQ_NONE:
		break;
	}
	p->irq_refused = r != 0;
}

/* All that is live and has nothing in hardware is tried again. */
static void retry(struct passthru *p)
{
	enum pcidev_irq_mode mode = p->irq_mode;
	struct pcidev *pd = &p->pd;

	if (p->irq_refused) {
		p->irq_mode = PCI_IRQ_NONE;
		p->irq_refused = false;
		passthru_irq_mode(pd, mode, pd->msi ? pd->msi->n : 0);
	}
	for (unsigned int i = 0; p->irq_mode == PCI_IRQ_MSIX && i < pd->n_vec; i++)
		if (pd->vec[i].bound)
			passthru_irq_vector(pd, i, &pd->vec[i], true);
	passthru_irq_settled(pd);
}

/* The kernel enables no MSI in a function that is not in D0 (__pci_enable_msix()). */
void passthru_irq_cfg_written(struct pcidev *pd, unsigned int off, unsigned int size)
{
	struct passthru *p = passthru_of(pd);
	unsigned int reg = pd->pm_off + (unsigned int)PCI_PM_CTRL;

	if (!pd->pm_off || off > reg || off + size <= reg || p->lost || pd->dev.plat->dry_run ||
	    (pcicfg_get(&pd->cfg, reg, 1) & PCI_PM_CTRL_STATE_MASK) != 0)
		return;
	retry(p);
}
