// SPDX-License-Identifier: GPL-2.0-or-later
// The "tap" network (see netdev.h): opens a TAP interface of the host by name, or takes
// descriptors of one that were passed; finds out what it can do. Moves no frames; gives the
// interface no address and does not set it up: that is the host's network configuration.
#define LOG_TAG "tap"
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "core/log.h"
#include "core/sys.h"
#include "vmm/backend/netdev.h"

#define TUN_PATH "/dev/net/tun"

struct net_tap_cfg {
	char *ifname, *fd, *fds, *vhostfd, *vhostfds;
	uint16_t queues;
	bool vhost;
};

struct net_tap {
	struct netdev nd;     /* first */
	unsigned int enabled; /* queues that are attached */
	bool multi_queue;
};

static struct net_tap *tap_of(struct netdev *nd)
{
	return container_of(nd, struct net_tap, nd);
}

/* ---- descriptors that were passed ------------------------------------------------------------ */

/* "32" or "32:33:34" into `fd`; how many. */
static int parse_fds(const char *prop, const char *text, int *fd, struct verr *reterr)
{
	unsigned int n = 0;

	for (const char *p = text; *p || p == text;) {
		char *end;

		errno = 0;
		long v = strtol(p, &end, 10);
		if (end == p || errno || v < 0 || v > INT32_MAX || (*end && *end != ':') ||
		    (*end == ':' && !end[1]))
			return verr_set(reterr, -EINVAL,
					"%s=%s: numbers of open descriptors are wanted, as in "
					"%s=32%s",
					prop, text, prop, strcmp(prop, "fd") == 0 ? "" : ":33");
		if (n == NETDEV_QUEUES_MAX)
			return verr_set(reterr, -E2BIG, "%s=%s: more than %u descriptors", prop,
					text, NETDEV_QUEUES_MAX);
		for (unsigned int i = 0; i < n; i++)
			if (fd[i] == (int)v)
				return verr_set(reterr, -EINVAL, "%s=%s: %ld is there twice", prop,
						text, v);
		fd[n++] = (int)v;
		p = *end ? end + 1 : end;
	}
	return (int)n;
}

/* Of the singular or the plural property; 0: neither is given. */
static int take_fds(const char *one, const char *one_text, const char *many, const char *many_text,
		    int *fd, struct verr *reterr)
{
	if (one_text && many_text)
		return verr_set(reterr, -EINVAL, "%s= and %s= exclude each other", one, many);
	if (!one_text && !many_text)
		return 0;
	int n = parse_fds(one_text ? one : many, one_text ? one_text : many_text, fd, reterr);
	if (one_text && n > 1)
		return verr_set(reterr, -EINVAL, "%s=%s is more than one: use %s=", one, one_text,
				many);
	return n;
}

static int check_passed(struct net_tap *t, int fd, struct verr *reterr)
{
	struct ifreq ifr = { 0 };

	int r = sys_ioctl(fd, TUNGETIFF, &ifr);
	if (r < 0)
		return verr_set(reterr, r == -EBADF ? -EBADF : -EINVAL,
				"fd=%d is %s: pass an open " TUN_PATH " after TUNSETIFF", fd,
				r == -EBADF ? "not open" : "no TAP interface");
	if (!(ifr.ifr_flags & IFF_TAP) || !(ifr.ifr_flags & IFF_NO_PI))
		return verr_set(reterr, -EINVAL, "fd=%d (%.15s) was opened without %s", fd,
				ifr.ifr_name, ifr.ifr_flags & IFF_TAP ? "IFF_NO_PI" : "IFF_TAP");
	bool vnet = (ifr.ifr_flags & IFF_VNET_HDR) != 0;
	if (t->nd.name[0] && vnet != t->nd.vnet_hdr)
		return verr_set(reterr, -EINVAL, "fd=%d (%.15s): some have IFF_VNET_HDR, some not",
				fd, ifr.ifr_name);
	t->nd.vnet_hdr = vnet;
	t->multi_queue = (ifr.ifr_flags & IFF_MULTI_QUEUE) != 0;
	snprintf(t->nd.name, sizeof(t->nd.name), "%.15s", ifr.ifr_name);
	return 0;
}

static int never_block(int fd, struct verr *reterr)
{
	int one = 1;

	int r = sys_ioctl(fd, FIONBIO, &one);
	if (r == 0)
		r = sys_ioctl(fd, FIOCLEX, NULL);
	return r < 0 ? verr_set(reterr, r, "fd=%d can't be made non-blocking: %s", fd, strerror(-r))
		     : 0;
}

/* All are looked at before one is taken: what is refused stays the caller's. */
static int use_passed(struct net_tap *t, const int *fd, unsigned int n, bool dry_run,
		      struct verr *reterr)
{
	int r = 0;

	for (unsigned int i = 0; i < n && r == 0; i++)
		r = check_passed(t, fd[i], reterr);
	for (unsigned int i = 0; i < n && r == 0 && !dry_run; i++)
		r = never_block(fd[i], reterr);
	for (unsigned int i = 0; i < n && r == 0 && !dry_run; i++)
		t->nd.fd[i] = fd[i];
	t->nd.n_queues = n;
	return r;
}

/* ---- by name --------------------------------------------------------------------------------- */

static bool is_there(const char *ifname, const char *what)
{
	char path[64];

	snprintf(path, sizeof(path), "/sys/class/net/%.15s%s", ifname, what);
	return sys->access(path, F_OK) == 0;
}

static int no_attach(const struct net_tap_cfg *c, int r, struct verr *reterr)
{
	const char *name = c->ifname, *why = strerror(-r);
	bool there = is_there(name, "");

	if (there && !is_there(name, "/tun_flags"))
		return verr_set(reterr, -EINVAL,
				"ifname=%s is no TAP interface; put one beside it on a bridge",
				name);
	if (r == -EPERM)
		return verr_set(reterr, r,
				there ? "ifname=%s belongs to another user: ip tuntap add %s mode "
					"tap user NAME gives it to one"
				      : "ifname=%s does not exist, and only root may make it: ip "
					"tuntap add %s mode tap user NAME",
				name, name);
	if (r == -EBUSY)
		return verr_set(reterr, r, "ifname=%s is in use by another program", name);
	if (r == -EINVAL && c->queues > 1)
		return verr_set(reterr, r,
				"ifname=%s has one queue: ip tuntap add %s mode tap multi_queue "
				"makes one that has more",
				name, name);
	if (r == -E2BIG)
		return verr_set(reterr, r, "ifname=%s: fewer than queues=%u are left", name,
				(unsigned int)c->queues);
	return verr_set(reterr, r, "ifname=%s can't be attached: %s", name, why);
}

static int attach(struct net_tap *t, const struct net_tap_cfg *c, int fd, struct verr *reterr)
{
	short flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
	struct ifreq ifr = { .ifr_flags = (short)(flags | (t->multi_queue ? IFF_MULTI_QUEUE : 0)) };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", c->ifname);
	int r = sys_ioctl(fd, TUNSETIFF, &ifr);
	if (r == -EINVAL && !t->multi_queue) { /* made for many queues: one of them will do */
		ifr.ifr_flags = (short)(flags | IFF_MULTI_QUEUE);
		r = sys_ioctl(fd, TUNSETIFF, &ifr);
		t->multi_queue = r == 0;
	}
	if (r < 0)
		return no_attach(c, r, reterr);
	snprintf(t->nd.name, sizeof(t->nd.name), "%.15s", ifr.ifr_name); /* "tap%d": its number */
	return 0;
}

static int open_queue(struct net_tap *t, const struct net_tap_cfg *c, unsigned int i,
		      struct verr *reterr)
{
	int fd = sys_open(TUN_PATH, O_RDWR | O_NONBLOCK, 0);

	if (fd < 0)
		return verr_set(reterr, fd, TUN_PATH " can't be opened: %s%s", strerror(-fd),
				fd == -ENOENT ? " (modprobe tun)" : "");
	t->nd.fd[i] = fd;
	return attach(t, c, fd, reterr);
}

static int open_named(struct net_tap *t, const struct net_tap_cfg *c, bool dry_run,
		      struct verr *reterr)
{
	int r = 0;

	if (strlen(c->ifname) >= IFNAMSIZ || strchr(c->ifname, '/') || !*c->ifname)
		return verr_set(reterr, -EINVAL,
				"ifname=%s: an interface's name has 1 to %d "
				"characters and no slash",
				c->ifname, IFNAMSIZ - 1);
	t->nd.vnet_hdr = true;
	t->multi_queue = c->queues > 1;
	t->nd.n_queues = c->queues;
	snprintf(t->nd.name, sizeof(t->nd.name), "%s", c->ifname);
	if (dry_run) /* attaching would make it, or raise its carrier */
		return is_there(c->ifname, "") && !is_there(c->ifname, "/tun_flags")
			       ? no_attach(c, -EINVAL, reterr)
			       : 0;
	for (unsigned int i = 0; i < c->queues && r == 0; i++)
		r = open_queue(t, c, i, reterr);
	return r;
}

/* ---- what it can do -------------------------------------------------------------------------- */

static void find_offloads(struct netdev *nd)
{
	static const unsigned int sets[] = {
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO | NETDEV_USO4 |
			NETDEV_USO6,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN | TUN_F_UFO,
		TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN,
		TUN_F_CSUM,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(sets) && nd->offloads == 0; i++)
		if (nd->fd[0] < 0 || sys_ioctl_n(nd->fd[0], TUNSETOFFLOAD, sets[i]) == 0)
			nd->offloads = sets[i];
	if (nd->fd[0] >= 0)
		sys_ioctl_n(nd->fd[0], TUNSETOFFLOAD, 0);
}

static int prepare(struct net_tap *t, struct verr *reterr)
{
	struct netdev *nd = &t->nd;
	int len = NETDEV_HDR;

	t->enabled = nd->n_queues;
	if (!nd->vnet_hdr)
		return 0;
	for (unsigned int i = 0; i < nd->n_queues && nd->fd[i] >= 0; i++) {
		int r = sys_ioctl(nd->fd[i], TUNSETVNETHDRSZ, &len);
		if (r < 0)
			return verr_set(reterr, r, "%s takes no header of %d bytes: %s", nd->name,
					len, strerror(-r));
	}
	find_offloads(nd);
	return 0;
}

static int tap_set_offload(struct netdev *nd, unsigned int offloads)
{
	return nd->vnet_hdr ? sys_ioctl_n(nd->fd[0], TUNSETOFFLOAD, offloads) : 0;
}

/* What arrives is spread over the attached queues: those nobody reads must not be among them. */
static int tap_set_queues(struct netdev *nd, unsigned int n)
{
	struct net_tap *t = tap_of(nd);
	int r = 0;

	while (t->multi_queue && t->enabled != n && r == 0) {
		bool on = t->enabled < n;
		struct ifreq ifr = { .ifr_flags =
					     (short)(on ? IFF_ATTACH_QUEUE : IFF_DETACH_QUEUE) };

		r = sys_ioctl(nd->fd[on ? t->enabled : t->enabled - 1], TUNSETQUEUE, &ifr);
		if (r == 0)
			t->enabled = on ? t->enabled + 1 : t->enabled - 1;
	}
	return r;
}

static const struct netdev_ops tap_ops = {
	.set_offload = tap_set_offload,
	.set_queues = tap_set_queues,
};

/* ---- life ------------------------------------------------------------------------------------ */

static int check_cfg(const struct net_tap_cfg *c, int n_fds, int n_vhost, struct verr *reterr)
{
	bool passed = n_fds > 0;

	if (passed == (c->ifname != NULL))
		return verr_set(
			reterr, -EINVAL,
			passed ? "ifname= and fd= exclude each other: a descriptor has its "
				 "interface already"
			       : "ifname= (the interface) or fd= (an open descriptor of it) "
				 "is missing");
	if (passed && c->queues > 1)
		return verr_set(reterr, -EINVAL,
				"queues= goes with ifname=; fds= has a queue for each descriptor");
	if (n_vhost > 0 && !c->vhost)
		return verr_set(reterr, -EINVAL, "vhostfd= needs vhost=on");
	if (n_vhost > 0 && n_vhost != (passed ? n_fds : c->queues))
		return verr_set(reterr, -EINVAL,
				"there are %d vhost descriptors for %d queues: one each is needed",
				n_vhost, passed ? n_fds : c->queues);
	return 0;
}

static void tap_close(struct backend *b)
{
	netdev_fini(netdev_of(b));
	free(tap_of(netdev_of(b)));
}

static int open_it(struct net_tap *t, const struct net_tap_cfg *c, bool dry_run,
		   struct verr *reterr)
{
	int fds[NETDEV_QUEUES_MAX], vhost[NETDEV_QUEUES_MAX];
	int n_vhost = 0;

	int n = take_fds("fd", c->fd, "fds", c->fds, fds, reterr);
	if (n >= 0)
		n_vhost = take_fds("vhostfd", c->vhostfd, "vhostfds", c->vhostfds, vhost, reterr);
	if (n < 0 || n_vhost < 0)
		return MIN(n, n_vhost);
	int r = check_cfg(c, n, n_vhost, reterr);
	if (r == 0)
		r = n > 0 ? use_passed(t, fds, (unsigned int)n, dry_run, reterr)
			  : open_named(t, c, dry_run, reterr);
	if (r == 0)
		r = prepare(t, reterr);
	t->nd.vhost = c->vhost;
	for (int i = 0; i < n_vhost && r == 0 && !dry_run; i++)
		t->nd.vhost_fd[i] = vhost[i];
	return r;
}

static int tap_open(const char *id, const void *cfg, const struct backend_host *host,
		    struct backend **ret, struct verr *reterr)
{
	struct net_tap *t = calloc(1, sizeof(*t));

	(void)id;
	if (!t)
		return verr_set(reterr, -ENOMEM, "out of memory");
	netdev_init(&t->nd, &tap_ops);
	int r = open_it(t, cfg, host->dry_run, reterr);
	if (r < 0) {
		tap_close(&t->nd.b);
		return r;
	}
	log_debug("%s: %u queue(s), offloads %#x", t->nd.name, t->nd.n_queues, t->nd.offloads);
	*ret = &t->nd.b;
	return 0;
}

static const struct prop net_tap_props[] = {
	PROP(struct net_tap_cfg, ifname, PROP_STR, NULL,
	     "the interface; made if it is not there and we may"),
	PROP(struct net_tap_cfg, fd, PROP_STR, NULL, "an open descriptor of it, instead"),
	PROP(struct net_tap_cfg, fds, PROP_STR, NULL, "several, a queue each: 32:33"),
	PROP_NAMED("queues", struct net_tap_cfg, queues, PROP_U16, "1",
		   "queue pairs, best one a vCPU", .min = 1, .max = NETDEV_QUEUES_MAX),
	PROP(struct net_tap_cfg, vhost, PROP_BOOL, "off", "let the kernel move the frames"),
	PROP(struct net_tap_cfg, vhostfd, PROP_STR, NULL, "an open descriptor of /dev/vhost-net"),
	PROP(struct net_tap_cfg, vhostfds, PROP_STR, NULL, "several, a queue each: 37:38"),
	PROP_END,
};

const struct backend_type net_tap_type = {
	.t = { .name = "tap",
	       .category = "network",
	       .desc = "a TAP interface of the host",
	       .props = net_tap_props,
	       .cfg_size = sizeof(struct net_tap_cfg) },
	.kind = BACKEND_NET,
	.open = tap_open,
	.close = tap_close,
};
