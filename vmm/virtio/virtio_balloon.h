// SPDX-License-Identifier: GPL-2.0-or-later
// What the control socket asks of a balloon. Under the machine lock.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "core/dev.h"

VV_BEGIN_DECLS

/* What the guest says of its memory, in the order of the tags of VIRTIO 1.2 5.5.6.3. */
#define BALLOON_STATS 10

extern const char *const balloon_stat_names[BALLOON_STATS]; /* "free-memory" */

struct balloon_state {
	uint64_t memory; /* bytes: all of it, */
	uint64_t target; /* what the guest is to be left, */
	uint64_t actual; /* and what it says it has */
	bool known[BALLOON_STATS];
	uint64_t stat[BALLOON_STATS];
	uint64_t age_ms; /* of the above; UINT64_MAX: the guest never said */
};

bool virtio_is_balloon(const struct dev *d);
/* Asks the guest to make do with `size` bytes. -EINVAL: not a size of it; -EBUSY: pinned;
 * -EOPNOTSUPP: memory of huge pages. */
int virtio_balloon_set(struct dev *d, uint64_t size, struct verr *reterr);
/* What is known, and asks the guest for news. */
void virtio_balloon_query(struct dev *d, struct balloon_state *ret);

VV_END_DECLS
