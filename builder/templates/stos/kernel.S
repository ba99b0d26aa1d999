/* Owns the kernel. stos_boot.h says in which state the CPU is here, and what the loader has left in memory. */
#include "stos_boot.h"

/* Where struct boot_interface has the command line's address. */
#define COMMANDLINE 16

	.text
	.globl	kernel_main
	.type	kernel_main, @function
kernel_main:
	mov	%eax, %ebx		/* struct boot_interface */
	mov	$hello, %esi
	call	print
	mov	COMMANDLINE(%ebx), %esi
	mov	$fault, %edi
	call	has_word
	jne	done
	ud2				/* an exception; this kernel has no handler for it */
done:	mov	$0, %al
	call	leave_run
	.size	kernel_main, . - kernel_main

	.section .rodata
hello:	.asciz	"Hello from @name@!\n"
fault:	.asciz	"fault"

	.section .note.GNU-stack, "", @progbits
