/* Owns a guest whose gates name a code segment that the GDT does not have. */
#include "idt.h"

#define NO_SEGMENT 0x38

static struct gate idt[EXCEPTIONS];

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	for (int vector = 0; vector < EXCEPTIONS; vector++)
		idt[vector] = make_gate(NO_SEGMENT, (uint32_t)halt);
	print("idt_selector: breakpoint\n");
	load_idt(idt, sizeof(idt) - 1);
	__asm__ volatile("int3");
	halt();
}
