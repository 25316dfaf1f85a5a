// SPDX-License-Identifier: GPL-2.0-or-later
// A PCIe switch as it is seen from above: its upstream port, with the bus on which its downstream
// ports are ("pcie-switch-port", pcieport.c). Drivers that judge by the topology whether two
// functions may talk to each other find here what they look for.
#define LOG_TAG "pci/switch"
#include <linux/pci_regs.h>
#include <stdlib.h>

#include "pci/pcieport.h"

static int build(struct pcidev *pd, struct verr *reterr)
{
	pcidev_init(pd, NULL, true, true);
	/* TI's XIO3130, upstream: a registered id; drivers go by the class, 06/04/00. */
	pcidev_set_ids(pd, 0x104c, 0x8232, 0, 0, 0x060400, 0);
	int r = pcidev_add_exp(pd, 0, PCI_EXP_TYPE_UPSTREAM, false, reterr);
	if (r == 0)
		r = pcidev_add_msi(pd, 0, 1, true, true, reterr);
	if (r == 0)
		r = pcidev_add_pm(pd, 0, reterr);
	if (r == 0)
		r = pcidev_add_bus(pd, reterr);
	return r;
}

static int switch_realize(struct dev *d, struct verr *reterr)
{
	struct pcidev *pd = container_of(d, struct pcidev, dev);
	int r = build(pd, reterr);
	if (r == 0) {
		pd->secondary->in_switch = true;
		r = pcidev_attach(pd, reterr);
	}
	if (r < 0)
		pcidev_fini(pd);
	return r;
}

static void switch_unrealize(struct dev *d)
{
	pcidev_fini(container_of(d, struct pcidev, dev));
}

static void switch_reset(struct dev *d)
{
	pcidev_reset(container_of(d, struct pcidev, dev), true);
}

static struct dev *switch_alloc(void)
{
	struct pcidev *pd = calloc(1, sizeof(*pd));
	return pd != NULL ? &pd->dev : NULL;
}

static void switch_free(struct dev *d)
{
	free(container_of(d, struct pcidev, dev));
}

static const struct dev_ops switch_ops = {
	.realize = switch_realize,
	.unrealize = switch_unrealize,
	.reset = switch_reset,
};

const struct dev_type switch_type = {
	.t = { .name = "pcie-switch",
	       .category = "bridge",
	       .desc = "PCI Express switch; its slots are pcie-switch-port" },
	.ops = &switch_ops,
	.alloc = switch_alloc,
	.free = switch_free,
	.pci = true,
	.user = true,
};
