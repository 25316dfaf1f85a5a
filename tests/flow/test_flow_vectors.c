// SPDX-License-Identifier: GPL-2.0-or-later
// Vectors in numbers: kernel calls that grow with them and not faster, and what happens when the
// kernel's routes come to their end.
// The vCPU is a thread (pthread_create in kvm/vcpu.c), so these run under TSan, too.
#include <unistd.h>

#include <linux/kvm.h>

#include "core/log.h"
#include "flow.h"

#define VECTORS 2048

/* Kernel calls since fake_log_clear(), but for those that played the guest: its accesses, and what
 * it read of config space to find its capability. */
static unsigned int calls(void)
{
	return fake_log_count("") - fake_log_count("KVM_RUN") - fake_log_count("pread vfio-device");
}

static void live(unsigned int vec)
{
	guest_msix_vector(fn, vec, MSI_ADDR, vec, false);
}

/* Calls of n vectors that come one by one, or (batch) at once. */
static unsigned int calls_for(unsigned int n, bool batch)
{
	fake_reset();
	flow_start(&zoo_2048);
	flow_enable();
	fake_log_clear();
	guest_msix(fn, true, batch);
	for (unsigned int i = 0; i < n; i++)
		live(i);
	if (batch)
		guest_msix(fn, true, false);
	unsigned int r = calls();
	assert_int_equal(fake_dev_irqs_armed(hw), n);
	assert_int_equal(fake_dev_fire(hw, n - 1), FAKE_FIRE_SENT);
	assert_int_equal(fake_kvm_msis(), 1);
	guest_close(&g);
	assert_true(fake_clean());
	return r;
}

static void test_calls_are_linear_in_vectors(void **state)
{
	(void)state;
	for (unsigned int batch = 0; batch < 2; batch++) {
		unsigned int one = calls_for(1, batch), each = calls_for(2, batch) - one;
		/* eventfd, irqfd; by itself also the table of routes and the hardware end */
		assert_int_equal(each, batch ? 2 : 4);
		for (unsigned int n = 4; n <= VECTORS; n *= 2)
			assert_int_equal(calls_for(n, batch), one + (n - 1) * each);
		printf("%s: %u calls for 1 vector, %u for %u\n", batch ? "at once" : "one by one",
		       one, one + (VECTORS - 1) * each, VECTORS);
	}
}

/* Masking and unmasking is an irqfd's going and coming; no route, nothing of VFIO's. */
static void test_calls_of_a_mask(void **state)
{
	(void)state;
	flow_start(&zoo_2048);
	flow_enable();
	guest_msix(fn, true, false);
	live(77);
	fake_log_clear();
	for (unsigned int i = 0; i < 10; i++) {
		guest_msix_mask(fn, 77, true);
		guest_msix_mask(fn, 77, false);
	}
	assert_int_equal(calls(), 20);
	assert_int_equal(fake_log_count("KVM_IRQFD"), 20);
}

/* Two functions want more routes than KVM has: the last vectors are silent, the others work, and
 * what one gives back the other gets. */
static void test_end_of_routes(void **state)
{
	char path[64], spec[80], line[512] = "";
	struct fake_dev *other;
	(void)state;
	snprintf(path, sizeof(path), "/tmp/test_flow_vectors.%ld", (long)getpid());
	snprintf(spec, sizeof(spec), "warn,file=%s", path);
	remove(path);
	assert_int_equal(log_configure(spec, NULL), 0);
	other = fake_dev_add(
		&zoo_2048,
		&(struct fake_place){ .bdf = "0000:04:00.0", .group = 20, .driver = "vfio-pci" });
	const struct guest_setup s = { .device = { [1] = "vfio-pci,host=0000:04:00.0,bus=pci.0" } };
	flow_start_with(&zoo_2048, "", &s);
	struct guest_fn fn2 = guest_find(&g, zoo_2048.vendor, zoo_2048.device, 1);
	flow_enable();
	guest_command(fn2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER, 0);
	for (unsigned int k = 0; k < 2; k++) {
		struct guest_fn f = k ? fn2 : fn;
		guest_msix(f, true, true);
		for (unsigned int i = 0; i < VECTORS; i++)
			guest_msix_vector(f, i, MSI_ADDR, k << 12 | i, false);
		guest_msix(f, true, false);
	}
	log_configure("warn", NULL);
	/* 24 IOAPIC pins and 16 of the PICs are routes, too. */
	assert_int_equal(fake_kvm_routes(), 4096);
	assert_int_equal(fake_dev_irqs_armed(hw) + fake_dev_irqs_armed(other), 4096 - 40);
	struct fake_dev *first = fake_dev_irqs_armed(hw) == VECTORS ? hw : other;
	struct fake_dev *last = first == hw ? other : hw;
	struct guest_fn given = first == hw ? fn : fn2, short_of = first == hw ? fn2 : fn;
	assert_int_equal(fake_dev_fire(first, VECTORS - 1), FAKE_FIRE_SENT);
	assert_int_equal(fake_dev_fire(last, VECTORS - 41), FAKE_FIRE_SENT);
	assert_int_equal(fake_dev_fire(last, VECTORS - 40), FAKE_FIRE_NOBODY);
	assert_int_equal(fake_kvm_msis(), 2);
	guest_msix(given, false, false);
	guest_msix_mask(short_of, VECTORS - 1, true);
	guest_msix_mask(short_of, VECTORS - 1, false);
	assert_int_equal(fake_dev_fire(last, VECTORS - 1), FAKE_FIRE_SENT);
	assert_int_equal(fake_kvm_msis(), 3);

	FILE *f = fopen(path, "r");
	assert_non_null(f);
	unsigned int early = 0, out = 0;
	while (fgets(line, sizeof(line), f)) {
		early += strstr(line, "3072 of 4096 interrupt routes are in use") != NULL;
		out += strstr(line, "all interrupt routes are in use") != NULL;
	}
	fclose(f);
	remove(path);
	assert_int_equal(early, 1);
	assert_in_range(out, 1, 40); /* rate limited */
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		FLOW_TEST(test_calls_are_linear_in_vectors),
		FLOW_TEST(test_calls_of_a_mask),
		FLOW_TEST(test_end_of_routes),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
