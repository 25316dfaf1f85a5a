// SPDX-License-Identifier: GPL-2.0-or-later
// Loads a Linux bzImage by the 64-bit boot protocol: setup header checked and copied, kernel where
// it will run (so that it need not move itself), initrd as high as allowed, boot_params, identity
// page tables for the first 4 GiB, GDT. Everything in the file is hostile: each field is checked
// before it is used. Spec: Linux Documentation/arch/x86/boot.rst, "The Linux/x86 Boot Protocol".
#include "vmm/boot/bzimage.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "core/accel.h"
#include "core/bytes.h"
#include "vmm/boot/bootfile.h"
#include "vmm/boot/e820.h"
#include "vmm/boot/gdt.h"
#include "vmm/boot/layout.h"

/* Setup header fields, by their offset in the file and in boot_params alike. */
enum {
	H_SETUP_SECTS = 0x1f1,
	H_SYSSIZE = 0x1f4, /* in 16-byte units */
	H_BOOT_FLAG = 0x1fe,
	H_JUMP = 0x200, /* its operand says where the header ends */
	H_MAGIC = 0x202,
	H_VERSION = 0x206,
	H_TYPE_OF_LOADER = 0x210,
	H_LOADFLAGS = 0x211,
	H_RAMDISK_IMAGE = 0x218,
	H_RAMDISK_SIZE = 0x21c,
	H_CMD_LINE_PTR = 0x228,
	H_INITRD_ADDR_MAX = 0x22c,
	H_KERNEL_ALIGNMENT = 0x230,
	H_RELOCATABLE = 0x234,
	H_XLOADFLAGS = 0x236,
	H_CMDLINE_SIZE = 0x238,
	H_PREF_ADDRESS = 0x258,
	H_INIT_SIZE = 0x260,
	H_MIN_END = 0x264,
	/* boot_params alone */
	P_ACPI_RSDP = 0x070,
	P_E820_ENTRIES = 0x1e8,
	P_E820_TABLE = 0x2d0,
	P_SIZE = 4096,
};

#define HDRS_MAGIC	    UINT32_C(0x53726448)
#define LOADED_HIGH	    1
#define XLF_KERNEL_64	    1
#define LOADER_UNDEFINED    0xff
#define ENTRY_64	    0x200
#define CMDLINE_DEFAULT_MAX 255
#define PROTOCOL_64	    0x20c /* 2.12 brought xloadflags */

bool bzimage_probe(const uint8_t *start, size_t len)
{
	return len >= H_VERSION && get_le16(start + H_BOOT_FLAG) == 0xaa55 &&
	       get_le32(start + H_MAGIC) == HDRS_MAGIC;
}

static const uint8_t *field(const struct bzimage *b, unsigned int off)
{
	return b->hdr + (off - BZIMAGE_HDR_FIRST);
}

static int read_header(const struct boot_file *f, struct bzimage *b, struct verr *reterr)
{
	uint8_t start[H_VERSION + 2];
	unsigned int end;
	int r;

	r = boot_file_read(f, 0, start, sizeof(start), reterr);
	if (r < 0)
		return r;
	if (!bzimage_probe(start, sizeof(start)))
		return boot_file_bad(f, reterr, "is not a bzImage: no setup header");
	b->protocol = get_le16(start + H_VERSION);
	if (b->protocol < PROTOCOL_64)
		return boot_file_bad(f, reterr,
				     "boot protocol %u.%02u is too old, 2.12 is needed "
				     "(Linux 3.8 or newer)",
				     b->protocol >> 8, b->protocol & 0xff);
	end = H_MAGIC + start[H_JUMP + 1];
	if (start[H_JUMP] != 0xeb || end < H_MIN_END || end > BZIMAGE_HDR_END)
		return boot_file_bad(f, reterr,
				     "its setup header ends at %#x, not between %#x and "
				     "%#x",
				     end, H_MIN_END, BZIMAGE_HDR_END);
	b->hdr_len = end - BZIMAGE_HDR_FIRST;
	return boot_file_read(f, BZIMAGE_HDR_FIRST, b->hdr, b->hdr_len, reterr);
}

static int check_payload(const struct boot_file *f, struct bzimage *b, struct verr *reterr)
{
	unsigned int setup_sects = b->hdr[H_SETUP_SECTS - BZIMAGE_HDR_FIRST];
	uint64_t promised = (uint64_t)get_le32(field(b, H_SYSSIZE)) * 16;
	uint64_t there;

	if (setup_sects == 0) /* by the protocol, for the sake of very old images */
		setup_sects = 4;
	b->payload_off = (setup_sects + 1) * 512;
	there = f->size > b->payload_off ? f->size - b->payload_off : 0;
	if (there <= ENTRY_64)
		return boot_file_bad(f, reterr, "is truncated: no kernel behind %u setup sectors",
				     setup_sects);
	if (there < promised)
		return boot_file_bad(f, reterr,
				     "is truncated: its header promises %" PRIu64
				     " bytes of kernel, %" PRIu64 " are there",
				     promised, there);
	return 0;
}

static int check_placement(const struct boot_file *f, struct bzimage *b, struct verr *reterr)
{
	uint64_t pref = get_le64(field(b, H_PREF_ADDRESS));
	uint32_t align = get_le32(field(b, H_KERNEL_ALIGNMENT));

	b->init_size = get_le32(field(b, H_INIT_SIZE));
	if (pref < MIB(1) || pref >= GIB(4))
		return boot_file_bad(f, reterr,
				     "its preferred address %#" PRIx64 " is not between "
				     "1 MiB and 4 GiB",
				     pref);
	b->load = pref;
	if (*field(b, H_RELOCATABLE)) {
		if (!IS_POW2(align) || align > GIB(1))
			return boot_file_bad(f, reterr,
					     "its alignment %#x is not a power of two "
					     "up to 1 GiB",
					     align);
		b->load = ALIGN_UP(pref, (uint64_t)align);
	}
	if (b->init_size < f->size - b->payload_off)
		return boot_file_bad(f, reterr,
				     "init_size %#x is less than its %" PRIu64 " bytes of kernel",
				     b->init_size, f->size - b->payload_off);
	return 0;
}

int bzimage_parse(const struct boot_file *f, struct bzimage *ret, struct verr *reterr)
{
	struct bzimage b = { .hdr_len = 0 };
	int r;

	r = read_header(f, &b, reterr);
	if (r < 0)
		return r;
	if (!(*field(&b, H_LOADFLAGS) & LOADED_HIGH))
		return boot_file_bad(f, reterr, "is a zImage, a bzImage is needed");
	if (!(get_le16(field(&b, H_XLOADFLAGS)) & XLF_KERNEL_64))
		return boot_file_bad(f, reterr, "has no 64-bit entry point: a 32-bit kernel");
	r = check_payload(f, &b, reterr);
	if (r == 0)
		r = check_placement(f, &b, reterr);
	if (r < 0)
		return r;
	b.cmdline_max = get_le32(field(&b, H_CMDLINE_SIZE));
	if (b.cmdline_max == 0)
		b.cmdline_max = CMDLINE_DEFAULT_MAX;
	b.initrd_addr_max = get_le32(field(&b, H_INITRD_ADDR_MAX));
	*ret = b;
	return 0;
}

/* PML4 -> PDPT -> 4 directories of 2 MiB pages: virtual = physical up to 4 GiB, where the kernel,
 * boot_params, command line and initrd all are. The protocol asks for no more. */
static int place_page_tables(const struct boot_env *e, uint64_t *ret_cr3, struct verr *reterr)
{
	enum { PRESENT_RW = 3, PAGE_2M = 0x80, TABLES = 6 };
	static const uint64_t at = PC_BOOT_PAGE_TABLES;
	uint8_t page[4096];
	int r;

	for (unsigned int t = 0; t < TABLES; t++) {
		memset(page, 0, sizeof(page));
		if (t == 0)
			put_le64(page, (at + 4096) | PRESENT_RW);
		for (unsigned int i = 0; t == 1 && i < 4; i++)
			put_le64(page + i * 8, (at + (2 + i) * 4096) | PRESENT_RW);
		for (uint64_t i = 0; t >= 2 && i < 512; i++)
			put_le64(page + i * 8,
				 ((t - 2) * GIB(1) + i * MIB(2)) | PAGE_2M | PRESENT_RW);
		r = boot_place(e, "page tables", at + t * 4096, page, sizeof(page), reterr);
		if (r < 0)
			return r;
	}
	*ret_cr3 = at;
	return 0;
}

static int place_params(const struct bzimage *b, const struct boot_env *e, uint64_t initrd,
			struct verr *reterr)
{
	uint64_t initrd_size = e->initrd ? e->initrd->size : 0;
	uint8_t p[P_SIZE] = { 0 };

	memcpy(p + BZIMAGE_HDR_FIRST, b->hdr, b->hdr_len);
	p[H_TYPE_OF_LOADER] = LOADER_UNDEFINED;
	put_le32(p + H_RAMDISK_IMAGE, (uint32_t)initrd);
	put_le32(p + H_RAMDISK_SIZE, (uint32_t)initrd_size);
	put_le32(p + H_CMD_LINE_PTR, (uint32_t)PC_BOOT_CMDLINE);
	/* Before protocol 2.14 this is padding, and the kernel finds the table by its signature. */
	put_le64(p + P_ACPI_RSDP, e->rsdp);
	p[P_E820_ENTRIES] = (uint8_t)e->map->n;
	e820_encode_boot(e->map, p + P_E820_TABLE);
	return boot_place(e, "boot parameters", PC_BOOT_PARAMS, p, sizeof(p), reterr);
}

int bzimage_load(const struct bzimage *b, const struct boot_env *e, struct boot_state *ret,
		 struct verr *reterr)
{
	uint64_t low = e->layout->ram_low_size, end = b->load + b->init_size;
	struct boot_state s = { .mode = BOOT_LONG64 };
	uint64_t initrd;
	int r;

	if (end > low)
		return boot_file_bad(e->kernel, reterr,
				     "needs RAM up to %" PRIu64 " MiB to unpack "
				     "itself, the guest has %" PRIu64 " MiB below 4 GiB (give it "
				     "more with --memory)",
				     (end + MIB(1) - 1) >> 20, low >> 20);
	r = boot_place_initrd(e, end, b->initrd_addr_max, &initrd, reterr);
	if (r == 0)
		r = boot_place_cmdline(e, b->cmdline_max, reterr);
	if (r == 0)
		r = boot_file_load(e->kernel, b->payload_off, e->kernel->size - b->payload_off,
				   e->ram, b->load, reterr);
	if (r == 0)
		r = place_params(b, e, initrd, reterr);
	if (r == 0)
		r = place_page_tables(e, &s.cr3, reterr);
	if (r == 0)
		r = gdt_place(e, GDT_CODE64, reterr);
	if (r < 0)
		return r;
	s.rip = b->load + ENTRY_64;
	s.rsi = PC_BOOT_PARAMS;
	s.rsp = PC_BOOT_STACK;
	s.gdt_gpa = PC_BOOT_GDT;
	*ret = s;
	return 0;
}
