/* Owns what the guests with an interrupt descriptor table of their own share: its gates, loading it, and what interrupts. */
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

/* What LGDT and LIDT load (Intel SDM volume 3, section 3.5.1). */
struct table_register {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

/* Loads a table of which the CPU may use the bytes 0 to limit. */
static inline void load_idt(const volatile void *table, uint16_t limit)
{
	struct table_register idtr = { limit, (uint32_t)table };

	__asm__ volatile("lidt %0" : : "m"(idtr) : "memory");
}

#define PIC_MASTER 0x20
#define PIC_SLAVE 0xA0
#define PIC_DATA 1
#define ICW1_INIT_ICW4 0x11
#define ICW4_8086 0x01
#define FIRST_INTERRUPT 0x20
#define END_OF_INTERRUPT 0x20
#define TIMER_IRQ 0
#define KEYBOARD_IRQ 1

/* Interrupts 0 to 15 become vectors 0x20 to 0x2F, and only this one, one of the master's, is on. */
static inline void turn_on_interrupt(uint8_t irq)
{
	outb(PIC_MASTER, ICW1_INIT_ICW4);
	outb(PIC_SLAVE, ICW1_INIT_ICW4);
	outb(PIC_MASTER + PIC_DATA, FIRST_INTERRUPT);
	outb(PIC_SLAVE + PIC_DATA, FIRST_INTERRUPT + 8);
	outb(PIC_MASTER + PIC_DATA, 1 << 2);
	outb(PIC_SLAVE + PIC_DATA, 2);
	outb(PIC_MASTER + PIC_DATA, ICW4_8086);
	outb(PIC_SLAVE + PIC_DATA, ICW4_8086);
	outb(PIC_MASTER + PIC_DATA, (uint8_t)~(1 << irq));
	outb(PIC_SLAVE + PIC_DATA, 0xFF);
}

/* The timer interrupts once in `divisor` of its 1193182 clocks a second. */
static inline void start_timer(uint16_t divisor)
{
	outb(0x43, 0x34);
	outb(0x40, (uint8_t)divisor);
	outb(0x40, (uint8_t)(divisor >> 8));
}

#endif
