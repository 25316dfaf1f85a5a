// SPDX-License-Identifier: GPL-2.0-or-later
//
// What a guest finds at its first instruction, in both boot modes and irqchip modes; the second
// processor by INIT and SIPI; the same again after a reset, whatever the guest did before.
#include "kvm_fix.h"

#include "core/uapi.h"

/* Each reports by 32-bit OUTs to port 0x600. */
__asm__(".pushsection .rodata\n"
	".globl g_long64, g_pvh32, g_pvh32_end, g_ap16, g_ap16_end, g_smp, g_smp_end\n"
	".globl g_cpuid, g_cpuid_end, g_dirty, g_dirty_end\n"
	"g_long64:\n"
	"	mov $0x600, %edx\n"
	"	mov %esi, %eax; out %eax, %dx\n"
	"	mov %esp, %eax; out %eax, %dx\n"
	"	xor %eax, %eax; mov %cs, %ax; out %eax, %dx\n"
	"	mov %ss, %ax; out %eax, %dx\n"
	"	mov %ds, %ax; out %eax, %dx\n"
	"	pushfq; pop %rax; out %eax, %dx\n"
	"	mov %cr0, %rax; out %eax, %dx\n"
	"	mov %cr3, %rax; out %eax, %dx\n"
	"	mov %cr4, %rax; out %eax, %dx\n"
	"	mov $0xc0000080, %ecx; rdmsr; mov $0x600, %edx; out %eax, %dx\n" /* EFER */
	"	mov $0x2ff, %ecx; rdmsr; mov $0x600, %edx; out %eax, %dx\n"	 /* MTRRdefType */
	"	mov $0x10, %eax; mov %ax, %fs; mov $0x18, %eax; mov %ax, %ds\n" /* the GDT is there */
	"	mov $0xd00d, %eax; out %eax, %dx\n"
	"1:	hlt; jmp 1b\n"
	".code32\n"
	"g_pvh32:\n"
	"	mov $0x600, %edx\n"
	"	mov %ebx, %eax; out %eax, %dx\n"
	"	mov %cr0, %eax; out %eax, %dx\n"
	"	mov %cr4, %eax; out %eax, %dx\n"
	"	mov $0x20000, %esp; pushfl; pop %eax; out %eax, %dx\n"
	"	movl $0x1234, 0x30000; movl 0x30000, %eax; out %eax, %dx\n" /* flat data */
	"	mov $0xc0000080, %ecx; rdmsr; mov $0x600, %edx; out %eax, %dx\n"
	"	mov $0x18, %eax; mov %ax, %ds; mov %ax, %es\n" /* the GDT is there */
	"	movl 0x30000, %eax; out %eax, %dx\n"
	"2:	hlt; jmp 2b\n"
	"g_pvh32_end:\n"
	".code16\n"
	"g_ap16:\n" /* at a page below 1 MiB; CS = page >> 4 */
	"	mov %cs, %ax; mov $0x600, %dx; out %eax, %dx\n"
	"	mov $0xb, %eax; xor %ecx, %ecx; cpuid\n"
	"	mov %edx, %eax; mov $0x604, %dx; out %eax, %dx\n" /* its x2APIC id */
	"3:	hlt; jmp 3b\n"
	"g_ap16_end:\n"
	".code64\n"
	"g_smp:\n" /* edi: SIPI vector. INIT, SIPI to all but self */
	"	mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr\n"
	"	mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr\n"
	"	mov $0x830, %ecx; mov $0xc4500, %eax; wrmsr\n"
	"	mov $0xc4609, %eax; wrmsr\n" /* vector 9: page 0x9000 */
	"4:	hlt; jmp 4b\n"
	"g_smp_end:\n"
	"g_cpuid:\n" /* called: rsi leaf and subleaf << 32; leaves registers at 0x31000 */
	"	push %rbx\n"
	"	mov %esi, %eax; mov %rsi, %rcx; shr $32, %rcx; cpuid\n"
	"	mov %eax, 0x31000; mov %ebx, 0x31004; mov %ecx, 0x31008; mov %edx, 0x3100c\n"
	"	pop %rbx; ret\n"
	"g_cpuid_end:\n"
	"g_dirty:\n" /* makes a mess of what a reset must undo, then reports */
	"	mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr\n"
	"	mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr\n"
	"	mov $0xc0000082, %ecx; mov $0x11112222, %eax; xor %edx, %edx; wrmsr\n" /* LSTAR */
	"	mov $0x174, %ecx; mov $0x5555, %eax; wrmsr\n" /* SYSENTER_CS */
	"	mov $0x31000, %eax; mov %rax, %dr0\n"
	"	mov $0x600, %edx; mov $0xbad, %eax; out %eax, %dx\n"
	"5:	hlt; jmp 5b\n"
	"g_dirty_end:\n"
	".popsection\n");
extern const uint8_t g_long64[], g_pvh32[], g_pvh32_end[], g_ap16[], g_ap16_end[], g_smp[],
	g_smp_end[], g_cpuid[], g_cpuid_end[], g_dirty[], g_dirty_end[];

enum { ENTRY = G_CODE + 0x1000 };
static bool split;

static uint64_t out_nth(struct fix *f, unsigned int i)
{
	if (!fix_wait_exits(f, i + 1))
		fail_msg("exit %u never came: %s", i, f->stopped ? f->why : "timed out");
	assert_int_equal(f->exits[i].kind, E_PIO_WRITE);
	return f->exits[i].data;
}

static void check_long64(struct fix *f)
{
	f->n_exits = 0;
	fix_boot64(f, ENTRY);
	fix_run(f);
	assert_int_equal(out_nth(f, 0), 0x1234567); /* rsi */
	assert_int_equal(out_nth(f, 1), G_STACK);
	assert_int_equal(out_nth(f, 2), 0x10);
	assert_int_equal(out_nth(f, 3), 0x18);
	assert_int_equal(out_nth(f, 4), 0x18);
	assert_int_equal(out_nth(f, 5) & 0x20302, 2); /* no IF, TF, VM */
	assert_int_equal(out_nth(f, 6) & 0x80000001, 0x80000001);
	assert_int_equal(out_nth(f, 7), G_PML4);
	assert_int_equal(out_nth(f, 8) & 0x20, 0x20);
	assert_int_equal(out_nth(f, 9) & 0x500, 0x500); /* LME, LMA */
	assert_int_equal(out_nth(f, 10), 0x806);	/* MTRRs on, write-back */
	assert_int_equal(out_nth(f, 11), 0xd00d);
}

static void test_long64_state(void **state)
{
	struct fix f;
	(void)state;
	fix_open(&f, split, 1);
	fix_put(&f, ENTRY, g_long64, g_pvh32);
	check_long64(&f);
	fix_close(&f);
}

static void test_pvh_state(void **state)
{
	struct fix f;
	(void)state;
	fix_open(&f, split, 1);
	fix_put(&f, ENTRY, g_pvh32, g_pvh32_end);
	/* A 32-bit GDT, as PVH guests get. */
	const uint64_t code32 = UINT64_C(0x00cf9b000000ffff);
	memcpy(f.mem + G_GDT + 0x10, &code32, sizeof(code32));
	const struct boot_state b = {
		.mode = BOOT_PVH32, .rip = ENTRY, .rbx = 0x7654321, .gdt_gpa = G_GDT
	};
	assert_int_equal(f.a->ops->boot_set(f.a, &b, NULL), 0);
	fix_run(&f);
	assert_int_equal(out_nth(&f, 0), 0x7654321);
	assert_int_equal(out_nth(&f, 1) & ~UINT64_C(0x10), 1); /* PE; ET is hard-wired */
	assert_int_equal(out_nth(&f, 2), 0);
	assert_int_equal(out_nth(&f, 3) & 0x20302, 2);
	assert_int_equal(out_nth(&f, 4), 0x1234);
	assert_int_equal(out_nth(&f, 5) & 0x500, 0);
	assert_int_equal(out_nth(&f, 6), 0x1234);
	fix_close(&f);
}

static void start_second(struct fix *f)
{
	f->n_exits = 0;
	fix_put(f, ENTRY, g_smp, g_smp_end);
	fix_put(f, 0x9000, g_ap16, g_ap16_end);
	fix_boot64(f, ENTRY);
	fix_run(f);
	assert_int_equal(out_nth(f, 0) & 0xffff, 0x900);
	assert_int_equal(out_nth(f, 1), 1);
}

static void reset(struct fix *f)
{
	struct verr err = { 0 };
	f->a->ops->pause(f->a);
	if (f->a->ops->reset(f->a, &err) < 0)
		fail_msg("reset: %s", err.msg);
}

static void test_second_processor_starts_by_sipi_again_after_reset(void **state)
{
	struct fix f;
	(void)state;
	fix_open(&f, split, 2);
	start_second(&f);
	reset(&f);
	start_second(&f);
	fix_close(&f);
}

static void test_reset_undoes_what_the_guest_did(void **state)
{
	struct fix f;
	(void)state;
	fix_open(&f, split, 2);
	for (unsigned int i = 0; i < 2; i++) {
		f.n_exits = 0;
		fix_put(&f, ENTRY, g_dirty, g_dirty_end);
		fix_boot64(&f, ENTRY);
		fix_run(&f);
		assert_int_equal(out_nth(&f, 0), 0xbad);
		reset(&f);
		fix_tables(&f);
		fix_put(&f, ENTRY, g_long64, g_pvh32);
		check_long64(&f);
		reset(&f);
		fix_tables(&f);
		fix_boot64(&f, G_CODE);
		fix_run(&f);
		assert_true(fix_do(&f, OP_RDMSR, 0xc0000082, 0) == 0);
		assert_true(fix_do(&f, OP_RDMSR, 0x174, 0) == 0);
		reset(&f);
	}
	fix_close(&f);
}

/* Before the commanded guest turns x2APIC on, the APIC must be in its power-on mode. */
static void test_reset_puts_the_apic_back(void **state)
{
	struct fix f;
	(void)state;
	fix_open(&f, split, 1);
	fix_boot64(&f, G_CODE);
	fix_run(&f);
	assert_int_equal(fix_do(&f, OP_RDMSR, 0x1b, 0) & 0xfff, 0xd00); /* BSP, x2APIC, on */
	reset(&f);
	/* A guest that reads APICBASE first thing. */
	static const uint8_t code[] = {
		0xb9, 0x1b, 0,	  0, 0, 0x0f, 0x32, /* mov $0x1b, %ecx; rdmsr */
		0xba, 0x00, 0x06, 0, 0, 0xef,	    /* mov $0x600, %edx; out %eax, %dx */
		0xf4, 0xeb, 0xfd,		    /* 1: hlt; jmp 1b */
	};
	fix_put(&f, ENTRY, code, code + sizeof(code));
	f.n_exits = 0;
	fix_boot64(&f, ENTRY);
	fix_run(&f);
	assert_int_equal(out_nth(&f, 0), 0xfee00900);
	fix_close(&f);
}

static void guest_cpuid(struct fix *f, uint32_t leaf, uint32_t subleaf, uint32_t ret[4])
{
	fix_do(f, OP_CALL, ENTRY, (uint64_t)subleaf << 32 | leaf);
	memcpy(ret, f->mem + G_STRING, 16);
}

static void test_guest_sees_a_consistent_cpu(void **state)
{
	struct fix f;
	uint32_t r[4];
	(void)state;
	fix_open(&f, split, 3);
	fix_put(&f, ENTRY, g_cpuid, g_cpuid_end);
	fix_boot64(&f, G_CODE);
	fix_run(&f);
	guest_cpuid(&f, 1, 0, r);
	assert_int_equal(r[1] >> 24, 0);
	assert_in_range(r[1] >> 16 & 0xff, 3, 4);
	assert_int_equal(r[2] & 1 << 3, 0);  /* MONITOR */
	assert_int_equal(r[2] >> 31, 1);     /* hypervisor */
	assert_int_equal(r[2] >> 21 & 1, 1); /* x2APIC */
	guest_cpuid(&f, 0xb, 0, r);
	assert_int_equal(r[0], 0);
	assert_int_equal(r[1], 1);
	guest_cpuid(&f, 0xb, 1, r);
	assert_int_equal(r[0], 2);
	assert_int_equal(r[1], 3);
	assert_int_equal(r[2], 0x201);
	guest_cpuid(&f, 0xb, 2, r);
	assert_int_equal(r[0] | r[1], 0);
	guest_cpuid(&f, 0x80000008, 0, r);
	assert_int_equal(r[0] & 0xff, f.a->phys_bits);
	guest_cpuid(&f, 0x40000000, 0, r);
	assert_memory_equal(&r[1], "KVMKVMKVM\0\0\0", 12);
	fix_close(&f);
}

static void test_vcpu_numbers_out_of_range_are_refused(void **state)
{
	struct fix f;
	(void)state;
	memset(&f, 0, sizeof(f));
	gmem_init(&f.gmem);
	assert_int_equal(aspace_init(&f.mmio, "mmio", UINT64_MAX), 0);
	f.a = fix_accel(split);
	struct accel_machine m = { .vcpus = 0, .ram = &f.gmem, .mmio = &f.mmio, .exits = &fix_ops };
	struct verr err = { 0 };
	assert_int_equal(f.a->ops->attach(f.a, &m, &err), -EINVAL);
	m.vcpus = 1000;
	verr_clear(&err);
	assert_int_equal(f.a->ops->attach(f.a, &m, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "1000 vCPUs"));
	m.vcpus = f.a->max_vcpus; /* and as many as promised */
	verr_clear(&err);
	const struct boot_state b = { .mode = BOOT_LONG64 }; /* makes the vCPUs */
	if (f.a->ops->attach(f.a, &m, &err) < 0 || f.a->ops->boot_set(f.a, &b, &err) < 0)
		fail_msg("%u vCPUs: %s", m.vcpus, err.msg);
	f.a->ops->close(f.a);
	aspace_fini(&f.mmio);
	gmem_fini(&f.gmem);
}

int main(void)
{
	fix_need_kvm();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long64_state),
		cmocka_unit_test(test_pvh_state),
		cmocka_unit_test(test_second_processor_starts_by_sipi_again_after_reset),
		cmocka_unit_test(test_reset_undoes_what_the_guest_did),
		cmocka_unit_test(test_reset_puts_the_apic_back),
		cmocka_unit_test(test_guest_sees_a_consistent_cpu),
		cmocka_unit_test(test_vcpu_numbers_out_of_range_are_refused),
	};
	int failed = 0;
	for (int mode = 0; mode < 2; mode++) {
		split = mode == 1;
		print_message("kernel-irqchip=%s\n", split ? "split" : "on");
		failed += cmocka_run_group_tests(tests, NULL, NULL);
	}
	return failed;
}
