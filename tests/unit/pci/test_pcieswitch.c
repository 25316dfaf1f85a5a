// SPDX-License-Identifier: GPL-2.0-or-later
// A switch as an operating system finds it: one upstream port, a bus of downstream ports, a slot
// behind each; what goes where, and what a guest does to one part of it that another feels.
#include "rec.h"

static struct rig g;
static struct pcidev *rp, *up, *dn[2];
static struct tdev *card[2];

static const struct tspec spec = { .pcie = true,
				   .pin = 1,
				   .bar = { { PCIBAR_MEM32, false, 4096, 0 },
					    { PCIBAR_NONE, false, 0, 0 },
					    { PCIBAR_MEM64, true, MIB(1), 0 } } };

static int setup(void **state)
{
	(void)state;
	rig_init(&g);
	rp = rig_add(&g, &rootport_type, "rp", NULL, "05");
	up = rig_add(&g, &switch_type, "up", "rp", NULL);
	dn[0] = rig_add(&g, &downstream_type, "dn0", "up", NULL);
	dn[1] = rig_add(&g, &downstream_type, "dn1", "up", NULL);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(&g);
	return 0;
}

static void start_with_cards(void)
{
	card[0] = rig_tdev(&g, "card0", "dn0", NULL, spec);
	card[1] = rig_tdev(&g, "card1", "dn1", NULL, spec);
	rig_start(&g);
	rig_place(&g);
}

static unsigned int port_type(struct pcidev *pd)
{
	return pcidev_cfg_read(pd, pd->exp_off + PCI_EXP_FLAGS, 2) >> 4;
}

static void test_it_looks_like_a_switch(void **state)
{
	(void)state;
	start_with_cards();
	assert_int_equal(port_type(up), PCI_EXP_TYPE_UPSTREAM); /* without a slot */
	assert_int_equal(port_type(dn[0]), PCI_EXP_TYPE_DOWNSTREAM | PCI_EXP_FLAGS_SLOT >> 4);
	assert_int_equal(pcidev_cfg_read(up, PCI_CLASS_DEVICE, 2), 0x0604);
	assert_int_equal(pcidev_cfg_read(up, PCI_HEADER_TYPE, 1), PCI_HEADER_TYPE_BRIDGE);
	assert_int_equal(pcidev_cfg_read(dn[1], dn[1]->exp_off + PCI_EXP_RTCTL, 2), 0);
	pcidev_cfg_write(dn[1], dn[1]->exp_off + PCI_EXP_RTCTL, 0xffff, 2);
	assert_int_equal(pcidev_cfg_read(dn[1], dn[1]->exp_off + PCI_EXP_RTCTL, 2), 0);
	/* Slot numbers of the machine, not of the switch. */
	assert_int_equal(pcidev_cfg_read(dn[0], dn[0]->exp_off + PCI_EXP_SLTCAP, 4) >> 19, 2);
	assert_int_equal(pcidev_cfg_read(dn[1], dn[1]->exp_off + PCI_EXP_SLTCAP, 4) >> 19, 3);
	assert_int_equal(dn[0]->devfn, 0);
	assert_int_equal(dn[1]->devfn, 8);
}

static void test_numbers_and_windows_nest(void **state)
{
	(void)state;
	start_with_cards();
	assert_ptr_equal(pcibus_lookup(&g.root, 1, 0), up);
	assert_ptr_equal(pcibus_lookup(&g.root, 2, 8), dn[1]);
	assert_ptr_equal(pcibus_lookup(&g.root, 3, 0), &card[0]->pd);
	assert_ptr_equal(pcibus_lookup(&g.root, 4, 0), &card[1]->pd);
	assert_int_equal(pcidev_cfg_read(rp, PCI_SUBORDINATE_BUS, 1), 4);
	for (unsigned int i = 0; i < 2; i++) {
		const struct pcidev_bar *b = &card[i]->pd.bar[0];
		assert_true(b->active);
		for (const struct pcidev *at = dn[i]; at; at = at->bus->bridge) {
			const struct pci_win_range *w = &at->secondary->win[PCI_WIN_MEM];
			assert_true(w->first <= b->gpa && b->gpa + b->size - 1 <= w->last);
		}
	}
	/* The upstream port closes: nothing decodes behind it. */
	pcidev_cfg_write(up, PCI_COMMAND, 0, 2);
	assert_false(card[0]->pd.bar[0].active || card[1]->pd.bar[2].active);
	pcidev_cfg_write(up, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(card[0]->pd.bar[0].active && card[1]->pd.bar[2].active);
}

static void test_pins_are_turned_by_the_port_inside(void **state)
{
	unsigned int dev, pin;
	(void)state;
	start_with_cards();
	pcibus_swizzle(&card[0]->pd, &dev, &pin);
	assert_int_equal(dev, 5);
	assert_int_equal(pin, 0);
	pcibus_swizzle(&card[1]->pd, &dev, &pin);
	assert_int_equal(dev, 5);
	assert_int_equal(pin, 1); /* slot 1 of the switch */
}

static void test_power_off_above_the_switch_reaches_below(void **state)
{
	unsigned int sltctl = rp->exp_off + (unsigned int)PCI_EXP_SLTCTL;
	(void)state;
	start_with_cards();
	unsigned int resets = card[1]->resets;
	pcidev_cfg_write(rp, sltctl, PCI_EXP_SLTCTL_PWR_OFF, 2);
	assert_null(pcibus_lookup(&g.root, 1, 0));
	assert_null(pcibus_lookup(&g.root, 4, 0));
	assert_true(card[1]->resets > resets);
	assert_false(card[1]->pd.bar[0].active);
	pcidev_cfg_write(rp, sltctl, PCI_EXP_SLTCTL_PWR_ON, 2);
	assert_ptr_equal(pcibus_lookup(&g.root, 1, 0), up);
	assert_int_equal(pcidev_cfg_read(up, PCI_SECONDARY_BUS, 1), 0); /* and reset it was */
}

static void test_a_card_leaves_and_comes_by_its_own_port(void **state)
{
	(void)state;
	start_with_cards();
	assert_ptr_equal(pcidev_slot(&card[1]->pd), dn[1]);
	assert_true(pcieport_is(dn[1]) && !pcieport_is(up));
	rig_del(&g, &card[1]->pd);
	pcieport_unplugged(dn[1]);
	unsigned int sta = pcidev_cfg_read(dn[1], dn[1]->exp_off + PCI_EXP_SLTSTA, 2);
	assert_true(sta & PCI_EXP_SLTSTA_PDC);
	assert_false(sta & PCI_EXP_SLTSTA_PDS);
	assert_true(card[0]->pd.bar[0].active);
	rig_tdev(&g, "again", "dn1", NULL, spec);
	pcieport_plugged(dn[1]);
	assert_true(pcidev_cfg_read(dn[1], dn[1]->exp_off + PCI_EXP_SLTSTA, 2) &
		    PCI_EXP_SLTSTA_PDS);
}

static void refuse(const struct dev_type *type, const char *bus, const char *sentence)
{
	struct dev *d;
	struct verr err = { 0 };
	assert_int_equal(dev_new(type, &g.plat, "x", NULL, &d, &err), 0);
	rig_pd(d)->common.bus = strdup(bus);
	assert_int_equal(dev_realize(d, &err), -EINVAL);
	assert_string_equal(err.msg, sentence);
	dev_free(d);
}

static void test_wrong_places_are_refused_with_a_reason(void **state)
{
	(void)state;
	refuse(&switch_type, "pci.0",
	       "pcie-switch x: a switch goes below a PCIe port, not on PCI bus pci.0: give bus= the "
	       "id of a pcie-root-port");
	refuse(&switch_type, "up",
	       "pcie-switch x: PCI bus up is inside a switch, where only ports go: give bus= the id "
	       "of one of its pcie-switch-port");
	refuse(&downstream_type, "pci.0",
	       "pcie-switch-port x: a switch port goes into a switch, not on PCI bus pci.0: give "
	       "bus= the id of a pcie-switch");
	refuse(&downstream_type, "dn0",
	       "pcie-switch-port x: a switch port goes into a switch, not on PCI bus dn0: give bus= "
	       "the id of a pcie-switch");
	next_spec = spec;
	refuse(&tdev_type, "up",
	       "test-function x: PCI bus up is inside a switch, where only ports go: give bus= the id of one "
	       "of its pcie-switch-port");
	/* A switch below a switch is fine. */
	rig_add(&g, &switch_type, "up2", "dn0", NULL);
	rig_add(&g, &downstream_type, "dn2", "up2", NULL);
	rig_tdev(&g, "deep", "dn2", NULL, spec);
	rig_start(&g);
	rig_place(&g);
}

#define T_(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_it_looks_like_a_switch),
		T_(test_numbers_and_windows_nest),
		T_(test_pins_are_turned_by_the_port_inside),
		T_(test_power_off_above_the_switch_reaches_below),
		T_(test_a_card_leaves_and_comes_by_its_own_port),
		T_(test_wrong_places_are_refused_with_a_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
