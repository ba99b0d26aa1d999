/* Owns the 16550 UART at COM1 (register names are those of the PC16550D data sheet). */
#include "serial.h"

#include <stdint.h>

#include "io.h"
#include "pic.h"
#include "symbol.h"
#include "trap.h"

#define COM1 0x3F8
#define COM1_IRQ 4

#define RBR (COM1 + 0) /* received byte (read) */
#define THR (COM1 + 0) /* byte to send (write) */
#define DLL (COM1 + 0) /* divisor, low byte, while LCR.DLAB is set */
#define IER (COM1 + 1) /* interrupt enable */
#define DLM (COM1 + 1) /* divisor, high byte, while LCR.DLAB is set */
#define LCR (COM1 + 3) /* line control */
#define MCR (COM1 + 4) /* modem control */
#define LSR (COM1 + 5) /* line status */

#define IER_RECEIVED 0x01
#define LCR_8N1 0x03
#define LCR_DLAB 0x80
#define MCR_DTR_RTS 0x03
#define MCR_OUT2 0x08 /* on a PC, gates the UART's interrupt to the PIC */
#define LSR_DATA_READY 0x01
#define LSR_THR_EMPTY 0x20

#define RING_SIZE 256 /* a power of two, so that the free-running indices wrap with it */

static volatile uint8_t ring[RING_SIZE];
static volatile uint32_t ring_head;
static volatile uint32_t ring_tail;

void serial_init(void)
{
	/* FCR is left alone: switching the FIFOs on would throw away bytes that were typed before the kernel ran. */
	outb(IER, 0);
	outb(LCR, LCR_DLAB);
	outb(DLL, 1); /* 115200 / 1 */
	outb(DLM, 0);
	outb(LCR, LCR_8N1);
	outb(MCR, MCR_DTR_RTS);
}

void serial_put(char c)
{
	while (!(inb(LSR) & LSR_THR_EMPTY))
		;
	outb(THR, (uint8_t)c);
}

static void receive(void)
{
	while (inb(LSR) & LSR_DATA_READY) {
		uint8_t byte = inb(RBR);

		if (ring_head - ring_tail < RING_SIZE)
			ring[ring_head++ % RING_SIZE] = byte;
	}
}

void serial_listen(void)
{
	trap_set_irq(COM1_IRQ, receive);
	pic_unmask(COM1_IRQ);
	outb(MCR, MCR_DTR_RTS | MCR_OUT2);
	outb(IER, IER_RECEIVED);
}

char serial_get(void)
{
	uint32_t flags = interrupts_off();
	char c;

	while (ring_head == ring_tail)
		interrupts_wait();
	c = (char)ring[ring_tail++ % RING_SIZE];
	interrupts_restore(flags);
	return c;
}

EXPORT(serial_listen);
EXPORT(serial_get);
