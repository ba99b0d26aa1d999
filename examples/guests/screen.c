/* Owns a guest that draws on the text screen, with colours, a frame and the cursor, and prints nothing on COM1. */
#include "guest.h"

#define COLUMNS 80
#define ROWS 25
#define CRTC_INDEX 0x3D4
#define CRTC_DATA 0x3D5
#define CURSOR_HIGH 0x0E
#define CURSOR_LOW 0x0F

#define GREY 0x07
#define YELLOW_ON_BLUE 0x1E

static volatile uint16_t *const cells = (volatile uint16_t *)STOS_VGA_TEXT;

static void put(uint32_t row, uint32_t column, uint8_t attribute, const char *text)
{
	for (uint32_t i = row * COLUMNS + column; *text != '\0'; i++)
		cells[i] = (uint16_t)(attribute << 8 | (uint8_t)*text++);
}

static void set_cursor(uint16_t cell)
{
	outb(CRTC_INDEX, CURSOR_HIGH);
	outb(CRTC_DATA, (uint8_t)(cell >> 8));
	outb(CRTC_INDEX, CURSOR_LOW);
	outb(CRTC_DATA, (uint8_t)cell);
}

void kernel_main(const struct boot_interface *boot)
{
	char colour[] = "0 ";

	(void)boot;
	for (uint32_t i = 0; i < COLUMNS * ROWS; i++)
		cells[i] = GREY << 8 | ' ';
	/* The frame's characters are those of code page 437. */
	put(1, 2, YELLOW_ON_BLUE, "\xC9\xCD\xCD\xCD\xCD\xCD\xCD\xCD\xCD\xBB");
	put(2, 2, YELLOW_ON_BLUE, "\xBA screen \xBA");
	put(3, 2, YELLOW_ON_BLUE, "\xC8\xCD\xCD\xCD\xCD\xCD\xCD\xCD\xCD\xBC");
	for (uint8_t i = 0; i < 16; i++) {
		colour[0] = "0123456789ABCDEF"[i];
		put(5, 2 + 2U * i, i, colour);
	}
	put(24, 0, GREY, "the last row");
	set_cursor(24 * COLUMNS + 12);
	leave(0);
}
