// SPDX-License-Identifier: GPL-2.0-or-later
// Building a function's configuration space: identity, BARs, the capabilities this project's own
// functions have. Registers only; what they do when written is pcidev.c's.
#include <errno.h>
#include <inttypes.h>
#include <linux/pci_regs.h>
#include <stdlib.h>

#include "pci/pcidev.h"

void pcidev_set_ids(struct pcidev *pd, uint16_t vendor, uint16_t device, uint16_t subvendor,
		    uint16_t subdevice, uint32_t class_code, uint8_t revision)
{
	struct pcicfg *c = &pd->cfg;
	pcicfg_set(c, PCI_VENDOR_ID, 2, vendor, 0);
	pcicfg_set(c, PCI_DEVICE_ID, 2, device, 0);
	pcicfg_set(c, PCI_REVISION_ID, 1, revision, 0);
	pcicfg_set(c, PCI_CLASS_PROG, 1, class_code & 0xff, 0);
	pcicfg_set(c, PCI_CLASS_DEVICE, 2, class_code >> 8, 0);
	if (pcidev_is_bridge(pd))
		return; /* these are window registers there */
	pcicfg_set(c, PCI_SUBSYSTEM_VENDOR_ID, 2, subvendor, 0);
	pcicfg_set(c, PCI_SUBSYSTEM_ID, 2, subdevice, 0);
}

/* ---- BARs ------------------------------------------------------------------------------------ */

static int check_bar(const struct pcidev *pd, unsigned int bar, enum pcibar_kind kind,
		     uint64_t size, struct verr *reterr)
{
	static const struct {
		uint64_t min, max;
	} limit[] = {
		[PCIBAR_IO] = { 4, KIB(64) },
		[PCIBAR_MEM32] = { 16, GIB(2) },
		[PCIBAR_MEM64] = { 16, BIT64(62) },
		[PCIBAR_ROM] = { KIB(2), MIB(16) },
	};
	unsigned int regs = pcidev_is_bridge(pd) ? 2 : 6;
	unsigned int end = bar + (kind == PCIBAR_MEM64 ? 2 : 1);
	if ((bar == PCIDEV_ROM) != (kind == PCIBAR_ROM) || (bar != PCIDEV_ROM && end > regs))
		return verr_set(reterr, -EINVAL, "BAR %u can't be of that kind: there are %u", bar,
				regs);
	if (kind == PCIBAR_NONE || !IS_POW2(size) || size < limit[kind].min ||
	    size > limit[kind].max)
		return verr_set(reterr, -EINVAL,
				"BAR %u can't have %#" PRIx64 " bytes: a power of two from %" PRIu64
				" to %#" PRIx64 " is needed",
				bar, size, limit[kind].min, limit[kind].max);
	bool taken = pd->bar[bar].kind != PCIBAR_NONE;
	if (bar != PCIDEV_ROM) {
		taken |= bar > 0 && pd->bar[bar - 1].kind == PCIBAR_MEM64;
		taken |= kind == PCIBAR_MEM64 && pd->bar[bar + 1].kind != PCIBAR_NONE;
	}
	return taken ? verr_set(reterr, -EBUSY, "BAR %u is there already", bar) : 0;
}

int pcidev_add_bar(struct pcidev *pd, unsigned int bar, enum pcibar_kind kind, bool prefetch,
		   uint64_t size, struct verr *reterr)
{
	int r = bar < PCIDEV_N_BARS ? check_bar(pd, bar, kind, size, reterr)
				    : verr_set(reterr, -EINVAL, "there is no BAR %u", bar);
	if (r < 0)
		return r;
	uint64_t flags = 0, mask = ~(size - 1);
	unsigned int width = 4;
	switch (kind) {
	case PCIBAR_NONE:
		break;
	case PCIBAR_IO:
		flags = PCI_BASE_ADDRESS_SPACE_IO;
		break;
	case PCIBAR_MEM64:
		flags = PCI_BASE_ADDRESS_MEM_TYPE_64;
		width = 8;
		break;
	case PCIBAR_MEM32:
		break;
	case PCIBAR_ROM:
		mask |= PCI_ROM_ADDRESS_ENABLE;
		break;
	}
	if (prefetch && (kind == PCIBAR_MEM32 || kind == PCIBAR_MEM64))
		flags |= PCI_BASE_ADDRESS_MEM_PREFETCH;
	pcicfg_set(&pd->cfg, pcidev_bar_reg(pd, bar), width, flags, mask);
	pd->bar[bar] =
		(struct pcidev_bar){ .kind = kind, .prefetch = prefetch, .size = size, .pd = pd };
	pcibar_trap_init(&pd->bar[bar]);
	return 0;
}

/* ---- interrupts ------------------------------------------------------------------------------ */

static int check_in_bar(const struct pcidev *pd, const char *what, unsigned int bir, uint64_t off,
			uint64_t len, struct verr *reterr)
{
	const struct pcidev_bar *b = bir < PCIDEV_ROM ? &pd->bar[bir] : NULL;
	if (b == NULL || (b->kind != PCIBAR_MEM32 && b->kind != PCIBAR_MEM64))
		return verr_set(reterr, -EINVAL, "the MSI-X %s is in BAR %u, which is not memory",
				what, bir);
	if (off > b->size || len > b->size - off)
		return verr_set(reterr, -EINVAL,
				"the MSI-X %s (%" PRIu64 " bytes at %#" PRIx64
				") is not inside BAR %u of %#" PRIx64 " bytes",
				what, len, off, bir, b->size);
	return 0;
}

int pcidev_add_msix(struct pcidev *pd, unsigned int off, unsigned int n, unsigned int tbir,
		    uint32_t toff, unsigned int pbir, uint32_t poff, struct verr *reterr)
{
	uint64_t tlen = MSIX_TABLE_SIZE(n), plen = MSIX_PBA_SIZE(n);
	int r = check_in_bar(pd, "table", tbir, toff, tlen, reterr);
	if (r == 0)
		r = check_in_bar(pd, "pending bit array", pbir, poff, plen, reterr);
	if (r == 0 && tbir == pbir && toff < poff + plen && poff < toff + tlen)
		r = verr_set(reterr, -EINVAL,
			     "the MSI-X table and pending bit array overlap in "
			     "BAR %u",
			     tbir);
	if (r == 0)
		r = pcidev_vectors(pd, n, reterr);
	if (r < 0)
		return r;
	struct msix *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return verr_set(reterr, -ENOMEM, "out of memory for MSI-X");
	r = msix_init(m, &pd->cfg, off, n, tbir, toff, pbir, poff, &pcidev_msix_sink, pd, reterr);
	if (r < 0) {
		free(m);
		return r;
	}
	pd->msix = m;
	pd->msix_tbir = tbir;
	pd->msix_toff = toff;
	pd->msix_pbir = pbir;
	pd->msix_poff = poff;
	return 0;
}

int pcidev_add_msi(struct pcidev *pd, unsigned int off, unsigned int n, bool is64, bool maskable,
		   struct verr *reterr)
{
	int r = pcidev_vectors(pd, n > 32 ? 0 : n, reterr);
	if (r < 0)
		return r;
	struct msi *m = calloc(1, sizeof(*m));
	if (m == NULL)
		return verr_set(reterr, -ENOMEM, "out of memory for MSI");
	r = msi_init(m, &pd->cfg, off, n, is64, maskable, &pcidev_msi_sink, pd, reterr);
	if (r < 0) {
		free(m);
		return r;
	}
	pd->msi = m;
	return 0;
}

int pcidev_add_intx(struct pcidev *pd, unsigned int pin)
{
	if (pin < 1 || pin > 4)
		return -EINVAL;
	pd->intx_pin = (uint8_t)pin;
	pcicfg_set(&pd->cfg, PCI_INTERRUPT_PIN, 1, pin, 0);
	return 0;
}

/* ---- capabilities ---------------------------------------------------------------------------- */

/* PCI-PM 1.2 3.2: state survives D3hot, so a driver need not restore it. */
int pcidev_add_pm(struct pcidev *pd, unsigned int off, struct verr *reterr)
{
	int r = pcicap_add(&pd->cfg, PCI_CAP_ID_PM, PCI_PM_SIZEOF, off, reterr);
	if (r < 0)
		return r;
	pd->pm_off = (uint16_t)r;
	pcicfg_set(&pd->cfg, pd->pm_off + PCI_PM_PMC, 2, 3, 0);
	pcicfg_set(&pd->cfg, pd->pm_off + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET,
		   PCI_PM_CTRL_STATE_MASK);
	return 0;
}

/* PCIe 6.0 7.5.3.6-8, .18-20: a 16 GT/s x16 link, so that nothing below looks throttled. */
static void add_link(struct pcicfg *c, unsigned int off)
{
	const unsigned int width = 16U << 4, speed = PCI_EXP_LNKCAP_SLS_16_0GB;
	pcicfg_set(c, off + PCI_EXP_LNKCAP, 4, width | speed, 0);
	pcicfg_set(c, off + PCI_EXP_LNKCTL, 2, 0,
		   PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC |
			   PCI_EXP_LNKCTL_ES);
	pcicfg_set(c, off + PCI_EXP_LNKSTA, 2, width | speed, 0);
	pcicfg_set(c, off + PCI_EXP_LNKCAP2, 4,
		   PCI_EXP_LNKCAP2_SLS_2_5GB | PCI_EXP_LNKCAP2_SLS_5_0GB |
			   PCI_EXP_LNKCAP2_SLS_8_0GB | PCI_EXP_LNKCAP2_SLS_16_0GB,
		   0);
	pcicfg_set(c, off + PCI_EXP_LNKCTL2, 2, speed, PCI_EXP_LNKCTL2_TLS);
}

int pcidev_add_exp(struct pcidev *pd, unsigned int off, unsigned int type, bool flr,
		   struct verr *reterr)
{
	struct pcicfg *c = &pd->cfg;
	int r = pcicap_add(c, PCI_CAP_ID_EXP, 0x3c, off, reterr);
	if (r < 0)
		return r;
	unsigned int o = (unsigned int)r;
	pd->exp_off = (uint16_t)o;
	pd->is_pcie = true;
	bool integrated = type == PCI_EXP_TYPE_RC_END || type == PCI_EXP_TYPE_RC_EC;
	bool endpoint = type == PCI_EXP_TYPE_ENDPOINT || type == PCI_EXP_TYPE_LEG_END || integrated;
	pcicfg_set(c, o + PCI_EXP_FLAGS, 2, 2U | type << 4, 0);
	pcicfg_set(c, o + PCI_EXP_DEVCAP, 4,
		   PCI_EXP_DEVCAP_RBER | PCI_EXP_DEVCAP_EXT_TAG |
			   (endpoint && flr ? PCI_EXP_DEVCAP_FLR : 0),
		   0);
	unsigned int ctl = PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE |
			   PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_EXT_TAG |
			   PCI_EXP_DEVCTL_READRQ;
	if (endpoint)
		ctl |= PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN;
	pcicfg_set(c, o + PCI_EXP_DEVCTL, 2,
		   (endpoint ? PCI_EXP_DEVCTL_RELAX_EN | PCI_EXP_DEVCTL_NOSNOOP_EN : 0) |
			   PCI_EXP_DEVCTL_READRQ_512B,
		   ctl);
	pcicfg_set(c, o + PCI_EXP_DEVSTA, 2, 0, 0);
	pcicfg_set_w1c(c, o + PCI_EXP_DEVSTA, 2,
		       PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED |
			       PCI_EXP_DEVSTA_URD);
	if (!integrated)
		add_link(c, o);
	return 0;
}
