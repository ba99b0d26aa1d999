/*
 * Owns the beginning and the end of the guests that compute. They are entered at 1 MiB, in flat 32-bit segments, unpaged and
 * with interrupts off; whose tables are in use is unknown, so they have their own. The end is the mark and the checksum in
 * hexadecimal on COM1, and 0 to the exit port.
 */
#define COM1 0x3f8
#define EXIT 0xf4
#define MARK '~'

	.section .text.begin, "ax"
	.globl begin
begin:
	cli
	cld
	lgdt gdt_pointer
	ljmp $8, $1f
1:	mov $16, %eax
	mov %eax, %ds
	mov %eax, %es
	mov %eax, %fs
	mov %eax, %gs
	mov %eax, %ss
	mov $stack_top, %esp
	call work

	mov %eax, %ebx
	mov $COM1, %edx
	mov $MARK, %al
	out %al, %dx
	mov $8, %ecx
2:	rol $4, %ebx
	mov %ebx, %esi
	and $15, %esi
	mov digits(%esi), %al
	out %al, %dx
	loop 2b
	mov $'\n', %al
	out %al, %dx
	xor %eax, %eax
	mov $EXIT, %edx
	out %eax, %dx
3:	hlt
	jmp 3b

	.section .rodata
digits:
	.ascii "0123456789abcdef"

	/* Accessed bits are set, so that no CPU has to set them. (Intel SDM volume 3A, section 3.4.5.) */
	.balign 8
gdt:
	.quad 0
	.quad 0x00cf9b000000ffff
	.quad 0x00cf93000000ffff
gdt_pointer:
	.word . - gdt - 1
	.long gdt

	.bss
	.balign 16
	.skip 65536
stack_top:
	.balign 4096
	.globl area
area:
	.skip 8 << 20

	.section .note.GNU-stack, "", @progbits
