/* Owns a guest that looks for PCI devices through configuration mechanism 1. */
#include "guest.h"

#define ADDRESS 0xCF8
#define DATA 0xCFC
#define ENABLE 0x80000000
#define DEVICES 32
#define NO_DEVICE 0xFFFFFFFF

void kernel_main(const struct boot_interface *boot)
{
	uint32_t found = 0;

	(void)boot;
	outl(ADDRESS, ENABLE);
	print(inl(ADDRESS) == ENABLE ? "pci: mechanism 1\n" : "pci: no mechanism 1\n");
	for (uint32_t device = 0; device < DEVICES; device++) {
		outl(ADDRESS, ENABLE | device << 11);
		if (inl(DATA) != NO_DEVICE)
			found++;
	}
	print("pci: ");
	print_decimal(found);
	print(" devices on bus 0\n");
	leave(0);
}
