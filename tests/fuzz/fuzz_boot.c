// SPDX-License-Identifier: GPL-2.0-or-later
//
// Kernel files nobody would build: the input is the file. It is opened and, if accepted, loaded
// into 64 MiB of guest RAM, twice, as a rebooting guest would have it. It must end in a sentence
// or in a start address inside that RAM.
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/accel.h"
#include "tests/fake/boot_fixture.h"
#include "tests/fuzz/fuzz.h"
#include "vmm/boot/boot.h"

static void must(bool ok)
{
	if (!ok)
		abort();
}

static void load(const struct boot_source *src)
{
	static struct fixture_ram ram;
	static struct pc_layout l;

	if (!l.ram_low_size) {
		fixture_layout(&l, MIB(64), 2);
		fixture_ram_open(&ram, &l);
	}
	for (int i = 0; i < 2; i++) {
		struct boot_state bs = { 0 };
		struct verr e = { 0 };
		int r = boot_load(src, &l, &ram.gmem, &bs, &e);

		must(r == 0 ? e.code == 0 : r < 0 && e.code == r && e.msg[0] != '\0');
		must(r < 0 || (bs.rip >= MIB(1) && bs.rip < l.ram_low_size));
	}
	madvise(ram.low.hva, ram.low.size, MADV_DONTNEED);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct boot_source *src = NULL;
	struct verr e = { 0 };
	char path[32];
	int fd, r;

	fd = memfd_create("kernel", MFD_CLOEXEC);
	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	const struct boot_opts o = { .kernel = path, .initrd = size % 2 ? path : NULL };
	r = boot_open(&o, &src, &e);
	must(r == 0 ? src != NULL : r < 0 && !src && e.code == r && e.msg[0] != '\0');
	if (r == 0)
		load(src);
	boot_close(src);
	close(fd);
	return 0;
}
