/* Owns a guest that turns interrupts on with the gates of the exceptions alone: the timer's interrupt is past the IDT's end. */
#include "idt.h"

#define PIC1 0x20
#define PIC2 0xA0

static struct gate idt[EXCEPTIONS];

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("idt_interrupt: waiting for the timer\n");
	load_idt(idt, sizeof(idt) - 1);
	/* Interrupts 0 to 15 are vectors 0x20 to 0x2F, and only that of the timer is on. */
	outb(PIC1, 0x11);
	outb(PIC1 + 1, 0x20);
	outb(PIC1 + 1, 0x04);
	outb(PIC1 + 1, 0x01);
	outb(PIC2, 0x11);
	outb(PIC2 + 1, 0x28);
	outb(PIC2 + 1, 0x02);
	outb(PIC2 + 1, 0x01);
	outb(PIC1 + 1, 0xFE);
	outb(PIC2 + 1, 0xFF);
	outb(0x43, 0x34);
	outb(0x40, 0xFF);
	outb(0x40, 0xFF);
	for (;;)
		__asm__ volatile("sti; hlt");
}
