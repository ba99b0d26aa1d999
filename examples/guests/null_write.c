/* Owns a guest that writes through a NULL pointer, once nothing is mapped there any more: #PF with CR2 = 0. */
#include "guest.h"

static __attribute__((noinline)) void store(uint32_t *counter)
{
	*counter = 42;
}

void kernel_main(const struct boot_interface *boot)
{
	/* volatile, so that the compiler does not know that it is NULL. */
	uint32_t *volatile counter = NULL;

	(void)boot;
	print("null_write: 42 to NULL\n");
	drop_identity_mapping();
	store(counter);
	halt();
}
