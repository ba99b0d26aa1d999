/* Owns the instructions that may fault, and the table of their addresses. Each leaves the stack as at its entry. */

	.text

	.globl probe_read
probe_read:
	movl 4(%esp), %edx
	movl 8(%esp), %ecx
read:	movl (%edx), %eax
	movl %eax, (%ecx)
	jmp passed

	.globl probe_write
probe_write:
	movl 4(%esp), %edx
	movl 8(%esp), %ecx
write:	movl %ecx, (%edx)
	jmp passed

	.globl probe_divide
probe_divide:
	movl 4(%esp), %eax
	xorl %edx, %edx
divide:	divl 8(%esp)
	jmp passed

	.globl probe_undefined
probe_undefined:
undef:	ud2

passed:
	movl $1, %eax
	ret

	.globl probe_failed
probe_failed:
	xorl %eax, %eax
	ret

	.section .rodata
	.balign 4
	.globl probe_table, probe_table_end
probe_table:
	.long read, write, divide, undef
probe_table_end:

	.section .note.GNU-stack, "", @progbits
