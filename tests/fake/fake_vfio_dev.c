// SPDX-License-Identifier: GPL-2.0-or-later
//
// A device opened through VFIO: its life, the information ioctls with their chains, reset and hot
// reset, region reads and writes, mmap. Configuration space and interrupts have their own files.
#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/fake/fake_int.h"

#define REGION_SHIFT 40
#define ATOMIC_AT    ALIGN_UP((uint32_t)sizeof(struct vfio_device_info), 8u)
#define OPREGION     VFIO_PCI_NUM_REGIONS /* index of the device-specific region */

static const struct fk_fops dev_fops;

/* --- life --------------------------------------------------------------------------------- */

/* VFIO_DEVICE_FEATURE_LOW_POWER_*, as vfio_pci_core_pm_entry() and _exit() have it; the state is
 * always lost. */
static long low_power(struct fake_dev *d, bool entry)
{
	bool was = fk_dev_mem_enabled(d);
	if (entry && d->asleep)
		return -EINVAL;
	if (!entry && d->asleep && d->pm) {
		fk_bar_clear(d);
		fk_cfg_phys_write(d, d->pm + PCI_PM_CTRL, 2, 0);
	}
	d->asleep = entry;
	fk_dev_decode_changed(d, was, "low power");
	return 0;
}

static struct fk_vdev *vdev_new(struct fake_dev *d)
{
	struct fk_vdev *v = fk_zalloc(sizeof(*v));
	v->d = d;
	v->irq_index = -1;
	d->vdev = v;
	d->group->users++;
	d->group->opens++;
	if (d->pm)
		fk_cfg_phys_write(d, d->pm + PCI_PM_CTRL, 2, 0);
	/* The driver enables the device, without bus mastering, and resets it if it can. */
	if (!(d->desc->flags & (FAKE_DEV_RESET_FAILS | FAKE_DEV_DEAD_AFTER_RESET)))
		fk_dev_reset(d, "the open");
	bool io = false;
	for (unsigned int i = 0; i < 6; i++)
		io |= d->desc->bars[i].size && (d->desc->bars[i].flags & FAKE_BAR_IO);
	fk_cfg_phys_write(d, PCI_COMMAND, 2,
			  (fk_cfg_get(d->cfg, PCI_COMMAND, 2) & PCI_COMMAND_SERR) |
				  PCI_COMMAND_MEMORY | (io ? PCI_COMMAND_IO : 0));
	fk_vcfg_init(v);
	return v;
}

int fk_vdev_open(struct fake_dev *d)
{
	bool fresh = !d->vdev;
	struct fk_vdev *v = fresh ? vdev_new(d) : d->vdev;
	v->refs++;
	int fd = fk_install(FK_DEVICE, &dev_fops, v, "vfio-device %s", d->bdf);
	if (fd < 0)
		fk_vdev_put(v);
	return fd;
}

void fk_vdev_get(struct fk_vdev *v)
{
	v->refs++;
}

void fk_vdev_put(struct fk_vdev *v)
{
	if (--v->refs)
		return;
	struct fake_dev *d = v->d;
	fk_irqs_off(v);
	if (d->asleep)
		low_power(d, false);
	fk_cfg_phys_write(d, PCI_COMMAND, 2,
			  fk_cfg_get(d->cfg, PCI_COMMAND, 2) & ~(uint32_t)PCI_COMMAND_MASTER);
	fk_dev_reset(d, "the close");
	d->wedged |= d->desc->flags & FAKE_DEV_STUCK_D3;
	d->vdev = NULL;
	free(v);
	fk_unbind_finish(d);
	d->group->users--;
	fk_group_put(d->group);
}

static void dev_release(struct fk_file *f)
{
	fk_vdev_put(f->obj);
}

/* --- information -------------------------------------------------------------------------- */

static long get_info(struct fk_vdev *v, struct vfio_device_info *a)
{
	if (a->argsz < offsetof(struct vfio_device_info, cap_offset))
		return -EINVAL;
	a->flags = VFIO_DEVICE_FLAGS_PCI | (fk_dev_can_reset(v->d) ? VFIO_DEVICE_FLAGS_RESET : 0);
	a->num_regions = VFIO_PCI_NUM_REGIONS + (v->d->desc->opregion_size ? 1 : 0);
	a->num_irqs = VFIO_PCI_NUM_IRQS;
	if (a->argsz >= sizeof(*a))
		a->cap_offset = 0;
	if (!v->d->desc->atomic_comp)
		return 0;
	/* Linux 6.6: AtomicOps that the root port of the host completes. */
	struct {
		struct vfio_info_cap_header header;
		uint32_t flags;
	} cap = { { 5, 1, 0 }, v->d->desc->atomic_comp };
	a->flags |= VFIO_DEVICE_FLAGS_CAPS;
	if (a->argsz < ATOMIC_AT + sizeof(cap)) {
		a->argsz = ATOMIC_AT + sizeof(cap);
		return 0;
	}
	memcpy((uint8_t *)a + ATOMIC_AT, &cap, sizeof(cap));
	a->cap_offset = ATOMIC_AT;
	return 0;
}

/* Pages of the BAR that hold the MSI-X table. */
static bool table_pages(const struct fake_dev *d, unsigned int bar, uint64_t *first, uint64_t *end)
{
	unsigned int at;
	uint64_t off, len;
	if (!fk_msix_span(d, false, &at, &off, &len) || at != bar)
		return false;
	*first = ALIGN_DOWN(off, FK_PAGE);
	*end = ALIGN_UP(off + len, FK_PAGE);
	return true;
}

/* The areas that may be mapped, if the region says so by areas. Returns their number; -1: whole. */
static int sparse_areas(const struct fake_dev *d, unsigned int bar, struct fake_area *ret)
{
	const struct fake_bar *b = &d->desc->bars[bar];
	int n = 0;
	uint64_t first, end;
	if (b->sparse_none)
		return 0;
	for (unsigned int i = 0; i < 4 && b->sparse[i].size; i++)
		ret[n++] = b->sparse[i];
	if (n)
		return n;
	if (!(d->desc->flags & FAKE_DEV_NOT_MSIX_MAPPABLE) || !table_pages(d, bar, &first, &end))
		return -1;
	if (first > 0)
		ret[n++] = (struct fake_area){ 0, first };
	if (end < b->size)
		ret[n++] = (struct fake_area){ end, b->size - end };
	return n;
}

/* Appends the BAR's capabilities after the head; returns the whole length. */
static uint32_t region_caps(const struct fake_dev *d, unsigned int bar, uint8_t *buf)
{
	struct fake_area areas[4];
	uint32_t at = sizeof(struct vfio_region_info);
	struct vfio_info_cap_header *prev = NULL;
	int n = sparse_areas(d, bar, areas);
	uint64_t first, end;
	if (n >= 0) {
		struct vfio_region_info_cap_sparse_mmap *h = (void *)(buf + at);
		h->header.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP;
		h->header.version = 1;
		h->nr_areas = (uint32_t)n;
		for (int i = 0; i < n; i++) {
			h->areas[i].offset = areas[i].off;
			h->areas[i].size = areas[i].size;
		}
		prev = &h->header;
		at += (uint32_t)(sizeof(*h) + (size_t)n * sizeof(h->areas[0]));
	}
	if (table_pages(d, bar, &first, &end) && !(d->desc->flags & FAKE_DEV_NOT_MSIX_MAPPABLE)) {
		struct vfio_info_cap_header *h = (void *)(buf + at);
		if (prev)
			prev->next = at;
		h->id = VFIO_REGION_INFO_CAP_MSIX_MAPPABLE;
		h->version = 1;
		at += sizeof(*h);
	}
	return at;
}

static long bar_info(const struct fake_dev *d, struct vfio_region_info *a)
{
	uint8_t buf[256] = { 0 };
	struct vfio_region_info *head = (void *)buf;
	const struct fake_bar *b = &d->desc->bars[a->index];
	uint32_t room = a->argsz;
	*head = *a;
	head->offset = (uint64_t)a->index << REGION_SHIFT;
	head->size = b->size;
	head->flags = 0;
	head->cap_offset = 0;
	if (b->size)
		head->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
	if (b->size && !(b->flags & (FAKE_BAR_IO | FAKE_BAR_NOMMAP))) {
		head->flags |= VFIO_REGION_INFO_FLAG_MMAP;
		uint32_t len = region_caps(d, a->index, buf);
		if (len > sizeof(*head)) {
			head->flags |= VFIO_REGION_INFO_FLAG_CAPS;
			if (room < len)
				head->argsz = len;
			else
				head->cap_offset = sizeof(*head);
			memcpy(a, buf, head->cap_offset ? len : sizeof(*head));
			return 0;
		}
	}
	memcpy(a, head, sizeof(*head));
	return 0;
}

/* vfio_pci_igd.c: read-only, its type in a capability. */
static long opregion_info(const struct fake_dev *d, struct vfio_region_info *a)
{
	const struct vfio_region_info_cap_type cap = {
		.header = { VFIO_REGION_INFO_CAP_TYPE, 1, 0 },
		.type = UINT32_C(0x80008086), /* PCI vendor type, Intel */
		.subtype = VFIO_REGION_SUBTYPE_INTEL_IGD_OPREGION,
	};
	uint32_t room = a->argsz;
	a->offset = (uint64_t)a->index << REGION_SHIFT;
	a->size = d->desc->opregion_size;
	a->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_CAPS;
	a->cap_offset = 0;
	if (room < sizeof(*a) + sizeof(cap)) {
		a->argsz = sizeof(*a) + sizeof(cap);
		return 0;
	}
	memcpy((uint8_t *)a + sizeof(*a), &cap, sizeof(cap));
	a->cap_offset = sizeof(*a);
	return 0;
}

static ssize_t opregion_read(const struct fake_dev *d, uint8_t *buf, size_t len, uint64_t pos)
{
	static const char sig[] = "IntelGraphicsMem";
	if (pos >= d->desc->opregion_size)
		return -EINVAL;
	len = MIN(len, d->desc->opregion_size - pos);
	for (size_t i = 0; i < len; i++)
		buf[i] = pos + i < 16 ? (uint8_t)sig[pos + i] : (uint8_t)((pos + i) >> 4);
	return (ssize_t)len;
}

static bool rom_works(const struct fake_dev *d)
{
	return d->desc->rom_size && !(d->desc->flags & FAKE_DEV_ROM_BROKEN);
}

static long get_region_info(struct fk_vdev *v, struct vfio_region_info *a)
{
	if (a->argsz < sizeof(*a))
		return -EINVAL;
	if (a->index < 6)
		return bar_info(v->d, a);
	if (a->index == OPREGION && v->d->desc->opregion_size)
		return opregion_info(v->d, a);
	a->offset = (uint64_t)a->index << REGION_SHIFT;
	a->cap_offset = 0;
	switch (a->index) {
	case VFIO_PCI_ROM_REGION_INDEX:
		a->size = rom_works(v->d) ? v->d->desc->rom_size : 0;
		a->flags = rom_works(v->d) ? VFIO_REGION_INFO_FLAG_READ : 0;
		return 0;
	case VFIO_PCI_CONFIG_REGION_INDEX:
		a->size = fk_cfg_size(v->d);
		a->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		return 0;
	case VFIO_PCI_VGA_REGION_INDEX:
		if (!(v->d->desc->flags & FAKE_DEV_HAS_VGA))
			return -EINVAL;
		a->size = FK_VGA_SIZE;
		a->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
		return 0;
	default:
		return -EINVAL;
	}
}

static long get_irq_info(struct fk_vdev *v, struct vfio_irq_info *a)
{
	if (a->argsz < sizeof(*a) || a->index >= VFIO_PCI_NUM_IRQS)
		return -EINVAL;
	if (a->index == VFIO_PCI_ERR_IRQ_INDEX && !v->d->pcie)
		return -EINVAL;
	a->flags = VFIO_IRQ_INFO_EVENTFD;
	a->count = fk_irq_count(v, a->index);
	if (a->index == VFIO_PCI_INTX_IRQ_INDEX)
		a->flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
	else if (a->index != VFIO_PCI_MSIX_IRQ_INDEX || (v->d->desc->flags & FAKE_DEV_NORESIZE))
		a->flags |= VFIO_IRQ_INFO_NORESIZE;
	return 0;
}

/* --- reset -------------------------------------------------------------------------------- */

static bool same_bus(const struct fake_dev *a, const struct fake_dev *b)
{
	return !b->removed && memcmp(a->bdf, b->bdf, strlen("0000:00:")) == 0;
}

/* Only behind a bridge: there is no reset for the root bus. */
static bool has_bus_reset(const struct fake_dev *d)
{
	unsigned int slashes = 0;
	for (const char *p = d->path; *p; p++)
		slashes += *p == '/';
	return slashes > 4;
}

static long hot_reset_info(struct fk_vdev *v, struct vfio_pci_hot_reset_info *a)
{
	if (a->argsz < sizeof(*a))
		return -EINVAL;
	if (!has_bus_reset(v->d))
		return -ENODEV;
	unsigned int n = 0;
	const struct fake_dev *o;
	list_for_each(o, fk_devs(), struct fake_dev, node) {
		if (!same_bus(v->d, o))
			continue;
		unsigned int seg, bus, dev, fn;
		if (a->argsz >= sizeof(*a) + (n + 1) * sizeof(a->devices[0]) &&
		    sscanf(o->bdf, "%x:%x:%x.%x", &seg, &bus, &dev, &fn) == 4)
			a->devices[n] = (struct vfio_pci_dependent_device){
				.group_id = o->group ? (uint32_t)o->group->id : UINT32_MAX,
				.segment = (uint16_t)seg,
				.bus = (uint8_t)bus,
				.devfn = (uint8_t)(dev << 3 | fn)
			};
		n++;
	}
	a->flags = 0;
	a->count = n;
	return a->argsz < sizeof(*a) + n * sizeof(a->devices[0]) ? -ENOSPC : 0;
}

static bool group_given(const struct vfio_pci_hot_reset *a, const struct fk_group *g)
{
	for (uint32_t i = 0; i < a->count; i++)
		if (fk_obj(a->group_fds[i], FK_GROUP) == g)
			return true;
	return false;
}

static long hot_reset(struct fk_vdev *v, const struct vfio_pci_hot_reset *a)
{
	if (a->argsz < sizeof(*a) || a->flags)
		return -EINVAL;
	if (!has_bus_reset(v->d))
		return -ENODEV;
	unsigned int functions = 0;
	struct fake_dev *o;
	list_for_each(o, fk_devs(), struct fake_dev, node)
		functions += same_bus(v->d, o);
	if (a->count == 0 || a->count > functions) /* vfio_pci_ioctl_pci_hot_reset() */
		return -EINVAL;
	for (uint32_t i = 0; i < a->count; i++) {
		if (!fk_file(a->group_fds[i]))
			return -EBADF;
		if (!fk_obj(a->group_fds[i], FK_GROUP))
			return -EINVAL;
	}
	list_for_each(o, fk_devs(), struct fake_dev, node)
		if (same_bus(v->d, o) &&
		    (!o->group || !group_given(a, o->group) || strcmp(o->driver, "vfio-pci") != 0))
			return -EINVAL;
	list_for_each(o, fk_devs(), struct fake_dev, node) {
		if (!same_bus(v->d, o))
			continue;
		fk_dev_zap_event(o, "hot reset");
		fk_bar_clear(o);
		fk_intx_level(o, false);
		o->resets++;
	}
	return 0;
}

static long feature(struct fk_vdev *v, const struct vfio_device_feature *a)
{
	const uint32_t ops = VFIO_DEVICE_FEATURE_GET | VFIO_DEVICE_FEATURE_SET;
	const uint32_t probe = VFIO_DEVICE_FEATURE_PROBE;
	uint32_t id = a->flags & VFIO_DEVICE_FEATURE_MASK;
	if (a->argsz < sizeof(*a) || (a->flags & ~(VFIO_DEVICE_FEATURE_MASK | ops | probe)) ||
	    (!(a->flags & probe) && (a->flags & ops) != VFIO_DEVICE_FEATURE_GET &&
	     (a->flags & ops) != VFIO_DEVICE_FEATURE_SET))
		return -EINVAL;
	if (id != VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY && id != VFIO_DEVICE_FEATURE_LOW_POWER_EXIT)
		return -ENOTTY;
	if (a->flags & VFIO_DEVICE_FEATURE_GET)
		return -EINVAL;
	return a->flags & probe ? 0 : low_power(v->d, id == VFIO_DEVICE_FEATURE_LOW_POWER_ENTRY);
}

static long dev_ioctl(struct fk_file *f, unsigned long req, void *arg)
{
	struct fk_vdev *v = f->obj;
	switch (req) {
	case VFIO_DEVICE_GET_INFO:
		return get_info(v, arg);
	case VFIO_DEVICE_GET_REGION_INFO:
		return get_region_info(v, arg);
	case VFIO_DEVICE_GET_IRQ_INFO:
		return get_irq_info(v, arg);
	case VFIO_DEVICE_SET_IRQS:
		return fk_set_irqs(v, arg);
	case VFIO_DEVICE_RESET:
		return fk_dev_can_reset(v->d) ? fk_dev_reset(v->d, "VFIO_DEVICE_RESET") : -EINVAL;
	case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
		return hot_reset_info(v, arg);
	case VFIO_DEVICE_PCI_HOT_RESET:
		return hot_reset(v, arg);
	case VFIO_DEVICE_FEATURE:
		return feature(v, arg);
	default:
		return -ENOTTY;
	}
}

/* --- reading and writing regions ---------------------------------------------------------- */

static uint8_t rom_byte(const struct fake_devdesc *s, uint64_t off)
{
	const uint8_t head[] = { 0x55, 0xaa, (uint8_t)(s->rom_size / 512) };
	const uint8_t pcir[] = { 'P',
				 'C',
				 'I',
				 'R',
				 (uint8_t)s->vendor,
				 (uint8_t)(s->vendor >> 8),
				 (uint8_t)s->device,
				 (uint8_t)(s->device >> 8),
				 0,
				 0,
				 0x18,
				 0,
				 0,
				 (uint8_t)s->class_code,
				 (uint8_t)(s->class_code >> 8),
				 (uint8_t)(s->class_code >> 16),
				 (uint8_t)(s->rom_size / 512),
				 (uint8_t)(s->rom_size / 512 >> 8),
				 0,
				 0,
				 0,
				 0x80,
				 0,
				 0 };
	if (off < sizeof(head))
		return head[off];
	if (off == 0x18)
		return 0x1c;
	if (off >= 0x1c && off < 0x1c + sizeof(pcir))
		return pcir[off - 0x1c];
	return 0;
}

static ssize_t rom_read(struct fk_vdev *v, uint8_t *buf, size_t len, uint64_t pos)
{
	if (pos >= v->d->desc->rom_size)
		return -EINVAL;
	if (!rom_works(v->d))
		return -ENOMEM;
	if (!fk_dev_mem_enabled(v->d))
		return -EIO;
	len = MIN(len, v->d->desc->rom_size - pos);
	v->d->rom_reads++;
	for (size_t i = 0; i < len; i++)
		buf[i] = v->d->rom ? v->d->rom[pos + i] : rom_byte(v->d->desc, pos + i);
	return (ssize_t)len;
}

/* The MSI-X table is the kernel's: reads give ones, writes are lost. */
static bool in_table(const struct fake_dev *d, unsigned int bar, uint64_t pos)
{
	unsigned int at;
	uint64_t off, len;
	return fk_msix_span(d, false, &at, &off, &len) && at == bar && pos >= off &&
	       pos < off + len;
}

static void bar_bytes(struct fk_vdev *v, unsigned int bar, uint64_t pos, uint8_t *buf, size_t len,
		      bool write)
{
	int fd = fk_bar_fd(v->d, bar);
	for (size_t i = 0; i < len; i++) {
		if (in_table(v->d, bar, pos + i)) {
			if (!write)
				buf[i] = 0xff;
			continue;
		}
		ssize_t r = write ? pwrite(fd, buf + i, 1, (off_t)(pos + i))
				  : pread(fd, buf + i, 1, (off_t)(pos + i));
		if (r != 1)
			fk_bug("BAR%u of %s at %#llx: %zd", bar, v->d->bdf,
			       (unsigned long long)(pos + i), r);
	}
}

static ssize_t bar_rw(struct fk_vdev *v, unsigned int bar, uint64_t pos, void *buf, size_t len,
		      bool write)
{
	const struct fake_bar *b = &v->d->desc->bars[bar];
	if (pos >= b->size)
		return -EINVAL;
	if (v->d->removed || (!(b->flags & FAKE_BAR_IO) && !fk_dev_mem_enabled(v->d)))
		return -EIO;
	len = MIN(len, b->size - pos);
	v->d->traps[bar]++;
	const struct fk_bar_hook *h = &v->d->hook[bar];
	if (h->fn && !in_table(v->d, bar, pos))
		h->fn(h->opaque, pos, buf, (unsigned int)len, write);
	else
		bar_bytes(v, bar, pos, buf, len, write);
	return (ssize_t)len;
}

/* vfio_pci_vga_rw(): legacy addresses only, cut at the end of each range. That the function does
 * not decode them is no matter: the VGA arbiter sees to it. */
static ssize_t vga_rw(struct fk_vdev *v, uint64_t pos, void *buf, size_t len, bool write)
{
	static const struct {
		uint64_t first, end;
	} parts[] = { { 0xa0000, 0xc0000 }, { 0x3b0, 0x3bc }, { 0x3c0, 0x3e0 } };
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (pos < parts[i].first || pos >= parts[i].end)
			continue;
		len = MIN(len, parts[i].end - pos);
		v->d->vga_rw++;
		if (write)
			memcpy(fk_vga(v->d) + pos, buf, len);
		else
			memcpy(buf, fk_vga(v->d) + pos, len);
		return (ssize_t)len;
	}
	return -EINVAL;
}

static ssize_t dev_rw(struct fk_vdev *v, void *buf, size_t len, off_t off, bool write)
{
	uint64_t pos = (uint64_t)off & ((UINT64_C(1) << REGION_SHIFT) - 1);
	uint64_t index = (uint64_t)off >> REGION_SHIFT;
	if (off < 0 || index > OPREGION)
		return -EINVAL;
	if (len == 0)
		return 0;
	if (index == OPREGION)
		return write || !v->d->desc->opregion_size ? -EINVAL
							   : opregion_read(v->d, buf, len, pos);
	if (index == VFIO_PCI_CONFIG_REGION_INDEX)
		return write ? fk_vcfg_write(v, buf, len, pos) : fk_vcfg_read(v, buf, len, pos);
	if (index == VFIO_PCI_ROM_REGION_INDEX)
		return write ? -EINVAL : rom_read(v, buf, len, pos);
	if (index == VFIO_PCI_VGA_REGION_INDEX && (v->d->desc->flags & FAKE_DEV_HAS_VGA))
		return v->d->removed ? -EIO : vga_rw(v, pos, buf, len, write);
	if (index < 6)
		return bar_rw(v, (unsigned int)index, pos, buf, len, write);
	return -EINVAL;
}

static ssize_t dev_pread(struct fk_file *f, void *buf, size_t len, off_t off)
{
	return dev_rw(f->obj, buf, len, off, false);
}

static ssize_t dev_pwrite(struct fk_file *f, const void *buf, size_t len, off_t off)
{
	uint8_t copy[256]; /* a hook may not change what the caller holds */
	if (len > sizeof(copy))
		return -EINVAL;
	memcpy(copy, buf, len);
	return dev_rw(f->obj, copy, len, off, true);
}

/* --- mmap --------------------------------------------------------------------------------- */

static int dev_mmap(struct fk_file *f, struct fk_map *m, off_t off, int *ret_fd, off_t *ret_off)
{
	struct fk_vdev *v = f->obj;
	struct fake_dev *d = v->d;
	uint64_t index = (uint64_t)off >> REGION_SHIFT;
	uint64_t pos = (uint64_t)off & ((UINT64_C(1) << REGION_SHIFT) - 1);
	if (off < 0 || index >= 6 || pos % FK_PAGE)
		return -EINVAL;
	const struct fake_bar *b = &d->desc->bars[index];
	if (!b->size || (b->flags & (FAKE_BAR_IO | FAKE_BAR_NOMMAP)))
		return -EINVAL;
	if (m->len > ALIGN_UP(b->size, FK_PAGE) || pos > ALIGN_UP(b->size, FK_PAGE) - m->len)
		return -EINVAL;
	struct fake_area areas[4];
	int n = sparse_areas(d, (unsigned int)index, areas);
	bool inside = n < 0;
	for (int i = 0; i < n; i++)
		inside |= pos >= areas[i].off &&
			  pos + m->len <= areas[i].off + ALIGN_UP(areas[i].size, FK_PAGE);
	if (!inside)
		return -EINVAL;
	m->kind = FK_MAP_BAR;
	m->dev = d;
	m->bar = (unsigned int)index;
	m->off = pos;
	m->zapped = !fk_dev_mem_enabled(d);
	*ret_fd = fk_bar_fd(d, (unsigned int)index);
	*ret_off = (off_t)pos;
	return 0;
}

static const struct fk_fops dev_fops = {
	.ioctl = dev_ioctl,
	.pread = dev_pread,
	.pwrite = dev_pwrite,
	.mmap = dev_mmap,
	.release = dev_release,
};
