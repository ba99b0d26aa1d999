/* Owns a guest that divides by zero before it has an IDT: #DE, which pushes no error code. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("divide: 1 / 0\n");
	/* In assembly: in C it would be undefined, and the compiler may leave it out. */
	__asm__ volatile("divl %0" : : "r"(0), "a"(1), "d"(0) : "cc");
	halt();
}
