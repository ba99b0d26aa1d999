/*
 * Owns a guest that prints as much as the command line asks for on COM1: flood.bytes=n, a byte at a time as kernels do, or
 * with flood.rep=1 by REP OUTSB. Letters that look random, in lines of 64 bytes.
 */
#include "guest.h"

static char piece[0x10000];

static char next(void)
{
	static uint32_t state = 1;
	static uint32_t column;

	/* The linear congruential generator of Numerical Recipes. */
	state = state * 1664525 + 1013904223;
	column = (column + 1) % 64;
	return column == 0 ? '\n' : (char)(' ' + (state >> 26));
}

void kernel_main(const struct boot_interface *boot)
{
	const char *line = (const char *)boot->commandline;
	uint32_t left = word_value(line, "flood.bytes=", 0);
	bool rep = word_value(line, "flood.rep=", 0) != 0;

	while (left != 0) {
		uint32_t n = left < sizeof piece ? left : sizeof piece;
		const char *text = piece;

		for (uint32_t i = 0; i < n; i++)
			piece[i] = next();
		left -= n;
		if (rep)
			__asm__ volatile("rep outsb" : "+S"(text), "+c"(n) : "d"(COM1) : "memory");
		else
			while (n-- != 0)
				print_char(*text++);
	}
	leave(0);
}
