/* Owns the kernel's entry point: it notes every register that the loader promises, then goes on in C. */
#include "entry.h"

	.text
	.globl kernel_main
kernel_main:
	movl %eax, entry_state + ENTRY_EAX
	movl %ecx, entry_state + ENTRY_ECX
	movl %ebp, entry_state + ENTRY_EBP
	movl %esp, entry_state + ENTRY_ESP
	/* MOV leaves the flags alone, so this is how they arrived. */
	pushfl
	popl entry_state + ENTRY_EFLAGS
	movl %cr0, %eax
	movl %eax, entry_state + ENTRY_CR0
	movl %cr3, %eax
	movl %eax, entry_state + ENTRY_CR3
	movl %cr4, %eax
	movl %eax, entry_state + ENTRY_CR4
	/* To a register, MOV zero-extends a selector; to memory, it would store 16 bits only. */
	movl %cs, %eax
	movl %eax, entry_state + ENTRY_CS
	movl %ds, %eax
	movl %eax, entry_state + ENTRY_DS
	movl %es, %eax
	movl %eax, entry_state + ENTRY_ES
	movl %ss, %eax
	movl %eax, entry_state + ENTRY_SS

	cld
	movl 4(%esp), %eax
	xorl %ebp, %ebp
	/* The i386 ABI wants ESP aligned to 16 bytes at a call. */
	andl $-16, %esp
	subl $12, %esp
	pushl %eax
	call ministos_main
1:	cli
	hlt
	jmp 1b

	/* Not .bss: what is there at entry is one of the things to be checked. */
	.data
	.balign 4
	.globl entry_state
entry_state:
	.fill ENTRY_SIZE, 1, 0

	.section .note.GNU-stack, "", @progbits
