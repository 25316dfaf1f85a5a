// SPDX-License-Identifier: GPL-2.0-or-later
//
// vhost-net and vhost-vsock (see the header). Owns their state; finds memory through the addresses
// it is given, as the kernel does.
#include "tests/fake/fake_vhost.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fake/fake_int.h"

#define RINGS	    2
#define REGIONS_MAX 512
#define CID_MAX	    UINT32_MAX

struct ring {
	struct fk_vhost *v;
	unsigned int index;
	struct vhost_vring_addr addr;
	struct fk_waiter kick; /* e NULL: none */
	struct fk_efd *call, *err;
};

struct fk_vhost {
	struct list node;
	enum fake_vhost_kind kind;
	struct fake_vhost_state s;
	struct vhost_memory_region region[REGIONS_MAX];
	struct ring ring[RINGS];
};

static struct fake_vhost_cfg cfg;
static struct list all = { &all, &all };
static uint64_t taken_cid;

struct fake_vhost_cfg *fake_vhost(void)
{
	return &cfg;
}

static struct fk_vhost *find(enum fake_vhost_kind kind, unsigned int nth)
{
	struct fk_vhost *v;

	list_for_each(v, &all, struct fk_vhost, node)
		if (v->kind == kind && nth-- == 0)
			return v;
	return NULL;
}

/* ---- the ring as its worker sees it ---------------------------------------------------------- */

static bool served(const struct fk_vhost *v, unsigned int ring)
{
	return v->kind == FAKE_VHOST_VSOCK ? v->s.running : v->s.ring[ring].backend >= 0;
}

static bool any_served(const struct fk_vhost *v)
{
	return served(v, 0) || served(v, 1);
}

static int ring_access(const struct fk_vhost *v, unsigned int i)
{
	const struct vhost_vring_addr *a = &v->ring[i].addr;
	uint64_t num = v->s.ring[i].num;
	bool bar;

	if (num == 0 || fk_va_check(a->desc_user_addr, num * 16, false, &bar) < 0 ||
	    fk_va_check(a->avail_user_addr, 4 + num * 2, false, &bar) < 0 ||
	    fk_va_check(a->used_user_addr, 4 + num * 8, true, &bar) < 0)
		return -EFAULT;
	return 0;
}

static unsigned int finish(struct fk_vhost *v, unsigned int i, unsigned int n, uint32_t written)
{
	const struct vhost_vring_addr *a = &v->ring[i].addr;
	struct vring_avail *avail = (struct vring_avail *)(uintptr_t)a->avail_user_addr;
	struct vring_used *used = (struct vring_used *)(uintptr_t)a->used_user_addr;
	unsigned int done = 0, mask = v->s.ring[i].num - 1;
	uint16_t *base = &v->s.ring[i].base;

	while (done < n && __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) != *base) {
		uint16_t at = used->idx;

		used->ring[at & mask].id =
			__atomic_load_n(&avail->ring[*base & mask], __ATOMIC_RELAXED);
		used->ring[at & mask].len = written;
		__atomic_store_n(&used->idx, (uint16_t)(at + 1), __ATOMIC_RELEASE);
		(*base)++;
		done++;
	}
	v->s.ring[i].finished += done;
	if (done && v->ring[i].call)
		fk_efd_signal(v->ring[i].call);
	return done;
}

static void kicked(struct fk_waiter *w)
{
	struct ring *r = container_of(w, struct ring, kick);

	if (!served(r->v, r->index))
		return;
	r->v->s.ring[r->index].kicks++;
	if (r->index == 1)
		finish(r->v, 1, UINT32_MAX, 0);
}

/* ---- requests -------------------------------------------------------------------------------- */

static long set_memory(struct fk_vhost *v, const struct vhost_memory *m)
{
	if (m->padding)
		return -EOPNOTSUPP;
	if (m->nregions > cfg.max_regions)
		return -E2BIG;
	for (unsigned int i = 0; i < m->nregions; i++) {
		const struct vhost_memory_region *r = &m->regions[i];
		uint64_t last = r->guest_phys_addr + r->memory_size - 1;

		if (last < r->guest_phys_addr)
			return -EFAULT;
		for (unsigned int k = 0; k < i; k++) {
			const struct vhost_memory_region *o = &m->regions[k];

			if (r->guest_phys_addr < o->guest_phys_addr + o->memory_size &&
			    o->guest_phys_addr <= last)
				fk_violation("vhost: regions %u and %u of the table overlap", k, i);
		}
	}
	memcpy(v->region, m->regions, m->nregions * sizeof(m->regions[0]));
	v->s.regions = m->nregions;
	return 0;
}

static long set_addr(struct fk_vhost *v, const struct vhost_vring_addr *a)
{
	if (a->flags & ~1u)
		return -EOPNOTSUPP;
	if ((a->avail_user_addr & 1) || (a->used_user_addr & 3) || (a->log_guest_addr & 3))
		return -EINVAL;
	v->ring[a->index].addr = *a;
	return 0;
}

/* A new eventfd, or none for -1, in the place of what was there. */
static long take_event(struct fk_efd **place, int fd)
{
	struct fk_efd *e = NULL;
	int err = 0;

	if (fd != VHOST_FILE_UNBIND && !(e = fk_efd_get(fd, &err)))
		return err;
	fk_efd_put(*place);
	*place = e;
	return 0;
}

static void drop_kick(struct ring *r)
{
	if (r->kick.e)
		fk_waiter_del(&r->kick);
}

static long set_kick(struct ring *r, int fd)
{
	struct fk_efd *e = NULL;
	long err = take_event(&e, fd);

	if (err < 0)
		return err;
	drop_kick(r);
	if (e) {
		fk_waiter_add(&r->kick, e);
		/* A count that is there is a kick. */
		if (fk_efd_pending(e))
			kicked(&r->kick);
	}
	return 0;
}

static long vring_request(struct fk_vhost *v, unsigned long req, void *arg)
{
	unsigned int i = *(const unsigned int *)arg; /* each of them begins with the index */
	struct vhost_vring_state *st = arg;
	const struct vhost_vring_file *file = arg;

	if (i >= RINGS)
		return -ENOBUFS;
	switch (req) {
	case VHOST_SET_VRING_NUM:
		if (served(v, i))
			return -EBUSY;
		if (st->num == 0 || st->num > 0xffff || (st->num & (st->num - 1)))
			return -EINVAL;
		v->s.ring[i].num = st->num;
		return 0;
	case VHOST_SET_VRING_BASE:
		if (served(v, i))
			return -EBUSY;
		if (st->num > 0xffff)
			return -EINVAL;
		v->s.ring[i].base = (uint16_t)st->num;
		return 0;
	case VHOST_GET_VRING_BASE:
		if (served(v, i))
			fk_violation("vhost: position of ring %u asked for while it moves", i);
		st->num = v->s.ring[i].base;
		return 0;
	case VHOST_SET_VRING_ADDR:
		return set_addr(v, arg);
	case VHOST_SET_VRING_KICK:
		return set_kick(&v->ring[i], file->fd);
	case VHOST_SET_VRING_CALL:
		return take_event(&v->ring[i].call, file->fd);
	case VHOST_SET_VRING_ERR:
		return take_event(&v->ring[i].err, file->fd);
	default:
		return -ENOTTY;
	}
}

static long set_backend(struct fk_vhost *v, const struct vhost_vring_file *f)
{
	if (f->index >= RINGS)
		return -ENOBUFS;
	if (!v->s.owned)
		return -EPERM;
	if (ring_access(v, f->index) < 0)
		return -EFAULT;
	if (f->fd != VHOST_FILE_UNBIND && fcntl(f->fd, F_GETFD) < 0)
		return -EBADF;
	v->s.ring[f->index].backend = f->fd;
	if (f->fd >= 0 && v->ring[f->index].kick.e)
		kicked(&v->ring[f->index].kick);
	return 0;
}

static long set_cid(struct fk_vhost *v, uint64_t cid)
{
	struct fk_vhost *o;

	if (cid <= 2 || cid >= CID_MAX)
		return -EINVAL;
	if (cid == taken_cid)
		return -EADDRINUSE;
	list_for_each(o, &all, struct fk_vhost, node)
		if (o != v && o->s.cid == cid)
			return -EADDRINUSE;
	v->s.cid = cid;
	return 0;
}

static long set_running(struct fk_vhost *v, int on)
{
	if (!v->s.owned)
		return -EPERM;
	for (unsigned int i = 0; on && i < RINGS; i++)
		if (ring_access(v, i) < 0)
			return -EFAULT;
	v->s.running = on != 0;
	if (v->s.running && v->ring[1].kick.e)
		kicked(&v->ring[1].kick);
	return 0;
}

static long vhost_ioctl(struct fk_file *f, unsigned long req, void *arg)
{
	struct fk_vhost *v = f->obj;

	if (req == VHOST_GET_FEATURES) {
		*(uint64_t *)arg = cfg.features[v->kind];
		return 0;
	}
	if (req == VHOST_SET_FEATURES) {
		if (*(const uint64_t *)arg & ~cfg.features[v->kind])
			return -EOPNOTSUPP;
		v->s.features = *(const uint64_t *)arg;
		return 0;
	}
	if (v->kind == FAKE_VHOST_NET && req == VHOST_NET_SET_BACKEND)
		return set_backend(v, arg);
	if (v->kind == FAKE_VHOST_VSOCK && req == VHOST_VSOCK_SET_GUEST_CID)
		return set_cid(v, *(const uint64_t *)arg);
	if (v->kind == FAKE_VHOST_VSOCK && req == VHOST_VSOCK_SET_RUNNING)
		return set_running(v, *(const int *)arg);
	if (req == VHOST_SET_OWNER) {
		if (v->s.owned)
			return -EBUSY;
		v->s.owned = true;
		return 0;
	}
	if (!v->s.owned)
		return -EPERM;
	return req == VHOST_SET_MEM_TABLE ? set_memory(v, arg) : vring_request(v, req, arg);
}

static void vhost_release(struct fk_file *f)
{
	struct fk_vhost *v = f->obj;

	for (unsigned int i = 0; i < RINGS; i++) {
		drop_kick(&v->ring[i]);
		fk_efd_put(v->ring[i].call);
		fk_efd_put(v->ring[i].err);
	}
	list_del(&v->node);
	free(v);
}

int fk_vhost_open(void *opaque, const char *path, int flags)
{
	static const struct fk_fops fops = { .ioctl = vhost_ioctl, .release = vhost_release };
	struct fk_vhost *v = fk_zalloc(sizeof(*v));

	(void)opaque;
	(void)flags;
	v->kind = strstr(path, "vsock") ? FAKE_VHOST_VSOCK : FAKE_VHOST_NET;
	for (unsigned int i = 0; i < RINGS; i++) {
		v->ring[i].v = v;
		v->ring[i].index = i;
		v->ring[i].kick.fn = kicked;
		v->s.ring[i].backend = -1;
	}
	int fd = fk_install(FK_VHOST, &fops, v, "%s", path);
	if (fd < 0)
		free(v);
	else
		list_add_tail(&all, &v->node);
	return fd;
}

/* ---- for the rest of the fake ---------------------------------------------------------------- */

bool fk_vhost_uses(uintptr_t addr, uint64_t len)
{
	struct fk_vhost *v;

	list_for_each(v, &all, struct fk_vhost, node)
		for (unsigned int i = 0; any_served(v) && i < v->s.regions; i++)
			if (v->region[i].userspace_addr < addr + len &&
			    addr < v->region[i].userspace_addr + v->region[i].memory_size)
				return true;
	return false;
}

void fk_vhost_reset(void)
{
	/* Files are closed by now, and their objects gone. */
	taken_cid = 0;
	cfg.max_regions = 64;
	cfg.features[FAKE_VHOST_NET] = cfg.features[FAKE_VHOST_VSOCK] =
		BIT64(24) | BIT64(VHOST_F_LOG_ALL) | BIT64(VHOST_NET_F_VIRTIO_NET_HDR) |
		BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX) |
		BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_ACCESS_PLATFORM);
	cfg.features[FAKE_VHOST_NET] |= BIT64(15);
	cfg.features[FAKE_VHOST_VSOCK] |= BIT64(1);
}

/* ---- for tests ------------------------------------------------------------------------------- */

bool fake_vhost_get(enum fake_vhost_kind kind, unsigned int nth, struct fake_vhost_state *ret)
{
	fk_lock();
	const struct fk_vhost *v = find(kind, nth);
	if (v) {
		*ret = v->s;
		for (unsigned int i = 0; i < RINGS; i++) {
			ret->ring[i].kick = v->ring[i].kick.e != NULL;
			ret->ring[i].call = v->ring[i].call != NULL;
			ret->ring[i].err = v->ring[i].err != NULL;
		}
	}
	fk_unlock();
	return v != NULL;
}

unsigned int fake_vhost_deliver(enum fake_vhost_kind kind, unsigned int nth, unsigned int ring,
				unsigned int n, uint32_t written)
{
	fk_lock();
	struct fk_vhost *v = find(kind, nth);
	unsigned int done = v && served(v, ring) ? finish(v, ring, n, written) : 0;
	fk_unlock();
	return done;
}

void fake_vhost_ring_error(enum fake_vhost_kind kind, unsigned int nth, unsigned int ring)
{
	fk_lock();
	struct fk_vhost *v = find(kind, nth);
	if (!v || !v->ring[ring].err)
		fk_bug("no ring to find broken");
	fk_efd_signal(v->ring[ring].err);
	fk_unlock();
}

void fake_vhost_cid_taken(uint64_t cid)
{
	fk_lock();
	taken_cid = cid;
	fk_unlock();
}
