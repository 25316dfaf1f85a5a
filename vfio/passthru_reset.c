// SPDX-License-Identifier: GPL-2.0-or-later
// Reset of an assigned function, whoever asks for it: what has to be still before, which rung of
// the ladder (vfio/reset.h) may be taken beside the guest's other functions, and what is owed to
// the guest after.

#define LOG_TAG "vfio/passthru"

#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/log.h"
#include "pci/pcibus.h"
#include "vfio/passthru.h"
#include "vfio/quirks.h"

/* No more DMA, then no more interrupts, then nobody who looks at its BARs; only then may they
 * stop decoding, as the kernel takes their mappings away with that. */
void passthru_quiesce(struct passthru *p)
{
	passthru_power_wake(p);
	uint32_t command = vfio_cfg_read(p->vd, PCI_COMMAND, 2);

	passthru_command(p, command & ~(uint32_t)PCI_COMMAND_MASTER);
	passthru_irq_off(p);
	pcidev_bars_drop(&p->pd);
	passthru_command(p, 0);
}

/* A function without a reset method would stay in the low power state its guest left it in. */
static void wake(struct passthru *p)
{
	unsigned int reg = p->pd.pm_off + (unsigned int)PCI_PM_CTRL;

	if (p->pd.pm_off && (vfio_cfg_read(p->vd, reg, 1) & PCI_PM_CTRL_STATE_MASK))
		vfio_cfg_write(p->vd, reg, 0, 1);
}

/* ---- reset ----------------------------------------------------------------------------------- */

/* Is it an assigned function that a hot reset of `p` takes along? */
static bool is_dependent(const struct passthru *p, struct pcidev *pd)
{
	if (pd->dev.type != &vfio_pci_type || pd == &p->pd)
		return false;
	for (unsigned int i = 0; i < p->reset.n_deps; i++)
		if (bdf_equal(&p->reset.dep[i], &passthru_of(pd)->vd->at))
			return true;
	return false;
}

/* At work, and not in the slot that is being reset with this one. */
static int is_disturbed(void *ctx, struct pcidev *pd)
{
	const struct passthru *p = ctx;

	return is_dependent(p, pd) && pd->dev.state == DEV_RUNNING &&
	       (pd->bus != p->pd.bus || pd->devfn >> 3 != p->pd.devfn >> 3);
}

/* Chosen anew each time: functions of the same bus may have come or gone. */
static void choose_reset(struct passthru *p, bool all)
{
	vfio_reset_choose(p->vd, all, &p->reset);
	if (!p->reset.hot || !pcibus_walk(p->pd.dev.plat->pci0, is_disturbed, p))
		return;
	p->reset.hot = false;
	snprintf(p->reset.why_not, sizeof(p->reset.why_not),
		 "it would disturb functions at work in another slot of the guest");
}

static int shut_windows(void *ctx, struct pcidev *pd)
{
	if (is_dependent(ctx, pd))
		pcidev_bars_drop(pd);
	return 0;
}

static int open_windows(void *ctx, struct pcidev *pd)
{
	if (is_dependent(ctx, pd))
		pcidev_bars_update(pd);
	return 0;
}

/* For who stands still it was its own reset as well: the bus takes its second or two once. */
static int note_taken(void *ctx, struct pcidev *pd)
{
	if (is_dependent(ctx, pd) && pd->dev.state == DEV_REALIZED)
		passthru_of(pd)->taken = true;
	return 0;
}

/* Who is taken along loses its BARs' mappings, too, for the moment. */
static int run_reset(struct passthru *p, struct verr *reterr)
{
	struct pcibus *root = p->pd.dev.plat->pci0;

	if (p->reset.hot)
		pcibus_walk(root, shut_windows, p);
	int r = vfio_reset_run(p->vd, &p->reset, reterr);
	if (r == 1)
		pcibus_walk(root, note_taken, p);
	if (p->reset.hot)
		pcibus_walk(root, open_windows, p);
	return r;
}

/* The kernel's reset as it was opened, or a neighbour's, is enough where it was worth its name:
 * FLR alone takes 100 ms. */
static bool is_done(const struct passthru *p)
{
	return p->taken || (p->vd->fresh && p->reset.function);
}

/* Has a reset been begun that reaches both? */
static int is_sharing(void *ctx, struct pcidev *pd)
{
	struct passthru *p = ctx;

	if (pd->dev.type != &vfio_pci_type || pd == &p->pd)
		return 0;
	struct passthru *other = passthru_of(pd);
	return other->vd->resetting && (is_dependent(other, &p->pd) || is_dependent(p, pd));
}

/* Those of several functions go on side by side; of functions of one bus only the first. */
void passthru_reset_begin(struct dev *d)
{
	struct passthru *p = container_of(d, struct passthru, pd.dev);

	if (d->plat->dry_run || p->lost || pcibus_walk(d->plat->pci0, is_sharing, p))
		return;
	wake(p);
	choose_reset(p, false);
	if (!is_done(p) && !pcibus_walk(d->plat->pci0, is_sharing, p))
		vfio_reset_begin(p->vd, &p->reset);
}

static int settle(void *ctx, struct pcidev *pd)
{
	struct passthru *p = ctx;

	if (is_sharing(p, pd))
		vfio_reset_settle(passthru_of(pd)->vd);
	return 0;
}

int passthru_hw_reset(struct passthru *p, struct verr *reterr)
{
	struct verr err = { 0 };

	passthru_quiesce(p);
	wake(p);
	choose_reset(p, false);
	pcibus_walk(p->pd.dev.plat->pci0, settle, p);
	int r = is_done(p) ? 0 : run_reset(p, &err);
	vfio_reset_wait(p->vd); /* one that was not needed answers no later reset */
	p->vd->fresh = p->taken = false;
	if (r == -EOPNOTSUPP) {
		log_debug("%s: no reset method; its state survives", p->vd->name);
		return 0;
	}
	if (r < 0 && p->reset.function) {
		log_debug("%s", err.msg);
		choose_reset(p, true);
		p->reset.function = false;
		pcibus_walk(p->pd.dev.plat->pci0, settle, p);
		if (p->reset.hot)
			r = run_reset(p, NULL);
	}
	if (r < 0)
		return verr_set(reterr, r, "%s", err.msg);
	passthru_command(p, 0);
	return 0;
}

/* The kernel resets a function as its last fd is closed, by the method VFIO_DEVICE_RESET takes: a
 * second time would be a second time only. */
void passthru_leave(struct passthru *p)
{
	wake(p);
	choose_reset(p, false);
	if (!p->reset.function)
		passthru_hw_reset(p, NULL);
}

void passthru_reset_text(struct passthru *p, char *buf, size_t size)
{
	choose_reset(p, false);
	vfio_reset_text(p->vd, &p->reset, buf, size);
}

/* Called from within pcidev_reset(), whoever asks for it: the machine, the guest by FLR, or a
 * bridge above that resets its secondary bus. Windows and MSI are off, decoding is not back yet. */
void passthru_function_reset(struct pcidev *pd)
{
	struct passthru *p = passthru_of(pd);
	struct verr err = { 0 };

	if (pd->dev.plat->dry_run || p->lost)
		return;
	if (passthru_hw_reset(p, &err) < 0)
		guest_warn("%s", err.msg);
	if (!vfio_device_alive(p->vd)) {
		if (p->asked || !vfio_device_listed(p->vd))
			passthru_lose(p, true, "the device is gone from the host");
		else
			passthru_lose(p, false, "the device does not answer after its reset");
		return;
	}
	passthru_mended(p);
	passthru_rom_reset(p);
	quirks_reset(p);
	passthru_irq_mode(pd, pd->irq_mode, 0);
}
