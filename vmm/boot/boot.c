// SPDX-License-Identifier: GPL-2.0-or-later
// Tells kernel formats apart and drives the one found. Owns the open boot files. The formats
// themselves are bzimage.c and pvh.c; what the guest is told besides is e820.c and acpi.c.
#include "vmm/boot/boot.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "core/accel.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/bootfile.h"
#include "vmm/boot/bzimage.h"
#include "vmm/boot/cmdline.h"
#include "vmm/boot/e820.h"
#include "vmm/boot/layout.h"
#include "vmm/boot/pvh.h"
#include "vmm/dev/devs.h"

#define PROBE_SIZE 0x208

struct boot_source {
	struct boot_file kernel;
	struct boot_file initrd; /* path NULL: none */
	char *cmdline;		 /* the user's part; may be NULL */
	bool is_pvh;
	struct bzimage bz;
	struct pvh pvh;
};

/* What a file that is no kernel we boot is; fix included. */
static const struct {
	unsigned int off, len;
	const char *magic;
	const char *says;
} others[] = {
	{ 0, 2, "\x1f\x8b", "is gzip-compressed (gunzip it first)" },
	{ 0, 6,
	  "\xfd"
	  "7zXZ\0",
	  "is xz-compressed (unxz it first)" },
	{ 0, 4, "\x28\xb5\x2f\xfd", "is zstd-compressed (unzstd it first)" },
	{ 0, 4, "\x02\x21\x4c\x18", "is lz4-compressed (lz4 -d it first)" },
	{ 0, 4, "\x04\x22\x4d\x18", "is lz4-compressed (lz4 -d it first)" },
	{ 0, 3, "BZh", "is bzip2-compressed (bunzip2 it first)" },
	{ 0x38, 4, "ARMd", "is an arm64 Image, an x86-64 kernel is needed" },
	{ 0x30, 4, "RISC", "is a riscv Image, an x86-64 kernel is needed" },
	{ 0, 6, "070701", "is a cpio archive (an initrd?)" },
	{ 0, 2, "MZ", "is an EFI program without a Linux setup header" },
	{ 0, 2, "#!", "is a script" },
};

static int not_a_kernel(const struct boot_file *f, const uint8_t *start, size_t len,
			struct verr *reterr)
{
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		if (len >= others[i].off + others[i].len &&
		    !memcmp(start + others[i].off, others[i].magic, others[i].len))
			return boot_file_bad(f, reterr, "is not a kernel: it %s", others[i].says);
	return boot_file_bad(f, reterr, "is not a kernel: neither a bzImage nor an ELF vmlinux");
}

static int open_kernel(struct boot_source *s, const char *path, struct verr *reterr)
{
	uint8_t start[PROBE_SIZE];
	size_t len;
	int r;

	r = boot_file_open(&s->kernel, "kernel", path, reterr);
	if (r < 0)
		return r;
	len = (size_t)MIN(s->kernel.size, sizeof(start));
	r = boot_file_read(&s->kernel, 0, start, len, reterr);
	if (r < 0)
		return r;
	s->is_pvh = pvh_probe(start, len);
	if (s->is_pvh)
		return pvh_parse(&s->kernel, &s->pvh, reterr);
	if (bzimage_probe(start, len))
		return bzimage_parse(&s->kernel, &s->bz, reterr);
	return not_a_kernel(&s->kernel, start, len, reterr);
}

int boot_open(const struct boot_opts *opts, struct boot_source **ret, struct verr *reterr)
{
	struct boot_source *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return verr_set(reterr, -ENOMEM, "kernel %s: out of memory", opts->kernel);
	r = open_kernel(s, opts->kernel, reterr);
	if (r == 0 && opts->initrd)
		r = boot_file_open(&s->initrd, "initrd", opts->initrd, reterr);
	if (r < 0)
		goto fail;
	if (opts->cmdline) {
		s->cmdline = strdup(opts->cmdline);
		if (!s->cmdline) {
			r = verr_set(reterr, -ENOMEM, "--cmdline: out of memory");
			goto fail;
		}
	}
	*ret = s;
	return 0;
fail:
	boot_close(s);
	return r;
}

void boot_close(struct boot_source *s)
{
	if (!s)
		return;
	boot_file_close(&s->kernel);
	boot_file_close(&s->initrd);
	free(s->cmdline);
	free(s);
}

static int place_acpi(const struct boot_env *e, struct verr *reterr)
{
	struct acpi_tables t;
	int r;

	r = acpi_build(e->layout, &t, reterr);
	if (r < 0)
		return r;
	r = boot_place(e, "ACPI tables", PC_ACPI_BASE, t.buf, t.len, reterr);
	acpi_free(&t);
	return r;
}

/* What a BIOS has at ffff:0000. Linux jumps there to reboot a machine with hardware-reduced ACPI
 * and no EFI: it takes the one to imply the other, and never tries the reset register. */
static int place_reset_vector(const struct boot_env *e, struct verr *reterr)
{
	const uint16_t port = (uint16_t)(e->layout->acpi_pm_port + ACPI_PM_RESET);
	/* clang-format off */
	const uint8_t code[] = {
		0xb0, ACPI_PM_RESET_VALUE,			/* mov al, value */
		0xba, (uint8_t)port, (uint8_t)(port >> 8),	/* mov dx, port */
		0xee,						/* out dx, al */
		0xfa, 0xf4, 0xeb, 0xfc,				/* cli; hlt; back to cli */
	};
	/* clang-format on */

	return boot_place(e, "reset vector", PC_RESET_VECTOR, code, sizeof(code), reterr);
}

int boot_load(const struct boot_source *s, const struct pc_layout *l, struct gmem *ram,
	      struct boot_state *ret, struct verr *reterr)
{
	struct e820 map;
	struct boot_env e = {
		.kernel = &s->kernel,
		.initrd = s->initrd.path ? &s->initrd : NULL,
		.layout = l,
		.map = &map,
		.rsdp = PC_ACPI_BASE,
		.ram = ram,
	};
	char *cmdline;
	int r;

	r = e820_build(l, &map, reterr);
	if (r < 0)
		return r;
	r = cmdline_build(l, s->cmdline, &cmdline, reterr);
	if (r < 0)
		return r;
	e.cmdline = cmdline;
	r = place_acpi(&e, reterr);
	if (r == 0)
		r = place_reset_vector(&e, reterr);
	if (r == 0)
		r = s->is_pvh ? pvh_load(&s->pvh, &e, ret, reterr)
			      : bzimage_load(&s->bz, &e, ret, reterr);
	free(cmdline);
	return r;
}

void boot_describe(const struct boot_source *s, FILE *out)
{
	if (s->is_pvh)
		fprintf(out, "  kernel %s: ELF, PVH entry %#x, memory to %#" PRIx64 "\n",
			s->kernel.path, s->pvh.entry, s->pvh.end);
	else
		fprintf(out, "  kernel %s: bzImage, protocol %u.%02u, at %#" PRIx64 "\n",
			s->kernel.path, s->bz.protocol >> 8, s->bz.protocol & 0xff, s->bz.load);
	if (s->initrd.path)
		fprintf(out, "  initrd %s: %" PRIu64 " bytes\n", s->initrd.path, s->initrd.size);
}
