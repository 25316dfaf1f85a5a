// SPDX-License-Identifier: GPL-2.0-or-later
// What the kinds of network share (see netdev.h): the life of their descriptors.
#include "vmm/backend/netdev.h"

#include <stdlib.h>

#include "core/sys.h"

void netdev_init(struct netdev *nd, const struct netdev_ops *ops)
{
	nd->ops = ops;
	for (unsigned int i = 0; i < NETDEV_QUEUES_MAX; i++)
		nd->fd[i] = nd->vhost_fd[i] = -1;
}

void netdev_fini(struct netdev *nd)
{
	for (unsigned int i = 0; i < NETDEV_QUEUES_MAX; i++) {
		sys_close_fd(&nd->fd[i]);
		sys_close_fd(&nd->vhost_fd[i]);
	}
	free(nd->stream);
	nd->stream = NULL;
}
