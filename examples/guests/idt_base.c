/* Owns a guest that loads an IDT from where nothing is mapped. */
#include "idt.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("idt_base: invalid opcode\n");
	load_idt((const void *)0xDEADBEE8, EXCEPTIONS * sizeof(struct gate) - 1);
	__asm__ volatile("ud2");
	halt();
}
