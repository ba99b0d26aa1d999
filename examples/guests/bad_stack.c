/* Owns a guest that pushes onto a stack where nothing is mapped: the CPU can't push the page fault either, so #DF. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("bad_stack: pushing at 0xDEAD0000\n");
	__asm__ volatile("movl $0xDEAD0000, %esp; pushl $42");
	halt();
}
