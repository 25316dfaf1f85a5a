// SPDX-License-Identifier: GPL-2.0-or-later
// The "tap" network: interfaces by name and descriptors that were passed, what is refused and how.
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <linux/if.h>
#include <linux/if_tun.h>
#include <sys/ioctl.h>

#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_sys.h"
#include "tests/fake/fake_tap.h"
#include "vmm/backend/netdev.h"
#include "vmm/tables.h"
#include "vmm/typearg.h"

static struct backend_set set;
static struct verr err;

static int setup(void **state)
{
	const struct backend_host host = { 0 };

	(void)state;
	fake_reset();
	backend_set_init(&set, &host);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	backend_set_fini(&set);
	fake_assert_clean();
	return 0;
}

static int add(const char *props)
{
	const struct backend_type *type = NULL;
	struct backend_common common = { 0 };
	void *cfg = NULL;
	char arg[256];

	memset(&err, 0, sizeof(err));
	snprintf(arg, sizeof(arg), "tap,id=n0%s", props);
	int r = typearg_backend(BACKEND_NET, arg, &type, &cfg, &common, &err);
	if (r == 0)
		r = backend_add(&set, type, common.id, cfg, &err);
	props_clear(backend_common_props, &common);
	return r;
}

static struct netdev *net(void)
{
	return netdev_of(backend_find(&set, "n0"));
}

/* What a manager passes. */
static int passed(const char *name, int flags)
{
	struct ifreq ifr = { .ifr_flags = (short)flags };
	int fd = sys_open("/dev/net/tun", O_RDWR, 0);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	assert_int_equal(sys_ioctl(fd, TUNSETIFF, &ifr), 0);
	return fd;
}

static void test_an_interface_is_made_or_joined(void **state)
{
	static const struct {
		bool there, multi;
		const char *props;
		unsigned int queues;
	} cases[] = {
		{ false, false, ",ifname=tap7", 1 },
		{ false, false, ",ifname=tap7,queues=4", 4 },
		{ true, false, ",ifname=tap7", 1 },
		{ true, true, ",ifname=tap7", 1 }, /* one of many will do */
		{ true, true, ",ifname=tap7,queues=2", 2 },
	};

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		fake_reset();
		if (cases[i].there)
			fake_tap_add(&(struct fake_tap){ .name = "tap7",
							 .multi_queue = cases[i].multi });
		assert_int_equal(add(cases[i].props), 0);
		assert_int_equal(net()->n_queues, cases[i].queues);
		assert_string_equal(net()->name, "tap7");
		assert_true(net()->vnet_hdr);
		assert_true(fake_tap_queue_on("tap7", cases[i].queues - 1));
		assert_false(fake_tap_queue_on("tap7", cases[i].queues));
		assert_int_equal(fake_tap_offload("tap7"), 0); /* until a driver wants some */
		assert_int_equal(net()->offloads & TUN_F_CSUM, TUN_F_CSUM);
		assert_int_equal(backend_del(&set, "n0", NULL), 0);
	}
}

static void test_descriptors_may_be_passed(void **state)
{
	char props[64];

	(void)state;
	int fd = passed("tap3", IFF_TAP | IFF_NO_PI | IFF_VNET_HDR);
	snprintf(props, sizeof(props), ",fd=%d", fd);
	assert_int_equal(add(props), 0);
	assert_int_equal(net()->fd[0], fd);
	assert_string_equal(net()->name, "tap3");
	assert_true(net()->vnet_hdr);
	assert_int_not_equal(fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
	assert_int_equal(backend_del(&set, "n0", NULL), 0);
	assert_null(fake_fd_name(fd)); /* it was ours to close */

	int a = passed("tap4", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
	int b = passed("tap4", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
	snprintf(props, sizeof(props), ",fds=%d:%d", a, b);
	assert_int_equal(add(props), 0);
	assert_int_equal(net()->n_queues, 2);
	assert_false(net()->vnet_hdr);
	assert_int_equal(net()->offloads, 0);
}

static void test_what_is_wrong_is_said(void **state)
{
	static const struct {
		const char *props, *says;
	} cases[] = {
		{ "", "ifname= (the interface) or fd=" },
		{ ",ifname=tap0,fd=3", "exclude each other" },
		{ ",fd=3,fds=4:5", "fd= and fds= exclude each other" },
		{ ",fd=3:4", "use fds=" },
		{ ",fds=3:x", "fds=3:x: numbers of open descriptors" },
		{ ",fds=3:", "numbers of open descriptors" },
		{ ",fd=-1", "numbers of open descriptors" },
		{ ",fd=99999999999999999999", "numbers of open descriptors" },
		{ ",fds=3:4:3", "3 is there twice" },
		{ ",fds=3:4,queues=2", "queues= goes with ifname=" },
		{ ",fd=999", "fd=999 is not open" },
		{ ",ifname=a-name-that-is-too-long", "1 to 15 characters" },
		{ ",ifname=a/b", "no slash" },
		{ ",ifname=tap0,queues=0", "queues" },
		{ ",ifname=tap0,queues=65", "queues" },
		{ ",ifname=eth0", "eth0 is no TAP interface" },
		{ ",ifname=theirs", "belongs to another user" },
		{ ",ifname=busy", "busy is in use by another program" },
		{ ",ifname=single,queues=2", "multi_queue" },
		{ ",ifname=new", "only root may make it" },
		{ ",ifnam=new", "ifname" },
	};

	(void)state;
	int busy = passed("busy", IFF_TAP | IFF_NO_PI);
	fake_tap_add(&(struct fake_tap){ .name = "eth0", .other = true });
	fake_tap_add(&(struct fake_tap){ .name = "theirs", .foreign = true });
	fake_tap_add(&(struct fake_tap){ .name = "single", .no_create = true });
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_true(add(cases[i].props) < 0);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\" is not in: %s", cases[i].says, err.msg);
	}
	sys_close(busy);
}

/* Refused, they stay the caller's. */
static void test_descriptors_of_the_wrong_kind_are_refused(void **state)
{
	static const struct {
		int flags;
		const char *says;
	} cases[] = {
		{ IFF_TAP, "without IFF_NO_PI" },
		{ 0, "no TAP interface" },
	};
	char props[64];

	(void)state;
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = cases[i].flags ? passed("tap0", cases[i].flags)
					: sys_open("/dev/net/tun", O_RDWR, 0);

		snprintf(props, sizeof(props), ",fd=%d", fd);
		assert_int_equal(add(props), -EINVAL);
		if (!strstr(err.msg, cases[i].says))
			fail_msg("\"%s\" is not in: %s", cases[i].says, err.msg);
		assert_int_equal(sys_close(fd), 0);
	}
	int a = passed("tap0", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE);
	int b = passed("tap0", IFF_TAP | IFF_NO_PI | IFF_MULTI_QUEUE | IFF_VNET_HDR);
	snprintf(props, sizeof(props), ",fds=%d:%d", a, b);
	assert_int_equal(add(props), -EINVAL);
	assert_non_null(strstr(err.msg, "IFF_VNET_HDR"));
	sys_close(a);
	sys_close(b);
}

static void test_a_plan_makes_nothing(void **state)
{
	const struct backend_host host = { .dry_run = true };

	(void)state;
	backend_set_fini(&set);
	backend_set_init(&set, &host);
	assert_int_equal(add(",ifname=tap0,queues=2"), 0);
	assert_int_equal(net()->n_queues, 2);
	assert_int_equal(net()->fd[0], -1);
	assert_int_equal(fake_tap_peer("tap0", 0), -1);
	assert_int_equal(backend_del(&set, "n0", NULL), 0);
	fake_tap_add(&(struct fake_tap){ .name = "eth0", .other = true });
	assert_int_equal(add(",ifname=eth0"), -EINVAL);
}

#define T_(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_an_interface_is_made_or_joined),
		T_(test_descriptors_may_be_passed),
		T_(test_what_is_wrong_is_said),
		T_(test_descriptors_of_the_wrong_kind_are_refused),
		T_(test_a_plan_makes_nothing),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
