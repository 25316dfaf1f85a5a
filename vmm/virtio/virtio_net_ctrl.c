// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net's control queue (VIRTIO 1.2 5.1.6.5), served by the main loop under the machine lock:
// receive filter, addresses, VLANs, queue pairs, offloads. A command that is wrong in itself is
// answered with VIRTIO_NET_ERR and changes nothing.
#define LOG_TAG "virtio/net"
#include <errno.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/sys.h"
#include "vmm/virtio/virtio_net_int.h"

#define SEGS   64u
#define BUDGET 32u /* commands before the machine's other business has a turn */

/* What follows class and command. */
struct data {
	const struct iovec *iov;
	unsigned int n;
	size_t at, len; /* bytes looked at; all */
};

static bool get(struct data *d, void *buf, size_t len)
{
	if (d->len - d->at < len)
		return false;
	iov_get(d->iov, d->n, d->at, buf, len);
	d->at += len;
	return true;
}

/* The last of it. */
static bool get_all(struct data *d, void *buf, size_t len)
{
	return d->len - d->at == len && get(d, buf, len);
}

/* ---- the classes ----------------------------------------------------------------------------- */

static bool do_rx(struct virtio_net *s, uint8_t cmd, struct data *d)
{
	struct net_filter *f = &s->filter;
	bool *const flags[] = { &f->promisc, &f->allmulti, &f->alluni,
				&f->nomulti, &f->nouni,	   &f->nobcast };
	bool extra = cmd > VIRTIO_NET_CTRL_RX_ALLMULTI;
	uint8_t on;

	if (!virtio_has(&s->vd, extra ? VIRTIO_NET_F_CTRL_RX_EXTRA : VIRTIO_NET_F_CTRL_RX) ||
	    cmd >= ARRAY_SIZE(flags) || !get_all(d, &on, 1))
		return false;
	*flags[cmd] = on != 0;
	return true;
}

static bool get_table(struct data *d, struct net_macs *t)
{
	uint8_t n[4];

	memset(t, 0, sizeof(*t));
	if (!get(d, n, sizeof(n)) || (d->len - d->at) / sizeof(struct net_mac) < get_le32(n))
		return false;
	t->overflow = get_le32(n) > NET_FILTER_MACS;
	t->n = t->overflow ? 0 : get_le32(n);
	get(d, t->mac, t->n * sizeof(struct net_mac));
	if (t->overflow)
		d->at += (size_t)get_le32(n) * sizeof(struct net_mac);
	return true;
}

static bool do_mac(struct virtio_net *s, uint8_t cmd, struct data *d)
{
	struct net_macs uni, multi;
	struct net_mac mac;

	if (cmd == VIRTIO_NET_CTRL_MAC_TABLE_SET && virtio_has(&s->vd, VIRTIO_NET_F_CTRL_RX)) {
		if (!get_table(d, &uni) || !get_table(d, &multi) || d->at != d->len)
			return false;
		s->filter.uni = uni;
		s->filter.multi = multi;
		return true;
	}
	if (cmd != VIRTIO_NET_CTRL_MAC_ADDR_SET ||
	    !virtio_has(&s->vd, VIRTIO_NET_F_CTRL_MAC_ADDR) || !get_all(d, &mac, sizeof(mac)))
		return false;
	s->filter.own = mac;
	memcpy(s->vd.config + offsetof(struct virtio_net_config, mac), &mac, sizeof(mac));
	return true;
}

static bool do_vlan(struct virtio_net *s, uint8_t cmd, struct data *d)
{
	uint8_t vid[2];

	if (!virtio_has(&s->vd, VIRTIO_NET_F_CTRL_VLAN) || cmd > VIRTIO_NET_CTRL_VLAN_DEL ||
	    !get_all(d, vid, sizeof(vid)) || get_le16(vid) >= 4096)
		return false;
	net_filter_set_vlan(&s->filter, get_le16(vid), cmd == VIRTIO_NET_CTRL_VLAN_ADD);
	return true;
}

static bool do_mq(struct virtio_net *s, uint8_t cmd, struct data *d)
{
	uint8_t pairs[2];

	if (!virtio_has(&s->vd, VIRTIO_NET_F_MQ) || cmd != VIRTIO_NET_CTRL_MQ_VQ_PAIRS_SET ||
	    !get_all(d, pairs, sizeof(pairs)) || get_le16(pairs) == 0 ||
	    get_le16(pairs) > s->net->n_queues)
		return false;
	int r = net_use_pairs(s, get_le16(pairs));
	if (r < 0)
		guest_warn("%s: %s can't use %u queues: %s", s->vd.pd.dev.id, s->net->name,
			   (unsigned int)get_le16(pairs), strerror(-r));
	return r == 0;
}

static bool do_offloads(struct virtio_net *s, uint8_t cmd, struct data *d)
{
	uint8_t bits[8];

	return virtio_has(&s->vd, VIRTIO_NET_F_CTRL_GUEST_OFFLOADS) &&
	       cmd == VIRTIO_NET_CTRL_GUEST_OFFLOADS_SET && get_all(d, bits, sizeof(bits)) &&
	       (get_le64(bits) & ~(s->vd.acked & net_guest_offloads())) == 0 &&
	       net_set_offloads(s, get_le64(bits)) == 0;
}

static bool perform(struct virtio_net *s, struct data *d)
{
	uint8_t head[2]; /* class, command */

	if (!get(d, head, sizeof(head)))
		return false;
	switch (head[0]) {
	case VIRTIO_NET_CTRL_RX:
		return do_rx(s, head[1], d);
	case VIRTIO_NET_CTRL_MAC:
		return do_mac(s, head[1], d);
	case VIRTIO_NET_CTRL_VLAN:
		return do_vlan(s, head[1], d);
	case VIRTIO_NET_CTRL_MQ:
		return do_mq(s, head[1], d);
	case VIRTIO_NET_CTRL_GUEST_OFFLOADS:
		return do_offloads(s, head[1], d);
	default:
		return false;
	}
}

/* ---- the queue ------------------------------------------------------------------------------- */

static bool serve_one(struct virtio_net *s)
{
	struct iovec iov[SEGS];
	struct vq_elem e = { .iov = iov, .iov_max = SEGS };

	if (vq_pop(s->ctrl, &e) <= 0)
		return false;
	if (e.in_len == 0) {
		vq_unpop(s->ctrl, &e);
		vq_break(s->ctrl, "a command without room for its status");
		return false;
	}
	struct data d = { .iov = iov, .n = e.n_out, .len = e.out_len };
	uint8_t ack = perform(s, &d) ? VIRTIO_NET_OK : VIRTIO_NET_ERR;
	if (ack == VIRTIO_NET_OK)
		net_filter_changed(s);
	iov_put(iov + e.n_out, e.n_in, 0, &ack, 1);
	vq_push(s->ctrl, &e, 1);
	vq_flush(s->ctrl);
	return true;
}

static void kicked(struct loop_fd *src, uint32_t events)
{
	struct virtio_net *s = container_of(src, struct virtio_net, ctrl_src);
	unsigned int n = 0;

	(void)events;
	sys_event_take(src->fd);
	do {
		vq_kick_disable(s->ctrl);
		while (n < BUDGET && serve_one(s))
			n++;
	} while (n < BUDGET && vq_kick_enable(s->ctrl));
	if (n == BUDGET)
		sys_event_signal(src->fd);
}

int net_ctrl_begin(struct virtio_net *s)
{
	unsigned int i = virtio_has(&s->vd, VIRTIO_NET_F_MQ) ? 2 * s->net->n_queues : 2;

	if (!virtio_has(&s->vd, VIRTIO_NET_F_CTRL_VQ) || !s->vd.vq[i].ops)
		return 0;
	s->ctrl = &s->vd.vq[i];
	s->ctrl_src =
		(struct loop_fd){ .fd = s->ctrl->kick_fd, .events = EPOLLIN, .ready = kicked };
	return loop_add_fd(s->vd.pd.dev.plat->loop, &s->ctrl_src, NULL);
}

void net_ctrl_end(struct virtio_net *s)
{
	loop_del_fd(&s->ctrl_src);
	s->ctrl = NULL;
}
