// SPDX-License-Identifier: GPL-2.0-or-later
// Which received frames a driver wants (VIRTIO 1.2 5.1.6.5.1 to 5.1.6.5.3): a plain value, changed
// by the control queue, copied to the threads that ask it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

/* Addresses a table holds; a longer one means all of its kind. */
#define NET_FILTER_MACS 64
/* Bytes of a frame that net_filter_accepts() looks at. */
#define NET_FILTER_BYTES 16

struct net_mac {
	uint8_t b[6];
};

struct net_macs {
	struct net_mac mac[NET_FILTER_MACS];
	unsigned int n;
	bool overflow; /* more than it holds: every address of the kind is wanted */
};

struct net_filter {
	struct net_mac own;
	bool promisc, allmulti, alluni, nomulti, nouni, nobcast;
	bool vlans_all; /* the driver filters none */
	struct net_macs uni, multi;
	uint64_t vlans[4096 / 64];
};

/* Everything wanted, as at reset; `vlans_all` off starts with no VLAN. */
void net_filter_init(struct net_filter *f, const struct net_mac *own, bool vlans_all);
void net_filter_set_vlan(struct net_filter *f, uint16_t vid, bool on); /* vid < 4096 */
/* `frame` has NET_FILTER_BYTES, from the destination address on; what is missing is zero. */
bool net_filter_accepts(const struct net_filter *f, const uint8_t *frame);

VV_END_DECLS
