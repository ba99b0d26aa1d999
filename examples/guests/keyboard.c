/*
 * Owns a guest that prints the scan codes that the keyboard sends, until the q key goes up. It takes them in the interrupt,
 * or, with `poll` on the command line, by looking.
 */
#include "guest.h"

#define KEYBOARD_DATA 0x60
#define KEYBOARD_STATUS 0x64
#define OUTPUT_FULL 0x01
#define Q_RELEASED 0x90

#define PIC_MASTER 0x20
#define PIC_SLAVE 0xA0
#define PIC_DATA 1
#define ICW1_INIT_ICW4 0x11
#define ICW4_8086 0x01
#define END_OF_INTERRUPT 0x20
#define VECTOR 0x20
#define KEYBOARD_IRQ 1
#define INTERRUPT_GATE 0x8E00

struct interrupt_frame;

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t flags;
	uint16_t offset_high;
};

struct table_register {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

static struct gate idt[VECTOR + 16];
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
	uint32_t handler = (uint32_t)keyboard_interrupt;
	struct table_register idtr = {sizeof idt - 1, (uint32_t)idt};
	uint16_t cs;

	__asm__("movw %%cs, %0" : "=r"(cs));
	idt[VECTOR + KEYBOARD_IRQ] = (struct gate){(uint16_t)handler, cs, INTERRUPT_GATE, (uint16_t)(handler >> 16)};
	__asm__ volatile("lidt %0" : : "m"(idtr));
	outb(PIC_MASTER, ICW1_INIT_ICW4);
	outb(PIC_SLAVE, ICW1_INIT_ICW4);
	outb(PIC_MASTER + PIC_DATA, VECTOR);
	outb(PIC_SLAVE + PIC_DATA, VECTOR + 8);
	outb(PIC_MASTER + PIC_DATA, 1 << 2);
	outb(PIC_SLAVE + PIC_DATA, 2);
	outb(PIC_MASTER + PIC_DATA, ICW4_8086);
	outb(PIC_SLAVE + PIC_DATA, ICW4_8086);
	outb(PIC_MASTER + PIC_DATA, (uint8_t)~(1 << KEYBOARD_IRQ));
	outb(PIC_SLAVE + PIC_DATA, 0xFF);
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
