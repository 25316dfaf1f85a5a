// SPDX-License-Identifier: GPL-2.0-or-later
// vmm/backend/chr_stdio.c and tty.c on a real pseudoterminal: raw mode and back, escapes, signals,
// stop and continue, background; and on pipes and files: end of input, a reader that stops, one
// that leaves.
//
// The back end runs in a worker process. Between it and the test stands a little shell, the
// session's leader, because a stopped process needs one: it reports the worker's wait status and
// puts it in the terminal's foreground on demand.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/loop.h"
#include "vmm/backend/backend.h"

#define QUIT_STATUS 7
#define WAIT_MS	    5000

/* ---- the worker: a back end whose front answers in capitals ---- */

struct worker {
	struct loop *loop;
	struct chardev *chr;
	struct loop_timer timer;
	unsigned int ticks;
};

static struct worker w;

static size_t front_room(void *opaque)
{
	(void)opaque;
	return 16;
}

static void front_receive(void *opaque, const uint8_t *data, size_t len)
{
	(void)opaque;
	for (size_t i = 0; i < len; i++) {
		uint8_t c = data[i];
		char text[8];

		if (c >= 'a' && c <= 'z')
			snprintf(text, sizeof(text), "%c", c - 'a' + 'A');
		else
			snprintf(text, sizeof(text), "<%02x>", c);
		chr_write(w.chr, text, strlen(text));
	}
	if (memchr(data, '!', len)) /* <21>: the machine is still there, and ends */
		loop_quit(w.loop, 0);
	chr_input_ready(w.chr);
}

static void front_drained(void *opaque)
{
	(void)opaque;
}

static const struct chardev_front front = {
	.room = front_room,
	.receive = front_receive,
	.drained = front_drained,
};

static void on_quit(void *opaque, const char *why)
{
	(void)opaque;
	(void)why;
	loop_quit(w.loop, QUIT_STATUS);
}

/* After 200 ms: end of input must not have ended anything. */
static void on_tick(struct loop_timer *t)
{
	(void)t;
	chr_write(w.chr, "alive", 5);
	loop_quit(w.loop, 0);
}

/* Output without end, 64 KiB a turn, 1.6 s long: nobody reads it, and it must not wait. */
static void on_flood(struct loop_timer *t)
{
	static uint8_t block[65536];

	memset(block, 'f', sizeof(block));
	chr_write(w.chr, block, sizeof(block));
	if (++w.ticks == 16)
		loop_quit(w.loop, 0);
	else
		loop_arm(w.loop, t, 100000000);
}

enum mode { ECHO_ONLY, TICK, FLOOD };

static int worker_main(enum mode mode)
{
	struct verr e = { 0 };
	int status;

	/* cmocka's handlers are not for this process. */
	static const int sigs[] = { SIGSEGV, SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSYS };
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++)
		signal(sigs[i], SIG_DFL);
	signal(SIGPIPE, SIG_IGN);
	if (loop_open(&w.loop, &e) < 0)
		return 99;
	const struct chr_host host = { .loop = w.loop, .quit = on_quit };
	if (chr_open("stdio", &host, &w.chr, &e) < 0) {
		fprintf(stderr, "%s\n", e.msg);
		return 98;
	}
	struct chardev *second;
	if (chr_open("stdio", &host, &second, &e) != -EBUSY)
		return 97;
	chr_attach(w.chr, &front, &w);
	chr_write(w.chr, "ready\n", 6);
	w.timer.fired = mode == FLOOD ? on_flood : on_tick;
	if (mode != ECHO_ONLY)
		loop_arm(w.loop, &w.timer, 200000000);
	status = loop_run(w.loop);
	loop_disarm(&w.timer);
	chr_detach(w.chr);
	chr_close(w.chr);
	loop_close(w.loop);
	return status;
}

/* ---- the shell and the test's side ---- */

struct term {
	int master;
	int status_fd; /* wait statuses of the worker, as ints */
	int order_fd;  /* a byte: put the worker in the foreground */
	pid_t shell, worker;
	char seen[65536];
	size_t n_seen;
};

static void put_in_foreground(pid_t pgrp)
{
	signal(SIGTTOU, SIG_IGN);
	tcsetpgrp(0, pgrp);
}

static void shell_main(const char *slave, enum mode mode, bool foreground, int status_fd,
		       int order_fd)
{
	pid_t pid;
	int fd, st, orders;

	if (mode == TICK)
		signal(SIGHUP, SIG_IGN); /* as nohup does */
	setsid();
	fd = open(slave, O_RDWR); /* becomes the controlling terminal */
	dup2(fd, 0);
	dup2(fd, 1);
	pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		if (foreground)
			put_in_foreground(getpid());
		signal(SIGTTOU, SIG_DFL);
		exit(worker_main(mode)); /* not _exit: atexit must run */
	}
	setpgid(pid, pid);
	if (write(status_fd, &pid, sizeof(pid)) != sizeof(pid))
		_exit(1);
	for (;;) {
		char c;
		pid_t r = waitpid(pid, &st, WUNTRACED | WNOHANG);

		if (r == pid) {
			if (write(status_fd, &st, sizeof(st)) != sizeof(st) || !WIFSTOPPED(st))
				break;
			put_in_foreground(getpid());
		}
		struct pollfd p = { .fd = order_fd, .events = POLLIN };
		orders = poll(&p, 1, 10);
		if (orders > 0) {
			if (read(order_fd, &c, 1) != 1)
				break;
			put_in_foreground(pid);
		}
	}
	kill(pid, SIGKILL);
	_exit(0);
}

static int read_int(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	int v = -1;

	if (poll(&p, 1, WAIT_MS) != 1 || read(fd, &v, sizeof(v)) != sizeof(v))
		fail_msg("no word from the shell");
	return v;
}

static void term_open_mode(struct term *t, enum mode mode, bool foreground)
{
	int status[2], order[2];
	char slave[64];

	memset(t, 0, sizeof(*t));
	t->master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(t->master >= 0);
	assert_int_equal(grantpt(t->master), 0);
	assert_int_equal(unlockpt(t->master), 0);
	assert_int_equal(ptsname_r(t->master, slave, sizeof(slave)), 0);
	assert_int_equal(pipe(status), 0);
	assert_int_equal(pipe(order), 0);
	fflush(NULL);
	t->shell = fork();
	if (t->shell == 0) {
		close(t->master);
		close(status[0]);
		close(order[1]);
		shell_main(slave, mode, foreground, status[1], order[0]);
	}
	close(status[1]);
	close(order[0]);
	t->status_fd = status[0];
	t->order_fd = order[1];
	t->worker = read_int(t->status_fd);
}

static void term_open(struct term *t, bool foreground)
{
	term_open_mode(t, ECHO_ONLY, foreground);
}

static void term_close(struct term *t)
{
	kill(t->worker, SIGKILL);
	kill(t->shell, SIGKILL);
	waitpid(t->shell, NULL, 0);
	if (t->master >= 0)
		close(t->master);
	close(t->status_fd);
	close(t->order_fd);
}

/* Until what came from the terminal has `text`. */
static void expect(struct term *t, const char *text)
{
	while (!strstr(t->seen, text)) {
		struct pollfd p = { .fd = t->master, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, WAIT_MS) != 1)
			fail_msg("'%s' did not come; '%s' did", text, t->seen);
		n = read(t->master, t->seen + t->n_seen, sizeof(t->seen) - 1 - t->n_seen);
		if (n <= 0)
			fail_msg("'%s' did not come before the end; '%s' did", text, t->seen);
		t->n_seen += (size_t)n;
		t->seen[t->n_seen] = 0;
	}
	t->n_seen = 0;
	t->seen[0] = 0;
}

static void type(struct term *t, const char *keys)
{
	assert_int_equal(write(t->master, keys, strlen(keys)), strlen(keys));
}

/* The slave's modes, as seen from the master; waits for them to become so. */
static void expect_raw(struct term *t, bool raw)
{
	struct termios m;

	for (int i = 0; i < WAIT_MS / 10; i++) {
		assert_int_equal(tcgetattr(t->master, &m), 0);
		if (!(m.c_lflag & (ICANON | ECHO | ISIG)) == raw &&
		    ((m.c_lflag & (ICANON | ECHO | ISIG)) == (ICANON | ECHO | ISIG)) == !raw)
			return;
		usleep(10000);
	}
	fail_msg("the terminal is not %s", raw ? "raw" : "as it was");
}

static void test_raw_while_running_and_restored_after_quit(void **state)
{
	struct term t;

	(void)state;
	term_open(&t, true);
	expect(&t, "ready");
	expect_raw(&t, true);
	type(&t, "ab\x03\x04\x1a\r");
	expect(&t, "AB<03><04><1a><0d>"); /* Ctrl-C, Ctrl-D, Ctrl-Z are the guest's */
	type(&t, "\x01x");
	int st = read_int(t.status_fd);
	assert_true(WIFEXITED(st));
	assert_int_equal(WEXITSTATUS(st), QUIT_STATUS);
	expect_raw(&t, false);
	term_close(&t);
}

static void test_escapes(void **state)
{
	struct term t;

	(void)state;
	term_open(&t, true);
	expect(&t, "ready");
	type(&t, "\x01h");
	expect(&t, "Ctrl-A x       quit");
	type(&t, "\x01\x01");
	expect(&t, "<01>");
	type(&t, "\x01q");
	expect(&t, "<01>Q"); /* not ours: passed on whole */
	type(&t, "\x01");
	usleep(50000);
	type(&t, "\x01z"); /* the escape stands between two reads */
	expect(&t, "<01>Z");
	term_close(&t);
}

static void test_input_is_neither_lost_nor_reordered(void **state)
{
	char keys[2001], want[2001];
	struct term t;

	(void)state;
	for (size_t i = 0; i < sizeof(keys) - 1; i++) {
		keys[i] = (char)('a' + i * 7 % 26);
		want[i] = (char)('A' + i * 7 % 26);
	}
	keys[2000] = want[2000] = 0;
	term_open(&t, true);
	expect(&t, "ready");
	type(&t, keys);
	expect(&t, want);
	term_close(&t);
}

static void test_every_killing_signal_restores_the_terminal(void **state)
{
	static const int sigs[] = { SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGSEGV, SIGABRT, SIGBUS };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sigs); i++) {
		struct term t;
		int st;

		term_open(&t, true);
		expect(&t, "ready");
		expect_raw(&t, true);
		kill(t.worker, sigs[i]);
		st = read_int(t.status_fd);
		assert_true(WIFSIGNALED(st) ||
			    WEXITSTATUS(st) != 0); /* a sanitizer exits instead */
		if (WIFSIGNALED(st)) {
			assert_int_equal(WTERMSIG(st), sigs[i]);
			expect_raw(&t, false);
		}
		term_close(&t);
	}
}

static void test_stop_and_continue(void **state)
{
	struct term t;
	int st;

	(void)state;
	term_open(&t, true);
	expect(&t, "ready");
	for (int i = 0; i < 2; i++) {
		expect_raw(&t, true);
		kill(t.worker, SIGTSTP);
		st = read_int(t.status_fd);
		assert_true(WIFSTOPPED(st));
		expect_raw(&t, false); /* the shell's turn */
		assert_int_equal(write(t.order_fd, "f", 1), 1);
		usleep(50000);
		kill(t.worker, SIGCONT);
		expect_raw(&t, true);
		type(&t, "b");
		expect(&t, "B");
	}
	term_close(&t);
}

static void test_background_leaves_terminal_and_input_alone(void **state)
{
	struct term t;

	(void)state;
	term_open(&t, false);
	expect(&t, "ready"); /* output comes all the same */
	usleep(700000);
	expect_raw(&t, false);
	struct pollfd p = { .fd = t.status_fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 0), 0); /* not stopped by SIGTTIN or SIGTTOU */
	assert_int_equal(write(t.order_fd, "f", 1), 1);
	expect_raw(&t, true);
	type(&t, "c");
	expect(&t, "C");
	term_close(&t);
}

static void test_hangup_of_the_terminal_ends_input_only(void **state)
{
	struct term t;
	int st;

	(void)state;
	term_open_mode(&t, TICK, true);
	expect(&t, "ready");
	close(t.master);
	t.master = -1;
	st = read_int(t.status_fd); /* by its own timer, not by the hangup */
	assert_true(WIFEXITED(st));
	assert_int_equal(WEXITSTATUS(st), 0);
	term_close(&t);
}

/* ---- without a terminal ---- */

/* Runs a worker with these as standard input and output (given over), returns its wait status. */
static int run_worker(enum mode mode, int in, int out)
{
	pid_t pid;
	int st;

	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(20);
		dup2(in, 0);
		dup2(out, 1);
		close(in);
		close(out);
		exit(worker_main(mode));
	}
	close(in);
	close(out);
	assert_int_equal(waitpid(pid, &st, 0), pid);
	return st;
}

static void read_all(int fd, char *buf, size_t size)
{
	size_t n = 0;
	ssize_t r;

	while (n < size - 1 && (r = read(fd, buf + n, size - 1 - n)) > 0)
		n += (size_t)r;
	buf[n] = 0;
	close(fd);
}

static void test_end_of_input_never_ends_the_machine(void **state)
{
	static const char *const inputs[] = { "/dev/null", "pipe", "file", "closed" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
		int out[2], in[2];
		char got[256], path[] = "/tmp/vv-chr-XXXXXX";

		assert_int_equal(pipe(out), 0);
		if (!strcmp(inputs[i], "pipe")) {
			assert_int_equal(pipe(in), 0);
			assert_int_equal(write(in[1], "xy", 2), 2);
			close(in[1]);
		} else if (!strcmp(inputs[i], "file")) {
			in[0] = mkstemp(path);
			unlink(path);
			assert_int_equal(write(in[0], "xy", 2), 2);
			lseek(in[0], 0, SEEK_SET);
		} else {
			in[0] = open("/dev/null",
				     !strcmp(inputs[i], "closed") ? O_WRONLY : O_RDONLY);
		}
		assert_int_equal(run_worker(TICK, in[0], out[1]), 0);
		read_all(out[0], got, sizeof(got));
		assert_string_equal(got, i == 1 || i == 2 ? "ready\nXYalive" : "ready\nalive");
	}
}

static void test_piped_input_has_no_escapes(void **state)
{
	int out[2], in[2];
	char got[256];

	(void)state;
	assert_int_equal(pipe(out), 0);
	assert_int_equal(pipe(in), 0);
	assert_int_equal(write(in[1], "\x01x!", 3), 3);
	close(in[1]);
	assert_int_equal(run_worker(ECHO_ONLY, in[0], out[1]), 0);
	read_all(out[0], got, sizeof(got));
	assert_string_equal(got, "ready\n<01>X<21>");
}

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * INT64_C(1000) + ts.tv_nsec / 1000000;
}

static void test_a_reader_that_stops_slows_but_never_stops_the_machine(void **state)
{
	int64_t start = now_ms();
	int out[2];

	(void)state;
	assert_int_equal(pipe(out), 0);
	assert_int_equal(run_worker(FLOOD, open("/dev/null", O_RDONLY), dup(out[1])), 0);
	assert_true(now_ms() - start < 5000); /* 1.7 s of flood, 0.5 s of last writes */
	/* Nor was the pipe made non-blocking for us, who share it. */
	assert_int_equal(fcntl(out[1], F_GETFL) & O_NONBLOCK, 0);
	close(out[0]);
	close(out[1]);
}

static void test_a_reader_that_leaves_does_not_end_the_machine(void **state)
{
	int out[2];

	(void)state;
	assert_int_equal(pipe(out), 0);
	close(out[0]);
	assert_int_equal(run_worker(TICK, open("/dev/null", O_RDONLY), out[1]), 0);
}

static void test_output_to_a_file_keeps_its_position(void **state)
{
	char path[] = "/tmp/vv-chr-XXXXXX", got[256];
	int fd = mkstemp(path);

	(void)state;
	assert_int_equal(write(fd, "before ", 7), 7);
	assert_int_equal(run_worker(TICK, open("/dev/null", O_RDONLY), dup(fd)), 0);
	assert_int_equal(write(fd, " after", 6), 6);
	lseek(fd, 0, SEEK_SET);
	unlink(path);
	read_all(fd, got, sizeof(got));
	assert_string_equal(got, "before ready\nalive after");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw_while_running_and_restored_after_quit),
		cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_input_is_neither_lost_nor_reordered),
		cmocka_unit_test(test_every_killing_signal_restores_the_terminal),
		cmocka_unit_test(test_stop_and_continue),
		cmocka_unit_test(test_background_leaves_terminal_and_input_alone),
		cmocka_unit_test(test_hangup_of_the_terminal_ends_input_only),
		cmocka_unit_test(test_end_of_input_never_ends_the_machine),
		cmocka_unit_test(test_piped_input_has_no_escapes),
		cmocka_unit_test(test_a_reader_that_stops_slows_but_never_stops_the_machine),
		cmocka_unit_test(test_a_reader_that_leaves_does_not_end_the_machine),
		cmocka_unit_test(test_output_to_a_file_keeps_its_position),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
