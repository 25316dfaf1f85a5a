// SPDX-License-Identifier: GPL-2.0-or-later
// virtio-net (VIRTIO 1.2 5.1): the device as the control plane sees it - properties, features,
// configuration space, I/O threads, life. Frames are virtio_net_rx.c's and virtio_net_tx.c's,
// commands virtio_net_ctrl.c's; what is behind it is a netdev.
#define LOG_TAG "virtio/net"
#include <errno.h>
#include <inttypes.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "core/bytes.h"
#include "core/log.h"
#include "core/sys.h"
#include "vmm/virtio/virtio_devs.h"
#include "vmm/virtio/virtio_net_int.h"

struct virtio_net_cfg {
	struct virtio_props virtio;
	char *netdev;
	struct net_mac mac; /* all zero: made up */
	uint16_t mtu, iothreads, queue_size;
	bool offloads;
};

static struct virtio_net *net_of(struct virtio_dev *vd)
{
	return container_of(vd, struct virtio_net, vd);
}

/* ---- pairs ----------------------------------------------------------------------------------- */

struct pair_call {
	struct net_pair *p;
	int result;
};

void net_wait_for(struct net_pair *p, uint32_t events, bool on)
{
	uint32_t now = on ? p->net.events | events : p->net.events & ~events;

	if (now != p->net.events)
		iothread_mod_fd(&p->net, now);
}

static void net_ready(struct iothread_fd *src, uint32_t events)
{
	struct net_pair *p = container_of(src, struct net_pair, net);

	if (p->tx.blocked && (events & ~(uint32_t)EPOLLIN))
		net_tx_run(p);
	if ((events & ~(uint32_t)EPOLLOUT) && (src->events & EPOLLIN))
		net_rx_run(p);
}

static void pair_end(void *opaque)
{
	struct net_pair *p = ((struct pair_call *)opaque)->p;

	iothread_del_fd(&p->net);
	net_rx_end(p);
	net_tx_end(p);
}

static void pair_begin(void *opaque)
{
	struct pair_call *c = opaque;
	struct net_pair *p = c->p;

	p->net = (struct iothread_fd){ .fd = p->fd,
				       .events = p->rxq->ops ? EPOLLIN : 0,
				       .ready = net_ready };
	c->result = iothread_add_fd(p->io, &p->net);
	if (c->result == 0 && p->rxq->ops)
		c->result = net_rx_begin(p);
	if (c->result == 0 && p->txq->ops)
		c->result = net_tx_begin(p);
	if (c->result < 0)
		pair_end(c);
}

static void end_pair(struct net_pair *p)
{
	struct pair_call c = { .p = p };

	if (p->begun && p->s->vhost)
		net_vhost_end(p->s, (unsigned int)(p - p->s->pair));
	else if (p->begun)
		iothread_call(p->io, pair_end, &c);
	p->begun = false;
}

static int begin_pair(struct virtio_net *s, unsigned int i)
{
	struct net_pair *p = &s->pair[i];
	struct pair_call c = { .p = p };

	p->s = s;
	if (s->vhost) {
		c.result = net_vhost_begin(s, i);
		p->begun = c.result == 0;
		return c.result;
	}
	p->io = s->io[i % s->n_threads];
	p->rxq = &s->vd.vq[2 * i];
	p->txq = &s->vd.vq[2 * i + 1];
	p->fd = s->net->fd[i];
	p->stream = s->net->stream;
	p->vnet_hdr = s->net->vnet_hdr;
	p->mergeable = virtio_has(&s->vd, VIRTIO_NET_F_MRG_RXBUF);
	p->guest_csum = virtio_has(&s->vd, VIRTIO_NET_F_GUEST_CSUM);
	p->filter = s->filter;
	iothread_call(p->io, pair_begin, &c);
	p->begun = c.result == 0;
	return c.result;
}

int net_use_pairs(struct virtio_net *s, unsigned int n)
{
	int r = 0;

	for (unsigned int i = n; i < s->net->n_queues; i++)
		end_pair(&s->pair[i]);
	if (s->net->ops->set_queues)
		r = net_gone(s, s->net->ops->set_queues(s->net, n));
	for (unsigned int i = 0; i < n && r == 0; i++)
		if (!s->pair[i].begun)
			r = begin_pair(s, i);
	if (r == 0)
		s->n_pairs = n;
	return r;
}

static void pair_filter(void *opaque)
{
	struct net_pair *p = ((struct pair_call *)opaque)->p;

	p->filter = p->s->filter;
}

void net_filter_changed(struct virtio_net *s)
{
	for (unsigned int i = 0; i < s->net->n_queues; i++) {
		struct pair_call c = { .p = &s->pair[i] };

		if (s->pair[i].begun && !s->vhost)
			iothread_call(s->pair[i].io, pair_filter, &c);
	}
}

/* ---- link ------------------------------------------------------------------------------------ */

static void set_link(struct virtio_net *s)
{
	put_le16(s->vd.config + offsetof(struct virtio_net_config, status),
		 s->lost ? 0 : VIRTIO_NET_S_LINK_UP);
}

static void lost_run(struct loop_job *j)
{
	struct virtio_net *s = container_of(j, struct virtio_net, lost_job);

	if (s->lost)
		return;
	log_warn("%s: network %s (%s) has ended: the guest's link is down", s->vd.pd.dev.id,
		 s->net->b.id, s->net->name);
	s->lost = true;
	set_link(s);
	virtio_config_changed(&s->vd);
}

void net_lost(struct virtio_net *s)
{
	loop_defer(s->vd.pd.dev.plat->loop, &s->lost_job);
}

/* ---- hand-over ------------------------------------------------------------------------------- */

static void net_deactivate(struct virtio_dev *vd)
{
	struct virtio_net *s = net_of(vd);

	net_ctrl_end(s);
	loop_del_fd(&s->end_src);
	for (unsigned int i = 0; i < s->net->n_queues; i++)
		end_pair(&s->pair[i]);
}

static int net_activate(struct virtio_dev *vd)
{
	struct virtio_net *s = net_of(vd);

	if (s->fresh) {
		s->offloads = vd->acked & net_guest_offloads();
		s->filter.vlans_all = !virtio_has(vd, VIRTIO_NET_F_CTRL_VLAN);
	}
	s->fresh = false;
	int r = net_set_offloads(s, s->offloads);
	if (r == 0)
		r = net_use_pairs(s, s->n_pairs);
	if (r == 0)
		r = net_ctrl_begin(s);
	if (r == 0)
		r = net_vhost_watch(s);
	if (r < 0)
		net_deactivate(vd);
	return r;
}

static void net_reset(struct virtio_dev *vd)
{
	struct virtio_net *s = net_of(vd);

	s->fresh = true;
	s->n_pairs = 1;
	net_filter_init(&s->filter, &s->mac, true);
	net_set_offloads(s, 0);
	memcpy(vd->config + offsetof(struct virtio_net_config, mac), &s->mac, sizeof(s->mac));
}

static const struct virtio_ops net_ops = {
	.activate = net_activate,
	.deactivate = net_deactivate,
	.reset = net_reset,
	.call_changed = net_call_changed,
};

/* ---- life ------------------------------------------------------------------------------------ */

static void net_unrealize(struct dev *d)
{
	struct virtio_net *s = net_of(virtio_of(d));

	virtio_unrealize(&s->vd);
	loop_cancel(&s->lost_job);
	net_vhost_close(s);
	for (unsigned int i = 0; i < s->n_threads; i++)
		iothread_close(s->io[i]);
	free(s->io);
	free(s->pair);
	s->io = NULL;
	s->pair = NULL;
	s->n_threads = 0;
	backend_release(s->net ? &s->net->b : NULL);
	s->net = NULL;
}

/* The same at each start, another on another machine or interface: FNV-1a of who it is. */
static struct net_mac make_mac(const struct virtio_net *s)
{
	char machine[64] = "";
	const char *parts[] = { machine, s->net->name, s->vd.pd.dev.id };
	uint32_t h = 2166136261u;

	sys_read_text("/etc/machine-id", machine, sizeof(machine));
	for (unsigned int i = 0; i < ARRAY_SIZE(parts); i++)
		for (const char *c = parts[i]; *c; c++)
			h = (h ^ (uint8_t)*c) * 16777619u;
	h ^= h >> 24;
	return (struct net_mac){ { 0x52, 0x54, 0x00, (uint8_t)(h >> 16), (uint8_t)(h >> 8),
				   (uint8_t)h } };
}

static int check_cfg(const struct virtio_net_cfg *c, struct verr *reterr)
{
	if (c->mac.b[0] & 1)
		return verr_set(reterr, -EINVAL,
				"mac= is a multicast address: its first byte must be even");
	if (!IS_POW2(c->queue_size))
		return verr_set(reterr, -EINVAL, "queue-size=%u is no power of two",
				(unsigned int)c->queue_size);
	return 0;
}

static int take_net(struct virtio_net *s, const struct virtio_net_cfg *c, struct verr *reterr)
{
	static const struct net_mac none;
	const struct dev *d = &s->vd.pd.dev;
	struct backend *b = NULL;

	int r = check_cfg(c, reterr);
	if (r == 0)
		r = backend_take(d->plat->backends, BACKEND_NET, "netdev", c->netdev, d->id, &b,
				 reterr);
	if (r < 0)
		return r;
	s->net = netdev_of(b);
	s->mac = memcmp(&c->mac, &none, sizeof(none)) ? c->mac : make_mac(s);
	if (c->iothreads > 1 && s->net->vhost)
		return verr_set(reterr, -EINVAL,
				"iothreads=%u: with vhost=on it is the kernel's threads that serve",
				(unsigned int)c->iothreads);
	if (c->iothreads > s->net->n_queues)
		return verr_set(reterr, -EINVAL,
				"iothreads=%u is more than there are queue pairs to serve: "
				"netdev %s has %u",
				(unsigned int)c->iothreads, b->id, s->net->n_queues);
	s->pair = calloc(s->net->n_queues, sizeof(*s->pair));
	return s->pair ? 0 : verr_set(reterr, -ENOMEM, "out of memory");
}

static int open_threads(struct virtio_net *s, unsigned int n, struct verr *reterr)
{
	char name[16];

	s->io = calloc(n, sizeof(struct iothread *));
	if (!s->io)
		return verr_set(reterr, -ENOMEM, "out of memory");
	for (unsigned int i = 0; i < n; i++) {
		snprintf(name, sizeof(name), n > 1 ? "%.10s/%u" : "%.15s", s->vd.pd.dev.id, i);
		int r = iothread_open(name, 0, &s->io[i], reterr);
		if (r < 0)
			return r;
		s->n_threads++;
	}
	return 0;
}

static int make_device(struct virtio_net *s, const struct virtio_net_cfg *c, struct verr *reterr)
{
	struct virtio_net_config config = { 0 };

	put_le16(&config.max_virtqueue_pairs, (uint16_t)s->net->n_queues);
	put_le16(&config.mtu, c->mtu);
	const struct virtio_desc desc = {
		.ops = &net_ops,
		.id = VIRTIO_ID_NET,
		.class_code = 0x020000,
		.features = net_features(s, c->offloads, c->mtu != 0),
		.no_features = s->vhost ? vhost_lacks(&s->vhost[0]) : 0,
		.n_queues = 2 * s->net->n_queues + 1,
		.queue_size = c->queue_size,
		.config = &config,
		.config_len = offsetof(struct virtio_net_config, speed),
		.props = &c->virtio,
	};
	return virtio_realize(&s->vd, &desc, reterr);
}

static int net_realize(struct dev *d, struct verr *reterr)
{
	struct virtio_net *s = net_of(virtio_of(d));
	const struct virtio_net_cfg *c = d->cfg;

	s->lost_job.run = lost_run;
	int r = take_net(s, c, reterr);
	if (r == 0)
		r = net_vhost_open(s, reterr);
	if (r == 0 && !s->vhost && !d->plat->dry_run)
		r = open_threads(s, c->iothreads, reterr);
	if (r == 0)
		r = make_device(s, c, reterr);
	if (r < 0) {
		net_unrealize(d);
		return r;
	}
	set_link(s);
	return 0;
}

static uint64_t dropped(const struct virtio_net *s, bool tx)
{
	uint64_t n = 0;

	for (unsigned int i = 0; i < s->net->n_queues; i++)
		n += __atomic_load_n(tx ? &s->pair[i].tx_dropped : &s->pair[i].rx_dropped,
				     __ATOMIC_RELAXED);
	return n;
}

static void net_describe(struct dev *d, FILE *out)
{
	const struct virtio_net *s = net_of(virtio_of(d));
	const uint8_t *m = s->mac.b;

	virtio_dev_describe(d, out);
	fprintf(out, "  network %s: %s, %u queue pair%s, MAC %02x:%02x:%02x:%02x:%02x:%02x%s\n",
		s->net->b.id, s->net->name, s->net->n_queues, s->net->n_queues == 1 ? "" : "s",
		m[0], m[1], m[2], m[3], m[4], m[5], s->lost ? ", ended" : "");
	if (dropped(s, false) || dropped(s, true))
		fprintf(out, "  dropped: %" PRIu64 " frames to the guest, %" PRIu64 " of it\n",
			dropped(s, false), dropped(s, true));
	if (s->vhost)
		fprintf(out, "  frames are moved by the host's kernel (vhost-net)\n");
	else if (s->n_threads)
		fprintf(out, "  %u I/O thread%s, %s\n", s->n_threads, s->n_threads == 1 ? "" : "s",
			iothread_engine(s->io[0]));
}

static struct dev *net_alloc(void)
{
	struct virtio_net *s = calloc(1, sizeof(*s));

	return s ? &s->vd.pd.dev : NULL;
}

static void net_free(struct dev *d)
{
	free(net_of(virtio_of(d)));
}

static const struct dev_ops net_dev_ops = {
	.realize = net_realize,
	.unrealize = net_unrealize,
	.reset = virtio_dev_reset,
	.start = virtio_dev_start,
	.stop = virtio_dev_stop,
	.pause = virtio_dev_pause,
	.resume = virtio_dev_resume,
	.describe = net_describe,
};

static int parse_mac(void *field, const char *text, struct verr *reterr)
{
	struct net_mac mac;
	unsigned int b[6];
	int end = 0;

	if (sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &b[0], &b[1], &b[2], &b[3], &b[4], &b[5],
		   &end) != 6 ||
	    end != 17 || text[17])
		return verr_set(reterr, -EINVAL,
				"\"%s\" is no MAC address, as in 52:54:00:12:34:56", text);
	for (unsigned int i = 0; i < 6; i++)
		mac.b[i] = (uint8_t)b[i];
	*(struct net_mac *)field = mac;
	return 0;
}

static const struct prop net_props[] = {
	PROP(struct virtio_net_cfg, netdev, PROP_STR, PROP_REQUIRED, "id of a --netdev"),
	PROP_NAMED("mac", struct virtio_net_cfg, mac, PROP_CUSTOM, NULL,
		   "address; else one that stays the same", .syntax = "<mac>", .parse = parse_mac),
	PROP_NAMED("mtu", struct virtio_net_cfg, mtu, PROP_U16, NULL,
		   "largest packet to tell the guest; else not told", .min = 68, .max = 65535),
	PROP(struct virtio_net_cfg, offloads, PROP_BOOL, "on",
	     "offer the checksum and segmentation offloads that the network can do"),
	PROP_NAMED("queue-size", struct virtio_net_cfg, queue_size, PROP_U16, "256",
		   "entries of a ring, a power of two", .min = 64, .max = 1024),
	PROP_NAMED("iothreads", struct virtio_net_cfg, iothreads, PROP_U16, "1",
		   "threads that serve the queue pairs", .min = 1, .max = NETDEV_QUEUES_MAX),
	VIRTIO_PROPS(struct virtio_net_cfg, virtio),
	PROP_END,
};

const struct dev_type virtio_net_type = {
	.t = { .name = "virtio-net",
	       .category = "virtio",
	       .desc = "a network card",
	       .props = net_props,
	       .cfg_size = sizeof(struct virtio_net_cfg) },
	.ops = &net_dev_ops,
	.alloc = net_alloc,
	.free = net_free,
	.pci = true,
	.user = true,
};
