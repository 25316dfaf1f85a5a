// SPDX-License-Identifier: GPL-2.0-or-later
// The registers hardware-reduced ACPI has for power: sleep control, sleep status, reset. The only
// sleep state is S5. Spec: ACPI 6.4 4.8.3.6 (reset) and 4.8.3.7 (sleep).
#define LOG_TAG "acpi-pm"
#include <stdlib.h>

#include "core/aspace.h"
#include "core/log.h"
#include "vmm/dev/devs.h"

#define SLP_TYP_SHIFT 2
#define SLP_TYP_MASK  0x1c
#define SLP_EN	      0x20

struct acpi_pm {
	struct dev dev;
	struct io_region io;
	uint8_t control;
};

static uint64_t pm_read(void *opaque, uint64_t off, unsigned int size)
{
	const struct acpi_pm *s = opaque;

	(void)size;
	/* The status has one bit, "woken up", which S5 never sets. */
	return off == ACPI_PM_SLEEP_CONTROL ? s->control : 0;
}

static void pm_write(void *opaque, uint64_t off, uint64_t val, unsigned int size)
{
	struct acpi_pm *s = opaque;

	(void)size;
	if (off == ACPI_PM_RESET && val == ACPI_PM_RESET_VALUE) {
		dev_event(&s->dev, PLATFORM_RESET, "the guest reset the machine (ACPI)");
		return;
	}
	if (off != ACPI_PM_SLEEP_CONTROL)
		return;
	s->control = (uint8_t)val & SLP_TYP_MASK; /* SLP_EN reads as 0 */
	if (!(val & SLP_EN))
		return;
	if ((val & SLP_TYP_MASK) >> SLP_TYP_SHIFT == ACPI_PM_SLP_TYP_S5)
		dev_event(&s->dev, PLATFORM_POWER_OFF, "the guest powered off (ACPI S5)");
	else
		guest_warn("sleep type %u does not exist",
			   (unsigned int)s->control >> SLP_TYP_SHIFT);
}

static const struct io_region_ops pm_io_ops = {
	.read = pm_read,
	.write = pm_write,
	.min = 1,
	.max = 1,
};

static void pm_reset(struct dev *d)
{
	container_of(d, struct acpi_pm, dev)->control = 0;
}

static int pm_realize(struct dev *d, struct verr *reterr)
{
	struct acpi_pm *s = container_of(d, struct acpi_pm, dev);
	const struct acpi_pm_cfg *c = d->cfg;

	s->io = (struct io_region){ .name = d->id, .ops = &pm_io_ops, .opaque = s };
	return aspace_map(d->plat->pio, &s->io, c->port, ACPI_PM_PORTS, reterr);
}

static void pm_unrealize(struct dev *d)
{
	aspace_unmap(&container_of(d, struct acpi_pm, dev)->io);
}

static struct dev *pm_alloc(void)
{
	struct acpi_pm *s = calloc(1, sizeof(*s));

	return s ? &s->dev : NULL;
}

static void pm_free(struct dev *d)
{
	free(container_of(d, struct acpi_pm, dev));
}

static const struct dev_ops pm_ops = {
	.realize = pm_realize,
	.unrealize = pm_unrealize,
	.reset = pm_reset,
};

const struct dev_type acpi_pm_type = {
	.t = { .name = "acpi-pm",
	       .category = "platform",
	       .desc = "ACPI sleep and reset registers",
	       .cfg_size = sizeof(struct acpi_pm_cfg) },
	.ops = &pm_ops,
	.alloc = pm_alloc,
	.free = pm_free,
};
