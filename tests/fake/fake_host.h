// SPDX-License-Identifier: GPL-2.0-or-later
// The fake host: PCI devices on its bus, drivers, IOMMU groups, and the files under /sys, /proc,
// /dev and /run that a program reads and writes to learn of them and to bind them.
//
// Modelled: /sys/devices/pci0000:00/..., /sys/bus/pci/{devices,drivers,drivers_probe},
// per device: vendor device subsystem_vendor subsystem_device class revision config resource
// irq numa_node local_cpulist enable modalias driver_override reset reset_method power_state
// power/control d3cold_allowed boot_vga rom driver -> iommu_group -> subsystem ->;
// per driver: bind unbind new_id; /sys/kernel/iommu_groups/N/{devices,type,reserved_regions,name};
// /sys/class/{block,net,graphics,iommu}; /sys/module/vfio_iommu_type1/parameters/*;
// /proc/{mounts,swaps,net/route,iomem,cmdline}; /dev/{kvm,vhost-net,vhost-vsock,vfio/vfio,vfio/N}.
// /run, /tmp and /var are ordinary writable directories in memory.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

struct fake_dev;
struct fake_devdesc;

struct fake_place {
	const char *bdf;    /* "0000:03:00.0" */
	int group;	    /* IOMMU group; 0 is a valid one; negative: no IOMMU group at all */
	const char *driver; /* bound driver; NULL: the description's own; "": none */
	const char *parent; /* BDF of the bridge above it; NULL: on the root bus */
	int numa;	    /* NUMA node as sysfs shows it */
};

/* Both strings and the description are copied or must be static (descriptions are). Creates the
 * group and the driver if new. Aborts on a malformed BDF or a duplicate: that is the test's bug. */
struct fake_dev *fake_dev_add(const struct fake_devdesc *desc, const struct fake_place *at);
struct fake_dev *fake_dev_find(const char *bdf);
const char *fake_dev_bdf(const struct fake_dev *d);
/* "" when unbound. */
const char *fake_dev_driver(const struct fake_dev *d);
/* NULL when unset. */
const char *fake_dev_override(const struct fake_dev *d);
/* The physical configuration space, 4096 bytes. */
uint8_t *fake_dev_config(struct fake_dev *d);

/* Binds by fiat, as if by an administrator before the program ran ("" unbinds), and marks. */
void fake_dev_bind(struct fake_dev *d, const char *driver);

/* A driver's own decisions. `probe_errno`: its probe fails so (0: works). `managed_dma`: binding
 * it does not spoil a VFIO group's viability (pcieport, pci-stub, vfio-pci). The driver is made
 * if it does not exist. vfio-pci always exists unless fake_driver_remove()d. */
void fake_driver_set(const char *name, int probe_errno, bool managed_dma);
void fake_driver_remove(const char *name);
/* Called at every successful bind and unbind, under the fake's lock: for tests that count. */
void fake_driver_hook(void (*fn)(void *opaque, const char *driver, const char *bdf, bool bound),
		      void *opaque);

/* What the native driver offers while it is bound; gone after unbind, back after rebind.
 * Mount point and swap may be NULL/false. */
void fake_dev_add_block(struct fake_dev *d, const char *disk, const char *mountpoint, bool swap);
void fake_dev_add_net(struct fake_dev *d, const char *ifname, bool default_route);
void fake_dev_add_fb(struct fake_dev *d, const char *fbname); /* console framebuffer, boot_vga 1 */

/* A direct-mapped or reserved IOVA region of a group, as in its reserved_regions file and in the
 * container's valid IOVA ranges. `type`: "direct", "direct-relaxable", "reserved", "msi". */
void fake_group_reserve(int group, uint64_t first, uint64_t last, const char *type);
/* iommu_groups/N/type: "DMA" (default), "identity", ... */
void fake_group_type(int group, const char *type);
/* Makes attaching the group to any IOMMU domain fail so (EPERM: no interrupt remapping, RMRR). */
void fake_group_attach_errno(int group, int err);
/* Groups with different `domain` values can't share a container (SET_CONTAINER gives EINVAL). */
void fake_group_domain(int group, int domain);

/* Files by fiat: creates directories above; replaces. `fake_file_read` NULL if there is none. */
void fake_file_set(const char *path, const char *text);
void fake_link_set(const char *path, const char *target);
void fake_file_remove(const char *path); /* a whole directory too */
const char *fake_file_read(const char *path);
/* From now on open() of exactly this path fails so (EACCES...); 0 lifts it. */
void fake_path_errno(const char *path, int err);

VV_END_DECLS
