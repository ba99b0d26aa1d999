/* Owns a guest that prints on the debug console only. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	for (const char *p = "debug_console: text on port 0xE9\n"; *p != '\0'; p++)
		outb(DEBUG_CONSOLE, (uint8_t)*p);
	leave(0);
}
