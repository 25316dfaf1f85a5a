// SPDX-License-Identifier: GPL-2.0-or-later
// A small builder of ACPI machine language into a caller's buffer (ACPI 6.4 chapter 20, resource
// descriptors chapter 6.4). It never writes past the buffer: what does not fit sets `overflow`,
// which the caller looks at once, at the end.
//
// Blocks nest by mark: `size_t m = aml_device(a, "COM1"); ... aml_end(a, m);`
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"

VV_BEGIN_DECLS

struct aml {
	uint8_t *buf; /* borrowed */
	size_t cap, len;
	bool overflow; /* something was dropped: the contents are useless */
};

void aml_init(struct aml *a, void *buf, size_t cap);
void aml_bytes(struct aml *a, const void *data, size_t len); /* as they are */

/* Names are paths of segments of up to 4 characters, padded with '_': "\\_SB.PCI0", "_HID". */
void aml_name(struct aml *a, const char *name); /* Name (name, <next object>) */
void aml_path(struct aml *a, const char *name); /* a reference to it */
void aml_int(struct aml *a, uint64_t v);	/* shortest encoding */
void aml_string(struct aml *a, const char *s);
void aml_buffer(struct aml *a, const void *data, size_t len);
void aml_eisaid(struct aml *a, const char id[8]); /* "PNP0A08" */
/* "33db4d5b-1ff7-401c-9657-7441c03dd766", as ToUUID() stores it. */
void aml_uuid(struct aml *a, const char *text);

size_t aml_scope(struct aml *a, const char *path);
size_t aml_device(struct aml *a, const char *name);
size_t aml_method(struct aml *a, const char *name, unsigned int args, bool serialized);
size_t aml_package(struct aml *a, uint8_t elements);
size_t aml_if(struct aml *a); /* followed by the condition */
size_t aml_else(struct aml *a);
void aml_end(struct aml *a, size_t mark);

/* Operators take the operands that follow. */
enum aml_op {
	AML_STORE = 0x70,
	AML_AND = 0x7b,
	AML_OR = 0x7d,
	AML_LNOT = 0x92,
	AML_LEQUAL = 0x93,
	AML_RETURN = 0xa4,
	AML_LOCAL0 = 0x60,
	AML_ARG0 = 0x68,
	AML_ARG1 = 0x69,
	AML_ARG3 = 0x6b,
	AML_CREATE_DWORD_FIELD = 0x8a, /* buffer, byte offset, new name */
};
void aml_op(struct aml *a, enum aml_op op);

/* A resource template: aml_res_begin(), descriptors, aml_res_end() which emits it all as a
 * buffer. */
struct aml_res {
	uint8_t buf[512];
	struct aml d;
};
void aml_res_begin(struct aml_res *r);
void aml_res_end(struct aml_res *r, struct aml *out);
void aml_res_io(struct aml_res *r, uint16_t first, uint8_t len);       /* fixed, 16-bit decode */
void aml_res_irq_edge(struct aml_res *r, uint32_t gsi);		       /* active high, exclusive */
void aml_res_fixed32(struct aml_res *r, uint32_t base, uint32_t size); /* memory, read-write */
/* Windows a bridge produces. */
void aml_res_bus_window(struct aml_res *r, uint16_t first, uint16_t last);
void aml_res_io_window(struct aml_res *r, uint16_t first, uint16_t last);
void aml_res_mem32_window(struct aml_res *r, uint32_t first, uint32_t last);
void aml_res_mem64_window(struct aml_res *r, uint64_t first, uint64_t last);
/* Memory a device consumes above 4 GiB. */
void aml_res_mem64(struct aml_res *r, uint64_t first, uint64_t last);

VV_END_DECLS
