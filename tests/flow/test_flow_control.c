// SPDX-License-Identifier: GPL-2.0-or-later
// The control socket by its wire: what may be in the way at its path, and what clients say.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/control.h"

#include "flow.h"

static struct sockaddr_un addr = { .sun_family = AF_UNIX };
static char dir[] = "/tmp/vv-control-XXXXXX";
static char reply[4096];

static int setup(void **state)
{
	unlink(addr.sun_path);
	return flow_setup(state);
}

static int endpoint(int type, bool bound)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	if (bound)
		assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	else
		assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* The machine's answer to one line; "" if there is none. */
static const char *say(int fd, const char *line)
{
	assert_int_equal(send(fd, line, strlen(line), 0), strlen(line));
	guest_turn(&g);
	ssize_t n = recv(fd, reply, sizeof(reply) - 1, 0);
	reply[n > 0 ? n : 0] = '\0';
	return reply;
}

/* Refused, and what is there stays; or taken over. */
static void try_path(const char *path, int want)
{
	struct control *c = NULL;
	struct verr err = { 0 };
	struct stat st;

	assert_int_equal(control_open(path, g.m, g.loop, &c, &err), want);
	if (want < 0) {
		assert_non_null(strstr(err.msg, "--control"));
		assert_int_equal(path[0] ? lstat(path, &st) : 0, 0);
		return;
	}
	control_close(c);
	assert_int_equal(lstat(path, &st), -1);
}

static void test_path_that_is_somebody_s_is_left_alone(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	try_path("", -EINVAL);
	int fd = endpoint(SOCK_DGRAM, true);
	try_path(addr.sun_path, -EADDRINUSE);
	close(fd);
	unlink(addr.sun_path);
	fd = open(addr.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	try_path(addr.sun_path, -EEXIST);
	close(fd);
}

static void test_listener_that_does_not_accept_is_no_wait(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	int fd = endpoint(SOCK_STREAM, true), waiting[8];
	unsigned int n = 0;
	assert_int_equal(listen(fd, 0), 0);
	/* Until its backlog is full. */
	for (; n < ARRAY_SIZE(waiting); n++) {
		waiting[n] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (connect(waiting[n], (struct sockaddr *)&addr, sizeof(addr)) < 0)
			break;
	}
	assert_int_equal(errno, EAGAIN);
	try_path(addr.sun_path, -EADDRINUSE);
	for (unsigned int i = 0; i <= n; i++)
		close(waiting[i]);
	close(fd);
}

static void test_socket_nobody_has_any_more_is_replaced(void **state)
{
	(void)state;
	flow_start(&zoo_nvme);
	close(endpoint(SOCK_STREAM, true));
	try_path(addr.sun_path, 0);
}

static void test_every_line_is_answered(void **state)
{
	struct control *c;
	struct verr err = { 0 };
	(void)state;
	flow_start(&zoo_nvme);
	assert_int_equal(control_open(addr.sun_path, g.m, g.loop, &c, &err), 0);
	int fd = endpoint(SOCK_STREAM, false);
	guest_turn(&g);
	assert_non_null(strstr(say(fd, "{\"execute\":\"status\",\"id\":[1]}\n"), "\"running\""));
	assert_non_null(strstr(reply, "\"id\":[1]"));
	/* Cut by our own message within its first two-byte letter. */
	assert_non_null(strstr(say(fd, "{\"execute\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
				       "\u00e9\u00e9\u00e9\"}\n"),
			       "CommandNotFound"));
	assert_non_null(strstr(say(fd, "\"\xff\"\n"), "GenericError"));
	assert_non_null(strstr(say(fd, "[]\n"), "GenericError"));
	assert_non_null(strstr(say(fd, "{\"execute\":\"pause\",\"execute\":\"quit\"}\n"), "error"));
	assert_non_null(strstr(say(fd, "{\"execute\":\"help\"}\n"), "\"resume\""));
	assert_int_equal(g.m->state, MACHINE_RUNNING);
	close(fd);
	control_close(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, flow_teardown)
		CASE(test_path_that_is_somebody_s_is_left_alone),
		CASE(test_listener_that_does_not_accept_is_no_wait),
		CASE(test_socket_nobody_has_any_more_is_replaced),
		CASE(test_every_line_is_answered),
	};
	sys = &sys_fake;
	if (!mkdtemp(dir))
		return 1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", dir);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(addr.sun_path);
	rmdir(dir);
	return r;
}
