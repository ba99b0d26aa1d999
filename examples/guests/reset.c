/* Owns a guest that resets the machine through the keyboard controller, the way of the IBM AT. */
#include "guest.h"

#define KEYBOARD_COMMAND 0x64
#define PULSE_RESET_LINE 0xFE

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("reset: through the keyboard controller\n");
	/* Without waiting for an empty input buffer: where there is no controller, its status would read as full for ever. */
	outb(KEYBOARD_COMMAND, PULSE_RESET_LINE);
	halt();
}
