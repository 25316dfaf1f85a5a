// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net whose frames the host's kernel moves (vhost-net): a kernel device a queue pair, given
// the pair's rings and the network's descriptor. Neither a frame nor a kick nor an interrupt wakes
// user space. The kernel filters nothing, which a driver has to reckon with anyway.
#define LOG_TAG "virtio/net"
#include <errno.h>
#include <linux/vhost.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <sys/epoll.h>

#include "vmm/virtio/virtio_net_int.h"

#define VHOST_PATH "/dev/vhost-net"

int net_vhost_open(struct virtio_net *s, struct verr *reterr)
{
	int r = 0;

	if (!s->net->vhost)
		return 0;
	s->vhost = calloc(s->net->n_queues, sizeof(*s->vhost));
	if (!s->vhost)
		return verr_set(reterr, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < s->net->n_queues && r == 0; i++) {
		int *fd = &s->net->vhost_fd[i];
		const struct vhost_desc desc = {
			.path = *fd < 0 ? VHOST_PATH : "vhostfd", .fd = *fd, .first = 2 * i, .n = 2
		};

		r = vhost_open(&s->vhost[i], &s->vd, &desc, reterr);
		/* One that was passed serves one device; the next opens its own. */
		if (r == 0)
			*fd = -1;
	}
	if (r == 0 && !s->net->vnet_hdr &&
	    !(s->vhost[0].features & BIT64(VHOST_NET_F_VIRTIO_NET_HDR)))
		r = verr_set(reterr, -EOPNOTSUPP,
			     "vhost=on: the host's kernel can't do without IFF_VNET_HDR");
	return r;
}

void net_vhost_close(struct virtio_net *s)
{
	for (unsigned int i = 0; s->vhost && i < s->net->n_queues; i++)
		vhost_close(&s->vhost[i]);
	free(s->vhost);
	s->vhost = NULL;
}

/* Its rings of the pair that the driver uses; fd -1: none of them any more. */
static int set_backend(struct vhost *vh, int fd)
{
	int r = 0;

	for (unsigned int i = 0; i < 2 && (r == 0 || fd < 0); i++) {
		struct vhost_vring_file file = { .index = i, .fd = fd };

		if (vh->vd->vq[vh->first + i].ops)
			r = vhost_request(vh, VHOST_NET_SET_BACKEND, &file,
					  "VHOST_NET_SET_BACKEND");
	}
	return r;
}

int net_vhost_begin(struct virtio_net *s, unsigned int pair)
{
	struct vhost *vh = &s->vhost[pair];

	int r = vhost_start(vh, s->net->vnet_hdr ? 0 : BIT64(VHOST_NET_F_VIRTIO_NET_HDR));
	if (r < 0)
		return r;
	r = set_backend(vh, s->net->fd[pair]);
	if (r < 0)
		net_vhost_end(s, pair);
	return r;
}

void net_vhost_end(struct virtio_net *s, unsigned int pair)
{
	set_backend(&s->vhost[pair], -1);
	vhost_stop(&s->vhost[pair]);
}

/* Nobody reads the network here: its end is all there is to hear. */
static void ended(struct loop_fd *src, uint32_t events)
{
	struct virtio_net *s = container_of(src, struct virtio_net, end_src);

	if (!(events & (EPOLLERR | EPOLLHUP)))
		return;
	loop_del_fd(src);
	net_lost(s);
}

int net_vhost_watch(struct virtio_net *s)
{
	if (!s->vhost)
		return 0;
	s->end_src = (struct loop_fd){ .fd = s->net->fd[0], .events = 0, .ready = ended };
	return loop_add_fd(s->vd.pd.dev.plat->loop, &s->end_src, NULL);
}

void net_call_changed(struct virtio_dev *vd, unsigned int q, int fd)
{
	struct virtio_net *s = container_of(vd, struct virtio_net, vd);

	if (s->vhost && q / 2 < s->net->n_queues)
		vhost_call(&s->vhost[q / 2], q, fd);
}
