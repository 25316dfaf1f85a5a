// SPDX-License-Identifier: GPL-2.0-or-later
//
// What every view wants to know of a function beyond hostpci's fields: names, use, link, buses.
// Attributes whose reading would wake it are left out when it sleeps.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "tools/inspect/inv_int.h"
#include "vfio/bind_int.h"
#include "vfio/preflight.h"
#include "vfio/preflight_int.h"

#define CLASS_STORAGE 0x01
#define CLASS_NETWORK 0x02
#define CLASS_DISPLAY 0x03
#define CLASS_SERIAL  0x0c /* USB: disks and network cards hang below */

/* "8.0 GT/s PCIe", "2.5 GT/s", "Unknown" */
static unsigned int link_mts(const struct inv_fn *f, const char *file, bool *there)
{
	char text[40], *end;
	inv_fn_text(f, file, text, sizeof(text));
	*there = text[0] != '\0';
	unsigned long whole = strtoul(text, &end, 10);
	if (end == text || whole > 1000)
		return 0;
	unsigned int tenth =
		*end == '.' && end[1] >= '0' && end[1] <= '9' ? (unsigned)end[1] - '0' : 0;
	return (unsigned int)whole * 1000 + tenth * 100;
}

static unsigned int link_width(const struct inv_fn *f, const char *file)
{
	uint64_t v = inv_fn_u64(f, file, 0);
	return v <= 32 ? (unsigned int)v : 0; /* 63 and 255: the kernel's words for unknown */
}

static void read_link(const struct inv *inv, struct inv_fn *f)
{
	bool there;
	if (f->pci.is_vf) { /* its PF's is the link */
		f->pcie = true;
		return;
	}
	if (f->asleep[0]) {
		f->pcie = inv_fn_has(f, "max_link_speed");
		return;
	}
	f->max.mts = link_mts(f, "max_link_speed", &f->pcie);
	if (!f->pcie)
		return;
	f->max.width = link_width(f, "max_link_width");
	f->now.mts = link_mts(f, "current_link_speed", &there);
	f->now.width = link_width(f, "current_link_width");
	if (!f->now.width || f->parent == INV_NONE || f->parent > (int)(f - inv->fn))
		return;
	/* Bridges have lower addresses than what is behind them, so the parent's is read. */
	const struct inv_link *above = &inv->fn[f->parent].max;
	f->degraded = (above->mts && f->now.mts < MIN(f->max.mts, above->mts)) ||
		      (above->width && f->now.width < MIN(f->max.width, above->width));
}

/* Looking for a use costs dozens of reads: only what can have one is asked. */
static void read_use(struct inv_fn *f)
{
	char name[64];
	uint8_t class = (uint8_t)(f->pci.class_code >> 16);
	if (f->bridge || (f->is_vfio && !f->pci.boot_vga))
		return;
	if (class != CLASS_STORAGE && class != CLASS_NETWORK && class != CLASS_DISPLAY &&
	    class != CLASS_SERIAL)
		return;
	if (!f->pci.driver[0] && !f->pci.boot_vga)
		return;
	if (bind_in_use(&f->pci.at, f->used_by, sizeof(f->used_by)))
		return;
	f->used_by[0] = '\0';
	if (bind_interface_up(&f->pci.at, name, sizeof(name)))
		snprintf(f->used_by, sizeof(f->used_by), "%s is up", name);
}

static void read_iommu(struct inv *inv, struct inv_fn *f)
{
	char path[INV_PATH], base[32], name[BDF_STR_MAX];
	f->iommu = INV_NONE;
	if (inv->n_iommus == 0)
		return;
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu",
		     bdf_str(&f->pci.at, name));
	if (sys_readlink_base(path, base, sizeof(base)) < 0)
		return;
	for (unsigned int i = 0; i < inv->n_iommus; i++) {
		if (strcmp(inv->iommu[i].name, base) == 0) {
			f->iommu = (int)i;
			inv->iommu[i].n_fns++;
		}
	}
}

/* The neighbour before often has the same bridge above, which need not be asked again. */
static void read_asleep(const struct inv *inv, struct inv_fn *f)
{
	const struct inv_fn *before = f > inv->fn ? f - 1 : NULL;
	if (before && f->parent != INV_NONE && before->parent == f->parent && !before->asleep[0] &&
	    strcmp(f->pci.power_state, "D3cold") != 0)
		f->asleep[0] = '\0';
	else if (!hostpci_asleep(&f->pci, f->asleep, sizeof(f->asleep)))
		f->asleep[0] = '\0';
}

static int take_cdev(void *opaque, const char *name)
{
	struct inv_fn *f = opaque;
	if (strncmp(name, "vfio", 4) != 0)
		return 0;
	snprintf(f->cdev, sizeof(f->cdev), "%s", name);
	inv_clean(f->cdev);
	return 1;
}

/* The node of its own that Linux 6.6 gives a bound function, besides its group's. */
static void read_cdev(struct inv_fn *f)
{
	char path[INV_PATH], name[BDF_STR_MAX];
	if (!f->is_vfio)
		return;
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/vfio-dev",
		     bdf_str(&f->pci.at, name));
	if (sys->listdir(path, take_cdev, f) != 1)
		f->cdev[0] = '\0';
}

static int read_names(struct inv_fn *f)
{
	char text[256];
	bool oom = false;
	f->name = inv_dup(hostpci_name(&f->pci, text, sizeof(text)), &oom);
	f->class_name = inv_dup(hostpci_class_name(f->pci.class_code, text, sizeof(text)), &oom);
	return oom ? -ENOMEM : 0;
}

int inv_fn_read(struct inv *inv, struct inv_fn *f)
{
	inv_clean(f->pci.driver);
	inv_clean(f->pci.driver_override);
	inv_clean(f->pci.reset_method);
	inv_clean(f->pci.power_state);
	f->group = INV_NONE;
	f->sriov.pf_fn = INV_NONE;
	f->irq.irq = -1;
	f->pcie_type = 0xff;
	f->bridge = f->pci.header_type != 0;
	f->blocks = preflight_blocks(&f->pci);
	f->is_vfio = preflight_is_vfio_driver(f->pci.driver);
	read_asleep(inv, f);
	read_iommu(inv, f);
	read_link(inv, f);
	if (f->bridge) {
		uint64_t first = f->asleep[0] ? 0 : inv_fn_u64(f, "secondary_bus_number", 0);
		uint64_t last = f->asleep[0] ? 0 : inv_fn_u64(f, "subordinate_bus_number", 0);
		f->bus_first = first <= 255 ? (uint8_t)first : 0;
		f->bus_last = last <= 255 ? (uint8_t)last : 0;
	}
	read_cdev(f);
	read_use(f);
	inv_clean(f->used_by);
	return read_names(f);
}
