// SPDX-License-Identifier: GPL-2.0-or-later
// What every PC kernel pokes at without asking first, answered so that nothing waits:
//  0x40-0x43  interval timer: absent. Reads as 0, because a calibration loop that sees a constant
//             of all ones believes the counter stands and polls it 50000 times.
//  0x61       system control port B: no parity error or channel check (all ones would mean both,
//             at every NMI); the refresh bit toggles; timer 2's output is high once its gate is.
//  0x80       POST code: swallowed.
//  0x92       system control port A: bit 0 resets, A20 is always on.
#include <stdlib.h>

#include "core/aspace.h"
#include "vmm/dev/devs.h"

#define B_WRITABLE   0x0f
#define B_GATE2	     0x01
#define B_REFRESH    0x10
#define B_OUT2	     0x20
#define A_FAST_RESET 0x01
#define A_A20	     0x02

enum { PIT, PORT_B, POST, PORT_A, N_REGIONS };

struct legacy {
	struct dev dev;
	struct io_region io[N_REGIONS];
	uint8_t port_a, port_b;
};

static uint64_t zero_read(void *opaque, uint64_t off, unsigned int size)
{
	(void)opaque;
	(void)off;
	(void)size;
	return 0;
}

static void ignore_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	(void)opaque;
	(void)off;
	(void)val;
	(void)size;
}

static uint64_t port_b_read(void *opaque, uint64_t off, unsigned int size)
{
	struct legacy *s = opaque;

	(void)off;
	(void)size;
	s->port_b ^= B_REFRESH;
	return (uint64_t)(s->port_b | (s->port_b & B_GATE2 ? B_OUT2 : 0));
}

static void port_b_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct legacy *s = opaque;

	(void)off;
	(void)size;
	s->port_b = (uint8_t)((s->port_b & B_REFRESH) | (val & B_WRITABLE));
}

static uint64_t port_a_read(void *opaque, uint64_t off, unsigned int size)
{
	(void)off;
	(void)size;
	return ((struct legacy *)opaque)->port_a | A_A20;
}

static void port_a_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct legacy *s = opaque;

	(void)off;
	(void)size;
	/* The rising edge of the bit resets; it keeps its value until then. */
	if ((val & A_FAST_RESET) && !(s->port_a & A_FAST_RESET))
		dev_event(&s->dev, PLATFORM_RESET, "the guest reset the machine (port 0x92)");
	s->port_a = (uint8_t)val & A_FAST_RESET;
}

static const struct io_region_ops ignore_ops = {
	.read = zero_read,
	.write = ignore_write,
	.min = 1,
	.max = 1,
};
static const struct io_region_ops port_b_ops = {
	.read = port_b_read,
	.write = port_b_write,
	.min = 1,
	.max = 1,
};
static const struct io_region_ops port_a_ops = {
	.read = port_a_read,
	.write = port_a_write,
	.min = 1,
	.max = 1,
};

static const struct {
	const char *name;
	const struct io_region_ops *ops;
	uint16_t port, n;
} regions[N_REGIONS] = {
	[PIT] = { "no-pit", &ignore_ops, 0x40, 4 },
	[PORT_B] = { "port-b", &port_b_ops, 0x61, 1 },
	[POST] = { "post", &ignore_ops, 0x80, 1 },
	[PORT_A] = { "port-a", &port_a_ops, 0x92, 1 },
};

static void legacy_reset(struct dev *d)
{
	struct legacy *s = container_of(d, struct legacy, dev);

	s->port_a = s->port_b = 0;
}

static void legacy_unrealize(struct dev *d)
{
	struct legacy *s = container_of(d, struct legacy, dev);

	for (unsigned int i = 0; i < N_REGIONS; i++)
		aspace_unmap(&s->io[i]);
}

static int legacy_realize(struct dev *d, struct verr *reterr)
{
	struct legacy *s = container_of(d, struct legacy, dev);

	for (unsigned int i = 0; i < N_REGIONS; i++) {
		int r;

		s->io[i] = (struct io_region){ .name = regions[i].name,
					       .ops = regions[i].ops,
					       .opaque = s };
		r = aspace_map(d->plat->pio, &s->io[i], regions[i].port, regions[i].n, reterr);
		if (r < 0) {
			legacy_unrealize(d);
			return r;
		}
	}
	return 0;
}

static struct dev *legacy_alloc(void)
{
	struct legacy *s = calloc(1, sizeof(*s));

	return s ? &s->dev : NULL;
}

static void legacy_free(struct dev *d)
{
	free(container_of(d, struct legacy, dev));
}

static const struct dev_ops legacy_ops = {
	.realize = legacy_realize,
	.unrealize = legacy_unrealize,
	.reset = legacy_reset,
};

const struct dev_type legacy_type = {
	.t = { .name = "legacy",
	       .category = "platform",
	       .desc = "ports that PC kernels touch unasked" },
	.ops = &legacy_ops,
	.alloc = legacy_alloc,
	.free = legacy_free,
};
