/* Offers the 8254 interval timer as a clock of ticks. */
#ifndef PIT_H
#define PIT_H

#include <stdint.h>

#define PIT_DEFAULT_HZ 100
/* The divisor has 16 bits, so 1193182 / 65535 is the slowest that the timer can tick. */
#define PIT_MIN_HZ 19
#define PIT_MAX_HZ 10000

/* Starts the ticks at the default frequency and waits for some of them. */
void pit_init(void);
/* Changes the frequency, in ticks a second from PIT_MIN_HZ to PIT_MAX_HZ. */
void pit_set_hz(uint32_t hz);
/* Ticks since pit_init. */
uint32_t pit_ticks(void);
/* Halts until n more ticks have come. */
void pit_wait(uint32_t n);

#endif
