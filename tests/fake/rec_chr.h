// SPDX-License-Identifier: GPL-2.0-or-later
// A character back end that keeps what it was given, takes only as much as it is told to, and
// hands over input when the front has room.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "core/cc.h"
#include "vmm/backend/backend.h"

VV_BEGIN_DECLS

struct rec_chr {
	struct chardev chr;
	size_t takes; /* bytes it still accepts; SIZE_MAX: all */
	uint8_t out[4096];
	size_t n_out;
	uint8_t in[4096];
	size_t n_in;
};

void rec_chr_init(struct rec_chr *c);
/* From outside: queued, and delivered as far as there is room. */
void rec_chr_type(struct rec_chr *c, const char *text);
/* Room for `n` more bytes, and the front is told. */
void rec_chr_drain(struct rec_chr *c, size_t n);

VV_END_DECLS
