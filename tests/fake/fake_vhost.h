// SPDX-License-Identifier: GPL-2.0-or-later
// The fake kernel's vhost devices, /dev/vhost-net and /dev/vhost-vsock: they refuse what Linux
// refuses, with its errnos, and move the rings they are given. Ring 1 (the guest sends) is served
// whenever it is kicked; ring 0 (the guest receives) when the test delivers. To have no such
// device, fake_file_remove() it.
//
// Broken rules that Linux does not refuse: a table of overlapping regions, memory unmapped or a
// position asked for while a ring is served.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

enum fake_vhost_kind { FAKE_VHOST_NET, FAKE_VHOST_VSOCK, FAKE_VHOST_KINDS };

struct fake_vhost_cfg {
	uint64_t features[FAKE_VHOST_KINDS]; /* as Linux 6.1 has them */
	unsigned int max_regions;	     /* 64 */
};
struct fake_vhost_cfg *fake_vhost(void); /* the live configuration */

struct fake_vhost_state {
	bool owned, running; /* running: vsock only */
	uint64_t features;   /* as set */
	uint64_t cid;
	unsigned int regions;
	struct {
		unsigned int num;
		uint16_t base;	       /* next buffer it takes */
		bool kick, call, err;  /* eventfds it has */
		int backend;	       /* net: fd, -1 none */
		unsigned int kicks;    /* heard while it was served */
		unsigned int finished; /* buffers */
	} ring[2];
};

/* Open ones of that kind, in the order they were opened; false: no such. */
bool fake_vhost_get(enum fake_vhost_kind kind, unsigned int nth, struct fake_vhost_state *ret);
/* Finishes up to `n` buffers of a ring, `written` bytes each, and signals; how many it found. */
unsigned int fake_vhost_deliver(enum fake_vhost_kind kind, unsigned int nth, unsigned int ring,
				unsigned int n, uint32_t written);
/* The kernel finds the ring broken. */
void fake_vhost_ring_error(enum fake_vhost_kind kind, unsigned int nth, unsigned int ring);
/* Somebody else of this host has that context id. */
void fake_vhost_cid_taken(uint64_t cid);

VV_END_DECLS
