/* Owns the 8259A pair (command words are named as in Intel's 8259A data sheet). */
#include "pic.h"

#include "check.h"
#include "io.h"

#define MASTER 0x20 /* ICW1, OCW2, OCW3; ICW2 to ICW4 and OCW1 are one port up */
#define SLAVE 0xA0
#define DATA 1

#define ICW1_INIT_ICW4 0x11
#define ICW3_MASTER 0x04 /* the slave hangs on IRQ 2 */
#define ICW3_SLAVE 2
#define ICW4_8086 0x01
#define OCW2_END 0x20 /* non-specific end of interrupt */
#define OCW3_READ_IN_SERVICE 0x0B
#define CASCADE 2
#define ALL_MASKED 0xFF

void pic_init(void)
{
	outb(MASTER, ICW1_INIT_ICW4);
	outb(SLAVE, ICW1_INIT_ICW4);
	/* On a PC the IRQs 0 to 7 start at vector 8, where they would look like the CPU's exceptions. */
	outb(MASTER + DATA, PIC_VECTOR);
	outb(SLAVE + DATA, PIC_VECTOR + 8);
	outb(MASTER + DATA, ICW3_MASTER);
	outb(SLAVE + DATA, ICW3_SLAVE);
	outb(MASTER + DATA, ICW4_8086);
	outb(SLAVE + DATA, ICW4_8086);
	outb(MASTER + DATA, ALL_MASKED & ~(1 << CASCADE));
	outb(SLAVE + DATA, ALL_MASKED);
	check_true("pic: masks read back", inb(MASTER + DATA) == 0xFB && inb(SLAVE + DATA) == 0xFF);
}

void pic_unmask(uint32_t irq)
{
	uint16_t port = (irq < 8 ? MASTER : SLAVE) + DATA;

	outb(port, inb(port) & (uint8_t)~(1U << (irq % 8)));
}

void pic_end(uint32_t irq)
{
	if (irq >= 8)
		outb(SLAVE, OCW2_END);
	outb(MASTER, OCW2_END);
}

bool pic_is_spurious(uint32_t irq)
{
	uint16_t port = irq < 8 ? MASTER : SLAVE;

	if (irq % 8 != 7)
		return false;
	outb(port, OCW3_READ_IN_SERVICE);
	if (inb(port) & 0x80)
		return false;
	/* The master did see a real interrupt: that of its slave. */
	if (port == SLAVE)
		outb(MASTER, OCW2_END);
	return true;
}
