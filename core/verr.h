// SPDX-License-Identifier: GPL-2.0-or-later
// Error context: a code and one sentence, on the caller's stack.
//
// A set-up function that can fail takes `struct verr *reterr` last; it may be NULL. The sentence
// names the culprit and, where one exists, the fix. Only tools/ and vmm/vmm.c print it.
#pragma once

#include "core/cc.h"

VV_BEGIN_DECLS

#define VERR_MSG_MAX 512

struct verr {
	int code;		 /* 0: nothing happened; otherwise -errno */
	char msg[VERR_MSG_MAX];	 /* "" while code == 0; always terminated, cut with "..." if too long */
};

/* Records `code` (negative errno) and the sentence unless an error is already there: the first,
 * which is the cause, wins. Returns `code` always. `reterr` may be NULL. */
int verr_set(struct verr *reterr, int code, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* Puts "prefix: " before the sentence already there ("vfio-pci 0000:01:00.0: ..."); if there is
 * none, makes one of the prefix and strerror(-code). Returns `code`. */
int verr_prefix(struct verr *reterr, int code, const char *fmt, ...) ATTR_PRINTF(3, 4);

void verr_clear(struct verr *reterr);

VV_END_DECLS
