/* Owns a guest that ends as stos does: it says that it has loaded, and loops without halting. */
#include "guest.h"

void kernel_main(const struct boot_interface *boot)
{
	(void)boot;
	print("spin: started\nLoading complete\n");
	for (;;)
		__asm__ volatile("pause");
}
