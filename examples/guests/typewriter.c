/* Owns a guest that shows what is typed on the keyboard on the text screen, until escape. It prints nothing on COM1. */
#include "guest.h"

#define KEYBOARD_DATA 0x60
#define KEYBOARD_STATUS 0x64
#define OUTPUT_FULL 0x01
#define ESCAPE 0x01
#define RELEASED 0x80

#define COLUMNS 80
#define GREY 0x0700
#define CRTC_INDEX 0x3D4
#define CRTC_DATA 0x3D5
#define CURSOR_HIGH 0x0E
#define CURSOR_LOW 0x0F

/* What the keys type, by scan code, as far as this guest knows. */
static const char keys[] = "\0\0001234567890-=\0\0qwertyuiop[]\0\0asdfghjkl;'`\0\\zxcvbnm,./\0\0\0 ";

static volatile uint16_t *const cells = (volatile uint16_t *)STOS_VGA_TEXT;
static uint16_t place;

static void put(char c)
{
	cells[place++] = (uint16_t)(GREY | (uint8_t)c);
	outb(CRTC_INDEX, CURSOR_HIGH);
	outb(CRTC_DATA, (uint8_t)(place >> 8));
	outb(CRTC_INDEX, CURSOR_LOW);
	outb(CRTC_DATA, (uint8_t)place);
}

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	for (const char *text = "typewriter: type, escape ends"; *text != '\0'; text++)
		put(*text);
	place = COLUMNS;
	for (;;) {
		uint8_t code;

		while (!(inb(KEYBOARD_STATUS) & OUTPUT_FULL))
			__asm__ volatile("pause");
		code = inb(KEYBOARD_DATA);
		if (code == ESCAPE)
			leave(0);
		if (!(code & RELEASED) && code < sizeof keys - 1 && keys[code] != '\0')
			put(keys[code]);
	}
}
