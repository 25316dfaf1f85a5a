// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight checks of one PCI function: that it exists, can be assigned at all, answers, is bound
// to vfio-pci and can be reset. Reads only.
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "core/sys.h"
#include "vfio/hostproc.h"
#include "vfio/preflight_int.h"

#define PATH_SIZE 512

bool preflight_is_vfio_driver(const char *driver)
{
	return strstr(driver, "vfio") != NULL;
}

static bool named_before(const struct preflight_ctx *c, unsigned int i)
{
	for (unsigned int j = 0; j < i; j++) {
		if (bdf_equal(&c->req->bdfs[j], &c->req->bdfs[i]))
			return true;
	}
	return false;
}

/* False: nothing more can be said of it. */
static bool check_exists(struct preflight_ctx *c, unsigned int i, struct hostpci_dev *d)
{
	char name[BDF_STR_MAX];
	struct verr err = { .code = 0 };
	bdf_str(&c->req->bdfs[i], name);
	if (named_before(c, i)) {
		preflight_say(c, VERDICT_FAIL, "twice", "name it once", "%s is assigned twice",
			      name);
		return false;
	}
	int r = hostpci_read(&c->req->bdfs[i], d, &err);
	if (r < 0) {
		preflight_say(c, VERDICT_FAIL, "device", r == -ENODEV ? "see: lspci -D" : NULL,
			      "%s", err.msg);
		return false;
	}
	preflight_say(c, VERDICT_OK, "device", NULL, "%s exists (%04x:%04x)", name, d->vendor,
		      d->device);
	return true;
}

static bool check_endpoint(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name)
{
	if (d->header_type == 0) {
		preflight_say(c, VERDICT_OK, "endpoint", NULL, "%s is an endpoint", name);
		return true;
	}
	preflight_say(c, VERDICT_FAIL, "endpoint", "name the functions behind it",
		      "%s is a bridge, which can't be assigned", name);
	return false;
}

static void check_answers(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name)
{
	int id = hostpci_vendor_now(&d->at);
	if (id < 0)
		return; /* unreadable for us: no evidence either way */
	/* A virtual function has no vendor id of its own: all ones are its normal answer. */
	if (id != 0xffff || d->is_vf) {
		preflight_say(c, VERDICT_OK, "answers", NULL, "%s answers (power state %s)", name,
			      d->power_state);
		return;
	}
	char fix[256];
	snprintf(fix, sizeof(fix),
		 "run: echo on > /sys/bus/pci/devices/%s/power/control; if it still reads ffff, "
		 "power the machine off and on",
		 name);
	preflight_say(c, VERDICT_FAIL, "answers", fix,
		      "%s does not answer: its vendor id reads ffff (power state %s)", name,
		      d->power_state);
}

static void check_driver(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name)
{
	if (preflight_is_vfio_driver(d->driver)) {
		preflight_say(c, VERDICT_OK, "driver", NULL, "%s is bound to %s", name, d->driver);
		return;
	}
	char fix[64];
	snprintf(fix, sizeof(fix), "run: vfio-bind %s", name);
	if (d->driver[0])
		preflight_say(c, VERDICT_FAIL, "driver", fix, "%s is bound to %s, not to vfio-pci",
			      name, d->driver);
	else
		preflight_say(c, VERDICT_FAIL, "driver", fix, "%s is bound to no driver", name);
}

static void check_reset(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name)
{
	char path[PATH_SIZE];
	if (d->reset_method[0]) {
		preflight_say(c, VERDICT_OK, "reset", NULL, "%s can be reset (%s)", name,
			      d->reset_method);
		return;
	}
	/* Kernels before 5.15 have no reset_method. */
	hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", name);
	if (sys->access(path, F_OK) == 0)
		preflight_say(c, VERDICT_OK, "reset", NULL, "%s can be reset", name);
	else
		preflight_say(c, VERDICT_WARN, "reset", NULL,
			      "%s can't be reset: after the guest stops or crashes it may stay "
			      "unusable until the host reboots",
			      name);
}

/* "  c0000000-c02fffff : BOOTFB" */
static int find_framebuffer(void *opaque, char *line)
{
	static const char *const owners[] = {
		"BOOTFB", "efifb", "simplefb", "vesafb", "simple-framebuffer", "simpledrm"
	};
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		if (strstr(line, owners[i])) {
			*(const char **)opaque = owners[i];
			return 1;
		}
	}
	return 0;
}

static void check_boot_display(struct preflight_ctx *c, const struct hostpci_dev *d,
			       const char *name)
{
	const char *owner = NULL;
	if (!d->boot_vga)
		return;
	hostproc_lines("/proc/iomem", find_framebuffer, &owner);
	if (owner)
		preflight_say(c, VERDICT_WARN, "boot-display",
			      "boot with initcall_blacklist=sysfb_init, or use another display",
			      "%s is the boot display and %s still holds its memory", name, owner);
	else
		preflight_say(c, VERDICT_WARN, "boot-display", NULL,
			      "%s is the boot display: the host's console goes dark", name);
}

void preflight_function(struct preflight_ctx *c, unsigned int i)
{
	struct hostpci_dev d;
	char name[BDF_STR_MAX];
	if (!check_exists(c, i, &d))
		return;
	bdf_str(&d.at, name);
	if (!check_endpoint(c, &d, name))
		return;
	check_answers(c, &d, name);
	check_driver(c, &d, name);
	preflight_group(c, &d);
	check_reset(c, &d, name);
	check_boot_display(c, &d, name);
}
