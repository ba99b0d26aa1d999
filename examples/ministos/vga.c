/* Owns the VGA text buffer, seen through the kernel window. */
#include "vga.h"

#include <stdint.h>

#include "stos_boot.h"

#define COLUMNS 80
#define ROWS 25
#define BLANK (0x0700 | ' ') /* light grey on black */

static volatile uint16_t *const cells = (volatile uint16_t *)STOS_VGA_TEXT;
static uint32_t column;
static uint32_t row;

void vga_clear(void)
{
	for (uint32_t i = 0; i < COLUMNS * ROWS; i++)
		cells[i] = BLANK;
	column = 0;
	row = 0;
}

static void new_row(void)
{
	column = 0;
	if (row < ROWS - 1) {
		row++;
		return;
	}
	for (uint32_t i = 0; i < COLUMNS * (ROWS - 1); i++)
		cells[i] = cells[i + COLUMNS];
	for (uint32_t i = COLUMNS * (ROWS - 1); i < COLUMNS * ROWS; i++)
		cells[i] = BLANK;
}

void vga_put(char c)
{
	if (c == '\n') {
		new_row();
		return;
	}
	if (c == '\b') {
		if (column > 0)
			column--;
		return;
	}
	if (column == COLUMNS)
		new_row();
	cells[row * COLUMNS + column] = 0x0700 | (uint8_t)c;
	column++;
}
