// SPDX-License-Identifier: GPL-2.0-or-later
// A captured machine for tests: a temporary folder with the sysfs, procfs and /dev entries a case
// needs, read through hostpci's root prefix by the real system calls. Included by one test each.
#pragma once

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/cc.h"
#include "pci/hostpci.h"

static char tree_root[64];

ATTR_UNUSED static void tree_begin(void)
{
	snprintf(tree_root, sizeof(tree_root), "/tmp/vv-tree-XXXXXX");
	if (!mkdtemp(tree_root))
		abort();
	hostpci_set_root(tree_root);
}

static int tree_rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

ATTR_UNUSED static void tree_end(void)
{
	nftw(tree_root, tree_rm, 16, FTW_DEPTH | FTW_PHYS);
	hostpci_set_root("");
}

/* Makes the folders above root + path; full[512] gets that path. */
static void tree_above(const char *path, char *full)
{
	snprintf(full, 512, "%s%s", tree_root, path);
	for (char *s = full + 1; (s = strchr(s, '/')); s++) {
		*s = '\0';
		if (mkdir(full, 0755) < 0 && errno != EEXIST)
			abort();
		*s = '/';
	}
}

ATTR_UNUSED static void tree_bytes(const char *path, const void *data, size_t len)
{
	char full[512];
	tree_above(path, full);
	FILE *f = fopen(full, "w");
	if (!f || fwrite(data, 1, len, f) != len || fclose(f))
		abort();
}

/* Replaces. */
ATTR_UNUSED static void tree_file(const char *path, const char *text)
{
	tree_bytes(path, text, strlen(text));
}

ATTR_UNUSED static void tree_dir(const char *path)
{
	char full[512], slash[512];
	snprintf(slash, sizeof(slash), "%s/", path);
	tree_above(slash, full);
}

ATTR_UNUSED static void tree_link(const char *path, const char *target)
{
	char full[512];
	tree_above(path, full);
	unlink(full);
	if (symlink(target, full) < 0)
		abort();
}

/* A file, or a folder and all in it. */
ATTR_UNUSED static void tree_remove(const char *path)
{
	char full[512];
	tree_above(path, full);
	nftw(full, tree_rm, 16, FTW_DEPTH | FTW_PHYS);
}

struct tree_dev {
	const char *bdf, *driver; /* driver NULL: none */
	int group;		  /* negative: none */
	unsigned int vendor, device, class_code;
	unsigned int header; /* 0 endpoint, 1 bridge */
};

static void tree_attr(const char *bdf, const char *file, const char *text)
{
	char path[256];
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/%s", bdf, file);
	tree_file(path, text);
}

ATTR_UNUSED static void tree_driver(const char *bdf, const char *driver)
{
	char path[256], target[256];
	snprintf(path, sizeof(path), "/sys/bus/pci/drivers/%s", driver);
	tree_dir(path);
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf);
	snprintf(target, sizeof(target), "../../../bus/pci/drivers/%s", driver);
	tree_link(path, target);
}

ATTR_UNUSED static void tree_add(const struct tree_dev *d)
{
	char path[256], text[256];
	unsigned char cfg[256] = { (unsigned char)d->vendor, (unsigned char)(d->vendor >> 8),
				   (unsigned char)d->device, (unsigned char)(d->device >> 8) };
	cfg[0x0e] = (unsigned char)d->header;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/config", d->bdf);
	tree_bytes(path, cfg, sizeof(cfg));
	snprintf(text, sizeof(text), "0x%04x\n", d->vendor);
	tree_attr(d->bdf, "vendor", text);
	snprintf(text, sizeof(text), "0x%04x\n", d->device);
	tree_attr(d->bdf, "device", text);
	snprintf(text, sizeof(text), "0x%06x\n", d->class_code);
	tree_attr(d->bdf, "class", text);
	tree_attr(d->bdf, "revision", "0x03\n");
	tree_attr(d->bdf, "numa_node", "-1\n");
	tree_attr(d->bdf, "driver_override", "(null)\n");
	tree_attr(d->bdf, "power_state", "D0\n");
	tree_attr(d->bdf, "reset_method", "flr bus\n");
	if (d->driver)
		tree_driver(d->bdf, d->driver);
	if (d->group < 0)
		return;
	snprintf(path, sizeof(path), "/sys/bus/pci/devices/%s/iommu_group", d->bdf);
	snprintf(text, sizeof(text), "../../../kernel/iommu_groups/%d", d->group);
	tree_link(path, text);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/devices/%s", d->group, d->bdf);
	snprintf(text, sizeof(text), "../../../../bus/pci/devices/%s", d->bdf);
	tree_link(path, text);
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/type", d->group);
	tree_file(path, "DMA\n");
	snprintf(path, sizeof(path), "/sys/kernel/iommu_groups/%d/reserved_regions", d->group);
	tree_file(path, "0x00000000fee00000 0x00000000feefffff msi\n");
}

/* An e1000e NIC at 0000:03:00.0 in group 14. */
ATTR_UNUSED static void tree_add_nic(const char *driver)
{
	struct tree_dev d = { "0000:03:00.0", driver, 14, 0x8086, 0x10d3, 0x020000, 0 };
	tree_add(&d);
}

ATTR_UNUSED static struct bdf tree_bdf(const char *text)
{
	struct bdf b;
	if (bdf_parse(text, &b, NULL) < 0)
		abort();
	return b;
}
