// SPDX-License-Identifier: GPL-2.0-or-later
//
// Configuration space of one function and what its capabilities say: interrupts, ACS, SR-IOV,
// resizable BARs, function-level reset. Lists are walked with pci/pcicap's bounds, so a broken
// device ends its list early and is named broken. What could not be read reads all ones.
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/sys.h"
#include "pci/pcicap.h"
#include "tools/inspect/inv_int.h"

#define CFG_HEADER   64 /* what anyone may read */
#define CFG_STANDARD 256
#define CFG_SIZE     4096

uint32_t inv_cfg(const struct inv_fn *f, unsigned int off, unsigned int size)
{
	if (off >= f->cfg_len || size > f->cfg_len - off)
		return (uint32_t)ones(size);
	return (uint32_t)get_le(f->cfg + off, size);
}

const struct inv_cap *inv_cap_find(const struct inv_fn *f, uint16_t id, bool ext)
{
	for (unsigned int i = 0; i < f->n_caps; i++) {
		if (f->cap[i].id == id && f->cap[i].ext == ext)
			return &f->cap[i];
	}
	return NULL;
}

static uint32_t reader(void *opaque, unsigned int off)
{
	return inv_cfg((const struct inv_fn *)opaque, off, 4);
}

static int add_cap(struct inv_fn *f, const struct pcicap *c, bool ext)
{
	if (f->n_caps == INV_MAX_CAPS)
		return -ELOOP;
	struct inv_cap *v = reallocarray(f->cap, f->n_caps + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	f->cap = v;
	v[f->n_caps++] =
		(struct inv_cap){ .off = c->off, .id = c->id, .version = c->version, .ext = ext };
	return 0;
}

static int each_standard(void *opaque, const struct pcicap *c)
{
	return add_cap(opaque, c, false);
}

static int each_extended(void *opaque, const struct pcicap *c)
{
	return add_cap(opaque, c, true);
}

static int walk(struct inv_fn *f)
{
	int r = 0;
	/* A VF has no vendor id of its own; anything else that reads all ones is not there. */
	if (inv_cfg(f, PCI_VENDOR_ID, 2) == 0xffff && !f->pci.is_vf)
		return 0;
	if (f->cfg_len >= CFG_STANDARD)
		r = pcicap_walk(reader, f, each_standard, f);
	if (r == 0 && f->cfg_len > CFG_STANDARD)
		r = pcicap_walk_ext(reader, f, each_extended, f);
	if (r == -ENOMEM)
		return r;
	f->caps_errno = r;
	return 0;
}

/* --- what the capabilities say ---------------------------------------------------------------- */

static int count_one(void *opaque, const char *name)
{
	(void)name;
	(*(unsigned int *)opaque)++;
	return 0;
}

static void read_irqs(struct inv_fn *f)
{
	char path[INV_PATH], name[BDF_STR_MAX];
	struct inv_irq *q = &f->irq;
	uint32_t pin = inv_cfg(f, PCI_INTERRUPT_PIN, 1);
	q->intx_pin = pin <= 4 ? (uint8_t)pin : 0;
	uint64_t irq = inv_fn_u64(f, "irq", 0);
	q->irq = irq > 0 && irq < INT32_MAX ? (int)irq : -1;
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/msi_irqs",
		     bdf_str(&f->pci.at, name));
	if (sys->listdir(path, count_one, &q->in_use) < 0)
		q->in_use = 0;
	q->known = f->cfg_len >= CFG_STANDARD;

	const struct inv_cap *c = inv_cap_find(f, PCI_CAP_ID_MSI, false);
	if (c) {
		uint32_t flags = inv_cfg(f, c->off + PCI_MSI_FLAGS, 2);
		q->msi = (uint16_t)(1u << ((flags & PCI_MSI_FLAGS_QMASK) >> 1 & 7));
		q->msi_64 = flags & PCI_MSI_FLAGS_64BIT;
		q->msi_mask = flags & PCI_MSI_FLAGS_MASKBIT;
		q->msi_on = flags & PCI_MSI_FLAGS_ENABLE;
	}
	c = inv_cap_find(f, PCI_CAP_ID_MSIX, false);
	if (c) {
		uint32_t flags = inv_cfg(f, c->off + PCI_MSIX_FLAGS, 2);
		uint32_t table = inv_cfg(f, c->off + PCI_MSIX_TABLE, 4);
		uint32_t pba = inv_cfg(f, c->off + PCI_MSIX_PBA, 4);
		q->msix = (uint16_t)((flags & PCI_MSIX_FLAGS_QSIZE) + 1);
		q->msix_on = flags & PCI_MSIX_FLAGS_ENABLE;
		q->table_bar = table & PCI_MSIX_TABLE_BIR;
		q->table_off = table & PCI_MSIX_TABLE_OFFSET;
		q->pba_bar = pba & PCI_MSIX_PBA_BIR;
		q->pba_off = pba & PCI_MSIX_PBA_OFFSET;
	}
}

static void read_express(struct inv_fn *f)
{
	const struct inv_cap *c = inv_cap_find(f, PCI_CAP_ID_EXP, false);
	if (c) {
		f->pcie_type =
			(uint8_t)((inv_cfg(f, c->off + PCI_EXP_FLAGS, 2) & PCI_EXP_FLAGS_TYPE) >>
				  4);
	}
	f->acs.known = f->cfg_len > CFG_STANDARD || (f->cfg_len == CFG_STANDARD && !c);
	c = inv_cap_find(f, PCI_EXT_CAP_ID_ACS, true);
	if (c) {
		f->acs.present = true;
		f->acs.cap = (uint16_t)inv_cfg(f, c->off + PCI_ACS_CAP, 2);
		f->acs.ctrl = (uint16_t)inv_cfg(f, c->off + PCI_ACS_CTRL, 2);
	}
}

static void read_sriov(const struct inv *inv, struct inv_fn *f)
{
	char path[INV_PATH], base[32], name[BDF_STR_MAX];
	struct bdf pf;
	uint64_t total = inv_fn_u64(f, "sriov_totalvfs", 0);
	const struct inv_cap *c = inv_cap_find(f, PCI_EXT_CAP_ID_SRIOV, true);
	f->sriov.pf = c || total;
	f->sriov.total = total <= 0xffff ? (unsigned int)total : 0;
	f->sriov.enabled = (unsigned int)inv_fn_u64(f, "sriov_numvfs", 0);
	f->sriov.vf_device = (uint16_t)inv_fn_u64(f, "sriov_vf_device", 0);
	if (c) {
		f->sriov.total = inv_cfg(f, c->off + PCI_SRIOV_TOTAL_VF, 2);
		f->sriov.vf_device = (uint16_t)inv_cfg(f, c->off + PCI_SRIOV_VF_DID, 2);
	}
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/physfn",
		     bdf_str(&f->pci.at, name));
	if (f->pci.is_vf && sys_readlink_base(path, base, sizeof(base)) >= 0 &&
	    bdf_parse(base, &pf, NULL) == 0)
		f->sriov.pf_fn = inv_find(inv, &pf);
}

/* 0, or -errno in f->cfg_errno: why there is nothing. */
static int read_config(struct inv *inv, struct inv_fn *f)
{
	uint8_t buf[CFG_SIZE];
	int n = hostpci_config(&f->pci, buf, sizeof(buf));
	if (n < 0) {
		f->cfg_errno = n;
		return 0;
	}
	if (n < CFG_HEADER) {
		f->cfg_errno = -EIO;
		return 0;
	}
	f->cfg = malloc((size_t)n);
	if (!f->cfg)
		return -ENOMEM;
	memcpy(f->cfg, buf, (size_t)n);
	f->cfg_len = (unsigned int)n;
	if (n < CFG_STANDARD)
		inv->unprivileged = true;
	return 0;
}

int inv_cfg_read(struct inv *inv, struct inv_fn *f)
{
	int r = read_config(inv, f);
	if (r == 0)
		r = walk(f);
	if (r < 0)
		return r;
	read_irqs(f);
	read_express(f);
	read_sriov(inv, f);
	inv_fn_text(f, "local_cpulist", f->cpus, sizeof(f->cpus));
	uint64_t bits = inv_fn_u64(f, "dma_mask_bits", 0);
	f->dma_bits = f->pci.driver[0] && bits <= 64 ? (unsigned int)bits : 0;
	return 0;
}
