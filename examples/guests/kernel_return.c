/* Owns a guest that returns from its entry function, as a kernel never may. */
#include "guest.h"

/* The name that others declare as a function that never returns. */
void returns(const struct boot_interface *boot) __asm__("kernel_main");

void returns(const struct boot_interface *boot)
{
	(void)boot;
	print("kernel_return: returning\n");
}
