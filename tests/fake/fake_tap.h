// SPDX-License-Identifier: GPL-2.0-or-later
// TAP interfaces of the fake kernel: /dev/net/tun, with real sockets behind it. A test has the
// other end of each queue: what it writes there arrives, what was sent it reads.
#pragma once

#include <stdbool.h>

#include "core/cc.h"

VV_BEGIN_DECLS

struct fake_tap {
	const char *name;
	bool multi_queue;
	bool foreign;	/* belongs to another user, and we are not root */
	bool other;	/* no TAP at all: an Ethernet card */
	bool no_create; /* only with name NULL: from now on nobody may make one */
};

/* An interface that is there before anybody attaches to it, and after. */
void fake_tap_add(const struct fake_tap *t);
/* As `ip link del`: whoever is attached is told nothing, but every call fails. */
void fake_tap_delete(const char *name);
/* The other end of an attached queue, never blocking, the fake's; -1: there is none. Queues are
 * numbered in the order of their attaching. */
int fake_tap_peer(const char *name, unsigned int queue);
/* Is the queue attached, that is: would frames be spread to it? */
bool fake_tap_queue_on(const char *name, unsigned int queue);
/* As set by TUNSETOFFLOAD. */
unsigned int fake_tap_offload(const char *name);
/* Those that TUNSETOFFLOAD knows; reset: all, USO too. */
void fake_tap_know(unsigned int offloads);

VV_END_DECLS
