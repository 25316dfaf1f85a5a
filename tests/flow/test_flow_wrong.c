// SPDX-License-Identifier: GPL-2.0-or-later
// Wrong input and hosts that are not as they should be: the whole program, from its arguments to
// the exit status, on the fake kernel; what it says is asserted word for word.
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/sys.h"
#include "flow.h"
#include "tests/fake/boot_fixture.h"
#include "tests/fake/fake_host.h"
#include "vmm/vmm.h"

#define SETUP  1
#define USAGE  2
#define BDF    HOST_BDF
#define KERNEL "/tmp/kernel"
#define INITRD "/tmp/initrd"
#define HERE   "--assign", BDF, "--kernel", KERNEL

/* --- hosts ------------------------------------------------------------------------------------ */

static void sound(void)
{
	fake_zoo_one(&zoo_nvme);
}

static void bound_to(const char *driver)
{
	fake_dev_add(&zoo_e1000e,
		     &(struct fake_place){ .bdf = BDF, .group = 14, .driver = driver });
	fake_driver_set("vfio-pci", 0, true);
}

static void with_host_driver(void)
{
	bound_to("e1000e");
}

static void with_no_driver(void)
{
	bound_to("");
}

static void bridge(void)
{
	fake_dev_add(&zoo_bridge, &(struct fake_place){ .bdf = BDF, .group = 14 });
}

static void two_of_a_group(void)
{
	fake_zoo_one(&zoo_gpu);
	fake_dev_add(&zoo_gpu_audio, &(struct fake_place){ .bdf = "0000:03:00.1", .group = 14 });
}

static void without_group(void)
{
	sound();
	fake_dev_add(
		&zoo_e1000e,
		&(struct fake_place){ .bdf = "0000:09:00.0", .group = -1, .driver = "vfio-pci" });
}

static void without_iommu(void)
{
	fake_dev_add(&zoo_e1000e,
		     &(struct fake_place){ .bdf = BDF, .group = -1, .driver = "vfio-pci" });
	fake_file_remove("/sys/class/iommu");
	fake_file_remove("/sys/kernel/iommu_groups");
	fake_file_set("/sys/firmware/acpi/tables/DMAR", "x");
	fake_file_set("/proc/cmdline", "root=/dev/vda quiet\n");
}

static void forbidden(const char *path)
{
	sound();
	fake_path_errno(path, EACCES);
}

static void forbidden_group(void)
{
	forbidden("/dev/vfio/14");
}

static void forbidden_kvm(void)
{
	forbidden("/dev/kvm");
}

static void no_kvm(void)
{
	sound();
	fake_path_errno("/dev/kvm", ENOENT);
}

static void small_memlock(void)
{
	sound();
	fake_iommu()->memlock = MIB(8);
	fake_file_set("/proc/self/limits", "Max locked memory         8388608              8388608"
					   "              bytes\n");
	fake_file_set("/proc/self/status", "VmLck:\t0 kB\nCapEff:\t0000000000000000\n");
}

static void small_host(void)
{
	sound();
	fake_file_set("/proc/meminfo",
		      "MemTotal:        4194304 kB\nMemAvailable:    2097152 kB\n");
}

static void held(void)
{
	sound();
	fake_link_set("/proc/4711/fd/3", "/dev/vfio/14");
	fake_file_set("/proc/4711/comm", "qemu-system-x86\n");
}

static void reserved(void)
{
	sound();
	fake_group_reserve(14, 0x7b800000, 0x7fffffff, "direct");
}

static void few_maps(void)
{
	sound();
	fake_iommu()->dma_limit = 1;
	fake_file_set("/sys/module/vfio_iommu_type1/parameters/dma_entry_limit", "1\n");
}

static void narrow(void)
{
	sound();
	fake_iommu()->windows[0][1] = 0x1ffffffff;
}

static void dead(void)
{
	struct fake_dev *d = fake_zoo_one(&zoo_nvme);
	memset(fake_dev_config(d), 0xff, 64);
}

/* --- kernels ---------------------------------------------------------------------------------- */

enum kernel { K_GOOD, K_EMPTY, K_SHORT, K_TEXT, K_CUT, K_ELF_CUT };

static void write_file(const char *path, const void *data, size_t len)
{
	int fd = sys_open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	for (size_t at = 0; at < len;) {
		ssize_t n = sys_write(fd, (const char *)data + at, len - at);
		assert_true(n > 0);
		at += (size_t)n;
	}
	sys_close(fd);
}

static void make_kernel(enum kernel kind)
{
	static const char script[] = "#!/bin/sh\necho no kernel, a script of some length\n";
	struct image img;
	(kind == K_ELF_CUT ? fixture_elf : fixture_bzimage)(&img);
	size_t len[] = { img.len, 0, 300, sizeof(script) - 1, img.len - 1000, FIXTURE_ELF_DATA };
	write_file(KERNEL, kind == K_TEXT ? (const void *)script : img.buf, len[kind]);
	fixture_free(&img);
}

/* --- the table -------------------------------------------------------------------------------- */

#define ARGS 14

static const struct wrong {
	void (*host)(void);
	enum kernel kernel;
	uint64_t initrd; /* bytes */
	const char *arg[ARGS];
	int status;
	const char *says; /* behind "vfio-vmm: " */
} wrongs[] = {
#include "tests/flow/wrong.def"
};

static char *text_of(FILE *f)
{
	char *text = calloc(1, 8192);
	assert_non_null(text);
	rewind(f);
	text[fread(text, 1, 8191, f)] = '\0';
	fclose(f);
	return text;
}

/* What the program wrote to standard error (and output), and its exit status. */
static char *run_program(int argc, char **argv, int *ret_status, char **ret_out)
{
	FILE *err = tmpfile(), *out = tmpfile();
	int old_err = dup(STDERR_FILENO), old_out = dup(STDOUT_FILENO);
	assert_true(err && out && old_err >= 0 && old_out >= 0);
	fflush(NULL);
	dup2(fileno(err), STDERR_FILENO);
	dup2(fileno(out), STDOUT_FILENO);
	*ret_status = vmm_main(argc, argv);
	fflush(NULL);
	dup2(old_err, STDERR_FILENO);
	dup2(old_out, STDOUT_FILENO);
	close(old_err);
	close(old_out);
	if (ret_out)
		*ret_out = text_of(out);
	else
		fclose(out);
	return text_of(err);
}

static void test_every_wrong_input_has_its_sentence(void **state)
{
	static uint8_t zeros[MIB(4)];
	unsigned int bad = 0;
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrongs); i++) {
		const struct wrong *w = &wrongs[i];
		char *argv[ARGS + 2] = { strdup("vfio-vmm") }, want[2048];
		int argc = 1, status;
		fake_reset();
		make_kernel(w->kernel);
		write_file(INITRD, zeros, w->initrd ? w->initrd : 16);
		(w->host ? w->host : sound)();
		for (unsigned int k = 0; k < ARGS && w->arg[k]; k++)
			argv[argc++] = strdup(w->arg[k]);
		snprintf(want, sizeof(want), "vfio-vmm: %s\n", w->says);
		char *said = run_program(argc, argv, &status, NULL);
		if (status != w->status || strcmp(said, want) != 0) {
			print_error("case %zu: %d, should be %d\n said: %s want: %s", i, status,
				    w->status, said, want);
			bad++;
		}
		if (fake_leaks(stderr) != 0)
			bad++;
		free(said);
		while (argc > 0)
			free(argv[--argc]);
	}
	fake_reset();
	assert_int_equal(bad, 0);
}

/* What a plan that can't be shows: the map as far as it goes, and what has no place. */
static void test_plan_that_fails_is_shown_as_far_as_it_goes(void **state)
{
	static const struct {
		void (*host)(void);
		const char *memory, *shows[3], *says;
	} cases[] = {
		{ narrow,
		  "16G",
		  { "  0x000000000000 0x0000bfffffff RAM\n", "  13312 MiB of RAM without a place\n",
		    "BAR 0 64-bit memory          16 KiB, without a place\n" },
		  "vfio-vmm: 13312 MiB of RAM above 4 GiB: guest addresses 0x100000000-" },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *args[] = { "vfio-vmm", "--dry-run", "--assign",
				 BDF,	     "--memory",  (char *)cases[i].memory,
				 NULL };
		char *out = NULL;
		int status;
		fake_reset();
		cases[i].host();
		char *said = run_program(6, args, &status, &out);
		assert_int_equal(status, SETUP);
		if (strncmp(said, cases[i].says, strlen(cases[i].says)) != 0)
			fail_msg("%s", said);
		for (unsigned int k = 0; k < 3; k++)
			if (!strstr(out, cases[i].shows[k]))
				fail_msg("no \"%s\" in:\n%s", cases[i].shows[k], out);
		assert_int_equal(fake_leaks(stderr), 0);
		free(said);
		free(out);
	}
	fake_reset();
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_every_wrong_input_has_its_sentence),
		FLOW_TEST(test_plan_that_fails_is_shown_as_far_as_it_goes),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
