// SPDX-License-Identifier: GPL-2.0-or-later
// The command line: what it means, and every wrong form with its sentence.

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "core/cc.h"
#include "vmm/options.h"

#define ARGV(...) ((char *[]){ (char *)"vfio-vmm", __VA_ARGS__, NULL })

static enum options_result parse(char **argv, struct vmm_opts *o, char **out, struct verr *err)
{
	size_t len;
	FILE *f = open_memstream(out, &len);
	int argc = 0;

	while (argv[argc])
		argc++;
	memset(err, 0, sizeof(*err));
	enum options_result r = options_parse(argc, argv, o, f, err);
	fclose(f);
	return r;
}

static void test_defaults_and_values(void **state)
{
	struct vmm_opts o;
	struct verr err;
	char *out;

	(void)state;
	assert_int_equal(parse(ARGV("--kernel", "bz"), &o, &out, &err), OPTIONS_RUN);
	assert_int_equal(o.memory, MIB(512));
	assert_int_equal(o.cpus, 1);
	assert_string_equal(o.serial, "stdio");
	assert_string_equal(o.accel, "kvm");
	assert_true(o.reboot_restarts);
	assert_false(o.dry_run || o.timing);
	options_fini(&o);
	free(out);
	assert_int_equal(parse(ARGV("--kernel=bz", "--memory", "4G", "--cpus=8", "--reboot", "exit",
				    "--dry-run", "--timing", "--serial", "null"),
			       &o, &out, &err),
			 OPTIONS_RUN);
	assert_int_equal(o.memory, GIB(4));
	assert_int_equal(o.cpus, 8);
	assert_false(o.reboot_restarts);
	assert_true(o.dry_run && o.timing);
	options_fini(&o);
	free(out);
}

static void test_assign_is_exactly_a_device(void **state)
{
	struct vmm_opts o;
	struct verr err;
	char *out;

	(void)state;
	assert_int_equal(parse(ARGV("--assign", "0000:03:00.0", "--assign", "04:00.1,rombar=off",
				    "--device", "pcie-root-port,id=p"),
			       &o, &out, &err),
			 OPTIONS_RUN);
	assert_int_equal(o.n_devices, 3);
	assert_string_equal(o.devices[0], "vfio-pci,host=0000:03:00.0");
	assert_string_equal(o.devices[1], "vfio-pci,host=04:00.1,rombar=off");
	assert_string_equal(o.devices[2], "pcie-root-port,id=p");
	options_fini(&o);
	free(out);
}

static void test_wrong_forms_name_the_culprit(void **state)
{
	static const struct {
		char *argv[6];
		const char *sentence;
	} cases[] = {
		{ { "v", "--kernal", "x" },
		  "unknown option --kernal; did you mean --kernel? (see --help)" },
		{ { "v", "bzImage" }, "unexpected argument \"bzImage\" (see --help)" },
		{ { "v", "--kernel" }, "--kernel needs a value: FILE" },
		{ { "v", "--timing=yes" }, "--timing takes no value" },
		{ { "v", "--cpus", "2", "--cpus", "3" }, "--cpus given twice" },
		{ { "v", "--reboot", "never" }, "--reboot never: must be \"restart\" or \"exit\"" },
		{ { "v", "--memory", "1K" }, "--memory 1K: at least 2M, in whole pages of 4K" },
		{ { "v", "--initrd", "i" }, "--initrd without --kernel" },
		{ { "v", "--cmdline", "c" }, "--cmdline without --kernel" },
		{ { "v", "--device", "vfio-pic,host=03:00.0" },
		  "unknown device 'vfio-pic': did you mean 'vfio-pci'? (--device help lists all)" },
		{ { "v", "--device", "serial" },
		  "device \"serial\" is part of the machine and can't be added" },
		{ { "v", "--machine", "pd" },
		  "unknown machine 'pd': did you mean 'pc'? (--machine help lists all)" },
		{ { "v", "--machine", "pc,hugepage=on" },
		  "pc: unknown property 'hugepage': did you mean 'hugepages'?" },
		{ { "v", "--assign", "03:00.0,rom=off" },
		  "vfio-pci: unknown property 'rom' (vfio-pci,help lists all)" },
		{ { "v", "--accel", "" },
		  "--accel: an empty entry (form: NAME[,PROP=VALUE]:NAME...)" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct vmm_opts o;
		struct verr err;
		char *out;

		assert_int_equal(parse((char **)cases[i].argv, &o, &out, &err), OPTIONS_BAD);
		assert_string_equal(err.msg, cases[i].sentence);
		options_fini(&o);
		free(out);
	}
}

static void test_rejects_nonsense_anywhere(void **state)
{
	static const char *const accels[] = {
		"kvn",		"kvm:",	    ":kvm",    "kvm,kernel-irqchip=maybe",
		"kvm,nosuch=1", "kvm:nane", "none,x=1"
	};
	static const char *const sizes[] = { "0", "-1", "4Q", "", "99999999999999999999", "1.5G" };
	static const char *const cpus[] = { "0", "256", "two", "", "1x", "-1" };
	struct vmm_opts o;
	struct verr err;
	char *out;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(accels); i++) {
		assert_int_equal(parse(ARGV("--accel", (char *)accels[i]), &o, &out, &err),
				 OPTIONS_BAD);
		assert_true(err.msg[0]);
		free(out);
	}
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(parse(ARGV("--memory", (char *)sizes[i]), &o, &out, &err),
				 OPTIONS_BAD);
		assert_non_null(strstr(err.msg, "--memory"));
		free(out);
	}
	for (size_t i = 0; i < ARRAY_SIZE(cpus); i++) {
		assert_int_equal(parse(ARGV("--cpus", (char *)cpus[i]), &o, &out, &err),
				 OPTIONS_BAD);
		assert_non_null(strstr(err.msg, "--cpus"));
		free(out);
	}
	assert_int_equal(parse(ARGV("--assign", "zz:00.0"), &o, &out, &err), OPTIONS_BAD);
	assert_non_null(strstr(err.msg, "--assign"));
	free(out);
}

static void test_serial_file_is_not_what_is_booted(void **state)
{
	char kernel[] = "/tmp/vv-options-XXXXXX", other[64], spec[80];
	struct vmm_opts o;
	struct verr err;
	char *out;

	(void)state;
	int fd = mkstemp(kernel);
	assert_true(fd >= 0);
	close(fd);
	snprintf(other, sizeof(other), "%s.link", kernel);
	assert_int_equal(link(kernel, other), 0);
	snprintf(spec, sizeof(spec), "file:%s", other);
	assert_int_equal(parse(ARGV("--kernel", kernel, "--serial", spec), &o, &out, &err),
			 OPTIONS_BAD);
	assert_non_null(strstr(err.msg, "would overwrite the file of --kernel"));
	free(out);
	assert_int_equal(
		parse(ARGV("--kernel", "bz", "--initrd", kernel, "--serial", spec), &o, &out, &err),
		OPTIONS_BAD);
	assert_non_null(strstr(err.msg, "would overwrite the file of --initrd"));
	free(out);
	snprintf(spec, sizeof(spec), "file=%s", other);
	assert_int_equal(parse(ARGV("--console", spec, "--kernel", kernel), &o, &out, &err),
			 OPTIONS_BAD);
	assert_non_null(strstr(err.msg, "--chardev file,id=con0,path="));
	assert_non_null(strstr(err.msg, "would overwrite the file of --kernel"));
	options_fini(&o);
	free(out);
	unlink(other);
	assert_int_equal(parse(ARGV("--kernel", kernel, "--console", spec), &o, &out, &err),
			 OPTIONS_RUN);
	options_fini(&o);
	free(out);
	snprintf(spec, sizeof(spec), "file:%s", other);
	assert_int_equal(parse(ARGV("--kernel", kernel, "--serial", spec), &o, &out, &err),
			 OPTIONS_RUN);
	options_fini(&o);
	free(out);
	unlink(kernel);
}

static void test_help_fits_a_screen_and_is_asked_for_anywhere(void **state)
{
	static char *const asked[][4] = {
		{ "v", "--help" },
		{ "v", "--device", "help" },
		{ "v", "--device", "vfio-pci,help" },
		{ "v", "--machine", "help" },
		{ "v", "--machine", "pc,help" },
		{ "v", "--accel", "help" },
		{ "v", "--accel", "kvm,help" },
		{ "v", "--serial", "help" },
		{ "v", "--trace", "help" },
		{ "v", "--version" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(asked); i++) {
		struct vmm_opts o;
		struct verr err;
		unsigned int lines = 0, width = 0, col = 0;
		char *out;

		assert_int_equal(parse((char **)asked[i], &o, &out, &err), OPTIONS_DONE);
		assert_true(out[0]);
		for (const char *c = out; *c; c++) {
			col = *c == '\n' ? 0 : col + 1;
			lines += *c == '\n';
			width = MAX(width, col);
		}
		assert_true(lines <= 40 || strcmp(asked[i][1], "--trace") == 0);
		assert_true(width <= 100);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_and_values),
		cmocka_unit_test(test_assign_is_exactly_a_device),
		cmocka_unit_test(test_wrong_forms_name_the_culprit),
		cmocka_unit_test(test_rejects_nonsense_anywhere),
		cmocka_unit_test(test_serial_file_is_not_what_is_booted),
		cmocka_unit_test(test_help_fits_a_screen_and_is_asked_for_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
