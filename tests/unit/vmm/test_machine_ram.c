// SPDX-License-Identifier: GPL-2.0-or-later
// Guest RAM: aligned for large pages whatever the kernel gives, of the kind that was asked for,
// populated when asked, and each refusal a sentence with what to do; nothing left after any.
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "tests/fake/fake_fault.h"
#include "tests/fake/fake_host.h"
#include "tests/fake/fake_sys.h"
#include "vmm/machine.h"

static struct machine_ram ram;
static struct verr err;
static struct sys_ops ops; /* the fake with one call doctored */

static int setup(void **state)
{
	(void)state;
	fake_reset();
	sys = &sys_fake;
	ops = sys_fake;
	memset(&ram, 0, sizeof(ram));
	ram.fd = -1;
	verr_clear(&err);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sys = &sys_fake;
	machine_ram_free(&ram);
	return fake_clean() ? 0 : -1;
}

static void alloc(struct ram_opts o)
{
	if (machine_ram_alloc(&ram, &o, &err) < 0)
		fail_msg("%s", err.msg);
	assert_int_equal(ram.size, o.size);
}

static void refuse(struct ram_opts o, int code, const char *says)
{
	assert_int_equal(machine_ram_alloc(&ram, &o, &err), code);
	assert_int_equal(err.code, code);
	if (!strstr(err.msg, says))
		fail_msg("\"%s\" does not say \"%s\"", err.msg, says);
	assert_null(ram.hva);
	assert_int_equal(ram.fd, -1);
	assert_int_equal(fake_leaks(stderr), 0);
}

/* --- placement -------------------------------------------------------------------------------- */

static void test_small_ram_is_aligned_to_2m(void **state)
{
	(void)state;
	for (uint64_t size = 4096; size < MIB(16); size = size * 3 & ~UINT64_C(4095)) {
		alloc((struct ram_opts){ .size = size });
		assert_int_equal((uintptr_t)ram.hva % MIB(2), 0);
		assert_int_equal(ram.fd, -1);
		((char *)ram.hva)[0] = 1;
		((char *)ram.hva)[size - 1] = 1;
		machine_ram_free(&ram);
		assert_int_equal(fake_leaks(stderr), 0);
	}
}

static void test_large_ram_is_aligned_to_1g(void **state)
{
	static const uint64_t sizes[] = { GIB(1), GIB(1) + 4096, GIB(5), GIB(64) };
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		alloc((struct ram_opts){ .size = sizes[i] });
		assert_int_equal((uintptr_t)ram.hva % GIB(1), 0);
		((char *)ram.hva)[sizes[i] - 1] = 1;
		machine_ram_free(&ram);
	}
}

static uintptr_t skew;

/* An address of the kernel's that is as unaligned as can be. */
static int skewed_mmap(void **ret, void *addr, size_t len, int prot, int flags, int fd, off_t off)
{
	if (!addr && !(flags & MAP_FIXED)) {
		void *room;
		int r = sys_fake.mmap(&room, NULL, len + MIB(4), PROT_NONE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (r < 0)
			return r;
		sys_fake.munmap(room, len + MIB(4));
		addr = (void *)(ALIGN_UP((uintptr_t)room, MIB(2)) + skew);
		flags |= MAP_FIXED_NOREPLACE;
	}
	return sys_fake.mmap(ret, addr, len, prot, flags, fd, off);
}

static void test_any_address_the_kernel_gives_will_do(void **state)
{
	(void)state;
	ops.mmap = skewed_mmap;
	sys = &ops;
	for (skew = 0; skew < MIB(2); skew += MIB(2) / 8 - 4096) {
		skew &= ~(uintptr_t)4095;
		alloc((struct ram_opts){ .size = MIB(6) });
		assert_int_equal((uintptr_t)ram.hva % MIB(2), 0);
		memset(ram.hva, 1, ram.size);
		machine_ram_free(&ram);
		assert_int_equal(fake_leaks(stderr), 0); /* head and tail were given back */
	}
}

/* --- kinds ------------------------------------------------------------------------------------ */

static void test_memory_file_when_shared(void **state)
{
	(void)state;
	alloc((struct ram_opts){ .size = MIB(4), .shared = true });
	assert_true(ram.fd >= 0);
	((char *)ram.hva)[5] = 'x';
	void *other = mmap(NULL, 4096, PROT_READ, MAP_SHARED, ram.fd, 0);
	assert_true(other != MAP_FAILED);
	assert_int_equal(((char *)other)[5], 'x');
	munmap(other, 4096);
}

static unsigned int memfd_flags;

static int recorded_memfd(const char *name, unsigned int flags)
{
	memfd_flags = flags;
	return sys_fake.memfd(name, flags & ~(MFD_HUGETLB | 63u << 26));
}

static void test_huge_pages_are_2m_and_populated_at_once(void **state)
{
	(void)state;
	ops.memfd = recorded_memfd;
	sys = &ops;
	alloc((struct ram_opts){ .size = MIB(4), .hugepages = true });
	assert_int_equal(memfd_flags & MFD_HUGETLB, MFD_HUGETLB);
	assert_int_equal(memfd_flags >> 26 & 63, 21);
	unsigned char in[1024];
	assert_int_equal(mincore(ram.hva, MIB(4), in), 0);
	for (size_t i = 0; i < sizeof(in); i++)
		assert_int_equal(in[i] & 1, 1);
}

static void test_prefault_touches_every_page(void **state)
{
	unsigned char in[MIB(9) / 4096 + 1];
	(void)state;
	alloc((struct ram_opts){ .size = MIB(9), .prefault = true });
	assert_int_equal(mincore(ram.hva, MIB(9), in), 0);
	for (size_t i = 0; i < MIB(9) / 4096; i++)
		if (!(in[i] & 1))
			fail_msg("page %zu is not there", i);
}

static void test_without_prefault_nothing_is_touched(void **state)
{
	unsigned char in[MIB(4) / 4096];
	(void)state;
	alloc((struct ram_opts){ .size = MIB(4) });
	assert_int_equal(mincore(ram.hva, MIB(4), in), 0);
	for (size_t i = 0; i < sizeof(in); i++)
		assert_int_equal(in[i] & 1, 0);
}

static pthread_mutex_t count_lock = PTHREAD_MUTEX_INITIALIZER;
static uint64_t populated;
static int populate_result;

static int counted_madvise(void *addr, size_t len, int advice)
{
	if (advice != 23) /* MADV_POPULATE_WRITE */
		return sys_fake.madvise(addr, len, advice);
	pthread_mutex_lock(&count_lock);
	populated += len;
	pthread_mutex_unlock(&count_lock);
	return populate_result;
}

static void test_threads_share_the_work_without_overlap(void **state)
{
	static const uint64_t sizes[] = { 4096, MIB(2), MIB(2) + 4096, MIB(7), GIB(3), GIB(200) };
	(void)state;
	ops.madvise = counted_madvise;
	sys = &ops;
	populate_result = 0;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		populated = 0;
		alloc((struct ram_opts){ .size = sizes[i], .prefault = true });
		assert_true(populated == sizes[i]);
		machine_ram_free(&ram);
	}
}

static void test_kernel_without_the_advice_still_gives_memory(void **state)
{
	(void)state;
	ops.madvise = counted_madvise;
	sys = &ops;
	populate_result = -EINVAL;
	alloc((struct ram_opts){ .size = MIB(4), .prefault = true });
	((char *)ram.hva)[0] = 1;
}

static void test_no_transparent_huge_pages_is_no_failure(void **state)
{
	(void)state;
	fake_fault_add(
		&(struct fake_fault){ .calls = BIT32(FAKE_CALL_MADVISE), .nth = 1, .err = EINVAL });
	alloc((struct ram_opts){ .size = MIB(4) });
	assert_true(fake_fault_hits() > 0);
}

/* --- refusals --------------------------------------------------------------------------------- */

static void test_odd_size_for_huge_pages(void **state)
{
	(void)state;
	refuse((struct ram_opts){ .size = MIB(3), .hugepages = true }, -EINVAL,
	       "--memory must be a multiple of 2 MiB");
}

static void test_short_pool_of_huge_pages(void **state)
{
	(void)state;
	ops.memfd = recorded_memfd;
	ops.madvise = counted_madvise;
	sys = &ops;
	populate_result = -ENOMEM;
	refuse((struct ram_opts){ .size = MIB(64), .hugepages = true }, -ENOMEM,
	       "not enough huge pages for 64 MiB of guest RAM: 32 of 2 MiB are needed; raise "
	       "/proc/sys/vm/nr_hugepages, or the hugetlb limit of the control group");
}

/* As Linux does it: the pages are set aside by mmap(), which fails; nothing is touched, so there
 * is nothing to die of. */
static void test_short_pool_is_refused_by_mmap(void **state)
{
	(void)state;
	ops.memfd = recorded_memfd;
	sys = &ops;
	fake_file_set("/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages", "7\n");
	fake_fault_add(&(struct fake_fault){
		.calls = BIT32(FAKE_CALL_MMAP), .nth = 2, .times = 1, .err = ENOMEM });
	refuse((struct ram_opts){ .size = MIB(64), .hugepages = true }, -ENOMEM,
	       "32 of 2 MiB are needed and 7 are free; raise /proc/sys/vm/nr_hugepages");
}

/* This machine's own kernel, asked for more than anybody has. */
static void test_short_pool_of_a_real_kernel(void **state)
{
	(void)state;
	int fd = sys_linux.memfd("probe", MFD_HUGETLB | 21U << 26);
	if (fd < 0) {
		print_message("no 2 MiB hugetlb pages here: %s\n", strerror(-fd));
		skip();
	}
	sys_linux.close(fd);
	sys = &sys_linux;
	const struct ram_opts o = { .size = GIB(512), .hugepages = true };
	assert_int_equal(machine_ram_alloc(&ram, &o, &err), -ENOMEM);
	assert_non_null(strstr(err.msg, "not enough huge pages for 524288 MiB of guest RAM"));
	assert_null(ram.hva);
}

static void test_no_huge_pages_in_the_kernel(void **state)
{
	(void)state;
	fake_fault_add(
		&(struct fake_fault){ .calls = BIT32(FAKE_CALL_MEMFD), .nth = 1, .err = EINVAL });
	refuse((struct ram_opts){ .size = MIB(64), .hugepages = true }, -EINVAL, "memory file");
}

static void test_not_enough_memory_to_populate(void **state)
{
	(void)state;
	ops.madvise = counted_madvise;
	sys = &ops;
	populate_result = -ENOMEM;
	refuse((struct ram_opts){ .size = MIB(64), .prefault = true }, -ENOMEM,
	       "can't populate 64 MiB of guest RAM");
	assert_non_null(strstr(err.msg, "smaller --memory"));
}

static void test_no_address_space(void **state)
{
	(void)state;
	fake_fault_add(
		&(struct fake_fault){ .calls = BIT32(FAKE_CALL_MMAP), .nth = 1, .err = ENOMEM });
	refuse((struct ram_opts){ .size = MIB(64) }, -ENOMEM, "can't map 64 MiB of guest RAM");
}

static void test_file_that_does_not_grow(void **state)
{
	(void)state;
	fake_fault_add(&(struct fake_fault){
		.calls = BIT32(FAKE_CALL_FTRUNCATE), .nth = 1, .err = EFBIG });
	refuse((struct ram_opts){ .size = MIB(64), .shared = true }, -EFBIG, "64 MiB");
}

static int life(void *opaque, struct verr *e)
{
	int r = machine_ram_alloc(&ram, opaque, e);
	machine_ram_free(&ram);
	return r;
}

static void test_every_failure_leaves_nothing(void **state)
{
	struct ram_opts kinds[] = {
		{ .size = MIB(4) },
		{ .size = MIB(4), .prefault = true },
		{ .size = MIB(4), .shared = true, .prefault = true },
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const struct fake_sweep s = { .name = "RAM", .run = life, .opaque = &kinds[i] };
		assert_int_equal(fault_sweep(&s, NULL), 0);
	}
}

static void test_freeing_twice_is_freeing_once(void **state)
{
	(void)state;
	alloc((struct ram_opts){ .size = MIB(4), .shared = true });
	machine_ram_free(&ram);
	machine_ram_free(&ram);
	assert_null(ram.hva);
}

#define T_(f)                                                                                      \
	{                                                                                          \
#f, f, setup, teardown, NULL                                                       \
	}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		T_(test_small_ram_is_aligned_to_2m),
		T_(test_large_ram_is_aligned_to_1g),
		T_(test_any_address_the_kernel_gives_will_do),
		T_(test_memory_file_when_shared),
		T_(test_huge_pages_are_2m_and_populated_at_once),
		T_(test_prefault_touches_every_page),
		T_(test_without_prefault_nothing_is_touched),
		T_(test_threads_share_the_work_without_overlap),
		T_(test_kernel_without_the_advice_still_gives_memory),
		T_(test_no_transparent_huge_pages_is_no_failure),
		T_(test_odd_size_for_huge_pages),
		T_(test_short_pool_of_huge_pages),
		T_(test_short_pool_is_refused_by_mmap),
		T_(test_short_pool_of_a_real_kernel),
		T_(test_no_huge_pages_in_the_kernel),
		T_(test_not_enough_memory_to_populate),
		T_(test_no_address_space),
		T_(test_file_that_does_not_grow),
		T_(test_every_failure_leaves_nothing),
		T_(test_freeing_twice_is_freeing_once),
	};
	sys = &sys_fake;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
