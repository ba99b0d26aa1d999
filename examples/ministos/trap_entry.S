/* Owns the first instructions of every exception and interrupt: they make all stack frames alike. */

	.text

	.balign 16
	.globl trap_stubs
trap_stubs:
	.set vector, 0
	.rept 48
	.balign 16
	/* The CPU pushes an error code for 8, 10 to 14, 17, 21, 29 and 30 (Intel SDM volume 3, table 6-1). */
	.if (vector == 8) || (vector >= 10 && vector <= 14) || (vector == 17) || (vector == 21) || (vector == 29) || (vector == 30)
	.else
	pushl $0
	.endif
	pushl $vector
	jmp common
	.set vector, vector + 1
	.endr

common:
	pusha
	cld
	pushl %esp
	call trap_dispatch
	addl $4, %esp
	popa
	addl $8, %esp
	iret

	.section .note.GNU-stack, "", @progbits
