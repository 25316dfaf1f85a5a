// SPDX-License-Identifier: GPL-2.0-or-later
// The machine's life where it goes wrong: resets that fail or come in numbers, reasons of an end
// that come together, memory beyond what a guest can address.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>
#include <unistd.h>

#include "tests/fake/boot_fixture.h"
#include "vmm/boot/acpi.h"
#include "vmm/dev/devs.h"

#include "flow.h"

#define RESET_PORT (0x600 + ACPI_PM_RESET)

static unsigned int resets;

static void observe(void *opaque, const char *event, const char *device, const char *text)
{
	(void)device;
	(void)opaque;
	(void)text;
	resets += strcmp(event, "RESET") == 0;
}

static void watch(void)
{
	resets = 0;
	g.m->observer = observe;
}

static void test_failed_reset_ends_the_machine(void **state)
{
	struct image img;
	struct verr err = { 0 };
	(void)state;
	fixture_bzimage(&img);
	const char *path = fixture_file(0, img.buf, img.len);
	const struct guest_setup s = { .kernel = path, .ram = MIB(64) };
	fake_allow_path("/tmp/vv-boot");
	flow_start_with(&zoo_nvme, "", &s);
	assert_int_equal(truncate(path, 512), 0);
	assert_true(guest_reset(&g, &err) < 0);
	assert_non_null(strstr(err.msg, "truncated"));
	assert_int_equal(g.m->state, MACHINE_STOPPED);
	assert_int_equal(g.m->stop, MACHINE_CRASHED);
	assert_string_equal(g.m->stop_text, err.msg);
	verr_clear(&err);
	assert_int_equal(guest_reset(&g, &err), -EINVAL);
	fixture_free(&img);
	fixture_cleanup();
}

static void test_requests_before_a_reset_are_one_reset(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start(&zoo_nvme);
	watch();
	for (unsigned int i = 0; i < 3; i++)
		guest_out(&g, RESET_PORT, ACPI_PM_RESET_VALUE, 1);
	assert_int_equal(guest_reset(&g, &err), 0);
	guest_turn(&g);
	assert_int_equal(resets, 1);
	guest_out(&g, RESET_PORT, ACPI_PM_RESET_VALUE, 1);
	guest_turn(&g);
	assert_int_equal(resets, 2);
}

static void test_reset_asked_for_before_a_pause_waits_for_resume(void **state)
{
	struct verr err = { 0 };
	(void)state;
	flow_start(&zoo_nvme);
	watch();
	guest_out(&g, RESET_PORT, ACPI_PM_RESET_VALUE, 1);
	machine_lock(g.m);
	machine_pause(g.m);
	machine_unlock(g.m);
	guest_turn(&g);
	assert_int_equal(g.m->state, MACHINE_PAUSED);
	assert_int_equal(resets, 0);
	machine_lock(g.m);
	assert_int_equal(machine_resume(g.m, &err), 0);
	machine_unlock(g.m);
	guest_turn(&g);
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	assert_int_equal(resets, 1);
}

static void test_reason_of_the_end_is_the_gravest_ones(void **state)
{
	const struct platform *p;
	(void)state;
	flow_start(&zoo_nvme);
	p = &g.m->plat;
	p->event(p->event_opaque, PLATFORM_RESET, NULL, "reset");
	p->event(p->event_opaque, PLATFORM_POWER_OFF, NULL, "power-off");
	p->event(p->event_opaque, PLATFORM_PANIC, NULL, "panic");
	p->event(p->event_opaque, PLATFORM_DEVICE_LOST, NULL, "lost");
	p->event(p->event_opaque, PLATFORM_PANIC, NULL, "panic again");
	guest_turn(&g);
	assert_int_equal(g.m->stop, MACHINE_DEVICE_LOST);
	assert_string_equal(g.m->stop_text, "lost");
}

static void test_crash_says_how_though_a_reset_was_asked_for(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	guest_out(&g, RESET_PORT, ACPI_PM_RESET_VALUE, 1);
	g.m->plat.event(g.m->plat.event_opaque, PLATFORM_PANIC, NULL, "triple fault");
	guest_turn(&g);
	assert_int_equal(g.m->stop, MACHINE_CRASHED);
	assert_string_equal(g.m->stop_text, "triple fault");
}

static void test_memory_beyond_guest_addresses_is_refused(void **state)
{
	struct guest_setup s = { .accel = "none", .dry_run = true };
	struct verr err = { 0 };
	(void)state;
	/* 40 bits, the last 12 GiB of them AMD's, 512 MiB of hole, ECAM and the rest up to 4 GiB:
	 * the first that is too much. */
	s.ram = GIB(1011) + KIB(4);
	assert_int_equal(guest_open(&g, &s, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--memory"));
	assert_non_null(strstr(err.msg, "at most 1035264 MiB"));
	verr_clear(&err);
	s.ram = UINT64_MAX - MIB(1) + 1;
	assert_int_equal(guest_open(&g, &s, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "--memory"));
	verr_clear(&err);
	s.ram = GIB(1011);
	assert_int_equal(guest_open(&g, &s, &err), 0);
}

static void test_ids_are_the_machine_s_or_the_user_s(void **state)
{
	struct guest_setup s = { .accel = "none",
				 .device = { "pcie-root-port,id=rtc" },
				 .dry_run = true };
	struct verr err = { 0 };
	(void)state;
	assert_int_equal(guest_open(&g, &s, &err), -EEXIST);
	assert_non_null(strstr(err.msg, "\"rtc\""));
	/* A number that a user has given away is not given again. */
	s.device[0] = "pcie-root-port,id=pcie-root-port.0";
	s.device[1] = "pcie-root-port";
	verr_clear(&err);
	assert_int_equal(guest_open(&g, &s, &err), 0);
	assert_non_null(machine_find_device(g.m, "pcie-root-port.0"));
	assert_non_null(machine_find_device(g.m, "pcie-root-port.1"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FLOW_TEST(test_failed_reset_ends_the_machine),
		FLOW_TEST(test_requests_before_a_reset_are_one_reset),
		FLOW_TEST(test_reset_asked_for_before_a_pause_waits_for_resume),
		FLOW_TEST(test_reason_of_the_end_is_the_gravest_ones),
		FLOW_TEST(test_crash_says_how_though_a_reset_was_asked_for),
		FLOW_TEST(test_memory_beyond_guest_addresses_is_refused),
		FLOW_TEST(test_ids_are_the_machine_s_or_the_user_s),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
