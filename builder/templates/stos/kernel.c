/* Owns the kernel. stos_boot.h says in which state the CPU is here, and what the loader has left in memory. */
#include "console.h"
#include "stos_boot.h"
#include "words.h"

_Noreturn void kernel_main(const struct boot_interface *boot);

void kernel_main(const struct boot_interface *boot)
{
	print("Hello from @name@!\n");
	if (has_word((const char *)boot->commandline, "fault"))
		__builtin_trap(); /* `ud2`, an exception; this kernel has no handler for it */
	leave(0);
}
