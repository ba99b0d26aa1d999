/* Owns a guest that waits for interrupts with HLT after it has masked all of them: nothing can wake it. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("masked_halt: waiting\n");
	outb(0x21, 0xFF);
	outb(0xA1, 0xFF);
	for (;;)
		__asm__ volatile("sti; hlt");
}
