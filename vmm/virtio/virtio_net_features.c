// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net's features (VIRTIO 1.2 5.1.3): which it offers, and what those that the driver took
// mean to the network. Owns nothing.
#include <errno.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include "vmm/virtio/virtio_net_int.h"

/* What a network can do, and the features that say it of the device and ask it of the guest. */
static const struct {
	unsigned int net, host, guest;
} offload_map[] = {
	{ TUN_F_CSUM, VIRTIO_NET_F_CSUM, VIRTIO_NET_F_GUEST_CSUM },
	{ TUN_F_TSO4, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_GUEST_TSO4 },
	{ TUN_F_TSO6, VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_GUEST_TSO6 },
	{ TUN_F_TSO_ECN, VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_GUEST_ECN },
	{ TUN_F_UFO, VIRTIO_NET_F_HOST_UFO, VIRTIO_NET_F_GUEST_UFO },
	{ NETDEV_USO4, NET_F_HOST_USO, NET_F_GUEST_USO4 },
	{ NETDEV_USO6, NET_F_HOST_USO, NET_F_GUEST_USO6 },
};

uint64_t net_guest_offloads(void)
{
	uint64_t all = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(offload_map); i++)
		all |= BIT64(offload_map[i].guest);
	return all;
}

/* As the kernel takes it: without checksums there is nothing, without TSO no ECN, and USO for both
 * families or none. A driver that asks for more gets less, which it can't tell. */
static unsigned int to_net(uint64_t offloads)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(offload_map); i++)
		if (offloads & BIT64(offload_map[i].guest))
			n |= offload_map[i].net;
	if (!(n & TUN_F_CSUM))
		return 0;
	if (!(n & (TUN_F_TSO4 | TUN_F_TSO6)))
		n &= ~(unsigned int)TUN_F_TSO_ECN;
	if ((n & (NETDEV_USO4 | NETDEV_USO6)) != (NETDEV_USO4 | NETDEV_USO6))
		n &= ~(NETDEV_USO4 | NETDEV_USO6);
	return n;
}

int net_gone(struct virtio_net *s, int r)
{
	if (r != -EBADFD)
		return r;
	net_lost(s);
	return 0;
}

int net_set_offloads(struct virtio_net *s, uint64_t offloads)
{
	int r = 0;

	if (s->net->ops->set_offload && s->net->fd[0] >= 0)
		r = s->net->ops->set_offload(s->net, to_net(offloads) & s->net->offloads);
	if (r == 0)
		s->offloads = offloads;
	return net_gone(s, r);
}

uint64_t net_features(const struct virtio_net *s, bool offloads, bool mtu)
{
	uint64_t f = BIT64(VIRTIO_NET_F_MAC) | BIT64(VIRTIO_NET_F_STATUS) |
		     BIT64(VIRTIO_NET_F_MRG_RXBUF) | BIT64(VIRTIO_NET_F_CTRL_VQ) |
		     BIT64(VIRTIO_NET_F_CTRL_RX) | BIT64(VIRTIO_NET_F_CTRL_RX_EXTRA) |
		     BIT64(VIRTIO_NET_F_CTRL_VLAN) | BIT64(VIRTIO_NET_F_CTRL_MAC_ADDR);

	f |= s->net->n_queues > 1 ? BIT64(VIRTIO_NET_F_MQ) : 0;
	if (s->vhost)
		f &= s->vhost[0].features | ~BIT64(VIRTIO_NET_F_MRG_RXBUF);
	f |= mtu ? BIT64(VIRTIO_NET_F_MTU) : 0;
	if (!offloads || !s->net->offloads)
		return f;
	for (unsigned int i = 0; i < ARRAY_SIZE(offload_map); i++)
		if (s->net->offloads & offload_map[i].net)
			f |= BIT64(offload_map[i].host) | BIT64(offload_map[i].guest);
	return f | BIT64(VIRTIO_NET_F_CTRL_GUEST_OFFLOADS);
}
