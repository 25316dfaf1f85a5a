// SPDX-License-Identifier: GPL-2.0-or-later
//
// Exits of a real guest: port and memory accesses of every size reach vmexit_ops as they are,
// the guest's end is reported with its reason, a vanished page asks the machine first.
#include "kvm_fix.h"

static void test_port_accesses_of_every_size(void **state)
{
	struct fix f;
	(void)state;
	fix_start(&f, false);
	static const struct {
		enum op out, in;
		unsigned int len;
		uint32_t val;
	} cases[] = {
		{ OP_OUT8, OP_IN8, 1, 0xa5 },
		{ OP_OUT16, OP_IN16, 2, 0xbeef },
		{ OP_OUT32, OP_IN32, 4, 0xdeadbeef },
	};
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		f.n_exits = 0;
		fix_do(&f, cases[i].out, 0x3f8 + i,
		       0xdeadbeef & (cases[i].val | 0xffff0000) ? cases[i].val : 0);
		assert_int_equal(f.n_exits, 1);
		assert_int_equal(f.exits[0].kind, E_PIO_WRITE);
		assert_int_equal(f.exits[0].addr, 0x3f8 + i);
		assert_int_equal(f.exits[0].len, cases[i].len);
		assert_int_equal(f.exits[0].data, cases[i].val);
		f.read_answer = cases[i].val;
		assert_int_equal(fix_do(&f, cases[i].in, 0x2f8, 0), cases[i].val);
		assert_int_equal(f.exits[1].kind, E_PIO_READ);
		assert_int_equal(f.exits[1].len, cases[i].len);
	}
	fix_close(&f);
}

static void test_string_io_comes_byte_by_byte_in_order(void **state)
{
	struct fix f;
	(void)state;
	fix_start(&f, false);
	enum { N = 300 };
	for (unsigned int i = 0; i < N; i++)
		f.mem[G_STRING + i] = (uint8_t)(i * 7);
	fix_do(&f, OP_OUTSB, 0x80, N);
	assert_int_equal(f.n_exits, N);
	for (unsigned int i = 0; i < N; i++) {
		assert_int_equal(f.exits[i].addr, 0x80);
		assert_int_equal(f.exits[i].len, 1);
		assert_int_equal(f.exits[i].data, (uint8_t)(i * 7));
	}
	f.n_exits = 0;
	f.read_answer = 1;
	f.read_count = true;
	memset(f.mem + G_STRING, 0, N + 1);
	fix_do(&f, OP_INSB, 0x81, N);
	/* KVM may read ahead, but never asks for less than the guest takes. */
	assert_true(f.n_exits >= N);
	for (unsigned int i = 0; i < N; i++)
		assert_int_equal(f.mem[G_STRING + i], (uint8_t)(i + 1));
	assert_int_equal(f.mem[G_STRING + N], 0);
	fix_close(&f);
}

static void test_memory_accesses_of_every_size(void **state)
{
	struct fix f;
	(void)state;
	fix_start(&f, false);
	const uint64_t val = UINT64_C(0x8877665544332211);
	static const struct {
		enum op wr, rd;
		unsigned int len;
	} cases[] = {
		{ OP_WR8, OP_RD8, 1 },
		{ OP_WR16, OP_RD16, 2 },
		{ OP_WR32, OP_RD32, 4 },
		{ OP_WR64, OP_RD64, 8 },
	};
	for (unsigned int i = 0; i < ARRAY_SIZE(cases); i++) {
		uint64_t cut = cases[i].len == 8 ? val : val & (BIT64(cases[i].len * 8) - 1);
		f.n_exits = 0;
		fix_do(&f, cases[i].wr, 0xd0000010, val);
		assert_int_equal(f.n_exits, 1);
		assert_int_equal(f.exits[0].kind, E_MMIO_WRITE);
		assert_int_equal(f.exits[0].addr, 0xd0000010);
		assert_int_equal(f.exits[0].len, cases[i].len);
		assert_true(f.exits[0].data == cut);
		f.read_answer = cut;
		assert_true(fix_do(&f, cases[i].rd, 0xd0000018, 0) == cut);
		assert_int_equal(f.n_exits, 2);
		assert_int_equal(f.exits[1].kind, E_MMIO_READ);
		assert_int_equal(f.exits[1].len, cases[i].len);
	}
	fix_close(&f);
}

/* ud2 with an empty IDT; and a jump to where there is no memory. */
__asm__(".pushsection .rodata\n"
	".globl g_triple, g_triple_end, g_jump, g_jump_end\n"
	"g_triple: pushq $0; pushq $0; lidt (%rsp); ud2\n"
	"g_triple_end:\n"
	"g_jump: mov $0xd0000000, %eax; jmp *%rax\n"
	"g_jump_end:\n"
	".popsection\n");
extern const uint8_t g_triple[], g_triple_end[], g_jump[], g_jump_end[];

static void test_triple_fault_is_reported_once_and_reset_revives(void **state)
{
	struct fix f;
	(void)state;
	for (int split = 0; split < 2; split++) {
		fix_open(&f, split, 1);
		fix_put(&f, G_CODE + 0x1000, g_triple, g_triple_end);
		fix_boot64(&f, G_CODE + 0x1000);
		fix_run(&f);
		assert_true(fix_wait_stopped(&f));
		assert_int_equal(f.reason, VM_STOP_SHUTDOWN);
		assert_non_null(strstr(f.why, "vCPU 0: triple fault"));
		assert_non_null(strstr(f.why, "rip 0x"));
		/* Parked until reset: pause and run change nothing. */
		f.a->ops->pause(f.a);
		fix_run(&f);
		fix_settle();
		assert_int_equal(f.n_stopped, 1);

		f.a->ops->pause(f.a);
		struct verr err = { 0 };
		if (f.a->ops->reset(f.a, &err) < 0)
			fail_msg("reset: %s", err.msg);
		f.stopped = false;
		fix_boot64(&f, G_CODE);
		fix_run(&f);
		fix_do(&f, OP_OUT8, 0x80, 0x42);
		assert_int_equal(f.exits[f.n_exits - 1].data, 0x42);
		fix_close(&f);
	}
}

static void test_code_outside_memory_ends_with_an_explanation(void **state)
{
	struct fix f;
	(void)state;
	fix_open(&f, false, 1);
	fix_put(&f, G_CODE + 0x1000, g_jump, g_jump_end);
	fix_boot64(&f, G_CODE + 0x1000);
	fix_run(&f);
	assert_true(fix_wait_stopped(&f));
	assert_int_equal(f.reason, VM_STOP_INTERNAL_ERROR);
	if (!strstr(f.why, "rip 0xd0000000"))
		fail_msg("%s", f.why);
	assert_non_null(strstr(f.why, "KVM gave up"));
	fix_close(&f);
}

static struct gmem_region vanishing;
static bool drop_vanishing(struct fix *f)
{
	(void)f;
	bool there = vanishing.gmem != NULL;
	gmem_del(&vanishing);
	return there;
}

/* A page that the kernel can't fault in any more, as a BAR of a device that is gone. */
static void vanish(struct fix *f, bool dropped)
{
	void *p = mmap(NULL, 0x2000, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(p != MAP_FAILED);
	vanishing = (struct gmem_region){ .name = "bar",
					  .kind = GMEM_MMIO,
					  .gpa = 0xd0000000,
					  .size = 0x2000,
					  .hva = p,
					  .fd = -1 };
	assert_int_equal(gmem_add(&f->gmem, &vanishing, NULL), 0);
	fix_do(f, OP_WR32, 0xd0000000, 0x11);
	assert_int_equal(f->n_exits, 0);
	assert_int_equal(mprotect(p, 0x2000, PROT_NONE), 0);
	f->on_fault = dropped ? drop_vanishing : NULL;
	f->read_answer = 0xffffffff;
}

/* Where KVM emulates every instruction, it turns such an access into an exit by itself. */
static void emulated(void)
{
	print_message("skipped: this KVM emulates the guest: KVM_RUN never returns EFAULT\n");
	skip();
}

static void test_vanished_page_becomes_a_trapped_access(void **state)
{
	struct fix f;
	(void)state;
	fix_start(&f, false);
	vanish(&f, true);
	assert_int_equal(fix_do(&f, OP_RD32, 0xd0000000, 0), 0xffffffff);
	assert_int_equal(f.n_exits, 1);
	unsigned int n_faults = f.n_faults;
	gmem_del(&vanishing);
	fix_close(&f);
	munmap(vanishing.hva, 0x2000);
	if (n_faults == 0)
		emulated();
	assert_int_equal(n_faults, 1);
}

static void test_vanished_page_nobody_owns_ends_the_guest(void **state)
{
	struct fix f;
	(void)state;
	fix_start(&f, false);
	vanish(&f, false);
	pthread_mutex_lock(&f.lock);
	f.op_addr = 0xd0000000;
	f.op = OP_RD32;
	f.op_taken = false;
	f.op_done = false;
	struct timespec until = fix_deadline_ms(SECONDS * 1000);
	int r = 0;
	while (!f.op_done && !f.stopped && r == 0)
		r = pthread_cond_timedwait(&f.cond, &f.lock, &until);
	pthread_mutex_unlock(&f.lock);
	assert_int_equal(r, 0);
	f.a->ops->pause(f.a);
	gmem_del(&vanishing);
	munmap(vanishing.hva, 0x2000);
	bool stopped = f.stopped;
	fix_close(&f);
	if (!stopped && f.n_faults == 0)
		emulated();
	assert_true(stopped);
	assert_int_equal(f.reason, VM_STOP_INTERNAL_ERROR);
	assert_non_null(strstr(f.why, "memory behind a guest address"));
	assert_int_equal(f.n_faults, 2);
}

int main(void)
{
	fix_need_kvm();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_port_accesses_of_every_size),
		cmocka_unit_test(test_string_io_comes_byte_by_byte_in_order),
		cmocka_unit_test(test_memory_accesses_of_every_size),
		cmocka_unit_test(test_triple_fault_is_reported_once_and_reset_revives),
		cmocka_unit_test(test_code_outside_memory_ends_with_an_explanation),
		cmocka_unit_test(test_vanished_page_becomes_a_trapped_access),
		cmocka_unit_test(test_vanished_page_nobody_owns_ends_the_guest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
