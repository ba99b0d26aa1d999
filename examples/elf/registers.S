/* Owns a guest that looks whether each register is what its manifest says, and returns: EAX 0x11111111 to EBP 0x77777777,
 * and the return address just below ESP 0x180000. */
	.globl	start
start:	cmp	$0x11111111, %eax
	jne	wrong
	cmp	$0x22222222, %ebx
	jne	wrong
	cmp	$0x33333333, %ecx
	jne	wrong
	cmp	$0x44444444, %edx
	jne	wrong
	cmp	$0x55555555, %esi
	jne	wrong
	cmp	$0x66666666, %edi
	jne	wrong
	cmp	$0x77777777, %ebp
	jne	wrong
	cmp	$0x17fffc, %esp
	jne	wrong
	mov	$right_text, %esi
	call	print
	ret
wrong:	mov	$wrong_text, %esi
	call	print
	mov	$1, %al
	mov	$0xf4, %dx
	out	%al, %dx
stop:	hlt
	jmp	stop

	.section .rodata
right_text:
	.asciz	"registers: as the manifest says\n"
wrong_text:
	.asciz	"registers: FAILED\n"
