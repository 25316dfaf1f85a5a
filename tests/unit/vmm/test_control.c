// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket on real UNIX sockets, as a client that means well and as one that does not:
// every command, JSON of every wrong kind, lines without end, answers nobody reads, one client too
// many, what may lie at the path before. The vCPU is a thread (pthread_create in kvm/vcpu.c).
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <linux/kvm.h>

#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_sys.h"
#include "tests/guest/guest.h"
#include "vmm/control.h"

#define CLIENTS 16

static struct guest g;
static struct control *control;
static char dir[64], path[96];
static char answer[1 << 18];

static int setup(void **state)
{
	const struct guest_setup s = { .vcpus = 2 };
	struct verr err = { 0 };
	(void)state;
	fake_reset();
	snprintf(dir, sizeof(dir), "/tmp/vv-control-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/socket", dir);
	guest_start(&g, &s);
	if (control_open(path, g.m, g.loop, &control, &err) < 0)
		fail_msg("%s", err.msg);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	control_close(control);
	control = NULL;
	guest_close(&g);
	unlink(path);
	rmdir(dir);
	return fake_clean() ? 0 : -1;
}

/* --- a client --------------------------------------------------------------------------------- */

static int dial(void)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	return fd;
}

static void say(int fd, const char *text, size_t len)
{
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n < 0 && errno != EAGAIN)
			return;
		text += MAX(n, 0);
		len -= (size_t)MAX(n, 0);
		guest_turn(&g);
	}
}

/* Everything that comes until it is quiet; false if the other end is closed. */
static bool hear(int fd)
{
	size_t n = 0;
	for (int quiet = 0; quiet < 3;) {
		guest_turn(&g);
		ssize_t r = recv(fd, answer + n, sizeof(answer) - 1 - n, 0);
		if (r == 0 || (r < 0 && errno == ECONNRESET)) {
			answer[n] = '\0';
			return false;
		}
		quiet = r < 0 ? quiet + 1 : 0;
		n += (size_t)MAX(r, 0);
	}
	answer[n] = '\0';
	return true;
}

static void ask(int fd, const char *line)
{
	say(fd, line, strlen(line));
	say(fd, "\n", 1);
	hear(fd);
}

static void assert_says(const char *what)
{
	if (!strstr(answer, what))
		fail_msg("\"%s\" is not in: %s", what, answer);
}

/* Still there for others. */
static void assert_alive(void)
{
	int fd = dial();
	ask(fd, "{\"execute\": \"status\"}");
	assert_says("\"return\"");
	close(fd);
	guest_turn(&g);
}

/* --- commands --------------------------------------------------------------------------------- */

static void test_status_tells_the_machine(void **state)
{
	(void)state;
	int fd = dial();
	ask(fd, "{\"execute\": \"status\"}");
	assert_says("\"state\":\"running\"");
	assert_says("\"cpus\":2");
	assert_says("\"memory\":4194304");
	assert_says("\"accel\":\"kvm\"");
	assert_says("\"devices\":[]");
	assert_int_equal(strlen(answer), strcspn(answer, "\n") + 1);
	close(fd);
}

static void test_id_comes_back_whatever_it_is(void **state)
{
	static const char *const ids[] = { "7", "\"seven\"", "null", "[1,{\"a\":2}]", "1.5" };
	char line[128], want[64];
	(void)state;
	int fd = dial();
	for (size_t i = 0; i < ARRAY_SIZE(ids); i++) {
		snprintf(line, sizeof(line), "{\"execute\":\"status\",\"id\":%s}", ids[i]);
		snprintf(want, sizeof(want), "\"id\":%s", ids[i]);
		ask(fd, line);
		assert_says(want);
		snprintf(line, sizeof(line), "{\"execute\":\"nonsense\",\"id\":%s}", ids[i]);
		ask(fd, line);
		assert_says(want);
	}
	close(fd);
}

static void test_pause_and_resume_with_their_events(void **state)
{
	(void)state;
	int fd = dial(), watcher = dial();
	guest_turn(&g);
	ask(fd, "{\"execute\": \"pause\"}");
	assert_says("\"return\":{}");
	assert_says("\"event\":\"STOP\"");
	assert_int_equal(g.m->state, MACHINE_PAUSED);
	assert_true(hear(watcher));
	assert_says("\"event\":\"STOP\"");
	assert_says("\"seconds\":");
	ask(fd, "{\"execute\": \"pause\"}"); /* it is already */
	assert_says("\"return\":{}");
	ask(fd, "{\"execute\": \"status\"}");
	assert_says("\"state\":\"paused\"");
	ask(fd, "{\"execute\": \"resume\"}");
	assert_says("\"event\":\"RESUME\"");
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	ask(fd, "{\"execute\": \"resume\"}");
	assert_says("\"return\":{}");
	close(fd);
	close(watcher);
}

static void test_reset_runs_again(void **state)
{
	(void)state;
	int fd = dial();
	ask(fd, "{\"execute\": \"reset\"}");
	assert_says("\"return\":{}");
	assert_says("\"event\":\"RESET\"");
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	close(fd);
}

static void test_quit_ends_it_with_a_reason(void **state)
{
	(void)state;
	int fd = dial();
	ask(fd, "{\"execute\": \"quit\"}");
	assert_says("\"return\":{}");
	assert_says("\"event\":\"SHUTDOWN\"");
	assert_says("\"reason\":\"stopped at the control socket\"");
	assert_int_equal(g.m->state, MACHINE_STOPPED);
	assert_int_equal(g.m->stop, MACHINE_POWERED_OFF);
	ask(fd, "{\"execute\": \"reset\"}"); /* too late */
	assert_says("\"error\"");
	close(fd);
}

static void test_help_lists_the_commands(void **state)
{
	(void)state;
	int fd = dial();
	ask(fd, "{\"execute\": \"help\"}");
	assert_says(
		"[\"balloon\",\"block_resize\",\"blockdev_add\",\"blockdev_del\",\"chardev_add\",\"chardev_del\",\"device_add\",\"device_del\",\"help\",\"netdev_add\",\"netdev_del\",\"pause\",\"query-balloon\",\"query-device\",\"quit\",\"reset\",\"resume\",\"status\"]");
	close(fd);
}

static void test_several_lines_at_once_are_answered_in_order(void **state)
{
	(void)state;
	int fd = dial();
	ask(fd, "{\"execute\":\"status\",\"id\":1}\n\n{\"execute\":\"status\",\"id\":2}\n"
		"{\"execute\":\"status\",\"id\":3}");
	const char *one = strstr(answer, "\"id\":1"), *two = strstr(answer, "\"id\":2");
	const char *three = strstr(answer, "\"id\":3");
	assert_true(one && two && three && one < two && two < three);
	close(fd);
}

static void test_a_line_may_come_in_pieces(void **state)
{
	static const char line[] = "{\"execute\": \"status\", \"id\": 9}\n";
	(void)state;
	int fd = dial();
	for (size_t i = 0; i + 1 < sizeof(line); i++) {
		say(fd, line + i, 1);
		guest_turn(&g);
	}
	hear(fd);
	assert_says("\"id\":9");
	close(fd);
}

#define ASK(command, args) "{\"execute\":\"" command "\",\"arguments\":{" args "}}"
static void ask_says(int fd, const char *line, const char *says)
{
	ask(fd, line);
	assert_says(says);
}

static void test_disks_come_grow_and_go(void **state)
{
	char disk[160], line[256];

	(void)state;
	snprintf(disk, sizeof(disk), "%s/disk", dir);
	int file = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	fake_allow_path("/tmp/");
	int fd = dial();
	snprintf(line, sizeof(line),
		 ASK("blockdev_add",
		     "\"driver\":\"file\",\"id\":\"d\",\"path\":\"%s\",\"discard\":false"),
		 disk);
	ask_says(fd, line, "\"return\":{}");
	ask_says(fd, line, "id \\\"d\\\" is taken");
	ask_says(fd, ASK("blockdev_add", "\"id\":\"e\""), "needs a \\\"driver\\\"");
	ask_says(fd, ASK("block_resize", "\"id\":\"d\",\"size\":8192"), "\"return\":{}");
	assert_int_equal(lseek(file, 0, SEEK_END), 8192);
	ask_says(fd, ASK("block_resize", "\"id\":\"d\",\"size\":\"1G\""), "is a number of bytes");
	ask_says(fd, ASK("block_resize", "\"id\":\"x\""), "there is no disk");
	ask_says(fd, ASK("blockdev_del", "\"id\":\"d\""), "\"return\":{}");
	ask_says(fd, ASK("blockdev_del", "\"id\":\"d\""), "there is no back end");
	ask(fd, ASK("netdev_add", "\"driver\":\"tap\",\"id\":\"n\",\"ifname\":\"t\""));
	ask_says(fd, ASK("netdev_del", "\"id\":\"n\""), "\"return\":{}");
	close(fd);
	close(file);
	unlink(disk);
}

/* --- nonsense --------------------------------------------------------------------------------- */

static void test_what_is_no_command_is_explained(void **state)
{
	static const struct {
		const char *line, *says;
	} cases[] = {
		{ "hello", "not a JSON object" },
		{ "{", "not a JSON object" },
		{ "[]", "not a JSON object" },
		{ "17", "not a JSON object" },
		{ "\"status\"", "not a JSON object" },
		{ "{}", "a command is" },
		{ "{\"execute\": 1}", "a command is" },
		{ "{\"execute\": null}", "a command is" },
		{ "{\"execute\": \"statsu\"}", "did you mean \\\"status\\\"" },
		{ "{\"execute\": \"\"}", "CommandNotFound" },
		{ "{\"execute\": \"pause\", \"arguments\": {\"x\": 1}}", "takes no arguments" },
		{ "{\"execute\": \"pause\", \"arguments\": [1]}", "is an object" },
		{ "{\"execute\": \"status\", \"execute\": \"quit\"}", "not a JSON object" },
		{ "{\"execute\": \"status\"} {\"execute\": \"quit\"}", "not a JSON object" },
		{ "{\"execute\": \"sta\\u0000tus\"}", "not a JSON object" },
		{ "\xff\xfe\xfd", "not a JSON object" },
		{ "{\"execute\": \"\xff\"}", "not a JSON object" },
		{ "{\"execute\": \"status\", \"id\": 1e999}", "not a JSON object" },
	};
	(void)state;
	int fd = dial();
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		ask(fd, cases[i].line);
		assert_says("\"error\"");
		assert_says(cases[i].says);
	}
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	ask(fd, "{\"execute\": \"status\"}");
	assert_says("\"return\"");
	close(fd);
}

/* Texts are cut at a number of bytes; an answer must come all the same. */
static void test_long_names_in_any_script_are_answered(void **state)
{
	char line[512];
	(void)state;
	int fd = dial();
	for (unsigned int lead = 0; lead < 4; lead++) {
		int n = snprintf(line, sizeof(line), "{\"execute\": \"%.*s", (int)lead, "abc");
		for (unsigned int i = 0; i < 60; i++)
			n += snprintf(line + n, sizeof(line) - (size_t)n, "\xe2\x82\xac");
		snprintf(line + n, sizeof(line) - (size_t)n, "\", \"id\": 4}");
		ask(fd, line);
		assert_says("CommandNotFound");
		assert_says("\"id\":4");
	}
	/* The parser quotes what it did not understand. */
	for (unsigned int lead = 0; lead < 4; lead++) {
		int n = snprintf(line, sizeof(line), "{\"a\": %.*s", (int)lead, "xyz");
		for (unsigned int i = 0; i < 100; i++)
			n += snprintf(line + n, sizeof(line) - (size_t)n, "\xe2\x82\xac");
		ask(fd, line);
		assert_says("not a JSON object");
	}
	close(fd);
}

static void test_nesting_without_end_is_refused(void **state)
{
	(void)state;
	char *deep = malloc(60001);
	assert_non_null(deep);
	memset(deep, '[', 60000);
	deep[60000] = '\0';
	int fd = dial();
	ask(fd, deep);
	assert_says("not a JSON object");
	free(deep);
	close(fd);
	assert_alive();
}

static void test_line_without_end_is_cut_off(void **state)
{
	(void)state;
	char *junk = malloc(70000);
	assert_non_null(junk);
	memset(junk, 'x', 70000);
	int fd = dial();
	say(fd, junk, 70000);
	assert_false(hear(fd));
	assert_says("line longer than 64 KiB");
	close(fd);
	free(junk);
	assert_alive();
}

static void test_longest_line_is_taken(void **state)
{
	(void)state;
	static char line[65536];
	int n = snprintf(line, sizeof(line), "{\"execute\": \"status\", \"id\": \"");
	memset(line + n, 'i', sizeof(line) - (size_t)n);
	memcpy(line + sizeof(line) - 3, "\"}\n", 3);
	int fd = dial();
	say(fd, line, sizeof(line));
	assert_true(hear(fd));
	assert_says("\"return\"");
	close(fd);
}

/* --- bad company ------------------------------------------------------------------------------ */

static void test_client_that_does_not_read_is_dropped(void **state)
{
	static const char line[] =
		"{\"execute\": \"help\", \"id\": \"0123456789012345678901234567\"}\n";
	char lines[256 * (sizeof(line) - 1)];
	(void)state;
	for (size_t i = 0; i < sizeof(lines); i += sizeof(line) - 1)
		memcpy(lines + i, line, sizeof(line) - 1);
	int fd = dial();
	bool open = true;
	for (unsigned int i = 0; i < 1000 && open; i++) {
		ssize_t n = send(fd, lines, sizeof(lines), MSG_NOSIGNAL);
		open = n >= 0 || errno == EAGAIN;
		guest_turn(&g);
	}
	assert_false(open);
	close(fd);
	assert_alive();
}

static void test_client_that_goes_in_the_middle(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < 50; i++) {
		int fd = dial();
		say(fd, "{\"execute\": \"stat", 17);
		if (i % 2)
			shutdown(fd, SHUT_RD);
		close(fd);
		guest_turn(&g);
	}
	assert_alive();
}

static void test_client_that_asks_and_hangs_up(void **state)
{
	(void)state;
	int fd = dial();
	say(fd, "{\"execute\": \"pause\"}\n", 21);
	close(fd);
	guest_turn(&g);
	guest_turn(&g);
	assert_int_equal(g.m->state, MACHINE_PAUSED);
	assert_alive();
}

static void test_sixteen_clients_and_not_one_more(void **state)
{
	int fd[CLIENTS];
	(void)state;
	for (unsigned int i = 0; i < CLIENTS; i++) {
		fd[i] = dial();
		guest_turn(&g);
	}
	int more = dial();
	assert_false(hear(more));
	close(more);
	for (unsigned int i = 0; i < CLIENTS; i++) {
		ask(fd[i], "{\"execute\": \"status\"}");
		assert_says("\"return\"");
	}
	close(fd[3]);
	guest_turn(&g);
	assert_alive(); /* room again */
	for (unsigned int i = 0; i < CLIENTS; i++)
		if (i != 3)
			close(fd[i]);
}

/* accept() that finds no free fd leaves the listener ready: the loop must not spin on it. */
static void test_no_fd_for_a_client_is_a_wait_and_no_spin(void **state)
{
	struct rlimit was, none;
	struct timespec a, b;
	int filler[64];
	size_t n = 0;
	(void)state;
	int fd = dial();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	none = was;
	none.rlim_cur = (rlim_t)fd; /* every number below is taken */
	do {
		assert_true(n < ARRAY_SIZE(filler));
		filler[n++] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	} while (filler[n - 1] >= 0 && filler[n - 1] < fd);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	guest_turn(&g);
	clock_gettime(CLOCK_MONOTONIC, &a);
	assert_int_equal(loop_turn(g.loop, 1000), 0);
	clock_gettime(CLOCK_MONOTONIC, &b);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	int64_t ms = (b.tv_sec - a.tv_sec) * 1000 + (b.tv_nsec - a.tv_nsec) / 1000000;
	assert_true(ms >= 50 && ms < 900);
	while (n)
		close(filler[--n]);
	ask(fd, "{\"execute\": \"status\"}");
	assert_says("\"return\"");
	close(fd);
}

static void test_clients_are_told_when_a_device_is_lost(void **state)
{
	(void)state;
	int fd = dial();
	guest_turn(&g);
	machine_lock(g.m);
	machine_quit(g.m, MACHINE_DEVICE_LOST, "0000:03:00.0: gone");
	machine_unlock(g.m);
	hear(fd);
	assert_says("\"event\":\"SHUTDOWN\"");
	assert_says("\"reason\":\"0000:03:00.0: gone\"");
	close(fd);
}

/* --- the path --------------------------------------------------------------------------------- */

static void assert_refused(const char *at, int code, const char *says)
{
	struct control *c = NULL;
	struct verr err = { 0 };
	assert_int_equal(control_open(at, g.m, g.loop, &c, &err), code);
	assert_null(c);
	if (!strstr(err.msg, says) || !strstr(err.msg, "--control"))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
}

static void test_event_with_a_cut_character_is_sent(void **state)
{
	(void)state;
	int fd = dial();
	guest_turn(&g);
	machine_lock(g.m);
	machine_quit(g.m, MACHINE_CRASHED, "cut within a \xe2\x82");
	machine_unlock(g.m);
	hear(fd);
	assert_says("\"event\":\"SHUTDOWN\"");
	assert_says("cut within a ");
	close(fd);
}

static void test_socket_is_the_users_alone(void **state)
{
	struct stat st;
	(void)state;
	assert_int_equal(stat(path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	control_close(control);
	control = NULL;
	assert_int_equal(stat(path, &st), -1); /* gone with it */
}

static void test_somebody_listening_is_left_alone(void **state)
{
	(void)state;
	assert_refused(path, -EADDRINUSE, "another process has it");
	assert_alive();
}

static void test_somebody_with_a_full_queue_is_left_alone(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char busy[128];
	int fd[8];
	(void)state;
	snprintf(busy, sizeof(busy), "%s/busy", dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", busy);
	int l = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(l, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(l, 0), 0);
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
		(void)!connect(fd[i], (const struct sockaddr *)&a, sizeof(a));
	}
	assert_refused(busy, -EADDRINUSE, "another process has it");
	for (size_t i = 0; i < ARRAY_SIZE(fd); i++)
		close(fd[i]);
	close(l);
	unlink(busy);
}

static void test_stale_socket_is_replaced(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	struct verr err = { 0 };
	(void)state;
	control_close(control);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", path);
	int old = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(old, (const struct sockaddr *)&a, sizeof(a)), 0);
	close(old); /* nobody listens, the name stays */
	if (control_open(path, g.m, g.loop, &control, &err) < 0)
		fail_msg("%s", err.msg);
	assert_alive();
}

static void test_socket_of_another_kind_is_left_alone(void **state)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	char other[128];
	struct stat st;
	(void)state;
	snprintf(other, sizeof(other), "%s/datagrams", dir);
	snprintf(a.sun_path, sizeof(a.sun_path), "%s", other);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)&a, sizeof(a)), 0);
	assert_refused(other, -EADDRINUSE, "another process has it");
	assert_int_equal(stat(other, &st), 0);
	close(fd);
	unlink(other);
}

static void test_foreign_files_are_left_alone(void **state)
{
	char other[128];
	struct stat st;
	(void)state;
	snprintf(other, sizeof(other), "%s/file", dir);
	int fd = open(other, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
	assert_refused(other, -EEXIST, "a file that is no socket is there");
	assert_int_equal(stat(other, &st), 0);
	unlink(other);
	/* A link to our own socket is no socket either. */
	assert_int_equal(symlink(path, other), 0);
	assert_refused(other, -EEXIST, "a file that is no socket is there");
	unlink(other);
	assert_refused(dir, -EEXIST, "a file that is no socket is there");
}

static void test_paths_that_cannot_be(void **state)
{
	char far[160];
	(void)state;
	snprintf(far, sizeof(far), "%s/nowhere/socket", dir);
	assert_refused(far, -ENOENT, "No such file or directory");
	memset(far, 'x', sizeof(far) - 1);
	far[sizeof(far) - 1] = '\0';
	assert_refused(far, -ENAMETOOLONG, "at most 107 characters");
	assert_refused("", -EINVAL, "the path is empty");
}

/* --- what fails behind it --------------------------------------------------------------------- */

static void test_failed_reset_ends_the_machine(void **state)
{
	(void)state;
	int fd = dial();
	ask(fd, "{\"execute\": \"reset\"}"); /* what it starts from is saved now */
	assert_says("\"return\"");
	fake_fault_add(&(struct fake_fault){ .request = KVM_SET_SREGS, .nth = 1, .err = EIO });
	ask(fd, "{\"execute\": \"reset\"}");
	fake_fault_clear();
	assert_says("\"error\"");
	/* Half of it is reset: there is nothing to go back to. */
	assert_says("\"event\":\"SHUTDOWN\"");
	assert_int_equal(g.m->state, MACHINE_STOPPED);
	assert_int_equal(g.m->stop, MACHINE_CRASHED);
	close(fd);
}

#define T_(f)                                                                                      \
	{                                                                                          \
#f, f, setup, teardown, NULL                                                       \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T_(test_status_tells_the_machine),
		T_(test_id_comes_back_whatever_it_is),
		T_(test_pause_and_resume_with_their_events),
		T_(test_reset_runs_again),
		T_(test_quit_ends_it_with_a_reason),
		T_(test_help_lists_the_commands),
		T_(test_disks_come_grow_and_go),
		T_(test_several_lines_at_once_are_answered_in_order),
		T_(test_a_line_may_come_in_pieces),
		T_(test_what_is_no_command_is_explained),
		T_(test_long_names_in_any_script_are_answered),
		T_(test_nesting_without_end_is_refused),
		T_(test_line_without_end_is_cut_off),
		T_(test_longest_line_is_taken),
		T_(test_client_that_does_not_read_is_dropped),
		T_(test_client_that_goes_in_the_middle),
		T_(test_client_that_asks_and_hangs_up),
		T_(test_sixteen_clients_and_not_one_more),
		T_(test_no_fd_for_a_client_is_a_wait_and_no_spin),
		T_(test_clients_are_told_when_a_device_is_lost),
		T_(test_failed_reset_ends_the_machine),
		T_(test_event_with_a_cut_character_is_sent),
		T_(test_socket_is_the_users_alone),
		T_(test_somebody_listening_is_left_alone),
		T_(test_somebody_with_a_full_queue_is_left_alone),
		T_(test_stale_socket_is_replaced),
		T_(test_socket_of_another_kind_is_left_alone),
		T_(test_foreign_files_are_left_alone),
		T_(test_paths_that_cannot_be),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
