/* Owns the first instructions of the program: Linux has put the number of arguments and their addresses on the stack. */
	.text
	.globl	_start
	.type	_start, @function
_start:	xor	%ebp, %ebp		/* backtraces end here */
	mov	%esp, %eax
	add	$4, %eax
	push	%eax			/* the addresses */
	push	4(%esp)			/* their number */
	call	program_main
	.size	_start, . - _start

	.section .note.GNU-stack, "", @progbits
