// SPDX-License-Identifier: GPL-2.0-or-later
// Fixture of the kvm tests: a machine of our own around the accelerator (one MiB of RAM, a record
// of exits) and a guest that does single steps on command, so that a test says what the guest
// does in C. Included once per test program.
//
// Guest memory: 0x1000 GDT, 0x2000 PML4, 0x3000 PDPT, 0x4000..0x7fff four PDs (4 GiB identity, by
// 2 MiB pages), 0x8000 IDT, 0x8ff0 its descriptor, 0x10000 code, 0x20000 stack top, 0x30000
// counters, 0x31000 string buffer.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "core/aspace.h"
#include "core/gmem.h"
#include "core/sys.h"
#include "kvm/accel_kvm.h"

enum {
	G_GDT = 0x1000,
	G_PML4 = 0x2000,
	G_IDT = 0x8000,
	G_IDTR = 0x8ff0,
	G_CODE = 0x10000,
	G_STACK = 0x20000,
	G_COUNT = 0x30000,
	G_STRING = 0x31000,
	G_RAM = 0x100000,
	VEC_EDGE = 0x40,  /* counts at G_COUNT */
	VEC_LEVEL = 0x50, /* counts at G_COUNT + 4 */
	PORT_OP = 0x500,
	PORT_ADDR = 0x504,
	PORT_VAL = 0x508,
	PORT_DONE = 0x50c,
	PORT_HI = 0x510,
	SECONDS = 30,
};

/* What the commanded guest can do; see guest_cmd below. */
enum op {
	OP_NONE,
	OP_RD8,
	OP_RD16,
	OP_RD32,
	OP_RD64,
	OP_WR8,
	OP_WR16,
	OP_WR32,
	OP_WR64,
	OP_OUT8,
	OP_OUT16,
	OP_OUT32,
	OP_IN8,
	OP_IN16,
	OP_IN32,
	OP_OUTSB,
	OP_INSB,
	OP_RDMSR,
	OP_WRMSR,
	OP_CALL,
};

/* 64-bit, position independent. */
__asm__(".pushsection .rodata\n"
	".globl guest_cmd, guest_cmd_end, guest_isr_edge, guest_isr_level\n"
	"guest_cmd:\n"
	"	lidt 0x8ff0\n"
	"	mov $0x1b, %ecx; rdmsr; or $0xc00, %eax; wrmsr\n" /* x2APIC on */
	"	mov $0x80f, %ecx; mov $0x1ff, %eax; xor %edx, %edx; wrmsr\n"
	"	sti\n"
	"1:	mov $0x500, %edx; in %dx, %eax; test %eax, %eax; jz 1b; mov %eax, %r8d\n"
	"	mov $0x508, %edx; in %dx, %eax; mov %eax, %esi\n"
	"	mov $0x510, %edx; in %dx, %eax; shl $32, %rax; or %rax, %rsi\n" /* rsi: value */
	"	mov $0x504, %edx; in %dx, %eax; mov %eax, %ebx\n"		/* rbx: address */
	"	mov %r8d, %eax\n"
	"	mov %ebx, %edx; mov %ebx, %ecx\n"
	"	xor %edi, %edi\n" /* rdi: result */
	"	cmp $1, %eax; je 11f; cmp $2, %eax; je 12f; cmp $3, %eax; je 13f; cmp $4, %eax; je 14f\n"
	"	cmp $5, %eax; je 15f; cmp $6, %eax; je 16f; cmp $7, %eax; je 17f; cmp $8, %eax; je 18f\n"
	"	cmp $9, %eax; je 19f; cmp $10, %eax; je 20f; cmp $11, %eax; je 21f\n"
	"	cmp $12, %eax; je 22f; cmp $13, %eax; je 23f; cmp $14, %eax; je 24f\n"
	"	cmp $15, %eax; je 25f; cmp $16, %eax; je 26f; cmp $17, %eax; je 27f\n"
	"	cmp $18, %eax; je 28f; cmp $19, %eax; je 29f\n"
	"	jmp 1b\n"
	"11:	movzbl (%rbx), %edi; jmp 9f\n"
	"12:	movzwl (%rbx), %edi; jmp 9f\n"
	"13:	mov (%rbx), %edi; jmp 9f\n"
	"14:	mov (%rbx), %rdi; jmp 9f\n"
	"15:	mov %sil, (%rbx); jmp 9f\n"
	"16:	mov %si, (%rbx); jmp 9f\n"
	"17:	mov %esi, (%rbx); jmp 9f\n"
	"18:	mov %rsi, (%rbx); jmp 9f\n"
	"19:	mov %esi, %eax; out %al, %dx; jmp 9f\n"
	"20:	mov %esi, %eax; out %ax, %dx; jmp 9f\n"
	"21:	mov %esi, %eax; out %eax, %dx; jmp 9f\n"
	"22:	xor %eax, %eax; in %dx, %al; mov %eax, %edi; jmp 9f\n"
	"23:	xor %eax, %eax; in %dx, %ax; mov %eax, %edi; jmp 9f\n"
	"24:	in %dx, %eax; mov %eax, %edi; jmp 9f\n"
	"25:	mov %esi, %ecx; mov $0x31000, %esi; cld; rep outsb; jmp 8f\n"
	"26:	mov %esi, %ecx; mov $0x31000, %edi; cld; rep insb; jmp 8f\n"
	"27:	rdmsr; shl $32, %rdx; mov %eax, %edi; or %rdx, %rdi; jmp 9f\n"
	"28:	mov %esi, %eax; mov %rsi, %rdx; shr $32, %rdx; wrmsr; jmp 9f\n"
	"29:	call *%rbx; mov %rax, %rdi; jmp 9f\n"
	"8:	xor %edi, %edi\n"
	"9:	mov %rdi, %rax; shr $32, %rax; mov $0x510, %edx; out %eax, %dx\n"
	"	mov %edi, %eax; mov $0x50c, %edx; out %eax, %dx\n"
	"	jmp 1b\n"
	"guest_isr_edge:\n"
	"	push %rax; push %rcx; push %rdx\n"
	"	incl 0x30000\n"
	"	mov $0x80b, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr\n" /* EOI */
	"	pop %rdx; pop %rcx; pop %rax; iretq\n"
	"guest_isr_level:\n"
	"	push %rax; push %rcx; push %rdx\n"
	"	incl 0x30004\n"
	"	mov $0x80b, %ecx; xor %eax, %eax; xor %edx, %edx; wrmsr\n"
	"	pop %rdx; pop %rcx; pop %rax; iretq\n"
	"guest_cmd_end:\n"
	".popsection\n");
extern const uint8_t guest_cmd[], guest_cmd_end[], guest_isr_edge[], guest_isr_level[];

struct fix_exit {
	enum { E_MMIO_READ, E_MMIO_WRITE, E_PIO_READ, E_PIO_WRITE } kind;
	uint64_t addr;
	unsigned int len;
	uint64_t data;
};

struct fix {
	struct accel *a;
	struct gmem gmem;
	struct aspace mmio;
	struct gmem_region ram;
	uint8_t *mem;

	pthread_mutex_t lock;
	pthread_cond_t cond;
	struct fix_exit *exits; /* all but command ports and the IOAPIC */
	unsigned int n_exits;
	uint64_t read_answer; /* of MMIO and PIO reads */
	bool read_count;      /* ... plus one each time */
	bool stopped;
	unsigned int n_stopped;
	enum vm_stop_reason reason;
	char why[1024];
	bool (*on_fault)(struct fix *f);
	unsigned int n_faults;

	/* the command in flight */
	enum op op;
	uint32_t op_addr;
	uint64_t op_val, op_result;
	uint32_t op_result_hi;
	bool op_taken, op_done;
};

enum { MAX_EXITS = 1 << 20 };

static ATTR_UNUSED uint64_t fix_now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline struct timespec fix_deadline_ms(unsigned int ms)
{
	struct timespec t;
	clock_gettime(CLOCK_REALTIME, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}

static void fix_record(struct fix *f, int kind, uint64_t addr, unsigned int len, uint64_t data)
{
	pthread_mutex_lock(&f->lock);
	if (f->n_exits < MAX_EXITS) {
		struct fix_exit *e = &f->exits[f->n_exits++];
		e->kind = kind;
		e->addr = addr;
		e->len = len;
		e->data = data;
	}
	pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->lock);
}

static uint64_t fix_answer(struct fix *f)
{
	pthread_mutex_lock(&f->lock);
	uint64_t v = f->read_answer;
	if (f->read_count)
		f->read_answer++;
	pthread_mutex_unlock(&f->lock);
	return v;
}

static void fix_mmio_read(void *opaque, uint64_t gpa, void *data, unsigned int len)
{
	struct fix *f = opaque;
	uint64_t val = 0;
	/* The machine lock of this machine is f->lock; only an IOAPIC is in the address space. */
	pthread_mutex_lock(&f->lock);
	bool home = aspace_read(&f->mmio, gpa, &val, len);
	pthread_mutex_unlock(&f->lock);
	if (!home) {
		val = fix_answer(f);
		fix_record(f, E_MMIO_READ, gpa, len, val);
	}
	memcpy(data, &val, len);
}

static void fix_mmio_write(void *opaque, uint64_t gpa, const void *data, unsigned int len)
{
	struct fix *f = opaque;
	uint64_t val = 0;
	memcpy(&val, data, len);
	pthread_mutex_lock(&f->lock);
	bool home = aspace_write(&f->mmio, gpa, val, len);
	pthread_mutex_unlock(&f->lock);
	if (!home)
		fix_record(f, E_MMIO_WRITE, gpa, len, val);
}

static uint32_t fix_next_op(struct fix *f)
{
	pthread_mutex_lock(&f->lock);
	if (f->op == OP_NONE || f->op_taken) { /* a little, for the guest also takes interrupts */
		struct timespec until = fix_deadline_ms(1);
		pthread_cond_timedwait(&f->cond, &f->lock, &until);
		pthread_mutex_unlock(&f->lock);
		return OP_NONE;
	}
	uint32_t op = f->op;
	f->op_taken = true;
	pthread_mutex_unlock(&f->lock);
	return op;
}

static void fix_pio_read(void *opaque, uint16_t port, void *data, unsigned int len)
{
	struct fix *f = opaque;
	uint64_t val;
	switch (port) {
	case PORT_VAL:
		val = (uint32_t)f->op_val;
		break;
	case PORT_HI:
		val = f->op_val >> 32;
		break;
	case PORT_ADDR:
		val = f->op_addr;
		break;
	case PORT_OP:
		val = fix_next_op(f);
		break;
	default:
		val = fix_answer(f);
		fix_record(f, E_PIO_READ, port, len, val);
		break;
	}
	memcpy(data, &val, len);
}

static void fix_pio_write(void *opaque, uint16_t port, const void *data, unsigned int len)
{
	struct fix *f = opaque;
	uint64_t val = 0;
	memcpy(&val, data, len);
	if (port == PORT_HI) {
		f->op_result_hi = (uint32_t)val;
	} else if (port == PORT_DONE) {
		pthread_mutex_lock(&f->lock);
		f->op_result = (uint64_t)f->op_result_hi << 32 | val;
		f->op_done = true;
		pthread_cond_broadcast(&f->cond);
		pthread_mutex_unlock(&f->lock);
	} else {
		fix_record(f, E_PIO_WRITE, port, len, val);
	}
}

static bool fix_fault(void *opaque)
{
	struct fix *f = opaque;
	f->n_faults++;
	return f->on_fault && f->on_fault(f);
}

static void fix_stopped(void *opaque, enum vm_stop_reason reason, const char *why)
{
	struct fix *f = opaque;
	pthread_mutex_lock(&f->lock);
	f->stopped = true;
	f->n_stopped++;
	f->reason = reason;
	snprintf(f->why, sizeof(f->why), "%s", why);
	pthread_cond_broadcast(&f->cond);
	pthread_mutex_unlock(&f->lock);
}

static const struct vmexit_ops fix_ops = {
	.mmio_read = fix_mmio_read,
	.mmio_write = fix_mmio_write,
	.pio_read = fix_pio_read,
	.pio_write = fix_pio_write,
	.fault = fix_fault,
	.stopped = fix_stopped,
};

/* Exits 77 with the reason where KVM can't be had at all. */
static ATTR_UNUSED void fix_need_kvm(void)
{
	int fd = sys_open("/dev/kvm", O_RDWR, 0);
	if (fd < 0) {
		printf("skipped: /dev/kvm: %s\n", strerror(-fd));
		exit(77);
	}
	sys_close(fd);
	alarm(110); /* a hang is a failure, before ctest's own limit */
}

static ATTR_UNUSED struct accel *fix_accel(bool split)
{
	int *cfg = props_new(&kvm_accel.t);
	assert_non_null(cfg);
	struct verr err = { 0 };
	const struct props_target target = { kvm_accel.t.props, cfg };
	assert_int_equal(props_parse("kvm", split ? "kernel-irqchip=split" : "kernel-irqchip=on",
				     &target, 1, &err),
			 0);
	struct accel *a = NULL;
	int r = kvm_accel.open(cfg, &a, &err);
	if (r < 0)
		fail_msg("open: %s", err.msg);
	props_free(&kvm_accel.t, cfg);
	return a;
}

static inline void fix_put(struct fix *f, uint32_t gpa, const void *from, const void *end)
{
	memcpy(f->mem + gpa, from, (size_t)((const uint8_t *)end - (const uint8_t *)from));
}

static inline void fix_gate(struct fix *f, unsigned int vector, uint64_t handler)
{
	uint64_t gate[2] = {
		(handler & 0xffff) | 0x10 << 16 | UINT64_C(0x8e00) << 32 |
			(handler >> 16 & 0xffff) << 48,
		handler >> 32,
	};
	memcpy(f->mem + G_IDT + vector * 16, gate, sizeof(gate));
}

/* GDT, page tables, IDT, the commanded guest. */
static ATTR_UNUSED void fix_tables(struct fix *f)
{
	memset(f->mem, 0, G_RAM);
	uint64_t gdt[5] = { 0, 0, UINT64_C(0x00af9b000000ffff), UINT64_C(0x00cf93000000ffff), 0 };
	memcpy(f->mem + G_GDT, gdt, sizeof(gdt));
	uint64_t *pt = (uint64_t *)(void *)(f->mem + G_PML4);
	pt[0] = 0x3000 | 3;
	for (unsigned int i = 0; i < 4; i++)
		pt[512 + i] = (0x4000 + i * 0x1000) | 3;
	for (uint64_t i = 0; i < 4 * 512; i++)
		pt[1024 + i] = i << 21 | 0x83;
	struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) idtr = {
		0xfef, G_IDT, /* up to its own descriptor */
	};
	memcpy(f->mem + G_IDTR, &idtr, sizeof(idtr));
	fix_put(f, G_CODE, guest_cmd, guest_cmd_end);
	fix_gate(f, VEC_EDGE, (uint64_t)(G_CODE + (guest_isr_edge - guest_cmd)));
	fix_gate(f, VEC_LEVEL, (uint64_t)(G_CODE + (guest_isr_level - guest_cmd)));
}

static ATTR_UNUSED void fix_open(struct fix *f, bool split, unsigned int vcpus)
{
	memset(f, 0, sizeof(*f));
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->cond, NULL);
	f->exits = calloc(MAX_EXITS, sizeof(*f->exits));
	f->mem = mmap(NULL, G_RAM, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_true(f->exits && f->mem != MAP_FAILED);
	gmem_init(&f->gmem);
	assert_int_equal(aspace_init(&f->mmio, "mmio", UINT64_MAX), 0);
	f->ram = (struct gmem_region){
		.name = "ram", .kind = GMEM_RAM, .size = G_RAM, .hva = f->mem, .fd = -1
	};
	assert_int_equal(gmem_add(&f->gmem, &f->ram, NULL), 0);
	fix_tables(f);
	f->a = fix_accel(split);
	const struct accel_machine m = {
		.vcpus = vcpus, .ram = &f->gmem, .mmio = &f->mmio, .exits = &fix_ops, .opaque = f
	};
	struct verr err = { 0 };
	if (f->a->ops->attach(f->a, &m, &err) < 0)
		fail_msg("attach: %s", err.msg);
}

static ATTR_UNUSED void fix_close(struct fix *f)
{
	f->a->ops->pause(f->a);
	f->a->ops->detach(f->a);
	f->a->ops->close(f->a);
	gmem_del(&f->ram);
	gmem_fini(&f->gmem);
	aspace_fini(&f->mmio);
	munmap(f->mem, G_RAM);
	free(f->exits);
}

static inline void fix_boot64(struct fix *f, uint64_t rip)
{
	const struct boot_state b = { .mode = BOOT_LONG64,
				      .rip = rip,
				      .rsp = G_STACK,
				      .cr3 = G_PML4,
				      .gdt_gpa = G_GDT,
				      .rsi = 0x1234567 };
	struct verr err = { 0 };
	if (f->a->ops->boot_set(f->a, &b, &err) < 0)
		fail_msg("boot_set: %s", err.msg);
}

static inline void fix_run(struct fix *f)
{
	assert_int_equal(f->a->ops->run(f->a, NULL), 0);
}

/* The commanded guest, running. */
static ATTR_UNUSED void fix_start(struct fix *f, bool split)
{
	fix_open(f, split, 1);
	fix_boot64(f, G_CODE);
	fix_run(f);
}

/* Waits until the n-th exit is there; false after SECONDS. */
static ATTR_UNUSED bool fix_wait_exits(struct fix *f, unsigned int n)
{
	struct timespec until = fix_deadline_ms(SECONDS * 1000);
	int r = 0;
	pthread_mutex_lock(&f->lock);
	while (f->n_exits < n && !f->stopped && r == 0)
		r = pthread_cond_timedwait(&f->cond, &f->lock, &until);
	bool there = f->n_exits >= n;
	pthread_mutex_unlock(&f->lock);
	return there;
}

static ATTR_UNUSED bool fix_wait_stopped(struct fix *f)
{
	struct timespec until = fix_deadline_ms(SECONDS * 1000);
	int r = 0;
	pthread_mutex_lock(&f->lock);
	while (!f->stopped && r == 0)
		r = pthread_cond_timedwait(&f->cond, &f->lock, &until);
	bool stopped = f->stopped;
	pthread_mutex_unlock(&f->lock);
	return stopped;
}

/* Has the guest do one thing and waits until it is done. */
static ATTR_UNUSED uint64_t fix_do(struct fix *f, enum op op, uint32_t addr, uint64_t val)
{
	struct timespec until = fix_deadline_ms(SECONDS * 1000);
	int r = 0;
	pthread_mutex_lock(&f->lock);
	f->op_addr = addr;
	f->op_val = val;
	f->op_done = false;
	f->op_taken = false;
	f->op = op;
	pthread_cond_broadcast(&f->cond);
	while (!f->op_done && !f->stopped && r == 0)
		r = pthread_cond_timedwait(&f->cond, &f->lock, &until);
	bool done = f->op_done;
	f->op = OP_NONE;
	pthread_mutex_unlock(&f->lock);
	if (!done)
		fail_msg("the guest did not do op %d at %#x: %s", op, addr,
			 f->stopped ? f->why : "timed out");
	return f->op_result;
}

static inline uint32_t fix_count(struct fix *f, uint32_t gpa)
{
	return __atomic_load_n((uint32_t *)(void *)(f->mem + gpa), __ATOMIC_ACQUIRE);
}

/* Waits until the counter at gpa is n; false after SECONDS. */
static ATTR_UNUSED bool fix_wait_count(struct fix *f, uint32_t gpa, uint32_t n)
{
	uint64_t end = fix_now_ms() + SECONDS * 1000;
	while (fix_count(f, gpa) != n && fix_now_ms() < end)
		usleep(200);
	return fix_count(f, gpa) == n;
}

/* Long enough for an interrupt that must not come to have come. */
static ATTR_UNUSED void fix_settle(void)
{
	usleep(30000);
}
