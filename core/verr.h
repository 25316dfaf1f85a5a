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
	int code; /* 0: nothing happened; otherwise -errno */
	/* "" while code == 0; always terminated, cut with "..." if too long. */
	char msg[VERR_MSG_MAX];
};

/* Records `code` (negative errno) and the sentence unless an error is already there: the first,
 * which is the cause, wins. Returns `code` always. `reterr` may be NULL. */
int verr_set(struct verr *reterr, int code, const char *fmt, ...) ATTR_PRINTF(3, 4);

/* Puts "prefix: " before the sentence already there ("vfio-pci 0000:01:00.0: ..."); if there is
 * none, makes one of the prefix and strerror(-code). Returns `code`. */
int verr_prefix(struct verr *reterr, int code, const char *fmt, ...) ATTR_PRINTF(3, 4);

void verr_clear(struct verr *reterr);

/* The same calls, in a form that lets the compiler see that the result is `code`: after
 * `return verr_set(e, -EINVAL, ...)` it knows that a caller's `r == 0` was not reached. */
#define verr_set(reterr, code, ...)                                                                \
	__extension__({                                                                            \
		const int verr_code_ = (code);                                                     \
		(verr_set)(reterr, verr_code_, __VA_ARGS__);                                       \
		verr_code_;                                                                        \
	})
#define verr_prefix(reterr, code, ...)                                                             \
	__extension__({                                                                            \
		const int verr_code_ = (code);                                                     \
		(verr_prefix)(reterr, verr_code_, __VA_ARGS__);                                    \
		verr_code_;                                                                        \
	})

VV_END_DECLS
