// SPDX-License-Identifier: GPL-2.0-or-later
// vfio/passthru_intx.c: the pin without resampling, where user space raises and ends; and storms.
#include <unistd.h>

#include "core/log.h"
#include "passrig.h"

static char log_path[64];

static int intx_setup(void **state)
{
	char spec[80];
	snprintf(log_path, sizeof(log_path), "/tmp/test_passthru_intx.%d", (int)getpid());
	snprintf(spec, sizeof(spec), "warn,file=%s", log_path);
	unlink(log_path);
	assert_int_equal(log_configure(spec, NULL), 0);
	return rig_setup(state);
}

static int intx_teardown(void **state)
{
	sys = &sys_fake;
	log_close();
	unlink(log_path);
	return rig_teardown(state);
}

/* Lines of the log that contain `part`. */
static unsigned int logged(const char *part)
{
	char line[512];
	unsigned int n = 0;
	FILE *f = fopen(log_path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		n += strstr(line, part) != NULL;
	fclose(f);
	return n;
}

static struct rec_line *nic_line(void)
{
	return &rp.irq.line[p->pd.intx.gsi];
}

/* --- no resampling ---------------------------------------------------------------------------- */

static int no_resampling(struct irqchip *c, uint32_t gsi, int fd, int resample_fd)
{
	(void)c;
	(void)gsi;
	(void)fd;
	(void)resample_fd;
	return -EOPNOTSUPP;
}

static struct irqchip_ops poor_ops;

static void start_slow(const struct fake_devdesc *desc)
{
	poor_ops = *rp.irq.chip.ops;
	poor_ops.line_bind = no_resampling;
	rp.irq.chip.ops = &poor_ops;
	rig_start(desc);
	rig_place();
}

static void turn(void)
{
	while (loop_turn(rp.plat.loop, 0) > 0)
		;
}

/* The device raises it; the loop has its turn. */
static void fire(void)
{
	assert_int_equal(fake_dev_intx(hw, true), FAKE_FIRE_SENT);
	turn();
}

static void touch(void)
{
	uint64_t val;
	aspace_read(&rp.mmio, BAR_AT + 0x100, &val, 4);
}

static bool mapped(void)
{
	return p->win[0].mem.gmem != NULL;
}

/* As if its time had come. */
static void fired(struct loop_timer *t)
{
	loop_disarm(t);
	t->fired(t);
}

static void test_slow_is_said_once(void **state)
{
	(void)state;
	start_slow(&zoo_e1000);
	dev_reset(&p->pd.dev);
	dev_reset(&p->pd.dev);
	assert_int_equal(logged("INTx goes through user space, which is slow"), 1);
	assert_int_equal(logged(HOST_BDF), 1);
	assert_int_equal(fake_dev_irq_index(hw), 0);
}

static void test_slow_level_is_up_until_the_driver_looks(void **state)
{
	(void)state;
	start_slow(&zoo_e1000);
	assert_true(mapped());
	for (unsigned int i = 1; i <= 3; i++) {
		fire();
		assert_true(nic_line()->level);
		assert_int_equal(nic_line()->rises, i);
		assert_false(mapped());
		assert_true(fake_dev_intx_masked(hw));
		fake_dev_intx(hw, false);
		touch();
		assert_false(nic_line()->level);
		assert_false(fake_dev_intx_masked(hw));
		turn();
		assert_false(nic_line()->level);
	}
}

static void test_slow_still_asserted_comes_again(void **state)
{
	(void)state;
	start_slow(&zoo_e1000);
	fire();
	touch(); /* some other register */
	assert_false(nic_line()->level);
	turn();
	assert_true(nic_line()->level);
	fake_dev_intx(hw, false);
	touch();
	turn();
	assert_false(nic_line()->level);
	assert_int_equal(nic_line()->rises, 2);
}

static void test_slow_windows_come_back_when_it_is_calm(void **state)
{
	(void)state;
	start_slow(&zoo_e1000);
	fire();
	fired(&p->intx.calm);
	assert_false(mapped()); /* not served yet */
	assert_non_null(p->intx.calm.loop);
	fake_dev_intx(hw, false);
	touch();
	assert_false(mapped());
	fired(&p->intx.calm);
	assert_true(mapped());
	assert_null(p->intx.calm.loop);
}

/* Held windows stay away whatever the guest does to its BARs meanwhile. */
static void test_slow_bars_that_move_stay_trapped(void **state)
{
	(void)state;
	start_slow(&zoo_e1000);
	fire();
	pcidev_cfg_write(&p->pd, PCI_BASE_ADDRESS_0, 0xd0000000, 4);
	pcidev_cfg_write(&p->pd, PCI_COMMAND, 0, 2);
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_false(mapped());
	fake_dev_intx(hw, false);
	passthru_intx_touched(p);
	fired(&p->intx.calm);
	assert_true(mapped());
	assert_true(p->win[0].mem.gpa == 0xd0000000);
}

static void test_slow_disable_bit_lowers_and_raises_again(void **state)
{
	(void)state;
	start_slow(&zoo_e1000);
	fire();
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_MEMORY | PCI_COMMAND_INTX_DISABLE, 2);
	assert_false(nic_line()->level);
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_true(nic_line()->level);
	fake_dev_intx(hw, false);
	touch();
	assert_false(nic_line()->level);
}

static void test_slow_leaves_nothing_behind_for_msix(void **state)
{
	(void)state;
	start_slow(&zoo_nvme);
	fire();
	pcidev_cfg_write(&p->pd, p->pd.msix->off + PCI_MSIX_FLAGS, PCI_MSIX_FLAGS_ENABLE, 2);
	assert_false(nic_line()->level);
	assert_true(mapped());
	assert_null(p->intx.calm.loop);
	assert_null(p->intx.look.loop);
	assert_int_equal(p->intx.fd, -1);
	assert_int_equal(fake_dev_irq_index(hw), 2);
	pcidev_cfg_write(&p->pd, p->pd.msix->off + PCI_MSIX_FLAGS, 0, 2);
	turn();
	assert_true(nic_line()->level); /* it never was served */
	fake_dev_intx(hw, false);
	touch();
	assert_false(nic_line()->level);
}

static void test_slow_device_that_vanishes(void **state)
{
	(void)state;
	start_slow(&zoo_e1000);
	fire();
	fake_dev_remove(hw);
	p->lost = true;
	touch(); /* reads ones; the line must not stay up for ever */
	assert_false(nic_line()->level);
	fired(&p->intx.calm);
	assert_false(mapped());
	p->lost = false;
}

static void test_slow_shares_its_line_with_an_emulated_source(void **state)
{
	struct intx_source other;
	(void)state;
	start_slow(&zoo_e1000);
	intx_connect(&lines, &other, 4, (p->pd.intx.gsi + 4) % 4);
	assert_int_equal(other.gsi, p->pd.intx.gsi);
	fire();
	intx_set(&other, true);
	fake_dev_intx(hw, false);
	touch();
	assert_true(nic_line()->level);
	intx_set(&other, false);
	assert_false(nic_line()->level);
	intx_disconnect(&other);
}

static void test_pin_that_does_not_mask_itself_is_refused(void **state)
{
	(void)state;
	rig_start(&zoo_e1000);
	passthru_irq_off(p);
	p->vd->irq[VFIO_PCI_INTX_IRQ_INDEX].flags &= ~(uint32_t)VFIO_IRQ_INFO_AUTOMASKED;
	assert_int_equal(passthru_intx_on(p), -EOPNOTSUPP);
	assert_int_equal(logged("INTx can't be delivered"), 1);
	assert_int_equal(rec_irqchip_bound(&rp.irq), 0);
}

/* --- storms ----------------------------------------------------------------------------------- */

static void look(uint64_t ended)
{
	nic_line()->ended += ended;
	fired(&p->intx.look);
}

static void test_storm_is_named_once(void **state)
{
	(void)state;
	rig_start(&zoo_e1000);
	fake_dev_intx(hw, true);
	look(123456); /* where counting starts */
	look(20000);
	look(2000); /* a tenth of a second from here on */
	assert_int_equal(logged("storm"), 0);
	look(2000);
	assert_int_equal(logged(HOST_BDF ": INTx storm on line 0: 20000 interrupts a second"), 1);
	for (unsigned int i = 0; i < 10; i++)
		look(20000);
	assert_int_equal(logged("storm"), 1);
	fake_dev_intx(hw, false);
	look(20000);
	assert_int_equal(logged("is over"), 1);
	fake_dev_intx(hw, true);
	for (unsigned int i = 0; i < 3; i++)
		look(20000);
	assert_int_equal(logged("storm on line"), 3); /* began, ended, began */
}

static void test_busy_function_is_no_storm(void **state)
{
	(void)state;
	rig_start(&zoo_e1000);
	look(0);
	for (unsigned int i = 0; i < 10; i++) {
		fake_dev_intx(hw, i % 3 != 2); /* served now and then when looked at */
		look(90000);
	}
	fake_dev_intx(hw, true);
	for (unsigned int i = 0; i < 10; i++)
		look(900); /* slow, and up for long */
	assert_int_equal(logged("storm"), 0);
}

static void test_slow_storm_is_seen_as_well(void **state)
{
	(void)state;
	start_slow(&zoo_e1000);
	fake_dev_intx(hw, true);
	fired(&p->intx.look);
	for (unsigned int i = 0; i < 3; i++) {
		p->intx.raised += 15000;
		fired(&p->intx.look);
	}
	assert_int_equal(logged("storm"), 1);
}

static void test_nobody_counts_nobody_looks(void **state)
{
	(void)state;
	rig_start(&zoo_e1000);
	rp.irq.fail = -EOPNOTSUPP;
	fired(&p->intx.look);
	assert_null(p->intx.look.loop);
}

#define INTX_TEST(f)                                                                               \
	{                                                                                          \
#f, f, intx_setup, intx_teardown, NULL                                             \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		INTX_TEST(test_slow_is_said_once),
		INTX_TEST(test_slow_level_is_up_until_the_driver_looks),
		INTX_TEST(test_slow_still_asserted_comes_again),
		INTX_TEST(test_slow_windows_come_back_when_it_is_calm),
		INTX_TEST(test_slow_bars_that_move_stay_trapped),
		INTX_TEST(test_slow_disable_bit_lowers_and_raises_again),
		INTX_TEST(test_slow_leaves_nothing_behind_for_msix),
		INTX_TEST(test_slow_device_that_vanishes),
		INTX_TEST(test_slow_shares_its_line_with_an_emulated_source),
		INTX_TEST(test_pin_that_does_not_mask_itself_is_refused),
		INTX_TEST(test_storm_is_named_once),
		INTX_TEST(test_busy_function_is_no_storm),
		INTX_TEST(test_slow_storm_is_seen_as_well),
		INTX_TEST(test_nobody_counts_nobody_looks),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
