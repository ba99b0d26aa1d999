/* Owns the kernel. multiboot.h has what the loader leaves in memory. */
#include "console.h"
#include "multiboot.h"
#include "words.h"

_Noreturn void kernel_main(uint32_t magic, const struct multiboot_info *info);

void kernel_main(uint32_t magic, const struct multiboot_info *info)
{
	print("Hello from @name@!\n");
	if (magic != MULTIBOOT_LOADER_MAGIC)
		leave(1);
	if (info->flags & MULTIBOOT_CMDLINE && has_word((const char *)info->cmdline, "fault"))
		__builtin_trap(); /* `ud2`, an exception; this kernel has no handler for it */
	leave(0);
}
