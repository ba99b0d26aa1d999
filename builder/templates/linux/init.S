/* Owns the first program of Linux, `/init`. It gets the words of the command line that the kernel does not know. */
#define SYS_WRITE 4
#define SYS_PAUSE 29
#define SYS_IOPERM 101
#define EXIT_PORT 0xf4

	.text
	.globl	_start
	.type	_start, @function
_start:	mov	$SYS_WRITE, %eax
	mov	$1, %ebx		/* standard output */
	mov	$hello, %ecx
	mov	$hello_end - hello, %edx
	int	$0x80

	lea	8(%esp), %ebx		/* the argument after the program's own name */
next:	mov	(%ebx), %esi
	test	%esi, %esi		/* a zero behind the last */
	jz	done
	add	$4, %ebx
	mov	$fault, %edi
	call	has_word
	jne	next
	movl	$1, 0			/* Linux ends the program, and cannot go on without it */

done:	mov	$SYS_IOPERM, %eax	/* the right to write to the port that ends the run */
	mov	$EXIT_PORT, %ebx
	mov	$1, %ecx
	mov	$1, %edx
	int	$0x80
	mov	$0, %al			/* the status, from 0 to 63; 0 is success */
	out	%al, $EXIT_PORT
wait:	mov	$SYS_PAUSE, %eax
	int	$0x80
	jmp	wait
	.size	_start, . - _start

	.section .rodata
hello:	.ascii	"Hello from @name@!\n"
hello_end:
fault:	.asciz	"fault"

	.section .note.GNU-stack, "", @progbits
