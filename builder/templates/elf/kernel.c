/* Owns the kernel. No boot protocol: all that it is told is what the manifest's `entry` puts into registers. */
#include "console.h"

_Noreturn void kernel_main(uint32_t eax);

void kernel_main(uint32_t eax)
{
	print("Hello from @name@!\n");
	if (eax != 0)
		__builtin_trap(); /* `ud2`, an exception; this kernel has no handler for it */
	leave(0);
}
