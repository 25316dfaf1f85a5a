// SPDX-License-Identifier: GPL-2.0-or-later
// A guest of a few kilobytes (PVH, 32 bits, no operating system) that drives an assigned `edu`:
// its registers, an MSI, its DMA engine within guest RAM, and its DMA engine outside. Says what it
// saw on the serial port, line by line, and powers off. tests/lab/test_vmm_edu.sh builds it.

#include <stdint.h>

#define SERIAL	0x3f8
#define ACPI_PM 0x600 /* sleep control */
#define LAPIC	0xfee00000
#define VECTOR	0x40
#define FROM	((volatile uint32_t *)0x400000)
#define TO	((volatile uint32_t *)0x500000)
#define WORDS	512
#define OUTSIDE 0x0c000000 /* 192 MiB: the guest has 128 */
#define EDU_RAM 0x40000
#define TRIES	200000000u

void start(void);
void entry(void);
void interrupt(void);

__asm__(".section .note.Xen, \"a\", @note\n"
	"	.long 4, 4, 18\n" /* XEN_ELFNOTE_PHYS32_ENTRY */
	"	.asciz \"Xen\"\n"
	"	.long entry\n"
	".text\n"
	".globl entry, interrupt\n"
	"entry:\n"
	"	mov $0x90000, %esp\n"
	"	lgdt gdt_at\n"
	"	ljmp $8, $1f\n"
	"1:	mov $16, %eax\n"
	"	mov %ax, %ds\n"
	"	mov %ax, %es\n"
	"	mov %ax, %ss\n"
	"	call start\n"
	"2:	hlt\n"
	"	jmp 2b\n"
	"interrupt:\n"
	"	incl interrupts\n"
	"	movl $0, 0xfee000b0\n" /* end of interrupt */
	"	iret\n"
	".balign 8\n"
	"gdt:	.quad 0, 0x00cf9b000000ffff, 0x00cf93000000ffff\n"
	"gdt_at: .word 23\n"
	"	.long gdt\n");

volatile uint32_t interrupts;
static struct gate {
	uint16_t low, selector, type, high;
} idt[VECTOR + 1];

static void outb(uint16_t port, uint8_t val)
{
	__asm__ volatile("outb %0, %1" : : "a"(val), "Nd"(port));
}

static uint8_t inb(uint16_t port)
{
	uint8_t val;
	__asm__ volatile("inb %1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

static void outl(uint16_t port, uint32_t val)
{
	__asm__ volatile("outl %0, %1" : : "a"(val), "Nd"(port));
}

static uint32_t inl(uint16_t port)
{
	uint32_t val;
	__asm__ volatile("inl %1, %0" : "=a"(val) : "Nd"(port));
	return val;
}

static volatile uint32_t *reg(uint32_t base, uint32_t off)
{
	return (volatile uint32_t *)(uintptr_t)(base + off);
}

/* ---- words ----------------------------------------------------------------------------------- */

static void put(char c)
{
	while (!(inb(SERIAL + 5) & 0x20))
		;
	outb(SERIAL, (uint8_t)c);
}

static void print(const char *s)
{
	for (; *s; s++)
		put(*s);
}

static void say(const char *what, uint32_t val)
{
	print("edu: ");
	print(what);
	put(' ');
	for (int i = 28; i >= 0; i -= 4)
		put("0123456789abcdef"[val >> i & 15]);
	print("\r\n");
}

/* ---- the function ---------------------------------------------------------------------------- */

static uint32_t devfn;

static uint32_t cfg(uint32_t off)
{
	outl(0xcf8, 0x80000000 | devfn << 8 | off);
	return inl(0xcfc);
}

static void cfg_set(uint32_t off, uint32_t val)
{
	outl(0xcf8, 0x80000000 | devfn << 8 | off);
	outl(0xcfc, val);
}

/* Its BAR's address; 0: not on the root bus. */
static uint32_t find(void)
{
	for (devfn = 0; devfn < 256; devfn += 8) {
		if (cfg(0) != 0x11e81234)
			continue;
		cfg_set(4, cfg(4) | 6); /* memory, bus mastering */
		return cfg(0x10) & ~15u;
	}
	return 0;
}

static int msi(void)
{
	uint32_t at = cfg(0x34) & 0xfc;
	while (at && (cfg(at) & 0xff) != 5)
		at = cfg(at) >> 8 & 0xfc;
	if (!at)
		return 0;
	uint32_t wide = cfg(at) >> 16 & 0x80;
	cfg_set(at + 4, LAPIC);
	if (wide)
		cfg_set(at + 8, 0);
	cfg_set(at + (wide ? 12 : 8), VECTOR);
	cfg_set(at, cfg(at) | 1u << 16);
	return 1;
}

static void interrupts_on(void)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) at = { sizeof(idt) - 1, (uint32_t)(uintptr_t)idt };
	uint32_t handler = (uint32_t)(uintptr_t)interrupt;
	idt[VECTOR] = (struct gate){ (uint16_t)handler, 8, 0x8e00, (uint16_t)(handler >> 16) };
	*reg(LAPIC, 0xf0) = 0x1ff; /* spurious vector, enable */
	__asm__ volatile("lidt %0; sti" : : "m"(at));
}

static void wait_for(uint32_t count)
{
	for (uint32_t i = 0; i < TRIES && interrupts < count; i++)
		__asm__ volatile("pause");
}

/* The engine says that it is done by an interrupt. */
static void dma(uint32_t edu, uint32_t from, uint32_t to, uint32_t bytes, uint32_t command)
{
	uint32_t before = interrupts;
	*reg(edu, 0x80) = from;
	*reg(edu, 0x84) = 0;
	*reg(edu, 0x88) = to;
	*reg(edu, 0x8c) = 0;
	*reg(edu, 0x90) = bytes;
	*reg(edu, 0x94) = 0;
	*reg(edu, 0x98) = command | 1 | 4;
	wait_for(before + 1);
	*reg(edu, 0x64) = *reg(edu, 0x24);
}

static void drive(uint32_t edu)
{
	uint32_t wrong = 0;

	say("id", *reg(edu, 0));
	*reg(edu, 4) = 0x12345678;
	say("inverted", *reg(edu, 4));
	*reg(edu, 8) = 10;
	while (*reg(edu, 0x20) & 1)
		;
	say("factorial", *reg(edu, 8));

	*reg(edu, 0x60) = 1;
	wait_for(1);
	*reg(edu, 0x64) = 1;
	say("interrupts", interrupts);

	for (uint32_t i = 0; i < WORDS; i++) {
		FROM[i] = i * 2654435761u;
		TO[i] = 0;
	}
	dma(edu, (uint32_t)(uintptr_t)FROM, EDU_RAM, WORDS * 4, 0);
	dma(edu, EDU_RAM, (uint32_t)(uintptr_t)TO, WORDS * 4, 2);
	for (uint32_t i = 0; i < WORDS; i++)
		wrong += TO[i] != i * 2654435761u;
	say("wrong words", wrong);
	say("interrupts", interrupts);

	dma(edu, EDU_RAM, OUTSIDE, 64, 2);
	say("still alive, interrupts", interrupts);
	/* And the engine still works inside. */
	TO[0] = 0;
	dma(edu, EDU_RAM, (uint32_t)(uintptr_t)TO, 64, 2);
	say("after it wrong words", TO[1] != 2654435761u);
}

void start(void)
{
	uint32_t edu = find();

	if (!edu) {
		print("edu: not found\r\n");
	} else if (!msi()) {
		print("edu: no MSI\r\n");
	} else {
		interrupts_on();
		drive(edu);
	}
	outb(ACPI_PM, 5 << 2 | 0x20);
}
