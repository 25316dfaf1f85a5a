// SPDX-License-Identifier: GPL-2.0-or-later
//
// vfio/irqset: each call's request, byte for byte, and the bounds that keep others from the
// kernel. A table of its own stands in for the kernel and keeps the last request.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include <linux/vfio.h>

#include "core/sys.h"
#include "vfio/device.h"

static struct {
	unsigned int calls;
	int answer;
	int32_t fds[2048];
	struct vfio_irq_set head; /* ends in an array without a size: last */
} k;

static int keeping_ioctl(int fd, unsigned long request, void *arg)
{
	const struct vfio_irq_set *set = arg;

	assert_int_equal(fd, 42);
	assert_int_equal(request, VFIO_DEVICE_SET_IRQS);
	assert_true(set->argsz >= sizeof(*set));
	k.calls++;
	k.head = *set;
	memset(k.fds, 0x11, sizeof(k.fds));
	assert_true(set->argsz - sizeof(*set) <= sizeof(k.fds));
	memcpy(k.fds, set->data, set->argsz - sizeof(*set));
	return k.answer;
}

static struct vfio_device device(void)
{
	memset(&k, 0, sizeof(k));
	return (struct vfio_device){
		.fd = 42,
		.name = "0000:03:00.0",
		.irq = { { 1, 7 }, { 32, 9 }, { 2048, 9 }, { 0, 0 }, { 1, 9 } },
	};
}

#define TRIGGER VFIO_IRQ_SET_ACTION_TRIGGER
#define EVENTFD VFIO_IRQ_SET_DATA_EVENTFD
#define NONE	VFIO_IRQ_SET_DATA_NONE

static void assert_request(uint32_t flags, uint32_t index, uint32_t start, uint32_t count,
			   size_t n_fds)
{
	assert_int_equal(k.calls, 1);
	assert_int_equal(k.head.flags, flags);
	assert_int_equal(k.head.index, index);
	assert_int_equal(k.head.start, start);
	assert_int_equal(k.head.count, count);
	assert_int_equal(k.head.argsz, sizeof(struct vfio_irq_set) + n_fds * sizeof(int32_t));
}

static void test_triggers_carry_one_fd_a_vector(void **state)
{
	(void)state;
	struct vfio_device d = device();
	const int fds[] = { 10, -1, 12 };

	assert_int_equal(vfio_irqs_set(&d, VFIO_PCI_MSIX_IRQ_INDEX, 5, fds, 3), 0);
	assert_request(EVENTFD | TRIGGER, 2, 5, 3, 3);
	assert_memory_equal(k.fds, fds, sizeof(fds));
}

static void test_all_2048_vectors_in_one_request(void **state)
{
	(void)state;
	struct vfio_device d = device();
	int *fds = malloc(2048 * sizeof(*fds));

	for (int i = 0; i < 2048; i++)
		fds[i] = i + 100;
	assert_int_equal(vfio_irqs_set(&d, VFIO_PCI_MSIX_IRQ_INDEX, 0, fds, 2048), 0);
	assert_request(EVENTFD | TRIGGER, 2, 0, 2048, 2048);
	assert_memory_equal(k.fds, fds, 2048 * sizeof(*fds));
	free(fds);
}

static void test_what_is_not_in_the_index_never_reaches_the_kernel(void **state)
{
	(void)state;
	struct vfio_device d = device();
	int *fds = calloc(4096, sizeof(*fds));
	static const struct {
		unsigned int index, start, n;
	} bad[] = {
		{ 2, 0, 2049 },	      { 2, 2047, 2 },	    { 2, 2048, 1 },
		{ 2, UINT32_MAX, 1 }, { 2, UINT32_MAX, 2 }, { 2, 1, UINT32_MAX },
		{ 2, 0, UINT32_MAX }, { 2, 0, 0 },	    { 1, 0, 33 },
		{ 1, 32, 1 },	      { 0, 1, 1 },	    { 3, 0, 1 },
		{ 5, 0, 1 },	      { UINT32_MAX, 0, 1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		if (vfio_irqs_set(&d, bad[i].index, bad[i].start, fds, bad[i].n) != -EINVAL)
			fail_msg("case %zu was let through", i);
	/* A count no kernel should give does not open the way to a longer request. */
	d.irq[2].count = UINT32_MAX;
	assert_int_equal(vfio_irqs_set(&d, 2, 0, fds, 2049), -EINVAL);
	assert_int_equal(vfio_irqs_set(&d, 2, 0, NULL, 1), -EINVAL);
	assert_int_equal(k.calls, 0);
	free(fds);
}

static void test_kernels_offer_of_fewer_vectors_comes_back(void **state)
{
	(void)state;
	struct vfio_device d = device();
	const int fds[] = { 1, 2, 3, 4 };

	k.answer = 2;
	assert_int_equal(vfio_irqs_set(&d, VFIO_PCI_MSI_IRQ_INDEX, 0, fds, 4), 2);
	k.answer = -ENOSPC;
	assert_int_equal(vfio_irqs_set(&d, VFIO_PCI_MSI_IRQ_INDEX, 0, fds, 4), -ENOSPC);
}

static void test_disable_is_count_zero_without_data(void **state)
{
	(void)state;
	struct vfio_device d = device();

	assert_int_equal(vfio_irqs_disable(&d, VFIO_PCI_MSIX_IRQ_INDEX), 0);
	assert_request(NONE | TRIGGER, 2, 0, 0, 0);
}

static void test_disabling_an_absent_index_is_nothing_to_do(void **state)
{
	(void)state;
	struct vfio_device d = device();

	assert_int_equal(vfio_irqs_disable(&d, VFIO_PCI_ERR_IRQ_INDEX), 0);
	assert_int_equal(k.calls, 0);
	assert_int_equal(vfio_irqs_disable(&d, 5), -EINVAL);
}

static void test_intx_mask_and_unmask(void **state)
{
	(void)state;
	struct vfio_device d = device();

	assert_int_equal(vfio_intx_mask(&d, true), 0);
	assert_request(NONE | VFIO_IRQ_SET_ACTION_MASK, 0, 0, 1, 0);
	k.calls = 0;
	assert_int_equal(vfio_intx_mask(&d, false), 0);
	assert_request(NONE | VFIO_IRQ_SET_ACTION_UNMASK, 0, 0, 1, 0);
}

static void test_intx_unmask_by_eventfd(void **state)
{
	(void)state;
	struct vfio_device d = device();

	assert_int_equal(vfio_intx_unmask_fd(&d, 33), 0);
	assert_request(EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 0, 0, 1, 1);
	assert_int_equal(k.fds[0], 33);
	k.calls = 0;
	assert_int_equal(vfio_intx_unmask_fd(&d, -1), 0);
	assert_request(EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 0, 0, 1, 1);
	assert_int_equal(k.fds[0], -1);
}

static void test_a_function_without_intx_has_none_to_mask(void **state)
{
	(void)state;
	struct vfio_device d = device();

	d.irq[VFIO_PCI_INTX_IRQ_INDEX].count = 0;
	assert_int_equal(vfio_intx_mask(&d, true), -EINVAL);
	assert_int_equal(vfio_intx_unmask_fd(&d, 33), -EINVAL);
	assert_int_equal(k.calls, 0);
}

int main(void)
{
	static struct sys_ops ops;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_triggers_carry_one_fd_a_vector),
		cmocka_unit_test(test_all_2048_vectors_in_one_request),
		cmocka_unit_test(test_what_is_not_in_the_index_never_reaches_the_kernel),
		cmocka_unit_test(test_kernels_offer_of_fewer_vectors_comes_back),
		cmocka_unit_test(test_disable_is_count_zero_without_data),
		cmocka_unit_test(test_disabling_an_absent_index_is_nothing_to_do),
		cmocka_unit_test(test_intx_mask_and_unmask),
		cmocka_unit_test(test_intx_unmask_by_eventfd),
		cmocka_unit_test(test_a_function_without_intx_has_none_to_mask),
	};

	ops = sys_linux;
	ops.ioctl = keeping_ioctl;
	sys = &ops;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
