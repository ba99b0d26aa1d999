/* Owns a guest that moves several bytes in one I/O instruction, out and in. */
#include "guest.h"

#define COUNT 16

/* The input buffer straddles the end of a page, so that its two halves may lie anywhere. */
static uint8_t pages[2 * STOS_PAGE_SIZE] __attribute__((aligned(STOS_PAGE_SIZE)));

static void rep_outsb(uint16_t port, const char *text, uint32_t n)
{
	__asm__ volatile("rep outsb" : "+S"(text), "+c"(n) : "d"(port) : "memory");
}

static void rep_insb(uint16_t port, uint8_t *buffer, uint32_t n)
{
	__asm__ volatile("rep insb" : "+D"(buffer), "+c"(n) : "d"(port) : "memory");
}

void kernel_main(const struct boot_interface *boot)
{
	static const char serial[] = "rep outsb to COM1\n";
	static const char debug[] = "rep outsb to port 0xE9\n";
	uint8_t *buffer = pages + STOS_PAGE_SIZE - COUNT / 2;
	bool good = true;

	(void)boot;
	print("rep_outsb: started\n");
	rep_outsb(COM1, serial, sizeof serial - 1);
	rep_outsb(DEBUG_CONSOLE, debug, sizeof debug - 1);

	/* Of the line status only this bit is known: nothing is being sent, so it stays set. */
	while (!(inb(COM1_LINE_STATUS) & LINE_STATUS_THR_EMPTY))
		;
	rep_insb(COM1_LINE_STATUS, buffer, COUNT);
	for (uint32_t i = 0; i < COUNT; i++)
		good = good && (buffer[i] & LINE_STATUS_THR_EMPTY) != 0;
	/* Not a byte before or after. */
	good = good && buffer[-1] == 0 && buffer[COUNT] == 0;
	print(good ? "rep insb: ok\n" : "rep insb: FAILED\n");
	leave(good ? 0 : 1);
}
