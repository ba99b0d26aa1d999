/* Owns a function that calls itself twice: the Fibonacci number WORK. Calls, returns and the stack. */
#include "guest.h"

__attribute__((noinline)) static u32 fibonacci(u32 n)
{
	u32 first;

	if (n < 2)
		return n;
	first = fibonacci(n - 1);
	/* So that the compiler makes no loop of the second call. */
	__asm__ volatile("" : "+r"(first));
	return first + fibonacci(n - 2);
}

u32 work(void)
{
	return fibonacci(WORK);
}
