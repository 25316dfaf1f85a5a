// SPDX-License-Identifier: GPL-2.0-or-later
// What the fuzz targets of assigned functions share: one function of the zoo on a fake host,
// assigned, on a platform that records; and what has to hold whatever the guest or the device does.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <linux/pci_regs.h>

#include "core/bytes.h"
#include "core/log.h"
#include "pci/pcibus.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_zoo.h"
#include "tests/fake/rec_platform.h"
#include "tests/fuzz/fuzz.h"
#include "vfio/passthru.h"

static struct rec_platform rp;
static struct pcibus root;
static struct intx_lines lines;
static struct passthru *pt;
static struct fake_dev *hw;
static uint8_t first[PCICFG_SIZE]; /* hardware's configuration space at the start */

static inline uint32_t pf_gsi(unsigned int dev, unsigned int pin)
{
	return (dev + pin) % 4;
}

static inline int pf_reserve(void *opaque, uint64_t size, uint64_t *ret_gpa, struct verr *reterr)
{
	(void)opaque;
	(void)size;
	(void)reterr;
	*ret_gpa = 0xfd000000;
	return 0;
}

/* An empty host and platform. */
static inline void pf_open(void)
{
	sys = &sys_fake;
	fake_reset();
	rec_platform_open(&rp, MIB(2));
	intx_lines_init(&lines, &rp.irq.chip, pf_gsi);
	pcibus_init_root(&root, &rp.mmio, &rp.pio, &lines);
	rp.plat.pci0 = &root;
	rp.plat.reserve = pf_reserve;
	pt = NULL;
}

/* Assigned, or refused (false), which is an answer, too. */
static inline bool pf_assign(const char *props)
{
	struct verr err = { 0 };
	void *cfg = props_new(&vfio_pci_type.t);
	const struct props_target target = { vfio_pci_type.t.props, cfg };
	struct dev *d = NULL;
	CHECK(cfg && props_parse("vfio-pci", props, &target, 1, &err) == 0);
	CHECK(dev_new(&vfio_pci_type, &rp.plat, "dut", cfg, &d, &err) == 0);
	if (dev_realize(d, &err) < 0) {
		CHECK(err.msg[0]);
		dev_free(d);
		return false;
	}
	pt = container_of(d, struct passthru, pd.dev);
	dev_reset(d);
	memcpy(first, fake_dev_config(hw), sizeof(first));
	return true;
}

static inline int pf_count(void *ctx, const struct pcicap *cap)
{
	(void)cap;
	++*(unsigned int *)ctx;
	return 0;
}

static inline uint32_t pf_shadow(void *pd, unsigned int off)
{
	return (uint32_t)pcicfg_get(&((struct pcidev *)pd)->cfg, off, 4);
}

/* The host's addresses and the guest's message stay where they belong, lists can be walked, BARs
 * answer where the registers say and nowhere else. */
static inline void pf_check(void)
{
	const uint8_t *now = fake_dev_config(hw);
	struct pcidev *pd = &pt->pd;
	unsigned int n = 0;

	CHECK(memcmp(now + PCI_BASE_ADDRESS_0, first + PCI_BASE_ADDRESS_0, 24) == 0);
	CHECK(memcmp(now + PCI_ROM_ADDRESS, first + PCI_ROM_ADDRESS, 4) == 0);
	CHECK(memcmp(now, first, 4) == 0);
	if (pd->msi)
		CHECK(get_le32(now + pd->msi->off + 4) == get_le32(first + pd->msi->off + 4));
	CHECK(pcicap_walk(pf_shadow, pd, pf_count, &n) == 0 && n <= 48);
	if (pd->cfg.size == PCICFG_SIZE)
		CHECK(pcicap_walk_ext(pf_shadow, pd, pf_count, &n) == 0);
	for (unsigned int i = 0; i < PCIDEV_N_BARS; i++) {
		const struct pcidev_bar *b = &pd->bar[i];
		CHECK(b->active == (b->io.as != NULL) && !b->stale);
		if (b->active)
			CHECK(b->gpa && IS_ALIGNED(b->gpa, b->size) &&
			      pcidev_decodes(pd, b->kind == PCIBAR_IO));
	}
}

static inline void pf_close(void)
{
	if (pt)
		dev_free(&pt->pd.dev);
	pcibus_fini(&root);
	CHECK(rec_irqchip_routes(&rp.irq) == 0 && rec_irqchip_bound(&rp.irq) == 0);
	rec_platform_close(&rp);
	CHECK(fake_clean());
}
