// SPDX-License-Identifier: GPL-2.0-or-later
//
// The hardware side of a fake device: its physical configuration space built from a description,
// what writes to it do (memory decode, power state), BAR memory, reset. Knows nothing of who
// holds it open; it tells the mappings when they vanish.
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/fake/fake_int.h"

/* Bump allocators of host physical space, so that every BAR has its own address. */
static uint64_t next_mem32, next_mem64, next_io;

unsigned int fk_cfg_get(const uint8_t *cfg, unsigned int off, unsigned int len)
{
	uint32_t v = 0;
	memcpy(&v, cfg + off, len); /* little endian host */
	return v;
}

void fk_cfg_set(uint8_t *cfg, unsigned int off, unsigned int len, uint32_t val)
{
	memcpy(cfg + off, &val, len);
}

unsigned int fk_cfg_size(const struct fake_dev *d)
{
	return d->pcie ? 4096 : 256;
}

/* --- building ----------------------------------------------------------------------------- */

static uint64_t place_bar(const struct fake_devdesc *desc, const struct fake_bar *b)
{
	uint64_t *next = b->flags & FAKE_BAR_IO				  ? &next_io
			 : (b->flags & FAKE_BAR_64) && b->size > MIB(256) ? &next_mem64
									  : &next_mem32;
	/* Each memory BAR has its pages to itself, at bar_align into them when it is small. */
	uint64_t step = b->flags & FAKE_BAR_IO ? MAX(b->size, 4) : MAX(b->size, FK_PAGE);
	uint64_t align = IS_POW2(step) ? step : FK_PAGE;
	uint64_t at = ALIGN_UP(*next, align);
	*next = at + step;
	return b->size < FK_PAGE && !(b->flags & FAKE_BAR_IO) ? at + desc->bar_align : at;
}

static void build_bars(struct fake_dev *d)
{
	bool vf = d->desc->flags & FAKE_DEV_VF;
	for (unsigned int i = 0; i < 6; i++) {
		const struct fake_bar *b = &d->desc->bars[i];
		if (b->size == 0)
			continue;
		d->bar_addr[i] = place_bar(d->desc, b);
		uint32_t low =
			b->flags & FAKE_BAR_IO
				? PCI_BASE_ADDRESS_SPACE_IO
				: ((b->flags & FAKE_BAR_64 ? PCI_BASE_ADDRESS_MEM_TYPE_64 : 0) |
				   (b->flags & FAKE_BAR_PREF ? PCI_BASE_ADDRESS_MEM_PREFETCH : 0));
		unsigned int reg = PCI_BASE_ADDRESS_0 + 4 * i;
		uint64_t mask = ~(b->size - 1) & ~(b->flags & FAKE_BAR_IO ? 3ull : 15ull);
		if (!vf) {
			fk_cfg_set(d->cfg, reg, 4, (uint32_t)d->bar_addr[i] | low);
			fk_cfg_set(d->cfg_wr, reg, 4, (uint32_t)mask);
		}
		if (!vf && (b->flags & FAKE_BAR_64)) {
			fk_cfg_set(d->cfg, reg + 4, 4, (uint32_t)(d->bar_addr[i] >> 32));
			fk_cfg_set(d->cfg_wr, reg + 4, 4, (uint32_t)(mask >> 32));
		}
	}
}

/* Made when first needed: most devices of most tests are only looked at. */
int fk_bar_fd(struct fake_dev *d, unsigned int bar)
{
	if (d->bar_fd[bar] >= 0)
		return d->bar_fd[bar];
	d->bar_fd[bar] = memfd_create("fake-bar", MFD_CLOEXEC);
	if (d->bar_fd[bar] < 0 ||
	    ftruncate(d->bar_fd[bar], (off_t)ALIGN_UP(d->desc->bars[bar].size, FK_PAGE)) < 0)
		fk_bug("no memory for BAR%u of %s", bar, d->bdf);
	return d->bar_fd[bar];
}

uint8_t *fk_vga(struct fake_dev *d)
{
	if (!d->vga)
		d->vga = fk_zalloc(FK_VGA_SIZE);
	return d->vga;
}

/* Which bits of a standard capability the hardware lets be written. */
static void cap_writable(struct fake_dev *d, const struct fake_cap *c, unsigned int at)
{
	switch (c->id) {
	case PCI_CAP_ID_PM:
		fk_cfg_set(d->cfg_wr, at + PCI_PM_CTRL, 2,
			   PCI_PM_CTRL_STATE_MASK | PCI_PM_CTRL_PME_ENABLE);
		d->pm = at;
		d->no_soft_reset = c->w[1] & PCI_PM_CTRL_NO_SOFT_RESET;
		break;
	case PCI_CAP_ID_MSI:
		fk_cfg_set(d->cfg_wr, at + PCI_MSI_FLAGS, 2,
			   PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
		memset(d->cfg_wr + at + 4, 0xff, c->len - 4u);
		d->msi = at;
		break;
	case PCI_CAP_ID_MSIX:
		fk_cfg_set(d->cfg_wr, at + PCI_MSIX_FLAGS, 2,
			   PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
		d->msix = at;
		break;
	case PCI_CAP_ID_EXP:
		fk_cfg_set(d->cfg_wr, at + PCI_EXP_DEVCTL, 2, 0x7fff);
		fk_cfg_set(d->cfg_wr, at + PCI_EXP_LNKCTL, 2, 0x0ffb);
		fk_cfg_set(d->cfg_wr, at + PCI_EXP_DEVCTL2, 2, 0xffff);
		d->pcie = at;
		break;
	case PCI_CAP_ID_AF:
		d->af = at;
		break;
	case PCI_CAP_ID_VNDR:
		memset(d->cfg_wr + at + 3, 0xff, c->len - 3u);
		break;
	default:
		break;
	}
}

static void build_caps(struct fake_dev *d)
{
	unsigned int at = 0x40, link = PCI_CAPABILITY_LIST;
	for (unsigned int i = 0; i < FAKE_CAPS_MAX && d->desc->caps[i].id; i++) {
		const struct fake_cap *c = &d->desc->caps[i];
		if (c->off)
			at = c->off;
		if (at + c->len > 256)
			fk_bug("%s: capability %#x does not fit", d->desc->name, c->id);
		d->cfg[link] = (uint8_t)at;
		link = at + 1;
		d->cfg[at] = (uint8_t)c->id;
		d->cfg[at + 1] = c->next > 0 ? (uint8_t)c->next : 0;
		fk_cfg_set(d->cfg, at + 2, 2, c->w[0]);
		for (unsigned int w = 1; w < 6 && 4 * w + 4u <= c->len; w++)
			fk_cfg_set(d->cfg, at + 4 * w, 4, c->w[w]);
		cap_writable(d, c, at);
		/* A raw next pointer ends what is linked properly. */
		if (c->next) {
			d->cfg[at + 1] = c->next > 0 ? (uint8_t)c->next : 0;
			break;
		}
		at = ALIGN_UP(at + c->len, 4u);
	}
	if (d->cfg[PCI_CAPABILITY_LIST])
		d->cfg[PCI_STATUS] |= PCI_STATUS_CAP_LIST;
}

static void build_ecaps(struct fake_dev *d)
{
	unsigned int at = 0x100, prev = 0;
	for (unsigned int i = 0; i < FAKE_CAPS_MAX && d->desc->ecaps[i].id; i++) {
		const struct fake_cap *c = &d->desc->ecaps[i];
		if (c->off)
			at = c->off;
		if (prev)
			fk_cfg_set(d->cfg, prev, 4,
				   (fk_cfg_get(d->cfg, prev, 4) & 0xfffff) | at << 20);
		uint32_t next = c->next > 0 ? (uint32_t)c->next : 0;
		fk_cfg_set(d->cfg, at, 4, c->id | c->w[0] << 16 | next << 20);
		for (unsigned int w = 1; w < 6 && 4 * w + 4u <= c->len; w++)
			fk_cfg_set(d->cfg, at + 4 * w, 4, c->w[w]);
		if (c->id == PCI_EXT_CAP_ID_ERR)
			memset(d->cfg_wr + at + 4, 0xff, 0x18);
		if (c->id == PCI_EXT_CAP_ID_REBAR)
			fk_cfg_set(d->cfg_wr, at + PCI_REBAR_CTRL, 4, PCI_REBAR_CTRL_BAR_SIZE);
		if (c->id == PCI_EXT_CAP_ID_VNDR)
			memset(d->cfg_wr + at + 8, 0xff, c->len - 8u);
		prev = at;
		at = ALIGN_UP(at + c->len, 4u);
		if (c->next)
			break;
	}
}

void fk_dev_build(struct fake_dev *d)
{
	const struct fake_devdesc *s = d->desc;
	bool vf = s->flags & FAKE_DEV_VF;
	uint8_t *c = d->cfg;
	fk_cfg_set(c, PCI_VENDOR_ID, 2, vf ? 0xffff : s->vendor);
	fk_cfg_set(c, PCI_DEVICE_ID, 2, vf ? 0xffff : s->device);
	fk_cfg_set(c, PCI_CLASS_REVISION, 4, s->class_code << 8 | s->revision);
	c[PCI_HEADER_TYPE] = (uint8_t)((s->flags & FAKE_DEV_BRIDGE ? 1 : 0) |
				       (s->flags & FAKE_DEV_MULTIFUNCTION ? 0x80 : 0));
	fk_cfg_set(c, PCI_SUBSYSTEM_VENDOR_ID, 2, s->subvendor);
	fk_cfg_set(c, PCI_SUBSYSTEM_ID, 2, s->subdevice);
	c[PCI_INTERRUPT_PIN] = s->intx_pin;
	c[PCI_INTERRUPT_LINE] = s->intx_pin ? 11 : 0;

	uint32_t cmd = PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER |
		       PCI_COMMAND_PARITY | PCI_COMMAND_SERR;
	if (!(s->flags & FAKE_DEV_NO_INTX_DISABLE))
		cmd |= PCI_COMMAND_INTX_DISABLE;
	fk_cfg_set(d->cfg_wr, PCI_COMMAND, 2, cmd);
	d->cfg_wr[PCI_CACHE_LINE_SIZE] = 0xff;
	d->cfg_wr[PCI_LATENCY_TIMER] = 0xff;
	d->cfg_wr[PCI_INTERRUPT_LINE] = 0xff;
	for (unsigned int i = 0; i < 6; i++)
		d->bar_fd[i] = -1;
	if (!(s->flags & FAKE_DEV_BRIDGE))
		build_bars(d);
	if (s->rom_size) {
		next_mem32 = ALIGN_UP(next_mem32, MAX((uint64_t)s->rom_size, FK_PAGE));
		fk_cfg_set(c, PCI_ROM_ADDRESS, 4, (uint32_t)next_mem32);
		fk_cfg_set(d->cfg_wr, PCI_ROM_ADDRESS, 4,
			   ~(s->rom_size - 1) | PCI_ROM_ADDRESS_ENABLE);
		next_mem32 += MAX((uint64_t)s->rom_size, FK_PAGE);
	}
	build_caps(d);
	if (d->pcie)
		build_ecaps(d);
}

void fk_dev_destroy(struct fake_dev *d)
{
	for (unsigned int i = 0; i < 6; i++)
		if (d->bar_fd[i] >= 0)
			close(d->bar_fd[i]);
	free(d->vga);
	free(d);
}

void fk_dev_space_reset(void)
{
	next_mem32 = 0xc0000000;
	next_mem64 = GIB(0x60);
	next_io = 0xc000;
}

/* --- decode and power --------------------------------------------------------------------- */

bool fk_dev_mem_enabled(const struct fake_dev *d)
{
	/* A VF has no COMMAND.Memory of its own: its BARs always decode. */
	bool mse = (d->desc->flags & FAKE_DEV_VF) || (d->cfg[PCI_COMMAND] & PCI_COMMAND_MEMORY);
	return !d->removed && !d->asleep && d->power == 0 && mse;
}

static void vanish(struct fk_map *m, void *why)
{
	if (why && fk_kvm_uses(m->addr, m->len))
		fk_violation("%s took BAR%u of %s away while a KVM memory slot covers it",
			     (const char *)why, m->bar, m->dev->bdf);
	if (why && fk_iommu_uses(m->addr, m->len))
		fk_violation("%s took BAR%u of %s away while a DMA map covers it",
			     (const char *)why, m->bar, m->dev->bdf);
	fk_map_zap(m, true);
}

static void come_back(struct fk_map *m, void *opaque)
{
	(void)opaque;
	fk_map_zap(m, false);
}

void fk_dev_decode_changed(struct fake_dev *d, bool was, const char *why)
{
	bool now = fk_dev_mem_enabled(d);
	union {
		const char *c;
		void *v;
	} arg = { .c = why };
	if (was && !now)
		fk_map_each_bar(d, vanish, arg.v);
	else if (!was && now)
		fk_map_each_bar(d, come_back, NULL);
}

void fk_dev_zap_event(struct fake_dev *d, const char *why)
{
	union {
		const char *c;
		void *v;
	} arg = { .c = why };
	fk_map_each_bar(d, vanish, arg.v);
	if (fk_dev_mem_enabled(d))
		fk_map_each_bar(d, come_back, NULL);
}

void fk_bar_clear(struct fake_dev *d)
{
	for (unsigned int i = 0; i < 6; i++)
		if (d->bar_fd[i] >= 0)
			fallocate(d->bar_fd[i], FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
				  (off_t)ALIGN_UP(d->desc->bars[i].size, FK_PAGE));
}

static void power_changed(struct fake_dev *d)
{
	unsigned int state = d->cfg[d->pm + PCI_PM_CTRL] & PCI_PM_CTRL_STATE_MASK;
	if (state == 0 && d->power == 3 && !d->no_soft_reset)
		fk_bar_clear(d);
	d->power = state;
}

void fk_cfg_phys_write(struct fake_dev *d, unsigned int off, unsigned int len, uint32_t val)
{
	if (d->removed)
		return;
	bool was = fk_dev_mem_enabled(d);
	uint32_t old = fk_cfg_get(d->cfg, off, len), wr = fk_cfg_get(d->cfg_wr, off, len);
	fk_cfg_set(d->cfg, off, len, (old & ~wr) | (val & wr));
	if (d->pm && off <= d->pm + PCI_PM_CTRL && off + len > d->pm + PCI_PM_CTRL) {
		power_changed(d);
		fk_dev_decode_changed(d, was, "leaving D0");
		return;
	}
	fk_dev_decode_changed(d, was, "clearing COMMAND.Memory");
}

/* --- reset -------------------------------------------------------------------------------- */

bool fk_dev_can_reset(const struct fake_dev *d)
{
	if (d->desc->flags & FAKE_DEV_NORESET)
		return false;
	bool flr =
		d->pcie && (fk_cfg_get(d->cfg, d->pcie + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	bool af = d->af && (d->cfg[d->af + PCI_AF_CAP] & PCI_AF_CAP_FLR);
	return flr || af || (d->pm && !d->no_soft_reset);
}

/* The kernel saves the configuration before and restores it after: only the device's own state
 * (registers behind the BARs) is lost. */
int fk_dev_reset(struct fake_dev *d, const char *why)
{
	if (d->removed)
		return -ENODEV;
	if (!fk_dev_can_reset(d))
		return -ENOTTY;
	if (d->pm)
		fk_cfg_phys_write(d, d->pm + PCI_PM_CTRL, 2, 0);
	fk_dev_zap_event(d, why);
	if (d->desc->flags & FAKE_DEV_RESET_FAILS)
		return -EIO;
	d->resets++;
	fk_intx_level(d, false);
	fk_bar_clear(d);
	if (d->desc->flags & FAKE_DEV_DEAD_AFTER_RESET)
		d->wedged = true;
	return 0;
}

/* --- MSI-X geometry ----------------------------------------------------------------------- */

unsigned int fk_msix_count(const struct fake_dev *d)
{
	return d->msix ? (fk_cfg_get(d->cfg, d->msix + PCI_MSIX_FLAGS, 2) & PCI_MSIX_FLAGS_QSIZE) +
				 1
		       : 0;
}

bool fk_msix_span(const struct fake_dev *d, bool pba, unsigned int *ret_bar, uint64_t *ret_off,
		  uint64_t *ret_len)
{
	if (!d->msix)
		return false;
	uint32_t v = fk_cfg_get(d->cfg, d->msix + (pba ? PCI_MSIX_PBA : PCI_MSIX_TABLE), 4);
	unsigned int n = fk_msix_count(d);
	*ret_bar = v & PCI_MSIX_TABLE_BIR;
	*ret_off = v & PCI_MSIX_TABLE_OFFSET;
	*ret_len = pba ? (n + 63) / 64 * 8 : n * 16;
	return true;
}
