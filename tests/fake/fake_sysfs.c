// SPDX-License-Identifier: GPL-2.0-or-later
//
// Draws devices, drivers and IOMMU groups into the tree as sysfs shows them, and turns writes to
// their attributes into what the driver core does (fake_bind.c). The devices and groups themselves
// are fake_host.c's; here is nothing but their picture.
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_host.h"
#include "tests/fake/fake_int.h"
#include "tests/fake/fake_vfio.h"

#define PCI "/sys/bus/pci"

/* --- device attributes -------------------------------------------------------------------- */

static ssize_t override_show(void *opaque, char *buf, size_t size)
{
	const struct fake_dev *d = opaque;
	return snprintf(buf, size, "%s\n", d->override[0] ? d->override : "(null)");
}

static int override_store(void *opaque, const char *text, size_t len)
{
	return fk_override_store(opaque, text, len);
}

static ssize_t config_pread(void *opaque, void *buf, size_t len, off_t off)
{
	const struct fake_dev *d = opaque;
	size_t size = fk_cfg_size(d);
	if ((size_t)off >= size)
		return 0;
	size_t take = MIN(len, size - (size_t)off);
	if (d->removed || d->wedged)
		memset(buf, 0xff, take);
	else
		memcpy(buf, d->cfg + off, take);
	return (ssize_t)take;
}

static uint64_t resource_flags(const struct fake_bar *b)
{
	if (b->flags & FAKE_BAR_IO)
		return 0x40101;
	return 0x40200 | (b->flags & FAKE_BAR_PREF ? 0x2008 : 0) |
	       (b->flags & FAKE_BAR_64 ? 0x100004 : 0);
}

static ssize_t resource_show(void *opaque, char *buf, size_t size)
{
	const struct fake_dev *d = opaque;
	size_t at = 0;
	for (unsigned int i = 0; i < 13; i++) {
		uint64_t start = 0, end = 0, flags = 0;
		if (i < 6 && d->desc->bars[i].size) {
			start = d->bar_addr[i];
			end = start + d->desc->bars[i].size - 1;
			flags = resource_flags(&d->desc->bars[i]);
		} else if (i == 6 && d->desc->rom_size) {
			start = fk_cfg_get(d->cfg, PCI_ROM_ADDRESS, 4) & PCI_ROM_ADDRESS_MASK;
			end = start + d->desc->rom_size - 1;
			flags = 0x46200;
		}
		at += (size_t)snprintf(buf + at, size - at, "0x%016llx 0x%016llx 0x%016llx\n",
				       (unsigned long long)start, (unsigned long long)end,
				       (unsigned long long)flags);
	}
	return (ssize_t)at;
}

static ssize_t reset_method_show(void *opaque, char *buf, size_t size)
{
	const struct fake_dev *d = opaque;
	if (!fk_dev_can_reset(d))
		return snprintf(buf, size, "\n");
	bool flr =
		d->pcie && (fk_cfg_get(d->cfg, d->pcie + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR);
	bool af = d->af && (d->cfg[d->af + PCI_AF_CAP] & PCI_AF_CAP_FLR);
	char text[32];
	snprintf(text, sizeof(text), "%s%s%s", flr ? "flr " : "", af ? "af_flr " : "",
		 d->pm && !d->no_soft_reset ? "pm " : "");
	text[strlen(text) - 1] = '\0';
	return snprintf(buf, size, "%s\n", text);
}

static int reset_store(void *opaque, const char *text, size_t len)
{
	if (len < 1 || text[0] != '1')
		return -EINVAL;
	return fk_dev_reset(opaque, "reset through sysfs");
}

static ssize_t power_show(void *opaque, char *buf, size_t size)
{
	const struct fake_dev *d = opaque;
	static const char *const names[] = { "D0", "D1", "D2", "D3hot" };
	return snprintf(buf, size, "%s\n", names[d->power & 3]);
}

static ssize_t enable_show(void *opaque, char *buf, size_t size)
{
	const struct fake_dev *d = opaque;
	return snprintf(buf, size, "%d\n", d->driver[0] != '\0');
}

static const struct fk_node_ops override_ops = { .show = override_show, .store = override_store };
static const struct fk_node_ops config_ops = { .pread = config_pread };
static const struct fk_node_ops resource_ops = { .show = resource_show };
static const struct fk_node_ops reset_method_ops = { .show = reset_method_show };
static const struct fk_node_ops reset_ops = { .store = reset_store };
static const struct fk_node_ops power_ops = { .show = power_show };
static const struct fk_node_ops enable_ops = { .show = enable_show };

static const char *in_dir(const struct fake_dev *d, const char *name)
{
	static __thread char path[400];
	snprintf(path, sizeof(path), "%s/%s", d->path, name);
	return path;
}

/* A link from the device's directory to /sys/`to`, relative as sysfs makes them. */
static void link_up(struct fake_dev *d, const char *name, const char *to)
{
	char target[400] = "";
	for (const char *p = d->path + strlen("/sys"); *p; p++)
		if (*p == '/')
			strcat(target, "../");
	strncat(target, to, sizeof(target) - strlen(target) - 1);
	fk_fs_link(in_dir(d, name), target);
}

void fk_sysfs_add(struct fake_dev *d)
{
	const struct fake_devdesc *s = d->desc;
	char path[320], target[320];
	fk_fs_text(in_dir(d, "vendor"), "0x%04x\n", s->vendor);
	fk_fs_text(in_dir(d, "device"), "0x%04x\n", s->device);
	fk_fs_text(in_dir(d, "subsystem_vendor"), "0x%04x\n", s->subvendor);
	fk_fs_text(in_dir(d, "subsystem_device"), "0x%04x\n", s->subdevice);
	fk_fs_text(in_dir(d, "class"), "0x%06x\n", s->class_code);
	fk_fs_text(in_dir(d, "revision"), "0x%02x\n", s->revision);
	fk_fs_text(in_dir(d, "irq"), "%d\n", s->intx_pin ? 16 + s->intx_pin : 0);
	fk_fs_text(in_dir(d, "numa_node"), "%d\n", d->numa);
	fk_fs_text(in_dir(d, "local_cpulist"), "0-1\n");
	fk_fs_text(in_dir(d, "modalias"), "pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n",
		   s->vendor, s->device, s->subvendor, s->subdevice, s->class_code >> 16 & 0xff,
		   s->class_code >> 8 & 0xff, s->class_code & 0xff);
	fk_fs_text(in_dir(d, "power/control"), "on\n");
	fk_fs_text(in_dir(d, "d3cold_allowed"), "1\n");
	if (s->class_code >> 16 == 3)
		fk_fs_text(in_dir(d, "boot_vga"), "0\n");
	fk_fs_ops(in_dir(d, "config"), 0644, &config_ops, d);
	fk_fs_ops(in_dir(d, "resource"), 0444, &resource_ops, d);
	fk_fs_ops(in_dir(d, "driver_override"), 0644, &override_ops, d);
	fk_fs_ops(in_dir(d, "power_state"), 0444, &power_ops, d);
	fk_fs_ops(in_dir(d, "enable"), 0644, &enable_ops, d);
	if (fk_dev_can_reset(d)) {
		fk_fs_ops(in_dir(d, "reset"), 0200, &reset_ops, d);
		fk_fs_ops(in_dir(d, "reset_method"), 0644, &reset_method_ops, d);
	}
	link_up(d, "subsystem", "bus/pci");
	if (s->flags & FAKE_DEV_VF) {
		snprintf(target, sizeof(target), "../pf-of-%s", d->bdf);
		fk_fs_link(in_dir(d, "physfn"), target);
	}
	snprintf(path, sizeof(path), PCI "/devices/%s", d->bdf);
	snprintf(target, sizeof(target), "../../..%s", d->path + strlen("/sys"));
	fk_fs_link(path, target);
}

void fk_sysfs_remove(struct fake_dev *d)
{
	char path[320];
	fk_sysfs_bound(d, false);
	snprintf(path, sizeof(path), PCI "/devices/%s", d->bdf);
	fk_fs_remove(path);
	if (d->group)
		fk_sysfs_group_member(d->group, d, false);
	fk_fs_remove(d->path);
}

/* --- what a bound driver offers ----------------------------------------------------------- */

static void class_nodes(struct fake_dev *d, const struct fk_class *c, bool present)
{
	bool block = strcmp(c->kind, "block") == 0, net = strcmp(c->kind, "net") == 0;
	char dir[320], link[128], target[400];
	const char *class = block ? "block" : net ? "net" : "graphics";
	snprintf(dir, sizeof(dir), "%s/%s/%s", d->path, class, c->name);
	snprintf(link, sizeof(link), "/sys/class/%s/%s", class, c->name);
	if (!present) {
		fk_fs_remove(link);
		fk_fs_remove(dir);
		return;
	}
	fk_fs_dir(dir);
	snprintf(target, sizeof(target), "../..%s", dir + strlen("/sys"));
	fk_fs_link(link, target);
	char back[64];
	snprintf(target, sizeof(target), "%s/device", dir);
	snprintf(back, sizeof(back), "../../../%s", d->bdf);
	fk_fs_link(target, back);
	if (block) {
		snprintf(target, sizeof(target), "%s/size", dir);
		fk_fs_text(target, "131072\n");
	}
}

void fk_sysfs_bound(struct fake_dev *d, bool bound)
{
	char path[320], target[400];
	if (!d->driver[0])
		return;
	snprintf(path, sizeof(path), PCI "/drivers/%s/%s", d->driver, d->bdf);
	bool vfio = strcmp(d->driver, "vfio-pci") == 0;
	bool native = d->desc->driver && strcmp(d->driver, d->desc->driver) == 0;
	if (bound) {
		snprintf(target, sizeof(target), "../../../..%s", d->path + strlen("/sys"));
		fk_fs_link(path, target);
		snprintf(target, sizeof(target), "bus/pci/drivers/%s", d->driver);
		link_up(d, "driver", target);
		if (vfio)
			fk_fs_dir(in_dir(d, "vfio-dev/vfio0"));
	} else {
		fk_fs_remove(path);
		fk_fs_remove(in_dir(d, "driver"));
		fk_fs_remove(in_dir(d, "vfio-dev"));
	}
	for (unsigned int i = 0; native && i < d->n_classes; i++)
		class_nodes(d, &d->classes[i], bound);
	if (vfio && d->group) {
		static const struct fk_node_ops group_ops = { .open = fk_group_open };
		bool any = bound;
		struct fake_dev *o;
		list_for_each(o, fk_devs(), struct fake_dev, node)
			any |= o != d && o->group == d->group && !strcmp(o->driver, "vfio-pci");
		snprintf(path, sizeof(path), "/dev/vfio/%d", d->group->id);
		if (!any)
			fk_fs_remove(path);
		else if (!fk_fs_exists(path))
			fk_fs_dev(path, &group_ops, d->group);
	}
}

/* --- drivers ------------------------------------------------------------------------------ */

/* The name is kept by the tree as the attribute's opaque: interned for the process's life. */
static char *intern(const char *name)
{
	static char names[64][32];
	for (unsigned int i = 0; i < ARRAY_SIZE(names); i++) {
		if (!names[i][0])
			snprintf(names[i], sizeof(names[i]), "%s", name);
		if (strcmp(names[i], name) == 0)
			return names[i];
	}
	fk_bug("more than %zu drivers", ARRAY_SIZE(names));
}

static int bind_store(void *opaque, const char *text, size_t len)
{
	return fk_bind_store(opaque, text, len);
}

static int unbind_store(void *opaque, const char *text, size_t len)
{
	return fk_unbind_store(opaque, text, len);
}

static int new_id_store(void *opaque, const char *text, size_t len)
{
	fk_violation("write of \"%.*s\" to new_id of %s: it captures other devices too",
		     (int)strcspn(text, "\n"), text, (const char *)opaque);
	(void)len;
	return -EEXIST;
}

static int probe_store(void *opaque, const char *text, size_t len)
{
	(void)opaque;
	return fk_probe_store(text, len);
}

static const struct fk_node_ops bind_ops = { .store = bind_store };
static const struct fk_node_ops unbind_ops = { .store = unbind_store };
static const struct fk_node_ops new_id_ops = { .store = new_id_store };
static const struct fk_node_ops probe_ops = { .store = probe_store };

void fk_sysfs_driver_add(const char *name)
{
	char path[200];
	char *own = intern(name);
	snprintf(path, sizeof(path), PCI "/drivers/%s/bind", name);
	fk_fs_ops(path, 0200, &bind_ops, own);
	snprintf(path, sizeof(path), PCI "/drivers/%s/unbind", name);
	fk_fs_ops(path, 0200, &unbind_ops, own);
	snprintf(path, sizeof(path), PCI "/drivers/%s/new_id", name);
	fk_fs_ops(path, 0200, &new_id_ops, own);
}

void fk_sysfs_driver_remove(const char *name)
{
	char path[200];
	snprintf(path, sizeof(path), PCI "/drivers/%s", name);
	fk_fs_remove(path);
}

/* --- groups ------------------------------------------------------------------------------- */

static ssize_t type_show(void *opaque, char *buf, size_t size)
{
	const struct fk_group *g = opaque;
	return snprintf(buf, size, "%s\n", g->type);
}

static ssize_t resv_show(void *opaque, char *buf, size_t size)
{
	const struct fk_group *g = opaque;
	size_t at = 0;
	for (unsigned int i = 0; i < g->n_resv; i++)
		at += (size_t)snprintf(buf + at, size - at, "0x%016llx 0x%016llx %s\n",
				       (unsigned long long)g->resv[i].first,
				       (unsigned long long)g->resv[i].last, g->resv[i].type);
	return (ssize_t)at;
}

void fk_sysfs_group_add(struct fk_group *g)
{
	static const struct fk_node_ops type_ops = { .show = type_show };
	static const struct fk_node_ops resv_ops = { .show = resv_show };
	char path[128];
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices", g->id);
	fk_fs_dir(path);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/type", g->id);
	fk_fs_ops(path, 0444, &type_ops, g);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/reserved_regions", g->id);
	fk_fs_ops(path, 0444, &resv_ops, g);
}

void fk_sysfs_group_member(struct fk_group *g, struct fake_dev *d, bool present)
{
	char path[128], target[320];
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices/%s", g->id, d->bdf);
	if (!present) {
		fk_fs_remove(path);
		return;
	}
	snprintf(target, sizeof(target), "../../../..%s", d->path + strlen("/sys"));
	fk_fs_link(path, target);
	snprintf(target, sizeof(target), "kernel/iommu_groups/%d", g->id);
	link_up(d, "iommu_group", target);
}

/* --- the empty host ----------------------------------------------------------------------- */

static ssize_t limit_show(void *opaque, char *buf, size_t size)
{
	(void)opaque;
	return snprintf(buf, size, "%u\n", fake_iommu()->dma_limit);
}

void fk_sysfs_reset(void)
{
	static const struct fk_node_ops container_ops = { .open = fk_container_open };
	static const struct fk_node_ops kvm_ops = { .open = fk_kvm_open };
	static const struct fk_node_ops vhost_ops = { .open = fk_vhost_open };
	static const struct fk_node_ops tun_ops = { .open = fk_tap_open };
	static const struct fk_node_ops limit_ops = { .show = limit_show };
	static const char *const dirs[] = {
		PCI "/devices",
		PCI "/drivers",
		"/sys/kernel/iommu_groups",
		"/sys/class/block",
		"/sys/class/net",
		"/sys/class/graphics",
		"/sys/class/iommu/dmar0",
		"/sys/devices/pci0000:00",
		"/sys/module/vfio_pci",
		"/sys/module/vfio",
	};
	for (unsigned int i = 0; i < ARRAY_SIZE(dirs); i++)
		fk_fs_dir(dirs[i]);
	fk_fs_ops(PCI "/drivers_probe", 0200, &probe_ops, NULL);
	fk_fs_ops("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", 0644, &limit_ops,
		  NULL);
	fk_fs_text("/sys/module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
	fk_fs_text("/proc/mounts", "/dev/vda1 / ext4 rw,relatime 0 0\nproc /proc proc rw 0 0\n");
	fk_fs_text("/proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
	fk_fs_text("/proc/net/route",
		   "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\t"
		   "MTU\tWindow\tIRTT\n");
	fk_fs_text("/proc/iomem", "00000000-00000fff : Reserved\n");
	fk_fs_text("/proc/cmdline", "root=/dev/vda1 intel_iommu=on\n");
	fk_fs_dev("/dev/vfio/vfio", &container_ops, NULL);
	fk_fs_dev("/dev/kvm", &kvm_ops, NULL);
	fk_fs_dev("/dev/vhost-net", &vhost_ops, NULL);
	fk_fs_dev("/dev/vhost-vsock", &vhost_ops, NULL);
	fk_fs_dev("/dev/net/tun", &tun_ops, NULL);
	fk_driver_ensure("vfio-pci", NULL);
	fk_driver_ensure("pcieport", NULL);
	fk_driver_ensure("pci-stub", NULL);
}
