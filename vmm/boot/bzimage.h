// SPDX-License-Identifier: GPL-2.0-or-later
// Linux bzImage, entered at its 64-bit entry point (Documentation/arch/x86/boot.rst).
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct boot_env;
struct boot_file;
struct boot_state;

#define BZIMAGE_HDR_FIRST 0x1f1
#define BZIMAGE_HDR_END	  0x290 /* the room boot_params has for a setup header */

struct bzimage {
	uint8_t hdr[BZIMAGE_HDR_END - BZIMAGE_HDR_FIRST]; /* the file's setup header */
	size_t hdr_len;
	uint16_t protocol;	  /* 0x20f is 2.15 */
	uint64_t payload_off;	  /* in the file: the protected-mode kernel, to its end */
	uint64_t load;		  /* gpa it is put at */
	uint32_t init_size;	  /* RAM it needs from there on */
	uint32_t cmdline_max;	  /* bytes, terminator not counted */
	uint32_t initrd_addr_max; /* highest address of the initrd's last byte */
};

/* Does the file's start (at least 0x206 bytes) look like one? */
bool bzimage_probe(const uint8_t *start, size_t len);
/* Checks everything that does not depend on the guest's memory. Errors name file and defect. */
int bzimage_parse(const struct boot_file *f, struct bzimage *ret, struct verr *reterr);
/* Kernel, initrd, command line, boot_params, page tables and GDT into guest memory. */
int bzimage_load(const struct bzimage *b, const struct boot_env *e, struct boot_state *ret,
		 struct verr *reterr);

VV_END_DECLS
