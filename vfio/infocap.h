// SPDX-License-Identifier: GPL-2.0-or-later
// Walker of VFIO info-capability chains: offsets are from the struct's start; bounds and cycles
// are checked, the kernel's answer is not trusted to be well formed.
#pragma once

#include <stdint.h>
#include <linux/vfio.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

/* Calls an ioctl whose struct starts with argsz until argsz no longer grows (bounded at 1 MiB).
 * `min` is the struct's size. *ret is malloc'ed: the caller frees. `set` (may be NULL) fills the
 * request's fields before each call. */
int vfio_info_get(int fd, unsigned long request, uint32_t min, void (*set)(void *info, void *ctx),
		  void *ctx, void **ret);
/* Is the chain of `info` (argsz bytes long) that starts at cap_offset well formed to its end?
 * 0, -EBADMSG (a link leaves the answer) or -ELOOP. */
int vfio_info_cap_check(const void *info, uint32_t argsz, uint32_t cap_offset);
/* Header number `id` in the chain of `info` (argsz bytes long) that starts at cap_offset (0:
 * none), with at least `len` bytes in bounds; NULL if absent or the chain is broken
 * anywhere. Aligned to 4 bytes only: copy 64-bit fields out with memcpy(). */
const struct vfio_info_cap_header *vfio_info_cap(const void *info, uint32_t argsz,
						 uint32_t cap_offset, uint16_t id, uint32_t len);

VV_END_DECLS
