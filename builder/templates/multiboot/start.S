/* Owns the Multiboot header and the first instructions: they set up a stack and call the kernel. */
#define MAGIC 0x1BADB002
#define FLAGS 0x3		/* modules on whole pages, and a memory map */

	.section .multiboot, "a"
	.balign 4
	.long	MAGIC
	.long	FLAGS
	.long	-(MAGIC + FLAGS)

	.text
	.globl	_start
	.type	_start, @function
_start:	mov	$stack_end, %esp
	xor	%ebp, %ebp		/* backtraces end here */
	push	%ebx			/* struct multiboot_info */
	push	%eax			/* says that the loader is one for Multiboot */
	call	kernel_main
	.size	_start, . - _start

	.bss
	.balign 16
	.skip	16384
stack_end:

	.section .note.GNU-stack, "", @progbits
