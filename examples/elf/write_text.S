/* Owns a guest that writes to its own code: with pages that are as the program headers say, #PF. */
	.globl	start
start:	mov	$text, %esi
	call	print
	movl	$0, start
	mov	$0, %al
	mov	$0xf4, %dx
	out	%al, %dx
stop:	hlt
	jmp	stop

	.section .rodata
text:	.asciz	"write_text: writing to its code\n"
