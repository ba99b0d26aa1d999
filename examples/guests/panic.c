/* Owns a guest that panics as stos does: 1 to the panic port, then a loop. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("panic: panicking\n");
	outb(STOS_PORT_PANIC, 1);
	for (;;)
		__asm__ volatile("pause");
}
