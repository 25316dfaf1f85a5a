// SPDX-License-Identifier: GPL-2.0-or-later
// What the guest sees of an assigned function's configuration space: a static policy per register
// and capability - emulate, read from hardware, forward, hide - turned into the masks of
// pci/pcicfg.h. What no row allows does not exist for the guest. The kernel's vfio-pci filters
// again behind us; this file must not rely on it for more than the last word.

#define LOG_TAG "vfio/cfg"

#include <errno.h>
#include <string.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "core/bytes.h"
#include "core/log.h"
#include "pci/pcibus.h"
#include "vfio/passthru.h"

enum policy {
	HIDE,	/* not in the guest's list */
	FROZEN, /* the value read at realize, read-only */
	PASS,	/* every access goes to hardware (which the kernel filters) */
	OWN,	/* a function of its own below */
};

struct cap_policy {
	uint16_t id;
	enum policy policy;
	int (*add)(struct passthru *p, const struct pcicap *cap, unsigned int len,
		   struct verr *reterr);
};

/* ---- registers of our own making ---------------------------------------------------------- */

static uint32_t hw_dword(struct passthru *p, unsigned int off)
{
	return vfio_cfg_read(p->vd, off, 4);
}

static int add_frozen(struct passthru *p, unsigned int off, unsigned int len)
{
	for (unsigned int i = 0; i < len; i += 4)
		pcicfg_set(&p->pd.cfg, off + i, MIN(4u, len - i),
			   vfio_cfg_read(p->vd, off + i, 4) & ones(MIN(4u, len - i)), 0);
	return 0;
}

static void pass_range(struct passthru *p, unsigned int off, unsigned int len)
{
	for (unsigned int i = 0; i < len; i++) {
		pcicfg_set(&p->pd.cfg, off + i, 1, 0, 0xff);
		pcicfg_set_hw(&p->pd.cfg, off + i, 1, 0xff);
		pcicfg_set_fwd(&p->pd.cfg, off + i, 1, 0xff);
	}
}

/* PCI-PM 1.2 3.2: power states are shadowed (windows depend on them) and forwarded. PME has no
 * way to the guest, so the function does not claim to be able to signal it. */
static int add_pm(struct passthru *p, const struct pcicap *cap, unsigned int len,
		  struct verr *reterr)
{
	struct pcicfg *c = &p->pd.cfg;
	uint16_t pmc = (uint16_t)vfio_cfg_read(p->vd, cap->off + PCI_PM_PMC, 2);
	uint16_t ctrl = (uint16_t)vfio_cfg_read(p->vd, cap->off + PCI_PM_CTRL, 2);

	(void)len;
	int r = pcidev_add_pm(&p->pd, cap->off, reterr);
	if (r < 0)
		return r;
	pcicfg_put(c, cap->off + PCI_PM_PMC, 2, pmc & (uint16_t)~PCI_PM_CAP_PME_MASK);
	pcicfg_put(c, cap->off + PCI_PM_CTRL, 2, ctrl & PCI_PM_CTRL_NO_SOFT_RESET);
	pcicfg_set_fwd(c, cap->off + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK);
	return 0;
}

static int add_msi(struct passthru *p, const struct pcicap *cap, unsigned int len,
		   struct verr *reterr)
{
	uint16_t ctrl = (uint16_t)vfio_cfg_read(p->vd, cap->off + PCI_MSI_FLAGS, 2);
	unsigned int n = 1u << MIN((ctrl & PCI_MSI_FLAGS_QMASK) >> 1, 5);
	unsigned int granted = p->vd->irq[VFIO_PCI_MSI_IRQ_INDEX].count;

	(void)len;
	if (granted == 0)
		return 0;
	while (n > granted)
		n >>= 1;
	return pcidev_add_msi(&p->pd, cap->off, n, ctrl & PCI_MSI_FLAGS_64BIT,
			      ctrl & PCI_MSI_FLAGS_MASKBIT, reterr);
}

static int add_msix(struct passthru *p, const struct pcicap *cap, unsigned int len,
		    struct verr *reterr)
{
	const struct msix_place *m = &p->plan.msix;

	(void)len;
	if (m->n == 0)
		return 0;
	return pcidev_add_msix(&p->pd, cap->off, m->n, m->tbir, m->toff, m->pbir, m->poff, reterr);
}

/* A function must look like what it is plugged into: an endpoint on the root bus is an integrated
 * one without a link, an integrated one below a port is an endpoint (PCIe 6.0 7.5.3.2) - unless its
 * capability, of version 1, ends where a link's registers would be: others may lie there. */
static unsigned int exp_type(struct passthru *p, unsigned int type, unsigned int len)
{
	bool below_port = p->bus->bridge != NULL;

	if (!below_port && (type == PCI_EXP_TYPE_ENDPOINT || type == PCI_EXP_TYPE_LEG_END))
		return PCI_EXP_TYPE_RC_END;
	if (below_port && type == PCI_EXP_TYPE_RC_END && len > PCI_EXP_LNKSTA)
		return PCI_EXP_TYPE_ENDPOINT;
	return type;
}

static void exp_link(struct passthru *p, unsigned int off, unsigned int len, bool has_link)
{
	struct pcicfg *c = &p->pd.cfg;

	if (!has_link) {
		for (unsigned int i = PCI_EXP_LNKCAP; i < PCI_EXP_SLTCAP && i < len; i += 4)
			pcicfg_set(c, off + i, 4, 0, 0);
		return;
	}
	/* The physical link is the host's business: control is remembered, not forwarded. */
	pcicfg_set(c, off + PCI_EXP_LNKCTL, 2, pcicfg_get(c, off + PCI_EXP_LNKCTL, 2),
		   PCI_EXP_LNKCTL_ASPMC | PCI_EXP_LNKCTL_RCB | PCI_EXP_LNKCTL_CCC |
			   PCI_EXP_LNKCTL_ES | PCI_EXP_LNKCTL_CLKREQ_EN);
	pcicfg_set_hw(c, off + PCI_EXP_LNKSTA, 2,
		      PCI_EXP_LNKSTA_CLS | PCI_EXP_LNKSTA_NLW | PCI_EXP_LNKSTA_DLLLA);
	if (len >= PCI_EXP_LNKCTL2 + 2)
		pcicfg_set(c, off + PCI_EXP_LNKCTL2, 2, pcicfg_get(c, off + PCI_EXP_LNKCTL2, 2),
			   PCI_EXP_LNKCTL2_TLS);
}

/* PCIe 6.0 7.5.3. Error and ordering controls reach the device; payload size, phantom functions
 * and ARI don't: they bind other devices on the host's fabric. */
static int add_exp(struct passthru *p, const struct pcicap *cap, unsigned int len,
		   struct verr *reterr)
{
	const uint16_t ctl_fwd = PCI_EXP_DEVCTL_CERE | PCI_EXP_DEVCTL_NFERE | PCI_EXP_DEVCTL_FERE |
				 PCI_EXP_DEVCTL_URRE | PCI_EXP_DEVCTL_RELAX_EN |
				 PCI_EXP_DEVCTL_EXT_TAG | PCI_EXP_DEVCTL_NOSNOOP_EN |
				 PCI_EXP_DEVCTL_READRQ;
	const uint16_t ctl2_fwd = 0x001f | PCI_EXP_DEVCTL2_IDO_REQ_EN | PCI_EXP_DEVCTL2_IDO_CMP_EN;
	const uint16_t sta =
		PCI_EXP_DEVSTA_CED | PCI_EXP_DEVSTA_NFED | PCI_EXP_DEVSTA_FED | PCI_EXP_DEVSTA_URD;
	struct pcicfg *c = &p->pd.cfg;
	unsigned int off = cap->off;

	int r = pcicap_add(c, PCI_CAP_ID_EXP, len, off, reterr);
	if (r < 0)
		return r;
	uint16_t flags = (uint16_t)vfio_cfg_read(p->vd, off + PCI_EXP_FLAGS, 2);
	unsigned int type = exp_type(p, (flags & PCI_EXP_FLAGS_TYPE) >> 4, len);
	if ((flags & PCI_EXP_FLAGS_VERS) == 0)
		flags |= 1; /* version 0 devices exist; drivers stumble over it */
	add_frozen(p, off + PCI_EXP_DEVCAP, len - PCI_EXP_DEVCAP);
	pcicfg_set(c, off + PCI_EXP_FLAGS, 2, (flags & ~PCI_EXP_FLAGS_TYPE) | type << 4, 0);
	if (!(p->vd->flags & VFIO_DEVICE_FLAGS_RESET))
		pcicfg_put(c, off + PCI_EXP_DEVCAP, 4,
			   pcicfg_get(c, off + PCI_EXP_DEVCAP, 4) & ~(uint64_t)PCI_EXP_DEVCAP_FLR);
	pcicfg_set(c, off + PCI_EXP_DEVCTL, 2, pcicfg_get(c, off + PCI_EXP_DEVCTL, 2),
		   ctl_fwd | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_AUX_PME);
	pcicfg_set_fwd(c, off + PCI_EXP_DEVCTL, 2, ctl_fwd);
	pcicfg_set_hw(c, off + PCI_EXP_DEVSTA, 2, sta | PCI_EXP_DEVSTA_TRPND);
	pcicfg_set_w1c(c, off + PCI_EXP_DEVSTA, 2, sta);
	pcicfg_set_fwd(c, off + PCI_EXP_DEVSTA, 2, sta);
	/* An integrated endpoint of version 1 has no room for a link's registers. */
	exp_link(p, off, len, type != PCI_EXP_TYPE_RC_END && len >= PCI_EXP_SLTCAP);
	if (len >= PCI_EXP_DEVCTL2 + 2) {
		pcicfg_set(c, off + PCI_EXP_DEVCTL2, 2, pcicfg_get(c, off + PCI_EXP_DEVCTL2, 2),
			   ctl2_fwd | PCI_EXP_DEVCTL2_LTR_EN | PCI_EXP_DEVCTL2_ATOMIC_REQ);
		pcicfg_set_fwd(c, off + PCI_EXP_DEVCTL2, 2, ctl2_fwd | PCI_EXP_DEVCTL2_ATOMIC_REQ);
	}
	p->pd.exp_off = (uint16_t)off;
	return 0;
}

/* PCI "Advanced Features": its FLR bit is taken by passthru_cfg_hook(). */
static int add_af(struct passthru *p, const struct pcicap *cap, unsigned int len,
		  struct verr *reterr)
{
	int r = pcicap_add(&p->pd.cfg, PCI_CAP_ID_AF, len, cap->off, reterr);

	if (r < 0)
		return r;
	pcicfg_set(&p->pd.cfg, cap->off + 2, 2, vfio_cfg_read(p->vd, cap->off + 2, 2), 0);
	pcicfg_set_hw(&p->pd.cfg, cap->off + PCI_AF_STATUS, 1, PCI_AF_STATUS_TP);
	return 0;
}

/* ---- the policy ----------------------------------------------------------------------------- */

static const struct cap_policy std_policy[] = {
	{ PCI_CAP_ID_PM, OWN, add_pm },	  { PCI_CAP_ID_VPD, PASS, NULL },
	{ PCI_CAP_ID_MSI, OWN, add_msi }, { PCI_CAP_ID_PCIX, FROZEN, NULL },
	{ PCI_CAP_ID_VNDR, PASS, NULL },  { PCI_CAP_ID_SSVID, FROZEN, NULL },
	{ PCI_CAP_ID_EXP, OWN, add_exp }, { PCI_CAP_ID_MSIX, OWN, add_msix },
	{ PCI_CAP_ID_AF, OWN, add_af },
};

/* PCIe 6.0 7.8.6: the size a BAR has now is the one it can have. Drivers that look for the
 * capability learn that there is nothing to gain, and the host's resources stay as they are. */
static int add_rebar(struct passthru *p, const struct pcicap *cap, unsigned int len,
		     struct verr *reterr)
{
	(void)reterr;
	for (unsigned int i = PCI_REBAR_CAP; i + 8 <= len; i += 8) {
		uint32_t ctrl = hw_dword(p, cap->off + i + 4);
		uint32_t size = (ctrl & PCI_REBAR_CTRL_BAR_SIZE) >> PCI_REBAR_CTRL_BAR_SHIFT;

		/* Sizes from 2^20 on: 28 bits from bit 4 of the capability, then from bit 16 of the
		 * control register. */
		pcicfg_set(&p->pd.cfg, cap->off + i, 4, size < 28 ? BIT32(size + 4) : 0, 0);
		pcicfg_set(&p->pd.cfg, cap->off + i + 4, 4,
			   (ctrl & 0xffff) | (size >= 28 && size < 44 ? BIT32(size - 12) : 0), 0);
	}
	return 0;
}

/* ATS, PRI and PASID need a virtual IOMMU; SR-IOV, ARI, ACS and L1 substates concern the host's
 * fabric: hidden, by not being here. */
static const struct cap_policy ext_policy[] = {
	{ PCI_EXT_CAP_ID_ERR, PASS, NULL },	  { PCI_EXT_CAP_ID_DSN, FROZEN, NULL },
	{ PCI_EXT_CAP_ID_PWR, FROZEN, NULL },	  { PCI_EXT_CAP_ID_VNDR, PASS, NULL },
	{ PCI_EXT_CAP_ID_LTR, FROZEN, NULL },	  { PCI_EXT_CAP_ID_DVSEC, PASS, NULL },
	{ PCI_EXT_CAP_ID_REBAR, OWN, add_rebar },
};

static bool user_hides(const struct passthru *p, uint16_t vpd_or_dsn, uint16_t id)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;

	return cfg->hide_serial && id == vpd_or_dsn;
}

static const struct cap_policy *policy_of(const struct cap_policy *t, size_t n, uint16_t id)
{
	for (size_t i = 0; i < n; i++)
		if (t[i].id == id)
			return &t[i];
	return NULL;
}

struct build {
	struct passthru *p;
	struct verr *reterr;
	bool start[PCICFG_SIZE / 4]; /* dwords at which a capability starts */
	struct pcicap kept[64];	     /* extended */
	unsigned int n_kept;
};

static int mark_start(void *ctx, const struct pcicap *cap)
{
	struct build *b = ctx;

	b->start[cap->off / 4] = true;
	return 0;
}

/* A device may claim more for a capability than there is up to the next one. */
static unsigned int clip(const struct build *b, unsigned int off, unsigned int len)
{
	for (unsigned int i = 4; i < len && off + i < PCICFG_SIZE; i += 4)
		if (b->start[(off + i) / 4])
			return i;
	return len;
}

/* Ours have all their registers, or are not there; PCI Express ends where its kind does. And
 * there is one of each (PCI 3.0 6.7). */
static bool own_fits(const struct passthru *p, const struct pcicap *cap, unsigned int full,
		     unsigned int len)
{
	unsigned int need = cap->id == PCI_CAP_ID_EXP ? PCI_EXP_LNKCAP : full;

	return len >= need && !pcicap_find(&p->pd.cfg, (uint8_t)cap->id);
}

static int build_cap(void *ctx, const struct pcicap *cap)
{
	struct build *b = ctx;
	struct passthru *p = b->p;
	const struct cap_policy *pol = policy_of(std_policy, ARRAY_SIZE(std_policy), cap->id);
	unsigned int full = pcicap_len(vfio_cfg_reader, p->vd, cap);
	unsigned int len = clip(b, cap->off, full);
	int r = 0;

	if (!pol || pol->policy == HIDE || user_hides(p, PCI_CAP_ID_VPD, cap->id) || len < 2 ||
	    cap->off + len > 256 || (pol->policy == OWN && !own_fits(p, cap, full, len))) {
		log_debug("%s: capability %#x at %#x hidden", p->vd->name, cap->id, cap->off);
		return 0;
	}
	if (pol->policy == OWN)
		return pol->add(p, cap, len, b->reterr);
	r = pcicap_add(&p->pd.cfg, (uint8_t)cap->id, len, cap->off, b->reterr);
	if (r < 0)
		return r;
	if (pol->policy == FROZEN)
		for (unsigned int i = 2; i < len; i++)
			pcicfg_set(&p->pd.cfg, cap->off + i, 1,
				   vfio_cfg_read(p->vd, cap->off + i, 1), 0);
	else
		pass_range(p, cap->off + 2, len - 2);
	return 0;
}

/* Bytes of an extended capability by its id (PCIe 6.0 7.6-7.9); 0: of no known length. */
static unsigned int ext_len(struct passthru *p, const struct pcicap *cap)
{
	switch (cap->id) {
	case PCI_EXT_CAP_ID_ERR:
		return 0x48;
	case PCI_EXT_CAP_ID_DSN:
		return 12;
	case PCI_EXT_CAP_ID_PWR:
		return 16;
	case PCI_EXT_CAP_ID_LTR:
		return 8;
	case PCI_EXT_CAP_ID_REBAR:
		return PCI_REBAR_CAP +
		       8 * ((hw_dword(p, cap->off + PCI_REBAR_CTRL) & PCI_REBAR_CTRL_NBAR_MASK) >>
			    PCI_REBAR_CTRL_NBAR_SHIFT);
	case PCI_EXT_CAP_ID_VNDR:
	case PCI_EXT_CAP_ID_DVSEC:
		return hw_dword(p, cap->off + 4u) >> 20;
	default:
		return 0;
	}
}

static int build_ext(void *ctx, const struct pcicap *cap)
{
	struct build *b = ctx;
	struct passthru *p = b->p;
	const struct cap_policy *pol = policy_of(ext_policy, ARRAY_SIZE(ext_policy), cap->id);
	unsigned int len = clip(b, cap->off, ext_len(p, cap));

	if (!pol || user_hides(p, PCI_EXT_CAP_ID_DSN, cap->id) || len < 8 ||
	    cap->off + len > PCICFG_SIZE || b->n_kept == ARRAY_SIZE(b->kept)) {
		log_debug("%s: extended capability %#x at %#x hidden", p->vd->name, cap->id,
			  cap->off);
		return 0;
	}
	if (pol->policy == OWN)
		pol->add(p, cap, len, b->reterr);
	else if (pol->policy == FROZEN)
		add_frozen(p, cap->off + 4u, len - 4);
	else
		pass_range(p, cap->off + 4u, len - 4);
	b->kept[b->n_kept++] = *cap;
	return 0;
}

/* The head of the extended list can't be unlinked: if it is hidden, an empty header (id 0,
 * version 0) stands in its place and points on (PCIe 6.0 7.6.3). */
static void link_ext(struct build *b)
{
	struct pcicfg *c = &b->p->pd.cfg;

	if (b->n_kept && b->kept[0].off != PCI_CFG_SPACE_SIZE)
		pcicfg_set(c, PCI_CFG_SPACE_SIZE, 4, (uint32_t)b->kept[0].off << 20, 0);
	for (unsigned int i = 0; i < b->n_kept; i++) {
		uint32_t next = i + 1 < b->n_kept ? b->kept[i + 1].off : 0;
		pcicfg_set(c, b->kept[i].off, 4,
			   b->kept[i].id | (uint32_t)b->kept[i].version << 16 | next << 20, 0);
	}
}

static void build_header(struct passthru *p)
{
	const uint16_t cmd = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
			     PCI_COMMAND_PARITY | PCI_COMMAND_SERR | PCI_COMMAND_INTX_DISABLE;
	const uint16_t errors = PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT |
				PCI_STATUS_REC_TARGET_ABORT | PCI_STATUS_REC_MASTER_ABORT |
				PCI_STATUS_SIG_SYSTEM_ERROR | PCI_STATUS_DETECTED_PARITY;
	uint32_t ids = hw_dword(p, PCI_VENDOR_ID), sub = hw_dword(p, PCI_SUBSYSTEM_VENDOR_ID);
	uint32_t class_rev = hw_dword(p, PCI_CLASS_REVISION);
	uint16_t status = (uint16_t)vfio_cfg_read(p->vd, PCI_STATUS, 2);
	uint8_t pin = (uint8_t)vfio_cfg_read(p->vd, PCI_INTERRUPT_PIN, 1);
	struct pcicfg *c = &p->pd.cfg;

	pcidev_set_ids(&p->pd, (uint16_t)ids, (uint16_t)(ids >> 16), (uint16_t)sub,
		       (uint16_t)(sub >> 16), class_rev >> 8, (uint8_t)class_rev);
	p->host_serr = (uint16_t)vfio_cfg_read(p->vd, PCI_COMMAND, 2) & PCI_COMMAND_SERR;
	pcicfg_set(c, PCI_COMMAND, 2, 0, cmd);
	pcicfg_set_fwd(c, PCI_COMMAND, 2, cmd);
	pcicfg_put(c, PCI_STATUS, 2,
		   pcicfg_get(c, PCI_STATUS, 2) |
			   (status &
			    (PCI_STATUS_66MHZ | PCI_STATUS_FAST_BACK | PCI_STATUS_DEVSEL_MASK)));
	pcicfg_set_hw(c, PCI_STATUS, 2, errors | PCI_STATUS_INTERRUPT);
	pcicfg_set_w1c(c, PCI_STATUS, 2, errors);
	pcicfg_set_fwd(c, PCI_STATUS, 2, errors);
	if (p->vd->irq[VFIO_PCI_INTX_IRQ_INDEX].count && pin >= 1 && pin <= 4)
		pcidev_add_intx(&p->pd, pin);
	pcicfg_put(c, PCI_MIN_GNT, 2, vfio_cfg_read(p->vd, PCI_MIN_GNT, 2));
	passthru_ids_apply(p);
}

int passthru_cfg_build(struct passthru *p, struct verr *reterr)
{
	struct build b = { .p = p, .reterr = reterr };

	build_header(p);
	pcicap_walk(vfio_cfg_reader, p->vd, mark_start, &b);
	int r = pcicap_walk(vfio_cfg_reader, p->vd, build_cap, &b);
	if (r == -ELOOP || r == -EBADMSG) {
		log_debug("%s: capability list is broken: cut where it breaks", p->vd->name);
		r = 0;
	}
	if (r < 0)
		return r;
	if (p->pd.cfg.size > PCI_CFG_SPACE_SIZE) {
		pcicap_walk_ext(vfio_cfg_reader, p->vd, mark_start, &b);
		r = pcicap_walk_ext(vfio_cfg_reader, p->vd, build_ext, &b);
		link_ext(&b);
	}
	return r == -ELOOP || r == -EBADMSG ? 0 : r;
}

static int find_msix(void *ctx, const struct pcicap *cap)
{
	if (cap->id == PCI_CAP_ID_MSIX)
		*(uint16_t *)ctx = cap->off;
	return cap->id == PCI_CAP_ID_MSIX;
}

void passthru_cfg_msix(struct vfio_device *vd, struct msix_place *ret)
{
	uint16_t off = 0;

	memset(ret, 0, sizeof(*ret));
	pcicap_walk(vfio_cfg_reader, vd, find_msix, &off);
	if (off == 0 || vd->irq[VFIO_PCI_MSIX_IRQ_INDEX].count == 0)
		return;
	uint32_t table = vfio_cfg_read(vd, off + PCI_MSIX_TABLE, 4);
	uint32_t pba = vfio_cfg_read(vd, off + PCI_MSIX_PBA, 4);
	uint16_t ctrl = (uint16_t)vfio_cfg_read(vd, off + PCI_MSIX_FLAGS, 2);
	ret->n = MIN((ctrl & PCI_MSIX_FLAGS_QSIZE) + 1u, vd->irq[VFIO_PCI_MSIX_IRQ_INDEX].count);
	ret->tbir = table & PCI_MSIX_TABLE_BIR;
	ret->toff = table & PCI_MSIX_TABLE_OFFSET;
	ret->pbir = pba & PCI_MSIX_PBA_BIR;
	ret->poff = pba & PCI_MSIX_PBA_OFFSET;
}

/* ---- hardware behind hw and fwd bits -------------------------------------------------------- */

static uint32_t cfg_hw_read(void *opaque, unsigned int off, unsigned int size)
{
	struct passthru *p = passthru_of(opaque);

	return p->lost ? (uint32_t)ones(size) : vfio_cfg_read(p->vd, off, size);
}

static void cfg_hw_write(void *opaque, unsigned int off, uint32_t val, unsigned int size)
{
	struct passthru *p = passthru_of(opaque);

	if (p->lost || p->pd.dev.plat->dry_run)
		return;
	if (off <= PCI_COMMAND + 1 && off + size > PCI_COMMAND + 1)
		val |= (uint32_t)p->host_serr >> 8 << (PCI_COMMAND + 1 - off) * 8;
	vfio_cfg_write(p->vd, off, val, size);
}

void passthru_command(struct passthru *p, uint32_t command)
{
	vfio_cfg_write(p->vd, PCI_COMMAND, command | p->host_serr, 2);
}

const struct pcicfg_hw passthru_cfg_hw = { .read = cfg_hw_read, .write = cfg_hw_write };

static bool writes_bit(unsigned int off, uint32_t val, unsigned int size, unsigned int byte,
		       uint8_t bit)
{
	return off <= byte && byte < off + size && ((val >> (8 * (byte - off))) & bit);
}

bool passthru_cfg_hook(struct pcidev *pd, unsigned int off, uint32_t *val, unsigned int size)
{
	uint16_t af = pcicap_find(&pd->cfg, PCI_CAP_ID_AF);
	bool flr = false;

	passthru_power_write(passthru_of(pd), off, size);
	if (pd->exp_off &&
	    (pcicfg_get(&pd->cfg, pd->exp_off + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR))
		flr = writes_bit(off, *val, size, pd->exp_off + PCI_EXP_DEVCTL + 1,
				 PCI_EXP_DEVCTL_BCR_FLR >> 8);
	if (af && (pcicfg_get(&pd->cfg, af + PCI_AF_CAP, 1) & PCI_AF_CAP_FLR))
		flr |= writes_bit(off, *val, size, af + PCI_AF_CTRL, PCI_AF_CTRL_FLR);
	if (!flr)
		return false;
	pcidev_reset(pd, false);
	return true;
}
