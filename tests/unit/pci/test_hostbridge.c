// SPDX-License-Identifier: GPL-2.0-or-later
// The decoders of the host bridge: byte enables, splits, and both ways to one register.
#include "rec.h"

#define ECAM UINT64_C(0xe0000000)

static struct rig g;
static struct hostbridge *hb;
static struct tdev *t;

static int setup(void **state)
{
	(void)state;
	rig_init(&g);
	hb = container_of(rig_add(&g, &hostbridge_type, "host", NULL, NULL), struct hostbridge, pd);
	assert_int_equal(hostbridge_map(hb, ECAM, MIB(256), NULL), 0);
	t = rig_tdev(&g, "t", NULL, "05.0", (struct tspec){ .pcie = true });
	for (unsigned int i = 0x100; i < 0x140; i++)
		pcicfg_set(&t->pd.cfg, i, 1, i & 0xff, 0xff);
	for (unsigned int i = 0xc0; i < 0x100; i++)
		pcicfg_set(&t->pd.cfg, i, 1, i, 0xff);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	rig_free(&g);
	return 0;
}

static void out(uint16_t port, uint32_t v, unsigned int size)
{
	aspace_write(&g.pio, port, v, size);
}

static uint32_t in(uint16_t port, unsigned int size)
{
	uint64_t v;
	return aspace_read(&g.pio, port, &v, size) ? (uint32_t)v : (uint32_t)ones(size);
}

static uint32_t cf8(unsigned int bus, unsigned int dev, unsigned int fn, unsigned int off)
{
	return 0x80000000U | bus << 16 | dev << 11 | fn << 8 | (off & 0xfc);
}

static uint64_t ecam(unsigned int bus, unsigned int dev, unsigned int fn, unsigned int off)
{
	return ECAM + (bus << 20 | dev << 15 | fn << 12 | off);
}

static void test_host_bridge_is_function_0(void **state)
{
	(void)state;
	out(0xcf8, cf8(0, 0, 0, 0), 4);
	assert_int_equal(in(0xcfc, 4), 0x00081b36);
	out(0xcf8, cf8(0, 0, 0, 8), 4);
	assert_int_equal(in(0xcfc, 4), 0x06000000);
	assert_int_equal(mmio_r(&g, ecam(0, 0, 0, 0x100), 4), UINT32_MAX); /* conventional */
}

static void test_config_address_is_a_dword_register(void **state)
{
	(void)state;
	out(0xcf8, UINT32_MAX, 4);
	assert_int_equal(in(0xcf8, 4), 0x80fffffc);
	out(0xcf8, 0x12, 1);
	out(0xcf9, 0x06, 1); /* somebody else's reset port */
	out(0xcfa, 0x1234, 2);
	assert_int_equal(in(0xcf8, 4), 0x80fffffc);
	assert_int_equal(in(0xcf8, 1), 0xff);
	dev_reset(&hb->pd.dev);
	assert_int_equal(in(0xcf8, 4), 0);
}

static void test_disabled_address_decodes_nothing(void **state)
{
	(void)state;
	out(0xcf8, cf8(0, 5, 0, 0) & 0x7fffffff, 4);
	assert_int_equal(in(0xcfc, 4), UINT32_MAX);
	out(0xcf8, cf8(0, 5, 0, 0xc0) & 0x7fffffff, 4);
	out(0xcfc, 0, 4);
	assert_int_equal(pcicfg_get(&t->pd.cfg, 0xc0, 4), 0xc3c2c1c0);
	out(0xcf8, cf8(0, 5, 0, 0), 4);
	assert_int_equal(in(0xcfc, 4), 0x11e81234);
	out(0xcf8, cf8(0, 6, 0, 0), 4);
	assert_int_equal(in(0xcfc, 2), 0xffff);
}

static void test_data_port_byte_enables(void **state)
{
	(void)state;
	out(0xcf8, cf8(0, 5, 0, 0xc4), 4);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(in((uint16_t)(0xcfc + i), 1), 0xc4 + i);
	assert_int_equal(in(0xcfc, 2), 0xc5c4);
	assert_int_equal(in(0xcfd, 2), 0xc6c5); /* middle bytes */
	assert_int_equal(in(0xcfe, 2), 0xc7c6);
	out(0xcfd, 0xaabb, 2);
	assert_int_equal(in(0xcfc, 4), 0xc7aabbc4);
	out(0xcff, 0x11, 1);
	assert_int_equal(in(0xcfc, 4), 0x11aabbc4);
	out(0xcfc, 0x01020304, 4);
	assert_int_equal(in(0xcfc, 4), 0x01020304);
	assert_int_equal(t->cfg_writes, 1 + 1 + 1 + 1); /* the unaligned word is two bytes */
	/* Across the end of the port: what is beyond is nobody's. */
	assert_int_equal(in(0xcfe, 4), 0xffff0102);
}

static void test_ecam_takes_every_size_and_alignment(void **state)
{
	(void)state;
	for (unsigned int size = 1; size <= 8; size *= 2) {
		for (unsigned int off = 0x100; off + size <= 0x140; off++) {
			uint64_t want = 0;
			for (unsigned int i = 0; i < size; i++)
				want |= (uint64_t)((off + i) & 0xff) << (8 * i);
			assert_true(mmio_r(&g, ecam(0, 5, 0, off), size) == want);
		}
	}
	mmio_w(&g, ecam(0, 5, 0, 0x121), 0x8877665544332211, 8);
	assert_true(pcicfg_get(&t->pd.cfg, 0x121, 8) == 0x8877665544332211);
	assert_int_equal(pcicfg_get(&t->pd.cfg, 0x120, 1), 0x20);
	assert_int_equal(pcicfg_get(&t->pd.cfg, 0x129, 1), 0x29);
}

static void test_ecam_and_ports_see_one_register(void **state)
{
	(void)state;
	mmio_w(&g, ecam(0, 5, 0, 0xc8), 0x12345678, 4);
	out(0xcf8, cf8(0, 5, 0, 0xc8), 4);
	assert_int_equal(in(0xcfc, 4), 0x12345678);
	assert_int_equal(mmio_r(&g, ecam(0, 5, 0, 0), 4), 0x11e81234);
}

static void test_accesses_across_functions_are_split(void **state)
{
	(void)state;
	/* The last bytes of 05.0 and the first of 05.1, which is not there. */
	assert_true(mmio_r(&g, ecam(0, 5, 0, 0xffc), 8) == 0xffffffff00000000);
	assert_int_equal(mmio_r(&g, ecam(0, 4, 7, 0xffe), 4), 0x1234ffff);
	assert_int_equal(mmio_r(&g, ecam(255, 31, 7, 0xffc), 4), UINT32_MAX);
}

static void test_a_bar_over_ecam_does_not_hide_it(void **state)
{
	struct tdev *u = rig_tdev(&g, "u", NULL, NULL,
				  (struct tspec){ .bar = { { PCIBAR_MEM32, false, KIB(64), 0 } } });
	(void)state;
	pcidev_cfg_write(&u->pd, 0x10, (uint32_t)ecam(0, 4, 0, 0), 4);
	pcidev_cfg_write(&u->pd, 4, 2, 2);
	assert_true(u->pd.bar[0].active);
	assert_int_equal(mmio_r(&g, ecam(0, 5, 0, 0), 4), 0x11e81234);
}

static void test_bad_windows_are_refused(void **state)
{
	struct verr err = { 0 };
	(void)state;
	assert_int_equal(hostbridge_map(hb, 0xe0000000, MIB(512), &err), -EINVAL);
	assert_int_equal(hostbridge_map(hb, 0xe0000001, MIB(256), &err), -EINVAL);
	assert_int_equal(hostbridge_map(hb, 0xe0000000, 4096, &err), -EINVAL);
}

#define T_(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T_(test_host_bridge_is_function_0),
		T_(test_config_address_is_a_dword_register),
		T_(test_disabled_address_decodes_nothing),
		T_(test_data_port_byte_enables),
		T_(test_ecam_takes_every_size_and_alignment),
		T_(test_ecam_and_ports_see_one_register),
		T_(test_accesses_across_functions_are_split),
		T_(test_a_bar_over_ecam_does_not_hide_it),
		T_(test_bad_windows_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
