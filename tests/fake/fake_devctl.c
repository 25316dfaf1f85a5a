// SPDX-License-Identifier: GPL-2.0-or-later
//
// The strings a test pulls on a fake device: interrupts, DMA, BAR contents, surprise removal; and
// what it may ask.
#include <errno.h>
#include <linux/pci_regs.h>
#include <string.h>
#include <unistd.h>

#include "tests/fake/fake_host.h"
#include "tests/fake/fake_int.h"

/* --- interrupts --------------------------------------------------------------------------- */

enum fake_fire fake_dev_fire(struct fake_dev *d, unsigned int vec)
{
	enum fake_fire r = FAKE_FIRE_NOBODY;
	fk_lock();
	struct fk_vdev *v = d->vdev;
	/* An MSI is a memory write: without bus mastering there is none. */
	if (v && !d->removed && v->irq_index > 0 && vec < v->n_ctx && v->ctx[vec].trigger &&
	    fake_dev_bus_master(d)) {
		fk_efd_signal(v->ctx[vec].trigger);
		r = FAKE_FIRE_SENT;
	}
	fk_unlock();
	return r;
}

enum fake_fire fake_dev_intx(struct fake_dev *d, bool level)
{
	fk_lock();
	struct fk_vdev *v = d->vdev;
	enum fake_fire r = FAKE_FIRE_NOBODY;
	fk_intx_level(d, level);
	if (v && !d->removed && v->irq_index == 0 && v->ctx[0].trigger) {
		r = v->intx_masked || v->intx_virt_disabled ? FAKE_FIRE_MASKED : FAKE_FIRE_SENT;
		fk_intx_update(v);
	}
	fk_unlock();
	return r;
}

bool fake_dev_intx_masked(const struct fake_dev *d)
{
	fk_lock();
	bool r = d->vdev && (d->vdev->intx_masked || d->vdev->intx_virt_disabled);
	fk_unlock();
	return r;
}

static enum fake_fire signal_if(struct fk_efd *e)
{
	if (!e)
		return FAKE_FIRE_NOBODY;
	fk_efd_signal(e);
	return FAKE_FIRE_SENT;
}

enum fake_fire fake_dev_err(struct fake_dev *d)
{
	fk_lock();
	enum fake_fire r = signal_if(d->vdev ? d->vdev->err : NULL);
	fk_unlock();
	return r;
}

enum fake_fire fake_dev_req(struct fake_dev *d)
{
	fk_lock();
	enum fake_fire r = signal_if(d->vdev ? d->vdev->req : NULL);
	fk_unlock();
	return r;
}

int fake_dev_irq_index(const struct fake_dev *d)
{
	fk_lock();
	int r = d->vdev ? d->vdev->irq_index : -1;
	fk_unlock();
	return r;
}

unsigned int fake_dev_irqs_allocated(const struct fake_dev *d)
{
	fk_lock();
	unsigned int r = d->vdev ? d->vdev->n_irqs : 0;
	fk_unlock();
	return r;
}

unsigned int fake_dev_irqs_armed(const struct fake_dev *d)
{
	unsigned int n = 0;
	fk_lock();
	for (unsigned int i = 0; d->vdev && i < d->vdev->n_ctx; i++)
		n += d->vdev->ctx[i].trigger != NULL;
	fk_unlock();
	return n;
}

/* --- DMA ---------------------------------------------------------------------------------- */

static int dma(struct fake_dev *d, uint64_t iova, uint8_t *buf, size_t len, bool write)
{
	if (!fake_dev_bus_master(d) || d->power != 0 || d->removed)
		return -EPERM;
	struct fk_iommu *io = fk_group_iommu(d->group);
	while (len) {
		size_t n = len;
		void *p = io ? fk_iommu_translate(io, iova, write, &n) : NULL;
		if (!p) {
			d->dma_faults++;
			return -EFAULT;
		}
		if (write)
			memcpy(p, buf, n);
		else
			memcpy(buf, p, n);
		iova += n;
		buf += n;
		len -= n;
	}
	return 0;
}

int fake_dev_dma_read(struct fake_dev *d, uint64_t iova, void *buf, size_t len)
{
	fk_lock();
	int r = dma(d, iova, buf, len, false);
	fk_unlock();
	return r;
}

int fake_dev_dma_write(struct fake_dev *d, uint64_t iova, const void *buf, size_t len)
{
	union {
		const void *c;
		void *v;
	} from = { .c = buf };
	fk_lock();
	int r = dma(d, iova, from.v, len, true);
	fk_unlock();
	return r;
}

unsigned int fake_dev_dma_faults(const struct fake_dev *d)
{
	return d->dma_faults;
}

/* --- BARs and state ----------------------------------------------------------------------- */

static void check_bar(const struct fake_dev *d, unsigned int bar, uint64_t off, size_t len)
{
	if (bar > 5 || !d->desc->bars[bar].size || off + len > d->desc->bars[bar].size)
		fk_bug("BAR%u of %s has no byte %#llx", bar, d->bdf,
		       (unsigned long long)(off + len));
}

void fake_dev_bar_read(struct fake_dev *d, unsigned int bar, uint64_t off, void *buf, size_t len)
{
	check_bar(d, bar, off, len);
	if (pread(fk_bar_fd(d, bar), buf, len, (off_t)off) != (ssize_t)len)
		fk_bug("BAR%u of %s can't be read", bar, d->bdf);
}

void fake_dev_bar_write(struct fake_dev *d, unsigned int bar, uint64_t off, const void *buf,
			size_t len)
{
	check_bar(d, bar, off, len);
	if (pwrite(fk_bar_fd(d, bar), buf, len, (off_t)off) != (ssize_t)len)
		fk_bug("BAR%u of %s can't be written", bar, d->bdf);
}

void fake_dev_bar_hook(struct fake_dev *d, unsigned int bar,
		       void (*fn)(void *opaque, uint64_t off, void *data, unsigned int len,
				  bool write),
		       void *opaque)
{
	fk_lock();
	d->hook[bar].fn = fn;
	d->hook[bar].opaque = opaque;
	fk_unlock();
}

uint8_t *fake_dev_vga(struct fake_dev *d)
{
	return fk_vga(d);
}

unsigned int fake_dev_vga_traps(const struct fake_dev *d)
{
	return d->vga_rw;
}

void fake_dev_rom(struct fake_dev *d, const uint8_t *bytes)
{
	fk_lock();
	d->rom = bytes;
	fk_unlock();
}

unsigned int fake_dev_rom_reads(const struct fake_dev *d)
{
	fk_lock();
	unsigned int n = d->rom_reads;
	fk_unlock();
	return n;
}

unsigned int fake_dev_bar_traps(const struct fake_dev *d, unsigned int bar)
{
	return d->traps[bar];
}

void fake_dev_msix_moved(struct fake_dev *d)
{
	d->msix_moved = true;
}

bool fake_dev_is_open(const struct fake_dev *d)
{
	fk_lock();
	bool r = d->vdev != NULL;
	fk_unlock();
	return r;
}

bool fake_dev_is_asleep(const struct fake_dev *d)
{
	return d->asleep;
}

bool fake_dev_bus_master(const struct fake_dev *d)
{
	return d->cfg[PCI_COMMAND] & PCI_COMMAND_MASTER;
}

void fake_dev_set_serr(struct fake_dev *d)
{
	fk_lock();
	fk_cfg_phys_write(d, PCI_COMMAND, 2, fk_cfg_get(d->cfg, PCI_COMMAND, 2) | PCI_COMMAND_SERR);
	fk_unlock();
}

bool fake_dev_serr(const struct fake_dev *d)
{
	return fk_cfg_get(d->cfg, PCI_COMMAND, 2) & PCI_COMMAND_SERR;
}

bool fake_dev_memory_enabled(const struct fake_dev *d)
{
	return fk_dev_mem_enabled(d);
}

unsigned int fake_dev_resets(const struct fake_dev *d)
{
	return d->resets;
}

struct query {
	unsigned int bar;
	uint64_t first, end;
	bool (*used)(uintptr_t addr, uint64_t len);
	bool found;
};

static bool any_mapping(uintptr_t addr, uint64_t len)
{
	(void)addr;
	(void)len;
	return true;
}

static void ask(struct fk_map *m, void *opaque)
{
	struct query *q = opaque;
	uint64_t first = MAX(q->first, m->off), end = MIN(q->end, m->off + m->len);
	if (m->bar == q->bar && first < end)
		q->found |= q->used(m->addr + (first - m->off), end - first);
}

static bool query(const struct fake_dev *d, unsigned int bar, uint64_t off, uint64_t len,
		  bool (*used)(uintptr_t addr, uint64_t len))
{
	struct query q = { .bar = bar, .first = off, .end = off + len, .used = used };
	fk_lock();
	fk_map_each_bar(d, ask, &q);
	fk_unlock();
	return q.found;
}

bool fake_dev_bar_mapped(const struct fake_dev *d, unsigned int bar, uint64_t off, uint64_t len)
{
	return query(d, bar, off, len, any_mapping);
}

bool fake_dev_bar_in_slot(const struct fake_dev *d, unsigned int bar, uint64_t off, uint64_t len)
{
	return query(d, bar, off, len, fk_kvm_uses);
}

bool fake_dev_bar_dma_mapped(const struct fake_dev *d, unsigned int bar, uint64_t off, uint64_t len)
{
	return query(d, bar, off, len, fk_iommu_uses);
}

struct overlap {
	uintptr_t first, end;
	bool found;
};

/* Whole pages: what shares a page with the table can't be shown without it. */
static void overlaps_msix(struct fk_map *m, void *opaque)
{
	struct overlap *o = opaque;
	for (int pba = 0; pba < 2; pba++) {
		unsigned int bar;
		uint64_t off, len;
		if (!fk_msix_span(m->dev, pba, &bar, &off, &len) || bar != m->bar)
			continue;
		uint64_t first = MAX(ALIGN_DOWN(off, FK_PAGE), m->off);
		uint64_t end = MIN(ALIGN_UP(off + len, FK_PAGE), m->off + m->len);
		if (first < end && m->addr + (first - m->off) < o->end &&
		    m->addr + (end - m->off) > o->first)
			o->found = true;
	}
}

bool fk_shows_msix(uintptr_t addr, uint64_t len, const char **ret_bdf)
{
	struct fake_dev *d;
	list_for_each(d, fk_devs(), struct fake_dev, node) {
		struct overlap o = { addr, addr + len, false };
		fk_map_each_bar(d, overlaps_msix, &o);
		if (o.found && !d->msix_moved) {
			*ret_bdf = d->bdf;
			return true;
		}
	}
	return false;
}

void fake_dev_remove(struct fake_dev *d)
{
	fk_lock();
	bool was = fk_dev_mem_enabled(d);
	fk_sysfs_remove(d);
	d->removed = true;
	/* Nobody could have prepared: what still covers the BARs is no fault of the program's. */
	fk_dev_decode_changed(d, was, NULL);
	d->driver[0] = '\0';
	fk_unlock();
}
