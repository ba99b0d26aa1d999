/* Owns a guest whose first exception has no gate, nor has the double fault that follows: the CPU shuts down. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	/* Even a limit of 0 is one byte; a gate needs eight (Intel SDM volume 3, section 6.10). */
	static const struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) empty_table = { 0, 0 };

	(void)boot;
	print("triple_fault: breakpoint without an IDT\n");
	__asm__ volatile("lidt %0; int3" : : "m"(empty_table));
	halt();
}
