// SPDX-License-Identifier: GPL-2.0-or-later
// Levelled logging to stderr or a file. Thread safe; never blocks on a lock held across I/O by
// another subsystem. Libraries use log_debug() only; tools/ and vmm/vmm.c may use all levels;
// guest_warn() is for what a guest or device did wrong, and is rate limited per call site
// because the guest controls how often it happens.
//
// A .c file may `#define LOG_TAG "vfio/dma"` before including this header.
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/cc.h"
#include "core/verr.h"

VV_BEGIN_DECLS

enum log_level { LOG_LEVEL_ERR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* State of one rate-limited call site: at most 10 messages in 5 seconds, then a count. */
struct log_limit {
	uint64_t window_ns;
	uint32_t used;
	uint32_t dropped;
};

/* "err|warn|info|debug[,file=PATH]" (the argument of --log). Before any thread starts. The level
 * is `warn`, on stderr, until then. */
int log_configure(const char *spec, struct verr *reterr);
void log_close(void);
bool log_enabled(enum log_level level);
void log_write(enum log_level level, const char *tag, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* One line on the log's stream whatever the level: the way out for trace points. */
void log_vline(const char *tag, const char *fmt, va_list ap) ATTR_PRINTF(2, 0);
/* False: this message is to be dropped. When a new window opens, says how many were. */
bool log_limit_pass(struct log_limit *limit, const char *tag);

#ifndef LOG_TAG
#define LOG_TAG "vv"
#endif

#define log_err(...)  log_write(LOG_LEVEL_ERR, LOG_TAG, __VA_ARGS__)
#define log_warn(...) log_write(LOG_LEVEL_WARN, LOG_TAG, __VA_ARGS__)
#define log_info(...) log_write(LOG_LEVEL_INFO, LOG_TAG, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_enabled(LOG_LEVEL_DEBUG))                                                  \
			log_write(LOG_LEVEL_DEBUG, LOG_TAG, __VA_ARGS__);                          \
	} while (0)
#define guest_warn(...)                                                                            \
	do {                                                                                       \
		static struct log_limit guest_warn_limit;                                          \
		if (log_limit_pass(&guest_warn_limit, LOG_TAG))                                    \
			log_write(LOG_LEVEL_WARN, LOG_TAG, __VA_ARGS__);                           \
	} while (0)

VV_END_DECLS
