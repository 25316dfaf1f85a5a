// SPDX-License-Identifier: GPL-2.0-or-later
//
// Takes out of a captured machine what identifies it or its people: serial numbers, hardware
// addresses, UUIDs, addresses of networks, names of users, mount points, volumes and services, and
// kernel parameters that are not about devices. What is the same before is the same afterwards, so
// links and names still meet. man vfio-inspect, REDACTION, says what stays.
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "tools/inspect/captree.h"

#define UUID_LEN 36
#define MAC_LEN	 12 /* of the digits in an interface's name */
#define IDS_MAX	 4096

struct redaction {
	struct captree *t;
	char *id[IDS_MAX]; /* identifiers seen; the replacement is the index; owned */
	unsigned int n_ids;
	int r; /* -ENOMEM */
};

/* The number that stands for an identifier. */
static unsigned int number_of(struct redaction *x, const char *id, size_t len)
{
	for (unsigned int i = 0; i < x->n_ids; i++) {
		if (strlen(x->id[i]) == len && strncmp(x->id[i], id, len) == 0)
			return i + 1;
	}
	char *copy = x->n_ids < IDS_MAX ? strndup(id, len) : NULL;
	if (!copy) {
		x->r = x->n_ids < IDS_MAX ? -ENOMEM : x->r;
		return 0;
	}
	x->id[x->n_ids++] = copy;
	return x->n_ids;
}

/* --- identifiers that may be anywhere: their lengths stay ------------------------------------- */

static bool hex_run(const char *s, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!isxdigit((unsigned char)s[i]))
			return false;
	}
	return true;
}

/* What stands for one starts with zeros, and is none: names are looked at more than once. */
static bool is_uuid(const char *s)
{
	static const unsigned char group[] = { 8, 4, 4, 4, 12 };
	if (strncmp(s, "00000000-0000", 13) == 0)
		return false;
	for (size_t i = 0; i < sizeof(group); i++) {
		if (!hex_run(s, group[i]) || (i < 4 && s[group[i]] != '-'))
			return false;
		s += group[i] + 1;
	}
	return true;
}

/* "52:54:00:12:34:56", and no PCI address or longer thing. */
static bool is_mac(const char *s)
{
	for (unsigned int i = 0; i < 6; i++) {
		if (!hex_run(s + i * 3, 2) || (i < 5 && s[i * 3 + 2] != ':'))
			return false;
	}
	return !isxdigit((unsigned char)s[17]) && s[17] != ':';
}

/* "enx525400123456": systemd's name after the hardware address. */
static bool is_mac_name(const char *s)
{
	static const char *const kind[] = { "enx", "wlx", "wwx", "ibx" };
	for (size_t i = 0; i < ARRAY_SIZE(kind); i++) {
		if (strncmp(s, kind[i], 3) == 0)
			return hex_run(s + 3, MAC_LEN) && strncmp(s + 3, "000000", 6) != 0 &&
			       !isxdigit((unsigned char)s[3 + MAC_LEN]);
	}
	return false;
}

/* In place. `s` ends with a NUL. True if anything was replaced. */
static bool scrub(struct redaction *x, char *s)
{
	bool any = false;
	char number[24];
	for (bool fresh = true; *s; fresh = !isalnum((unsigned char)*s) && *s != ':', s++) {
		size_t len = 0;
		if (!fresh)
			continue;
		if (is_uuid(s)) {
			snprintf(number, sizeof(number), "%012u", number_of(x, s, UUID_LEN));
			memcpy(s, "00000000-0000-0000-0000-", 24);
			memcpy(s + 24, number, 12);
			len = UUID_LEN;
		} else if (is_mac(s)) {
			memcpy(s, "00:00:00:00:00:00", 17);
			len = 17;
		} else if (is_mac_name(s)) {
			snprintf(number, sizeof(number), "%012u", number_of(x, s + 3, MAC_LEN));
			memcpy(s + 3, number, MAC_LEN);
			len = 3 + MAC_LEN;
		}
		if (len) {
			any = true;
			s += len - 1;
		}
	}
	return any;
}

/* The serial number of the capability of that name (PCIe 6.0 7.9.3). */
static void scrub_config(struct captree_node *n)
{
	uint8_t *cfg = (uint8_t *)n->data;
	unsigned int off = 0x100;
	for (unsigned int steps = 0; steps < 960 && off >= 0x100 && off + 12 <= n->len; steps++) {
		uint32_t h = get_le32(cfg + off);
		if (h == 0 || h == UINT32_MAX)
			return;
		if (PCI_EXT_CAP_ID(h) == PCI_EXT_CAP_ID_DSN)
			memset(cfg + off + 4, 0, 8);
		off = PCI_EXT_CAP_NEXT(h);
	}
}

/* --- files whose lines are known -------------------------------------------------------------- */

/* Where things are mounted that everyone has. */
static bool is_common_place(const char *path)
{
	static const char *const common[] = {
		"/",	    "/boot",	"/boot/efi",  "/efi",	   "/home", "/usr",   "/usr/local",
		"/var",	    "/var/log", "/var/tmp",   "/var/lib",  "/tmp",  "/srv",   "/opt",
		"/root",    "/nix",	"/nix/store", "/etc",	   "/proc", "/sys",   "/dev",
		"/dev/shm", "/dev/pts", "/run",	      "/run/lock", "/mnt",  "/media", "none",
	};
	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		if (strcmp(path, common[i]) == 0)
			return true;
	}
	return false;
}

static const char *place_name(struct redaction *x, const char *path, char buf[32])
{
	if (is_common_place(path))
		return path;
	snprintf(buf, 32, "/redacted%u", number_of(x, path, strlen(path)));
	return buf;
}

/* "/dev/nvme0n1p2" stays; "/dev/mapper/alice-root", "nas:/export", "tank/home" do not. */
static const char *source_name(struct redaction *x, const char *source, char buf[32])
{
	static const char *const kind[] = { "nvme", "sd", "vd",	  "xvd",    "hd",   "md",
					    "dm-",  "sr", "loop", "mmcblk", "pmem", "zram" };
	const char *name = strncmp(source, "/dev/", 5) == 0 ? source + 5 : "";
	for (size_t i = 0; i < ARRAY_SIZE(kind); i++) {
		if (strncmp(name, kind[i], strlen(kind[i])) == 0 && !strchr(name, '/'))
			return source;
	}
	if (!strpbrk(source, "/:"))
		return source; /* "tmpfs", "proc" */
	snprintf(buf, 32, "%sredacted%u", name[0] ? "/dev/mapper/" : "",
		 number_of(x, source, strlen(source)));
	return buf;
}

/* "36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue" */
static int mountinfo_line(struct redaction *x, const char *line, char *out, size_t size)
{
	char num[3][24], root[1024], where[1024], type[64], source[1024], b1[32], b2[32], b3[32];
	const char *dash = strstr(line, " - ");
	if (!dash ||
	    sscanf(line, "%23s %23s %23s %1023s %1023s", num[0], num[1], num[2], root, where) !=
		    5 ||
	    sscanf(dash, " - %63s %1023s", type, source) != 2)
		return 0;
	return snprintf(out, size, "%s %s %s %s %s rw - %s %s rw\n", num[0], num[1], num[2],
			strcmp(root, "/") == 0 ? "/" : place_name(x, root, b1),
			place_name(x, where, b2), type, source_name(x, source, b3));
}

static int mounts_line(struct redaction *x, const char *line, char *out, size_t size)
{
	char source[1024], where[1024], type[64], b1[32], b2[32];
	if (sscanf(line, "%1023s %1023s %63s", source, where, type) != 3)
		return 0;
	return snprintf(out, size, "%s %s %s rw 0 0\n", source_name(x, source, b1),
			place_name(x, where, b2), type);
}

static int swaps_line(struct redaction *x, const char *line, char *out, size_t size)
{
	char name[1024], b[32];
	int at = 0;
	if (sscanf(line, "%1023s%n", name, &at) != 1)
		return 0;
	const char *shown = strcmp(name, "Filename") == 0    ? name
			    : strncmp(name, "/dev/", 5) == 0 ? source_name(x, name, b)
							     : place_name(x, name, b);
	return snprintf(out, size, "%s%s\n", shown, line + at);
}

/* Interface, flags and masks stay; which networks there are does not. */
static int route_line(struct redaction *x, const char *line, char *out, size_t size)
{
	char name[32], flags[16], mask[16];
	unsigned int dest, gate;
	(void)x;
	if (sscanf(line, "%31s %x %x %15s %*s %*s %*s %15s", name, &dest, &gate, flags, mask) != 5)
		return snprintf(out, size, "%s\n", line); /* the heading */
	return snprintf(out, size, "%s\t%08X\t%08X\t%s\t0\t0\t0\t%s\t0\t0\t0\n", name,
			dest ? 0x0000000au : 0, gate ? 0x0100000au : 0, flags, mask);
}

static int route6_line(struct redaction *x, const char *line, char *out, size_t size)
{
	char dest[40], len[8], metric[16], refs[16], use[16], flags[16], name[32];
	(void)x;
	if (sscanf(line, "%39s %7s %*s %*s %*s %15s %15s %15s %15s %31s", dest, len, metric, refs,
		   use, flags, name) != 7)
		return 0;
	bool all = strspn(dest, "0") == strlen(dest);
	return snprintf(out, size, "%s%028d %s %032d 00 %032d %s %s %s %s %s\n",
			all ? "0000" : "fd00", 0, len, 0, 0, metric, refs, use, flags, name);
}

/* "fe80000000000000505400fffe123456 02 40 20 80     eth0" */
static int inet6_line(struct redaction *x, const char *line, char *out, size_t size)
{
	if (strlen(line) < 32)
		return 0;
	const char *net = strncmp(line, "fe80", 4) == 0 ? "fe80" : "fd00";
	(void)x;
	return snprintf(out, size, "%s%028d%s\n", net, 1, line + 32);
}

/* Users who are no part of the system get their number for a name. */
static int account_line(struct redaction *x, const char *line, char *out, size_t size)
{
	char name[64];
	unsigned int id;
	(void)x;
	if (sscanf(line, "%63[^:]:%*[^:]:%u", name, &id) != 2)
		return 0;
	if (id < 1000 || id == 65534)
		return snprintf(out, size, "%s:x:%u:\n", name, id);
	return snprintf(out, size, "redacted%u:x:%u:\n", id, id);
}

/* Parameters about devices and memory keep their values. */
static bool is_device_parameter(const char *word)
{
	static const char *const kept[] = {
		"iommu",
		"intel_iommu",
		"amd_iommu",
		"amd_iommu_intr",
		"intremap",
		"pci",
		"pcie",
		"vfio",
		"kvm",
		"hugepages",
		"default_hugepagesz",
		"hugepagesz",
		"video",
		"efifb",
		"simplefb",
		"initcall_blacklist",
		"nomodeset",
		"nox2apic",
		"x2apic",
		"lockdown",
		"mem",
		"memmap",
		"isolcpus",
		"nohz",
		"rcu_nocbs",
		"modprobe",
		"module_blacklist",
		"rd.driver.pre",
		"quiet",
		"ro",
		"rw",
		"mitigations",
		"hostmem",
		"vga",
		"acpi",
		"irqpoll",
		"noapic",
		"nolapic",
		"disable_vga",
		"swiotlb",
		"cma",
		"numa",
	};
	size_t n = strcspn(word, "=.");
	for (size_t i = 0; i < ARRAY_SIZE(kept); i++) {
		size_t k = strlen(kept[i]);
		/* "vfio-pci.ids=", "pcie_aspm=", "kvm_amd.npt=" belong to their first word */
		if (strncmp(word, kept[i], k) == 0 &&
		    (k == n || word[k] == '-' || word[k] == '_' || word[k] == '.'))
			return true;
	}
	return false;
}

static int cmdline_line(struct redaction *x, const char *line, char *out, size_t size)
{
	char *copy = strdup(line), *save = NULL;
	size_t at = 0;
	if (!copy) {
		x->r = -ENOMEM;
		return 0;
	}
	for (char *w = strtok_r(copy, " ", &save); w && at < size; w = strtok_r(NULL, " ", &save)) {
		if (is_device_parameter(w))
			at += (size_t)snprintf(out + at, size - at, "%s%s", at ? " " : "", w);
		else
			at += (size_t)snprintf(out + at, size - at, "%s%.*s%s", at ? " " : "",
					       (int)strcspn(w, "="),
					       strchr(w, '=') ? w : "redacted",
					       strchr(w, '=') ? "=redacted" : "");
	}
	free(copy);
	if (at < size)
		at += (size_t)snprintf(out + at, size - at, "\n");
	return (int)at;
}

/* One line at a time; what a line function gives 0 for is dropped. */
static void rewrite(struct redaction *x, struct captree_node *n,
		    int (*each)(struct redaction *x, const char *line, char *out, size_t size))
{
	size_t room = n->len * 2 + 256, len = 0;
	char *out = n->data ? malloc(room) : NULL, *copy = n->data ? strdup(n->data) : NULL;
	char *rest = copy, *line, one[8192];
	if (n->data && (!out || !copy))
		x->r = -ENOMEM;
	while (out && rest && (line = strsep(&rest, "\n"))) {
		int k = line[0] ? each(x, line, one, sizeof(one)) : 0;
		if (k <= 0)
			continue;
		size_t add = MIN((size_t)k, sizeof(one) - 1);
		if (len + add > room) {
			char *more = realloc(out, room * 2 + add);
			if (!more) {
				x->r = -ENOMEM;
				break;
			}
			out = more;
			room = room * 2 + add;
		}
		memcpy(out + len, one, add);
		len += add;
	}
	if (out && captree_set(x->t, n, out, len) < 0)
		x->r = -ENOMEM;
	free(out);
	free(copy);
}

static int whole_line(struct redaction *x, const char *line, char *out, size_t size)
{
	char b[32];
	return snprintf(out, size, "%s\n",
			strncmp(line, "/dev/", 5) == 0 ? source_name(x, line, b)
						       : place_name(x, line, b));
}

static int tag_line(struct redaction *x, const char *line, char *out, size_t size)
{
	return snprintf(out, size, "redacted%u\n", number_of(x, line, strlen(line)));
}

static const struct {
	const char *dir, *file; /* ends of the path: folder (NULL any) and name */
	int (*each)(struct redaction *x, const char *line, char *out, size_t size);
} files[] = {
	{ "/proc/self", "mountinfo", mountinfo_line },
	{ "/proc/1", "mountinfo", mountinfo_line },
	{ "/proc/self", "mounts", mounts_line },
	{ "/proc", "mounts", mounts_line },
	{ "/proc", "swaps", swaps_line },
	{ "/net", "route", route_line },
	{ "/net", "ipv6_route", route6_line },
	{ "/net", "if_inet6", inet6_line },
	{ "/etc", "passwd", account_line },
	{ "/etc", "group", account_line },
	{ "/proc", "cmdline", cmdline_line },
	{ "/loop", "backing_file", whole_line },
	{ NULL, "mount_tag", tag_line },
};

static bool ends_with(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);
	return n >= k && strcmp(s + n - k, end) == 0;
}

static void scrub_file(struct redaction *x, struct captree_node *n)
{
	char dir[PATH_MAX];
	captree_path(n->parent, dir, sizeof(dir));
	if (strcmp(n->name, "config") == 0 && n->len > 256) {
		scrub_config(n);
		return;
	}
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (strcmp(n->name, files[i].file) == 0 &&
		    (!files[i].dir || ends_with(dir, files[i].dir)))
			rewrite(x, n, files[i].each);
	}
	if (n->data && n->len == strlen(n->data))
		scrub(x, n->data);
}

static void scrub_tree(struct redaction *x, struct captree_node *n)
{
	/* Names of firmware variables are the same on all machines. */
	if (n->parent && strcmp(n->name, "firmware") == 0 && strcmp(n->parent->name, "sys") == 0)
		return;
	if (n->kind == CAPTREE_FILE)
		scrub_file(x, n);
	else if (n->kind == CAPTREE_LINK && n->data)
		scrub(x, n->data);
	for (unsigned int i = 0; i < n->n; i++)
		scrub_tree(x, n->child[i]);
	/* A new name may change the order of siblings: again from the start. */
	for (unsigned int i = 0; i < n->n;) {
		char name[NAME_MAX + 1];
		snprintf(name, sizeof(name), "%s", n->child[i]->name);
		bool renamed = scrub(x, name) && captree_rename(n->child[i], name) == 0;
		i = renamed ? 0 : i + 1;
	}
}

/* --- control groups: services, users' sessions, virtual machines ------------------------------ */

static bool is_common_group(const char *name)
{
	static const char *const common[] = { "user.slice", "system.slice", "machine.slice",
					      "init.scope" };
	for (size_t i = 0; i < ARRAY_SIZE(common); i++) {
		if (strcmp(name, common[i]) == 0)
			return true;
	}
	return false;
}

/* "0::/user.slice/user-1000.slice/session-2.scope", and the folders of that name. */
static void scrub_cgroup(struct redaction *x)
{
	struct captree_node *file, *at = NULL;
	char *copy, *rest, *part, line[4096] = "0::";
	if (captree_find(x->t, "/proc/self/cgroup", true, &file) < 0 || !file->data)
		return;
	captree_find(x->t, "/sys/fs/cgroup", true, &at);
	const char *path = strstr(file->data, "0::/");
	copy = path ? strndup(path + 4, strcspn(path + 4, "\n")) : NULL;
	for (rest = copy; rest && (part = strsep(&rest, "/"));) {
		char name[64];
		if (!part[0])
			continue;
		snprintf(name, sizeof(name), "redacted%u", number_of(x, part, strlen(part)));
		at = at ? captree_child(at, part) : NULL;
		if (!is_common_group(part)) {
			if (at)
				captree_rename(at, name);
			part = name;
		}
		snprintf(line + strlen(line), sizeof(line) - strlen(line), "/%s", part);
	}
	free(copy);
	snprintf(line + strlen(line), sizeof(line) - strlen(line), "%s\n", line[3] ? "" : "/");
	if (captree_set(x->t, file, line, strlen(line)) < 0)
		x->r = -ENOMEM;
}

int captree_redact(struct captree *t)
{
	struct redaction *x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->t = t;
	scrub_cgroup(x);
	scrub_tree(x, t->root);
	int r = x->r;
	for (unsigned int i = 0; i < x->n_ids; i++)
		free(x->id[i]);
	free(x);
	return r;
}
