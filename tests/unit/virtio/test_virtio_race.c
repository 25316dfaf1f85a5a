// SPDX-License-Identifier: GPL-2.0-or-later
// Activation, reset, pause and kicks against each other and against a data plane at work, in as
// many threads (pthread_create) as a guest has processors: for ThreadSanitizer, and for hangs.
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "tests/guest/vdrv.h"
#include "vmm/virtio/virtio.h"

#define ROUNDS 40

static struct guest g;
static struct vdrv v;
static bool stop;
static pthread_t side; /* the other processor */
static bool side_runs;

static int setup(void **state)
{
	const struct guest_setup s = { .accel = "none",
				       .device = { "virtio-rng,packed=on,in_order=on" } };

	(void)state;
	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_RNG, 0, 0);
	return 0;
}

static void side_start(void *(*fn)(void *), void *arg)
{
	__atomic_store_n(&stop, false, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&side, NULL, fn, arg), 0);
	side_runs = true;
}

static void side_stop(void)
{
	__atomic_store_n(&stop, true, __ATOMIC_RELEASE);
	if (side_runs)
		pthread_join(side, NULL);
	side_runs = false;
}

/* A failed case ends here with the other processor at work. */
static int teardown(void **state)
{
	(void)state;
	side_stop();
	guest_close(&g);
	return 0;
}

static bool stopping(void)
{
	return __atomic_load_n(&stop, __ATOMIC_ACQUIRE);
}

static struct virtio_dev *device(void)
{
	return container_of(guest_pcidev(v.fn), struct virtio_dev, pd);
}

/* The mutex is not fair: without a pause between, nobody else would get it for long. */
static void breathe(void)
{
	const struct timespec us = { 0, 50000 };

	nanosleep(&us, NULL);
}

/* guest.h's accesses are one processor's; these are another's. */
static void poke(uint64_t gpa, uint16_t val)
{
	uint8_t b[2] = { (uint8_t)val, (uint8_t)(val >> 8) };

	machine_exits.mmio_write(g.m, gpa, b, sizeof(b));
}

static void peek(uint64_t gpa, unsigned int size)
{
	uint8_t b[8];

	machine_exits.mmio_read(g.m, gpa, b, size);
}

/* Another processor that kicks all the time, whatever the device's state. */
static void *kicker(void *arg)
{
	uint64_t notify = v.notify;

	(void)arg;
	while (!stopping()) {
		poke(notify, 0);
		breathe();
	}
	return NULL;
}

/* One that pauses and resumes, as the control socket does. */
static void *pauser(void *arg)
{
	struct dev *d = arg;

	while (!stopping()) {
		machine_lock(g.m);
		dev_pause(d);
		machine_unlock(g.m);
		breathe();
		machine_lock(g.m);
		dev_resume(d);
		machine_unlock(g.m);
		breathe();
	}
	return NULL;
}

/* One that masks and unmasks, moves vectors, and reads what there is. */
static void *meddler(void *arg)
{
	uint64_t common = v.common, isr = v.isr;

	(void)arg;
	while (!stopping()) {
		peek(isr, 1);
		peek(common + 0x14, 4);
		poke(common + 0x1a, 0);
		poke(common + 0x1a, 1);
		breathe();
	}
	return NULL;
}

static void fill(void)
{
	const struct vdrv_seg seg = { MIB(3), 64 };

	while (vdrv_add(&v.q[0], &seg, 0, 1, false, NULL) >= 0)
		vdrv_kick(&v.q[0], true);
}

static void rounds(uint64_t want)
{
	uint32_t len;

	for (unsigned int i = 0; i < ROUNDS; i++) {
		v.ram_next = MIB(1);
		vdrv_start(&v, want, 1, 8, i & 1);
		fill();
		for (unsigned int k = 0; k < i % 16; k++) {
			assert_true(vdrv_wait(&v.q[0], NULL, &len));
			assert_int_equal(len, 64);
			fill();
		}
		if (i % 3 == 0) {
			guest_command(v.fn, 0, PCI_COMMAND_MASTER);
			guest_command(v.fn, PCI_COMMAND_MASTER, 0);
		}
		/* The next negotiation resets it with requests in flight. */
	}
	assert_false(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET);
}

static void run(void *(*fn)(void *))
{
	static const uint64_t wants[] = { 0, BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER),
					  BIT64(VIRTIO_RING_F_EVENT_IDX) };

	side_start(fn, &device()->pd.dev);
	for (size_t i = 0; i < ARRAY_SIZE(wants); i++)
		rounds(wants[i]);
	side_stop();
}

static void test_resets_with_requests_in_flight_while_another_processor_kicks(void **state)
{
	(void)state;
	run(kicker);
}

static void test_resets_while_the_machine_pauses_and_resumes(void **state)
{
	(void)state;
	run(pauser);
}

static void test_resets_while_another_processor_moves_the_vector(void **state)
{
	(void)state;
	run(meddler);
}

/* A driver that changes descriptors under the device's eyes: each is read once, so what was
 * checked is what is used. Atomic stores, as a processor's are: the race is in what they mean. */
static void *scribbler(void *arg)
{
	struct vdrv_queue *q = arg;
	uint64_t *d = (uint64_t *)(void *)q->desc;
	uint64_t good[2] = { MIB(3), 64 | (uint64_t)VRING_DESC_F_WRITE << 32 };
	uint64_t bad[2] = { UINT64_MAX - 15, UINT32_MAX | (uint64_t)VRING_DESC_F_WRITE << 32 };

	for (unsigned int i = 0; !stopping(); i++)
		for (unsigned int k = 0; k < 2; k++)
			__atomic_store_n(&d[k], i & 1 ? bad[k] : good[k], __ATOMIC_RELAXED);
	return NULL;
}

static void test_descriptors_changed_while_they_are_read_do_no_harm(void **state)
{
	unsigned int served = 0, refused = 0;
	uint32_t len;

	(void)state;
	for (unsigned int i = 0; i < 100; i++) {
		v.ram_next = MIB(1);
		vdrv_start(&v, 0, 1, 8, true);
		const struct vdrv_seg seg = { MIB(3), 64 };
		assert_int_equal(vdrv_add(&v.q[0], &seg, 0, 1, false, NULL), 0);
		side_start(scribbler, &v.q[0]);
		vdrv_kick(&v.q[0], true);
		while (!vdrv_reap(&v.q[0], NULL, &len) &&
		       !(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET))
			loop_turn(g.loop, 1);
		if (vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET)
			refused++;
		else
			served++;
		side_stop();
	}
	assert_int_equal(served + refused, 100);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_resets_with_requests_in_flight_while_another_processor_kicks),
		TEST(test_resets_while_the_machine_pauses_and_resumes),
		TEST(test_resets_while_another_processor_moves_the_vector),
		TEST(test_descriptors_changed_while_they_are_read_do_no_harm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
