/*
 * Owns a guest that waits, inside the handler of the timer and before the end of that interrupt, for the clock, which comes
 * through: `priorities.special=1` masks the timer in special mask mode, otherwise the priorities are rotated.
 */
#include "idt.h"

#define CLOCK_IRQ 8
#define CASCADE_IRQ 2
#define OCW2_LOWEST 0xC0
#define OCW3_SPECIAL_MASK 0x68
#define STATUS_B 0x0B
#define STATUS_C 0x0C
#define HOURS_24_AND_UPDATES 0x12

/* So that the CPU waits in one place for more than a second with nothing in its way. */
#define SECONDS 3

static struct gate idt[FIRST_INTERRUPT + 16];
static volatile uint32_t seconds;
static volatile bool has_ended;
static bool is_special;

static __attribute__((interrupt, target("general-regs-only"))) void on_clock(void *frame)
{
	(void)frame;
	seconds++;
	outb(0x70, STATUS_C);
	inb(0x71);
	outb(PIC_SLAVE, END_OF_INTERRUPT);
	/* Of the line to the second controller, not of the timer. */
	outb(PIC_MASTER, 0x60 | CASCADE_IRQ);
}

static __attribute__((interrupt, target("general-regs-only"))) void on_timer(void *frame)
{
	(void)frame;
	if (is_special) {
		outb(PIC_MASTER, OCW3_SPECIAL_MASK);
		outb(PIC_MASTER + PIC_DATA, (uint8_t)~(1 << CASCADE_IRQ));
	} else {
		outb(PIC_MASTER, OCW2_LOWEST | TIMER_IRQ);
	}
	while (seconds < SECONDS)
		__asm__ volatile("sti; hlt; cli");
	has_ended = true;
}

void kernel_main(const struct boot_interface *boot)
{
	is_special = word_value((const char *)boot->commandline, "priorities.special=", 0);
	idt[FIRST_INTERRUPT + TIMER_IRQ] = make_gate(CODE_SELECTOR, (uint32_t)on_timer);
	idt[FIRST_INTERRUPT + CLOCK_IRQ] = make_gate(CODE_SELECTOR, (uint32_t)on_clock);
	load_idt(idt, sizeof(idt) - 1);
	turn_on_interrupt(TIMER_IRQ);
	outb(PIC_MASTER + PIC_DATA, (uint8_t)~(1 << TIMER_IRQ | 1 << CASCADE_IRQ));
	outb(PIC_SLAVE + PIC_DATA, (uint8_t)~(1 << (CLOCK_IRQ - 8)));
	outb(0x70, STATUS_B);
	outb(0x71, HOURS_24_AND_UPDATES);
	print("priorities: waiting in the timer's handler\n");
	while (!has_ended)
		__asm__ volatile("sti; hlt");
	print("priorities: the clock came through\n");
	leave(0);
}
