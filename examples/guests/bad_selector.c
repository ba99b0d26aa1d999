/* Owns a guest that loads DS with a selector past the end of the GDT: #GP with that selector as its error code. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("bad_selector: 0x38 to DS\n");
	__asm__ volatile("movw %w0, %%ds" : : "r"(0x38) : "memory");
	halt();
}
