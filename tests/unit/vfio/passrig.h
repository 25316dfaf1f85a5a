// SPDX-License-Identifier: GPL-2.0-or-later
// What the tests of vfio/passthru_*.c share: one assigned function on a platform that records,
// without a machine around it.
#pragma once

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <linux/vfio.h>

#include "pci/pcibus.h"
#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_vfio.h"
#include "tests/fake/fake_zoo.h"
#include "tests/fake/rec_platform.h"
#include "vfio/passthru.h"

#define HOST_BDF "0000:03:00.0"
#define BAR_AT	 UINT64_C(0xc0000000)

static struct rec_platform rp;
static struct pcibus root;
static struct intx_lines lines;
static struct passthru *p;
static struct fake_dev *hw;
static struct verr err;

static inline uint32_t rig_gsi(unsigned int dev, unsigned int pin)
{
	return (dev + pin) % 4;
}

static inline int rig_setup(void **state)
{
	(void)state;
	fake_reset();
	verr_clear(&err);
	rec_platform_open(&rp, MIB(2));
	intx_lines_init(&lines, &rp.irq.chip, rig_gsi);
	pcibus_init_root(&root, &rp.mmio, &rp.pio, &lines);
	rp.plat.pci0 = &root;
	p = NULL;
	return 0;
}

static inline int rig_teardown(void **state)
{
	(void)state;
	if (p)
		dev_free(&p->pd.dev);
	p = NULL;
	pcibus_fini(&root);
	bool routed = rec_irqchip_routes(&rp.irq) || rec_irqchip_bound(&rp.irq);
	rec_platform_close(&rp);
	return fake_clean() && !routed ? 0 : -1;
}

/* The device from its properties; not realized. */
static inline struct passthru *rig_new(const char *props)
{
	void *cfg = props_new(&vfio_pci_type.t);
	const struct props_target target = { vfio_pci_type.t.props, cfg };
	struct dev *d = NULL;
	assert_non_null(cfg);
	if (props_parse("vfio-pci", props, &target, 1, &err) < 0 ||
	    dev_new(&vfio_pci_type, &rp.plat, "dut", cfg, &d, &err) < 0)
		fail_msg("%s", err.msg);
	return container_of(d, struct passthru, pd.dev);
}

/* Realized, as after reset: nothing decodes. */
static inline void rig_start(const struct fake_devdesc *desc)
{
	hw = fake_zoo_one(desc);
	p = rig_new("host=" HOST_BDF);
	if (dev_realize(&p->pd.dev, &err) < 0)
		fail_msg("%s", err.msg);
	dev_reset(&p->pd.dev);
}

/* BAR 0 at BAR_AT, others behind it, memory decoding on. */
static inline void rig_place(void)
{
	uint64_t at = BAR_AT;
	for (unsigned int i = 0; i < 6; i++) {
		const struct pcidev_bar *b = &p->pd.bar[i];
		if (b->kind != PCIBAR_MEM32 && b->kind != PCIBAR_MEM64)
			continue;
		at = ALIGN_UP(at, b->size);
		pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_0 + 4 * i, (uint32_t)at, 4);
		if (b->kind == PCIBAR_MEM64)
			pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_0 + 4 * i + 4,
					 (uint32_t)(at >> 32), 4);
		at += b->size;
	}
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 2);
}

#define RIG_TEST(f)                                                                                \
	{                                                                                          \
#f, f, rig_setup, rig_teardown, NULL                                               \
	}
