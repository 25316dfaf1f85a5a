// SPDX-License-Identifier: GPL-2.0-or-later
//
// The host's PCI functions as sysfs tells them. Owns the root prefix that every path gets, so
// that a captured machine can be read like the live one; keeps no other state: each call reads
// anew. Knows nothing of VFIO. Names live in hostpci_names.c.
#include "pci/hostpci.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/sys.h"

#define PATH_SIZE 512
#define DEVICES	  "/sys/bus/pci/devices"

/* The kernel's names; it does not export them. */
#define PCI_CLASS_BRIDGE_PCI	  0x0604
#define PCI_CLASS_BRIDGE_CARDBUS  0x0607
#define PCI_CLASS_BRIDGE_PCI_SEMI 0x0609

static char root_prefix[256];

void hostpci_set_root(const char *root)
{
	snprintf(root_prefix, sizeof(root_prefix), "%s", root ? root : "");
}

const char *hostpci_root(void)
{
	return root_prefix;
}

char *hostpci_path(char *buf, size_t size, const char *fmt, ...)
{
	if (size == 0)
		return buf;
	int at = snprintf(buf, size, "%s", root_prefix);
	if (at >= 0 && (size_t)at < size) {
		va_list ap;
		va_start(ap, fmt);
		int n = vsnprintf(buf + at, size - (size_t)at, fmt, ap);
		va_end(ap);
		if (n >= 0 && (size_t)n < size - (size_t)at)
			return buf;
	}
	buf[0] = '\0';
	return buf;
}

/* "/sys/bus/pci/devices/0000:03:00.0/<file>" */
static char *dev_path(char *buf, size_t size, const struct bdf *at, const char *file)
{
	char name[BDF_STR_MAX];
	return hostpci_path(buf, size, DEVICES "/%s/%s", bdf_str(at, name), file);
}

/* --- one function ---------------------------------------------------------------------------- */

static uint64_t dev_number(const struct bdf *at, const char *file, uint64_t max, uint64_t def)
{
	char path[PATH_SIZE], text[32], *end;
	if (sys_read_attr(dev_path(path, sizeof(path), at, file), text, sizeof(text)) < 0 ||
	    text[0] < '0' || text[0] > '9')
		return def;
	errno = 0;
	uint64_t v = strtoull(text, &end, 0);
	return errno || *end || v > max ? def : v;
}

/* "" when there is no such file, or its text does not fit. */
static void dev_text(const struct bdf *at, const char *file, char *buf, size_t size)
{
	char path[PATH_SIZE];
	if (sys_read_attr(dev_path(path, sizeof(path), at, file), buf, size) < 0)
		buf[0] = '\0';
}

int hostpci_vendor_now(const struct bdf *at)
{
	char path[PATH_SIZE];
	uint8_t id[2];
	int fd = sys_open(dev_path(path, sizeof(path), at, "config"), O_RDONLY, 0);
	if (fd < 0)
		return fd;
	ssize_t n = sys_pread(fd, id, sizeof(id), 0);
	sys_close(fd);
	if (n < 0)
		return (int)n;
	return n == sizeof(id) ? get_le16(id) : -EIO;
}

/* sysfs has this attribute for bridges alone. Configuration space would tell as well, but reading
 * it wakes what sleeps. */
static uint8_t read_header_type(const struct hostpci_dev *d)
{
	char path[PATH_SIZE];
	switch (d->class_code >> 8) {
	case PCI_CLASS_BRIDGE_PCI:
	case PCI_CLASS_BRIDGE_PCI_SEMI:
		return PCI_HEADER_TYPE_BRIDGE;
	case PCI_CLASS_BRIDGE_CARDBUS:
		return PCI_HEADER_TYPE_CARDBUS;
	default:
		dev_path(path, sizeof(path), &d->at, "secondary_bus_number");
		return sys->access(path, F_OK) == 0 ? PCI_HEADER_TYPE_BRIDGE
						    : PCI_HEADER_TYPE_NORMAL;
	}
}

/* "../../../devices/pci0000:00/0000:00:1c.0/0000:03:00.0": the bridge is the folder above. */
static void read_parent(const struct bdf *at, struct hostpci_dev *d)
{
	char path[PATH_SIZE], target[PATH_SIZE], name[BDF_STR_MAX];
	hostpci_path(path, sizeof(path), DEVICES "/%s", bdf_str(at, name));
	ssize_t n = sys->readlink(path, target, sizeof(target) - 1);
	if (n <= 0)
		return;
	target[n] = '\0';
	char *last = strrchr(target, '/');
	if (!last)
		return;
	*last = '\0';
	char *above = strrchr(target, '/');
	d->has_parent = above && bdf_parse(above + 1, &d->parent, NULL) == 0;
}

bool hostpci_asleep(const struct hostpci_dev *d, char *why, size_t size)
{
	char path[PATH_SIZE], text[32], name[BDF_STR_MAX];
	if (strcmp(d->power_state, "D3cold") == 0) {
		snprintf(why, size, "it is in D3cold");
		return true;
	}
	/* The kernel resumes the bridge above for a read; those above an awake one are awake. */
	if (d->has_parent) {
		dev_path(path, sizeof(path), &d->parent, "power/runtime_status");
		if (sys_read_attr(path, text, sizeof(text)) >= 0 &&
		    strncmp(text, "suspend", 7) == 0) {
			snprintf(why, size, "%s above it sleeps", bdf_str(&d->parent, name));
			return true;
		}
	}
	return false;
}

int hostpci_config(const struct hostpci_dev *d, void *buf, size_t len)
{
	char path[PATH_SIZE], why[48];
	if (hostpci_asleep(d, why, sizeof(why)))
		return -EHOSTDOWN;
	int fd = sys_open(dev_path(path, sizeof(path), &d->at, "config"), O_RDONLY, 0);
	if (fd < 0)
		return fd;
	ssize_t n = sys_pread(fd, buf, len, 0);
	sys_close(fd);
	return (int)n;
}

static uint32_t read_group(const struct bdf *at)
{
	char path[PATH_SIZE], base[32], *end;
	if (sys_readlink_base(dev_path(path, sizeof(path), at, "iommu_group"), base, sizeof(base)) <
	    0)
		return HOSTPCI_NO_GROUP;
	errno = 0;
	unsigned long n = strtoul(base, &end, 10);
	if (errno || end == base || *end || n >= HOSTPCI_NO_GROUP)
		return HOSTPCI_NO_GROUP;
	return (uint32_t)n;
}

static int read_numa_node(const struct bdf *at)
{
	char text[16], *end;
	dev_text(at, "numa_node", text, sizeof(text));
	long n = strtol(text, &end, 10);
	return end == text || n < 0 || n > 65535 ? -1 : (int)n;
}

/* What `uevent` has in one read: "DRIVER=e1000e", "PCI_CLASS=20000", "PCI_ID=8086:10D3",
 * "PCI_SUBSYS_ID=8086:A01F". False if it isn't all there. */
static bool read_uevent(const struct bdf *at, struct hostpci_dev *d)
{
	char text[1024];
	unsigned int got = 0;
	dev_text(at, "uevent", text, sizeof(text));
	for (char *save = NULL, *s = strtok_r(text, "\n", &save); s;
	     s = strtok_r(NULL, "\n", &save)) {
		unsigned int a, b;
		if (sscanf(s, "PCI_ID=%4x:%4x", &a, &b) == 2) {
			d->vendor = (uint16_t)a;
			d->device = (uint16_t)b;
			got |= 1;
		} else if (sscanf(s, "PCI_SUBSYS_ID=%4x:%4x", &a, &b) == 2) {
			d->subvendor = (uint16_t)a;
			d->subdevice = (uint16_t)b;
			got |= 2;
		} else if (sscanf(s, "PCI_CLASS=%6x", &a) == 1) {
			d->class_code = a;
			got |= 4;
		} else if (strncmp(s, "DRIVER=", 7) == 0) {
			snprintf(d->driver, sizeof(d->driver), "%s", s + 7);
		}
	}
	return got == 7;
}

/* The same, a file each. */
static int read_ids(const struct bdf *at, struct hostpci_dev *d, struct verr *reterr)
{
	char path[PATH_SIZE], name[BDF_STR_MAX];
	uint64_t v;
	int r = sys_read_u64(dev_path(path, sizeof(path), at, "vendor"), &v);
	if (r == -ENOENT)
		return -ENODEV;
	if (r < 0)
		return verr_prefix(reterr, r, "can't read the vendor id of %s", bdf_str(at, name));
	d->vendor = (uint16_t)v;
	d->device = (uint16_t)dev_number(at, "device", 0xffff, 0xffff);
	d->subvendor = (uint16_t)dev_number(at, "subsystem_vendor", 0xffff, 0);
	d->subdevice = (uint16_t)dev_number(at, "subsystem_device", 0xffff, 0);
	d->class_code = (uint32_t)dev_number(at, "class", 0xffffff, 0);
	r = sys_readlink_base(dev_path(path, sizeof(path), at, "driver"), d->driver,
			      sizeof(d->driver));
	if (r < 0 && r != -ENOENT)
		return verr_prefix(reterr, r, "can't tell the driver of %s", bdf_str(at, name));
	if (r < 0)
		d->driver[0] = '\0';
	return 0;
}

static void read_links(const struct bdf *at, struct hostpci_dev *d)
{
	char path[PATH_SIZE];
	char target[8]; /* only that it is a link matters: a VF's, to its PF */
	d->is_vf = sys->readlink(dev_path(path, sizeof(path), at, "physfn"), target,
				 sizeof(target)) >= 0;
	d->group = read_group(at);
	read_parent(at, d);
}

/* Everything but existence and the driver has a value that stands for "unknown". */
static int read_dev(const struct bdf *at, struct hostpci_dev *d, struct verr *reterr)
{
	memset(d, 0, sizeof(*d));
	d->at = *at;
	if (!read_uevent(at, d)) {
		int r = read_ids(at, d, reterr);
		if (r < 0)
			return r;
	}
	d->revision = (uint8_t)dev_number(at, "revision", 0xff, 0);
	d->boot_vga = dev_number(at, "boot_vga", UINT64_MAX, 0) == 1;
	d->numa_node = read_numa_node(at);
	dev_text(at, "reset_method", d->reset_method, sizeof(d->reset_method));
	dev_text(at, "power_state", d->power_state, sizeof(d->power_state));
	if (!d->power_state[0])
		snprintf(d->power_state, sizeof(d->power_state), "unknown");
	dev_text(at, "driver_override", d->driver_override, sizeof(d->driver_override));
	if (strcmp(d->driver_override, "(null)") == 0) /* how sysfs prints none */
		d->driver_override[0] = '\0';
	read_links(at, d);
	d->header_type = read_header_type(d);
	return 0;
}

/* --- lists ----------------------------------------------------------------------------------- */

struct bdf_list {
	struct bdf *v;
	unsigned int n, cap;
};

static int bdf_list_add(void *opaque, const char *name)
{
	struct bdf_list *l = (struct bdf_list *)opaque;
	struct bdf at;
	/* Not a PCI address, or a segment beyond 16 bits (Intel VMD's): not ours to assign. */
	if (bdf_parse(name, &at, NULL) < 0)
		return 0;
	if (l->n == l->cap) {
		unsigned int cap = l->cap ? l->cap * 2 : 32;
		struct bdf *v = (struct bdf *)reallocarray(l->v, cap, sizeof(*v));
		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->n++] = at;
	return 0;
}

static int compare_bdf(const void *a, const void *b)
{
	return bdf_compare((const struct bdf *)a, (const struct bdf *)b);
}

/* Addresses in a sysfs folder, sorted. 0 or -errno; on failure nothing is left to free. */
static int list_folder(const char *path, struct bdf_list *l)
{
	memset(l, 0, sizeof(*l));
	int r = sys->listdir(path, bdf_list_add, l);
	if (r < 0) {
		free(l->v);
		memset(l, 0, sizeof(*l));
		return r;
	}
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), compare_bdf);
	return 0;
}

/* Reads each; one that vanished meanwhile is left out. Takes over and frees the addresses. */
static int read_all(struct bdf_list *l, struct hostpci_dev **ret, struct verr *reterr)
{
	struct hostpci_dev *v = (struct hostpci_dev *)calloc(l->n ? l->n : 1, sizeof(*v));
	int n = 0, r = 0;
	if (!v)
		r = verr_set(reterr, -ENOMEM, "out of memory for the list of PCI functions");
	for (unsigned int i = 0; r >= 0 && i < l->n; i++) {
		r = read_dev(&l->v[i], &v[n], reterr);
		if (r == -ENODEV)
			r = 0;
		else if (r == 0)
			n++;
	}
	free(l->v);
	if (r < 0) {
		free(v);
		return r;
	}
	*ret = v;
	return n;
}

int hostpci_list(struct hostpci_dev **ret, struct verr *reterr)
{
	char path[PATH_SIZE];
	struct bdf_list l;
	int r = list_folder(hostpci_path(path, sizeof(path), DEVICES), &l);
	if (r < 0)
		return verr_prefix(reterr, r, "can't list PCI functions in %s", path);
	return read_all(&l, ret, reterr);
}

int hostpci_group(uint32_t group, struct hostpci_dev **ret, struct verr *reterr)
{
	char path[PATH_SIZE];
	struct bdf_list l;
	hostpci_path(path, sizeof(path), "/sys/kernel/iommu_groups/%u/devices", group);
	int r = list_folder(path, &l);
	if (r == -ENOENT)
		return verr_set(reterr, r, "there is no IOMMU group %u", group);
	if (r < 0)
		return verr_prefix(reterr, r, "can't list IOMMU group %u", group);
	return read_all(&l, ret, reterr);
}

/* --- the error for a mistyped address -------------------------------------------------------- */

static uint32_t linear(const struct bdf *b)
{
	return (uint32_t)b->seg << 16 | (uint32_t)b->bus << 8 | PCI_DEVFN_OF(b->dev, b->fn);
}

/* ", the nearest are A and B": the existing functions below and above it. */
static void suggest(const struct bdf *at, char *buf, size_t size)
{
	char path[PATH_SIZE], a[BDF_STR_MAX], b[BDF_STR_MAX];
	struct bdf_list l;
	buf[0] = '\0';
	if (list_folder(hostpci_path(path, sizeof(path), DEVICES), &l) < 0)
		return;
	const struct bdf *below = NULL, *above = NULL;
	for (unsigned int i = 0; i < l.n; i++) {
		if (linear(&l.v[i]) < linear(at))
			below = &l.v[i];
		else if (!above)
			above = &l.v[i];
	}
	if (below && above)
		snprintf(buf, size, " (the nearest are %s and %s)", bdf_str(below, a),
			 bdf_str(above, b));
	else if (below || above)
		snprintf(buf, size, " (the nearest is %s)", bdf_str(below ? below : above, a));
	free(l.v);
}

int hostpci_read(const struct bdf *at, struct hostpci_dev *ret, struct verr *reterr)
{
	struct hostpci_dev d;
	int r = read_dev(at, &d, reterr);
	if (r == -ENODEV) {
		char name[BDF_STR_MAX], near[80];
		suggest(at, near, sizeof(near));
		return verr_set(reterr, r, "there is no PCI function %s%s", bdf_str(at, name),
				near);
	}
	if (r == 0)
		*ret = d;
	return r;
}
