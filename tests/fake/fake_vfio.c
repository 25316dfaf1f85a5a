// SPDX-License-Identifier: GPL-2.0-or-later
//
// VFIO containers and groups: who may attach where and when (drivers/vfio/container.c and group.c
// of Linux 6.1 to 6.12 are the model). Owns containers, and a group's one open file. What an
// attached container maps is fake_vfio_iommu.c's.
#include "tests/fake/fake_vfio.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "tests/fake/fake_host.h"
#include "tests/fake/fake_int.h"

struct fk_container {
	struct list node;
	unsigned int refs; /* its file and each group in it */
	bool open;
	unsigned int n_groups;
	struct fk_iommu *iommu; /* NULL until SET_IOMMU */
	bool v2;
};

static struct list containers = { &containers, &containers };

static void container_put(struct fk_container *c)
{
	if (--c->refs)
		return;
	list_del(&c->node);
	free(c);
}

struct fk_iommu *fk_group_iommu(struct fk_group *g)
{
	return g && g->container ? g->container->iommu : NULL;
}

/* --- attaching ---------------------------------------------------------------------------- */

static int iommu_join(struct fk_container *c, struct fk_group *g)
{
	if (g->attach_errno)
		return -g->attach_errno;
	struct fk_group *o;
	list_for_each(o, fk_groups(), struct fk_group, node)
		if (o != g && o->container == c && o->domain != g->domain)
			return -EINVAL;
	return fk_iommu_attach(c->iommu, g);
}

static long set_container(struct fk_group *g, const int *fd)
{
	if (g->container)
		return -EINVAL;
	if (!fk_file(*fd))
		return -EBADF;
	struct fk_container *c = fk_obj(*fd, FK_CONTAINER);
	if (!c)
		return -EINVAL;
	/* Ownership of the group's DMA is claimed here since 5.19. */
	if (!fk_group_viable(g))
		return -EPERM;
	if (c->iommu) {
		int r = iommu_join(c, g);
		if (r < 0)
			return r;
	}
	g->container = c;
	g->users = 0;
	c->refs++;
	c->n_groups++;
	return 0;
}

static void leave(struct fk_group *g)
{
	struct fk_container *c = g->container;
	if (!c)
		return;
	g->container = NULL;
	c->n_groups--;
	if (c->iommu) {
		fk_iommu_detach(c->iommu, g, c->n_groups == 0);
		/* The last group takes the IOMMU with it: the container is as new. */
		if (c->n_groups == 0) {
			fk_iommu_free(c->iommu);
			c->iommu = NULL;
		}
	}
	container_put(c);
}

static long unset_container(struct fk_group *g)
{
	if (!g->container)
		return -EINVAL;
	if (g->users)
		return -EBUSY;
	leave(g);
	return 0;
}

/* --- group -------------------------------------------------------------------------------- */

static long get_status(const struct fk_group *g, struct vfio_group_status *s)
{
	if (s->argsz < sizeof(*s))
		return -EINVAL;
	s->flags = 0;
	if (g->container)
		s->flags |= VFIO_GROUP_FLAGS_CONTAINER_SET | VFIO_GROUP_FLAGS_VIABLE;
	else if (fk_group_viable(g))
		s->flags |= VFIO_GROUP_FLAGS_VIABLE;
	return 0;
}

/* vfio_pci_core_match() and vfio_pci_validate_vf_token(): options behind the name. */
static int check_options(const struct fake_dev *d, const char *opts)
{
	const char *token = NULL;
	opts += strspn(opts, " ");
	if (strncmp(opts, "vf_token=", 9) == 0 && strlen(opts + 9) == 36)
		token = opts + 9;
	else if (*opts)
		return -EINVAL;
	if (!d->desc->vf_token)
		return token ? -EINVAL : 0;
	return token && strcasecmp(token, d->desc->vf_token) == 0 ? 0 : -EACCES;
}

static long get_device_fd(struct fk_group *g, const char *name)
{
	char bdf[64];
	snprintf(bdf, sizeof(bdf), "%.*s", (int)strcspn(name, " "), name);
	struct fake_dev *d = fake_dev_find(bdf);
	if (!d || d->group != g || strcmp(d->driver, "vfio-pci") != 0)
		return -ENODEV;
	if (!g->container || !g->container->iommu)
		return -EINVAL;
	int r = check_options(d, name + strlen(bdf));
	return r < 0 ? r : fk_vdev_open(d);
}

static long group_ioctl(struct fk_file *f, unsigned long req, void *arg)
{
	struct fk_group *g = f->obj;
	switch (req) {
	case VFIO_GROUP_GET_STATUS:
		return get_status(g, arg);
	case VFIO_GROUP_SET_CONTAINER:
		return set_container(g, arg);
	case VFIO_GROUP_UNSET_CONTAINER:
		return unset_container(g);
	case VFIO_GROUP_GET_DEVICE_FD:
		return get_device_fd(g, arg);
	default:
		return -ENOTTY;
	}
}

/* The file stays open, in the kernel, while a device of the group is. */
void fk_group_put(struct fk_group *g)
{
	if (--g->opens == 0)
		leave(g);
}

static void group_release(struct fk_file *f)
{
	fk_group_put(f->obj);
}

static const struct fk_fops group_fops = { .ioctl = group_ioctl, .release = group_release };

int fk_group_open(void *opaque, const char *path, int flags)
{
	struct fk_group *g = opaque;
	(void)flags;
	if (g->opens)
		return -EBUSY;
	int fd = fk_install(FK_GROUP, &group_fops, g, "%s", path);
	if (fd >= 0)
		g->opens = 1;
	return fd;
}

/* --- container ---------------------------------------------------------------------------- */

static bool known_type(unsigned long type)
{
	const struct fake_iommu_cfg *cfg = fake_iommu();
	return cfg->present &&
	       (type == VFIO_TYPE1_IOMMU || (type == VFIO_TYPE1v2_IOMMU && cfg->type1v2));
}

static long set_iommu(struct fk_container *c, unsigned long type)
{
	/* Only with a group inside, and once. */
	if (c->n_groups == 0 || c->iommu)
		return -EINVAL;
	if (!known_type(type))
		return -ENODEV;
	c->v2 = type == VFIO_TYPE1v2_IOMMU;
	c->iommu = fk_iommu_new(c->v2);
	struct fk_group *g;
	list_for_each(g, fk_groups(), struct fk_group, node) {
		if (g->container != c)
			continue;
		int r = iommu_join(c, g);
		if (r < 0) {
			fk_iommu_free(c->iommu);
			c->iommu = NULL;
			return r;
		}
	}
	return 0;
}

static long container_ioctl(struct fk_file *f, unsigned long req, void *arg)
{
	struct fk_container *c = f->obj;
	switch (req) {
	case VFIO_GET_API_VERSION:
		return VFIO_API_VERSION;
	case VFIO_CHECK_EXTENSION:
		return fk_iommu_extension(c->iommu != NULL, c->v2, (unsigned long)arg);
	case VFIO_SET_IOMMU:
		return set_iommu(c, (unsigned long)arg);
	default:
		return c->iommu ? fk_iommu_ioctl(c->iommu, req, arg) : -EINVAL;
	}
}

static void container_release(struct fk_file *f)
{
	struct fk_container *c = f->obj;
	c->open = false;
	container_put(c);
}

static const struct fk_fops container_fops = { .ioctl = container_ioctl,
					       .release = container_release };

int fk_container_open(void *opaque, const char *path, int flags)
{
	(void)opaque;
	(void)flags;
	struct fk_container *c = fk_zalloc(sizeof(*c));
	int fd = fk_install(FK_CONTAINER, &container_fops, c, "%s", path);
	if (fd < 0) {
		free(c);
		return fd;
	}
	c->refs = 1;
	c->open = true;
	list_add_tail(&containers, &c->node);
	return fd;
}

/* --- counting ----------------------------------------------------------------------------- */

unsigned int fake_containers(void)
{
	unsigned int n = 0;
	fk_lock();
	struct fk_container *c;
	list_for_each(c, &containers, struct fk_container, node)
		n += c->open;
	fk_unlock();
	return n;
}

unsigned int fake_groups_attached(void)
{
	unsigned int n = 0;
	fk_lock();
	struct fk_group *g;
	list_for_each(g, fk_groups(), struct fk_group, node)
		n += g->container != NULL;
	fk_unlock();
	return n;
}

unsigned int fk_vfio_leaks(FILE *f)
{
	unsigned int n = 0;
	struct fk_group *g;
	list_for_each(g, fk_groups(), struct fk_group, node) {
		if (g->opens == 0 && !g->container)
			continue;
		n++;
		if (f)
			fprintf(f, "leak: group %d is %s%s\n", g->id, g->opens ? "open" : "closed",
				g->container ? ", attached to a container" : "");
	}
	struct fake_dev *d;
	list_for_each(d, fk_devs(), struct fake_dev, node) {
		if (!d->vdev)
			continue;
		n++;
		if (f)
			fprintf(f, "leak: device %s is open (%u references)\n", d->bdf,
				d->vdev->refs);
	}
	unsigned int maps = fake_dma_maps();
	if (maps && f)
		fprintf(f, "leak: %u DMA maps, %llu bytes\n", maps,
			(unsigned long long)fake_dma_bytes());
	return n + (maps != 0);
}
