/*
 * Owns a guest that prints the scan codes that the keyboard sends, until the q key goes up. It takes them in the interrupt,
 * or, with `poll` on the command line, by looking.
 */
#include "idt.h"

#define KEYBOARD_DATA 0x60
#define KEYBOARD_STATUS 0x64
#define OUTPUT_FULL 0x01
#define Q_RELEASED 0x90

struct interrupt_frame;

static struct gate idt[FIRST_INTERRUPT + 16];
static volatile bool done;

/* Takes what is there. */
static void take(void)
{
	while (inb(KEYBOARD_STATUS) & OUTPUT_FULL) {
		uint8_t code = inb(KEYBOARD_DATA);

		print_char(' ');
		print_byte(code);
		done = code == Q_RELEASED;
	}
}

__attribute__((interrupt)) static void keyboard_interrupt(struct interrupt_frame *frame)
{
	(void)frame;
	take();
	outb(PIC_MASTER, END_OF_INTERRUPT);
}

static void use_interrupts(void)
{
	idt[FIRST_INTERRUPT + KEYBOARD_IRQ] = make_gate(CODE_SELECTOR, (uint32_t)keyboard_interrupt);
	load_idt(idt, sizeof idt - 1);
	turn_on_interrupt(KEYBOARD_IRQ);
}

void kernel_main(const struct boot_interface *boot)
{
	bool poll = *(const char *)boot->commandline == 'p';

	print(poll ? "keyboard, polled:" : "keyboard, interrupts:");
	if (!poll)
		use_interrupts();
	/* What came before the interrupt controllers were ready interrupts no more, and keeps what comes later from doing so. */
	take();
	while (!done) {
		if (poll)
			take();
		else
			__asm__ volatile("sti; hlt; cli");
	}
	print_char('\n');
	leave(0);
}
