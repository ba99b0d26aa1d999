/* Owns a guest that prints status and data of the keyboard controller as firmware leaves them, three times: nothing waits. */
#include "guest.h"

#define KEYBOARD_DATA 0x60
#define KEYBOARD_STATUS 0x64

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("keyboard at the start:");
	for (int i = 0; i < 3; i++) {
		print_char(' ');
		print_byte(inb(KEYBOARD_STATUS));
		print_char(' ');
		print_byte(inb(KEYBOARD_DATA));
	}
	print_char('\n');
	leave(0);
}
