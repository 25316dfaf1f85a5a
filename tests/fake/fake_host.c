// SPDX-License-Identifier: GPL-2.0-or-later
//
// The inventory of the fake host: devices and IOMMU groups, added and altered by fiat of the
// test, and what marks a device as in use (disks, networks, a console).
#include "tests/fake/fake_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_int.h"

static struct list devs = { &devs, &devs };
static struct list groups = { &groups, &groups };

struct list *fk_devs(void)
{
	return &devs;
}

struct list *fk_groups(void)
{
	return &groups;
}

struct fk_group *fk_group_find(int id, bool create)
{
	struct fk_group *g;
	list_for_each(g, &groups, struct fk_group, node)
		if (g->id == id)
			return g;
	if (!create)
		return NULL;
	g = fk_zalloc(sizeof(*g));
	g->id = id;
	snprintf(g->type, sizeof(g->type), "DMA");
	/* Every x86 group has the interrupt window. */
	g->resv[g->n_resv++] = (struct fk_resv){ 0xfee00000, 0xfeefffff, "msi" };
	list_add_tail(&groups, &g->node);
	fk_sysfs_group_add(g);
	return g;
}

/* Nobody in the group has a driver that does DMA on the host's behalf. */
bool fk_group_viable(const struct fk_group *g)
{
	const struct fake_dev *d;
	list_for_each(d, &devs, struct fake_dev, node)
		if (d->group == g && !d->removed && d->driver[0] &&
		    !fk_driver_managed_dma(d->driver))
			return false;
	return true;
}

static void check_bdf(const char *bdf)
{
	unsigned int seg, bus, dev, fn;
	char rest;
	if (!bdf || strlen(bdf) != 12 ||
	    sscanf(bdf, "%4x:%2x:%2x.%1x%c", &seg, &bus, &dev, &fn, &rest) != 4 || dev > 31 ||
	    fn > 7)
		fk_bug("\"%s\" is not a PCI address", bdf ? bdf : "(none)");
	if (fake_dev_find(bdf))
		fk_bug("%s is there twice", bdf);
}

struct fake_dev *fake_dev_add(const struct fake_devdesc *desc, const struct fake_place *at)
{
	fk_lock();
	check_bdf(at->bdf);
	struct fake_dev *d = fk_zalloc(sizeof(*d));
	d->desc = desc;
	d->numa = at->numa;
	snprintf(d->bdf, sizeof(d->bdf), "%s", at->bdf);
	const struct fake_dev *up = at->parent ? fake_dev_find(at->parent) : NULL;
	if (at->parent && !up)
		fk_bug("%s: there is no bridge %s", at->bdf, at->parent);
	snprintf(d->path, sizeof(d->path), "%.150s/%s", up ? up->path : "/sys/devices/pci0000:00",
		 d->bdf);
	fk_dev_build(d);
	list_add_tail(&devs, &d->node);
	fk_sysfs_add(d);
	if (at->group >= 0) {
		d->group = fk_group_find(at->group, true);
		fk_sysfs_group_member(d->group, d, true);
	}
	if (desc->driver)
		fk_driver_ensure(desc->driver, desc);
	const char *driver = at->driver ? at->driver : desc->driver ? desc->driver : "";
	fake_dev_bind(d, driver);
	fk_unlock();
	return d;
}

struct fake_dev *fake_dev_find(const char *bdf)
{
	struct fake_dev *d, *found = NULL;
	fk_lock();
	list_for_each(d, &devs, struct fake_dev, node)
		if (!d->removed && strcmp(d->bdf, bdf) == 0)
			found = d;
	fk_unlock();
	return found;
}

const char *fake_dev_bdf(const struct fake_dev *d)
{
	return d->bdf;
}

const char *fake_dev_driver(const struct fake_dev *d)
{
	return d->driver;
}

const char *fake_dev_override(const struct fake_dev *d)
{
	return d->override[0] ? d->override : NULL;
}

uint8_t *fake_dev_config(struct fake_dev *d)
{
	return d->cfg;
}

/* --- in use ------------------------------------------------------------------------------- */

static void add_class(struct fake_dev *d, const char *kind, const char *name)
{
	if (d->n_classes == ARRAY_SIZE(d->classes))
		fk_bug("%s offers too many things", d->bdf);
	bool bound = d->driver[0];
	fk_sysfs_bound(d, false);
	struct fk_class *c = &d->classes[d->n_classes++];
	snprintf(c->kind, sizeof(c->kind), "%s", kind);
	snprintf(c->name, sizeof(c->name), "%s", name);
	if (bound)
		fk_sysfs_bound(d, true);
}

static void append(const char *path, const char *line)
{
	char text[8192];
	const char *old = fk_fs_text_of(path);
	snprintf(text, sizeof(text), "%s%s", old ? old : "", line);
	fk_fs_text(path, "%s", text);
}

void fake_dev_add_block(struct fake_dev *d, const char *disk, const char *mountpoint, bool swap)
{
	char line[256];
	fk_lock();
	add_class(d, "block", disk);
	if (mountpoint) {
		snprintf(line, sizeof(line), "/dev/%s %s ext4 rw,relatime 0 0\n", disk, mountpoint);
		append("/proc/mounts", line);
	}
	if (swap) {
		snprintf(line, sizeof(line), "/dev/%s partition\t1048572\t0\t-2\n", disk);
		append("/proc/swaps", line);
	}
	fk_unlock();
}

void fake_dev_add_net(struct fake_dev *d, const char *ifname, bool default_route)
{
	char line[256];
	fk_lock();
	add_class(d, "net", ifname);
	if (default_route) {
		snprintf(line, sizeof(line),
			 "%s\t00000000\t0202000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n", ifname);
		append("/proc/net/route", line);
	}
	fk_unlock();
}

void fake_dev_add_fb(struct fake_dev *d, const char *fbname)
{
	char path[320];
	fk_lock();
	add_class(d, "fb", fbname);
	snprintf(path, sizeof(path), "%s/boot_vga", d->path);
	fk_fs_text(path, "1\n");
	fk_unlock();
}

/* --- groups ------------------------------------------------------------------------------- */

static struct fk_group *must_find(int id)
{
	struct fk_group *g = fk_group_find(id, false);
	if (!g)
		fk_bug("there is no group %d", id);
	return g;
}

void fake_group_reserve(int group, uint64_t first, uint64_t last, const char *type)
{
	fk_lock();
	struct fk_group *g = must_find(group);
	if (g->n_resv == ARRAY_SIZE(g->resv))
		fk_bug("group %d has too many reserved regions", group);
	struct fk_resv *r = &g->resv[g->n_resv++];
	r->first = first;
	r->last = last;
	snprintf(r->type, sizeof(r->type), "%s", type);
	fk_unlock();
}

void fake_group_type(int group, const char *type)
{
	fk_lock();
	struct fk_group *g = must_find(group);
	snprintf(g->type, sizeof(g->type), "%s", type);
	fk_unlock();
}

void fake_group_attach_errno(int group, int err)
{
	fk_lock();
	must_find(group)->attach_errno = err;
	fk_unlock();
}

void fake_group_domain(int group, int domain)
{
	fk_lock();
	must_find(group)->domain = domain;
	fk_unlock();
}

void fk_dev_reset_all(void)
{
	struct fake_dev *d, *dn;
	list_for_each_safe(d, dn, &devs, struct fake_dev, node) {
		list_del(&d->node);
		fk_dev_destroy(d);
	}
	struct fk_group *g, *gn;
	list_for_each_safe(g, gn, &groups, struct fk_group, node) {
		list_del(&g->node);
		free(g);
	}
	fk_dev_space_reset();
}
