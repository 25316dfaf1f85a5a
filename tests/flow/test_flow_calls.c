// SPDX-License-Identifier: GPL-2.0-or-later
// Set-up in kernel calls: linear in the number of assigned functions, from 1 to 64, each behind a
// port of its own and in a group of its own. (Vectors: test_flow_vectors.c.)
#include "flow.h"
#include "vfio/preflight.h"

#define FUNCTIONS 64
#define WAKES	  3 /* threads meet sooner or later: a wake-up more or less in all */

static void preflight(unsigned int n)
{
	struct bdf bdfs[FUNCTIONS];
	struct preflight p;
	for (unsigned int i = 0; i < n; i++)
		bdfs[i] = (struct bdf){ .bus = (uint8_t)(0x10 + i) };
	const struct preflight_request req = {
		.bdfs = bdfs, .n_bdfs = n, .ram_bytes = MIB(4), .need_kvm = true
	};
	assert_int_equal(preflight_run(&req, &p), 0);
	assert_int_not_equal(preflight_worst(&p), VERDICT_FAIL);
	preflight_fini(&p);
}

/* Kernel calls from nothing to a running machine with n functions. */
static unsigned int calls_for(unsigned int n)
{
	struct guest_setup s = { 0 };
	char arg[FUNCTIONS][40];
	fake_reset();
	memset(&g, 0, sizeof(g));
	for (unsigned int i = 0; i < n; i++) {
		char bdf[16];
		snprintf(bdf, sizeof(bdf), "0000:%02x:00.0", 0x10 + i);
		fake_dev_add(&zoo_nvme, &(struct fake_place){ .bdf = bdf,
							      .group = 100 + (int)i,
							      .driver = "vfio-pci" });
		snprintf(arg[i], sizeof(arg[i]), "vfio-pci,host=%s", bdf);
		s.device[i] = arg[i];
	}
	fake_log_clear();
	preflight(n);
	guest_start(&g, &s);
	unsigned int calls = fake_log_count("") - fake_log_count("KVM_RUN");
	assert_int_equal(fake_containers(), 1);
	assert_int_equal(fake_groups_attached(), n);
	/* All of them are there for the guest, and work without an exit. */
	for (unsigned int i = 0; i < n; i++) {
		struct guest_fn f = guest_find(&g, zoo_nvme.vendor, zoo_nvme.device, i);
		guest_command(f, PCI_COMMAND_MEMORY, 0);
		guest_read(&g, guest_bar_addr(f, 0), 4);
		assert_int_equal(g.last, FAKE_ACCESS_DIRECT);
	}
	guest_close(&g);
	assert_true(fake_clean());
	return calls;
}

static void test_calls_are_linear_in_functions(void **state)
{
	(void)state;
	unsigned int one = calls_for(1), each = (calls_for(33) - one + 16) / 32;
	/* `each` is rounded, so up to one call a function is no finding; a call a pair would be. */
	for (unsigned int n = 4; n <= FUNCTIONS; n *= 2)
		assert_in_range(calls_for(n) + WAKES + n, one + (n - 1) * each,
				one + (n - 1) * each + 2 * (WAKES + n));
	printf("%u calls for 1 function, %u for each more, %u for %u\n", one, each,
	       one + (FUNCTIONS - 1) * each, FUNCTIONS);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_calls_are_linear_in_functions),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
