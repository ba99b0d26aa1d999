/* Owns a guest that turns interrupts on without an IDT, while the 8259s are as the reset left them: the timer comes as #DE does. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("early_sti: interrupts on\n");
	__asm__ volatile("sti");
	for (;;)
		__asm__ volatile("nop");
}
