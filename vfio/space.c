// SPDX-License-Identifier: GPL-2.0-or-later
// A function's seat in an IOMMU address space: the order in which group, KVM, device and DMA maps
// come together and come apart again. Owns the spaces; must not know what a guest sees.

#define LOG_TAG "vfio/space"

#include "vfio/space.h"

#include <errno.h>
#include <stdlib.h>

#include "core/accel.h"
#include "core/gmem.h"
#include "core/log.h"

static void space_free(struct vfio_space *sp)
{
	vfio_dma_stop(&sp->dma);
	vfio_container_put(sp->c);
	free(sp);
}

static int space_new(struct vfio_space **ret, struct verr *reterr)
{
	struct vfio_space *sp = calloc(1, sizeof(*sp));

	if (!sp)
		return verr_set(reterr, -ENOMEM, "out of memory");
	int r = vfio_container_open(&sp->c, reterr);
	if (r < 0) {
		free(sp);
		return r;
	}
	*ret = sp;
	return 0;
}

/* KVM has to know the group before a device of it is opened: some drivers need the VM then. */
static int group_join(struct vfio_seat *s, unsigned int group, struct verr *reterr)
{
	int r = vfio_group_attach(s->space->c, group, &s->group, reterr);

	if (r < 0)
		return r;
	if (s->group->refs > 1 || !s->accel || !s->accel->ops->vfio_add)
		return 0;
	r = s->accel->ops->vfio_add(s->accel, s->group->fd, reterr);
	if (r < 0) {
		vfio_group_put(s->group);
		s->group = NULL;
	}
	return r;
}

static void group_leave(struct vfio_seat *s)
{
	if (!s->group)
		return;
	if (s->group->refs == 1 && s->accel && s->accel->ops->vfio_del)
		s->accel->ops->vfio_del(s->accel, s->group->fd);
	vfio_group_put(s->group);
	s->group = NULL;
}

/* An existing space that takes the group, or NULL. A group whose IOMMU is incompatible with a
 * container is refused with EINVAL: another container is the answer. */
static struct vfio_space *space_join(struct vfio_seat *s, struct gmem *ram, unsigned int group)
{
	for (struct vfio_dma *d = vfio_dma_next(ram, NULL); d; d = vfio_dma_next(ram, d)) {
		s->space = container_of(d, struct vfio_space, dma);
		if (group_join(s, group, NULL) == 0)
			return s->space;
	}
	s->space = NULL;
	return NULL;
}

int vfio_seat_begin(struct vfio_seat *s, const struct platform *plat, const struct bdf *at,
		    bool aside, struct verr *reterr)
{
	struct vfio_space *fresh = NULL;
	unsigned int group;

	s->accel = plat->accel;
	int r = vfio_group_of(at, &group, reterr);
	if (r < 0)
		return r;
	if (!space_join(s, plat->ram, group)) {
		r = space_new(&fresh, reterr);
		if (r < 0)
			return r;
		s->space = fresh;
		r = group_join(s, group, reterr);
		if (r < 0) {
			s->space = NULL;
			space_free(fresh);
			return r;
		}
	}
	s->space->devices++;
	r = vfio_device_begin(s->space->c, at, s->vf_token, aside, &s->vd, reterr);
	/* The next one finds the space by this. */
	if (r == 0 && fresh)
		r = vfio_dma_start(&fresh->dma, fresh->c, plat->ram, reterr);
	if (r < 0)
		vfio_seat_leave(s);
	return r;
}

int vfio_seat_take(struct vfio_seat *s, const struct platform *plat, const struct bdf *at,
		   struct verr *reterr)
{
	int r = s->vd ? 0 : vfio_seat_begin(s, plat, at, false, reterr);

	if (r < 0)
		return r;
	r = vfio_device_finish(s->vd, reterr);
	if (r < 0)
		vfio_seat_leave(s);
	return r;
}

void vfio_seat_leave(struct vfio_seat *s)
{
	int vanished = -1;

	if (!s->space)
		return;
	if (s->vd && s->vd->vanished)
		vanished = vfio_device_take_fd(s->vd);
	vfio_device_close(s->vd);
	s->vd = NULL;
	bool last = --s->space->devices == 0;
	if (last)
		vfio_dma_stop(&s->space->dma);
	group_leave(s);
	if (last)
		space_free(s->space);
	s->space = NULL;
	if (vanished >= 0)
		vfio_device_close_aside(vanished);
}
