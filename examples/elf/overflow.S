/* Owns a guest that recurses without end: it runs into the guard below its stack. */
	.globl	start
start:	mov	$text, %esi
	call	print
recurse:
	call	recurse

	.section .rodata
text:	.asciz	"overflow: recursing\n"
