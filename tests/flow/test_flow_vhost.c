// SPDX-License-Identifier: GPL-2.0-or-later
// Rings served by the host's kernel (vhost), by the example of virtio-vsock on the fake kernel:
// what it is given and when, that user space is absent from kicks and interrupts, positions over
// stop and start, rings found broken, requests that fail.
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>

#include "core/sys.h"
#include "plug.h"
#include "tests/fake/fake_vhost.h"
#include "tests/guest/vdrv.h"

#define DEVICE "virtio-vsock,id=v,cid=42,packed=on,in_order=on,notification_data=on"

static struct vdrv v;
static struct fake_vhost_state st;

static void look(void)
{
	assert_true(fake_vhost_get(FAKE_VHOST_VSOCK, 0, &st));
}

static void start(const char *device)
{
	const struct guest_setup s = { .device = { device } };

	guest_start(&g, &s);
	vdrv_open(&v, &g, VIRTIO_ID_VSOCK, 0, 0);
}

static void send(unsigned int n)
{
	const struct vdrv_seg seg = { MIB(3), 44 };

	for (unsigned int i = 0; i < n; i++) {
		assert_true(vdrv_add(&v.q[1], &seg, 1, 0, false, NULL) >= 0);
		vdrv_kick(&v.q[1], true);
		assert_int_equal(g.last, FAKE_ACCESS_DOORBELL);
		assert_true(vdrv_reap(&v.q[1], NULL, NULL));
	}
}

static void post(unsigned int n)
{
	const struct vdrv_seg seg = { MIB(3) + 4096, 1024 };

	for (unsigned int i = 0; i < n; i++)
		assert_true(vdrv_add(&v.q[0], &seg, 0, 1, false, NULL) >= 0);
	vdrv_kick(&v.q[0], true);
}

static void test_the_kernel_gets_features_memory_and_rings(void **state)
{
	(void)state;
	start(DEVICE);
	look();
	assert_true(st.owned && !st.running);
	assert_int_equal(st.cid, 42);
	assert_int_equal(vdrv_config(&v, 0, 8), 42);
	/* What it can't do is not offered, whatever was asked for. */
	assert_false(vdrv_offered(&v) & (BIT64(VIRTIO_F_RING_PACKED) | BIT64(VIRTIO_F_IN_ORDER) |
					 BIT64(38) | BIT64(VIRTIO_F_ACCESS_PLATFORM)));
	assert_true(vdrv_offered(&v) & BIT64(1));
	vdrv_start(&v, BIT64(VIRTIO_RING_F_EVENT_IDX) | BIT64(1), 3, 16, true);
	look();
	assert_true(st.running);
	assert_int_equal(st.features,
			 BIT64(VIRTIO_F_VERSION_1) | BIT64(VIRTIO_RING_F_EVENT_IDX) | BIT64(1));
	assert_true(st.regions >= 1);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(st.ring[i].num, 16);
		assert_true(st.ring[i].kick && st.ring[i].call && st.ring[i].err);
	}
	vdrv_set_status(&v, 0);
	look();
	assert_true(st.owned && !st.running);
	for (unsigned int i = 0; i < 2; i++)
		assert_false(st.ring[i].kick || st.ring[i].call || st.ring[i].err);
}

static void test_kicks_and_interrupts_cost_no_exit(void **state)
{
	(void)state;
	start(DEVICE);
	vdrv_start(&v, 0, 3, 16, true);
	vdrv_irq_on(&v.q[1], 1);
	send(1);
	unsigned int exits = fake_kvm_exits(), msis = fake_kvm_msi_count(2);
	send(100);
	post(5);
	assert_int_equal(fake_vhost_deliver(FAKE_VHOST_VSOCK, 0, 0, 3, 44), 3);
	assert_int_equal(fake_kvm_exits(), exits);
	assert_true(fake_kvm_msi_count(2) >= msis + 100);
	assert_true(fake_kvm_msi_count(1) >= 1);
}

static void test_another_vector_and_none_are_told(void **state)
{
	(void)state;
	start(DEVICE);
	vdrv_start(&v, 0, 3, 16, true);
	guest_msix(v.fn, false, false);
	fake_log_clear();
	send(3);
	look();
	assert_int_equal(st.ring[1].finished, 3);
	guest_msix(v.fn, true, false);
	look();
	assert_true(st.ring[0].call && st.ring[1].call);
	unsigned int msis = fake_kvm_msi_count(2);
	send(1);
	assert_int_equal(fake_kvm_msi_count(2), msis + 1);
}

static void test_positions_survive_pause_power_and_mastering(void **state)
{
	(void)state;
	start(DEVICE);
	vdrv_start(&v, 0, 3, 16, true);
	for (unsigned int i = 0; i < 12; i++) {
		send(7);
		post(1);
		switch (i % 3) {
		case 0:
			machine_lock(g.m);
			machine_pause(g.m);
			look();
			assert_false(st.running || st.ring[1].kick);
			assert_int_equal(machine_resume(g.m, NULL), 0);
			machine_unlock(g.m);
			break;
		case 1:
			guest_power(v.fn, 3);
			look();
			assert_false(st.running);
			guest_power(v.fn, 0);
			break;
		default:
			guest_command(v.fn, 0, PCI_COMMAND_MASTER);
			look();
			assert_false(st.running);
			guest_command(v.fn, PCI_COMMAND_MASTER, 0);
			break;
		}
		look();
		assert_true(st.running);
		assert_int_equal(st.ring[1].base, 7 * (i + 1));
		assert_int_equal(fake_vhost_deliver(FAKE_VHOST_VSOCK, 0, 0, 1, 44), 1);
		assert_true(vdrv_reap(&v.q[0], NULL, NULL));
	}
	assert_int_equal(st.ring[1].finished, 84);
	/* A new driver starts at the beginning. */
	assert_int_equal(guest_reset(&g, NULL), 0);
	look();
	assert_false(st.running);
	vdrv_open(&v, &g, VIRTIO_ID_VSOCK, 0, 0);
	vdrv_start(&v, 0, 3, 8, true);
	send(2);
	look();
	assert_int_equal(st.ring[1].base, 2);
}

static void test_a_queue_left_out_leaves_the_kernel_out(void **state)
{
	(void)state;
	start(DEVICE);
	vdrv_start(&v, 0, 1, 16, true);
	look();
	assert_false(st.running);
	assert_false(vdrv_status(&v) & VIRTIO_CONFIG_S_NEEDS_RESET);
	vdrv_start(&v, 0, 3, 16, true);
	send(1);
}

static void test_a_ring_the_kernel_finds_broken_needs_a_reset(void **state)
{
	(void)state;
	start(DEVICE);
	vdrv_start(&v, 0, 3, 16, true);
	fake_vhost_ring_error(FAKE_VHOST_VSOCK, 0, 1);
	assert_true(vdrv_wait_needs_reset(&v));
	look();
	assert_false(st.running);
	vdrv_start(&v, 0, 3, 16, true);
	send(1);
}

static void test_it_comes_and_goes_with_its_number(void **state)
{
	const struct guest_setup s = { .device = { "pcie-root-port,id=slot" } };
	struct verr err = { 0 };

	(void)state;
	guest_start(&g, &s);
	for (unsigned int i = 0; i < 3; i++) {
		must_plug("virtio-vsock,id=late,cid=9,bus=slot");
		look();
		assert_true(st.owned && st.cid == 9);
		/* One at a time has that number. */
		assert_true(plug("virtio-vsock,id=two,cid=9,bus=pci.0", &err) < 0);
		assert_non_null(strstr(err.msg, "cid=9 is another guest's"));
		memset(&err, 0, sizeof(err));
		assert_int_equal(unplug("late", true, &err), 0);
		assert_false(fake_vhost_get(FAKE_VHOST_VSOCK, 0, &st));
	}
}

/* ---- what fails ------------------------------------------------------------------------------ */

static void refused(const char *device, const char *why)
{
	struct guest_setup s = { .device = { device } };
	struct verr err = { 0 };

	assert_true(guest_open(&g, &s, &err) < 0);
	if (!strstr(err.msg, why))
		print_error("%s: got: %s\n", why, err.msg);
	assert_non_null(strstr(err.msg, why));
	guest_close(&g);
}

static void test_what_the_host_lacks_is_named(void **state)
{
	(void)state;
	fake_vhost_cid_taken(42);
	refused(DEVICE, "cid=42 is another guest's");
	refused("virtio-vsock", "cid");
	refused("virtio-vsock,cid=2", "cid");
	refused("virtio-vsock,cid=42,vhostfd=x", "vhostfd");
	fake_file_set("/run/plain", "no");
	int fd = sys_open("/run/plain", O_RDONLY, 0);
	char arg[64];
	snprintf(arg, sizeof(arg), "virtio-vsock,cid=7,vhostfd=%d", fd);
	refused(arg, "not a vhost device");
	sys_close(fd);
	fake_file_remove("/run/plain");
	fake_path_errno("/dev/vhost-vsock", EACCES);
	refused("virtio-vsock,cid=7", "permission denied");
	fake_path_errno("/dev/vhost-vsock", 0);
	fake_vhost()->features[FAKE_VHOST_VSOCK] &= ~BIT64(VIRTIO_F_VERSION_1);
	refused("virtio-vsock,cid=7", "legacy");
	fake_file_remove("/dev/vhost-vsock");
	refused("virtio-vsock,cid=7", "/dev/vhost-vsock is not there");
}

static void test_an_open_descriptor_is_adopted(void **state)
{
	char arg[64];

	(void)state;
	int fd = sys_open("/dev/vhost-vsock", O_RDWR, 0);
	snprintf(arg, sizeof(arg), "virtio-vsock,cid=7,vhostfd=%d", fd);
	fake_file_remove("/dev/vhost-vsock");
	start(arg);
	vdrv_start(&v, 0, 3, 16, true);
	send(2);
	look();
	assert_int_equal(st.cid, 7);
	/* It is closed with the device: nothing is left for the teardown to find. */
}

static void test_a_request_that_fails_needs_a_reset(void **state)
{
	static const unsigned long requests[] = {
		VHOST_SET_FEATURES,   VHOST_SET_MEM_TABLE,  VHOST_SET_VRING_NUM,
		VHOST_SET_VRING_BASE, VHOST_SET_VRING_ADDR, VHOST_SET_VRING_KICK,
		VHOST_SET_VRING_CALL, VHOST_SET_VRING_ERR,  VHOST_VSOCK_SET_RUNNING,
	};

	(void)state;
	start(DEVICE);
	for (unsigned int i = 0; i < ARRAY_SIZE(requests); i++) {
		fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_IOCTL),
						     .request = requests[i],
						     .path = "/dev/vhost-vsock",
						     .nth = 1,
						     .times = 1,
						     .err = ENOMEM });
		vdrv_start(&v, 0, 3, 16, true);
		assert_true(vdrv_wait_needs_reset(&v));
		fake_fault_clear();
		look();
		assert_false(st.running || st.ring[0].kick || st.ring[1].kick);
	}
	vdrv_start(&v, 0, 3, 16, true);
	send(1);
	/* The position is lost: the rings can't go on. */
	fake_fault_add(
		&(struct fake_fault){ .request = VHOST_GET_VRING_BASE, .nth = 1, .err = EIO });
	guest_command(v.fn, 0, PCI_COMMAND_MASTER);
	fake_fault_clear();
	guest_command(v.fn, PCI_COMMAND_MASTER, 0);
	assert_true(vdrv_wait_needs_reset(&v));
	look();
	assert_false(st.running);
}

static void test_every_failure_of_its_set_up_is_undone_and_named(void **state)
{
	char arg[] = "virtio-vsock,id=v,cid=42,bus=pci.0";
	const struct fake_sweep s = { .name = "virtio-vsock", .run = guest_seat, .opaque = arg };
	struct fake_sweep_stats stats;

	(void)state;
	assert_int_equal(fault_sweep(&s, &stats), 0);
	assert_true(stats.failed > 8);
}

static void test_a_dry_run_asks_and_changes_nothing(void **state)
{
	const struct guest_setup s = { .device = { DEVICE }, .dry_run = true };

	(void)state;
	assert_int_equal(guest_open(&g, &s, NULL), 0);
	look();
	assert_false(st.owned);
	assert_int_equal(st.cid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_the_kernel_gets_features_memory_and_rings),
		FLOW_TEST(test_kicks_and_interrupts_cost_no_exit),
		FLOW_TEST(test_another_vector_and_none_are_told),
		FLOW_TEST(test_positions_survive_pause_power_and_mastering),
		FLOW_TEST(test_a_queue_left_out_leaves_the_kernel_out),
		FLOW_TEST(test_it_comes_and_goes_with_its_number),
		FLOW_TEST(test_a_ring_the_kernel_finds_broken_needs_a_reset),
		FLOW_TEST(test_what_the_host_lacks_is_named),
		FLOW_TEST(test_an_open_descriptor_is_adopted),
		FLOW_TEST(test_a_request_that_fails_needs_a_reset),
		FLOW_TEST(test_every_failure_of_its_set_up_is_undone_and_named),
		FLOW_TEST(test_a_dry_run_asks_and_changes_nothing),
	};

	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
