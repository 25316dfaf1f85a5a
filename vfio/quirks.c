// SPDX-License-Identifier: GPL-2.0-or-later
// The quirk table, which rows apply to a function, and the way of a trapped access to its quirk.
// A device that needs something gets a row here; what the row does is in quirks_*.c if it is more
// than a few lines. Must not know how BARs are mapped or configuration space is made.

#define LOG_TAG "vfio/quirk"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/trace.h"
#include "vfio/quirks_int.h"

#define CLASS_VGA	   0x030000, 0xffff00
#define CLASS_DISPLAY	   0x030000, 0xff0000
#define CLASS_BASE_DISPLAY 0x03
#define ANY_DEVICE	   QUIRK_ANY, 0
#define ONE_DEVICE(d)	   (d), 0xffff

/* ---- rows that are a few lines -------------------------------------------------------------- */

static bool pba_is_outside(struct quirk *q)
{
	const struct msix_place *m = &q->p->msix;

	return m->n && m->pbir < 6 && m->poff + MSIX_PBA_SIZE(m->n) > quirk_bar_size(q, m->pbir);
}

/* The T5's virtual functions say 0x8000; their BAR has 8 KiB. */
static void chelsio_t5_pba(struct quirk *q)
{
	q->p->msix.poff = 0x1000;
}

/* The Kunlun's virtual functions say 0x460000; their BAR has 64 KiB. */
static void kunlun_pba(struct quirk *q)
{
	q->p->msix.poff = 0xb400;
}

static int find_exp(void *ctx, const struct pcicap *cap)
{
	if (cap->id == PCI_CAP_ID_EXP)
		*(unsigned int *)ctx = cap->off;
	return cap->id == PCI_CAP_ID_EXP;
}

static bool has_no_flr(struct quirk *q)
{
	unsigned int exp = 0;

	pcicap_walk(vfio_cfg_reader, q->p->vd, find_exp, &exp);
	return exp == 0 || !(vfio_cfg_read(q->p->vd, exp + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
}

/* ---- the table ------------------------------------------------------------------------------ */

static const struct quirk_type table[] = {
	{ { "nvidia-bar0-config", "configuration space at 0x88000 of BAR 0", QUIRK_PCI_NVIDIA },
	  ANY_DEVICE,
	  CLASS_VGA,
	  .applies = quirk_nvidia_bar0,
	  .read = quirk_mirror_read,
	  .write = quirk_nvidia_mirror_write },
	{ { "nvidia-bar5-window", "configuration space through BAR 5's address and data ports",
	    QUIRK_PCI_NVIDIA },
	  ANY_DEVICE,
	  CLASS_VGA,
	  .applies = quirk_nvidia_bar5,
	  .read = quirk_window_read,
	  .write = quirk_window_write,
	  .reset = quirk_window_reset },
	{ { "nvidia-vga-config", "configuration space through VGA ports 3d0 to 3d7",
	    QUIRK_PCI_NVIDIA },
	  ANY_DEVICE,
	  CLASS_VGA,
	  .applies = quirk_nvidia_vga,
	  .read = quirk_nvidia_vga_read,
	  .write = quirk_nvidia_vga_write,
	  .reset = quirk_nvidia_vga_reset },
	{ { "nvidia-gpudirect-clique", "capability that x-nv-gpudirect-clique= adds",
	    QUIRK_PCI_NVIDIA },
	  ANY_DEVICE,
	  CLASS_DISPLAY,
	  .applies = quirk_wants_clique,
	  .realize = quirk_add_clique },
	{ { "ati-bar2-config", "configuration space at 0x4000 of BAR 2", QUIRK_PCI_ATI },
	  ANY_DEVICE,
	  CLASS_VGA,
	  .applies = quirk_ati_bar2,
	  .read = quirk_mirror_read,
	  .write = quirk_mirror_write },
	{ { "ati-bar4-window", "configuration space through BAR 4's address and data ports",
	    QUIRK_PCI_ATI },
	  ANY_DEVICE,
	  CLASS_VGA,
	  .applies = quirk_ati_bar4,
	  .read = quirk_window_read,
	  .write = quirk_window_write,
	  .reset = quirk_window_reset },
	{ { "ati-vga-base", "I/O BAR's address in VGA port 3c3", QUIRK_PCI_ATI },
	  ANY_DEVICE,
	  CLASS_VGA,
	  .applies = quirk_ati_vga,
	  .read = quirk_ati_vga_read,
	  .write = quirk_hw_write },
	{ { "radeon-no-reset", "warns that a Radeon without FLR may not come back from a reset",
	    QUIRK_PCI_ATI },
	  ANY_DEVICE,
	  CLASS_DISPLAY,
	  .applies = has_no_flr,
	  .note = "this Radeon has no function-level reset, and many of them survive no other: a "
		  "second guest may find it dead until the host's power is cycled (the "
		  "vendor-reset kernel module helps some)" },
	{ { "rtl8168-msix-window", "MSI-X table behind registers 0x70 and 0x74 of BAR 2",
	    QUIRK_PCI_REALTEK },
	  ONE_DEVICE(0x8168),
	  0,
	  0,
	  .applies = quirk_rtl8168,
	  .read = quirk_rtl8168_read,
	  .write = quirk_rtl8168_write,
	  .reset = quirk_rtl8168_reset },
	{ { "intel-igd-opregion", "the firmware's OpRegion in guest memory, its address in ASLS",
	    QUIRK_PCI_INTEL },
	  ANY_DEVICE,
	  CLASS_DISPLAY,
	  .applies = quirk_igd_opregion,
	  .realize = quirk_igd_opregion_realize,
	  .reset = quirk_igd_opregion_reset,
	  .fini = quirk_igd_opregion_fini },
	{ { "intel-vmd-shadow", "capability with the physical addresses of the domain's windows",
	    QUIRK_PCI_INTEL },
	  ONE_DEVICE(0x201d),
	  0,
	  0,
	  .realize = quirk_add_vmd_shadow },
	{ { "intel-vmd-shadow", "the same, Rocket Lake", QUIRK_PCI_INTEL },
	  ONE_DEVICE(0x4c3d),
	  0,
	  0,
	  .realize = quirk_add_vmd_shadow },
	{ { "intel-vmd-shadow", "the same, Alder Lake", QUIRK_PCI_INTEL },
	  ONE_DEVICE(0x467f),
	  0,
	  0,
	  .realize = quirk_add_vmd_shadow },
	{ { "intel-vmd-shadow", "the same, Tiger Lake", QUIRK_PCI_INTEL },
	  ONE_DEVICE(0x9a0b),
	  0,
	  0,
	  .realize = quirk_add_vmd_shadow },
	{ { "chelsio-t5-vf-pba", "MSI-X pending bits said to be outside their BAR",
	    QUIRK_PCI_CHELSIO },
	  0x5800,
	  0xff00,
	  0,
	  0,
	  .applies = pba_is_outside,
	  .fix_msix = chelsio_t5_pba },
	{ { "kunlun-vf-pba", "MSI-X pending bits said to be outside their BAR", QUIRK_PCI_BAIDU },
	  ONE_DEVICE(0x3685),
	  0,
	  0,
	  .applies = pba_is_outside,
	  .fix_msix = kunlun_pba },
};

const struct quirk_row *quirk_row(unsigned int i)
{
	return i < ARRAY_SIZE(table) ? &table[i].row : NULL;
}

/* ---- what the rows use ---------------------------------------------------------------------- */

void quirk_trap(struct quirk *q, unsigned int bar, uint64_t off, uint64_t size)
{
	if (q->n_traps < QUIRK_TRAPS)
		q->trap[q->n_traps++] = (struct bar_trap){ (uint8_t)bar, off, size };
}

uint64_t quirk_hw_read(struct quirk *q, unsigned int bar, uint64_t off, unsigned int size)
{
	return vfio_region_read(q->p->vd, bar, off, size);
}

void quirk_hw_write(struct quirk *q, unsigned int bar, uint64_t off, uint64_t val,
		    unsigned int size)
{
	vfio_region_write(q->p->vd, bar, off, val, size);
}

static uint32_t bar_reg(const struct quirk *q, unsigned int bar)
{
	return vfio_cfg_read(q->p->vd, PCI_BASE_ADDRESS_0 + 4 * bar, 4);
}

bool quirk_bar_is_io(const struct quirk *q, unsigned int bar)
{
	return quirk_bar_size(q, bar) && (bar_reg(q, bar) & PCI_BASE_ADDRESS_SPACE_IO);
}

bool quirk_bar_is_mem64(const struct quirk *q, unsigned int bar)
{
	const uint32_t bits = PCI_BASE_ADDRESS_SPACE_IO | PCI_BASE_ADDRESS_MEM_TYPE_MASK;

	return quirk_bar_size(q, bar) && (bar_reg(q, bar) & bits) == PCI_BASE_ADDRESS_MEM_TYPE_64;
}

uint64_t quirk_bar_size(const struct quirk *q, unsigned int bar)
{
	return q->p->vd->region[bar].size;
}

uint32_t quirk_merge(uint32_t old, unsigned int at, uint64_t val, unsigned int size)
{
	uint32_t mask = (uint32_t)(ones(size) << (8 * at));

	return (old & ~mask) | ((uint32_t)(val << (8 * at)) & mask);
}

/* ---- life ----------------------------------------------------------------------------------- */

static bool ids_match(const struct quirk_type *t, struct vfio_device *vd)
{
	uint32_t ids = vfio_cfg_read(vd, PCI_VENDOR_ID, 4);
	uint32_t class_code = vfio_cfg_read(vd, PCI_CLASS_REVISION, 4) >> 8;

	return (uint16_t)ids == t->row.vendor &&
	       ((ids >> 16) & t->device_mask) == (t->device & t->device_mask) &&
	       (class_code & t->class_mask) == t->class_code;
}

static void adopt(struct passthru *p, const struct quirk_type *t)
{
	struct quirk *q = &p->quirks->q[p->quirks->n];

	*q = (struct quirk){ .type = t, .p = p };
	if (p->quirks->n == QUIRKS_MAX || (t->applies && !t->applies(q)))
		return;
	p->quirks->n++;
	if (t->fix_msix)
		t->fix_msix(q);
	T(vfio_quirk, p->vd->name, t->row.name);
	log_debug("%s: quirk %s: %s", p->vd->name, t->row.name, t->row.desc);
	if (t->note)
		log_warn("%s: %s", p->vd->name, t->note);
}

static int check_clique(const struct passthru *p, struct verr *reterr)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;
	uint32_t class_code = vfio_cfg_read(p->vd, PCI_CLASS_REVISION, 4) >> 8;
	uint16_t vendor = (uint16_t)vfio_cfg_read(p->vd, PCI_VENDOR_ID, 2);

	if (!cfg->clique)
		return 0;
	if (!cfg->quirks)
		return verr_set(reterr, -EINVAL,
				"x-nv-gpudirect-clique= and quirks=off contradict each other: the "
				"clique is a quirk");
	if (vendor != QUIRK_PCI_NVIDIA || class_code >> 16 != CLASS_BASE_DISPLAY)
		return verr_set(reterr, -EINVAL,
				"x-nv-gpudirect-clique= is for NVIDIA GPUs, this is %04x:%04x of "
				"class %06x",
				vendor, vfio_cfg_read(p->vd, PCI_DEVICE_ID, 2), class_code);
	return 0;
}

int quirks_find(struct passthru *p, struct verr *reterr)
{
	const struct passthru_config *cfg = p->pd.dev.cfg;

	int r = check_clique(p, reterr);
	if (r < 0 || !cfg->quirks)
		return r;
	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++) {
		if (!ids_match(&table[i], p->vd))
			continue;
		if (!p->quirks)
			p->quirks = calloc(1, sizeof(*p->quirks));
		if (!p->quirks)
			return verr_set(reterr, -ENOMEM, "out of memory");
		adopt(p, &table[i]);
	}
	return 0;
}

unsigned int quirks_traps(const struct passthru *p, struct bar_trap *ret, unsigned int max)
{
	unsigned int n = 0;

	for (unsigned int i = 0; p->quirks && i < p->quirks->n; i++)
		for (unsigned int k = 0; k < p->quirks->q[i].n_traps && n < max; k++)
			ret[n++] = p->quirks->q[i].trap[k];
	return n;
}

int quirks_realize(struct passthru *p, struct verr *reterr)
{
	for (unsigned int i = 0; p->quirks && i < p->quirks->n; i++) {
		struct quirk *q = &p->quirks->q[i];
		int r = q->type->realize ? q->type->realize(q, reterr) : 0;
		if (r < 0)
			return verr_prefix(reterr, r, "quirk %s", q->type->row.name);
	}
	return 0;
}

void quirks_reset(struct passthru *p)
{
	for (unsigned int i = 0; p->quirks && i < p->quirks->n; i++)
		if (p->quirks->q[i].type->reset)
			p->quirks->q[i].type->reset(&p->quirks->q[i]);
}

void quirks_fini(struct passthru *p)
{
	for (unsigned int i = 0; p->quirks && i < p->quirks->n; i++)
		if (p->quirks->q[i].type->fini)
			p->quirks->q[i].type->fini(&p->quirks->q[i]);
	free(p->quirks);
	p->quirks = NULL;
}

/* ---- at work -------------------------------------------------------------------------------- */

static struct quirk *quirk_at(struct passthru *p, unsigned int bar, uint64_t off, unsigned int size)
{
	for (unsigned int i = 0; p->quirks && i < p->quirks->n; i++) {
		struct quirk *q = &p->quirks->q[i];
		for (unsigned int k = 0; k < q->n_traps; k++) {
			const struct bar_trap *t = &q->trap[k];
			if (t->bar == bar && off >= t->off && off - t->off < t->size &&
			    size <= t->size - (off - t->off))
				return q;
		}
	}
	return NULL;
}

bool quirks_bar_read(struct passthru *p, unsigned int bar, uint64_t off, unsigned int size,
		     uint64_t *ret)
{
	struct quirk *q = quirk_at(p, bar, off, size);

	if (!q)
		return false;
	*ret = q->type->read(q, bar, off, size) & ones(size);
	T(vfio_quirk_read, p->vd->name, q->type->row.name, bar, off, size, *ret);
	return true;
}

bool quirks_bar_write(struct passthru *p, unsigned int bar, uint64_t off, uint64_t val,
		      unsigned int size)
{
	struct quirk *q = quirk_at(p, bar, off, size);

	if (!q)
		return false;
	T(vfio_quirk_write, p->vd->name, q->type->row.name, bar, off, size, val);
	q->type->write(q, bar, off, val, size);
	return true;
}

void quirks_describe(const struct passthru *p, FILE *out)
{
	for (unsigned int i = 0; p->quirks && i < p->quirks->n; i++) {
		const struct quirk_type *t = p->quirks->q[i].type;
		fprintf(out, "  quirk %s: %s\n", t->row.name, t->row.desc);
	}
}
