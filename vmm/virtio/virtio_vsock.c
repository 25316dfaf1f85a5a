// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-vsock (VIRTIO 1.2 5.10): sockets between host and guest, served by the host's kernel
// (vhost-vsock: host programs use AF_VSOCK) or, with socket=, by vsock_mux.h (they use UNIX
// sockets). Queues: 0 the guest receives, 1 it sends, 2 events.
#include <errno.h>
#include <inttypes.h>
#include <linux/vhost.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_vsock.h>
#include <stdlib.h>
#include <string.h>

#include "core/bytes.h"
#include "core/dev.h"
#include "core/sys.h"
#include "vmm/virtio/vhost.h"
#include "vmm/virtio/virtio.h"
#include "vmm/virtio/virtio_devs.h"
#include "vmm/virtio/vsock_mux.h"

#define QUEUE_SIZE 128
#define VHOST_PATH "/dev/vhost-vsock"

struct virtio_vsock_cfg {
	struct virtio_props virtio;
	uint64_t cid;
	char *vhostfd, *socket;
};

struct virtio_vsock {
	struct virtio_dev vd;
	struct vhost vhost;
	struct vsock_mux *mux; /* NULL: the kernel serves it */
};

static struct virtio_vsock *vsock_of(struct virtio_dev *vd)
{
	return container_of(vd, struct virtio_vsock, vd);
}

/* ---- served by the kernel -------------------------------------------------------------------- */

static int set_running(struct vhost *vh, int on)
{
	return vhost_request(vh, VHOST_VSOCK_SET_RUNNING, &on, "VHOST_VSOCK_SET_RUNNING");
}

static int kernel_activate(struct virtio_dev *vd)
{
	struct vhost *vh = &vsock_of(vd)->vhost;

	if (!vd->vq[0].ops || !vd->vq[1].ops) /* the driver left one out */
		return 0;
	int r = vhost_start(vh, 0);
	if (r < 0)
		return r;
	r = set_running(vh, 1);
	if (r < 0) {
		set_running(vh, 0);
		vhost_stop(vh);
	}
	return r;
}

static void kernel_deactivate(struct virtio_dev *vd)
{
	struct vhost *vh = &vsock_of(vd)->vhost;

	if (vh->started)
		set_running(vh, 0);
	vhost_stop(vh);
}

static void kernel_call(struct virtio_dev *vd, unsigned int q, int fd)
{
	vhost_call(&vsock_of(vd)->vhost, q, fd);
}

static const struct virtio_ops kernel_ops = {
	.activate = kernel_activate,
	.deactivate = kernel_deactivate,
	.call_changed = kernel_call,
};

static int kernel_open(struct virtio_vsock *s, const struct virtio_vsock_cfg *c,
		       struct virtio_desc *desc, struct verr *reterr)
{
	struct vhost_desc vd = { .path = VHOST_PATH, .fd = -1, .n = 2 };
	uint64_t fd, cid = c->cid;

	if (c->vhostfd) {
		int r = parse_u64(c->vhostfd, 0, INT32_MAX, &fd, reterr);
		if (r < 0)
			return verr_prefix(reterr, r, "vhostfd");
		vd.path = "vhostfd";
		vd.fd = (int)fd;
	}
	int r = vhost_open(&s->vhost, &s->vd, &vd, reterr);
	if (r < 0 && !c->vhostfd)
		return verr_prefix(reterr, r,
				   "no vsock by the host's kernel (socket=PATH does "
				   "without)");
	if (r < 0)
		return r;
	desc->ops = &kernel_ops;
	desc->no_features = vhost_lacks(&s->vhost);
	desc->features = s->vhost.features & BIT64(VIRTIO_VSOCK_F_SEQPACKET);
	if (s->vd.pd.dev.plat->dry_run)
		return 0;
	r = vhost_request(&s->vhost, VHOST_VSOCK_SET_GUEST_CID, &cid, "VHOST_VSOCK_SET_GUEST_CID");
	if (r == -EADDRINUSE)
		return verr_set(reterr, r,
				"cid=%" PRIu64 " is another guest's on this host: choose another",
				c->cid);
	return r < 0 ? verr_set(reterr, r, "%s does not take cid=%" PRIu64 ": %s", vd.path, c->cid,
				strerror(-r))
		     : 0;
}

/* ---- served in user space -------------------------------------------------------------------- */

static int mux_activate(struct virtio_dev *vd)
{
	return vsock_mux_activate(vsock_of(vd)->mux);
}

static void mux_deactivate(struct virtio_dev *vd)
{
	vsock_mux_deactivate(vsock_of(vd)->mux);
}

static void mux_reset(struct virtio_dev *vd)
{
	vsock_mux_reset(vsock_of(vd)->mux);
}

static const struct virtio_ops mux_ops = {
	.activate = mux_activate,
	.deactivate = mux_deactivate,
	.reset = mux_reset,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void vsock_unrealize(struct dev *d)
{
	struct virtio_vsock *s = vsock_of(virtio_of(d));

	virtio_unrealize(&s->vd);
	vhost_close(&s->vhost);
	vsock_mux_close(s->mux);
	s->mux = NULL;
}

static int vsock_realize(struct dev *d, struct verr *reterr)
{
	struct virtio_vsock *s = vsock_of(virtio_of(d));
	const struct virtio_vsock_cfg *c = d->cfg;
	uint8_t config[sizeof(struct virtio_vsock_config)];
	struct virtio_desc desc = {
		.id = VIRTIO_ID_VSOCK,
		.class_code = 0x078000,
		.n_queues = 3,
		.queue_size = QUEUE_SIZE,
		.config = config,
		.config_len = sizeof(config),
		.props = &c->virtio,
	};

	if (c->socket && c->vhostfd)
		return verr_set(reterr, -EINVAL,
				"vhostfd= and socket= contradict each other: give one of them");
	put_le(config, c->cid, sizeof(config));
	desc.ops = &mux_ops;
	int r = c->socket ? vsock_mux_open(&s->vd, c->socket, c->cid, &s->mux, reterr)
			  : kernel_open(s, c, &desc, reterr);
	if (r == 0)
		r = virtio_realize(&s->vd, &desc, reterr);
	if (r < 0)
		vsock_unrealize(d);
	return r;
}

static struct dev *vsock_alloc(void)
{
	struct virtio_vsock *s = calloc(1, sizeof(*s));

	return s ? &s->vd.pd.dev : NULL;
}

static void vsock_free(struct dev *d)
{
	free(vsock_of(virtio_of(d)));
}

static const struct dev_ops vsock_dev_ops = {
	.realize = vsock_realize,
	.unrealize = vsock_unrealize,
	VIRTIO_DEV_OPS,
};

static const struct prop vsock_props[] = {
	PROP_NAMED("cid", struct virtio_vsock_cfg, cid, PROP_U64, PROP_REQUIRED,
		   "the guest's context id, its address", .min = 3, .max = UINT32_MAX - 1),
	PROP_NAMED("vhostfd", struct virtio_vsock_cfg, vhostfd, PROP_STR, NULL,
		   "number of an open descriptor of " VHOST_PATH),
	PROP_NAMED("socket", struct virtio_vsock_cfg, socket, PROP_STR, NULL,
		   "serve it without the host's kernel, at this UNIX socket"),
	VIRTIO_PROPS(struct virtio_vsock_cfg, virtio),
	PROP_END,
};

const struct dev_type virtio_vsock_type = {
	.t = { .name = "virtio-vsock",
	       .category = "virtio",
	       .desc = "sockets between host and guest",
	       .props = vsock_props,
	       .cfg_size = sizeof(struct virtio_vsock_cfg) },
	.ops = &vsock_dev_ops,
	.alloc = vsock_alloc,
	.free = vsock_free,
	.pci = true,
	.user = true,
};
