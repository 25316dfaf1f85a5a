// SPDX-License-Identifier: GPL-2.0-or-later
// The end, wherever it comes: the order in which an assigned device is given back, seen in the
// fake kernel's record of calls, and that nothing is left - of running machines, of machines that
// never ran, of those whose device went first.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>

#include <linux/kvm.h>
#include <linux/vfio.h>

#include <unistd.h>

#include "core/log.h"
#include "flow.h"

#define SECOND_BDF "0000:04:00.0"

/* What the last calls were: the record of the end alone. */
static void end(void)
{
	fake_log_clear();
	guest_close(&g);
}

static int first(const char *what)
{
	int at = fake_log_find(what, 0);
	if (at < 0)
		fail_msg("no call \"%s\"", what);
	return at;
}

static int last(const char *what)
{
	int at = first(what), next;
	while ((next = fake_log_find(what, at + 1)) >= 0)
		at = next;
	return at;
}

static void work(struct guest_fn f)
{
	guest_command(f, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	guest_msix(f, true, false);
	guest_msix_vector(f, 0, MSI_ADDR, 0x40, false);
}

static void test_device_is_quiet_before_anything_is_unmapped(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	work(fn);
	end();
	/* Bus mastering (the first write to the device), interrupts, then slots and maps. */
	int quiet = first("pwrite vfio-device " HOST_BDF);
	int irqs = first("VFIO_DEVICE_SET_IRQS");
	int slot = first("KVM_SET_USER_MEMORY_REGION");
	int unmap = first("VFIO_IOMMU_UNMAP_DMA");
	int closed = last("close vfio-device " HOST_BDF); /* which resets it */
	assert_true(quiet < irqs && irqs < slot && irqs < unmap && unmap < closed);
}

static void test_memory_is_unmapped_while_a_group_holds_the_container(void **state)
{
	(void)state;
	flow_start_with(&zoo_nvme, ",x-no-mmap=on", NULL);
	work(fn);
	end();
	int closed = last("close vfio-device " HOST_BDF);
	int unmap = last("VFIO_IOMMU_UNMAP_DMA"); /* RAM's */
	int kvm = last("KVM_SET_DEVICE_ATTR");
	int unset = first("VFIO_GROUP_UNSET_CONTAINER");
	int group = last("close /dev/vfio/14");
	int container = last("close /dev/vfio/vfio");
	assert_true(closed < unmap && unmap < kvm && kvm < unset);
	assert_true(unset < group && group < container);
}

static void test_device_goes_back_as_it_came(void **state)
{
	uint32_t reg = 1;
	(void)state;
	flow_start(&zoo_nvme);
	work(fn);
	guest_write(&g, guest_bar_addr(fn, 0) + 0x40, 0xdead, 4);
	unsigned int resets = fake_dev_resets(hw);
	end();
	assert_false(fake_dev_is_open(hw));
	assert_false(fake_dev_bus_master(hw));
	assert_int_equal(fake_dev_resets(hw), resets + 1);
	fake_dev_bar_read(hw, 0, 0x40, &reg, 4);
	assert_int_equal(reg, 0);
	assert_string_equal(fake_dev_driver(hw), "vfio-pci");
}

/* The reset that closing it is. */
static void test_device_dead_after_its_last_reset_is_said(void **state)
{
	char path[] = "/tmp/vv-test-teardown-XXXXXX", spec[64], text[1024] = "";
	struct fake_devdesc frail = zoo_nvme;
	struct verr err = { 0 };
	(void)state;
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	frail.flags |= FAKE_DEV_DEAD_AFTER_RESET;
	flow_start(&frail);
	snprintf(spec, sizeof(spec), "warn,file=%s", path);
	assert_int_equal(log_configure(spec, &err), 0);
	end();
	log_close();
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	close(fd);
	unlink(path);
	assert_non_null(strstr(text, HOST_BDF " does not answer any more: it did not come back"));
}

static void test_machine_that_never_ran(void **state)
{
	const struct guest_setup s = { .device = { "vfio-pci,host=" HOST_BDF } };
	struct verr err = { 0 };
	(void)state;
	hw = fake_zoo_one(&zoo_nvme);
	assert_int_equal(guest_open(&g, &s, &err), 0);
	end();
	assert_false(fake_dev_is_open(hw));
}

static void test_two_devices_of_one_container_end_in_turn(void **state)
{
	const struct guest_setup s = { .device = { [1] = "vfio-pci,host=" SECOND_BDF } };
	(void)state;
	fake_dev_add(&zoo_e1000e,
		     &(struct fake_place){ .bdf = SECOND_BDF, .group = 20, .driver = "vfio-pci" });
	flow_start_with(&zoo_nvme, "", &s);
	work(fn);
	work(guest_find(&g, 0x8086, 0x10d3, 0));
	end();
	/* In reverse; RAM only goes with the last. */
	int a = last("close vfio-device " SECOND_BDF), b = last("close vfio-device " HOST_BDF);
	assert_true(a < b && b < last("VFIO_IOMMU_UNMAP_DMA"));
	assert_int_equal(fake_log_count("VFIO_GROUP_UNSET_CONTAINER"), 2);
}

static void test_two_functions_of_one_group_end_in_turn(void **state)
{
	const struct guest_setup s = { .device = { [1] = "vfio-pci,host=0000:03:00.1" } };
	(void)state;
	fake_dev_add(
		&zoo_gpu_audio,
		&(struct fake_place){ .bdf = "0000:03:00.1", .group = 14, .driver = "vfio-pci" });
	flow_start_with(&zoo_gpu, "", &s);
	end();
	assert_int_equal(fake_log_count("VFIO_GROUP_UNSET_CONTAINER"), 1);
	assert_int_equal(fake_log_count("KVM_SET_DEVICE_ATTR"), 1);
}

static void test_all_of_the_zoo_ends(void **state)
{
	(void)state;
	for (size_t i = 0; i < zoo_count; i++) {
		const struct fake_devdesc *d = zoo_all[i];
		if (d == &zoo_msix_off_bar || d == &zoo_msix_no_bar || d == &zoo_dead_after_reset)
			continue;
		fake_reset();
		flow_start(d);
		flow_enable();
		if (guest_cap(fn, PCI_CAP_ID_MSIX))
			work(fn);
		else if (guest_cap(fn, PCI_CAP_ID_MSI))
			guest_msi(fn, 0, MSI_ADDR, 0x30);
		end();
		assert_false(fake_dev_is_open(hw));
		assert_true(fake_clean());
	}
}

static void test_end_while_asleep(void **state)
{
	(void)state;
	flow_start(&zoo_noreset);
	flow_enable();
	guest_power(fn, 3);
	end();
	assert_false(fake_dev_is_open(hw));
}

static void test_end_with_interrupts_in_flight(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	work(fn);
	guest_msix_mask(fn, 0, true);
	fake_dev_fire(hw, 0);
	fake_dev_intx(hw, true);
	end();
}

static void test_end_after_the_device_went(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	work(fn);
	fake_dev_remove(hw);
	guest_turn(&g);
	end();
}

static void test_end_of_a_paused_machine(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	work(fn);
	machine_lock(g.m);
	machine_pause(g.m);
	machine_unlock(g.m);
	end();
}

static void test_many_vcpus_end(void **state)
{
	const struct guest_setup s = { .vcpus = 8 };
	(void)state;
	flow_start_with(&zoo_nvme, "", &s);
	work(fn);
	end();
}

/* No undoing call can be refused without consequences, but none may crash or hang. */
static void test_end_when_the_kernel_refuses_to_undo(void **state)
{
	static const unsigned long requests[] = { VFIO_DEVICE_SET_IRQS, VFIO_DEVICE_RESET,
						  VFIO_IOMMU_UNMAP_DMA,
						  VFIO_GROUP_UNSET_CONTAINER };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(requests); i++) {
		fake_reset();
		flow_start(&zoo_nvme);
		work(fn);
		fake_fault_add(
			&(struct fake_fault){ .request = requests[i], .nth = 1, .err = EIO });
		end();
		assert_int_equal(fake_leaks(stderr), 0);
		fake_violations_clear();
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_device_is_quiet_before_anything_is_unmapped),
		FLOW_TEST(test_memory_is_unmapped_while_a_group_holds_the_container),
		FLOW_TEST(test_device_goes_back_as_it_came),
		FLOW_TEST(test_device_dead_after_its_last_reset_is_said),
		FLOW_TEST(test_machine_that_never_ran),
		FLOW_TEST(test_two_devices_of_one_container_end_in_turn),
		FLOW_TEST(test_two_functions_of_one_group_end_in_turn),
		FLOW_TEST(test_all_of_the_zoo_ends),
		FLOW_TEST(test_end_while_asleep),
		FLOW_TEST(test_end_with_interrupts_in_flight),
		FLOW_TEST(test_end_after_the_device_went),
		FLOW_TEST(test_end_of_a_paused_machine),
		FLOW_TEST(test_many_vcpus_end),
		FLOW_TEST(test_end_when_the_kernel_refuses_to_undo),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
