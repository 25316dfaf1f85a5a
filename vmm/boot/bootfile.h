// SPDX-License-Identifier: GPL-2.0-or-later
// A kernel or initrd file: opened once, read again at every guest reboot, straight into guest
// memory. It is read, not mapped: one copy either way, and a file that someone truncates
// meanwhile is an error instead of a SIGBUS.
//
// Also what every kernel format is given to load with (boot_env), so that neither includes the
// other.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

struct e820;
struct gmem;
struct pc_layout;

struct boot_file {
	const char *what; /* "kernel" or "initrd": for messages */
	char *path;	  /* owned */
	int fd;
	uint64_t size; /* bytes, when opened */
};

/* Regular files only. -errno and a sentence naming the file. */
int boot_file_open(struct boot_file *f, const char *what, const char *path, struct verr *reterr);
void boot_file_close(struct boot_file *f); /* no effect if not open */

/* Exactly [off, off+len) or an error; -ENODATA if the file is shorter. */
int boot_file_read(const struct boot_file *f, uint64_t off, void *buf, size_t len,
		   struct verr *reterr);
/* The same into guest memory at `gpa`; -EFAULT if that is not RAM. len may be 0. */
int boot_file_load(const struct boot_file *f, uint64_t off, uint64_t len, struct gmem *ram,
		   uint64_t gpa, struct verr *reterr);

/* "kernel /boot/vmlinuz: <sentence>" */
int boot_file_bad(const struct boot_file *f, struct verr *reterr, const char *fmt, ...)
	ATTR_PRINTF(3, 4);

/* All borrowed. */
struct boot_env {
	const struct boot_file *kernel;
	const struct boot_file *initrd; /* NULL: none */
	const char *cmdline;
	const struct pc_layout *layout;
	const struct e820 *map;
	uint64_t rsdp; /* gpa */
	struct gmem *ram;
};

/* Puts the initrd, page aligned and as high as possible, into [first, last]; *ret_gpa 0 if there
 * is none. */
int boot_place_initrd(const struct boot_env *e, uint64_t first, uint64_t last, uint64_t *ret_gpa,
		      struct verr *reterr);
/* Puts the command line at PC_BOOT_CMDLINE; -E2BIG if longer than `max` bytes (terminator not
 * counted). */
int boot_place_cmdline(const struct boot_env *e, size_t max, struct verr *reterr);
/* Copies a table into guest memory; `name` is for the message. */
int boot_place(const struct boot_env *e, const char *name, uint64_t gpa, const void *data,
	       size_t len, struct verr *reterr);

VV_END_DECLS
