/* Owns a guest that reads where nothing is mapped before it has an IDT: #PF with CR2 = 0xDEAD0000. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("early_fault: reading 0xDEAD0000\n");
	(void)*(const volatile uint32_t *)0xDEAD0000;
	halt();
}
