// SPDX-License-Identifier: GPL-2.0-or-later
// ELF kernels entered by the PVH protocol (Xen's x86/HVM direct boot ABI): Linux's vmlinux.
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

#define PVH_SEGMENTS_MAX 32

struct pvh_segment {
	uint64_t off, filesz; /* in the file */
	uint64_t gpa, memsz;  /* in memory; the rest after filesz is zeroed */
};

struct pvh {
	struct pvh_segment seg[PVH_SEGMENTS_MAX]; /* PT_LOADs, sorted by gpa, disjoint */
	unsigned int n_seg;
	uint64_t end;	/* past the highest byte */
	uint32_t entry; /* gpa, within a segment */
};

bool pvh_probe(const uint8_t *start, size_t len);
/* Checks everything that does not depend on the guest's memory. Errors name file and defect. */
int pvh_parse(const struct boot_file *f, struct pvh *ret, struct verr *reterr);
/* Segments, initrd, command line, start info and GDT into guest memory. */
int pvh_load(const struct pvh *p, const struct boot_env *e, struct boot_state *ret,
	     struct verr *reterr);

VV_END_DECLS
