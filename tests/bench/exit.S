/* SPDX-License-Identifier: GPL-2.0-or-later
 * The smallest guest there is, twice: an ELF kernel with a PVH note for vfio-vmm (start_pvh) and,
 * linked as a 64 KiB BIOS, the same for QEMU (reset vector). Its first instructions write a
 * byte to the serial port, then 0 to the debug-exit port 0x501, or stay in hlt if built with
 * -DSTAY. */
	.code32
#ifdef BIOS
	.code16
	.section .text
	.org 0
entry:
#else
	.section .note.pvh, "a", @note
	.align 4
	.long 4, 4, 18
	.asciz "Xen"
	.long start_pvh
	.section .text
	.globl start_pvh
start_pvh:
#endif
#ifdef STAY
1:	hlt
	jmp 1b
#else
	movw $0x3f8, %dx
	movb $0x21, %al
	outb %al, %dx
	movw $0x501, %dx
	xorl %eax, %eax
	outb %al, %dx
1:	hlt
	jmp 1b
#endif
#ifdef BIOS
	.org 0xfff0
	.byte 0xe9			/* jmp near entry */
	.word 0x10000 - 0xfff3
	.org 0x10000
#endif
