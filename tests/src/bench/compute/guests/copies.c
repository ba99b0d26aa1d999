/*
 * Owns copies of 4 MiB, WORK times there and back: there by a loop of loads and stores, back by `rep movsl` from an address that
 * is aligned in one of four rounds only.
 */
#include "guest.h"

#define HALF (AREA_SIZE / 2)
/* What the way back leaves out, so that it ends within the area wherever it begins. */
#define SPARE 256

u32 work(void)
{
	u32 *words = (u32 *)area;
	u32 sum = 0;

	for (u32 i = 0; i < HALF / 4; i++)
		words[i] = i * 2654435761u;
	for (u32 round = 0; round < WORK; round++) {
		const u8 *from = area + HALF + round % SPARE;
		u8 *to = area;
		u32 count = (HALF - SPARE) / 4;

		/* Volatile, so that the compiler makes no call of it. */
		for (u32 i = 0; i < HALF / 4; i++)
			*(volatile u32 *)&words[HALF / 4 + i] = *(volatile u32 *)&words[i];
		__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	}
	for (u32 i = 0; i < AREA_SIZE / 4; i++)
		sum = sum * 31 + words[i];
	return sum;
}
