// SPDX-License-Identifier: GPL-2.0-or-later
// vfio/passthru_rom.c: which images are refused and in what words, from a file and from the
// function's own flash; the flash read once, late, and again after a reset.
#include <fcntl.h>
#include <unistd.h>

#include "core/bytes.h"
#include "core/sys.h"
#include "passrig.h"

#define ROM_FILE "/tmp/card.rom"
#define ROM_AT	 UINT64_C(0xd0000000)

static uint8_t image[0x40000];

/* One image of `units` * 512 bytes at `at`. */
static void put_image(unsigned int at, unsigned int units, uint16_t vendor, uint16_t device,
		      bool last)
{
	memcpy(image + at, "\x55\xaa", 2);
	put_le16(image + at + 0x18, 0x1c);
	memcpy(image + at + 0x1c, "PCIR", 4);
	put_le16(image + at + 0x20, vendor);
	put_le16(image + at + 0x22, device);
	put_le16(image + at + 0x1c + 0x10, (uint16_t)units);
	image[at + 0x1c + 0x15] = last ? 0x80 : 0;
}

static void write_file(size_t size)
{
	int fd = sys_open(ROM_FILE, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	assert_true(fd >= 0);
	assert_int_equal(sys_write(fd, image, size), (ssize_t)size);
	sys_close(fd);
}

static int rom_setup(void **state)
{
	memset(image, 0, sizeof(image));
	return rig_setup(state);
}

/* --- files ------------------------------------------------------------------------------------ */

static void good(void)
{
	put_image(0, 2, 0x8086, 0x10d3, true);
}

static void two_images(void)
{
	put_image(0, 1, 0x8086, 0x10d3, false);
	put_image(512, 1, 0x8086, 0x10d3, true);
}

static void garbage(void)
{
	memcpy(image, "\x7f\x45LF", 4);
}

static void headed(void)
{
	memcpy(image, "NVGI", 4);
	put_image(512, 1, 0x8086, 0x10d3, true);
}

static void no_pcir(void)
{
	good();
	image[0x1c] = 'X';
}

static void pointer_beyond(void)
{
	good();
	put_le16(image + 0x18, 0xfff0);
}

static void pointer_into_header(void)
{
	good();
	put_le16(image + 0x18, 0);
}

static void too_long(void)
{
	put_image(0, 3, 0x8086, 0x10d3, true);
}

static void no_length(void)
{
	put_image(0, 0, 0x8086, 0x10d3, true);
}

static void second_too_long(void)
{
	put_image(0, 1, 0x8086, 0x10d3, false);
	put_image(512, 9, 0x8086, 0x10d3, true);
}

static void unterminated(void)
{
	put_image(0, 2, 0x8086, 0x10d3, false);
}

static void padded(void)
{
	put_image(0, 1, 0x8086, 0x10d3, false); /* the next one is padding */
}

static void other_vendor(void)
{
	put_image(0, 2, 0x10de, 0x2204, true);
}

static void other_device(void)
{
	put_image(0, 2, 0x8086, 0x1533, true);
}

static void listed_device(void)
{
	other_device();
	put_le16(image + 0x1c + 8, 0x40);
	put_le16(image + 0x5c, 0x1111);
	put_le16(image + 0x5e, 0x10d3);
}

static void list_runs_out(void)
{
	other_device();
	put_le16(image + 0x1c + 8, 0x300);
	memset(image + 0x31c, 0x22, 1024 - 0x31c);
}

static const struct file_case {
	void (*make)(void);
	size_t size;
	const char *sentence; /* NULL: taken */
} files[] = {
	{ good, 1024, NULL },
	{ good, 1025, NULL },
	{ two_images, 1024, NULL },
	{ padded, 1024, NULL },
	{ unterminated, 1024, NULL },
	{ listed_device, 1024, NULL },
	{ garbage, 1024, "it begins with 7f 45, a ROM image with 55 aa" },
	{ good, 1, "1 bytes are no ROM image" },
	{ good, 0, "0 bytes: a PCI expansion ROM has 1 byte to 16 MiB" },
	{ headed, 1024,
	  "a header of 512 bytes, which is not part of the ROM, precedes the image: cut it off" },
	{ no_pcir, 1024, "its image has no PCI data structure (\"PCIR\") at 0x1c" },
	{ pointer_beyond, 1024, "its image has no PCI data structure (\"PCIR\") at 0xfff0" },
	{ pointer_into_header, 1024, "its image has no PCI data structure (\"PCIR\") at 0" },
	{ good, 40, "its image has no PCI data structure (\"PCIR\") at 0x1c" },
	{ too_long, 1024, "its image at 0 claims 1536 bytes, 1024 are there" },
	{ no_length, 1024, "its image at 0 claims 0 bytes, 1024 are there" },
	{ second_too_long, 1024, "its image at 0x200 claims 4608 bytes, 512 are there" },
	{ other_vendor, 1024, "it is for 10de:2204 and the function is 8086:10d3" },
	{ other_device, 1024, "it is for 8086:1533 and the function is 8086:10d3" },
	{ list_runs_out, 1024, "it is for 8086:1533 and the function is 8086:10d3" },
};

static void test_files_are_taken_or_refused_with_the_reason(void **state)
{
	(void)state;
	hw = fake_zoo_one(&zoo_e1000e);
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char want[300];
		memset(image, 0, sizeof(image));
		files[i].make();
		write_file(files[i].size);
		verr_clear(&err);
		p = rig_new("host=" HOST_BDF ",romfile=" ROM_FILE);
		int r = dev_realize(&p->pd.dev, &err);
		if (files[i].sentence) {
			assert_true(r < 0);
			snprintf(want, sizeof(want), "vfio-pci dut: 0000:03:00.0: romfile=%s: %s",
				 ROM_FILE, files[i].sentence);
			assert_string_equal(err.msg, want);
		} else if (r < 0) {
			fail_msg("case %zu: %s", i, err.msg);
		}
		dev_free(&p->pd.dev);
		p = NULL;
		assert_int_equal(fake_leaks(stderr), 0);
	}
}

static void test_file_that_is_not_there(void **state)
{
	(void)state;
	hw = fake_zoo_one(&zoo_e1000e);
	p = rig_new("host=" HOST_BDF ",romfile=/tmp/none.rom");
	assert_int_equal(dev_realize(&p->pd.dev, &err), -ENOENT);
	assert_string_equal(err.msg, "vfio-pci dut: 0000:03:00.0: romfile=/tmp/none.rom: No such "
				     "file or directory");
}

static void test_directory_is_no_file(void **state)
{
	(void)state;
	hw = fake_zoo_one(&zoo_e1000e);
	p = rig_new("host=" HOST_BDF ",romfile=/tmp");
	assert_true(dev_realize(&p->pd.dev, &err) < 0);
	assert_non_null(strstr(err.msg, "romfile=/tmp: "));
}

/* --- as the guest reads it -------------------------------------------------------------------- */

static uint64_t rom(uint64_t off, unsigned int size)
{
	uint64_t v = 0;
	assert_true(aspace_read(&rp.mmio, ROM_AT + off, &v, size));
	return v;
}

static void rom_on(void)
{
	pcidev_cfg_write(&p->pd, PCI_ROM_ADDRESS, (uint32_t)ROM_AT | PCI_ROM_ADDRESS_ENABLE, 4);
	pcidev_cfg_write(&p->pd, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
}

static void test_file_stands_for_the_functions_own(void **state)
{
	(void)state;
	good();
	image[0x200] = 0x77;
	write_file(1024);
	hw = fake_zoo_one(&zoo_nvme); /* which has none */
	p = rig_new("host=" HOST_BDF ",romfile=" ROM_FILE);
	put_image(0, 2, 0x1b36, 0x0010, true);
	write_file(1024);
	assert_int_equal(dev_realize(&p->pd.dev, &err), 0);
	dev_reset(&p->pd.dev);
	assert_int_equal(p->pd.bar[PCIDEV_ROM].size, 2048);
	rom_on();
	assert_int_equal(rom(0, 2), 0xaa55);
	assert_int_equal(rom(0x200, 1), 0x77);
	assert_int_equal(rom(0x400, 4), UINT32_MAX); /* erased flash behind the image */
	assert_int_equal(rom(0x3fe, 4), 0xffff0000);
	dev_reset(&p->pd.dev);
	rom_on();
	assert_int_equal(rom(0, 2), 0xaa55); /* it survives a reset */
}

static void test_flash_is_read_once_and_late(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	assert_int_equal(fake_dev_rom_reads(hw), 0);
	rom_on();
	assert_int_equal(fake_dev_rom_reads(hw), 0);
	for (unsigned int i = 0; i < 100; i++)
		assert_int_equal(rom(0, 2), 0xaa55);
	assert_int_equal(fake_dev_rom_reads(hw), 1);
	assert_int_equal(rom(0x1c, 4), 0x52494350); /* "PCIR" */
}

static void test_flash_written_by_a_driver_is_read_anew_after_a_reset(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	rom_on();
	assert_int_equal(rom(0x2000, 1), 0);
	good();
	image[0x2000] = 0x33;
	fake_dev_rom(hw, image);
	assert_int_equal(rom(0x2000, 1), 0);
	dev_reset(&p->pd.dev);
	rom_on();
	assert_int_equal(rom(0x2000, 1), 0x33);
}

static void test_bad_flash_is_no_image_to_the_guest(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	garbage();
	fake_dev_rom(hw, image);
	rom_on();
	assert_int_equal(rom(0, 2), 0xffff);
	assert_int_equal(rom(0x1000, 4), UINT32_MAX);
	assert_int_equal(fake_dev_rom_reads(hw), 1); /* not tried at every access */
	/* The BAR is there all the same, and a good image after a reset is seen. */
	good();
	dev_reset(&p->pd.dev);
	rom_on();
	assert_int_equal(rom(0, 2), 0xaa55);
}

static void test_flash_that_cannot_be_read(void **state)
{
	(void)state;
	rig_start(&zoo_e1000e);
	rom_on();
	fake_fault_add(&(struct fake_fault){ .calls = BIT32(FAKE_CALL_PREAD),
					     .path = "vfio-device*",
					     .nth = 1,
					     .times = 1,
					     .err = EIO });
	assert_int_equal(rom(0, 4), UINT32_MAX);
	fake_fault_clear();
	dev_reset(&p->pd.dev);
	rom_on();
	assert_int_equal(rom(0, 2), 0xaa55);
}

static void test_rom_the_kernel_refuses_is_left_out_and_told(void **state)
{
	char *text = NULL;
	size_t len = 0;
	(void)state;
	rig_start(&zoo_rom_bad);
	assert_int_equal(p->pd.bar[PCIDEV_ROM].kind, PCIBAR_NONE);
	FILE *out = open_memstream(&text, &len);
	p->pd.dev.type->ops->describe(&p->pd.dev, out);
	fclose(out);
	assert_non_null(strstr(text, "ROM: left out, as the kernel finds no valid image in it"));
	free(text);
}

static void test_contradiction_is_refused(void **state)
{
	(void)state;
	hw = fake_zoo_one(&zoo_e1000e);
	p = rig_new("host=" HOST_BDF ",rombar=off,romfile=" ROM_FILE);
	assert_int_equal(dev_realize(&p->pd.dev, &err), -EINVAL);
	assert_string_equal(err.msg,
			    "vfio-pci dut: 0000:03:00.0: rombar=off leaves the expansion ROM out "
			    "and romfile=" ROM_FILE " gives one: drop one of the two");
}

/* Nothing a flash can hold makes the check read outside of it (the sanitizers watch). */
static void test_random_flash_ends(void **state)
{
	uint32_t seed = 1;
	(void)state;
	for (unsigned int i = 0; i < 20000; i++) {
		size_t size = 1 + i % 1536;
		uint8_t *copy = malloc(size);
		assert_non_null(copy);
		two_images();
		for (unsigned int k = 0; k < 4; k++) {
			seed = seed * 1664525 + 1013904223;
			image[seed >> 8 & (k < 2 ? 0x3f : 0x3ff)] = (uint8_t)(seed >> 20);
		}
		memcpy(copy, image, size);
		passthru_rom_check(copy, size, &err);
		verr_clear(&err);
		free(copy);
	}
}

int main(void)
{
#define ROM_TEST(f)                                                                                \
	{                                                                                          \
#f, f, rom_setup, rig_teardown, NULL                                               \
	}
	static const struct CMUnitTest tests[] = {
		ROM_TEST(test_files_are_taken_or_refused_with_the_reason),
		ROM_TEST(test_file_that_is_not_there),
		ROM_TEST(test_directory_is_no_file),
		ROM_TEST(test_file_stands_for_the_functions_own),
		ROM_TEST(test_flash_is_read_once_and_late),
		ROM_TEST(test_flash_written_by_a_driver_is_read_anew_after_a_reset),
		ROM_TEST(test_bad_flash_is_no_image_to_the_guest),
		ROM_TEST(test_flash_that_cannot_be_read),
		ROM_TEST(test_rom_the_kernel_refuses_is_left_out_and_told),
		ROM_TEST(test_contradiction_is_refused),
		ROM_TEST(test_random_flash_ends),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
