/* Owns the kernel. start.S calls it, with what the loader has left in registers on the stack. */
#define LOADER_MAGIC 0x2BADB002

/* Where the loader's information has its flags and the command line's address, and the flag that says that there is one. */
#define INFO_FLAGS 0
#define INFO_CMDLINE 16
#define HAS_CMDLINE 0x4

	.text
	.globl	kernel_main
	.type	kernel_main, @function
kernel_main:
	mov	$hello, %esi
	call	print
	cmpl	$LOADER_MAGIC, 4(%esp)
	jne	no_loader
	mov	8(%esp), %ebx
	testl	$HAS_CMDLINE, INFO_FLAGS(%ebx)
	jz	done
	mov	INFO_CMDLINE(%ebx), %esi
	mov	$fault, %edi
	call	has_word
	jne	done
	ud2				/* an exception; this kernel has no handler for it */
done:	mov	$0, %al
	call	leave_run
no_loader:
	mov	$1, %al
	call	leave_run
	.size	kernel_main, . - kernel_main

	.section .rodata
hello:	.asciz	"Hello from @name@!\n"
fault:	.asciz	"fault"

	.section .note.GNU-stack, "", @progbits
