/* Owns WORK rounds of plain arithmetic in registers, with a branch that goes both ways. */
#include "guest.h"

u32 work(void)
{
	u32 a = 1, b = 2, c = 3;

	for (u32 i = 0; i < WORK; i++) {
		a = a * 5 + b;
		b ^= a >> 3;
		c += b + i;
		if (c & 64)
			a += 7;
	}
	return a ^ b ^ c;
}
