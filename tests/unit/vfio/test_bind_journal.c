// SPDX-License-Identifier: GPL-2.0-or-later
//
// The journal: what is written is what is read; another boot's is stale; damage is told, never
// believed; the folder and the lock.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <sys/file.h>

#include "core/sys.h"
#include "tests/unit/vfio/tree.h"
#include "vfio/bind.h"
#include "vfio/bind_int.h"

#define NIC	"0000:03:00.0"
#define JOURNAL BIND_JOURNAL_DIR "/bind-" NIC

static struct sys_ops ops;
static unsigned int waits;

static int no_wait(struct pollfd *fds, unsigned int n, int timeout_ms)
{
	(void)fds;
	assert_int_equal(n, 0);
	assert_int_equal(timeout_ms, 100);
	waits++;
	return 0;
}

static int begin(void **state)
{
	(void)state;
	tree_begin();
	waits = 0;
	ops = sys_linux;
	ops.poll = no_wait;
	sys = &ops;
	tree_dir("/run");
	tree_file("/proc/sys/kernel/random/boot_id", "0e4e7d3c-1\n");
	assert_int_equal(bind_journal_folder(NULL), 0);
	return 0;
}

static int end(void **state)
{
	(void)state;
	sys = &sys_linux;
	tree_end();
	return 0;
}

static char *in_tree(const char *path)
{
	static char full[256];
	snprintf(full, sizeof(full), "%s%s", tree_root, path);
	return full;
}

static struct bind_journal nic_journal(void)
{
	struct bind_journal j = { .driver = "e1000e", .module = "e1000e" };
	j.at = tree_bdf(NIC);
	return j;
}

static void test_text_of_a_journal(void **state)
{
	(void)state;
	struct bind_journal j = nic_journal();
	char text[512];
	struct stat st;
	assert_int_equal(bind_journal_write(&j, NULL), 0);
	assert_true(sys_read_text(in_tree(JOURNAL), text, sizeof(text)) > 0);
	assert_string_equal(text, "vfio-bind journal 1\nfunction 0000:03:00.0\ndriver e1000e\n"
				  "module e1000e\noverride \nboot 0e4e7d3c-1\nstep binding\nend");
	assert_int_equal(stat(in_tree(JOURNAL), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(stat(in_tree(BIND_JOURNAL_DIR), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
}

/* Field by field: what lies between them is nobody's. */
static void assert_same(const struct bind_journal *a, const struct bind_journal *b)
{
	assert_true(bdf_equal(&a->at, &b->at));
	assert_string_equal(a->driver, b->driver);
	assert_string_equal(a->module, b->module);
	assert_string_equal(a->override, b->override);
	assert_int_equal(a->bound, b->bound);
	assert_int_equal(a->stale, b->stale);
}

static void test_what_is_written_is_read(void **state)
{
	(void)state;
	struct bind_journal j = nic_journal(), r = { .bound = false };
	snprintf(j.override, sizeof(j.override), "e1000e");
	j.bound = true;
	assert_int_equal(bind_journal_write(&j, NULL), 0);
	assert_int_equal(bind_journal_read(&j.at, &r, NULL), 0);
	assert_same(&j, &r);

	struct bind_journal bare = { .bound = false }; /* had no driver, nothing */
	bare.at = tree_bdf("0000:01:00.0");
	assert_int_equal(bind_journal_write(&bare, NULL), 0);
	assert_int_equal(bind_journal_read(&bare.at, &r, NULL), 0);
	assert_same(&bare, &r);

	struct bdf *v;
	assert_int_equal(bind_journal_list(&v, NULL), 2);
	assert_true(bdf_equal(&v[0], &bare.at));
	assert_true(bdf_equal(&v[1], &j.at));
	free(v);
	assert_int_equal(bind_journal_remove(&j.at, NULL), 0);
	assert_int_equal(bind_journal_remove(&j.at, NULL), 0);
	assert_int_equal(bind_journal_read(&j.at, &r, NULL), -ENOENT);
}

static void test_another_boot_is_stale(void **state)
{
	(void)state;
	struct bind_journal j = nic_journal(), r;
	assert_int_equal(bind_journal_write(&j, NULL), 0);
	tree_file("/proc/sys/kernel/random/boot_id", "ffffffff-2\n");
	assert_int_equal(bind_journal_read(&j.at, &r, NULL), 0);
	assert_true(r.stale);
}

static void test_without_boot_id(void **state)
{
	(void)state;
	struct bind_journal j = nic_journal(), r;
	tree_remove("/proc/sys/kernel/random/boot_id");
	assert_int_equal(bind_journal_write(&j, NULL), 0);
	assert_int_equal(bind_journal_read(&j.at, &r, NULL), 0);
	assert_false(r.stale);
	/* known now, unknown then; and the other way round */
	tree_file("/proc/sys/kernel/random/boot_id", "ffffffff-2\n");
	assert_int_equal(bind_journal_read(&j.at, &r, NULL), 0);
	assert_false(r.stale);
	assert_int_equal(bind_journal_write(&j, NULL), 0);
	tree_remove("/proc/sys/kernel/random/boot_id");
	assert_int_equal(bind_journal_read(&j.at, &r, NULL), 0);
	assert_false(r.stale);
}

static void expect_damaged(const char *text, size_t len)
{
	struct bdf at = tree_bdf(NIC);
	struct bind_journal r, untouched;
	struct verr err = { .code = 0 };
	char expect[512];
	memset(&r, 0x5a, sizeof(r));
	memset(&untouched, 0x5a, sizeof(untouched));
	tree_bytes(JOURNAL, text, len);
	assert_int_equal(bind_journal_read(&at, &r, &err), -EBADMSG);
	snprintf(expect, sizeof(expect),
		 "the journal %s is damaged (give the function its driver by "
		 "hand, then remove that file)",
		 in_tree(JOURNAL));
	assert_string_equal(err.msg, expect);
	assert_memory_equal(&r, &untouched, sizeof(r));
}

#define GOOD                                                                                       \
	"vfio-bind journal 1\nfunction 0000:03:00.0\ndriver e1000e\nmodule e1000e\noverride \n"    \
	"boot 0e4e7d3c-1\nstep bound\nend\n"

static void test_every_cut_of_a_journal_is_damaged(void **state)
{
	(void)state;
	/* Without its last newline it is whole. */
	for (size_t n = 0; n < strlen(GOOD) - 1; n++)
		expect_damaged(GOOD, n);
	struct bdf at = tree_bdf(NIC);
	struct bind_journal r;
	tree_file(JOURNAL, GOOD);
	assert_int_equal(bind_journal_read(&at, &r, NULL), 0);
}

static void test_odd_journals_are_damaged(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"vfio-bind journal 2\nfunction 0000:03:00.0\ndriver e1000e\nmodule e1000e\n"
		"override \nboot 0e4e7d3c-1\nstep bound\nend\n",
		GOOD "more\n",
		"vfio-bind journal 1\nfunction 0000:03:00.1\ndriver e1000e\nmodule e1000e\n"
		"override \nboot 0e4e7d3c-1\nstep bound\nend\n", /* of another function */
		"vfio-bind journal 1\nfunction 0000:03:00.0\ndriver ../../x\nmodule e1000e\n"
		"override \nboot 0e4e7d3c-1\nstep bound\nend\n",
		"vfio-bind journal 1\nfunction 0000:03:00.0\ndriver ..\nmodule e1000e\n"
		"override \nboot 0e4e7d3c-1\nstep bound\nend\n",
		"vfio-bind journal 1\nfunction 0000:03:00.0\ndriver "
		"0123456789012345678901234567890123456789012345678901234567890123\n"
		"module e1000e\noverride \nboot 0e4e7d3c-1\nstep bound\nend\n",
	};
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		expect_damaged(texts[i], strlen(texts[i]));
	char big[4096];
	memset(big, 'x', sizeof(big));
	expect_damaged(big, sizeof(big));
}

static void test_list_leaves_out_what_is_no_journal(void **state)
{
	(void)state;
	struct bdf *v = NULL;
	struct verr err = { .code = 0 };
	char expect[256];
	tree_file(BIND_JOURNAL_DIR "/lock", "");
	tree_file(JOURNAL ".tmp", "half");
	tree_file(BIND_JOURNAL_DIR "/bind-nonsense", "");
	assert_int_equal(bind_journal_list(&v, NULL), 0);
	free(v);
	tree_remove(BIND_JOURNAL_DIR);
	v = NULL;
	assert_int_equal(bind_journal_list(&v, &err), -ENOENT);
	snprintf(expect, sizeof(expect), "can't list %s: No such file or directory",
		 in_tree(BIND_JOURNAL_DIR));
	assert_string_equal(err.msg, expect);
	assert_null(v);
}

static void test_folder_others_can_write_to(void **state)
{
	(void)state;
	struct verr err = { .code = 0 };
	char expect[256];
	assert_int_equal(bind_journal_folder(NULL), 0); /* it exists */
	assert_int_equal(chmod(in_tree(BIND_JOURNAL_DIR), 0777), 0);
	assert_int_equal(bind_journal_folder(&err), -EPERM);
	snprintf(expect, sizeof(expect),
		 "%s is not a folder that only its owner can write to "
		 "(remove it)",
		 in_tree(BIND_JOURNAL_DIR));
	assert_string_equal(err.msg, expect);
	tree_remove(BIND_JOURNAL_DIR);
	tree_file(BIND_JOURNAL_DIR, "");
	assert_int_equal(bind_journal_folder(NULL), -EPERM);
	tree_remove("/run");
	verr_clear(&err);
	assert_int_equal(bind_journal_folder(&err), -ENOENT);
	snprintf(expect, sizeof(expect), "can't create %s: No such file or directory",
		 in_tree(BIND_JOURNAL_DIR));
	assert_string_equal(err.msg, expect);
}

static void test_lock_waits_then_says_who(void **state)
{
	(void)state;
	struct verr err = { .code = 0 };
	char expect[512], path[200];
	int a = -1, b = -1;
	assert_int_equal(bind_journal_lock(&a, NULL), 0);
	assert_int_equal(waits, 0);
	assert_int_equal(bind_journal_lock(&b, &err), -EBUSY);
	assert_int_equal(waits, 100);
	assert_int_equal(b, -1);
	snprintf(path, sizeof(path), "%s", in_tree(BIND_JOURNAL_DIR "/lock"));
	snprintf(expect, sizeof(expect),
		 "another vfio-bind is at work: it holds %s (see: fuser %s)", path, path);
	assert_string_equal(err.msg, expect);
	sys_close(a);
	assert_int_equal(bind_journal_lock(&b, NULL), 0);
	sys_close(b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_text_of_a_journal),
		T(test_what_is_written_is_read),
		T(test_another_boot_is_stale),
		T(test_without_boot_id),
		T(test_every_cut_of_a_journal_is_damaged),
		T(test_odd_journals_are_damaged),
		T(test_list_leaves_out_what_is_no_journal),
		T(test_folder_others_can_write_to),
		T(test_lock_waits_then_says_who),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
