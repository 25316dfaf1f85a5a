// SPDX-License-Identifier: GPL-2.0-or-later
//
// Guest memory as KVM slots: what is added is there without an exit, what is deleted traps, ROM is
// read without an exit and its writes trap; slot numbers are used again and their end is an error
// that says so.
#include "kvm_fix.h"

#include "kvm/vm.h"

static void *page(size_t n)
{
	void *p = mmap(NULL, n * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	return p;
}

static void test_added_region_is_direct_and_deleted_one_traps(void **state)
{
	struct fix f;
	(void)state;
	fix_start(&f, false);
	uint32_t *p = page(2);
	p[1] = 0x11223344;
	static const enum gmem_kind kinds[] = { GMEM_RAM, GMEM_MMIO };
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct gmem_region r = { .name = "bar",
					 .kind = kinds[i],
					 .gpa = 0xc0000000,
					 .size = 0x2000,
					 .hva = p,
					 .fd = -1 };
		assert_int_equal(gmem_add(&f.gmem, &r, NULL), 0);
		f.n_exits = 0;
		assert_int_equal(fix_do(&f, OP_RD32, 0xc0000004, 0), 0x11223344);
		fix_do(&f, OP_WR32, 0xc0001ffc, 0x55 + i);
		assert_int_equal(p[0x1ffc / 4], 0x55 + i);
		assert_int_equal(f.n_exits, 0);

		gmem_del(&r);
		f.read_answer = 0xfefefefe;
		assert_int_equal(fix_do(&f, OP_RD32, 0xc0000004, 0), 0xfefefefe);
		assert_int_equal(f.n_exits, 1);
	}
	fix_close(&f);
	munmap(p, 0x2000);
}

static void test_rom_reads_are_direct_and_writes_trap(void **state)
{
	struct fix f;
	(void)state;
	fix_start(&f, false);
	uint32_t *p = page(1);
	p[0] = 0xaa55;
	struct gmem_region r = { .name = "rom",
				 .kind = GMEM_ROM,
				 .gpa = 0xc0000000,
				 .size = 0x1000,
				 .hva = p,
				 .fd = -1 };
	assert_int_equal(gmem_add(&f.gmem, &r, NULL), 0);
	assert_int_equal(fix_do(&f, OP_RD32, 0xc0000000, 0), 0xaa55);
	assert_int_equal(f.n_exits, 0);
	fix_do(&f, OP_WR32, 0xc0000000, 1);
	assert_int_equal(p[0], 0xaa55);
	assert_int_equal(f.n_exits, 1);
	assert_int_equal(f.exits[0].kind, E_MMIO_WRITE);
	assert_int_equal(f.exits[0].addr, 0xc0000000);
	gmem_del(&r);
	fix_close(&f);
	munmap(p, 0x1000);
}

static void test_moving_a_bar_a_thousand_times_while_the_guest_runs(void **state)
{
	struct fix f;
	(void)state;
	fix_start(&f, false);
	uint32_t *p = page(1);
	struct gmem_region r = {
		.name = "bar", .kind = GMEM_MMIO, .size = 0x1000, .hva = p, .fd = -1
	};
	for (unsigned int i = 0; i < 1000; i++) {
		r.gpa = 0xc0000000 + (i & 7) * 0x100000;
		assert_int_equal(gmem_add(&f.gmem, &r, NULL), 0);
		if (i % 100 == 0) {
			p[0] = i;
			assert_int_equal(fix_do(&f, OP_RD32, (uint32_t)r.gpa, 0), i);
		}
		gmem_del(&r);
	}
	assert_int_equal(f.n_exits, 0);
	fix_close(&f);
	munmap(p, 0x1000);
}

/* A VM alone, to look at its slot numbers. */
struct bare {
	struct kvm_host host;
	struct kvm_vm vm;
	struct gmem gmem;
};

static void bare_open(struct bare *b)
{
	assert_int_equal(kvm_host_open(&b->host, KVM_CHIP_ON, NULL), 0);
	assert_int_equal(kvm_vm_open(&b->vm, &b->host, KVM_CHIP_ON, NULL), 0);
	gmem_init(&b->gmem);
}

static void bare_close(struct bare *b)
{
	kvm_vm_close(&b->vm);
	kvm_host_close(&b->host);
	gmem_fini(&b->gmem);
}

static void test_slot_numbers_are_used_again(void **state)
{
	struct bare b;
	(void)state;
	bare_open(&b);
	assert_int_equal(kvm_vm_listen(&b.vm, &b.gmem, NULL), 0);
	void *p = page(1);
	for (unsigned int i = 0; i < 200; i++) {
		struct gmem_region r = {
			.name = "r", .gpa = i * 4096, .size = 4096, .hva = p, .fd = -1
		};
		assert_int_equal(gmem_add(&b.gmem, &r, NULL), 0);
		gmem_del(&r);
	}
	assert_in_range(b.vm.n_slots, 1, 16);
	bare_close(&b);
	munmap(p, 4096);
}

static void test_running_out_of_slots_is_said_and_only_ram_fails(void **state)
{
	struct bare b;
	(void)state;
	bare_open(&b);
	b.host.cap[KVM_HAS_NR_MEMSLOTS] = 3;
	assert_int_equal(kvm_vm_listen(&b.vm, &b.gmem, NULL), 0);
	void *p = page(1);
	struct gmem_region r[5];
	struct verr err = { 0 };
	for (unsigned int i = 0; i < 5; i++)
		r[i] = (struct gmem_region){
			.name = "dimm", .gpa = i * 4096, .size = 4096, .hva = p, .fd = -1
		};
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(gmem_add(&b.gmem, &r[i], &err), 0);
	assert_int_equal(gmem_add(&b.gmem, &r[3], &err), -ENOSPC);
	assert_non_null(strstr(err.msg, "no KVM memory slot is free for dimm"));
	r[4].kind = GMEM_MMIO; /* best effort: stays trapped */
	assert_int_equal(gmem_add(&b.gmem, &r[4], NULL), 0);
	gmem_del(&r[4]);
	gmem_del(&r[1]);
	assert_int_equal(gmem_add(&b.gmem, &r[3], NULL), 0);
	gmem_del(&r[0]);
	gmem_del(&r[2]);
	gmem_del(&r[3]);
	bare_close(&b);
	munmap(p, 4096);
}

static void test_kernels_refusal_names_the_region(void **state)
{
	struct bare b;
	(void)state;
	bare_open(&b);
	assert_int_equal(kvm_vm_listen(&b.vm, &b.gmem, NULL), 0);
	struct verr err = { 0 };
	/* Beyond what user space may address: KVM says EINVAL. */
	struct gmem_region r = { .name = "high",
				 .gpa = 0,
				 .size = 4096,
				 .hva = (void *)(uintptr_t)UINT64_C(0xffff800000000000),
				 .fd = -1 };
	assert_int_equal(gmem_add(&b.gmem, &r, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "KVM_SET_USER_MEMORY_REGION for high"));
	bare_close(&b);
}

int main(void)
{
	fix_need_kvm();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_added_region_is_direct_and_deleted_one_traps),
		cmocka_unit_test(test_rom_reads_are_direct_and_writes_trap),
		cmocka_unit_test(test_moving_a_bar_a_thousand_times_while_the_guest_runs),
		cmocka_unit_test(test_slot_numbers_are_used_again),
		cmocka_unit_test(test_running_out_of_slots_is_said_and_only_ram_fails),
		cmocka_unit_test(test_kernels_refusal_names_the_region),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
