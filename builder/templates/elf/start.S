/* Owns the first instructions. The manifest's `entry` says what is in the registers; there is a stack, and paging is off. */
	.text
	.globl	_start
	.type	_start, @function
_start:	xor	%ebp, %ebp		/* backtraces end here */
	push	%eax
	call	kernel_main
	.size	_start, . - _start

	.section .note.GNU-stack, "", @progbits
