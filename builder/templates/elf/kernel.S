/* Owns the kernel. The manifest's `entry` says what is in the registers; there is a stack, and paging is off. */
	.text
	.globl	_start
	.type	_start, @function
_start:	mov	%eax, %ebx
	mov	$hello, %esi
	call	print
	test	%ebx, %ebx
	jz	done
	ud2				/* an exception; this kernel has no handler for it */
done:	mov	$0, %al
	call	leave_run
	.size	_start, . - _start

	.section .rodata
hello:	.asciz	"Hello from @name@!\n"

	.section .note.GNU-stack, "", @progbits
