/* Owns a guest that leaves with the status that the command line asks for: exit.status=n exit.width=8|16|32. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	const char *line = (const char *)boot->commandline;
	uint32_t status = word_value(line, "exit.status=", 0);
	uint32_t width = word_value(line, "exit.width=", 8);

	print("exit_status: ");
	print_decimal(status);
	print(" in ");
	print_decimal(width);
	print(" bits\n");
	if (width == 32)
		outl(STOS_PORT_EXIT, status);
	else if (width == 16)
		outw(STOS_PORT_EXIT, (uint16_t)status);
	else
		outb(STOS_PORT_EXIT, (uint8_t)status);
	halt();
}
