// SPDX-License-Identifier: GPL-2.0-or-later
// Back ends by name, and the options that expand to a device and its back end.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "core/cc.h"
#include "vmm/backend/backends.h"
#include "vmm/options.h"
#include "vmm/shorthand.h"

static unsigned int open_now;
static int open_result;

struct fake_cfg {
	char *path;
};

static int fake_open(const char *id, const void *cfg, const struct backend_host *host,
		     struct backend **ret, struct verr *reterr)
{
	(void)id;
	(void)cfg;
	(void)host;
	if (open_result < 0)
		return verr_set(reterr, open_result, "it can't be had");
	*ret = calloc(1, sizeof(**ret));
	open_now++;
	return 0;
}

static void fake_close(struct backend *b)
{
	open_now--;
	free(b);
}

static const struct prop fake_props[] = {
	PROP(struct fake_cfg, path, PROP_STR, NULL, "a path"),
	PROP_END,
};

static const struct backend_type fake_type = {
	.t = { "fake", "test", "for this test", fake_props, sizeof(struct fake_cfg) },
	.kind = BACKEND_NET,
	.open = fake_open,
	.close = fake_close,
};

static const struct backend_host no_host;

static int add(struct backend_set *s, const char *id, struct verr *err)
{
	memset(err, 0, sizeof(*err));
	return backend_add(s, &fake_type, id, props_new(&fake_type.t), err);
}

static void test_one_device_at_a_time_has_a_back_end(void **state)
{
	struct backend_set s;
	struct backend *b = NULL;
	struct verr err;

	(void)state;
	backend_set_init(&s, &no_host);
	assert_int_equal(add(&s, "net0", &err), 0);
	assert_int_equal(add(&s, "net0", &err), -EEXIST);
	assert_non_null(strstr(err.msg, "net0"));
	assert_int_equal(backend_take(&s, BACKEND_NET, "netdev", "net0", "nic0", &b, &err), 0);
	assert_ptr_equal(b, backend_find(&s, "net0"));

	memset(&err, 0, sizeof(err));
	assert_int_equal(backend_take(&s, BACKEND_NET, "netdev", "net0", "nic1", &b, &err), -EBUSY);
	assert_string_equal(err.msg, "netdev=net0: device nic0 has it");
	memset(&err, 0, sizeof(err));
	assert_int_equal(backend_take(&s, BACKEND_NET, "netdev", "net1", "nic1", &b, &err),
			 -ENOENT);
	assert_non_null(strstr(err.msg, "there are: net0"));
	memset(&err, 0, sizeof(err));
	assert_int_equal(backend_take(&s, BACKEND_BLOCK, "drive", "net0", "d", &b, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "add one with --blockdev"));
	memset(&err, 0, sizeof(err));
	assert_int_equal(backend_take(&s, BACKEND_NET, "netdev", NULL, "nic1", &b, &err), -EINVAL);
	memset(&err, 0, sizeof(err));
	assert_int_equal(backend_del(&s, "net0", &err), -EBUSY);
	assert_string_equal(err.msg, "netdev net0 is in use by device nic0");

	backend_release(b);
	assert_int_equal(backend_del(&s, "net0", &err), 0);
	assert_int_equal(backend_del(&s, "net0", &err), -ENOENT);
	assert_int_equal(open_now, 0);
	backend_set_fini(&s);
}

static void test_all_are_closed_at_the_end_and_none_after_a_failure(void **state)
{
	struct backend_set s;
	struct verr err;

	(void)state;
	backend_set_init(&s, &no_host);
	assert_int_equal(add(&s, "a", &err), 0);
	assert_int_equal(add(&s, "b", &err), 0);
	open_result = -EACCES;
	assert_int_equal(add(&s, "c", &err), -EACCES);
	open_result = 0;
	assert_string_equal(err.msg, "netdev c: it can't be had");
	assert_null(backend_find(&s, "c"));
	assert_int_equal(open_now, 2);
	backend_set_fini(&s);
	assert_int_equal(open_now, 0);
}

static const struct shorthand_form net_forms[] = {
	{ "tap", "tap", "ifname" },
	{ "user", "passt", NULL },
	{ NULL, NULL, NULL },
};
static const struct shorthand net = {
	.device = "virtio-net",
	.link = "netdev",
	.id = "net",
	.forms = net_forms,
	.kind = BACKEND_NET,
};
static const struct shorthand rng = { .device = "virtio-rng" };

static void test_shorthands_expand_to_back_end_and_device(void **state)
{
	static const struct {
		const struct shorthand *s;
		const char *value, *backend, *device;
	} cases[] = {
		{ &net, "tap=x", "tap,id=net3,ifname=x", "virtio-net,netdev=net3" },
		{ &net, "tap=x,mac=1,q=2", "tap,id=net3,ifname=x",
		  "virtio-net,netdev=net3,mac=1,q=2" },
		{ &net, "tap=a,,b,mac=c,,d", "tap,id=net3,ifname=a,,b",
		  "virtio-net,netdev=net3,mac=c,,d" },
		{ &net, "user", "passt,id=net3", "virtio-net,netdev=net3" },
		{ &net, "user,mac=1", "passt,id=net3", "virtio-net,netdev=net3,mac=1" },
		{ &rng, "", NULL, "virtio-rng" },
		{ &rng, "period=5", NULL, "virtio-rng,period=5" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *b = NULL, *d = NULL;

		assert_int_equal(
			shorthand_expand(cases[i].s, "net", cases[i].value, 3, &b, &d, NULL), 0);
		assert_string_equal(d, cases[i].device);
		if (cases[i].backend)
			assert_string_equal(b, cases[i].backend);
		else
			assert_null(b);
		free(b);
		free(d);
	}
}

static void test_a_shorthand_that_names_no_back_end_says_what_it_may_begin_with(void **state)
{
	static const char *const wrong[] = { "", "x", "tapx=1", "userx", "mac=1,tap=x", "tap" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		struct verr err = { 0 };
		char *b = NULL, *d = NULL;

		assert_int_equal(shorthand_expand(&net, "net", wrong[i], 0, &b, &d, &err), -EINVAL);
		assert_non_null(strstr(err.msg, "must begin with one of tap=..., user"));
	}
}

static void test_rng_is_exactly_a_device(void **state)
{
	char *argv[] = { (char *)"vfio-vmm", (char *)"--rng", (char *)"--rng=period=20",
			 (char *)"--accel",  (char *)"none",  NULL };
	struct verr err = { 0 };
	struct vmm_opts o;

	(void)state;
	assert_int_equal(options_parse(5, argv, &o, stdout, &err), OPTIONS_RUN);
	assert_int_equal(o.n_devices, 2);
	assert_string_equal(o.devices[0], "virtio-rng");
	assert_string_equal(o.devices[1], "virtio-rng,period=20");
	options_fini(&o);
	argv[2] = (char *)"--rng=perod=20";
	assert_int_equal(options_parse(5, argv, &o, stdout, &err), OPTIONS_BAD);
	assert_non_null(strstr(err.msg, "did you mean 'period'"));
	options_fini(&o);
}

static void test_net_is_exactly_a_netdev_and_a_device(void **state)
{
	char *argv[] = { (char *)"vfio-vmm",
			 (char *)"--net",
			 (char *)"tap=tap0,queues=2,mac=52:54:00:00:00:01,iothreads=2",
			 (char *)"--net",
			 (char *)"user,tcp=2222:22,mtu=9000,addr=5",
			 (char *)"--accel",
			 (char *)"none",
			 NULL };
	static const struct {
		const char *value, *says;
	} wrong[] = {
		{ "tap0", "must begin with one of tap=..., user" },
		{ "users", "must begin with one of" },
		{ "tap=t,queus=2", "did you mean 'queues'" },
		{ "tap=t,max=1", "did you mean 'mac'" },
		{ "user,queues=2", "queues" },
		{ "tap=t,mac=1", "no MAC address" },
		{ "tap=t,netdev=x", "netdev" },
	};
	struct verr err = { 0 };
	struct vmm_opts o;

	(void)state;
	assert_int_equal(options_parse(7, argv, &o, stdout, &err), OPTIONS_RUN);
	assert_int_equal(o.n_devices, 2);
	assert_int_equal(o.n_backends, 2);
	assert_string_equal(o.backends[0].arg, "tap,id=net0,ifname=tap0,queues=2");
	assert_string_equal(o.devices[0],
			    "virtio-net,netdev=net0,mac=52:54:00:00:00:01,iothreads=2");
	assert_string_equal(o.backends[1].arg, "user,id=net1,tcp=2222:22");
	assert_string_equal(o.devices[1], "virtio-net,netdev=net1,mtu=9000,addr=5");
	options_fini(&o);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		memset(&err, 0, sizeof(err));
		argv[2] = (char *)(uintptr_t)wrong[i].value;
		assert_int_equal(options_parse(3, argv, &o, stdout, &err), OPTIONS_BAD);
		if (!strstr(err.msg, wrong[i].says))
			fail_msg("%s: %s", wrong[i].value, err.msg);
		options_fini(&o);
	}
}

static void test_disk_is_exactly_a_blockdev_and_a_device(void **state)
{
	char *argv[] = { (char *)"vfio-vmm",
			 (char *)"--disk",
			 (char *)"path=/a,,b,readonly=on",
			 (char *)"--disk",
			 (char *)"path=/c,cache=none,serial=X,addr=5",
			 (char *)"--accel",
			 (char *)"none",
			 NULL };
	static const struct {
		const char *value, *says;
	} wrong[] = {
		{ "/a", "must begin with path=" },
		{ "path=/a,cach=none", "did you mean 'cache'" },
		{ "path=/a,seriel=1", "did you mean 'serial'" },
		{ "path=/a,num-queues=0", "num-queues" },
		{ "path=/a,path=/b", "path" },
	};
	struct verr err = { 0 };
	struct vmm_opts o;

	(void)state;
	assert_int_equal(options_parse(7, argv, &o, stdout, &err), OPTIONS_RUN);
	assert_int_equal(o.n_devices, 2);
	assert_int_equal(o.n_backends, 2);
	assert_string_equal(o.backends[0].arg, "file,id=disk0,path=/a,,b,readonly=on");
	assert_string_equal(o.devices[0], "virtio-blk,drive=disk0");
	assert_string_equal(o.backends[1].arg, "file,id=disk1,path=/c,cache=none");
	assert_string_equal(o.devices[1], "virtio-blk,drive=disk1,serial=X,addr=5");
	options_fini(&o);
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		memset(&err, 0, sizeof(err));
		argv[2] = (char *)(uintptr_t)wrong[i].value;
		assert_int_equal(options_parse(3, argv, &o, stdout, &err), OPTIONS_BAD);
		if (!strstr(err.msg, wrong[i].says))
			fail_msg("%s: %s", wrong[i].value, err.msg);
		options_fini(&o);
	}
}

static void test_console_is_exactly_a_chardev_and_a_device(void **state)
{
	static const struct {
		const char *value, *backend, *device, *says;
	} cases[] = {
		{ "pty", "pty,id=con0", "virtio-console,chardev=con0", NULL },
		{ "socket=/tmp/s,id=c,packed=on", "socket,id=con0,path=/tmp/s",
		  "virtio-console,chardev=con0,id=c,packed=on", NULL },
		{ "file=/tmp/f", "file,id=con0,path=/tmp/f", "virtio-console,chardev=con0", NULL },
		{ "stdio,port=a:b", NULL, NULL, "did you mean 'ports'" },
		{ "null,ports=a", NULL, NULL, "\"a\" is not NAME:CHARDEV" },
		{ "null,ports=a:b+a:c", NULL, NULL, "port \"a\" is there twice" },
		{ "null,ports=a:b+", NULL, NULL, "is not NAME:CHARDEV" },
		{ "tty", NULL, NULL, "must begin with one of stdio, pty, socket=..." },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char *argv[] = { (char *)"vfio-vmm", (char *)"--console", (char *)cases[i].value,
				 (char *)"--accel",  (char *)"none",	  NULL };
		struct verr err = { 0 };
		struct vmm_opts o;
		int r = options_parse(5, argv, &o, stdout, &err);

		assert_int_equal(r, cases[i].says ? OPTIONS_BAD : OPTIONS_RUN);
		if (cases[i].says) {
			if (!strstr(err.msg, cases[i].says))
				fail_msg("'%s' does not say '%s'", err.msg, cases[i].says);
		} else {
			assert_string_equal(o.backends[0].arg, cases[i].backend);
			assert_string_equal(o.devices[0], cases[i].device);
		}
		options_fini(&o);
	}
}

static void test_unknown_back_end_types_are_named(void **state)
{
	char *argv[] = { (char *)"vfio-vmm", (char *)"--netdev", (char *)"nosuch,id=a", NULL };
	struct verr err = { 0 };
	struct vmm_opts o;

	(void)state;
	assert_int_equal(options_parse(3, argv, &o, stdout, &err), OPTIONS_BAD);
	assert_non_null(strstr(err.msg, "nosuch"));
	options_fini(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_device_at_a_time_has_a_back_end),
		cmocka_unit_test(test_all_are_closed_at_the_end_and_none_after_a_failure),
		cmocka_unit_test(test_shorthands_expand_to_back_end_and_device),
		cmocka_unit_test(
			test_a_shorthand_that_names_no_back_end_says_what_it_may_begin_with),
		cmocka_unit_test(test_rng_is_exactly_a_device),
		cmocka_unit_test(test_net_is_exactly_a_netdev_and_a_device),
		cmocka_unit_test(test_disk_is_exactly_a_blockdev_and_a_device),
		cmocka_unit_test(test_console_is_exactly_a_chardev_and_a_device),
		cmocka_unit_test(test_unknown_back_end_types_are_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
