/* Owns a guest that loops with interrupts off and never halts: only a time limit ends it. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("hang: looping\n");
	for (;;)
		__asm__ volatile("");
}
