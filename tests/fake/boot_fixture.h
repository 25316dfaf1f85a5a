// SPDX-License-Identifier: GPL-2.0-or-later
// What tests of vmm/boot share: a layout, fabricated kernels, temporary files, and the real
// kernels of the lab's cache.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/gmem.h"
#include "core/verr.h"
#include "vmm/boot/layout.h"

VV_BEGIN_DECLS

/* A pc with `ram` bytes (what is over 3 GiB goes above 4 GiB), both windows, all ISA devices. */
void fixture_layout(struct pc_layout *l, uint64_t ram, unsigned int vcpus);

struct image {
	uint8_t *buf; /* owned */
	size_t len;
};
/* A valid bzImage: 1 setup sector, 64 KiB of payload, preferred address 16 MiB, needs 1 MiB. */
void fixture_bzimage(struct image *img);
#define FIXTURE_BZ_PAYLOAD_OFF 1024
#define FIXTURE_BZ_PAYLOAD     65536
/* A valid PVH ELF: a text segment at 1 MiB, a data segment with bss at 2 MiB, a note. */
void fixture_elf(struct image *img);
#define FIXTURE_ELF_ENTRY   0x100010
#define FIXTURE_ELF_PHDR(i) (64 + 56 * (i)) /* 0 text, 1 data, 2 note */
#define FIXTURE_ELF_NOTE    0x200
#define FIXTURE_ELF_TEXT    0x1000
#define FIXTURE_ELF_DATA    0x2000
void fixture_free(struct image *img);

/* A temporary file with these bytes; its path is static until the next call with that `slot`
 * (0 or 1), which replaces it. fixture_cleanup() removes both. */
const char *fixture_file(unsigned int slot, const void *data, size_t len);
void fixture_cleanup(void);

/* Guest RAM as the layout says, zeroed. */
struct fixture_ram {
	struct gmem gmem;
	struct gmem_region low, high;
};
void fixture_ram_open(struct fixture_ram *r, const struct pc_layout *l);
void fixture_ram_close(struct fixture_ram *r);
/* Ends the test if it is not all RAM. */
const uint8_t *fixture_at(const struct fixture_ram *r, uint64_t gpa, uint64_t len);

/* Calls each() with every `name` ("vmlinuz" or "vmlinux") in the lab's cache; how many. */
unsigned int fixture_real_kernels(const char *name, void (*each)(const char *path));

VV_END_DECLS
