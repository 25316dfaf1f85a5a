// SPDX-License-Identifier: GPL-2.0-or-later
// A port that ends the machine, for tests and guests too small for ACPI. 0 ends it well; another
// value is the guest's failure, and is reported as such with its number.
#include <stdlib.h>

#include "core/aspace.h"
#include "vmm/dev/devs.h"

struct debugexit {
	struct dev dev;
	struct io_region io;
};

static uint64_t exit_read(void *opaque, uint64_t off, unsigned int size)
{
	(void)opaque;
	(void)off;
	(void)size;
	return 0;
}

static void exit_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct debugexit *s = opaque;

	(void)off;
	(void)size;
	if (val == 0)
		dev_event(&s->dev, PLATFORM_POWER_OFF, "the guest ended (debug-exit 0)");
	else
		dev_event(&s->dev, PLATFORM_PANIC, "the guest reported failure %u (debug-exit)",
			  (unsigned int)val);
}

/* Any width is one write: the value counts as a whole. */
static const struct io_region_ops exit_io_ops = {
	.read = exit_read,
	.write = exit_write,
	.min = 1,
	.max = 4,
};

static int exit_realize(struct dev *d, struct verr *reterr)
{
	struct debugexit *s = container_of(d, struct debugexit, dev);
	const struct debugexit_cfg *c = d->cfg;

	s->io = (struct io_region){ .name = d->id, .ops = &exit_io_ops, .opaque = s };
	return aspace_map(d->plat->pio, &s->io, c->port, 4, reterr);
}

static void exit_unrealize(struct dev *d)
{
	aspace_unmap(&container_of(d, struct debugexit, dev)->io);
}

static struct dev *exit_alloc(void)
{
	struct debugexit *s = calloc(1, sizeof(*s));

	return s ? &s->dev : NULL;
}

static void exit_free(struct dev *d)
{
	free(container_of(d, struct debugexit, dev));
}

static const struct dev_ops exit_ops = { .realize = exit_realize, .unrealize = exit_unrealize };

static const struct prop exit_props[] = {
	PROP_NAMED("port", struct debugexit_cfg, port, PROP_U16, "0xf4",
		   "I/O port, 4 wide; writing 0 ends well, anything else is a failure",
		   .max = 0xfffc),
	PROP_END,
};

const struct dev_type debugexit_type = {
	.t = { .name = "debug-exit",
	       .category = "debugging",
	       .desc = "a port that ends the virtual machine",
	       .props = exit_props,
	       .cfg_size = sizeof(struct debugexit_cfg) },
	.ops = &exit_ops,
	.alloc = exit_alloc,
	.free = exit_free,
	.user = true,
};
