// SPDX-License-Identifier: GPL-2.0-or-later
//
// Levels, the stream, the rate limit for what a guest can cause. Owns the log file's descriptor.
// A line is put together first and leaves in one write(2), so lines of several threads never mix
// and no lock is held across I/O. It uses write(2) itself and not core/sys.h: what explains a
// failure must not be part of the kernel that a test makes fail.
#define LOG_TAG "log"
#include "core/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define LINE_MAX_BYTES	 1024
#define LIMIT_WINDOW_NS	 UINT64_C(5000000000)
#define LIMIT_PER_WINDOW 10
#define STUCK_MS	 1000

static atomic_int log_level = LOG_LEVEL_WARN;
static atomic_int log_fd = STDERR_FILENO;

static const char *const level_names[] = { "err", "warn", "info", "debug" };
static const char *const level_words[] = { "error: ", "warning: ", "", "debug: " };

static uint64_t now_ns(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static int level_parse(const char *text, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
		if (strlen(level_names[i]) == len && memcmp(level_names[i], text, len) == 0)
			return (int)i;
	}
	return -EINVAL;
}

int log_configure(const char *spec, struct verr *reterr)
{
	const char *comma = strchr(spec, ',');
	size_t len = comma ? (size_t)(comma - spec) : strlen(spec);
	int level = level_parse(spec, len);
	if (level < 0)
		return verr_set(reterr, -EINVAL,
				"log level '%.*s' is unknown: use err, warn, info or debug",
				(int)MIN(len, 64), spec);
	if (comma) {
		const char *opt = comma + 1;
		if (strncmp(opt, "file=", 5) != 0 || opt[5] == '\0')
			return verr_set(reterr, -EINVAL,
					"log option '%.64s' is unknown: use LEVEL,file=PATH", opt);
		int fd = open(opt + 5,
			      O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY |
				      O_NONBLOCK, /* a FIFO without reader */
			      0600);
		if (fd < 0) {
			int r = -errno;
			return verr_prefix(reterr, r, "can't open log file %s", opt + 5);
		}
		log_close();
		atomic_store(&log_fd, fd);
	}
	atomic_store(&log_level, level);
	return 0;
}

void log_close(void)
{
	int fd = atomic_exchange(&log_fd, STDERR_FILENO);
	if (fd != STDERR_FILENO)
		close(fd);
}

bool log_enabled(enum log_level level)
{
	return (int)level <= atomic_load_explicit(&log_level, memory_order_relaxed);
}

/* Who reads a pipe or terminal may have stopped to; the machine, whose lock the caller may hold,
 * must not stop with him. He is waited for once, then lines are lost until he reads on. */
static bool takes_a_line(int fd)
{
	static atomic_bool stuck;
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int n;

	do
		n = poll(&p, 1, atomic_load(&stuck) ? 0 : STUCK_MS);
	while (n < 0 && errno == EINTR);
	atomic_store(&stuck, n == 0);
	return n != 0;
}

/* Room for `len` bytes that may have been cut, and the newline. */
static void line_end(char *line, size_t at, int len)
{
	size_t end = at + (len > 0 ? (size_t)len : 0);
	if (end > LINE_MAX_BYTES - 2) {
		end = LINE_MAX_BYTES - 2;
		memcpy(line + end - 3, "...", 3);
	}
	line[end] = '\n';

	int fd = atomic_load(&log_fd);
	size_t done = 0;
	while (done < end + 1 && takes_a_line(fd)) {
		ssize_t n = write(fd, line + done, end + 1 - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* a log that can't be written to has nobody to tell */
		done += (size_t)n;
	}
}

/* A file's lines carry the time: it is read later, and beside others. */
static size_t line_begin(char *line, bool stamp, const char *tag, const char *word)
{
	int len;
	if (stamp) {
		uint64_t us = now_ns() / 1000;
		len = snprintf(line, LINE_MAX_BYTES / 2, "[%6" PRIu64 ".%06" PRIu64 "] %s: %s",
			       us / 1000000, us % 1000000, tag, word);
	} else {
		len = snprintf(line, LINE_MAX_BYTES / 2, "%s: %s", tag, word);
	}
	return MIN((size_t)MAX(len, 0), LINE_MAX_BYTES / 2 - 1);
}

void log_write(enum log_level level, const char *tag, const char *fmt, ...)
{
	if (!log_enabled(level))
		return;

	int saved = errno;
	char line[LINE_MAX_BYTES];
	size_t at =
		line_begin(line, atomic_load(&log_fd) != STDERR_FILENO, tag, level_words[level]);
	va_list ap;
	va_start(ap, fmt);
	int len = vsnprintf(line + at, sizeof(line) - at, fmt, ap);
	va_end(ap);
	line_end(line, at, len);
	errno = saved;
}

void log_vline(const char *tag, const char *fmt, va_list ap)
{
	int saved = errno;
	char line[LINE_MAX_BYTES];
	size_t at = line_begin(line, true, tag, "");
	int len = vsnprintf(line + at, sizeof(line) - at, fmt, ap);
	line_end(line, at, len);
	errno = saved;
}

/* Call sites are hit by several vCPU threads; losing one count is fine, tearing is not. */
bool log_limit_pass(struct log_limit *limit, const char *tag)
{
	if (!log_enabled(LOG_LEVEL_WARN))
		return false;

	uint64_t now = now_ns();
	uint64_t window = __atomic_load_n(&limit->window_ns, __ATOMIC_RELAXED);
	if (window == 0 || now - window >= LIMIT_WINDOW_NS) {
		if (__atomic_compare_exchange_n(&limit->window_ns, &window, now, false,
						__ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			__atomic_store_n(&limit->used, 0, __ATOMIC_RELAXED);
			uint32_t dropped =
				__atomic_exchange_n(&limit->dropped, 0, __ATOMIC_RELAXED);
			if (dropped)
				log_write(LOG_LEVEL_WARN, tag,
					  "%u messages like the next were dropped", dropped);
		}
	}
	if (__atomic_fetch_add(&limit->used, 1, __ATOMIC_RELAXED) < LIMIT_PER_WINDOW)
		return true;
	__atomic_fetch_add(&limit->dropped, 1, __ATOMIC_RELAXED);
	return false;
}
