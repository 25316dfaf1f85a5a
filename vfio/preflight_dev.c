// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight checks of one PCI function: that it exists, can be assigned at all, answers, is bound
// to vfio-pci and can be reset. Reads only.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
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
	char why[48];
	/* Asking would wake it; VFIO does so when the guest starts. */
	if (!c->req->may_wake && hostpci_asleep(d, why, sizeof(why))) {
		preflight_say(c, VERDICT_UNKNOWN, "answers", NULL,
			      "%s is not asked whether it answers, which would wake it: %s", name,
			      why);
		return;
	}
	int id = hostpci_vendor_now(&d->at);
	if (id < 0) {
		preflight_say(
			c, VERDICT_UNKNOWN, "answers", NULL,
			"whether %s answers can't be told: its config space can't be read: %s",
			name, strerror(-id));
		return;
	}
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
	preflight_evidence(c, "/sys/bus/pci/devices/%s/config: ff ff", name);
}

static void check_driver(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name)
{
	if (preflight_is_vfio_driver(d->driver)) {
		preflight_say(c, VERDICT_OK, "driver", NULL, "%s is bound to %s", name, d->driver);
		preflight_evidence(c, "/sys/bus/pci/devices/%s/driver", name);
		return;
	}
	char fix[64];
	snprintf(fix, sizeof(fix), "run: vfio-bind %s", name);
	if (d->driver[0])
		preflight_say(c, VERDICT_FAIL, "driver", fix, "%s is bound to %s, not to vfio-pci",
			      name, d->driver);
	else
		preflight_say(c, VERDICT_FAIL, "driver", fix, "%s is bound to no driver", name);
	preflight_evidence(c, "/sys/bus/pci/devices/%s/driver%s", name,
			   d->driver[0] ? "" : " does not exist");
}

/* --- reset ----------------------------------------------------------------------------------- */

struct bus_mates {
	const struct preflight_ctx *c;
	const struct hostpci_dev *d;
	char text[256];		 /* the others, with their drivers */
	unsigned int n, missing; /* missing: not assigned in the same go */
};

static int look_at_mate(void *opaque, const char *name)
{
	struct bus_mates *m = (struct bus_mates *)opaque;
	struct hostpci_dev other;
	struct bdf at;
	if (bdf_parse(name, &at, NULL) < 0 || at.seg != m->d->at.seg || at.bus != m->d->at.bus ||
	    bdf_equal(&at, &m->d->at) || hostpci_read(&at, &other, NULL) < 0)
		return 0;
	bool asked = false;
	for (unsigned int i = 0; i < m->c->req->n_bdfs; i++)
		asked |= bdf_equal(&at, &m->c->req->bdfs[i]);
	m->missing += !asked;
	size_t len = strlen(m->text);
	snprintf(m->text + len, sizeof(m->text) - len, "%s%s%s%s%s", m->n ? ", " : "", name,
		 other.driver[0] ? " (" : "", other.driver, other.driver[0] ? ")" : "");
	m->n++;
	return 0;
}

static bool has_method(const char *list, const char *method)
{
	size_t len = strlen(method);
	for (const char *at = list; (at = strstr(at, method)); at += len) {
		if ((at == list || at[-1] == ' ') && (at[len] == ' ' || at[len] == '\0'))
			return true;
	}
	return false;
}

/* AMD's graphics: many keep running through a bus reset and do not start again. */
static bool resets_badly(const struct hostpci_dev *d)
{
	return d->vendor == 0x1002 && d->class_code >> 16 == 0x03;
}

static void say_no_reset(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name)
{
	struct bus_mates m = { .c = c, .d = d };
	char path[PATH_SIZE];
	if (d->has_parent)
		sys->listdir(hostpci_path(path, sizeof(path), "/sys/bus/pci/devices"), look_at_mate,
			     &m);
	if (m.n == 0)
		preflight_say(c, VERDICT_WARN, "reset", NULL,
			      "%s can't be reset: after the guest stops or crashes it may stay "
			      "unusable until the host reboots",
			      name);
	else
		preflight_say(c, VERDICT_WARN, "reset",
			      m.missing ? "assign them together, so that they share its fate"
					: NULL,
			      "%s has no reset of its own: only a reset of its whole bus would do, "
			      "which takes %s with it",
			      name, m.text);
	preflight_evidence(c, "/sys/bus/pci/devices/%s/reset_method: empty or missing", name);
}

static void check_reset(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name)
{
	static const char *const good[] = { "flr", "af_flr", "device_specific", "acpi" };
	char path[PATH_SIZE];
	const char *list = d->reset_method;
	bool is_good = false;
	for (size_t i = 0; i < ARRAY_SIZE(good); i++)
		is_good |= has_method(list, good[i]);

	if (!list[0]) {
		/* Kernels before 5.15 have no reset_method. */
		hostpci_path(path, sizeof(path), "/sys/bus/pci/devices/%s/reset", name);
		if (sys->access(path, F_OK) < 0) {
			say_no_reset(c, d, name);
			return;
		}
		preflight_say(c, VERDICT_OK, "reset", NULL, "%s can be reset", name);
		preflight_evidence(c, "/sys/bus/pci/devices/%s/reset exists", name);
		return;
	}
	if (!is_good && resets_badly(d))
		preflight_say(c, VERDICT_WARN, "reset",
			      "the out-of-tree module vendor-reset knows some of them",
			      "%s has no function reset (only: %s), and many AMD graphics cards do "
			      "not come back from others: the host may have to reboot before its "
			      "second use",
			      name, list);
	else if (!is_good && strcmp(list, "pm") == 0)
		preflight_say(
			c, VERDICT_WARN, "reset", NULL,
			"%s is reset by its power state alone (pm), which leaves parts of many "
			"devices as they were",
			name);
	else
		preflight_say(c, VERDICT_OK, "reset", NULL, "%s can be reset (%s)", name, list);
	preflight_evidence(c, "/sys/bus/pci/devices/%s/reset_method: %s", name, list);
}

/* --- boot display ---------------------------------------------------------------------------- */

struct boot_fb {
	const char *owner;
	struct range r;
};

/* "  c0000000-c02fffff : BOOTFB"; all zeros for others than root */
static int find_framebuffer(void *opaque, char *line)
{
	static const char *const owners[] = {
		"BOOTFB", "efifb", "simplefb", "vesafb", "simple-framebuffer", "simpledrm"
	};
	struct boot_fb *fb = (struct boot_fb *)opaque;
	for (size_t i = 0; i < ARRAY_SIZE(owners); i++) {
		if (!strstr(line, owners[i]))
			continue;
		fb->owner = owners[i];
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &fb->r.first, &fb->r.last) != 2)
			fb->r.last = fb->r.first = 0;
		return 1;
	}
	return 0;
}

/* Linux 6.0's vfio-pci takes a graphics card from the firmware's frame buffer when it binds. */
static bool vfio_evicts_boot_fb(void)
{
	char path[PATH_SIZE], text[64];
	unsigned int major = 0;
	return sys_read_text(hostpci_path(path, sizeof(path), "/proc/sys/kernel/osrelease"), text,
			     sizeof(text)) > 0 &&
	       sscanf(text, "%u.", &major) == 1 && major >= 6;
}

static void check_boot_display(struct preflight_ctx *c, const struct hostpci_dev *d,
			       const char *name)
{
	static const char fix[] = "boot with initcall_blacklist=sysfb_init (before Linux 5.14: "
				  "video=efifb:off,vesafb:off), or use another display";
	struct boot_fb fb = { .owner = NULL };
	hostproc_lines("/proc/iomem", find_framebuffer, &fb);
	bool hit = fb.owner && fb.r.last > fb.r.first && preflight_bar_hit(d, fb.r);
	bool bound = preflight_is_vfio_driver(d->driver);

	if (hit && (bound || !vfio_evicts_boot_fb())) {
		preflight_say(c, VERDICT_FAIL, "boot-display", fix,
			      "the firmware's frame buffer %s still holds memory of %s: VFIO can't "
			      "map that BAR",
			      fb.owner, name);
	} else if (d->boot_vga && fb.owner && bound) {
		preflight_say(c, VERDICT_WARN, "boot-display", fix,
			      "%s is the boot display and %s still holds its memory", name,
			      fb.owner);
	} else if (d->boot_vga) {
		preflight_say(c, VERDICT_WARN, "boot-display", NULL,
			      "%s is the boot display: the host's console goes dark", name);
	} else {
		return;
	}
	if (fb.owner)
		preflight_evidence(c, "/proc/iomem: %08" PRIx64 "-%08" PRIx64 " : %s", fb.r.first,
				   fb.r.last, fb.owner);
	else
		preflight_evidence(c, "/sys/bus/pci/devices/%s/boot_vga: %d", name, d->boot_vga);
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
	c->function = name;
	check_answers(c, &d, name);
	preflight_use(c, &d, name);
	check_driver(c, &d, name);
	preflight_group(c, &d);
	check_reset(c, &d, name);
	check_boot_display(c, &d, name);
	preflight_bars(c, &d, name);
	c->function = NULL;
}
