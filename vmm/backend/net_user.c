// SPDX-License-Identifier: GPL-2.0-or-later
// The "user" network (see netdev.h): passt, a program that gives the guest the host's network
// without root, at the other end of a stream socket. Starts it, or connects to one that runs; ends
// with it. Its protocol is netdev.h's stream. Moves no frames.
#define LOG_TAG "user"
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/sys.h"
#include "vmm/backend/netdev.h"

#define END_MS 1000 /* that passt has for its end when its socket is closed */

struct net_user_cfg {
	char *socket, *program, *tcp, *udp;
};

struct net_user {
	struct netdev nd; /* first */
	int pid;	  /* 0: not started by us */
};

static struct net_user *user_of(struct netdev *nd)
{
	return container_of(nd, struct net_user, nd);
}

static int connect_to(struct net_user *u, const char *path, struct verr *reterr)
{
	int fd = sys_dial(path);

	if (fd < 0)
		return verr_set(reterr, fd, "socket=%s can't be connected to: %s%s", path,
				strerror(-fd),
				fd == -ENOENT || fd == -ECONNREFUSED
					? " (start one: passt --socket PATH; or leave socket= out)"
					: "");
	u->nd.fd[0] = fd;
	return 0;
}

static int start(struct net_user *u, const struct net_user_cfg *c, struct verr *reterr)
{
	const char *argv[10] = { c->program, "--foreground", "--quiet", "--fd", "3" };
	unsigned int n = 5;

	if (c->tcp) {
		argv[n++] = "--tcp-ports";
		argv[n++] = c->tcp;
	}
	if (c->udp) {
		argv[n++] = "--udp-ports";
		argv[n++] = c->udp;
	}
	int pid = sys_spawn(argv, &u->nd.fd[0]);
	if (pid < 0)
		return verr_set(reterr, pid, "%s can't be started: %s%s", c->program,
				strerror(-pid),
				pid == -ENOENT ? " (install the package passt, or say "
						 "program=PATH)"
					       : "");
	u->pid = pid;
	log_debug("%s is process %d", c->program, pid);
	return 0;
}

static void user_close(struct backend *b)
{
	struct net_user *u = user_of(netdev_of(b));

	netdev_fini(&u->nd);
	if (u->pid) {
		int r = sys_reap(u->pid, END_MS);
		log_debug("process %d ended: %#x", u->pid, (unsigned int)r);
	}
	free(u);
}

static const struct netdev_ops user_ops = { 0 };

static int user_open(const char *id, const void *cfg, const struct backend_host *host,
		     struct backend **ret, struct verr *reterr)
{
	const struct net_user_cfg *c = cfg;
	struct net_user *u;
	int r = 0;

	(void)id;
	if (c->socket && (c->tcp || c->udp))
		return verr_set(reterr, -EINVAL,
				"socket= is of a passt that runs already: give it %s when it is "
				"started",
				c->tcp ? "--tcp-ports" : "--udp-ports");
	u = calloc(1, sizeof(*u));
	if (!u)
		return verr_set(reterr, -ENOMEM, "out of memory");
	netdev_init(&u->nd, &user_ops);
	u->nd.n_queues = 1;
	snprintf(u->nd.name, sizeof(u->nd.name), "%s", c->socket ? c->socket : c->program);
	u->nd.stream = calloc(1, sizeof(*u->nd.stream));
	if (!u->nd.stream)
		r = verr_set(reterr, -ENOMEM, "out of memory");
	else if (!host->dry_run)
		r = c->socket ? connect_to(u, c->socket, reterr) : start(u, c, reterr);
	if (r < 0) {
		user_close(&u->nd.b);
		return r;
	}
	*ret = &u->nd.b;
	return 0;
}

static const struct prop net_user_props[] = {
	PROP(struct net_user_cfg, socket, PROP_STR, NULL,
	     "of a passt that runs; else it is started"),
	PROP(struct net_user_cfg, program, PROP_STR, "passt", "what to start"),
	PROP(struct net_user_cfg, tcp, PROP_STR, NULL,
	     "TCP ports of the host that lead to the guest, as passt's --tcp-ports: 2222:22"),
	PROP(struct net_user_cfg, udp, PROP_STR, NULL, "UDP ports, as its --udp-ports"),
	PROP_END,
};

const struct backend_type net_user_type = {
	.t = { .name = "user",
	       .category = "network",
	       .desc = "the host's network without root, by passt",
	       .props = net_user_props,
	       .cfg_size = sizeof(struct net_user_cfg) },
	.kind = BACKEND_NET,
	.open = user_open,
	.close = user_close,
};
