/*
 * Owns a guest that takes none of the timer's ticks for 300 ms, and then counts those that come in 100 ms: a PC's controller
 * remembers one. It takes them by polling the controller, as it has no interrupts.
 */
#include "pc.h"

#define TICKS_PER_SECOND 100
/* Eleven come; all that were not taken would be thirty more. */
#define TICKS_LIMIT 15

_Noreturn void start(void);

static uint32_t ticks_in(uint32_t milliseconds)
{
	uint32_t ticks = 0;

	begin_to_wait(milliseconds);
	while (!has_waited())
		ticks += take_request(PIC1) == IRQ_TIMER;
	return ticks;
}

void start(void)
{
	uint32_t ticks = 0;

	set_up_pics(1 << IRQ_TIMER);
	set_timer(TICKS_PER_SECOND);
	for (uint32_t n = 0; n < 10; n++)
		wait_for(30);
	/* KVM makes none while it is told to drop those that were lost, which takes the longer the busier a host is. */
	for (uint32_t n = 0; n < 400 && ticks == 0; n++)
		ticks = ticks_in(25);
	for (uint32_t n = 0; n < 3; n++)
		ticks += ticks_in(25);
	if (ticks > TICKS_LIMIT) {
		print_decimal(ticks);
		print(" ");
	}
	print(ticks > TICKS_LIMIT ? "ticks: made up for\n" : "ticks: lost ones are lost\n");
	leave(ticks > 0 ? 0 : 1);
}
