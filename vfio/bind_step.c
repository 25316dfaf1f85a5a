// SPDX-License-Identifier: GPL-2.0-or-later
//
// One function to vfio-pci and one function back: the sysfs writes and nothing else. Each looks
// at what is there and does only what is left, so that an interrupted step can be done again.
// Owns no state; must not know of journals, several functions, or who uses what.
//
// driver_override keeps a function for one driver by name; "\n" clears it (nothing at all would
// be no write). drivers_probe reports success even when no driver takes the function, hence the
// look at the driver link afterwards.
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "vfio/bind_int.h"
#include "vfio/preflight_int.h"

#define PATH_SIZE 512
#define VFIO_PCI  "vfio-pci"
#define DRIVERS	  "/sys/bus/pci/drivers"

void bind_say(const struct bind_opts *o, const char *fmt, ...)
{
	if (!o || !o->out)
		return;
	va_list ap;
	va_start(ap, fmt);
	vfprintf(o->out, fmt, ap);
	va_end(ap);
	fputc('\n', o->out);
	fflush(o->out);
}

/* --- single writes --------------------------------------------------------------------------- */

static int store(const char *path, const char *text, const struct bind_opts *o, struct verr *reterr)
{
	bool empty = text[0] == '\n';
	bind_say(o, "echo %s%s> %s", empty ? "" : text, empty ? "" : " ", path);
	if (o && o->dry_run)
		return 0;
	int r = sys_write_text(path, text);
	if (r < 0)
		return verr_set(reterr, r, "can't write \"%s\" to %s: %s", empty ? "" : text, path,
				strerror(-r));
	return 0;
}

static int store_override(const struct bdf *at, const char *driver, const struct bind_opts *o,
			  struct verr *reterr)
{
	char path[PATH_SIZE], name[BDF_STR_MAX];
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/driver_override",
		     bdf_str(at, name));
	return store(path, driver[0] ? driver : "\n", o, reterr);
}

/* `file` is "bind" or "unbind". */
static int store_driver(const struct bdf *at, const char *driver, const char *file,
			const struct bind_opts *o, struct verr *reterr)
{
	char path[PATH_SIZE], name[BDF_STR_MAX];
	hostpci_path(path, sizeof(path), DRIVERS "/%s/%s", driver, file);
	return store(path, bdf_str(at, name), o, reterr);
}

static int store_probe(const struct bdf *at, const struct bind_opts *o, struct verr *reterr)
{
	char path[PATH_SIZE], name[BDF_STR_MAX];
	hostpci_path(path, sizeof(path), "/sys/bus/pci/drivers_probe");
	return store(path, bdf_str(at, name), o, reterr);
}

/* "" if unbound. */
static int driver_now(const struct bdf *at, char *driver, size_t size, struct verr *reterr)
{
	char path[PATH_SIZE], name[BDF_STR_MAX];
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/driver", bdf_str(at, name));
	int r = sys_readlink_base(path, driver, size);
	if (r == -ENOENT) {
		driver[0] = '\0';
		return 0;
	}
	return r < 0 ? verr_prefix(reterr, r, "can't tell the driver of %s", name) : 0;
}

/* --- to vfio-pci ----------------------------------------------------------------------------- */

void bind_step_note(const struct hostpci_dev *d, struct bind_journal *ret)
{
	char path[PATH_SIZE];
	memset(ret, 0, sizeof(*ret));
	ret->at = d->at;
	snprintf(ret->driver, sizeof(ret->driver), "%s", d->driver);
	snprintf(ret->override, sizeof(ret->override), "%s", d->driver_override);
	hostpci_path(path, sizeof(path), DRIVERS "/%s/module", d->driver);
	if (!d->driver[0] || sys_readlink_base(path, ret->module, sizeof(ret->module)) < 0)
		ret->module[0] = '\0';
}

static int verify_vfio(const struct bdf *at, struct verr *reterr)
{
	char driver[64], name[BDF_STR_MAX];
	int r = driver_now(at, driver, sizeof(driver), reterr);
	if (r < 0 || strcmp(driver, VFIO_PCI) == 0)
		return r;
	bdf_str(at, name);
	if (driver[0])
		return verr_set(reterr, -EBUSY, "%s was taken by %s instead of vfio-pci", name,
				driver);
	return verr_set(reterr, -EIO, "vfio-pci refused %s (see: dmesg | grep %s)", name, name);
}

int bind_step_to_vfio(const struct hostpci_dev *d, const struct bind_opts *o, struct verr *reterr)
{
	int r = 0;
	if (strcmp(d->driver_override, VFIO_PCI) != 0)
		r = store_override(&d->at, VFIO_PCI, o, reterr);
	if (r == 0 && d->driver[0])
		r = store_driver(&d->at, d->driver, "unbind", o, reterr);
	if (r == 0)
		r = store_probe(&d->at, o, reterr);
	if (r == 0 && !(o && o->dry_run))
		r = verify_vfio(&d->at, reterr);
	return r;
}

/* --- back ------------------------------------------------------------------------------------ */

static int driver_missing(const struct bind_journal *j, struct verr *reterr)
{
	char name[BDF_STR_MAX];
	return verr_set(
		reterr, -ENOENT,
		"%s can't be given back: its driver %s is not loaded (run: modprobe %s, then: "
		"vfio-bind --restore %s)",
		bdf_str(&j->at, name), j->driver, j->module[0] ? j->module : j->driver, name);
}

/* The driver's own matching may prefer another: then by name. */
static int rebind(const struct bind_journal *j, const struct bind_opts *o, struct verr *reterr)
{
	char path[PATH_SIZE], now[64], name[BDF_STR_MAX];
	hostpci_path(path, sizeof(path), DRIVERS "/%s", j->driver);
	int r = sys->access(path, F_OK);
	if (r == -ENOENT)
		return driver_missing(j, reterr);
	if (r < 0)
		return verr_prefix(reterr, r, "can't look at %s", path);

	r = store_probe(&j->at, o, reterr);
	if (r < 0 || (o && o->dry_run))
		return r;
	r = driver_now(&j->at, now, sizeof(now), reterr);
	if (r < 0 || strcmp(now, j->driver) == 0)
		return r;
	if (now[0])
		r = store_driver(&j->at, now, "unbind", o, reterr);
	if (r == 0)
		r = store_driver(&j->at, j->driver, "bind", o, reterr);
	if (r == 0)
		r = driver_now(&j->at, now, sizeof(now), reterr);
	if (r < 0 || strcmp(now, j->driver) == 0)
		return r;
	return verr_set(reterr, -EIO, "%s did not take %s back (see: dmesg | grep %s)", j->driver,
			bdf_str(&j->at, name), name);
}

/* Asked twice, because the journal is dropped on the strength of it. */
static bool is_gone(const struct bdf *at)
{
	char path[PATH_SIZE], name[BDF_STR_MAX];
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s", bdf_str(at, name));
	return sys->access(path, F_OK) == -ENOENT;
}

/* A driver that took a function which had none is not ours to send away. */
static bool must_leave(const struct bind_journal *j, const struct hostpci_dev *d)
{
	return d->driver[0] && (j->driver[0] || preflight_is_vfio_driver(d->driver));
}

int bind_step_back(const struct bind_journal *j, const struct bind_opts *o, struct verr *reterr)
{
	struct hostpci_dev d;
	struct verr gone = { .code = 0 };
	char name[BDF_STR_MAX];
	bdf_str(&j->at, name);
	int r = hostpci_read(&j->at, &d, &gone);
	if (r == -ENODEV && is_gone(&j->at)) {
		bind_say(o, "%s is gone: nothing to give back", name);
		return 1;
	}
	if (r < 0)
		return verr_set(reterr, r, "%s", gone.msg);

	/* Another driver's name in driver_override would keep the old driver from matching; the
	 * old driver's own name may be what made it match. */
	bool same = strcmp(d.driver, j->driver) == 0;
	const char *meanwhile = strcmp(j->override, j->driver) == 0 ? j->override : "";
	if (!same && strcmp(d.driver_override, meanwhile) != 0) {
		r = store_override(&j->at, meanwhile, o, reterr);
		snprintf(d.driver_override, sizeof(d.driver_override), "%.63s", meanwhile);
	}
	if (r == 0 && !same && must_leave(j, &d))
		r = store_driver(&j->at, d.driver, "unbind", o, reterr);
	if (r == 0 && !same && j->driver[0])
		r = rebind(j, o, reterr);
	if (r == 0 && strcmp(d.driver_override, j->override) != 0)
		r = store_override(&j->at, j->override, o, reterr);
	return r;
}
