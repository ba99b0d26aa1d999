/*
 * Owns a guest with a console on the text screen as courses write it, which prints a line too many and halts:
 *   console=1  sets where the screen begins
 *   console=2  asks the display adapter where to print
 *   without    prints below the last row
 * It succeeds when the adapter has the registers that it needs.
 */
#include "guest.h"

#define COLUMNS 80
#define ROWS 25
#define GREY 0x0700
#define CRTC_INDEX 0x3D4
#define CRTC_DATA 0x3D5
#define START_HIGH 0x0C
#define CURSOR_HIGH 0x0E
#define NOTHING 0xFFFF

#define SCROLL 1
#define CURSOR 2

static volatile uint16_t *const cells = (volatile uint16_t *)STOS_VGA_TEXT;

static uint16_t read_pair(uint8_t high)
{
	uint16_t value;

	outb(CRTC_INDEX, high);
	value = (uint16_t)(inb(CRTC_DATA) << 8);
	outb(CRTC_INDEX, high + 1);
	return value | inb(CRTC_DATA);
}

static void write_pair(uint8_t high, uint16_t value)
{
	outb(CRTC_INDEX, high);
	outb(CRTC_DATA, (uint8_t)(value >> 8));
	outb(CRTC_INDEX, high + 1);
	outb(CRTC_DATA, (uint8_t)value);
}

static void put(uint32_t cell, const char *text)
{
	while (*text != '\0')
		cells[cell++] = (uint16_t)(GREY | (uint8_t)*text++);
}

void kernel_main(const struct boot_interface *boot)
{
	uint32_t kind = word_value((const char *)boot->commandline, "console=", 0);

	if (kind == CURSOR) {
		uint16_t cursor = read_pair(CURSOR_HIGH);

		if (cursor != NOTHING) {
			put(cursor, "console: where the cursor is");
			leave(0);
		}
		/* A kernel that does not look would print far beyond the text memory. */
		halt();
	}
	put(0, "console: first row");
	put(ROWS * COLUMNS, "console: one row too many");
	if (kind == SCROLL) {
		write_pair(START_HIGH, COLUMNS);
		if (read_pair(START_HIGH) == COLUMNS)
			leave(0);
	}
	halt();
}
