/* Owns a guest whose timer handler does not send the end of interrupt: it ticks once and never again. */
#include "guest.h"

#define PIC1_COMMAND 0x20
#define PIC1_DATA 0x21
#define PIC2_COMMAND 0xA0
#define PIC2_DATA 0xA1
#define FIRST_VECTOR 0x20
#define INTERRUPT_GATE 0x8E00

struct gate {
	uint16_t offset_low;
	uint16_t selector;
	uint16_t flags;
	uint16_t offset_high;
};

struct __attribute__((packed)) table {
	uint16_t limit;
	uint32_t base;
};

static struct gate idt[FIRST_VECTOR + 8];
static volatile uint32_t ticks;

static __attribute__((interrupt, target("general-regs-only"))) void tick(void *frame)
{
	(void)frame;
	ticks++;
}

static void set_up_pic(void)
{
	outb(PIC1_COMMAND, 0x11);
	outb(PIC2_COMMAND, 0x11);
	outb(PIC1_DATA, FIRST_VECTOR);
	outb(PIC2_DATA, FIRST_VECTOR + 8);
	outb(PIC1_DATA, 0x04);
	outb(PIC2_DATA, 0x02);
	outb(PIC1_DATA, 0x01);
	outb(PIC2_DATA, 0x01);
	outb(PIC1_DATA, 0xFE);
	outb(PIC2_DATA, 0xFF);
}

static void set_up_timer(void)
{
	const uint32_t divisor = 1193182 / 100;

	outb(0x43, 0x34);
	outb(0x40, divisor & 0xFF);
	outb(0x40, divisor >> 8);
}

void kernel_main(const struct boot_interface *boot)
{
	const struct table pointer = {sizeof(idt) - 1, (uint32_t)idt};
	uint16_t code;

	(void)boot;
	__asm__ volatile("movw %%cs, %0" : "=r"(code));
	idt[FIRST_VECTOR] = (struct gate){(uint32_t)tick & 0xFFFF, code, INTERRUPT_GATE, (uint32_t)tick >> 16};
	__asm__ volatile("lidt %0" : : "m"(pointer));
	set_up_pic();
	set_up_timer();
	print("missing_eoi: waiting for 3 ticks\n");
	while (ticks < 3)
		__asm__ volatile("sti; hlt");
	print("missing_eoi: they came\n");
	leave(0);
}
