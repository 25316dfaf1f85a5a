// SPDX-License-Identifier: GPL-2.0-or-later
// A guest of a few kilobytes (PVH, 32 bits, no operating system): finds the e1000e, switches its
// memory decoding on and reads a register of its BAR 0 a million times. Says on the serial port
// when that begins and ends, and leaves by the debug-exit port.

#include <stdint.h>

#define SERIAL	   0x3f8
#define DEBUG_EXIT 0x501
#define NIC	   0x10d38086
#define STATUS	   8
#define READS	   1000000

void entry(void);
void start(void);

__asm__(".section .note.Xen, \"a\", @note\n"
	"	.long 4, 4, 18\n" /* XEN_ELFNOTE_PHYS32_ENTRY */
	"	.asciz \"Xen\"\n"
	"	.long entry\n"
	".text\n"
	".globl entry\n"
	"entry:\n"
	"	mov $0x90000, %esp\n"
	"	call start\n"
	"1:	hlt\n"
	"	jmp 1b\n");

static void outb(uint16_t port, uint8_t val)
{
	__asm__ volatile("outb %0, %1" : : "a"(val), "Nd"(port));
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

static void say(const char *s)
{
	while (*s)
		outb(SERIAL, (uint8_t)*s++);
}

static uint32_t cfg(uint32_t fn, uint32_t reg)
{
	outl(0xcf8, 0x80000000u | fn << 8 | reg);
	return inl(0xcfc);
}

void start(void)
{
	uint32_t fn = 0, value = 0;

	while (fn < 0x10000 && cfg(fn, 0) != NIC)
		fn++;
	if (fn == 0x10000) {
		say("no e1000e\n");
		outb(DEBUG_EXIT, 1);
	}
	outl(0xcf8, 0x80000000u | fn << 8 | 4);
	outl(0xcfc, 2);
	volatile uint32_t *reg = (volatile uint32_t *)(uintptr_t)((cfg(fn, 0x10) & ~15u) + STATUS);
	say("begin\n");
	for (unsigned int i = 0; i < READS; i++)
		value = *reg;
	say(value == 0xffffffff ? "nothing there\n" : "end\n");
	outb(DEBUG_EXIT, 0);
}
