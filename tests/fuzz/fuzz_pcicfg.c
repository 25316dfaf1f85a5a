// SPDX-License-Identifier: GPL-2.0-or-later
// A hostile guest at the PCI bus: any sequence of port, ECAM and BAR accesses to a host bridge,
// two root ports (one below the other) and a function with everything, hot-plug events between.
// Nothing may crash, leak a route, or leave a window open that the registers do not describe.
//
// Input: steps of 12 bytes: what, size, address (4), value (4), spare (2).
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "pci/hostbridge.h"
#include "pci/pcieport.h"
#include "tests/fake/rec_platform.h"
#include "tests/fuzz/fuzz.h"

#define STEP 12
#define ECAM UINT64_C(0xe0000000)

/* ---- the function ---------------------------------------------------------------------------- */

static int fn_realize(struct dev *d, struct verr *err)
{
	struct pcidev *pd = container_of(d, struct pcidev, dev);
	pcidev_init(pd, NULL, true, false);
	pcidev_set_ids(pd, 0x1234, 0x11e8, 0, 0, 0x00ff00, 1);
	int r = pcidev_add_bar(pd, 0, PCIBAR_MEM32, false, KIB(16), err);
	if (r == 0)
		r = pcidev_add_bar(pd, 1, PCIBAR_IO, false, 32, err);
	if (r == 0)
		r = pcidev_add_bar(pd, 2, PCIBAR_MEM64, true, GIB(1), err);
	if (r == 0)
		r = pcidev_add_bar(pd, PCIDEV_ROM, PCIBAR_ROM, false, KIB(64), err);
	if (r == 0)
		r = pcidev_add_pm(pd, 0, err);
	if (r == 0)
		r = pcidev_add_exp(pd, 0, PCI_EXP_TYPE_ENDPOINT, true, err);
	if (r == 0)
		r = pcidev_add_msi(pd, 0, 8, true, true, err);
	if (r == 0)
		r = pcidev_add_msix(pd, 0, 17, 0, 0x1000, 0, 0x800, err);
	if (r == 0)
		r = pcidev_add_intx(pd, 1);
	return r == 0 ? pcidev_attach(pd, err) : r;
}

static void fn_unrealize(struct dev *d)
{
	pcidev_fini(container_of(d, struct pcidev, dev));
}

static void fn_reset(struct dev *d)
{
	pcidev_reset(container_of(d, struct pcidev, dev), true);
}

static struct dev *fn_alloc(void)
{
	struct pcidev *pd = calloc(1, sizeof(*pd));
	return pd != NULL ? &pd->dev : NULL;
}

static void fn_free(struct dev *d)
{
	free(container_of(d, struct pcidev, dev));
}

static const struct dev_ops fn_ops = {
	.realize = fn_realize,
	.unrealize = fn_unrealize,
	.reset = fn_reset,
};

static const struct dev_type fn_type = {
	.t = { .name = "function", .category = "test", .desc = "a function with everything" },
	.ops = &fn_ops,
	.alloc = fn_alloc,
	.free = fn_free,
	.pci = true,
};

/* ---- the machine ----------------------------------------------------------------------------- */

static struct rec_platform plat;
static struct pcibus root;
static struct intx_lines lines;
static struct dev *host, *port, *lower, *fn;

static uint32_t gsi_of(unsigned int dev, unsigned int pin)
{
	return 16 + (dev + pin) % 8;
}

static struct dev *add(const struct dev_type *type, const char *id, const char *bus, bool running)
{
	struct dev *d;
	CHECK(dev_new(type, &plat.plat, id, NULL, &d, NULL) == 0);
	if (bus != NULL)
		container_of(d, struct pcidev, dev)->common.bus = strdup(bus);
	CHECK(dev_realize(d, NULL) == 0);
	dev_reset(d);
	if (running)
		CHECK(dev_start(d, NULL) == 0);
	return d;
}

static struct pcidev *pd_of(struct dev *d)
{
	return container_of(d, struct pcidev, dev);
}

static void gone(void *opaque)
{
	(void)opaque;
	dev_free(fn);
	fn = NULL;
}

static void build(void)
{
	const struct pci_windows w = { { 0x1000, 0xffff },
				       { 0xc0000000, 0xdfffffff },
				       { GIB(64), GIB(128) - 1 } };
	rec_platform_open(&plat, 0);
	intx_lines_init(&lines, &plat.irq.chip, gsi_of);
	pcibus_init_root(&root, &plat.mmio, &plat.pio, &lines);
	plat.plat.pci0 = &root;
	host = add(&hostbridge_type, "host", NULL, true);
	CHECK(hostbridge_map(container_of(host, struct hostbridge, pd.dev), ECAM, MIB(256), NULL) ==
	      0);
	port = add(&rootport_type, "port", NULL, false);
	lower = add(&rootport_type, "lower", "port", false);
	fn = add(&fn_type, "fn", "lower", true);
	dev_reset(port);
	dev_reset(lower);
	CHECK(dev_start(port, NULL) == 0 && dev_start(lower, NULL) == 0);
	CHECK(pcibus_place(&root, &w, NULL) == 0);
	struct dev *all[] = { host, port, lower, fn };
	for (unsigned int i = 0; i < ARRAY_SIZE(all); i++)
		pcibus_program(container_of(all[i], struct pcidev, dev));
}

static void unbuild(void)
{
	dev_free(fn);
	dev_free(lower);
	dev_free(port);
	dev_free(host);
	pcibus_fini(&root);
	CHECK(rec_irqchip_routes(&plat.irq) == 0 && rec_irqchip_bound(&plat.irq) == 0);
	rec_platform_close(&plat);
}

/* Any function's registers straight, so that a fuzzer need not find the bus numbers first. */
static void poke(struct dev *d, uint32_t addr, uint32_t val, unsigned int size)
{
	size = MIN(size, 4U);
	if (d != NULL)
		pcidev_cfg_write(pd_of(d), addr % PCICFG_SIZE & ~(size - 1), val, size);
}

static void step(const uint8_t *d)
{
	static const unsigned int sizes[] = { 1, 2, 4, 8 };
	unsigned int size = sizes[d[1] & 3];
	uint32_t addr = get_le32(d + 2), val = get_le32(d + 6);
	uint64_t got;
	switch (d[0] % 12) {
	case 0:
		poke(port, addr, val, size);
		break;
	case 1:
		poke(lower, addr, val, size);
		break;
	case 2:
	case 3:
		poke(fn, addr, val, size);
		break;
	case 4:
		aspace_write(&plat.mmio, ECAM + addr % MIB(256), (uint64_t)val << 32 | val, size);
		break;
	case 5:
		aspace_read(&plat.mmio, ECAM + addr % MIB(256), &got, size);
		break;
	case 6:
		aspace_write(&plat.pio, 0xcf8 + addr % 8, val, MIN(size, 4U));
		break;
	case 7:
		aspace_read(&plat.pio, 0xcf8 + addr % 8, &got, MIN(size, 4U));
		break;
	case 8: /* the function's first BAR, wherever it is */
		if (fn != NULL && pd_of(fn)->bar[0].active)
			aspace_write(&plat.mmio, pd_of(fn)->bar[0].gpa + addr % KIB(16), val, size);
		break;
	case 9:
		if (fn != NULL && pd_of(fn)->bar[0].active)
			aspace_read(&plat.mmio, pd_of(fn)->bar[0].gpa + addr % KIB(16), &got, size);
		break;
	case 10:
		if (fn != NULL)
			pcidev_notify(pd_of(fn), addr % 20);
		break;
	default: /* what the world does to the slot */
		if (addr % 8 == 0 && fn == NULL) {
			fn = add(&fn_type, "fn", "lower", true);
			pcieport_plugged(pd_of(lower));
		} else if (addr % 8 == 1 && fn != NULL) {
			pcieport_request_eject(pd_of(lower), gone, NULL);
		} else if (addr % 8 == 2 && fn != NULL) {
			pcieport_unplugged(pd_of(lower));
			gone(NULL);
		} else if (addr % 8 == 3 && fn != NULL) {
			pcidev_intx_set(pd_of(fn), val % 2 != 0);
		}
	}
}

static void check(void)
{
	if (fn == NULL)
		return;
	const struct pcidev *pd = pd_of(fn);
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		const struct pcidev_bar *b = &pd->bar[i];
		CHECK(b->active == (b->io.as != NULL) && !b->stale);
		if (!b->active)
			continue;
		bool io = b->kind == PCIBAR_IO;
		CHECK(b->gpa != 0 && IS_ALIGNED(b->gpa, b->size));
		CHECK(pcidev_decodes(pd, io) && pcidev_decodes(pd_of(port), io) &&
		      pcidev_decodes(pd_of(lower), io));
	}
	unsigned int bound = 0;
	for (unsigned int i = 0; i < pd->n_vec; i++)
		bound += pd->vec[i].bound;
	CHECK(pd->msix->enabled || pd->msi->enabled || bound == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	build();
	for (size_t at = 0; at + STEP <= size && at < 400 * STEP; at += STEP) {
		step(data + at);
		check();
	}
	unbuild();
	return 0;
}
