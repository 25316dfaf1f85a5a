// SPDX-License-Identifier: GPL-2.0-or-later
// A platform for one device under test: address spaces, RAM, an interrupt controller that records,
// an event loop, and the events the device sent.
#pragma once

#include <stdint.h>

#include "core/aspace.h"
#include "core/cc.h"
#include "core/dev.h"
#include "core/gmem.h"
#include "core/loop.h"
#include "tests/fake/rec_irqchip.h"

VV_BEGIN_DECLS

#define REC_EVENTS_MAX 32

struct rec_event {
	enum platform_event ev;
	struct dev *dev;
	char text[128];
};

struct rec_platform {
	struct platform plat;
	struct aspace mmio, pio;
	struct gmem ram;
	struct gmem_region ram_region; /* at 0 */
	struct rec_irqchip irq;
	struct rec_event event[REC_EVENTS_MAX];
	unsigned int n_events; /* all of them, also those beyond the array */
};

/* ram_size: page multiple, 0 for none. Ends the test if it can't be had. */
void rec_platform_open(struct rec_platform *p, uint64_t ram_size);
void rec_platform_close(struct rec_platform *p);

/* A device of that type, realized and reset; `cfg` as for dev_new. */
struct dev *rec_platform_dev(struct rec_platform *p, const struct dev_type *type, void *cfg);

/* As the guest would; all ones if nobody is home. */
uint32_t rec_in(struct rec_platform *p, uint16_t port, unsigned int size);
void rec_out(struct rec_platform *p, uint16_t port, uint32_t val, unsigned int size);

VV_END_DECLS
