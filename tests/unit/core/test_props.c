// SPDX-License-Identifier: GPL-2.0-or-later
//
// Property tables and type registries: what an option accepts, what it says when it does not,
// and the help that is made of the same rows.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "core/type.h"

struct cfg {
	bool rombar;
	uint16_t queues;
	uint32_t speed;
	uint64_t serial;
	uint64_t size;
	char *path;
	int cache;
	int point[2];
	uint64_t window;
};

static int parse_point(void *field, const char *text, struct verr *reterr)
{
	int *p = field, n = 0;
	if (sscanf(text, "%d:%d%n", &p[0], &p[1], &n) != 2 || text[n])
		return verr_set(reterr, -EINVAL, "'%s' is not X:Y", text);
	return 0;
}

static const char *const caches[] = { "none", "writeback", "unsafe", NULL };

static const struct prop props[] = {
	PROP(struct cfg, rombar, PROP_BOOL, "on", "expose the expansion ROM"),
	PROP_NAMED("queues", struct cfg, queues, PROP_U16, "1", "number of queues", .min = 1,
		   .max = 64),
	PROP(struct cfg, speed, PROP_U32, NULL, "link speed"),
	PROP(struct cfg, serial, PROP_U64, "0x10", "serial number"),
	PROP(struct cfg, size, PROP_SIZE, "64", "how much"),
	PROP(struct cfg, path, PROP_STR, "/dev/null", "image file"),
	PROP_NAMED("cache", struct cfg, cache, PROP_ENUM, "writeback", "cache mode",
		   .choices = caches),
	PROP_NAMED("x-point", struct cfg, point, PROP_CUSTOM, "3:4", "where", .syntax = "<x:y>",
		   .parse = parse_point),
	PROP_NAMED("window", struct cfg, window, PROP_SIZE, NULL, "window", .min = KIB(4),
		   .max = MIB(1)),
	PROP_END,
};

static const struct type_desc type = { "thing", "storage", "a thing for tests", props,
				       sizeof(struct cfg) };

struct shared {
	char *id, *bus;
};

static const struct prop shared_props[] = {
	PROP(struct shared, id, PROP_STR, NULL, "name of the device"),
	PROP(struct shared, bus, PROP_STR, PROP_REQUIRED, "bus it sits on"),
	PROP_END,
};

static void test_defaults_fill_every_kind(void **state)
{
	(void)state;
	struct cfg *c = props_new(&type);
	assert_non_null(c);
	assert_true(c->rombar);
	assert_int_equal(c->queues, 1);
	assert_int_equal(c->speed, 0);
	assert_int_equal(c->serial, 16);
	assert_int_equal(c->size, MIB(64));
	assert_string_equal(c->path, "/dev/null");
	assert_int_equal(c->cache, 1);
	assert_int_equal(c->point[0], 3);
	assert_int_equal(c->point[1], 4);
	props_free(&type, c);
	props_free(&type, NULL);
}

static int parse(struct cfg *c, const char *text, struct verr *e)
{
	const struct props_target target = { props, c };
	return props_parse("thing", text, &target, 1, e);
}

static void test_values_land_in_their_fields(void **state)
{
	(void)state;
	struct cfg *c = props_new(&type);
	struct verr e = { 0 };
	assert_int_equal(parse(c,
			       "rombar=off,queues=64,speed=0xffffffff,serial=18446744073709551615,"
			       "size=2G,path=/a=b,cache=unsafe,x-point=-1:7,window=4K",
			       &e),
			 0);
	assert_false(c->rombar);
	assert_int_equal(c->queues, 64);
	assert_true(c->speed == UINT32_MAX);
	assert_true(c->serial == UINT64_MAX);
	assert_int_equal(c->size, GIB(2));
	assert_string_equal(c->path, "/a=b"); /* the first '=' is the one */
	assert_int_equal(c->cache, 2);
	assert_int_equal(c->point[0], -1);
	assert_int_equal(c->window, 4096);
	props_free(&type, c);
}

static void test_no_text_leaves_defaults(void **state)
{
	(void)state;
	struct cfg *c = props_new(&type);
	assert_int_equal(parse(c, NULL, NULL), 0);
	assert_int_equal(parse(c, "", NULL), 0);
	assert_int_equal(c->queues, 1);
	props_free(&type, c);
}

static void test_double_comma_is_a_comma_in_the_value(void **state)
{
	(void)state;
	static const struct {
		const char *text, *path;
		int queues;
	} cases[] = {
		{ "path=a,,b", "a,b", 1 },
		{ "path=a,,,queues=2", "a,", 2 },
		{ "path=,,", ",", 1 },
		{ "path=a,,,,b,queues=3", "a,,b", 3 },
		{ "queues=4,path=x,,y=z", "x,y=z", 4 },
		{ "path=", "", 1 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cfg *c = props_new(&type);
		struct verr e = { 0 };
		assert_int_equal(parse(c, cases[i].text, &e), 0);
		assert_string_equal(c->path, cases[i].path);
		assert_int_equal(c->queues, cases[i].queues);
		props_free(&type, c);
	}
}

static void test_errors_name_the_culprit_and_what_is_accepted(void **state)
{
	(void)state;
	static const struct {
		const char *text, *msg;
	} cases[] = {
		{ "rombar=yes", "thing: rombar: 'yes' is neither on nor off" },
		{ "queues=0", "thing: queues: 0 is out of range: 1 to 64" },
		{ "queues=65", "thing: queues: 65 is out of range: 1 to 64" },
		{ "queues=two",
		  "thing: queues: 'two' is not a number (decimal or 0x hexadecimal)" },
		{ "queues=", "thing: queues: '' is not a number (decimal or 0x hexadecimal)" },
		{ "queues=-1", "thing: queues: '-1' is not a number (decimal or 0x hexadecimal)" },
		{ "queues= 1", "thing: queues: ' 1' is not a number (decimal or 0x hexadecimal)" },
		{ "speed=4294967296", "thing: speed: 4294967296 is out of range: 0 to 4294967295" },
		{ "serial=0x10000000000000000",
		  "thing: serial: 0x10000000000000000 is out of range: 0 to 18446744073709551615" },
		{ "serial=0x", "thing: serial: '0x' is not a number (decimal or 0x hexadecimal)" },
		{ "size=1X",
		  "thing: size: '1X' is not a size: a number with K, M, G or T, or of MiB" },
		{ "window=2M", "thing: window: size 2M is out of range: 4K to 1024K" },
		{ "cache=fast", "thing: cache: 'fast' is none of none, writeback, unsafe" },
		{ "x-point=3", "thing: x-point: '3' is not X:Y" },
		{ "queue=2", "thing: unknown property 'queue': did you mean 'queues'?" },
		{ "rom-bar=on", "thing: unknown property 'rom-bar': did you mean 'rombar'?" },
		{ "colour=red", "thing: unknown property 'colour' (thing,help lists all)" },
		{ "queues=2,speed=1,queues=2", "thing: queues is given twice" },
		{ "rombar", "thing: rombar needs a value: rombar=..." },
		{ "queues=2,",
		  "thing: empty property (a comma too many? ,, is a comma in a value)" },
		{ "=5", "thing: empty property (a comma too many? ,, is a comma in a value)" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cfg *c = props_new(&type);
		struct verr e = { 0 };
		assert_true(parse(c, cases[i].text, &e) < 0);
		assert_string_equal(e.msg, cases[i].msg);
		assert_true(e.code < 0);
		props_free(&type, c);
	}
}

static void test_two_tables_share_one_list_and_required_is_required(void **state)
{
	(void)state;
	struct cfg *c = props_new(&type);
	struct shared s = { 0 };
	struct verr e = { 0 };
	const struct props_target both[] = { { props, c }, { shared_props, &s } };
	assert_int_equal(props_defaults(shared_props, &s), 0);
	assert_null(s.bus);
	assert_int_equal(props_parse("thing", "queues=3,id=net0", both, 2, &e), -EINVAL);
	assert_string_equal(e.msg, "thing: bus= is required: bus it sits on");
	verr_clear(&e);
	assert_int_equal(props_parse("thing", "bus=pci.0,queues=3,id=net1", both, 2, &e), 0);
	assert_string_equal(s.id, "net1");
	assert_string_equal(s.bus, "pci.0");
	assert_int_equal(props_parse("thing", "buss=x", both, 2, &e), -EINVAL);
	assert_string_equal(e.msg, "thing: unknown property 'buss': did you mean 'bus'?");
	props_clear(shared_props, &s);
	assert_null(s.bus);
	props_free(&type, c);
}

static void test_type_without_properties_takes_none(void **state)
{
	(void)state;
	static const struct type_desc bare = { "bare", "other", "nothing to set", NULL, 0 };
	const struct props_target none = { NULL, NULL };
	struct verr e = { 0 };
	void *cfg = props_new(&bare);
	assert_non_null(cfg);
	assert_int_equal(props_parse("bare", NULL, &none, 1, &e), 0);
	assert_int_equal(props_parse("bare", "x=1", &none, 1, &e), -EINVAL);
	assert_string_equal(e.msg, "bare: unknown property 'x' (bare,help lists all)");
	props_free(&bare, cfg);
}

static void test_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int r;
		uint64_t want;
	} cases[] = {
		{ "1", 0, MIB(1) },
		{ "4K", 0, KIB(4) },
		{ "64M", 0, MIB(64) },
		{ "3g", 0, GIB(3) },
		{ "2T", 0, GIB(2048) },
		{ "0", 0, 0 },
		{ "0x10M", 0, MIB(16) },
		{ "", -EINVAL, 0 },
		{ "M", -EINVAL, 0 },
		{ "1MB", -EINVAL, 0 },
		{ "1.5G", -EINVAL, 0 },
		{ "-1", -EINVAL, 0 },
		{ "16777215T", 0, UINT64_C(16777215) << 40 },
		{ "16777216T", -ERANGE, 0 },
		{ "99999999999999999999", -ERANGE, 0 },
		{ "17592186044416", -ERANGE, 0 },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t v = 42;
		struct verr e = { 0 };
		assert_int_equal(parse_size(cases[i].text, &v, &e), cases[i].r);
		assert_true(v == (cases[i].r ? 42 : cases[i].want));
		assert_int_equal(e.code, cases[i].r);
	}
}

static void test_split_takes_the_name_off(void **state)
{
	(void)state;
	char name[8];
	const char *rest;
	assert_int_equal(type_split("kvm,a=b,c=d", name, sizeof(name), &rest), 0);
	assert_string_equal(name, "kvm");
	assert_string_equal(rest, "a=b,c=d");
	assert_int_equal(type_split("kvm", name, sizeof(name), &rest), 0);
	assert_null(rest);
	assert_int_equal(type_split("kvm,", name, sizeof(name), &rest), 0);
	assert_string_equal(rest, "");
	assert_int_equal(type_split("1234567", name, sizeof(name), &rest), 0);
	assert_int_equal(type_split("12345678,x", name, sizeof(name), &rest), -ENAMETOOLONG);
}

static const struct type_desc t_net = { "virtio-net", "network", "virtio network device", NULL, 0 };
static const struct type_desc t_blk = { "virtio-blk", "storage", "virtio block device", NULL, 0 };
static const struct type_desc t_vfio = { "vfio-pci", "passthrough", "pass a host PCI function",
					 NULL, 0 };
static const struct type_desc *const types[] = { &t_net, &type, &t_vfio, &t_blk, NULL };

static void test_find_suggests_the_nearest(void **state)
{
	(void)state;
	static const struct {
		const char *name, *msg;
	} cases[] = {
		{ "virtio-blok",
		  "unknown device 'virtio-blok': did you mean 'virtio-blk'? (--device help lists all)" },
		{ "VFIO-pci", "unknown device 'VFIO-pci' (--device help lists all)" },
		{ "floppy", "unknown device 'floppy' (--device help lists all)" },
		{ "", "unknown device '' (--device help lists all)" },
	};
	assert_ptr_equal(type_find(types, "device", "vfio-pci", NULL), &t_vfio);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct verr e = { 0 };
		assert_null(type_find(types, "device", cases[i].name, &e));
		assert_string_equal(e.msg, cases[i].msg);
	}
	char long_name[300];
	memset(long_name, 'v', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	assert_null(type_find(types, "device", long_name, NULL));
}

static void test_nearest_name_stays_within_reach(void **state)
{
	(void)state;
	static const char *const names[] = { "memory", "cpus", "kernel" };
	static const struct {
		const char *text, *want;
	} cases[] = {
		{ "memory", "memory" }, { "memroy", "memory" }, { "mem", NULL },
		{ "cpu", "cpus" },	{ "cpsu", "cpus" },	{ "kernal", "kernel" },
		{ "xyz", NULL },	{ "", NULL },		{ "krnl", "kernel" },
	};
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *got = nearest_name(cases[i].text, names, ARRAY_SIZE(names));
		if (cases[i].want)
			assert_string_equal(got, cases[i].want);
		else
			assert_null(got);
	}
	assert_null(nearest_name("x", names, 0));
}

static void expect_output(FILE *f, char **text, const char *want)
{
	fclose(f);
	assert_string_equal(*text, want);
	free(*text);
}

static void test_help_lists_types_by_category(void **state)
{
	(void)state;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	type_help_list(f, "device", types);
	expect_output(f, &text,
		      "network:\n"
		      "  virtio-net       virtio network device\n"
		      "\n"
		      "passthrough:\n"
		      "  vfio-pci         pass a host PCI function\n"
		      "\n"
		      "storage:\n"
		      "  thing            a thing for tests\n"
		      "  virtio-blk       virtio block device\n"
		      "\n"
		      "--device NAME,help lists the properties of one.\n");
}

static void test_help_lists_properties_of_both_tables(void **state)
{
	(void)state;
	char *text;
	size_t size;
	FILE *f = open_memstream(&text, &size);
	type_help_props(f, &type, shared_props);
	expect_output(f, &text,
		      "thing: a thing for tests\n"
		      "  rombar=on|off                on         expose the expansion ROM\n"
		      "  queues=<number>              1          number of queues (1 to 64)\n"
		      "  speed=<number>               -          link speed\n"
		      "  serial=<number>              0x10       serial number\n"
		      "  size=<size>                  64         how much\n"
		      "  path=<text>                  /dev/null  image file\n"
		      "  cache=none|writeback|unsafe  writeback  cache mode\n"
		      "  x-point=<x:y>                3:4        where\n"
		      "  window=<size>                -          window\n"
		      "  id=<text>                    -          name of the device\n"
		      "  bus=<text>                   required   bus it sits on\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults_fill_every_kind),
		cmocka_unit_test(test_values_land_in_their_fields),
		cmocka_unit_test(test_no_text_leaves_defaults),
		cmocka_unit_test(test_double_comma_is_a_comma_in_the_value),
		cmocka_unit_test(test_errors_name_the_culprit_and_what_is_accepted),
		cmocka_unit_test(test_two_tables_share_one_list_and_required_is_required),
		cmocka_unit_test(test_type_without_properties_takes_none),
		cmocka_unit_test(test_sizes),
		cmocka_unit_test(test_split_takes_the_name_off),
		cmocka_unit_test(test_find_suggests_the_nearest),
		cmocka_unit_test(test_nearest_name_stays_within_reach),
		cmocka_unit_test(test_help_lists_types_by_category),
		cmocka_unit_test(test_help_lists_properties_of_both_tables),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
