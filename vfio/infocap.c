// SPDX-License-Identifier: GPL-2.0-or-later
// VFIO's variable-size answers: the argsz handshake that fetches one, and the walk over the chain
// of capabilities in it (linux/vfio.h, struct vfio_info_cap_header). Owns nothing; the answer is
// the caller's. Must not know what any capability means.
//
// The kernel is believed to answer, not to answer well: another driver (mdev, a variant driver,
// a server behind a socket) may have written the chain. Every offset is checked before it is
// followed, and a chain with more links than fit into the answer is a loop.
#define LOG_TAG "vfio/infocap"

#include "vfio/infocap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/log.h"
#include "core/sys.h"

#define INFO_MAX   MIB(1)
#define INFO_TRIES 8 /* an answer that keeps growing */

int vfio_info_get(int fd, unsigned long request, uint32_t min, void (*set)(void *info, void *ctx),
		  void *ctx, void **ret)
{
	uint32_t size = min;

	if (min < sizeof(uint32_t) || min > INFO_MAX)
		return -EINVAL;

	for (unsigned int i = 0; i < INFO_TRIES; i++) {
		uint32_t want;
		void *info = calloc(1, size);

		if (!info)
			return -ENOMEM;
		if (set)
			set(info, ctx);
		memcpy(info, &size, sizeof(size));

		int r = sys_ioctl(fd, request, info);

		memcpy(&want, info, sizeof(want));
		if (r < 0) {
			free(info);
			return r;
		}
		if (want <= size) {
			*ret = info;
			return 0;
		}
		free(info);
		if (want > INFO_MAX) {
			log_debug("request %#lx wants an answer of %u bytes", request, want);
			return -E2BIG;
		}
		size = want;
	}
	return -EBADMSG;
}

/* Reads the header at `off`; false if it is not wholly inside, or overlaps the struct's own
 * argsz and flags, or has an alignment no kernel makes. */
static bool cap_at(const void *info, uint32_t argsz, uint32_t off, struct vfio_info_cap_header *ret)
{
	if (off < 2 * sizeof(uint32_t) || !IS_ALIGNED(off, sizeof(uint32_t)))
		return false;
	if (off > argsz || argsz - off < sizeof(*ret))
		return false;
	memcpy(ret, (const char *)info + off, sizeof(*ret));
	return true;
}

int vfio_info_cap_check(const void *info, uint32_t argsz, uint32_t cap_offset)
{
	uint32_t left = argsz / (uint32_t)sizeof(struct vfio_info_cap_header);
	struct vfio_info_cap_header h;

	for (uint32_t off = cap_offset; off != 0; off = h.next) {
		if (left-- == 0)
			return -ELOOP;
		if (!cap_at(info, argsz, off, &h))
			return -EBADMSG;
	}
	return 0;
}

const struct vfio_info_cap_header *vfio_info_cap(const void *info, uint32_t argsz,
						 uint32_t cap_offset, uint16_t id, uint32_t len)
{
	struct vfio_info_cap_header h;

	if (vfio_info_cap_check(info, argsz, cap_offset) < 0) {
		log_debug("the chain of capabilities at %u of %u bytes is broken", cap_offset,
			  argsz);
		return NULL;
	}
	for (uint32_t off = cap_offset; off != 0 && cap_at(info, argsz, off, &h); off = h.next) {
		if (h.id != id)
			continue;
		if (argsz - off < len)
			return NULL;
		return (const void *)((const char *)info + off);
	}
	return NULL;
}
