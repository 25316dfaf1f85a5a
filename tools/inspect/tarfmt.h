// SPDX-License-Identifier: GPL-2.0-or-later
// Records of tar archives: POSIX.1-1988 ustar with GNU's long names, and the two fields of a pax
// header (POSIX.1-2001) that name things. Pure; entries come from strangers.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "core/cc.h"

VV_BEGIN_DECLS

#define TAR_BLOCK 512
#define TAR_NAME  100

enum {
	TAR_FILE = '0',
	TAR_LINK = '2', /* symbolic */
	TAR_DIR = '5',
	TAR_GNU_NAME = 'L',
	TAR_GNU_LINK = 'K',
	TAR_PAX = 'x',
	TAR_PAX_GLOBAL = 'g',
};

/* Numbers are octal text. */
struct tar_header {
	char name[TAR_NAME], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], type;
	char link[TAR_NAME], magic[8], uname[32], gname[32], major[8], minor[8], prefix[155];
	char pad[12];
};

struct tar_entry {
	char name[4096], link[4096];
	char type;
	unsigned int mode, uid, gid;
	size_t size;
};

/* Names longer than their fields are cut: an entry before this one has to hold them. */
void tar_header_fill(struct tar_header *ret, const char *name, char type, const char *link,
		     unsigned int mode, unsigned int uid, unsigned int gid, size_t size);
/* False: no header (checksum, numbers). */
bool tar_header_parse(const struct tar_header *h, struct tar_entry *ret);
bool tar_is_end(const struct tar_header *h);
/* Takes "path" and "linkpath" out of a pax header of `len` bytes with a NUL behind: replaces
 * *name, *link (malloc'ed). Anything else in it, broken records too, is passed over. */
void tar_pax(const char *data, size_t len, char **name, char **link);
/* A name fit for a message: printable, cut. Returns buf. */
char *tar_shown(const char *name, char *buf, size_t size);

VV_END_DECLS
