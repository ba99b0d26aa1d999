/* Owns the interrupt controllers and the timer of a PC for guests that take no interrupts: they ask for what is there. */
#ifndef PC_H
#define PC_H

#include "../guests/guest.h"

#define PIC1 0x20
#define PIC2 0xA0
#define IRQ_TIMER 0
#define IRQ_CASCADE 2
#define NO_IRQ 0xFF
/* Port B of a PC: the gate of counter 2, and its output. */
#define PORT_B 0x61
#define GATE 0x01
#define OUTPUT 0x20

#define TIMER_HZ 1193182

/* Both controllers, with vectors from 32 on, and with these request lines not masked. */
static inline void set_up_pics(uint16_t lines)
{
	static const uint8_t words[2][3] = {{0x20, 1 << IRQ_CASCADE, 0x01}, {0x28, IRQ_CASCADE, 0x01}};
	static const uint16_t pics[] = {PIC1, PIC2};

	for (uint32_t pic = 0; pic < 2; pic++) {
		outb(pics[pic], 0x11);
		for (uint32_t word = 0; word < 3; word++)
			outb(pics[pic] + 1, words[pic][word]);
		outb(pics[pic] + 1, (uint8_t)~(lines >> 8 * pic));
	}
}

/*
 * Takes a request from a controller, and ends it: gives its line, or NO_IRQ if there is none. It is looked up before, because the answer
 * to the poll command that takes it does not say on KVM before Linux 6.5 whether there was one.
 */
static inline uint8_t take_request(uint16_t pic)
{
	uint8_t requests;

	outb(pic, 0x0A);
	requests = inb(pic);
	requests &= (uint8_t)~inb(pic + 1);
	if (requests == 0)
		return NO_IRQ;
	outb(pic, 0x0C);
	inb(pic);
	outb(pic, 0x20);
	return (uint8_t)__builtin_ctz(requests);
}

/* Counter 0, which is IRQ 0, in mode 2. */
static inline void set_timer(uint32_t hz)
{
	uint32_t count = TIMER_HZ / hz;

	outb(0x43, 0x34);
	outb(0x40, (uint8_t)count);
	outb(0x40, (uint8_t)(count >> 8));
}

/* Has counter 2 count once, 54 ms at most. */
static inline void begin_to_wait(uint32_t milliseconds)
{
	uint32_t count = TIMER_HZ / 1000 * milliseconds;

	outb(PORT_B, GATE);
	outb(0x43, 0xB0);
	outb(0x42, (uint8_t)count);
	outb(0x42, (uint8_t)(count >> 8));
}

static inline bool has_waited(void)
{
	return inb(PORT_B) & OUTPUT;
}

static inline void wait_for(uint32_t milliseconds)
{
	begin_to_wait(milliseconds);
	while (!has_waited())
		;
}

#endif
