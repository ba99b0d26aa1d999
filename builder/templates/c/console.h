/* Owns the serial port COM1, which stos-run shows, and the port that ends the run. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdint.h>

#define COM1 0x3F8
#define COM1_LINE_STATUS (COM1 + 5)
#define LINE_STATUS_ROOM 0x20
#define EXIT_PORT 0xF4

static inline void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t inb(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline void print(const char *text)
{
	for (; *text != '\0'; text++) {
		while (!(inb(COM1_LINE_STATUS) & LINE_STATUS_ROOM))
			;
		outb(COM1, (uint8_t)*text);
	}
}

/* Ends the run with a status from 0 to 63; 0 is success. */
static inline _Noreturn void leave(uint8_t status)
{
	outb(EXIT_PORT, status);
	for (;;)
		__asm__ volatile("cli; hlt");
}

#endif
