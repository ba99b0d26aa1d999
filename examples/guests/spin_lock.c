/* Owns a guest that takes a lock twice and spins in it for ever. */
#include "guest.h"

static volatile uint32_t held;

static __attribute__((noinline)) void spin_lock(void)
{
	while (__atomic_exchange_n(&held, 1, __ATOMIC_ACQUIRE))
		__asm__ volatile("pause");
}

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("spin_lock: once\n");
	spin_lock();
	print("spin_lock: twice\n");
	spin_lock();
	leave(0);
}
