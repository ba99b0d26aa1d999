/* Owns a guest that sends back what it receives on COM1, until a q, which it sends back too. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	char c;

	(void)boot;
	print("echo: type, q ends\n");
	do {
		while (!(inb(COM1_LINE_STATUS) & LINE_STATUS_DATA_READY))
			__asm__ volatile("pause");
		c = (char)inb(COM1);
		print_char(c);
	} while (c != 'q');
	print_char('\n');
	leave(0);
}
