// SPDX-License-Identifier: GPL-2.0-or-later
// IOMMU groups: from a function to its group, from a group to its fd, from the fd into a
// container, and every reason why not. Owns group fds and the container's choice of IOMMU type
// (it is made when the first group joins). Must not know devices or guest memory.
#define LOG_TAG "vfio/group"

#include "vfio/group.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/sys.h"
#include "pci/hostpci.h"
#include "vfio/device.h"
#include "vfio/preflight_int.h"
#include "vfio/why.h"

int vfio_group_of(const struct bdf *at, unsigned int *ret_id, struct verr *reterr)
{
	char name[BDF_STR_MAX];
	struct hostpci_dev dev;

	int r = hostpci_read(at, &dev, reterr);

	if (r < 0)
		return r;
	if (dev.group == HOSTPCI_NO_GROUP) {
		bdf_str(at, name);
		if (vfio_why_has_iommu())
			return verr_set(reterr, -ENXIO,
					"%s has no IOMMU group: the machine's IOMMU does "
					"not cover it, so it can't be isolated",
					name);
		return verr_set(reterr, -ENXIO,
				"%s has no IOMMU group, the machine's IOMMU is off: %s", name,
				preflight_iommu_fix());
	}
	*ret_id = dev.group;
	return 0;
}

static bool is_noiommu(unsigned int id)
{
	char path[128], name[32];

	hostpci_path(path, sizeof(path), "/sys/kernel/iommu_groups/%u/name", id);
	return sys_read_text(path, name, sizeof(name)) >= 0 && strcmp(name, "vfio-noiommu") == 0;
}

/* "(run: vfio-bind ...)" with the group's first endpoint in it, if it has one. */
static void name_fix(unsigned int id, char *buf, size_t size)
{
	struct hostpci_dev *v;
	char name[BDF_STR_MAX] = "--group";
	int n = hostpci_group(id, &v, NULL);

	for (int i = n - 1; i >= 0; i--)
		if (v[i].header_type == 0)
			bdf_str(&v[i].at, name);
	if (n >= 0)
		free(v);
	snprintf(buf, size, "(run: vfio-bind %s)", name);
}

/* Blocking members as a sentence; without any, `otherwise`. */
static int explain_members(unsigned int id, int code, const char *what, const char *otherwise,
			   struct verr *reterr)
{
	char text[400];

	if (preflight_group_blockers(id, text, sizeof(text)) > 0)
		return verr_set(reterr, code, "group %u %s: %s", id, what, text);
	name_fix(id, text, sizeof(text));
	return verr_set(reterr, code, "group %u %s: %s %s", id, what, otherwise, text);
}

static int explain_open(unsigned int id, const char *node, int r, struct verr *reterr)
{
	char who[80];

	switch (r) {
	case -ENOENT:
		if (is_noiommu(id))
			return verr_set(
				reterr, -EOPNOTSUPP,
				"group %u is a no-IOMMU group: nothing would keep the guest's "
				"device out of the host's memory, so it is never given to a "
				"guest",
				id);
		return explain_members(id, r, "has no node in /dev/vfio",
				       "none of its functions is bound to vfio-pci", reterr);
	case -EBUSY:
		if (vfio_device_closing())
			return verr_set(reterr, r,
					"group %u is in use: the kernel is still closing a device "
					"that vanished (try again in some seconds)",
					id);
		if (vfio_why_holder(node, who, sizeof(who)))
			return verr_set(reterr, r, "group %u is in use: %s has %s open", id, who,
					node);
		return verr_set(reterr, r,
				"group %u is in use: another process has %s open (run: "
				"fuser -v %s)",
				id, node, node);
	case -EACCES:
	case -EPERM:
		return verr_set(reterr, r,
				"no permission to open %s: run as root, or give it to your "
				"user (run: chown $USER %s)",
				node, node);
	default:
		return verr_set(reterr, r, "opening %s: %s", node, strerror(-r));
	}
}

/* Flags are tested one by one: a group in a container is viable, too. */
static int check_viable(const struct vfio_group *g, struct verr *reterr)
{
	struct vfio_group_status st = { .argsz = sizeof(st) };

	int r = sys_ioctl(g->fd, VFIO_GROUP_GET_STATUS, &st);

	if (r < 0)
		return verr_set(reterr, r, "group %u: VFIO_GROUP_GET_STATUS: %s", g->id,
				strerror(-r));
	if (!(st.flags & VFIO_GROUP_FLAGS_VIABLE))
		return explain_members(g->id, -EPERM, "is not viable",
				       "a member belongs to a host driver", reterr);
	if (st.flags & VFIO_GROUP_FLAGS_CONTAINER_SET)
		return verr_set(
			reterr, -EBUSY,
			"group %u is in a container already: whoever opened it before uses it",
			g->id);
	return 0;
}

static int explain_join(const struct vfio_group *g, const char *call, bool first, int r,
			struct verr *reterr)
{
	char why[300];

	switch (r) {
	case -EPERM:
		/* A driver may have come since the group was asked. */
		if (preflight_group_blockers(g->id, why, sizeof(why)) > 0)
			return verr_set(reterr, r, "group %u is not viable: %s", g->id, why);
		vfio_why_eperm(g->id, why, sizeof(why));
		return verr_set(reterr, r, "group %u: the kernel refuses %s (EPERM): %s", g->id,
				call, why);
	case -EINVAL:
		if (first)
			break;
		return verr_set(
			reterr, r,
			"group %u: its IOMMU is not compatible with that of the groups already "
			"in the container (%s)",
			g->id, call);
	case -EBUSY:
		return explain_members(g->id, r, "is in use",
				       "a host driver or another process owns a member", reterr);
	case -ENODEV:
		return verr_set(reterr, r,
				"group %u: no type1 IOMMU driver takes it (%s; run: modprobe "
				"vfio_iommu_type1)",
				g->id, call);
	default:
		break;
	}
	return verr_set(reterr, r, "group %u: %s: %s", g->id, call, strerror(-r));
}

/* TYPE1v2 is preferred: it refuses to unmap part of a map. Where only TYPE1 is to be had, dma.c
 * sees to it that it unmaps what it mapped. */
static int set_iommu(struct vfio_container *c, const struct vfio_group *g, struct verr *reterr)
{
	int r = c->v2 ? sys_ioctl_n(c->fd, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) : -EINVAL;

	if (r == -EINVAL || r == -ENODEV) {
		r = sys_ioctl_n(c->fd, VFIO_SET_IOMMU, VFIO_TYPE1_IOMMU);
		if (r >= 0)
			c->v2 = false;
	}
	if (r < 0)
		return explain_join(g, "VFIO_SET_IOMMU", true, r, reterr);
	c->iommu_set = true;
	return 0;
}

/* SET_IOMMU comes after the first group: before, the kernel has no IOMMU to ask. */
static int join(struct vfio_container *c, struct vfio_group *g, struct verr *reterr)
{
	int r = sys_ioctl(g->fd, VFIO_GROUP_SET_CONTAINER, &c->fd);

	if (r < 0)
		return explain_join(g, "VFIO_GROUP_SET_CONTAINER", list_empty(&c->groups), r,
				    reterr);
	g->container = vfio_container_get(c);
	list_add_tail(&c->groups, &g->node);

	if (!c->iommu_set) {
		r = set_iommu(c, g, reterr);
		if (r < 0)
			return r;
	}
	return vfio_container_refresh(c, reterr);
}

int vfio_group_attach(struct vfio_container *c, unsigned int id, struct vfio_group **ret,
		      struct verr *reterr)
{
	struct vfio_group *g;
	char node[32];

	list_for_each(g, &c->groups, struct vfio_group, node) {
		if (g->id == id) {
			g->refs++;
			*ret = g;
			return 0;
		}
	}

	g = calloc(1, sizeof(*g));
	if (!g)
		return verr_set(reterr, -ENOMEM, "out of memory");
	g->id = id;
	g->refs = 1;
	list_init(&g->node);
	snprintf(node, sizeof(node), "/dev/vfio/%u", id);
	g->fd = sys_open(node, O_RDWR, 0);

	int r = g->fd < 0 ? explain_open(id, node, g->fd, reterr) : check_viable(g, reterr);

	if (r == 0)
		r = join(c, g, reterr);
	if (r < 0) {
		vfio_group_put(g);
		return r;
	}
	*ret = g;
	return 0;
}

void vfio_group_put(struct vfio_group *g)
{
	if (!g || --g->refs > 0)
		return;

	struct vfio_container *c = g->container;

	if (c) {
		list_del(&g->node);
		int r = sys_ioctl(g->fd, VFIO_GROUP_UNSET_CONTAINER, NULL);

		if (r < 0)
			log_debug("group %u: VFIO_GROUP_UNSET_CONTAINER: %s", g->id, strerror(-r));
		/* The kernel drops the container's IOMMU with its last group. */
		if (list_empty(&c->groups))
			c->iommu_set = false;
	}
	sys_close_fd(&g->fd);
	vfio_container_put(c);
	free(g);
}
