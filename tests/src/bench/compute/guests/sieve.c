/* Owns the sieve of Eratosthenes: the primes below WORK. Bytes that are stored at growing distances, and short loops. */
#include "guest.h"

_Static_assert(WORK <= AREA_SIZE, "a byte for each number");

u32 work(void)
{
	u32 found = 0;

	for (u32 number = 2; number < WORK; number++)
		area[number] = 1;
	for (u32 number = 2; number < WORK; number++) {
		if (!area[number])
			continue;
		found++;
		for (u32 multiple = 2 * number; multiple < WORK; multiple += number)
			area[multiple] = 0;
	}
	return found;
}
