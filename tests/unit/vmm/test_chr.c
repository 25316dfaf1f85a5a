// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/backend: the argument of --serial, and the back ends null, file, pty and socket.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/loop.h"
#include "vmm/backend/backend.h"

static struct loop *loop;
static uint8_t got[8192];
static size_t n_got, room;
static unsigned int drained, opened;

static size_t front_room(void *opaque)
{
	(void)opaque;
	return room;
}

static void front_receive(void *opaque, const uint8_t *data, size_t len)
{
	(void)opaque;
	assert_true(len <= room && n_got + len <= sizeof(got));
	memcpy(got + n_got, data, len);
	n_got += len;
	room -= len;
}

static void front_drained(void *opaque)
{
	(void)opaque;
	drained++;
}

static void front_opened(void *opaque)
{
	(void)opaque;
	opened++;
}

static const struct chardev_front front = {
	.room = front_room,
	.receive = front_receive,
	.drained = front_drained,
	.opened = front_opened,
};

static int setup(void **state)
{
	(void)state;
	n_got = drained = opened = 0;
	room = SIZE_MAX;
	return loop_open(&loop, NULL);
}

static int teardown(void **state)
{
	(void)state;
	loop_close(loop); /* asserts that nothing was left in it */
	return 0;
}

static void turns(unsigned int n)
{
	while (n--)
		loop_turn(loop, 20);
}

static const struct {
	const char *spec;
	const char *says; /* NULL: good */
} specs[] = {
	{ "stdio", NULL },
	{ "none", NULL },
	{ "null", NULL },
	{ "pty", NULL },
	{ "file:/tmp/a:b", NULL },
	{ "", "is none of stdio, none, null, file:PATH, pty, socket:PATH" },
	{ "stdi", "is none of" },
	{ "stdiox", "is none of" },
	{ "file", "needs file:PATH" },
	{ "file:", "needs file:PATH" },
	{ "pty:x", "pty takes nothing after a colon" },
	{ "socket:/tmp/a", NULL },
	{ "socket", "needs socket:PATH" },
	{ "null:", "null takes nothing after a colon" },
};

static void test_spellings(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(specs); i++) {
		struct verr e = { 0 };
		int r = chr_check(specs[i].spec, &e);

		assert_int_equal(r, specs[i].says ? -EINVAL : 0);
		if (specs[i].says && !strstr(e.msg, specs[i].says))
			fail_msg("'%s' does not say '%s'", e.msg, specs[i].says);
	}
}

static void test_help_lists_every_row(void **state)
{
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	chr_help(f);
	fclose(f);
	assert_string_equal(
		text,
		"  file:PATH        output into a file, no input\n"
		"  none             no serial port\n"
		"  null             a port whose output is dropped\n"
		"  pty              a pseudoterminal, whose name is printed\n"
		"  socket:PATH      a UNIX socket to connect to, one program at a time\n"
		"  stdio            this terminal (Ctrl-A x quits, Ctrl-A h helps), or standard input "
		"and output\n");
	free(text);
}

static void test_none_and_null(void **state)
{
	const struct chr_host host = { .loop = loop };
	struct chardev *c = (struct chardev *)(void *)&host;

	(void)state;
	assert_int_equal(chr_open("none", &host, &c, NULL), 0);
	assert_null(c);
	chr_close(c);
	assert_int_equal(chr_open("null", &host, &c, NULL), 0);
	chr_attach(c, &front, NULL);
	assert_int_equal(chr_write(c, "abc", 3), 3);
	chr_detach(c);
	chr_close(c);
}

static void test_file_gets_everything_and_is_truncated_first(void **state)
{
	const struct chr_host host = { .loop = loop };
	char path[] = "/tmp/vv-chr-file-XXXXXX", spec[64], buf[9001];
	int fd = mkstemp(path);
	struct chardev *c;

	(void)state;
	assert_int_equal(write(fd, "old", 3), 3);
	snprintf(spec, sizeof(spec), "file:%s", path);
	assert_int_equal(chr_open(spec, &host, &c, NULL), 0);
	for (unsigned int i = 0; i < 9000; i++)
		assert_int_equal(chr_write(c, &"0123456789"[i % 10], 1), 1);
	turns(1);
	assert_int_equal(pread(fd, buf, sizeof(buf), 0), 9000); /* there before the end, too */
	chr_write(c, "end", 3);
	chr_close(c);
	assert_int_equal(pread(fd, buf, sizeof(buf), 8990), 13);
	assert_memory_equal(buf, "0123456789end", 13);
	close(fd);
	unlink(path);
}

static void test_file_that_cannot_be_is_said(void **state)
{
	const struct chr_host host = { .loop = loop };
	struct chardev *c;
	struct verr e = { 0 };

	(void)state;
	assert_int_equal(chr_open("file:/nonexistent/x", &host, &c, &e), -ENOENT);
	assert_string_equal(e.msg, "file /nonexistent/x: No such file or directory");
	verr_clear(&e);
	assert_int_equal(chr_open("file:/tmp", &host, &c, &e), -EISDIR);
}

static void test_full_disk_loses_output_only(void **state)
{
	const struct chr_host host = { .loop = loop };
	struct chardev *c;

	(void)state;
	assert_int_equal(chr_open("file:/dev/full", &host, &c, NULL), 0);
	for (unsigned int i = 0; i < 10000; i++)
		assert_int_equal(chr_write(c, "x", 1), 1);
	turns(1);
	chr_close(c);
}

static int pty_open(struct chardev **c)
{
	struct chr_host h = { .loop = loop, .who = "serial port" };
	char *text, name[64];
	size_t len;
	int fd;

	h.messages = open_memstream(&text, &len);
	assert_int_equal(chr_open("pty", &h, c, NULL), 0);
	fclose(h.messages);
	assert_int_equal(sscanf(text, "serial port on %63s\n", name), 1);
	free(text);
	fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK);
	assert_true(fd >= 0);
	return fd;
}

static void test_pty_both_ways_and_reconnect(void **state)
{
	struct chardev *c;
	char buf[64];
	int fd = pty_open(&c);

	(void)state;
	room = 3;
	chr_attach(c, &front, NULL);
	chr_write(c, "a\nb", 3);
	turns(1);
	assert_int_equal(read(fd, buf, sizeof(buf)), 3); /* raw: no carriage return added */
	assert_memory_equal(buf, "a\nb", 3);
	assert_int_equal(write(fd, "12345\x03", 6), 6);
	turns(3);
	assert_int_equal(n_got, 3); /* as much as there was room for */
	room = 10;
	chr_input_ready(c);
	turns(3);
	assert_int_equal(n_got, 6);
	assert_memory_equal(got, "12345\x03", 6);
	char name[64];
	assert_int_equal(ttyname_r(fd, name, sizeof(name)), 0);
	close(fd); /* the terminal program leaves ... */
	turns(2);
	chr_write(c, "kept", 4);
	turns(2);
	fd = open(name, O_RDWR | O_NOCTTY | O_NONBLOCK); /* ... and another comes */
	assert_int_equal(read(fd, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "kept", 4);
	chr_detach(c);
	chr_close(c);
	close(fd);
}

static void test_pty_nobody_reads_pushes_back_then_drops(void **state)
{
	static uint8_t block[65536];
	size_t taken = 0, n;
	struct chardev *c;
	int fd = pty_open(&c);

	(void)state;
	chr_attach(c, &front, NULL);
	/* Until it is full: a short count, and the front owed a call. */
	do {
		n = chr_write(c, block, sizeof(block));
		taken += n;
		loop_turn(loop, 0);
	} while (n == sizeof(block) && taken < MIB(4));
	assert_true(n < sizeof(block));
	assert_int_equal(drained, 0);
	for (int i = 0; i < 200 && drained == 0; i++)
		turns(1); /* a second later it gives way */
	assert_int_equal(drained, 1);
	assert_int_equal(chr_write(c, block, sizeof(block)), sizeof(block)); /* dropped */
	/* Someone reads: it flows again. */
	uint8_t buf[65536];
	for (int i = 0; i < 50; i++) {
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		turns(1);
	}
	chr_write(c, "back", 4);
	turns(2);
	assert_int_equal(read(fd, buf, sizeof(buf)), 4);
	assert_memory_equal(buf, "back", 4);
	chr_detach(c);
	chr_close(c);
	close(fd);
}

/* ---- socket ---------------------------------------------------------------------------------- */

static char sock[64];

static struct chardev *socket_open(void)
{
	const struct chr_host host = { .loop = loop };
	struct chardev *c = NULL;
	char spec[80];

	snprintf(sock, sizeof(sock), "/tmp/vv-chr-sock-%d", (int)getpid());
	snprintf(spec, sizeof(spec), "socket:%s", sock);
	assert_int_equal(chr_open(spec, &host, &c, NULL), 0);
	return c;
}

static int dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, sock, strlen(sock));
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	turns(2);
	return fd;
}

static void test_socket_one_after_the_other(void **state)
{
	struct chardev *c = socket_open();
	char buf[64];

	(void)state;
	assert_true(c->closed);
	assert_string_equal(c->where, sock);
	chr_attach(c, &front, NULL);
	assert_int_equal(chr_write(c, "nobody", 6), 6);
	int a = dial();
	assert_int_equal(opened, 1);
	assert_false(c->closed);
	int b = dial(); /* waits */
	assert_int_equal(opened, 1);
	chr_write(c, "for a", 5);
	assert_int_equal(write(a, "from a", 6), 6);
	assert_int_equal(write(b, "from b", 6), 6);
	turns(2);
	assert_int_equal(read(a, buf, sizeof(buf)), 5);
	assert_memory_equal(got, "from a", n_got);
	/* It says no more and still listens. */
	shutdown(a, SHUT_WR);
	turns(3);
	chr_write(c, "more", 4);
	turns(2);
	assert_int_equal(read(a, buf, sizeof(buf)), 4);
	close(a);
	turns(4);
	assert_int_equal(opened, 3); /* one left, the next came */
	turns(2);
	assert_int_equal(n_got, 12);
	assert_memory_equal(got + 6, "from b", 6);
	chr_write(c, "for b", 5);
	chr_detach(c);
	chr_close(c); /* written out first */
	assert_int_equal(read(b, buf, sizeof(buf)), 5);
	assert_int_equal(read(b, buf, sizeof(buf)), 0);
	close(b);
	assert_int_equal(access(sock, F_OK), -1);
}

static void test_socket_input_is_held_until_there_is_room(void **state)
{
	struct chardev *c = socket_open();
	int a = dial();

	(void)state;
	room = 0;
	chr_attach(c, &front, NULL);
	assert_int_equal(write(a, "kept", 4), 4);
	turns(2);
	close(a);
	turns(3);
	assert_false(c->closed); /* some of it is still to be heard */
	room = 100;
	chr_input_ready(c);
	turns(3);
	assert_int_equal(n_got, 4);
	assert_true(c->closed);
	chr_detach(c);
	chr_close(c);
}

static void test_socket_path_of_another_is_left_alone(void **state)
{
	const struct chr_host host = { .loop = loop };
	struct chardev *c = socket_open(), *d;
	struct verr e = { 0 };
	char spec[80];

	(void)state;
	snprintf(spec, sizeof(spec), "socket:%s", sock);
	assert_int_equal(chr_open(spec, &host, &d, &e), -EADDRINUSE);
	assert_non_null(strstr(e.msg, "another process has it; choose another path"));
	chr_close(c);
	verr_clear(&e);
	assert_int_equal(chr_open("socket:/etc/passwd", &host, &d, &e), -EEXIST);
	assert_non_null(strstr(e.msg, "socket /etc/passwd: a file that is no socket is there"));
	/* One that nobody listens on any more is replaced. */
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int old = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	memcpy(a.sun_path, sock, strlen(sock));
	assert_int_equal(bind(old, (struct sockaddr *)&a, sizeof(a)), 0);
	close(old);
	chr_close(socket_open());
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_spellings),
		T(test_help_lists_every_row),
		T(test_none_and_null),
		T(test_file_gets_everything_and_is_truncated_first),
		T(test_file_that_cannot_be_is_said),
		T(test_full_disk_loses_output_only),
		T(test_pty_both_ways_and_reconnect),
		T(test_pty_nobody_reads_pushes_back_then_drops),
		T(test_socket_one_after_the_other),
		T(test_socket_input_is_held_until_there_is_room),
		T(test_socket_path_of_another_is_left_alone),
	};

	signal(SIGPIPE, SIG_IGN); /* as the programs have it */

	return cmocka_run_group_tests(tests, NULL, NULL);
}
