// SPDX-License-Identifier: GPL-2.0-or-later
// A virtio device in a machine on the fake kernel: its doorbells are ioeventfds that follow its
// state and its BAR, its interrupts are messages, no request costs an exit, nothing is left of it
// wherever its set-up fails.
#include <errno.h>
#include <linux/kvm.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "flow.h"
#include "tests/guest/vdrv.h"

static struct vdrv v;

static void start(const char *device)
{
	const struct guest_setup s = { .device = { device } };

	fake_allow_path("/dev/urandom");
	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_RNG, 0, 0);
}

static void request(void)
{
	const struct vdrv_seg seg = { MIB(3), 64 };
	uint32_t len = 0;

	assert_true(vdrv_add(&v.q[0], &seg, 0, 1, false, NULL) >= 0);
	vdrv_kick(&v.q[0], true);
	assert_int_equal(g.last, FAKE_ACCESS_DOORBELL);
	assert_true(vdrv_wait(&v.q[0], NULL, &len));
	assert_int_equal(len, 64);
}

static void test_requests_cost_no_exit(void **state)
{
	(void)state;
	start("virtio-rng");
	vdrv_start(&v, UINT64_MAX, 1, 8, true);
	vdrv_irq_on(&v.q[0], 1);
	request();
	unsigned int exits = fake_kvm_exits();
	for (unsigned int i = 0; i < 100; i++)
		request();
	assert_int_equal(fake_kvm_exits(), exits);
	/* Only the first was asked for; a message to vector 1. */
	for (unsigned int i = 0; i < 1000 && fake_kvm_msi_count(1) == 0; i++)
		loop_turn(g.loop, 1);
	assert_true(fake_kvm_msi_count(1) >= 1);
}

static void test_doorbells_are_there_while_they_can_be_rung(void **state)
{
	(void)state;
	start("virtio-rng");
	assert_int_equal(fake_kvm_ioeventfds(), 0);
	vdrv_start(&v, 0, 1, 8, true);
	assert_int_equal(fake_kvm_ioeventfds(), 1);
	guest_command(v.fn, 0, PCI_COMMAND_MEMORY);
	assert_int_equal(fake_kvm_ioeventfds(), 0);
	guest_command(v.fn, PCI_COMMAND_MEMORY, 0);
	assert_int_equal(fake_kvm_ioeventfds(), 1);
	uint64_t bar = guest_bar_addr(v.fn, 0);
	guest_bar_move(v.fn, 0, bar + 0x20000);
	assert_int_equal(fake_kvm_ioeventfds(), 1);
	v.common += 0x20000;
	v.q[0].notify += 0x20000;
	request();
	guest_power(v.fn, 3);
	assert_int_equal(fake_kvm_ioeventfds(), 0);
	guest_power(v.fn, 0);
	assert_int_equal(fake_kvm_ioeventfds(), 1);
	request();
	vdrv_set_status(&v, 0);
	assert_int_equal(fake_kvm_ioeventfds(), 0);
}

static void test_pause_and_reset_of_the_machine(void **state)
{
	const struct vdrv_seg seg = { MIB(3), 64 };
	uint32_t len;

	(void)state;
	start("virtio-rng,packed=on");
	vdrv_start(&v, UINT64_MAX, 1, 8, true);
	for (unsigned int i = 0; i < 10; i++) {
		machine_lock(g.m);
		machine_pause(g.m);
		assert_int_equal(fake_kvm_ioeventfds(), 0);
		assert_int_equal(machine_resume(g.m, NULL), 0);
		machine_unlock(g.m);
		request();
	}
	/* Requests in flight when the guest reboots. */
	while (vdrv_add(&v.q[0], &seg, 0, 1, false, NULL) >= 0)
		;
	vdrv_kick(&v.q[0], true);
	assert_int_equal(guest_reset(&g, NULL), 0);
	assert_int_equal(vdrv_status(&v), 0);
	assert_int_equal(fake_kvm_ioeventfds(), 0);
	vdrv_open(&v, &g, VIRTIO_ID_RNG, 0, 0);
	vdrv_start(&v, UINT64_MAX, 1, 8, true);
	request();
	vdrv_reap(&v.q[0], NULL, &len);
}

static void test_a_device_at_work_can_be_taken_away(void **state)
{
	const struct vdrv_seg seg = { MIB(3), 64 };

	(void)state;
	start("virtio-rng,id=r");
	vdrv_start(&v, 0, 1, 8, true);
	while (vdrv_add(&v.q[0], &seg, 0, 1, false, NULL) >= 0)
		;
	vdrv_kick(&v.q[0], true);
	machine_lock(g.m);
	dev_free(machine_find_device(g.m, "r"));
	machine_unlock(g.m);
	assert_int_equal(fake_kvm_ioeventfds(), 0);
	assert_int_equal(fake_kvm_irqfds(), 0);
	guest_turn(&g);
}

/* ---- what fails ------------------------------------------------------------------------------ */

static void host(void *opaque)
{
	(void)opaque;
	fake_allow_path("/dev/urandom");
}

static void test_every_failure_of_its_set_up_is_undone_and_named(void **state)
{
	char arg[] = "virtio-rng,id=r,bus=pci.0";
	const struct fake_sweep s = {
		.name = "virtio-rng", .setup = host, .run = guest_seat, .opaque = arg
	};
	struct fake_sweep_stats st;

	(void)state;
	assert_int_equal(fault_sweep(&s, &st), 0);
	assert_true(st.failed > 5);
}

static void test_no_doorbell_to_be_had_is_no_failure(void **state)
{
	uint32_t len = 0;

	(void)state;
	start("virtio-rng");
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_IOCTL),
					     .request = KVM_IOEVENTFD,
					     .nth = 1,
					     .err = ENOSPC });
	vdrv_start(&v, 0, 1, 8, true);
	fake_fault_clear();
	assert_int_equal(fake_kvm_ioeventfds(), 0);
	const struct vdrv_seg seg = { MIB(3), 64 };
	assert_true(vdrv_add(&v.q[0], &seg, 0, 1, false, NULL) >= 0);
	vdrv_kick(&v.q[0], true);
	assert_int_equal(g.last, FAKE_ACCESS_EXIT);
	assert_true(vdrv_wait(&v.q[0], NULL, &len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_requests_cost_no_exit),
		FLOW_TEST(test_doorbells_are_there_while_they_can_be_rung),
		FLOW_TEST(test_pause_and_reset_of_the_machine),
		FLOW_TEST(test_a_device_at_work_can_be_taken_away),
		FLOW_TEST(test_every_failure_of_its_set_up_is_undone_and_named),
		FLOW_TEST(test_no_doorbell_to_be_had_is_no_failure),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
