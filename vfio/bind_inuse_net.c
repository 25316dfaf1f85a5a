// SPDX-License-Identifier: GPL-2.0-or-later
//
// Whether the host's network depends on a function: a default route (IPv4 or IPv6) over one of
// its interfaces, or over a bridge, bond or VLAN on top of one. Reads sysfs and procfs of the
// current network namespace.
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "vfio/bind_int.h"
#include "vfio/hostproc.h"

#define PATH_SIZE   512
#define IFACES_MAX  64
#define IFNAME_SIZE 32
#define RTF_UP	    0x0001u
#define RTF_REJECT  0x0200u

struct ifaces {
	const struct bdf *at;
	char v[IFACES_MAX][IFNAME_SIZE];
	unsigned int n;
	unsigned int own; /* the first ones: the function's own */
	char *why;
	size_t size;
};

static bool listed(const struct ifaces *s, const char *name)
{
	for (unsigned int i = 0; i < s->n; i++) {
		if (strcmp(s->v[i], name) == 0)
			return true;
	}
	return false;
}

static int add(struct ifaces *s, const char *name)
{
	if (s->n == IFACES_MAX || strlen(name) >= IFNAME_SIZE)
		return -E2BIG;
	if (!listed(s, name))
		snprintf(s->v[s->n++], IFNAME_SIZE, "%s", name);
	return 0;
}

static int add_own(void *opaque, const char *name)
{
	struct ifaces *s = (struct ifaces *)opaque;
	char link[PATH_SIZE];
	snprintf(link, sizeof(link), "/sys/class/net/%s", name);
	return bind_link_below(s->at, link) ? add(s, name) : 0;
}

static int add_upper(void *opaque, const char *name)
{
	return strncmp(name, "upper_", 6) == 0 ? add((struct ifaces *)opaque, name + 6) : 0;
}

/* The function's interfaces and whatever is stacked on them. */
static int collect(struct ifaces *s)
{
	char path[PATH_SIZE];
	int r = sys->listdir(hostpci_path(path, sizeof(path), "/sys/class/net"), add_own, s);
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	s->own = s->n;
	for (unsigned int i = 0; i < s->n; i++) {
		hostpci_path(path, sizeof(path), "/sys/class/net/%s", s->v[i]);
		r = sys->listdir(path, add_upper, s);
		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int say_route(struct ifaces *s, const char *name, const char *family)
{
	if (strcmp(name, s->v[0]) == 0)
		snprintf(s->why, s->size, "the %sdefault route goes over %s", family, name);
	else
		snprintf(s->why, s->size, "the %sdefault route goes over %s, which uses %s", family,
			 name, s->v[0]);
	return 1;
}

/* "eth0 00000000 0202000A 0003 0 0 0 00000000 ...": hexadecimal, network order */
static int look_v4(void *opaque, char *line)
{
	struct ifaces *s = (struct ifaces *)opaque;
	char name[IFNAME_SIZE];
	unsigned int dest, gateway, flags, mask;
	if (sscanf(line, "%31s %x %x %x %*s %*s %*s %x", name, &dest, &gateway, &flags, &mask) != 5)
		return 0; /* the heading */
	if (dest != 0 || mask != 0 || !(flags & RTF_UP) || (flags & RTF_REJECT) || !listed(s, name))
		return 0;
	return say_route(s, name, "");
}

/* dest(32 digits) length source length nexthop metric refs use flags name */
static int look_v6(void *opaque, char *line)
{
	struct ifaces *s = (struct ifaces *)opaque;
	char dest[40], name[IFNAME_SIZE];
	unsigned int len, flags;
	if (sscanf(line, "%39s %x %*s %*s %*s %*s %*s %*s %x %31s", dest, &len, &flags, name) != 4)
		return 0;
	if (len != 0 || strspn(dest, "0") != strlen(dest) || !(flags & RTF_UP) ||
	    (flags & RTF_REJECT) || !listed(s, name))
		return 0;
	return say_route(s, name, "IPv6 ");
}

int bind_use_of_net(const struct bdf *at, char *why, size_t size)
{
	struct ifaces *s = (struct ifaces *)calloc(1, sizeof(*s));
	if (!s)
		return -ENOMEM;
	s->at = at;
	s->why = why;
	s->size = size;

	int r = collect(s);
	if (r < 0)
		snprintf(why, size, "whether a network interface uses it can't be told: %s",
			 strerror(-r));
	if (r == 0 && s->n > 0) {
		static const struct {
			const char *path;
			int (*look)(void *opaque, char *line);
		} tables[] = { { "/proc/net/route", look_v4 },
			       { "/proc/net/ipv6_route", look_v6 } };
		for (size_t i = 0; r == 0 && i < ARRAY_SIZE(tables); i++) {
			r = hostproc_lines(tables[i].path, tables[i].look, s);
			if (r == -ENOENT) /* a kernel without that protocol */
				r = 0;
			else if (r < 0)
				snprintf(why, size,
					 "whether the default route goes over %s can't be "
					 "told: %s: %s",
					 s->v[0], tables[i].path, strerror(-r));
		}
	}
	free(s);
	return r;
}

bool bind_interface_up(const struct bdf *at, char *name, size_t size)
{
	struct ifaces *s = (struct ifaces *)calloc(1, sizeof(*s));
	bool up = false;
	if (!s)
		return false;
	s->at = at;
	if (collect(s) == 0) {
		for (unsigned int i = 0; !up && i < s->own; i++) {
			char path[PATH_SIZE];
			uint64_t flags;
			hostpci_path(path, sizeof(path), "/sys/class/net/%s/flags", s->v[i]);
			up = sys_read_u64(path, &flags) == 0 && (flags & 1); /* IFF_UP */
			if (up)
				snprintf(name, size, "%s", s->v[i]);
		}
	}
	free(s);
	return up;
}
