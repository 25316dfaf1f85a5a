// SPDX-License-Identifier: GPL-2.0-or-later
// PCIe root port with a hot-plug slot (PCIe 6.0 6.7, 7.5.3.9-7.5.3.12). Owns the bus behind it
// and the slot's state: what is present, whether it has power, which events the guest has not
// acknowledged. Attention button, indicators and power control are there; latches are not.
#define LOG_TAG "pci/rootport"
#include "pci/rootport.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/log.h"

#define EVENTS                                                                                     \
	(PCI_EXP_SLTSTA_ABP | PCI_EXP_SLTSTA_PFD | PCI_EXP_SLTSTA_MRLSC | PCI_EXP_SLTSTA_PDC |     \
	 PCI_EXP_SLTSTA_CC | PCI_EXP_SLTSTA_DLLSC)
#define SLTCTL_WRITABLE                                                                            \
	(PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE |   \
	 PCI_EXP_SLTCTL_AIC | PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_DLLSCE)

struct rootport_cfg {
	uint16_t slot;
	bool hotplug;
};

struct rootport {
	struct pcidev pd;
	bool present;		       /* a card is in the slot */
	bool irq_level;		       /* an enabled event is pending */
	void (*ejected)(void *opaque); /* asked to let go, not yet done */
	void *ejected_opaque;
};

static struct rootport *rootport_of(struct pcidev *pd)
{
	return container_of(pd, struct rootport, pd);
}

static const struct rootport_cfg *cfg_of(const struct rootport *rp)
{
	return rp->pd.dev.cfg;
}

static unsigned int reg(const struct rootport *rp, unsigned int off)
{
	return (unsigned int)pcicfg_get(&rp->pd.cfg, rp->pd.exp_off + off, 2);
}

static void set_reg(struct rootport *rp, unsigned int off, unsigned int clear, unsigned int set)
{
	pcicfg_put(&rp->pd.cfg, rp->pd.exp_off + off, 2, (reg(rp, off) & ~clear) | set);
}

/* ---- the slot -------------------------------------------------------------------------------- */

static bool occupied(const struct rootport *rp)
{
	return !pcibus_empty(rp->pd.secondary);
}

static bool powered(const struct rootport *rp)
{
	return !cfg_of(rp)->hotplug || (reg(rp, PCI_EXP_SLTCTL) & PCI_EXP_SLTCTL_PCC) == 0;
}

static bool link_up(const struct rootport *rp)
{
	return rp->present && powered(rp) && (reg(rp, PCI_EXP_LNKCTL) & PCI_EXP_LNKCTL_LD) == 0;
}

/* The status bits' enables sit at other places in Slot Control. */
static unsigned int enabled_events(const struct rootport *rp)
{
	static const struct {
		unsigned int status, control;
	} pair[] = {
		{ PCI_EXP_SLTSTA_ABP, PCI_EXP_SLTCTL_ABPE },
		{ PCI_EXP_SLTSTA_PDC, PCI_EXP_SLTCTL_PDCE },
		{ PCI_EXP_SLTSTA_CC, PCI_EXP_SLTCTL_CCIE },
		{ PCI_EXP_SLTSTA_DLLSC, PCI_EXP_SLTCTL_DLLSCE },
	};
	unsigned int events = 0, control = reg(rp, PCI_EXP_SLTCTL);
	for (unsigned int i = 0; i < ARRAY_SIZE(pair); i++)
		if ((control & pair[i].control) != 0)
			events |= pair[i].status;
	return (control & PCI_EXP_SLTCTL_HPIE) != 0 ? events : 0;
}

/* PCIe 6.0 6.7.3.4: a message each time the condition becomes true; INTx follows it. */
static void update_irq(struct rootport *rp)
{
	bool level = (reg(rp, PCI_EXP_SLTSTA) & enabled_events(rp)) != 0;
	bool rises = level && !rp->irq_level;
	rp->irq_level = level;
	pcidev_intx_set(&rp->pd, level);
	if (rises && rp->pd.irq_mode == PCI_IRQ_MSI)
		pcidev_notify(&rp->pd, 0);
}

/* Makes the state bits true to what is; a change is an event. */
static void update_slot(struct rootport *rp, unsigned int events)
{
	bool was_present = (reg(rp, PCI_EXP_SLTSTA) & PCI_EXP_SLTSTA_PDS) != 0;
	bool was_up = (reg(rp, PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA) != 0;
	bool up = link_up(rp);
	rp->pd.secondary->off = rp->present && !up;
	set_reg(rp, PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDS, rp->present ? PCI_EXP_SLTSTA_PDS : 0);
	set_reg(rp, PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_DLLLA, up ? PCI_EXP_LNKSTA_DLLLA : 0);
	if (cfg_of(rp)->hotplug) {
		events |= was_present != rp->present ? PCI_EXP_SLTSTA_PDC : 0;
		events |= was_up != up ? PCI_EXP_SLTSTA_DLLSC : 0;
		set_reg(rp, PCI_EXP_SLTSTA, 0, events);
	}
	if (was_up && !up)
		pcidev_reset_behind(&rp->pd); /* a link that goes down resets what is below it */
	if (was_up != up)
		pcidev_bars_update(&rp->pd);
	update_irq(rp);
}

/* A card that is there when the machine comes up has power; an empty slot has none. No events. */
static void power_on_state(struct rootport *rp)
{
	rp->present = occupied(rp);
	rp->irq_level = false;
	rp->ejected = NULL;
	if (cfg_of(rp)->hotplug)
		set_reg(rp, PCI_EXP_SLTCTL,
			PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_AIC,
			PCI_EXP_SLTCTL_ATTN_IND_OFF |
				(rp->present ? (unsigned int)PCI_EXP_SLTCTL_PWR_IND_ON
					     : (unsigned int)(PCI_EXP_SLTCTL_PWR_IND_OFF |
							      PCI_EXP_SLTCTL_PWR_OFF)));
	update_slot(rp, 0);
	set_reg(rp, PCI_EXP_SLTSTA, EVENTS, 0);
	update_irq(rp);
}

static void bus_changed(struct pcibus *b)
{
	struct rootport *rp = rootport_of(b->bridge);
	if (rp->pd.dev.state != DEV_RUNNING) {
		power_on_state(rp);
	} else if (rp->present && !occupied(rp)) {
		rp->present = false;
		update_slot(rp, 0);
	}
}

void rootport_plugged(struct pcidev *port)
{
	struct rootport *rp = rootport_of(port);
	rp->present = true;
	/* Without power there is no link to come up, and a driver that sees a button waits for it
	 * alone (Linux enables no presence event then): it is pressed, too. */
	update_slot(rp, powered(rp) ? 0 : PCI_EXP_SLTSTA_ABP);
}

void rootport_unplugged(struct pcidev *port)
{
	struct rootport *rp = rootport_of(port);
	rp->present = false;
	rp->ejected = NULL;
	update_slot(rp, 0);
}

int rootport_request_eject(struct pcidev *port, void (*ejected)(void *opaque), void *opaque)
{
	struct rootport *rp = rootport_of(port);
	if (!cfg_of(rp)->hotplug)
		return -EOPNOTSUPP;
	if (!rp->present)
		return -ENODEV;
	if (rp->ejected != NULL)
		return -EBUSY;
	if (!powered(rp)) {
		ejected(opaque);
		return 0;
	}
	rp->ejected = ejected;
	rp->ejected_opaque = opaque;
	update_slot(rp, PCI_EXP_SLTSTA_ABP);
	return 0;
}

static bool covers(unsigned int off, unsigned int size, unsigned int at, unsigned int len)
{
	return off < at + len && at < off + size;
}

static void rootport_cfg_written(struct pcidev *pd, unsigned int off, unsigned int size)
{
	struct rootport *rp = rootport_of(pd);
	unsigned int exp = pd->exp_off;
	bool control = cfg_of(rp)->hotplug && covers(off, size, exp + PCI_EXP_SLTCTL, 2);
	if (!control && !covers(off, size, exp + PCI_EXP_SLTSTA, 2) &&
	    !covers(off, size, exp + PCI_EXP_LNKCTL, 2)) {
		update_irq(rp); /* MSI may have come or gone */
		return;
	}
	/* Every write to Slot Control is a command (PCIe 6.0 6.7.3.2), done at once here. */
	update_slot(rp, control ? PCI_EXP_SLTSTA_CC : 0);
	if (rp->ejected == NULL || powered(rp))
		return;
	void (*ejected)(void *) = rp->ejected;
	rp->ejected = NULL;
	ejected(rp->ejected_opaque); /* last: it may take the function away */
}

static void rootport_pci_reset(struct pcidev *pd)
{
	power_on_state(rootport_of(pd));
}

static const struct pcidev_ops rootport_pci_ops = {
	.cfg_written = rootport_cfg_written,
	.reset = rootport_pci_reset,
};

/* ---- registers ------------------------------------------------------------------------------- */

/* PCI-to-PCI Bridge 1.2 3.2: windows closed, 16-bit I/O, 64-bit prefetchable memory. */
static void build_bridge(struct pcicfg *c)
{
	pcicfg_set(c, PCI_PRIMARY_BUS, 4, 0, 0x00ffffff);
	pcicfg_set(c, PCI_IO_BASE, 2, 0x00f0, 0xf0f0);
	pcicfg_set_w1c(c, PCI_SEC_STATUS, 2, 0xf900);
	pcicfg_set(c, PCI_MEMORY_BASE, 4, 0x0000fff0, 0xfff0fff0);
	pcicfg_set(c, PCI_PREF_MEMORY_BASE, 4, 0x0001fff1, 0xfff0fff0);
	pcicfg_set(c, PCI_PREF_BASE_UPPER32, 4, 0, UINT32_MAX);
	pcicfg_set(c, PCI_PREF_LIMIT_UPPER32, 4, 0, UINT32_MAX);
	pcicfg_set(c, PCI_BRIDGE_CONTROL, 2, 0,
		   PCI_BRIDGE_CTL_PARITY | PCI_BRIDGE_CTL_SERR | PCI_BRIDGE_CTL_BUS_RESET);
}

static int has_slot_number(void *ctx, struct pcidev *pd)
{
	const unsigned int *number = ctx;
	return pd->dev.type == &rootport_type && pd->exp_off != 0 &&
	       pcicfg_get(&pd->cfg, pd->exp_off + PCI_EXP_SLTCAP, 4) >> 19 == *number;
}

/* The first physical slot number that no other port of this machine has. */
static unsigned int free_slot_number(struct pcibus *root)
{
	unsigned int n = 1;
	while (pcibus_walk(root, has_slot_number, &n) != 0)
		n++;
	return n;
}

static void build_slot(struct rootport *rp)
{
	struct pcicfg *c = &rp->pd.cfg;
	unsigned int o = rp->pd.exp_off;
	unsigned int slot = cfg_of(rp)->slot;
	uint32_t cap = 0;
	if (slot == 0)
		slot = free_slot_number(rp->pd.dev.plat->pci0);
	if (cfg_of(rp)->hotplug) {
		cap = PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_PCP | PCI_EXP_SLTCAP_AIP |
		      PCI_EXP_SLTCAP_PIP | PCI_EXP_SLTCAP_HPS | PCI_EXP_SLTCAP_HPC;
		pcicfg_set(c, o + PCI_EXP_SLTCTL, 2, 0, SLTCTL_WRITABLE);
		pcicfg_set_w1c(c, o + PCI_EXP_SLTSTA, 2, EVENTS);
	}
	pcicfg_set(c, o + PCI_EXP_SLTCAP, 4, cap | (uint32_t)slot << 19, 0);
	pcicfg_set(c, o + PCI_EXP_LNKCAP + 3, 1, slot, 0); /* port number */
}

static void build_port(struct rootport *rp)
{
	struct pcicfg *c = &rp->pd.cfg;
	unsigned int o = rp->pd.exp_off;
	pcicfg_put(c, o + PCI_EXP_FLAGS, 2,
		   pcicfg_get(c, o + PCI_EXP_FLAGS, 2) | PCI_EXP_FLAGS_SLOT);
	pcicfg_put(c, o + PCI_EXP_LNKCAP, 4,
		   pcicfg_get(c, o + PCI_EXP_LNKCAP, 4) | PCI_EXP_LNKCAP_DLLLARC);
	pcicfg_set(c, o + PCI_EXP_LNKCTL, 2, 0,
		   PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_LD | PCI_EXP_LNKCTL_CCC |
			   PCI_EXP_LNKCTL_ES);
	build_slot(rp);
	pcicfg_set(c, o + PCI_EXP_RTCTL, 2, 0,
		   PCI_EXP_RTCTL_SECEE | PCI_EXP_RTCTL_SENFEE | PCI_EXP_RTCTL_SEFEE |
			   PCI_EXP_RTCTL_PMEIE);
	pcicfg_set_w1c(c, o + PCI_EXP_RTSTA, 4, PCI_EXP_RTSTA_PME);
}

/* PCIe 6.0 7.7.11: what goes up from here can't come back down to a neighbour unseen. */
static int build_acs(struct pcicfg *c, struct verr *reterr)
{
	const unsigned int acs = PCI_ACS_SV | PCI_ACS_RR | PCI_ACS_CR | PCI_ACS_UF;
	int off = pcicap_add_ext(c, PCI_EXT_CAP_ID_ACS, 1, 8, 0, reterr);
	if (off < 0)
		return off;
	pcicfg_set(c, (unsigned int)off + PCI_ACS_CAP, 2, acs, 0);
	pcicfg_set(c, (unsigned int)off + PCI_ACS_CTRL, 2, 0, acs);
	return 0;
}

static int build(struct rootport *rp, struct verr *reterr)
{
	struct pcidev *pd = &rp->pd;
	pcidev_init(pd, &rootport_pci_ops, true, true);
	/* Red Hat's PCIe root port: a registered id; drivers go by the class, 06/04/00. */
	pcidev_set_ids(pd, 0x1b36, 0x000c, 0, 0, 0x060400, 0);
	build_bridge(&pd->cfg);
	int r = pcidev_add_exp(pd, 0, PCI_EXP_TYPE_ROOT_PORT, false, reterr);
	if (r < 0)
		return r;
	build_port(rp);
	r = pcidev_add_intx(pd, 1);
	if (r == 0)
		r = pcidev_add_msi(pd, 0, 1, true, true, reterr);
	if (r == 0)
		r = pcidev_add_pm(pd, 0, reterr);
	return r == 0 ? build_acs(&pd->cfg, reterr) : r;
}

/* ---- what is plugged in ---------------------------------------------------------------------- */

#define PORT_SPEED PCI_EXP_LNKCAP_SLS_16_0GB
#define PORT_WIDTH 16u
#define ATOMICS                                                                                    \
	(PCI_EXP_DEVCAP2_ATOMIC_COMP32 | PCI_EXP_DEVCAP2_ATOMIC_COMP64 |                           \
	 PCI_EXP_DEVCAP2_ATOMIC_COMP128)

/* Read-only bits, now and after a reset. */
static void put_bits(struct pcidev *pd, unsigned int off, uint32_t mask, uint32_t val)
{
	unsigned int at = pd->exp_off + off;

	pcicfg_put(&pd->cfg, at, 4, (pcicfg_get(&pd->cfg, at, 4) & ~(uint64_t)mask) | (val & mask));
	put_le32(pd->reset_val + at, (get_le32(pd->reset_val + at) & ~mask) | (val & mask));
}

void rootport_show_card(struct pcidev *port, const struct rootport_card *card)
{
	const uint32_t link = PCI_EXP_LNKCAP_SLS | PCI_EXP_LNKCAP_MLW;
	uint32_t cap = PORT_SPEED | PORT_WIDTH << 4, sta = cap;

	if (card != NULL && (card->lnkcap & PCI_EXP_LNKCAP_SLS) != 0 &&
	    (card->lnkcap & PCI_EXP_LNKCAP_MLW) != 0) {
		cap = card->lnkcap & link;
		sta = card->lnksta & link; /* the fields are at the same bits */
	}
	put_bits(port, PCI_EXP_LNKCAP, link, cap);
	put_bits(port, PCI_EXP_LNKCTL, link << 16, sta << 16);
	/* Bits 1 to n of the speeds vector: all up to the fastest. */
	put_bits(port, PCI_EXP_LNKCAP2, 0xfe, (2u << (cap & PCI_EXP_LNKCAP_SLS)) - 2);
	put_bits(port, PCI_EXP_DEVCAP2, ATOMICS, card != NULL ? card->devcap2 : 0);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int rootport_realize(struct dev *d, struct verr *reterr)
{
	struct rootport *rp = container_of(d, struct rootport, pd.dev);
	struct pcidev *pd = &rp->pd;
	int r = build(rp, reterr);
	struct pcibus *b = r == 0 ? calloc(1, sizeof(*b)) : NULL;
	if (r == 0 && b == NULL)
		r = verr_set(reterr, -ENOMEM, "out of memory for a bus");
	if (r == 0) {
		*b = (struct pcibus){ .bridge = pd,
				      .pcie = true,
				      .only_slot0 = true,
				      .hotplug = cfg_of(rp)->hotplug,
				      .changed = bus_changed };
		snprintf(b->id, sizeof(b->id), "%s", d->id);
		pd->secondary = b;
		r = pcidev_attach(pd, reterr);
	}
	if (r < 0) {
		pcidev_fini(pd);
		return r;
	}
	power_on_state(rp);
	return 0;
}

static void rootport_unrealize(struct dev *d)
{
	pcidev_fini(&container_of(d, struct rootport, pd.dev)->pd);
}

static void rootport_reset(struct dev *d)
{
	pcidev_reset(&container_of(d, struct rootport, pd.dev)->pd, true);
}

static struct dev *rootport_alloc(void)
{
	struct rootport *rp = calloc(1, sizeof(*rp));
	return rp != NULL ? &rp->pd.dev : NULL;
}

static void rootport_free(struct dev *d)
{
	free(container_of(d, struct rootport, pd.dev));
}

static const struct dev_ops rootport_ops = {
	.realize = rootport_realize,
	.unrealize = rootport_unrealize,
	.reset = rootport_reset,
};

static const struct prop rootport_props[] = {
	PROP_NAMED("slot", struct rootport_cfg, slot, PROP_U16, "0",
		   "physical slot number the guest shows; 0: next free", .max = 0x1fff),
	PROP(struct rootport_cfg, hotplug, PROP_BOOL, "on", "functions can be added and removed"),
	PROP_END,
};

const struct dev_type rootport_type = {
	.t = { .name = "pcie-root-port",
	       .category = "bridge",
	       .desc = "PCI Express root port",
	       .props = rootport_props,
	       .cfg_size = sizeof(struct rootport_cfg) },
	.ops = &rootport_ops,
	.alloc = rootport_alloc,
	.free = rootport_free,
	.pci = true,
	.user = true,
};
