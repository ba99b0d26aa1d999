/* Owns a guest that halts with interrupts off: nothing can wake it. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("halt: halting\n");
	halt();
}
