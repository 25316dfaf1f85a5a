// SPDX-License-Identifier: GPL-2.0-or-later
// --chardev: the character back ends of backend.h by name, for devices that take one by its id.
#pragma once

#include "core/cc.h"
#include "vmm/backend/backend.h"
#include "vmm/backend/backends.h"

VV_BEGIN_DECLS

struct chr_backend {
	struct backend b;
	struct chardev *chr; /* owned; in a dry run one that does nothing */
};

static inline struct chardev *chardev_of(struct backend *b)
{
	return container_of(b, struct chr_backend, b)->chr;
}

/* The file that opening it would write anew, NULL if none. */
const char *chr_backend_overwrites(const struct backend_type *type, const void *cfg);

extern const struct backend_type chr_file_backend, chr_null_backend, chr_pty_backend,
	chr_socket_backend, chr_stdio_backend;

VV_END_DECLS
