// SPDX-License-Identifier: GPL-2.0-or-later
// Resource descriptors of ACPI (6.4 chapter 6.4), collected in a template and emitted as a buffer.
// Knows no machine.
#include <assert.h>

#include "vmm/boot/aml.h"

#include "core/bytes.h"

enum {
	SMALL_IO = 0x47,
	SMALL_END = 0x79,
	LARGE_MEM32_FIXED = 0x86,
	LARGE_DWORD = 0x87,
	LARGE_WORD = 0x88,
	LARGE_IRQ = 0x89,
	LARGE_QWORD = 0x8a,
};

enum space { SPACE_MEM = 0, SPACE_IO = 1, SPACE_BUS = 2 };

/* General flags of address space descriptors (6.4.3.5). */
#define ADDR_CONSUMER 0x01
#define ADDR_FIXED    0x0c /* minimum and maximum both fixed */
/* Type-specific flags. */
#define MEM_RW	  0x01 /* not cacheable */
#define IO_ENTIRE 0x03 /* not only ISA ranges, nor only non-ISA ones */

void aml_res_begin(struct aml_res *r)
{
	aml_init(&r->d, r->buf, sizeof(r->buf));
}

void aml_res_end(struct aml_res *r, struct aml *out)
{
	static const uint8_t end[] = { SMALL_END, 0 }; /* checksum 0: not checked */

	aml_bytes(&r->d, end, sizeof(end));
	if (r->d.overflow)
		out->overflow = true;
	aml_buffer(out, r->buf, r->d.len);
}

void aml_res_io(struct aml_res *r, uint16_t first, uint8_t len)
{
	uint8_t d[8] = { SMALL_IO, 1 /* 16-bit decode */ };

	put_le16(d + 2, first);
	put_le16(d + 4, first);
	d[6] = 1;
	d[7] = len;
	aml_bytes(&r->d, d, sizeof(d));
}

void aml_res_irq_edge(struct aml_res *r, uint32_t gsi)
{
	uint8_t d[9] = { LARGE_IRQ, 6, 0, 0x03 /* consumer, edge, active high, exclusive */, 1 };

	put_le32(d + 5, gsi);
	aml_bytes(&r->d, d, sizeof(d));
}

void aml_res_fixed32(struct aml_res *r, uint32_t base, uint32_t size)
{
	uint8_t d[12] = { LARGE_MEM32_FIXED, 9, 0, 1 /* read-write */ };

	put_le32(d + 4, base);
	put_le32(d + 8, size);
	aml_bytes(&r->d, d, sizeof(d));
}

/* 6.4.3.5.1 to 3: five fields of `width` bytes: granularity, first, last, translation, length. */
static void window(struct aml_res *r, uint8_t tag, unsigned int width, enum space space,
		   uint8_t general, uint8_t specific, uint64_t first, uint64_t last)
{
	uint8_t d[6 + 5 * 8] = { tag };
	size_t len = 6 + 5 * (size_t)width;

	assert(first <= last);
	put_le16(d + 1, (uint16_t)(len - 3));
	d[3] = (uint8_t)space;
	d[4] = general;
	d[5] = specific;
	put_le(d + 6 + width, first, width);
	put_le(d + 6 + 2 * width, last, width);
	put_le(d + 6 + 4 * width, last - first + 1, width);
	aml_bytes(&r->d, d, len);
}

void aml_res_bus_window(struct aml_res *r, uint16_t first, uint16_t last)
{
	window(r, LARGE_WORD, 2, SPACE_BUS, ADDR_FIXED, 0, first, last);
}

void aml_res_io_window(struct aml_res *r, uint16_t first, uint16_t last)
{
	/* A dword descriptor, because the length of the whole space does not fit a word. */
	window(r, LARGE_DWORD, 4, SPACE_IO, ADDR_FIXED, IO_ENTIRE, first, last);
}

void aml_res_mem32_window(struct aml_res *r, uint32_t first, uint32_t last)
{
	window(r, LARGE_DWORD, 4, SPACE_MEM, ADDR_FIXED, MEM_RW, first, last);
}

void aml_res_mem64_window(struct aml_res *r, uint64_t first, uint64_t last)
{
	window(r, LARGE_QWORD, 8, SPACE_MEM, ADDR_FIXED, MEM_RW, first, last);
}

void aml_res_mem64(struct aml_res *r, uint64_t first, uint64_t last)
{
	window(r, LARGE_QWORD, 8, SPACE_MEM, ADDR_FIXED | ADDR_CONSUMER, MEM_RW, first, last);
}
