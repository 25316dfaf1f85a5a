// SPDX-License-Identifier: GPL-2.0-or-later
//
// Configuration space as vfio-pci shows it: which bits are VFIO's own (BARs, capability links,
// MSI), which go to the hardware, which vanish; COMMAND, PMCSR, MSI and FLR act
// (vfio_pci_config.c of Linux 6.1 to 6.12 is the model). Owns a device's virtual copy.
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>

#include "tests/fake/fake_int.h"

/* The kernel's own table of lengths: 0 variable, a capability it does not know is not in it. */
static unsigned int std_len(const struct fake_dev *d, unsigned int at)
{
	unsigned int flags = fk_cfg_get(d->cfg, at + 2, 2);
	switch (d->cfg[at]) {
	case PCI_CAP_ID_PM:
		return PCI_PM_SIZEOF;
	case PCI_CAP_ID_VPD:
		return PCI_CAP_VPD_SIZEOF;
	case PCI_CAP_ID_MSI:
		return 10u + (flags & PCI_MSI_FLAGS_64BIT ? 4 : 0) +
		       (flags & PCI_MSI_FLAGS_MASKBIT ? 10 : 0);
	case PCI_CAP_ID_VNDR:
		return d->cfg[at + 2];
	case PCI_CAP_ID_EXP:
		return (flags & PCI_EXP_FLAGS_VERS) == 1 ? 20 : 60;
	case PCI_CAP_ID_MSIX:
		return PCI_CAP_MSIX_SIZEOF;
	case PCI_CAP_ID_AF:
		return PCI_CAP_AF_SIZEOF;
	case PCI_CAP_ID_SSVID:
		return 8;
	default:
		return 0;
	}
}

static unsigned int ext_len(const struct fake_dev *d, unsigned int at)
{
	switch (fk_cfg_get(d->cfg, at, 2)) {
	case PCI_EXT_CAP_ID_ERR:
		return 0x48;
	case PCI_EXT_CAP_ID_DSN:
		return PCI_EXT_CAP_DSN_SIZEOF;
	case PCI_EXT_CAP_ID_ARI:
	case PCI_EXT_CAP_ID_ATS:
		return 8;
	case PCI_EXT_CAP_ID_VNDR:
		return fk_cfg_get(d->cfg, at + 4, 4) >> 20;
	case PCI_EXT_CAP_ID_SRIOV:
		return PCI_EXT_CAP_SRIOV_SIZEOF;
	case PCI_EXT_CAP_ID_REBAR:
		return 4 + 8 * MAX(fk_cfg_get(d->cfg, at + PCI_REBAR_CTRL, 4) >> 5 & 7, 1u);
	default:
		return 0;
	}
}

static void perm(struct fk_vdev *v, unsigned int off, unsigned int len, uint32_t virt, uint32_t wr)
{
	fk_cfg_set(v->virt, off, len, virt);
	fk_cfg_set(v->wr, off, len, wr);
}

static void header_perms(struct fk_vdev *v)
{
	perm(v, PCI_VENDOR_ID, 4, ~0u, 0);
	perm(v, PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE, 0xffff);
	perm(v, PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
	perm(v, PCI_CACHE_LINE_SIZE, 2, 0, 0xffff);
	perm(v, PCI_BIST, 1, 0, 0xff);
	for (unsigned int i = 0; i < 6; i++)
		perm(v, PCI_BASE_ADDRESS_0 + 4 * i, 4, ~0u, ~0u);
	perm(v, PCI_ROM_ADDRESS, 4, ~0u, ~0u);
	perm(v, PCI_CAPABILITY_LIST, 1, 0xff, 0);
	perm(v, PCI_INTERRUPT_LINE, 1, 0xff, 0xff);
	perm(v, PCI_INTERRUPT_PIN, 1, 0xff, 0);
}

static void std_perms(struct fk_vdev *v, unsigned int id, unsigned int at, unsigned int len)
{
	bool msi64 = fk_cfg_get(v->d->cfg, at + 2, 2) & PCI_MSI_FLAGS_64BIT;
	perm(v, at, 2, 0xffff, 0); /* id and next pointer */
	switch (id) {
	case PCI_CAP_ID_PM:
		perm(v, at + PCI_PM_PMC, 2, PCI_PM_CAP_PME_MASK, 0);
		perm(v, at + PCI_PM_CTRL, 2, PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS,
		     (uint16_t) ~(PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS));
		break;
	case PCI_CAP_ID_MSI:
		perm(v, at + PCI_MSI_FLAGS, 1, 0xff, 0xff);
		memset(v->virt + at + 4, 0xff, msi64 ? 10 : 6);
		memset(v->wr + at + 4, 0xff, len - 4);
		break;
	case PCI_CAP_ID_EXP:
		perm(v, at + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_PAYLOAD,
		     (uint16_t)~PCI_EXP_DEVCTL_PHANTOM);
		if (len > PCI_EXP_DEVCTL2)
			perm(v, at + PCI_EXP_DEVCTL2, 2, 0, (uint16_t)~0x20u);
		break;
	case PCI_CAP_ID_AF:
		perm(v, at + PCI_AF_CTRL, 1, PCI_AF_CTRL_FLR, PCI_AF_CTRL_FLR);
		break;
	case PCI_CAP_ID_VPD:
		memset(v->virt + at + 2, 0xff, 6);
		memset(v->wr + at + 2, 0xff, 6);
		break;
	case PCI_CAP_ID_VNDR:
		memset(v->wr + at + 2, 0xff, len > 2 ? len - 2 : 0);
		break;
	default:
		break;
	}
}

static void own(struct fk_vdev *v, unsigned int at, unsigned int len, unsigned int id)
{
	for (unsigned int i = at; i < at + len && i < 4096; i++) {
		v->cap[i] = (uint16_t)id;
		v->base[i] = (uint16_t)at;
		v->virt[i] = 0;
		v->wr[i] = 0;
	}
}

/* Bounded as the kernel's walk is; a chain that loops is shown as it is. */
static void walk_std(struct fk_vdev *v)
{
	const struct fake_dev *d = v->d;
	unsigned int prev = PCI_CAPABILITY_LIST;
	unsigned int at = d->cfg[PCI_STATUS] & PCI_STATUS_CAP_LIST ? d->cfg[prev] & ~3u : 0;
	for (unsigned int ttl = 48; at >= 0x40 && at < 0xfc && ttl; ttl--) {
		unsigned int id = d->cfg[at], len = std_len(d, at), next = d->cfg[at + 1] & ~3u;
		if (id == 0xff)
			break;
		if (len == 0) {
			/* One the kernel does not know is taken out of the list. */
			v->vcfg[prev] = (uint8_t)next;
		} else {
			own(v, at, MIN(len, 256 - at), id);
			std_perms(v, id, at, MIN(len, 256 - at));
			prev = at + 1;
		}
		at = next;
	}
}

static void walk_ext(struct fk_vdev *v)
{
	const struct fake_dev *d = v->d;
	unsigned int at = 0x100, prev = 0;
	for (unsigned int ttl = 480; at >= 0x100 && at <= 0xffc && ttl; ttl--) {
		uint32_t head = fk_cfg_get(d->cfg, at, 4);
		unsigned int len = at < 0xff8 ? MIN(ext_len(d, at), 4096 - at) : 0;
		unsigned int next = head >> 20 & 0xffc;
		if (head == 0 || head == ~0u)
			break;
		if (len == 0 && prev) {
			uint32_t h = fk_cfg_get(v->vcfg, prev, 4) & 0xfffff;
			fk_cfg_set(v->vcfg, prev, 4, h | next << 20);
		} else if (len == 0) {
			/* The first can't be unlinked: id and version 0, the link stays. */
			fk_cfg_set(v->vcfg, at, 4, next << 20);
			own(v, at, 4, 0);
			perm(v, at, 4, ~0u, 0);
			prev = at;
		} else {
			own(v, at, len, head & 0xffff);
			perm(v, at, 4, ~0u, 0);
			if ((head & 0xffff) == PCI_EXT_CAP_ID_ERR && len >= 0x48)
				memset(v->wr + at + 4, 0xff, 0x18);
			if ((head & 0xffff) == PCI_EXT_CAP_ID_VNDR)
				memset(v->wr + at + 8, 0xff, len > 8 ? len - 8 : 0);
			prev = at;
		}
		at = next;
	}
}

void fk_vcfg_init(struct fk_vdev *v)
{
	const struct fake_dev *d = v->d;
	memcpy(v->vcfg, d->cfg, sizeof(v->vcfg));
	/* Bytes that are nobody's go straight through, both ways. */
	for (unsigned int i = 0x40; i < 4096; i++) {
		v->cap[i] = FK_CAP_NONE;
		v->wr[i] = 0xff;
	}
	own(v, 0, 0x40, FK_CAP_HEADER);
	header_perms(v);
	fk_cfg_set(v->vcfg, PCI_VENDOR_ID, 2, d->desc->vendor);
	fk_cfg_set(v->vcfg, PCI_DEVICE_ID, 2, d->desc->device);
	for (unsigned int i = 0; i < 6; i++) {
		const struct fake_bar *b = &d->desc->bars[i];
		uint32_t low = b->flags & FAKE_BAR_IO ? 1
						      : (b->flags & FAKE_BAR_64 ? 4 : 0) |
								(b->flags & FAKE_BAR_PREF ? 8 : 0);
		if (b->size)
			fk_cfg_set(v->vcfg, PCI_BASE_ADDRESS_0 + 4 * i, 4,
				   (uint32_t)d->bar_addr[i] | low);
	}
	if (d->desc->flags & FAKE_DEV_VF) {
		v->vcfg[PCI_INTERRUPT_PIN] = 0;
		fk_cfg_set(v->vcfg, PCI_COMMAND, 2, PCI_COMMAND_MEMORY);
	}
	walk_std(v);
	if (d->pcie)
		walk_ext(v);
}

/* --- reading ------------------------------------------------------------------------------ */

/* How many bytes from `off` on one access may take: within a dword, a capability, aligned. */
static unsigned int chunk(const struct fk_vdev *v, unsigned int off, size_t len)
{
	unsigned int n = off % 4 == 0 && len >= 4 ? 4 : off % 2 == 0 && len >= 2 ? 2 : 1;
	while (n > 1 &&
	       (v->cap[off + n - 1] != v->cap[off] || v->base[off + n - 1] != v->base[off]))
		n /= 2;
	return n;
}

/* What sizing finds: the address bits a BAR of that size has, and its type bits. */
static void bar_fixup(struct fk_vdev *v)
{
	for (unsigned int i = 0; i < 6; i++) {
		const struct fake_bar *b = &v->d->desc->bars[i];
		unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;
		bool upper = i > 0 && v->d->desc->bars[i - 1].size &&
			     (v->d->desc->bars[i - 1].flags & FAKE_BAR_64);
		if (upper)
			continue;
		uint64_t mask = b->size ? ~(b->size - 1) : 0;
		uint32_t type = b->size == 0 ? 0
				: b->flags & FAKE_BAR_IO
					? 1
					: (b->flags & FAKE_BAR_64 ? 4 : 0) |
						  (b->flags & FAKE_BAR_PREF ? 8 : 0);
		uint32_t bits = (uint32_t)mask & (b->flags & FAKE_BAR_IO ? ~3u : ~15u);
		fk_cfg_set(v->vcfg, reg, 4, (fk_cfg_get(v->vcfg, reg, 4) & bits) | type);
		if (b->size && (b->flags & FAKE_BAR_64))
			fk_cfg_set(v->vcfg, reg + 4, 4,
				   fk_cfg_get(v->vcfg, reg + 4, 4) & (uint32_t)(mask >> 32));
	}
	uint32_t rom = v->d->desc->rom_size;
	uint32_t rom_mask = rom ? ~(rom - 1) | PCI_ROM_ADDRESS_ENABLE : 0;
	fk_cfg_set(v->vcfg, PCI_ROM_ADDRESS, 4, fk_cfg_get(v->vcfg, PCI_ROM_ADDRESS, 4) & rom_mask);
}

static uint32_t read_chunk(struct fk_vdev *v, unsigned int off, unsigned int n)
{
	if (off < 0x40)
		bar_fixup(v);
	bool dead = v->d->removed || v->d->wedged;
	uint32_t hw = dead ? ~0u : fk_cfg_get(v->d->cfg, off, n);
	uint32_t virt = fk_cfg_get(v->virt, off, n);
	/* A VF has no COMMAND.Memory: VFIO keeps one for it. */
	if (off == PCI_COMMAND && (v->d->desc->flags & FAKE_DEV_VF))
		virt |= PCI_COMMAND_MEMORY;
	return (hw & ~virt) | (fk_cfg_get(v->vcfg, off, n) & virt);
}

ssize_t fk_vcfg_read(struct fk_vdev *v, void *buf, size_t len, uint64_t off)
{
	size_t size = fk_cfg_size(v->d), done = 0;
	if (off >= size || len > size - off)
		return -EFAULT;
	while (done < len) {
		unsigned int n = chunk(v, (unsigned int)(off + done), len - done);
		uint32_t val = read_chunk(v, (unsigned int)(off + done), n);
		memcpy((uint8_t *)buf + done, &val, n);
		done += n;
		if (v->d->desc->flags & FAKE_DEV_SHORT_CONFIG)
			break;
	}
	return (ssize_t)done;
}

/* --- writing ------------------------------------------------------------------------------ */

static bool covers(unsigned int off, unsigned int n, unsigned int reg)
{
	return off <= reg && off + n > reg;
}

static void command_written(struct fk_vdev *v)
{
	v->intx_virt_disabled = fk_cfg_get(v->vcfg, PCI_COMMAND, 2) & PCI_COMMAND_INTX_DISABLE;
	fk_intx_update(v);
}

/* The enable bit means something only while the ioctl has made it MSI. */
static void msi_written(struct fk_vdev *v, unsigned int at)
{
	uint32_t flags = fk_cfg_get(v->vcfg, at + PCI_MSI_FLAGS, 2);
	if (v->irq_index != 1)
		flags &= ~(uint32_t)PCI_MSI_FLAGS_ENABLE;
	if ((flags & PCI_MSI_FLAGS_QSIZE) >> 4 > v->msi_qmax)
		flags = (flags & ~(uint32_t)PCI_MSI_FLAGS_QSIZE) | v->msi_qmax << 4;
	fk_cfg_set(v->vcfg, at + PCI_MSI_FLAGS, 2, flags);
	fk_cfg_phys_write(v->d, at + PCI_MSI_FLAGS, 2, flags);
}

static void vpd_written(struct fk_vdev *v, unsigned int at)
{
	uint32_t addr = fk_cfg_get(v->vcfg, at + PCI_VPD_ADDR, 2);
	if (addr & PCI_VPD_ADDR_F) {
		addr &= ~(uint32_t)PCI_VPD_ADDR_F;
	} else {
		fk_cfg_set(v->vcfg, at + PCI_VPD_DATA, 4, 0x56504400u | (addr & 0xff));
		addr |= PCI_VPD_ADDR_F;
	}
	fk_cfg_set(v->vcfg, at + PCI_VPD_ADDR, 2, addr);
}

static void flr_written(struct fk_vdev *v, unsigned int reg, uint32_t bit, bool capable)
{
	uint32_t ctl = fk_cfg_get(v->vcfg, reg, 1u + (reg == v->d->pcie + PCI_EXP_DEVCTL));
	if (!(ctl & bit))
		return;
	fk_cfg_set(v->vcfg, reg, 1u + (reg == v->d->pcie + PCI_EXP_DEVCTL), ctl & ~bit);
	if (capable)
		fk_dev_reset(v->d, "function-level reset");
}

static void acted(struct fk_vdev *v, unsigned int off, unsigned int n)
{
	unsigned int at = v->base[off];
	if (off < 0x40) {
		if (covers(off, n, PCI_COMMAND) || covers(off, n, PCI_COMMAND + 1))
			command_written(v);
		return;
	}
	if (off >= 0x100)
		return;
	const uint8_t *cfg = v->d->cfg;
	if (v->cap[off] == PCI_CAP_ID_MSI && covers(off, n, at + PCI_MSI_FLAGS))
		msi_written(v, at);
	if (v->cap[off] == PCI_CAP_ID_VPD && covers(off, n, at + PCI_VPD_ADDR + 1))
		vpd_written(v, at);
	if (v->cap[off] == PCI_CAP_ID_EXP && covers(off, n, at + PCI_EXP_DEVCTL + 1))
		flr_written(v, at + PCI_EXP_DEVCTL, PCI_EXP_DEVCTL_BCR_FLR,
			    fk_cfg_get(cfg, at + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	if (v->cap[off] == PCI_CAP_ID_AF && covers(off, n, at + PCI_AF_CTRL))
		flr_written(v, at + PCI_AF_CTRL, PCI_AF_CTRL_FLR,
			    cfg[at + PCI_AF_CAP] & PCI_AF_CAP_FLR);
}

static void write_chunk(struct fk_vdev *v, unsigned int off, unsigned int n, uint32_t val)
{
	uint32_t wr = fk_cfg_get(v->wr, off, n), virt = fk_cfg_get(v->virt, off, n);
	if (off == PCI_COMMAND && (v->d->desc->flags & FAKE_DEV_VF))
		virt |= PCI_COMMAND_MEMORY;
	uint32_t kept = fk_cfg_get(v->vcfg, off, n), hw = fk_cfg_get(v->d->cfg, off, n);
	fk_cfg_set(v->vcfg, off, n, (kept & ~(wr & virt)) | (val & wr & virt));
	if (wr & ~virt)
		fk_cfg_phys_write(v->d, off, n, (hw & ~(wr & ~virt)) | (val & wr & ~virt));
	acted(v, off, n);
}

ssize_t fk_vcfg_write(struct fk_vdev *v, const void *buf, size_t len, uint64_t off)
{
	size_t size = fk_cfg_size(v->d), done = 0;
	if (off >= size || len > size - off)
		return -EFAULT;
	while (done < len) {
		unsigned int n = chunk(v, (unsigned int)(off + done), len - done);
		uint32_t val = 0;
		memcpy(&val, (const uint8_t *)buf + done, n);
		write_chunk(v, (unsigned int)(off + done), n, val);
		done += n;
		if (v->d->desc->flags & FAKE_DEV_SHORT_CONFIG)
			break;
	}
	return (ssize_t)done;
}
