/* Owns counter 0 of the 8254 and the tick that it raises on IRQ 0 (Intel's 8254 data sheet). */
#include "pit.h"

#include "check.h"
#include "io.h"
#include "pic.h"
#include "symbol.h"
#include "trap.h"

#define COUNTER0 0x40
#define CONTROL 0x43

#define INPUT_HZ 1193182
#define CONTROL_RATE_GENERATOR 0x34    /* counter 0, low byte then high byte, mode 2, binary */
#define CONTROL_READ_BACK_STATUS 0xE2  /* read-back command: status, not count, of counter 0 */
#define STATUS_MODE 0x3F               /* access, mode and BCD bits, as written to the control port */

#define PIT_IRQ 0

static volatile uint32_t ticks;

static void tick(void)
{
	ticks++;
}

void pit_set_hz(uint32_t hz)
{
	uint32_t divisor = INPUT_HZ / hz;

	outb(CONTROL, CONTROL_RATE_GENERATOR);
	outb(COUNTER0, divisor & 0xFF);
	outb(COUNTER0, (uint8_t)(divisor >> 8));
}

uint32_t pit_ticks(void)
{
	return ticks;
}

void pit_wait(uint32_t n)
{
	uint32_t flags = interrupts_off();
	uint32_t start = ticks;

	while (ticks - start < n)
		interrupts_wait();
	interrupts_restore(flags);
}

void pit_init(void)
{
	pit_set_hz(PIT_DEFAULT_HZ);
	outb(CONTROL, CONTROL_READ_BACK_STATUS);
	check_equal("pit: counter 0 is a rate generator", inb(COUNTER0) & STATUS_MODE, CONTROL_RATE_GENERATOR);

	trap_set_irq(PIT_IRQ, tick);
	pic_unmask(PIT_IRQ);
	pit_wait(3);
	/* The second tick comes only if the first was ended; a late host may deliver more than were waited for. */
	check_true("pit: ticks arrive and are acknowledged", ticks >= 3);
}

EXPORT(pit_set_hz);
EXPORT(pit_ticks);
EXPORT(pit_wait);
