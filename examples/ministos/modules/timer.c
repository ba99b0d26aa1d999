/* Owns the module "timer": the frequency of the ticks, and waiting in milliseconds for other modules. */
#include "check.h"
#include "console.h"
#include "machine.h"
#include "module.h"
#include "pit.h"
#include "timer.h"

MODULE("timer", timer_start, "");

static uint32_t hz = PIT_DEFAULT_HZ;
MODULE_PARAM_NUMBER(hz);

/* In .bss, which the loader allocates and clears. */
static uint32_t sleeps;

/* In .data with a relocation to .text. */
static void (*sleep_function)(uint32_t) = timer_sleep;

uint32_t timer_hz(void)
{
	return hz;
}

void timer_sleep(uint32_t milliseconds)
{
	/* At least one tick, and one more because the first may come at once. */
	pit_wait(milliseconds * hz / 1000 + 1);
	sleeps++;
}

static void timer_start(void)
{
	uint32_t before;

	if (hz < PIT_MIN_HZ || hz > PIT_MAX_HZ)
		panic("timer.hz out of range");
	check_equal("timer: .bss is zero", sleeps, 0);
	pit_set_hz(hz);
	before = pit_ticks();
	sleep_function(20);
	check_true("timer: sleeps for its number of ticks", pit_ticks() - before >= 20 * hz / 1000 + 1 && sleeps == 1);
	kprintf("timer: %u Hz\n", hz);
}
