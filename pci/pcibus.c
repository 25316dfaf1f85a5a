// SPDX-License-Identifier: GPL-2.0-or-later
// Buses: which functions are where, and which of them a bus number and devfn reach now. Owns the
// slots; the functions are their owners'. Numbers and addresses are given in pciplace.c.
#define LOG_TAG "pci/bus"
#include "pci/pcibus.h"

#include <assert.h>
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "pci/bdf.h"

void pcibus_init_root(struct pcibus *b, struct aspace *mmio, struct aspace *pio,
		      struct intx_lines *intx)
{
	*b = (struct pcibus){ .id = "pci.0", .intx = intx, .mmio = mmio, .pio = pio, .pcie = true };
}

void pcibus_fini(struct pcibus *b)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(b->fn); i++)
		assert(b->fn[i] == NULL);
}

struct pcibus *pcibus_root(struct pcibus *b)
{
	while (b->bridge != NULL)
		b = b->bridge->bus;
	return b;
}

struct pcibus *pcibus_find(struct pcibus *root, const char *id)
{
	if (strcmp(root->id, id) == 0)
		return root;
	for (unsigned int i = 0; i < ARRAY_SIZE(root->fn); i++) {
		struct pcidev *pd = root->fn[i];
		struct pcibus *b =
			pd != NULL && pd->secondary != NULL ? pcibus_find(pd->secondary, id) : NULL;
		if (b != NULL)
			return b;
	}
	return NULL;
}

/* ---- slots ----------------------------------------------------------------------------------- */

/* "1f", "1f.7": hexadecimal, as lspci prints it. */
static int parse_addr(const char *text, uint8_t *ret, struct verr *reterr)
{
	char *end;
	unsigned long dev = strtoul(text, &end, 16), fn = 0;
	bool ok = end != text && end - text <= 2 && text[0] != '+' && text[0] != '-' &&
		  text[0] != ' ' && text[1] != 'x' && text[1] != 'X';
	if (ok && *end == '.') {
		ok = end[1] >= '0' && end[1] <= '7';
		fn = ok ? (unsigned long)(end[1] - '0') : 0;
		end += ok ? 2 : 0;
	}
	if (!ok || *end != '\0' || dev > 0x1f)
		return verr_set(reterr, -EINVAL,
				"'%s' is not a slot: expected DD or DD.F in hexadecimal, 00 to 1f "
				"and 0 to 7, such as 04.0",
				text);
	*ret = PCI_DEVFN_OF(dev, fn);
	return 0;
}

#define SLOTS_KEPT 8

static bool slot_empty(const struct pcibus *b, unsigned int dev)
{
	for (unsigned int fn = 0; fn < 8; fn++)
		if (b->fn[dev << 3 | fn] != NULL)
			return false;
	return true;
}

/* Beside another bridge, as functions of one device: machines have their root ports like that. */
static bool join_bridge(const struct pcibus *b, uint8_t *ret)
{
	for (unsigned int devfn = 0; devfn < ARRAY_SIZE(b->fn); devfn++) {
		struct pcidev *fn0 = b->fn[devfn & 0xf8];
		if (b->fn[devfn] != NULL || fn0 == NULL || !pcidev_is_bridge(fn0))
			continue;
		fn0->cfg.val[PCI_HEADER_TYPE] |= 0x80;
		fn0->reset_val[PCI_HEADER_TYPE] |= 0x80;
		*ret = (uint8_t)devfn;
		return true;
	}
	return false;
}

static int next_free(const struct pcibus *b, const struct pcidev *pd, uint8_t *ret,
		     struct verr *reterr)
{
	unsigned int n = b->only_slot0 ? 1 : 32, left = 0;
	for (unsigned int dev = 0; dev < n; dev++)
		left += slot_empty(b, dev);
	/* The last slots are for those that need one of their own. */
	if (!b->only_slot0 && left <= SLOTS_KEPT && pcidev_is_bridge(pd) && join_bridge(b, ret))
		return 0;
	for (unsigned int dev = 0; dev < n; dev++) {
		if (!slot_empty(b, dev))
			continue;
		*ret = PCI_DEVFN_OF(dev, 0);
		return 0;
	}
	return verr_set(reterr, -EBUSY, "PCI bus %s is full", b->id);
}

/* PCIe 6.0 1.3.3: which port goes where. Root ports go anywhere, as they always have. */
static int check_port(const struct pcibus *b, const struct pcidev *pd, struct verr *reterr)
{
	unsigned int type = pd->exp_off == 0
				    ? 0xff
				    : (pcicfg_get(&pd->cfg, pd->exp_off + PCI_EXP_FLAGS, 2) &
				       PCI_EXP_FLAGS_TYPE) >>
					      4;
	if (type != PCI_EXP_TYPE_DOWNSTREAM && b->in_switch)
		return verr_set(reterr, -EINVAL,
				"PCI bus %s is inside a switch, where only ports go: give bus= the "
				"id of one of its pcie-switch-port",
				b->id);
	if (type == PCI_EXP_TYPE_UPSTREAM && (b->bridge == NULL || !b->only_slot0))
		return verr_set(reterr, -EINVAL,
				"a switch goes below a PCIe port, not on PCI bus %s: give bus= the "
				"id of a pcie-root-port",
				b->id);
	if (type == PCI_EXP_TYPE_DOWNSTREAM && !b->in_switch)
		return verr_set(
			reterr, -EINVAL,
			"a switch port goes into a switch, not on PCI bus %s: give bus= the "
			"id of a pcie-switch",
			b->id);
	return 0;
}

static int check_slot(const struct pcibus *b, uint8_t devfn, struct verr *reterr)
{
	if (b->only_slot0 && devfn >> 3 != 0)
		return verr_set(reterr, -EINVAL,
				"PCI bus %s has slot 00 only, not %02x: it is a PCI Express link",
				b->id, devfn >> 3U);
	if (b->fn[devfn] != NULL)
		return verr_set(reterr, -EBUSY, "slot %02x.%u of PCI bus %s is taken by %s",
				devfn >> 3U, devfn & 7U, b->id, b->fn[devfn]->dev.id);
	const struct pcidev *fn0 = b->fn[devfn & 0xf8];
	if ((devfn & 7) != 0 && (fn0 == NULL || (fn0->cfg.val[PCI_HEADER_TYPE] & 0x80) == 0))
		return verr_set(reterr, -EINVAL,
				"function %u of slot %02x on PCI bus %s would not be found: "
				"function 0 has to be there first, with multifunction=on",
				devfn & 7U, devfn >> 3U, b->id);
	return 0;
}

int pcibus_add(struct pcibus *b, struct pcidev *pd, const char *addr, struct verr *reterr)
{
	uint8_t devfn = 0;
	int r = addr != NULL ? parse_addr(addr, &devfn, reterr) : next_free(b, pd, &devfn, reterr);
	if (r == 0)
		r = check_port(b, pd, reterr);
	if (r == 0)
		r = check_slot(b, devfn, reterr);
	if (r < 0)
		return r;
	b->fn[devfn] = pd;
	pd->bus = b;
	pd->devfn = devfn;
	if (b->changed != NULL)
		b->changed(b);
	return 0;
}

bool pcibus_empty(const struct pcibus *b)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(b->fn); i++)
		if (b->fn[i] != NULL)
			return false;
	return true;
}

void pcibus_remove(struct pcidev *pd)
{
	struct pcibus *b = pd->bus;
	if (b == NULL)
		return;
	assert(b->fn[pd->devfn] == pd);
	b->fn[pd->devfn] = NULL;
	pd->bus = NULL;
	pd->placed = false;
	if (b->changed != NULL)
		b->changed(b);
}

/* ---- configuration accesses ------------------------------------------------------------------ */

/* The bus of that number, below `b` or b itself, whose number here is `here`. */
static struct pcibus *route(struct pcibus *b, uint8_t here, uint8_t number)
{
	if (number == here)
		return b;
	for (unsigned int i = 0; i < ARRAY_SIZE(b->fn); i++) {
		struct pcidev *pd = b->fn[i];
		if (pd == NULL || pd->secondary == NULL || pd->secondary->off)
			continue;
		uint8_t sec = pd->cfg.val[PCI_SECONDARY_BUS];
		/* Secondary 0 is a bridge that nobody configured; a number at or below the bus it
		 * sits on would lead in circles. */
		if (sec <= here || number < sec || number > pd->cfg.val[PCI_SUBORDINATE_BUS])
			continue;
		if ((pd->cfg.val[PCI_BRIDGE_CONTROL] & PCI_BRIDGE_CTL_BUS_RESET) != 0)
			return NULL;
		return route(pd->secondary, sec, number);
	}
	return NULL;
}

struct pcidev *pcibus_lookup(struct pcibus *root, uint8_t bus, uint8_t devfn)
{
	struct pcibus *b = route(root, 0, bus);
	return b != NULL ? b->fn[devfn] : NULL;
}

uint32_t pcibus_cfg_read(struct pcibus *root, uint8_t bus, uint8_t devfn, unsigned int off,
			 unsigned int size)
{
	struct pcidev *pd = pcibus_lookup(root, bus, devfn);
	return pd != NULL ? pcidev_cfg_read(pd, off, size) : (uint32_t)ones(size);
}

void pcibus_cfg_write(struct pcibus *root, uint8_t bus, uint8_t devfn, unsigned int off,
		      uint32_t val, unsigned int size)
{
	struct pcidev *pd = pcibus_lookup(root, bus, devfn);
	if (pd != NULL)
		pcidev_cfg_write(pd, off, val, size);
}

/* ---- the tree -------------------------------------------------------------------------------- */

int pcibus_walk(struct pcibus *root, int (*each)(void *ctx, struct pcidev *pd), void *ctx)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(root->fn); i++) {
		struct pcidev *pd = root->fn[i];
		int r = pd != NULL ? each(ctx, pd) : 0;
		if (r == 0 && pd != NULL && pd->secondary != NULL)
			r = pcibus_walk(pd->secondary, each, ctx);
		if (r != 0)
			return r;
	}
	return 0;
}

/* PCI-to-PCI Bridge 1.2 9.1: behind a bridge, a device's pins are turned by its slot. */
void pcibus_swizzle(const struct pcidev *pd, unsigned int *ret_dev, unsigned int *ret_pin)
{
	unsigned int pin = (pd->intx_pin + 3U) % 4, dev = pd->devfn >> 3;
	for (const struct pcibus *b = pd->bus; b->bridge != NULL; b = b->bridge->bus) {
		pin = (pin + dev) % 4;
		dev = b->bridge->devfn >> 3;
	}
	*ret_dev = dev;
	*ret_pin = pin;
}
