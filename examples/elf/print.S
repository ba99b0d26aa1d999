/* Owns printing on COM1 for guests without a boot protocol: the text at ESI. EAX, EDX and ESI are lost. */
	.globl	print
print:	mov	$0x3fd, %dx
wait:	in	%dx, %al
	test	$0x20, %al
	jz	wait
	lodsb
	test	%al, %al
	jz	done
	mov	$0x3f8, %dx
	out	%al, %dx
	jmp	print
done:	ret
