/* Owns a guest that leaves with the status that the command line asks for: exit.status=n exit.width=8|16|32. */
#include "guest.h"

/* The number after `key` where it starts a word of the line, or `otherwise`. */
static uint32_t number(const char *line, const char *key, uint32_t otherwise)
{
	for (bool at_start = true; *line != '\0'; at_start = *line++ == ' ') {
		uint32_t n = 0;
		uint32_t value = 0;

		while (key[n] != '\0' && line[n] == key[n])
			n++;
		if (!at_start || key[n] != '\0')
			continue;
		for (line += n; *line >= '0' && *line <= '9'; line++)
			value = value * 10 + (uint32_t)(*line - '0');
		return value;
	}
	return otherwise;
}

void kernel_main(const struct boot_interface *boot)
{
	const char *line = (const char *)boot->commandline;
	uint32_t status = number(line, "exit.status=", 0);
	uint32_t width = number(line, "exit.width=", 8);

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
