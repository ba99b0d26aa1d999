/* Owns a guest whose own IDT has no entry that is present: a page fault finds no handler, nor does what follows. */
#include "idt.h"

static struct gate idt[EXCEPTIONS];

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("idt_not_present: reading 0xDEAD0000\n");
	load_idt(idt, sizeof(idt) - 1);
	(void)*(volatile uint32_t *)0xDEAD0000;
	halt();
}
