// SPDX-License-Identifier: GPL-2.0-or-later
//
// Binding as a transaction, on the fake kernel: the ordinary way, refusals, odd states, what it
// says, word for word. Failures and kills at every call: test_bind_crash.c.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "vfio/preflight.h"
#include "tests/unit/vfio/bindhost.h"

static void refused(enum verb verb, const char *const *names, struct bind_opts o, int code,
		    const char *sentence)
{
	struct verr err = { .code = 0 };
	assert_int_equal(run(verb, names, o, &err), code);
	assert_string_equal(err.msg, sentence);
	assert_int_equal(err.code, code);
}

/* --- the ordinary way ------------------------------------------------------------------------ */

static void test_bind_and_restore(void **state)
{
	(void)state;
	bind_ok(NIC);
	assert_string_equal(driver_of(NIC), "vfio-pci");
	assert_string_equal(override_of(NIC), "vfio-pci");
	assert_non_null(strstr(journal_of(NIC), "driver e1000e\n"));
	assert_non_null(strstr(journal_of(NIC), "step bound\n"));
	assert_string_equal(told,
			    "echo vfio-pci > /sys/bus/pci/devices/0000:03:00.0/driver_override\n"
			    "echo 0000:03:00.0 > /sys/bus/pci/drivers/e1000e/unbind\n"
			    "echo 0000:03:00.0 > /sys/bus/pci/drivers_probe\n"
			    "0000:03:00.0 is bound to vfio-pci\n");
	restored(1, NIC);
	assert_string_equal(driver_of(NIC), "e1000e");
	assert_string_equal(told, "echo > /sys/bus/pci/devices/0000:03:00.0/driver_override\n"
				  "echo 0000:03:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind\n"
				  "echo 0000:03:00.0 > /sys/bus/pci/drivers_probe\n"
				  "0000:03:00.0 is back with e1000e\n");
	fake_assert_clean();
}

/* The order that a crash demands: the journal is whole before the first change. */
static void test_journal_comes_first(void **state)
{
	(void)state;
	fake_log_clear();
	bind_ok(NIC);
	int renamed = fake_log_find("rename " BIND_JOURNAL_DIR "/bind-" NIC ".tmp", 0);
	int changed = fake_log_find(NIC "/driver_override", 0);
	while (changed >= 0 && fake_log_find("write", changed) != changed)
		changed = fake_log_find(NIC "/driver_override", changed + 1);
	assert_true(renamed >= 0);
	assert_true(changed > renamed);
	restored(1, NIC);
}

static void test_new_id_is_never_written(void **state)
{
	(void)state;
	fake_log_clear();
	bind_ok(NIC);
	restored(1, NIC);
	assert_int_equal(fake_log_count("new_id"), 0);
}

static void test_binding_twice_changes_nothing(void **state)
{
	(void)state;
	bind_ok(NIC);
	bind_ok(NIC);
	assert_string_equal(told, "0000:03:00.0 is bound to vfio-pci already\n");
	assert_non_null(strstr(journal_of(NIC), "driver e1000e\n"));
	restored(1, NIC);
	restored(0, NIC);
	assert_string_equal(told, "0000:03:00.0 is not bound to vfio-pci: nothing to give back\n");
	fake_assert_clean();
}

static void test_several_and_the_same_twice(void **state)
{
	(void)state;
	bind_ok(NIC, NVME, NIC);
	assert_string_equal(driver_of(NIC), "vfio-pci");
	assert_string_equal(driver_of(NVME), "vfio-pci");
	assert_int_equal(run(RESTORE, NULL, (struct bind_opts){ 0 }, NULL), 2);
	fake_assert_clean();
}

static void test_driverless_function(void **state)
{
	(void)state;
	fake_dev_bind(fake_dev_find(NIC), "");
	bind_ok(NIC);
	assert_string_equal(driver_of(NIC), "vfio-pci");
	restored(1, NIC);
	assert_string_equal(driver_of(NIC), "");
	assert_non_null(strstr(told, "0000:03:00.0 is back with no driver\n"));
	fake_assert_clean();
}

static void test_earlier_override_comes_back(void **state)
{
	(void)state;
	fake_driver_set("special", 0, false);
	/* A driver that takes the function by override only. */
	assert_int_equal(sys_write_text("/sys/bus/pci/devices/" NIC "/driver_override", "special"),
			 0);
	fake_dev_bind(fake_dev_find(NIC), "special");
	bind_ok(NIC);
	assert_string_equal(override_of(NIC), "vfio-pci");
	restored(1, NIC);
	assert_string_equal(driver_of(NIC), "special");
	assert_string_equal(override_of(NIC), "special");
	fake_assert_clean();
}

/* Somebody had prepared driver_override and not rebound yet: both are as before afterwards. */
static void test_override_that_names_vfio_already(void **state)
{
	(void)state;
	assert_int_equal(sys_write_text("/sys/bus/pci/devices/" NIC "/driver_override", "vfio-pci"),
			 0);
	fake_mark();
	bind_ok(NIC);
	assert_string_equal(driver_of(NIC), "vfio-pci");
	restored(1, NIC);
	assert_string_equal(driver_of(NIC), "e1000e");
	assert_string_equal(override_of(NIC), "vfio-pci");
	fake_assert_clean();
}

static void test_group(void **state)
{
	(void)state;
	assert_int_equal(run(BIND, NAMES(GPU), (struct bind_opts){ .group = true }, NULL), 0);
	assert_string_equal(driver_of(GPU), "vfio-pci");
	assert_string_equal(driver_of(AUDIO), "vfio-pci");
	restored(1, AUDIO);
	restored(1, GPU);
	fake_assert_clean();
}

static void test_rest_of_the_group_is_pointed_out(void **state)
{
	(void)state;
	char expect[256];
	snprintf(expect, sizeof(expect),
		 "warning: group 15 is not viable yet: 0000:05:00.1 is still bound to %s (run: "
		 "vfio-bind 0000:05:00.1)\n",
		 driver_of(AUDIO));
	bind_ok(GPU);
	assert_non_null(strstr(told, expect));
	restored(1, GPU);
}

static void test_dry_run_changes_nothing(void **state)
{
	(void)state;
	struct bind_opts dry = { .dry_run = true };
	assert_int_equal(run(BIND, NAMES(NIC), dry, NULL), 0);
	assert_string_equal(told,
			    "echo vfio-pci > /sys/bus/pci/devices/0000:03:00.0/driver_override\n"
			    "echo 0000:03:00.0 > /sys/bus/pci/drivers/e1000e/unbind\n"
			    "echo 0000:03:00.0 > /sys/bus/pci/drivers_probe\n");
	fake_assert_clean();
	assert_null(journal_of(NIC));

	bind_ok(NIC);
	assert_int_equal(run(RESTORE, NULL, dry, NULL), 1);
	assert_string_equal(told, "echo > /sys/bus/pci/devices/0000:03:00.0/driver_override\n"
				  "echo 0000:03:00.0 > /sys/bus/pci/drivers/vfio-pci/unbind\n"
				  "echo 0000:03:00.0 > /sys/bus/pci/drivers_probe\n");
	assert_string_equal(driver_of(NIC), "vfio-pci");
	assert_non_null(journal_of(NIC));
	restored(1, NIC);
	fake_assert_clean();
}

/* --- refusals -------------------------------------------------------------------------------- */

static void test_refusals(void **state)
{
	(void)state;
	struct bind_opts o = { 0 };
	refused(BIND, NAMES("0000:00:1c.0"), o, -EINVAL,
		"0000:00:1c.0 is a bridge, which can't be bound to vfio-pci (name the functions "
		"behind it)");
	refused(BIND, NAMES("0000:03:00.7"), o, -ENODEV,
		"there is no PCI function 0000:03:00.7 (the nearest are 0000:03:00.0 and "
		"0000:05:00.0)");
	refused(RESTORE, NAMES("0000:03:00.7"), o, -ENODEV,
		"there is no PCI function 0000:03:00.7 (the nearest are 0000:03:00.0 and "
		"0000:05:00.0)");
	fake_driver_remove("vfio-pci");
	refused(BIND, NAMES(NIC), o, -ENOENT,
		"the driver vfio-pci is not loaded (run: modprobe vfio-pci)");
	fake_assert_clean();
}

static void test_function_without_group(void **state)
{
	(void)state;
	fake_dev_add(&zoo_edu, &(struct fake_place){ .bdf = "0000:07:00.0", .group = -1 });
	refused(BIND, NAMES("0000:07:00.0"), (struct bind_opts){ 0 }, -ENXIO,
		"0000:07:00.0 has no IOMMU group (switch on VT-d or AMD-Vi (IOMMU) in the firmware "
		"set-up; a virtual machine needs a virtual IOMMU)");
	fake_assert_clean();
}

static void test_function_in_use(void **state)
{
	(void)state;
	struct bind_opts force = { .force_in_use = true };
	fake_dev_add_block(fake_dev_find(NVME), "nvme0n1", "/home", false);
	fake_dev_add_net(fake_dev_find(NIC), "eth0", true);
	fake_mark();
	refused(BIND, NAMES(NVME), (struct bind_opts){ 0 }, -EBUSY,
		"0000:01:00.0 is in use: /dev/nvme0n1 is mounted on /home (end that use, or insist "
		"with --force-in-use)");
	/* the first would have been fine: none is bound all the same */
	refused(BIND, NAMES(GPU, NIC), (struct bind_opts){ 0 }, -EBUSY,
		"0000:03:00.0 is in use: the default route goes over eth0 (end that use, or insist "
		"with --force-in-use)");
	fake_assert_clean();
	assert_int_equal(run(BIND, NAMES(NVME), force, NULL), 0);
	assert_non_null(strstr(told, "warning: 0000:01:00.0 is in use: /dev/nvme0n1 is mounted on "
				     "/home\n"));
	assert_string_equal(driver_of(NVME), "vfio-pci");
	restored(1, NVME);
	fake_assert_clean();
}

static void test_use_of_a_group_member(void **state)
{
	(void)state;
	fake_dev_add_fb(fake_dev_find(GPU), "fb0");
	fake_mark();
	refused(BIND, NAMES(AUDIO), (struct bind_opts){ .group = true }, -EBUSY,
		"0000:05:00.0 is in use: it is the boot display, the host's console (end that use, "
		"or insist with --force-in-use)");
	fake_assert_clean();
	bind_ok(AUDIO);
	restored(1, AUDIO);
	fake_assert_clean();
}

/* --- all or none ----------------------------------------------------------------------------- */

static void test_vfio_pci_refuses(void **state)
{
	(void)state;
	fake_driver_set("vfio-pci", EINVAL, true);
	refused(BIND, NAMES(NIC), (struct bind_opts){ 0 }, -EIO,
		"vfio-pci refused 0000:03:00.0 (see: dmesg | grep 0000:03:00.0)");
	assert_string_equal(driver_of(NIC), "e1000e");
	fake_assert_clean();
}

static void fail_second(void *opaque, const char *driver, const char *bdf, bool bound)
{
	(void)opaque;
	(void)bdf;
	if (bound && strcmp(driver, "vfio-pci") == 0)
		fake_driver_set("vfio-pci", EINVAL, true);
}

static void test_second_fails_first_goes_back(void **state)
{
	(void)state;
	fake_driver_hook(fail_second, NULL);
	refused(BIND, NAMES(NIC, NVME), (struct bind_opts){ 0 }, -EIO,
		"vfio-pci refused 0000:01:00.0 (see: dmesg | grep 0000:01:00.0)");
	assert_string_equal(driver_of(NIC), "e1000e");
	assert_string_equal(driver_of(NVME), "nvme");
	assert_null(journal_of(NIC));
	assert_null(journal_of(NVME));
	fake_assert_clean();
}

static void test_undo_that_fails_is_told_and_mended(void **state)
{
	(void)state;
	fake_driver_set("vfio-pci", EINVAL, true);
	fake_driver_set("e1000e", EIO, false);
	refused(BIND, NAMES(NIC), (struct bind_opts){ 0 }, -EIO,
		"vfio-pci refused 0000:03:00.0 (see: dmesg | grep 0000:03:00.0); undoing it failed: "
		"can't write \"0000:03:00.0\" to /sys/bus/pci/drivers/e1000e/bind: Input/output "
		"error (run: vfio-bind --restore)");
	assert_non_null(journal_of(NIC));
	fake_driver_set("e1000e", 0, false);
	restored(1, NIC);
	fake_assert_clean();
}

/* --- restoring from odd states --------------------------------------------------------------- */

static void test_driver_not_loaded_any_more(void **state)
{
	(void)state;
	bind_ok(NIC);
	fake_driver_remove("e1000e");
	refused(RESTORE, NAMES(NIC), (struct bind_opts){ 0 }, -ENOENT,
		"0000:03:00.0 can't be given back: its driver e1000e is not loaded (run: modprobe "
		"e1000e, then: vfio-bind --restore 0000:03:00.0)");
	assert_non_null(journal_of(NIC));
	assert_string_equal(driver_of(NIC), "");
	assert_string_equal(override_of(NIC), "");
	fake_driver_set("e1000e", 0, false);
	/* Loaded again it takes the function by itself: the rest is the journal. */
	fake_dev_bind(fake_dev_find(NIC), "e1000e");
	restored(1, NIC);
	fake_assert_clean();
}

static void test_function_gone(void **state)
{
	(void)state;
	bind_ok(NIC);
	fake_dev_remove(fake_dev_find(NIC));
	restored(0, NIC);
	assert_string_equal(told, "0000:03:00.0 is gone: nothing to give back\n");
	assert_null(journal_of(NIC));
}

static void test_journal_of_an_earlier_boot(void **state)
{
	(void)state;
	bind_ok(NIC);
	fake_file_set("/proc/sys/kernel/random/boot_id", "3333-4444\n");
	fake_dev_bind(fake_dev_find(NIC), "e1000e");
	restored(0, NIC);
	assert_string_equal(told,
			    "0000:03:00.0: its journal is of an earlier boot and is dropped\n");
	assert_null(journal_of(NIC));
}

static void test_stale_journal_is_replaced(void **state)
{
	(void)state;
	fake_file_set(BIND_JOURNAL_DIR "/bind-" NIC,
		      "vfio-bind journal 1\nfunction " NIC "\ndriver oldnic\nmodule oldnic\n"
		      "override \nboot 0000\nstep bound\nend\n");
	bind_ok(NIC);
	assert_non_null(strstr(journal_of(NIC), "driver e1000e\n"));
	restored(1, NIC);
	assert_string_equal(driver_of(NIC), "e1000e");
}

static void test_damaged_journal_stops_everything(void **state)
{
	(void)state;
	fake_file_set(BIND_JOURNAL_DIR "/bind-" NIC, "vfio-bind jour");
	fake_mark();
	static const char sentence[] =
		"the journal " BIND_JOURNAL_DIR "/bind-" NIC " is damaged (give the function its "
		"driver by hand, then remove that file)";
	refused(BIND, NAMES(NVME, NIC), (struct bind_opts){ 0 }, -EBADMSG, sentence);
	refused(RESTORE, NULL, (struct bind_opts){ 0 }, -EBADMSG, sentence);
	fake_assert_clean();
}

static void test_interrupted_bind_keeps_the_first_journal(void **state)
{
	(void)state;
	/* A run that was killed after unbinding. */
	fake_file_set(BIND_JOURNAL_DIR "/bind-" NIC,
		      "vfio-bind journal 1\nfunction " NIC "\ndriver e1000e\nmodule e1000e\n"
		      "override \nboot 1111-2222\nstep binding\nend\n");
	fake_dev_bind(fake_dev_find(NIC), "");
	bind_ok(NIC);
	assert_non_null(strstr(journal_of(NIC), "driver e1000e\n"));
	assert_non_null(strstr(journal_of(NIC), "step bound\n"));
	restored(1, NIC);
	assert_string_equal(driver_of(NIC), "e1000e");
}

static void test_bound_by_somebody_else(void **state)
{
	(void)state;
	fake_dev_bind(fake_dev_find(NIC), "vfio-pci");
	bind_ok(NIC);
	assert_null(journal_of(NIC));
	refused(RESTORE, NAMES(NIC), (struct bind_opts){ 0 }, -ENOENT,
		"0000:03:00.0 was bound to vfio-pci by something other than vfio-bind: what it was "
		"before is not known");
	fake_assert_clean();
}

/* One that can't go home does not keep the other. */
static void test_restore_goes_on_after_a_failure(void **state)
{
	(void)state;
	struct verr err = { .code = 0 };
	bind_ok(NIC, NVME);
	fake_driver_remove("nvme");
	assert_int_equal(run(RESTORE, NULL, (struct bind_opts){ 0 }, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "its driver nvme is not loaded"));
	assert_string_equal(driver_of(NIC), "e1000e");
	assert_null(journal_of(NIC));
	assert_non_null(journal_of(NVME));
}

/* --- status ---------------------------------------------------------------------------------- */

static char *status(void)
{
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	assert_int_equal(bind_status(f, NULL), 0);
	fclose(f);
	snprintf(told, sizeof(told), "%s", text);
	free(text);
	return told;
}

static void test_status(void **state)
{
	(void)state;
	assert_string_equal(status(), "");
	bind_ok(NIC);
	fake_dev_bind(fake_dev_find(NVME), "vfio-pci");
	fake_file_set(BIND_JOURNAL_DIR "/bind-" AUDIO,
		      "vfio-bind journal 1\nfunction " AUDIO "\ndriver \nmodule \noverride x\n"
		      "boot 1111-2222\nstep binding\nend\n");
	fake_file_set(BIND_JOURNAL_DIR "/bind-0000:09:00.0",
		      "vfio-bind journal 1\nfunction 0000:09:00.0\ndriver y\nmodule y\noverride \n"
		      "boot 0\nstep bound\nend\n");
	char expect[512];
	snprintf(expect, sizeof(expect),
		 "0000:01:00.0  vfio-pci  group 12  not bound by vfio-bind\n"
		 "0000:03:00.0  vfio-pci  group 14  before: e1000e\n"
		 "0000:05:00.1  %s  group 15  before: no driver, driver_override x; interrupted "
		 "(run: vfio-bind --restore 0000:05:00.1)\n"
		 "0000:09:00.0  gone  journal of an earlier boot (run: vfio-bind --restore "
		 "0000:09:00.0)\n",
		 driver_of(AUDIO));
	assert_string_equal(status(), expect);
}

int main(void)
{
	sys = &sys_fake;
#define T(name) cmocka_unit_test_setup(name, begin)
	const struct CMUnitTest tests[] = {
		T(test_bind_and_restore),
		T(test_journal_comes_first),
		T(test_new_id_is_never_written),
		T(test_binding_twice_changes_nothing),
		T(test_several_and_the_same_twice),
		T(test_driverless_function),
		T(test_earlier_override_comes_back),
		T(test_override_that_names_vfio_already),
		T(test_group),
		T(test_rest_of_the_group_is_pointed_out),
		T(test_dry_run_changes_nothing),
		T(test_refusals),
		T(test_function_without_group),
		T(test_function_in_use),
		T(test_use_of_a_group_member),
		T(test_vfio_pci_refuses),
		T(test_second_fails_first_goes_back),
		T(test_undo_that_fails_is_told_and_mended),
		T(test_driver_not_loaded_any_more),
		T(test_function_gone),
		T(test_journal_of_an_earlier_boot),
		T(test_stale_journal_is_replaced),
		T(test_damaged_journal_stops_everything),
		T(test_interrupted_bind_keeps_the_first_journal),
		T(test_bound_by_somebody_else),
		T(test_restore_goes_on_after_a_failure),
		T(test_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
