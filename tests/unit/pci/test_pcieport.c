// SPDX-License-Identifier: GPL-2.0-or-later
// The root port's slot as a hot-plug driver meets it: state bits, events, commands, interrupts.
#include "rec.h"

static struct rig g;
static struct pcidev *rp;
static unsigned int exp_off;

static int setup(void **state)
{
	(void)state;
	rig_init(&g);
	rp = rig_add(&g, &rootport_type, "rp", NULL, "02");
	exp_off = rp->exp_off;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(&g);
	return 0;
}

static uint32_t rd(unsigned int reg, unsigned int size)
{
	return pcidev_cfg_read(rp, exp_off + reg, size);
}

static void wr(unsigned int reg, uint32_t val)
{
	pcidev_cfg_write(rp, exp_off + reg, val, 2);
}

static unsigned int sta(void)
{
	return rd(PCI_EXP_SLTSTA, 2);
}

static bool link_active(void)
{
	return (rd(PCI_EXP_LNKSTA, 2) & PCI_EXP_LNKSTA_DLLLA) != 0;
}

static struct tdev *card(void)
{
	return rig_tdev(&g, "card", "rp", NULL, (struct tspec){ .pcie = true });
}

#define WANTED                                                                                     \
	(PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE |   \
	 PCI_EXP_SLTCTL_DLLSCE)
#define ON  (PCI_EXP_SLTCTL_PWR_ON | PCI_EXP_SLTCTL_PWR_IND_ON | PCI_EXP_SLTCTL_ATTN_IND_OFF)
#define OFF (PCI_EXP_SLTCTL_PWR_OFF | PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_ATTN_IND_OFF)

/* What a port driver does at probe: MSI on, old events away, notification on. */
static void driver_probe(unsigned int power)
{
	pcidev_cfg_write(rp, PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE, 2);
	pcidev_cfg_write(rp, rp->msi->off + PCI_MSI_ADDRESS_LO, 0xfee00000, 4);
	pcidev_cfg_write(rp, rp->msi->off + PCI_MSI_DATA_64, 0x31, 2);
	pcidev_cfg_write(rp, rp->msi->off + PCI_MSI_FLAGS, PCI_MSI_FLAGS_ENABLE, 2);
	wr(PCI_EXP_SLTSTA, sta());
	wr(PCI_EXP_SLTCTL, power | WANTED);
	wr(PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_CC);
}

static unsigned int interrupts(void)
{
	rec_poll(&g.chip);
	return rec_got(&g.chip, 0x31);
}

static void test_registers_say_hot_plug_slot(void **state)
{
	(void)state;
	assert_int_equal(pcidev_cfg_read(rp, PCI_VENDOR_ID, 4), 0x000c1b36);
	assert_int_equal(pcidev_cfg_read(rp, PCI_CLASS_DEVICE, 2), 0x0604);
	assert_int_equal(pcidev_cfg_read(rp, PCI_HEADER_TYPE, 1), PCI_HEADER_TYPE_BRIDGE);
	assert_int_equal(rd(PCI_EXP_FLAGS, 2),
			 2 | PCI_EXP_TYPE_ROOT_PORT << 4 | PCI_EXP_FLAGS_SLOT);
	uint32_t cap = rd(PCI_EXP_SLTCAP, 4);
	assert_int_equal(cap & 0x7ffff, PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_PCP |
						PCI_EXP_SLTCAP_AIP | PCI_EXP_SLTCAP_PIP |
						PCI_EXP_SLTCAP_HPS | PCI_EXP_SLTCAP_HPC);
	assert_int_equal(cap >> 19, 1);
	assert_true(rd(PCI_EXP_LNKCAP, 4) & PCI_EXP_LNKCAP_DLLLARC);
	/* A driver that checks the link wants a width and no training. */
	assert_true(rd(PCI_EXP_LNKSTA, 2) & PCI_EXP_LNKSTA_NLW);
	assert_false(rd(PCI_EXP_LNKSTA, 2) & PCI_EXP_LNKSTA_LT);
	struct pcidev *second = rig_add(&g, &rootport_type, "rp2", NULL, NULL);
	assert_int_equal(pcidev_cfg_read(second, second->exp_off + PCI_EXP_SLTCAP, 4) >> 19, 2);
	assert_true(pcicap_find_ext(&rp->cfg, PCI_EXT_CAP_ID_ACS) == 0x100);
}

static void test_bridge_registers_take_what_bridges_take(void **state)
{
	static const struct {
		unsigned int off;
		uint32_t want;
	} ones_give[] = {
		{ PCI_PRIMARY_BUS, 0x00ffffff },
		{ PCI_IO_BASE, 0x0000f0f0 },
		{ PCI_MEMORY_BASE, 0xfff0fff0 },
		{ PCI_PREF_MEMORY_BASE, 0xfff1fff1 },
		{ PCI_PREF_BASE_UPPER32, 0xffffffff },
		{ PCI_PREF_LIMIT_UPPER32, 0xffffffff },
		{ PCI_IO_BASE_UPPER16, 0 },
		{ PCI_BASE_ADDRESS_0, 0 },
		{ PCI_BASE_ADDRESS_1, 0 },
		{ PCI_ROM_ADDRESS1, 0 },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ones_give); i++) {
		pcidev_cfg_write(rp, ones_give[i].off, UINT32_MAX, 4);
		assert_int_equal(pcidev_cfg_read(rp, ones_give[i].off, 4), ones_give[i].want);
	}
	dev_reset(&rp->dev); /* windows closed */
	assert_int_equal(pcidev_cfg_read(rp, PCI_IO_BASE, 2), 0x00f0);
	assert_int_equal(pcidev_cfg_read(rp, PCI_MEMORY_BASE, 4), 0x0000fff0);
	assert_int_equal(pcidev_cfg_read(rp, PCI_PREF_MEMORY_BASE, 4), 0x0001fff1);
}

static void test_empty_slot_has_no_power_and_no_events(void **state)
{
	(void)state;
	rig_start(&g);
	assert_int_equal(sta(), 0);
	assert_int_equal(rd(PCI_EXP_SLTCTL, 2), OFF);
	assert_false(link_active());
}

static void test_cold_plugged_card_is_there_without_events(void **state)
{
	(void)state;
	card();
	rig_start(&g);
	assert_int_equal(sta(), PCI_EXP_SLTSTA_PDS);
	assert_int_equal(rd(PCI_EXP_SLTCTL, 2), ON);
	assert_true(link_active());
}

static void test_every_command_completes(void **state)
{
	(void)state;
	rig_start(&g);
	driver_probe(OFF);
	assert_int_equal(interrupts(), 1);
	wr(PCI_EXP_SLTCTL, OFF | WANTED | PCI_EXP_SLTCTL_PWR_IND_BLINK);
	assert_true(sta() & PCI_EXP_SLTSTA_CC);
	assert_int_equal(interrupts(), 2);
	wr(PCI_EXP_SLTCTL, OFF | WANTED); /* not acknowledged: no new message */
	assert_int_equal(interrupts(), 2);
	wr(PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_CC);
	assert_int_equal(sta(), 0);
	wr(PCI_EXP_SLTCTL, OFF | (WANTED & ~PCI_EXP_SLTCTL_HPIE));
	assert_int_equal(interrupts(), 2);
	assert_true(sta() & PCI_EXP_SLTSTA_CC);
}

static void test_hot_add_raises_events_and_power_brings_the_link(void **state)
{
	(void)state;
	rig_start(&g);
	rig_place(&g);
	driver_probe(OFF);
	unsigned int before = interrupts();
	struct tdev *t = card();
	assert_int_equal(sta(), 0); /* not before it is plugged */
	pcieport_plugged(rp);
	assert_int_equal(sta(), PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_ABP);
	assert_int_equal(interrupts(), before + 1);
	assert_null(pcibus_lookup(&g.root, 1, 0)); /* no power yet */
	wr(PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_ABP);
	wr(PCI_EXP_SLTCTL, ON | WANTED);
	assert_true(link_active());
	assert_true(sta() & PCI_EXP_SLTSTA_DLLSC);
	assert_ptr_equal(pcibus_lookup(&g.root, 1, 0), &t->pd);
	assert_int_equal(interrupts(), before + 2);
}

static unsigned int ejects;

static void ejected(void *opaque)
{
	ejects++;
	rig_del(&g, opaque);
}

static void test_eject_asks_waits_and_takes_it_away(void **state)
{
	(void)state;
	struct tdev *t = card();
	rig_start(&g);
	rig_place(&g);
	driver_probe(ON);
	unsigned int before = interrupts();
	ejects = 0;
	assert_int_equal(pcieport_request_eject(rp, ejected, &t->pd), 0);
	assert_true(sta() & PCI_EXP_SLTSTA_ABP);
	assert_int_equal(interrupts(), before + 1);
	assert_int_equal(pcieport_request_eject(rp, ejected, &t->pd), -EBUSY);
	wr(PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_ABP);
	wr(PCI_EXP_SLTCTL, ON | WANTED | PCI_EXP_SLTCTL_PWR_IND_BLINK);
	assert_int_equal(ejects, 0);
	wr(PCI_EXP_SLTCTL, OFF | WANTED);
	assert_int_equal(ejects, 1);
	assert_false(sta() & PCI_EXP_SLTSTA_PDS);
	assert_false(link_active());
	assert_null(pcibus_lookup(&g.root, 1, 0));
	assert_int_equal(pcieport_request_eject(rp, ejected, NULL), -ENODEV);
	/* The slot takes another one. */
	struct tdev *again = card();
	pcieport_plugged(rp);
	wr(PCI_EXP_SLTCTL, ON | WANTED);
	assert_ptr_equal(pcibus_lookup(&g.root, 1, 0), &again->pd);
}

static void test_eject_of_a_slot_without_power_is_immediate(void **state)
{
	(void)state;
	struct tdev *t = card();
	rig_start(&g);
	wr(PCI_EXP_SLTCTL, OFF);
	ejects = 0;
	assert_int_equal(pcieport_request_eject(rp, ejected, &t->pd), 0);
	assert_int_equal(ejects, 1);
}

static void test_surprise_removal(void **state)
{
	(void)state;
	struct tdev *t = card();
	rig_start(&g);
	rig_place(&g);
	driver_probe(ON);
	pcieport_unplugged(rp);
	assert_int_equal(sta() & ~PCI_EXP_SLTSTA_CC, PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
	rig_del(&g, &t->pd);
	wr(PCI_EXP_SLTSTA, sta());
	assert_int_equal(sta(), 0);
	/* Or the other way round: it just goes. */
	t = card();
	pcieport_plugged(rp);
	wr(PCI_EXP_SLTSTA, sta());
	rig_del(&g, &t->pd);
	assert_int_equal(sta(), PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
}

static void test_power_off_resets_and_silences_the_card(void **state)
{
	(void)state;
	struct tdev *t = rig_tdev(
		&g, "card", "rp", NULL,
		(struct tspec){ .pcie = true, .bar = { { PCIBAR_MEM32, false, 4096, 0 } } });
	rig_start(&g);
	rig_place(&g);
	assert_true(t->pd.bar[0].active);
	t->resets = 0;
	wr(PCI_EXP_SLTCTL, OFF);
	assert_int_equal(t->resets, 1);
	assert_false(t->pd.bar[0].active);
	assert_null(pcibus_lookup(&g.root, 1, 0));
	wr(PCI_EXP_SLTCTL, ON);
	assert_ptr_equal(pcibus_lookup(&g.root, 1, 0), &t->pd);
	assert_int_equal(pcidev_cfg_read(&t->pd, PCI_BASE_ADDRESS_0, 4), 0);
	wr(PCI_EXP_LNKCTL, PCI_EXP_LNKCTL_LD); /* link disable does the same */
	assert_false(link_active());
	assert_null(pcibus_lookup(&g.root, 1, 0));
	wr(PCI_EXP_LNKCTL, 0);
	assert_true(link_active());
}

static void test_a_card_without_power_does_not_decode(void **state)
{
	(void)state;
	rig_start(&g);
	rig_place(&g);
	struct tdev *t = rig_tdev(
		&g, "card", "rp", NULL,
		(struct tspec){ .pcie = true, .bar = { { PCIBAR_MEM32, false, 4096, 0 } } });
	pcieport_plugged(rp);
	pcidev_cfg_write(&t->pd, PCI_BASE_ADDRESS_0,
			 (uint32_t)rp->secondary->win[PCI_WIN_MEM].first, 4);
	pcidev_cfg_write(&t->pd, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_false(t->pd.bar[0].active);
	wr(PCI_EXP_SLTCTL, ON);
	assert_true(t->pd.bar[0].active);
}

static void test_interrupt_is_intx_without_msi(void **state)
{
	(void)state;
	rig_start(&g);
	uint32_t gsi = rp->intx.gsi;
	wr(PCI_EXP_SLTCTL, OFF | WANTED);
	assert_true(g.chip.level[gsi]);
	assert_true(pcidev_cfg_read(rp, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	wr(PCI_EXP_SLTSTA, PCI_EXP_SLTSTA_CC);
	assert_false(g.chip.level[gsi]);
	card();
	pcieport_plugged(rp);
	assert_true(g.chip.level[gsi]);
	driver_probe(OFF);
	assert_false(g.chip.level[gsi]);
}

static void test_reset_forgets_events_and_requests(void **state)
{
	(void)state;
	struct tdev *t = card();
	rig_start(&g);
	driver_probe(ON);
	ejects = 0;
	assert_int_equal(pcieport_request_eject(rp, ejected, &t->pd), 0);
	dev_reset(&rp->dev);
	assert_int_equal(sta(), PCI_EXP_SLTSTA_PDS);
	assert_int_equal(rd(PCI_EXP_SLTCTL, 2), ON);
	wr(PCI_EXP_SLTCTL, OFF);
	assert_int_equal(ejects, 0);
	assert_int_equal(rp->irq_mode, PCI_IRQ_INTX);
}

static void test_port_without_hot_plug_has_a_plain_slot(void **state)
{
	struct dev *d;
	struct verr err = { 0 };
	void *cfg = props_new(&rootport_type.t);
	struct props_target to = { rootport_type.t.props, cfg };
	(void)state;
	assert_int_equal(props_parse("pcie-root-port", "hotplug=off,slot=7", &to, 1, &err), 0);
	assert_int_equal(dev_new(&rootport_type, &g.plat, "fixed", cfg, &d, &err), 0);
	assert_int_equal(dev_realize(d, &err), 0);
	g.dev[g.n_dev++] = d;
	struct pcidev *port = rig_pd(d);
	rig_tdev(&g, "card", "fixed", NULL, (struct tspec){ .pcie = true });
	rig_start(&g);
	assert_int_equal(pcidev_cfg_read(port, port->exp_off + PCI_EXP_SLTCAP, 4), 7 << 19);
	assert_int_equal(pcidev_cfg_read(port, port->exp_off + PCI_EXP_SLTSTA, 2),
			 PCI_EXP_SLTSTA_PDS);
	pcidev_cfg_write(port, port->exp_off + PCI_EXP_SLTCTL, 0xffff, 2);
	assert_int_equal(pcidev_cfg_read(port, port->exp_off + PCI_EXP_SLTCTL, 4),
			 PCI_EXP_SLTSTA_PDS << 16);
	assert_int_equal(pcieport_request_eject(port, ejected, NULL), -EOPNOTSUPP);
}

static void test_random_guests_keep_the_slot_true(void **state)
{
	struct tdev *t = NULL;
	uint32_t x = 11;
	(void)state;
	rig_start(&g);
	for (unsigned int i = 0; i < 20000; i++) {
		x = x * 1664525 + 1013904223;
		if ((x >> 20) % 64 == 0 && t == NULL) {
			t = card();
			pcieport_plugged(rp);
		} else if ((x >> 20) % 64 == 1 && t != NULL) {
			rig_del(&g, &t->pd);
			t = NULL;
		} else {
			unsigned int size = 1U << (x >> 29) % 3;
			unsigned int off = (x >> 18) % 0x100 & ~(size - 1);
			pcidev_cfg_write(rp, off, x << 11 ^ x >> 3, size);
		}
		bool power = (rd(PCI_EXP_SLTCTL, 2) & PCI_EXP_SLTCTL_PCC) == 0;
		bool enabled = (rd(PCI_EXP_LNKCTL, 2) & PCI_EXP_LNKCTL_LD) == 0;
		assert_int_equal((sta() & PCI_EXP_SLTSTA_PDS) != 0, t != NULL);
		assert_int_equal(link_active(), t != NULL && power && enabled);
	}
}

#define T_(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_registers_say_hot_plug_slot),
		T_(test_bridge_registers_take_what_bridges_take),
		T_(test_empty_slot_has_no_power_and_no_events),
		T_(test_cold_plugged_card_is_there_without_events),
		T_(test_every_command_completes),
		T_(test_hot_add_raises_events_and_power_brings_the_link),
		T_(test_eject_asks_waits_and_takes_it_away),
		T_(test_eject_of_a_slot_without_power_is_immediate),
		T_(test_surprise_removal),
		T_(test_power_off_resets_and_silences_the_card),
		T_(test_a_card_without_power_does_not_decode),
		T_(test_interrupt_is_intx_without_msi),
		T_(test_reset_forgets_events_and_requests),
		T_(test_port_without_hot_plug_has_a_plain_slot),
		T_(test_random_guests_keep_the_slot_true),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
