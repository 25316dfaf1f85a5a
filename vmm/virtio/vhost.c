// SPDX-License-Identifier: GPL-2.0-or-later
// Kernel vhost (see the header): the requests every vhost device has, in the order the kernel
// wants them. Owns the descriptor and the error eventfd; knows no device type.
#define LOG_TAG "virtio/vhost"
#include "vmm/virtio/vhost.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "core/log.h"
#include "core/sys.h"

/* What virtio.c may offer. Notification data (38) is newer than the oldest headers. */
#define RING_FEATURES                                                                              \
	(BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX) |                     \
	 BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER) |      \
	 BIT64(38))
/* What the kernel may have and we never want: with the first it would ask for each translation,
 * with the second log each write, and the third it calls what is not a feature of rings. */
#define NEVER                                                                                      \
	(BIT64(VIRTIO_F_ACCESS_PLATFORM) | BIT64(VHOST_F_LOG_ALL) | BIT64(VIRTIO_F_RING_PACKED))

int vhost_request(struct vhost *vh, unsigned long request, void *arg, const char *name)
{
	int r = sys_ioctl(vh->fd, request, arg);

	if (r < 0)
		log_debug("%s: %s: %s: %s", vh->vd->pd.dev.id, vh->path, name, strerror(-r));
	return MIN(r, 0);
}
#define REQUEST(vh, request, arg) vhost_request(vh, request, arg, #request)

uint64_t vhost_lacks(const struct vhost *vh)
{
	return RING_FEATURES & ~vh->features;
}

/* ---- life ------------------------------------------------------------------------------------ */

static void ring_error(struct loop_fd *src, uint32_t events)
{
	struct vhost *vh = container_of(src, struct vhost, err_src);

	(void)events;
	if (sys_event_take(src->fd) > 0 && vh->started)
		virtio_needs_reset(vh->vd, "the host's kernel found a ring broken");
}

static int open_fd(struct vhost *vh, const struct vhost_desc *desc, struct verr *reterr)
{
	if (desc->fd >= 0) {
		vh->fd = desc->fd;
		return 0;
	}
	int r = sys_open(desc->path, O_RDWR, 0);
	if (r == -ENOENT || r == -ENODEV)
		return verr_set(reterr, r, "%s is not there: load the kernel module of that name",
				desc->path);
	if (r == -EACCES || r == -EPERM)
		return verr_set(reterr, r, "%s: permission denied: give this user access to it",
				desc->path);
	if (r < 0)
		return verr_set(reterr, r, "%s can't be opened: %s", desc->path, strerror(-r));
	vh->fd = r;
	return 0;
}

static int own(struct vhost *vh, struct verr *reterr)
{
	int r = REQUEST(vh, VHOST_GET_FEATURES, &vh->features);

	if (r == -ENOTTY || r == -EBADF || r == -EINVAL)
		return verr_set(reterr, r, "%s (fd %d) is not a vhost device", vh->path, vh->fd);
	if (r < 0)
		return verr_set(reterr, r, "%s does not tell its features: %s", vh->path,
				strerror(-r));
	vh->features &= ~NEVER;
	if (!(vh->features & BIT64(VIRTIO_F_VERSION_1)))
		return verr_set(reterr, -EOPNOTSUPP,
				"%s serves legacy virtio only: the host's kernel is too old",
				vh->path);
	if (vh->vd->pd.dev.plat->dry_run)
		return 0;
	r = REQUEST(vh, VHOST_SET_OWNER, NULL);
	if (r == -EBUSY)
		return verr_set(reterr, r, "%s (fd %d) is in use already", vh->path, vh->fd);
	if (r < 0)
		return verr_set(reterr, r, "%s can't be owned: %s", vh->path, strerror(-r));
	return 0;
}

static int watch_errors(struct vhost *vh, struct verr *reterr)
{
	if (vh->vd->pd.dev.plat->dry_run)
		return 0;
	int r = sys_eventfd(0, EFD_NONBLOCK);
	if (r < 0)
		return verr_set(reterr, r, "no eventfd for %s: %s", vh->path, strerror(-r));
	vh->err_fd = r;
	vh->err_src = (struct loop_fd){ .fd = r, .events = EPOLLIN, .ready = ring_error };
	return loop_add_fd(vh->vd->pd.dev.plat->loop, &vh->err_src, reterr);
}

int vhost_open(struct vhost *vh, struct virtio_dev *vd, const struct vhost_desc *desc,
	       struct verr *reterr)
{
	*vh = (struct vhost){ .vd = vd,
			      .path = desc->path,
			      .fd = -1,
			      .first = desc->first,
			      .n = desc->n,
			      .err_fd = -1 };
	int r = open_fd(vh, desc, reterr);
	if (r == 0)
		r = own(vh, reterr);
	if (r == 0)
		r = watch_errors(vh, reterr);
	if (r < 0) {
		if (vh->fd == desc->fd)
			vh->fd = -1;
		vhost_close(vh);
	}
	return r;
}

void vhost_close(struct vhost *vh)
{
	if (!vh->vd)
		return;
	assert(!vh->started);
	loop_del_fd(&vh->err_src);
	sys_close_fd(&vh->err_fd);
	sys_close_fd(&vh->fd);
	vh->vd = NULL;
}

/* ---- rings ----------------------------------------------------------------------------------- */

static int set_memory(struct vhost *vh)
{
	const struct gmem_snap *s = vh->vd->mem;
	struct vhost_memory *m = calloc(1, sizeof(*m) + s->n * sizeof(m->regions[0]));

	if (!m)
		return -ENOMEM;
	m->nregions = s->n;
	for (unsigned int i = 0; i < s->n; i++)
		m->regions[i] = (struct vhost_memory_region){
			.guest_phys_addr = s->r[i].gpa,
			.memory_size = s->r[i].size,
			.userspace_addr = (uint64_t)(uintptr_t)s->r[i].hva,
		};
	int r = REQUEST(vh, VHOST_SET_MEM_TABLE, m);
	free(m);
	return r;
}

static int set_ring(struct vhost *vh, unsigned int i)
{
	struct vq *q = &vh->vd->vq[vh->first + i];
	struct vhost_vring_state num = { .index = i, .num = q->size };
	struct vhost_vring_state base = { .index = i, .num = vq_base(q) };
	struct vhost_vring_addr addr = {
		.index = i,
		.desc_user_addr = (uint64_t)(uintptr_t)q->desc,
		.avail_user_addr = (uint64_t)(uintptr_t)q->driver,
		.used_user_addr = (uint64_t)(uintptr_t)q->device,
	};
	struct vhost_vring_file err = { .index = i, .fd = vh->err_fd };
	struct vhost_vring_file call = { .index = i,
					 .fd = __atomic_load_n(&q->call_fd, __ATOMIC_ACQUIRE) };
	struct vhost_vring_file kick = { .index = i, .fd = q->kick_fd };
	int r = REQUEST(vh, VHOST_SET_VRING_NUM, &num);

	if (r == 0)
		r = REQUEST(vh, VHOST_SET_VRING_BASE, &base);
	if (r == 0)
		r = REQUEST(vh, VHOST_SET_VRING_ADDR, &addr);
	if (r == 0)
		r = REQUEST(vh, VHOST_SET_VRING_ERR, &err);
	if (r == 0)
		r = REQUEST(vh, VHOST_SET_VRING_CALL, &call);
	if (r == 0)
		r = REQUEST(vh, VHOST_SET_VRING_KICK, &kick);
	return r;
}

/* The kernel lets go of our eventfds: a kick must not wake it while it has nothing to serve. */
static void unset_ring(struct vhost *vh, unsigned int i)
{
	struct vhost_vring_file none = { .index = i, .fd = VHOST_FILE_UNBIND };

	REQUEST(vh, VHOST_SET_VRING_KICK, &none);
	REQUEST(vh, VHOST_SET_VRING_CALL, &none);
	REQUEST(vh, VHOST_SET_VRING_ERR, &none);
}

int vhost_start(struct vhost *vh, uint64_t extra)
{
	uint64_t features = (vh->vd->acked & vh->features) | extra;

	assert(!vh->started);
	int r = REQUEST(vh, VHOST_SET_FEATURES, &features);
	if (r == 0)
		r = set_memory(vh);
	for (unsigned int i = 0; i < vh->n && r == 0; i++)
		if (vh->vd->vq[vh->first + i].ops)
			r = set_ring(vh, i);
	for (unsigned int i = 0; i < vh->n && r < 0; i++)
		unset_ring(vh, i);
	vh->started = r == 0;
	return r;
}

void vhost_stop(struct vhost *vh)
{
	if (!vh->started)
		return;
	vh->started = false;
	for (unsigned int i = 0; i < vh->n; i++) {
		struct vq *q = &vh->vd->vq[vh->first + i];
		struct vhost_vring_state base = { .index = i };

		if (!q->ops)
			continue;
		unset_ring(vh, i);
		if (REQUEST(vh, VHOST_GET_VRING_BASE, &base) == 0)
			vq_set_base(q, base.num);
		else
			virtio_needs_reset(vh->vd, "the host's kernel lost a ring's position");
	}
	/* What it said before it was stopped still counts. */
	if (sys_event_take(vh->err_fd) > 0)
		virtio_needs_reset(vh->vd, "the host's kernel found a ring broken");
}

void vhost_call(struct vhost *vh, unsigned int q, int fd)
{
	struct vhost_vring_file call = { .index = q - vh->first, .fd = fd };

	if (!vh->started || q < vh->first || q - vh->first >= vh->n)
		return;
	if (REQUEST(vh, VHOST_SET_VRING_CALL, &call) < 0)
		virtio_needs_reset(vh->vd, "the host's kernel does not take an interrupt");
}
