/* Owns a guest that executes an instruction that no CPU has: #UD. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("invalid_opcode: ud2\n");
	__asm__ volatile("ud2");
	halt();
}
