// SPDX-License-Identifier: GPL-2.0-or-later
// A PCIe port with a hot-plug slot (PCIe 6.0 6.7, 7.5.3.9-7.5.3.12): a root port, or a downstream
// port of a switch. Owns the bus behind it and the slot's state: what is present, whether it has
// power, which events the guest has not acknowledged. Attention button, indicators and power
// control are there; latches are not.
#define LOG_TAG "pci/port"
#include "pci/pcieport.h"

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

struct port_cfg {
	uint16_t slot;
	bool hotplug;
};

struct port {
	struct pcidev pd;
	bool present;		       /* a card is in the slot */
	bool irq_level;		       /* an enabled event is pending */
	void (*ejected)(void *opaque); /* asked to let go, not yet done */
	void *ejected_opaque;
};

static struct port *port_of(struct pcidev *pd)
{
	return container_of(pd, struct port, pd);
}

static const struct port_cfg *cfg_of(const struct port *p)
{
	return p->pd.dev.cfg;
}

static unsigned int reg(const struct port *p, unsigned int off)
{
	return (unsigned int)pcicfg_get(&p->pd.cfg, p->pd.exp_off + off, 2);
}

static void set_reg(struct port *p, unsigned int off, unsigned int clear, unsigned int set)
{
	pcicfg_put(&p->pd.cfg, p->pd.exp_off + off, 2, (reg(p, off) & ~clear) | set);
}

/* ---- the slot -------------------------------------------------------------------------------- */

static bool occupied(const struct port *p)
{
	return !pcibus_empty(p->pd.secondary);
}

static bool powered(const struct port *p)
{
	return !cfg_of(p)->hotplug || (reg(p, PCI_EXP_SLTCTL) & PCI_EXP_SLTCTL_PCC) == 0;
}

static bool link_up(const struct port *p)
{
	return p->present && powered(p) && (reg(p, PCI_EXP_LNKCTL) & PCI_EXP_LNKCTL_LD) == 0;
}

/* The status bits' enables sit at other places in Slot Control. */
static unsigned int enabled_events(const struct port *p)
{
	static const struct {
		unsigned int status, control;
	} pair[] = {
		{ PCI_EXP_SLTSTA_ABP, PCI_EXP_SLTCTL_ABPE },
		{ PCI_EXP_SLTSTA_PDC, PCI_EXP_SLTCTL_PDCE },
		{ PCI_EXP_SLTSTA_CC, PCI_EXP_SLTCTL_CCIE },
		{ PCI_EXP_SLTSTA_DLLSC, PCI_EXP_SLTCTL_DLLSCE },
	};
	unsigned int events = 0, control = reg(p, PCI_EXP_SLTCTL);
	for (unsigned int i = 0; i < ARRAY_SIZE(pair); i++)
		if ((control & pair[i].control) != 0)
			events |= pair[i].status;
	return (control & PCI_EXP_SLTCTL_HPIE) != 0 ? events : 0;
}

/* PCIe 6.0 6.7.3.4: a message each time the condition becomes true; INTx follows it. */
static void update_irq(struct port *p)
{
	bool level = (reg(p, PCI_EXP_SLTSTA) & enabled_events(p)) != 0;
	bool rises = level && !p->irq_level;
	p->irq_level = level;
	pcidev_intx_set(&p->pd, level);
	if (rises && p->pd.irq_mode == PCI_IRQ_MSI)
		pcidev_notify(&p->pd, 0);
}

/* Makes the state bits true to what is; a change is an event. */
static void update_slot(struct port *p, unsigned int events)
{
	bool was_present = (reg(p, PCI_EXP_SLTSTA) & PCI_EXP_SLTSTA_PDS) != 0;
	bool was_up = (reg(p, PCI_EXP_LNKSTA) & PCI_EXP_LNKSTA_DLLLA) != 0;
	bool up = link_up(p);
	p->pd.secondary->off = p->present && !up;
	set_reg(p, PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDS, p->present ? PCI_EXP_SLTSTA_PDS : 0);
	set_reg(p, PCI_EXP_LNKSTA, PCI_EXP_LNKSTA_DLLLA, up ? PCI_EXP_LNKSTA_DLLLA : 0);
	if (cfg_of(p)->hotplug) {
		events |= was_present != p->present ? PCI_EXP_SLTSTA_PDC : 0;
		events |= was_up != up ? PCI_EXP_SLTSTA_DLLSC : 0;
		set_reg(p, PCI_EXP_SLTSTA, 0, events);
	}
	if (was_up && !up)
		pcidev_reset_behind(&p->pd); /* a link that goes down resets what is below it */
	if (was_up != up)
		pcidev_bars_update(&p->pd);
	update_irq(p);
}

/* A card that is there when the machine comes up has power; an empty slot has none. No events. */
static void power_on_state(struct port *p)
{
	p->present = occupied(p);
	p->irq_level = false;
	p->ejected = NULL;
	if (cfg_of(p)->hotplug)
		set_reg(p, PCI_EXP_SLTCTL,
			PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_PIC | PCI_EXP_SLTCTL_AIC,
			PCI_EXP_SLTCTL_ATTN_IND_OFF |
				(p->present ? (unsigned int)PCI_EXP_SLTCTL_PWR_IND_ON
					    : (unsigned int)(PCI_EXP_SLTCTL_PWR_IND_OFF |
							     PCI_EXP_SLTCTL_PWR_OFF)));
	update_slot(p, 0);
	set_reg(p, PCI_EXP_SLTSTA, EVENTS, 0);
	update_irq(p);
}

static void bus_changed(struct pcibus *b)
{
	struct port *p = port_of(b->bridge);
	if (p->pd.dev.state != DEV_RUNNING) {
		power_on_state(p);
	} else if (p->present && !occupied(p)) {
		p->present = false;
		update_slot(p, 0);
	}
}

void pcieport_plugged(struct pcidev *port)
{
	struct port *p = port_of(port);
	p->present = true;
	/* Without power there is no link to come up, and a driver that sees a button waits for it
	 * alone (Linux enables no presence event then): it is pressed, too. */
	update_slot(p, powered(p) ? 0 : PCI_EXP_SLTSTA_ABP);
}

void pcieport_unplugged(struct pcidev *port)
{
	struct port *p = port_of(port);
	p->present = false;
	p->ejected = NULL;
	update_slot(p, 0);
}

int pcieport_request_eject(struct pcidev *port, void (*ejected)(void *opaque), void *opaque)
{
	struct port *p = port_of(port);
	if (!cfg_of(p)->hotplug)
		return -EOPNOTSUPP;
	if (!p->present)
		return -ENODEV;
	if (p->ejected != NULL)
		return -EBUSY;
	if (!powered(p)) {
		ejected(opaque);
		return 0;
	}
	p->ejected = ejected;
	p->ejected_opaque = opaque;
	update_slot(p, PCI_EXP_SLTSTA_ABP);
	return 0;
}

static bool covers(unsigned int off, unsigned int size, unsigned int at, unsigned int len)
{
	return off < at + len && at < off + size;
}

static void port_cfg_written(struct pcidev *pd, unsigned int off, unsigned int size)
{
	struct port *p = port_of(pd);
	unsigned int exp = pd->exp_off;
	bool control = cfg_of(p)->hotplug && covers(off, size, exp + PCI_EXP_SLTCTL, 2);
	if (!control && !covers(off, size, exp + PCI_EXP_SLTSTA, 2) &&
	    !covers(off, size, exp + PCI_EXP_LNKCTL, 2)) {
		update_irq(p); /* MSI may have come or gone */
		return;
	}
	/* Every write to Slot Control is a command (PCIe 6.0 6.7.3.2), done at once here. */
	update_slot(p, control ? PCI_EXP_SLTSTA_CC : 0);
	if (p->ejected == NULL || powered(p))
		return;
	void (*ejected)(void *) = p->ejected;
	p->ejected = NULL;
	ejected(p->ejected_opaque); /* last: it may take the function away */
}

static void port_pci_reset(struct pcidev *pd)
{
	power_on_state(port_of(pd));
}

static const struct pcidev_ops port_pci_ops = {
	.cfg_written = port_cfg_written,
	.reset = port_pci_reset,
};

/* ---- registers ------------------------------------------------------------------------------- */

bool pcieport_is(const struct pcidev *pd)
{
	return pd->dev.type == &rootport_type || pd->dev.type == &downstream_type;
}

static int has_slot_number(void *ctx, struct pcidev *pd)
{
	const unsigned int *number = ctx;
	return pcieport_is(pd) && pd->exp_off != 0 &&
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

static void build_slot(struct port *p)
{
	struct pcicfg *c = &p->pd.cfg;
	unsigned int o = p->pd.exp_off;
	unsigned int slot = cfg_of(p)->slot;
	uint32_t cap = 0;
	if (slot == 0)
		slot = free_slot_number(p->pd.dev.plat->pci0);
	if (cfg_of(p)->hotplug) {
		cap = PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_PCP | PCI_EXP_SLTCAP_AIP |
		      PCI_EXP_SLTCAP_PIP | PCI_EXP_SLTCAP_HPS | PCI_EXP_SLTCAP_HPC;
		pcicfg_set(c, o + PCI_EXP_SLTCTL, 2, 0, SLTCTL_WRITABLE);
		pcicfg_set_w1c(c, o + PCI_EXP_SLTSTA, 2, EVENTS);
	}
	pcicfg_set(c, o + PCI_EXP_SLTCAP, 4, cap | (uint32_t)slot << 19, 0);
	pcicfg_set(c, o + PCI_EXP_LNKCAP + 3, 1, slot, 0); /* port number */
}

static void build_port(struct port *p)
{
	struct pcicfg *c = &p->pd.cfg;
	unsigned int o = p->pd.exp_off;
	pcicfg_put(c, o + PCI_EXP_FLAGS, 2,
		   pcicfg_get(c, o + PCI_EXP_FLAGS, 2) | PCI_EXP_FLAGS_SLOT);
	pcicfg_put(c, o + PCI_EXP_LNKCAP, 4,
		   pcicfg_get(c, o + PCI_EXP_LNKCAP, 4) | PCI_EXP_LNKCAP_DLLLARC);
	pcicfg_set(c, o + PCI_EXP_LNKCTL, 2, 0,
		   PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_LD | PCI_EXP_LNKCTL_CCC |
			   PCI_EXP_LNKCTL_ES);
	build_slot(p);
	if (p->pd.dev.type != &rootport_type)
		return;
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

static int build(struct port *p, struct verr *reterr)
{
	struct pcidev *pd = &p->pd;
	pcidev_init(pd, &port_pci_ops, true, true);
	bool root = pd->dev.type == &rootport_type;
	/* Red Hat's PCIe root port, TI's XIO3130: registered ids; drivers go by the class. */
	pcidev_set_ids(pd, root ? 0x1b36 : 0x104c, root ? 0x000c : 0x8233, 0, 0, 0x060400, 0);
	int r = pcidev_add_exp(pd, 0, root ? PCI_EXP_TYPE_ROOT_PORT : PCI_EXP_TYPE_DOWNSTREAM,
			       false, reterr);
	if (r < 0)
		return r;
	build_port(p);
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

void pcieport_show_card(struct pcidev *port, const struct pcieport_card *card)
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

static int port_realize(struct dev *d, struct verr *reterr)
{
	struct port *p = container_of(d, struct port, pd.dev);
	struct pcidev *pd = &p->pd;
	int r = build(p, reterr);
	if (r == 0)
		r = pcidev_add_bus(pd, reterr);
	if (r == 0) {
		pd->secondary->only_slot0 = true;
		pd->secondary->hotplug = cfg_of(p)->hotplug;
		pd->secondary->changed = bus_changed;
		r = pcidev_attach(pd, reterr);
	}
	if (r < 0) {
		pcidev_fini(pd);
		return r;
	}
	power_on_state(p);
	return 0;
}

static void port_unrealize(struct dev *d)
{
	pcidev_fini(&container_of(d, struct port, pd.dev)->pd);
}

static void port_reset(struct dev *d)
{
	pcidev_reset(&container_of(d, struct port, pd.dev)->pd, true);
}

static struct dev *port_alloc(void)
{
	struct port *p = calloc(1, sizeof(*p));
	return p != NULL ? &p->pd.dev : NULL;
}

static void port_free(struct dev *d)
{
	free(container_of(d, struct port, pd.dev));
}

static const struct dev_ops port_ops = {
	.realize = port_realize,
	.unrealize = port_unrealize,
	.reset = port_reset,
};

static const struct prop port_props[] = {
	PROP_NAMED("slot", struct port_cfg, slot, PROP_U16, "0",
		   "physical slot number the guest shows; 0: next free", .max = 0x1fff),
	PROP(struct port_cfg, hotplug, PROP_BOOL, "on", "functions can be added and removed"),
	PROP_END,
};

const struct dev_type rootport_type = {
	.t = { .name = "pcie-root-port",
	       .category = "bridge",
	       .desc = "PCI Express root port",
	       .props = port_props,
	       .cfg_size = sizeof(struct port_cfg) },
	.ops = &port_ops,
	.alloc = port_alloc,
	.free = port_free,
	.pci = true,
	.user = true,
};

const struct dev_type downstream_type = {
	.t = { .name = "pcie-switch-port",
	       .category = "bridge",
	       .desc = "downstream port of a PCI Express switch",
	       .props = port_props,
	       .cfg_size = sizeof(struct port_cfg) },
	.ops = &port_ops,
	.alloc = port_alloc,
	.free = port_free,
	.pci = true,
	.user = true,
};
