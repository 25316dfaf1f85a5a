// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest's port above an assigned function shows because of it: the link the function
// physically has (drivers compute bandwidth from the port's registers), and the AtomicOps that the
// host's root complex completes (drivers enable theirs only if the port claims them).

#include <linux/pci_regs.h>

#include "pci/pcibus.h"
#include "pci/pcieport.h"
#include "vfio/passthru.h"

/* VFIO_PCI_ATOMIC_COMP32 to COMP128 are bits 0 to 2 (Linux 6.6), PCIe 6.0 7.5.3.15 has them at 7
 * to 9. */
#define ATOMIC_COMP_SHIFT 7
#define ATOMIC_COMP_MASK                                                                           \
	(PCI_EXP_DEVCAP2_ATOMIC_COMP32 | PCI_EXP_DEVCAP2_ATOMIC_COMP64 |                           \
	 PCI_EXP_DEVCAP2_ATOMIC_COMP128)

static int find_exp(void *ctx, const struct pcicap *cap)
{
	if (cap->id == PCI_CAP_ID_EXP)
		*(unsigned int *)ctx = cap->off;
	return cap->id == PCI_CAP_ID_EXP;
}

static struct pcidev *port_of(const struct passthru *p)
{
	struct pcidev *port = p->pd.bus ? p->pd.bus->bridge : NULL;

	return port && pcieport_is(port) ? port : NULL;
}

/* Of several functions number 0 speaks for the card. */
void passthru_port_show(struct passthru *p)
{
	struct pcidev *port = port_of(p);
	struct pcieport_card card = { 0 };
	unsigned int exp = 0;

	if (!port || p->pd.devfn != 0)
		return;
	pcicap_walk(vfio_cfg_reader, p->vd, find_exp, &exp);
	if (!exp || !p->pd.exp_off)
		return;
	unsigned int type = vfio_cfg_read(p->vd, exp + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_TYPE;
	if (type >> 4 != PCI_EXP_TYPE_RC_END) {
		card.lnkcap = vfio_cfg_read(p->vd, exp + PCI_EXP_LNKCAP, 4);
		card.lnksta = (uint16_t)vfio_cfg_read(p->vd, exp + PCI_EXP_LNKSTA, 2);
	}
	card.devcap2 = (p->vd->atomic_comp << ATOMIC_COMP_SHIFT) & ATOMIC_COMP_MASK;
	pcieport_show_card(port, &card);
}

void passthru_port_forget(struct passthru *p)
{
	struct pcidev *port = port_of(p);

	if (port && p->pd.devfn == 0)
		pcieport_show_card(port, NULL);
}
