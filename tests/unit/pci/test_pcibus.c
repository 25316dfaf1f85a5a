// SPDX-License-Identifier: GPL-2.0-or-later
// Slots and buses: who may sit where, whom a bus number reaches, how pins are turned.
#include "rec.h"

static struct rig g;

static int setup(void **state)
{
	(void)state;
	rig_init(&g);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(&g);
	return 0;
}

static const struct tspec plain = { .pcie = true };

static void refuse(const char *bus, const char *addr, int code, const char *says)
{
	struct dev *d;
	struct verr err = { 0 };
	next_spec = plain;
	assert_int_equal(dev_new(&tdev_type, &g.plat, "x", NULL, &d, &err), 0);
	rig_pd(d)->common.bus = bus != NULL ? strdup(bus) : NULL;
	rig_pd(d)->common.addr = strdup(addr);
	assert_int_equal(dev_realize(d, &err), code);
	if (strstr(err.msg, says) == NULL)
		fail_msg("'%s' does not say '%s'", err.msg, says);
	dev_free(d);
}

static void test_slots_are_given_in_order_or_by_name(void **state)
{
	(void)state;
	assert_int_equal(rig_tdev(&g, "a", NULL, NULL, plain)->pd.devfn, 0);
	assert_int_equal(rig_tdev(&g, "b", NULL, "02", plain)->pd.devfn, 2 << 3);
	assert_int_equal(rig_tdev(&g, "c", NULL, NULL, plain)->pd.devfn, 1 << 3);
	assert_int_equal(rig_tdev(&g, "d", NULL, NULL, plain)->pd.devfn, 3 << 3);
	assert_int_equal(rig_tdev(&g, "e", "pci.0", "1f", plain)->pd.devfn, 0x1f << 3);
	assert_int_equal(rig_tdev(&g, "f", NULL, "5.0", plain)->pd.devfn, 5 << 3);
}

static void test_wrong_places_are_refused_with_a_reason(void **state)
{
	static const char *const nonsense[] = { "",	"20", "4.8", "4.",   "0x4", "-1",
						"4.0x", "g",  "1 ",  "4..0", " 4",  "+4" };
	(void)state;
	rig_add(&g, &rootport_type, "rp", NULL, NULL);
	rig_tdev(&g, "a", NULL, "04", plain);
	refuse(NULL, "04", -EBUSY, "taken by a");
	refuse(NULL, "04.1", -EINVAL, "multifunction=on");
	refuse(NULL, "05.1", -EINVAL, "multifunction=on");
	refuse("rp", "01", -EINVAL, "slot 00 only");
	refuse("nowhere", "01", -ENOENT, "'nowhere'");
	for (size_t i = 0; i < ARRAY_SIZE(nonsense); i++)
		refuse(NULL, nonsense[i], -EINVAL, "is not a slot");
}

static void test_functions_follow_a_multifunction_function_0(void **state)
{
	struct tspec multi = { .pcie = true, .multifunction = true };
	(void)state;
	struct tdev *a = rig_tdev(&g, "a", NULL, "04.0", multi);
	struct tdev *b = rig_tdev(&g, "b", NULL, "04.1", plain);
	assert_int_equal(a->pd.cfg.val[PCI_HEADER_TYPE], 0x80);
	assert_int_equal(b->pd.devfn, 4 << 3 | 1);
	assert_ptr_equal(pcibus_lookup(&g.root, 0, 0x21), &b->pd);
}

static void test_a_full_bus_says_so(void **state)
{
	struct dev *d;
	struct verr err = { 0 };
	(void)state;
	for (unsigned int i = 0; i < 32; i++)
		rig_tdev(&g, "t", NULL, NULL, plain);
	assert_int_equal(dev_new(&tdev_type, &g.plat, "x", NULL, &d, &err), 0);
	assert_int_equal(dev_realize(d, &err), -EBUSY);
	assert_non_null(strstr(err.msg, "full"));
	dev_free(d);
}

static void test_removed_functions_leave_their_slot(void **state)
{
	(void)state;
	struct tdev *a = rig_tdev(&g, "a", NULL, NULL, plain);
	rig_tdev(&g, "b", NULL, NULL, plain);
	rig_del(&g, &a->pd);
	assert_null(pcibus_lookup(&g.root, 0, 0));
	assert_int_equal(rig_tdev(&g, "c", NULL, NULL, plain)->pd.devfn, 0);
}

static void test_absent_functions_read_ones(void **state)
{
	(void)state;
	rig_tdev(&g, "a", NULL, NULL, plain);
	assert_int_equal(pcibus_cfg_read(&g.root, 0, 8, 0, 4), UINT32_MAX);
	assert_int_equal(pcibus_cfg_read(&g.root, 0, 8, 0, 2), 0xffff);
	assert_int_equal(pcibus_cfg_read(&g.root, 1, 0, 0, 1), 0xff);
	pcibus_cfg_write(&g.root, 1, 0, 4, 7, 2);
	assert_int_equal(pcibus_cfg_read(&g.root, 0, 0, 0, 4), 0x11e81234);
	assert_int_equal(pcibus_cfg_read(&g.root, 0, 0, 0xffc, 4), 0);
}

static void test_bus_numbers_are_the_guests(void **state)
{
	struct pcidev *top = rig_add(&g, &rootport_type, "top", NULL, NULL);
	struct pcidev *low = rig_add(&g, &rootport_type, "low", "top", NULL);
	struct tdev *t = rig_tdev(&g, "t", "low", NULL, plain);
	(void)state;
	rig_start(&g);
	for (unsigned int b = 1; b < 256; b++)
		assert_null(pcibus_lookup(&g.root, (uint8_t)b, 0));
	pcidev_cfg_write(top, PCI_PRIMARY_BUS, 0x401000, 4); /* 16..64 */
	assert_ptr_equal(pcibus_lookup(&g.root, 0x10, 0), low);
	assert_null(pcibus_lookup(&g.root, 0x11, 0));
	pcidev_cfg_write(low, PCI_PRIMARY_BUS, 0x302010, 4);
	assert_ptr_equal(pcibus_lookup(&g.root, 0x20, 0), &t->pd);
	assert_null(pcibus_lookup(&g.root, 0x21, 0));
	assert_null(pcibus_lookup(&g.root, 0x20, 8));
	char buf[16];
	assert_string_equal(pcidev_str(&t->pd, buf), "0000:20:00.0");
	pcidev_cfg_write(top, PCI_SUBORDINATE_BUS, 0x1f, 1);
	assert_null(pcibus_lookup(&g.root, 0x20, 0)); /* cut off above */
	pcidev_cfg_write(top, PCI_SUBORDINATE_BUS, 0xff, 1);
	pcidev_cfg_write(low, PCI_SECONDARY_BUS, 0x10, 1); /* the number it sits on itself */
	assert_null(pcibus_lookup(&g.root, 0x11, 0));
	assert_ptr_equal(pcibus_lookup(&g.root, 0x10, 0), low);
}

static void test_a_bridge_without_numbers_passes_nothing_on(void **state)
{
	struct pcidev *top = rig_add(&g, &rootport_type, "top", NULL, NULL);
	struct pcidev *mid = rig_add(&g, &rootport_type, "mid", "top", NULL);
	struct pcidev *low = rig_add(&g, &rootport_type, "low", "mid", NULL);
	struct tdev *t = rig_tdev(&g, "t", "low", NULL, plain);
	(void)state;
	rig_start(&g);
	pcidev_cfg_write(top, PCI_PRIMARY_BUS, 0x401000, 4);
	pcidev_cfg_write(mid, PCI_PRIMARY_BUS, 0x400010, 4); /* secondary 0 */
	pcidev_cfg_write(low, PCI_PRIMARY_BUS, 0x202000, 4);
	assert_null(pcibus_lookup(&g.root, 0x20, 0));
	pcidev_cfg_write(mid, PCI_SECONDARY_BUS, 0x11, 1);
	assert_ptr_equal(pcibus_lookup(&g.root, 0x20, 0), &t->pd);
}

/* A guest may write any numbers: every lookup ends and none reaches two functions. */
static void test_hostile_bus_numbers_end(void **state)
{
	struct pcidev *p[6];
	uint32_t x = 5;
	(void)state;
	p[0] = rig_add(&g, &rootport_type, "p0", NULL, NULL);
	p[1] = rig_add(&g, &rootport_type, "p1", NULL, NULL);
	p[2] = rig_add(&g, &rootport_type, "p2", "p0", NULL);
	p[3] = rig_add(&g, &rootport_type, "p3", "p1", NULL);
	p[4] = rig_add(&g, &rootport_type, "p4", "p2", NULL);
	p[5] = rig_add(&g, &rootport_type, "p5", "p4", NULL);
	rig_start(&g);
	for (unsigned int i = 0; i < 20000; i++) {
		x = x * 1664525 + 1013904223;
		pcidev_cfg_write(p[(x >> 28) % 6], PCI_PRIMARY_BUS, x << 7 ^ x, 4);
		pcibus_lookup(&g.root, (uint8_t)(x >> 12), 0);
	}
}

static void test_secondary_bus_reset_hides_and_resets_what_is_behind(void **state)
{
	struct pcidev *rp = rig_add(&g, &rootport_type, "rp", NULL, NULL);
	struct pcidev *low = rig_add(&g, &rootport_type, "low", "rp", NULL);
	struct tdev *t = rig_tdev(&g, "t", "low", NULL,
				  (struct tspec){ .bar = { { PCIBAR_MEM32, false, 4096, 0 } } });
	(void)state;
	rig_start(&g);
	rig_place(&g);
	assert_true(t->pd.bar[0].active);
	t->resets = 0;
	pcidev_cfg_write(rp, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET, 2);
	assert_int_equal(t->resets, 1);
	assert_false(t->pd.bar[0].active);
	assert_null(pcibus_lookup(&g.root, 1, 0));
	assert_null(pcibus_lookup(&g.root, 2, 0));
	pcidev_cfg_write(rp, PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET, 1); /* held */
	assert_int_equal(t->resets, 1);
	pcidev_cfg_write(rp, PCI_BRIDGE_CONTROL, 0, 2);
	assert_ptr_equal(pcibus_lookup(&g.root, 1, 0), low);
	assert_int_equal(pcidev_cfg_read(low, PCI_SECONDARY_BUS, 1), 0); /* forgot its numbers */
	assert_int_equal(pcidev_cfg_read(&t->pd, PCI_BASE_ADDRESS_0, 4), 0);
	assert_int_equal(pcidev_cfg_read(&t->pd, PCI_COMMAND, 2), 0);
}

static void test_pins_are_turned_by_every_bridge(void **state)
{
	struct tspec pin_b = { .pcie = true, .pin = 2 };
	unsigned int dev, pin;
	(void)state;
	rig_tdev(&g, "a", NULL, "03", pin_b);
	pcibus_swizzle(rig_pd(g.dev[0]), &dev, &pin);
	assert_int_equal(dev, 3);
	assert_int_equal(pin, 1);
	rig_add(&g, &rootport_type, "rp", NULL, "05");
	rig_add(&g, &rootport_type, "low", "rp", NULL);
	struct tdev *t = rig_tdev(&g, "t", "low", NULL, pin_b);
	pcibus_swizzle(&t->pd, &dev, &pin);
	assert_int_equal(dev, 5);
	assert_int_equal(pin, 1); /* slot 0 behind both: not turned */
	assert_int_equal(t->pd.intx.gsi, rig_gsi(5, 1));
	assert_int_equal(pcidev_cfg_read(&t->pd, PCI_INTERRUPT_LINE, 1), rig_gsi(5, 1));
	/* A bus with more slots behind, as a PCIe-to-PCI bridge has. */
	rig_pd(&t->pd.dev)->bus->only_slot0 = false;
	struct tdev *u = rig_tdev(&g, "u", "low", "07", pin_b);
	pcibus_swizzle(&u->pd, &dev, &pin);
	assert_int_equal(pin, (1 + 7) % 4);
}

static int note(void *ctx, struct pcidev *pd)
{
	strcat(ctx, pd->dev.id);
	return strcmp(pd->dev.id, "t") == 0 ? 5 : 0;
}

static void test_walk_visits_parents_first_and_stops(void **state)
{
	char order[64] = "";
	(void)state;
	rig_add(&g, &rootport_type, "r", NULL, "02");
	rig_tdev(&g, "s", "r", NULL, plain);
	rig_tdev(&g, "t", NULL, "03", plain);
	rig_tdev(&g, "u", NULL, "04", plain);
	assert_int_equal(pcibus_walk(&g.root, note, order), 5);
	assert_string_equal(order, "rst");
	assert_ptr_equal(pcibus_find(&g.root, "r"), rig_pd(g.dev[0])->secondary);
	assert_ptr_equal(pcibus_find(&g.root, "pci.0"), &g.root);
	assert_null(pcibus_find(&g.root, "s"));
	assert_ptr_equal(pcibus_root(rig_pd(g.dev[1])->bus), &g.root);
}

#define T_(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_slots_are_given_in_order_or_by_name),
		T_(test_wrong_places_are_refused_with_a_reason),
		T_(test_functions_follow_a_multifunction_function_0),
		T_(test_a_full_bus_says_so),
		T_(test_removed_functions_leave_their_slot),
		T_(test_absent_functions_read_ones),
		T_(test_bus_numbers_are_the_guests),
		T_(test_a_bridge_without_numbers_passes_nothing_on),
		T_(test_hostile_bus_numbers_end),
		T_(test_secondary_bus_reset_hides_and_resets_what_is_behind),
		T_(test_pins_are_turned_by_every_bridge),
		T_(test_walk_visits_parents_first_and_stops),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
