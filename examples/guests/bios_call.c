/* Owns a guest that calls the BIOS, of which there is none, by the vector that the command line asks for: bios.vector=16|19|21|33. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	print("bios_call: calling\n");
	switch (word_value((const char *)boot->commandline, "bios.vector=", 0)) {
	case 0x10:
		__asm__ volatile("int $0x10" : : "a"(0x0E41));
		break;
	case 0x13:
		__asm__ volatile("int $0x13" : : "a"(0));
		break;
	case 0x15:
		__asm__ volatile("int $0x15" : : "a"(0xE820));
		break;
	case 0x21:
		__asm__ volatile("int $0x21" : : "a"(0x0900));
		break;
	}
	halt();
}
