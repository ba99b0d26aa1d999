/* Owns the serial port COM1, which stos-run shows, and the port that ends the run. */
	.text

/* Prints the text at ESI, which ends with a zero byte. Changes EAX, EDX and ESI. */
	.globl	print
	.type	print, @function
print:	mov	$0x3fd, %edx		/* COM1's line status */
wait:	in	%dx, %al
	test	$0x20, %al		/* is there room for a character? */
	jz	wait
	lodsb
	test	%al, %al
	jz	printed
	mov	$0x3f8, %edx		/* COM1's transmitter */
	out	%al, %dx
	jmp	print
printed:
	ret
	.size	print, . - print

/* Ends the run with the status in AL, from 0 to 63; 0 is success. */
	.globl	leave_run
	.type	leave_run, @function
leave_run:
	out	%al, $0xf4
stop:	cli
	hlt
	jmp	stop
	.size	leave_run, . - leave_run

	.section .note.GNU-stack, "", @progbits
