// SPDX-License-Identifier: GPL-2.0-or-later
// The receive filter of a network device (see the header). Pure.
#include "vmm/virtio/net_filter.h"

#include <string.h>

#define ETHERTYPE_VLAN 0x8100

void net_filter_init(struct net_filter *f, const struct net_mac *own, bool vlans_all)
{
	*f = (struct net_filter){ .own = *own, .promisc = true, .vlans_all = vlans_all };
}

void net_filter_set_vlan(struct net_filter *f, uint16_t vid, bool on)
{
	if (on)
		f->vlans[vid / 64] |= BIT64(vid % 64);
	else
		f->vlans[vid / 64] &= ~BIT64(vid % 64);
}

static bool has(const struct net_macs *t, const uint8_t *mac)
{
	for (unsigned int i = 0; i < t->n; i++)
		if (memcmp(t->mac[i].b, mac, 6) == 0)
			return true;
	return t->overflow;
}

static bool vlan_fine(const struct net_filter *f, const uint8_t *frame)
{
	unsigned int vid = (unsigned int)(frame[14] & 0x0f) << 8 | frame[15];

	if (f->vlans_all || (frame[12] << 8 | frame[13]) != ETHERTYPE_VLAN)
		return true;
	return (f->vlans[vid / 64] & BIT64(vid % 64)) != 0;
}

bool net_filter_accepts(const struct net_filter *f, const uint8_t *frame)
{
	static const uint8_t broadcast[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (!vlan_fine(f, frame))
		return false;
	if (f->promisc)
		return true;
	if (memcmp(frame, broadcast, sizeof(broadcast)) == 0)
		return !f->nobcast;
	if (frame[0] & 1)
		return !f->nomulti && (f->allmulti || has(&f->multi, frame));
	return !f->nouni &&
	       (f->alluni || memcmp(frame, f->own.b, sizeof(f->own.b)) == 0 || has(&f->uni, frame));
}
