// SPDX-License-Identifier: GPL-2.0-or-later
// A function: its life on a bus, its reset, and the one ordered path of a configuration write
// (docs/architecture.md, "Config-space write"). Owns the shadow and the order; decode is in
// pcibar.c, vectors in pcidev_irq.c, registers are built in pcidev_caps.c.
#define LOG_TAG "pci/dev"
#include "pci/pcidev.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/trace.h"
#include "pci/bdf.h"
#include "pci/pcibus.h"

const struct prop pcidev_common_props[] = {
	PROP(struct pcidev_common, id, PROP_STR, NULL, "name of the device, for buses and events"),
	PROP(struct pcidev_common, bus, PROP_STR, NULL,
	     "bridge it sits behind, or pci.0; chosen if not given"),
	PROP(struct pcidev_common, addr, PROP_STR, NULL,
	     "slot and function, 04 or 04.1; next free if not given"),
	PROP(struct pcidev_common, multifunction, PROP_BOOL, "off",
	     "function 0 says that there are more"),
	PROP_NAMED("eject-timeout", struct pcidev_common, eject_timeout, PROP_U32, "10",
		   "seconds for the guest to let go; 0: not asked", .max = 3600),
	PROP_END,
};

static const struct pcidev_ops no_ops;

/* VGA 16-bit Decode (3.2.5.18). Aliases are never passed on: nobody behind answers at one. */
#define BRIDGE_CTL_VGA16 0x10

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
		   PCI_BRIDGE_CTL_PARITY | PCI_BRIDGE_CTL_SERR | PCI_BRIDGE_CTL_VGA |
			   BRIDGE_CTL_VGA16 | PCI_BRIDGE_CTL_BUS_RESET);
}

void pcidev_init(struct pcidev *pd, const struct pcidev_ops *ops, bool pcie, bool bridge)
{
	struct pcicfg *c = &pd->cfg;
	pd->ops = ops != NULL ? ops : &no_ops;
	pd->is_pcie = pcie;
	pcicfg_init(c, pcie ? PCICFG_SIZE : 256);
	pcicfg_set(c, PCI_COMMAND, 2, 0,
		   PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER | PCI_COMMAND_PARITY |
			   PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE);
	pcicfg_set_w1c(c, PCI_STATUS, 2,
		       PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT |
			       PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT |
			       PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY);
	pcicfg_set(c, PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
	pcicfg_set(c, PCI_INTERRUPT_LINE, 1, 0, 0xff);
	pcicfg_set(c, PCI_HEADER_TYPE, 1, bridge ? PCI_HEADER_TYPE_BRIDGE : PCI_HEADER_TYPE_NORMAL,
		   0);
	if (bridge)
		build_bridge(c);
}

int pcidev_add_bus(struct pcidev *pd, struct verr *reterr)
{
	struct pcibus *b = calloc(1, sizeof(*b));
	if (b == NULL)
		return verr_set(reterr, -ENOMEM, "out of memory for a bus");
	for (unsigned int i = 0; i < PCI_N_WINS; i++)
		b->win[i] = (struct pci_win_range){ 1, 0 };
	b->bridge = pd;
	b->pcie = true;
	snprintf(b->id, sizeof(b->id), "%s", pd->dev.id);
	pd->secondary = b;
	return 0;
}

char *pcidev_str(const struct pcidev *pd, char buf[16])
{
	struct bdf b = { .dev = pd->devfn >> 3, .fn = pd->devfn & 7 };
	if (pd->bus != NULL && pd->bus->bridge != NULL)
		b.bus = pd->bus->bridge->cfg.val[PCI_SECONDARY_BUS];
	VV_STATIC_ASSERT(BDF_STR_MAX <= 16, "pcidev_str's buffer");
	return bdf_str(&b, buf);
}

/* ---- life ------------------------------------------------------------------------------------ */

static int choose_bus(struct pcidev *pd, struct pcibus **ret, struct verr *reterr)
{
	const struct platform *plat = pd->dev.plat;
	struct pcibus *root = plat->pci0;
	const char *id = pd->common.bus;
	if (id == NULL && plat->hot && plat->port_for != NULL) {
		*ret = plat->port_for(plat->event_opaque, &pd->dev, reterr);
		return *ret != NULL ? 0 : -ENOSPC;
	}
	struct pcibus *b = id != NULL ? pcibus_find(root, id) : root;
	if (b == NULL)
		return verr_set(reterr, -ENOENT,
				"there is no PCI bus '%s': give the id of a bridge, or %s", id,
				root->id);
	*ret = b;
	return 0;
}

/* While the machine runs, a card comes into an empty slot: no guest looks for it elsewhere. */
static int check_hot(const struct pcidev *pd, const struct pcibus *b, struct verr *reterr)
{
	if (pd->secondary != NULL)
		return verr_set(reterr, -EINVAL, "a bridge can't be added to a running machine");
	if (!b->hotplug)
		return verr_set(reterr, -EINVAL,
				"PCI bus %s takes nothing while the machine runs: name an empty "
				"pcie-root-port, or none",
				b->id);
	for (unsigned int i = 0; i < ARRAY_SIZE(b->fn); i++)
		if (b->fn[i] != NULL && b->fn[i]->dev.state == DEV_RUNNING)
			return verr_set(reterr, -EBUSY, "the slot of %s is taken by %s", b->id,
					b->fn[i]->dev.id);
	return 0;
}

void pcidev_multifunction(struct pcidev *pd)
{
	pd->cfg.val[PCI_HEADER_TYPE] |= 0x80;
	pd->reset_val[PCI_HEADER_TYPE] |= 0x80;
}

struct pcidev *pcidev_slot(const struct pcidev *pd)
{
	return pd->bus != NULL && pd->bus->hotplug ? pd->bus->bridge : NULL;
}

int pcidev_attach(struct pcidev *pd, struct verr *reterr)
{
	struct pcibus *bus = NULL;
	int r = choose_bus(pd, &bus, reterr);
	if (r == 0 && pd->dev.plat->hot)
		r = check_hot(pd, bus, reterr);
	if (r < 0)
		return r;
	if (pd->common.multifunction)
		pcidev_multifunction(pd);
	r = pcibus_add(bus, pd, pd->common.addr, reterr);
	if (r < 0)
		return r;
	struct pcibus *root = pcibus_root(bus);
	if (pd->intx_pin != 0 && root->intx != NULL) {
		unsigned int dev, pin;
		pcibus_swizzle(pd, &dev, &pin);
		intx_connect(root->intx, &pd->intx, dev, pin);
		pcicfg_put(&pd->cfg, PCI_INTERRUPT_LINE, 1,
			   pd->intx.gsi < 255 ? pd->intx.gsi : 255);
	}
	pd->irq_mode = pd->intx_pin != 0 ? PCI_IRQ_INTX : PCI_IRQ_NONE;
	memcpy(pd->reset_val, pd->cfg.val, sizeof(pd->reset_val));
	return 0;
}

void pcidev_fini(struct pcidev *pd)
{
	if (pd->ops != NULL) {
		pcidev_bars_drop(pd);
		pcidev_irq_fini(pd);
		pcibus_remove(pd);
		if (pd->secondary != NULL)
			pcibus_fini(pd->secondary);
		free(pd->secondary);
		pd->secondary = NULL;
		pd->ops = NULL;
	}
	free(pd->common.id);
	free(pd->common.bus);
	free(pd->common.addr);
	pd->common = (struct pcidev_common){ 0 };
}

void pcidev_reset(struct pcidev *pd, bool placed)
{
	pcidev_bars_drop(pd);
	pcidev_intx_set(pd, false);
	if (pd->msi != NULL)
		msi_reset(pd->msi);
	if (pd->msix != NULL)
		msix_reset(pd->msix);
	memcpy(pd->cfg.val, pd->reset_val, sizeof(pd->cfg.val));
	if (pd->ops->reset != NULL)
		pd->ops->reset(pd);
	if (placed)
		pcibus_program(pd);
	pcidev_bars_update(pd);
}

/* ---- configuration accesses ------------------------------------------------------------------ */

uint32_t pcidev_cfg_read(struct pcidev *pd, unsigned int off, unsigned int size)
{
	if (pd->msi != NULL)
		msi_cfg_read(pd->msi, off, size);
	if (pd->ops->cfg_read_hook != NULL)
		pd->ops->cfg_read_hook(pd, off, size);
	uint32_t v = pcicfg_read(&pd->cfg, pd->ops->hw, pd, off, size);
	T(pci_cfg_read, pd->dev.id, off, size, v);
	return v;
}

static bool covers(unsigned int off, unsigned int size, unsigned int reg, unsigned int len)
{
	return off < reg + len && reg < off + size;
}

/* PCI-PM 1.2 3.2.4: a write that asks for a state the function has not is dropped. */
static uint32_t filter_pm(const struct pcidev *pd, unsigned int off, uint32_t val,
			  unsigned int size)
{
	unsigned int reg = pd->pm_off + PCI_PM_CTRL;
	if (pd->pm_off == 0 || !covers(off, size, reg, 1))
		return val;
	unsigned int shift = 8 * (reg - off);
	uint64_t pmc = pcicfg_get(&pd->cfg, pd->pm_off + PCI_PM_PMC, 2);
	uint32_t state = val >> shift & PCI_PM_CTRL_STATE_MASK;
	if ((state == 1 && (pmc & PCI_PM_CAP_D1) == 0) ||
	    (state == 2 && (pmc & PCI_PM_CAP_D2) == 0)) {
		uint32_t now = pcicfg_get(&pd->cfg, reg, 1) & PCI_PM_CTRL_STATE_MASK;
		val = (val & ~((uint32_t)PCI_PM_CTRL_STATE_MASK << shift)) | now << shift;
	}
	return val;
}

/* Can a write at this dword change what decodes? */
static bool decode_register(const struct pcidev *pd, unsigned int off4)
{
	return off4 == PCI_COMMAND || (off4 >= PCI_BASE_ADDRESS_0 && off4 < PCI_CAPABILITY_LIST) ||
	       off4 == pcidev_bar_reg(pd, PCIDEV_ROM) ||
	       (pcidev_is_bridge(pd) && off4 == (PCI_BRIDGE_CONTROL & ~3U)) ||
	       (pd->pm_off != 0 && off4 == ((pd->pm_off + (unsigned int)PCI_PM_CTRL) & ~3U));
}

static void drop_what_goes(struct pcidev *pd, unsigned int off, uint32_t val, unsigned int size)
{
	unsigned int off4 = off & ~3U;
	uint64_t now = pcicfg_get(&pd->cfg, off4, 4);
	pcicfg_put(&pd->cfg, off4, 4, pcicfg_peek_write(&pd->cfg, off4, off, val, size));
	pcidev_bars_mark(pd);
	pcicfg_put(&pd->cfg, off4, 4, now);
	pcidev_bars_drop_marked(pd);
}

void pcidev_reset_behind(struct pcidev *pd)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(pd->secondary->fn); i++) {
		struct pcidev *fn = pd->secondary->fn[i];
		if (fn == NULL)
			continue;
		if (fn->secondary != NULL)
			pcidev_reset_behind(fn);
		pcidev_reset(fn, false);
	}
}

static bool secondary_in_reset(const struct pcidev *pd)
{
	return pd->secondary != NULL &&
	       (pcicfg_get(&pd->cfg, PCI_BRIDGE_CONTROL, 2) & PCI_BRIDGE_CTL_BUS_RESET) != 0;
}

/* Emulated functions; assigned ones have their own way in cfg_write_hook. The bit reads 0. */
static bool asks_for_flr(const struct pcidev *pd, unsigned int off, uint32_t val, unsigned int size)
{
	unsigned int byte = pd->exp_off + PCI_EXP_DEVCTL + 1U;
	if (pd->exp_off == 0 || pd->ops->hw != NULL || !covers(off, size, byte, 1) ||
	    (pcicfg_get(&pd->cfg, pd->exp_off + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR) == 0)
		return false;
	return (val >> (8 * (byte - off)) & (PCI_EXP_DEVCTL_BCR_FLR >> 8)) != 0;
}

void pcidev_cfg_write(struct pcidev *pd, unsigned int off, uint32_t val, unsigned int size)
{
	val &= (uint32_t)ones(size);
	T(pci_cfg_write, pd->dev.id, off, size, val);
	if (off + size > pd->cfg.size)
		return;
	if (pd->ops->cfg_write_hook != NULL && pd->ops->cfg_write_hook(pd, off, &val, size))
		return;
	if (asks_for_flr(pd, off, val, size)) {
		pcidev_reset(pd, false);
		return;
	}
	val = filter_pm(pd, off, val, size);
	bool decode = decode_register(pd, off & ~3U);
	bool was_reset = secondary_in_reset(pd);
	if (decode)
		drop_what_goes(pd, off, val, size);
	pcicfg_write(&pd->cfg, pd->ops->hw, pd, off, val, size);
	if (decode)
		pcidev_bars_update(pd);
	if (covers(off, size, PCI_COMMAND, 2))
		pcidev_intx_update(pd);
	if (!was_reset && secondary_in_reset(pd))
		pcidev_reset_behind(pd);
	if (pd->msi != NULL)
		msi_cfg_written(pd->msi, off, size);
	if (pd->msix != NULL)
		msix_cfg_written(pd->msix, off, size);
	if (pd->ops->cfg_written != NULL)
		pd->ops->cfg_written(pd, off, size);
}
