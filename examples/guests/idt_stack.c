/* Owns a guest with good gates and a bad stack: the CPU can't push what a handler needs, and no gate brings another stack. */
#include "idt.h"

static struct gate idt[EXCEPTIONS];

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	for (int vector = 0; vector < EXCEPTIONS; vector++)
		idt[vector] = make_gate(CODE_SELECTOR, (uint32_t)halt);
	print("idt_stack: pushing at 0xDEAD0000\n");
	load_idt(idt, sizeof(idt) - 1);
	__asm__ volatile("movl $0xDEAD0000, %esp; pushl $42");
	halt();
}
