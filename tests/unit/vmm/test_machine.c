// SPDX-License-Identifier: GPL-2.0-or-later
// The machine: its life and states, what ends it and with which reason, --device arguments, and a
// memory map that fits the devices that are there or says why it can't.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include <linux/kvm.h>
#include <linux/pci_regs.h>

#include "tests/fake/fake_kvm.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_zoo.h"
#include "tests/guest/guest.h"

static struct guest g;
static struct verr err;

static int setup(void **state)
{
	(void)state;
	fake_reset();
	memset(&g, 0, sizeof(g));
	verr_clear(&err);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	guest_close(&g);
	return fake_clean() ? 0 : -1;
}

static void make(const struct guest_setup *s)
{
	if (guest_open(&g, s, &err) < 0)
		fail_msg("%s", err.msg);
}

static void refuse(const struct guest_setup *s, int code, const char *says)
{
	int r = guest_open(&g, s, &err);
	if (r >= 0)
		fail_msg("a machine that can't be was made");
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
	assert_int_equal(r, code);
	assert_int_equal(fake_leaks(stderr), 0);
}

/* --- life ------------------------------------------------------------------------------------- */

static const char *seen[16];
static char seen_text[256];
static unsigned int n_seen;

static void observe(void *opaque, const char *event, const char *device, const char *text)
{
	(void)device;
	(void)opaque;
	if (n_seen < ARRAY_SIZE(seen))
		seen[n_seen++] = event;
	snprintf(seen_text, sizeof(seen_text), "%s", text ? text : "");
}

static void start_observed(const struct guest_setup *s)
{
	n_seen = 0;
	guest_start(&g, s);
	g.m->observer = observe;
}

static void test_states_and_what_is_told_of_them(void **state)
{
	(void)state;
	make(&(struct guest_setup){ .vcpus = 2 });
	assert_int_equal(g.m->state, MACHINE_READY);
	assert_int_equal(guest_reset(&g, &err), -EINVAL); /* not running yet */
	assert_non_null(strstr(err.msg, "not running"));
	verr_clear(&err);
	assert_int_equal(guest_run(&g, &err), 0);
	n_seen = 0;
	g.m->observer = observe;
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	machine_lock(g.m);
	assert_int_equal(machine_resume(g.m, &err), 0); /* no effect */
	machine_pause(g.m);
	machine_pause(g.m);
	assert_int_equal(g.m->state, MACHINE_PAUSED);
	machine_unlock(g.m);
	assert_true(fake_kvm_wait_running(0, 5000));
	machine_lock(g.m);
	assert_int_equal(machine_resume(g.m, &err), 0);
	machine_unlock(g.m);
	assert_true(fake_kvm_wait_running(2, 5000));
	assert_int_equal(guest_reset(&g, &err), 0);
	machine_lock(g.m);
	machine_quit(g.m, MACHINE_POWERED_OFF, "enough");
	machine_quit(g.m, MACHINE_CRASHED, "too late");
	machine_unlock(g.m);
	assert_int_equal(g.m->stop, MACHINE_POWERED_OFF);
	static const char *const want[] = { "STOP", "RESUME", "RESET", "SHUTDOWN" };
	assert_int_equal(n_seen, ARRAY_SIZE(want));
	for (size_t i = 0; i < ARRAY_SIZE(want); i++)
		assert_string_equal(seen[i], want[i]);
	assert_string_equal(seen_text, "enough");
}

static void test_run_to_the_end(void **state)
{
	enum machine_stop why = MACHINE_CRASHED;
	(void)state;
	make(&(struct guest_setup){ .vcpus = 1 });
	/* Asked for before it runs: the loop comes to it at once. */
	g.m->plat.event(g.m->plat.event_opaque, PLATFORM_POWER_OFF, NULL, NULL);
	assert_int_equal(machine_run(g.m, &why, &err), 0);
	assert_int_equal(why, MACHINE_POWERED_OFF);
	assert_string_equal(g.m->stop_text, "the guest powered off");
}

static void end_by(enum platform_event ev, const char *text)
{
	g.m->plat.event(g.m->plat.event_opaque, ev, NULL, text);
}

static void test_the_gravest_event_wins(void **state)
{
	static const struct {
		enum platform_event ev[3];
		enum machine_stop stop;
	} cases[] = {
		{ { PLATFORM_RESET, PLATFORM_POWER_OFF, PLATFORM_RESET }, MACHINE_POWERED_OFF },
		{ { PLATFORM_RESET, PLATFORM_PANIC, PLATFORM_POWER_OFF }, MACHINE_CRASHED },
		{ { PLATFORM_PANIC, PLATFORM_DEVICE_LOST, PLATFORM_RESET }, MACHINE_DEVICE_LOST },
		{ { PLATFORM_QUIT, PLATFORM_RESET, PLATFORM_RESET }, MACHINE_POWERED_OFF },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		start_observed(&(struct guest_setup){ .vcpus = 1 });
		for (unsigned int k = 0; k < 3; k++)
			end_by(cases[i].ev[k], "why");
		guest_turn(&g);
		assert_int_equal(g.m->state, MACHINE_STOPPED);
		assert_int_equal(g.m->stop, cases[i].stop);
		assert_int_equal(n_seen, 1);
		guest_close(&g);
	}
}

/* A vCPU's last exit is handled in its thread. */
static void wait_stopped(void)
{
	for (unsigned int i = 0; i < 5000; i++) {
		guest_turn(&g);
		machine_lock(g.m);
		bool stopped = g.m->state == MACHINE_STOPPED;
		machine_unlock(g.m);
		if (stopped)
			return;
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	}
	fail_msg("the machine goes on");
}

static void test_triple_fault_is_a_crash(void **state)
{
	(void)state;
	start_observed(&(struct guest_setup){ .vcpus = 2 });
	fake_guest_exit(1, KVM_EXIT_SHUTDOWN, 0);
	wait_stopped();
	assert_int_equal(g.m->stop, MACHINE_CRASHED);
	assert_true(g.m->stop_text[0] != '\0');
}

static void test_fault_without_a_cause_is_a_crash(void **state)
{
	(void)state;
	start_observed(&(struct guest_setup){ .vcpus = 1 });
	fake_guest_run_errno(0, EFAULT); /* entered again once */
	fake_guest_run_errno(0, EFAULT);
	wait_stopped();
	assert_int_equal(g.m->stop, MACHINE_CRASHED);
	assert_non_null(strstr(g.m->stop_text, "Bad address"));
}

static void test_guest_powers_off_by_acpi(void **state)
{
	(void)state;
	start_observed(&(struct guest_setup){ .vcpus = 1 });
	uint16_t port = g.m->layout.acpi_pm_port;
	for (unsigned int i = 0; i < 256 && g.m->state == MACHINE_RUNNING; i++) {
		guest_out(&g, port, i,
			  1); /* sleep type 5 and enable are among them, as is a reset */
		guest_turn(&g);
	}
	assert_int_equal(g.m->state, MACHINE_STOPPED);
	assert_string_equal(g.m->stop_text, "the guest powered off");
}

static void test_timing_tells_each_phase(void **state)
{
	char *text = NULL;
	size_t len = 0;
	(void)state;
	guest_start(&g, &(struct guest_setup){ .vcpus = 1 });
	FILE *out = open_memstream(&text, &len);
	timing_print(&g.m->timing, out);
	fclose(out);
	static const char *const phases[] = { "accelerator",  "machine",   "devices", "RAM",
					      "device reset", "vCPUs run", "total" };
	for (size_t i = 0; i < ARRAY_SIZE(phases); i++)
		assert_non_null(strstr(text, phases[i]));
	free(text);
	for (unsigned int i = 0; i < 100; i++)
		timing_mark(&g.m->timing, "more than there is room for");
}

/* --- --device --------------------------------------------------------------------------------- */

static void test_device_arguments_that_cannot_be(void **state)
{
	static const struct {
		const char *arg, *says;
	} cases[] = {
		{ "", "" },
		{ "vfio-pcy,host=0000:03:00.0", "vfio-pci" },
		{ "vfio-pci", "host" },
		{ "vfio-pci,host=", "host" },
		{ "vfio-pci,host=3:0", "3:0" },
		{ "vfio-pci,host=0000:03:00.0,rombar=maybe", "maybe" },
		{ "vfio-pci,host=0000:03:00.0,speed=9", "speed" },
		{ "vfio-pci,host=0000:03:00.0,bus=pci.7", "pci.7" },
		{ "vfio-pci,host=0000:03:00.0,bus=pci.0,addr=40", "40" },
		{ "vfio-pci,host=0000:03:00.0,bus=pci.0,addr=00", "00" },
		{ "vfio-pci,host=0000:03:00.0,bus=pci.0,addr=05.1", "05" },
		{ "vfio-pci,host=0000:04:00.0", "0000:04:00.0" },
		{ "vfio-pci,host=0000:03:00.0,id=taken", "taken" },
		{ "pci-host", "part of the machine" },
		{ "rtc", "part of the machine" },
		{ "0123456789012345678901234567890123456789012345678901234567890123456789",
		  "too long" },
	};
	(void)state;
	fake_zoo_one(&zoo_nvme);
	fake_dev_add(&zoo_edu, &(struct fake_place){
				       .bdf = "0000:05:00.0", .group = 30, .driver = "vfio-pci" });
	make(&(struct guest_setup){ .device = { "vfio-pci,host=0000:05:00.0,id=taken" } });
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		verr_clear(&err);
		machine_lock(g.m);
		int r = machine_add_device(g.m, cases[i].arg, &err);
		machine_unlock(g.m);
		if (r >= 0 || !err.msg[0] || !strstr(err.msg, cases[i].says))
			fail_msg("\"%s\": %d \"%s\"", cases[i].arg, r, err.msg);
		assert_non_null(machine_find_device(g.m, "taken"));
	}
}

static void test_devices_are_named_and_found(void **state)
{
	(void)state;
	fake_zoo_one(&zoo_nvme);
	fake_dev_add(&zoo_edu, &(struct fake_place){
				       .bdf = "0000:05:00.0", .group = 30, .driver = "vfio-pci" });
	make(&(struct guest_setup){ .device = { "vfio-pci,host=0000:03:00.0",
						"vfio-pci,host=0000:05:00.0,id=port1" } });
	assert_non_null(machine_find_device(g.m, "vfio-pci.0"));
	assert_non_null(machine_find_device(g.m, "port1"));
	assert_non_null(machine_find_device(g.m, "port0")); /* made for the first */
	assert_null(machine_find_device(g.m, "vfio-pci.1"));
}

static void test_ports_made_on_the_way_keep_clear_of_given_names(void **state)
{
	(void)state;
	fake_zoo_one(&zoo_nvme);
	fake_dev_add(&zoo_edu, &(struct fake_place){
				       .bdf = "0000:05:00.0", .group = 30, .driver = "vfio-pci" });
	make(&(struct guest_setup){ .device = { "vfio-pci,host=0000:05:00.0,id=port0",
						"vfio-pci,host=0000:03:00.0" } });
	assert_non_null(machine_find_device(g.m, "port1"));
}

static void test_port_of_ones_own(void **state)
{
	(void)state;
	fake_zoo_one(&zoo_nvme);
	make(&(struct guest_setup){ .device = { "pcie-root-port,id=slot5,addr=05",
						"vfio-pci,host=0000:03:00.0,bus=slot5" } });
	assert_int_equal(guest_run(&g, &err), 0);
	struct guest_fn f = guest_find(&g, 0x1b36, 0x0010, 0);
	assert_int_equal(guest_pcidev(f)->bus->bridge->devfn, 5 << 3);
}

/* --- memory map ------------------------------------------------------------------------------- */

static const struct guest_setup plan = { .accel = "none", .dry_run = true };

static void test_ram_around_the_hole(void **state)
{
	static const struct {
		uint64_t ram, low, high;
	} cases[] = {
		{ MIB(2), MIB(2), 0 },		 { GIB(3), GIB(3), 0 },
		{ GIB(3) + 4096, GIB(3), 4096 }, { GIB(9) / 2, GIB(3), GIB(3) / 2 },
		{ GIB(100), GIB(3), GIB(97) },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct guest_setup s = plan;
		s.ram = cases[i].ram;
		make(&s);
		const struct pc_layout *l = &g.m->layout;
		assert_true(l->ram_low_size == cases[i].low);
		assert_true(l->ram_high_size == cases[i].high);
		assert_true(l->mmio32.first >= l->ram_low_size);
		assert_true(!l->has_mmio64 || l->mmio64.first >= GIB(4) + l->ram_high_size);
		guest_close(&g);
	}
}

static void with_bars(struct fake_devdesc *d, uint64_t a, unsigned int fa, uint64_t b,
		      unsigned int fb)
{
	*d = zoo_edu;
	d->bars[0] = (struct fake_bar)FAKE_BAR(a, fa);
	d->bars[2] = (struct fake_bar)FAKE_BAR(b, fb);
	fake_zoo_one(d);
}

static void test_hole_grows_with_the_bars(void **state)
{
	static struct fake_devdesc d;
	struct guest_setup s = plan;
	(void)state;
	with_bars(&d, GIB(1), 0, MIB(256), 0);
	s.ram = GIB(8);
	s.device[0] = "vfio-pci,host=0000:03:00.0,x-no-mmap=on";
	make(&s);
	const struct pc_layout *l = &g.m->layout;
	assert_true(range_size(l->mmio32) >= GIB(1) + MIB(256));
	assert_true(l->ram_low_size <= l->mmio32.first);
	assert_true(l->ram_low_size + l->ram_high_size == GIB(8));
}

static void test_hole_takes_two_large_bars(void **state)
{
	static struct fake_devdesc d;
	struct guest_setup s = plan;
	(void)state;
	with_bars(&d, GIB(1), 0, GIB(1), 0);
	s.device[0] = "vfio-pci,host=0000:03:00.0,x-no-mmap=on";
	make(&s);
}

static void test_32_bit_bars_that_do_not_fit(void **state)
{
	static struct fake_devdesc d;
	struct guest_setup s = plan;
	(void)state;
	with_bars(&d, GIB(2), 0, GIB(1), 0);
	s.device[0] = "vfio-pci,host=0000:03:00.0,x-no-mmap=on";
	refuse(&s, -ENOSPC, "32-bit BARs need");
}

static void test_64_bit_bars_beyond_the_processors_reach(void **state)
{
	static struct fake_devdesc d;
	struct guest_setup s = plan;
	(void)state;
	with_bars(&d, GIB(1024), FAKE_BAR_64, 0, 0); /* 40 address bits: 1 TiB is all there is */
	s.device[0] = "vfio-pci,host=0000:03:00.0,x-no-mmap=on";
	refuse(&s, -ENOSPC,
	       "64-bit BARs need 1048576 MiB, aligned to 1048576 MiB, beside guest RAM");
}

static void test_window_keeps_clear_of_the_hypertransport_hole(void **state)
{
	struct guest_setup s = plan;
	(void)state;
	s.ram = GIB(1000); /* ends at 1001 GiB; the hole is from 1012 to 1024 */
	make(&s);
	const struct pc_layout *l = &g.m->layout;
	assert_true(!l->has_mmio64 || l->mmio64.last < UINT64_C(0xfd00000000));
}

static void test_ram_beyond_the_processors_reach(void **state)
{
	struct guest_setup s = plan;
	(void)state;
	s.ram = GIB(2048);
	assert_true(guest_open(&g, &s, &err) < 0);
	assert_non_null(strstr(err.msg, "memory"));
}

static void test_more_vcpus_than_there_can_be(void **state)
{
	(void)state;
	fake_kvm()->max_vcpus = 4;
	refuse(&(struct guest_setup){ .vcpus = 5 }, -EINVAL, "--cpus 5");
}

static void test_description_has_the_map(void **state)
{
	struct guest_setup s = plan;
	char *text = NULL;
	size_t len = 0;
	(void)state;
	s.ram = GIB(5);
	make(&s);
	FILE *out = open_memstream(&text, &len);
	machine_describe(g.m, out);
	fclose(out);
	static const char *const says[] = { "machine pc, 1 vCPU, 5120 MiB",
					    "accelerator none",
					    "32-bit PCI window",
					    "ECAM",
					    "64-bit PCI window",
					    "0x000100000000" };
	for (size_t i = 0; i < ARRAY_SIZE(says); i++)
		if (!strstr(text, says[i]))
			fail_msg("no \"%s\" in:\n%s", says[i], text);
	free(text);
}

#define T_(f)                                                                                      \
	{                                                                                          \
#f, f, setup, teardown, NULL                                                       \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T_(test_states_and_what_is_told_of_them),
		T_(test_run_to_the_end),
		T_(test_the_gravest_event_wins),
		T_(test_triple_fault_is_a_crash),
		T_(test_fault_without_a_cause_is_a_crash),
		T_(test_guest_powers_off_by_acpi),
		T_(test_timing_tells_each_phase),
		T_(test_device_arguments_that_cannot_be),
		T_(test_devices_are_named_and_found),
		T_(test_ports_made_on_the_way_keep_clear_of_given_names),
		T_(test_port_of_ones_own),
		T_(test_ram_around_the_hole),
		T_(test_hole_grows_with_the_bars),
		T_(test_hole_takes_two_large_bars),
		T_(test_32_bit_bars_that_do_not_fit),
		T_(test_64_bit_bars_beyond_the_processors_reach),
		T_(test_window_keeps_clear_of_the_hypertransport_hole),
		T_(test_ram_beyond_the_processors_reach),
		T_(test_more_vcpus_than_there_can_be),
		T_(test_description_has_the_map),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
