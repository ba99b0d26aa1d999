/* Owns a guest that calls a function through a NULL pointer: #PF at EIP 0, with the caller on the stack. */
#include "guest.h"

static __attribute__((noinline)) void run(void (*action)(void))
{
	action();
	/* Keeps the call above from becoming a jump. */
	__asm__ volatile("");
}

void kernel_main(const struct boot_interface *boot)
{
	void (*volatile action)(void) = NULL;

	(void)boot;
	print("null_call: calling NULL\n");
	drop_identity_mapping();
	run(action);
	halt();
}
