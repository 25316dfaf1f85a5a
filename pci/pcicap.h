// SPDX-License-Identifier: GPL-2.0-or-later
// Capability lists (PCI 3.0 6.7) and extended capabilities (PCIe 6.0 7.6): find and walk with
// bounds, place and link. Walkers take a reader, so that they serve a guest's shadow and a host
// device's real configuration space alike; a broken list ends the walk, never loops.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"
#include "pci/pcicfg.h"

VV_BEGIN_DECLS

/* Returns 32 bits at a dword-aligned offset; all ones if it cannot. */
typedef uint32_t (*pcicap_reader)(void *opaque, unsigned int off);

struct pcicap {
	uint16_t off, id;
	uint8_t version; /* extended only */
	uint16_t next;
};

/* Calls each() per capability; stops when it returns non-zero and returns that. 0 at a good end,
 * -ELOOP or -EBADMSG for a list that loops, leaves its bounds or reads all ones. At most 48 (256
 * byte space) or 960 (extended) steps. An extended list whose head reads zero or all ones is an
 * empty one (conventional device). */
int pcicap_walk(pcicap_reader rd, void *opaque, int (*each)(void *ctx, const struct pcicap *cap),
		void *ctx);
int pcicap_walk_ext(pcicap_reader rd, void *opaque,
		    int (*each)(void *ctx, const struct pcicap *cap), void *ctx);
/* 0 if there is none. */
uint16_t pcicap_find(const struct pcicfg *c, uint8_t id);
uint16_t pcicap_find_ext(const struct pcicfg *c, uint16_t id);

/* Length in bytes of a standard capability as its own registers say (MSI, PCIe and vendor ones
 * vary); 0 for an id with no known length. `header` is the dword at its offset. */
unsigned int pcicap_len(pcicap_reader rd, void *opaque, const struct pcicap *cap);

/* Places a capability at `off` (0: next free dword from 0x40 up) of `len` bytes and links it at
 * the list's tail; STATUS.CAP_LIST is set. Returns its offset or -ENOSPC, -EBUSY, -EINVAL, and
 * -ELOOP or -EBADMSG if the list there is broken. Bytes after the
 * two-byte header are the caller's. */
int pcicap_add(struct pcicfg *c, uint8_t id, unsigned int len, unsigned int off,
	       struct verr *reterr);
/* Same for extended ones, from 0x100 up; the first must be at 0x100. */
int pcicap_add_ext(struct pcicfg *c, uint16_t id, uint8_t version, unsigned int len,
		   unsigned int off, struct verr *reterr);

VV_END_DECLS
