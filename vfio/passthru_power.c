// SPDX-License-Identifier: GPL-2.0-or-later
// A function whose guest has put it to D3hot, with low-power=on: the host may switch it further
// off, down to D3cold with its slot (VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY of linux/vfio.h). What it
// was told is lost then, which the guest's driver has to expect: No_Soft_Reset reads 0 (PCI-PM 1.2
// 3.2.4). It is woken by the guest, or by whatever else becomes of it here.

#define LOG_TAG "vfio/power"

#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/log.h"
#include "core/sys.h"
#include "vfio/passthru.h"

static int feature(struct passthru *p, uint32_t flags)
{
	struct vfio_device_feature f = { .argsz = sizeof(f), .flags = flags };

	return sys_ioctl(p->vd->fd, VFIO_DEVICE_FEATURE, &f);
}

static unsigned int control(const struct passthru *p)
{
	return p->pd.pm_off + (unsigned int)PCI_PM_CTRL;
}

int passthru_power_build(struct passthru *p, struct verr *reterr)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;

	if (!cfg->low_power)
		return 0;
	if (!p->pd.pm_off)
		return verr_set(reterr, -ENODEV,
				"low-power=on: the function has no power management capability");
	int r = feature(p, VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_SET |
				   VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	if (r < 0)
		return verr_set(reterr, r,
				"low-power=on: the host's kernel does not offer it for this "
				"function (%s); Linux has it since 6.1",
				strerror(-r));
	pcicfg_put(&p->pd.cfg, control(p), 2,
		   pcicfg_get(&p->pd.cfg, control(p), 2) & ~(uint64_t)PCI_PM_CTRL_NO_SOFT_RESET);
	return 0;
}

void passthru_power_wake(struct passthru *p)
{
	if (!p->asleep)
		return;
	p->asleep = false;
	if (p->lost)
		return;
	int r = feature(p, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_EXIT);
	if (r < 0)
		log_warn("%s: the host's kernel does not wake it: %s", p->vd->name, strerror(-r));
}

void passthru_power_write(struct passthru *p, unsigned int off, unsigned int size)
{
	if (p->asleep && off <= control(p) && off + size > control(p))
		passthru_power_wake(p);
}

/* Its windows are gone: they went with D0. */
void passthru_power_written(struct passthru *p)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;

	if (!cfg->low_power || p->asleep || p->lost || p->pd.dev.plat->dry_run ||
	    (pcicfg_get(&p->pd.cfg, control(p), 1) & PCI_PM_CTRL_STATE_MASK) != 3)
		return;
	int r = feature(p, VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
	if (r < 0)
		log_debug("%s: stays in D3hot: %s", p->vd->name, strerror(-r));
	p->asleep = r >= 0;
}
