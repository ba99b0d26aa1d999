/* Owns what the guests with an interrupt descriptor table of their own share: its gates, and loading it. */
#ifndef IDT_H
#define IDT_H

#include "guest.h"

#define CODE_SELECTOR 0x08
#define INTERRUPT_GATE 0x8E
#define EXCEPTIONS 32

/* A gate (Intel SDM volume 3, section 6.11). */
struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint8_t zero;
	uint8_t type;
	uint16_t offset_high;
};

static inline struct gate make_gate(uint16_t selector, uint32_t handler)
{
	return (struct gate){ (uint16_t)handler, selector, 0, INTERRUPT_GATE, (uint16_t)(handler >> 16) };
}

/* Loads a table of which the CPU may use the bytes 0 to limit. */
static inline void load_idt(const void *table, uint16_t limit)
{
	struct {
		uint16_t limit;
		uint32_t base;
	} __attribute__((packed)) idtr = { limit, (uint32_t)table };

	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

#endif
