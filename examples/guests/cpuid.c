/* Owns a guest that prints what CPUID says of the processor. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	static const uint32_t leaves[] = { 0, 1, 0x80000000, 0x80000001 };

	(void)boot;
	for (uint32_t i = 0; i < sizeof leaves / sizeof leaves[0]; i++) {
		uint32_t a = leaves[i];
		uint32_t b, c = 0, d;

		__asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
		print("cpuid ");
		print_hex(leaves[i]);
		print(":");
		for (uint32_t j = 0; j < 4; j++) {
			print_char(' ');
			print_hex(j == 0 ? a : j == 1 ? b : j == 2 ? c : d);
		}
		print_char('\n');
	}
	leave(0);
}
