// SPDX-License-Identifier: GPL-2.0-or-later
// The program as a process, with a kernel of one instruction that loops: the descriptors and
// signals it was started with, and those of its threads.
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/fake/boot_fixture.h"

#define ENTRY	 (FIXTURE_BZ_PAYLOAD_OFF + 0x200)
#define PATIENCE 200 /* times 50 ms */

static const char *kernel;
static char vmm[512];

static void pause_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

/* A field of /proc/PID/task/TID/status of the thread vcpu0; false: there is no such thread. */
static bool vcpu_field(pid_t pid, const char *field, unsigned long long *ret)
{
	char path[320], line[256];
	bool is_vcpu = false, found = false;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *tasks = opendir(path);
	for (struct dirent *e; tasks && !found && (e = readdir(tasks));) {
		snprintf(path, sizeof(path), "/proc/%d/task/%s/status", pid, e->d_name);
		FILE *f = fopen(path, "re");
		is_vcpu = false;
		while (f && fgets(line, sizeof(line), f)) {
			is_vcpu |= strcmp(line, "Name:\tvcpu0\n") == 0;
			if (is_vcpu && strncmp(line, field, strlen(field)) == 0)
				found = sscanf(line + strlen(field), ": %llx", ret) == 1;
		}
		if (f)
			fclose(f);
	}
	if (tasks)
		closedir(tasks);
	return found;
}

/* Started, and its vCPU runs. */
static pid_t start(void (*before)(void))
{
	unsigned long long id;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		for (int fd = 0; fd < 3; fd++)
			dup2(null, fd);
		close(null);
		before();
		execl(vmm, vmm, "--kernel", kernel, "--memory", "64M", NULL);
		_exit(126);
	}
	for (unsigned int i = 0; i < PATIENCE && !vcpu_field(pid, "Pid", &id); i++)
		pause_ms(50);
	pause_ms(200);
	return pid;
}

static void end(pid_t pid)
{
	int status = 0;

	assert_int_equal(kill(pid, SIGTERM), 0);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
}

static void close_all(void)
{
	for (int fd = 0; fd < 3; fd++)
		close(fd);
}

static void ignore_hangup(void)
{
	signal(SIGHUP, SIG_IGN);
}

static void nothing(void)
{
}

static void test_closed_standard_descriptors_are_nobody_s(void **state)
{
	char path[64], to[64];

	(void)state;
	pid_t pid = start(close_all);
	for (int fd = 0; fd < 3; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", pid, fd);
		ssize_t n = readlink(path, to, sizeof(to) - 1);
		to[n > 0 ? n : 0] = '\0';
		assert_string_equal(to, "/dev/null");
	}
	end(pid);
}

static void test_hangup_stays_ignored_under_nohup(void **state)
{
	int status;

	(void)state;
	pid_t pid = start(ignore_hangup);
	assert_int_equal(kill(pid, SIGHUP), 0);
	pause_ms(300);
	assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
	end(pid);
}

static void test_faults_of_a_vcpu_thread_reach_their_handlers(void **state)
{
	unsigned long long blocked = 0;

	(void)state;
	pid_t pid = start(nothing);
	assert_true(vcpu_field(pid, "SigBlk", &blocked));
	assert_true(blocked >> (SIGTERM - 1) & 1);
	assert_false(blocked >> (SIGSEGV - 1) & 1);
	assert_false(blocked >> (SIGBUS - 1) & 1);
	assert_false(blocked >> (SIGABRT - 1) & 1);
	end(pid);
}

static void few_files(void)
{
	struct rlimit r;
	getrlimit(RLIMIT_NOFILE, &r);
	r.rlim_cur = 64;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* 2048 vectors are 2048 files; the usual soft limit is 1024. */
static void test_limit_of_open_files_is_the_hard_one(void **state)
{
	struct rlimit r, mine;

	(void)state;
	pid_t pid = start(few_files);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &mine), 0);
	assert_int_equal(prlimit(pid, RLIMIT_NOFILE, NULL, &r), 0);
	assert_int_equal(r.rlim_cur, mine.rlim_max);
	end(pid);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_closed_standard_descriptors_are_nobody_s),
		cmocka_unit_test(test_hangup_stays_ignored_under_nohup),
		cmocka_unit_test(test_limit_of_open_files_is_the_hard_one),
		cmocka_unit_test(test_faults_of_a_vcpu_thread_reach_their_handlers),
	};
	const char *build = getenv("VV_BUILD");
	struct image img;

	snprintf(vmm, sizeof(vmm), "%s/tools/vfio-vmm", build ? build : ".");
	if (access("/dev/kvm", R_OK | W_OK) < 0 || access(vmm, X_OK) < 0) {
		fprintf(stderr, "skip: /dev/kvm or %s can't be had\n", vmm);
		return 77;
	}
	fixture_bzimage(&img);
	((uint8_t *)img.buf)[ENTRY] = 0xeb; /* jmp to itself */
	((uint8_t *)img.buf)[ENTRY + 1] = 0xfe;
	kernel = fixture_file(0, img.buf, img.len);
	int r = cmocka_run_group_tests(tests, NULL, NULL);
	fixture_free(&img);
	fixture_cleanup();
	return r;
}
