// SPDX-License-Identifier: GPL-2.0-or-later
//
// Log levels, files, long lines and the rate limit; trace points by glob.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOG_TAG "test"
#include "core/log.h"
#include "core/trace.h"

static char path[64];

static int to_file(void **state)
{
	(void)state;
	snprintf(path, sizeof(path), "/tmp/vv-test-log-XXXXXX");
	int fd = mkstemp(path);
	if (fd < 0)
		return -1;
	close(fd);
	return 0;
}

static int file_away(void **state)
{
	(void)state;
	log_close();
	memset(trace_on, 0, sizeof(trace_on));
	return unlink(path);
}

static void log_at(const char *level)
{
	char spec[128];
	struct verr e = { 0 };
	snprintf(spec, sizeof(spec), "%s,file=%s", level, path);
	assert_int_equal(log_configure(spec, &e), 0);
	assert_string_equal(e.msg, "");
}

static char *slurp(void)
{
	static char buf[65536];
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(buf, 1, sizeof(buf) - 1, f);
	fclose(f);
	buf[n] = '\0';
	return buf;
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;
	for (const char *p = text; (p = strstr(p, what)); p += strlen(what))
		n++;
	return n;
}

static void test_levels_let_through_what_they_should(void **state)
{
	(void)state;
	static const struct {
		const char *level;
		unsigned int lines;
	} cases[] = { { "err", 1 }, { "warn", 2 }, { "info", 3 }, { "debug", 4 } };
	unsigned int total = 0;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		log_at(cases[i].level);
		log_err("an error");
		log_warn("a warning");
		log_info("a word");
		log_debug("a detail");
		total += cases[i].lines;
		assert_int_equal(count(slurp(), "\n"), total);
	}
	assert_int_equal(count(slurp(), "test: error: an error\n"), 4);
	assert_int_equal(count(slurp(), "test: warning: a warning\n"), 3);
	assert_int_equal(count(slurp(), "test: a word\n"), 2);
	assert_int_equal(count(slurp(), "test: debug: a detail\n"), 1);
}

static void test_bad_spec_names_the_culprit_and_changes_nothing(void **state)
{
	(void)state;
	log_at("err");
	static const struct {
		const char *spec, *msg;
	} cases[] = {
		{ "loud", "log level 'loud' is unknown: use err, warn, info or debug" },
		{ "", "log level '' is unknown: use err, warn, info or debug" },
		{ "in", "log level 'in' is unknown: use err, warn, info or debug" },
		{ "info,colour", "log option 'colour' is unknown: use LEVEL,file=PATH" },
		{ "info,file=", "log option 'file=' is unknown: use LEVEL,file=PATH" },
		{ "info,file=/nonexistent/x",
		  "can't open log file /nonexistent/x: No such file or directory" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct verr e = { 0 };
		assert_true(log_configure(cases[i].spec, &e) < 0);
		assert_string_equal(e.msg, cases[i].msg);
		assert_false(log_enabled(LOG_LEVEL_WARN));
	}
}

static void test_long_line_is_cut_with_dots(void **state)
{
	(void)state;
	char text[4096];
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	log_at("info");
	log_info("%s", text);
	const char *got = slurp();
	assert_int_equal(count(got, "\n"), 1);
	assert_true(strlen(got) <= 1024);
	assert_string_equal(got + strlen(got) - 4, "...\n");
}

static void test_guest_warnings_are_limited_per_call_site(void **state)
{
	(void)state;
	log_at("warn");
	for (int i = 0; i < 1000; i++)
		guest_warn("guest does it again");
	guest_warn("another site");
	assert_int_equal(count(slurp(), "guest does it again"), 10);
	assert_int_equal(count(slurp(), "another site"), 1);
}

static void test_limit_tells_what_it_dropped_when_the_window_ends(void **state)
{
	(void)state;
	log_at("warn");
	struct log_limit limit = { 0 };
	for (int i = 0; i < 15; i++)
		log_limit_pass(&limit, "test");
	assert_int_equal(limit.dropped, 5);
	limit.window_ns -= UINT64_C(6000000000); /* six seconds later */
	assert_true(log_limit_pass(&limit, "test"));
	assert_int_equal(count(slurp(), "5 messages like the next were dropped"), 1);
	assert_int_equal(limit.dropped, 0);
}

static void test_logging_keeps_errno(void **state)
{
	(void)state;
	log_at("info");
	errno = EXDEV;
	log_info("something");
	assert_int_equal(errno, EXDEV);
}

static void test_trace_prints_enabled_points_only(void **state)
{
	(void)state;
	struct verr e = { 0 };
	log_at("err"); /* whatever the level */
	assert_int_equal(trace_enable("mmio_w*,irq_*", &e), 0);
	T(mmio_write, UINT64_C(0x1000), 4u, UINT64_C(0x55));
	T(mmio_read, UINT64_C(0x2000), 4u, UINT64_C(0x66));
	T(irq_line, 5u, 1);
	const char *got = slurp();
	assert_int_equal(count(got, "\n"), 2);
	assert_non_null(strstr(got, "mmio_write: gpa 0x1000 size 4 val 0x55\n"));
	assert_non_null(strstr(got, "irq_line: gsi 5 level 1\n"));
}

static void test_trace_names_the_pattern_that_matches_nothing(void **state)
{
	(void)state;
	static const struct {
		const char *globs, *msg;
	} cases[] = {
		{ "mmio_read,nope*",
		  "trace pattern 'nope*' matches no trace point (see --trace help)" },
		{ "", "trace list '' has an empty pattern (see --trace help)" },
		{ "mmio_read,", "trace list 'mmio_read,' has an empty pattern (see --trace help)" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct verr e = { 0 };
		assert_int_equal(trace_enable(cases[i].globs, &e), -EINVAL);
		assert_string_equal(e.msg, cases[i].msg);
		assert_false(trace_on[TRACE_mmio_read]); /* nothing of a bad list is on */
	}
}

static void test_reader_that_stopped_does_not_stop_the_writer(void **state)
{
	static char fill[4096];
	struct verr e = { 0 };
	int end[2], err;
	(void)state;
	memset(fill, 'x', sizeof(fill));
	assert_int_equal(pipe(end), 0);
	int flags = fcntl(end[1], F_GETFL);
	fcntl(end[1], F_SETFL, flags | O_NONBLOCK);
	while (write(end[1], fill, sizeof(fill)) > 0)
		;
	fcntl(end[1], F_SETFL, flags);
	err = dup(STDERR_FILENO);
	dup2(end[1], STDERR_FILENO);
	log_configure("warn", &e);
	alarm(30); /* the end of a test that waits */
	for (int i = 0; i < 100; i++)
		log_warn("nobody reads");
	alarm(0);
	/* One who reads on gets what comes then. */
	for (int i = 0; i < 4; i++)
		assert_int_equal(read(end[0], fill, sizeof(fill)), sizeof(fill));
	log_warn("somebody reads");
	dup2(err, STDERR_FILENO);
	close(end[1]);
	bool seen = false;
	for (ssize_t n; (n = read(end[0], fill, sizeof(fill) - 1)) > 0;) {
		fill[n] = '\0';
		assert_null(strstr(fill, "nobody"));
		seen |= strstr(fill, "somebody reads") != NULL;
	}
	assert_true(seen);
	close(end[0]);
	close(err);
}

static void test_log_to_a_fifo_without_reader_is_refused(void **state)
{
	struct verr e = { 0 };
	char spec[128];
	(void)state;
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(spec, sizeof(spec), "warn,file=%s", path);
	alarm(30);
	assert_int_equal(log_configure(spec, &e), -ENXIO);
	alarm(0);
	assert_non_null(strstr(e.msg, path));
}

static void test_trace_help_lists_every_point(void **state)
{
	(void)state;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	trace_help(f);
	fclose(f);
	assert_int_equal(count(text, "\n"), TRACE_COUNT);
	assert_non_null(strstr(text, "machine_state"));
	free(text);
}

int main(void)
{
#define IN_FILE(fn) cmocka_unit_test_setup_teardown(fn, to_file, file_away)
	const struct CMUnitTest tests[] = {
		IN_FILE(test_levels_let_through_what_they_should),
		IN_FILE(test_bad_spec_names_the_culprit_and_changes_nothing),
		IN_FILE(test_long_line_is_cut_with_dots),
		IN_FILE(test_guest_warnings_are_limited_per_call_site),
		IN_FILE(test_limit_tells_what_it_dropped_when_the_window_ends),
		IN_FILE(test_logging_keeps_errno),
		IN_FILE(test_trace_prints_enabled_points_only),
		IN_FILE(test_trace_names_the_pattern_that_matches_nothing),
		cmocka_unit_test(test_trace_help_lists_every_point),
		cmocka_unit_test(test_reader_that_stopped_does_not_stop_the_writer),
		IN_FILE(test_log_to_a_fifo_without_reader_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
