/* Owns a guest that prints what CPUID says of the processor, and registers of the model that a kernel may read. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	static const uint32_t leaves[] = { 0, 1, 0x40000000, 0x40000001, 0x80000000, 0x80000001 };
	/* APIC base, MTRRs, miscellaneous, page attributes. */
	static const uint32_t registers[] = { 0x1B, 0xFE, 0x1A0, 0x277 };

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
	for (uint32_t i = 0; i < sizeof registers / sizeof registers[0]; i++) {
		uint32_t low, high;

		__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(registers[i]));
		print("msr ");
		print_hex(registers[i]);
		print(": ");
		print_hex(high);
		print_char(' ');
		print_hex(low);
		print_char('\n');
	}
	leave(0);
}
