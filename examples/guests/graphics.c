/*
 * Owns a guest that switches the display adapter to graphics, as far as one register does, draws a pixel and halts. With `memory=1` in
 * its command line it only draws.
 */
#include "guest.h"

#define GRAPHICS_INDEX 0x3CE
#define GRAPHICS_DATA 0x3CF
#define MISCELLANEOUS 6
#define GRAPHICS_MODE 0x05
#define GRAPHICS_MEMORY 0xC00A0000
#define WHITE 15

void kernel_main(const struct boot_interface *boot)
{
	if (word_value((const char *)boot->commandline, "memory=", 0) == 0) {
		outb(GRAPHICS_INDEX, MISCELLANEOUS);
		outb(GRAPHICS_DATA, GRAPHICS_MODE);
	}
	*(volatile uint8_t *)(GRAPHICS_MEMORY + 320 * 100 + 160) = WHITE;
	halt();
}
