// SPDX-License-Identifier: GPL-2.0-or-later
//
// The driver core as far as PCI binding goes: which driver matches, driver_override, bind, unbind,
// drivers_probe, with Linux's errnos. Owns the list of drivers and what "as found" means for the
// leak report. Does not draw sysfs: fake_sysfs.c does.
#include <errno.h>
#include <linux/pci_regs.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_host.h"
#include "tests/fake/fake_int.h"

#define IDS_MAX 64

struct driver {
	struct list node;
	char name[32];
	int probe_errno;
	bool managed_dma;
	const struct fake_devdesc *ids[IDS_MAX]; /* devices it knows by itself */
	unsigned int n_ids;
};

static struct list drivers = { &drivers, &drivers };
static void (*hook)(void *opaque, const char *driver, const char *bdf, bool bound);
static void *hook_opaque;

static struct driver *find(const char *name)
{
	struct driver *v;
	list_for_each(v, &drivers, struct driver, node)
		if (strcmp(v->name, name) == 0)
			return v;
	return NULL;
}

void fk_driver_ensure(const char *name, const struct fake_devdesc *ids)
{
	struct driver *v = find(name);
	if (!v) {
		v = fk_zalloc(sizeof(*v));
		snprintf(v->name, sizeof(v->name), "%s", name);
		v->managed_dma = !strcmp(name, "vfio-pci") || !strcmp(name, "pcieport") ||
				 !strcmp(name, "pci-stub");
		list_add_tail(&drivers, &v->node);
		fk_sysfs_driver_add(name);
	}
	if (ids && v->n_ids < IDS_MAX)
		v->ids[v->n_ids++] = ids;
}

bool fk_driver_managed_dma(const char *name)
{
	const struct driver *v = find(name);
	return v && v->managed_dma;
}

static bool matches(const struct driver *v, const struct fake_dev *d)
{
	if (d->override[0])
		return strcmp(d->override, v->name) == 0;
	for (unsigned int i = 0; i < v->n_ids; i++)
		if (v->ids[i]->vendor == d->desc->vendor && v->ids[i]->device == d->desc->device)
			return true;
	return false;
}

/* --- bind and unbind ---------------------------------------------------------------------- */

static void set_driver(struct fake_dev *d, const char *name)
{
	bool vfio = strcmp(name, "vfio-pci") == 0;
	char old[32];
	snprintf(old, sizeof(old), "%s", d->driver);
	if (old[0]) {
		fk_sysfs_bound(d, false);
		/* A driver that leaves disables the device. */
		fk_cfg_phys_write(d, PCI_COMMAND, 2,
				  fk_cfg_get(d->cfg, PCI_COMMAND, 2) &
					  ~(uint32_t)PCI_COMMAND_MASTER);
		d->driver[0] = '\0';
		if (hook)
			hook(hook_opaque, old, d->bdf, false);
	}
	if (!name[0])
		return;
	snprintf(d->driver, sizeof(d->driver), "%s", name);
	fk_sysfs_bound(d, true);
	if (!vfio)
		fk_cfg_phys_write(d, PCI_COMMAND, 2,
				  PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
	if (hook)
		hook(hook_opaque, name, d->bdf, true);
}

static int probe(struct driver *v, struct fake_dev *d)
{
	if (v->probe_errno)
		return -v->probe_errno;
	if (strcmp(v->name, "vfio-pci") == 0) {
		if (!d->group)
			return -EINVAL;
		if ((d->cfg[PCI_HEADER_TYPE] & 0x7f) != PCI_HEADER_TYPE_NORMAL)
			return -EINVAL;
	} else if (d->group && (d->group->container || d->group->users) && !v->managed_dma) {
		/* A native driver can't have DMA in a group user space owns. */
		return -EBUSY;
	}
	set_driver(d, v->name);
	return 0;
}

static struct fake_dev *named(const char *text, size_t len)
{
	char bdf[32];
	snprintf(bdf, sizeof(bdf), "%.*s", (int)len, text);
	bdf[strcspn(bdf, "\n")] = '\0';
	struct fake_dev *d;
	list_for_each(d, fk_devs(), struct fake_dev, node)
		if (!d->removed && strcmp(d->bdf, bdf) == 0)
			return d;
	return NULL;
}

int fk_bind_store(const char *driver, const char *text, size_t len)
{
	struct driver *v = find(driver);
	struct fake_dev *d = named(text, len);
	if (!v || !d || !matches(v, d))
		return -ENODEV;
	if (d->driver[0])
		return -EBUSY;
	return probe(v, d);
}

int fk_unbind_store(const char *driver, const char *text, size_t len)
{
	struct fake_dev *d = named(text, len);
	if (!d || strcmp(d->driver, driver) != 0)
		return -ENODEV;
	/* Linux blocks the writer until user space lets go, asking it to; here the write returns
	 * and the unbind happens at the last close. */
	if (d->vdev) {
		d->unbind_pending = true;
		fake_dev_req(d);
		return 0;
	}
	set_driver(d, "");
	return 0;
}

void fk_unbind_finish(struct fake_dev *d)
{
	if (d->unbind_pending)
		set_driver(d, "");
	d->unbind_pending = false;
}

/* Success even when nobody claims it, as in Linux. */
int fk_probe_store(const char *text, size_t len)
{
	struct fake_dev *d = named(text, len);
	if (!d)
		return -ENODEV;
	struct driver *v;
	list_for_each(v, &drivers, struct driver, node) {
		if (d->driver[0])
			break;
		if (matches(v, d))
			probe(v, d);
	}
	return 0;
}

int fk_override_store(struct fake_dev *d, const char *text, size_t len)
{
	if (len >= FK_PAGE - 1)
		return -EINVAL;
	size_t n = strnlen(text, len);
	const char *nl = memchr(text, '\n', n);
	if (nl)
		n = (size_t)(nl - text);
	snprintf(d->override, sizeof(d->override), "%.*s", (int)n, text);
	return 0;
}

/* --- by fiat ------------------------------------------------------------------------------ */

void fake_driver_set(const char *name, int probe_errno, bool managed_dma)
{
	fk_lock();
	fk_driver_ensure(name, NULL);
	struct driver *v = find(name);
	v->probe_errno = probe_errno;
	v->managed_dma = managed_dma;
	fk_unlock();
}

void fake_driver_remove(const char *name)
{
	fk_lock();
	struct driver *v = find(name);
	if (v) {
		struct fake_dev *d;
		list_for_each(d, fk_devs(), struct fake_dev, node)
			if (strcmp(d->driver, name) == 0)
				set_driver(d, "");
		fk_sysfs_driver_remove(name);
		list_del(&v->node);
		free(v);
	}
	fk_unlock();
}

void fake_driver_hook(void (*fn)(void *opaque, const char *driver, const char *bdf, bool bound),
		      void *opaque)
{
	fk_lock();
	hook = fn;
	hook_opaque = opaque;
	fk_unlock();
}

static void mark(struct fake_dev *d)
{
	snprintf(d->mark_driver, sizeof(d->mark_driver), "%s", d->driver);
	snprintf(d->mark_override, sizeof(d->mark_override), "%s", d->override);
}

void fake_dev_bind(struct fake_dev *d, const char *driver)
{
	fk_lock();
	set_driver(d, "");
	if (driver[0]) {
		fk_driver_ensure(driver, NULL);
		set_driver(d, driver);
	}
	mark(d);
	fk_unlock();
}

void fk_bind_mark(void)
{
	struct fake_dev *d;
	list_for_each(d, fk_devs(), struct fake_dev, node)
		mark(d);
}

unsigned int fk_bind_leaks(FILE *f)
{
	unsigned int n = 0;
	struct fake_dev *d;
	list_for_each(d, fk_devs(), struct fake_dev, node) {
		if (d->removed)
			continue;
		if (strcmp(d->driver, d->mark_driver) != 0) {
			n++;
			if (f)
				fprintf(f, "leak: %s is bound to \"%s\", was \"%s\"\n", d->bdf,
					d->driver, d->mark_driver);
		}
		if (strcmp(d->override, d->mark_override) != 0) {
			n++;
			if (f)
				fprintf(f, "leak: %s has driver_override \"%s\", was \"%s\"\n",
					d->bdf, d->override, d->mark_override);
		}
	}
	return n;
}

void fk_bind_reset(void)
{
	struct driver *v, *next;
	list_for_each_safe(v, next, &drivers, struct driver, node) {
		list_del(&v->node);
		free(v);
	}
	hook = NULL;
}
