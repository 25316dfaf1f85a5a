// SPDX-License-Identifier: GPL-2.0-or-later
// Rings no driver builds: one battery of hostile layouts for any device. Each case negotiates,
// breaks one rule, and wants DEVICE_NEEDS_RESET and, after a reset, a device that works again.
#pragma once

#include "tests/guest/vdrv.h"

VV_BEGIN_DECLS

struct vdrv_bad {
	const char *name;
	bool packed, split; /* which formats it exists in */
	bool at_start;	    /* the rings' place is what is wrong: nothing is added */
	/* Puts it into queue q, which is fresh: the ring entry 0 is what the device looks at. `seg`
	 * is a good segment of RAM. For at_start: before DRIVER_OK. */
	void (*make)(struct vdrv_queue *q, struct vdrv_seg seg);
};

extern const struct vdrv_bad vdrv_bad_cases[]; /* ended by a name of NULL */

/* Runs those that fit format and features on queue `index` (`n` queues in all are made). `want`
 * as for vdrv_start(). Returns how many ran; a case the device does not answer with NEEDS_RESET
 * ends the test with its name. */
unsigned int vdrv_bad_run(struct vdrv *v, uint64_t want, unsigned int n, unsigned int index);

VV_END_DECLS
