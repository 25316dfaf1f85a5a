// SPDX-License-Identifier: GPL-2.0-or-later
// Builds a platform of real address spaces, memory and loop around a recording interrupt
// controller.
#include "tests/fake/rec_platform.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "core/bytes.h"

static void must(int r, const char *what, const struct verr *e)
{
	if (r >= 0)
		return;
	fprintf(stderr, "%s: %s (%d)\n", what, e->msg, r);
	abort();
}

static void on_event(void *opaque, enum platform_event ev, struct dev *dev, const char *text)
{
	struct rec_platform *p = opaque;

	if (p->n_events < REC_EVENTS_MAX) {
		struct rec_event *e = &p->event[p->n_events];

		e->ev = ev;
		e->dev = dev;
		snprintf(e->text, sizeof(e->text), "%s", text);
	}
	p->n_events++;
}

void rec_platform_open(struct rec_platform *p, uint64_t ram_size)
{
	struct verr e = { 0 };
	void *hva;

	memset(p, 0, sizeof(*p));
	must(aspace_init(&p->mmio, "mmio", (UINT64_C(1) << 40) - 1), "mmio", &e);
	must(aspace_init(&p->pio, "pio", 0xffff), "pio", &e);
	gmem_init(&p->ram);
	rec_irqchip_init(&p->irq);
	must(loop_open(&p->plat.loop, &e), "loop", &e);
	if (ram_size) {
		hva = mmap(NULL, ram_size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		must(hva == MAP_FAILED ? -1 : 0, "RAM", &e);
		p->ram_region = (struct gmem_region){
			.name = "ram",
			.kind = GMEM_RAM,
			.size = ram_size,
			.hva = hva,
			.fd = -1,
		};
		must(gmem_add(&p->ram, &p->ram_region, &e), "RAM", &e);
	}
	p->plat.mmio = &p->mmio;
	p->plat.pio = &p->pio;
	p->plat.ram = &p->ram;
	p->plat.irq = &p->irq.chip;
	p->plat.event = on_event;
	p->plat.event_opaque = p;
}

void rec_platform_close(struct rec_platform *p)
{
	if (p->ram_region.hva) {
		gmem_del(&p->ram_region);
		munmap(p->ram_region.hva, p->ram_region.size);
	}
	loop_close(p->plat.loop);
	rec_irqchip_fini(&p->irq);
	gmem_fini(&p->ram);
	aspace_fini(&p->pio);
	aspace_fini(&p->mmio);
}

struct dev *rec_platform_dev(struct rec_platform *p, const struct dev_type *type, void *cfg)
{
	struct verr e = { 0 };
	struct dev *d;

	must(dev_new(type, &p->plat, NULL, cfg, &d, &e), type->t.name, &e);
	must(dev_realize(d, &e), type->t.name, &e);
	dev_reset(d);
	return d;
}

uint32_t rec_in(struct rec_platform *p, uint16_t port, unsigned int size)
{
	uint64_t v;

	return (uint32_t)(aspace_read(&p->pio, port, &v, size) ? v : ones(size));
}

void rec_out(struct rec_platform *p, uint16_t port, uint32_t val, unsigned int size)
{
	aspace_write(&p->pio, port, val, size);
}
