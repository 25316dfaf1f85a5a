// SPDX-License-Identifier: GPL-2.0-or-later
// PCIe ports with a hot-plug slot: "pcie-root-port", and "pcie-switch-port" of a switch (the
// switch itself, its upstream port, is "pcie-switch"). Presence, link state, attention and
// command-completed events as PCIe 6.0 6.7 and 7.5.3 say; interrupt by MSI.
#pragma once

#include "core/dev.h"
#include "pci/pcibus.h"

VV_BEGIN_DECLS

extern const struct dev_type rootport_type, downstream_type;
extern const struct dev_type switch_type; /* pcieswitch.c */

/* Has it a slot, is it for the functions below? */
bool pcieport_is(const struct pcidev *pd);

/* Hot add: the function is on the secondary bus; raises presence and link-active events, and
 * presses the attention button of a slot without power. */
void pcieport_plugged(struct pcidev *port);
/* Presses the attention button: asks the guest to let go. `ejected` is called (under the machine
 * lock, from the guest's own write; it may remove the function) once the guest powers the slot
 * off; at once if it is off. A reset forgets the request. -EBUSY: asked already; -ENODEV: empty;
 * -EOPNOTSUPP: hotplug=off. */
int pcieport_request_eject(struct pcidev *port, void (*ejected)(void *opaque), void *opaque);
/* The function is gone by force: presence and link down. */
void pcieport_unplugged(struct pcidev *port);

/* What an assigned card makes of the port: PCIe registers as the card physically has them. */
struct pcieport_card {
	uint32_t lnkcap;  /* its Link Capabilities: speed and width; 0: the port's own stay */
	uint16_t lnksta;  /* its Link Status */
	uint32_t devcap2; /* AtomicOps completer bits for Device Capabilities 2 */
};
/* NULL: back to the port's own. */
void pcieport_show_card(struct pcidev *port, const struct pcieport_card *card);

VV_END_DECLS
