/*
 * Owns a guest that is compiled with the stack protector of the compiler, whose canary is at %gs:0x14, and has taken the mapping
 * of address 0 away.
 */
#include "guest.h"

_Noreturn void __stack_chk_fail(void);

_Noreturn void __stack_chk_fail(void)
{
	print("canary: the stack was smashed\n");
	leave(2);
}

__attribute__((noinline)) static void greet(const char *name)
{
	volatile char line[64];
	uint32_t n;

	for (n = 0; name[n] != '\0'; n++)
		line[n] = name[n];
	for (uint32_t i = 0; i < n; i++)
		print_char(line[i]);
}

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("canary: greeting\n");
	drop_identity_mapping();
	greet("hello\n");
	leave(0);
}
