// SPDX-License-Identifier: GPL-2.0-or-later
// Puts a kernel and everything it is told into guest memory: boot_open() once, before anything of
// the guest exists, so that a bad file is refused first; boot_load() at the start and again at
// every guest reboot; boot_close().
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct boot_source;
struct boot_state;
struct gmem;
struct pc_layout;

struct boot_opts {
	const char *kernel;  /* bzImage or ELF vmlinux with a PVH note, told apart by content */
	const char *initrd;  /* NULL: none */
	const char *cmdline; /* the user's, see cmdline.h; NULL: none */
};

/* Opens and checks the files. `opts` is not kept. */
int boot_open(const struct boot_opts *opts, struct boot_source **ret, struct verr *reterr);
void boot_close(struct boot_source *s); /* NULL allowed */

/* Writes kernel, initrd, command line, memory map and ACPI tables into `ram`, which holds what
 * the layout says. No vCPU may run. Whatever was in memory before may still be there where none
 * of this is: the caller decides whether a rebooted guest sees its old memory (as on a PC). */
int boot_load(const struct boot_source *s, const struct pc_layout *l, struct gmem *ram,
	      struct boot_state *ret, struct verr *reterr);

/* Two indented lines for --dry-run. */
void boot_describe(const struct boot_source *s, FILE *out);

VV_END_DECLS
