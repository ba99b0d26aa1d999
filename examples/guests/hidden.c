/* Owns a guest that executes instructions which CPUID does not announce, and prints which of them the processor refuses. */
#include "hostile.h"

static void use_popcnt(uint32_t value)
{
	__asm__ volatile("popcnt %0, %0" : "+r"(value));
}

static void use_crc32(uint32_t value)
{
	__asm__ volatile("crc32l %0, %0" : "+r"(value));
}

static void use_rdrand(uint32_t value)
{
	__asm__ volatile("rdrand %0" : "+r"(value));
}

static void tell(const char *name, void (*use)(uint32_t))
{
	print(name);
	print(attempt(use, 1) ? ": executes\n" : ": #UD\n");
}

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	use_attempts();
	tell("POPCNT", use_popcnt);
	tell("CRC32 (SSE4.2)", use_crc32);
	tell("RDRAND", use_rdrand);
	leave(0);
}
