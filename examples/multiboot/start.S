/*
 * Owns the Multiboot header and the first instructions of the Multiboot guests. They save the registers as the loader left
 * them, take a stack of their own, turn paging on if the guest is linked in the upper half (BASE), and call C.
 */
#define MAGIC 0x1BADB002
#ifdef FLAT
#define FLAGS 0x10003
#else
#define FLAGS 0x3
#endif

#ifdef LOOSE_HEADER
	.section .multiboot.loose, ""
#else
	.section .multiboot.first, "a"
#endif
	.balign 4
header:
	.long MAGIC
	.long FLAGS
	.long -(MAGIC + FLAGS)
#ifdef FLAT
	.long header
	.long load_start
	.long load_end
	.long bss_end
	.long _start
#endif

	.text
	.globl _start
	.type _start, @function
_start:
	movl %eax, entry_registers - BASE
	movl %ebx, entry_registers - BASE + 4
	movl %ecx, entry_registers - BASE + 8
	movl %edx, entry_registers - BASE + 12
	movl %esi, entry_registers - BASE + 16
	movl %edi, entry_registers - BASE + 20
	movl %ebp, entry_registers - BASE + 24
	movl %esp, entry_registers - BASE + 28
	movl $stack_end - BASE, %esp
	pushfl
	popl entry_registers - BASE + 32
	movl %cr0, %eax
	movl %eax, entry_registers - BASE + 36
#ifdef UPPER_HALF
	movl $page_directory - BASE, %eax
	movl %eax, %cr3
	movl %cr4, %eax
	orl $0x10, %eax
	movl %eax, %cr4
	movl %cr0, %eax
	orl $0x80000000, %eax
	movl %eax, %cr0
	movl $upper, %eax
	jmp *%eax
upper:
#endif
	movl $stack_end, %esp
	xorl %ebp, %ebp
	call multiboot_main
	/* Back to the loader, on the loader's stack: what no kernel should do. */
	movl entry_registers + 28, %esp
	ret

#ifdef UPPER_HALF
	/* 4 MiB at 0 and at 0xC0000000. */
	.data
	.balign 4096
page_directory:
	.long 0x83
	.fill 767, 4, 0
	.long 0x83
	.fill 255, 4, 0
#endif

	.bss
	.balign 16
	.skip 8192
stack_end:

	.section .note.GNU-stack, "", @progbits
