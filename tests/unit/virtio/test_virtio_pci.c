// SPDX-License-Identifier: GPL-2.0-or-later
// The transport and the status machine, driven by the mini driver on virtio-rng: every transition,
// every register in every state, windows, vectors, the line, power states, resets at any time.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "core/sys.h"
#include "tests/guest/vdrv.h"
#include "tests/guest/vdrv_bad.h"
#include "vmm/virtio/virtio.h"

#define ACK	    VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER	    VIRTIO_CONFIG_S_DRIVER
#define DRIVER_OK   VIRTIO_CONFIG_S_DRIVER_OK
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define FAILED	    VIRTIO_CONFIG_S_FAILED
#define ALL	    UINT64_MAX

static struct guest g;
static struct vdrv v;

static int setup(void **state)
{
	const struct guest_setup s = {
		.accel = "none",
		.device = { "virtio-rng,packed=on,in_order=on,notification_data=on" },
	};

	(void)state;
	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_RNG, 0, 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_close(&g);
	return 0;
}

static struct virtio_dev *device(void)
{
	return container_of(guest_pcidev(v.fn), struct virtio_dev, pd);
}

/* One request, there and back. */
static bool works(void)
{
	const struct vdrv_seg seg = { vdrv_ram(&v, 4096), 64 };
	uint32_t len = 0;

	if (vdrv_add(&v.q[0], &seg, 0, 1, false, NULL) < 0)
		return false;
	vdrv_kick(&v.q[0], false);
	return vdrv_wait(&v.q[0], NULL, &len) && len == 64;
}

/* ---- status ---------------------------------------------------------------------------------- */

static void test_status_bits_go_on_in_their_order_only(void **state)
{
	static const struct {
		uint8_t writes[4]; /* after a reset; 0 ends */
		uint8_t status;
	} cases[] = {
		{ { ACK }, ACK },
		{ { DRIVER }, 0 },
		{ { ACK, ACK | DRIVER }, ACK | DRIVER },
		{ { ACK | DRIVER }, ACK | DRIVER },
		{ { FEATURES_OK }, 0 },
		{ { ACK | FEATURES_OK }, ACK },
		{ { DRIVER_OK }, 0 },
		{ { ACK | DRIVER | DRIVER_OK }, ACK | DRIVER },
		/* Features were not written: VERSION_1 is missing. */
		{ { ACK | DRIVER, ACK | DRIVER | FEATURES_OK }, ACK | DRIVER },
		{ { ACK, FAILED }, ACK | FAILED },
		{ { ACK | DRIVER, ACK }, ACK | DRIVER }, /* no bit ever goes off */
		{ { NEEDS_RESET }, 0 },			 /* that one is the device's */
		{ { 0x30 }, 0 },			 /* reserved */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		vdrv_set_status(&v, 0);
		assert_int_equal(vdrv_status(&v), 0);
		for (unsigned int k = 0; k < 4 && cases[i].writes[k]; k++)
			vdrv_set_status(&v, cases[i].writes[k]);
		assert_int_equal(vdrv_status(&v), cases[i].status);
		assert_false(device()->active);
	}
}

static void test_features_not_offered_are_refused(void **state)
{
	(void)state;
	for (unsigned int bit = 0; bit < 64; bit++) {
		uint64_t f = (vdrv_offered(&v) & BIT64(VIRTIO_F_VERSION_1)) | BIT64(bit);
		bool fine = (vdrv_offered(&v) & BIT64(bit)) != 0;

		vdrv_set_status(&v, 0);
		vdrv_set_status(&v, ACK | DRIVER);
		for (uint32_t i = 0; i < 2; i++) {
			vdrv_set(&v, VIRTIO_PCI_COMMON_GFSELECT, i, 4);
			vdrv_set(&v, VIRTIO_PCI_COMMON_GF, (uint32_t)(f >> (32 * i)), 4);
		}
		vdrv_set_status(&v, ACK | DRIVER | FEATURES_OK);
		assert_int_equal(vdrv_status(&v) & FEATURES_OK, fine ? FEATURES_OK : 0);
	}
	/* A selector beyond the 64 bits: nothing there, nothing taken. */
	vdrv_set(&v, VIRTIO_PCI_COMMON_DFSELECT, 2, 4);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_DF, 4), 0);
	vdrv_set(&v, VIRTIO_PCI_COMMON_GFSELECT, UINT32_MAX, 4);
	vdrv_set(&v, VIRTIO_PCI_COMMON_GF, UINT32_MAX, 4);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_GF, 4), 0);
}

static void test_features_are_frozen_by_features_ok(void **state)
{
	(void)state;
	assert_true(vdrv_negotiate(&v, 0));
	vdrv_set(&v, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	vdrv_set(&v, VIRTIO_PCI_COMMON_GF, UINT32_MAX, 4);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_GF, 4), 0);
	assert_int_equal(device()->acked, BIT64(VIRTIO_F_VERSION_1));
}

/* ---- registers in every state ---------------------------------------------------------------- */

static void reach(unsigned int st)
{
	vdrv_set_status(&v, 0);
	if (st >= 1)
		vdrv_set_status(&v, ACK | DRIVER);
	if (st >= 2)
		assert_true(vdrv_negotiate(&v, 0));
	if (st >= 3)
		vdrv_queue(&v, 0, 16);
	if (st >= 4)
		vdrv_driver_ok(&v);
	if (st >= 5) {
		vdrv_bad_cases[0].make(&v.q[0], (struct vdrv_seg){ MIB(1), 64 });
		vdrv_kick(&v.q[0], true);
		assert_true(vdrv_wait_needs_reset(&v));
	}
}

/* CVE-2026-5747 and its kind: nothing that is in use can be changed, whoever writes it and at
 * whatever width; and nothing that is written at any time does harm. */
static void test_every_register_can_be_written_in_every_state(void **state)
{
	static const uint64_t values[] = {
		0, 1, 2, 0x7f, 0xff, 0x7fff, 0x8000, 0xffff, UINT64_MAX
	};

	(void)state;
	for (unsigned int st = 0; st <= 5; st++) {
		for (unsigned int off = 0; off < 0x48; off++) {
			for (unsigned int size = 1; size <= 8; size *= 2) {
				if (off % size != 0)
					continue;
				if (off <= 0x14 && off + size > 0x14 && st > 0)
					continue; /* status: test above */
				reach(st);
				struct vq was = device()->vq[0];
				for (size_t k = 0; k < ARRAY_SIZE(values); k++)
					vdrv_set(&v, off, values[k], size);
				if (st >= 3)
					assert_memory_equal(&device()->vq[0].regs, &was.regs,
							    sizeof(was.regs));
				if (st >= 4) {
					assert_int_equal(device()->vq[0].size, was.size);
					assert_ptr_equal(device()->vq[0].desc, was.desc);
				}
				v.ram_next = MIB(1);
			}
		}
	}
	vdrv_start(&v, ALL, 1, 8, true);
	assert_true(works());
}

static void test_queue_registers_take_what_is_in_range(void **state)
{
	static const uint16_t selects[] = { 1, 2, 0x7fff, 0xffff };

	(void)state;
	assert_true(vdrv_negotiate(&v, 0));
	for (size_t i = 0; i < ARRAY_SIZE(selects); i++) {
		vdrv_set(&v, VIRTIO_PCI_COMMON_Q_SELECT, selects[i], 2);
		assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_SELECT, 2), selects[i]);
		assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
		assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
		vdrv_set(&v, VIRTIO_PCI_COMMON_Q_SIZE, 8, 2);
		vdrv_set(&v, VIRTIO_PCI_COMMON_Q_MSIX, 0, 2);
		vdrv_set(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
		assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	}
	vdrv_set(&v, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2), 256);
	static const uint16_t sizes[][2] = {
		{ 0, 256 }, { 257, 256 }, { 0xffff, 256 }, { 64, 64 }
	};
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		vdrv_set(&v, VIRTIO_PCI_COMMON_Q_SIZE, sizes[i][0], 2);
		assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2), sizes[i][1]);
	}
	/* Two vectors: configuration and queue 0. */
	static const uint16_t vectors[][2] = {
		{ 0, 0 }, { 1, 1 }, { 2, 0xffff }, { 0x7fff, 0xffff }, { 0xffff, 0xffff }
	};
	for (size_t i = 0; i < ARRAY_SIZE(vectors); i++) {
		vdrv_set(&v, VIRTIO_PCI_COMMON_Q_MSIX, vectors[i][0], 2);
		assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2), vectors[i][1]);
		vdrv_set(&v, VIRTIO_PCI_COMMON_MSIX, vectors[i][0], 2);
		assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_MSIX, 2), vectors[i][1]);
	}
}

static void test_registers_read_the_same_at_every_width(void **state)
{
	(void)state;
	vdrv_start(&v, 0, 1, 16, true);
	for (unsigned int off = 0; off < 0x40; off += 8) {
		uint64_t bytes = 0, words = 0, dwords = 0;

		for (unsigned int i = 0; i < 8; i++)
			bytes |= vdrv_get(&v, off + i, 1) << (8 * i);
		for (unsigned int i = 0; i < 8; i += 2)
			words |= vdrv_get(&v, off + i, 2) << (8 * i);
		for (unsigned int i = 0; i < 8; i += 4)
			dwords |= vdrv_get(&v, off + i, 4) << (8 * i);
		assert_int_equal(bytes, words);
		assert_int_equal(bytes, dwords);
		assert_int_equal(bytes, vdrv_get(&v, off, 8));
	}
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_DESCLO, 8), v.q[0].desc_gpa);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_USEDLO, 8), v.q[0].device_gpa);
}

/* ---- hostile rings --------------------------------------------------------------------------- */

static void test_hostile_rings_ask_for_a_reset(void **state)
{
	static const uint64_t wants[] = {
		0,
		BIT64(VIRTIO_RING_F_INDIRECT_DESC) | BIT64(VIRTIO_RING_F_EVENT_IDX),
		BIT64(VIRTIO_F_RING_PACKED),
		BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_RING_F_INDIRECT_DESC) |
			BIT64(VIRTIO_F_IN_ORDER),
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
		assert_true(vdrv_bad_run(&v, wants[i], 1, 0) > 15);
		vdrv_start(&v, wants[i], 1, 8, true);
		assert_true(works());
	}
}

static void test_needs_reset_is_told_by_a_configuration_interrupt(void **state)
{
	(void)state;
	vdrv_start(&v, 0, 1, 8, true);
	vdrv_signals(&v, 0);
	vdrv_bad_cases[0].make(&v.q[0], (struct vdrv_seg){ MIB(1), 64 });
	vdrv_kick(&v.q[0], true);
	assert_true(vdrv_wait_needs_reset(&v));
	assert_int_equal(vdrv_signals(&v, 0), 1);
}

/* ---- notifications --------------------------------------------------------------------------- */

static void test_doorbells_outside_the_queues_are_ignored(void **state)
{
	static const unsigned int offs[] = { 4, 8, 0x7fc, 0xffc };

	(void)state;
	vdrv_start(&v, 0, 1, 8, true);
	for (size_t i = 0; i < ARRAY_SIZE(offs); i++)
		for (unsigned int size = 1; size <= 4; size *= 2)
			guest_write(&g, v.notify + offs[i], UINT64_MAX, size);
	assert_true(works());
}

static void test_a_kick_before_driver_ok_is_not_lost_as_work(void **state)
{
	const struct vdrv_seg seg = { MIB(2), 64 };
	uint32_t len;

	(void)state;
	assert_true(vdrv_negotiate(&v, 0));
	vdrv_queue(&v, 0, 8);
	assert_true(vdrv_add(&v.q[0], &seg, 0, 1, false, NULL) >= 0);
	vdrv_kick(&v.q[0], true); /* VIRTIO 1.2 3.1.1: not allowed yet; it is served once it is */
	for (unsigned int i = 0; i < 5; i++)
		loop_turn(g.loop, 1);
	assert_false(vdrv_reap(&v.q[0], NULL, &len));
	vdrv_driver_ok(&v);
	assert_true(vdrv_wait(&v.q[0], NULL, &len));
}

/* ---- interrupts ------------------------------------------------------------------------------ */

static void test_queues_signal_their_vector_as_asked(void **state)
{
	static const uint64_t wants[] = { 0, BIT64(VIRTIO_RING_F_EVENT_IDX),
					  BIT64(VIRTIO_F_RING_PACKED),
					  BIT64(VIRTIO_F_RING_PACKED) |
						  BIT64(VIRTIO_RING_F_EVENT_IDX) };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++) {
		vdrv_start(&v, wants[i], 1, 8, true);
		vdrv_signals(&v, 1);
		for (unsigned int k = 0; k < 20; k++) {
			vdrv_irq_on(&v.q[0], 1);
			assert_true(works());
			/* The flush signals after it publishes. */
			for (unsigned int n = 0; n < 1000 && !vdrv_pending(&v, 1); n++)
				loop_turn(g.loop, 1);
			assert_true(vdrv_signals(&v, 1) >= 1);
		}
		assert_true(works()); /* the first after a start may always signal */
		vdrv_irq_off(&v.q[0]);
		guest_turn(&g);
		vdrv_signals(&v, 1);
		assert_true(works());
		assert_true(works());
		loop_turn(g.loop, 5);
		assert_int_equal(vdrv_signals(&v, 1), 0);
		v.ram_next = MIB(1);
	}
}

static void test_without_msix_the_line_goes_up_until_isr_is_read(void **state)
{
	struct pcidev *pd = guest_pcidev(v.fn);

	(void)state;
	vdrv_start(&v, 0, 1, 8, false);
	assert_int_equal(guest_read(&g, v.isr, 1), 0);
	assert_true(works());
	for (unsigned int n = 0; n < 1000 && !pd->intx.level; n++)
		loop_turn(g.loop, 1);
	assert_true(pd->intx.level);
	assert_true(guest_cfg(v.fn, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT);
	assert_int_equal(guest_read(&g, v.isr, 1), 1);
	assert_false(pd->intx.level);
	assert_int_equal(guest_read(&g, v.isr, 1), 0);

	vdrv_bad_cases[0].make(&v.q[0], (struct vdrv_seg){ MIB(1), 64 });
	v.q[0].avail_idx = 2;
	((uint16_t *)(void *)v.q[0].driver)[1] = 99;
	vdrv_kick(&v.q[0], true);
	assert_true(vdrv_wait_needs_reset(&v));
	assert_true(pd->intx.level);
	assert_int_equal(guest_read(&g, v.isr, 1) & 2, 2);
	assert_false(pd->intx.level);
}

static void test_a_masked_vector_keeps_its_event(void **state)
{
	(void)state;
	vdrv_start(&v, 0, 1, 8, true);
	vdrv_signals(&v, 1);
	guest_msix_mask(v.fn, 1, true);
	assert_true(works());
	for (unsigned int n = 0; n < 1000 && !guest_msix_pending(v.fn, 1); n++)
		loop_turn(g.loop, 1);
	assert_true(guest_msix_pending(v.fn, 1));
	guest_msix_mask(v.fn, 1, false);
	assert_false(guest_msix_pending(v.fn, 1));
}

/* ---- windows --------------------------------------------------------------------------------- */

static uint32_t window_read(uint32_t off, uint32_t len)
{
	guest_cfg_set(v.fn, v.cfg_cap + 4, 0, 1);
	guest_cfg_set(v.fn, v.cfg_cap + 8, off, 4);
	guest_cfg_set(v.fn, v.cfg_cap + 12, len, 4);
	return guest_cfg(v.fn, v.cfg_cap + 16, 4);
}

static void window_write(uint32_t off, uint32_t len, uint32_t val)
{
	guest_cfg_set(v.fn, v.cfg_cap + 4, 0, 1);
	guest_cfg_set(v.fn, v.cfg_cap + 8, off, 4);
	guest_cfg_set(v.fn, v.cfg_cap + 12, len, 4);
	guest_cfg_set(v.fn, v.cfg_cap + 16, val, len);
}

static void test_the_configuration_window_reaches_the_registers(void **state)
{
	(void)state;
	assert_true(v.cfg_cap != 0);
	assert_int_equal(window_read(VIRTIO_PCI_COMMON_NUMQ, 2), 1);
	window_write(VIRTIO_PCI_COMMON_STATUS, 1, ACK);
	assert_int_equal(vdrv_status(&v), ACK);
	assert_int_equal(window_read(VIRTIO_PCI_COMMON_STATUS, 1), ACK);
	window_write(VIRTIO_PCI_COMMON_STATUS, 1, 0);
	assert_int_equal(vdrv_status(&v), 0);
	/* Not with memory decoding, either. */
	guest_command(v.fn, 0, PCI_COMMAND_MEMORY);
	window_write(VIRTIO_PCI_COMMON_STATUS, 1, ACK | DRIVER);
	assert_int_equal(window_read(VIRTIO_PCI_COMMON_STATUS, 1), ACK | DRIVER);
}

static void test_a_window_that_is_none_does_nothing(void **state)
{
	static const struct {
		uint32_t bar, off, len;
	} cases[] = { { 0, 0x14, 0 },	       { 0, 0x14, 3 },	    { 0, 0x14, 8 },
		      { 0, 0x14, UINT32_MAX }, { 0, 0x15, 2 },	    { 0, 0x16, 4 },
		      { 1, 0x14, 1 },	       { 0xff, 0x14, 1 },   { 0, 0x4000, 4 },
		      { 0, 0x10000, 4 },       { 0, UINT32_MAX, 1 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		guest_cfg_set(v.fn, v.cfg_cap + 4, cases[i].bar, 1);
		guest_cfg_set(v.fn, v.cfg_cap + 8, cases[i].off, 4);
		guest_cfg_set(v.fn, v.cfg_cap + 12, cases[i].len, 4);
		guest_cfg_set(v.fn, v.cfg_cap + 16, 0xffffffff, 4);
		guest_cfg(v.fn, v.cfg_cap + 16, 4);
		assert_int_equal(vdrv_status(&v), 0);
	}
}

static void test_nothing_answers_between_the_windows(void **state)
{
	uint64_t bar = guest_bar_addr(v.fn, 0);
	static const uint32_t offs[] = {
		0x40, 0x800, 0xff8, 0x1008, 0x2000, 0x2ff8, 0x3ff8, 0xd000
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(offs); i++)
		for (unsigned int size = 1; size <= 8; size *= 2) {
			guest_write(&g, bar + offs[i], UINT64_MAX, size);
			assert_int_equal(guest_read(&g, bar + offs[i], size), 0);
		}
	assert_int_equal(vdrv_status(&v), 0);
}

/* ---- standing still -------------------------------------------------------------------------- */

/* Adds a request that must not be served now, lets time pass, and has it served by go(). */
static void held(void (*hold)(void), void (*go)(void))
{
	const struct vdrv_seg seg = { vdrv_ram(&v, 4096), 64 };
	uint32_t len;

	assert_true(works());
	hold();
	assert_false(device()->active);
	assert_true(vdrv_add(&v.q[0], &seg, 0, 1, false, NULL) >= 0);
	sys_event_signal(device()->vq[0].kick_fd);
	for (unsigned int i = 0; i < 5; i++)
		loop_turn(g.loop, 1);
	assert_false(vdrv_reap(&v.q[0], NULL, &len));
	go();
	assert_true(device()->active);
	assert_true(vdrv_wait(&v.q[0], NULL, &len));
	for (unsigned int i = 0; i < 20; i++)
		assert_true(works());
}

static void master_off(void)
{
	guest_command(v.fn, 0, PCI_COMMAND_MASTER);
}
static void master_on(void)
{
	guest_command(v.fn, PCI_COMMAND_MASTER, 0);
}
static void sleep_d3(void)
{
	guest_power(v.fn, 3);
}
static void wake_d0(void)
{
	guest_power(v.fn, 0);
}
static void pause_dev(void)
{
	machine_lock(g.m);
	dev_pause(&device()->pd.dev);
	machine_unlock(g.m);
}
static void resume_dev(void)
{
	machine_lock(g.m);
	dev_resume(&device()->pd.dev);
	machine_unlock(g.m);
}

static void test_it_stands_still_without_losing_anything(void **state)
{
	static const struct {
		void (*hold)(void), (*go)(void);
	} ways[] = { { master_off, master_on }, { sleep_d3, wake_d0 }, { pause_dev, resume_dev } };
	static const uint64_t wants[] = { BIT64(VIRTIO_RING_F_EVENT_IDX),
					  BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER) };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(ways); i++)
		for (size_t k = 0; k < ARRAY_SIZE(wants); k++) {
			v.ram_next = MIB(1);
			vdrv_start(&v, wants[k], 1, 8, true);
			held(ways[i].hold, ways[i].go);
		}
}

static void test_it_is_asleep_as_it_was_left_and_wakes_so(void **state)
{
	(void)state;
	vdrv_start(&v, 0, 1, 8, true);
	uint64_t desc = v.q[0].desc_gpa;

	sleep_d3();
	wake_d0();
	assert_int_equal(vdrv_status(&v), ACK | DRIVER | FEATURES_OK | DRIVER_OK);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_DESCLO, 8), desc);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	assert_true(works());
}

/* ---- resets ---------------------------------------------------------------------------------- */

static void assert_power_on(void)
{
	assert_int_equal(vdrv_status(&v), 0);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_GF, 4), 0);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	vdrv_set(&v, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_SIZE, 2), 256);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_DESCLO, 8), 0);
	assert_int_equal(vdrv_get(&v, VIRTIO_PCI_COMMON_Q_MSIX, 2), VIRTIO_MSI_NO_VECTOR);
	assert_false(device()->active);
}

static void test_reset_in_every_state_gives_power_on(void **state)
{
	(void)state;
	for (unsigned int st = 0; st <= 5; st++) {
		v.ram_next = MIB(1);
		reach(st);
		vdrv_set_status(&v, 0);
		assert_power_on();

		reach(st);
		uint64_t bar = guest_bar_addr(v.fn, 0);
		guest_flr(v.fn);
		guest_bar_move(v.fn, 0, bar);
		guest_command(v.fn, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
		assert_power_on();

		reach(st);
		machine_lock(g.m);
		dev_reset(&device()->pd.dev);
		machine_unlock(g.m);
		guest_command(v.fn, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
		assert_power_on();
	}
	vdrv_start(&v, ALL, 1, 8, true);
	assert_true(works());
}

static void test_reset_forgets_a_break_not_yet_told(void **state)
{
	(void)state;
	vdrv_start(&v, 0, 1, 8, true);
	virtio_needs_reset(device(), "the test says so"); /* queued: the loop did not run */
	vdrv_set_status(&v, 0);
	for (unsigned int i = 0; i < 5; i++)
		loop_turn(g.loop, 1);
	assert_int_equal(vdrv_status(&v), 0);
	vdrv_start(&v, 0, 1, 8, true);
	assert_true(works());
}

static void test_a_moved_bar_answers_where_it_is(void **state)
{
	uint64_t bar = guest_bar_addr(v.fn, 0);

	(void)state;
	vdrv_start(&v, 0, 1, 8, true);
	guest_bar_move(v.fn, 0, bar + 0x10000);
	v.common += 0x10000;
	v.notify += 0x10000;
	v.q[0].notify += 0x10000;
	assert_true(vdrv_status(&v) & DRIVER_OK);
	assert_true(works());
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_status_bits_go_on_in_their_order_only),
		TEST(test_features_not_offered_are_refused),
		TEST(test_features_are_frozen_by_features_ok),
		TEST(test_every_register_can_be_written_in_every_state),
		TEST(test_queue_registers_take_what_is_in_range),
		TEST(test_registers_read_the_same_at_every_width),
		TEST(test_hostile_rings_ask_for_a_reset),
		TEST(test_needs_reset_is_told_by_a_configuration_interrupt),
		TEST(test_doorbells_outside_the_queues_are_ignored),
		TEST(test_a_kick_before_driver_ok_is_not_lost_as_work),
		TEST(test_queues_signal_their_vector_as_asked),
		TEST(test_without_msix_the_line_goes_up_until_isr_is_read),
		TEST(test_a_masked_vector_keeps_its_event),
		TEST(test_the_configuration_window_reaches_the_registers),
		TEST(test_a_window_that_is_none_does_nothing),
		TEST(test_nothing_answers_between_the_windows),
		TEST(test_it_stands_still_without_losing_anything),
		TEST(test_it_is_asleep_as_it_was_left_and_wakes_so),
		TEST(test_reset_in_every_state_gives_power_on),
		TEST(test_reset_forgets_a_break_not_yet_told),
		TEST(test_a_moved_bar_answers_where_it_is),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
