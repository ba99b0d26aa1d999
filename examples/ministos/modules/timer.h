/* Offers what the module "timer" exports. */
#ifndef TIMER_H
#define TIMER_H

#include <stdint.h>

/* Ticks a second. */
uint32_t timer_hz(void);
/* Halts for at least this long; up to 400 seconds, so that the product with the frequency stays in 32 bits. */
void timer_sleep(uint32_t milliseconds);

#endif
