// SPDX-License-Identifier: GPL-2.0-or-later
//
// Preflight checks of who uses a function and who may use its device node. That the host needs it
// for a disk, its network or its screen is bind_inuse.c's to find out; here it becomes a verdict.
// Reads only.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/sys.h"
#include "vfio/bind_int.h"
#include "vfio/hostproc.h"
#include "vfio/preflight_int.h"

#define PATH_SIZE 512

/* --- in use ---------------------------------------------------------------------------------- */

struct routes {
	const char *name;
	unsigned int n;
};

static int count_route(void *opaque, char *line)
{
	struct routes *s = (struct routes *)opaque;
	char name[32];
	s->n += sscanf(line, "%31s", name) == 1 && strcmp(name, s->name) == 0;
	return 0;
}

/* "fe80000000000000... 02 40 20 80 eth0": its name comes last */
static int count_address(void *opaque, char *line)
{
	struct routes *s = (struct routes *)opaque;
	char name[32];
	s->n += sscanf(line, "%*s %*s %*s %*s %*s %31s", name) == 1 && strcmp(name, s->name) == 0;
	return 0;
}

void preflight_use(struct preflight_ctx *c, const struct hostpci_dev *d, const char *name)
{
	char why[256], iface[32], fix[96];
	if (!d->driver[0] || preflight_is_vfio_driver(d->driver))
		return; /* the host has let go of it */
	if (bind_in_use(&d->at, why, sizeof(why))) {
		/* The boot display gets a verdict that says more (check_boot_display()). */
		if (!d->boot_vga)
			preflight_say(c, VERDICT_FAIL, "in-use",
				      "stop that use first, or choose another function",
				      "the host uses %s: %s", name, why);
		return;
	}
	if (bind_interface_up(&d->at, iface, sizeof(iface))) {
		struct routes r = { .name = iface }, a = { .name = iface };
		hostproc_lines("/proc/net/route", count_route, &r);
		hostproc_lines("/proc/net/if_inet6", count_address, &a);
		snprintf(fix, sizeof(fix), "if nobody needs it, run: ip link set %s down", iface);
		preflight_say(c, VERDICT_WARN, "in-use", fix,
			      "the host's interface %s on %s is up and goes away with it", iface,
			      name);
		preflight_evidence(c,
				   "/sys/class/net/%s/flags: up; %u IPv4 routes, %u IPv6 addresses",
				   iface, r.n, a.n);
		return;
	}
	preflight_say(c, VERDICT_OK, "in-use", NULL,
		      "no disk, network or screen of the host is on %s", name);
}

/* --- owners ---------------------------------------------------------------------------------- */

struct id_search {
	unsigned int id;
	char name[32];
};

/* "alice:x:1000:..." of passwd and group alike */
static int look_at_id(void *opaque, char *line)
{
	struct id_search *s = (struct id_search *)opaque;
	char name[32];
	unsigned int id;
	if (sscanf(line, "%31[^:]:%*[^:]:%u", name, &id) != 2 || id != s->id)
		return 0;
	memcpy(s->name, name, sizeof(name));
	return 1;
}

static void id_name(const char *file, unsigned int id, char *name, size_t size)
{
	struct id_search s = { .id = id };
	if (hostproc_lines(file, look_at_id, &s) == 1)
		snprintf(name, size, "%s", s.name);
	else
		snprintf(name, size, "%u", id);
}

void preflight_node_owner(const char *node, char *buf, size_t size, char *group)
{
	char path[PATH_SIZE], user[32], grp[32];
	struct stat st;
	buf[0] = '\0';
	if (sys->stat(hostpci_path(path, sizeof(path), "%s", node), &st) < 0)
		return;
	id_name("/etc/passwd", st.st_uid, user, sizeof(user));
	id_name("/etc/group", st.st_gid, grp, sizeof(grp));
	snprintf(buf, size, "%s:%s, mode %04o", user, grp, st.st_mode & 07777u);
	if (group && (st.st_mode & 060) == 060)
		snprintf(group, 32, "%s", grp);
}
